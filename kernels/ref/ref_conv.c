/* SPDX-License-Identifier: Apache-2.0
 *
 * Conv, ConvTranspose and FusedConv in one, two or three dimensions, as a matrix product per
 * image and group:
 *
 *     rows      output channels, weights packed as [group][oc][ic][taps]
 *     columns   output positions; a panel gathers what the window sees there (0 in the padding)
 *     k         (ic, tap), the order of every sum
 *
 * A transposed convolution gathers too: tap t sees input position (o + pad - t dilation) / stride
 * where that is whole. 8-bit operands are taken less their zero point as s16, so that padding
 * is 0 there as well.
 */
#include "kernels/ref/ref_conv.h"

#include <assert.h>
#include <string.h>

#include "kernels/ref/ref_elem.h"
#include "kernels/ref/ref_groups_internal.h"
#include "kernels/ref/ref_store.h"
#include "kernels/window.h"

typedef struct conv {
    const oct_op_desc *d;
    oct_window w; /* three axes */
    bool transposed, integer;
    int64_t batch, group, ic, oc; /* channels of one group */
    int64_t taps;
    const void *x;
    int64_t x_batch, x_channel, x_stride[3];
    int32_t x_zero;
    const void *weights; /* [group][oc][ic][taps], f32 or s16 less their zero point */
    oct_ref_store store;
} conv;

static int64_t row_elems(const conv *c)
{
    return c->ic * c->taps;
}

/* ---- weights --------------------------------------------------------------------------- */

static int32_t weight_zero(const oct_quant *q, int64_t channel)
{
    return q->q[q->n == 1 ? 0 : channel % q->n].zero_point;
}

/* Offset of weight (group g, output channel o, input channel i, tap 0) in the model's order. */
static int64_t weight_offset(const conv *c, int64_t g, int64_t o, int64_t i)
{
    return c->transposed ? ((g * c->ic + i) * c->oc + o) * c->taps
                         : ((g * c->oc + o) * c->ic + i) * c->taps;
}

/* f32 weights of a forward convolution lie as they are needed. */
static bool packs_weights(const conv *c)
{
    return c->integer || c->transposed;
}

static void pack_weight_row(const conv *c, const void *w, int64_t g, int64_t o, void *packed)
{
    const oct_operand *op = &c->d->in[1];
    const int64_t at = (g * c->oc + o) * row_elems(c);
    for (int64_t i = 0; i < c->ic; i++) {
        const int64_t from = weight_offset(c, g, o, i), to = at + i * c->taps;
        if (!c->integer) {
            memcpy((float *)packed + to, (const float *)w + from, (size_t)c->taps * sizeof(float));
            continue;
        }
        const int32_t zero = weight_zero(&op->quant, c->transposed ? o : g * c->oc + o);
        for (int64_t t = 0; t < c->taps; t++)
            ((int16_t *)packed)[to + t] =
                (int16_t)(oct_ref_load_q8(w, op->desc.dtype, from + t) - zero);
    }
}

/* ---- columns ------------------------------------------------------------------------------ */

/* Input coordinate that tap `t` of axis `k` sees from output coordinate `o`; -1 = padding. */
static int64_t input_coord(const conv *c, int k, int64_t o, int64_t t)
{
    const oct_window *w = &c->w;
    int64_t at;
    if (c->transposed) {
        at = o + w->pad_lo[k] - t * w->dilation[k];
        if (at < 0 || at % w->stride[k] != 0)
            return -1;
        at /= w->stride[k];
    } else {
        at = o * w->stride[k] - w->pad_lo[k] + t * w->dilation[k];
    }
    return at < 0 || at >= w->in[k] ? -1 : at;
}

/* Offsets inside one input channel that the taps see from the columns of a block, -1 = padding:
 * off[tap][column]. */
