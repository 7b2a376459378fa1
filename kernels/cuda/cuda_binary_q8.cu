/* SPDX-License-Identifier: Apache-2.0
 *
 * Add, Sub and Mul of two 8-bit tensors with one scale each, with broadcasting: sixteen results a thread,
 * in the arithmetic of cuda_eltwise.cu (each operand to f32, one operation, one division, one rounding) with
 * few instructions a byte. What it declines goes there.
 */
#include "kernels/cuda/cuda_kernel.cuh"

#define THREADS 256
#define VEC 16
#define EACH 4 /* positions a thread where one operand is shared */

typedef struct bq_side {
    uint32_t flip; /* 0x80808080 raises s8 by 128 */
    float off;     /* 2^23, what was raised, and the zero point */
    float scale;
} bq_side;

typedef struct bq_params {
    bq_side in[2];
    float scale, inverse, lo, hi; /* of the result; bounds less the zero point */
    uint32_t zero;                /* in each byte */
    int64_t y_step, a_step;       /* from position to position of bq_shared() */
    oct_cuda_loop loop;
} bq_params;

/* The byte goes into the low mantissa bits of 2^23: exact, and no conversion. */
template <int I>
OCT_DEV float bq_real(const bq_side &s, uint32_t word)
{
    return (__uint_as_float(__byte_perm(word, 0x4B000000u, 0x7440 + I)) - s.off) * s.scale;
}

template <oct_op OP, int I>
OCT_DEV uint32_t bq_one(const bq_params &p, uint32_t a, uint32_t b)
{
    const float u = bq_real<I>(p.in[0], a), v = bq_real<I>(p.in[1], b);
    const float x = OP == OCT_OP_MUL ? u * v : OP == OCT_OP_SUB ? u - v : u + v;
    /* x / scale, but for the last bit of few: ties, being exact, stay ties */
    const float q0 = x * p.inverse, q = fmaf(fmaf(-q0, p.scale, x), p.inverse, q0);
    return __float_as_uint(fminf(fmaxf(q, p.lo), p.hi) + OCT_DEV_MAGIC);
}

/* Four results in a word. */
template <oct_op OP>
OCT_DEV uint32_t bq_four(const bq_params &p, uint32_t a, uint32_t b)
{
    a ^= p.in[0].flip;
    b ^= p.in[1].flip;
    const uint32_t lo = __byte_perm(bq_one<OP, 0>(p, a, b), bq_one<OP, 1>(p, a, b), 0x0040);
    const uint32_t hi = __byte_perm(bq_one<OP, 2>(p, a, b), bq_one<OP, 3>(p, a, b), 0x0040);
    const uint32_t q = __byte_perm(lo, hi, 0x5410);
    return p.zero ? __vadd4(q, p.zero) : q;
}

template <oct_op OP>
static __global__ void __launch_bounds__(THREADS)
    bq_vectors(const __grid_constant__ bq_params p, uint8_t *y, const uint8_t *a, const uint8_t *b)
{
    const uint32_t item = oct_dev_item();
    int64_t off[3];
    if (item >= p.loop.total)
        return;
    oct_dev_offsets(p.loop, item, off);
    const uint4 u = *reinterpret_cast<const uint4 *>(a + off[1]);
    const uint4 v = *reinterpret_cast<const uint4 *>(b + off[2]);
    *reinterpret_cast<uint4 *>(y + off[0]) =
        make_uint4(bq_four<OP>(p, u.x, v.x), bq_four<OP>(p, u.y, v.y), bq_four<OP>(p, u.z, v.z),
                   bq_four<OP>(p, u.w, v.w));
}

/* One operand is the same for all positions of the second dim (a factor per image and channel): EACH of them a
 * thread, so that it is read and converted once. The loop's second dim counts such groups. */
