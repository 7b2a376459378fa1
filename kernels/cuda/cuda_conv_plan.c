/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cuda/cuda_conv_plan.h"

#include <math.h>

#include "kernels/window.h"

#define PIECE 16
#define STEM_PIXELS 128
#define STEM_K_ALIGN 32
#define MAX_EXTENT (((int64_t)1 << 31) - ((int64_t)1 << 26)) /* bytes that an offset may reach */
#define MAX_PIXELS (((int64_t)1 << 31) - 1024)
#define MAX_COORD 32000 /* places of the gather table are 16 bits */

static int64_t align_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

/* ---- types ---- */

static bool type_of(const oct_op_desc *d, oct_conv_plan *p, char *reason)
{
    const oct_dtype x = d->in[0].desc.dtype, w = d->in[1].desc.dtype;
    if (oct_cuda_is_8bit(x) && oct_cuda_is_8bit(w)) {
        if (d->in[0].quant.n != 1 || d->in[1].quant.n < 1)
            return oct_cuda_no(reason, "8-bit operands without scales");
        p->type = x == OCT_DT_S8 ? OCT_MMA_S8 : OCT_MMA_U8;
        p->elem = 1;
        return true;
    }
    if (x == OCT_DT_F16 && oct_cuda_is_real(w)) {
        p->type = OCT_MMA_F16;
        p->elem = 2;
        return true;
    }
    if (x == OCT_DT_F32 && w == OCT_DT_F32 && d->tf32) {
        p->type = OCT_MMA_TF32;
        p->elem = 4;
        return true;
    }
    return oct_cuda_no(reason, "not a type of the tensor cores");
}

static bool is_integer(const oct_conv_plan *p)
{
    return p->type == OCT_MMA_S8 || p->type == OCT_MMA_U8;
}

static bool element_fits(const oct_operand *o)
{
    return oct_cuda_is_real(o->desc.dtype) || (oct_cuda_is_8bit(o->desc.dtype) && o->quant.n == 1);
}

static bool outputs_fit(const oct_op_desc *d, const oct_conv_plan *p, char *reason)
{
    if (d->n_out > 2)
        return oct_cuda_no(reason, "more than two outputs");
    for (int i = 0; i < d->n_out; i++)
        if (!element_fits(&d->out[i]) && !(is_integer(p) && d->out[i].desc.dtype == OCT_DT_S32))
            return oct_cuda_no(reason, "type of the output");
    const int r = d->epilogue.residual;
    if (r < 0)
        return true;
    if (r >= d->n_in || !element_fits(&d->in[r]) ||
        !oct_shape_equal(&d->in[r].desc.shape, &d->out[0].desc.shape))
        return oct_cuda_no(reason, "type or shape of the residual");
    return true;
}

/* The bias: a constant per output channel. */
static bool bias_fits(const oct_op_desc *d, oct_conv_plan *p, int64_t channels, char *reason)
{
    if (!oct_cuda_present(d, 2) || d->epilogue.residual == 2)
        return true;
    const oct_operand *b = &d->in[2];
    p->s32_bias = is_integer(p) && b->desc.dtype == OCT_DT_S32;
    p->f32_bias = oct_cuda_is_real(b->desc.dtype);
    const oct_shape *s = &b->desc.shape;
    if (!b->data || !(p->s32_bias || p->f32_bias) || oct_cuda_elems(b) != (size_t)channels ||
        s->n_dims < 1 || s->dim[s->n_dims - 1] != channels)
        return oct_cuda_no(reason, "bias is not a constant per channel");
    if (p->s32_bias && p->beta != 1.0f)
        return oct_cuda_no(reason, "beta of an s32 bias");
    return true;
}

/* ---- where things lie ---- */

/* Steps of a [N, C, spatial] tensor along image, row, column in elements; 0 for axes of size 1. */
static bool steps_of(const oct_tensor_desc *t, int64_t step[3])
{
    const oct_shape *s = &t->shape;
    const int n = s->n_dims;
    if (s->dim[1] != 1 && t->stride[1] != 1)
        return false;
    step[0] = s->dim[0] == 1 ? 0 : t->stride[0];
    step[1] = n < 4 || s->dim[n - 2] == 1 ? 0 : t->stride[n - 2];
    step[2] = s->dim[n - 1] == 1 ? 0 : t->stride[n - 1];
    return true;
}