static void locate_columns(const conv *c, const oct_ref_block *b, int64_t (*off)[OCT_REF_COLS])
{
    const oct_window *w = &c->w;
    for (int j = 0; j < OCT_REF_COLS; j++) {
        const bool used = j < b->n_cols;
        const int64_t pos = used ? b->col + j : b->col, row = pos / w->out[2];
        const int64_t o[3] = {row / w->out[1], row % w->out[1], pos % w->out[2]};
        int64_t tap = 0;
        for (int64_t t0 = 0; t0 < w->kernel[0]; t0++) {
            const int64_t i0 = used ? input_coord(c, 0, o[0], t0) : -1;
            for (int64_t t1 = 0; t1 < w->kernel[1]; t1++) {
                const int64_t i1 = input_coord(c, 1, o[1], t1);
                for (int64_t t2 = 0; t2 < w->kernel[2]; t2++, tap++) {
                    const int64_t i2 = input_coord(c, 2, o[2], t2);
                    off[tap][j] =
                        i0 < 0 || i1 < 0 || i2 < 0
                            ? -1
                            : i0 * c->x_stride[0] + i1 * c->x_stride[1] + i2 * c->x_stride[2];
                }
            }
        }
    }
}

/* All columns inside and next to each other: the common case. */
static bool is_run(const int64_t *off)
{
    bool run = off[0] >= 0;
    for (int j = 1; j < OCT_REF_COLS; j++)
        run &= off[j] == off[0] + j;
    return run;
}

static void pack_tap_f32(const conv *c, const float *x, const int64_t *off, float *panel)
{
    if (is_run(off)) {
        for (int64_t i = 0; i < c->ic; i++)
            memcpy(panel + i * c->taps * OCT_REF_COLS, x + off[0] + i * c->x_channel,
                   OCT_REF_COLS * sizeof(float));
        return;
    }
    for (int64_t i = 0; i < c->ic; i++) {
        float *to = panel + i * c->taps * OCT_REF_COLS;
        for (int j = 0; j < OCT_REF_COLS; j++)
            to[j] = off[j] >= 0 ? x[off[j]] : 0.0f;
        x += c->x_channel;
    }
}

static void pack_tap_q8(const conv *c, int64_t at, const int64_t *off, int16_t *panel)
{
    const oct_dtype dt = c->d->in[0].desc.dtype;
    for (int j = 0; j < OCT_REF_COLS; j++) {
        int16_t *to = panel + j * row_elems(c);
        for (int64_t i = 0; i < c->ic; i++)
            to[i * c->taps] =
                off[j] < 0 ? 0
                           : (int16_t)(oct_ref_load_q8(c->x, dt, at + off[j] + i * c->x_channel) -
                                       c->x_zero);
    }
}

static void pack(const void *user, const oct_ref_block *b, void *panel, void *extra)
{
    const conv *c = user;
    int64_t(*off)[OCT_REF_COLS] = extra;
    const int64_t group = b->product % c->group;
    const int64_t at = b->product / c->group * c->x_batch + group * c->ic * c->x_channel;
    if (group == 0) /* all groups of an image see the same places */
        locate_columns(c, b, off);
    for (int64_t tap = 0; tap < c->taps; tap++) {
        if (c->integer)
            pack_tap_q8(c, at, off[tap], (int16_t *)panel + tap);
        else
            pack_tap_f32(c, (const float *)c->x + at, off[tap],
                         (float *)panel + tap * OCT_REF_COLS);
    }
}

static const void *rows(const void *user, int64_t product)
{
    const conv *c = user;
    const size_t elem = c->integer ? sizeof(int16_t) : sizeof(float);
    return (const uint8_t *)c->weights + (size_t)(product % c->group * c->oc * row_elems(c)) * elem;
}

static void store(const void *user, const oct_ref_block *b, const void *acc)
{
    const conv *c = user;
    oct_ref_block global = *b;
    global.row += b->product % c->group * c->oc;
    oct_ref_store_block(&c->store, b->product / c->group, &global, acc);
}

/* ---- setting up ----------------------------------------------------------------------------- */

/* Rows are channels, columns the positions, which lie at one distance (see spatial_is_linear). */
static oct_ref_view view_of(const oct_tensor_desc *t, const void *data)
{
    return (oct_ref_view){
        .data = (void *)data, /* outputs are writable, inputs only read */
        .dtype = t->dtype,
        .batch = t->stride[0],
        .row = t->stride[1],
        .col = t->stride[t->shape.n_dims - 1],
    };
}

