/* SPDX-License-Identifier: Apache-2.0
 *
 * libm's log and cos differ in the last bit between versions; the normal numbers here use
 * +, -, *, / and sqrt only, which IEEE 754 fixes, so they are the same everywhere.
 */
#include "base/rng.h"

#include <math.h>

/* ln(x) for x in (0, 1]: x = m * 2^e, ln m = 2 atanh((m - 1) / (m + 1)); error below 1e-15. */
static double ln_unit(double x)
{
    int e;
    double m = frexp(x, &e); /* [0.5, 1) */
    if (m < 0.70710678118654752) {
        m *= 2;
        e--;
    }
    const double t = (m - 1) / (m + 1), t2 = t * t; /* |t| <= 0.1716 */
    double sum = 0;
    for (int k = 19; k >= 1; k -= 2)
        sum = sum * t2 + 1.0 / k;
    return 2 * t * sum + e * 0.69314718055994531;
}

/* cos(2 pi u) for u in [0, 1): folded to an angle of at most pi/4, then Taylor. */
static double cos_turn(double u)
{
    const double v = u > 0.5 ? 1 - u : u; /* cos is even: [0, 0.5] */
    const double w = v > 0.25 ? 0.5 - v : v;
    const double sign = v > 0.25 ? -1 : 1;
    const int use_sin = w > 0.125; /* cos(2 pi w) = sin(2 pi (0.25 - w)) */
    const double a = 6.2831853071795865 * (use_sin ? 0.25 - w : w), a2 = a * a;
    double term = use_sin ? a : 1, sum = term;
    for (int k = use_sin ? 2 : 1; k < 18; k += 2) {
        term *= -a2 / (k * (k + 1.0));
        sum += term;
    }
    return sign * sum;
}

float oct_rng_normal(oct_rng *r)
{
    const double u = 1 - oct_rng_f64(r); /* (0, 1] */
    const double v = oct_rng_f64(r);
    return (float)(sqrt(-2 * ln_unit(u)) * cos_turn(v));
}

void oct_rng_fill_uniform(oct_rng *r, float *x, size_t n, float lo, float hi)
{
    for (size_t i = 0; i < n; i++)
        x[i] = lo + (hi - lo) * oct_rng_f32(r);
}

void oct_rng_fill_normal(oct_rng *r, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = oct_rng_normal(r);
}
