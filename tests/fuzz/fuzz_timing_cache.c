/* SPDX-License-Identifier: Apache-2.0
 *
 * Timing caches: the bytes as a file, and as what stands behind a header with the right
 * checksum. What is taken must come back from its own text.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "engine/timing_cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void render(const oct_timing_cache *tc, oct_ctx *ctx, oct_strbuf *b)
{
    oct_strbuf_init(b, ctx);
    if (oct_timing_cache_render(tc, b) != OCT_OK)
        abort();
}

static void try_text(oct_ctx *ctx, const char *text, size_t n)
{
    oct_timing_cache *tc, *again;
    oct_strbuf a, b;
    if (oct_timing_cache_open(ctx, NULL, &tc) != OCT_OK ||
        oct_timing_cache_open(ctx, NULL, &again) != OCT_OK)
        abort();
    if (oct_timing_cache_parse(tc, ctx, text, n, "fuzz") == OCT_OK) {
        render(tc, ctx, &a);
        if (oct_timing_cache_parse(again, ctx, a.text, a.len, "again") != OCT_OK)
            abort();
        render(again, ctx, &b);
        if (a.len != b.len || memcmp(a.text, b.text, a.len) != 0)
            abort();
        oct_strbuf_deinit(&a);
        oct_strbuf_deinit(&b);
    }
    oct_error_clear(ctx);
    oct_timing_cache_close(tc);
    oct_timing_cache_close(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    oct_ctx *ctx;
    oct_strbuf b;
    if (oct_ctx_new(NULL, &ctx) != OCT_OK)
        return 0;
    try_text(ctx, (const char *)data, size);
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    const char *body = end ? (const char *)end + 1 : (const char *)data;
    const size_t n = size - (size_t)(body - (const char *)data);
    const oct_xxh128 h = oct_xxh128_of(body, n);
    oct_strbuf_init(&b, ctx);
    oct_strbuf_addf(&b, "octet timing cache 1 %016" PRIx64 "%016" PRIx64 "\n", h.hi, h.lo);
    oct_strbuf_add_n(&b, body, n);
    if (oct_strbuf_status(&b) == OCT_OK)
        try_text(ctx, b.text, b.len);
    oct_strbuf_deinit(&b);
    oct_ctx_free(ctx);
    return 0;
}
