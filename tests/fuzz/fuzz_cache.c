/* SPDX-License-Identifier: Apache-2.0
 *
 * Every cache format: the first byte chooses it, the rest is the file. What could be read is
 * linted and, if usable, written in every format and read back.
 */
#include <stdint.h>
#include <stdlib.h>

#include "calib/cache_tools.h"
#include "calib/ranges.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(oct_ctx *ctx, const oct_ranges *r, oct_cache_format f)
{
    oct_strbuf b;
    oct_strbuf_init(&b, ctx);
    oct_ranges *back = NULL;
    if (oct_ranges_render(ctx, r, f, NULL, &b) == OCT_OK && b.len > 0 &&
        oct_ranges_parse(ctx, b.text, b.len, f, "again", &back) == OCT_OK)
        oct_ranges_free(back);
    oct_error_clear(ctx);
    oct_strbuf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    oct_ctx *ctx;
    if (size < 1 || oct_ctx_new(NULL, &ctx) != OCT_OK)
        return 0;
    oct_ranges *r = NULL;
    if (oct_ranges_parse(ctx, data + 1, size - 1,
                         (oct_cache_format)(data[0] % OCT_CACHE_FORMAT_COUNT), "fuzz",
                         &r) == OCT_OK) {
        oct_lint *lint = NULL;
        if (oct_cache_lint(ctx, r, NULL, &lint) != OCT_OK)
            abort();
        oct_lint_free(lint);
        for (int f = OCT_CACHE_TRT; f < OCT_CACHE_FORMAT_COUNT; f++)
            round_trip(ctx, r, (oct_cache_format)f);
        oct_ranges_free(r);
    }
    oct_ctx_free(ctx);
    return 0;
}
