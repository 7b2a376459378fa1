/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/requant.h"

#include <assert.h>

static bool is_q8(oct_dtype dt)
{
    return dt == OCT_DT_S8 || dt == OCT_DT_U8;
}

static bool folds(oct_act act)
{
    return act == OCT_ACT_NONE || act == OCT_ACT_RELU || act == OCT_ACT_CLIP ||
           act == OCT_ACT_LEAKY_RELU;
}

static bool is_scaled(const oct_op_desc *d, int out)
{
    return is_q8(d->out[out].desc.dtype) && folds(d->epilogue.act);
}

static const oct_operand *residual_of(const oct_op_desc *d)
{
    return d->epilogue.residual >= 0 ? &d->in[d->epilogue.residual] : NULL;
}

/* ReLU and Clip commute with rounding: they become bounds of q. */
static void fold_bounds(oct_requant *rq, const oct_epilogue *e)
{
    const int32_t lo = rq->lo, hi = rq->hi;
    if (e->act == OCT_ACT_RELU)
        rq->lo = rq->out.zero_point;
    if (e->act == OCT_ACT_CLIP) {
        rq->lo = oct_quantize(e->a, rq->out, lo, hi);
        rq->hi = oct_quantize(e->b, rq->out, lo, hi);
        if (rq->lo > rq->hi) /* as oct_act_clip(): the upper bound wins */
            rq->lo = rq->hi;
    }
}

oct_requant oct_requant_make(const oct_op_desc *d, int out)
{
    const oct_operand *y = &d->out[out], *res = residual_of(d);
    oct_requant rq = {
        .scaled = is_scaled(d, out),
        .act = d->epilogue.act,
        .a = d->epilogue.a,
        .b = d->epilogue.b,
        .out = {1.0f, 0},
    };
    if (is_q8(y->desc.dtype)) {
        assert(y->quant.n == 1);
        rq.out = y->quant.q[0];
        rq.lo = y->desc.dtype == OCT_DT_S8 ? -128 : 0;
        rq.hi = y->desc.dtype == OCT_DT_S8 ? 127 : 255;
    }
    if (rq.scaled) {
        fold_bounds(&rq, &d->epilogue);
        if (rq.act != OCT_ACT_LEAKY_RELU)
            rq.act = OCT_ACT_NONE;
    }
    if (res) {
        const bool q8 = res->quant.n > 0;
        const double s_r = q8 ? res->quant.q[0].scale : 1.0;
        rq.r = (float)(rq.scaled ? s_r / rq.out.scale : s_r);
        rq.z_r = q8 ? res->quant.q[0].zero_point : 0;
    }
    return rq;
}

void oct_requant_factors(const oct_op_desc *d, int out, const float *bias, int64_t n, float *m,
                         float *b)
{
    const oct_quant *w = &d->in[1].quant;
    assert(d->in[0].quant.n == 1 && (w->n == 1 || n % w->n == 0));
    const oct_attr_gemm *gemm = d->op == OCT_OP_GEMM || d->op == OCT_OP_QGEMM ? d->attr : NULL;
    const double alpha = gemm ? gemm->alpha : 1.0, beta = gemm ? gemm->beta : 1.0;
    const double s_y = is_scaled(d, out) ? d->out[out].quant.q[0].scale : 1.0;
    const double s_x = d->in[0].quant.q[0].scale;
    for (int64_t c = 0; c < n; c++) {
        /* ConvTranspose has a scale per channel of one group */
        m[c] = (float)(alpha * s_x * w->q[w->n == 1 ? 0 : c % w->n].scale / s_y);
        b[c] = bias ? (float)(beta * bias[c] / s_y) : 0.0f;
    }
}
