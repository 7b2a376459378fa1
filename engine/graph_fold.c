/* SPDX-License-Identifier: Apache-2.0
 *
 * Folding of small host values while inferring: shape arithmetic. Known elements go through the
 * ref kernels. Elements that are symbols (unknown dimensions) pass unchanged through data
 * movers; arithmetic on them gives fresh symbols, except where the result is plain
 * (x + 0, x * 1, x - x).
 */
#include <string.h>

#include "base/checked.h"
#include "engine/graph_infer_internal.h"
#include "engine/graph_internal.h"
#include "kernels/op_schema.h"
#include "kernels/ref/ref.h"

enum { MAX_OUT_ELEMS = 4096, MAX_IN_ELEMS = 65536, MAX_FOLD_IN = 64, MAX_FOLD_OUT = 16 };

typedef struct fold {
    oct_infer_state *s;
    const oct_node *n;
    const void *in[MAX_FOLD_IN];
    bool symbols[MAX_FOLD_IN];
    size_t n_elems[MAX_FOLD_IN];
    bool any_symbols;
} fold;

static const oct_value *in_value(const fold *f, uint32_t i)
{
    return oct_graph_value(f->s->g, f->n->in[i]);
}

static const oct_value *out_value(const fold *f)
{
    return oct_graph_value(f->s->g, f->n->out[0]);
}

static oct_status set_known(fold *f, oct_value_id id, void *data, size_t n_bytes)
{
    oct_value *v = oct_graph_value(f->s->g, id);
    v->data = data;
    v->data_bytes = n_bytes;
    v->const_key = oct_const_key_new();
    return OCT_OK;
}

/* Result elements that may hold symbols: an ordinary constant if they do not. */
static oct_status set_s64s(fold *f, oct_value_id id, int64_t *data, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (oct_dim_is_symbol(data[i]))
            return oct_infer_set_symbolic(f->s, id, data);
    return set_known(f, id, data, n * sizeof *data);
}

static int64_t *new_s64s(fold *f, size_t n)
{
    return oct_arena_array(oct_graph_arena(f->s->g), n + 1, sizeof(int64_t));
}

/* ---- arithmetic on symbols ------------------------------------------------------------------ */

static int64_t remember(oct_infer_state *s, oct_op op, int64_t a, int64_t b)
{
    const uint64_t h = ((uint64_t)a * 0x9e3779b97f4a7c15u) ^ ((uint64_t)b * 0xbf58476d1ce4e5b9u) ^
                       (uint64_t)op * 0x94d049bb133111ebu;
    oct_infer_memo *m = &s->root->memo[(h >> 40) % OCT_INFER_MEMO];
    if (m->symbol == 0 || m->op != op || m->a != a || m->b != b)
        *m = (oct_infer_memo){op, a, b, oct_infer_fresh(s)};
    return m->symbol;
}

/* Both known: false on overflow, division by zero, or an op that is not one of these. */
static bool combine_known(oct_op op, int64_t a, int64_t b, int64_t *out)
{
    switch (op) {
    case OCT_OP_ADD:
        return oct_add_s64(a, b, out);
    case OCT_OP_SUB:
        return b != INT64_MIN && oct_add_s64(a, -b, out);
    case OCT_OP_MUL:
        return oct_mul_s64(a, b, out);
    case OCT_OP_DIV:
        if (b == 0 || (a == INT64_MIN && b == -1))
            return false;
        *out = a / b;
        return true;
    case OCT_OP_MIN:
        *out = a < b ? a : b;
        return true;
    case OCT_OP_MAX:
        *out = a > b ? a : b;
        return true;
    default:
        return false;
    }
}

/* True where the result is plain although an operand is unknown (dimensions are >= 0). */
static bool combine_plain(oct_op op, int64_t a, int64_t b, int64_t *out)
{
    switch (op) {
    case OCT_OP_ADD:
        *out = a == 0 ? b : a;
        return a == 0 || b == 0;
    case OCT_OP_SUB:
        *out = b == 0 ? a : 0;
        return b == 0 || a == b;
    case OCT_OP_MUL:
        *out = a == 0 || b == 0 ? 0 : a == 1 ? b : a;
        return a == 0 || b == 0 || a == 1 || b == 1;
    case OCT_OP_DIV:
        *out = a;
        return b == 1;
    case OCT_OP_MIN:
    case OCT_OP_MAX:
        *out = a;
        return a == b;
    default:
        return false;
    }
}