/* Distance of pixels that all lie evenly, images included; false if they do not. */
static bool even_pixels(const oct_tensor_desc *t, int64_t *pixel)
{
    int64_t step[3];
    if (!steps_of(t, step))
        return false;
    const oct_shape *s = &t->shape;
    const int n = s->n_dims;
    const int64_t size[3] = {s->dim[0], n < 4 ? 1 : s->dim[n - 2], s->dim[n - 1]};
    int64_t inner = 1;
    *pixel = 0;
    for (int a = 2; a >= 0; a--) {
        if (size[a] == 1)
            continue;
        if (*pixel == 0)
            *pixel = step[a] / inner;
        if (step[a] != *pixel * inner)
            return false;
        inner *= size[a];
    }
    if (*pixel == 0)
        *pixel = s->dim[1];
    return true;
}

static int alignment_of(int64_t bytes)
{
    return bytes % 16 == 0 ? 16 : bytes % 8 == 0 ? 8 : bytes % 4 == 0 ? 4 : 1;
}

static bool set_other_operands(const oct_op_desc *d, oct_mma_args *a, bool rows, char *reason)
{
    int64_t pixel[3] = {0, 0, 0};
    const oct_operand *o[3] = {&d->out[0], d->n_out == 2 ? &d->out[1] : NULL,
                               d->epilogue.residual < 0 ? NULL : &d->in[d->epilogue.residual]};
    for (int i = 0; i < 3; i++) {
        if (!o[i])
            continue;
        const oct_tensor_desc *t = &o[i]->desc;
        if (rows ? !oct_cuda_dense(o[i]) || t->layout != OCT_LAYOUT_ROW
                 : !even_pixels(t, &pixel[i]))
            return oct_cuda_no(reason, "layout of outputs or residual");
        if (rows)
            pixel[i] = t->shape.dim[t->shape.n_dims - 1];
        pixel[i] *= (int64_t)oct_dtype_bytes(t->dtype);
        if (pixel[i] > INT32_MAX)
            return oct_cuda_no(reason, "too large");
    }
    a->y_pixel = (int32_t)pixel[0];
    a->y2_pixel = (int32_t)pixel[1];
    a->res_pixel = (int32_t)pixel[2];
    a->y_type = d->out[0].desc.dtype;
    a->y2_type = d->n_out == 2 ? d->out[1].desc.dtype : OCT_DT_NONE;
    a->res_type = o[2] ? o[2]->desc.dtype : OCT_DT_NONE;
    return true;
}

/* ---- the two kinds of operators ---- */

static bool set_window(oct_mma_args *a, const oct_window *w3)
{
    for (int k = 1; k < 3; k++)
        if (w3->in[k] > MAX_COORD || w3->kernel[k] * w3->dilation[k] > MAX_COORD ||
            w3->stride[k] > MAX_COORD || w3->pad_lo[k] > MAX_COORD || w3->out[k] > MAX_COORD)
            return false;
    a->kernel_h = (int32_t)w3->kernel[1];
    a->kernel_w = (int32_t)w3->kernel[2];
    a->dil_h = (int32_t)w3->dilation[1];
    a->dil_w = (int32_t)w3->dilation[2];
    a->stride_h = (int32_t)w3->stride[1];
    a->stride_w = (int32_t)w3->stride[2];
    a->pad_h = (int32_t)w3->pad_lo[1];
    a->pad_w = (int32_t)w3->pad_lo[2];
    a->in_h = (int32_t)w3->in[1];
    a->in_w = (int32_t)w3->in[2];
    a->per_image = oct_cuda_div_make(w3->out[1] * w3->out[2]);
    a->per_row = oct_cuda_div_make(w3->out[2]);
    return true;
}

/* A 1x1 window that takes every pixel. */
static void set_linear(oct_mma_args *a, const oct_tensor_desc *x, const oct_window *w3, int elem)
{
    int64_t pixel;
    for (int k = 1; k < 3; k++)
        if (w3->kernel[k] != 1 || w3->in[k] != w3->out[k] || w3->pad_lo[k] != 0 ||
            (w3->stride[k] != 1 && w3->out[k] != 1))
            return;
    if (!even_pixels(x, &pixel))
        return;
    a->linear = 1;
    a->x_pixel = (int32_t)(pixel * elem);
}