template <oct_op OP>
static __global__ void __launch_bounds__(THREADS)
    bq_shared(const __grid_constant__ bq_params p, uint8_t *y, const uint8_t *a, const uint8_t *b)
{
    const uint32_t item = oct_dev_item();
    int64_t off[3];
    if (item >= p.loop.total)
        return;
    oct_dev_offsets(p.loop, item, off);
    const uint4 v = *reinterpret_cast<const uint4 *>(b + off[2]);
    uint4 u[EACH];
#pragma unroll
    for (int k = 0; k < EACH; k++)
        u[k] = *reinterpret_cast<const uint4 *>(a + off[1] + k * p.a_step);
#pragma unroll
    for (int k = 0; k < EACH; k++)
        *reinterpret_cast<uint4 *>(y + off[0] + k * p.y_step) =
            make_uint4(bq_four<OP>(p, u[k].x, v.x), bq_four<OP>(p, u[k].y, v.y),
                       bq_four<OP>(p, u[k].z, v.z), bq_four<OP>(p, u[k].w, v.w));
}

template <oct_op OP>
static __global__ void __launch_bounds__(THREADS)
    bq_elements(const __grid_constant__ bq_params p, uint8_t *y, const uint8_t *a, const uint8_t *b)
{
    const uint32_t item = oct_dev_item();
    int64_t off[3];
    if (item >= p.loop.total)
        return;
    oct_dev_offsets(p.loop, item, off);
    y[off[0]] = (uint8_t)bq_four<OP>(p, a[off[1]], b[off[2]]);
}

/* ---- the op ---- */

typedef struct bq_op {
    oct_cuda_op base;
    oct_op op;
    bq_params p; /* its loop is set for each launch */
    oct_cuda_loop fast, slow;
    bool shares; /* `fast` is bq_shared()'s */
} bq_op;

enum { ELEMENTS, VECTORS, SHARED };

static void launch(const bq_op *op, const oct_cuda_loop *loop, int form, uint8_t *y,
                   const uint8_t *a, const uint8_t *b, cudaStream_t s)
{
    typedef void (*kernel)(bq_params, uint8_t *, const uint8_t *, const uint8_t *);
    static const kernel kernels[3][3] = {
        {bq_elements<OCT_OP_ADD>, bq_vectors<OCT_OP_ADD>, bq_shared<OCT_OP_ADD>},
        {bq_elements<OCT_OP_SUB>, bq_vectors<OCT_OP_SUB>, bq_shared<OCT_OP_SUB>},
        {bq_elements<OCT_OP_MUL>, bq_vectors<OCT_OP_MUL>, bq_shared<OCT_OP_MUL>},
    };
    const int which = op->op == OCT_OP_ADD ? 0 : op->op == OCT_OP_SUB ? 1 : 2;
    bq_params p = op->p;
    p.loop = *loop;
    if (loop->total > 0)
        kernels[which][form]<<<oct_cuda_blocks(loop->total, THREADS), THREADS, 0, s>>>(p, y, a, b);
}

static oct_status run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *args)
{
    const bq_op *op = (const bq_op *)base;
    const cudaStream_t s = oct_cuda_stream_of(args);
    uint8_t *y = (uint8_t *)args->out[0];
    const uint8_t *a = (const uint8_t *)args->in[0], *b = (const uint8_t *)args->in[1];
    oct_cuda_loop rest = op->slow;
    if (oct_cuda_aligned(y, VEC) && oct_cuda_aligned(a, VEC) && oct_cuda_aligned(b, VEC)) {
        launch(op, &op->fast, op->shares ? SHARED : VECTORS, y, a, b, s);
        /* one dim may leave a few behind */
        const uint32_t done = op->fast.total * VEC * (op->shares ? EACH : 1);
        rest.total -= done;
        y += done;
        a += done;
        b += done;
    }
    launch(op, &rest, ELEMENTS, y, a, b, s);
    return oct_cuda_launched(ctx, "8-bit arithmetic");
}

/* Takes EACH positions of the second dim together where the second input is the same for them. */
static void share(bq_op *op)
{
    oct_cuda_loop *l = &op->fast;
    if (l->n_dims < 2 || l->total == 0 || l->stride[2][1] != 0 || l->dim[1].d % EACH != 0)
        return;
    op->p.y_step = l->stride[0][1];
    op->p.a_step = l->stride[1][1];
    for (int k = 0; k < 3; k++)
        l->stride[k][1] *= EACH;
    l->dim[1] = oct_cuda_div_make(l->dim[1].d / EACH);
    l->total /= EACH;
    op->shares = true;
}

