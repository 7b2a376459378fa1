/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine file. First as it is (the hash must stop it before HDF5), then with length and hash
 * mended, so that mutations reach the graph decoder; what loads is made an engine of.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_internal.h"
#include "engine/engine_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_le(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++, v >>= 8)
        p[i] = (uint8_t)v;
}

static void use(oct_ctx *ctx, const oct_engine_file *f)
{
    const oct_engine_info *i = oct_engine_file_info(f);
    const oct_engine_options opt = {.backend = "ref",
                                    .threads = 1,
                                    .precision = i->precision,
                                    .tactic = i->tactic,
                                    .n_tactics = i->n_tactics,
                                    .arena_limit_bytes = (size_t)64 << 20};
    oct_engine *e = NULL;
    if (oct_engine_new(ctx, oct_engine_file_model(f), &opt, &e) == OCT_OK)
        oct_engine_free(e, ctx);
}

static void try_image(oct_ctx *ctx, const uint8_t *data, size_t size)
{
    oct_engine_file *f = NULL;
    if (oct_engine_file_parse(ctx, data, size, &f) == OCT_OK) {
        use(ctx, f);
        oct_engine_file_free(f);
    } else if (*oct_error_text(ctx) == 0) {
        abort(); /* every failure says why */
    }
    oct_error_clear(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const oct_ctx_options options = {.memory_limit_bytes = (size_t)256 << 20};
    oct_ctx *ctx;
    if (oct_ctx_new(&options, &ctx) != OCT_OK)
        return 0;
    try_image(ctx, data, size);
    uint8_t *copy = size > OCT_CONTAINER_HEADER_BYTES ? oct_alloc(ctx, size) : NULL;
    if (copy) {
        memcpy(copy, data, size);
        put_le(copy + HEAD_LENGTH, size - OCT_CONTAINER_HEADER_BYTES);
        const oct_xxh128 h = oct_container_hash(copy, size);
        put_le(copy + HEAD_HASH, h.lo);
        put_le(copy + HEAD_HASH + 8, h.hi);
        try_image(ctx, copy, size);
        oct_free(ctx, copy);
    }
    oct_ctx_free(ctx);
    return 0;
}