static bool plan_conv(oct_ctx *ctx, const oct_op_desc *d, oct_conv_plan *p, char *reason)
{
    const oct_attr_window *at = d->attr;
    const oct_tensor_desc *x = &d->in[0].desc, *w = &d->in[1].desc;
    oct_mma_args *a = &p->args;
    oct_window win;
    if (x->shape.n_dims < 3 || x->shape.n_dims > 4)
        return oct_cuda_no(reason, "only one or two spatial axes");
    if (oct_window_resolve(ctx, d->op, at, &x->shape, &w->shape, &win) != OCT_OK)
        return oct_cuda_no(reason, "window");
    const oct_window w3 = oct_window_to_3d(&win);
    const int64_t group = at->group, n = w->shape.dim[0] / group;
    int64_t step[3];
    p->channels = x->shape.dim[1] / group;
    p->taps = w3.kernel[1] * w3.kernel[2];
    if (group > 1 && p->channels == 1 && n == 1)
        return oct_cuda_no(reason, "depthwise");
    if (!steps_of(x, step))
        return oct_cuda_no(reason, "input is not channels-last");
    const int64_t m = x->shape.dim[0] * w3.out[1] * w3.out[2];
    const int64_t extent = x->shape.dim[0] * step[0] + w3.in[1] * step[1] + w3.in[2] * step[2];
    if (!set_window(a, &w3) || m > MAX_PIXELS || extent * p->elem > MAX_EXTENT ||
        p->taps * (p->channels * p->elem + PIECE) * OCT_CONV_MAX_PARTS * group >
            MAX_EXTENT / align_up(n + 256, 2))
        return oct_cuda_no(reason, "too large");
    a->m = (int32_t)m;
    a->n = (int32_t)n;
    a->groups = (int32_t)group;
    a->x_image = (int32_t)(step[0] * p->elem);
    a->x_row = (int32_t)(step[1] * p->elem);
    a->x_pixel = (int32_t)(step[2] * p->elem);
    a->x_group = (int32_t)(p->channels * p->elem);
    p->n_step = p->channels * p->taps;
    p->c_step = p->taps;
    set_linear(a, x, &w3, p->elem);
    return set_other_operands(d, a, false, reason);
}

static bool plan_product(const oct_op_desc *d, oct_conv_plan *p, char *reason)
{
    const oct_attr_gemm *at = d->op == OCT_OP_GEMM ? d->attr : NULL;
    const oct_operand *x = &d->in[0], *w = &d->in[1];
    if (w->desc.shape.n_dims != 2 || x->desc.shape.n_dims < 2 || (at && at->trans_a))
        return oct_cuda_no(reason, "batched or vector weights, or transA");
    if (!oct_cuda_dense(x) || x->desc.layout != OCT_LAYOUT_ROW)
        return oct_cuda_no(reason, "needs dense rows");
    const bool trans = at && at->trans_b;
    const int64_t k = w->desc.shape.dim[trans ? 1 : 0], n = w->desc.shape.dim[trans ? 0 : 1];
    const int64_t m = k ? (int64_t)oct_cuda_elems(x) / k : 0;
    if (at) {
        p->alpha = at->alpha;
        p->beta = at->beta;
    }
    if (!is_integer(p) && p->alpha != 1.0f)
        return oct_cuda_no(reason, "alpha");
    if (m > MAX_PIXELS || m * k * p->elem > MAX_EXTENT ||
        k * p->elem * OCT_CONV_MAX_PARTS > MAX_EXTENT / align_up(n + 256, 2))
        return oct_cuda_no(reason, "too large");
    p->channels = k;
    p->taps = 1;
    p->n_step = trans ? k : 1;
    p->c_step = trans ? 1 : n;
    oct_window one = {.n = 3};
    for (int i = 0; i < 3; i++)
        one.in[i] = one.out[i] = one.kernel[i] = one.stride[i] = one.dilation[i] = 1;
    oct_mma_args *a = &p->args;
    set_window(a, &one);
    a->m = (int32_t)m;
    a->n = (int32_t)n;
    a->groups = 1;
    a->x_image = a->x_pixel = (int32_t)(k * p->elem);
    a->linear = 1;
    return set_other_operands(d, a, true, reason);
}

/* ---- what follows from the geometry ---- */

