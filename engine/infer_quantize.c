/* SPDX-License-Identifier: Apache-2.0
 *
 * Inference of QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, com.microsoft's
 * unary integer ops and our Table. What octet cannot compute (blocks, 4 and 16 bits, float8) is
 * refused here with its reason.
 */
#include "base/checked.h"
#include "engine/infer_internal.h"

/* Scale (input 1) and zero point (input 2): one value, or one per index of `axis`. */
static oct_status check_params(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_quantize *at = a->attr;
    const oct_shape *x = &a->in[0].desc.shape, *s = &a->in[1].desc.shape;
    const oct_tensor_desc *zero = oct_infer_in(a, 2);
    int axis;
    if (at->block_size != 0 || s->n_dims > 1)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "blocked quantization is not supported");
    if (zero && s->n_dims >= 0 && zero->shape.n_dims >= 0 && zero->shape.n_dims != s->n_dims &&
        s->n_dims + zero->shape.n_dims > 1)
        return oct_fail(ctx, OCT_ERR_SHAPE, "zero point: rank %d, scale has %d", zero->shape.n_dims,
                        s->n_dims);
    if (s->n_dims != 1 || s->dim[0] == 1 || x->n_dims < 0)
        return OCT_OK;
    OCT_TRY(oct_infer_axis(ctx, at->axis, x->n_dims, "axis", &axis));
    if (!oct_infer_merge_dim(s->dim[0], x->dim[axis], NULL) ||
        (zero && zero->shape.n_dims == 1 &&
         !oct_infer_merge_dim(s->dim[0], zero->shape.dim[0], NULL)))
        return oct_fail(ctx, OCT_ERR_SHAPE, "scale: %lld values, axis %d has %lld",
                        (long long)s->dim[0], axis, (long long)x->dim[axis]);
    return OCT_OK;
}

static oct_status set_like_input(oct_ctx *ctx, const oct_infer_args *a, oct_dtype dt)
{
    OCT_TRY(oct_infer_like_input(ctx, a));
    a->out[0].dtype = dt;
    return OCT_OK;
}

static oct_status infer_quantize(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_quantize *at = a->attr;
    const oct_tensor_desc *zero = oct_infer_in(a, 2);
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", OCT_DTS_FLOAT | OCT_DT_BIT(S32)));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 1, "scale", OCT_DTS_FLOAT | OCT_DT_BIT(S32)));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 2, "zero point", OCT_DTS_Q8));
    OCT_TRY(check_params(ctx, a));
    const oct_dtype dt = zero ? zero->dtype : at->output_dtype ? at->output_dtype : OCT_DT_U8;
    if (!(OCT_DTS_Q8 >> dt & 1))
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "output type %s: only s8 and u8 are supported",
                        oct_dtype_str(dt));
    if (zero && at->output_dtype && at->output_dtype != zero->dtype)
        return oct_fail(ctx, OCT_ERR_SHAPE, "output_dtype: %s, the zero point is %s",
                        oct_dtype_str(at->output_dtype), oct_dtype_str(zero->dtype));
    return set_like_input(ctx, a, dt);
}

static oct_status infer_dequantize(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_quantize *at = a->attr;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", OCT_DTS_Q8 | OCT_DT_BIT(S32)));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 1, "scale", OCT_DTS_FLOAT));
    OCT_TRY(oct_infer_check_same_dtype(ctx, a, 0, 2));
    OCT_TRY(check_params(ctx, a));
    const oct_dtype dt = at->output_dtype ? at->output_dtype : a->in[1].desc.dtype;
    if (!oct_dtype_is_float(dt))
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "output type %s: expected a float",
                        oct_dtype_str(dt));
    return set_like_input(ctx, a, dt);
}

static oct_status infer_dynamic_quantize(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_shape scalar = {.n_dims = 0};
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", OCT_DT_BIT(F32)));
    OCT_TRY(set_like_input(ctx, a, OCT_DT_U8));
    oct_infer_set(a, 1, OCT_DT_F32, &scalar);
    oct_infer_set(a, 2, OCT_DT_U8, &scalar);
    return OCT_OK;
}