static int64_t combine(oct_infer_state *s, oct_op op, int64_t a, int64_t b)
{
    int64_t r;
    const bool known = !oct_dim_is_symbol(a) && !oct_dim_is_symbol(b);
    if (known ? combine_known(op, a, b, &r) : combine_plain(op, a, b, &r))
        return r;
    if (b < a && (op == OCT_OP_ADD || op == OCT_OP_MUL || op == OCT_OP_MIN || op == OCT_OP_MAX)) {
        r = a; /* these commute */
        a = b;
        b = r;
    }
    return remember(s, op, a, b);
}

/* Element of a broadcast operand that meets element `flat` of the output. */
static int64_t broadcast_elem(const int64_t *data, const oct_shape *shape, const oct_shape *out,
                              size_t flat)
{
    size_t at = 0, step = 1;
    for (int k = out->n_dims - 1; k >= 0; k--) {
        const size_t i = flat % (size_t)out->dim[k];
        const int axis = k - (out->n_dims - shape->n_dims);
        flat /= (size_t)out->dim[k];
        if (axis < 0)
            break;
        if (shape->dim[axis] != 1)
            at += i * step;
        step *= (size_t)shape->dim[axis];
    }
    return data[at];
}

static bool all_s64(const fold *f)
{
    for (uint32_t i = 0; i < f->n->n_in; i++)
        if (f->n->in[i] != OCT_NONE && in_value(f, i)->dtype != OCT_DT_S64)
            return false;
    return true;
}

static oct_status fold_arithmetic(fold *f, size_t n_out)
{
    const oct_shape out = out_value(f)->shape;
    int64_t *data = all_s64(f) && f->n->n_in == 2 ? new_s64s(f, n_out) : NULL;
    if (!data)
        return oct_error_status(f->s->ctx) == OCT_ERR_NOMEM ? OCT_ERR_NOMEM : OCT_OK;
    for (size_t i = 0; i < n_out; i++)
        data[i] = combine(f->s, f->n->op, broadcast_elem(f->in[0], &in_value(f, 0)->shape, &out, i),
                          broadcast_elem(f->in[1], &in_value(f, 1)->shape, &out, i));
    return set_s64s(f, f->n->out[0], data, n_out);
}

/* Equal(shape, -1) and the like: a dimension is never negative. */
static oct_status fold_equal(fold *f, size_t n_out)
{
    const oct_shape out = out_value(f)->shape;
    if (!all_s64(f))
        return OCT_OK;
    uint8_t *data = oct_arena_alloc(oct_graph_arena(f->s->g), n_out + 1);
    if (!data)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n_out; i++) {
        const int64_t a = broadcast_elem(f->in[0], &in_value(f, 0)->shape, &out, i);
        const int64_t b = broadcast_elem(f->in[1], &in_value(f, 1)->shape, &out, i);
        const bool sa = oct_dim_is_symbol(a), sb = oct_dim_is_symbol(b);
        if (a != b && ((sa && (sb || b >= 0)) || (sb && a >= 0)))
            return OCT_OK; /* cannot tell */
        data[i] = a == b;
    }
    return set_known(f, f->n->out[0], data, n_out);
}

/* Reductions of a whole shape vector: the number of elements, mostly. */
static oct_status fold_reduction(fold *f, size_t n_out)
{
    static const struct {
        oct_op reduce, step;
    } pair[] = {
        {OCT_OP_REDUCE_PROD, OCT_OP_MUL},
        {OCT_OP_REDUCE_SUM, OCT_OP_ADD},
        {OCT_OP_REDUCE_MAX, OCT_OP_MAX},
        {OCT_OP_REDUCE_MIN, OCT_OP_MIN},
    };
    const int64_t *in = f->in[0];
    if (n_out != 1 || f->n_elems[0] == 0 || !all_s64(f))
        return OCT_OK;
    for (size_t k = 0; k < sizeof pair / sizeof pair[0]; k++) {
        if (pair[k].reduce != f->n->op)
            continue;
        int64_t *r = new_s64s(f, 1);
        if (!r)
            return OCT_ERR_NOMEM;
        *r = in[0];
        for (size_t i = 1; i < f->n_elems[0]; i++)
            *r = combine(f->s, pair[k].step, *r, in[i]);
        return set_s64s(f, f->n->out[0], r, 1);
    }
    return OCT_OK;
}

