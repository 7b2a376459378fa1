/* SPDX-License-Identifier: Apache-2.0
 *
 * Element-wise f32 ops: a loop nest (kernels/ref/ref_loop.h) whose rows run SIMD functions.
 */
#include "kernels/cpu/eltwise.h"

#include <math.h>
#include <stdio.h>

#include "kernels/cpu/cpu_internal.h"
#include "kernels/ref/ref_loop.h"

extern const oct_vec oct_vec_portable;
#if defined(OCT_X86)
extern const oct_vec oct_vec_avx2, oct_vec_avx512;
#endif

const oct_vec *oct_vec_get(oct_isa isa)
{
#if defined(OCT_X86)
    if (isa >= OCT_ISA_AVX512)
        return &oct_vec_avx512;
    if (isa >= OCT_ISA_AVX2)
        return &oct_vec_avx2;
#endif
    (void)isa;
    return &oct_vec_portable;
}

/* What a descriptor asks for. */
typedef struct request {
    bool binary;
    oct_vec_unary unary;
    oct_vec_binary bin;
    int x, y; /* input numbers; y of binary ones */
    float a, b;
} request;

typedef struct elt_op {
    oct_cpu_op base;
    oct_ref_loop loop; /* operands: output, x, y */
    request what;
    oct_vec_unary_fn unary;
    oct_vec_binary_fn binary;
    int threads;
} elt_op;

/* ---- what is asked for ---------------------------------------------------------------------- */

static const struct {
    oct_op op;
    oct_vec_unary fn;
} unary_ops[] = {
    {OCT_OP_RELU, OCT_VEC_RELU},
    {OCT_OP_LEAKY_RELU, OCT_VEC_LEAKY_RELU},
    {OCT_OP_ELU, OCT_VEC_ELU},
    {OCT_OP_SELU, OCT_VEC_SELU},
    {OCT_OP_CELU, OCT_VEC_CELU},
    {OCT_OP_SIGMOID, OCT_VEC_SIGMOID},
    {OCT_OP_HARD_SIGMOID, OCT_VEC_HARD_SIGMOID},
    {OCT_OP_HARD_SWISH, OCT_VEC_HARD_SWISH},
    {OCT_OP_SWISH, OCT_VEC_SWISH},
    {OCT_OP_MISH, OCT_VEC_MISH},
    {OCT_OP_GELU, OCT_VEC_GELU},
    {OCT_OP_MS_GELU, OCT_VEC_GELU},
    {OCT_OP_ERF, OCT_VEC_ERF},
    {OCT_OP_TANH, OCT_VEC_TANH},
    {OCT_OP_SOFTPLUS, OCT_VEC_SOFTPLUS},
    {OCT_OP_SOFTSIGN, OCT_VEC_SOFTSIGN},
    {OCT_OP_THRESHOLDED_RELU, OCT_VEC_THRESHOLDED_RELU},
    {OCT_OP_ABS, OCT_VEC_ABS},
    {OCT_OP_NEG, OCT_VEC_NEG},
    {OCT_OP_CEIL, OCT_VEC_CEIL},
    {OCT_OP_FLOOR, OCT_VEC_FLOOR},
    {OCT_OP_ROUND, OCT_VEC_ROUND},
    {OCT_OP_SQRT, OCT_VEC_SQRT},
    {OCT_OP_RECIPROCAL, OCT_VEC_RECIPROCAL},
    {OCT_OP_EXP, OCT_VEC_EXP},
    {OCT_OP_LOG, OCT_VEC_LOG},
};

static const struct {
    oct_op op;
    oct_vec_binary fn;
} binary_ops[] = {
    {OCT_OP_ADD, OCT_VEC_BIN_ADD}, {OCT_OP_SUM, OCT_VEC_BIN_ADD},     {OCT_OP_SUB, OCT_VEC_BIN_SUB},
    {OCT_OP_MUL, OCT_VEC_BIN_MUL}, {OCT_OP_DIV, OCT_VEC_BIN_DIV},     {OCT_OP_MIN, OCT_VEC_BIN_MIN},
    {OCT_OP_MAX, OCT_VEC_BIN_MAX}, {OCT_OP_PRELU, OCT_VEC_BIN_PRELU},
};

