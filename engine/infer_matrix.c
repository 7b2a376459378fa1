/* SPDX-License-Identifier: Apache-2.0
 *
 * Inference of Gemm, MatMul, Einsum and their integer forms. As in infer_window.c, 8-bit
 * operands of Gemm and MatMul give an output of the type of input 0.
 */
#include "engine/infer_internal.h"
#include "kernels/einsum.h"

#define NUMERIC                                                                         \
    (OCT_DTS_FLOAT | OCT_DTS_Q8 | OCT_DT_BIT(S32) | OCT_DT_BIT(U32) | OCT_DT_BIT(S64) | \
     OCT_DT_BIT(U64))

/* ---- Gemm ------------------------------------------------------------------------------------ */

static oct_status gemm_dims(oct_ctx *ctx, const oct_shape *a, const oct_shape *b,
                            const oct_attr_gemm *at, int64_t *mn)
{
    mn[0] = a->dim[at->trans_a ? 1 : 0];
    mn[1] = b->dim[at->trans_b ? 0 : 1];
    const int64_t ka = a->dim[at->trans_a ? 0 : 1], kb = b->dim[at->trans_b ? 1 : 0];
    if (!oct_infer_merge_dim(ka, kb, NULL))
        return oct_fail(ctx, OCT_ERR_SHAPE, "inner dimensions: %lld and %lld, expected equal",
                        (long long)ka, (long long)kb);
    return OCT_OK;
}

/* C must broadcast to [m, n] without enlarging it. */
static oct_status check_c(oct_ctx *ctx, const oct_infer_args *a, int ci, const int64_t *mn)
{
    const oct_tensor_desc *c = oct_infer_in(a, ci);
    if (!c || c->shape.n_dims < 0)
        return OCT_OK;
    bool ok = c->shape.n_dims <= 2;
    for (int k = 0; ok && k < c->shape.n_dims; k++) {
        const int64_t dim = c->shape.dim[k];
        ok = dim == 1 || oct_infer_merge_dim(dim, mn[k + 2 - c->shape.n_dims], NULL);
    }
    return ok ? OCT_OK
              : oct_fail(ctx, OCT_ERR_SHAPE, "C (input %d): does not broadcast to %lld x %lld", ci,
                         (long long)mn[0], (long long)mn[1]);
}

static oct_status infer_gemm_as(oct_ctx *ctx, const oct_infer_args *a, int bi, int ci, oct_dtype dt)
{
    const oct_shape *x = &a->in[0].desc.shape, *w = &a->in[bi].desc.shape;
    int64_t mn[2];
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "A", 2, 2));
    OCT_TRY(oct_infer_check_rank(ctx, a, bi, "B", 2, 2));
    if (x->n_dims < 0 || w->n_dims < 0) {
        mn[0] = oct_infer_symbol(a);
        mn[1] = oct_infer_symbol(a);
    } else {
        OCT_TRY(gemm_dims(ctx, x, w, a->attr, mn));
        OCT_TRY(check_c(ctx, a, ci, mn));
    }
    oct_infer_set_dims(a, 0, dt, 2, mn);
    return OCT_OK;
}

/* A lowered product may write a second, real output of the same shape. */
static void set_second_output(const oct_infer_args *a)
{
    if (a->n_out > 1) {
        a->out[1] = a->out[0];
        a->out[1].dtype = OCT_DT_F32;
    }
}

static oct_status check_product_types(oct_ctx *ctx, const oct_infer_args *a)
{
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "A", NUMERIC));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 1, "B", NUMERIC));
    if (a->in[0].desc.dtype != OCT_DT_S8 && a->in[0].desc.dtype != OCT_DT_U8)
        OCT_TRY(oct_infer_check_same_dtype(ctx, a, 0, 1));
    return OCT_OK;
}

static oct_status infer_gemm(oct_ctx *ctx, const oct_infer_args *a)
{
    OCT_TRY(check_product_types(ctx, a));
    OCT_TRY(infer_gemm_as(ctx, a, 1, 2, a->in[0].desc.dtype));
    set_second_output(a);
    return OCT_OK;
}

static oct_status infer_qgemm(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_tensor_desc *zero = oct_infer_in(a, 8);
    const bool real = !oct_infer_in(a, 7); /* no output scale: f32 results */
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "A", OCT_DTS_Q8));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 3, "B", OCT_DTS_Q8));
    return infer_gemm_as(ctx, a, 3, 6,
                         real   ? OCT_DT_F32
                         : zero ? zero->dtype
                                : a->in[0].desc.dtype);
}

/* ---- MatMul ------------------------------------------------------------------------------------ */