/* Weights less their zero point as a sum of s8 parts. */
static int count_parts(const oct_op_desc *d)
{
    const oct_quant *q = &d->in[1].quant;
    const bool is_signed = d->in[1].desc.dtype == OCT_DT_S8;
    int parts = 1;
    for (int32_t i = 0; i < q->n; i++) {
        const int32_t z = q->q[i].zero_point;
        const int32_t hi = (is_signed ? 127 : 255) - z, lo = (is_signed ? -128 : 0) - z;
        while (hi > 127 * parts || lo < -128 * parts)
            parts++;
    }
    return parts;
}

/* First layers whose pixels lie densely (cuda_stem.cuh). */
static void set_stem(oct_conv_plan *p)
{
    oct_mma_args *a = &p->args;
    const int64_t row = (int64_t)a->kernel_w * a->tap_bytes;
    const int64_t seen = ((int64_t)(STEM_PIXELS - 1) * a->stride_w + a->kernel_w) * a->tap_bytes;
    p->stem = p->folded && a->groups == 1 && p->parts == 1 && a->dil_w == 1 &&
              a->x_pixel == a->tap_bytes && row <= 128 && a->kernel_h <= 16 && seen <= 4096;
    if (!p->stem)
        return;
    a->stem_quads = (int32_t)((row + 3) / 4);
    a->stem_pitch = (int32_t)align_up(seen + 15 + 8, PIECE);
    p->k_bytes = (int64_t)a->kernel_h * a->stem_quads * 4;
}

static void set_k(const oct_op_desc *d, oct_conv_plan *p)
{
    oct_mma_args *a = &p->args;
    const int64_t tap = p->channels * p->elem;
    p->parts = is_integer(p) ? count_parts(d) : 1;
    p->folded = tap < 8 && p->taps > 1;
    a->tap_bytes = (int32_t)tap;
    a->tap_padded = (int32_t)align_up(tap, PIECE);
    a->taps = (int32_t)p->taps * p->parts;
    p->k_bytes = p->folded ? tap * a->taps : (int64_t)a->tap_padded * a->taps;
    set_stem(p);
    a->k_row = (int32_t)align_up(p->k_bytes, p->stem ? STEM_K_ALIGN : OCT_MMA_K_ALIGN);
    a->w_group = a->n * a->k_row;
    a->n_even = (int32_t)align_up(a->n, 2);
    if (is_integer(p))
        a->pad_word = 0x01010101u * (uint8_t)d->in[0].quant.q[0].zero_point;
    p->x_alignment = alignment_of(tap | a->x_image | a->x_row | a->x_pixel);
}

static void set_real_requant(const oct_op_desc *d, oct_mma_args *a, int o)
{
    const oct_operand *y = &d->out[o];
    oct_requant *rq = &a->rq[o];
    *rq = (oct_requant){
        .act = d->epilogue.act, .a = d->epilogue.a, .b = d->epilogue.b, .out = {1.0f, 0}};
    if (oct_cuda_is_8bit(y->desc.dtype)) {
        rq->out = y->quant.q[0];
        rq->lo = y->desc.dtype == OCT_DT_S8 ? -128 : 0;
        rq->hi = y->desc.dtype == OCT_DT_S8 ? 127 : 255;
    }
    if (d->epilogue.residual < 0)
        return;
    const oct_quant *r = &d->in[d->epilogue.residual].quant;
    rq->r = r->n ? r->q[0].scale : 1.0f;
    rq->z_r = r->n ? r->q[0].zero_point : 0;
}

/* ---- how sums become results ---- */

static bool is_bound(oct_act act)
{
    return act == OCT_ACT_NONE || act == OCT_ACT_RELU || act == OCT_ACT_CLIP;
}

static void set_bounds(const oct_epilogue *e, oct_mma_args *a)
{
    a->lo = e->act == OCT_ACT_RELU ? 0.0f : e->act == OCT_ACT_CLIP ? e->a : -INFINITY;
    a->hi = e->act == OCT_ACT_CLIP ? e->b : INFINITY;
    if (a->lo > a->hi) /* the upper bound wins */
        a->lo = a->hi;
}

static void set_curve(const oct_epilogue *e, oct_mma_args *a)
{
    const float log2e = 1.44269504f;
    a->act = is_bound(e->act) ? OCT_ACT_NONE : e->act;
    a->act_a = e->act == OCT_ACT_SWISH        ? -log2e * e->a
               : e->act == OCT_ACT_SIGMOID    ? -log2e
               : e->act == OCT_ACT_HARD_SWISH ? 1.0f / 6.0f
                                              : e->a;
    a->act_b = e->act == OCT_ACT_HARD_SWISH ? 0.5f : e->b;
}

