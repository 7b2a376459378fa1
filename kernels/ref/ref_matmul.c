/* SPDX-License-Identifier: Apache-2.0
 *
 * Gemm and MatMul: numpy's broadcasting of batches, 1-D operands, transposes, and the epilogue.
 * A goes in as rows of k elements (packed when it is transposed or 8 bits wide), columns of B
 * are packed panel by panel.
 */
#include "kernels/ref/ref_matmul.h"

#include "kernels/ref/ref_elem.h"
#include "kernels/ref/ref_groups_internal.h"
#include "kernels/ref/ref_store.h"

typedef struct matmul {
    const oct_op_desc *d;
    bool integer, packs_a;
    int64_t m, n, k;
    oct_shape batch; /* broadcast batch dims */
    int64_t a_batch[OCT_MAX_DIMS], b_batch[OCT_MAX_DIMS];
    int64_t a_row, a_k, b_k, b_col; /* strides */
    int64_t a_matrices;             /* matrices in A itself */
    const void *a, *b;
    oct_ref_store store;
} matmul;

static const oct_attr_gemm *gemm_of(const oct_op_desc *d)
{
    return d->op == OCT_OP_GEMM ? d->attr : NULL;
}

/* Broadcast strides of an operand's batch dims, in matrices of `elems` elements. */
static void batch_strides(const oct_shape *s, const oct_shape *batch, int64_t elems,
                          int64_t *stride)
{
    const int own = s->n_dims > 2 ? s->n_dims - 2 : 0, lead = batch->n_dims - own;
    int64_t step = elems;
    for (int k = batch->n_dims - 1; k >= 0; k--) {
        const int64_t dim = k < lead ? 1 : s->dim[k - lead];
        stride[k] = dim == 1 ? 0 : step;
        step *= dim;
    }
}

static void init_gemm(matmul *p, const oct_attr_gemm *at)
{
    const oct_shape *x = &p->d->in[0].desc.shape, *y = &p->d->in[1].desc.shape;
    p->m = x->dim[at->trans_a ? 1 : 0];
    p->k = x->dim[at->trans_a ? 0 : 1];
    p->n = y->dim[at->trans_b ? 0 : 1];
    p->a_row = at->trans_a ? 1 : p->k;
    p->a_k = at->trans_a ? p->m : 1;
    p->b_k = at->trans_b ? 1 : p->n;
    p->b_col = at->trans_b ? p->k : 1;
}

static void init_matmul(matmul *p)
{
    const oct_shape *x = &p->d->in[0].desc.shape, *y = &p->d->in[1].desc.shape;
    const oct_shape *out = &p->d->out[0].desc.shape;
    p->m = x->n_dims > 1 ? x->dim[x->n_dims - 2] : 1;
    p->k = x->dim[x->n_dims - 1];
    p->n = y->n_dims > 1 ? y->dim[y->n_dims - 1] : 1;
    p->a_row = p->k;
    p->a_k = 1;
    p->b_k = p->n;
    p->b_col = 1;
    p->batch.n_dims = out->n_dims - (x->n_dims > 1) - (y->n_dims > 1);
    for (int k = 0; k < p->batch.n_dims; k++)
        p->batch.dim[k] = out->dim[k];
    batch_strides(x, &p->batch, p->m * p->k, p->a_batch);
    batch_strides(y, &p->batch, p->k * p->n, p->b_batch);
    p->a_matrices = x->n_dims > 2 ? oct_ref_product(x, 0, x->n_dims - 2) : 1;
}

static void matmul_init(matmul *p, const oct_op_desc *d)
{
    *p = (matmul){.d = d, .a_matrices = 1, .integer = oct_ref_is_q8(d->in[0].desc.dtype)};
    if (gemm_of(d))
        init_gemm(p, gemm_of(d));
    else
        init_matmul(p);
    p->packs_a = p->integer || p->a_k != 1;
}

static int64_t batch_offset(const oct_shape *batch, const int64_t *stride, int64_t i)
{
    int64_t at = 0;
    for (int k = batch->n_dims - 1; k >= 0; k--) {
        at += i % batch->dim[k] * stride[k];
        i /= batch->dim[k];
    }
    return at;
}