static bool ask_unary(const oct_op_desc *d, request *r, char *reason)
{
    const oct_attr_act *at = d->attr;
    for (size_t i = 0; i < sizeof unary_ops / sizeof unary_ops[0]; i++) {
        if (unary_ops[i].op != d->op)
            continue;
        r->unary = unary_ops[i].fn;
        if (at) {
            r->a = at->alpha;
            r->b = at->beta;
            if (r->unary == OCT_VEC_GELU && at->approximate_tanh)
                r->unary = OCT_VEC_GELU_TANH;
            if (r->unary == OCT_VEC_CELU && !(r->a > 0.0f))
                return oct_cpu_no(reason, "Celu with alpha <= 0");
        }
        return d->n_in == 1;
    }
    return false;
}

/* A missing bound is infinite; bounds that are computed are left to `ref`. */
static bool clip_bound(const oct_op_desc *d, int i, float absent, float *v)
{
    *v = absent;
    if (!oct_operand_present(d, i))
        return true;
    if (!d->in[i].data || oct_cpu_elems(&d->in[i]) != 1)
        return false;
    memcpy(v, d->in[i].data, sizeof *v);
    return true;
}

static bool ask_clip(const oct_op_desc *d, request *r, char *reason)
{
    r->unary = OCT_VEC_CLIP;
    if (!clip_bound(d, 1, -INFINITY, &r->a) || !clip_bound(d, 2, INFINITY, &r->b))
        return oct_cpu_no(reason, "Clip bounds are not constant");
    if (r->a != r->a || r->b != r->b)
        return oct_cpu_no(reason, "Clip bound is NaN");
    return true;
}

static bool ask_pow(const oct_op_desc *d, request *r, char *reason)
{
    float e;
    if (!d->in[1].data || oct_cpu_elems(&d->in[1]) != 1)
        return oct_cpu_no(reason, "Pow with a computed exponent");
    memcpy(&e, d->in[1].data, sizeof e);
    if (e != 2.0f)
        return oct_cpu_no(reason, "Pow with an exponent other than 2");
    r->binary = true;
    r->bin = OCT_VEC_BIN_MUL;
    return true;
}

static bool ask(const oct_op_desc *d, request *r, char *reason)
{
    memset(r, 0, sizeof *r);
    if (!oct_cpu_all_f32(d))
        return oct_cpu_no(reason, "not f32");
    if (d->op == OCT_OP_CLIP)
        return ask_clip(d, r, reason);
    if (d->op == OCT_OP_POW)
        return ask_pow(d, r, reason);
    if (ask_unary(d, r, reason))
        return true;
    for (size_t i = 0; i < sizeof binary_ops / sizeof binary_ops[0]; i++) {
        if (binary_ops[i].op != d->op)
            continue;
        r->binary = true;
        r->bin = binary_ops[i].fn;
        r->y = 1;
        return d->n_in == 2 || oct_cpu_no(reason, "more than two operands");
    }
    return false;
}

/* ---- query, prepare, run -------------------------------------------------------------------- */

static bool same_place(const oct_operand *x, const oct_operand *y)
{
    return oct_shape_equal(&x->desc.shape, &y->desc.shape) &&
           memcmp(x->desc.stride, y->desc.stride,
                  sizeof x->desc.stride[0] * (size_t)x->desc.shape.n_dims) == 0;
}

static bool query(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c, char *reason)
{
    static const char *const names[OCT_ISA_COUNT] = {"portable", "avx2", "avx512"};
    request r;
    (void)ctx;
    if (!ask(d, &r, reason))
        return false;
    snprintf(c->name, sizeof c->name, "cpu:eltwise:%s", names[be->isa.isa]);
    c->may_alias[r.x] = same_place(&d->in[r.x], &d->out[0]);
    if (r.binary)
        c->may_alias[r.y] = same_place(&d->in[r.y], &d->out[0]);
    return true;
}

typedef struct job {
    const elt_op *op;
    float *out;
    const float *x, *y;
} job;

#define PIECE 256 /* elements gathered at once where a row is not contiguous */

static void gather(float *dst, const float *src, int64_t step, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = src[(int64_t)i * step];
}

static void scatter(float *dst, const float *src, int64_t step, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[(int64_t)i * step] = src[i];
}

