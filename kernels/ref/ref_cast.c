/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/ref/ref_cast.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/numeric.h"
#include "base/parallel.h"
#include "kernels/ref/ref_accept.h"
#include "kernels/ref/ref_loop.h"

/* Largest double below 2^63: above it, (int64_t) would be undefined. */
#define S64_LIMIT 9223372036854774784.0

static int64_t s64_from_f64(double v)
{
    if (!(v > -9223372036854775808.0)) /* also NaN */
        return v != v ? 0 : INT64_MIN;
    return v > S64_LIMIT ? INT64_MAX : (int64_t)v;
}

/* u64 targets keep values above 2^63 that an s64 could not carry. */
static uint64_t u64_from_f64(double v)
{
    if (v >= 9223372036854775808.0)
        return v >= 18446744073709551616.0 ? UINT64_MAX : (uint64_t)v;
    return (uint64_t)s64_from_f64(v);
}

/* f64 -> f32 rounded to odd, so that a second rounding to 16 bits is correct. */
static float f32_odd_from_f64(double v)
{
    const float f = (float)v;
    if ((double)f == v || f != f)
        return f;
    uint32_t bits = oct_f32_bits(f);
    if (((double)f > v) == (v > 0)) /* rounded away from zero: step back */
        bits--;
    return oct_f32_from_bits(bits | 1);
}

#define GET_PLAIN(x) (x)
#define GET_F16(x) oct_f32_from_f16(x)
#define GET_BF16(x) oct_f32_from_bf16(x)
#define GET_BOOL(x) ((x) != 0)

/* dtype, C type, element to number */
#define TYPES(X)                \
    X(F32, float, GET_PLAIN)    \
    X(F16, uint16_t, GET_F16)   \
    X(BF16, uint16_t, GET_BF16) \
    X(F64, double, GET_PLAIN)   \
    X(S8, int8_t, GET_PLAIN)    \
    X(U8, uint8_t, GET_PLAIN)   \
    X(S16, int16_t, GET_PLAIN)  \
    X(U16, uint16_t, GET_PLAIN) \
    X(S32, int32_t, GET_PLAIN)  \
    X(U32, uint32_t, GET_PLAIN) \
    X(S64, int64_t, GET_PLAIN)  \
    X(U64, uint64_t, GET_PLAIN) \
    X(BOOL, uint8_t, GET_BOOL)

typedef void (*load_fn)(void *dst, const void *src, int64_t n, int64_t step);

/* The unit-step loop stands alone so that compilers vectorise it. */
#define LOAD_FN(name, T, W, EXPR)                                         \
    static void name(void *dst, const void *src, int64_t n, int64_t step) \
    {                                                                     \
        W *y = dst;                                                       \
        const T *x = src;                                                 \
        if (step == 1) {                                                  \
            for (int64_t i = 0; i < n; i++)                               \
                y[i] = EXPR(x[i]);                                        \
        } else {                                                          \
            for (int64_t i = 0; i < n; i++)                               \
                y[i] = EXPR(x[i * step]);                                 \
        }                                                                 \
    }

#define LOAD_F32(dt, T, GET) LOAD_FN(load_f32_##dt, T, float, (float)GET)
#define LOAD_F64(dt, T, GET) LOAD_FN(load_f64_##dt, T, double, (double)GET)
TYPES(LOAD_F32)
TYPES(LOAD_F64)

#define TO_S64_INT(x) ((int64_t)(x))
#define TO_S64_FLT(x) s64_from_f64((double)(x))
#define TO_S64_F16(x) s64_from_f64((double)oct_f32_from_f16(x))
#define TO_S64_BF16(x) s64_from_f64((double)oct_f32_from_bf16(x))
LOAD_FN(load_s64_F32, float, int64_t, TO_S64_FLT)
LOAD_FN(load_s64_F16, uint16_t, int64_t, TO_S64_F16)
LOAD_FN(load_s64_BF16, uint16_t, int64_t, TO_S64_BF16)
LOAD_FN(load_s64_F64, double, int64_t, TO_S64_FLT)
LOAD_FN(load_s64_S8, int8_t, int64_t, TO_S64_INT)
LOAD_FN(load_s64_U8, uint8_t, int64_t, TO_S64_INT)
LOAD_FN(load_s64_S16, int16_t, int64_t, TO_S64_INT)
LOAD_FN(load_s64_U16, uint16_t, int64_t, TO_S64_INT)
LOAD_FN(load_s64_S32, int32_t, int64_t, TO_S64_INT)
LOAD_FN(load_s64_U32, uint32_t, int64_t, TO_S64_INT)
LOAD_FN(load_s64_S64, int64_t, int64_t, TO_S64_INT)
LOAD_FN(load_s64_U64, uint64_t, int64_t, TO_S64_INT)
LOAD_FN(load_s64_BOOL, uint8_t, int64_t, GET_BOOL)

