/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cuda/cuda_gemm_lt.h"

#include <cublasLt.h>
#include <stdio.h>

#include "base/numeric.h"
#include "kernels/cuda/cuda_gemm.h"
#include "kernels/cuda/cuda_simt.h"

#define MAX_CALLS 64                 /* products started one after the other */
#define MAX_LT_WORKSPACE (32u << 20) /* bytes; large enough for all its algorithms */
#define ALIGNED 16                   /* bytes, of operands, for its fast algorithms */

/* The product as cuBLASLt sees it, column-major: D^T [n, m] = B^T [n, k] A^T [k, m]. */
typedef struct lt_plan {
    oct_cuda_product p;
    cudaDataType_t type; /* of A, B, D, and of C where there is one */
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t a, b, d;
    cublasLtMatmulAlgo_t algo[2]; /* for aligned pointers, for any */
    size_t lt_workspace;
    int64_t batches, calls; /* matrices of one call; calls */
    bool fused;             /* nothing is left for our kernel */
    bool fused_bias;
    int c_input;   /* input added as C, or -1 */
    bool in_place; /* not fused: the product goes to output 0 first, else to the workspace */
    float alpha, beta;
} lt_plan;

typedef struct lt_op {
    oct_cuda_op base;
    lt_plan plan;
    cublasLtHandle_t handle;
    void *lt_bias; /* own copy, of the operands' type */
    void *tables;  /* z of the finish */
    oct_simt finish;
    size_t lt_at; /* cuBLASLt's workspace behind the sums */
    int bias, residual;
} lt_op;

static oct_status lt_check(oct_ctx *ctx, cublasStatus_t s, const char *what)
{
    return s == CUBLAS_STATUS_SUCCESS ? OCT_OK
                                      : oct_fail(ctx, OCT_ERR_DEVICE, "cuBLASLt: %s: %s", what,
                                                 cublasLtGetStatusString(s));
}

/* ---- what it can do ---- */

static oct_dtype operand_type(const oct_op_desc *d)
{
    return d->in[0].desc.dtype;
}

static bool is_row_bias(const oct_cuda_product *p)
{
    return p->bias_row == 0 && p->bias_col == 1;
}

static const oct_attr_gemm *gemm_of(const oct_op_desc *d)
{
    return d->op == OCT_OP_GEMM ? d->attr : NULL;
}

/* Bias: a constant row that need not be scaled. C of Gemm that is a whole matrix becomes C. */
static bool fuse_addends(const oct_op_desc *d, lt_plan *l)
{
    const oct_attr_gemm *at = gemm_of(d);
    const int bias = oct_cuda_bias_input(d), r = d->epilogue.residual;
    if (r >= 0) {
        if (d->in[r].desc.dtype != operand_type(d))
            return false;
        l->c_input = r;
        l->beta = 1.0f;
    }
    if (bias < 0)
        return true;
    if (is_row_bias(&l->p) && d->in[bias].data && (!at || at->beta == 1.0f)) {
        l->fused_bias = true;
        return true;
    }
    const bool matrix = l->p.bias_row == l->p.n && l->p.bias_col == 1 &&
                        oct_cuda_elems(&d->in[bias]) == oct_cuda_elems(&d->out[0]);
    if (!matrix || l->c_input >= 0 || d->in[bias].desc.dtype != operand_type(d))
        return false;
    l->c_input = bias;
    l->beta = at ? at->beta : 1.0f;
    return true;
}

static void fuse(const oct_op_desc *d, lt_plan *l)
{
    const oct_act act = d->epilogue.act;
    l->fused = d->n_out == 1 && d->out[0].desc.dtype == operand_type(d) &&
               (act == OCT_ACT_NONE || act == OCT_ACT_RELU) && fuse_addends(d, l);
    if (l->fused)
        return;
    l->fused_bias = false;
    l->c_input = -1;
    l->beta = 0.0f;
    l->in_place = d->out[0].desc.dtype == operand_type(d);
}

static bool set_batches(lt_plan *l, char *reason)
{
    const oct_cuda_product *p = &l->p;
    l->batches = p->n_batch_dims > 0 ? p->batch_dim[p->n_batch_dims - 1] : 1;
    l->calls = p->batches / l->batches;
    if (l->calls > MAX_CALLS || l->batches > INT32_MAX)
        return oct_cuda_no(reason, "broadcasting of the batch");
    return true;
}

/* ---- its objects ---- */

