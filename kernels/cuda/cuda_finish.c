/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cuda/cuda_finish.h"

#include <math.h>

#define FACTOR_PAD 16 /* vectors of channels may read past the last one */

/* Real, or 8 bits with one scale. */
static bool is_real_or_q8(const oct_operand *o)
{
    return oct_cuda_is_real(o->desc.dtype) || (oct_cuda_is_8bit(o->desc.dtype) && o->quant.n == 1);
}

static bool operands_ok(const oct_op_desc *d, bool integer, char *reason)
{
    const oct_operand *x = &d->in[0], *w = &d->in[1];
    if (integer) {
        if (!oct_cuda_is_8bit(w->desc.dtype) || x->quant.n != 1 || w->quant.n < 1)
            return oct_cuda_no(reason, "8-bit operands without scales");
        return true;
    }
    if (!oct_cuda_is_real(x->desc.dtype) || w->desc.dtype != x->desc.dtype)
        return oct_cuda_no(reason, "operand types");
    return true;
}

static bool bias_ok(const oct_op_desc *d, bool integer, char *reason)
{
    const int i = oct_cuda_bias_input(d);
    if (i < 0)
        return true;
    const oct_operand *bias = &d->in[i];
    if (!oct_cuda_dense(bias))
        return oct_cuda_no(reason, "strided bias");
    if (!integer)
        return oct_cuda_is_real(bias->desc.dtype) || oct_cuda_no(reason, "type of the bias");
    if (bias->desc.dtype == OCT_DT_S32)
        return true;
    if (bias->desc.dtype != OCT_DT_F32)
        return oct_cuda_no(reason, "type of the bias");
    return bias->data != NULL || oct_cuda_no(reason, "computed f32 bias of 8-bit operands");
}

bool oct_cuda_finish_ok(const oct_op_desc *d, bool integer, char *reason)
{
    if (!operands_ok(d, integer, reason) || !bias_ok(d, integer, reason))
        return false;
    if (d->n_out < 1 || d->n_out > 2)
        return oct_cuda_no(reason, "number of outputs");
    const int r = d->epilogue.residual;
    if (r >= d->n_in || (r >= 0 && !is_real_or_q8(&d->in[r])))
        return oct_cuda_no(reason, "type of the residual");
    for (int o = 0; o < d->n_out; o++) {
        if (!is_real_or_q8(&d->out[o]) && !(integer && d->out[o].desc.dtype == OCT_DT_S32))
            return oct_cuda_no(reason, "type of the output");
    }
    return true;
}

/* m and b of both outputs, one table behind the other. */
static oct_status upload_factors(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, int64_t n,
                                 oct_cuda_finish *f, void **factors)
{
    const size_t padded = ((size_t)n + 2 * FACTOR_PAD - 1) / FACTOR_PAD * FACTOR_PAD;
    const int bias = oct_cuda_bias_input(d);
    const float *real_bias =
        bias >= 0 && d->in[bias].desc.dtype == OCT_DT_F32 ? d->in[bias].data : NULL;
    float *host = oct_zalloc(ctx, 4 * padded * sizeof *host);
    if (!host)
        return OCT_ERR_NOMEM;
    for (int o = 0; o < d->n_out; o++) {
        if (d->out[o].desc.dtype != OCT_DT_S32)
            oct_requant_factors(d, o, real_bias, n, host + 2 * o * padded,
                                host + (2 * o + 1) * padded);
    }
    const oct_status st = oct_cuda_upload(be, ctx, host, 4 * padded * sizeof *host, factors);
    oct_free(ctx, host);
    for (int o = 0; st == OCT_OK && o < d->n_out; o++) {
        f->out[o].m = (const float *)*factors + 2 * o * padded;
        f->out[o].b = f->out[o].m + padded;
    }
    return st;
}

static oct_requant plain_output(const oct_operand *y)
{
    oct_requant rq = {.out = {1.0f, 0}};
    if (oct_cuda_is_8bit(y->desc.dtype)) {
        rq.out = y->quant.q[0];
        rq.lo = y->desc.dtype == OCT_DT_S8 ? -128 : 0;
        rq.hi = y->desc.dtype == OCT_DT_S8 ? 127 : 255;
    }
    return rq;
}

