/* SPDX-License-Identifier: Apache-2.0
 *
 * The statistics file. First as it is (the hash must stop it before HDF5), then with length
 * and hash mended, so that mutations reach what is behind them; what loads is calibrated,
 * merged with itself and written again.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_internal.h"
#include "calib/statistics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_le(uint8_t *p, uint64_t v, int n)
{
    for (int i = 0; i < n; i++, v >>= 8)
        p[i] = (uint8_t)v;
}

static void use(oct_ctx *ctx, oct_stats *s)
{
    oct_calib_work *w;
    if (oct_calib_work_new(ctx, &w) != OCT_OK)
        return;
    for (size_t i = 0; i < oct_stats_n_tensors(s); i++) {
        for (int k = 0; oct_calibrator_at(k) != NULL; k++) {
            const oct_method m = {oct_calibrator_at(k), 99.9};
            oct_calib_result r;
            oct_spread spread;
            if (oct_stats_calibrate(ctx, s, i, &m, w, &r, &spread) == OCT_OK &&
                !(r.scale > 0 && isfinite(r.scale)))
                abort();
        }
    }
    oct_calib_work_free(ctx, w);
    uint8_t *image;
    size_t n;
    if (oct_stats_image(ctx, s, &image, &n) == OCT_OK)
        oct_free(ctx, image);
}

static void try_image(oct_ctx *ctx, const uint8_t *data, size_t size)
{
    oct_stats *s = NULL;
    if (oct_stats_parse(ctx, data, size, &s) == OCT_OK) {
        use(ctx, s);
        oct_stats_free(s);
    }
    oct_error_clear(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const oct_ctx_options options = {.memory_limit_bytes = (size_t)1 << 30};
    oct_ctx *ctx;
    if (oct_ctx_new(&options, &ctx) != OCT_OK)
        return 0;
    try_image(ctx, data, size);
    if (size > OCT_CONTAINER_HEADER_BYTES) {
        uint8_t *copy = oct_alloc(ctx, size);
        memcpy(copy, data, size);
        put_le(copy + HEAD_LENGTH, size - OCT_CONTAINER_HEADER_BYTES, 8);
        const oct_xxh128 h = oct_container_hash(copy, size);
        put_le(copy + HEAD_HASH, h.lo, 8);
        put_le(copy + HEAD_HASH + 8, h.hi, 8);
        try_image(ctx, copy, size);
        oct_free(ctx, copy);
    }
    oct_ctx_free(ctx);
    return 0;
}
