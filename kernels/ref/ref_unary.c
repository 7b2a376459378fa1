/* SPDX-License-Identifier: Apache-2.0
 *
 * Activations and unary arithmetic. Formulas are ONNX's, arranged so that no
 * intermediate overflows where the result does not. f16 and bf16 are computed in f32 and rounded
 * once; integers (where ONNX allows them) in s64.
 */
#include <string.h>
#include <tgmath.h>

#include "base/numeric.h"
#include "kernels/ref/ref_accept.h"
#include "kernels/ref/ref_cast.h"
#include "kernels/ref/ref_loop.h"

/* Each formula once for float and once for double; `x` is the element, `p` the
 * attributes, R() makes a constant of the element's type; tgmath.h picks the functions. */
#define LOOP(name, suffix, real, expr)                                                       \
    static void name##_##suffix(void *out, const void *in, int64_t n, const oct_attr_act *p) \
    {                                                                                        \
        typedef real real_type;                                                              \
        real *y = out;                                                                       \
        const real *v = in;                                                                  \
        (void)p, (void)sizeof(real_type);                                                    \
        for (int64_t i = 0; i < n; i++) {                                                    \
            const real x = v[i];                                                             \
            y[i] = (expr);                                                                   \
        }                                                                                    \
    }
#define FLOAT_FN(name, expr)     \
    LOOP(name, f32, float, expr) \
    LOOP(name, f64, double, expr)
#define R(constant) ((real_type)(constant))

/* Keeps NaN, unlike fmin(fmax()). */
#define CLAMP_01(v) ((v) < 0 ? R(0) : (v) > 1 ? R(1) : (v))

#define SQRT_HALF 0.70710678118654752440
#define SQRT_2_OVER_PI 0.79788456080286535588

FLOAT_FN(relu, x < 0 ? R(0) : x)
FLOAT_FN(leaky_relu, x < 0 ? R(p->alpha) * x : x)
FLOAT_FN(elu, x < 0 ? R(p->alpha) * expm1(x) : x)
FLOAT_FN(selu, R(p->beta) * (x > 0 ? x : R(p->alpha) * expm1(x)))
FLOAT_FN(celu, x > 0 ? x : R(p->alpha) * expm1(x / R(p->alpha)))
FLOAT_FN(sigmoid, R(1) / (R(1) + exp(-x)))
FLOAT_FN(hard_sigmoid, CLAMP_01(R(p->alpha) * x + R(p->beta)))
FLOAT_FN(hard_swish, x *CLAMP_01(x / R(6) + R(0.5)))
FLOAT_FN(swish, x / (R(1) + exp(-R(p->alpha) * x)))
FLOAT_FN(softplus, x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)))
FLOAT_FN(mish, x *tanh(x > 0 ? x + log1p(exp(-x)) : log1p(exp(x))))
FLOAT_FN(gelu, R(0.5) * x * (R(1) + erf(x * R(SQRT_HALF))))
FLOAT_FN(gelu_tanh, R(0.5) * x * (R(1) + tanh(R(SQRT_2_OVER_PI) * (x + R(0.044715) * x * x * x))))
FLOAT_FN(erf_of, erf(x))
FLOAT_FN(tanh_of, tanh(x))
FLOAT_FN(softsign, x / (R(1) + fabs(x)))
FLOAT_FN(thresholded_relu, x > R(p->alpha) || x != x ? x : R(0))
FLOAT_FN(shrink,
         x<-R(p->alpha) ? x + R(p->beta) : x> R(p->alpha) ? x - R(p->beta) : (x != x ? x : R(0)))
