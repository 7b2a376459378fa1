/* SPDX-License-Identifier: Apache-2.0
 *
 * Reductions. Floats accumulate in double, integers in wrapping 64-bit arithmetic, always in
 * the memory order of the input, so the bits depend neither on threads nor on the
 * values around. Sums along the fastest axis use 8 lanes (element i in lane i mod 8,
 * lanes added in order), so that compilers can vectorise without changing results.
 *
 *     ROWS     fastest axis reduced: one result at a time, whole rows of input
 *     COLUMNS  fastest axis kept: a block of neighbouring results at a time
 */
#include <math.h>
#include <string.h>

#include "base/parallel.h"
#include "kernels/ref/ref_accept.h"
#include "kernels/ref/ref_cast.h"
#include "kernels/ref/ref_loop.h"

#define LANES 8
#define COLUMNS 64 /* neighbouring results in one go */

/* ---- accumulation: acc[i] = step(acc[i], x[i]) --------------------------------------------- */

typedef enum fold_kind {
    FOLD_SUM,
    FOLD_ABS,
    FOLD_SQUARE,
    FOLD_PROD,
    FOLD_MAX,
    FOLD_MIN,
    FOLD_EXP, /* sum of exp(x - shift[i]) */
} fold_kind;

#define FOLD_F64(name, expr)                                                       \
    static void name(double *acc, const double *x, const double *shift, int64_t n) \
    {                                                                              \
        (void)shift;                                                               \
        for (int64_t i = 0; i < n; i++)                                            \
            acc[i] = (expr);                                                       \
    }
FOLD_F64(sum_f64, acc[i] + x[i])
FOLD_F64(abs_f64, acc[i] + fabs(x[i]))
FOLD_F64(square_f64, acc[i] + x[i] * x[i])
FOLD_F64(prod_f64, acc[i] * x[i])
FOLD_F64(max_f64, x[i] > acc[i] || x[i] != x[i] ? x[i] : acc[i])
FOLD_F64(min_f64, x[i] < acc[i] || x[i] != x[i] ? x[i] : acc[i])
FOLD_F64(exp_f64, acc[i] + exp(x[i] - shift[i]))

typedef void (*fold_f64_fn)(double *acc, const double *x, const double *shift, int64_t n);
static const fold_f64_fn FOLDS_F64[] = {sum_f64, abs_f64, square_f64, prod_f64,
                                        max_f64, min_f64, exp_f64};

#define FOLD_S64(name, expr)                                    \
    static void name(int64_t *acc, const int64_t *x, int64_t n) \
    {                                                           \
        for (int64_t i = 0; i < n; i++)                         \
            acc[i] = (expr);                                    \
    }
#define U(v) ((uint64_t)(v))
FOLD_S64(sum_s64, (int64_t)(U(acc[i]) + U(x[i])))
FOLD_S64(abs_s64, (int64_t)(U(acc[i]) + (x[i] < 0 ? 0 - U(x[i]) : U(x[i]))))
FOLD_S64(square_s64, (int64_t)(U(acc[i]) + U(x[i]) * U(x[i])))
FOLD_S64(prod_s64, (int64_t)(U(acc[i]) * U(x[i])))
FOLD_S64(max_s64, x[i] > acc[i] ? x[i] : acc[i])
FOLD_S64(min_s64, x[i] < acc[i] ? x[i] : acc[i])
FOLD_S64(max_u64, U(x[i]) > U(acc[i]) ? x[i] : acc[i])
FOLD_S64(min_u64, U(x[i]) < U(acc[i]) ? x[i] : acc[i])

typedef void (*fold_s64_fn)(int64_t *acc, const int64_t *x, int64_t n);
static const fold_s64_fn FOLDS_S64[] = {sum_s64, abs_s64, square_s64, prod_s64, max_s64, min_s64};

static double identity_f64(fold_kind k)
{
    return k == FOLD_PROD ? 1 : k == FOLD_MAX ? -(double)INFINITY : k == FOLD_MIN ? INFINITY : 0;
}

