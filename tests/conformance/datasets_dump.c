/* SPDX-License-Identifier: Apache-2.0
 *
 * Helper of datasets_oracle.py. Reads jobs from stdin, one per line with tab-separated fields,
 * and writes .npy files:
 *
 *     decode  FILE OUT pillow|opencv  gray|color  exif|plain      decoded pixels
 *     pixels  FILE OUT CONFIG-JSON H W                            u8 after resize and crop
 *     tensor  FILE OUT CONFIG-JSON H W                            f32 network input
 *
 * Prints "ok" or "error STATUS TEXT" per job.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "datasets/npy.h"
#include "datasets/preprocess.h"

static oct_status decode(oct_ctx *ctx, char **f, const uint8_t *bytes, size_t n)
{
    oct_image im = {0}, turned = {0};
    oct_decode_info info;
    const oct_decode_options opt = {.rules = strcmp(f[3], "opencv") == 0 ? OCT_DECODER_OPENCV
                                                                         : OCT_DECODER_PILLOW,
                                    .gray = strcmp(f[4], "gray") == 0,
                                    .exif = strcmp(f[5], "exif") == 0,
                                    .limits = OCT_DECODE_LIMITS_DEFAULT};
    oct_status st = oct_image_decode(ctx, f[1], bytes, n, &opt, &im, &turned, &info);
    const oct_shape shape = {{im.height, im.width, im.channels}, 3};
    if (st == OCT_OK)
        st = oct_npy_write(ctx, f[2], OCT_DT_U8, &shape, im.data, true);
    oct_image_deinit(ctx, &im);
    oct_image_deinit(ctx, &turned);
    return st;
}

static oct_status run_stages(oct_ctx *ctx, char **f, const oct_preprocess *p, const uint8_t *bytes,
                             size_t n)
{
    const oct_decode_limits limits = OCT_DECODE_LIMITS_DEFAULT;
    const bool pixels = strcmp(f[0], "pixels") == 0;
    const int64_t c = oct_preprocess_channels(p), h = p->height, w = p->width;
    const size_t n_elems = (size_t)(c * h * w);
    const oct_shape shape = pixels ? (oct_shape){{h, w, c}, 3} : (oct_shape){{c, h, w}, 3};
    oct_preprocessor *pp = NULL;
    oct_preprocess_scratch *s = NULL;
    oct_sample sample;
    oct_decode_info info;
    uint8_t *out = oct_alloc(ctx, n_elems * 4 + OCT_IMAGE_SLACK_BYTES);
    oct_status st = oct_preprocessor_new(ctx, p, OCT_DT_F32, &limits, false, &pp);
    if (st == OCT_OK)
        st = oct_preprocess_scratch_new(ctx, &s);
    if (st == OCT_OK)
        st = pixels ? oct_preprocess_pixels(pp, ctx, s, f[1], bytes, n, out, &sample, &info)
                    : oct_preprocess_file(pp, ctx, s, f[1], bytes, n, out, &sample, &info);
    if (st == OCT_OK)
        st = oct_npy_write(ctx, f[2], pixels ? OCT_DT_U8 : OCT_DT_F32, &shape, out, true);
    oct_preprocess_scratch_free(ctx, s);
    oct_preprocessor_free(pp);
    oct_free(ctx, out);
    return st;
}

static oct_status run(oct_ctx *ctx, char **f)
{
    uint8_t *bytes;
    size_t n;
    OCT_TRY(oct_file_read(ctx, f[1], 0, &bytes, &n));
    oct_status st;
    if (strcmp(f[0], "decode") == 0) {
        st = decode(ctx, f, bytes, n);
    } else {
        const bool gray = strstr(f[3], "GRAY") != NULL || strstr(f[3], "mnist") != NULL;
        const oct_image_input in = {gray ? 1 : 3, atoi(f[4]), atoi(f[5]), false};
        oct_preprocess p;
        st = oct_preprocess_from_json(ctx, "job", f[3], strlen(f[3]), &in, NULL, &p);
        if (st == OCT_OK)
            st = run_stages(ctx, f, &p, bytes, n);
    }
    oct_free(ctx, bytes);
    return st;
}

int main(void)
{
    static char line[16384];
    oct_ctx *ctx;
    if (oct_ctx_new(NULL, &ctx) != OCT_OK)
        return 1;
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *f[6] = {NULL, NULL, NULL, NULL, NULL, NULL}, *at = line;
        line[strcspn(line, "\n")] = '\0';
        for (int i = 0; i < 6 && at != NULL; i++)
            f[i] = strsep(&at, "\t");
        oct_error_clear(ctx);
        const oct_status st =
            f[5] == NULL ? oct_fail(ctx, OCT_ERR_USAGE, "6 fields wanted") : run(ctx, f);
        if (st == OCT_OK)
            puts("ok");
        else
            printf("error %d %s\n", (int)st, oct_error_text(ctx));
        fflush(stdout);
    }
    oct_ctx_free(ctx);
    return 0;
}
