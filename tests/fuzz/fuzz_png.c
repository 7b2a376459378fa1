/* SPDX-License-Identifier: Apache-2.0
 *
 * PNG bytes through the decoder with every combination of rules, alpha policy and channels.
 */
#include "datasets/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    oct_ctx *ctx;
    oct_image im = {0}, turned = {0};
    unsigned sum = 0;
    if (oct_ctx_new(NULL, &ctx) != OCT_OK)
        return 0;
    for (unsigned bits = 0; bits < 12; bits++) {
        oct_decode_info info;
        const oct_decode_options opt = {
            .rules = bits & 1 ? OCT_DECODER_OPENCV : OCT_DECODER_PILLOW,
            .gray = (bits & 2) != 0,
            .alpha = (oct_alpha_policy)(bits / 4),
            .exif = true,
            .allow_truncated = (bits & 1) != 0,
            .limits = {2048, 1 << 20, 50, 1 << 20},
        };
        if (oct_image_decode(ctx, "fuzz", data, size, &opt, &im, &turned, &info) == OCT_OK)
            for (int i = 0; i < im.width * im.height * im.channels; i++)
                sum += im.data[i]; /* every byte must be there */
        oct_error_clear(ctx);
    }
    if (sum == 1)
        oct_log(ctx, OCT_LOG_DEBUG, "%u", sum);
    oct_image_deinit(ctx, &im);
    oct_image_deinit(ctx, &turned);
    oct_ctx_free(ctx);
    return 0;
}
