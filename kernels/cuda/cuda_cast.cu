/* SPDX-License-Identifier: Apache-2.0
 *
 * Cast between any two types (rules: kernels/ref/ref_cast.h), Where, and element-wise arithmetic
 * on integers, computed in 64 bits. An element a thread, but for Where; these move masks, indices and
 * shapes.
 */
#include "kernels/cuda/cuda_kernel.cuh"

#define THREADS 256

/* ---- elements of any type ---- */

/* Largest double below 2^63. */
#define S64_LIMIT 9223372036854774784.0

OCT_DEV int64_t s64_from_f64(double v)
{
    if (!(v > -9223372036854775808.0))
        return v != v ? 0 : INT64_MIN;
    return v > S64_LIMIT ? INT64_MAX : (int64_t)v;
}

OCT_DEV uint64_t u64_from_f64(double v)
{
    if (v >= 9223372036854775808.0)
        return v >= 18446744073709551616.0 ? UINT64_MAX : (uint64_t)v;
    return (uint64_t)s64_from_f64(v);
}

OCT_DEV double load_f64(const void *p, oct_dtype dt, int64_t i)
{
    switch (dt) {
    case OCT_DT_F32:
        return ((const float *)p)[i];
    case OCT_DT_F16:
        return __half2float(((const __half *)p)[i]);
    case OCT_DT_BF16:
        return __bfloat162float(((const __nv_bfloat16 *)p)[i]);
    case OCT_DT_F64:
        return ((const double *)p)[i];
    default:
        return (double)((const uint64_t *)p)[i];
    }
}

/* The low bits of an integer; u64 keeps its bits. */
OCT_DEV int64_t load_s64(const void *p, oct_dtype dt, int64_t i)
{
    switch (dt) {
    case OCT_DT_S8:
        return ((const int8_t *)p)[i];
    case OCT_DT_U8:
        return ((const uint8_t *)p)[i];
    case OCT_DT_S16:
        return ((const int16_t *)p)[i];
    case OCT_DT_U16:
        return ((const uint16_t *)p)[i];
    case OCT_DT_S32:
        return ((const int32_t *)p)[i];
    case OCT_DT_U32:
        return ((const uint32_t *)p)[i];
    case OCT_DT_BOOL:
        return ((const uint8_t *)p)[i] != 0;
    default:
        return ((const int64_t *)p)[i];
    }
}

OCT_DEV int width_of(oct_dtype dt)
{
    return dt == OCT_DT_S8 || dt == OCT_DT_U8 || dt == OCT_DT_BOOL ? 1
           : dt == OCT_DT_S16 || dt == OCT_DT_U16                  ? 2
           : dt == OCT_DT_S32 || dt == OCT_DT_U32                  ? 4
                                                                   : 8;
}

OCT_DEV void store_int(void *p, oct_dtype dt, int64_t i, int64_t v)
{
    switch (width_of(dt)) {
    case 1:
        ((uint8_t *)p)[i] = dt == OCT_DT_BOOL ? v != 0 : (uint8_t)v;
        break;
    case 2:
        ((uint16_t *)p)[i] = (uint16_t)v;
        break;
    case 4:
        ((uint32_t *)p)[i] = (uint32_t)v;
        break;
    default:
        ((uint64_t *)p)[i] = (uint64_t)v;
        break;
    }
}

OCT_DEV bool is_float(oct_dtype dt)
{
    return dt == OCT_DT_F32 || dt == OCT_DT_F16 || dt == OCT_DT_BF16 || dt == OCT_DT_F64;
}