typedef void (*store_fn)(void *dst, int64_t step, const void *src, int64_t n);

#define STORE_FN(name, T, W, EXPR)                                        \
    static void name(void *dst, int64_t step, const void *src, int64_t n) \
    {                                                                     \
        T *y = dst;                                                       \
        const W *x = src;                                                 \
        if (step == 1) {                                                  \
            for (int64_t i = 0; i < n; i++)                               \
                y[i] = (T)EXPR(x[i]);                                     \
        } else {                                                          \
            for (int64_t i = 0; i < n; i++)                               \
                y[i * step] = (T)EXPR(x[i]);                              \
        }                                                                 \
    }

#define F16_OF_F64(x) oct_f16_from_f32(f32_odd_from_f64(x))
#define BF16_OF_F64(x) oct_bf16_from_f32(f32_odd_from_f64(x))
#define S64_OF_FLT(x) s64_from_f64((double)(x))
#define U64_OF_FLT(x) u64_from_f64((double)(x))

#define STORES_OF(w, W, HALF, BHALF, INT, UINT64)   \
    STORE_FN(store_##w##_F32, float, W, GET_PLAIN)  \
    STORE_FN(store_##w##_F16, uint16_t, W, HALF)    \
    STORE_FN(store_##w##_BF16, uint16_t, W, BHALF)  \
    STORE_FN(store_##w##_F64, double, W, GET_PLAIN) \
    STORE_FN(store_##w##_S8, int8_t, W, INT)        \
    STORE_FN(store_##w##_U8, uint8_t, W, INT)       \
    STORE_FN(store_##w##_S16, int16_t, W, INT)      \
    STORE_FN(store_##w##_U16, uint16_t, W, INT)     \
    STORE_FN(store_##w##_S32, int32_t, W, INT)      \
    STORE_FN(store_##w##_U32, uint32_t, W, INT)     \
    STORE_FN(store_##w##_S64, int64_t, W, INT)      \
    STORE_FN(store_##w##_U64, uint64_t, W, UINT64)  \
    STORE_FN(store_##w##_BOOL, uint8_t, W, GET_BOOL)

STORES_OF(f32, float, oct_f16_from_f32, oct_bf16_from_f32, S64_OF_FLT, U64_OF_FLT)
STORES_OF(f64, double, F16_OF_F64, BF16_OF_F64, S64_OF_FLT, U64_OF_FLT)
STORES_OF(s64, int64_t, F16_OF_F64, BF16_OF_F64, GET_PLAIN, GET_PLAIN)

#define ROW(dt, T, GET)                                             \
    [OCT_DT_##dt] = {load_f32_##dt,  load_f64_##dt,  load_s64_##dt, \
                     store_f32_##dt, store_f64_##dt, store_s64_##dt},

static const struct {
    load_fn load_f32, load_f64, load_s64;
    store_fn store_f32, store_f64, store_s64;
} access_of[OCT_DT_COUNT] = {TYPES(ROW)};

void oct_ref_read_f32(float *dst, const void *src, oct_dtype dt, int64_t n, int64_t step)
{
    access_of[dt].load_f32(dst, src, n, step);
}

void oct_ref_read_f64(double *dst, const void *src, oct_dtype dt, int64_t n, int64_t step)
{
    access_of[dt].load_f64(dst, src, n, step);
}

void oct_ref_read_s64(int64_t *dst, const void *src, oct_dtype dt, int64_t n, int64_t step)
{
    access_of[dt].load_s64(dst, src, n, step);
}

void oct_ref_write_f32(void *dst, oct_dtype dt, int64_t step, const float *src, int64_t n)
{
    access_of[dt].store_f32(dst, step, src, n);
}

void oct_ref_write_f64(void *dst, oct_dtype dt, int64_t step, const double *src, int64_t n)
{
    access_of[dt].store_f64(dst, step, src, n);
}

void oct_ref_write_s64(void *dst, oct_dtype dt, int64_t step, const int64_t *src, int64_t n)
{
    access_of[dt].store_s64(dst, step, src, n);
}

int64_t oct_ref_get_s64(const void *data, oct_dtype dt, int64_t i)
{
    int64_t v;
    access_of[dt].load_s64(&v, (const char *)data + (size_t)i * oct_dtype_bytes(dt), 1, 1);
    return v;
}

/* The wide type that carries a value between `from` and `to` without loss. */
static oct_dtype carrier(oct_dtype to, oct_dtype from)
{
    if (from == OCT_DT_F64)
        return OCT_DT_F64;
    if (oct_dtype_is_float(from))
        return OCT_DT_F32;
    return from == OCT_DT_U64 && oct_dtype_is_float(to) ? OCT_DT_F64 : OCT_DT_S64;
}

static void cast_strided(char *dst, oct_dtype to, int64_t dst_step, const char *src, oct_dtype from,
                         int64_t src_step, int64_t n)
{
    union {
        float f32[OCT_REF_BLOCK];
        double f64[OCT_REF_BLOCK];
        int64_t s64[OCT_REF_BLOCK];
    } wide;
    const oct_dtype via = carrier(to, from);
    const load_fn load = via == OCT_DT_F32   ? access_of[from].load_f32
                         : via == OCT_DT_F64 ? access_of[from].load_f64
                                             : access_of[from].load_s64;
    const store_fn store = via == OCT_DT_F32   ? access_of[to].store_f32
                           : via == OCT_DT_F64 ? access_of[to].store_f64
                                               : access_of[to].store_s64;
    const int64_t dst_bytes = (int64_t)oct_dtype_bytes(to) * dst_step;
    const int64_t src_bytes = (int64_t)oct_dtype_bytes(from) * src_step;
    for (int64_t i = 0; i < n; i += OCT_REF_BLOCK) {
        const int64_t m = n - i < OCT_REF_BLOCK ? n - i : OCT_REF_BLOCK;
        load(&wide, src + i * src_bytes, m, src_step);
        store(dst + i * dst_bytes, dst_step, &wide, m);
    }
}

void oct_ref_cast_elems(void *dst, oct_dtype to, const void *src, oct_dtype from, int64_t n)
{
    if (to == from) {
        if (dst != src && n > 0)
            memcpy(dst, src, (size_t)n * oct_dtype_bytes(to));
        return;
    }
    cast_strided(dst, to, 1, src, from, 1, n);
}

/* ---- the operators ----------------------------------------------------------------------- */

typedef struct cast_job {
    char *dst;
    const char *src;
    oct_dtype to, from;
} cast_job;

static void cast_row(void *user, const int64_t *offset, const int64_t *step, int64_t n)
{
    const cast_job *j = user;
    cast_strided(j->dst + offset[0] * (int64_t)oct_dtype_bytes(j->to), j->to, step[0],
                 j->src + offset[1] * (int64_t)oct_dtype_bytes(j->from), j->from, step[1], n);
}

static oct_status run_cast(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    cast_job j = {a->out[0], a->in[0], d->out[0].desc.dtype, d->in[0].desc.dtype};
    oct_ref_loop l;
    oct_ref_loop_init(&l, &d->out[0].desc.shape);
    oct_ref_loop_add(&l, &d->out[0].desc);
    oct_ref_loop_add(&l, &d->in[0].desc);
    oct_ref_loop_optimize(&l);
    oct_ref_loop_run(&l, d->threads, cast_row, &j);
    return OCT_OK;
}

const oct_ref_entry oct_ref_cast[] = {
    {OCT_OP_CAST, run_cast, NULL, oct_ref_accept_strided, false},
    {OCT_OP_CAST_LIKE, run_cast, NULL, oct_ref_accept_strided, false},
    {OCT_OP_COUNT, NULL, NULL, NULL, false},
};
