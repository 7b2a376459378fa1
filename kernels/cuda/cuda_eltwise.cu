/* SPDX-License-Identifier: Apache-2.0
 *
 * Element-wise operators computed in f32: unary functions, binary and variadic arithmetic with
 * broadcasting, comparisons and logic, Clip. Operands are f32, f16, bf16, bool or 8-bit with one
 * scale (formulas and order: kernels/ref/ref_unary.c, ref_binary.c). One thread makes 8, 4 or 1
 * neighbouring results. Integers are in cuda_cast.cu.
 */
#include "kernels/cuda/cuda_eltwise.cuh"
#include "kernels/op_schema.h"

#define THREADS 256

/* ---- loading and storing one vector ---- */

template <int V, class T>
OCT_DEV void load_ints(float (&a)[V], const T *p)
{
#pragma unroll
    for (int i = 0; i < V; i++)
        a[i] = (float)p[i];
}

/* `step`: of the operand along the innermost dim, 0 or 1 (V > 1). */
template <int V>
OCT_DEV void load_operand(const ew_operand &o, const void *p, int64_t at, int64_t step,
                          float (&a)[V])
{
    if (o.dt == OCT_DT_S64) { /* exponents of Pow */
        const int64_t *q = (const int64_t *)p + at;
        step ? load_ints<V>(a, q) : (void)(a[0] = (float)q[0]);
    } else if (o.dt == OCT_DT_S32) {
        const int32_t *q = (const int32_t *)p + at;
        step ? load_ints<V>(a, q) : (void)(a[0] = (float)q[0]);
    } else if (V == 1 || step != 0) {
        oct_dev_load_any<V>(a, p, o.dt, at);
    } else {
        a[0] = oct_dev_get(p, o.dt, at);
    }
    if (V > 1 && step == 0) {
#pragma unroll
        for (int i = 1; i < V; i++)
            a[i] = a[0];
    }
    if (o.quantized) {
#pragma unroll
        for (int i = 0; i < V; i++)
            a[i] = o.scale * (a[i] - o.zero);
    }
}

template <int V>
OCT_DEV void store_result(const ew_params &p, void *y, int64_t at, float (&a)[V])
{
    const ew_operand &o = p.operand[0];
    if (o.quantized) {
        const float lo = (float)oct_dev_q_min(o.dt), hi = (float)oct_dev_q_max(o.dt);
        const float inverse = oct_dev_inverse(o.scale);
#pragma unroll
        for (int i = 0; i < V; i++)
            a[i] = oct_dev_quantize_f32(a[i], o.scale, inverse, o.zero, lo, hi);
    }
    oct_dev_store_any<V>(y, o.dt, at, a);
}

/* ---- kernels ---- */

template <int V, bool HEAVY>
__global__ void __launch_bounds__(THREADS) unary(ew_params p, ew_pointers q)
{
    const uint32_t item = oct_dev_item();
    int64_t off[2];
    float a[V];
    if (item >= p.loop.total)
        return;
    oct_dev_offsets(p.loop, item, off);
    load_operand<V>(p.operand[1], q.x[0], off[1], p.loop.stride[1][0], a);
    if (HEAVY)
        heavy_unary<V>(p, a);
    else if (p.op == OCT_OP_CLIP)
        clip<V>(p, q, a);
    else
        cheap_unary<V>(p, a);
    store_result<V>(p, q.y, off[0], a);
}

template <int V, bool HEAVY>
__global__ void __launch_bounds__(THREADS) binary(ew_params p, ew_pointers q)
{
    const uint32_t item = oct_dev_item();
    int64_t off[3];
    float a[V], b[V];
    if (item >= p.loop.total)
        return;
    oct_dev_offsets(p.loop, item, off);
    load_operand<V>(p.operand[1], q.x[0], off[1], p.loop.stride[1][0], a);
    load_operand<V>(p.operand[2], q.x[1], off[2], p.loop.stride[2][0], b);
    if (HEAVY)
        heavy_binary<V>(p, a, b);
    else
        cheap_binary<V>(p, a, b);
    store_result<V>(p, q.y, off[0], a);
}

