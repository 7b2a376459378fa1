/* SPDX-License-Identifier: Apache-2.0
 *
 * Saved results are read from anywhere: whatever parses is written, read again and shown, and the page
 * never holds a tag that a name smuggled in.
 */
#include <stdlib.h>
#include <string.h>

#include "reports/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void show(oct_ctx *ctx, const oct_report *r)
{
    oct_strbuf b;
    oct_report *again = NULL;
    oct_strbuf_init(&b, ctx);
    if (oct_report_html(ctx, &r, 1, &b) != OCT_OK || strstr(b.text, "<script") != NULL)
        abort();
    oct_strbuf_clear(&b);
    if (oct_report_terminal(ctx, r, &b) != OCT_OK)
        abort();
    oct_strbuf_clear(&b);
    if (oct_report_write(r, &b) != OCT_OK ||
        oct_report_parse(ctx, "again", b.text, b.len, &again) != OCT_OK)
        abort();
    oct_report_free(again);
    oct_strbuf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    oct_ctx *ctx;
    oct_report *r = NULL;
    if (oct_ctx_new(NULL, &ctx) != OCT_OK)
        return 0;
    if (oct_report_parse(ctx, "fuzz.json", (const char *)data, n, &r) == OCT_OK)
        show(ctx, r);
    oct_report_free(r);
    oct_ctx_free(ctx);
    return 0;
}
