/* SPDX-License-Identifier: Apache-2.0
 *
 * The planner's tensors and steps as lists, and the copies that bring a tensor into the
 * layout and memory that an operator wants.
 */
#include <string.h>

#include "engine/planner.h"

#define FIRST_CAP 64u

static oct_status plan_grow(oct_planner *b, void **list, uint32_t n, uint32_t *cap, size_t bytes)
{
    if (n < *cap)
        return OCT_OK;
    const uint32_t next = *cap ? *cap * 2 : FIRST_CAP;
    void *p = oct_realloc(b->ctx, *list, (size_t)next * bytes);
    if (!p)
        return OCT_ERR_NOMEM;
    *list = p;
    *cap = next;
    return OCT_OK;
}

oct_status oct_plan_add_tensor(oct_planner *b, const oct_plan_tensor *t, uint32_t *id)
{
    oct_plan *p = b->p;
    OCT_TRY(plan_grow(b, (void **)&p->tensor, p->n_tensors, &p->cap_tensors, sizeof *p->tensor));
    *id = p->n_tensors++;
    oct_plan_tensor *n = &p->tensor[*id];
    *n = *t;
    n->first = OCT_NONE;
    n->last = 0;
    n->in_place = OCT_NONE;
    memset(n->other, 0xff, sizeof n->other);
    return OCT_OK;
}

oct_status oct_plan_new_tensor(oct_planner *b, const oct_tensor_desc *d, bool on_host, uint32_t *id)
{
    oct_plan_tensor t = {.desc = *d, .on_host = on_host || b->engine->be->vt->host_memory};
    if (oct_shape_is_known(&d->shape)) {
        t.place = OCT_PLACE_ARENA;
        t.desc = oct_tensor_desc_make(d->dtype, d->shape, d->layout);
        if (!oct_tensor_desc_bytes(&t.desc, &t.bytes))
            return oct_fail(b->ctx, OCT_ERR_LIMIT, "a tensor of more bytes than fit in memory");
    } else {
        t.place = OCT_PLACE_DYNAMIC;
        t.desc.layout = OCT_LAYOUT_ROW;
        b->p->has_dynamic = true;
    }
    return oct_plan_add_tensor(b, &t, id);
}

oct_status oct_plan_new_view(oct_planner *b, uint32_t of, size_t offset, const oct_tensor_desc *d,
                             uint32_t *id)
{
    const oct_plan_tensor *o = &b->p->tensor[of];
    oct_plan_tensor t = {
        .desc = *d, .quant = o->quant, .on_host = o->on_host, .place = OCT_PLACE_VIEW};
    const bool nested = o->place == OCT_PLACE_VIEW;
    t.base = nested ? o->base : of;
    t.offset = nested ? o->offset + offset : offset;
    return oct_plan_add_tensor(b, &t, id);
}

oct_status oct_plan_add_step(oct_planner *b, oct_step_kind kind, oct_node_id node, uint32_t n_in,
                             uint32_t n_out, oct_plan_step **s)
{
    oct_plan *p = b->p;
    OCT_TRY(plan_grow(b, (void **)&p->step, p->n_steps, &p->cap_steps, sizeof *p->step));
    oct_plan_step *n = &p->step[p->n_steps];
    memset(n, 0, sizeof *n);
    n->kind = kind;
    n->node = node;
    n->workspace = OCT_NONE;
    n->alias_in = -1;
    n->in = oct_arena_array(p->arena, n_in, sizeof *n->in);
    n->out = oct_arena_array(p->arena, n_out, sizeof *n->out);
    if (!n->in || !n->out)
        return OCT_ERR_NOMEM;
    n->n_in = n_in;
    n->n_out = n_out;
    n->info = (oct_op_info){.node = "", .fused = "", .op = "", .tactic = "", .reason = ""};
    if (n_in + n_out > p->max_args)
        p->max_args = n_in + n_out;
    p->n_steps++;
    *s = n;
    return OCT_OK;
}

bool oct_plan_is_layout(const oct_tensor_desc *d, oct_layout layout)
{
    if (!oct_shape_is_known(&d->shape))
        return d->layout == layout;
    if (layout == OCT_LAYOUT_CHANNELS_LAST && d->shape.n_dims < 3)
        return false;
    const oct_tensor_desc want = oct_tensor_desc_make(d->dtype, d->shape, layout);
    bool same = true;
    for (int i = 0; i < d->shape.n_dims; i++) {
        if (d->shape.dim[i] == 0)
            return true; /* no elements, any order */
        same = same && (d->shape.dim[i] == 1 || d->stride[i] == want.stride[i]);
    }
    return same;
}

/* A copy between host and device, or of equal dense bytes. */
static oct_status plan_copy_bytes(oct_planner *b, uint32_t from, uint32_t to)
{
    oct_plan_step *s;
    OCT_TRY(oct_plan_add_step(b, OCT_STEP_COPY, OCT_NONE, 1, 1, &s));
    s->in[0] = from;
    s->out[0] = to;
    const oct_tensor_desc *d = &b->p->tensor[to].desc;
    s->info.node = s->info.op = "Copy";
    s->info.tactic = "memcpy";
    s->info.in_dtype = s->info.out_dtype = d->dtype;
    s->info.out_shape = d->shape;
    size_t bytes = 0;
    s->info.bytes = oct_tensor_desc_bytes(d, &bytes) ? 2.0 * (double)bytes : 0.0;
    return OCT_OK;
}

