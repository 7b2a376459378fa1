/* SPDX-License-Identifier: Apache-2.0
 *
 * Conv, ConvTranspose, and Gemm / MatMul with constant weights (a 1x1 convolution over rows)
 * on oneDNN's convolution primitives, the epilogue as post-ops. Weights are reordered once
 * into the primitive's own format.
 */
#include <stdio.h>

#include "kernels/cpu/cpu_internal.h"
#include "kernels/cpu/cpu_window.h"
#include "kernels/cpu/dnnl_post.h"
#include "kernels/cpu/dnnl_prim.h"

#if defined(OCT_HAVE_ONEDNN)

typedef struct conv_op {
    oct_cpu_op base;
    oct_dnnl_prim *prim;
    const oct_pack *weights;
} conv_op;

/* Everything a primitive descriptor is made from. */
typedef struct problem {
    oct_dnnl_conv_desc conv;
    oct_dmd user_weights; /* as the model stores them */
    oct_dnnl_post post;
    dnnl_primitive_attr_t attr;
    dnnl_primitive_desc_t pd;
    int bias; /* input index, -1 = none */
} problem;

static void problem_deinit(problem *p)
{
    oct_dmd_deinit(&p->conv.src);
    oct_dmd_deinit(&p->conv.weights);
    oct_dmd_deinit(&p->conv.bias);
    oct_dmd_deinit(&p->conv.dst);
    oct_dmd_deinit(&p->user_weights);
    oct_dnnl_post_deinit(&p->post);
    if (p->attr)
        dnnl_primitive_attr_destroy(p->attr);
    if (p->pd)
        dnnl_primitive_desc_destroy(p->pd);
}

/* ---- shapes ------------------------------------------------------------------------------ */

static dnnl_status_t tensor_md(oct_dmd *md, const oct_tensor_desc *t)
{
    return oct_dmd_init(md, t->shape.n_dims, t->shape.dim, dnnl_f32, t->stride);
}

/* [G,] O, I, spatial of the model's weights and their strides there. ConvTranspose stores I
 * before O / G. */
static int weight_dims(const oct_cpu_window *w, const oct_operand *o, dnnl_dim_t *dim,
                       dnnl_dim_t *stride)
{
    const int64_t ocg = w->out_channels / w->group, icg = w->in_channels / w->group;
    const int64_t taps = oct_cpu_window_taps(w);
    int n = 0;
    if (w->group > 1) {
        dim[n] = w->group;
        stride[n++] = ocg * icg * taps;
    }
    dim[n] = ocg;
    stride[n++] = w->transposed ? taps : icg * taps;
    dim[n] = icg;
    stride[n++] = w->transposed ? ocg * taps : taps;
    for (int i = 2; i < w->n_spatial + 2; i++) {
        dim[n] = o->desc.shape.dim[i];
        stride[n++] = o->desc.stride[i];
    }
    return n;
}

static dnnl_status_t window_problem(problem *p, const oct_op_desc *d, const oct_cpu_window *w)
{
    oct_dnnl_conv_desc *c = &p->conv;
    const oct_window *g = &w->w;
    const int first = 3 - w->n_spatial;
    dnnl_dim_t dim[6], stride[6];
    c->transposed = w->transposed;
    for (int i = 0; i < w->n_spatial; i++) {
        const int a = first + i;
        const int64_t reach = (g->kernel[a] - 1) * g->dilation[a] + 1;
        const int64_t near = w->transposed ? g->in[a] : g->out[a];
        const int64_t far = w->transposed ? g->out[a] : g->in[a];
        c->stride[i] = g->stride[a];
        c->dilation[i] = g->dilation[a] - 1;
        c->pad_lo[i] = g->pad_lo[a];
        /* What makes oneDNN's own shape formula give this output. */
        c->pad_hi[i] = (near - 1) * g->stride[a] + reach - far - g->pad_lo[a];
    }
    const int n = weight_dims(w, &d->in[1], dim, stride);
    dnnl_status_t st = tensor_md(&c->src, &d->in[0].desc);
    if (st == dnnl_success)
        st = tensor_md(&c->dst, &d->out[0].desc);
    if (st == dnnl_success)
        st = oct_dmd_init(&c->weights, n, dim, dnnl_f32, NULL);
    if (st == dnnl_success)
        st = oct_dmd_init(&p->user_weights, n, dim, dnnl_f32, stride);
    return st;
}

