/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/conv_q8_internal.h"

#include <math.h>

#define CHUNK_TILES 8
#define COPY_BYTES (256 * 1024) /* of rows copied at once, so that they stay in L2 */

static bool is_8bit(oct_dtype dt)
{
    return dt == OCT_DT_S8 || dt == OCT_DT_U8;
}

/* ---- shapes --------------------------------------------------------------------------------- */

static void conv_source(oct_q8_conv *op, const oct_op_desc *d)
{
    const oct_cpu_window *w = &op->win;
    op->taps = (size_t)oct_cpu_window_taps(w);
    op->k = (size_t)(w->in_channels / w->group);
    op->n = (size_t)(w->out_channels / w->group);
    oct_q8_source *s = &op->source;
    s->group_step = (ptrdiff_t)(op->taps * op->k * op->n);
    s->tap_step = 1;
    s->k_step = (ptrdiff_t)(w->transposed ? op->n * op->taps : op->taps);
    s->n_step = (ptrdiff_t)(w->transposed ? op->taps : op->k * op->taps);
}

static bool row_major(const oct_operand *o)
{
    return oct_cpu_dense(o) && o->desc.layout == OCT_LAYOUT_ROW;
}

/* A product as a 1x1 convolution: rows are pixels. */
static bool product_window(oct_q8_conv *op, const oct_op_desc *d, char *reason)
{
    const oct_shape *b = &d->in[1].desc.shape;
    const oct_attr_gemm *at = d->op == OCT_OP_GEMM ? d->attr : NULL;
    if (b->n_dims != 2 || d->in[0].desc.shape.n_dims < 2 || (at && at->trans_a))
        return oct_cpu_no(reason, "batched or vector weights, or transA");
    if (!row_major(&d->in[0]) || !row_major(&d->out[0]))
        return oct_cpu_no(reason, "needs dense row-major rows");
    const bool transposed = at && at->trans_b;
    oct_cpu_window *w = &op->win;
    op->n = (size_t)b->dim[transposed ? 0 : 1];
    op->k = (size_t)b->dim[transposed ? 1 : 0];
    op->taps = 1;
    op->source.k_step = transposed ? 1 : (ptrdiff_t)op->n;
    op->source.n_step = transposed ? (ptrdiff_t)op->k : 1;
    w->batch = w->group = 1;
    w->in_channels = w->x_axis[2] = (int64_t)op->k;
    w->out_channels = w->y_axis[2] = (int64_t)op->n;
    w->x_channel = w->y_channel = 1;
    for (int a = 0; a < 3; a++)
        w->w.in[a] = w->w.out[a] = w->w.kernel[a] = w->w.stride[a] = w->w.dilation[a] = 1;
    w->w.in[2] = w->w.out[2] = op->k ? (int64_t)(oct_cpu_elems(&d->in[0]) / op->k) : 0;
    w->n_spatial = 1;
    return true;
}

/* ---- types ---------------------------------------------------------------------------------- */

static bool types_fit(const oct_op_desc *d, char *reason)
{
    if (!is_8bit(d->in[0].desc.dtype) || !is_8bit(d->in[1].desc.dtype) || d->in[0].quant.n != 1 ||
        d->in[1].quant.n < 1)
        return oct_cpu_no(reason, "operands are not 8-bit with scales");
    if (!d->in[1].data)
        return oct_cpu_no(reason, "weights are not constant");
    for (int i = 0; i < d->n_out; i++) {
        const oct_dtype dt = d->out[i].desc.dtype;
        if (!(is_8bit(dt) && d->out[i].quant.n == 1) && dt != OCT_DT_F32 && dt != OCT_DT_S32)
            return oct_cpu_no(reason, "type of the output");
    }
    return d->n_out <= 2 || oct_cpu_no(reason, "more than two outputs");
}

static bool bias_fits(const oct_q8_conv *op, const oct_op_desc *d)
{
    if (!oct_operand_present(d, 2) || d->epilogue.residual == 2)
        return true;
    const oct_dtype dt = d->in[2].desc.dtype;
    return d->in[2].data && (dt == OCT_DT_F32 || dt == OCT_DT_S32) &&
           oct_cpu_elems(&d->in[2]) == (size_t)op->win.out_channels;
}