static int32_t zero_at(const oct_quant *q, int64_t channel)
{
    return q->q[q->n == 1 ? 0 : channel % q->n].zero_point;
}

/* ---- packing ----------------------------------------------------------------------------- */

static void pack_a(const matmul *p, const void *a, void *to)
{
    const oct_operand *op = &p->d->in[0];
    for (int64_t r = 0; r < p->a_matrices * p->m; r++) {
        const int64_t from = r / p->m * p->m * p->k + r % p->m * p->a_row;
        const int32_t zero = p->integer ? zero_at(&op->quant, r % p->m) : 0;
        for (int64_t k = 0; k < p->k; k++) {
            if (p->integer)
                ((int16_t *)to)[r * p->k + k] =
                    (int16_t)(oct_ref_load_q8(a, op->desc.dtype, from + k * p->a_k) - zero);
            else
                ((float *)to)[r * p->k + k] = ((const float *)a)[from + k * p->a_k];
        }
    }
}

static void pack_f32(const matmul *p, const oct_ref_block *b, const float *from, float *panel)
{
    for (int64_t k = 0; k < p->k; k++) {
        for (int j = 0; j < OCT_REF_COLS; j++)
            panel[k * OCT_REF_COLS + j] =
                j < b->n_cols ? from[k * p->b_k + (b->col + j) * p->b_col] : 0.0f;
    }
}

static void pack_q8(const matmul *p, const oct_ref_block *b, int64_t at, int16_t *panel)
{
    const oct_operand *op = &p->d->in[1];
    for (int j = 0; j < b->n_cols; j++) {
        const int64_t col = b->col + j;
        const int32_t zero = zero_at(&op->quant, col);
        for (int64_t k = 0; k < p->k; k++)
            panel[j * p->k + k] =
                (int16_t)(oct_ref_load_q8(p->b, op->desc.dtype, at + k * p->b_k + col * p->b_col) -
                          zero);
    }
}

static void pack(const void *user, const oct_ref_block *b, void *panel, void *extra)
{
    (void)extra;
    const matmul *p = user;
    const int64_t at = batch_offset(&p->batch, p->b_batch, b->product);
    if (p->integer)
        pack_q8(p, b, at, panel);
    else
        pack_f32(p, b, (const float *)p->b + at, panel);
}

static const void *rows(const void *user, int64_t product)
{
    const matmul *p = user;
    const size_t elem = p->integer ? sizeof(int16_t) : sizeof(float);
    return (const uint8_t *)p->a + (size_t)batch_offset(&p->batch, p->a_batch, product) * elem;
}

static void store(const void *user, const oct_ref_block *b, const void *acc)
{
    oct_ref_store_block(&((const matmul *)user)->store, b->product, b, acc);
}

/* ---- running --------------------------------------------------------------------------------- */

static size_t align_up(size_t n)
{
    return (n + OCT_ALIGN - 1) / OCT_ALIGN * OCT_ALIGN;
}

static size_t a_bytes(const matmul *p)
{
    const size_t elem = p->integer ? sizeof(int16_t) : sizeof(float);
    return p->packs_a ? align_up((size_t)(p->a_matrices * p->m * p->k) * elem) : 0;
}

size_t oct_ref_matmul_workspace(const oct_op_desc *d)
{
    matmul p;
    matmul_init(&p, d);
    return a_bytes(&p) + align_up(oct_ref_store_bytes(d, p.n)) +
           oct_ref_gemm_panel_bytes(p.k, p.integer, 0, d->threads);
}

static oct_ref_view dense_view(const matmul *p, const oct_tensor_desc *t, const void *data)
{
    return (oct_ref_view){(void *)data, t->dtype, p->m * p->n, p->n, 1};
}

