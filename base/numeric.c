/* SPDX-License-Identifier: Apache-2.0 */
#include "base/numeric.h"

#include <assert.h>

/* v * 2^-shift rounded half to even, 0 < shift < 32. */
static uint32_t shift_right_rne(uint32_t v, unsigned shift)
{
    const uint32_t q = v >> shift, rest = v & ((UINT32_C(1) << shift) - 1);
    const uint32_t half = UINT32_C(1) << (shift - 1);
    return q + (rest > half || (rest == half && (q & 1)));
}

uint16_t oct_f16_from_f32(float v)
{
    const uint32_t bits = oct_f32_bits(v);
    const uint32_t sign = bits >> 16 & 0x8000, mag = bits & 0x7fffffff;
    if (mag > 0x7f800000) /* NaN: keep the top payload bits, make it quiet */
        return (uint16_t)(sign | 0x7e00 | (mag >> 13 & 0x3ff));
    if (mag >= 0x477ff000) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (mag >= 0x38800000) /* normal: rebias 127 -> 15; a carry moves into the exponent */
        return (uint16_t)(sign | shift_right_rne(mag - 0x38000000, 13));
    if (mag < 0x33000000) /* below half of the smallest subnormal, 2^-25 */
        return (uint16_t)sign;
    const unsigned exponent = mag >> 23; /* 102 .. 112 */
    return (uint16_t)(sign | shift_right_rne((mag & 0x7fffff) | 0x800000, 126 - exponent));
}

float oct_f32_from_f16(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    const uint32_t exponent = h >> 10 & 31, mantissa = h & 0x3ff;
    if (exponent == 0) { /* subnormal: mantissa * 2^-24, exact in f32 */
        const float v = (float)mantissa * 0x1p-24f;
        return sign ? -v : v;
    }
    if (exponent == 31)
        return oct_f32_from_bits(sign | 0x7f800000 | mantissa << 13);
    return oct_f32_from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

uint16_t oct_bf16_from_f32(float v)
{
    const uint32_t bits = oct_f32_bits(v);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

double oct_elem_f64(const void *data, oct_dtype dt, size_t i)
{
    switch (dt) {
    case OCT_DT_F32:
        return ((const float *)data)[i];
    case OCT_DT_F64:
        return ((const double *)data)[i];
    case OCT_DT_F16:
        return oct_f32_from_f16(((const uint16_t *)data)[i]);
    case OCT_DT_BF16:
        return oct_f32_from_bf16(((const uint16_t *)data)[i]);
    case OCT_DT_U64:
        return (double)((const uint64_t *)data)[i];
    default:
        return (double)oct_elem_s64(data, dt, i);
    }
}

/* Casting a float that does not fit is undefined in C: saturate, NaN gives 0. */
static int64_t s64_from_f64(double v)
{
    if (v != v)
        return 0;
    if (v >= 0x1p63)
        return INT64_MAX;
    return v < -0x1p63 ? INT64_MIN : (int64_t)v;
}

int64_t oct_elem_s64(const void *data, oct_dtype dt, size_t i)
{
    switch (dt) {
    case OCT_DT_S8:
        return ((const int8_t *)data)[i];
    case OCT_DT_U8:
        return ((const uint8_t *)data)[i];
    case OCT_DT_S16:
        return ((const int16_t *)data)[i];
    case OCT_DT_U16:
        return ((const uint16_t *)data)[i];
    case OCT_DT_S32:
        return ((const int32_t *)data)[i];
    case OCT_DT_U32:
        return ((const uint32_t *)data)[i];
    case OCT_DT_S64:
        return ((const int64_t *)data)[i];
    case OCT_DT_U64:
        return (int64_t)((const uint64_t *)data)[i];
    case OCT_DT_BOOL:
        return ((const uint8_t *)data)[i] != 0;
    case OCT_DT_F32:
    case OCT_DT_F64:
    case OCT_DT_F16:
    case OCT_DT_BF16:
        return s64_from_f64(oct_elem_f64(data, dt, i));
    case OCT_DT_NONE:
    case OCT_DT_COUNT:
        break;
    }
    assert(!"no such element type");
    return 0;
}
