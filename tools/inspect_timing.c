/* SPDX-License-Identifier: Apache-2.0
 *
 * octet inspect for timing caches: on what, how long each kernel took for each operator.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/table.h"
#include "engine/timing_cache.h"
#include "tools/inspect.h"

static bool is_timing(const char *path)
{
    char head[64];
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    const size_t n = fread(head, 1, sizeof head, f);
    (void)fclose(f);
    return oct_timing_cache_is(head, n);
}

static oct_status print_device(oct_cli *cli, const oct_timing_cache *tc, size_t lo, size_t hi)
{
    oct_table *t;
    const char *last = "";
    OCT_TRY(oct_cli_printf(cli, "%s\n", oct_timing_cache_at(tc, lo).device));
    OCT_TRY(oct_table_new(cli->ctx, ">us|kernel|operator", &t));
    for (size_t i = lo; i < hi; i++) {
        const oct_timing e = oct_timing_cache_at(tc, i);
        if (e.ns == OCT_TIMING_FAILED)
            oct_table_str(t, "failed");
        else
            oct_table_fixed(t, (double)e.ns / 1000.0, 2);
        oct_table_str(t, e.tactic);
        oct_table_str(t, strcmp(e.key, last) == 0 ? "" : e.key);
        last = e.key;
    }
    const oct_status st = oct_cli_print_table(cli, t);
    oct_table_free(t);
    return st;
}

static size_t end_of_device(const oct_timing_cache *tc, size_t lo)
{
    size_t hi = lo + 1;
    while (hi < oct_timing_cache_size(tc) &&
           strcmp(oct_timing_cache_at(tc, lo).device, oct_timing_cache_at(tc, hi).device) == 0)
        hi++;
    return hi;
}

static oct_status print_text(oct_cli *cli, const oct_timing_cache *tc)
{
    for (size_t lo = 0, hi; lo < oct_timing_cache_size(tc); lo = hi) {
        hi = end_of_device(tc, lo);
        OCT_TRY(print_device(cli, tc, lo, hi));
    }
    return OCT_OK;
}

static oct_status emit_json(oct_cli *cli, const oct_timing_cache *tc)
{
    oct_strbuf b;
    oct_json j;
    oct_strbuf_init(&b, cli->ctx);
    oct_json_init(&j, &b, true);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "kind", "timing cache");
    oct_json_key(&j, "times");
    oct_json_begin_array(&j);
    for (size_t i = 0; i < oct_timing_cache_size(tc); i++) {
        const oct_timing e = oct_timing_cache_at(tc, i);
        oct_json_begin_object(&j);
        oct_json_kv_string(&j, "device", e.device);
        oct_json_kv_string(&j, "operator", e.key);
        oct_json_kv_string(&j, "kernel", e.tactic);
        if (e.ns != OCT_TIMING_FAILED)
            oct_json_kv_f64(&j, "us", (double)e.ns / 1000.0);
        oct_json_end_object(&j);
    }
    oct_json_end_array(&j);
    oct_json_end_object(&j);
    oct_status st = oct_strbuf_status(&b);
    if (st == OCT_OK)
        st = oct_cli_emit_json(cli, &b);
    oct_strbuf_deinit(&b);
    return st;
}

static oct_status show(oct_cli *cli, const char *path)
{
    oct_timing_cache *tc;
    OCT_TRY(oct_timing_cache_open(cli->ctx, path, &tc));
    oct_status st = oct_cli_wants_text(cli) ? print_text(cli, tc) : OCT_OK;
    if (st == OCT_OK && cli->json)
        st = emit_json(cli, tc);
    if (st == OCT_OK)
        oct_cli_summary(cli, "%s: timing cache, %zu times", path, oct_timing_cache_size(tc));
    oct_timing_cache_close(tc);
    return st;
}

const oct_inspect_kind oct_inspect_timing = {"timing cache", is_timing, show};
