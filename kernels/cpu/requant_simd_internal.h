/* SPDX-License-Identifier: Apache-2.0
 *
 * kernels/requant.h on vectors: the same operations in the same order, so the same bits.
 */
#ifndef OCT_KERNELS_CPU_REQUANT_SIMD_INTERNAL_H
#define OCT_KERNELS_CPU_REQUANT_SIMD_INTERNAL_H

#include "kernels/cpu/gemm_q8.h"
#include "kernels/cpu/vmath_internal.h"

/* A fused multiply-add also where vf_fma() is not one. */
SIMD_INLINE vf vf_fma_exact(vf a, vf b, vf c)
{
#if VW == 1
    return fmaf(a, b, c);
#else
    return vf_fma(a, b, c);
#endif
}

static vf act_vector(oct_act act, float pa, float pb, vf x)
{
    const vf a = vf_set(pa), b = vf_set(pb);
    switch (act) {
    case OCT_ACT_RELU:
        return vf_relu(x);
    case OCT_ACT_CLIP:
        return vf_clip(x, a, b);
    case OCT_ACT_LEAKY_RELU:
        return vf_leaky_relu(x, a);
    case OCT_ACT_SIGMOID:
        return vf_sigmoid(x);
    case OCT_ACT_TANH:
        return vf_tanh(x);
    case OCT_ACT_ELU:
        return vf_elu(x, a);
    case OCT_ACT_HARD_SIGMOID:
        return vf_hard_sigmoid(x, a, b);
    case OCT_ACT_HARD_SWISH:
        return vf_hard_swish(x);
    case OCT_ACT_SWISH:
        return vf_mul(x, vf_sigmoid(vf_mul(x, a)));
    case OCT_ACT_GELU:
        return vf_gelu(x);
    case OCT_ACT_GELU_TANH:
        return vf_gelu_tanh(x);
    case OCT_ACT_MISH:
        return vf_mish(x);
    case OCT_ACT_SOFTPLUS:
        return vf_softplus(x);
    default:
        return x;
    }
}

SIMD_INLINE vf load_as_f32(oct_dtype dt, const char *p, size_t at, size_t n)
{
    if (dt == OCT_DT_S8)
        return vi_to_f32(vi_load_s8(p + at, n));
    if (dt == OCT_DT_U8)
        return vi_to_f32(vi_load_u8(p + at, n));
    return vf_load_n((const float *)(const void *)p + at, n);
}

/* clamp(rne(v) + z) into [lo, hi], NaN to lo, as low bytes. */
SIMD_INLINE vi round_to_bytes(const oct_requant *rq, vf v)
{
    vf q = vf_add(vf_rne(v), vf_set((float)rq->out.zero_point));
    q = vf_max2(q, vf_set((float)rq->lo)); /* the second when unordered */
    return vf_to_s32(vf_min2(q, vf_set((float)rq->hi)));
}

SIMD_INLINE void store_output(const oct_q8_out *o, char *row, size_t c, size_t n, vi sum,
                              vf residual, int has_residual)
{
    if (o->dtype == OCT_DT_S32) {
        vi_store_n((int32_t *)(void *)row + c, n, sum);
        return;
    }
    vf v = vf_fma_exact(vi_to_f32(sum), vf_load_n(o->m + c, n), vf_load_n(o->b + c, n));
    if (has_residual)
        v = vf_fma_exact(vf_sub(residual, vf_set((float)o->rq.z_r)), vf_set(o->rq.r), v);
    if (o->rq.act != OCT_ACT_NONE)
        v = act_vector(o->rq.act, o->rq.a, o->rq.b, v);
    if (o->dtype == OCT_DT_F32) {
        vf_store_n((float *)(void *)row + c, n, v);
        return;
    }
    if (!o->rq.scaled)
        v = vf_div(v, vf_set(o->rq.out.scale));
    vi_store_8(row + c, n, round_to_bytes(&o->rq, v));
}

/* Sums of `n` channels from channel `c` of one pixel -> stored outputs. */
static void finish_sums(const oct_q8_finish *f, const oct_q8_place *p, size_t c, size_t n, vi sum)
{
    sum = vi_add(sum, vi_add(vi_load_n(f->comp + c, n), vi_set(p->fix)));
    const int has_residual = f->residual != OCT_DT_NONE;
    const vf residual = has_residual ? load_as_f32(f->residual, p->residual, c, n) : vf_zero();
    store_output(&f->out[0], p->out[0], c, n, sum, residual, has_residual);
    if (f->n_out == 2)
        store_output(&f->out[1], p->out[1], c, n, sum, residual, has_residual);
}

/* What all rows of a column share in the common case: one 8-bit output in the scaled form. Rounding
 * once, in the conversion, after a clamp to whole bounds gives what requant.h gives. */
typedef struct column {
    vi comp;
    vf m, b, r, z_r, lo, hi;
    vi zero;
} column;

SIMD_INLINE column column_of(const oct_q8_finish *f, size_t c, size_t n)
{
    const oct_q8_out *o = &f->out[0];
    const float zero = (float)o->rq.out.zero_point;
    const column k = {vi_load_n(f->comp + c, n),      vf_load_n(o->m + c, n),
                      vf_load_n(o->b + c, n),         vf_set(o->rq.r),
                      vf_set((float)o->rq.z_r),       vf_set((float)o->rq.lo - zero),
                      vf_set((float)o->rq.hi - zero), vi_set(o->rq.out.zero_point)};
    return k;
}

SIMD_INLINE void finish_plain(const column *k, oct_dtype residual, const oct_q8_place *p, size_t c,
                              size_t n, vi sum)
{
    sum = vi_add(sum, vi_add(k->comp, vi_set(p->fix)));
    vf v = vf_fma_exact(vi_to_f32(sum), k->m, k->b);
    if (residual != OCT_DT_NONE)
        v = vf_fma_exact(vf_sub(load_as_f32(residual, p->residual, c, n), k->z_r), k->r, v);
    v = vf_min2(vf_max2(v, k->lo), k->hi);
    vi_store_8(p->out[0] + c, n, vi_add(vf_to_s32(v), k->zero));
}

/* `rows` sums of `n` channels from channel `c`, `step` values apart. */
SIMD_INLINE void finish_column(const oct_q8_finish *f, const oct_q8_place *p, size_t rows, size_t c,
                               size_t n, const int32_t *sums, size_t step)
{
    const oct_q8_out *o = &f->out[0];
    if (f->n_out == 2 || !o->rq.scaled || o->rq.act != OCT_ACT_NONE || o->dtype == OCT_DT_S32) {
        for (size_t r = 0; r < rows; r++)
            finish_sums(f, &p[r], c, n, vi_load_n(sums + r * step, n));
        return;
    }
    const column k = column_of(f, c, n);
    if (f->residual == OCT_DT_NONE)
        for (size_t r = 0; r < rows; r++)
            finish_plain(&k, OCT_DT_NONE, &p[r], c, n, vi_load_n(sums + r * step, n));
    else
        for (size_t r = 0; r < rows; r++)
            finish_plain(&k, f->residual, &p[r], c, n, vi_load_n(sums + r * step, n));
}

#endif /* OCT_KERNELS_CPU_REQUANT_SIMD_INTERNAL_H */
