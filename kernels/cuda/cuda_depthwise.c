/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cuda/cuda_depthwise.h"

#include <math.h>
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
    int n_sm;
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

/* Threads of a rolling kernel that the device runs together. */
static int64_t at_once(const dw_op *op)
{
    const int bytes = (int)oct_dtype_bytes(op->dtype);
    return (int64_t)op->n_sm * OCT_DW_THREADS *
           OCT_DW_BLOCKS(bytes, op->p.kernel[0], op->p.step[0]);
}

/* How the outputs are divided among threads. */
static int64_t divide(dw_op *op, oct_dw_form form)
{
    oct_dw *p = &op->p;
    const int bytes = (int)oct_dtype_bytes(op->dtype);
    const int channels = form == OCT_DW_ONE ? 1
                         : form == OCT_DW_VECTORS
                             ? OCT_DW_VECTOR
                             : OCT_DW_CHANNELS(bytes, p->kernel[0], p->step[0]);
    p->vectors = oct_cuda_div_make(p->channels / channels);
    p->tiles = oct_cuda_div_make((p->out_w + OCT_DW_COLS - 1) / OCT_DW_COLS);
    const int64_t a_row = op->images * p->tiles.d * p->vectors.d;
    p->strip = form == OCT_DW_ROLLING ? oct_dw_strip(a_row, p, at_once(op)) : 1;
    p->lines = oct_cuda_div_make((p->out_h + p->strip - 1) / p->strip);
    return a_row * p->lines.d;
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
    if (divide(op, OCT_DW_ONE) >= INT32_MAX || !image_fits(&op->p))
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

static size_t weight_elems(const dw_op *op)
{
    return (size_t)op->p.kernel[0] * (size_t)op->p.kernel[1] * (size_t)op->p.c_pad;
}

static bool has_words(const dw_op *op)
{
    const int32_t *k = op->p.kernel;
    return oct_cuda_is_8bit(op->dtype) && k[0] == k[1] && (k[0] == 3 || k[0] == 5);
}

/* f32 weights, and behind them the words. */
static size_t weight_bytes(const dw_op *op)
{
    const size_t rows = has_words(op) ? (size_t)oct_dw_word_rows(op->p.kernel[0]) : 0;
    return (weight_elems(op) + rows * (size_t)op->p.c_pad) * sizeof(float);
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

static void fill_words(const packing *k, uint32_t *to)
{
    const int32_t size = k->op->p.kernel[0], c_pad = k->op->p.c_pad;
    for (int64_t c = 0; c < k->op->p.channels; c++) {
        uint32_t fifth = 0;
        for (int32_t row = 0; row < size; row++) {
            const int64_t at = (c * size + row) * size;
            uint32_t word = 0;
            for (int32_t i = 0; i < 4 && i < size; i++)
                word |= (uint32_t)(uint8_t)(int32_t)weight_at(k->w, c, at + i) << 8 * i;
            to[row * c_pad + c] = word;
            if (size == 5 && row < 4)
                fifth |= (uint32_t)(uint8_t)(int32_t)weight_at(k->w, c, at + 4) << 8 * row;
        }
        if (size == 5) {
            to[5 * c_pad + c] = fifth;
            to[6 * c_pad + c] = (uint32_t)(int32_t)weight_at(k->w, c, c * 25 + 24);
        }
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
    if (has_words(k->op))
        fill_words(k, (uint32_t *)host + weight_elems(k->op));
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
    const oct_dw_form form = oct_dw_form_of(&run.p, op->dtype, vector);
    run.p.threads = (uint32_t)divide(&run, form);
    return oct_cuda_check(ctx, oct_dw_launch(&run.p, op->dtype, form, stream),
                          "depthwise convolution");
}

static void dw_release(oct_cuda *be, oct_cuda_op *base)
{
    dw_op *op = (dw_op *)base;
    oct_cuda_unpack(be, op->packed);
    cudaFree(op->factors);
    cudaFree(op->tables);
}

/* Sum of the magnitudes of a channel's weights, or -1 if one, less its zero point, is no byte. */
static float channel_weights(const dw_op *op, const oct_operand *w, int64_t c)
{
    const int64_t taps = (int64_t)op->p.kernel[0] * op->p.kernel[1];
    float sum = 0.0f;
    for (int64_t t = 0; t < taps; t++) {
        const float v = weight_at(w, c, c * taps + t);
        if (v < -128.0f || v > 127.0f)
            return -1.0f;
        sum += v < 0.0f ? -v : v;
    }
    return sum;
}

/* Whether the rolling kernel's arithmetic holds: oct_dw.sums_fit and narrow. `m`, `b`: factors of all channels. */
static void judge_sums(const oct_op_desc *d, dw_op *op, const float *m, const float *b)
{
    const oct_qparams q = d->in[0].quant.q[0];
    const float lo = op->dtype == OCT_DT_S8 ? -128.0f : 0.0f, zero = (float)q.zero_point;
    const float x = fmaxf(fabsf(lo - zero), fabsf(lo + 255.0f - zero));
    const bool biased = op->bias >= 0 && d->in[op->bias].desc.dtype == OCT_DT_S32;
    const int32_t *bias = biased ? d->in[op->bias].data : NULL;
    op->p.sums_fit = !biased || bias;
    op->p.narrow = op->p.fin.out[0].rq.scaled && op->p.fin.out[0].rq.out.zero_point == 0;
    op->p.lo = (uint32_t)((int32_t)op->p.fin.lo & 0xFFFF) * 0x10001u;
    op->p.hi = (uint32_t)((int32_t)op->p.fin.hi & 0xFFFF) * 0x10001u;
    for (int32_t c = 0; c < op->p.channels && op->p.sums_fit; c++) {
        const float w = channel_weights(op, &d->in[1], c), more = bias ? fabsf((float)bias[c]) : 0;
        if (w < 0.0f || w * (255.0f + fabsf(zero)) + more > 0x1p22f - 1024.0f)
            op->p.sums_fit = false;
        if (!(fabsf(m[c]) * (w * x + more) + fabsf(b[c]) < 32000.0f))
            op->p.narrow = false;
    }
}

static oct_status know_sums(oct_ctx *ctx, const oct_op_desc *d, dw_op *op)
{
    const size_t n = (size_t)op->p.channels;
    if (!op->p.words || op->p.fin.out[0].dtype == OCT_DT_S32)
        return OCT_OK;
    float *m = oct_zalloc_array(ctx, 2 * n, sizeof *m);
    if (!m)
        return OCT_ERR_NOMEM;
    const bool real = op->bias >= 0 && d->in[op->bias].desc.dtype == OCT_DT_F32;
    oct_requant_factors(d, 0, real ? d->in[op->bias].data : NULL, op->p.channels, m, m + n);
    judge_sums(d, op, m, m + n);
    oct_free(ctx, m);
    return OCT_OK;
}

/* Bounds that f16 has may be taken of rounded results. */
static void judge_bounds(dw_op *op)
{
    const oct_cuda_finish *f = &op->p.fin;
    const uint16_t lo = oct_f16_from_f32(f->lo), hi = oct_f16_from_f32(f->hi);
    op->p.narrow =
        op->dtype == OCT_DT_F16 && oct_f32_from_f16(lo) == f->lo && oct_f32_from_f16(hi) == f->hi;
    op->p.lo = lo * 0x10001u;
    op->p.hi = hi * 0x10001u;
}

/* 1 / scale, correctly rounded; extreme scales are left to others. */
static float inverse_of(const oct_operand *y)
{
    const float s = oct_cuda_is_8bit(y->desc.dtype) ? y->quant.q[0].scale : 0.0f;
    return s > 0x1p-25f && s < 0x1p25f ? 1.0f / s : 0.0f;
}

static oct_status build(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, dw_op *op)
{
    char reason[OCT_REASON_BYTES];
    const bool integer = oct_cuda_is_8bit(d->in[0].desc.dtype);
    op->n_sm = be->n_sm;
    if (!plan(op, ctx, d, reason))
        return oct_fail(ctx, OCT_ERR_BUG, "%s: %s", oct_op_name(d->op), reason);
    op->bias = oct_cuda_bias_input(d);
    op->residual = d->epilogue.residual;
    if (integer) {
        const int32_t zero = d->in[0].quant.q[0].zero_point;
        op->p.x_zero = (float)(zero + (op->dtype == OCT_DT_S8 ? 128 : 0));
        op->p.pad_word = (uint32_t)(zero & 0xFF) * 0x01010101u;
        op->p.inverse = inverse_of(&d->out[0]);
    }
    OCT_TRY(oct_cuda_finish_make(be, ctx, d, integer, op->p.channels, &op->p.fin, &op->factors));
    if (!integer && op->p.fin.is_short)
        judge_bounds(op);
    if (!d->in[1].data)
        return prepare_packing(be, ctx, d, op);
    const packing k = {op, &d->in[1]};
    OCT_TRY(oct_cuda_pack_get(be, ctx, d->in[1].const_key, weight_format(&d->in[1]),
                              weight_bytes(op), (oct_cuda_pack){fill_weights, &k}, &op->packed));
    if (has_words(op))
        op->p.words = (const uint32_t *)op->packed + weight_elems(op);
    return know_sums(ctx, d, op);
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