/* Rows and columns of the product, and how the constant operand lies. */
typedef struct product {
    int64_t m, n, k, stride_n, stride_k;
} product;

static dnnl_status_t product_problem(problem *p, const product *g)
{
    const dnnl_dim_t one[3] = {1, 1, 1};
    const dnnl_dim_t x[4] = {1, g->k, g->m, 1}, xs[4] = {g->m * g->k, 1, g->k, g->k};
    const dnnl_dim_t y[4] = {1, g->n, g->m, 1}, ys[4] = {g->m * g->n, 1, g->n, g->n};
    const dnnl_dim_t w[4] = {g->n, g->k, 1, 1}, ws[4] = {g->stride_n, g->stride_k, 1, 1};
    oct_dnnl_conv_desc *c = &p->conv;
    memcpy(c->stride, one, sizeof one);
    dnnl_status_t st = oct_dmd_init(&c->src, 4, x, dnnl_f32, xs);
    if (st == dnnl_success)
        st = oct_dmd_init(&c->dst, 4, y, dnnl_f32, ys);
    if (st == dnnl_success)
        st = oct_dmd_init(&c->weights, 4, w, dnnl_f32, NULL);
    if (st == dnnl_success)
        st = oct_dmd_init(&p->user_weights, 4, w, dnnl_f32, ws);
    return st;
}

static bool gemm_product(const oct_op_desc *d, product *g, char *reason)
{
    const oct_attr_gemm *at = d->attr;
    const oct_shape *b = &d->in[1].desc.shape;
    if (at->trans_a || at->alpha != 1.0f || (oct_operand_present(d, 2) && at->beta != 1.0f))
        return oct_cpu_no(reason, "Gemm with transA, alpha or beta");
    g->m = d->out[0].desc.shape.dim[0];
    g->n = b->dim[at->trans_b ? 0 : 1];
    g->k = b->dim[at->trans_b ? 1 : 0];
    g->stride_n = at->trans_b ? g->k : 1;
    g->stride_k = at->trans_b ? 1 : g->n;
    return true;
}

static bool matmul_product(const oct_op_desc *d, product *g, char *reason)
{
    const oct_shape *a = &d->in[0].desc.shape, *b = &d->in[1].desc.shape;
    if (b->n_dims != 2 || a->n_dims < 2)
        return oct_cpu_no(reason, "batched or vector weights");
    g->k = b->dim[0];
    g->n = b->dim[1];
    g->m = g->k > 0 ? (int64_t)oct_cpu_elems(&d->in[0]) / g->k : 0;
    g->stride_n = 1;
    g->stride_k = g->n;
    return true;
}

/* ---- problem ------------------------------------------------------------------------------- */

static bool bias_fits(const oct_op_desc *d, int64_t n)
{
    return !oct_operand_present(d, 2) || oct_cpu_elems(&d->in[2]) == (size_t)n;
}

static bool shape_problem(problem *p, oct_ctx *ctx, const oct_op_desc *d, dnnl_status_t *st,
                          char *reason)
{
    int64_t n_out;
    if (d->op == OCT_OP_CONV || d->op == OCT_OP_CONV_TRANSPOSE) {
        oct_cpu_window w;
        if (!oct_cpu_window_init(&w, ctx, d))
            return oct_cpu_no(reason, "more than 3 spatial axes");
        *st = window_problem(p, d, &w);
        n_out = w.out_channels;
    } else {
        product g = {0};
        if (!(d->op == OCT_OP_GEMM ? gemm_product(d, &g, reason) : matmul_product(d, &g, reason)))
            return false;
        if (!oct_cpu_dense(&d->in[0]) || !oct_cpu_dense(&d->out[0]) ||
            d->in[0].desc.layout != OCT_LAYOUT_ROW || d->out[0].desc.layout != OCT_LAYOUT_ROW)
            return oct_cpu_no(reason, "needs dense row-major rows");
        *st = product_problem(p, &g);
        n_out = g.n;
    }
    p->bias = oct_operand_present(d, 2) && d->epilogue.residual != 2 ? 2 : -1;
    if (p->bias >= 0 && !bias_fits(d, n_out))
        return oct_cpu_no(reason, "bias is not one value per output channel");
    if (p->bias >= 0 && *st == dnnl_success) {
        const dnnl_dim_t dim[1] = {n_out}, stride[1] = {1};
        *st = oct_dmd_init(&p->conv.bias, 1, dim, dnnl_f32, stride);
    }
    return true;
}

