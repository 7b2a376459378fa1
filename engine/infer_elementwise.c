/* SPDX-License-Identifier: Apache-2.0
 *
 * Element-wise operators: unary functions keep type and shape, the others broadcast. Which
 * element types an op takes is a table.
 */
#include "engine/infer_internal.h"
#include "engine/infer_values.h"

#define INTS                                                                                 \
    (OCT_DT_BIT(S8) | OCT_DT_BIT(U8) | OCT_DT_BIT(S16) | OCT_DT_BIT(U16) | OCT_DT_BIT(S32) | \
     OCT_DT_BIT(U32) | OCT_DT_BIT(S64) | OCT_DT_BIT(U64))
#define FLOATS OCT_DTS_FLOAT
#define NUMBERS (INTS | FLOATS)
#define BOOLS OCT_DT_BIT(BOOL)
#define ANY_TYPE (NUMBERS | BOOLS)

typedef struct type_rule {
    oct_op op;
    uint32_t allowed;
} type_rule;

/* Ops that are not listed take floats only. */
static const type_rule RULES[] = {
    {OCT_OP_RELU, NUMBERS},    {OCT_OP_ABS, NUMBERS},
    {OCT_OP_NEG, NUMBERS},     {OCT_OP_SIGN, NUMBERS},
    {OCT_OP_NOT, BOOLS},       {OCT_OP_CLIP, NUMBERS},
    {OCT_OP_PRELU, NUMBERS},   {OCT_OP_ADD, NUMBERS},
    {OCT_OP_SUB, NUMBERS},     {OCT_OP_MUL, NUMBERS},
    {OCT_OP_DIV, NUMBERS},     {OCT_OP_POW, NUMBERS},
    {OCT_OP_MOD, NUMBERS},     {OCT_OP_MIN, NUMBERS},
    {OCT_OP_MAX, NUMBERS},     {OCT_OP_EQUAL, ANY_TYPE},
    {OCT_OP_GREATER, NUMBERS}, {OCT_OP_GREATER_OR_EQUAL, NUMBERS},
    {OCT_OP_LESS, NUMBERS},    {OCT_OP_LESS_OR_EQUAL, NUMBERS},
    {OCT_OP_AND, BOOLS},       {OCT_OP_OR, BOOLS},
    {OCT_OP_XOR, BOOLS},       {OCT_OP_WHERE, ANY_TYPE},
};

static uint32_t allowed_types(oct_op op)
{
    for (size_t i = 0; i < sizeof RULES / sizeof RULES[0]; i++)
        if (RULES[i].op == op)
            return RULES[i].allowed;
    return FLOATS;
}

static oct_status infer_unary(oct_ctx *ctx, const oct_infer_args *a)
{
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "x", allowed_types(a->op)));
    return oct_infer_like_input(ctx, a);
}

static oct_status infer_is_nan(oct_ctx *ctx, const oct_infer_args *a)
{
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "x", FLOATS));
    OCT_TRY(oct_infer_like_input(ctx, a));
    a->out[0].dtype = OCT_DT_BOOL;
    return OCT_OK;
}

static oct_status check_bound(oct_ctx *ctx, const oct_infer_args *a, int i, const char *what)
{
    const oct_tensor_desc *t = oct_infer_in(a, i);
    size_t n = 0;
    if (!t)
        return OCT_OK;
    OCT_TRY(oct_infer_check_same_dtype(ctx, a, 0, i));
    if (oct_shape_is_known(&t->shape) && (!oct_shape_elems(&t->shape, &n) || n != 1))
        return oct_fail(ctx, OCT_ERR_SHAPE, "%s (input %d): %zu elements, expected one", what, i,
                        n);
    return OCT_OK;
}

static oct_status infer_clip(oct_ctx *ctx, const oct_infer_args *a)
{
    OCT_TRY(check_bound(ctx, a, 1, "min"));
    OCT_TRY(check_bound(ctx, a, 2, "max"));
    return infer_unary(ctx, a);
}

/* Type and broadcast shape of all inputs from `first` on. */
static oct_status broadcast_all(oct_ctx *ctx, const oct_infer_args *a, int first, oct_dtype dt)
{
    oct_shape s = {.n_dims = 0};
    for (int i = first; i < a->n_in; i++) {
        const oct_tensor_desc *t = oct_infer_in(a, i);
        if (!t)
            return oct_fail(ctx, OCT_ERR_SHAPE, "input %d: absent, but it is not optional", i);
        OCT_TRY(oct_infer_broadcast(ctx, a, &s, &t->shape, &s));
    }
    return oct_infer_output(ctx, a, 0, dt, &s);
}

static oct_status check_operands(oct_ctx *ctx, const oct_infer_args *a)
{
    for (int i = 0; i < a->n_in; i++) {
        OCT_TRY(oct_infer_check_dtype(ctx, a, i, "operand", allowed_types(a->op)));
        if (a->op != OCT_OP_POW)
            OCT_TRY(oct_infer_check_same_dtype(ctx, a, 0, i));
    }
    return OCT_OK;
}

