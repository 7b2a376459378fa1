/* SPDX-License-Identifier: Apache-2.0
 *
 * Gemm and MatMul on our own kernels (cuda_simt.h): every type, batch and transpose, 8-bit operands
 * with exact sums and zero points on both sides. cuBLASLt comes before it where it serves
 * (cuda_gemm_lt.c).
 */
#include "kernels/cuda/cuda_gemm.h"

#include "kernels/cuda/cuda_gemm_lt.h"
#include "kernels/cuda/cuda_simt_op.h"

static int64_t find_matrix(const oct_simt_problem *p, int64_t n, int64_t off)
{
    for (int64_t i = n - 1; i >= 0; i--)
        if (p->w_off[i] == off)
            return i;
    return -1;
}

/* One z per batch; those that share a matrix of B share its packed copy. */
static void list_batches(const oct_cuda_product *pr, oct_simt_problem *p)
{
    int64_t n = 0;
    for (int64_t i = 0; i < pr->batches; i++) {
        int64_t a, b;
        oct_cuda_product_batch(pr, i, &a, &b);
        int64_t at = find_matrix(p, n, b);
        if (at < 0) {
            at = n++;
            p->w_off[at] = b;
        }
        const int64_t out = i * pr->m * pr->n;
        p->z[i] = (oct_simt_z){.x = a, .w = at, .y0 = out, .y1 = out, .r = out};
    }
    p->n_w = n;
}

static oct_status make_problem(const oct_cuda_product *pr, oct_ctx *ctx, oct_simt_problem *p)
{
    OCT_TRY(oct_simt_problem_init(p, ctx, pr->k, pr->batches, pr->batches));
    p->rows = pr->m;
    p->cols = pr->n;
    for (int i = 0; i < 3; i++) {
        p->out[i] = p->in[i] = i == 2 ? pr->m : 1;
        p->step[i] = 1;
        p->y[i] = (oct_simt_strides){.batch = pr->m * pr->n, .axis = {0, 0, pr->n}, .channel = 1};
    }
    p->x_axis[2] = pr->a_row;
    for (int64_t k = 0; k < pr->k; k++)
        p->term[k] = (oct_simt_term){.offset = k * pr->a_k, .w = k * pr->b_k};
    list_batches(pr, p);
    p->w_step = pr->b_col;
    p->n_channels = p->zero_channels = pr->n;
    p->own_channels = p->n_w == 1;
    p->flat = true;
    p->bias_row = pr->bias_row;
    p->bias_col = pr->bias_col;
    return OCT_OK;
}

static bool query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c, char *reason)
{
    oct_cuda_product pr;
    oct_simt_problem p = {.rows = 0};
    if (!oct_cuda_product_init(&pr, d, reason))
        return false;
    if (pr.batches > UINT16_MAX)
        return oct_cuda_no(reason, "number of batches");
    bool ok = false;
    if (make_problem(&pr, ctx, &p) == OCT_OK)
        ok = oct_simt_op_query(be, d, &p, 1, c, reason);
    else
        oct_error_clear(ctx);
    oct_simt_problem_free(&p, ctx);
    return ok;
}

static oct_status prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, const oct_candidate *c,
                          oct_cuda_op **out)
{
    char reason[OCT_REASON_BYTES];
    oct_cuda_product pr;
    oct_simt_problem p = {.rows = 0};
    (void)c;
    if (!oct_cuda_product_init(&pr, d, reason))
        return oct_fail(ctx, OCT_ERR_BUG, "%s: %s", oct_op_name(d->op), reason);
    oct_status st = make_problem(&pr, ctx, &p);
    if (st == OCT_OK)
        st = oct_simt_op_make(be, ctx, d, &p, 1, out);
    oct_simt_problem_free(&p, ctx);
    return st;
}

static const oct_cuda_row rows[] = {
    {OCT_OP_GEMM, oct_cuda_gemm_lt_query, oct_cuda_gemm_lt_prepare},
    {OCT_OP_MATMUL, oct_cuda_gemm_lt_query, oct_cuda_gemm_lt_prepare},
    {OCT_OP_GEMM, query, prepare},
    {OCT_OP_MATMUL, query, prepare},
};
const oct_cuda_rows oct_cuda_rows_gemm = {rows, sizeof rows / sizeof rows[0]};
