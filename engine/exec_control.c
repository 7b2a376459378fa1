/* SPDX-License-Identifier: Apache-2.0
 *
 * If and Loop. Each runs a frame of its subgraph; results are copied out of it, because the
 * next round or the other branch uses the same memory.
 *
 * Loop: node inputs are trip count, condition, carried values, captured values; the body's are
 * iteration number, condition, carried, captured; the body gives condition, carried, and one
 * slice of each scan output, which are joined along a new first axis.
 */
#include <string.h>

#include "base/checked.h"
#include "engine/executor.h"

#define MAX_ROUNDS INT64_C(1000000000)

static oct_tensor frame_tensor(const oct_frame *f, uint32_t t)
{
    if (t == OCT_NONE)
        return (oct_tensor){0};
    return (oct_tensor){.desc = *oct_frame_desc(f, t), .data = f->ptr[t]};
}

static oct_status run_sub(oct_worker *w, oct_ctx *ctx, const oct_graph *g, const oct_tensor *in,
                          uint32_t n_in, oct_frame **sub)
{
    oct_tensor_desc *key = oct_alloc_array(ctx, n_in + 1, sizeof *key);
    if (!key)
        return OCT_ERR_NOMEM;
    for (uint32_t i = 0; i < n_in; i++)
        key[i] = oct_tensor_desc_make(in[i].desc.dtype, in[i].desc.shape, OCT_LAYOUT_ROW);
    oct_status st = oct_frame_get(w, ctx, g, key, n_in, sub);
    oct_free(ctx, key);
    return st == OCT_OK ? oct_frame_run(w, ctx, *sub, in, NULL) : st;
}

static oct_status copy_out(oct_worker *w, oct_ctx *ctx, oct_frame *f, uint32_t t,
                           const oct_tensor *from)
{
    size_t bytes = 0;
    if (t == OCT_NONE)
        return OCT_OK;
    OCT_TRY(oct_exec_place(w, ctx, f, t, &from->desc));
    if (oct_tensor_desc_bytes(&from->desc, &bytes) && bytes > 0)
        memcpy(f->ptr[t], from->data, bytes);
    return OCT_OK;
}

static bool read_bool(const oct_tensor *t, bool absent)
{
    return t->data ? *(const uint8_t *)t->data != 0 : absent;
}

/* ---- If ---- */

static oct_status run_if(oct_worker *w, oct_ctx *ctx, oct_frame *f, const oct_plan_step *s,
                         oct_tensor *in)
{
    const oct_attr_control *a = oct_graph_node(f->plan->graph, s->node)->attr;
    const bool cond = read_bool(&in[0], false);
    const oct_graph *g = oct_graph_sub(f->plan->graph, a->sub[cond ? 0 : 1]);
    oct_frame *sub;
    OCT_TRY(run_sub(w, ctx, g, in + 1, s->n_in - 1, &sub));
    for (uint32_t i = 0; i < s->n_out; i++) {
        const oct_tensor y = oct_frame_output(sub, i);
        OCT_TRY(copy_out(w, ctx, f, s->out[i], &y));
    }
    return OCT_OK;
}

/* ---- Loop ---- */

typedef struct loop_state {
    const oct_graph *body;
    uint32_t n_carried, n_scan, n_in; /* n_in of the body */
    oct_tensor *in;                   /* of the body */
    uint32_t *block;                  /* pool blocks: carried values, then scan outputs */
    oct_tensor_desc *slice;           /* of each scan output */
    size_t *slice_bytes;
    int64_t iteration;
    uint8_t cond;
} loop_state;

static oct_status loop_carry(oct_worker *w, oct_ctx *ctx, loop_state *l, const oct_frame *sub)
{
    for (uint32_t i = 0; i < l->n_carried; i++) {
        const oct_tensor y = oct_frame_output(sub, 1 + i);
        size_t bytes = 0;
        uint32_t block;
        if (!oct_tensor_desc_bytes(&y.desc, &bytes))
            return oct_fail(ctx, OCT_ERR_SHAPE, "a carried value of unknown shape");
        OCT_TRY(oct_pool_take(&w->pool, ctx, bytes, &block));
        if (bytes)
            memcpy(w->pool.block[block].data, y.data, bytes);
        oct_pool_give(&w->pool, l->block[i]);
        l->block[i] = block;
        l->in[2 + i] = (oct_tensor){.desc = y.desc, .data = w->pool.block[block].data};
    }
    return OCT_OK;
}