static bool worth_it(const problem *p, char *info, char *reason)
{
    const char *text = NULL;
    dnnl_primitive_desc_query(p->pd, dnnl_query_impl_info_str, 0, &text);
    snprintf(info, OCT_CANDIDATE_NAME_BYTES, "onednn:%s", text ? text : "?");
    if (!text || strncmp(text, "ref", 3) == 0 || strstr(text, "ref:any"))
        return oct_cpu_no(reason, "oneDNN has only its reference kernel");
    /* im2col: slower than our own kernel, and v2.6 adds residuals wrongly there. */
    if (strstr(text, "gemm:"))
        return oct_cpu_no(reason, "oneDNN has only its im2col kernel");
    return true;
}

static bool problem_init(oct_cpu *be, oct_ctx *ctx, problem *p, const oct_op_desc *d, bool in_place,
                         char *name, char *reason)
{
    dnnl_status_t st = dnnl_success;
    if (!shape_problem(p, ctx, d, &st, reason))
        return false;
    if (st == dnnl_success)
        st = dnnl_primitive_attr_create(&p->attr);
    if (st == dnnl_success)
        st = dnnl_primitive_attr_set_scratchpad_mode(p->attr, dnnl_scratchpad_mode_user);
    if (st == dnnl_success)
        st = oct_dnnl_post_init(&p->post, d, in_place, &p->conv.dst, p->attr);
    if (st == dnnl_success) {
        const int before = oct_dnnl_set_threads(d->threads);
        st = oct_dnnl_conv_pd(&p->conv, p->attr, oct_cpu_dnnl_engine(be->dnnl), &p->pd);
        oct_dnnl_set_threads(before);
    }
    if (st != dnnl_success)
        return oct_cpu_no(reason, "oneDNN does not implement it");
    return worth_it(p, name, reason);
}

static bool acceptable(const oct_op_desc *d, char *reason)
{
    if (!oct_cpu_all_f32(d))
        return oct_cpu_no(reason, "not f32");
    if (d->n_out != 1)
        return oct_cpu_no(reason, "second output");
    if (!d->in[1].data)
        return oct_cpu_no(reason, "weights are not constant");
    if (oct_cpu_elems(&d->in[0]) == 0 || oct_cpu_elems(&d->out[0]) == 0)
        return oct_cpu_no(reason, "empty tensor");
    return true;
}

static bool query_with(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                       bool in_place, char *reason)
{
    problem p = {0};
    /* v2.6's kernels below AVX2 crash on plain layouts with post-ops. */
    if (!be->dnnl || be->isa.isa < OCT_ISA_AVX2)
        return oct_cpu_no(reason, "no oneDNN, or no AVX2");
    if (!acceptable(d, reason))
        return false;
    const bool ok = problem_init(be, ctx, &p, d, in_place, c->name, reason);
    if (ok) {
        oct_dmd scratch = {0};
        if (oct_dmd_query(&scratch, p.pd, dnnl_query_scratchpad_md, 0) == dnnl_success)
            c->workspace_bytes = oct_dmd_bytes(&scratch);
        oct_dmd_deinit(&scratch);
        if (in_place)
            c->alias_in = (int8_t)d->epilogue.residual;
    }
    problem_deinit(&p);
    return ok;
}

/* Residual by oneDNN's sum: fastest, but it overwrites the residual tensor. */
static bool query_sum(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                      char *reason)
{
    if (d->epilogue.residual < 0)
        return oct_cpu_no(reason, "no residual");
    return query_with(be, ctx, d, c, true, reason);
}

static bool query_plain(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                        char *reason)
{
    return query_with(be, ctx, d, c, false, reason);
}

/* ---- prepare ------------------------------------------------------------------------------- */

typedef struct pack_job {
    oct_cpu *be;
    const oct_dmd *from, *to;
    const void *src;
} pack_job;

static oct_status pack_weights(void *user, oct_ctx *ctx, void *dst)
{
    const pack_job *j = user;
    return oct_dnnl_reorder(ctx, j->be->dnnl, j->from, j->src, j->to, dst);
}

