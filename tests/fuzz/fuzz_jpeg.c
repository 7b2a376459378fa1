/* SPDX-License-Identifier: Apache-2.0
 *
 * JPEG bytes through the decoder, both rule sets, and through the resize stage.
 */
#include "datasets/presets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(oct_ctx *ctx, const uint8_t *data, size_t size, unsigned bits)
{
    oct_image im = {0}, turned = {0};
    oct_decode_info info;
    const oct_decode_options opt = {
        .rules = bits & 1 ? OCT_DECODER_OPENCV : OCT_DECODER_PILLOW,
        .gray = (bits & 2) != 0,
        .exif = true,
        .allow_truncated = (bits & 1) != 0,
        .limits = {2048, 1 << 20, 50, 1 << 20},
    };
    const oct_status st = oct_image_decode(ctx, "fuzz", data, size, &opt, &im, &turned, &info);
    unsigned sum = 0;
    for (int i = 0; st == OCT_OK && i < im.width * im.height * im.channels; i++)
        sum += im.data[i]; /* every byte must be there */
    if (sum == 1)
        oct_log(ctx, OCT_LOG_DEBUG, "%u", sum);
    oct_image_deinit(ctx, &im);
    oct_image_deinit(ctx, &turned);
    oct_error_clear(ctx);
}

static void preprocess(oct_ctx *ctx, const uint8_t *data, size_t size, const char *preset)
{
    const oct_image_input in = {3, 32, 32, false};
    const oct_decode_limits limits = {2048, 1 << 20, 50, 1 << 20};
    float out[3 * 32 * 32];
    oct_preprocess spec;
    oct_preprocessor *pp = NULL;
    oct_preprocess_scratch *s = NULL;
    oct_sample sample = {0};
    oct_decode_info info;
    if (oct_preset_apply(ctx, preset, &in, &spec) == OCT_OK &&
        oct_preprocessor_new(ctx, &spec, OCT_DT_F32, &limits, true, &pp) == OCT_OK &&
        oct_preprocess_scratch_new(ctx, &s) == OCT_OK &&
        oct_preprocess_file(pp, ctx, s, "fuzz", data, size, out, &sample, &info) != OCT_OK)
        oct_error_clear(ctx);
    oct_preprocess_scratch_free(ctx, s);
    oct_preprocessor_free(pp);
    oct_error_clear(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    oct_ctx *ctx;
    if (oct_ctx_new(NULL, &ctx) != OCT_OK)
        return 0;
    for (unsigned bits = 0; bits < 4; bits++)
        decode(ctx, data, size, bits);
    preprocess(ctx, data, size, "imagenet");
    preprocess(ctx, data, size, "yolo");
    oct_ctx_free(ctx);
    return 0;
}