/* What an empty Max or Min gives: the least or greatest value of the type. */
static int64_t extreme(oct_dtype dt, bool greatest)
{
    const int bits = 8 * (int)oct_dtype_bytes(dt);
    if (dt == OCT_DT_BOOL)
        return greatest;
    if (dt == OCT_DT_U8 || dt == OCT_DT_U16 || dt == OCT_DT_U32 || dt == OCT_DT_U64)
        return greatest ? (int64_t)(UINT64_MAX >> (64 - bits)) : 0;
    return greatest ? INT64_MAX >> (64 - bits) : INT64_MIN >> (64 - bits);
}

static int64_t identity_s64(fold_kind k, oct_dtype dt)
{
    if (k == FOLD_MAX || k == FOLD_MIN)
        return extreme(dt, k == FOLD_MIN);
    return k == FOLD_PROD;
}

/* ---- the reduction of one descriptor --------------------------------------------------------- */

typedef struct reduce_job {
    oct_op op;
    fold_kind fold;
    oct_dtype dt;
    size_t bytes;
    const char *src;
    char *dst;
    int64_t n_reduced;
    oct_ref_loop inner; /* over reduced axes: operand 0 = src */
    bool columns;
    int64_t column_step; /* src step between neighbouring results */
} reduce_job;

typedef union acc_block {
    double f64[COLUMNS];
    int64_t s64[COLUMNS];
} acc_block;

/* State of one result (ROWS: lanes) or one block of results (COLUMNS). */
typedef struct reduce_state {
    const reduce_job *j;
    const char *src; /* at the results' first element */
    int64_t n;       /* results in the block; ROWS: 1 */
    acc_block acc;
    double shift[COLUMNS];
    bool is_float;
    fold_kind kind;
    fold_f64_fn f64;
    fold_s64_fn s64;
} reduce_state;

static void fold_block(reduce_state *s, const char *src, int64_t step, int64_t n)
{
    acc_block x;
    if (s->is_float) {
        oct_ref_read_f64(x.f64, src, s->j->dt, n, step);
        s->f64(s->acc.f64, x.f64, s->shift, n);
    } else {
        oct_ref_read_s64(x.s64, src, s->j->dt, n, step);
        s->s64(s->acc.s64, x.s64, n);
    }
}

/* One row of reduced elements, LANES at a time; the last few go to the first lanes. */
static void fold_row(void *user, const int64_t *offset, const int64_t *step, int64_t n)
{
    reduce_state *s = user;
    const int64_t bytes = (int64_t)s->j->bytes;
    const char *src = s->src + offset[0] * bytes;
    double x[OCT_REF_BLOCK];
    if (s->is_float && s->kind == FOLD_SUM) { /* the common case */
        for (int64_t i = 0; i < n; i += OCT_REF_BLOCK) {
            const int64_t m = n - i < OCT_REF_BLOCK ? n - i : OCT_REF_BLOCK;
            oct_ref_read_f64(x, src + i * step[0] * bytes, s->j->dt, m, step[0]);
            int64_t k = 0;
            for (; k + LANES <= m; k += LANES)
                for (int lane = 0; lane < LANES; lane++)
                    s->acc.f64[lane] += x[k + lane];
            for (; k < m; k++)
                s->acc.f64[k % LANES] += x[k];
        }
        return;
    }
    for (int64_t i = 0; i < n; i += LANES)
        fold_block(s, src + i * step[0] * bytes, step[0], n - i < LANES ? n - i : LANES);
}

/* One reduced position of a block of neighbouring results (the loop's row is this axis). */
static void fold_columns(void *user, const int64_t *offset, const int64_t *step, int64_t n)
{
    reduce_state *s = user;
    for (int64_t i = 0; i < n; i++)
        fold_block(s, s->src + (offset[0] + i * step[0]) * (int64_t)s->j->bytes, s->j->column_step,
                   s->n);
}