static oct_status infer_q8_unary(oct_ctx *ctx, const oct_infer_args *a)
{
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", OCT_DTS_Q8));
    return oct_infer_like_input(ctx, a);
}

/* QLinearAdd, QLinearMul: operands are inputs 0 and 3. */
static oct_status infer_q8_binary(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_dtype dt = a->in[0].desc.dtype;
    oct_shape s;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "A", OCT_DTS_Q8));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 3, "B", OCT_DTS_Q8));
    OCT_TRY(oct_infer_broadcast(ctx, a, &a->in[0].desc.shape, &a->in[3].desc.shape, &s));
    if (s.n_dims < 0)
        oct_infer_set_unknown(a, 0, dt);
    else
        oct_infer_set(a, 0, dt, &s);
    return OCT_OK;
}

/* QLinearConcat: scale, zero point, then three inputs a part. */
static oct_status infer_q8_concat(oct_ctx *ctx, const oct_infer_args *a)
{
    oct_shape s = a->n_in > 2 ? a->in[2].desc.shape : (oct_shape){.n_dims = -1};
    int axis;
    if (a->n_in < 5 || (a->n_in - 2) % 3 != 0)
        return oct_fail(ctx, OCT_ERR_SHAPE, "%d inputs, expected 2 and three a part", a->n_in);
    OCT_TRY(oct_infer_check_dtype(ctx, a, 1, "zero point", OCT_DTS_Q8));
    if (s.n_dims < 0) {
        oct_infer_set_unknown(a, 0, a->in[1].desc.dtype);
        return OCT_OK;
    }
    OCT_TRY(oct_infer_axis(ctx, ((const oct_attr_axis *)a->attr)->axis, s.n_dims, "axis", &axis));
    for (int i = 5; i < a->n_in; i += 3) {
        const oct_shape *x = &a->in[i].desc.shape;
        OCT_TRY(oct_infer_check_rank(ctx, a, i, "part", s.n_dims, s.n_dims));
        for (int k = 0; x->n_dims >= 0 && k < s.n_dims; k++) {
            if (k != axis && !oct_infer_merge_dim(s.dim[k], x->dim[k], &s.dim[k]))
                return oct_fail(ctx, OCT_ERR_SHAPE, "part (input %d): axis %d is %lld, not %lld", i,
                                k, (long long)x->dim[k], (long long)s.dim[k]);
        }
        const bool known = s.dim[axis] >= 0 && x->n_dims >= 0 && x->dim[axis] >= 0;
        if (!known || !oct_add_s64(s.dim[axis], x->dim[axis], &s.dim[axis]))
            s.dim[axis] = oct_infer_symbol(a);
    }
    oct_infer_set(a, 0, a->in[1].desc.dtype, &s);
    return OCT_OK;
}

static oct_status infer_table(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_shape *t = &a->in[1].desc.shape;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", OCT_DTS_Q8));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 1, "table", OCT_DTS_Q8));
    if (t->n_dims != 1 || !oct_infer_merge_dim(t->dim[0], 256, NULL))
        return oct_fail(ctx, OCT_ERR_SHAPE, "table (input 1): expected 256 entries");
    return set_like_input(ctx, a, a->in[1].desc.dtype);
}

const oct_infer_entry oct_infer_quantize[] = {
    {OCT_OP_QUANTIZE_LINEAR, infer_quantize},
    {OCT_OP_DEQUANTIZE_LINEAR, infer_dequantize},
    {OCT_OP_DYNAMIC_QUANTIZE_LINEAR, infer_dynamic_quantize},
    {OCT_OP_QLINEAR_ADD, infer_q8_binary},
    {OCT_OP_QLINEAR_MUL, infer_q8_binary},
    {OCT_OP_QLINEAR_CONCAT, infer_q8_concat},
    {OCT_OP_QLINEAR_SIGMOID, infer_q8_unary},
    {OCT_OP_QLINEAR_LEAKY_RELU, infer_q8_unary},
    {OCT_OP_TABLE, infer_table},
    {0},
};