/* Any number of operands, from left to right; Mean divides at the end. */
template <int V>
__global__ void __launch_bounds__(THREADS) variadic(ew_params p, ew_pointers q)
{
    const uint32_t item = oct_dev_item();
    int64_t off[OCT_EW_MAX_IN + 1];
    float a[V], b[V];
    if (item >= p.loop.total)
        return;
    oct_dev_offsets(p.loop, item, off);
#pragma unroll
    for (int k = 0; k < OCT_EW_MAX_IN; k++) {
        if (k >= p.n_in)
            break;
        load_operand<V>(p.operand[k + 1], q.x[k], off[k + 1], p.loop.stride[k + 1][0], b);
        if (k > 0) {
            cheap_binary<V>(p, a, b);
        } else {
#pragma unroll
            for (int i = 0; i < V; i++)
                a[i] = b[i];
        }
    }
    if (p.op == OCT_OP_MEAN) {
#pragma unroll
        for (int i = 0; i < V; i++)
            a[i] /= (float)p.n_in;
    }
    store_result<V>(p, q.y, off[0], a);
}

/* ---- the op ---- */

typedef void (*ew_kernel)(ew_params, ew_pointers);
enum { UNARY, UNARY_HEAVY, BINARY, BINARY_HEAVY, VARIADIC, N_KERNELS };
enum { VEC_8, VEC_4, VEC_1, N_VECS };

static const ew_kernel kernels[N_KERNELS][N_VECS] = {
    {unary<8, false>, unary<4, false>, unary<1, false>},
    {unary<8, true>, unary<4, true>, unary<1, true>},
    {binary<8, false>, binary<4, false>, binary<1, false>},
    {binary<8, true>, binary<4, true>, binary<1, true>},
    {variadic<8>, variadic<4>, variadic<1>},
};
static const int vec_of[N_VECS] = {8, 4, 1};

typedef struct ew_op {
    oct_cuda_op base;
    int kind;
    ew_params p;                /* its loop is set for each launch */
    oct_cuda_loop loop[N_VECS]; /* total 0: not taken */
    bool takes[N_VECS];
    int64_t rest_at, rest;            /* elements behind the last whole vector, of one dim */
    uint8_t bytes[OCT_EW_MAX_IN + 1]; /* of one element */
    uint8_t steps[OCT_EW_MAX_IN + 1]; /* along the innermost dim */
    int n_bounds;
} ew_op;

static void launch(const ew_op *op, int v, const oct_cuda_loop *loop, const ew_pointers *q,
                   cudaStream_t stream)
{
    ew_params p = op->p;
    p.loop = *loop;
    if (loop->total > 0)
        kernels[op->kind][v]<<<oct_cuda_blocks(loop->total, THREADS), THREADS, 0, stream>>>(p, *q);
}

static bool aligned(const ew_op *op, const ew_pointers *q, int vec)
{
    for (int k = 0; k <= op->p.n_in; k++) {
        const size_t bytes = (size_t)op->bytes[k] * (size_t)vec;
        const void *p = k ? q->x[k - 1] : q->y;
        if (op->steps[k] && !oct_cuda_aligned(p, bytes < 16 ? bytes : 16))
            return false;
    }
    return true;
}