static void fold_all(reduce_state *s, fold_kind kind)
{
    const reduce_job *j = s->j;
    const int64_t lanes = j->columns ? s->n : LANES;
    s->kind = kind;
    s->f64 = FOLDS_F64[kind];
    s->s64 = FOLDS_S64[kind == FOLD_EXP ? FOLD_SUM : kind];
    if (j->dt == OCT_DT_U64 && (kind == FOLD_MAX || kind == FOLD_MIN))
        s->s64 = kind == FOLD_MAX ? max_u64 : min_u64;
    for (int64_t i = 0; i < lanes; i++) {
        if (s->is_float)
            s->acc.f64[i] = identity_f64(kind);
        else
            s->acc.s64[i] = identity_s64(kind, j->dt);
    }
    oct_ref_loop_run(&j->inner, 1, j->columns ? fold_columns : fold_row, s);
    if (j->columns)
        return;
    for (int64_t i = 1; i < LANES; i++) { /* lanes in order */
        if (s->is_float && (kind == FOLD_MAX || kind == FOLD_MIN || kind == FOLD_PROD))
            s->f64(s->acc.f64, s->acc.f64 + i, NULL, 1);
        else if (s->is_float)
            s->acc.f64[0] += s->acc.f64[i];
        else if (kind == FOLD_ABS || kind == FOLD_SQUARE)
            sum_s64(s->acc.s64, s->acc.s64 + i, 1);
        else
            s->s64(s->acc.s64, s->acc.s64 + i, 1);
    }
}

/* log(sum(exp(x))) as max + log(sum(exp(x - max))). */
static void log_sum_exp(reduce_state *s)
{
    const int64_t lanes = s->j->columns ? s->n : LANES;
    fold_all(s, FOLD_MAX);
    double max[COLUMNS];
    for (int64_t i = 0; i < lanes; i++) {
        max[i] = s->acc.f64[s->j->columns ? i : 0];
        s->shift[i] = isinf(max[i]) ? 0 : max[i];
    }
    fold_all(s, FOLD_EXP);
    for (int64_t i = 0; i < s->n; i++)
        s->acc.f64[i] = log(s->acc.f64[i]) + s->shift[i];
}

static void finish(reduce_state *s)
{
    const int64_t count = s->j->n_reduced;
    for (int64_t i = 0; i < s->n; i++) {
        double *f = &s->acc.f64[i];
        int64_t *k = &s->acc.s64[i];
        switch (s->j->op) {
        case OCT_OP_REDUCE_MEAN:
            if (s->is_float)
                *f /= (double)count;
            else
                *k = count ? *k / count : 0;
            break;
        case OCT_OP_REDUCE_L2:
            if (s->is_float)
                *f = sqrt(*f);
            else
                *k = (int64_t)sqrt((double)*k);
            break;
        case OCT_OP_REDUCE_LOG_SUM:
            *f = log(*f);
            break;
        default:
            break;
        }
    }
}

/* Reduces one result or block into `dst` (dense). */
static void reduce_one(const reduce_job *j, const char *src, char *dst, int64_t dst_step, int64_t n)
{
    reduce_state s = {.j = j, .src = src, .n = n, .is_float = true};
    s.is_float = oct_dtype_is_float(j->dt) || j->op == OCT_OP_REDUCE_LOG_SUM ||
                 j->op == OCT_OP_REDUCE_LOG_SUM_EXP;
    if (j->op == OCT_OP_REDUCE_LOG_SUM_EXP)
        log_sum_exp(&s);
    else
        fold_all(&s, j->fold);
    finish(&s);
    if (s.is_float)
        oct_ref_write_f64(dst, j->dt, dst_step, s.acc.f64, n);
    else
        oct_ref_write_s64(dst, j->dt, dst_step, s.acc.s64, n);
}

/* Row of results: operand 0 = dst, 1 = src. */
static void reduce_row(void *user, const int64_t *offset, const int64_t *step, int64_t n)
{
    const reduce_job *j = user;
    const int64_t bytes = (int64_t)j->bytes, block = j->columns ? COLUMNS : 1;
    for (int64_t i = 0; i < n; i += block) {
        const int64_t m = n - i < block ? n - i : block;
        reduce_one(j, j->src + (offset[1] + i * step[1]) * bytes,
                   j->dst + (offset[0] + i * step[0]) * bytes, step[0], m);
    }
}

static bool has_axes(const oct_op_desc *d)
{
    size_t n = 0;
    return d->n_in > 1 && d->in[1].desc.dtype != OCT_DT_NONE &&
           oct_shape_elems(&d->in[1].desc.shape, &n) && n > 0;
}