/* Gemm's C broadcasts to the result; MatMul's bias belongs to columns. */
static oct_ref_view bias_view(const oct_operand *c, const void *data)
{
    const oct_shape *s = &c->desc.shape;
    oct_ref_view v = {(void *)data, c->desc.dtype, 0, 0, 0};
    const int64_t cols = s->n_dims > 0 ? s->dim[s->n_dims - 1] : 1;
    const int64_t n_rows = s->n_dims > 1 ? s->dim[s->n_dims - 2] : 1;
    v.col = cols != 1;
    v.row = n_rows != 1 ? cols : 0;
    return v;
}

static void init_store(matmul *p, const oct_run_args *a, float *factors)
{
    const oct_op_desc *d = p->d;
    const oct_attr_gemm *at = gemm_of(d);
    oct_ref_store *s = &p->store;
    *s = (oct_ref_store){.d = d, .alpha = at ? at->alpha : 1, .beta = at ? at->beta : 1};
    for (int o = 0; o < d->n_out; o++)
        s->out[o] = dense_view(p, &d->out[o].desc, a->out[o]);
    if (d->n_in > 2 && d->epilogue.residual != 2 && a->in[2])
        s->bias = bias_view(&d->in[2], a->in[2]);
    if (d->epilogue.residual >= 0)
        s->residual = dense_view(p, &d->in[d->epilogue.residual].desc, a->in[d->epilogue.residual]);
    oct_ref_store_init(s, p->integer, p->n, factors);
}

oct_status oct_ref_matmul_run(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    matmul p;
    uint8_t *scratch = a->workspace;
    matmul_init(&p, d);
    p.a = a->in[0];
    p.b = a->in[1];
    if (p.packs_a) {
        pack_a(&p, a->in[0], scratch);
        p.a = scratch;
        scratch += a_bytes(&p);
    }
    init_store(&p, a, (float *)scratch);
    scratch += align_up(oct_ref_store_bytes(d, p.n));
    oct_ref_gemm_run(&(oct_ref_gemm){
        .n_products = oct_ref_product(&p.batch, 0, p.batch.n_dims),
        .n_same = 1,
        .m = p.m,
        .n = p.n,
        .k = p.k,
        .integer = p.integer,
        .threads = d->threads,
        .user = &p,
        .rows = rows,
        .pack = pack,
        .store = store,
        .panels = scratch,
    });
    return OCT_OK;
}

/* ---- accepts ----------------------------------------------------------------------------------- */

static bool is_dense_row(const oct_operand *o)
{
    return o->desc.dtype == OCT_DT_NONE ||
           (o->desc.layout == OCT_LAYOUT_ROW && oct_tensor_desc_is_dense(&o->desc));
}

static bool accepts(const oct_op_desc *d, char *reason)
{
    const char *name = oct_op_name(d->op);
    for (int i = 0; i < d->n_in + d->n_out; i++) {
        if (!is_dense_row(i < d->n_in ? &d->in[i] : &d->out[i - d->n_in]))
            return oct_ref_refuse(reason, "ref %s: operands must be dense row-major", name);
    }
    matmul p;
    matmul_init(&p, d);
    if (!oct_ref_store_accepts(d, reason) || !oct_ref_store_sum_fits(d, p.k, reason))
        return false;
    if (oct_ref_is_q8(d->in[0].desc.dtype) && d->n_in > 2 && d->epilogue.residual != 2 &&
        d->in[2].desc.dtype == OCT_DT_F32) {
        size_t n = 0;
        if (!oct_shape_elems(&d->in[2].desc.shape, &n) || (int64_t)n != p.n ||
            (d->in[2].desc.shape.n_dims > 0 &&
             d->in[2].desc.shape.dim[d->in[2].desc.shape.n_dims - 1] != p.n))
            return oct_ref_refuse(reason, "ref %s: 8 bits with a bias that is no row", name);
    }
    return true;
}

const oct_ref_entry oct_ref_matmul[] = {
    {OCT_OP_GEMM, oct_ref_matmul_run, oct_ref_matmul_workspace, accepts, true},
    {OCT_OP_MATMUL, oct_ref_matmul_run, oct_ref_matmul_workspace, accepts, true},
    {0},
};
