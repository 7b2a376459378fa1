/* SPDX-License-Identifier: Apache-2.0
 *
 * Movers whose source is a function of the position: Pad in all modes, ReverseSequence, Trilu; and
 * what is made without a source: ConstantOfShape, Range, EyeLike.
 */
#include "kernels/cuda/cuda_kernel.cuh"

#define THREADS 256

/* ---- Pad ---- */

typedef struct pad_params {
    int n_dims;
    uint32_t total;
    oct_cuda_div dim[OCT_MAX_DIMS];                  /* of the output, innermost in memory first */
    int64_t begin[OCT_MAX_DIMS], size[OCT_MAX_DIMS]; /* pads and the input's sizes */
    int64_t y_stride[OCT_MAX_DIMS], x_stride[OCT_MAX_DIMS];
    oct_pad_mode mode;
    uint8_t value[16]; /* what is outside, if not on the device */
} pad_params;

/* Position in an axis of size n, or -1: the constant. */
OCT_DEV int64_t pad_source(oct_pad_mode mode, int64_t i, int64_t n)
{
    if (i >= 0 && i < n)
        return i;
    if (mode == OCT_PAD_MODE_EDGE)
        return i < 0 ? 0 : n - 1;
    if (mode == OCT_PAD_MODE_REFLECT) {
        if (n == 1)
            return 0;
        int64_t k = i % (2 * n - 2);
        k += k < 0 ? 2 * n - 2 : 0;
        return k < n ? k : 2 * n - 2 - k;
    }
    if (mode == OCT_PAD_MODE_WRAP)
        return i % n + (i % n < 0 ? n : 0);
    return -1;
}

template <class T>
static __global__ void __launch_bounds__(THREADS)
    pad_kernel(pad_params p, T *y, const T *x, const T *value)
{
    uint32_t item = oct_dev_item();
    int64_t from = 0, to = 0;
    bool outside = false;
    if (item >= p.total)
        return;
    for (int k = 0; k < p.n_dims; k++) {
        uint32_t r;
        item = oct_dev_divmod(item, p.dim[k], r);
        const int64_t s = pad_source(p.mode, (int64_t)r - p.begin[k], p.size[k]);
        outside = outside || s < 0;
        from += s * p.x_stride[k];
        to += r * p.y_stride[k];
    }
    y[to] = !outside ? x[from] : value ? *value : *(const T *)p.value;
}

typedef struct pad_op {
    oct_cuda_op base;
    pad_params p;
    size_t unit; /* bytes moved at a time */
    bool value_on_device;
} pad_op;

template <class T>
static void pad_launch(const pad_op *op, const oct_run_args *a)
{
    pad_kernel<T><<<oct_cuda_blocks(op->p.total, THREADS), THREADS, 0, oct_cuda_stream_of(a)>>>(
        op->p, (T *)a->out[0], (const T *)a->in[0],
        op->value_on_device ? (const T *)a->in[2] : (const T *)NULL);
}

static oct_status pad_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const pad_op *op = (const pad_op *)base;
    if (op->p.total == 0)
        return OCT_OK;
    switch (op->unit) {
    case 1:
        pad_launch<uint8_t>(op, a);
        break;
    case 2:
        pad_launch<uint16_t>(op, a);
        break;
    case 4:
        pad_launch<uint32_t>(op, a);
        break;
    default:
        pad_launch<uint64_t>(op, a);
        break;
    }
    return oct_cuda_launched(ctx, "Pad");
}

static bool pad_build(const oct_op_desc *d, pad_op *op, char *reason)
{
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    pad_params *p = &op->p;
    int64_t pads[2 * OCT_MAX_DIMS], axes[OCT_MAX_DIMS], begin[OCT_MAX_DIMS] = {0};
    int n, n_axes, order[OCT_MAX_DIMS];
    if (!oct_cuda_ints(d, 1, pads, 2 * OCT_MAX_DIMS, &n) ||
        !oct_cuda_ints(d, 3, axes, OCT_MAX_DIMS, &n_axes))
        return oct_cuda_no(reason, "pads or axes are not known ahead");
    for (int k = 0; k < n / 2; k++)
        begin[!n_axes ? k : axes[k] < 0 ? axes[k] + x->shape.n_dims : axes[k]] = pads[k];
    p->mode = ((const oct_attr_pad *)d->attr)->mode;
    p->n_dims = y->shape.n_dims;
    for (int k = 0; k < p->n_dims; k++) {
        int i = k;
        for (; i > 0 && y->stride[order[i - 1]] > y->stride[k]; i--)
            order[i] = order[i - 1];
        order[i] = k;
        if (x->shape.dim[k] == 0 && y->shape.dim[k] > 0)
            return oct_cuda_no(reason, "an empty input");
    }
    for (int i = 0; i < p->n_dims; i++) {
        const int k = order[i];
        p->dim[i] = oct_cuda_div_make(y->shape.dim[k] > 0 ? y->shape.dim[k] : 1);
        p->begin[i] = begin[k];
        p->size[i] = x->shape.dim[k];
        p->y_stride[i] = y->stride[k];
        p->x_stride[i] = x->stride[k];
    }
    const size_t total = oct_cuda_elems(&d->out[0]);
    p->total = (uint32_t)total;
    op->unit = oct_dtype_bytes(y->dtype);
    op->value_on_device = oct_cuda_present(d, 2) && oct_cuda_elems(&d->in[2]) > 0;
    if (d->in[0].quant.n == 1 && !op->value_on_device)
        p->value[0] = (uint8_t)d->in[0].quant.q[0].zero_point; /* real 0 */
    return total <= OCT_CUDA_MAX_ELEMS || oct_cuda_no(reason, "more than 2^31 elements");
}

