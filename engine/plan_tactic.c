/* SPDX-License-Identifier: Apache-2.0
 *
 * Tactics: the step that runs an operator by one of a backend's candidates. Which one:
 * plan_choose.c.
 */
#include <string.h>

#include "engine/planner.h"
#include "kernels/op_schema.h"

/* A constant per-channel operand reads the same in both layouts; it is called what the
 * result is, so that backends see operands of one kind. */
static void match_layout(oct_tensor_desc *d, oct_layout layout)
{
    if (d->layout != layout && d->shape.n_dims >= 3 && oct_plan_is_layout(d, layout))
        *d = oct_tensor_desc_make(d->dtype, d->shape, layout);
}

void oct_plan_operands(const oct_plan *p, const oct_tactic_request *r, oct_operand *op)
{
    const uint32_t flags = oct_op_schema_get(r->node->op)->flags;
    memset(op, 0, (r->n_in + r->n_out) * sizeof *op);
    for (uint32_t i = 0; i < r->n_in + r->n_out; i++) {
        const uint32_t t = i < r->n_in ? r->in[i] : r->out[i - r->n_in];
        if (t == OCT_NONE)
            continue;
        op[i].desc = p->tensor[t].desc;
        op[i].quant = p->tensor[t].quant;
        if (p->tensor[t].place == OCT_PLACE_CONST) {
            op[i].data = p->tensor[t].data;
            op[i].const_key = p->tensor[t].const_key;
            if (flags & OCT_OPF_BINARY)
                match_layout(&op[i].desc, p->tensor[r->out[0]].desc.layout);
        }
    }
}

static double shape_product(const oct_shape *s)
{
    size_t n = 0;
    return oct_shape_elems(s, &n) ? (double)n : 0.0;
}

double oct_plan_macs(const oct_node *n, const oct_operand *in, const oct_operand *out)
{
    const double y = shape_product(&out[0].desc.shape);
    switch (n->op) {
    case OCT_OP_CONV:
    case OCT_OP_FUSED_CONV:
    case OCT_OP_QLINEAR_CONV:
    case OCT_OP_CONV_INTEGER: {
        const oct_shape *w = &in[n->op == OCT_OP_QLINEAR_CONV ? 3 : 1].desc.shape;
        return w->n_dims > 0 && w->dim[0] > 0 ? y * shape_product(w) / (double)w->dim[0] : 0.0;
    }
    case OCT_OP_CONV_TRANSPOSE: {
        const oct_shape *w = &in[1].desc.shape;
        return w->n_dims > 0 && w->dim[0] > 0
                   ? shape_product(&in[0].desc.shape) * shape_product(w) / (double)w->dim[0]
                   : 0.0;
    }
    case OCT_OP_GEMM: {
        const oct_attr_gemm *a = n->attr;
        return y * (double)in[0].desc.shape.dim[a && a->trans_a ? 0 : 1];
    }
    case OCT_OP_MATMUL: {
        const oct_shape *x = &in[0].desc.shape;
        return x->n_dims > 0 ? y * (double)x->dim[x->n_dims - 1] : 0.0;
    }
    default:
        return 0.0;
    }
}

/* ---- the step ---- */

typedef struct chosen { /* by timing: see oct_plan_choose() */
    double us;
    uint64_t key;
} chosen;

static oct_status tactic_info(oct_planner *b, const oct_tactic_request *r, const oct_op_desc *d,
                              const oct_candidate *c, const chosen *how, oct_op_info *info)
{
    info->node = r->node->name;
    info->fused = r->node->name;
    info->op = oct_op_name(r->node->op);
    info->tactic = oct_arena_strdup(b->p->arena, c->name);
    info->reason = r->node->note ? r->node->note : "";
    info->tuned_us = how->us;
    info->tuned_key = how->key;
    for (int i = 0; i < d->n_in && info->in_dtype == OCT_DT_NONE; i++)
        info->in_dtype = d->in[i].desc.dtype;
    info->out_dtype = d->out[0].desc.dtype;
    info->out_shape = d->out[0].desc.shape;
    info->macs = oct_plan_macs(r->node, d->in, d->out);
    for (int i = 0; i < d->n_in + d->n_out; i++) {
        const oct_operand *o = i < d->n_in ? &d->in[i] : &d->out[i - d->n_in];
        info->bytes += shape_product(&o->desc.shape) * (double)oct_dtype_bytes(o->desc.dtype);
    }
    return info->tactic ? OCT_OK : OCT_ERR_NOMEM;
}