static oct_mma_finish own_finish(oct_act act)
{
    return is_bound(act)          ? OCT_MMA_PLAIN
           : act == OCT_ACT_SWISH ? OCT_MMA_SWISH
           : act == OCT_ACT_GELU  ? OCT_MMA_GELU
                                  : OCT_MMA_CURVE;
}

static void set_finish_integer(const oct_op_desc *d, oct_conv_plan *p)
{
    oct_mma_args *a = &p->args;
    const oct_requant *rq = &a->rq[0];
    const bool residual = a->res_type != OCT_DT_NONE, curve = !is_bound(d->epilogue.act);
    a->res_r = rq->r;
    if (d->n_out > 1 || (curve && !oct_mma_act_is_curve(d->epilogue.act)))
        return;
    if (!oct_cuda_is_8bit(a->y_type)) {
        a->fast = oct_cuda_is_real(a->y_type) && (!residual || a->res_type == a->y_type) &&
                  !(residual && p->stem) && p->type == OCT_MMA_S8;
        if (a->fast)
            p->finish = a->y_type == OCT_DT_F32 ? OCT_MMA_FLOAT
                        : curve                 ? OCT_MMA_HALF_CURVE
                                                : OCT_MMA_HALF;
        set_bounds(&d->epilogue, a);
        return;
    }
    a->fast = (!residual || oct_cuda_is_8bit(a->res_type)) &&
              (!curve || (p->type == OCT_MMA_S8 && !(residual && p->stem)));
    p->finish = a->fast ? own_finish(d->epilogue.act) : OCT_MMA_PLAIN;
    a->to_q = rq->scaled ? 1.0f : (float)(1.0 / rq->out.scale);
    a->zero = rq->out.zero_point;
    a->lo = (float)(rq->lo - a->zero);
    a->hi = (float)(rq->hi - a->zero);
    a->res_flip = a->res_type == OCT_DT_S8 ? 0x8080u : 0;
    a->res_z = (float)(rq->z_r + (a->res_type == OCT_DT_S8 ? 128 : 0));
}

static void set_finish_real(const oct_op_desc *d, oct_conv_plan *p)
{
    oct_mma_args *a = &p->args;
    const oct_act act = d->epilogue.act;
    const oct_dtype own = p->type == OCT_MMA_F16 ? OCT_DT_F16 : OCT_DT_F32;
    const bool residual = a->res_type != OCT_DT_NONE;
    const bool curve =
        p->type == OCT_MMA_F16 && oct_mma_act_is_curve(act) && !(residual && p->stem);
    a->fast = d->n_out == 1 && a->y_type == own && (is_bound(act) || curve) &&
              (!residual || a->res_type == own);
    p->finish = a->fast ? own_finish(act) : OCT_MMA_PLAIN;
    set_bounds(&d->epilogue, a);
}

bool oct_conv_plan_make(oct_ctx *ctx, const oct_op_desc *d, oct_conv_plan *p, char *reason)
{
    memset(p, 0, sizeof *p);
    p->alpha = p->beta = 1.0f;
    if (!d->in[1].data)
        return oct_cuda_no(reason, "weights are not constant");
    if (!type_of(d, p, reason) || !outputs_fit(d, p, reason))
        return false;
    if (!(d->op == OCT_OP_CONV ? plan_conv(ctx, d, p, reason) : plan_product(d, p, reason)))
        return false;
    oct_mma_args *a = &p->args;
    if (a->m < 1 || a->n < 1 || p->channels < 1)
        return oct_cuda_no(reason, "nothing to do");
    if (!bias_fits(d, p, (int64_t)a->n * a->groups, reason))
        return false;
    set_k(d, p);
    for (int o = 0; o < d->n_out; o++) {
        if (!is_integer(p))
            set_real_requant(d, a, o);
        else if (d->out[o].desc.dtype != OCT_DT_S32)
            a->rq[o] = oct_requant_make(d, o);
    }
    set_curve(&d->epilogue, a);
    if (is_integer(p))
        set_finish_integer(d, p);
    else
        set_finish_real(d, p);
    return true;
}