static oct_status conv_init(conv *c, oct_ctx *ctx, const oct_op_desc *d)
{
    const oct_attr_window *at = d->attr;
    const oct_tensor_desc *x = &d->in[0].desc, *w = &d->in[1].desc;
    oct_window win;
    OCT_TRY(oct_window_resolve(ctx, d->op, at, &x->shape, &w->shape, &win));
    *c = (conv){.d = d, .w = oct_window_to_3d(&win)};
    c->transposed = d->op == OCT_OP_CONV_TRANSPOSE;
    c->integer = oct_ref_is_q8(x->dtype);
    c->batch = x->shape.dim[0];
    c->group = at->group;
    c->ic = x->shape.dim[1] / at->group;
    c->oc = c->transposed ? w->shape.dim[1] : w->shape.dim[0] / at->group;
    c->taps = c->w.kernel[0] * c->w.kernel[1] * c->w.kernel[2];
    c->x_batch = x->stride[0];
    c->x_channel = x->stride[1];
    for (int k = 3 - win.n; k < 3; k++)
        c->x_stride[k] = x->stride[k - (3 - win.n) + 2];
    c->x_zero = c->integer ? d->in[0].quant.q[0].zero_point : 0;
    return OCT_OK;
}

static size_t align_up(size_t n)
{
    return (n + OCT_ALIGN - 1) / OCT_ALIGN * OCT_ALIGN;
}

static size_t offset_bytes(const conv *c)
{
    return (size_t)c->taps * OCT_REF_COLS * sizeof(int64_t);
}

static size_t weight_bytes(const conv *c)
{
    const size_t elem = c->integer ? sizeof(int16_t) : sizeof(float);
    return packs_weights(c) ? align_up((size_t)(c->group * c->oc * row_elems(c)) * elem) : 0;
}

/* What the attributes alone decide, for sizing: no context to report to. */
size_t oct_ref_conv_workspace(const oct_op_desc *d)
{
    const oct_attr_window *at = d->attr;
    const oct_shape *w = &d->in[1].desc.shape;
    conv c = {.d = d, .group = at->group, .integer = oct_ref_is_q8(d->in[0].desc.dtype)};
    c.transposed = d->op == OCT_OP_CONV_TRANSPOSE;
    c.ic = d->in[0].desc.shape.dim[1] / at->group;
    c.oc = c.transposed ? w->dim[1] : w->dim[0] / at->group;
    c.taps = oct_ref_product(w, 2, w->n_dims);
    return weight_bytes(&c) + align_up(oct_ref_store_bytes(d, c.group * c.oc)) +
           oct_ref_gemm_panel_bytes(row_elems(&c), c.integer, offset_bytes(&c), d->threads);
}

static void init_store(conv *c, const oct_run_args *a, float *factors)
{
    const oct_op_desc *d = c->d;
    oct_ref_store *s = &c->store;
    *s = (oct_ref_store){.d = d, .alpha = 1, .beta = 1, .channel_is_row = true};
    for (int o = 0; o < d->n_out; o++)
        s->out[o] = view_of(&d->out[o].desc, a->out[o]);
    if (d->n_in > 2 && d->epilogue.residual != 2 && a->in[2])
        s->bias = (oct_ref_view){(void *)a->in[2], d->in[2].desc.dtype, 0, 1, 0};
    if (d->epilogue.residual >= 0)
        s->residual = view_of(&d->in[d->epilogue.residual].desc, a->in[d->epilogue.residual]);
    oct_ref_store_init(s, c->integer, c->group * c->oc, factors);
}

oct_status oct_ref_conv_run(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    conv c;
    OCT_TRY(conv_init(&c, ctx, d));
    uint8_t *scratch = a->workspace;
    c.x = a->in[0];
    c.weights = packs_weights(&c) ? scratch : a->in[1];
    for (int64_t r = 0; packs_weights(&c) && r < c.group * c.oc; r++)
        pack_weight_row(&c, a->in[1], r / c.oc, r % c.oc, scratch);
    scratch += weight_bytes(&c);
    init_store(&c, a, (float *)scratch);
    scratch += align_up(oct_ref_store_bytes(d, c.group * c.oc));
    oct_ref_gemm_run(&(oct_ref_gemm){
        .n_products = c.batch * c.group,
        .n_same = c.group,
        .extra_bytes = offset_bytes(&c),
        .m = c.oc,
        .n = c.w.out[0] * c.w.out[1] * c.w.out[2],
        .k = row_elems(&c),
        .integer = c.integer,
        .threads = d->threads,
        .user = &c,
        .rows = rows,
        .pack = pack,
        .store = store,
        .panels = scratch,
    });
    return OCT_OK;
}

