/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/numeric.h"
#include "base/rng.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/op_case.h"

static oct_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    return oct_ctx_new(NULL, &ctx) != OCT_OK;
}

static int teardown(void **state)
{
    (void)state;
    oct_ctx_free(ctx);
    return 0;
}

static const oct_op OPS[] = {
    OCT_OP_REDUCE_SUM,     OCT_OP_REDUCE_MEAN,       OCT_OP_REDUCE_MAX, OCT_OP_REDUCE_MIN,
    OCT_OP_REDUCE_PROD,    OCT_OP_REDUCE_L1,         OCT_OP_REDUCE_L2,  OCT_OP_REDUCE_SUM_SQUARE,
    OCT_OP_REDUCE_LOG_SUM, OCT_OP_REDUCE_LOG_SUM_EXP};

/* The definition, over the gathered elements of one result. */
static double naive(oct_op op, const double *v, int n)
{
    double sum = 0, abs = 0, square = 0, prod = 1, max = -(double)INFINITY, min = INFINITY, e = 0;
    for (int i = 0; i < n; i++) {
        sum += v[i];
        abs += fabs(v[i]);
        square += v[i] * v[i];
        prod *= v[i];
        max = fmax(max, v[i]);
        min = fmin(min, v[i]);
        e += exp(v[i]);
    }
    switch (op) {
    case OCT_OP_REDUCE_SUM:
        return sum;
    case OCT_OP_REDUCE_MEAN:
        return sum / n;
    case OCT_OP_REDUCE_MAX:
        return max;
    case OCT_OP_REDUCE_MIN:
        return min;
    case OCT_OP_REDUCE_PROD:
        return prod;
    case OCT_OP_REDUCE_L1:
        return abs;
    case OCT_OP_REDUCE_L2:
        return sqrt(square);
    case OCT_OP_REDUCE_SUM_SQUARE:
        return square;
    case OCT_OP_REDUCE_LOG_SUM:
        return log(sum);
    default:
        return log(e);
    }
}

static void check(oct_op op, const float *x, const int64_t dim[3], unsigned mask, int threads)
{
    int64_t axes[3];
    int n_axes = 0;
    for (int i = 0; i < 3; i++)
        if (mask >> i & 1)
            axes[n_axes++] = i - (i & 1 ? 3 : 0);
    const oct_tensor in[2] = {op_tensor(OCT_DT_F32, x, dim, 3),
                              op_tensor(OCT_DT_S64, axes, (const int64_t[]){n_axes}, 1)};
    const oct_attr_reduce attr = {.keepdims = mask & 1, .noop_with_empty_axes = false};
    op_result r;
    assert_int_equal(op_run(ctx, op, &attr, in, 2, 1, &(op_options){.threads = threads}, &r),
                     OCT_OK);
    const unsigned m = mask ? mask : 7; /* no axes: all */
    int64_t kept[3], out = 0, at[3];
    for (int i = 0; i < 3; i++)
        kept[i] = m >> i & 1 ? 1 : dim[i];
    for (at[0] = 0; at[0] < kept[0]; at[0]++)
        for (at[1] = 0; at[1] < kept[1]; at[1]++)
            for (at[2] = 0; at[2] < kept[2]; at[2]++, out++) {
                static double v[20000];
                int n = 0;
                for (int64_t a = 0; a < (m & 1 ? dim[0] : 1); a++)
                    for (int64_t b = 0; b < (m & 2 ? dim[1] : 1); b++)
                        for (int64_t c = 0; c < (m & 4 ? dim[2] : 1); c++)
                            v[n++] = x[((at[0] + a) * dim[1] + at[1] + b) * dim[2] + at[2] + c];
                const double want = naive(op, v, n), got = ((float *)r.out[0].data)[out];
                if (!(got == want || fabs(got - want) <= 1e-6 * fabs(want) + 1e-30))
                    fail_msg("%s: result %d of mask %u differs", oct_op_name(op), (int)out, m);
            }
    op_result_free(ctx, &r);
}

static void every_reduction_over_every_set_of_axes(void **state)
{
    (void)state;
    static const int64_t dims[][3] = {{2, 3, 4}, {1, 1, 1}, {5, 7, 129}, {3, 70, 9}, {65, 2, 8}};
    static float x[20000];
    oct_rng rng = {13};
    oct_rng_fill_uniform(&rng, x, 20000, 0.5f, 1.5f);
    for (size_t k = 0; k < sizeof dims / sizeof dims[0]; k++)
        for (unsigned mask = 0; mask < 8; mask++)
            for (size_t i = 0; i < sizeof OPS / sizeof OPS[0]; i++)
                check(OPS[i], x, dims[k], mask, 1 + (int)(mask & 1));
}

static void an_empty_reduction_gives_the_neutral_element(void **state)
{
    (void)state;
    const float none[1] = {0},
                want[] = {0, NAN, -INFINITY, INFINITY, 1, 0, 0, 0, -INFINITY, -INFINITY};
    const int64_t axis[] = {0};
    const oct_tensor in[2] = {OP_TENSOR(F32, none, 0, 2), OP_TENSOR(S64, axis, 1)};
    for (size_t i = 0; i < sizeof OPS / sizeof OPS[0]; i++) {
        op_result r = op_run_ok(ctx, OPS[i], NULL, in, 2, 1);
        const float got = ((float *)r.out[0].data)[1];
        assert_true(got == want[i] || (isnan(got) && isnan(want[i])));
        op_result_free(ctx, &r);
    }
}

