/* SPDX-License-Identifier: Apache-2.0
 *
 * Rates of the picture pipeline as ratios within one run:
 *
 *     bench_datasets FOLDER [PRESET [SIDE]]        e.g. ../shared/data/imagenet100 imagenet 224
 *     bench_datasets --scan FOLDER                 time and memory to open a (large) folder
 *
 * "bare" is libjpeg-turbo alone on the same bytes in memory: RGB rows, nothing kept.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <jpeglib.h>

#include "base/file.h"
#include "datasets/dataset.h"
#include "datasets/file_list.h"
#include "datasets/presets.h"

#define ROUNDS 7

typedef struct corpus {
    int64_t n;
    uint8_t **bytes;
    size_t *n_bytes;
} corpus;

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static long peak_rss_kb(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

static oct_status load(oct_ctx *ctx, const char *folder, corpus *c)
{
    oct_file_list l;
    oct_dataset_info info = {0};
    OCT_TRY(oct_file_list_init(&l, ctx, folder, strlen(folder)));
    oct_status st = oct_file_list_scan(&l, &info);
    c->bytes = oct_zalloc_array(ctx, (size_t)l.n + 1, sizeof *c->bytes);
    c->n_bytes = oct_zalloc_array(ctx, (size_t)l.n + 1, sizeof *c->n_bytes);
    for (int64_t i = 0; i < l.n && st == OCT_OK; i++) {
        char *path = oct_path_join(ctx, folder, oct_file_list_name(&l, i));
        st = oct_file_read(ctx, path, 0, &c->bytes[i], &c->n_bytes[i]);
        oct_free(ctx, path);
        c->n = i + 1;
    }
    oct_file_list_deinit(&l);
    return st;
}

static void decode_bare(const uint8_t *bytes, size_t n)
{
    static uint8_t row[3 * 65536];
    struct jpeg_decompress_struct c;
    struct jpeg_error_mgr err;
    JSAMPROW rows[1] = {row};
    c.err = jpeg_std_error(&err);
    jpeg_create_decompress(&c);
    jpeg_mem_src(&c, bytes, n);
    jpeg_read_header(&c, TRUE);
    c.out_color_space = c.jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&c);
    while (c.output_scanline < c.output_height)
        jpeg_read_scanlines(&c, rows, 1);
    jpeg_finish_decompress(&c);
    jpeg_destroy_decompress(&c);
}

/* CPU seconds of one pass over the corpus: bare, and the whole pipeline. */
static oct_status one_round(oct_ctx *ctx, const corpus *c, oct_preprocessor *pp,
                            oct_preprocess_scratch *s, float *out, double seconds[2])
{
    double t = now(CLOCK_THREAD_CPUTIME_ID);
    for (int64_t i = 0; i < c->n; i++)
        decode_bare(c->bytes[i], c->n_bytes[i]);
    seconds[0] = now(CLOCK_THREAD_CPUTIME_ID) - t;
    t = now(CLOCK_THREAD_CPUTIME_ID);
    for (int64_t i = 0; i < c->n; i++) {
        oct_sample sample = {0};
        oct_decode_info info;
        OCT_TRY(oct_preprocess_file(pp, ctx, s, "bench", c->bytes[i], c->n_bytes[i], out, &sample,
                                    &info));
    }
    seconds[1] = now(CLOCK_THREAD_CPUTIME_ID) - t;
    return OCT_OK;
}

static oct_status bench_core(oct_ctx *ctx, const corpus *c, const oct_preprocess *spec)
{
    const oct_decode_limits limits = OCT_DECODE_LIMITS_DEFAULT;
    oct_preprocessor *pp;
    oct_preprocess_scratch *s;
    double best[2] = {1e9, 1e9}, t[2];
    float *out = oct_alloc(ctx, (size_t)spec->width * (size_t)spec->height * 3 * sizeof *out);
    OCT_TRY(oct_preprocessor_new(ctx, spec, OCT_DT_F32, &limits, false, &pp));
    OCT_TRY(oct_preprocess_scratch_new(ctx, &s));
    oct_status st = OCT_OK;
    for (int r = 0; r < ROUNDS && st == OCT_OK; r++) {
        st = one_round(ctx, c, pp, s, out, t);
        for (int k = 0; k < 2; k++)
            best[k] = t[k] < best[k] ? t[k] : best[k];
    }
    const double n = (double)c->n;
    printf("bare libjpeg-turbo      %8.1f images/s per core\n", n / best[0]);
    printf("decode to input tensor  %8.1f images/s per core\n", n / best[1]);
    printf("ratio to bare decoding  %8.3f\n", best[0] / best[1]);
    oct_preprocess_scratch_free(ctx, s);
    oct_preprocessor_free(pp);
    oct_free(ctx, out);
    return st;
}