static cublasStatus_t make_layout(cublasLtMatrixLayout_t *out, const lt_plan *l, int64_t n_rows,
                                  int64_t n_cols, int64_t stride)
{
    const int32_t batches = (int32_t)l->batches;
    cublasStatus_t s =
        cublasLtMatrixLayoutCreate(out, l->type, (uint64_t)n_rows, (uint64_t)n_cols, n_rows);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = cublasLtMatrixLayoutSetAttribute(*out, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batches,
                                             sizeof batches);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = cublasLtMatrixLayoutSetAttribute(*out, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                             &stride, sizeof stride);
    return s;
}

static cublasStatus_t make_layouts(lt_plan *l)
{
    const oct_cuda_product *p = &l->p;
    const int last = p->n_batch_dims - 1;
    const int64_t a_step = last >= 0 ? p->a_step[last] : 0,
                  b_step = last >= 0 ? p->b_step[last] : 0;
    const bool b_turned = p->b_col != 1, a_turned = p->a_k != 1;
    cublasStatus_t s =
        make_layout(&l->a, l, b_turned ? p->k : p->n, b_turned ? p->n : p->k, b_step);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = make_layout(&l->b, l, a_turned ? p->m : p->k, a_turned ? p->k : p->m, a_step);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = make_layout(&l->d, l, p->n, p->m, p->m * p->n);
    return s;
}

static cublasStatus_t set_epilogue(lt_plan *l, oct_act act, const void *bias)
{
    const bool relu = l->fused && act == OCT_ACT_RELU;
    const cublasLtEpilogue_t e = l->fused_bias
                                     ? (relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS)
                                     : (relu ? CUBLASLT_EPILOGUE_RELU : CUBLASLT_EPILOGUE_DEFAULT);
    cublasStatus_t s =
        cublasLtMatmulDescSetAttribute(l->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &e, sizeof e);
    if (s == CUBLAS_STATUS_SUCCESS && l->fused_bias)
        s = cublasLtMatmulDescSetAttribute(l->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias,
                                           sizeof bias);
    return s;
}

static cublasStatus_t make_desc(lt_plan *l, bool tf32, oct_act act)
{
    const cublasComputeType_t compute =
        tf32 && l->type == CUDA_R_32F ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    const cublasOperation_t ta = l->p.b_col != 1 ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t tb = l->p.a_k != 1 ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasStatus_t s = cublasLtMatmulDescCreate(&l->desc, compute, CUDA_R_32F);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = cublasLtMatmulDescSetAttribute(l->desc, CUBLASLT_MATMUL_DESC_TRANSA, &ta, sizeof ta);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = cublasLtMatmulDescSetAttribute(l->desc, CUBLASLT_MATMUL_DESC_TRANSB, &tb, sizeof tb);
    return s == CUBLAS_STATUS_SUCCESS ? set_epilogue(l, act, NULL) : s;
}