/* ---- ref kernels ---------------------------------------------------------------------------- */

static oct_operand operand(const oct_value *v, const void *data)
{
    return (oct_operand){.desc = oct_tensor_desc_make(v->dtype, v->shape, OCT_LAYOUT_ROW),
                         .data = data};
}

static oct_status run_kernel(fold *f, const oct_ref_entry *ref, const oct_op_desc *d,
                             const oct_run_args *args)
{
    oct_ctx *ctx = f->s->ctx;
    oct_run_args a = *args;
    const size_t scratch = ref->workspace ? ref->workspace(d) : 0;
    if (scratch > MAX_IN_ELEMS * sizeof(int64_t))
        return OCT_ERR_UNSUPPORTED;
    a.workspace = oct_alloc(ctx, scratch);
    if (!a.workspace)
        return OCT_ERR_NOMEM;
    const oct_status st = ref->run(ctx, d, &a);
    oct_free(ctx, a.workspace);
    return st;
}

static oct_status keep_outputs(fold *f, void *const *out, const size_t *n_bytes)
{
    for (uint32_t i = 0; i < f->n->n_out; i++) {
        const oct_value_id id = f->n->out[i];
        if (id == OCT_NONE)
            continue;
        if (f->any_symbols)
            OCT_TRY(set_s64s(f, id, out[i], n_bytes[i] / sizeof(int64_t)));
        else
            OCT_TRY(set_known(f, id, out[i], n_bytes[i]));
    }
    return OCT_OK;
}

/* Space and description for each output; false if one is too large or not fully known. */
static bool prepare_outputs(fold *f, oct_operand *out, void **data, size_t *n_bytes)
{
    for (uint32_t i = 0; i < f->n->n_out; i++) {
        size_t n;
        out[i] = (oct_operand){0};
        data[i] = NULL;
        if (f->n->out[i] == OCT_NONE)
            continue;
        const oct_value *v = oct_graph_value(f->s->g, f->n->out[i]);
        if (v->dtype == OCT_DT_NONE || !oct_shape_elems(&v->shape, &n) || n > MAX_OUT_ELEMS)
            return false;
        out[i] = operand(v, NULL);
        n_bytes[i] = n * oct_dtype_bytes(v->dtype);
        data[i] = oct_arena_alloc_aligned(oct_graph_arena(f->s->g), n_bytes[i] + 8, OCT_ALIGN);
        if (!data[i])
            return false;
    }
    return true;
}

static oct_status fold_by_kernel(fold *f)
{
    oct_operand in[MAX_FOLD_IN], out[MAX_FOLD_OUT];
    void *data[MAX_FOLD_OUT];
    size_t n_bytes[MAX_FOLD_OUT] = {0};
    char reason[OCT_REASON_BYTES];
    oct_ctx *ctx = f->s->ctx;
    const oct_ref_entry *ref = oct_ref_find(f->n->op);
    if (!ref || f->n->n_out > MAX_FOLD_OUT)
        return OCT_OK;
    for (uint32_t i = 0; i < f->n->n_in; i++)
        in[i] = f->n->in[i] == OCT_NONE ? (oct_operand){0} : operand(in_value(f, i), f->in[i]);
    if (!prepare_outputs(f, out, data, n_bytes))
        return oct_error_status(ctx) == OCT_ERR_NOMEM ? OCT_ERR_NOMEM : OCT_OK;
    const oct_op_desc d = {
        .op = f->n->op,
        .attr = f->n->attr,
        .in = in,
        .out = out,
        .n_in = (int)f->n->n_in,
        .n_out = (int)f->n->n_out,
        .epilogue = {.residual = -1},
        .threads = 1,
        .name = f->n->name,
    };
    if (ref->accepts && !ref->accepts(&d, reason))
        return OCT_OK;
    const oct_run_args args = {.in = f->in, .out = data};
    const oct_status st = run_kernel(f, ref, &d, &args);
    if (st == OCT_OK)
        return keep_outputs(f, data, n_bytes);
    if (st == OCT_ERR_NOMEM)
        return st;
    oct_error_clear(ctx); /* e.g. an index out of range: the run will report it, if it is reached */
    return OCT_OK;
}

/* ---- which way ------------------------------------------------------------------------------ */