/* Where the second output and the residual lie. */
static bool others_fit(oct_q8_conv *op, const oct_op_desc *d, char *reason)
{
    const bool product = d->op == OCT_OP_GEMM || d->op == OCT_OP_MATMUL;
    const oct_tensor_desc *y = &d->out[0].desc;
    if (d->n_out == 2 && memcmp(y->stride, d->out[1].desc.stride,
                                sizeof y->stride[0] * (size_t)y->shape.n_dims) != 0)
        return oct_cpu_no(reason, "outputs of different layout");
    op->residual = d->epilogue.residual;
    if (op->residual < 0)
        return true;
    const oct_operand *r = &d->in[op->residual];
    if (!oct_shape_equal(&r->desc.shape, &y->shape) ||
        !(r->desc.dtype == OCT_DT_F32 || (is_8bit(r->desc.dtype) && r->quant.n == 1)))
        return oct_cpu_no(reason, "type or shape of the residual");
    op->finish.residual = r->desc.dtype;
    op->residual_bytes = oct_dtype_bytes(r->desc.dtype);
    if (product) {
        op->residual_axis[2] = (int64_t)op->n;
        return row_major(r) || oct_cpu_no(reason, "layout of the residual");
    }
    op->residual_batch = r->desc.stride[0];
    const int n = op->win.n_spatial;
    for (int a = 3 - n; a < 3; a++)
        op->residual_axis[a] = r->desc.stride[2 + a - (3 - n)];
    return r->desc.stride[1] == 1 || oct_cpu_no(reason, "layout of the residual");
}

/* ---- choosing kernels ----------------------------------------------------------------------- */

static int32_t zero_of(const oct_quant *q, size_t channel)
{
    return q->q[q->n == 1 ? 0 : channel % (size_t)q->n].zero_point;
}

/* Weights less their zero points fit s8. */
static bool weights_fit_s8(const oct_q8_conv *op)
{
    const oct_q8_source *s = &op->source;
    if (s->is_signed) {
        for (int i = 0; i < s->quant->n; i++)
            if (s->quant->q[i].zero_point != 0)
                return false;
        return true;
    }
    for (int i = 0; i < s->quant->n; i++)
        if (s->quant->q[i].zero_point != 128)
            return false;
    return true;
}

static void choose(oct_q8_conv *op)
{
    const bool vnni = op->kernels->tile[OCT_Q8_U8S8] && weights_fit_s8(op);
    const size_t width = vnni ? 1 : 2;
    op->kind = !vnni ? OCT_Q8_S16 : op->x_signed ? OCT_Q8_S8U8 : OCT_Q8_U8S8;
    op->depthwise = op->win.group > 1 && op->k == 1 && op->n == 1;
    op->rows = op->depthwise ? OCT_Q8_DW_PIXELS : op->kernels->rows;
    op->panels = (op->n + op->kernels->panel - 1) / op->kernels->panel;
    op->copies = !op->depthwise && (!vnni || op->k % 4 != 0);
    const oct_cpu_window *c = &op->win;
    const bool joined = c->w.dilation[2] == 1 && c->x_axis[2] == c->in_channels && c->group == 1;
    op->run = joined && !c->transposed ? (size_t)c->w.kernel[2] : 1;
    op->lanes_copied = (op->taps * op->k * width + 3) / 4;
}

/* The fast depthwise form: weights that fit s8, one 8-bit output, no residual. */
static bool fits_dw_vnni(const oct_q8_conv *op, const oct_op_desc *d)
{
    return op->depthwise && op->kernels->tile[OCT_Q8_U8S8] && weights_fit_s8(op) && d->n_out == 1 &&
           is_8bit(d->out[0].desc.dtype) && d->epilogue.residual < 0;
}