/* Appends this round's slice; the block doubles when full. */
static oct_status loop_scan(oct_worker *w, oct_ctx *ctx, loop_state *l, const oct_frame *sub)
{
    for (uint32_t i = 0; i < l->n_scan; i++) {
        const oct_tensor y = oct_frame_output(sub, 1 + l->n_carried + i);
        uint32_t *block = &l->block[l->n_carried + i];
        size_t bytes = 0, used = 0, need = 0;
        if (l->iteration > 0 && !oct_shape_equal(&l->slice[i].shape, &y.desc.shape))
            return oct_fail(ctx, OCT_ERR_SHAPE, "scan output %u changes its shape", (unsigned)i);
        if (!oct_tensor_desc_bytes(&y.desc, &bytes) ||
            !oct_mul_size(bytes, (size_t)l->iteration, &used) || !oct_add_size(used, bytes, &need))
            return oct_fail(ctx, OCT_ERR_LIMIT, "scan output %u is too large", (unsigned)i);
        l->slice[i] = y.desc;
        l->slice_bytes[i] = bytes;
        if (*block == OCT_NONE || w->pool.block[*block].bytes < need) {
            uint32_t more;
            OCT_TRY(oct_pool_take(&w->pool, ctx, need > SIZE_MAX / 2 ? need : 2 * need, &more));
            if (used)
                memcpy(w->pool.block[more].data, w->pool.block[*block].data, used);
            oct_pool_give(&w->pool, *block);
            *block = more;
        }
        if (bytes)
            memcpy((uint8_t *)w->pool.block[*block].data + used, y.data, bytes);
    }
    return OCT_OK;
}

static oct_status loop_rounds(oct_worker *w, oct_ctx *ctx, loop_state *l, int64_t rounds)
{
    const oct_shape scalar = {.n_dims = 0};
    l->in[0] =
        (oct_tensor){oct_tensor_desc_make(OCT_DT_S64, scalar, OCT_LAYOUT_ROW), &l->iteration};
    l->in[1] = (oct_tensor){oct_tensor_desc_make(OCT_DT_BOOL, scalar, OCT_LAYOUT_ROW), &l->cond};
    for (; l->iteration < rounds && l->cond; l->iteration++) {
        oct_frame *sub;
        OCT_TRY(oct_check_cancel(ctx));
        OCT_TRY(run_sub(w, ctx, l->body, l->in, l->n_in, &sub));
        const oct_tensor cond = oct_frame_output(sub, 0);
        l->cond = read_bool(&cond, true);
        OCT_TRY(loop_carry(w, ctx, l, sub));
        OCT_TRY(loop_scan(w, ctx, l, sub));
    }
    return OCT_OK;
}

/* A scan output of no rounds has length 0 and the slice shape that the body declares. */
static oct_status scan_desc(oct_ctx *ctx, const loop_state *l, uint32_t i, oct_tensor_desc *d)
{
    uint32_t n;
    oct_shape s = l->slice[i].shape;
    oct_dtype dt = l->slice[i].dtype;
    if (l->iteration == 0) {
        const oct_value_id y = oct_graph_outputs(l->body, &n)[1 + l->n_carried + i];
        s = oct_graph_value(l->body, y)->shape;
        dt = oct_graph_value(l->body, y)->dtype;
        for (int k = 0; k < s.n_dims; k++)
            s.dim[k] = s.dim[k] < 0 ? 0 : s.dim[k];
    }
    if (s.n_dims < 0 || s.n_dims >= OCT_MAX_DIMS)
        return oct_fail(ctx, OCT_ERR_SHAPE, "scan output %u: rank unknown or above %d", (unsigned)i,
                        OCT_MAX_DIMS - 1);
    memmove(&s.dim[1], &s.dim[0], (size_t)s.n_dims * sizeof s.dim[0]);
    s.dim[0] = l->iteration;
    s.n_dims++;
    *d = oct_tensor_desc_make(dt, s, OCT_LAYOUT_ROW);
    return OCT_OK;
}