/* Host copy of the tensor that holds `t` (*whole), and in it what `t` is (*part). */
static oct_status host_twin(oct_planner *b, uint32_t t, uint32_t *whole, uint32_t *part)
{
    const uint32_t root = oct_plan_root(b->p, t);
    const oct_tensor_desc d = b->p->tensor[root].desc, inner = b->p->tensor[t].desc;
    OCT_TRY(oct_plan_new_tensor(b, &d, true, whole));
    OCT_TRY(plan_copy_bytes(b, root, *whole));
    *part = *whole;
    return root == t ? OCT_OK : oct_plan_new_view(b, *whole, b->p->tensor[t].offset, &inner, part);
}

/* A device without a kernel for it: elements go to the host, are put in order there, and
 * come back; a slice with all of what it is a slice of. */
static oct_status copy_over_host(oct_planner *b, uint32_t from, uint32_t to)
{
    uint32_t here, there, whole;
    OCT_TRY(host_twin(b, from, &whole, &here));
    OCT_TRY(host_twin(b, to, &whole, &there));
    OCT_TRY(oct_plan_copy(b, here, there));
    return plan_copy_bytes(b, whole, oct_plan_root(b->p, to));
}

oct_status oct_plan_copy(oct_planner *b, uint32_t from, uint32_t to)
{
    const oct_plan_tensor *f = &b->p->tensor[from], *t = &b->p->tensor[to];
    const bool same_bytes = oct_plan_is_layout(&f->desc, t->desc.layout) &&
                            oct_plan_is_layout(&t->desc, t->desc.layout);
    if (same_bytes)
        return plan_copy_bytes(b, from, to);
    const oct_node reorder = {.op = OCT_OP_REORDER,
                              .name = "reorder",
                              .epilogue = {.residual = -1},
                              .n_in = 1,
                              .n_out = 1};
    const oct_tactic_request r = {.node = &reorder, .in = &from, .out = &to, .n_in = 1, .n_out = 1};
    bool taken = false;
    char reason[OCT_REASON_BYTES] = "";
    const bool on_host = f->on_host;
    oct_backend *first = on_host ? b->engine->host : b->engine->be;
    OCT_TRY(oct_plan_tactic(b, first, OCT_NONE, &r, &taken, reason));
    if (!taken && on_host && first != b->engine->ref)
        OCT_TRY(oct_plan_tactic(b, b->engine->ref, OCT_NONE, &r, &taken, reason));
    if (!taken && !on_host)
        return copy_over_host(b, from, to);
    if (taken)
        return OCT_OK;
    return oct_fail(b->ctx, OCT_ERR_UNSUPPORTED, "no kernel reorders %s tensors: %s",
                    oct_dtype_str(b->p->tensor[from].desc.dtype), reason);
}

static oct_status plan_adapt_new(oct_planner *b, uint32_t t, oct_layout layout, bool on_host,
                                 uint32_t *id)
{
    const oct_plan_tensor *o = &b->p->tensor[t];
    if (o->place == OCT_PLACE_CONST && o->on_host != on_host && layout == OCT_LAYOUT_ROW) {
        oct_plan_tensor other = *o; /* constants are on both sides */
        other.on_host = on_host;
        return oct_plan_add_tensor(b, &other, id);
    }
    if (o->on_host != on_host && !oct_plan_is_layout(&o->desc, layout)) {
        /* change the layout on the device, which is faster, but move no holes to it */
        uint32_t between;
        const bool move_first = o->on_host && oct_tensor_desc_is_dense(&o->desc);
        OCT_TRY(oct_plan_adapt(b, t, move_first ? o->desc.layout : layout,
                               move_first ? on_host : o->on_host, &between));
        return oct_plan_adapt(b, between, layout, on_host, id);
    }
    const oct_tensor_desc d = oct_tensor_desc_make(o->desc.dtype, o->desc.shape, layout);
    if (o->on_host == on_host && oct_plan_is_layout(&o->desc, layout))
        return oct_plan_new_view(b, t, 0, &d, id);
    OCT_TRY(oct_plan_new_tensor(b, &d, on_host, id));
    b->p->tensor[*id].quant = b->p->tensor[t].quant;
    return oct_plan_copy(b, t, *id);
}

oct_status oct_plan_adapt(oct_planner *b, uint32_t t, oct_layout layout, bool on_host, uint32_t *id)
{
    const oct_plan_tensor *o = &b->p->tensor[t];
    if (b->engine->be->vt->host_memory)
        on_host = true;
    const bool dense = o->place == OCT_PLACE_DYNAMIC || oct_tensor_desc_is_dense(&o->desc);
    if (o->on_host == on_host && o->desc.layout == layout && dense) {
        *id = t;
        return OCT_OK;
    }
    const uint32_t had = o->other[layout][on_host];
    if (had != OCT_NONE) {
        *id = had;
        return OCT_OK;
    }
    OCT_TRY(plan_adapt_new(b, t, layout, on_host, id));
    b->p->tensor[t].other[layout][on_host] = *id;
    return OCT_OK;
}

oct_status oct_plan_value_tensor(oct_planner *b, oct_value_id v, uint32_t *id)
{
    oct_plan_value *pv = &b->v[v];
    if (pv->tensor == OCT_NONE && pv->host) {
        const oct_value *value = oct_graph_value(b->g, v);
        const oct_plan_tensor t = {.desc = pv->desc,
                                   .quant = value->quant,
                                   .place = OCT_PLACE_CONST,
                                   .on_host = b->engine->be->vt->host_memory,
                                   .data = pv->host,
                                   .const_key = value->data == pv->host ? value->const_key : 0};
        OCT_TRY(oct_plan_add_tensor(b, &t, &pv->tensor));
    }
    if (pv->tensor == OCT_NONE)
        return oct_fail(b->ctx, OCT_ERR_BUG, "value %s is used before it is made",
                        oct_graph_value(b->g, v)->name);
    *id = pv->tensor;
    return OCT_OK;
}
