/* SPDX-License-Identifier: Apache-2.0
 *
 * Bias correction: with inputs that are constant on each channel, the mean output of the layer with
 * rounded weights and corrected bias is that of the float layer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/numeric.h"
#include "quant/bias_correct.h"
#include "quant/insert.h"
#include "tests/support/graph_build.h"

enum { MOST = 16 };
static const double means[MOST] = {3, -1, 0.5, 2, -4, 1, 0.25, 8, -2, 5, 1.5, -0.5, 7, 3, -6, 1};

typedef struct fixture {
    oct_ctx *ctx;
    oct_graph *g;
    oct_placement *p;
    size_t n_means; /* channels of "x" */
    bool last;
} fixture;

static int set_up(void **state)
{
    fixture *f = test_calloc(1, sizeof *f);
    assert_int_equal(oct_ctx_new(NULL, &f->ctx), OCT_OK);
    assert_int_equal(oct_graph_new(f->ctx, &f->g), OCT_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    oct_placement_free(f->ctx, f->p);
    oct_graph_free(f->g);
    oct_ctx_free(f->ctx);
    test_free(f);
    return 0;
}

static bool amax_one(void *user, const char *name, float *amax)
{
    *amax = 1.27f;
    return true;
}

static bool find_mean(void *user, const char *name, bool last, const double **mean, size_t *n)
{
    const fixture *f = user;
    *mean = means;
    *n = f->n_means;
    return strcmp(name, "x") == 0 && last == f->last;
}

/* Places and corrects; per-tensor weights round hardest. */
static void correct(fixture *f, oct_quant_target target)
{
    const oct_amax_source amax = {NULL, amax_one};
    const oct_mean_source source = {f, find_mean};
    const oct_scheme s = {.target = target, .per_tensor_weights = true, .means = &source};
    assert_int_equal(oct_graph_sort(f->g, f->ctx), OCT_OK);
    assert_int_equal(oct_placement_new(f->ctx, f->g, &amax, &s, &f->p), OCT_OK);
    if (oct_bias_correct(f->ctx, f->g, f->p, &s) != OCT_OK)
        fail_msg("%s", oct_error_text(f->ctx));
}

/* wq - w of element `at` of the weight called `name`. */
static double error_at(const fixture *f, const char *name, size_t at)
{
    for (uint32_t i = 0; i < f->p->n_points; i++) {
        const oct_point *pt = &f->p->point[i];
        const oct_value *w = oct_graph_value(f->g, pt->value);
        const void *q;
        if (pt->kind != OCT_POINT_WEIGHT || strcmp(w->name, name) != 0)
            continue;
        assert_int_equal(pt->quant.n, 1);
        assert_int_equal(oct_quant_constant(f->ctx, f->g, f->p, pt, &q), OCT_OK);
        return ((const int8_t *)q)[at] * (double)pt->quant.q[0].scale -
               (double)((const float *)w->data)[at];
    }
    fail_msg("'%s' is no weight point", name);
    return 0;
}

/* What was taken from element `o` of the bias. */
static double taken(const fixture *f, const char *node, uint32_t in, const char *before, size_t o)
{
    const oct_node *n = gb_find(f->g, node);
    assert_true(n->n_in > in);
    const oct_value *after = oct_graph_value(f->g, n->in[in]);
    double b = 0;
    if (before != NULL)
        b = (double)((const float *)oct_graph_value(f->g, oct_graph_find_value(f->g, before))
                         ->data)[o];
    return b - (double)((const float *)after->data)[o];
}

static void assert_near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-5 * (fabs(want) + 1)))
        fail_msg("%.9g instead of %.9g", got, want);
}

/* Mean over the output positions of a 3x3 convolution of stride 2 over 5x4 with the weights' errors, by its
 * definition. */
static double conv_shift(const fixture *f, int64_t groups, int64_t ins, int64_t outs, int64_t o)
{
    double sum = 0;
    const int64_t grp = o / (outs / groups), each = ins / groups;
    for (int64_t y = 0; y < 3; y++)
        for (int64_t x = 0; x < 2; x++)
            for (int64_t i = 0; i < each; i++)
                for (int64_t k = 0; k < 9; k++) {
                    const int64_t at_y = 2 * y - 1 + k / 3, at_x = 2 * x - 1 + k % 3;
                    if (at_y >= 0 && at_y < 5 && at_x >= 0 && at_x < 4)
                        sum += error_at(f, "w", (size_t)((o * each + i) * 9 + k)) *
                               means[grp * each + i];
                }
    return sum / 6;
}