static oct_status tactic_step(oct_planner *b, oct_backend *be, oct_node_id id,
                              const oct_tactic_request *r, const oct_op_desc *d,
                              const oct_candidate *c, const chosen *how)
{
    uint32_t workspace = OCT_NONE;
    if (c->workspace_bytes > 0) {
        const oct_shape bytes = {.dim = {(int64_t)c->workspace_bytes}, .n_dims = 1};
        const oct_tensor_desc w = oct_tensor_desc_make(OCT_DT_U8, bytes, OCT_LAYOUT_ROW);
        OCT_TRY(oct_plan_new_tensor(b, &w, be->vt->host_memory, &workspace));
    }
    oct_plan_step *s;
    OCT_TRY(oct_plan_add_step(b, OCT_STEP_OP, id, r->n_in, r->n_out, &s));
    memcpy(s->in, r->in, r->n_in * sizeof *s->in);
    memcpy(s->out, r->out, r->n_out * sizeof *s->out);
    s->workspace = workspace;
    s->alias_in = c->alias_in;
    for (uint32_t i = 0; i < r->n_in && i < OCT_MAX_ALIAS; i++)
        s->may_alias |= (uint32_t)c->may_alias[i] << i;
    OCT_TRY(tactic_info(b, r, d, c, how, &s->info));
    s->info.on_device = !be->vt->host_memory;
    return oct_plan_prepare(b, be, id, d, c, s);
}

/* Writing into a slice of a Concat saves a copy, but not when it costs the good kernel: the
 * first candidate must be the one that a dense result would get. */
static bool slice_costs_tactic(oct_planner *b, oct_backend *be, const oct_op_desc *d,
                               oct_operand *out, const char *tactic)
{
    oct_candidate dense;
    char reason[OCT_REASON_BYTES];
    memset(&dense, 0, sizeof dense);
    const oct_tensor_desc strided = out->desc;
    out->desc = oct_tensor_desc_make(strided.dtype, strided.shape, strided.layout);
    const int n = be->vt->enumerate(be, b->ctx, d, &dense, 1, reason);
    out->desc = strided;
    return n > 0 && strcmp(dense.name, tactic) != 0;
}

oct_status oct_plan_tactic(oct_planner *b, oct_backend *be, oct_node_id id,
                           const oct_tactic_request *r, bool *taken, char *reason)
{
    *taken = false;
    oct_operand *operand = oct_alloc_array(b->ctx, r->n_in + r->n_out + 1, sizeof *operand);
    if (!operand)
        return OCT_ERR_NOMEM;
    oct_plan_operands(b->p, r, operand);
    const oct_op_desc d = {
        .op = r->node->op,
        .attr = r->node->attr,
        .in = operand,
        .out = operand + r->n_in,
        .n_in = (int)r->n_in,
        .n_out = (int)r->n_out,
        .epilogue = r->node->epilogue,
        .threads = b->engine->threads,
        .tf32 = b->engine->tf32,
        .name = r->node->name,
    };
    oct_candidate list[OCT_PLAN_CANDIDATES];
    const int cap = b->engine->tune || b->engine->n_tactics ? OCT_PLAN_CANDIDATES : 1;
    memset(list, 0, sizeof list);
    int n = be->vt->enumerate(be, b->ctx, &d, list, cap, reason);
    if (n > 0 && id != OCT_NONE && r->n_out == 1 &&
        !oct_tensor_desc_is_dense(&operand[r->n_in].desc) &&
        slice_costs_tactic(b, be, &d, &operand[r->n_in], list[0].name))
        n = 0;
    oct_status st = OCT_OK;
    int choice = 0;
    chosen how = {0};
    if (n > 0)
        st = oct_plan_choose(b, be, &d, list, n < cap ? n : cap, &choice, &how.us, &how.key);
    if (n > 0 && st == OCT_OK)
        st = tactic_step(b, be, id, r, &d, &list[choice], &how);
    *taken = n > 0;
    oct_free(b->ctx, operand);
    return st;
}