/* Which axes are reduced; all by default, none with noop_with_empty_axes. */
static void read_axes(const oct_op_desc *d, const oct_run_args *a, bool *reduced)
{
    const int rank = d->in[0].desc.shape.n_dims;
    const bool all = !((const oct_attr_reduce *)d->attr)->noop_with_empty_axes;
    size_t n = 0;
    for (int i = 0; i < rank; i++)
        reduced[i] = !has_axes(d) && all;
    if (!has_axes(d) || !oct_shape_elems(&d->in[1].desc.shape, &n))
        return;
    for (size_t k = 0; k < n; k++) {
        const int64_t axis = oct_ref_get_s64(a->in[1], d->in[1].desc.dtype, (int64_t)k);
        reduced[axis < 0 ? axis + rank : axis] = true;
    }
}

static fold_kind fold_of(oct_op op)
{
    switch (op) {
    case OCT_OP_REDUCE_L1:
        return FOLD_ABS;
    case OCT_OP_REDUCE_L2:
    case OCT_OP_REDUCE_SUM_SQUARE:
        return FOLD_SQUARE;
    case OCT_OP_REDUCE_PROD:
        return FOLD_PROD;
    case OCT_OP_REDUCE_MAX:
        return FOLD_MAX;
    case OCT_OP_REDUCE_MIN:
        return FOLD_MIN;
    default:
        return FOLD_SUM;
    }
}

/* Splits the axes between the loop over results (dst, src) and the one over reduced elements. */
static void split_axes(const oct_op_desc *d, const bool *reduced, reduce_job *j,
                       oct_ref_loop *results)
{
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    const bool keep = y->shape.n_dims == x->shape.n_dims;
    int out = 0;
    *results = j->inner = (oct_ref_loop){.n_operands = 2};
    for (int i = 0; i < x->shape.n_dims; i++) {
        if (reduced[i])
            oct_ref_loop_dim(&j->inner, x->shape.dim[i], x->stride[i], 0);
        else
            oct_ref_loop_dim(results, x->shape.dim[i], y->stride[out], x->stride[i]);
        out += keep || !reduced[i];
    }
    j->inner.n_operands = 1;
    oct_ref_loop_optimize(&j->inner);
    oct_ref_loop_optimize(results);
}

/* Neighbouring results are worth a block when they lie closer together than reduced elements. */
static bool prefers_columns(const oct_ref_loop *results, const oct_ref_loop *inner)
{
    const int r = results->n_dims - 1, i = inner->n_dims - 1;
    if (results->dim[r] < 2)
        return false;
    return results->stride[1][r] < inner->stride[0][i] || inner->dim[i] == 1;
}

static oct_status run_reduce(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    bool reduced[OCT_MAX_DIMS];
    oct_ref_loop results;
    reduce_job j = {.op = d->op, .fold = fold_of(d->op), .dt = d->in[0].desc.dtype};
    read_axes(d, a, reduced);
    j.bytes = oct_dtype_bytes(j.dt);
    j.src = a->in[0];
    j.dst = a->out[0];
    j.n_reduced = 1;
    for (int i = 0; i < d->in[0].desc.shape.n_dims; i++)
        j.n_reduced *= reduced[i] ? d->in[0].desc.shape.dim[i] : 1;
    split_axes(d, reduced, &j, &results);
    j.columns = prefers_columns(&results, &j.inner);
    j.column_step = results.stride[1][results.n_dims - 1];
    oct_ref_loop_run(&results, d->threads, reduce_row, &j);
    return OCT_OK;
}

#define ENTRY(op)                                                    \
    {                                                                \
        OCT_OP_##op, run_reduce, NULL, oct_ref_accept_strided, false \
    }

const oct_ref_entry oct_ref_reduce[] = {
    ENTRY(REDUCE_SUM),
    ENTRY(REDUCE_MEAN),
    ENTRY(REDUCE_MAX),
    ENTRY(REDUCE_MIN),
    ENTRY(REDUCE_PROD),
    ENTRY(REDUCE_L1),
    ENTRY(REDUCE_L2),
    ENTRY(REDUCE_SUM_SQUARE),
    ENTRY(REDUCE_LOG_SUM),
    ENTRY(REDUCE_LOG_SUM_EXP),
    {OCT_OP_COUNT, NULL, NULL, NULL, false},
};
