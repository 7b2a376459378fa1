/* SPDX-License-Identifier: Apache-2.0
 *
 * .npy and .npz bytes; the archive is tried on everything, members are bounded to 1 MB.
 */
#include "datasets/npz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    oct_ctx *ctx;
    oct_array a;
    oct_npz *z;
    if (oct_ctx_new(NULL, &ctx) != OCT_OK)
        return 0;
    if (oct_npy_decode(ctx, "fuzz", data, size, &a) == OCT_OK)
        oct_array_deinit(ctx, &a);
    oct_error_clear(ctx);
    if (oct_npz_open_memory(ctx, "fuzz", data, size, &z) == OCT_OK) {
        for (int i = 0; i < oct_npz_count(z); i++) {
            if (oct_npz_read(z, ctx, i, 1 << 20, &a) == OCT_OK)
                oct_array_deinit(ctx, &a);
            oct_error_clear(ctx);
        }
        oct_npz_close(z);
    }
    oct_error_clear(ctx);
    oct_ctx_free(ctx);
    return 0;
}