OCT_DEV void store_f64(void *p, oct_dtype dt, int64_t i, double v)
{
    switch (dt) {
    case OCT_DT_F32:
        ((float *)p)[i] = (float)v;
        break;
    case OCT_DT_F16:
        ((__half *)p)[i] = __double2half(v);
        break;
    case OCT_DT_BF16:
        ((__nv_bfloat16 *)p)[i] = __double2bfloat16(v);
        break;
    case OCT_DT_F64:
        ((double *)p)[i] = v;
        break;
    case OCT_DT_BOOL:
        ((uint8_t *)p)[i] = v != 0;
        break;
    case OCT_DT_U64:
        ((uint64_t *)p)[i] = u64_from_f64(v);
        break;
    default:
        store_int(p, dt, i, s64_from_f64(v));
        break;
    }
}

/* s64 to a float type, rounded once. */
OCT_DEV void store_float_of_int(void *p, oct_dtype dt, int64_t i, int64_t v)
{
    if (dt == OCT_DT_F32)
        ((float *)p)[i] = (float)v;
    else
        store_f64(p, dt, i, (double)v);
}

/* ---- Cast ---- */

typedef struct cast_op {
    oct_cuda_op base;
    oct_cuda_loop loop;
    oct_dtype to, from;
} cast_op;

static __global__ void __launch_bounds__(THREADS)
    cast_kernel(oct_cuda_loop loop, void *y, oct_dtype to, const void *x, oct_dtype from)
{
    const uint32_t item = oct_dev_item();
    int64_t off[2];
    if (item >= loop.total)
        return;
    oct_dev_offsets(loop, item, off);
    if (is_float(from) || (from == OCT_DT_U64 && is_float(to))) {
        store_f64(y, to, off[0], load_f64(x, from, off[1]));
        return;
    }
    const int64_t v = load_s64(x, from, off[1]);
    if (is_float(to))
        store_float_of_int(y, to, off[0], v);
    else
        store_int(y, to, off[0], v);
}

static oct_status cast_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const cast_op *op = (const cast_op *)base;
    if (op->loop.total > 0)
        cast_kernel<<<oct_cuda_blocks(op->loop.total, THREADS), THREADS, 0,
                      oct_cuda_stream_of(a)>>>(op->loop, a->out[0], op->to, a->in[0], op->from);
    return oct_cuda_launched(ctx, "Cast");
}

/* The nest of the result and the first `n_in` inputs. */
static bool make_loop(const oct_op_desc *d, int n_in, int vec, oct_cuda_loop *out, char *reason)
{
    oct_ref_loop l;
    oct_ref_loop_init(&l, &d->out[0].desc.shape);
    oct_ref_loop_add(&l, &d->out[0].desc);
    for (int i = 0; i < n_in; i++)
        oct_ref_loop_add(&l, &d->in[i].desc);
    oct_ref_loop_optimize(&l);
    if (vec > 1 && !(oct_cuda_loop_takes(&l, vec) && l.dim[l.n_dims - 1] % vec == 0))
        return false;
    return oct_cuda_loop_make(&l, vec, out) ||
           oct_cuda_no(reason, "more than 8 dims or 2^31 elements");
}

static bool no_quant(const oct_op_desc *d, char *reason)
{
    for (int i = 0; i < d->n_in; i++)
        if (d->in[i].quant.n > 0)
            return oct_cuda_no(reason, "quantized input");
    return d->out[0].quant.n == 0 || oct_cuda_no(reason, "quantized output");
}

bool oct_cuda_cast_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                         char *reason)
{
    oct_cuda_loop loop;
    (void)be;
    (void)ctx;
    return no_quant(d, reason) && make_loop(d, 1, 1, &loop, reason) && oct_cuda_name(c, "cast");
}

oct_status oct_cuda_cast_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                 const oct_candidate *c, oct_cuda_op **out)
{
    char reason[OCT_REASON_BYTES];
    cast_op *op = oct_cuda_make<cast_op>(be, ctx, cast_run);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    (void)make_loop(d, 1, 1, &op->loop, reason);
    op->to = d->out[0].desc.dtype;
    op->from = d->in[0].desc.dtype;
    *out = &op->base;
    return OCT_OK;
}

/* ---- Where ---- */