FLOAT_FN(abs_of, fabs(x))
FLOAT_FN(neg, -x)
FLOAT_FN(sign, x > 0 ? R(1) : x < 0 ? R(-1) : x != x ? x : R(0))
FLOAT_FN(ceil_of, ceil(x))
FLOAT_FN(floor_of, floor(x))
FLOAT_FN(round_of, rint(x)) /* half to even in the default mode */
FLOAT_FN(sqrt_of, sqrt(x))
FLOAT_FN(reciprocal, R(1) / x)
FLOAT_FN(exp_of, exp(x))
FLOAT_FN(log_of, log(x))
FLOAT_FN(sin_of, sin(x))
FLOAT_FN(cos_of, cos(x))
FLOAT_FN(tan_of, tan(x))
FLOAT_FN(atan_of, atan(x))

static void abs_s64(void *out, const void *in, int64_t n, const oct_attr_act *p)
{
    int64_t *y = out;
    const int64_t *x = in;
    (void)p;
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] < 0 ? (int64_t)(0 - (uint64_t)x[i]) : x[i];
}

static void neg_s64(void *out, const void *in, int64_t n, const oct_attr_act *p)
{
    int64_t *y = out;
    const int64_t *x = in;
    (void)p;
    for (int64_t i = 0; i < n; i++)
        y[i] = (int64_t)(0 - (uint64_t)x[i]);
}

static void sign_s64(void *out, const void *in, int64_t n, const oct_attr_act *p)
{
    int64_t *y = out;
    const int64_t *x = in;
    (void)p;
    for (int64_t i = 0; i < n; i++)
        y[i] = (x[i] > 0) - (x[i] < 0);
}

static void relu_s64(void *out, const void *in, int64_t n, const oct_attr_act *p)
{
    int64_t *y = out;
    const int64_t *x = in;
    (void)p;
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] < 0 ? 0 : x[i];
}

typedef void (*unary_fn)(void *out, const void *in, int64_t n, const oct_attr_act *p);

#define ROW(op, name)                             \
    {                                             \
        OCT_OP_##op, name##_f32, name##_f64, NULL \
    }
#define ROW_INT(op, name, name_int)                   \
    {                                                 \
        OCT_OP_##op, name##_f32, name##_f64, name_int \
    }

static const struct unary_row {
    oct_op op;
    unary_fn f32, f64, s64;
} unary_rows[] = {
    ROW_INT(RELU, relu, relu_s64),
    ROW(LEAKY_RELU, leaky_relu),
    ROW(ELU, elu),
    ROW(SELU, selu),
    ROW(CELU, celu),
    ROW(SIGMOID, sigmoid),
    ROW(HARD_SIGMOID, hard_sigmoid),
    ROW(HARD_SWISH, hard_swish),
    ROW(SWISH, swish),
    ROW(MISH, mish),
    ROW(GELU, gelu),
    ROW(MS_GELU, gelu),
    ROW(ERF, erf_of),
    ROW(TANH, tanh_of),
    ROW(SOFTPLUS, softplus),
    ROW(SOFTSIGN, softsign),
    ROW(THRESHOLDED_RELU, thresholded_relu),
    ROW(SHRINK, shrink),
    ROW_INT(ABS, abs_of, abs_s64),
    ROW_INT(NEG, neg, neg_s64),
    ROW_INT(SIGN, sign, sign_s64),
    ROW(CEIL, ceil_of),
    ROW(FLOOR, floor_of),
    ROW(ROUND, round_of),
    ROW(SQRT, sqrt_of),
    ROW(RECIPROCAL, reciprocal),
    ROW(EXP, exp_of),
    ROW(LOG, log_of),
    ROW(SIN, sin_of),
    ROW(COS, cos_of),
    ROW(TAN, tan_of),
    ROW(ATAN, atan_of),
};

#define N_UNARY_ROWS (sizeof unary_rows / sizeof unary_rows[0])

typedef struct unary_job {
    char *dst;
    const char *src;
    oct_dtype dt;
    size_t elem_bytes;
    unary_fn fn; /* works on `wide` elements */
    oct_dtype wide;
    const oct_attr_act *attr;
} unary_job;