static void extremes_keep_nan_and_integers_stay_exact(void **state)
{
    (void)state;
    const float x[] = {1, NAN, 3, -INFINITY, 5, 6, 7, 8, 9, 10};
    const int64_t big[] = {INT64_MAX, INT64_MIN + 1, 1};
    const uint64_t huge[] = {UINT64_MAX, 1};
    const oct_tensor f[1] = {OP_TENSOR(F32, x, 10)}, s[1] = {OP_TENSOR(S64, big, 3)};
    const oct_tensor u[1] = {OP_TENSOR(U64, huge, 2)};
    op_result r = op_run_ok(ctx, OCT_OP_REDUCE_MAX, NULL, f, 1, 1);
    assert_true(isnan(*(float *)r.out[0].data));
    op_result_free(ctx, &r);
    r = op_run_ok(ctx, OCT_OP_REDUCE_SUM, NULL, s, 1, 1);
    assert_true(*(int64_t *)r.out[0].data == 1);
    op_result_free(ctx, &r);
    r = op_run_ok(ctx, OCT_OP_REDUCE_MAX, NULL, u, 1, 1);
    assert_true(*(uint64_t *)r.out[0].data == UINT64_MAX);
    op_result_free(ctx, &r);
}

static void log_sum_exp_does_not_overflow(void **state)
{
    (void)state;
    const float x[] = {1000, 1000, -INFINITY};
    const oct_tensor in[1] = {OP_TENSOR(F32, x, 3)};
    op_result r = op_run_ok(ctx, OCT_OP_REDUCE_LOG_SUM_EXP, NULL, in, 1, 1);
    assert_true(fabsf(*(float *)r.out[0].data - 1000.6931f) < 1e-3f);
    op_result_free(ctx, &r);
}

static void arg_max_breaks_ties_as_told(void **state)
{
    (void)state;
    const float x[] = {3, 1, 3, -0.0f, 0, 0, NAN, 9, NAN};
    const oct_tensor in[1] = {OP_TENSOR(F32, x, 3, 3)};
    oct_attr_axis attr = {.axis = 1, .keepdims = false};
    const int64_t first[] = {0, 0, 0}, last[] = {2, 2, 2}, columns[] = {2, 2, 2};
    op_result r = op_run_ok(ctx, OCT_OP_ARG_MAX, &attr, in, 1, 1);
    assert_memory_equal(r.out[0].data, first, sizeof first);
    op_result_free(ctx, &r);
    attr.select_last_index = true;
    r = op_run_ok(ctx, OCT_OP_ARG_MAX, &attr, in, 1, 1);
    assert_memory_equal(r.out[0].data, last, sizeof last);
    op_result_free(ctx, &r);
    attr.axis = 0; /* neighbours: the other code path */
    r = op_run_ok(ctx, OCT_OP_ARG_MAX, &attr, in, 1, 1);
    assert_memory_equal(r.out[0].data, columns, sizeof columns);
    op_result_free(ctx, &r);
}

static void top_k_sorts_and_breaks_ties_by_index(void **state)
{
    (void)state;
    enum { N = 700 };
    static float x[N];
    oct_rng rng = {17};
    for (int i = 0; i < N; i++)
        x[i] = (float)oct_rng_below(&rng, 50); /* many ties */
    const oct_tensor data = OP_TENSOR(F32, x, N);
    for (int64_t k = 0; k <= N; k += 100)
        for (int largest = 0; largest < 2; largest++) {
            const oct_attr_axis attr = {.axis = 0, .largest = largest, .sorted = true};
            const oct_tensor in[2] = {data, OP_TENSOR(S64, &k, 1)};
            op_result r = op_run_ok(ctx, OCT_OP_TOP_K, &attr, in, 2, 2);
            const float *v = r.out[0].data;
            const int64_t *at = r.out[1].data;
            int before = 0;
            for (int64_t i = 0; i < k; i++) {
                assert_true(x[at[i]] == v[i]);
                if (i > 0)
                    assert_true(v[i - 1] == v[i] ? at[i - 1] < at[i]
                                                 : (v[i - 1] > v[i]) == (largest != 0));
            }
            for (int i = 0; k > 0 && i < N; i++) /* nothing better was left out */
                before += largest ? x[i] > v[k - 1] : x[i] < v[k - 1];
            assert_true(before < k || k == 0);
            op_result_free(ctx, &r);
        }
}

static void cumulative_sums_have_four_forms(void **state)
{
    (void)state;
    const float x[] = {1, 2, 3};
    const int64_t axis[] = {0};
    const oct_tensor in[2] = {OP_TENSOR(F32, x, 3), OP_SCALAR(S64, axis)};
    static const float want[4][3] = {{1, 3, 6}, {0, 1, 3}, {6, 5, 3}, {5, 3, 0}};
    for (int i = 0; i < 4; i++) {
        const oct_attr_cum_sum attr = {.exclusive = i & 1, .reverse = i >> 1};
        op_result r = op_run_ok(ctx, OCT_OP_CUM_SUM, &attr, in, 2, 1);
        assert_memory_equal(r.out[0].data, want[i], sizeof want[i]);
        op_result_free(ctx, &r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reduction_over_every_set_of_axes),
        cmocka_unit_test(an_empty_reduction_gives_the_neutral_element),
        cmocka_unit_test(extremes_keep_nan_and_integers_stay_exact),
        cmocka_unit_test(log_sum_exp_does_not_overflow),
        cmocka_unit_test(arg_max_breaks_ties_as_told),
        cmocka_unit_test(top_k_sorts_and_breaks_ties_by_index),
        cmocka_unit_test(cumulative_sums_have_four_forms),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