typedef struct where_op {
    oct_cuda_op base;
    oct_cuda_loop loop, fast; /* fast: 4 elements each, n_dims 0 = not taken */
    size_t bytes;
    bool steps[4];
} where_op;

template <class T>
static __global__ void __launch_bounds__(THREADS)
    where_kernel(oct_cuda_loop loop, T *y, const uint8_t *c, const T *a, const T *b)
{
    const uint32_t item = oct_dev_item();
    int64_t off[4];
    if (item >= loop.total)
        return;
    oct_dev_offsets(loop, item, off);
    y[off[0]] = c[off[1]] ? a[off[2]] : b[off[3]];
}

/* Four neighbours from `p`, or one of them four times. */
template <class T>
OCT_DEV oct_dev_vec<T, 4> four(const T *p, bool steps)
{
    if (steps)
        return *reinterpret_cast<const oct_dev_vec<T, 4> *>(p);
    oct_dev_vec<T, 4> v;
    v.v[0] = v.v[1] = v.v[2] = v.v[3] = *p;
    return v;
}

template <class T>
static __global__ void __launch_bounds__(THREADS)
    where_kernel_4(oct_cuda_loop loop, T *y, const uint8_t *c, const T *a, const T *b)
{
    const uint32_t item = oct_dev_item();
    int64_t off[4];
    if (item >= loop.total)
        return;
    oct_dev_offsets(loop, item, off);
    const oct_dev_vec<uint8_t, 4> cond = four(c + off[1], loop.stride[1][0] != 0);
    const oct_dev_vec<T, 4> yes = four(a + off[2], loop.stride[2][0] != 0);
    const oct_dev_vec<T, 4> no = four(b + off[3], loop.stride[3][0] != 0);
    oct_dev_vec<T, 4> r;
#pragma unroll
    for (int i = 0; i < 4; i++)
        r.v[i] = cond.v[i] ? yes.v[i] : no.v[i];
    *reinterpret_cast<oct_dev_vec<T, 4> *>(y + off[0]) = r;
}

static bool where_aligned(const where_op *op, const oct_run_args *a)
{
    const size_t bytes = 4 * op->bytes < 16 ? 4 * op->bytes : 16;
    const void *p[4] = {a->out[0], a->in[0], a->in[1], a->in[2]};
    for (int k = 0; k < 4; k++)
        if (op->steps[k] && !oct_cuda_aligned(p[k], k == 1 ? 4 : bytes))
            return false;
    return true;
}

template <class T>
static void where_launch(const where_op *op, const oct_run_args *a)
{
    const bool fast = op->fast.n_dims > 0 && where_aligned(op, a);
    const oct_cuda_loop &l = fast ? op->fast : op->loop;
    const uint32_t blocks = oct_cuda_blocks(l.total, THREADS);
    const cudaStream_t s = oct_cuda_stream_of(a);
    T *y = (T *)a->out[0];
    const uint8_t *c = (const uint8_t *)a->in[0];
    const T *yes = (const T *)a->in[1], *no = (const T *)a->in[2];
    if (fast)
        where_kernel_4<T><<<blocks, THREADS, 0, s>>>(l, y, c, yes, no);
    else
        where_kernel<T><<<blocks, THREADS, 0, s>>>(l, y, c, yes, no);
}

static oct_status where_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const where_op *op = (const where_op *)base;
    if (op->loop.total == 0)
        return OCT_OK;
    if (op->bytes == 1)
        where_launch<uint8_t>(op, a);
    else if (op->bytes == 2)
        where_launch<uint16_t>(op, a);
    else if (op->bytes == 4)
        where_launch<uint32_t>(op, a);
    else
        where_launch<uint64_t>(op, a);
    return oct_cuda_launched(ctx, "Where");
}

bool oct_cuda_where_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                          char *reason)
{
    oct_cuda_loop loop;
    (void)be;
    (void)ctx;
    return no_quant(d, reason) && make_loop(d, 3, 1, &loop, reason) && oct_cuda_name(c, "where");
}