/* Shape of a product by numpy's rules: 1-D operands get an axis that is dropped again. */
static oct_status matmul_shape(oct_ctx *ctx, const oct_infer_args *a, const oct_shape *x,
                               const oct_shape *y, oct_shape *out)
{
    const int rx = x->n_dims, ry = y->n_dims;
    oct_shape bx = {.n_dims = rx > 2 ? rx - 2 : 0}, by = {.n_dims = ry > 2 ? ry - 2 : 0};
    if (rx < 1 || ry < 1)
        return oct_fail(ctx, OCT_ERR_SHAPE, "operands: rank %d and %d, expected at least 1", rx,
                        ry);
    const int64_t kx = x->dim[rx - 1], ky = y->dim[ry > 1 ? ry - 2 : 0];
    if (!oct_infer_merge_dim(kx, ky, NULL))
        return oct_fail(ctx, OCT_ERR_SHAPE, "inner dimensions: %lld and %lld, expected equal",
                        (long long)kx, (long long)ky);
    for (int k = 0; k < bx.n_dims; k++)
        bx.dim[k] = x->dim[k];
    for (int k = 0; k < by.n_dims; k++)
        by.dim[k] = y->dim[k];
    OCT_TRY(oct_infer_broadcast(ctx, a, &bx, &by, out));
    if (rx > 1)
        out->dim[out->n_dims++] = x->dim[rx - 2];
    if (ry > 1)
        out->dim[out->n_dims++] = y->dim[ry - 1];
    return OCT_OK;
}

static oct_status infer_matmul_as(oct_ctx *ctx, const oct_infer_args *a, int bi, oct_dtype dt)
{
    const oct_shape *x = &a->in[0].desc.shape, *y = &a->in[bi].desc.shape;
    oct_shape s;
    if (x->n_dims < 0 || y->n_dims < 0) {
        oct_infer_set_unknown(a, 0, dt);
        return OCT_OK;
    }
    OCT_TRY(matmul_shape(ctx, a, x, y, &s));
    oct_infer_set(a, 0, dt, &s);
    return OCT_OK;
}

static oct_status infer_matmul(oct_ctx *ctx, const oct_infer_args *a)
{
    OCT_TRY(check_product_types(ctx, a));
    OCT_TRY(infer_matmul_as(ctx, a, 1, a->in[0].desc.dtype));
    set_second_output(a);
    return OCT_OK;
}

static oct_status infer_matmul_integer(oct_ctx *ctx, const oct_infer_args *a)
{
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "A", OCT_DTS_Q8));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 1, "B", OCT_DTS_Q8));
    return infer_matmul_as(ctx, a, 1, OCT_DT_S32);
}

static oct_status infer_qlinear_matmul(oct_ctx *ctx, const oct_infer_args *a)
{
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "A", OCT_DTS_Q8));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 3, "B", OCT_DTS_Q8));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 7, "output zero point", OCT_DTS_Q8));
    return infer_matmul_as(ctx, a, 3, a->in[7].desc.dtype);
}

/* ---- Einsum -------------------------------------------------------------------------------------- */

static oct_status infer_einsum(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_einsum *at = a->attr;
    int n_dims[OCT_EINSUM_MAX_INPUTS];
    int64_t dim[OCT_EINSUM_MAX_INDICES];
    oct_einsum e;
    for (int i = 0; i < a->n_in; i++) {
        OCT_TRY(oct_infer_check_dtype(ctx, a, i, "operand", NUMERIC));
        OCT_TRY(oct_infer_check_same_dtype(ctx, a, 0, i));
        if (a->in[i].desc.shape.n_dims < 0) {
            oct_infer_set_unknown(a, 0, a->in[0].desc.dtype);
            return OCT_OK;
        }
        if (i < OCT_EINSUM_MAX_INPUTS)
            n_dims[i] = a->in[i].desc.shape.n_dims;
    }
    OCT_TRY(oct_einsum_parse(ctx, at->equation, n_dims, a->n_in, &e));
    for (int k = 0; k < e.n_indices; k++)
        dim[k] = 1;
    for (int i = 0; i < a->n_in; i++) {
        for (int k = 0; k < e.n_dims[i]; k++) {
            int64_t *have = &dim[e.index[i][k]];
            const int64_t own = a->in[i].desc.shape.dim[k];
            if (*have == 1)
                *have = own;
            else if (own != 1 && !oct_infer_merge_dim(*have, own, have))
                return oct_fail(ctx, OCT_ERR_SHAPE,
                                "operand %d: dimension %d is %lld, expected %lld", i, k,
                                (long long)own, (long long)*have);
        }
    }
    oct_infer_set_dims(a, 0, a->in[0].desc.dtype, e.n_out_dims, dim);
    return OCT_OK;
}

const oct_infer_entry oct_infer_matrix[] = {
    {OCT_OP_GEMM, infer_gemm},
    {OCT_OP_QGEMM, infer_qgemm},
    {OCT_OP_MATMUL, infer_matmul},
    {OCT_OP_MATMUL_INTEGER, infer_matmul_integer},
    {OCT_OP_QLINEAR_MATMUL, infer_qlinear_matmul},
    {OCT_OP_EINSUM, infer_einsum},
    {0},
};