static void build_conv(fixture *f, int64_t groups, const char *bias)
{
    const oct_attr_window a = {
        .n_pad = 4, .pad = {1, 1, 1, 1}, .n_stride = 2, .stride = {2, 2}, .group = groups};
    const oct_value_id x = gb_input(f->g, f->ctx, "x", GB_DIMS(1, 8, 5, 4));
    const oct_value_id w = gb_weight(f->g, f->ctx, "w", GB_DIMS(8, 8 / groups, 3, 3));
    const oct_value_id b =
        bias != NULL ? gb_weight(f->g, f->ctx, bias, GB_DIMS(8)) : (oct_value_id)OCT_NONE;
    gb_output(f->g, f->ctx,
              gb_node(f->g, f->ctx, OCT_OP_CONV, "conv", &a, GB_DIMS(1, 8, 3, 2), GB_IN(x, w, b)));
    f->n_means = 8;
}

static void a_convolution_keeps_its_mean_in_spite_of_padding(void **state)
{
    fixture *f = *state;
    build_conv(f, 1, "b");
    correct(f, OCT_TARGET_OCTET);
    assert_int_equal(f->p->n_biases, 1);
    double most = 0;
    for (int64_t o = 0; o < 8; o++) {
        const double want = conv_shift(f, 1, 8, 8, o);
        assert_near(taken(f, "conv", 2, "b", (size_t)o), want);
        most = fmax(most, fabs(want));
    }
    assert_true(most > 1e-3);
}

static void a_depthwise_convolution_without_a_bias_gets_one(void **state)
{
    fixture *f = *state;
    build_conv(f, 8, NULL);
    correct(f, OCT_TARGET_TRT);
    assert_int_equal(f->p->n_biases, 1);
    assert_int_equal(f->p->bias[0].before, OCT_NONE);
    for (int64_t o = 0; o < 8; o++)
        assert_near(taken(f, "conv", 2, NULL, (size_t)o), conv_shift(f, 8, 8, 8, o));
}

static void onnx_runtime_gets_no_new_bias_but_a_corrected_one(void **state)
{
    fixture *f = *state;
    build_conv(f, 1, NULL);
    correct(f, OCT_TARGET_ORT);
    assert_int_equal(f->p->n_biases, 0);
}

static void the_quantized_bias_is_the_corrected_one(void **state)
{
    fixture *f = *state;
    build_conv(f, 1, "b");
    const oct_amax_source amax = {NULL, amax_one};
    const oct_mean_source source = {f, find_mean};
    const oct_scheme s = {.target = OCT_TARGET_ORT, .means = &source};
    assert_int_equal(oct_placement_new(f->ctx, f->g, &amax, &s, &f->p), OCT_OK);
    assert_int_equal(oct_bias_correct(f->ctx, f->g, f->p, &s), OCT_OK);
    assert_int_equal(f->p->n_biases, 1);
    size_t n = 0;
    for (uint32_t i = 0; i < f->p->n_points; i++) {
        const oct_point *pt = &f->p->point[i];
        const void *bytes;
        if (pt->kind != OCT_POINT_BIAS)
            continue;
        n++;
        assert_int_equal(pt->value, f->p->bias[0].after);
        assert_int_equal(oct_quant_constant(f->ctx, f->g, f->p, pt, &bytes), OCT_OK);
        const float *b = oct_graph_value(f->g, pt->value)->data;
        for (int o = 0; o < 8; o++)
            assert_true(fabs(((const int32_t *)bytes)[o] * (double)pt->quant.q[o].scale -
                             (double)b[o]) <= 0.501 * (double)pt->quant.q[o].scale);
    }
    assert_int_equal(n, 1);
}

static void gemm_honours_alpha_beta_and_transposition(void **state)
{
    fixture *f = *state;
    const oct_attr_gemm a = {.alpha = 0.5f, .beta = 2.0f, .trans_b = true};
    const oct_value_id x = gb_input(f->g, f->ctx, "x", GB_DIMS(1, 16));
    const oct_value_id w = gb_weight(f->g, f->ctx, "w", GB_DIMS(5, 16));
    const oct_value_id b = gb_weight(f->g, f->ctx, "b", GB_DIMS(5));
    gb_output(f->g, f->ctx,
              gb_node(f->g, f->ctx, OCT_OP_GEMM, "gemm", &a, GB_DIMS(1, 5), GB_IN(x, w, b)));
    f->n_means = 16;
    f->last = true;
    correct(f, OCT_TARGET_OCTET);
    assert_int_equal(f->p->n_biases, 1);
    for (size_t o = 0; o < 5; o++) {
        double sum = 0;
        for (size_t i = 0; i < 16; i++)
            sum += error_at(f, "w", o * 16 + i) * means[i];
        assert_near(2.0 * taken(f, "gemm", 2, "b", o), 0.5 * sum);
    }
}