/* The best guess for pointers of this alignment; deterministic for one device and version. */
static cublasStatus_t choose_algo(cublasLtHandle_t handle, lt_plan *l, uint32_t alignment,
                                  cublasLtMatmulAlgo_t *algo)
{
    static const cublasLtMatmulPreferenceAttributes_t align[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    const uint64_t most = MAX_LT_WORKSPACE;
    cublasLtMatmulPreference_t pref = NULL;
    cublasLtMatmulHeuristicResult_t found = {.workspaceSize = 0};
    int n = 0;
    cublasStatus_t s = cublasLtMatmulPreferenceCreate(&pref);
    if (s != CUBLAS_STATUS_SUCCESS)
        return s;
    s = cublasLtMatmulPreferenceSetAttribute(pref, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most,
                                             sizeof most);
    for (int i = 0; i < 4 && s == CUBLAS_STATUS_SUCCESS; i++)
        s = cublasLtMatmulPreferenceSetAttribute(pref, align[i], &alignment, sizeof alignment);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = cublasLtMatmulAlgoGetHeuristic(handle, l->desc, l->a, l->b, l->d, l->d, pref, 1, &found,
                                           &n);
    cublasLtMatmulPreferenceDestroy(pref);
    if (s == CUBLAS_STATUS_SUCCESS && n == 0)
        s = CUBLAS_STATUS_NOT_SUPPORTED;
    if (s != CUBLAS_STATUS_SUCCESS)
        return s;
    *algo = found.algo;
    l->lt_workspace = oct_max_size(l->lt_workspace, found.workspaceSize);
    return s;
}

static void plan_deinit(lt_plan *l)
{
    if (l->desc)
        cublasLtMatmulDescDestroy(l->desc);
    if (l->a)
        cublasLtMatrixLayoutDestroy(l->a);
    if (l->b)
        cublasLtMatrixLayoutDestroy(l->b);
    if (l->d)
        cublasLtMatrixLayoutDestroy(l->d);
}

static bool plan_init(oct_cuda *be, const oct_op_desc *d, lt_plan *l, char *reason)
{
    memset(l, 0, sizeof *l);
    if (!oct_cuda_is_real(operand_type(d)))
        return oct_cuda_no(reason, "cuBLASLt serves f32 and f16");
    if (!oct_cuda_finish_ok(d, false, reason) || !oct_cuda_product_init(&l->p, d, reason) ||
        !set_batches(l, reason))
        return false;
    if (l->p.m > INT32_MAX || l->p.n > INT32_MAX || l->p.k > INT32_MAX)
        return oct_cuda_no(reason, "size");
    l->type = operand_type(d) == OCT_DT_F32 ? CUDA_R_32F : CUDA_R_16F;
    l->alpha = gemm_of(d) ? gemm_of(d)->alpha : 1.0f;
    l->c_input = -1;
    fuse(d, l);
    if (!l->fused && (l->p.batches > UINT16_MAX || l->p.m * ((l->p.n + 3) / 4) > INT32_MAX))
        return oct_cuda_no(reason, "size of the epilogue");
    cublasStatus_t s = make_desc(l, d->tf32, d->epilogue.act);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = make_layouts(l);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = choose_algo(be->lt, l, ALIGNED, &l->algo[0]);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = choose_algo(be->lt, l, (uint32_t)oct_dtype_bytes(operand_type(d)), &l->algo[1]);
    if (s == CUBLAS_STATUS_SUCCESS)
        return true;
    plan_deinit(l);
    return oct_cuda_no(reason, "cuBLASLt has no algorithm");
}

/* Sums in the workspace where output 0 cannot hold them. They are of the operands' type. */
static size_t sums_bytes(const lt_plan *l)
{
    if (l->fused || l->in_place)
        return 0;
    const size_t elem = l->type == CUDA_R_32F ? 4 : 2;
    return ((size_t)(l->p.batches * l->p.m * l->p.n) * elem + 255) / 256 * 256;
}

bool oct_cuda_gemm_lt_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                            char *reason)
{
    lt_plan l;
    (void)ctx;
    if (!plan_init(be, d, &l, reason))
        return false;
    c->workspace_bytes = sums_bytes(&l) + l.lt_workspace;
    snprintf(c->name, sizeof c->name, "cublaslt:%s%s",
             l.type == CUDA_R_16F ? "f16"
             : d->tf32            ? "tf32"
                                  : "f32",
             l.fused ? "" : "+epilogue");
    plan_deinit(&l);
    return true;
}

/* ---- running ---- */

static bool is_aligned(const void *p)
{
    return (uintptr_t)p % ALIGNED == 0;
}

static oct_status multiply(const lt_op *op, oct_ctx *ctx, const oct_run_args *a, void *to)
{
    const lt_plan *l = &op->plan;
    const size_t elem = l->type == CUDA_R_32F ? 4 : 2;
    const char *c = l->c_input >= 0 ? a->in[l->c_input] : to;
    const bool fast =
        is_aligned(a->in[0]) && is_aligned(a->in[1]) && is_aligned(c) && is_aligned(to);
    for (int64_t i = 0; i < l->calls; i++) {
        int64_t x, w;
        oct_cuda_product_batch(&l->p, i * l->batches, &x, &w);
        const size_t out = (size_t)(i * l->batches * l->p.m * l->p.n) * elem;
        OCT_TRY(lt_check(ctx,
                         cublasLtMatmul(op->handle, l->desc, &l->alpha,
                                        (const char *)a->in[1] + (size_t)w * elem, l->a,
                                        (const char *)a->in[0] + (size_t)x * elem, l->b, &l->beta,
                                        c + out, l->d, (char *)to + out, l->d, &l->algo[!fast],
                                        (char *)a->workspace + op->lt_at, l->lt_workspace,
                                        a->stream ? a->stream->s : 0),
                         "multiplying"));
    }
    return OCT_OK;
}