static void set_blocks(oct_q8_conv *op)
{
    const size_t threads = (size_t)op->threads;
    op->pixels = (size_t)(op->win.batch * oct_cpu_window_out_pixels(&op->win));
    const size_t share = op->pixels / threads / 4 + 1;
    size_t tiles = oct_min_size(CHUNK_TILES, (share + op->rows - 1) / op->rows);
    const size_t row = op->lanes_copied * 4 * op->rows;
    if (op->copies && tiles * row > COPY_BYTES)
        tiles = oct_max_size(1, COPY_BYTES / row);
    op->chunk = tiles * op->rows;
    op->splits = 1;
    if (!op->depthwise && (op->pixels + op->chunk - 1) / op->chunk < threads)
        op->splits = oct_min_size(threads, op->panels);
}

/* Pixels of a tensor at one distance, images included. */
static bool evenly_spaced(const int64_t size[3], int64_t batch, const int64_t axis[3])
{
    return axis[1] == size[2] * axis[2] && (size[0] == 1 || axis[0] == size[1] * axis[1]) &&
           batch == size[0] * size[1] * size[2] * axis[2];
}

static bool is_linear(const oct_q8_conv *op)
{
    const oct_cpu_window *c = &op->win;
    for (int a = 0; a < 3; a++)
        if (c->w.kernel[a] != 1 || c->w.stride[a] != 1 || c->w.pad_lo[a] != 0 ||
            c->w.in[a] != c->w.out[a])
            return false;
    if (op->residual >= 0 && !evenly_spaced(c->w.out, op->residual_batch, op->residual_axis))
        return false;
    return evenly_spaced(c->w.in, c->x_batch, c->x_axis) &&
           evenly_spaced(c->w.out, c->y_batch, c->y_axis);
}

bool oct_q8_conv_plan(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_q8_conv *op,
                      char *reason)
{
    const bool product = d->op == OCT_OP_GEMM || d->op == OCT_OP_MATMUL;
    if (!types_fit(d, reason))
        return false;
    if (oct_cpu_elems(&d->in[0]) == 0 || oct_cpu_elems(&d->out[0]) == 0)
        return oct_cpu_no(reason, "empty tensor");
    if (product) {
        if (!product_window(op, d, reason))
            return false;
    } else {
        if (!oct_cpu_window_init(&op->win, ctx, d) || op->win.x_channel != 1 ||
            op->win.y_channel != 1)
            return oct_cpu_no(reason, "needs channels-last and at most 3 spatial axes");
        conv_source(op, d);
    }
    if (!bias_fits(op, d))
        return oct_cpu_no(reason, "bias is computed or of another shape");
    op->source.w = d->in[1].data;
    op->source.is_signed = d->in[1].desc.dtype == OCT_DT_S8;
    op->source.quant = &d->in[1].quant;
    op->x_signed = d->in[0].desc.dtype == OCT_DT_S8;
    op->x_zero = d->in[0].quant.q[0].zero_point;
    op->kernels = oct_gemm_q8_get(&be->isa);
    op->threads = d->threads;
    op->finish.n_out = d->n_out;
    for (int i = 0; i < d->n_out; i++)
        op->out_bytes[i] = oct_dtype_bytes(d->out[i].desc.dtype);
    choose(op);
    set_blocks(op);
    if (!others_fit(op, d, reason))
        return false;
    op->linear = is_linear(op);
#if defined(OCT_X86)
    op->direct.on = oct_q8_direct_plan(op);
    op->dw.on = fits_dw_vnni(op, d) && oct_q8_dw_plan(op);
#endif
    return true;
}

/* ---- packing -------------------------------------------------------------------------------- */

static int32_t weight_at(const oct_q8_conv *op, size_t group, size_t tap, size_t k, size_t n)
{
    const oct_q8_source *s = &op->source;
    const ptrdiff_t at = (ptrdiff_t)group * s->group_step + (ptrdiff_t)tap * s->tap_step +
                         (ptrdiff_t)k * s->k_step + (ptrdiff_t)n * s->n_step;
    const int32_t raw = s->is_signed ? ((const int8_t *)s->w)[at] : s->w[at];
    return raw - zero_of(s->quant, group * op->n + n);
}

