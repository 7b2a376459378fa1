/* SPDX-License-Identifier: Apache-2.0
 *
 * From accumulators to 8-bit results, as DESIGN 3 says.
 */
#include <math.h>

#include "base/rng.h"
#include "kernels/requant.h"
#include "tests/support/cmocka_all.h"

typedef struct sample {
    oct_qparams x, w[3], y, r;
    oct_operand in[4], out[2];
    oct_op_desc d;
} sample;

static oct_operand operand(oct_dtype dt, const oct_qparams *q, int n)
{
    return (oct_operand){.desc = {.dtype = dt}, .quant = {.q = q, .n = n}};
}

/* Conv with s8 operands, three channels, an output of type `out`. */
static void sample_init(sample *s, oct_dtype out)
{
    s->x = (oct_qparams){0.02f, 0};
    s->w[0] = (oct_qparams){0.5f, 0};
    s->w[1] = (oct_qparams){0.003f, 0};
    s->w[2] = (oct_qparams){1.0f, 0};
    s->y = (oct_qparams){0.07f, out == OCT_DT_U8 ? 128 : 0};
    s->r = (oct_qparams){0.01f, 3};
    s->in[0] = operand(OCT_DT_S8, &s->x, 1);
    s->in[1] = operand(OCT_DT_S8, s->w, 3);
    s->in[2] = operand(OCT_DT_F32, NULL, 0);
    s->in[3] = operand(OCT_DT_S8, &s->r, 1);
    s->out[0] = operand(out, out == OCT_DT_F32 ? NULL : &s->y, out != OCT_DT_F32);
    s->d = (oct_op_desc){.op = OCT_OP_CONV, .in = s->in, .out = s->out, .n_in = 4, .n_out = 1};
    s->d.epilogue = (oct_epilogue){.residual = -1};
}

static const float BIAS[3] = {1.5f, -20.0f, 0.01f};

static void factors_are_rounded_once(void **state)
{
    (void)state;
    sample s;
    float m[3], b[3];
    sample_init(&s, OCT_DT_S8);
    oct_requant_factors(&s.d, 0, BIAS, 3, m, b);
    for (int c = 0; c < 3; c++) {
        assert_true(m[c] == (float)((double)s.x.scale * s.w[c].scale / s.y.scale));
        assert_true(b[c] == (float)((double)BIAS[c] / s.y.scale));
    }
    sample_init(&s, OCT_DT_F32);
    oct_requant_factors(&s.d, 0, BIAS, 3, m, b);
    assert_true(m[1] == (float)((double)s.x.scale * s.w[1].scale) && b[1] == BIAS[1]);
}

/* Over random accumulators: result within half a step (plus f32 error) of the real value. */
static void check_against_real(oct_dtype dt, oct_epilogue e)
{
    sample s;
    float m[3], b[3];
    oct_rng rng;
    rng = (oct_rng){11};
    sample_init(&s, dt);
    s.d.epilogue = e;
    oct_requant_factors(&s.d, 0, BIAS, 3, m, b);
    const oct_requant rq = oct_requant_make(&s.d, 0);
    const int lo = dt == OCT_DT_S8 ? -128 : 0, hi = dt == OCT_DT_S8 ? 127 : 255;
    for (int i = 0; i < 20000; i++) {
        const int c = (int)oct_rng_below(&rng, 3);
        const int32_t acc = (int32_t)oct_rng_below(&rng, 200001) - 100000;
        const int res = (int)oct_rng_below(&rng, 256) - 128;
        double y = (double)acc * s.x.scale * s.w[c].scale + BIAS[c];
        if (e.residual >= 0)
            y += (double)s.r.scale * (res - s.r.zero_point);
        y = oct_act_apply(e.act, e.a, e.b, (float)y);
        const double want = fmin(fmax(y / s.y.scale + s.y.zero_point, lo), hi);
        const int got = oct_requant_round(
            &rq, oct_requant_value(&rq, acc, m[c], b[c], e.residual >= 0 ? (float)res : 0.0f));
        assert_true(fabs(got - want) <= 0.5 + 1e-4 * fabs(want) + 1e-3);
    }
}

static void results_are_the_nearest_step(void **state)
{
    (void)state;
    const oct_act acts[] = {OCT_ACT_NONE,       OCT_ACT_RELU,       OCT_ACT_CLIP,
                            OCT_ACT_LEAKY_RELU, OCT_ACT_HARD_SWISH, OCT_ACT_SIGMOID};
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        for (int residual = -1; residual <= 3; residual += 4) {
            const oct_epilogue e = {residual, acts[i], acts[i] == OCT_ACT_CLIP ? 0.0f : 0.1f, 6.0f};
            check_against_real(OCT_DT_S8, e);
            check_against_real(OCT_DT_U8, e);
        }
    }
}

static void relu_and_clip_in_the_bounds_equal_them_before_rounding(void **state)
{
    (void)state;
    sample s;
    sample_init(&s, OCT_DT_U8);
    const oct_epilogue e[] = {{-1, OCT_ACT_RELU, 0, 0}, {-1, OCT_ACT_CLIP, -1.03f, 2.51f}};
    const oct_requant plain = oct_requant_make(&s.d, 0);
    for (int i = 0; i < 2; i++) {
        s.d.epilogue = e[i];
        const oct_requant folded = oct_requant_make(&s.d, 0);
        for (float v = -300; v < 300; v += 0.037f) {
            const float clipped =
                oct_act_apply(e[i].act, e[i].a / s.y.scale, e[i].b / s.y.scale, v);
            assert_int_equal(oct_requant_round(&folded, v), oct_requant_round(&plain, clipped));
        }
    }
}

static void ties_go_to_even_and_nan_to_the_low_end(void **state)
{
    (void)state;
    sample s;
    sample_init(&s, OCT_DT_S8);
    const oct_requant rq = oct_requant_make(&s.d, 0);
    assert_int_equal(oct_requant_round(&rq, 0.5f), 0);
    assert_int_equal(oct_requant_round(&rq, 1.5f), 2);
    assert_int_equal(oct_requant_round(&rq, -2.5f), -2);
    assert_int_equal(oct_requant_round(&rq, 1e30f), 127);
    assert_int_equal(oct_requant_round(&rq, -INFINITY), -128);
    assert_int_equal(oct_requant_round(&rq, NAN), -128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_are_rounded_once),
        cmocka_unit_test(results_are_the_nearest_step),
        cmocka_unit_test(relu_and_clip_in_the_bounds_equal_them_before_rounding),
        cmocka_unit_test(ties_go_to_even_and_nan_to_the_low_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