static dnnl_status_t collect_args(problem *p, const oct_op_desc *d, const conv_op *op,
                                  oct_dmd *weights, oct_dnnl_args *args)
{
    oct_dmd scratch = {0};
    const dnnl_status_t st = oct_dmd_query(&scratch, p->pd, dnnl_query_scratchpad_md, 0);
    oct_dnnl_args_add(args, DNNL_ARG_SRC, OCT_DNNL_IN, 0, NULL, &p->conv.src);
    oct_dnnl_args_add(args, DNNL_ARG_WEIGHTS, OCT_DNNL_FIXED, 0, op->weights->data, weights);
    oct_dnnl_args_add(args, DNNL_ARG_DST, OCT_DNNL_OUT, 0, NULL, &p->conv.dst);
    if (p->bias >= 0) {
        const oct_operand *b = &d->in[p->bias];
        oct_dnnl_args_add(args, DNNL_ARG_BIAS, b->data ? OCT_DNNL_FIXED : OCT_DNNL_IN, p->bias,
                          b->data, &p->conv.bias);
    }
    if (p->post.binary >= 0)
        oct_dnnl_args_add(args, DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, OCT_DNNL_IN,
                          p->post.binary, NULL, &p->post.binary_md);
    if (st == dnnl_success && oct_dmd_bytes(&scratch) > 0)
        oct_dnnl_args_add(args, DNNL_ARG_SCRATCHPAD, OCT_DNNL_WORKSPACE, 0, NULL, &scratch);
    oct_dmd_deinit(&scratch);
    return st;
}

static oct_status conv_run(const oct_cpu_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    return oct_dnnl_prim_run(((const conv_op *)base)->prim, ctx, a);
}

static void conv_release(oct_cpu *be, oct_cpu_op *base)
{
    conv_op *op = (conv_op *)base;
    oct_dnnl_prim_free(be->ctx, op->prim);
    oct_pack_put(be->packs, op->weights);
}

static oct_status conv_build(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, problem *p,
                             conv_op *op)
{
    oct_dmd weights = {0};
    oct_dnnl_args args = {.n = 0};
    dnnl_status_t ds = oct_dmd_query(&weights, p->pd, dnnl_query_weights_md, 0);
    if (ds != dnnl_success)
        return oct_dnnl_fail(ctx, ds, "oneDNN weight format");
    pack_job job = {be, &p->user_weights, &weights, d->in[1].data};
    const uint64_t format = oct_dmd_hash(&weights) ^ oct_dmd_hash(&p->user_weights) * 31;
    oct_status st = oct_pack_get(be->packs, ctx, d->in[1].const_key, format,
                                 oct_dmd_bytes(&weights), pack_weights, &job, &op->weights);
    if (st == OCT_OK) {
        ds = collect_args(p, d, op, &weights, &args);
        st = ds == dnnl_success
                 ? oct_dnnl_prim_new(ctx, be->dnnl, p->pd, &args, d->threads, &op->prim)
                 : oct_dnnl_fail(ctx, ds, "oneDNN scratchpad");
    }
    oct_dmd_deinit(&weights);
    oct_dnnl_args_deinit(&args);
    return st;
}

static oct_status conv_prepare(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d,
                               const oct_candidate *c, oct_cpu_op **out)
{
    char name[OCT_CANDIDATE_NAME_BYTES], reason[OCT_REASON_BYTES];
    problem p = {0};
    conv_op *op = oct_cpu_op_new(be, ctx, sizeof *op);
    if (!op)
        return OCT_ERR_NOMEM;
    op->base.run = conv_run;
    op->base.release = conv_release;
    oct_status st = OCT_OK;
    if (!problem_init(be, ctx, &p, d, c->alias_in >= 0, name, reason))
        st = oct_fail(ctx, OCT_ERR_BUG, "%s: %s", c->name, reason);
    if (st == OCT_OK) {
        const int before = oct_dnnl_set_threads(d->threads);
        st = conv_build(be, ctx, d, &p, op);
        oct_dnnl_set_threads(before);
    }
    problem_deinit(&p);
    if (st != OCT_OK) {
        conv_release(be, &op->base);
        oct_free(be->ctx, op);
        return st;
    }
    *out = &op->base;
    return OCT_OK;
}

static const oct_cpu_row rows[] = {
    {OCT_OP_CONV, query_sum, conv_prepare},
    {OCT_OP_CONV, query_plain, conv_prepare},
    {OCT_OP_CONV_TRANSPOSE, query_plain, conv_prepare},
    {OCT_OP_GEMM, query_plain, conv_prepare},
    {OCT_OP_MATMUL, query_plain, conv_prepare},
};
const oct_cpu_rows oct_cpu_rows_dnnl_conv = {rows, sizeof rows / sizeof rows[0]};

#endif /* OCT_HAVE_ONEDNN */
