/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/passes.h"

#include <assert.h>

#include "engine/model.h"
#include "engine/qdq_passes.h"
#include "engine/session.h"

/* The passes of engine/qdq_passes.h need no environment. */
#define QDQ_PASS(name)                                                                \
    static oct_status run_##name(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env) \
    {                                                                                 \
        (void)env;                                                                    \
        return oct_pass_##name(ctx, g);                                               \
    }
QDQ_PASS(qoperator)
QDQ_PASS(qdq_weights)
QDQ_PASS(qdq_move)
QDQ_PASS(qdq_lower)

enum pass_when { ALWAYS, FUSION, INTEGER };

/* Order matters: what one pass leaves, the next one recognises. */
static const struct {
    const char *name;
    oct_pass_fn run;
    enum pass_when when; /* even with no_fusion; without it; only when INT8 is allowed */
} pass_list[] = {
    {"precision", oct_pass_precision, ALWAYS},
    {"qoperator", run_qoperator, INTEGER},
    {"qdq_weights", run_qdq_weights, INTEGER},
    {"einsum", oct_pass_einsum, FUSION},
    {"fold", oct_pass_fold, ALWAYS},
    {"identity", oct_pass_identity, FUSION},
    {"activation", oct_pass_activation, FUSION},
    {"layer_norm", oct_pass_layer_norm, FUSION},
    {"pad", oct_pass_pad, FUSION},
    {"linear", oct_pass_linear, FUSION},
    {"batch_norm", oct_pass_batch_norm, FUSION},
    {"epilogue", oct_pass_epilogue, FUSION},
    {"qdq_move", run_qdq_move, INTEGER},
    {"qdq_lower", run_qdq_lower, INTEGER},
    {"fold_rest", oct_pass_fold_rest, ALWAYS},
    {"half", oct_pass_half, ALWAYS},
    {"layout", oct_pass_layout, FUSION},
};

static bool is_wanted(enum pass_when when, const oct_pass_env *env)
{
    if (when == INTEGER)
        return (env->precision & OCT_PRECISION_S8) != 0;
    return when == ALWAYS || !env->no_fusion;
}

static oct_status check_around(oct_ctx *ctx, const oct_graph *g, const char *name)
{
#ifndef NDEBUG
    const oct_status st = oct_graph_check(ctx, g);
    if (st == OCT_OK || st == OCT_ERR_NOMEM)
        return st;
    return oct_fail_in(ctx, OCT_ERR_BUG, "after pass %s", name);
#else
    (void)ctx, (void)g, (void)name;
    return OCT_OK;
#endif
}

oct_status oct_passes_run(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env)
{
    for (size_t i = 0; i < sizeof pass_list / sizeof pass_list[0]; i++) {
        if (!is_wanted(pass_list[i].when, env))
            continue;
        OCT_TRY(pass_list[i].run(ctx, g, env));
        oct_graph_remove_unused(g);
        OCT_TRY(oct_graph_sort(g, ctx));
        OCT_TRY(check_around(ctx, g, pass_list[i].name));
    }
    for (uint32_t i = 0; i < oct_graph_n_subs(g); i++)
        OCT_TRY(oct_passes_run(ctx, oct_graph_sub(g, i), env));
    return OCT_OK;
}