static void set_short(oct_cuda_finish *f, bool integer)
{
    const oct_cuda_fin_out *y = &f->out[0];
    const bool q8_residual = oct_cuda_is_8bit(f->residual_dtype);
    const bool residual = f->residual_dtype != OCT_DT_NONE;
    const bool curved = f->act == OCT_ACT_SWISH || f->act == OCT_ACT_HARD_SWISH;
    if (f->n_out != 1)
        return;
    if (integer) {
        f->is_short = oct_cuda_is_8bit(y->dtype) && (!residual || q8_residual) &&
                      (y->rq.scaled ? y->rq.act != OCT_ACT_LEAKY_RELU : curved);
        f->lo = (float)(y->rq.lo - y->rq.out.zero_point);
        f->hi = (float)(y->rq.hi - y->rq.out.zero_point);
        return;
    }
    f->is_short =
        oct_cuda_is_real(y->dtype) && !q8_residual &&
        (curved || f->act == OCT_ACT_NONE || f->act == OCT_ACT_RELU || f->act == OCT_ACT_CLIP);
    f->lo = f->act == OCT_ACT_RELU ? 0.0f : f->act == OCT_ACT_CLIP ? f->a : -INFINITY;
    f->hi = f->act == OCT_ACT_CLIP ? f->b : INFINITY;
}

oct_status oct_cuda_finish_make(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, bool integer,
                                int64_t n_channels, oct_cuda_finish *f, void **factors)
{
    const oct_attr_gemm *gemm = d->op == OCT_OP_GEMM ? d->attr : NULL;
    *factors = NULL;
    *f = (oct_cuda_finish){.n_out = d->n_out,
                           .bias_col = 1,
                           .r_scale = 1.0f,
                           .alpha = gemm ? gemm->alpha : 1.0f,
                           .beta = gemm ? gemm->beta : 1.0f,
                           .act = d->epilogue.act,
                           .a = d->epilogue.a,
                           .b = d->epilogue.b};
    for (int o = 0; o < d->n_out; o++) {
        f->out[o].dtype = d->out[o].desc.dtype;
        if (!integer)
            f->out[o].rq = plain_output(&d->out[o]);
        else if (d->out[o].desc.dtype != OCT_DT_S32)
            f->out[o].rq = oct_requant_make(d, o);
    }
    if (d->epilogue.residual >= 0) {
        const oct_operand *r = &d->in[d->epilogue.residual];
        f->residual_dtype = r->desc.dtype;
        if (r->quant.n > 0) {
            f->r_scale = r->quant.q[0].scale;
            f->r_zero = (float)r->quant.q[0].zero_point;
        }
    }
    const int bias = oct_cuda_bias_input(d);
    f->bias_dtype = bias >= 0 ? d->in[bias].desc.dtype : OCT_DT_NONE;
    if (integer && f->bias_dtype != OCT_DT_S32)
        f->bias_dtype = OCT_DT_NONE; /* an f32 bias is in the factors */
    set_short(f, integer);
    return integer ? upload_factors(be, ctx, d, n_channels, f, factors) : OCT_OK;
}

void oct_cuda_finish_bind(oct_cuda_finish *f, const oct_run_args *a, int bias, int residual)
{
    for (int o = 0; o < f->n_out; o++)
        f->out[o].data = a->out[o];
    f->bias = bias >= 0 && f->bias_dtype != OCT_DT_NONE ? a->in[bias] : NULL;
    f->residual = residual >= 0 ? a->in[residual] : NULL;
}

static int64_t largest_step(const oct_operand *o)
{
    const int64_t lo = o->desc.dtype == OCT_DT_S8 ? -128 : 0, hi = lo + 255;
    int64_t most = 0;
    for (int32_t i = 0; i < o->quant.n; i++) {
        const int64_t z = o->quant.q[i].zero_point;
        most = z - lo > most ? z - lo : most;
        most = hi - z > most ? hi - z : most;
    }
    return most;
}

bool oct_cuda_sum_fits(const oct_op_desc *d, int64_t k)
{
    const int64_t product = largest_step(&d->in[0]) * largest_step(&d->in[1]);
    return product == 0 || k <= INT32_MAX / product;
}