static oct_status infer_arithmetic(oct_ctx *ctx, const oct_infer_args *a)
{
    OCT_TRY(check_operands(ctx, a));
    return broadcast_all(ctx, a, 0, a->in[0].desc.dtype);
}

static oct_status infer_compare(oct_ctx *ctx, const oct_infer_args *a)
{
    OCT_TRY(check_operands(ctx, a));
    return broadcast_all(ctx, a, 0, OCT_DT_BOOL);
}

/* ONNX: the slope broadcasts to x, never the other way round. */
static oct_status infer_prelu(oct_ctx *ctx, const oct_infer_args *a)
{
    OCT_TRY(infer_arithmetic(ctx, a));
    const oct_shape *x = &a->in[0].desc.shape, *y = &a->out[0].shape;
    bool same = x->n_dims < 0 || y->n_dims < 0 || x->n_dims == y->n_dims;
    for (int k = 0; same && k < x->n_dims && k < y->n_dims; k++)
        same = oct_infer_merge_dim(x->dim[k], y->dim[k], NULL);
    if (!same)
        return oct_fail(ctx, OCT_ERR_SHAPE, "slope: does not broadcast to the shape of x");
    return oct_infer_like_input(ctx, a);
}

static oct_status infer_where(oct_ctx *ctx, const oct_infer_args *a)
{
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "condition", BOOLS));
    OCT_TRY(oct_infer_check_same_dtype(ctx, a, 1, 2));
    return broadcast_all(ctx, a, 0, a->in[1].desc.dtype);
}

const oct_infer_entry oct_infer_elementwise[] = {
    {OCT_OP_RELU, infer_unary},
    {OCT_OP_LEAKY_RELU, infer_unary},
    {OCT_OP_PRELU, infer_prelu},
    {OCT_OP_ELU, infer_unary},
    {OCT_OP_SELU, infer_unary},
    {OCT_OP_CELU, infer_unary},
    {OCT_OP_CLIP, infer_clip},
    {OCT_OP_SIGMOID, infer_unary},
    {OCT_OP_HARD_SIGMOID, infer_unary},
    {OCT_OP_HARD_SWISH, infer_unary},
    {OCT_OP_SWISH, infer_unary},
    {OCT_OP_MISH, infer_unary},
    {OCT_OP_GELU, infer_unary},
    {OCT_OP_MS_GELU, infer_unary},
    {OCT_OP_ERF, infer_unary},
    {OCT_OP_TANH, infer_unary},
    {OCT_OP_SOFTPLUS, infer_unary},
    {OCT_OP_SOFTSIGN, infer_unary},
    {OCT_OP_THRESHOLDED_RELU, infer_unary},
    {OCT_OP_SHRINK, infer_unary},
    {OCT_OP_ABS, infer_unary},
    {OCT_OP_NEG, infer_unary},
    {OCT_OP_SIGN, infer_unary},
    {OCT_OP_CEIL, infer_unary},
    {OCT_OP_FLOOR, infer_unary},
    {OCT_OP_ROUND, infer_unary},
    {OCT_OP_SQRT, infer_unary},
    {OCT_OP_RECIPROCAL, infer_unary},
    {OCT_OP_EXP, infer_unary},
    {OCT_OP_LOG, infer_unary},
    {OCT_OP_SIN, infer_unary},
    {OCT_OP_COS, infer_unary},
    {OCT_OP_TAN, infer_unary},
    {OCT_OP_ATAN, infer_unary},
    {OCT_OP_NOT, infer_unary},
    {OCT_OP_IS_NAN, infer_is_nan},
    {OCT_OP_IS_INF, infer_is_nan},
    {OCT_OP_ADD, infer_arithmetic},
    {OCT_OP_SUB, infer_arithmetic},
    {OCT_OP_MUL, infer_arithmetic},
    {OCT_OP_DIV, infer_arithmetic},
    {OCT_OP_POW, infer_arithmetic},
    {OCT_OP_MOD, infer_arithmetic},
    {OCT_OP_MIN, infer_arithmetic},
    {OCT_OP_MAX, infer_arithmetic},
    {OCT_OP_SUM, infer_arithmetic},
    {OCT_OP_MEAN, infer_arithmetic},
    {OCT_OP_EQUAL, infer_compare},
    {OCT_OP_GREATER, infer_compare},
    {OCT_OP_GREATER_OR_EQUAL, infer_compare},
    {OCT_OP_LESS, infer_compare},
    {OCT_OP_LESS_OR_EQUAL, infer_compare},
    {OCT_OP_AND, infer_compare},
    {OCT_OP_OR, infer_compare},
    {OCT_OP_XOR, infer_compare},
    {OCT_OP_WHERE, infer_where},
    {OCT_OP_COUNT, NULL},
};