oct_status oct_cuda_where_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                  const oct_candidate *c, oct_cuda_op **out)
{
    char reason[OCT_REASON_BYTES];
    where_op *op = oct_cuda_make<where_op>(be, ctx, where_run);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->bytes = oct_dtype_bytes(d->out[0].desc.dtype);
    (void)make_loop(d, 3, 1, &op->loop, reason);
    if (!make_loop(d, 3, 4, &op->fast, reason))
        op->fast.n_dims = 0;
    for (int k = 0; k < 4; k++)
        op->steps[k] = op->fast.n_dims > 0 && op->fast.stride[k][0] != 0;
    *out = &op->base;
    return OCT_OK;
}

/* ---- integers ---- */

typedef struct int_op {
    oct_cuda_op base;
    oct_cuda_loop loop;
    oct_op op;
    int n_in;
    bool fmod, is_u64;
    oct_dtype type[9]; /* 0 = the result */
    int n_bounds;
} int_op;

typedef struct int_params {
    oct_op op;
    int n_in;
    bool fmod, is_u64;
    oct_dtype type[9];
    void *y;
    const void *x[8];
    const void *bound[2];
} int_params;

OCT_DEV int64_t int_divide(const int_params &p, int64_t u, int64_t v)
{
    if (v == 0)
        return 0; /* constants were checked; nothing else comes here */
    if (p.is_u64)
        return (int64_t)((uint64_t)u / (uint64_t)v);
    return v == -1 ? (int64_t)(0 - (uint64_t)u) : u / v;
}

OCT_DEV int64_t int_modulo(const int_params &p, int64_t u, int64_t v)
{
    if (v == 0 || (v == -1 && !p.is_u64))
        return 0;
    if (p.is_u64)
        return (int64_t)((uint64_t)u % (uint64_t)v);
    const int64_t r = u % v;
    return !p.fmod && r != 0 && (r ^ v) < 0 ? r + v : r;
}

OCT_DEV bool int_less(const int_params &p, int64_t u, int64_t v)
{
    return p.is_u64 ? (uint64_t)u < (uint64_t)v : u < v;
}

OCT_DEV int64_t int_unary(const int_params &p, int64_t x)
{
    const int64_t negative = (int64_t)(0 - (uint64_t)x);
    switch (p.op) {
    case OCT_OP_RELU:
        return x < 0 ? 0 : x;
    case OCT_OP_ABS:
        return x < 0 ? negative : x;
    case OCT_OP_NEG:
        return negative;
    case OCT_OP_SIGN:
        return (x > 0) - (x < 0);
    default:
        break;
    }
    if (p.bound[0]) {
        const int64_t lo = load_s64(p.bound[0], p.type[0], 0);
        x = int_less(p, x, lo) ? lo : x;
    }
    if (p.bound[1]) {
        const int64_t hi = load_s64(p.bound[1], p.type[0], 0);
        x = int_less(p, hi, x) ? hi : x;
    }
    return x;
}

OCT_DEV int64_t int_binary(const int_params &p, int64_t u, int64_t v)
{
    switch (p.op) {
    case OCT_OP_ADD:
        return (int64_t)((uint64_t)u + (uint64_t)v);
    case OCT_OP_SUB:
        return (int64_t)((uint64_t)u - (uint64_t)v);
    case OCT_OP_MUL:
        return (int64_t)((uint64_t)u * (uint64_t)v);
    case OCT_OP_DIV:
        return int_divide(p, u, v);
    case OCT_OP_MOD:
        return int_modulo(p, u, v);
    case OCT_OP_MIN:
        return int_less(p, u, v) ? u : v;
    case OCT_OP_MAX:
        return int_less(p, v, u) ? u : v;
    case OCT_OP_EQUAL:
        return u == v;
    case OCT_OP_GREATER:
        return int_less(p, v, u);
    case OCT_OP_GREATER_OR_EQUAL:
        return !int_less(p, u, v);
    case OCT_OP_LESS:
        return int_less(p, u, v);
    default: /* LessOrEqual */
        return !int_less(p, v, u);
    }
}