bool oct_cuda_pad_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                        char *reason)
{
    pad_op op;
    (void)be;
    (void)ctx;
    memset(&op, 0, sizeof op);
    if (!oct_cuda_same_quant(&d->in[0].quant, &d->out[0].quant))
        return oct_cuda_no(reason, "moves elements between different scales");
    return pad_build(d, &op, reason) && oct_cuda_name(c, "pad");
}

oct_status oct_cuda_pad_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                const oct_candidate *c, oct_cuda_op **out)
{
    char reason[OCT_REASON_BYTES];
    pad_op *op = oct_cuda_make<pad_op>(be, ctx, pad_run);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    (void)pad_build(d, op, reason);
    *out = &op->base;
    return OCT_OK;
}

/* ---- on dense row-major data, an element a thread ---- */

typedef struct plain_op {
    oct_cuda_op base;
    size_t unit, total;
    oct_dtype dt, index_type;
    uint32_t rows, cols;
    int64_t k;        /* diagonal */
    bool upper;       /* Trilu */
    bool k_on_device; /* Trilu's k is an input that is not known ahead */
    uint64_t value;   /* ConstantOfShape, EyeLike: the element's bits */
    int64_t time_step;
    oct_cuda_loop loop; /* ReverseSequence: result, input, batch, time */
} plain_op;

static oct_status plain_new(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_cuda_run_fn run,
                            plain_op **op)
{
    *op = oct_cuda_make<plain_op>(be, ctx, run);
    if (!*op)
        return OCT_ERR_NOMEM;
    (*op)->dt = d->out[0].desc.dtype;
    (*op)->unit = oct_dtype_bytes((*op)->dt);
    (*op)->total = oct_cuda_elems(&d->out[0]);
    return OCT_OK;
}

static bool plain_fits(const oct_op_desc *d, char *reason)
{
    if (oct_cuda_elems(&d->out[0]) > OCT_CUDA_MAX_ELEMS)
        return oct_cuda_no(reason, "more than 2^31 elements");
    return true;
}

/* Runs KERNEL<T> with T of op->unit bytes over op->total items. */
#define LAUNCH_BY_SIZE(kernel, op, stream, ...)                                    \
    do {                                                                           \
        const uint32_t blocks_ = oct_cuda_blocks((int64_t)(op)->total, THREADS);   \
        if ((op)->unit == 1)                                                       \
            kernel<uint8_t><<<blocks_, THREADS, 0, stream>>>(*(op), __VA_ARGS__);  \
        else if ((op)->unit == 2)                                                  \
            kernel<uint16_t><<<blocks_, THREADS, 0, stream>>>(*(op), __VA_ARGS__); \
        else if ((op)->unit == 4)                                                  \
            kernel<uint32_t><<<blocks_, THREADS, 0, stream>>>(*(op), __VA_ARGS__); \
        else                                                                       \
            kernel<uint64_t><<<blocks_, THREADS, 0, stream>>>(*(op), __VA_ARGS__); \
    } while (0)

/* ---- ConstantOfShape, EyeLike ---- */

template <class T>
static __global__ void __launch_bounds__(THREADS) fill_kernel(plain_op p, void *y)
{
    const uint32_t i = oct_dev_item();
    if (i < p.total)
        ((T *)y)[i] = (T)p.value;
}

template <class T>
static __global__ void __launch_bounds__(THREADS) eye_kernel(plain_op p, void *y)
{
    const uint32_t i = oct_dev_item();
    if (i < p.total)
        ((T *)y)[i] = (int64_t)(i % p.cols) - (int64_t)(i / p.cols) == p.k ? (T)p.value : T(0);
}