static oct_status run_ew(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const ew_op *op = (const ew_op *)base;
    ew_pointers q = {a->out[0], {NULL}, {NULL, NULL}};
    for (int k = 0; k < op->p.n_in; k++)
        q.x[k] = a->in[k];
    for (int k = 0; k < op->n_bounds; k++)
        q.bound[k] = a->in[k + 1];
    int v = 0;
    while (v < VEC_1 && !(op->takes[v] && aligned(op, &q, vec_of[v])))
        v++;
    const cudaStream_t stream = oct_cuda_stream_of(a);
    launch(op, v, &op->loop[v], &q, stream);
    if (v < VEC_1 && op->loop[v].n_dims == 1) {
        const int64_t done = (int64_t)op->loop[v].total * vec_of[v];
        oct_cuda_loop rest = op->loop[VEC_1];
        rest.total -= (uint32_t)done;
        if (rest.total > 0) {
            q.y = (char *)q.y + done * op->bytes[0];
            for (int k = 0; k < op->p.n_in; k++)
                q.x[k] = (const char *)q.x[k] + done * op->bytes[k + 1] * op->steps[k + 1];
            launch(op, VEC_1, &rest, &q, stream);
        }
    }
    return oct_cuda_launched(ctx, "element-wise");
}

static bool computes_in_f32(oct_dtype dt)
{
    return dt == OCT_DT_F32 || dt == OCT_DT_F16 || dt == OCT_DT_BF16;
}

/* Number of data operands; Clip's bounds are scalars on the side. */
static int data_inputs(const oct_op_desc *d)
{
    return d->op == OCT_OP_CLIP || d->op == OCT_OP_CAST || d->op == OCT_OP_CAST_LIKE ? 1 : d->n_in;
}

static bool operand_is_taken(const oct_op_desc *d, const oct_operand *o, bool first)
{
    const oct_dtype dt = o->desc.dtype;
    if (o->quant.n > 0)
        return o->quant.n == 1 && oct_cuda_is_8bit(dt);
    if (d->op == OCT_OP_POW && !first && (dt == OCT_DT_S64 || dt == OCT_DT_S32))
        return true;
    const bool logic = d->op == OCT_OP_AND || d->op == OCT_OP_OR || d->op == OCT_OP_XOR ||
                       d->op == OCT_OP_NOT || d->op == OCT_OP_EQUAL;
    return dt == OCT_DT_BOOL ? logic : computes_in_f32(dt);
}

static bool is_cast(oct_op op)
{
    return op == OCT_OP_CAST || op == OCT_OP_CAST_LIKE;
}

static bool types_are_taken(const oct_op_desc *d, char *reason)
{
    const oct_operand *y = &d->out[0];
    if (is_cast(d->op)) {
        const oct_dtype from = d->in[0].desc.dtype;
        const bool wide = computes_in_f32(from) || oct_cuda_is_8bit(from);
        return (wide && computes_in_f32(y->desc.dtype) && d->in[0].quant.n == 0 &&
                y->quant.n == 0) ||
               oct_cuda_no(reason, "types");
    }
    for (int i = 0; i < data_inputs(d); i++)
        if (!operand_is_taken(d, &d->in[i], i == 0))
            return oct_cuda_no(reason,
                               "element-wise kernels take f32, f16, bf16 and 8-bit with a scale");
    const bool tests = y->desc.dtype == OCT_DT_BOOL;
    if (!tests && y->quant.n == 0 && !computes_in_f32(y->desc.dtype))
        return oct_cuda_no(reason, "type of the result");
    if (y->quant.n > 1 || (y->quant.n == 1 && !oct_cuda_is_8bit(y->desc.dtype)))
        return oct_cuda_no(reason, "result quantized per channel");
    return true;
}

static bool same_place(const oct_tensor_desc *a, const oct_tensor_desc *y)
{
    return a->dtype == y->dtype && oct_shape_equal(&a->shape, &y->shape) &&
           memcmp(a->stride, y->stride, sizeof a->stride[0] * (size_t)a->shape.n_dims) == 0;
}