static oct_status run_loader(oct_ctx *ctx, const char *folder, const oct_preprocess *spec,
                             int n_threads, int n_passes, double *seconds)
{
    const oct_input_spec input = {"input", OCT_DT_F32, {{-1, 3, spec->height, spec->width}, 4}};
    const oct_dataset_options o = {.path = folder,
                                   .preprocess = spec,
                                   .input = &input,
                                   .n_inputs = 1,
                                   .batch = 8,
                                   .n_threads = n_threads};
    oct_batch_source *s;
    const oct_batch *b;
    OCT_TRY(oct_dataset_open(ctx, &o, &s));
    const double t = now(CLOCK_MONOTONIC);
    oct_status st = OCT_OK;
    for (int pass = 0; pass < n_passes && st == OCT_OK; pass++) {
        while ((st = s->vt->next(s, ctx, &b)) == OCT_OK && b != NULL)
            s->vt->release(s, b);
        if (st == OCT_OK)
            st = s->vt->rewind(s, ctx);
    }
    *seconds = now(CLOCK_MONOTONIC) - t;
    s->vt->close(s);
    return st;
}

static oct_status bench_threads(oct_ctx *ctx, const char *folder, const oct_preprocess *spec)
{
    double best[2] = {1e9, 1e9}, t;
    for (int r = 0; r < ROUNDS; r++)
        for (int k = 0; k < 2; k++) {
            OCT_TRY(run_loader(ctx, folder, spec, k + 1, 1, &t));
            best[k] = t < best[k] ? t : best[k];
        }
    printf("two threads to one      %8.3f (wall time; means little on a busy machine)\n",
           best[0] / best[1]);
    const long before = peak_rss_kb();
    OCT_TRY(run_loader(ctx, folder, spec, 2, 64, &t));
    printf("peak memory, 64 passes  %+8ld kB over one pass (%ld kB)\n", peak_rss_kb() - before,
           before);
    return OCT_OK;
}

static oct_status bench_scan(oct_ctx *ctx, const char *folder)
{
    oct_file_list l;
    oct_dataset_info info = {0};
    const long before = peak_rss_kb();
    const double t = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    OCT_TRY(oct_file_list_init(&l, ctx, folder, strlen(folder)));
    OCT_TRY(oct_file_list_scan(&l, &info));
    printf("%lld pictures in %.2f s (%.2f s of CPU), peak memory %ld kB (+%ld kB)\n",
           (long long)l.n, now(CLOCK_MONOTONIC) - t, now(CLOCK_PROCESS_CPUTIME_ID) - cpu,
           peak_rss_kb(), peak_rss_kb() - before);
    oct_file_list_deinit(&l);
    return OCT_OK;
}

static oct_status bench_folder(oct_ctx *ctx, const char *folder, const char *preset, int side)
{
    const oct_image_input in = {3, side, side, false};
    oct_preprocess spec;
    corpus c = {0};
    OCT_TRY(oct_preset_apply(ctx, preset, &in, &spec));
    OCT_TRY(load(ctx, folder, &c));
    oct_status st = bench_core(ctx, &c, &spec);
    if (st == OCT_OK)
        st = bench_threads(ctx, folder, &spec);
    for (int64_t i = 0; i < c.n; i++)
        oct_free(ctx, c.bytes[i]);
    oct_free(ctx, c.bytes);
    oct_free(ctx, c.n_bytes);
    return st;
}

int main(int argc, char **argv)
{
    oct_ctx *ctx;
    if (argc < 2 || oct_ctx_new(NULL, &ctx) != OCT_OK) {
        fprintf(stderr, "usage: bench_datasets FOLDER [PRESET [SIDE]] | --scan FOLDER\n");
        return 2;
    }
    const bool scan = strcmp(argv[1], "--scan") == 0 && argc > 2;
    const oct_status st = scan ? bench_scan(ctx, argv[2])
                               : bench_folder(ctx, argv[1], argc > 2 ? argv[2] : "imagenet",
                                              argc > 3 ? atoi(argv[3]) : 224);
    if (st != OCT_OK)
        fprintf(stderr, "%s\n", oct_error_text(ctx));
    oct_ctx_free(ctx);
    return st == OCT_OK ? 0 : 1;
}
