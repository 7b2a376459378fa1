/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps whose shapes depend on data (NonZero, NonMaxSuppression, TopK with a computed k
 * and everything after them): infer, place, prepare, run. The prepared op is kept for the next
 * time the same shapes and small integers come along.
 */
#include <string.h>

#include "base/checked.h"
#include "engine/executor.h"
#include "engine/infer_node.h"

/* Integer operands up to this many bytes may decide what a kernel prepares. */
#define MAX_KEY_BYTES 1024u
#define ALIGN 64u

static int64_t run_symbol(void *user)
{
    int64_t *next = user;
    return OCT_DIM_SYMBOL((*next)++);
}

oct_status oct_exec_place(oct_worker *w, oct_ctx *ctx, oct_frame *f, uint32_t t,
                          const oct_tensor_desc *d)
{
    const oct_plan_tensor *pt = &f->plan->tensor[t];
    if (pt->place != OCT_PLACE_DYNAMIC) {
        if (pt->desc.dtype != d->dtype || !oct_shape_equal(&pt->desc.shape, &d->shape))
            return oct_fail(ctx, OCT_ERR_BUG, "a planned shape changed while running");
        return OCT_OK;
    }
    size_t bytes = 0;
    if (!oct_tensor_desc_bytes(d, &bytes))
        return oct_fail(ctx, OCT_ERR_SHAPE, "the shape of a result is unknown or too large");
    if (f->block[t] != OCT_NONE) /* the step before did not release it: a Loop's next round */
        oct_pool_give(&w->pool, f->block[t]);
    f->block[t] = OCT_NONE;
    OCT_TRY(oct_pool_take(&w->pool, ctx, bytes, &f->block[t]));
    f->desc[t] = *d;
    f->ptr[t] = w->pool.block[f->block[t]].data;
    return OCT_OK;
}

/* ---- prepared ops by shapes and small integers ---- */

static bool is_key_data(const oct_tensor_desc *d, size_t *bytes)
{
    return (oct_dtype_is_int(d->dtype) || d->dtype == OCT_DT_BOOL) &&
           oct_tensor_desc_bytes(d, bytes) && *bytes > 0 && *bytes <= MAX_KEY_BYTES;
}

static bool matches(const oct_deferred_op *o, const oct_plan_step *s, const oct_tensor *in,
                    const oct_tensor_desc *out)
{
    for (uint32_t i = 0; i < s->n_out; i++) /* NonZero: the elements decide */
        if (!oct_shape_equal(&o->operand[s->n_in + i].desc.shape, &out[i].shape))
            return false;
    for (uint32_t i = 0; i < s->n_in; i++) {
        const oct_operand *k = &o->operand[i];
        size_t bytes = 0;
        if (k->desc.dtype != in[i].desc.dtype)
            return false;
        if (k->desc.dtype == OCT_DT_NONE)
            continue;
        if (!oct_shape_equal(&k->desc.shape, &in[i].desc.shape))
            return false;
        if (is_key_data(&k->desc, &bytes) && memcmp(k->data, in[i].data, bytes) != 0)
            return false;
    }
    return true;
}

static void deferred_op_free(oct_ctx *ctx, oct_deferred_op *o)
{
    if (o->op)
        o->op->backend->vt->release(o->op->backend, o->op);
    oct_free(ctx, o->operand);
    *o = (oct_deferred_op){0};
}

void oct_exec_deferred_free(oct_ctx *ctx, oct_deferred *d, const oct_plan_step *s)
{
    (void)s;
    for (int i = 0; i < OCT_DEFERRED_CACHE; i++)
        deferred_op_free(ctx, &d->entry[i]);
}

/* Scales are known when planning, whatever the shape. */
static oct_quant quant_of(const oct_plan *p, uint32_t t)
{
    return t == OCT_NONE ? (oct_quant){.n = 0} : p->tensor[t].quant;
}