static bool build(const oct_op_desc *d, ew_op *op, char *reason)
{
    const int n = data_inputs(d);
    oct_ref_loop l;
    oct_ref_loop_init(&l, &d->out[0].desc.shape);
    oct_ref_loop_add(&l, &d->out[0].desc);
    for (int i = 0; i < n; i++)
        oct_ref_loop_add(&l, &d->in[i].desc);
    oct_ref_loop_optimize(&l);
    for (int v = 0; v < N_VECS; v++) {
        op->takes[v] = v == VEC_1 || oct_cuda_loop_takes(&l, vec_of[v]);
        if (op->takes[v] && !oct_cuda_loop_make(&l, vec_of[v], &op->loop[v]))
            return oct_cuda_no(reason, "more than 8 dims or 2^31 elements");
    }
    for (int k = 0; k <= n; k++) {
        const oct_operand *o = k ? &d->in[k - 1] : &d->out[0];
        op->bytes[k] = (uint8_t)oct_dtype_bytes(o->desc.dtype);
        op->steps[k] = l.stride[k][l.n_dims - 1] != 0;
        ew_operand *e = &op->p.operand[k];
        e->dt = o->desc.dtype;
        e->quantized = o->quant.n == 1;
        if (e->quantized) {
            e->scale = o->quant.q[0].scale;
            e->zero = (float)o->quant.q[0].zero_point;
        }
    }
    return true;
}

static bool query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c, char *reason)
{
    static const char what[] = "eltwise";
    ew_op *op = (ew_op *)oct_zalloc(ctx, sizeof *op);
    (void)be;
    if (!op)
        return oct_cuda_no(reason, "out of memory");
    const bool few = data_inputs(d) <= OCT_EW_MAX_IN || oct_cuda_no(reason, "more than 8 operands");
    const bool ok = few && types_are_taken(d, reason) && build(d, op, reason);
    oct_free(ctx, op);
    if (!ok)
        return false;
    for (int i = 0; i < data_inputs(d) && i < OCT_MAX_ALIAS; i++)
        c->may_alias[i] = same_place(&d->in[i].desc, &d->out[0].desc);
    return oct_cuda_name(c, what);
}

static bool is_heavy(oct_op op)
{
    static const oct_op heavy[] = {OCT_OP_ELU,   OCT_OP_SELU, OCT_OP_CELU, OCT_OP_SIGMOID,
                                   OCT_OP_SWISH, OCT_OP_MISH, OCT_OP_GELU, OCT_OP_MS_GELU,
                                   OCT_OP_ERF,   OCT_OP_TANH, OCT_OP_EXP,  OCT_OP_SOFTPLUS,
                                   OCT_OP_LOG,   OCT_OP_SIN,  OCT_OP_COS,  OCT_OP_TAN,
                                   OCT_OP_ATAN,  OCT_OP_POW,  OCT_OP_MOD};
    for (size_t i = 0; i < sizeof heavy / sizeof heavy[0]; i++)
        if (heavy[i] == op)
            return true;
    return false;
}

static int kind_of(const oct_op_desc *d)
{
    const bool heavy = is_heavy(d->op);
    const bool unary = (oct_op_schema_get(d->op)->flags & OCT_OPF_UNARY) || data_inputs(d) == 1;
    if (unary && d->op != OCT_OP_MEAN && d->op != OCT_OP_SUM && d->op != OCT_OP_MIN &&
        d->op != OCT_OP_MAX)
        return heavy ? UNARY_HEAVY : UNARY;
    if (d->n_in == 2 && d->op != OCT_OP_MEAN)
        return heavy ? BINARY_HEAVY : BINARY;
    return VARIADIC;
}

static void read_attributes(const oct_op_desc *d, ew_params *p)
{
    if (!d->attr)
        return;
    if (d->op == OCT_OP_IS_INF) {
        const oct_attr_is_inf *at = (const oct_attr_is_inf *)d->attr;
        p->flag[0] = at->detect_negative;
        p->flag[1] = at->detect_positive;
    } else if (d->op == OCT_OP_MOD) {
        p->flag[0] = ((const oct_attr_mod *)d->attr)->fmod;
    } else if (oct_op_schema_get(d->op)->attr_bytes == sizeof(oct_attr_act) && !is_cast(d->op)) {
        const oct_attr_act *at = (const oct_attr_act *)d->attr;
        p->alpha = at->alpha;
        p->beta = at->beta;
        p->flag[0] = at->approximate_tanh && d->op == OCT_OP_GELU;
    }
}