static void unary_blocks(const unary_job *j, char *y, int64_t y_step, const char *x, int64_t x_step,
                         int64_t n)
{
    union {
        float f32[OCT_REF_BLOCK];
        double f64[OCT_REF_BLOCK];
        int64_t s64[OCT_REF_BLOCK];
    } b;
    const int64_t bytes = (int64_t)j->elem_bytes;
    for (int64_t i = 0; i < n; i += OCT_REF_BLOCK) {
        const int64_t m = n - i < OCT_REF_BLOCK ? n - i : OCT_REF_BLOCK;
        const char *from = x + i * x_step * bytes;
        char *to = y + i * y_step * bytes;
        if (j->wide == OCT_DT_F32) {
            oct_ref_read_f32(b.f32, from, j->dt, m, x_step);
            j->fn(b.f32, b.f32, m, j->attr);
            oct_ref_write_f32(to, j->dt, y_step, b.f32, m);
        } else if (j->wide == OCT_DT_F64) {
            oct_ref_read_f64(b.f64, from, j->dt, m, x_step);
            j->fn(b.f64, b.f64, m, j->attr);
            oct_ref_write_f64(to, j->dt, y_step, b.f64, m);
        } else {
            oct_ref_read_s64(b.s64, from, j->dt, m, x_step);
            j->fn(b.s64, b.s64, m, j->attr);
            oct_ref_write_s64(to, j->dt, y_step, b.s64, m);
        }
    }
}

static void unary_job_row(void *user, const int64_t *offset, const int64_t *step, int64_t n)
{
    const unary_job *j = user;
    char *y = j->dst + offset[0] * (int64_t)j->elem_bytes;
    const char *x = j->src + offset[1] * (int64_t)j->elem_bytes;
    if (j->wide == j->dt && step[0] == 1 && step[1] == 1)
        j->fn(y, x, n, j->attr);
    else
        unary_blocks(j, y, step[0], x, step[1], n);
}

static const struct unary_row *find_row(oct_op op)
{
    for (size_t i = 0; i < N_UNARY_ROWS; i++)
        if (unary_rows[i].op == op)
            return &unary_rows[i];
    return NULL;
}

static oct_dtype wide_type(oct_dtype dt)
{
    if (dt == OCT_DT_F64)
        return OCT_DT_F64;
    return oct_dtype_is_float(dt) ? OCT_DT_F32 : OCT_DT_S64;
}

static void run_loop(const oct_op_desc *d, oct_ref_row_fn fn, void *job)
{
    oct_ref_loop l;
    oct_ref_loop_init(&l, &d->out[0].desc.shape);
    oct_ref_loop_add(&l, &d->out[0].desc);
    oct_ref_loop_add(&l, &d->in[0].desc);
    oct_ref_loop_optimize(&l);
    oct_ref_loop_run(&l, d->threads, fn, job);
}

static oct_status run_unary(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    static const oct_attr_act no_attr = {0};
    const struct unary_row *row = find_row(d->op);
    const oct_attr_act *attr = d->attr ? d->attr : &no_attr;
    unary_job j = {.dst = a->out[0], .src = a->in[0], .dt = d->in[0].desc.dtype, .attr = attr};
    j.elem_bytes = oct_dtype_bytes(j.dt);
    j.wide = wide_type(j.dt);
    j.fn = j.wide == OCT_DT_F32 ? row->f32 : j.wide == OCT_DT_F64 ? row->f64 : row->s64;
    if (d->op == OCT_OP_GELU && attr->approximate_tanh)
        j.fn = j.wide == OCT_DT_F64 ? gelu_tanh_f64 : gelu_tanh_f32;
    if (!j.fn)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "%s: input is %s, must be a float",
                        oct_op_name(d->op), oct_dtype_str(j.dt));
    run_loop(d, unary_job_row, &j);
    return OCT_OK;
}