/* ---- FusedConv ------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    oct_act act;
    float a, b; /* defaults */
} FUSED_ACT[] = {
    {"Relu", OCT_ACT_RELU, 0, 0},
    {"Tanh", OCT_ACT_TANH, 0, 0},
    {"Sigmoid", OCT_ACT_SIGMOID, 0, 0},
    {"LeakyRelu", OCT_ACT_LEAKY_RELU, 0.01f, 0},
    {"Clip", OCT_ACT_CLIP, -3.40282347e38f, 3.40282347e38f},
    {"HardSigmoid", OCT_ACT_HARD_SIGMOID, 0.2f, 0.5f},
};

/* The Conv with epilogue that a FusedConv is; false for an unknown activation. */
static bool unfuse(const oct_op_desc *d, oct_op_desc *out)
{
    const oct_attr_window *at = d->attr;
    const char *name = at->activation ? at->activation : "";
    *out = *d;
    out->op = OCT_OP_CONV;
    out->epilogue = (oct_epilogue){.residual = -1};
    if (d->n_in > 3 && d->in[3].desc.dtype != OCT_DT_NONE)
        out->epilogue.residual = 3;
    if (*name == '\0')
        return true;
    for (size_t i = 0; i < sizeof FUSED_ACT / sizeof FUSED_ACT[0]; i++) {
        if (strcmp(FUSED_ACT[i].name, name) != 0)
            continue;
        out->epilogue.act = FUSED_ACT[i].act;
        out->epilogue.a = at->n_activation_params > 0 ? at->activation_params[0] : FUSED_ACT[i].a;
        out->epilogue.b = at->n_activation_params > 1 ? at->activation_params[1] : FUSED_ACT[i].b;
        return true;
    }
    return false;
}

static oct_status run_fused(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    oct_op_desc plain;
    if (!unfuse(d, &plain))
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "activation of FusedConv is unknown");
    return oct_ref_conv_run(ctx, &plain, a);
}

/* ---- accepts ---------------------------------------------------------------------------------- */

/* Positions at one distance: dense in either layout, or a slice of channels of such a tensor. */
static bool spatial_is_linear(const oct_tensor_desc *t)
{
    for (int k = 2; k + 1 < t->shape.n_dims; k++) {
        if (t->stride[k] != t->stride[k + 1] * t->shape.dim[k + 1])
            return false;
    }
    return true;
}

bool oct_ref_conv_accepts(const oct_op_desc *d, char *reason)
{
    const oct_tensor_desc *w = &d->in[1].desc;
    for (int o = 0; o < d->n_out; o++) {
        if (!spatial_is_linear(&d->out[o].desc))
            return oct_ref_refuse(reason, "ref %s: strided output", oct_op_name(d->op));
    }
    if (d->epilogue.residual >= d->n_in ||
        (d->epilogue.residual >= 0 && !spatial_is_linear(&d->in[d->epilogue.residual].desc)))
        return oct_ref_refuse(reason, "ref %s: strided residual", oct_op_name(d->op));
    if (w->layout != OCT_LAYOUT_ROW || !oct_tensor_desc_is_dense(w))
        return oct_ref_refuse(reason, "ref %s: weights are not row-major", oct_op_name(d->op));
    const oct_attr_window *at = d->attr;
    const int64_t taps = oct_ref_product(&w->shape, 2, w->shape.n_dims);
    return oct_ref_store_accepts(d, reason) &&
           oct_ref_store_sum_fits(d, d->in[0].desc.shape.dim[1] / at->group * taps, reason);
}

static bool accepts_fused(const oct_op_desc *d, char *reason)
{
    oct_op_desc plain;
    if (!unfuse(d, &plain))
        return oct_ref_refuse(reason, "FusedConv with an unknown activation");
    return oct_ref_conv_accepts(&plain, reason);
}

const oct_ref_entry oct_ref_conv[] = {
    {OCT_OP_CONV, oct_ref_conv_run, oct_ref_conv_workspace, oct_ref_conv_accepts, true},
    {OCT_OP_CONV_TRANSPOSE, oct_ref_conv_run, oct_ref_conv_workspace, oct_ref_conv_accepts, true},
    {OCT_OP_FUSED_CONV, run_fused, oct_ref_conv_workspace, accepts_fused, true},
    {0},
};
