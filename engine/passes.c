/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/passes.h"

#include <assert.h>

#include "engine/model.h"

/* Order matters: what one pass leaves, the next one recognises. */
static const struct {
    const char *name;
    oct_pass_fn run;
    bool always; /* even with no_fusion */
} pass_list[] = {
    {"precision", oct_pass_precision, true},    {"fold", oct_pass_fold, true},
    {"identity", oct_pass_identity, false},     {"activation", oct_pass_activation, false},
    {"layer_norm", oct_pass_layer_norm, false}, {"pad", oct_pass_pad, false},
    {"linear", oct_pass_linear, false},         {"batch_norm", oct_pass_batch_norm, false},
    {"epilogue", oct_pass_epilogue, false},     {"layout", oct_pass_layout, false},
};

static oct_status check_around(oct_ctx *ctx, const oct_graph *g, const char *name)
{
#ifndef NDEBUG
    const oct_status st = oct_graph_check(ctx, g);
    return st == OCT_OK ? st : oct_fail_in(ctx, OCT_ERR_BUG, "after pass %s", name);
#else
    (void)ctx, (void)g, (void)name;
    return OCT_OK;
#endif
}

oct_status oct_passes_run(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env)
{
    for (size_t i = 0; i < sizeof pass_list / sizeof pass_list[0]; i++) {
        if (env->no_fusion && !pass_list[i].always)
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