static oct_status lt_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const lt_op *op = (const lt_op *)base;
    const lt_plan *l = &op->plan;
    void *to = l->fused || l->in_place ? a->out[0] : a->workspace;
    OCT_TRY(multiply(op, ctx, a, to));
    if (l->fused)
        return OCT_OK;
    oct_simt s = op->finish;
    oct_cuda_finish_bind(&s.fin, a, op->bias, op->residual);
    s.vector_out = s.vector_out && is_aligned(to) && (!s.fin.bias || is_aligned(s.fin.bias)) &&
                   (!s.fin.residual || is_aligned(s.fin.residual));
    for (int o = 0; o < s.fin.n_out; o++)
        s.vector_out = s.vector_out && is_aligned(s.fin.out[o].data);
    return oct_cuda_check(ctx,
                          oct_simt_finish(&s, to,
                                          l->type == CUDA_R_32F ? OCT_SUMS_F32 : OCT_SUMS_F16,
                                          l->p.n, 1, a->stream ? a->stream->s : 0),
                          "epilogue");
}

static void lt_release(oct_cuda *be, oct_cuda_op *base)
{
    lt_op *op = (lt_op *)base;
    (void)be;
    plan_deinit(&op->plan);
    cudaFree(op->lt_bias);
    cudaFree(op->tables);
}

/* ---- preparing ---- */

/* The bias in the operands' type, which is what cuBLASLt adds. */
static oct_status copy_bias(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, lt_op *op)
{
    const oct_operand *b = &d->in[oct_cuda_bias_input(d)];
    const size_t n = (size_t)op->plan.p.n;
    const oct_dtype want = operand_type(d);
    if (b->desc.dtype == want)
        return oct_cuda_upload(be, ctx, b->data, n * oct_dtype_bytes(want), &op->lt_bias);
    void *host = oct_zalloc_array(ctx, n, sizeof(float));
    if (!host)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        if (want == OCT_DT_F16)
            ((uint16_t *)host)[i] = oct_f16_from_f32(((const float *)b->data)[i]);
        else
            ((float *)host)[i] = oct_f32_from_f16(((const uint16_t *)b->data)[i]);
    }
    const oct_status st = oct_cuda_upload(be, ctx, host, n * oct_dtype_bytes(want), &op->lt_bias);
    oct_free(ctx, host);
    return st;
}

static oct_status prepare_finish(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, lt_op *op)
{
    const oct_cuda_product *p = &op->plan.p;
    oct_simt *s = &op->finish;
    void *none = NULL;
    OCT_TRY(oct_cuda_finish_make(be, ctx, d, false, p->n, &s->fin, &none));
    s->fin.alpha = 1.0f; /* cuBLASLt has multiplied by it */
    s->fin.bias_row = p->bias_row;
    s->fin.bias_col = p->bias_col;
    s->rows = (int32_t)p->m;
    s->cols = (int32_t)p->n;
    s->n_z = (int32_t)p->batches;
    s->flat = true;
    s->vector_out = p->n % 4 == 0;
    for (int i = 0; i < 3; i++)
        s->y[i] = (oct_simt_strides){.axis = {0, 0, p->n}, .channel = 1};
    oct_simt_z *z = oct_zalloc_array(ctx, (size_t)p->batches, sizeof *z);
    if (!z)
        return OCT_ERR_NOMEM;
    for (int64_t i = 0; i < p->batches; i++)
        z[i].y0 = z[i].y1 = z[i].r = i * p->m * p->n;
    const oct_status st = oct_cuda_upload(be, ctx, z, (size_t)p->batches * sizeof *z, &op->tables);
    oct_free(ctx, z);
    s->z = op->tables;
    op->bias = oct_cuda_bias_input(d);
    op->residual = d->epilogue.residual;
    return st;
}

static oct_status build(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, lt_op *op)
{
    char reason[OCT_REASON_BYTES];
    if (!plan_init(be, d, &op->plan, reason))
        return oct_fail(ctx, OCT_ERR_BUG, "%s: %s", oct_op_name(d->op), reason);
    op->handle = be->lt;
    op->lt_at = sums_bytes(&op->plan);
    if (!op->plan.fused)
        return prepare_finish(be, ctx, d, op);
    if (!op->plan.fused_bias)
        return OCT_OK;
    OCT_TRY(copy_bias(be, ctx, d, op));
    return lt_check(ctx, set_epilogue(&op->plan, d->epilogue.act, op->lt_bias), "setting the bias");
}

oct_status oct_cuda_gemm_lt_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                    const oct_candidate *c, oct_cuda_op **out)
{
    lt_op *op = oct_cuda_op_new(be, ctx, sizeof *op);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->base.run = lt_run;
    op->base.release = lt_release;
    const oct_status st = build(be, ctx, d, op);
    if (st != OCT_OK) {
        lt_release(be, &op->base);
        oct_free(be->ctx, op);
        return st;
    }
    *out = &op->base;
    return OCT_OK;
}
