/* SPDX-License-Identifier: Apache-2.0
 *
 * Element access of the reference kernels: one element of any numeric type as f32 or f64, and
 * odometers over shapes with strides. Plain and inlined; kernels whose inner loop matters
 * switch on the type outside of it.
 */
#ifndef OCT_KERNELS_REF_REF_ELEM_H
#define OCT_KERNELS_REF_REF_ELEM_H

#include "base/numeric.h"
#include "kernels/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Element `i` of a buffer of float type (f32, f16, bf16, f64) as f32. */
static inline float oct_ref_load_f32(const void *p, oct_dtype dt, int64_t i)
{
    switch (dt) {
    case OCT_DT_F32:
        return ((const float *)p)[i];
    case OCT_DT_F16:
        return oct_f32_from_f16(((const uint16_t *)p)[i]);
    case OCT_DT_BF16:
        return oct_f32_from_bf16(((const uint16_t *)p)[i]);
    default:
        return (float)oct_elem_f64(p, dt, (size_t)i);
    }
}

static inline void oct_ref_store_f32(void *p, oct_dtype dt, int64_t i, float v)
{
    switch (dt) {
    case OCT_DT_F32:
        ((float *)p)[i] = v;
        break;
    case OCT_DT_F16:
        ((uint16_t *)p)[i] = oct_f16_from_f32(v);
        break;
    case OCT_DT_BF16:
        ((uint16_t *)p)[i] = oct_bf16_from_f32(v);
        break;
    case OCT_DT_F64:
        ((double *)p)[i] = v;
        break;
    default:
        break;
    }
}

/* Element `i` of an s8 or u8 buffer. */
static inline int32_t oct_ref_load_q8(const void *p, oct_dtype dt, int64_t i)
{
    return dt == OCT_DT_S8 ? ((const int8_t *)p)[i] : ((const uint8_t *)p)[i];
}

static inline void oct_ref_store_q8(void *p, oct_dtype dt, int64_t i, int32_t v)
{
    if (dt == OCT_DT_S8)
        ((int8_t *)p)[i] = (int8_t)v;
    else
        ((uint8_t *)p)[i] = (uint8_t)v;
}

static inline bool oct_ref_is_q8(oct_dtype dt)
{
    return dt == OCT_DT_S8 || dt == OCT_DT_U8;
}

/* Range of an 8-bit type. */
static inline int32_t oct_ref_q8_min(oct_dtype dt)
{
    return dt == OCT_DT_S8 ? -128 : 0;
}

static inline int32_t oct_ref_q8_max(oct_dtype dt)
{
    return dt == OCT_DT_S8 ? 127 : 255;
}

/* Steps `index` to the next position of `shape` in logical row-major order; false after the
 * last one (index is then all zero again). */
static inline bool oct_ref_next(const oct_shape *shape, int64_t *index)
{
    for (int k = shape->n_dims - 1; k >= 0; k--) {
        if (++index[k] < shape->dim[k])
            return true;
        index[k] = 0;
    }
    return false;
}

/* Offset in elements of a logical position. */
static inline int64_t oct_ref_offset(const oct_tensor_desc *t, const int64_t *index)
{
    int64_t at = 0;
    for (int k = 0; k < t->shape.n_dims; k++)
        at += index[k] * t->stride[k];
    return at;
}

/* Strides with which a tensor is read as if expanded to `shape` (numpy broadcasting): 0 along
 * axes that it repeats. Its shape must broadcast to `shape`. */
static inline void oct_ref_broadcast_strides(const oct_tensor_desc *t, const oct_shape *shape,
                                             int64_t *stride)
{
    const int lead = shape->n_dims - t->shape.n_dims;
    for (int k = 0; k < shape->n_dims; k++)
        stride[k] = k < lead || t->shape.dim[k - lead] == 1 ? 0 : t->stride[k - lead];
}

/* Product of dims [lo, hi). */
static inline int64_t oct_ref_product(const oct_shape *s, int lo, int hi)
{
    int64_t n = 1;
    for (int k = lo; k < hi; k++)
        n *= s->dim[k];
    return n;
}

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_REF_REF_ELEM_H */