/* Movers take symbols where they move them, not where they are told by them. */
static bool moves_symbols(const fold *f)
{
    const uint32_t flags = oct_op_schema_get(f->n->op)->flags;
    const bool where = f->n->op == OCT_OP_WHERE;
    const bool scatter = f->n->op == OCT_OP_SCATTER_ND || f->n->op == OCT_OP_SCATTER_ELEMENTS;
    if (!(flags & OCT_OPF_MOVER) && !where && !scatter && f->n->op != OCT_OP_CAST)
        return false;
    if (scatter && ((const oct_attr_scatter *)f->n->attr)->reduction != OCT_SCATTER_NONE)
        return false;
    if (f->n->op == OCT_OP_CAST && out_value(f)->dtype != OCT_DT_S64)
        return false;
    for (uint32_t i = 0; i < f->n->n_in; i++) {
        const bool moved = where ? i > 0 : scatter ? i != 1 : i == 0 || f->n->op == OCT_OP_CONCAT;
        if (f->symbols[i] && !moved)
            return false;
    }
    return true;
}

static oct_status fold_symbols(fold *f)
{
    size_t n_out;
    if (moves_symbols(f))
        return fold_by_kernel(f);
    if (f->n->n_out != 1 || !oct_shape_elems(&out_value(f)->shape, &n_out) || n_out > MAX_OUT_ELEMS)
        return OCT_OK;
    switch (f->n->op) {
    case OCT_OP_ADD:
    case OCT_OP_SUB:
    case OCT_OP_MUL:
    case OCT_OP_DIV:
    case OCT_OP_MIN:
    case OCT_OP_MAX:
        return fold_arithmetic(f, n_out);
    case OCT_OP_EQUAL:
        return fold_equal(f, n_out);
    default:
        return fold_reduction(f, n_out);
    }
}

/* Shape and Size need no elements, only the shape. */
static oct_status fold_shape(fold *f)
{
    const oct_shape *x = &in_value(f, 0)->shape;
    const oct_shape *y = &out_value(f)->shape;
    if (x->n_dims < 0 || y->n_dims < 0)
        return OCT_OK;
    int64_t *data = new_s64s(f, OCT_MAX_DIMS);
    if (!data)
        return OCT_ERR_NOMEM;
    if (f->n->op == OCT_OP_SIZE) {
        data[0] = 1;
        for (int i = 0; i < x->n_dims; i++)
            data[0] = combine(f->s, OCT_OP_MUL, data[0], x->dim[i]);
        return set_s64s(f, f->n->out[0], data, 1);
    }
    const oct_attr_shape *a = f->n->attr;
    int64_t start = a->start < 0 ? a->start + x->n_dims : a->start;
    int64_t end = a->end < 0 ? a->end + x->n_dims : a->end;
    start = start < 0 ? 0 : start;
    end = end > x->n_dims ? x->n_dims : end;
    const int64_t n = end > start ? end - start : 0;
    if (n)
        memcpy(data, x->dim + start, (size_t)n * sizeof *data);
    return set_s64s(f, f->n->out[0], data, (size_t)n);
}

/* Elements of every input known and few? */
static bool inputs_known(fold *f)
{
    for (uint32_t i = 0; i < f->n->n_in; i++) {
        f->in[i] = NULL;
        f->symbols[i] = false;
        if (f->n->in[i] == OCT_NONE)
            continue;
        f->in[i] = oct_infer_elements(f->s, f->n->in[i], &f->symbols[i]);
        f->any_symbols |= f->symbols[i];
        if (!f->in[i] || !oct_shape_elems(&in_value(f, i)->shape, &f->n_elems[i]) ||
            f->n_elems[i] > MAX_IN_ELEMS)
            return false;
    }
    return true;
}

oct_status oct_infer_fold(oct_infer_state *s, oct_node_id id)
{
    fold f = {.s = s, .n = oct_graph_node(s->g, id)};
    const uint32_t flags = oct_op_schema_get(f.n->op)->flags;
    if (!(flags & (OCT_OPF_SHAPE_ARITH | OCT_OPF_MOVER)) || f.n->n_in > MAX_FOLD_IN ||
        f.n->n_in == 0 || f.n->n_out == 0 || f.n->out[0] == OCT_NONE)
        return OCT_OK;
    if (f.n->op == OCT_OP_SHAPE || f.n->op == OCT_OP_SIZE)
        return fold_shape(&f);
    if (!inputs_known(&f))
        return OCT_OK;
    return f.any_symbols ? fold_symbols(&f) : fold_by_kernel(&f);
}