static void apply(const elt_op *op, const float *x, int xs, const float *y, int ys, float *z,
                  size_t n)
{
    if (op->what.binary)
        op->binary(x, xs, y, ys, z, n);
    else
        op->unary(x, z, n, op->what.a, op->what.b);
}

static void odd_row(const job *j, const int64_t *offset, const int64_t *step, int64_t n)
{
    float x[PIECE], y[PIECE], z[PIECE];
    for (int64_t lo = 0; lo < n; lo += PIECE) {
        const size_t k = n - lo < PIECE ? (size_t)(n - lo) : PIECE;
        gather(x, j->x + offset[1] + lo * step[1], step[1], k);
        if (j->op->what.binary)
            gather(y, j->y + offset[2] + lo * step[2], step[2], k);
        apply(j->op, x, 1, y, 1, z, k);
        scatter(j->out + offset[0] + lo * step[0], z, step[0], k);
    }
}

static void row(void *user, const int64_t *offset, const int64_t *step, int64_t n)
{
    const job *j = user;
    const bool binary = j->op->what.binary;
    const bool plain = step[0] == 1 && (step[1] == 1 || (binary && step[1] == 0)) &&
                       (!binary || step[2] == 0 || step[2] == 1);
    if (!plain) {
        odd_row(j, offset, step, n);
        return;
    }
    apply(j->op, j->x + offset[1], (int)step[1], binary ? j->y + offset[2] : NULL,
          binary ? (int)step[2] : 0, j->out + offset[0], (size_t)n);
}

static oct_status run(const oct_cpu_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const elt_op *op = (const elt_op *)base;
    job j = {op, a->out[0], a->in[op->what.x], a->in[op->what.y]};
    (void)ctx;
    oct_ref_loop_run(&op->loop, op->threads, row, &j);
    return OCT_OK;
}

static oct_status prepare(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, const oct_candidate *c,
                          oct_cpu_op **out)
{
    char reason[OCT_REASON_BYTES] = "";
    elt_op *op = oct_cpu_op_new(be, ctx, sizeof *op);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    if (!ask(d, &op->what, reason)) {
        oct_free(be->ctx, op);
        return oct_fail(ctx, OCT_ERR_BUG, "%s: %s", oct_op_name(d->op), reason);
    }
    const oct_vec *vec = oct_vec_get(be->isa.isa);
    op->base.run = run;
    op->unary = vec->unary[op->what.unary];
    op->binary = vec->binary[op->what.bin];
    op->threads = d->threads;
    oct_ref_loop_init(&op->loop, &d->out[0].desc.shape);
    oct_ref_loop_add(&op->loop, &d->out[0].desc);
    oct_ref_loop_add(&op->loop, &d->in[op->what.x].desc);
    if (op->what.binary)
        oct_ref_loop_add(&op->loop, &d->in[op->what.y].desc);
    oct_ref_loop_optimize(&op->loop);
    *out = &op->base;
    return OCT_OK;
}

#define ROW(name)                     \
    {                                 \
        OCT_OP_##name, query, prepare \
    }
static const oct_cpu_row rows[] = {
    ROW(RELU),     ROW(LEAKY_RELU), ROW(ELU),          ROW(SELU),       ROW(CELU),
    ROW(SIGMOID),  ROW(CLIP),       ROW(HARD_SIGMOID), ROW(HARD_SWISH), ROW(SWISH),
    ROW(MISH),     ROW(GELU),       ROW(MS_GELU),      ROW(ERF),        ROW(TANH),
    ROW(SOFTPLUS), ROW(SOFTSIGN),   ROW(ABS),          ROW(NEG),        ROW(THRESHOLDED_RELU),
    ROW(CEIL),     ROW(FLOOR),      ROW(ROUND),        ROW(SQRT),       ROW(RECIPROCAL),
    ROW(EXP),      ROW(LOG),        ROW(ADD),          ROW(SUM),        ROW(SUB),
    ROW(MUL),      ROW(DIV),        ROW(MIN),          ROW(MAX),        ROW(PRELU),
    ROW(POW),
};
const oct_cpu_rows oct_cpu_rows_eltwise = {rows, sizeof rows / sizeof rows[0]};
