/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/ref/ref_store.h"

#include "kernels/ref/ref.h"
#include "kernels/ref/ref_elem.h"

size_t oct_ref_store_bytes(const oct_op_desc *d, int64_t n_channels)
{
    return (size_t)n_channels * 2 * (size_t)d->n_out * sizeof(float);
}

void oct_ref_store_init(oct_ref_store *s, bool integer, int64_t n_channels, float *factors)
{
    const oct_op_desc *d = s->d;
    const float *bias = s->bias.data && s->bias.dtype == OCT_DT_F32 ? s->bias.data : NULL;
    s->integer = integer;
    for (int o = 0; integer && o < d->n_out; o++) {
        if (d->out[o].desc.dtype == OCT_DT_S32)
            continue; /* the accumulators themselves */
        float *m = factors + 2 * o * n_channels, *b = m + n_channels;
        oct_requant_factors(d, o, bias, n_channels, m, b);
        s->rq[o] = oct_requant_make(d, o);
        s->m[o] = m;
        s->b[o] = b;
    }
}

static int64_t view_at(const oct_ref_view *v, int64_t batch, int64_t row, int64_t col)
{
    return batch * v->batch + row * v->row + col * v->col;
}

/* The stored element, as f32; 0 without a residual. */
static float residual_at(const oct_ref_store *s, int64_t batch, int64_t row, int64_t col)
{
    const oct_ref_view *v = &s->residual;
    if (!v->data)
        return 0;
    const int64_t at = view_at(v, batch, row, col);
    return oct_ref_is_q8(v->dtype) ? (float)oct_ref_load_q8(v->data, v->dtype, at)
                                   : oct_ref_load_f32(v->data, v->dtype, at);
}

/* ---- f32 accumulators -------------------------------------------------------------------- */

static void put_row(const oct_ref_store *s, int o, int64_t at, int n, const float *y)
{
    const oct_ref_view *v = &s->out[o];
    for (int j = 0; j < n; j++, at += v->col) {
        if (v->dtype == OCT_DT_F32)
            ((float *)v->data)[at] = y[j];
        else
            oct_ref_store_q8(v->data, v->dtype, at,
                             oct_quantize(y[j], s->d->out[o].quant.q[0], oct_ref_q8_min(v->dtype),
                                          oct_ref_q8_max(v->dtype)));
    }
}

static float residual_f32(const oct_ref_store *s, int64_t batch, int64_t row, int64_t col)
{
    const float v = residual_at(s, batch, row, col);
    const oct_quant *q = &s->d->in[s->d->epilogue.residual].quant;
    return q->n ? q->q[0].scale * (v - (float)q->q[0].zero_point) : v;
}

static void activate(const oct_epilogue *e, float *y, int n)
{
    if (e->act == OCT_ACT_NONE)
        return;
    if (e->act == OCT_ACT_RELU) {
        for (int j = 0; j < n; j++)
            y[j] = oct_act_relu(y[j]);
        return;
    }
    for (int j = 0; j < n; j++)
        y[j] = oct_act_apply(e->act, e->a, e->b, y[j]);
}

static void store_f32(const oct_ref_store *s, int64_t batch, const oct_ref_block *b,
                      const float *acc)
{
    const float *bias = s->bias.data;
    float y[OCT_REF_COLS];
    for (int r = 0; r < b->n_rows; r++) {
        const int64_t row = b->row + r;
        for (int j = 0; j < b->n_cols; j++)
            y[j] = s->alpha * acc[r * OCT_REF_COLS + j];
        for (int j = 0; bias && j < b->n_cols; j++)
            y[j] += s->beta * bias[view_at(&s->bias, batch, row, b->col + j)];
        for (int j = 0; s->residual.data && j < b->n_cols; j++)
            y[j] += residual_f32(s, batch, row, b->col + j);
        activate(&s->d->epilogue, y, b->n_cols);
        for (int o = 0; o < s->d->n_out; o++)
            put_row(s, o, view_at(&s->out[o], batch, row, b->col), b->n_cols, y);
    }
}

/* ---- s32 accumulators -------------------------------------------------------------------- */

static void put_s32(const oct_ref_store *s, int o, int64_t at, int64_t channel, int32_t acc,
                    float residual)
{
    const oct_ref_view *v = &s->out[o];
    const oct_requant *rq = &s->rq[o];
    if (v->dtype == OCT_DT_S32) {
        ((int32_t *)v->data)[at] = acc;
        return;
    }
    const float x = oct_requant_value(rq, acc, s->m[o][channel], s->b[o][channel], residual);
    if (oct_ref_is_q8(v->dtype))
        oct_ref_store_q8(v->data, v->dtype, at, oct_requant_round(rq, x));
    else
        oct_ref_store_f32(v->data, v->dtype, at, oct_act_apply(rq->act, rq->a, rq->b, x));
}