/* Operands and the bytes of their small integers in one block. */
static oct_status copy_operands(oct_ctx *ctx, const oct_plan *p, const oct_plan_step *s,
                                const oct_tensor *in, const oct_tensor_desc *out,
                                oct_deferred_op *o)
{
    size_t total = (s->n_in + s->n_out) * sizeof(oct_operand), bytes = 0;
    total = (total + ALIGN - 1) / ALIGN * ALIGN;
    size_t at = total;
    for (uint32_t i = 0; i < s->n_in; i++)
        if (is_key_data(&in[i].desc, &bytes))
            total += (bytes + ALIGN - 1) / ALIGN * ALIGN;
    uint8_t *block = oct_zalloc(ctx, total);
    if (!block)
        return OCT_ERR_NOMEM;
    o->operand = (oct_operand *)(void *)block;
    for (uint32_t i = 0; i < s->n_in; i++) {
        o->operand[i].desc = in[i].desc;
        o->operand[i].quant = quant_of(p, s->in[i]);
        const uint32_t root = s->in[i] == OCT_NONE ? OCT_NONE : oct_plan_root(p, s->in[i]);
        if (root != OCT_NONE && p->tensor[root].place == OCT_PLACE_CONST && root == s->in[i])
            o->operand[i].const_key = p->tensor[root].const_key;
        if (o->operand[i].const_key)
            o->operand[i].data = p->tensor[root].data;
        if (!is_key_data(&in[i].desc, &bytes))
            continue;
        memcpy(block + at, in[i].data, bytes);
        o->operand[i].data = block + at;
        at += (bytes + ALIGN - 1) / ALIGN * ALIGN;
    }
    for (uint32_t i = 0; i < s->n_out; i++) {
        o->operand[s->n_in + i].desc = out[i];
        o->operand[s->n_in + i].quant = quant_of(p, s->out[i]);
    }
    return OCT_OK;
}

static bool has_elements(const oct_deferred_op *o, uint32_t n)
{
    size_t elems;
    for (uint32_t i = 0; i < n; i++)
        if (o->operand[i].desc.dtype != OCT_DT_NONE &&
            oct_shape_elems(&o->operand[i].desc.shape, &elems) && elems == 0)
            return false;
    return true;
}

static oct_status prepare(oct_worker *w, oct_ctx *ctx, const oct_node *n, const oct_plan_step *s,
                          oct_deferred_op *o)
{
    oct_engine *e = w->engine;
    const oct_op_desc d = {.op = n->op,
                           .attr = n->attr,
                           .in = o->operand,
                           .out = o->operand + s->n_in,
                           .n_in = (int)s->n_in,
                           .n_out = (int)s->n_out,
                           .epilogue = n->epilogue,
                           .threads = e->threads,
                           .name = n->name};
    char reason[OCT_REASON_BYTES] = "";
    oct_candidate c;
    memset(&c, 0, sizeof c);
    oct_backend *be = has_elements(o, s->n_in + s->n_out) ? e->host : e->ref;
    int found = be->vt->enumerate(be, ctx, &d, &c, 1, reason);
    if (found < 1 && be != e->ref) {
        be = e->ref;
        found = be->vt->enumerate(be, ctx, &d, &c, 1, reason);
    }
    if (found < 1)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "no kernel: %s", reason);
    o->workspace_bytes = c.workspace_bytes;
    o->alias_in = c.alias_in;
    return be->vt->prepare(be, ctx, &d, &c, &o->op);
}

static oct_status find_op(oct_worker *w, oct_ctx *ctx, oct_frame *f, uint32_t i,
                          const oct_tensor *in, const oct_tensor_desc *out, oct_deferred_op **op)
{
    const oct_plan_step *s = &f->plan->step[i];
    oct_deferred *cache = &f->deferred[i];
    for (int k = 0; k < OCT_DEFERRED_CACHE; k++) {
        if (cache->entry[k].op && matches(&cache->entry[k], s, in, out)) {
            *op = &cache->entry[k];
            return OCT_OK;
        }
    }
    oct_deferred_op *o = &cache->entry[cache->next++ % OCT_DEFERRED_CACHE];
    deferred_op_free(ctx, o);
    OCT_TRY(copy_operands(ctx, f->plan, s, in, out, o));
    const oct_status st = prepare(w, ctx, oct_graph_node(f->plan->graph, s->node), s, o);
    if (st != OCT_OK)
        deferred_op_free(ctx, o);
    *op = o;
    return st;
}

/* ---- the step ---- */