/* Both inputs step by one, so that the elements behind the last vector lie at one distance. */
static bool build(const oct_op_desc *d, bq_op *op, char *reason)
{
    oct_ref_loop l;
    oct_ref_loop_init(&l, &d->out[0].desc.shape);
    oct_ref_loop_add(&l, &d->out[0].desc);
    oct_ref_loop_add(&l, &d->in[0].desc);
    oct_ref_loop_add(&l, &d->in[1].desc);
    oct_ref_loop_optimize(&l);
    const int inner = l.n_dims - 1;
    if (!oct_cuda_loop_takes(&l, VEC) || l.stride[1][inner] != 1 || l.stride[2][inner] != 1)
        return oct_cuda_no(reason, "not vectors of 16");
    return (oct_cuda_loop_make(&l, VEC, &op->fast) && oct_cuda_loop_make(&l, 1, &op->slow)) ||
           oct_cuda_no(reason, "more than 8 dims or 2^31 elements");
}

/* One step of division is then as good as it claims, and nothing overflows. */
static bool ordinary(const oct_operand *o)
{
    return oct_cuda_is_8bit(o->desc.dtype) && o->quant.n == 1 && o->quant.q[0].scale > 0x1p-25f &&
           o->quant.q[0].scale < 0x1p25f;
}

static bool same_place(const oct_tensor_desc *a, const oct_tensor_desc *y)
{
    return oct_shape_equal(&a->shape, &y->shape) &&
           memcmp(a->stride, y->stride, sizeof a->stride[0] * (size_t)a->shape.n_dims) == 0;
}

bool oct_cuda_binary_q8_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                              char *reason)
{
    (void)be;
    if (d->n_in != 2 || d->epilogue.residual >= 0 || d->epilogue.act != OCT_ACT_NONE ||
        !ordinary(&d->in[0]) || !ordinary(&d->in[1]) || !ordinary(&d->out[0]))
        return oct_cuda_no(reason, "not two 8-bit operands with ordinary scales");
    bq_op *op = (bq_op *)oct_zalloc(ctx, sizeof *op);
    if (!op)
        return oct_cuda_no(reason, "out of memory");
    const bool ok = build(d, op, reason);
    oct_free(ctx, op);
    if (!ok)
        return false;
    for (int i = 0; i < 2 && i < OCT_MAX_ALIAS; i++)
        c->may_alias[i] = same_place(&d->in[i].desc, &d->out[0].desc);
    return oct_cuda_name(c, "binary_q8");
}

static bq_side side_of(const oct_operand *o)
{
    const bool is_signed = o->desc.dtype == OCT_DT_S8;
    bq_side s;
    s.flip = is_signed ? 0x80808080u : 0;
    s.off = 8388608.0f + (is_signed ? 128.0f : 0.0f) + (float)o->quant.q[0].zero_point;
    s.scale = o->quant.q[0].scale;
    return s;
}

oct_status oct_cuda_binary_q8_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                      const oct_candidate *c, oct_cuda_op **out)
{
    char reason[OCT_REASON_BYTES];
    bq_op *op = oct_cuda_make<bq_op>(be, ctx, run);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    (void)build(d, op, reason);
    const oct_qparams q = d->out[0].quant.q[0];
    const float lo = d->out[0].desc.dtype == OCT_DT_S8 ? -128.0f : 0.0f;
    share(op);
    op->op = d->op;
    op->p.in[0] = side_of(&d->in[0]);
    op->p.in[1] = side_of(&d->in[1]);
    op->p.scale = q.scale;
    op->p.inverse = 1.0f / q.scale;
    op->p.lo = lo - (float)q.zero_point;
    op->p.hi = lo + 255.0f - (float)q.zero_point;
    op->p.zero = (uint32_t)(q.zero_point & 0xFF) * 0x01010101u;
    *out = &op->base;
    return OCT_OK;
}
