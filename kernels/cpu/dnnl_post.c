/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/dnnl_post.h"

#if defined(OCT_HAVE_ONEDNN)

/* How each activation is written in oneDNN; `use` says which parameters are the model's. */
enum { FIXED, MODEL_A, MODEL_AB };

static const struct {
    dnnl_alg_kind_t alg;
    int use;
    float alpha, beta;
} acts[OCT_ACT_COUNT] = {
    [OCT_ACT_RELU] = {dnnl_eltwise_relu, FIXED, 0.0f, 0.0f},
    [OCT_ACT_CLIP] = {dnnl_eltwise_clip, MODEL_AB, 0.0f, 0.0f},
    [OCT_ACT_LEAKY_RELU] = {dnnl_eltwise_relu, MODEL_A, 0.0f, 0.0f},
    [OCT_ACT_SIGMOID] = {dnnl_eltwise_logistic, FIXED, 0.0f, 0.0f},
    [OCT_ACT_TANH] = {dnnl_eltwise_tanh, FIXED, 0.0f, 0.0f},
    [OCT_ACT_ELU] = {dnnl_eltwise_elu, MODEL_A, 0.0f, 0.0f},
    [OCT_ACT_HARD_SIGMOID] = {dnnl_eltwise_linear, MODEL_AB, 0.0f, 0.0f}, /* then a clip */
    [OCT_ACT_HARD_SWISH] = {dnnl_eltwise_hardswish, FIXED, 1.0f / 6.0f, 0.5f},
    [OCT_ACT_SWISH] = {dnnl_eltwise_swish, MODEL_A, 0.0f, 0.0f},
    [OCT_ACT_GELU] = {dnnl_eltwise_gelu_erf, FIXED, 0.0f, 0.0f},
    [OCT_ACT_GELU_TANH] = {dnnl_eltwise_gelu_tanh, FIXED, 0.0f, 0.0f},
    [OCT_ACT_MISH] = {dnnl_eltwise_mish, FIXED, 0.0f, 0.0f},
    [OCT_ACT_SOFTPLUS] = {dnnl_eltwise_soft_relu, FIXED, 1.0f, 0.0f},
};

dnnl_status_t oct_dnnl_post_act(dnnl_post_ops_t ops, oct_act act, float a, float b)
{
    if (act == OCT_ACT_NONE)
        return dnnl_success;
    const float alpha = acts[act].use == FIXED ? acts[act].alpha : a;
    const float beta = acts[act].use == MODEL_AB ? b : acts[act].beta;
    dnnl_status_t st = oct_dnnl_post_eltwise(ops, acts[act].alg, alpha, beta);
    if (st == dnnl_success && act == OCT_ACT_HARD_SIGMOID)
        st = oct_dnnl_post_eltwise(ops, dnnl_eltwise_clip, 0.0f, 1.0f);
    return st;
}

static dnnl_status_t add_residual(oct_dnnl_post *p, const oct_op_desc *d, bool in_place,
                                  const oct_dmd *dst)
{
    if (in_place)
        return oct_dnnl_post_sum(p->ops, 1.0f, 0, dnnl_f32);
    p->binary = d->epilogue.residual;
    const oct_tensor_desc *t = &d->in[p->binary].desc;
    /* A product sees its rows in a shape of its own, and so its residual. */
    const bool product = d->op == OCT_OP_GEMM || d->op == OCT_OP_MATMUL;
    const dnnl_status_t st =
        product ? oct_dmd_copy(&p->binary_md, dst)
                : oct_dmd_init(&p->binary_md, t->shape.n_dims, t->shape.dim, dnnl_f32, t->stride);
    return st == dnnl_success ? oct_dnnl_post_binary(p->ops, dnnl_binary_add, &p->binary_md) : st;
}

dnnl_status_t oct_dnnl_post_init(oct_dnnl_post *p, const oct_op_desc *d, bool in_place,
                                 const oct_dmd *dst, dnnl_primitive_attr_t attr)
{
    const oct_epilogue *e = &d->epilogue;
    p->binary = -1;
    dnnl_status_t st = dnnl_post_ops_create(&p->ops);
    if (st == dnnl_success && e->residual >= 0)
        st = add_residual(p, d, in_place, dst);
    if (st == dnnl_success)
        st = oct_dnnl_post_act(p->ops, e->act, e->a, e->b);
    return st == dnnl_success ? dnnl_primitive_attr_set_post_ops(attr, p->ops) : st;
}

void oct_dnnl_post_deinit(oct_dnnl_post *p)
{
    if (p->ops)
        dnnl_post_ops_destroy(p->ops);
    oct_dmd_deinit(&p->binary_md);
    p->ops = NULL;
}

#endif /* OCT_HAVE_ONEDNN */
