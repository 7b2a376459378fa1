/* SPDX-License-Identifier: Apache-2.0
 *
 * Number conversions that must agree everywhere: rounding half to even, float16 and
 * bfloat16, and the quantize / dequantize / requantize formulas of DESIGN 3. The only place
 * where rounding is decided. Files that include this are compiled with -ffp-contract=off.
 */
#ifndef OCT_BASE_NUMERIC_H
#define OCT_BASE_NUMERIC_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

static inline uint32_t oct_f32_bits(float v)
{
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}

static inline float oct_f32_from_bits(uint32_t u)
{
    float v;
    memcpy(&v, &u, sizeof v);
    return v;
}

/* Round half to even in the default rounding mode. */
static inline float oct_rne_f32(float v)
{
    return rintf(v);
}

/* IEEE binary16 <-> f32, half to even, NaN stays NaN, overflow to infinity. */
uint16_t oct_f16_from_f32(float v);
float oct_f32_from_f16(uint16_t h);
/* bfloat16 <-> f32, half to even, NaN stays NaN. */
uint16_t oct_bf16_from_f32(float v);
static inline float oct_f32_from_bf16(uint16_t h)
{
    return oct_f32_from_bits((uint32_t)h << 16);
}

/* clamp(rne(x / scale) + zero_point) into [lo, hi]; a true division; NaN gives lo.
 * DESIGN 3, ONNX QuantizeLinear. */
static inline int32_t oct_quantize(float x, oct_qparams q, int32_t lo, int32_t hi)
{
    const float v = oct_rne_f32(x / q.scale) + (float)q.zero_point;
    if (!(v > (float)lo)) /* also NaN */
        return lo;
    return v < (float)hi ? (int32_t)v : hi;
}

static inline float oct_dequantize(int32_t v, oct_qparams q)
{
    return q.scale * (float)(v - q.zero_point);
}

/* clamp(rne(fmaf((float)acc, m, b)) + zero_point) into [lo, hi]; NaN gives lo. */
static inline int32_t oct_requantize(int32_t acc, float m, float b, int32_t zero_point, int32_t lo,
                                     int32_t hi)
{
    const float v = oct_rne_f32(fmaf((float)acc, m, b)) + (float)zero_point;
    if (!(v > (float)lo))
        return lo;
    return v < (float)hi ? (int32_t)v : hi;
}

/* Element `i` of a dense buffer of any numeric type, as double / s64 (floats truncate). */
double oct_elem_f64(const void *data, oct_dtype dt, size_t i);
int64_t oct_elem_s64(const void *data, oct_dtype dt, size_t i);

#ifdef __cplusplus
}
#endif

#endif /* OCT_BASE_NUMERIC_H */