static oct_status prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, const oct_candidate *c,
                          oct_cuda_op **out)
{
    char reason[OCT_REASON_BYTES];
    ew_op *op = oct_cuda_make<ew_op>(be, ctx, run_ew);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    if (!build(d, op, reason)) {
        oct_free(be->ctx, op);
        return oct_fail(ctx, OCT_ERR_BUG, "%s: %s", oct_op_name(d->op), reason);
    }
    op->p.op = d->op;
    op->p.n_in = data_inputs(d);
    op->p.coarse = d->out[0].desc.dtype == OCT_DT_F16;
    op->kind = kind_of(d);
    if (d->op == OCT_OP_IS_INF)
        op->p.flag[0] = op->p.flag[1] = true;
    read_attributes(d, &op->p);
    if (d->op == OCT_OP_CLIP) {
        op->p.bound_type = d->in[0].desc.dtype;
        op->n_bounds = d->n_in - 1;
    }
    *out = &op->base;
    return OCT_OK;
}

#define ROW(op)                     \
    {                               \
        OCT_OP_##op, query, prepare \
    }
#define ROW_INT(op)                                                   \
    {OCT_OP_##op, query, prepare},                                    \
    {                                                                 \
        OCT_OP_##op, oct_cuda_integer_query, oct_cuda_integer_prepare \
    }

#define ROW_Q8(op)                                                        \
    {                                                                     \
        OCT_OP_##op, oct_cuda_binary_q8_query, oct_cuda_binary_q8_prepare \
    }

static const oct_cuda_row rows[] = {
    ROW_Q8(ADD),
    ROW_Q8(SUB),
    ROW_Q8(MUL),
    ROW_INT(RELU),
    ROW(LEAKY_RELU),
    ROW(ELU),
    ROW(SELU),
    ROW(CELU),
    ROW(SIGMOID),
    ROW(HARD_SIGMOID),
    ROW(HARD_SWISH),
    ROW(SWISH),
    ROW(MISH),
    ROW(GELU),
    ROW(MS_GELU),
    ROW(ERF),
    ROW(TANH),
    ROW(SOFTPLUS),
    ROW(SOFTSIGN),
    ROW(THRESHOLDED_RELU),
    ROW(SHRINK),
    ROW_INT(ABS),
    ROW_INT(NEG),
    ROW_INT(SIGN),
    ROW(CEIL),
    ROW(FLOOR),
    ROW(ROUND),
    ROW(SQRT),
    ROW(RECIPROCAL),
    ROW(EXP),
    ROW(LOG),
    ROW(SIN),
    ROW(COS),
    ROW(TAN),
    ROW(ATAN),
    ROW(NOT),
    ROW(IS_NAN),
    ROW(IS_INF),
    ROW_INT(CLIP),
    ROW_INT(ADD),
    ROW_INT(SUB),
    ROW_INT(MUL),
    ROW_INT(DIV),
    ROW(POW),
    ROW_INT(MOD),
    ROW_INT(MIN),
    ROW_INT(MAX),
    ROW(SUM),
    ROW(MEAN),
    ROW(PRELU),
    ROW_INT(EQUAL),
    ROW_INT(GREATER),
    ROW_INT(GREATER_OR_EQUAL),
    ROW_INT(LESS),
    ROW_INT(LESS_OR_EQUAL),
    ROW(AND),
    ROW(OR),
    ROW(XOR),
    ROW(CAST),
    ROW(CAST_LIKE),
    {OCT_OP_CAST, oct_cuda_cast_query, oct_cuda_cast_prepare},
    {OCT_OP_CAST_LIKE, oct_cuda_cast_query, oct_cuda_cast_prepare},
    {OCT_OP_WHERE, oct_cuda_where_query, oct_cuda_where_prepare},
};
extern "C" const oct_cuda_rows oct_cuda_rows_eltwise = {rows, sizeof rows / sizeof rows[0]};