/* ---- tests of one element: Not, IsNaN, IsInf -> bool --------------------------------------- */

typedef struct test_job {
    uint8_t *dst;
    const char *src;
    oct_dtype dt;
    oct_op op;
    bool negative, positive; /* IsInf */
} test_job;

static bool test_elem(const test_job *j, double v)
{
    if (j->op == OCT_OP_IS_NAN)
        return v != v;
    return (v == (double)INFINITY && j->positive) || (v == -(double)INFINITY && j->negative);
}

static void test_row(void *user, const int64_t *offset, const int64_t *step, int64_t n)
{
    const test_job *j = user;
    const int64_t bytes = (int64_t)oct_dtype_bytes(j->dt);
    double x[OCT_REF_BLOCK];
    for (int64_t i = 0; i < n; i += OCT_REF_BLOCK) {
        const int64_t m = n - i < OCT_REF_BLOCK ? n - i : OCT_REF_BLOCK;
        oct_ref_read_f64(x, j->src + (offset[1] + i * step[1]) * bytes, j->dt, m, step[1]);
        uint8_t *y = j->dst + offset[0] + i * step[0];
        for (int64_t k = 0; k < m; k++)
            y[k * step[0]] = test_elem(j, x[k]);
    }
}

static oct_status run_test(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    test_job j = {a->out[0], a->in[0], d->in[0].desc.dtype, d->op, true, true};
    if (d->op == OCT_OP_IS_INF && d->attr) {
        const oct_attr_is_inf *attr = d->attr;
        j.negative = attr->detect_negative;
        j.positive = attr->detect_positive;
    }
    run_loop(d, test_row, &j);
    return OCT_OK;
}

static void not_row(void *user, const int64_t *offset, const int64_t *step, int64_t n)
{
    const test_job *j = user;
    uint8_t *y = j->dst + offset[0];
    const uint8_t *x = (const uint8_t *)j->src + offset[1];
    for (int64_t i = 0; i < n; i++)
        y[i * step[0]] = x[i * step[1]] == 0;
}

static oct_status run_not(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    test_job j = {a->out[0], a->in[0], OCT_DT_BOOL, d->op, false, false};
    run_loop(d, not_row, &j);
    return OCT_OK;
}

#define ENTRY(op)                                                   \
    {                                                               \
        OCT_OP_##op, run_unary, NULL, oct_ref_accept_strided, false \
    }

const oct_ref_entry oct_ref_unary[] = {
    ENTRY(RELU),
    ENTRY(LEAKY_RELU),
    ENTRY(ELU),
    ENTRY(SELU),
    ENTRY(CELU),
    ENTRY(SIGMOID),
    ENTRY(HARD_SIGMOID),
    ENTRY(HARD_SWISH),
    ENTRY(SWISH),
    ENTRY(MISH),
    ENTRY(GELU),
    ENTRY(MS_GELU),
    ENTRY(ERF),
    ENTRY(TANH),
    ENTRY(SOFTPLUS),
    ENTRY(SOFTSIGN),
    ENTRY(THRESHOLDED_RELU),
    ENTRY(SHRINK),
    ENTRY(ABS),
    ENTRY(NEG),
    ENTRY(SIGN),
    ENTRY(CEIL),
    ENTRY(FLOOR),
    ENTRY(ROUND),
    ENTRY(SQRT),
    ENTRY(RECIPROCAL),
    ENTRY(EXP),
    ENTRY(LOG),
    ENTRY(SIN),
    ENTRY(COS),
    ENTRY(TAN),
    ENTRY(ATAN),
    {OCT_OP_IS_NAN, run_test, NULL, oct_ref_accept_strided, false},
    {OCT_OP_IS_INF, run_test, NULL, oct_ref_accept_strided, false},
    {OCT_OP_NOT, run_not, NULL, oct_ref_accept_strided, false},
    {OCT_OP_COUNT, NULL, NULL, NULL, false},
};
