/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/host_op.h"

#include <string.h>

typedef struct host_call {
    oct_operand *operand; /* n_in + n_out */
    const void **in;
    void **out;
    void *workspace;
} host_call;

static oct_status host_call_init(oct_ctx *ctx, host_call *c, const oct_tensor *in, int n_in,
                                 const oct_tensor *out, int n_out)
{
    memset(c, 0, sizeof *c);
    c->operand = oct_zalloc_array(ctx, (size_t)(n_in + n_out), sizeof *c->operand);
    c->in = oct_zalloc_array(ctx, (size_t)n_in, sizeof *c->in);
    c->out = oct_zalloc_array(ctx, (size_t)n_out, sizeof *c->out);
    if (!c->operand || !c->in || !c->out)
        return OCT_ERR_NOMEM;
    for (int i = 0; i < n_in; i++) {
        c->operand[i].desc = in[i].desc;
        c->operand[i].data = in[i].data;
        c->in[i] = in[i].data;
    }
    for (int i = 0; i < n_out; i++) {
        c->operand[n_in + i].desc = out[i].desc;
        c->out[i] = out[i].data;
    }
    return OCT_OK;
}

static void host_call_deinit(oct_ctx *ctx, host_call *c)
{
    oct_free(ctx, c->operand);
    oct_free(ctx, (void *)c->in);
    oct_free(ctx, c->out);
    oct_free(ctx, c->workspace);
}

static oct_status host_call_run(oct_ctx *ctx, oct_backend *ref, host_call *c, const oct_op_desc *d)
{
    oct_candidate cand;
    char reason[OCT_REASON_BYTES] = "";
    if (ref->vt->enumerate(ref, ctx, d, &cand, 1, reason) < 1)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "%s (%s): no reference kernel: %s", d->name,
                        oct_op_name(d->op), reason);
    c->workspace = oct_alloc(ctx, cand.workspace_bytes);
    if (!c->workspace)
        return OCT_ERR_NOMEM;
    if (cand.alias_in >= 0) {
        size_t bytes = 0;
        if (oct_tensor_desc_bytes(&d->out[0].desc, &bytes) && bytes)
            memcpy(c->out[0], c->in[cand.alias_in], bytes);
        c->in[cand.alias_in] = c->out[0];
    }
    oct_prepared *p = NULL;
    OCT_TRY(ref->vt->prepare(ref, ctx, d, &cand, &p));
    const oct_run_args args = {.in = c->in, .out = c->out, .workspace = c->workspace};
    const oct_status st = ref->vt->run(p, ctx, &args);
    ref->vt->release(ref, p);
    return st;
}

oct_status oct_host_op_run(oct_ctx *ctx, oct_backend *ref, oct_op op, const void *attr,
                           const char *name, const oct_tensor *in, int n_in, const oct_tensor *out,
                           int n_out)
{
    host_call c;
    oct_status st = host_call_init(ctx, &c, in, n_in, out, n_out);
    if (st == OCT_OK) {
        const oct_op_desc d = {
            .op = op,
            .attr = attr,
            .in = c.operand,
            .out = c.operand + n_in,
            .n_in = n_in,
            .n_out = n_out,
            .epilogue = {.residual = -1},
            .threads = 1,
            .name = name,
        };
        st = host_call_run(ctx, ref, &c, &d);
    }
    host_call_deinit(ctx, &c);
    return st;
}