/* Lane `lane` of the joined [tap][k] axis; elements past the end are 0. */
static uint32_t lane_at(const oct_q8_conv *op, size_t group, size_t n, size_t lane)
{
    const size_t per_lane = op->kind == OCT_Q8_S16 ? 2 : 4;
    const int32_t shift = op->kind == OCT_Q8_S8U8 ? 128 : 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < per_lane; i++) {
        const size_t at = lane * per_lane + i;
        if (at >= op->taps * op->k)
            break;
        const int32_t w = weight_at(op, group, at / op->k, at % op->k, n) + shift;
        if (per_lane == 2)
            bits |= (uint32_t)(uint16_t)w << 16 * i;
        else
            bits |= (uint32_t)(uint8_t)w << 8 * i;
    }
    return bits;
}

static size_t lanes_of(const oct_q8_conv *op)
{
    return op->copies ? op->lanes_copied : op->taps * op->k / 4;
}

static size_t packed_lanes(const oct_q8_conv *op)
{
#if defined(OCT_X86)
    if (op->direct.on)
        return oct_q8_direct_lanes(op);
    if (op->dw.on)
        return oct_q8_dw_lanes(op);
#endif
    if (op->depthwise)
        return op->taps * (size_t)op->win.in_channels;
    return (size_t)op->win.group * op->panels * op->kernels->panel * lanes_of(op);
}

static oct_status pack(void *user, oct_ctx *ctx, void *dst)
{
    const oct_q8_conv *op = user;
    uint32_t *out = dst;
    (void)ctx;
#if defined(OCT_X86)
    if (op->direct.on)
        return oct_q8_direct_pack(op, ctx, out);
    if (op->dw.on) {
        oct_q8_dw_pack(op, out);
        return OCT_OK;
    }
#endif
    if (op->depthwise) {
        for (size_t t = 0; t < op->taps; t++)
            for (size_t c = 0; c < (size_t)op->win.in_channels; c++)
                *out++ = (uint16_t)weight_at(op, c, t, 0, 0);
        return OCT_OK;
    }
    const size_t panel = op->kernels->panel;
    for (size_t g = 0; g < (size_t)op->win.group; g++)
        for (size_t first = 0; first < op->n; first += panel)
            for (size_t lane = 0; lane < lanes_of(op); lane++)
                for (size_t j = 0; j < panel; j++)
                    *out++ = first + j < op->n ? lane_at(op, g, first + j, lane) : 0;
    return OCT_OK;
}

/* Sum of a channel's weights, less their zero points. */
static uint32_t weight_sum(const oct_q8_conv *op, size_t group, size_t n)
{
    const oct_q8_source *s = &op->source;
    const size_t terms = op->taps * op->k;
    const bool dense = s->is_signed && (op->taps == 1 || s->tap_step == 1) &&
                       (op->k == 1 || s->k_step == (ptrdiff_t)op->taps);
    uint32_t sum = 0;
    if (dense) {
        const int8_t *w =
            (const int8_t *)s->w + (ptrdiff_t)group * s->group_step + (ptrdiff_t)n * s->n_step;
        int32_t total = 0;
        for (size_t i = 0; i < terms; i++)
            total += w[i];
        return (uint32_t)total - (uint32_t)terms * (uint32_t)zero_of(s->quant, group * op->n + n);
    }
    for (size_t t = 0; t < op->taps; t++)
        for (size_t k = 0; k < op->k; k++)
            sum += (uint32_t)weight_at(op, group, t, k, n);
    return sum;
}

/* s32 bias, and what the zero point of the input adds to every sum. s16 rows have theirs taken
 * off already. */
static void set_comp(oct_q8_conv *op, const oct_op_desc *d)
{
    const bool has_bias =
        oct_operand_present(d, 2) && d->epilogue.residual != 2 && d->in[2].desc.dtype == OCT_DT_S32;
    const int32_t *bias = has_bias ? d->in[2].data : NULL;
    const bool subtract = op->depthwise || op->kind != OCT_Q8_S16;
    const int32_t zero = op->x_zero + ((op->dw.on || op->direct.on) && op->x_signed ? 128 : 0);
    for (size_t c = 0; c < (size_t)op->win.out_channels; c++) {
        const uint32_t sum = subtract && zero != 0 ? weight_sum(op, c / op->n, c % op->n) : 0;
        op->comp[c] = (int32_t)((bias ? (uint32_t)bias[c] : 0) - (uint32_t)zero * sum);
    }
}