static void build_matmul(fixture *f, bool with_add)
{
    const oct_value_id x = gb_input(f->g, f->ctx, "x", GB_DIMS(1, 3, 16));
    const oct_value_id w = gb_weight(f->g, f->ctx, "w", GB_DIMS(16, 5));
    oct_value_id y =
        gb_node(f->g, f->ctx, OCT_OP_MATMUL, "matmul", NULL, GB_DIMS(1, 3, 5), GB_IN(x, w));
    if (with_add)
        y = gb_node(f->g, f->ctx, OCT_OP_ADD, "add", NULL, GB_DIMS(1, 3, 5),
                    GB_IN(gb_weight(f->g, f->ctx, "b", GB_DIMS(5)), y));
    gb_output(f->g, f->ctx, y);
    f->n_means = 16;
    f->last = true;
}

static void the_add_behind_a_matmul_is_its_bias(void **state)
{
    fixture *f = *state;
    build_matmul(f, true);
    correct(f, OCT_TARGET_OCTET);
    assert_int_equal(f->p->n_biases, 1);
    for (size_t o = 0; o < 5; o++) {
        double sum = 0;
        for (size_t i = 0; i < 16; i++)
            sum += error_at(f, "w", i * 5 + o) * means[i];
        assert_near(taken(f, "add", 0, "b", o), sum);
    }
}

static void a_matmul_without_an_add_stays_as_it_is(void **state)
{
    fixture *f = *state;
    build_matmul(f, false);
    correct(f, OCT_TARGET_OCTET);
    assert_int_equal(f->p->n_biases, 0);
}

static void a_transposed_convolution_meets_a_share_of_its_taps(void **state)
{
    fixture *f = *state;
    const oct_attr_window a = {.n_stride = 2, .stride = {2, 2}, .group = 2};
    const oct_value_id x = gb_input(f->g, f->ctx, "x", GB_DIMS(1, 8, 5, 5));
    const oct_value_id w = gb_weight(f->g, f->ctx, "w", GB_DIMS(8, 3, 2, 2));
    const oct_value_id b = gb_weight(f->g, f->ctx, "b", GB_DIMS(6));
    gb_output(f->g, f->ctx,
              gb_node(f->g, f->ctx, OCT_OP_CONV_TRANSPOSE, "up", &a, GB_DIMS(1, 6, 10, 10),
                      GB_IN(x, w, b)));
    f->n_means = 8;
    correct(f, OCT_TARGET_OCTET);
    assert_int_equal(f->p->n_biases, 1);
    for (size_t o = 0; o < 6; o++) {
        double sum = 0;
        for (size_t i = 0; i < 4; i++)
            for (size_t k = 0; k < 4; k++)
                sum +=
                    error_at(f, "w", ((o / 3 * 4 + i) * 3 + o % 3) * 4 + k) * means[o / 3 * 4 + i];
        assert_near(taken(f, "up", 2, "b", o), sum / 4); /* 2x2 taps, stride 2: one each */
    }
}

static void without_means_nothing_changes(void **state)
{
    fixture *f = *state;
    build_conv(f, 1, "b");
    f->n_means = 7; /* of another number of channels */
    correct(f, OCT_TARGET_OCTET);
    assert_int_equal(f->p->n_biases, 0);
    assert_string_equal(oct_graph_value(f->g, gb_find(f->g, "conv")->in[2])->name, "b");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_convolution_keeps_its_mean_in_spite_of_padding),
        TEST(a_depthwise_convolution_without_a_bias_gets_one),
        TEST(onnx_runtime_gets_no_new_bias_but_a_corrected_one),
        TEST(the_quantized_bias_is_the_corrected_one),
        TEST(gemm_honours_alpha_beta_and_transposition),
        TEST(the_add_behind_a_matmul_is_its_bias),
        TEST(a_matmul_without_an_add_stays_as_it_is),
        TEST(a_transposed_convolution_meets_a_share_of_its_taps),
        TEST(without_means_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
