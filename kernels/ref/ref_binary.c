/* SPDX-License-Identifier: Apache-2.0
 *
 * Binary, variadic, comparison and logic operators with multidirectional broadcasting.
 *
 * Each operator is a table of inner loops over one of five *wide* types: f32, f64, s64, u64
 * and bool. Operands of exactly that type are read in place; all others pass through a
 * stack block: f16 and bf16 through f32 (one rounding), small integers through s64 (results keep
 * the low bits), s8/u8 with oct_quant are dequantized to f32, computed there, and rounded
 * once into the output's scale (DESIGN 3).
 *
 * Defined here where ONNX is silent: integer arithmetic wraps; Min and Max pass NaN on;
 * an integer division by zero is an error.
 */
#include "kernels/ref/ref_binary.h"

#include <assert.h>
#include <tgmath.h>

#include "base/numeric.h"
#include "kernels/ref/ref_accept.h"
#include "kernels/ref/ref_cast.h"
#include "kernels/ref/ref_loop.h"

/* y, a, b advance by step[0..2] elements; a step of 0 repeats one element. */
typedef void (*binary_fn)(void *y, const void *a, const void *b, int64_t n, const int64_t *step);

/* The shapes that matter get a loop of their own, which compilers vectorise: both operands
 * dense, the right or the left one repeated. */
#define LOOP(name, R, T, expr)                                                                  \
    static void name(void *out, const void *pa, const void *pb, int64_t n, const int64_t *step) \
    {                                                                                           \
        R *y = out;                                                                             \
        const T *a = pa, *b = pb;                                                               \
        const int64_t sy = step[0], sa = step[1], sb = step[2];                                 \
        if (sy == 1 && sa == 1 && sb == 1) {                                                    \
            for (int64_t i = 0; i < n; i++) {                                                   \
                const T u = a[i], v = b[i];                                                     \
                y[i] = (R)(expr);                                                               \
            }                                                                                   \
        } else if (sy == 1 && sa == 1 && sb == 0) {                                             \
            const T v = b[0];                                                                   \
            for (int64_t i = 0; i < n; i++) {                                                   \
                const T u = a[i];                                                               \
                y[i] = (R)(expr);                                                               \
            }                                                                                   \
        } else if (sy == 1 && sa == 0 && sb == 1) {                                             \
            const T u = a[0];                                                                   \
            for (int64_t i = 0; i < n; i++) {                                                   \
                const T v = b[i];                                                               \
                y[i] = (R)(expr);                                                               \
            }                                                                                   \
        } else {                                                                                \
            for (int64_t i = 0; i < n; i++) {                                                   \
                const T u = a[i * sa], v = b[i * sb];                                           \
                y[i * sy] = (R)(expr);                                                          \
            }                                                                                   \
        }                                                                                       \
    }

static int64_t quotient_s64(int64_t a, int64_t b)
{
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b; /* INT64_MIN / -1 would trap */
}

static int64_t rem_s64(int64_t a, int64_t b)
{
    return b == -1 ? 0 : a % b;
}

static int64_t floor_mod_s64(int64_t a, int64_t b) /* sign of the divisor */
{
    const int64_t r = rem_s64(a, b);
    return r != 0 && (r ^ b) < 0 ? r + b : r;
}

/* Floor modulo of floats: exact (fmod is), with the sign of the divisor also on zeros; tgmath.h
 * picks the functions. */
#define FLOOR_MOD(r, v) ((r) == 0 ? copysign((r), (v)) : ((r) < 0) != ((v) < 0) ? (r) + (v) : (r))

static uint64_t power_u64(uint64_t base, uint64_t exponent)
{
    uint64_t r = 1;
    for (; exponent != 0; exponent >>= 1, base *= base)
        if (exponent & 1)
            r *= base;
    return r;
}

static int64_t power_s64(int64_t base, int64_t exponent)
{
    if (exponent >= 0)
        return (int64_t)power_u64((uint64_t)base, (uint64_t)exponent);
    if (base == 1 || base == -1)
        return (exponent & 1) ? base : 1;
    return 0; /* |base|^-n truncates to 0; 0^-n has no value */
}

