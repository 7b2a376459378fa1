/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cuda/cuda_depthwise.h"

#include <stdio.h>

#include "base/numeric.h"
#include "kernels/cuda/cuda_simt_op.h"
#include "kernels/window.h"

#define C_PAD OCT_DW_VECTOR /* weights are padded to vectors */

typedef struct dw_op {
    oct_cuda_op base;
    oct_dw p;
    oct_dtype dtype;
    int bias, residual;
    int64_t images;
    bool vector;        /* strides permit vectors */
    const void *packed; /* constant weights, or NULL: packed while running */
    void *factors;
    oct_simt_pack pack;
    void *tables;
} dw_op;

/* ---- what can be served ---- */

static bool is_depthwise(const oct_op_desc *d, char *reason)
{
    const oct_attr_window *at = d->attr;
    const oct_shape *x = &d->in[0].desc.shape, *w = &d->in[1].desc.shape;
    if (d->op != OCT_OP_CONV || x->n_dims < 3 || x->n_dims > 4 || w->n_dims != x->n_dims)
        return oct_cuda_no(reason, "not a convolution with one or two axes");
    if (at->group != x->dim[1] || w->dim[0] != x->dim[1] || w->dim[1] != 1 || at->group == 1)
        return oct_cuda_no(reason, "not depthwise");
    return true;
}

static bool types_ok(const oct_op_desc *d, char *reason)
{
    const oct_operand *x = &d->in[0], *w = &d->in[1];
    const bool integer = oct_cuda_is_8bit(x->desc.dtype);
    if (!oct_cuda_finish_ok(d, integer, reason))
        return false;
    if (!oct_cuda_finish_act_is_short(d->epilogue.act))
        return oct_cuda_no(reason, "activation");
    if (integer && !w->data)
        return oct_cuda_no(reason, "computed 8-bit weights");
    if (w->desc.layout != OCT_LAYOUT_ROW || !oct_cuda_dense(w))
        return oct_cuda_no(reason, "strided weights");
    return true;
}

static bool channels_innermost(const oct_op_desc *d, char *reason)
{
    const int r = d->epilogue.residual;
    bool ok = d->in[0].desc.stride[1] == 1 && (r < 0 || d->in[r].desc.stride[1] == 1);
    for (int o = 0; o < d->n_out; o++)
        ok = ok && d->out[o].desc.stride[1] == 1;
    return ok || oct_cuda_no(reason, "channels are not innermost");
}

static bool set_window(dw_op *op, oct_ctx *ctx, const oct_op_desc *d, char *reason)
{
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    const int n = x->shape.n_dims - 2;
    oct_window own;
    if (oct_window_resolve(ctx, d->op, d->attr, &x->shape, &d->in[1].desc.shape, &own) != OCT_OK) {
        oct_error_clear(ctx);
        return oct_cuda_no(reason, "window");
    }
    const oct_window w = oct_window_to_3d(&own);
    const oct_simt_strides xs = oct_simt_strides_of(x);
    oct_dw *p = &op->p;
    p->channels = (int32_t)x->shape.dim[1];
    p->c_pad = (p->channels + C_PAD - 1) / C_PAD * C_PAD;
    p->in_h = (int32_t)w.in[1];
    p->in_w = (int32_t)w.in[2];
    p->out_w = (int32_t)y->shape.dim[1 + n];
    p->out_h = (int32_t)(n == 2 ? y->shape.dim[2] : 1);
    op->images = x->shape.dim[0];
    for (int i = 0; i < 2; i++) {
        p->kernel[i] = (int32_t)w.kernel[1 + i];
        p->step[i] = (int32_t)w.stride[1 + i];
        p->dilation[i] = (int32_t)w.dilation[1 + i];
        p->origin[i] = (int32_t)-w.pad_lo[1 + i];
    }
    p->x_batch = xs.batch;
    p->x_row = (int32_t)xs.axis[1];
    p->x_col = (int32_t)xs.axis[2];
    return true;
}

static bool in_vectors(const oct_simt_strides *s, int64_t n)
{
    return s->batch % n == 0 && s->axis[1] % n == 0 && s->axis[2] % n == 0;
}

static void set_strides(dw_op *op, const oct_op_desc *d)
{
    const int64_t n = OCT_DW_VECTOR;
    oct_dw *p = &op->p;
    for (int o = 0; o < d->n_out; o++)
        p->y[o] = oct_simt_strides_of(&d->out[o].desc);
    if (d->epilogue.residual >= 0)
        p->y[2] = oct_simt_strides_of(&d->in[d->epilogue.residual].desc);
    op->vector =
        p->channels % n == 0 && p->x_batch % n == 0 && p->x_row % n == 0 && p->x_col % n == 0;
    for (int i = 0; i < 3; i++)
        op->vector = op->vector && in_vectors(&p->y[i], n);
}