/* Adds with wrap-around, as the hardware does; scales keep real models away from it. */
static int32_t add_s32(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

static void store_s32(const oct_ref_store *s, int64_t batch, const oct_ref_block *b,
                      const int32_t *acc)
{
    const int32_t *bias = s->bias.dtype == OCT_DT_S32 ? s->bias.data : NULL;
    for (int r = 0; r < b->n_rows; r++) {
        for (int j = 0; j < b->n_cols; j++) {
            const int64_t row = b->row + r, col = b->col + j;
            int32_t sum = acc[r * OCT_REF_COLS + j];
            if (bias)
                sum = add_s32(sum, bias[view_at(&s->bias, batch, row, col)]);
            const float residual = residual_at(s, batch, row, col);
            for (int o = 0; o < s->d->n_out; o++)
                put_s32(s, o, view_at(&s->out[o], batch, row, col), s->channel_is_row ? row : col,
                        sum, residual);
        }
    }
}

void oct_ref_store_block(const oct_ref_store *s, int64_t batch, const oct_ref_block *b,
                         const void *acc)
{
    if (s->integer)
        store_s32(s, batch, b, acc);
    else
        store_f32(s, batch, b, acc);
}

/* ---- accepts ------------------------------------------------------------------------------- */

/* Real (f32) or 8 bits with one scale. */
static bool is_f32_or_q8(const oct_operand *o)
{
    return o->desc.dtype == OCT_DT_F32 || (oct_ref_is_q8(o->desc.dtype) && o->quant.n == 1);
}

/* Largest |q - zero point| of an 8-bit operand. */
static int64_t largest_step(const oct_operand *o)
{
    int64_t most = 0;
    for (int32_t i = 0; i < o->quant.n; i++) {
        const int64_t z = o->quant.q[i].zero_point;
        const int64_t below = z - oct_ref_q8_min(o->desc.dtype);
        const int64_t above = oct_ref_q8_max(o->desc.dtype) - z;
        most = below > most ? below : most;
        most = above > most ? above : most;
    }
    return most;
}

bool oct_ref_store_sum_fits(const oct_op_desc *d, int64_t k, char *reason)
{
    if (!oct_ref_is_q8(d->in[0].desc.dtype))
        return true;
    const int64_t product = largest_step(&d->in[0]) * largest_step(&d->in[1]);
    if (product == 0 || k <= INT32_MAX / product)
        return true;
    return oct_ref_refuse(reason, "ref %s: sums of %lld products may leave s32", oct_op_name(d->op),
                          (long long)k);
}

bool oct_ref_store_accepts(const oct_op_desc *d, char *reason)
{
    const char *name = oct_op_name(d->op);
    const bool q8 = oct_ref_is_q8(d->in[0].desc.dtype);
    const oct_dtype bias = d->n_in > 2 ? d->in[2].desc.dtype : OCT_DT_NONE;
    if (q8 != oct_ref_is_q8(d->in[1].desc.dtype) || (!q8 && d->in[0].desc.dtype != OCT_DT_F32) ||
        (!q8 && d->in[1].desc.dtype != OCT_DT_F32))
        return oct_ref_refuse(reason, "ref %s on %s and %s", name,
                              oct_dtype_str(d->in[0].desc.dtype),
                              oct_dtype_str(d->in[1].desc.dtype));
    if (q8 && (d->in[0].quant.n != 1 || d->in[1].quant.n < 1))
        return oct_ref_refuse(reason, "ref %s: 8-bit operands without scales", name);
    if (bias != OCT_DT_NONE && d->epilogue.residual != 2 && bias != OCT_DT_F32 &&
        !(q8 && bias == OCT_DT_S32))
        return oct_ref_refuse(reason, "ref %s: bias of type %s", name, oct_dtype_str(bias));
    if (d->epilogue.residual >= d->n_in ||
        (d->epilogue.residual >= 0 && !is_f32_or_q8(&d->in[d->epilogue.residual])))
        return oct_ref_refuse(reason, "ref %s: residual is neither f32 nor 8 bits", name);
    if (d->n_out > 2)
        return oct_ref_refuse(reason, "ref %s: %d outputs", name, d->n_out);
    for (int o = 0; o < d->n_out; o++) {
        const oct_dtype dt = d->out[o].desc.dtype;
        if (!is_f32_or_q8(&d->out[o]) && !(q8 && dt == OCT_DT_S32))
            return oct_ref_refuse(reason, "ref %s: output of type %s", name, oct_dtype_str(dt));
    }
    return true;
}
