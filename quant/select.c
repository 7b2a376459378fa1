/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/select.h"

#include <regex.h>
#include <string.h>

typedef struct pattern {
    const char *text;
    bool is_op, is_regex;
    regex_t regex;
} pattern;

bool oct_select_is_weighted(oct_op op)
{
    return op == OCT_OP_CONV || op == OCT_OP_CONV_TRANSPOSE || op == OCT_OP_GEMM ||
           op == OCT_OP_MATMUL;
}

static oct_status pattern_init(oct_ctx *ctx, const char *text, pattern *p)
{
    *p = (pattern){.text = text};
    if (strncmp(text, "op:", 3) == 0) {
        p->is_op = true;
        p->text = text + 3;
        return OCT_OK;
    }
    if (strncmp(text, "re:", 3) != 0)
        return OCT_OK;
    oct_strbuf whole;
    oct_strbuf_init(&whole, ctx);
    oct_strbuf_addf(&whole, "^(%s)$", text + 3);
    const oct_status st = oct_strbuf_status(&whole);
    const int rc = st == OCT_OK ? regcomp(&p->regex, whole.text, REG_EXTENDED | REG_NOSUB) : 0;
    oct_strbuf_deinit(&whole);
    OCT_TRY(st);
    if (rc != 0) {
        char why[128];
        regerror(rc, &p->regex, why, sizeof why);
        return oct_fail(ctx, OCT_ERR_USAGE, "pattern '%s': %s", text, why);
    }
    p->is_regex = true;
    return OCT_OK;
}

static void pattern_deinit(pattern *p)
{
    if (p->is_regex)
        regfree(&p->regex);
}

static bool pattern_matches(const pattern *p, const oct_node *n)
{
    if (p->is_op)
        return strcmp(p->text, oct_op_name(n->op)) == 0;
    if (p->is_regex)
        return regexec(&p->regex, n->name, 0, NULL, 0) == 0;
    return strcmp(p->text, n->name) == 0;
}

/* hit[id] |= pattern matches; a pattern that matches no live node is the user's mistake. */
static oct_status mark(oct_ctx *ctx, const oct_graph *g, const char *const *text, size_t n_text,
                       bool *hit)
{
    for (size_t i = 0; i < n_text; i++) {
        pattern p;
        OCT_TRY(pattern_init(ctx, text[i], &p));
        uint32_t n_hits = 0;
        for (oct_node_id id = 0; id < oct_graph_n_nodes(g); id++) {
            const oct_node *n = oct_graph_node(g, id);
            if (!n->dead && pattern_matches(&p, n)) {
                hit[id] = true;
                n_hits++;
            }
        }
        pattern_deinit(&p);
        if (n_hits == 0)
            return oct_fail(ctx, OCT_ERR_USAGE,
                            "'%s' matches no node of the model; 'octet inspect --dump' lists them",
                            text[i]);
    }
    return OCT_OK;
}

static oct_status forbid(oct_ctx *ctx, const oct_graph *g, const char *const *text, size_t n_text,
                         const char *why, bool *hit, bool *allowed, const char **reason)
{
    const uint32_t n = oct_graph_n_nodes(g);
    memset(hit, 0, n * sizeof *hit);
    OCT_TRY(mark(ctx, g, text, n_text, hit));
    for (oct_node_id id = 0; id < n; id++)
        if (hit[id]) {
            allowed[id] = false;
            reason[id] = why;
        }
    return OCT_OK;
}

static void forbid_end(const oct_graph *g, bool first, bool *allowed, const char **reason)
{
    uint32_t n = 0;
    const oct_node_id *order = oct_graph_order(g, &n);
    for (uint32_t i = 0; i < n; i++) {
        const oct_node_id id = order[first ? i : n - 1 - i];
        if (!oct_select_is_weighted(oct_graph_node(g, id)->op))
            continue;
        allowed[id] = false;
        reason[id] = first ? "first weighted op, kept by --skip-first"
                           : "last weighted op, kept by --skip-last";
        return;
    }
}

oct_status oct_select_nodes(oct_ctx *ctx, const oct_graph *g, const oct_scheme *s, bool *allowed,
                            const char **reason)
{
    const uint32_t n = oct_graph_n_nodes(g);
    bool *hit = oct_zalloc_array(ctx, n, sizeof *hit);
    if (!hit)
        return OCT_ERR_NOMEM;
    oct_status st = mark(ctx, g, s->include, s->n_include, hit);
    for (oct_node_id id = 0; id < n; id++) {
        allowed[id] = s->n_include == 0 || hit[id];
        reason[id] = allowed[id] ? "" : "not included";
    }
    if (st == OCT_OK)
        st = forbid(ctx, g, s->exclude, s->n_exclude, "excluded", hit, allowed, reason);
    if (st == OCT_OK)
        st = forbid(ctx, g, s->keep, s->n_keep, "kept by the plan", hit, allowed, reason);
    if (s->skip_first)
        forbid_end(g, true, allowed, reason);
    if (s->skip_last)
        forbid_end(g, false, allowed, reason);
    oct_free(ctx, hit);
    return st;
}
