/* SPDX-License-Identifier: Apache-2.0
 *
 * Inference of convolutions and pools. 8-bit operands (graphs lowered to integers) give an
 * output of the type of input 0; the engine keeps the type that a quantized value has.
 */
#include "engine/infer_internal.h"
#include "kernels/window.h"

#define FLOAT_OR_Q8 (OCT_DTS_FLOAT | OCT_DTS_Q8)

static oct_status set_window_shape(const oct_infer_args *a, int i, oct_dtype dt, int64_t channels,
                                   const oct_window *w)
{
    oct_shape s = {.n_dims = w->n + 2};
    s.dim[0] = a->in[0].desc.shape.dim[0];
    s.dim[1] = channels;
    for (int k = 0; k < w->n; k++)
        s.dim[k + 2] = w->out[k] == OCT_WINDOW_UNKNOWN ? oct_infer_symbol(a) : w->out[k];
    oct_infer_set(a, i, dt, &s);
    return OCT_OK;
}

/* ---- convolutions --------------------------------------------------------------------------- */

static oct_status check_channels(oct_ctx *ctx, bool transposed, int64_t group, const oct_shape *x,
                                 const oct_shape *w, int64_t *out)
{
    const int64_t have = x->dim[1], first = w->dim[0], second = w->dim[1];
    if (group < 1 || (first >= 0 && first % group != 0))
        return oct_fail(ctx, OCT_ERR_SHAPE, "group: %lld does not divide the weights' %lld",
                        (long long)group, (long long)first);
    if (second > INT32_MAX || group > INT32_MAX)
        return oct_fail(ctx, OCT_ERR_SHAPE, "group: %lld, weights' dimension 1: %lld",
                        (long long)group, (long long)second);
    const int64_t need = transposed ? first : (second < 0 ? have : second * group);
    if (have >= 0 && need >= 0 && have != need)
        return oct_fail(ctx, OCT_ERR_SHAPE, "input: %lld channels, the weights expect %lld",
                        (long long)have, (long long)need);
    *out = !transposed ? first : second < 0 ? second : second * group;
    return OCT_OK;
}

static oct_status check_bias(oct_ctx *ctx, const oct_infer_args *a, int i, int64_t channels)
{
    const oct_tensor_desc *b = oct_infer_in(a, i);
    if (!b || b->shape.n_dims < 0)
        return OCT_OK;
    if (b->shape.n_dims != 1 || !oct_infer_merge_dim(b->shape.dim[0], channels, NULL))
        return oct_fail(ctx, OCT_ERR_SHAPE, "bias (input %d): expected %lld values", i,
                        (long long)channels);
    return OCT_OK;
}

static bool kernel_is_known(const oct_attr_window *at, const oct_shape *w)
{
    for (int k = 2; k < w->n_dims && at->n_kernel == 0; k++)
        if (w->dim[k] < 0)
            return false;
    return w->n_dims >= 0;
}

/* Computed weights of unknown size: batch and channels are all that is certain. */
static oct_status infer_unknown_window(const oct_infer_args *a, oct_dtype dt, int64_t channels)
{
    oct_shape s = a->in[0].desc.shape;
    s.dim[1] = channels >= 0 ? channels : oct_infer_symbol(a);
    for (int k = 2; k < s.n_dims; k++)
        s.dim[k] = oct_infer_symbol(a);
    oct_infer_set(a, 0, dt, &s);
    return OCT_OK;
}

/* `wi`, `bi`: input numbers of weights and bias. */
static oct_status infer_conv_as(oct_ctx *ctx, const oct_infer_args *a, int wi, int bi, oct_dtype dt)
{
    const oct_attr_window *at = a->attr;
    const oct_shape *x = &a->in[0].desc.shape, *w = &a->in[wi].desc.shape;
    const bool transposed = a->op == OCT_OP_CONV_TRANSPOSE;
    oct_window win;
    int64_t channels;
    if (x->n_dims < 0) {
        oct_infer_set_unknown(a, 0, dt);
        return OCT_OK;
    }
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "input", 3, OCT_MAX_SPATIAL + 2));
    if (w->n_dims < 0)
        return infer_unknown_window(a, dt, -1);
    OCT_TRY(oct_infer_check_rank(ctx, a, wi, "weights", x->n_dims, x->n_dims));
    OCT_TRY(check_channels(ctx, transposed, at->group, x, w, &channels));
    OCT_TRY(check_bias(ctx, a, bi, channels));
    if (!kernel_is_known(at, w))
        return infer_unknown_window(a, dt, channels);
    OCT_TRY(oct_window_resolve(ctx, a->op, at, x, w, &win));
    return set_window_shape(a, 0, dt, channels, &win);
}