/* How the outputs are divided among threads. */
static int64_t divide(dw_op *op, bool vector)
{
    oct_dw *p = &op->p;
    int n_rows, n_cols;
    oct_dw_tile(p, vector, &n_rows, &n_cols);
    p->vectors = oct_cuda_div_make(p->channels / (vector ? OCT_DW_VECTOR : 1));
    p->tiles = oct_cuda_div_make((p->out_w + n_cols - 1) / n_cols);
    p->lines = oct_cuda_div_make((p->out_h + n_rows - 1) / n_rows);
    return op->images * p->lines.d * p->tiles.d * p->vectors.d;
}

/* Offsets inside an image are 32-bit on the device. */
static bool image_fits(const oct_dw *p)
{
    return (int64_t)p->x_row * p->in_h + (int64_t)p->x_col * p->in_w < INT32_MAX / 2;
}

static bool plan(dw_op *op, oct_ctx *ctx, const oct_op_desc *d, char *reason)
{
    if (!is_depthwise(d, reason) || !types_ok(d, reason) || !channels_innermost(d, reason))
        return false;
    if (oct_cuda_elems(&d->in[0]) == 0 || oct_cuda_elems(&d->out[0]) == 0)
        return oct_cuda_no(reason, "empty tensor");
    op->dtype = d->in[0].desc.dtype;
    if (!set_window(op, ctx, d, reason))
        return false;
    set_strides(op, d);
    if (oct_cuda_is_8bit(op->dtype) && (int64_t)op->p.kernel[0] * op->p.kernel[1] > OCT_DW_MAX_TAPS)
        return oct_cuda_no(reason, "window of an 8-bit depthwise convolution");
    if (divide(op, false) >= INT32_MAX || !image_fits(&op->p))
        return oct_cuda_no(reason, "size");
    return true;
}

bool oct_cuda_depthwise_serves(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, char *reason)
{
    dw_op op;
    (void)be;
    memset(&op, 0, sizeof op);
    return plan(&op, ctx, d, reason);
}

static size_t weight_bytes(const dw_op *op)
{
    return (size_t)op->p.kernel[0] * (size_t)op->p.kernel[1] * (size_t)op->p.c_pad * sizeof(float);
}

static bool query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c, char *reason)
{
    dw_op op;
    (void)be;
    memset(&op, 0, sizeof op);
    if (!plan(&op, ctx, d, reason))
        return false;
    c->workspace_bytes = d->in[1].data ? 0 : weight_bytes(&op);
    snprintf(c->name, sizeof c->name, "cuda:depthwise:%s:%dx%d", oct_dtype_str(op.dtype),
             op.p.kernel[0], op.p.kernel[1]);
    return true;
}

/* ---- weights ---- */

typedef struct packing {
    const dw_op *op;
    const oct_operand *w;
} packing;

static float weight_at(const oct_operand *w, int64_t channel, int64_t at)
{
    const oct_quant *q = &w->quant;
    const int32_t zero = q->n == 0 ? 0 : q->q[q->n == 1 ? 0 : channel % q->n].zero_point;
    switch (w->desc.dtype) {
    case OCT_DT_F32:
        return ((const float *)w->data)[at];
    case OCT_DT_F16:
        return oct_f32_from_f16(((const uint16_t *)w->data)[at]);
    case OCT_DT_S8:
        return (float)(((const int8_t *)w->data)[at] - zero);
    default:
        return (float)(((const uint8_t *)w->data)[at] - zero);
    }
}

static void fill_weights(const void *user, void *host, size_t bytes)
{
    const packing *k = user;
    const int64_t taps = (int64_t)k->op->p.kernel[0] * k->op->p.kernel[1];
    float *to = host;
    (void)bytes;
    for (int64_t c = 0; c < k->op->p.channels; c++)
        for (int64_t t = 0; t < taps; t++)
            to[t * k->op->p.c_pad + c] = weight_at(k->w, c, c * taps + t);
}

static uint64_t weight_format(const oct_operand *w)
{
    uint64_t h = 0x6477; /* "dw" */
    for (int32_t i = 0; i < w->quant.n; i++)
        h = h * 1099511628211u + (uint64_t)(int64_t)w->quant.q[i].zero_point + 1;
    return h;
}