static void set_factors(oct_q8_conv *op, const oct_op_desc *d)
{
    const size_t n = (size_t)op->win.out_channels;
    const bool has_bias =
        oct_operand_present(d, 2) && d->epilogue.residual != 2 && d->in[2].desc.dtype == OCT_DT_F32;
    for (int o = 0; o < d->n_out; o++) {
        oct_q8_out *out = &op->finish.out[o];
        out->dtype = d->out[o].desc.dtype;
        if (out->dtype == OCT_DT_S32)
            continue;
        float *m = op->factors + 2 * (size_t)o * n;
        oct_requant_factors(d, o, has_bias ? d->in[2].data : NULL, (int64_t)n, m, m + n);
        out->rq = oct_requant_make(d, o);
        out->m = m;
        out->b = m + n;
    }
}

bool oct_q8_is_tame(const oct_q8_conv *op)
{
    const oct_q8_out *o = &op->finish.out[0];
    const double terms = (double)(op->taps * op->k) * 255.0 * 128.0;
    const double slope = fmax(1.0, fmax(fabs(o->rq.a), fabs(o->rq.b)));
    const double factor = slope * (o->rq.scaled ? 1.0 : 1.0 / o->rq.out.scale);
    for (size_t c = 0; c < (size_t)op->win.out_channels; c++) {
        const double sum = (terms + fabs((double)op->comp[c])) * fabs(o->m[c]);
        if (!((sum + fabs(o->b[c]) + 512.0 * fabs(o->rq.r) + 1.0) * factor < 1e9))
            return false;
    }
    return true;
}

oct_status oct_q8_conv_pack(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_q8_conv *op)
{
    const size_t n = (size_t)op->win.out_channels, c = (size_t)op->win.in_channels;
    op->comp = oct_alloc_array(ctx, n, sizeof *op->comp);
    op->factors = oct_alloc_array(ctx, n * 2 * (size_t)d->n_out, sizeof *op->factors);
    uint8_t *padding = oct_alloc(ctx, c);
    op->delta = oct_alloc_array(ctx, op->taps * (size_t)op->win.group, sizeof *op->delta);
    op->padding = padding;
    if (!op->comp || !op->factors || !padding || !op->delta)
        return OCT_ERR_NOMEM;
    memset(padding, (uint8_t)op->x_zero, c);
    oct_tap_deltas(&op->win, 1, op->delta);
    set_comp(op, d);
    set_factors(op, d);
    op->finish.comp = op->comp;
#if defined(OCT_X86)
    if (op->direct.on) {
        oct_q8_direct_deltas(op, op->delta);
        OCT_TRY(oct_q8_direct_params(op, ctx));
    }
    if (op->dw.on)
        OCT_TRY(oct_q8_dw_params(op, ctx));
#endif
    const uint64_t format = (uint64_t)op->taps << 48 | (uint64_t)(op->direct.run & 255) << 40 |
                            (uint64_t)op->win.group << 16 | (uint64_t)op->direct.on << 7 |
                            (uint64_t)op->kernels->panel << 8 | (uint64_t)op->dw.on << 6 |
                            (uint64_t)op->copies << 5 | (uint64_t)op->kind << 3 |
                            (op->source.k_step == 1) * 4u | op->win.transposed * 2u;
    return oct_pack_get(be->packs, ctx, d->in[1].const_key, format,
                        packed_lanes(op) * sizeof(uint32_t), pack, op, &op->weights);
}

void oct_q8_conv_deinit(oct_cpu *be, oct_q8_conv *op)
{
    oct_pack_put(be->packs, op->weights);
    oct_free(be->ctx, op->comp);
    oct_free(be->ctx, op->factors);
    oct_free(be->ctx, op->delta);
    oct_free(be->ctx, op->lane_params);
    oct_free(be->ctx, (void *)op->padding);
}