static __global__ void __launch_bounds__(THREADS) int_kernel(oct_cuda_loop loop, int_params p)
{
    const uint32_t item = oct_dev_item();
    int64_t off[9];
    if (item >= loop.total)
        return;
    oct_dev_offsets(loop, item, off);
    int64_t v = load_s64(p.x[0], p.type[1], off[1]);
    if (p.op == OCT_OP_RELU || p.op == OCT_OP_ABS || p.op == OCT_OP_NEG || p.op == OCT_OP_SIGN ||
        p.op == OCT_OP_CLIP)
        v = int_unary(p, v);
#pragma unroll
    for (int k = 1; k < 8; k++)
        if (k < p.n_in)
            v = int_binary(p, v, load_s64(p.x[k], p.type[k + 1], off[k + 1]));
    store_int(p.y, p.type[0], off[0], v);
}

static oct_status int_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const int_op *op = (const int_op *)base;
    int_params p;
    memset(&p, 0, sizeof p);
    p.op = op->op;
    p.n_in = op->n_in;
    p.fmod = op->fmod;
    p.is_u64 = op->is_u64;
    memcpy(p.type, op->type, sizeof p.type);
    p.y = a->out[0];
    for (int k = 0; k < op->n_in; k++)
        p.x[k] = a->in[k];
    for (int k = 0; k < op->n_bounds; k++)
        p.bound[k] = a->in[k + 1];
    if (op->loop.total > 0)
        int_kernel<<<oct_cuda_blocks(op->loop.total, THREADS), THREADS, 0, oct_cuda_stream_of(a)>>>(
            op->loop, p);
    return oct_cuda_launched(ctx, "integer arithmetic");
}

/* A divisor that is known ahead and has no zero: the kernel cannot report one. */
static bool divisor_is_safe(const oct_op_desc *d)
{
    const oct_operand *o = &d->in[1];
    for (size_t i = 0; o->data && i < oct_cuda_elems(o); i++)
        if (oct_elem_s64(o->data, o->desc.dtype, i) == 0)
            return false;
    return o->data != NULL;
}

bool oct_cuda_integer_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                            char *reason)
{
    const int n = d->op == OCT_OP_CLIP ? 1 : d->n_in;
    oct_cuda_loop loop;
    (void)be;
    (void)ctx;
    if (!no_quant(d, reason))
        return false;
    for (int i = 0; i < n; i++)
        if (!oct_dtype_is_int(d->in[i].desc.dtype))
            return oct_cuda_no(reason, "no GPU kernel for these types");
    if (n > 8)
        return oct_cuda_no(reason, "more than 8 operands");
    if ((d->op == OCT_OP_DIV || d->op == OCT_OP_MOD) && !divisor_is_safe(d))
        return oct_cuda_no(reason, "integer division by what may be zero");
    return make_loop(d, n, 1, &loop, reason) && oct_cuda_name(c, "integer");
}

oct_status oct_cuda_integer_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                    const oct_candidate *c, oct_cuda_op **out)
{
    char reason[OCT_REASON_BYTES];
    int_op *op = oct_cuda_make<int_op>(be, ctx, int_run);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->op = d->op;
    op->n_in = d->op == OCT_OP_CLIP ? 1 : d->n_in;
    op->n_bounds = d->op == OCT_OP_CLIP ? d->n_in - 1 : 0;
    op->is_u64 = d->in[0].desc.dtype == OCT_DT_U64;
    op->fmod = d->op == OCT_OP_MOD && d->attr && ((const oct_attr_mod *)d->attr)->fmod;
    op->type[0] = d->out[0].desc.dtype;
    for (int k = 0; k < op->n_in; k++)
        op->type[k + 1] = d->in[k].desc.dtype;
    (void)make_loop(d, op->n_in, 1, &op->loop, reason);
    *out = &op->base;
    return OCT_OK;
}