static oct_status fill_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const plain_op *op = (const plain_op *)base;
    if (op->total > 0)
        LAUNCH_BY_SIZE(fill_kernel, op, oct_cuda_stream_of(a), a->out[0]);
    return oct_cuda_launched(ctx, "ConstantOfShape");
}

static oct_status eye_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const plain_op *op = (const plain_op *)base;
    if (op->total > 0)
        LAUNCH_BY_SIZE(eye_kernel, op, oct_cuda_stream_of(a), a->out[0]);
    return oct_cuda_launched(ctx, "EyeLike");
}

bool oct_cuda_fill_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                         char *reason)
{
    (void)be;
    (void)ctx;
    return oct_cuda_dense(&d->out[0]) && plain_fits(d, reason) && oct_cuda_name(c, "fill");
}

oct_status oct_cuda_fill_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                 const oct_candidate *c, oct_cuda_op **out)
{
    plain_op *op;
    (void)c;
    OCT_TRY(plain_new(be, ctx, d, fill_run, &op));
    memcpy(&op->value, ((const oct_attr_fill *)d->attr)->value, op->unit);
    *out = &op->base;
    return OCT_OK;
}

/* The bits of 1, low bytes first. */
static uint64_t bits_of_one(oct_dtype dt)
{
    switch (dt) {
    case OCT_DT_F32:
        return 0x3f800000u;
    case OCT_DT_F16:
        return 0x3c00u;
    case OCT_DT_BF16:
        return 0x3f80u;
    case OCT_DT_F64:
        return 0x3ff0000000000000u;
    default:
        return 1;
    }
}

bool oct_cuda_eye_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                        char *reason)
{
    (void)be;
    (void)ctx;
    return oct_cuda_all_plain(d, reason) && plain_fits(d, reason) && oct_cuda_name(c, "eye");
}

oct_status oct_cuda_eye_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                const oct_candidate *c, oct_cuda_op **out)
{
    plain_op *op;
    (void)c;
    OCT_TRY(plain_new(be, ctx, d, eye_run, &op));
    op->value = bits_of_one(op->dt);
    op->cols = (uint32_t)d->out[0].desc.shape.dim[1];
    op->k = ((const oct_attr_eye *)d->attr)->k;
    *out = &op->base;
    return OCT_OK;
}

/* ---- Range: start + i * delta ---- */

static __global__ void __launch_bounds__(THREADS)
    range_kernel(plain_op p, void *y, const void *start, const void *delta)
{
    const uint32_t i = oct_dev_item();
    if (i >= p.total)
        return;
    if (p.dt == OCT_DT_F64)
        ((double *)y)[i] = *(const double *)start + (double)i * *(const double *)delta;
    else if (p.dt == OCT_DT_F32)
        ((float *)y)[i] =
            (float)((double)*(const float *)start + (double)i * (double)*(const float *)delta);
    else if (p.dt == OCT_DT_S64)
        ((int64_t *)y)[i] = *(const int64_t *)start + (int64_t)i * *(const int64_t *)delta;
    else
        ((uint32_t *)y)[i] = *(const uint32_t *)start + i * *(const uint32_t *)delta;
}

static oct_status range_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const plain_op *op = (const plain_op *)base;
    if (op->total > 0)
        range_kernel<<<oct_cuda_blocks((int64_t)op->total, THREADS), THREADS, 0,
                       oct_cuda_stream_of(a)>>>(*op, a->out[0], a->in[0], a->in[2]);
    return oct_cuda_launched(ctx, "Range");
}

bool oct_cuda_range_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                          char *reason)
{
    const oct_dtype dt = d->out[0].desc.dtype;
    (void)be;
    (void)ctx;
    if (dt != OCT_DT_F32 && dt != OCT_DT_F64 && dt != OCT_DT_S64 && dt != OCT_DT_S32)
        return oct_cuda_no(reason, "type of Range");
    if (!oct_shape_is_known(&d->out[0].desc.shape))
        return oct_cuda_no(reason, "the number of elements is not known ahead");
    return plain_fits(d, reason) && oct_cuda_name(c, "range");
}

oct_status oct_cuda_range_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                  const oct_candidate *c, oct_cuda_op **out)
{
    plain_op *op;
    (void)c;
    OCT_TRY(plain_new(be, ctx, d, range_run, &op));
    *out = &op->base;
    return OCT_OK;
}

/* ---- Trilu ---- */

template <class T>
static __global__ void __launch_bounds__(THREADS)
    trilu_kernel(plain_op p, void *y, const void *x, const int64_t *k_input)
{
    const uint32_t i = oct_dev_item();
    if (i >= p.total)
        return;
    int64_t k = k_input ? *k_input : p.k;
    k = k > p.cols ? p.cols : k < -(int64_t)p.rows ? -(int64_t)p.rows : k;
    const uint32_t row = i / p.cols % p.rows, col = i % p.cols;
    const int64_t cut = row + k + (p.upper ? 0 : 1); /* first column of the right part */
    ((T *)y)[i] = (col >= cut) == p.upper ? ((const T *)x)[i] : T(0);
}