static oct_status infer_outputs(oct_ctx *ctx, const oct_graph *g, const oct_node *n,
                                const oct_tensor *in, oct_tensor_desc *out)
{
    int64_t next = 0;
    const oct_infer_args a = {.op = n->op,
                              .attr = n->attr,
                              .in = in,
                              .n_in = (int)n->n_in,
                              .out = out,
                              .n_out = (int)n->n_out,
                              .new_symbol = run_symbol,
                              .user = &next};
    OCT_TRY(oct_infer_lowered(ctx, g, n, &a));
    for (uint32_t i = 0; i < n->n_out; i++)
        out[i] = oct_tensor_desc_make(n->out[i] == OCT_NONE ? OCT_DT_NONE : out[i].dtype,
                                      out[i].shape, OCT_LAYOUT_ROW);
    return OCT_OK;
}

static oct_status run_prepared(oct_worker *w, oct_ctx *ctx, oct_frame *f, const oct_plan_step *s,
                               const oct_deferred_op *o)
{
    for (uint32_t k = 0; k < s->n_in; k++)
        f->arg_in[k] = s->in[k] == OCT_NONE ? NULL : f->ptr[s->in[k]];
    for (uint32_t k = 0; k < s->n_out; k++)
        f->arg_out[k] = s->out[k] == OCT_NONE ? NULL : f->ptr[s->out[k]];
    size_t bytes = 0;
    if (o->alias_in >= 0 && oct_tensor_desc_bytes(&o->operand[s->n_in].desc, &bytes)) {
        memcpy(f->arg_out[0], f->arg_in[o->alias_in], bytes);
        f->arg_in[o->alias_in] = f->arg_out[0];
    }
    uint32_t block = OCT_NONE;
    if (o->workspace_bytes)
        OCT_TRY(oct_pool_take(&w->pool, ctx, o->workspace_bytes, &block));
    const oct_run_args a = {.in = f->arg_in,
                            .out = f->arg_out,
                            .workspace = block == OCT_NONE ? NULL : w->pool.block[block].data};
    const oct_status st = o->op->backend->vt->run(o->op, ctx, &a);
    oct_pool_give(&w->pool, block);
    return st;
}

static oct_status deferred_with(oct_worker *w, oct_ctx *ctx, oct_frame *f, uint32_t i,
                                oct_tensor *in, oct_tensor_desc *out)
{
    const oct_plan_step *s = &f->plan->step[i];
    const oct_node *n = oct_graph_node(f->plan->graph, s->node);
    for (uint32_t k = 0; k < s->n_in; k++) {
        memset(&in[k], 0, sizeof in[k]);
        if (s->in[k] == OCT_NONE)
            continue;
        in[k].desc = *oct_frame_desc(f, s->in[k]);
        in[k].data = f->ptr[s->in[k]];
    }
    memset(out, 0, s->n_out * sizeof *out);
    OCT_TRY(infer_outputs(ctx, f->plan->graph, n, in, out));
    size_t most = 0, elems = 0;
    for (uint32_t k = 0; k < s->n_out; k++) {
        if (s->out[k] == OCT_NONE)
            continue;
        OCT_TRY(oct_exec_place(w, ctx, f, s->out[k], &out[k]));
        most = oct_shape_elems(&out[k].shape, &elems) ? oct_max_size(most, elems) : most;
    }
    if (most == 0)
        return OCT_OK; /* nothing to compute */
    oct_deferred_op *o;
    OCT_TRY(find_op(w, ctx, f, i, in, out, &o));
    return run_prepared(w, ctx, f, s, o);
}

oct_status oct_exec_deferred(oct_worker *w, oct_ctx *ctx, oct_frame *f, uint32_t i)
{
    const oct_plan_step *s = &f->plan->step[i];
    uint32_t block;
    const size_t in_bytes = (s->n_in + 1) * sizeof(oct_tensor);
    OCT_TRY(
        oct_pool_take(&w->pool, ctx, in_bytes + (s->n_out + 1) * sizeof(oct_tensor_desc), &block));
    uint8_t *scratch = w->pool.block[block].data;
    const oct_status st = deferred_with(w, ctx, f, i, (oct_tensor *)(void *)scratch,
                                        (oct_tensor_desc *)(void *)(scratch + in_bytes));
    oct_pool_give(&w->pool, block);
    return st;
}