/* Tables for packing on the device: weight (tap, channel) is element channel * taps + tap. */
static oct_status prepare_packing(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, dw_op *op)
{
    const int64_t taps = (int64_t)op->p.kernel[0] * op->p.kernel[1];
    int64_t *host = oct_zalloc_array(ctx, (size_t)taps + 1, sizeof *host);
    if (!host)
        return OCT_ERR_NOMEM;
    for (int64_t t = 0; t < taps; t++)
        host[1 + t] = t;
    const oct_status st =
        oct_cuda_upload(be, ctx, host, ((size_t)taps + 1) * sizeof *host, &op->tables);
    oct_free(ctx, host);
    op->pack = (oct_simt_pack){.dtype = d->in[1].desc.dtype,
                               .z_off = op->tables,
                               .k_off = (const int64_t *)op->tables + 1,
                               .n_step = taps,
                               .n_z = 1,
                               .k_pad = (int32_t)taps,
                               .n = op->p.channels,
                               .n_pad = op->p.c_pad};
    return st;
}

/* ---- running ---- */

static bool is_aligned(const void *p, oct_dtype dt, int64_t n)
{
    const size_t bytes = (size_t)n * oct_dtype_bytes(dt);
    return (uintptr_t)p % (bytes < 16 ? bytes : 16) == 0;
}

static bool pointers_fit(const dw_op *op, const oct_cuda_finish *f, const void *x)
{
    const int64_t n = OCT_DW_VECTOR;
    bool ok = op->vector && is_aligned(x, op->dtype, n);
    for (int o = 0; o < f->n_out; o++)
        ok = ok && is_aligned(f->out[o].data, f->out[o].dtype, n);
    ok = ok && (!f->residual || is_aligned(f->residual, f->residual_dtype, n));
    return ok && (!f->bias || is_aligned(f->bias, f->bias_dtype, n));
}

static oct_status dw_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const dw_op *op = (const dw_op *)base;
    const cudaStream_t stream = a->stream ? a->stream->s : 0;
    dw_op run = *op;
    run.p.x = a->in[0];
    run.p.w = op->packed;
    if (!op->packed) {
        oct_simt_pack pack = op->pack;
        pack.w = a->in[1];
        pack.out = a->workspace;
        run.p.w = a->workspace;
        OCT_TRY(oct_cuda_check(ctx, oct_simt_pack_run(&pack, stream), "packing weights"));
    }
    oct_cuda_finish_bind(&run.p.fin, a, op->bias, op->residual);
    const bool vector = pointers_fit(op, &run.p.fin, run.p.x);
    run.p.threads = (uint32_t)divide(&run, vector);
    return oct_cuda_check(ctx, oct_dw_launch(&run.p, op->dtype, vector, stream),
                          "depthwise convolution");
}

static void dw_release(oct_cuda *be, oct_cuda_op *base)
{
    dw_op *op = (dw_op *)base;
    oct_cuda_unpack(be, op->packed);
    cudaFree(op->factors);
    cudaFree(op->tables);
}

static oct_status build(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, dw_op *op)
{
    char reason[OCT_REASON_BYTES];
    const bool integer = oct_cuda_is_8bit(d->in[0].desc.dtype);
    if (!plan(op, ctx, d, reason))
        return oct_fail(ctx, OCT_ERR_BUG, "%s: %s", oct_op_name(d->op), reason);
    op->bias = oct_cuda_bias_input(d);
    op->residual = d->epilogue.residual;
    if (integer)
        op->p.x_zero = (float)(d->in[0].quant.q[0].zero_point + (op->dtype == OCT_DT_S8 ? 128 : 0));
    OCT_TRY(oct_cuda_finish_make(be, ctx, d, integer, op->p.channels, &op->p.fin, &op->factors));
    if (!d->in[1].data)
        return prepare_packing(be, ctx, d, op);
    const packing k = {op, &d->in[1]};
    return oct_cuda_pack_get(be, ctx, d->in[1].const_key, weight_format(&d->in[1]),
                             weight_bytes(op), (oct_cuda_pack){fill_weights, &k}, &op->packed);
}

static oct_status prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, const oct_candidate *c,
                          oct_cuda_op **out)
{
    dw_op *op = oct_cuda_op_new(be, ctx, sizeof *op);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->base.run = dw_run;
    op->base.release = dw_release;
    const oct_status st = build(be, ctx, d, op);
    if (st != OCT_OK) {
        dw_release(be, &op->base);
        oct_free(be->ctx, op);
        return st;
    }
    *out = &op->base;
    return OCT_OK;
}

static const oct_cuda_row rows[] = {
    {OCT_OP_CONV, query, prepare},
};
const oct_cuda_rows oct_cuda_rows_depthwise = {rows, sizeof rows / sizeof rows[0]};