static oct_status loop_outputs(oct_worker *w, oct_ctx *ctx, oct_frame *f, const oct_plan_step *s,
                               const loop_state *l)
{
    for (uint32_t i = 0; i < l->n_carried; i++)
        OCT_TRY(copy_out(w, ctx, f, s->out[i], &l->in[2 + i]));
    for (uint32_t i = 0; i < l->n_scan; i++) {
        const uint32_t block = l->block[l->n_carried + i];
        oct_tensor y = {.data = block == OCT_NONE ? NULL : w->pool.block[block].data};
        OCT_TRY(scan_desc(ctx, l, i, &y.desc));
        OCT_TRY(copy_out(w, ctx, f, s->out[l->n_carried + i], &y));
    }
    return OCT_OK;
}

static oct_status loop_with(oct_worker *w, oct_ctx *ctx, oct_frame *f, const oct_plan_step *s,
                            const oct_tensor *in, loop_state *l)
{
    l->block = oct_alloc_array(ctx, l->n_carried + l->n_scan + 1, sizeof *l->block);
    l->in = oct_zalloc_array(ctx, s->n_in + 2, sizeof *l->in);
    l->slice = oct_zalloc_array(ctx, l->n_scan + 1, sizeof *l->slice);
    l->slice_bytes = oct_zalloc_array(ctx, l->n_scan + 1, sizeof *l->slice_bytes);
    if (!l->block || !l->in || !l->slice || !l->slice_bytes)
        return OCT_ERR_NOMEM;
    for (uint32_t i = 0; i < l->n_carried + l->n_scan; i++)
        l->block[i] = OCT_NONE;
    memcpy(l->in + 2, in + 2, (s->n_in - 2) * sizeof *in);
    int64_t rounds = in[0].data ? *(const int64_t *)in[0].data : MAX_ROUNDS;
    rounds = rounds > MAX_ROUNDS ? MAX_ROUNDS : rounds;
    l->cond = read_bool(&in[1], true);
    OCT_TRY(loop_rounds(w, ctx, l, rounds));
    return loop_outputs(w, ctx, f, s, l);
}

static oct_status run_loop(oct_worker *w, oct_ctx *ctx, oct_frame *f, const oct_plan_step *s,
                           oct_tensor *in)
{
    const oct_attr_control *a = oct_graph_node(f->plan->graph, s->node)->attr;
    loop_state l = {.body = oct_graph_sub(f->plan->graph, a->sub[0]), .n_in = s->n_in};
    l.n_carried = s->n_in - 2 - (uint32_t)a->n_captured;
    l.n_scan = s->n_out - l.n_carried;
    const oct_status st = loop_with(w, ctx, f, s, in, &l);
    for (uint32_t i = 0; l.block && i < l.n_carried + l.n_scan; i++)
        oct_pool_give(&w->pool, l.block[i]);
    oct_free(ctx, l.block);
    oct_free(ctx, l.in);
    oct_free(ctx, l.slice);
    oct_free(ctx, l.slice_bytes);
    return st;
}

oct_status oct_exec_control(oct_worker *w, oct_ctx *ctx, oct_frame *f, uint32_t i)
{
    const oct_plan_step *s = &f->plan->step[i];
    oct_tensor *in = oct_zalloc_array(ctx, s->n_in + 1, sizeof *in);
    if (!in)
        return OCT_ERR_NOMEM;
    for (uint32_t k = 0; k < s->n_in; k++)
        in[k] = frame_tensor(f, s->in[k]);
    const bool is_if = oct_graph_node(f->plan->graph, s->node)->op == OCT_OP_IF;
    const oct_status st = is_if ? run_if(w, ctx, f, s, in) : run_loop(w, ctx, f, s, in);
    oct_free(ctx, in);
    return st;
}
