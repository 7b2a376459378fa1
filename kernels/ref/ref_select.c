/* SPDX-License-Identifier: Apache-2.0
 *
 * Where and Clip: choices between elements. Where copies by element size; Clip with the lower
 * bound above the upper one gives the upper one, and keeps NaN (ONNX: min(max(x, lo), hi)).
 */
#include <string.h>

#include "kernels/ref/ref_accept.h"
#include "kernels/ref/ref_cast.h"
#include "kernels/ref/ref_loop.h"

typedef struct where_job {
    char *dst;
    const uint8_t *cond;
    const char *yes, *no;
    size_t elem_bytes;
} where_job;

#define WHERE_LOOP(T)                                                                        \
    static void where_##T(const where_job *j, const int64_t *o, const int64_t *s, int64_t n) \
    {                                                                                        \
        T *y = (T *)j->dst + o[0];                                                           \
        const uint8_t *c = j->cond + o[1];                                                   \
        const T *a = (const T *)j->yes + o[2], *b = (const T *)j->no + o[3];                 \
        for (int64_t i = 0; i < n; i++)                                                      \
            y[i * s[0]] = c[i * s[1]] ? a[i * s[2]] : b[i * s[3]];                           \
    }
WHERE_LOOP(uint8_t)
WHERE_LOOP(uint16_t)
WHERE_LOOP(uint32_t)
WHERE_LOOP(uint64_t)

static void where_row(void *user, const int64_t *offset, const int64_t *step, int64_t n)
{
    const where_job *j = user;
    switch (j->elem_bytes) {
    case 1:
        where_uint8_t(j, offset, step, n);
        break;
    case 2:
        where_uint16_t(j, offset, step, n);
        break;
    case 4:
        where_uint32_t(j, offset, step, n);
        break;
    default:
        where_uint64_t(j, offset, step, n);
    }
}

static oct_status run_where(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    where_job j = {a->out[0], a->in[0], a->in[1], a->in[2], oct_dtype_bytes(d->out[0].desc.dtype)};
    oct_ref_loop l;
    oct_ref_loop_init(&l, &d->out[0].desc.shape);
    oct_ref_loop_add(&l, &d->out[0].desc);
    for (int i = 0; i < 3; i++)
        oct_ref_loop_add(&l, &d->in[i].desc);
    oct_ref_loop_optimize(&l);
    oct_ref_loop_run(&l, d->threads, where_row, &j);
    return OCT_OK;
}

typedef struct clip_job {
    char *dst;
    const char *src;
    oct_dtype dt;
    double lo_f64, hi_f64;
    float lo_f32, hi_f32;
    int64_t lo_s64, hi_s64;
    bool has_lo, has_hi;
} clip_job;

#define CLIP_LOOP(name, T, lo, hi)                                   \
    static void name(const clip_job *j, T *y, const T *x, int64_t n) \
    {                                                                \
        const bool has_lo = j->has_lo, has_hi = j->has_hi;           \
        const T low = (T)j->lo, high = (T)j->hi;                     \
        for (int64_t i = 0; i < n; i++) {                            \
            T v = x[i];                                              \
            v = has_lo && v < low ? low : v;                         \
            y[i] = has_hi && v > high ? high : v;                    \
        }                                                            \
    }
CLIP_LOOP(clip_f32, float, lo_f32, hi_f32)
CLIP_LOOP(clip_f64, double, lo_f64, hi_f64)
CLIP_LOOP(clip_s64, int64_t, lo_s64, hi_s64)
CLIP_LOOP(clip_u64, uint64_t, lo_s64, hi_s64)

static void clip_block(const clip_job *j, char *dst, int64_t dst_step, const char *src,
                       int64_t src_step, int64_t n)
{
    union {
        float f32[OCT_REF_BLOCK];
        double f64[OCT_REF_BLOCK];
        int64_t s64[OCT_REF_BLOCK];
        uint64_t u64[OCT_REF_BLOCK];
    } b;
    if (j->dt == OCT_DT_F64) {
        oct_ref_read_f64(b.f64, src, j->dt, n, src_step);
        clip_f64(j, b.f64, b.f64, n);
        oct_ref_write_f64(dst, j->dt, dst_step, b.f64, n);
    } else if (oct_dtype_is_float(j->dt)) {
        oct_ref_read_f32(b.f32, src, j->dt, n, src_step);
        clip_f32(j, b.f32, b.f32, n);
        oct_ref_write_f32(dst, j->dt, dst_step, b.f32, n);
    } else {
        oct_ref_read_s64(b.s64, src, j->dt, n, src_step);
        if (j->dt == OCT_DT_U64)
            clip_u64(j, b.u64, b.u64, n);
        else
            clip_s64(j, b.s64, b.s64, n);
        oct_ref_write_s64(dst, j->dt, dst_step, b.s64, n);
    }
}

static void clip_row(void *user, const int64_t *offset, const int64_t *step, int64_t n)
{
    const clip_job *j = user;
    const int64_t bytes = (int64_t)oct_dtype_bytes(j->dt);
    char *y = j->dst + offset[0] * bytes;
    const char *x = j->src + offset[1] * bytes;
    if (j->dt == OCT_DT_F32 && step[0] == 1 && step[1] == 1) {
        clip_f32(j, (float *)y, (const float *)x, n);
        return;
    }
    for (int64_t i = 0; i < n; i += OCT_REF_BLOCK) {
        const int64_t m = n - i < OCT_REF_BLOCK ? n - i : OCT_REF_BLOCK;
        clip_block(j, y + i * step[0] * bytes, step[0], x + i * step[1] * bytes, step[1], m);
    }
}

static bool bound(const oct_op_desc *d, const oct_run_args *a, int i, float *f32, double *f64,
                  int64_t *s64)
{
    if (i >= d->n_in || d->in[i].desc.dtype == OCT_DT_NONE || !a->in[i])
        return false;
    oct_ref_read_f32(f32, a->in[i], d->in[i].desc.dtype, 1, 1);
    oct_ref_read_f64(f64, a->in[i], d->in[i].desc.dtype, 1, 1);
    oct_ref_read_s64(s64, a->in[i], d->in[i].desc.dtype, 1, 1);
    return true;
}

static oct_status run_clip(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    clip_job j = {.dst = a->out[0], .src = a->in[0], .dt = d->in[0].desc.dtype};
    j.has_lo = bound(d, a, 1, &j.lo_f32, &j.lo_f64, &j.lo_s64);
    j.has_hi = bound(d, a, 2, &j.hi_f32, &j.hi_f64, &j.hi_s64);
    oct_ref_loop l;
    oct_ref_loop_init(&l, &d->out[0].desc.shape);
    oct_ref_loop_add(&l, &d->out[0].desc);
    oct_ref_loop_add(&l, &d->in[0].desc);
    oct_ref_loop_optimize(&l);
    oct_ref_loop_run(&l, d->threads, clip_row, &j);
    return OCT_OK;
}

/* Clip's bounds are plain numbers, so quantized data cannot be clipped by them here. */
const oct_ref_entry oct_ref_select[] = {
    {OCT_OP_WHERE, run_where, NULL, oct_ref_accept_strided, false},
    {OCT_OP_CLIP, run_clip, NULL, oct_ref_accept_strided, false},
    {OCT_OP_COUNT, NULL, NULL, NULL, false},
};