/* A lowered Conv may write a second, real output of the same shape. */
static void set_second_output(const oct_infer_args *a)
{
    if (a->n_out > 1) {
        a->out[1] = a->out[0];
        a->out[1].dtype = OCT_DT_F32;
    }
}

static oct_status infer_conv(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_dtype dt = a->in[0].desc.dtype;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", FLOAT_OR_Q8));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 1, "weights", FLOAT_OR_Q8));
    if (oct_dtype_is_float(dt))
        OCT_TRY(oct_infer_check_same_dtype(ctx, a, 0, 1));
    OCT_TRY(infer_conv_as(ctx, a, 1, 2, dt));
    set_second_output(a);
    return OCT_OK;
}

static oct_status infer_qlinear_conv(oct_ctx *ctx, const oct_infer_args *a)
{
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", OCT_DTS_Q8));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 3, "weights", OCT_DTS_Q8));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 7, "output zero point", OCT_DTS_Q8));
    return infer_conv_as(ctx, a, 3, 8, a->in[7].desc.dtype);
}

static oct_status infer_conv_integer(oct_ctx *ctx, const oct_infer_args *a)
{
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", OCT_DTS_Q8));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 1, "weights", OCT_DTS_Q8));
    return infer_conv_as(ctx, a, 1, a->n_in, OCT_DT_S32);
}

/* ---- pools ------------------------------------------------------------------------------------ */

static oct_status infer_pool(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_window *at = a->attr;
    const oct_shape *x = &a->in[0].desc.shape;
    const oct_dtype dt = a->in[0].desc.dtype;
    oct_window win;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", FLOAT_OR_Q8));
    if (at->channels_last)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "channels_last: 1, only 0 is supported");
    if (a->op == OCT_OP_LP_POOL && (at->p < 1 || at->p > INT32_MAX))
        return oct_fail(ctx, OCT_ERR_SHAPE, "p: %lld, expected at least 1", (long long)at->p);
    if (x->n_dims < 0) {
        oct_infer_set_unknown(a, 0, dt);
        oct_infer_set_unknown(a, 1, OCT_DT_S64);
        return OCT_OK;
    }
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "input", 3, OCT_MAX_SPATIAL + 2));
    OCT_TRY(oct_window_resolve(ctx, a->op, at, x, NULL, &win));
    OCT_TRY(set_window_shape(a, 0, dt, x->dim[1], &win));
    if (a->n_out > 1) {
        a->out[1] = a->out[0];
        a->out[1].dtype = OCT_DT_S64;
    }
    return OCT_OK;
}

static oct_status infer_global_pool(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_shape *x = &a->in[0].desc.shape;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", FLOAT_OR_Q8));
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "input", 2, OCT_MAX_DIMS));
    if (a->op == OCT_OP_GLOBAL_LP_POOL && ((const oct_attr_norm *)a->attr)->p < 1)
        return oct_fail(ctx, OCT_ERR_SHAPE, "p: expected at least 1");
    if (a->op == OCT_OP_QLINEAR_GLOBAL_AVERAGE_POOL &&
        ((const oct_attr_qpool *)a->attr)->channels_last)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "channels_last: 1, only 0 is supported");
    if (x->n_dims < 0)
        return oct_infer_like_input(ctx, a);
    oct_shape s = *x;
    for (int k = 2; k < s.n_dims; k++)
        s.dim[k] = 1;
    oct_infer_set(a, 0, a->in[0].desc.dtype, &s);
    return OCT_OK;
}

const oct_infer_entry oct_infer_window[] = {
    {OCT_OP_CONV, infer_conv},
    {OCT_OP_CONV_TRANSPOSE, infer_conv},
    {OCT_OP_FUSED_CONV, infer_conv},
    {OCT_OP_QLINEAR_CONV, infer_qlinear_conv},
    {OCT_OP_CONV_INTEGER, infer_conv_integer},
    {OCT_OP_AVERAGE_POOL, infer_pool},
    {OCT_OP_MAX_POOL, infer_pool},
    {OCT_OP_LP_POOL, infer_pool},
    {OCT_OP_QLINEAR_AVERAGE_POOL, infer_pool},
    {OCT_OP_GLOBAL_AVERAGE_POOL, infer_global_pool},
    {OCT_OP_GLOBAL_MAX_POOL, infer_global_pool},
    {OCT_OP_GLOBAL_LP_POOL, infer_global_pool},
    {OCT_OP_QLINEAR_GLOBAL_AVERAGE_POOL, infer_global_pool},
    {0},
};