static oct_status trilu_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const plain_op *op = (const plain_op *)base;
    const int64_t *k = op->k_on_device ? (const int64_t *)a->in[1] : NULL;
    if (op->total > 0)
        LAUNCH_BY_SIZE(trilu_kernel, op, oct_cuda_stream_of(a), a->out[0], a->in[0], k);
    return oct_cuda_launched(ctx, "Trilu");
}

bool oct_cuda_trilu_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                          char *reason)
{
    (void)be;
    (void)ctx;
    if (!oct_cuda_row_major(&d->in[0]) || !oct_cuda_row_major(&d->out[0]) ||
        !oct_cuda_same_quant(&d->in[0].quant, &d->out[0].quant))
        return oct_cuda_no(reason, "Trilu takes dense row-major data");
    c->may_alias[0] = true;
    return plain_fits(d, reason) && oct_cuda_name(c, "trilu");
}

oct_status oct_cuda_trilu_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                  const oct_candidate *c, oct_cuda_op **out)
{
    const oct_shape *s = &d->in[0].desc.shape;
    plain_op *op;
    int n = 0;
    (void)c;
    OCT_TRY(plain_new(be, ctx, d, trilu_run, &op));
    op->rows = (uint32_t)s->dim[s->n_dims - 2];
    op->cols = (uint32_t)s->dim[s->n_dims - 1];
    op->upper = ((const oct_attr_trilu *)d->attr)->upper;
    op->k_on_device = !oct_cuda_ints(d, 1, &op->k, 1, &n);
    *out = &op->base;
    return OCT_OK;
}

/* ---- ReverseSequence ---- */

template <class T>
static __global__ void __launch_bounds__(THREADS)
    reverse_kernel(plain_op p, void *y, const void *x, const int64_t *lens)
{
    const uint32_t item = oct_dev_item();
    int64_t off[4];
    if (item >= p.loop.total)
        return;
    oct_dev_offsets(p.loop, item, off);
    const int64_t len = lens[off[2]], t = off[3];
    const int64_t from = t < len && len <= p.k ? len - 1 - t : t;
    ((T *)y)[off[0]] = ((const T *)x)[off[1] + (from - t) * p.time_step];
}

static oct_status reverse_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const plain_op *op = (const plain_op *)base;
    if (op->total > 0)
        LAUNCH_BY_SIZE(reverse_kernel, op, oct_cuda_stream_of(a), a->out[0], a->in[0],
                       (const int64_t *)a->in[1]);
    return oct_cuda_launched(ctx, "ReverseSequence");
}

static bool reverse_loop(const oct_op_desc *d, oct_cuda_loop *loop, char *reason)
{
    const oct_attr_reverse_sequence *at = (const oct_attr_reverse_sequence *)d->attr;
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    oct_ref_loop l;
    memset(&l, 0, sizeof l);
    for (int k = 0; k < x->shape.n_dims; k++) {
        oct_ref_loop_dim(&l, x->shape.dim[k], y->stride[k], x->stride[k]);
        l.stride[2][k] = k == at->batch_axis;
        l.stride[3][k] = k == at->time_axis;
    }
    l.n_operands = 4;
    oct_ref_loop_optimize(&l);
    return oct_cuda_loop_make(&l, 1, loop) ||
           oct_cuda_no(reason, "more than 8 dims or 2^31 elements");
}

bool oct_cuda_reverse_sequence_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                     oct_candidate *c, char *reason)
{
    oct_cuda_loop loop;
    (void)be;
    (void)ctx;
    if (d->in[1].desc.dtype != OCT_DT_S64 ||
        !oct_cuda_same_quant(&d->in[0].quant, &d->out[0].quant))
        return oct_cuda_no(reason, "types or scales");
    return reverse_loop(d, &loop, reason) && oct_cuda_name(c, "reverse_sequence");
}

oct_status oct_cuda_reverse_sequence_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                             const oct_candidate *c, oct_cuda_op **out)
{
    const oct_attr_reverse_sequence *at = (const oct_attr_reverse_sequence *)d->attr;
    char reason[OCT_REASON_BYTES];
    plain_op *op;
    (void)c;
    OCT_TRY(plain_new(be, ctx, d, reverse_run, &op));
    (void)reverse_loop(d, &op->loop, reason);
    op->time_step = d->in[0].desc.stride[at->time_axis];
    op->k = d->in[0].desc.shape.dim[at->time_axis];
    *out = &op->base;
    return OCT_OK;
}
