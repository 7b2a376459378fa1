/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cuda/cuda_gemm.h"

static bool dense_rows(const oct_operand *o)
{
    return o->desc.layout == OCT_LAYOUT_ROW && oct_cuda_dense(o);
}

static bool operands_dense(const oct_op_desc *d, char *reason)
{
    for (int i = 0; i < d->n_in + d->n_out; i++) {
        const oct_operand *o = i < d->n_in ? &d->in[i] : &d->out[i - d->n_in];
        if (o->desc.dtype != OCT_DT_NONE && !dense_rows(o))
            return oct_cuda_no(reason, "operands must be dense and row-major");
    }
    if (oct_cuda_elems(&d->in[0]) == 0 || oct_cuda_elems(&d->in[1]) == 0)
        return oct_cuda_no(reason, "empty tensor");
    return true;
}

static int64_t dim_from_end(const oct_shape *s, int i)
{
    const int at = s->n_dims - 1 - i;
    return at < 0 ? 1 : s->dim[at];
}

static void batch_steps(const oct_shape *t, const oct_cuda_product *p, int64_t matrix,
                        int64_t *step)
{
    int64_t elems = matrix;
    for (int i = p->n_batch_dims - 1; i >= 0; i--) {
        const int64_t own = dim_from_end(t, 2 + p->n_batch_dims - 1 - i);
        step[i] = own == 1 ? 0 : elems;
        elems *= own;
    }
}

/* Neighbouring batch dims that A and B walk in one stride become one. */
static void merge_batches(oct_cuda_product *p)
{
    int n = 0;
    for (int i = 0; i < p->n_batch_dims; i++) {
        if (p->batch_dim[i] == 1)
            continue;
        if (n > 0 && p->a_step[n - 1] == p->a_step[i] * p->batch_dim[i] &&
            p->b_step[n - 1] == p->b_step[i] * p->batch_dim[i]) {
            p->batch_dim[n - 1] *= p->batch_dim[i];
            p->a_step[n - 1] = p->a_step[i];
            p->b_step[n - 1] = p->b_step[i];
            continue;
        }
        p->batch_dim[n] = p->batch_dim[i];
        p->a_step[n] = p->a_step[i];
        p->b_step[n++] = p->b_step[i];
    }
    p->n_batch_dims = n;
}

static void init_matmul(oct_cuda_product *p, const oct_op_desc *d)
{
    const oct_shape *a = &d->in[0].desc.shape;
    oct_shape b = d->in[1].desc.shape;
    if (b.n_dims == 1) { /* a column */
        b.dim[1] = 1;
        b.n_dims = 2;
    }
    p->m = a->n_dims == 1 ? 1 : dim_from_end(a, 1);
    p->k = dim_from_end(a, 0);
    p->n = dim_from_end(&b, 0);
    p->a_row = p->k;
    p->a_k = 1;
    p->b_k = p->n;
    p->b_col = 1;
    const int most = a->n_dims > b.n_dims ? a->n_dims : b.n_dims;
    p->n_batch_dims = most > 2 ? most - 2 : 0;
    for (int i = 0; i < p->n_batch_dims; i++) {
        const int from_end = 2 + p->n_batch_dims - 1 - i;
        const int64_t x = dim_from_end(a, from_end), y = dim_from_end(&b, from_end);
        p->batch_dim[i] = x == 1 ? y : x;
        p->batches *= p->batch_dim[i];
    }
    batch_steps(a, p, p->m * p->k, p->a_step);
    batch_steps(&b, p, p->k * p->n, p->b_step);
    p->b_elems = p->k * p->n;
    p->b_matrices = (int64_t)oct_cuda_elems(&d->in[1]) / p->b_elems;
    merge_batches(p);
    if (p->b_matrices == 1 && p->batches > 1 && p->n_batch_dims == 1 &&
        p->a_step[0] == p->m * p->k) {
        p->m *= p->batches;
        p->batches = 1;
        p->n_batch_dims = 0;
    }
}

static void init_gemm(oct_cuda_product *p, const oct_op_desc *d)
{
    const oct_attr_gemm *at = d->attr;
    const oct_shape *a = &d->in[0].desc.shape, *b = &d->in[1].desc.shape;
    p->m = a->dim[at->trans_a ? 1 : 0];
    p->k = a->dim[at->trans_a ? 0 : 1];
    p->n = b->dim[at->trans_b ? 0 : 1];
    p->a_row = at->trans_a ? 1 : p->k;
    p->a_k = at->trans_a ? p->m : 1;
    p->b_k = at->trans_b ? 1 : p->n;
    p->b_col = at->trans_b ? p->k : 1;
    p->b_elems = p->k * p->n;
    p->b_matrices = 1;
}

static bool init_bias(oct_cuda_product *p, const oct_op_desc *d, char *reason)
{
    p->bias_col = 1;
    if (d->epilogue.residual == 2 || !oct_cuda_present(d, 2))
        return true;
    const oct_shape *s = &d->in[2].desc.shape;
    const int64_t cols = dim_from_end(s, 0), n_rows = dim_from_end(s, 1);
    p->bias_col = cols != 1;
    p->bias_row = n_rows != 1 ? cols : 0;
    const bool row_only = n_rows == 1 && cols == p->n;
    if (oct_cuda_is_8bit(d->in[0].desc.dtype) && d->in[2].desc.dtype == OCT_DT_F32 && !row_only)
        return oct_cuda_no(reason, "8 bits with a bias that is no row");
    return true;
}

bool oct_cuda_product_init(oct_cuda_product *p, const oct_op_desc *d, char *reason)
{
    if (!operands_dense(d, reason))
        return false;
    memset(p, 0, sizeof *p);
    p->batches = 1;
    if (d->op == OCT_OP_GEMM)
        init_gemm(p, d);
    else
        init_matmul(p, d);
    return init_bias(p, d, reason);
}

void oct_cuda_product_batch(const oct_cuda_product *p, int64_t i, int64_t *a, int64_t *b)
{
    *a = *b = 0;
    for (int k = p->n_batch_dims - 1; k >= 0; k--) {
        const int64_t at = i % p->batch_dim[k];
        *a += at * p->a_step[k];
        *b += at * p->b_step[k];
        i /= p->batch_dim[k];
    }
}