#define FLOATS(name, expr)               \
    LOOP(name##_f32, float, float, expr) \
    LOOP(name##_f64, double, double, expr)
#define INTS(name, expr_s64, expr_u64)           \
    LOOP(name##_s64, int64_t, int64_t, expr_s64) \
    LOOP(name##_u64, uint64_t, uint64_t, expr_u64)
#define WRAP(op)              \
    (uint64_t) u op(uint64_t) \
    v

FLOATS(add, u + v)
INTS(add, WRAP(+), u + v)
FLOATS(sub, u - v)
INTS(sub, WRAP(-), u - v)
FLOATS(mul, u *v)
INTS(mul, WRAP(*), u *v)
FLOATS(div, u / v)
INTS(div, quotient_s64(u, v), u / v)
FLOATS(min_of, u < v || u != u ? u : v)
INTS(min_of, u < v ? u : v, u < v ? u : v)
FLOATS(max_of, u > v || u != u ? u : v)
INTS(max_of, u > v ? u : v, u > v ? u : v)
FLOATS(raise, v == 2 ? u * u : pow(u, v))
INTS(raise, power_s64(u, v), power_u64(u, v))
FLOATS(prelu, u < 0 ? u * v : u)
INTS(prelu, u < 0 ? (int64_t)((uint64_t)u * (uint64_t)v) : u, ((void)v, u))
FLOATS(floor_mod_loop, FLOOR_MOD(fmod(u, v), v))
FLOATS(fmod_of, fmod(u, v))
INTS(fmod_of, rem_s64(u, v), u % v)
INTS(floor_mod_loop, floor_mod_s64(u, v), u % v)

#define COMPARE(name, op)                      \
    LOOP(name##_f32, uint8_t, float, u op v)   \
    LOOP(name##_f64, uint8_t, double, u op v)  \
    LOOP(name##_s64, uint8_t, int64_t, u op v) \
    LOOP(name##_u64, uint8_t, uint64_t, u op v)
COMPARE(equal, ==)
COMPARE(greater, >)
COMPARE(greater_equal, >=)
COMPARE(less, <)
COMPARE(less_equal, <=)

LOOP(equal_bool, uint8_t, uint8_t, (u != 0) == (v != 0))
LOOP(and_bool, uint8_t, uint8_t, (u != 0) & (v != 0))
LOOP(or_bool, uint8_t, uint8_t, (u != 0) | (v != 0))
LOOP(xor_bool, uint8_t, uint8_t, (u != 0) ^ (v != 0))

typedef struct binary_row {
    oct_op op;
    binary_fn f32, f64, s64, u64, bool8;
} binary_row;

#define ARITH(op, name)                                                   \
    {                                                                     \
        OCT_OP_##op, name##_f32, name##_f64, name##_s64, name##_u64, NULL \
    }
#define LOGIC(op, name)                                  \
    {                                                    \
        OCT_OP_##op, NULL, NULL, NULL, NULL, name##_bool \
    }

static const binary_row binary_rows[] = {
    ARITH(ADD, add),         ARITH(SUB, sub),
    ARITH(MUL, mul),         ARITH(DIV, div),
    ARITH(POW, raise),       ARITH(MIN, min_of),
    ARITH(MAX, max_of),      ARITH(SUM, add),
    ARITH(MEAN, add),        ARITH(PRELU, prelu),
    ARITH(MOD, fmod_of),     {OCT_OP_EQUAL, equal_f32, equal_f64, equal_s64, equal_u64, equal_bool},
    ARITH(GREATER, greater), ARITH(GREATER_OR_EQUAL, greater_equal),
    ARITH(LESS, less),       ARITH(LESS_OR_EQUAL, less_equal),
    LOGIC(AND, and),         LOGIC(OR, or),
    LOGIC(XOR, xor),
};

static const binary_row floor_mod_row = {OCT_OP_MOD,         floor_mod_loop_f32, floor_mod_loop_f64,
                                         floor_mod_loop_s64, floor_mod_loop_u64, NULL};

static const binary_row *find_row(const oct_op_desc *d)
{
    const oct_attr_mod *mod = d->op == OCT_OP_MOD ? d->attr : NULL;
    if (mod && !mod->fmod)
        return &floor_mod_row;
    for (size_t i = 0; i < sizeof binary_rows / sizeof binary_rows[0]; i++)
        if (binary_rows[i].op == d->op)
            return &binary_rows[i];
    return NULL;
}

/* ---- one job: two or more operands, one output ------------------------------------------- */

typedef union wide_block {
    float f32[OCT_REF_BLOCK];
    double f64[OCT_REF_BLOCK];
    int64_t s64[OCT_REF_BLOCK];
    uint8_t bool8[OCT_REF_BLOCK];
} wide_block;

typedef struct binary_operand {
    const char *data;
    oct_dtype dt;
    size_t elem_bytes;
    bool quantized;
    oct_qparams q;
} binary_operand;

typedef struct binary_job {
    binary_operand in[OCT_REF_LOOP_OPERANDS - 1];
    int n_in;
    binary_operand out; /* `data` is the output buffer */
    char *dst;
    oct_dtype wide; /* type of the inner loop's operands */
    binary_fn fn;
    bool in_place;   /* all operands are `wide` already */
    int64_t divisor; /* Mean: number of operands, applied by the last pass; else 0 */
} binary_job;

static void load_operand(const binary_job *j, wide_block *w, int k, int64_t offset, int64_t n,
                         int64_t step)
{
    const binary_operand *o = &j->in[k];
    const char *src = o->data + offset * (int64_t)o->elem_bytes;
    switch (j->wide) {
    case OCT_DT_F32:
        oct_ref_read_f32(w->f32, src, o->dt, n, step);
        if (o->quantized)
            for (int64_t i = 0; i < n; i++)
                w->f32[i] = o->q.scale * (w->f32[i] - (float)o->q.zero_point);
        break;
    case OCT_DT_F64:
        oct_ref_read_f64(w->f64, src, o->dt, n, step);
        break;
    case OCT_DT_BOOL:
        for (int64_t i = 0; i < n; i++)
            w->bool8[i] = (uint8_t)src[i * step];
        break;
    default:
        oct_ref_read_s64(w->s64, src, o->dt, n, step);
    }
}

/* oct_quantize() without branches or calls, so that it vectorises: within +-1000, which the clamp to
 * 8 bits cannot tell from anything beyond, adding and subtracting 1.5 * 2^23 rounds half to even. */
static void quantize_block(const binary_job *j, void *dst, int64_t step, const float *x, int64_t n)
{
    const bool is_signed = j->out.dt == OCT_DT_S8;
    const float lo = is_signed ? -128 : 0, hi = is_signed ? 127 : 255;
    const float scale = j->out.q.scale, zero = (float)j->out.q.zero_point, magic = 0x1.8p23f;
    int32_t q[OCT_REF_BLOCK];
    for (int64_t i = 0; i < n; i++) {
        float v = x[i] / scale;
        v = v > -1000 ? v : -1000; /* also NaN */
        v = v < 1000 ? v : 1000;
        v = ((v + magic) - magic) + zero;
        v = v > lo ? v : lo;
        q[i] = (int32_t)(v < hi ? v : hi);
    }
    uint8_t *y = dst;
    if (step == 1)
        for (int64_t i = 0; i < n; i++)
            y[i] = (uint8_t)q[i];
    else
        for (int64_t i = 0; i < n; i++)
            y[i * step] = (uint8_t)q[i];
}

static void store_result(const binary_job *j, const wide_block *w, int64_t offset, int64_t step,
                         int64_t n)
{
    char *dst = j->dst + offset * (int64_t)j->out.elem_bytes;
    if (j->out.quantized)
        quantize_block(j, dst, step, w->f32, n);
    else if (j->wide == OCT_DT_F32)
        oct_ref_write_f32(dst, j->out.dt, step, w->f32, n);
    else if (j->wide == OCT_DT_F64)
        oct_ref_write_f64(dst, j->out.dt, step, w->f64, n);
    else
        oct_ref_write_s64(dst, j->out.dt, step, w->s64, n);
}

static void divide_block(const binary_job *j, wide_block *w, int64_t n)
{
    if (j->wide == OCT_DT_F64)
        for (int64_t i = 0; i < n; i++)
            w->f64[i] /= (double)j->divisor;
    else
        for (int64_t i = 0; i < n; i++)
            w->f32[i] /= (float)j->divisor;
}

/* Comparisons and logic store bytes straight from the inner loop. */
static void block_to_bool(const binary_job *j, const int64_t *offset, const int64_t *step,
                          const wide_block *a, const wide_block *b, int64_t n)
{
    const int64_t dense[3] = {step[0], 1, 1};
    j->fn(j->dst + offset[0], a, b, n, dense);
}

static void staged_row(const binary_job *j, const int64_t *offset, const int64_t *step, int64_t n)
{
    static const int64_t dense[3] = {1, 1, 1};
    wide_block acc, next;
    for (int64_t i = 0; i < n; i += OCT_REF_BLOCK) {
        const int64_t m = n - i < OCT_REF_BLOCK ? n - i : OCT_REF_BLOCK;
        const int64_t to[1] = {offset[0] + i * step[0]};
        load_operand(j, &acc, 0, offset[1] + i * step[1], m, step[1]);
        for (int k = 1; k < j->n_in; k++) {
            load_operand(j, &next, k, offset[k + 1] + i * step[k + 1], m, step[k + 1]);
            if (j->out.dt == OCT_DT_BOOL)
                block_to_bool(j, to, step, &acc, &next, m);
            else
                j->fn(&acc, &acc, &next, m, dense);
        }
        if (j->out.dt == OCT_DT_BOOL)
            continue;
        if (j->divisor)
            divide_block(j, &acc, m);
        store_result(j, &acc, to[0], step[0], m);
    }
}

static void binary_job_row(void *user, const int64_t *offset, const int64_t *step, int64_t n)
{
    const binary_job *j = user;
    if (!j->in_place) {
        staged_row(j, offset, step, n);
        return;
    }
    const int64_t bytes = (int64_t)j->in[0].elem_bytes;
    j->fn(j->dst + offset[0] * (int64_t)j->out.elem_bytes, j->in[0].data + offset[1] * bytes,
          j->in[1].data + offset[2] * bytes, n, step);
}

static binary_operand operand_of(const oct_operand *o, const void *data)
{
    binary_operand b = {.data = data, .dt = o->desc.dtype};
    b.elem_bytes = oct_dtype_bytes(b.dt);
    b.quantized = o->quant.n == 1;
    if (b.quantized)
        b.q = o->quant.q[0];
    return b;
}

/* Pow's exponent may be of another type than its base, whose type the result has. */
static oct_dtype wide_type(const oct_op_desc *d)
{
    const oct_dtype dt = d->in[0].desc.dtype;
    if (d->in[0].quant.n > 0 || d->out[0].quant.n > 0)
        return OCT_DT_F32;
    if (dt == OCT_DT_F64 || dt == OCT_DT_U64 || dt == OCT_DT_BOOL)
        return dt;
    if (oct_dtype_is_float(dt))
        return OCT_DT_F32;
    return d->n_in > 1 && oct_dtype_is_float(d->in[1].desc.dtype) ? OCT_DT_F64 : OCT_DT_S64;
}

static binary_fn inner_loop(const binary_row *row, oct_dtype wide)
{
    switch (wide) {
    case OCT_DT_F32:
        return row->f32;
    case OCT_DT_F64:
        return row->f64;
    case OCT_DT_S64:
        return row->s64;
    case OCT_DT_U64:
        return row->u64;
    default:
        return row->bool8;
    }
}

/* Runs inputs [lo, hi), with the output's present content as the first operand if `more`. */
static void run_pass(const oct_op_desc *d, const oct_run_args *a, binary_job *j, int lo, int hi,
                     bool more)
{
    oct_ref_loop l;
    oct_ref_loop_init(&l, &d->out[0].desc.shape);
    oct_ref_loop_add(&l, &d->out[0].desc);
    j->n_in = 0;
    if (more) {
        j->in[j->n_in++] = j->out;
        oct_ref_loop_add(&l, &d->out[0].desc);
    }
    for (int k = lo; k < hi; k++) {
        j->in[j->n_in++] = operand_of(&d->in[k], a->in[k]);
        oct_ref_loop_add(&l, &d->in[k].desc);
    }
    j->in_place = j->n_in == 2 && !j->divisor && j->in[0].dt == j->wide && j->in[1].dt == j->wide &&
                  !j->out.quantized && (j->out.dt == j->wide || j->out.dt == OCT_DT_BOOL);
    oct_ref_loop_optimize(&l);
    oct_ref_loop_run(&l, d->threads, binary_job_row, j);
}

static void find_zero(void *user, const int64_t *offset, const int64_t *step, int64_t n)
{
    binary_job *j = user;
    for (int64_t i = 0; i < n && !j->divisor; i++)
        if (oct_ref_get_s64(j->in[0].data, j->in[0].dt, offset[0] + i * step[0]) == 0)
            j->divisor = 1;
}

static bool divisor_has_zero(const oct_op_desc *d, const oct_run_args *a)
{
    binary_job j = {.in[0] = operand_of(&d->in[1], a->in[1])};
    oct_ref_loop l;
    oct_ref_loop_init(&l, &d->in[1].desc.shape);
    oct_ref_loop_add(&l, &d->in[1].desc);
    oct_ref_loop_optimize(&l);
    oct_ref_loop_run(&l, 1, find_zero, &j);
    return j.divisor != 0;
}

static oct_status run_binary(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    const int per_pass = OCT_REF_LOOP_OPERANDS - 1;
    const char *name = oct_op_name(d->op);
    binary_job j = {.out = operand_of(&d->out[0], a->out[0]), .dst = a->out[0]};
    j.wide = wide_type(d);
    j.fn = inner_loop(find_row(d), j.wide);
    if (!j.fn)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "%s: inputs are %s, which it has no kernel for",
                        name, oct_dtype_str(d->in[0].desc.dtype));
    const bool divides = d->op == OCT_OP_DIV || d->op == OCT_OP_MOD;
    size_t n_out = 0;
    if (divides && !oct_dtype_is_float(j.wide) && oct_shape_elems(&d->out[0].desc.shape, &n_out) &&
        n_out > 0 && divisor_has_zero(d, a))
        return oct_fail(ctx, OCT_ERR_RANGE, "%s: input 1 (%s) holds a 0: integer division by zero",
                        name, oct_dtype_str(d->in[1].desc.dtype));
    for (int lo = 0; lo < d->n_in;) {
        const bool more = lo > 0;
        int hi = lo + per_pass - more;
        hi = hi < d->n_in ? hi : d->n_in;
        j.divisor = d->op == OCT_OP_MEAN && hi == d->n_in ? d->n_in : 0;
        run_pass(d, a, &j, lo, hi, more);
        lo = hi;
    }
    return OCT_OK;
}

void oct_ref_binary_accumulate(oct_op op, oct_dtype dt, void *y, const void *x, int64_t n)
{
    static const int64_t step[3] = {1, 1, 1};
    const oct_operand operand = {.desc = {.dtype = dt}};
    const oct_op_desc d = {.op = op, .in = &operand, .out = &operand, .n_in = 1, .n_out = 1};
    binary_job j = {.in = {operand_of(&operand, y), operand_of(&operand, x)}, .n_in = 2, .dst = y};
    j.out = j.in[0];
    j.wide = dt == OCT_DT_BOOL ? OCT_DT_S64 : wide_type(&d);
    j.fn = inner_loop(find_row(&d), j.wide);
    j.in_place = dt == j.wide;
    assert(j.fn);
    const int64_t offset[3] = {0, 0, 0};
    if (dt == OCT_DT_BOOL) { /* min is and, max is or; add and mul likewise */
        uint8_t *to = y;
        const uint8_t *from = x;
        const bool both = op == OCT_OP_MIN || op == OCT_OP_MUL;
        for (int64_t i = 0; i < n; i++)
            to[i] = both ? (to[i] && from[i]) : (to[i] || from[i]);
        return;
    }
    binary_job_row(&j, offset, step, n);
}

#define ENTRY(op)                                                      \
    {                                                                  \
        OCT_OP_##op, run_binary, NULL, oct_ref_accept_quantized, false \
    }
#define REAL(op)                                                     \
    {                                                                \
        OCT_OP_##op, run_binary, NULL, oct_ref_accept_strided, false \
    }

const oct_ref_entry oct_ref_binary[] = {
    ENTRY(ADD),    ENTRY(SUB),
    ENTRY(MUL),    ENTRY(DIV),
    ENTRY(MIN),    ENTRY(MAX),
    ENTRY(SUM),    ENTRY(MEAN),
    REAL(POW),     REAL(MOD),
    REAL(PRELU),   REAL(EQUAL),
    REAL(GREATER), REAL(GREATER_OR_EQUAL),
    REAL(LESS),    REAL(LESS_OR_EQUAL),
    REAL(AND),     REAL(OR),
    REAL(XOR),     {OCT_OP_COUNT, NULL, NULL, NULL, false},
};
