/* SPDX-License-Identifier: Apache-2.0
 *
 * Gemm, MatMul, Einsum and their integer forms on ref.
 */
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

#define MAX_ELEMS 4096

static float A[MAX_ELEMS], BM[MAX_ELEMS], CM[MAX_ELEMS];

static void randomize(uint64_t seed)
{
    oct_rng r = {seed};
    for (int i = 0; i < MAX_ELEMS; i++) {
        A[i] = oct_rng_f32(&r) * 2 - 1;
        BM[i] = oct_rng_f32(&r) * 2 - 1;
        CM[i] = oct_rng_f32(&r) * 2 - 1;
    }
}

static void expect(const op_result *r, const float *want, int n)
{
    for (int i = 0; i < n; i++)
        assert_true(fabsf(((float *)r->out[0].data)[i] - want[i]) < 1e-5f);
}

static void gemm_transposes_scales_and_broadcasts(void **state)
{
    (void)state;
    enum { M = 5, N = 9, K = 7 };
    for (int flags = 0; flags < 8; flags++) {
        const bool ta = flags & 1, tb = flags & 2, column = flags & 4;
        const oct_attr_gemm at = {.alpha = 0.5f, .beta = -2, .trans_a = ta, .trans_b = tb};
        float want[M * N];
        randomize((uint64_t)flags);
        for (int m = 0; m < M; m++)
            for (int n = 0; n < N; n++) {
                double sum = 0;
                for (int k = 0; k < K; k++)
                    sum += (double)A[ta ? k * M + m : m * K + k] * BM[tb ? n * K + k : k * N + n];
                want[m * N + n] = (float)(0.5 * sum - 2.0 * CM[column ? m : n]);
            }
        const oct_tensor in[] = {OP_TENSOR(F32, A, ta ? K : M, ta ? M : K),
                                 OP_TENSOR(F32, BM, tb ? N : K, tb ? K : N),
                                 OP_TENSOR(F32, CM, column ? M : 1, column ? 1 : N)};
        op_result r = op_run_ok(ctx, OCT_OP_GEMM, &at, in, 3, 1);
        expect(&r, want, M * N);
        op_result_free(ctx, &r);
    }
}

static void matmul_follows_numpy(void **state)
{
    (void)state;
    const float v[] = {1, 2, 3}, w[] = {4, 5, 6};
    const oct_tensor dot[] = {OP_TENSOR(F32, v, 3), OP_TENSOR(F32, w, 3)};
    op_result r = op_run_ok(ctx, OCT_OP_MATMUL, NULL, dot, 2, 1);
    assert_int_equal(r.out[0].desc.shape.n_dims, 0);
    assert_true(((float *)r.out[0].data)[0] == 32);
    op_result_free(ctx, &r);

    /* [2, 1, 2, 3] x [4, 3, 2] -> [2, 4, 2, 2] */
    randomize(9);
    const oct_tensor in[] = {OP_TENSOR(F32, A, 2, 1, 2, 3), OP_TENSOR(F32, BM, 4, 3, 2)};
    float want[32];
    for (int i = 0; i < 32; i++) {
        const int b = i / 16, c = i / 4 % 4, m = i / 2 % 2, n = i % 2;
        want[i] = 0;
        for (int k = 0; k < 3; k++)
            want[i] += A[b * 6 + m * 3 + k] * BM[c * 6 + k * 2 + n];
    }
    r = op_run_ok(ctx, OCT_OP_MATMUL, NULL, in, 2, 1);
    assert_true(oct_shape_equal(&r.out[0].desc.shape, &(oct_shape){{2, 4, 2, 2}, 4}));
    expect(&r, want, 32);
    op_result_free(ctx, &r);
    const oct_tensor odd[] = {OP_TENSOR(F32, A, 2, 3), OP_TENSOR(F32, BM, 2, 3)};
    assert_int_equal(op_run(ctx, OCT_OP_MATMUL, NULL, odd, 2, 1, NULL, &r), OCT_ERR_SHAPE);
    oct_error_clear(ctx);
}

static void an_inner_size_of_zero_gives_zeros(void **state)
{
    (void)state;
    const oct_tensor in[] = {OP_TENSOR(F32, A, 2, 0), OP_TENSOR(F32, BM, 0, 3)};
    op_result r = op_run_ok(ctx, OCT_OP_MATMUL, NULL, in, 2, 1);
    expect(&r, (float[6]){0}, 6);
    op_result_free(ctx, &r);
}

static void matmul_integer_subtracts_zero_points_per_row_and_column(void **state)
{
    (void)state;
    const uint8_t a[] = {11, 7, 3, 10, 6, 2}, az[] = {12, 1};
    const int8_t b[] = {1, 4, 2, 5, 3, 6}, bz[] = {0, 2};
    const oct_tensor in[] = {OP_TENSOR(U8, a, 2, 3), OP_TENSOR(S8, b, 3, 2), OP_TENSOR(U8, az, 2),
                             OP_TENSOR(S8, bz, 2)};
    op_result r = op_run_ok(ctx, OCT_OP_MATMUL_INTEGER, NULL, in, 4, 1);
    for (int m = 0; m < 2; m++)
        for (int n = 0; n < 2; n++) {
            int want = 0;
            for (int k = 0; k < 3; k++)
                want += (a[m * 3 + k] - az[m]) * (b[k * 2 + n] - bz[n]);
            assert_int_equal(((int32_t *)r.out[0].data)[m * 2 + n], want);
        }
    op_result_free(ctx, &r);
}

/* Gemm on s8 with weights per column, an s32 bias, a residual and two outputs. */
static void integer_gemm_follows_the_requantization_formula(void **state)
{
    (void)state;
    enum { M = 3, N = 4, K = 5 };
    int8_t a[M * K], b[K * N], res[M * N];
    int32_t bias[N] = {100, -50, 0, 7};
    oct_rng rng = {4};
    for (int i = 0; i < M * K; i++)
        a[i] = (int8_t)oct_rng_below(&rng, 256);
    for (int i = 0; i < K * N; i++)
        b[i] = (int8_t)oct_rng_below(&rng, 256);
    for (int i = 0; i < M * N; i++)
        res[i] = (int8_t)oct_rng_below(&rng, 256);
    const oct_qparams qa = {0.01f, 0}, qr = {0.3f, 2}, qy = {0.2f, 1};
    const oct_qparams qb[N] = {{0.1f, 0}, {0.02f, 0}, {0.3f, 0}, {0.004f, 0}};
    const oct_tensor in[] = {OP_TENSOR(S8, a, M, K), OP_TENSOR(S8, b, K, N),
                             OP_TENSOR(S32, bias, N), OP_TENSOR(S8, res, M, N)};
    const oct_quant quant[] = {{&qa, 1, 0}, {qb, N, 1}, {NULL, 0, 0}, {&qr, 1, 0}};
    const oct_epilogue e = {.residual = 3, .act = OCT_ACT_RELU};
    const oct_attr_gemm at = {.alpha = 1, .beta = 1};
    const op_options opt = {
        .in_quant = quant, .out_quant = {&qy, 1, 0}, .out_dtype = OCT_DT_S8, .epilogue = &e};
    op_result r;
    assert_int_equal(op_run(ctx, OCT_OP_GEMM, &at, in, 4, 2, &opt, &r), OCT_OK);
    for (int i = 0; i < M * N; i++) {
        const int m = i / N, n = i % N;
        int32_t acc = bias[n];
        for (int k = 0; k < K; k++)
            acc += a[m * K + k] * b[k * N + n];
        const float f = (float)((double)qa.scale * qb[n].scale / qy.scale);
        const float rf = (float)((double)qr.scale / qy.scale);
        float v = fmaf((float)(res[i] - 2), rf, fmaf((float)acc, f, 0.0f));
        v = fminf(fmaxf(rintf(v) + 1, 1), 127);
        assert_int_equal(((int8_t *)r.out[0].data)[i], (int)v);
        const float real = fmaf((float)(res[i] - 2), qr.scale,
                                fmaf((float)acc, (float)((double)qa.scale * qb[n].scale), 0.0f));
        assert_true(((float *)r.out[1].data)[i] == (real < 0 ? 0 : real));
    }
    op_result_free(ctx, &r);
}

static void sums_that_may_leave_s32_are_refused(void **state)
{
    (void)state;
    enum { K = 40000 };
    int8_t *a = oct_zalloc(ctx, K), *b = oct_zalloc(ctx, K);
    const oct_qparams low = {1, -128}, middle = {1, 0}, y = {1, 0};
    const oct_tensor in[] = {OP_TENSOR(S8, a, 1, K), OP_TENSOR(S8, b, K, 1)};
    const oct_quant wide[] = {{&low, 1, 0}, {&low, 1, 0}},
                    usual[] = {{&middle, 1, 0}, {&low, 1, 0}};
    op_options opt = {.in_quant = wide, .out_quant = {&y, 1, 0}, .out_dtype = OCT_DT_S8};
    op_result r;
    assert_int_equal(op_run(ctx, OCT_OP_MATMUL, NULL, in, 2, 1, &opt, &r), OCT_ERR_UNSUPPORTED);
    oct_error_clear(ctx);
    opt.in_quant = usual;
    assert_int_equal(op_run(ctx, OCT_OP_MATMUL, NULL, in, 2, 1, &opt, &r), OCT_OK);
    op_result_free(ctx, &r);
    oct_free(ctx, a);
    oct_free(ctx, b);
}

static void einsum_by_hand(void **state)
{
    (void)state;
    randomize(5);
    static const struct {
        const char *equation;
        int n_in;
        int64_t a[3], b[3], out[3];
        int na, nb, n_out;
    } cases[] = {
        {"ij,jk->ik", 2, {3, 4}, {4, 5}, {3, 5}, 2, 2, 2},
        {"ij,jk", 2, {3, 4}, {4, 5}, {3, 5}, 2, 2, 2},
        {"bij, bjk -> bik", 2, {2, 3, 4}, {2, 4, 5}, {2, 3, 5}, 3, 3, 3},
        {"...ij,...jk->...ik", 2, {2, 3, 4}, {1, 4, 5}, {2, 3, 5}, 3, 3, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const oct_attr_einsum at = {cases[i].equation};
        const oct_tensor in[] = {op_tensor(OCT_DT_F32, A, cases[i].a, cases[i].na),
                                 op_tensor(OCT_DT_F32, BM, cases[i].b, cases[i].nb)};
        op_result r = op_run_ok(ctx, OCT_OP_EINSUM, &at, in, 2, 1);
        op_result m = op_run_ok(ctx, OCT_OP_MATMUL, NULL, in, 2, 1);
        assert_true(oct_shape_equal(&r.out[0].desc.shape, &m.out[0].desc.shape));
        size_t n = 0;
        assert_true(oct_shape_elems(&r.out[0].desc.shape, &n));
        expect(&r, m.out[0].data, (int)n);
        op_result_free(ctx, &r);
        op_result_free(ctx, &m);
    }
    const double d[] = {1, 2, 3, 4};
    const oct_tensor square[] = {OP_TENSOR(F64, d, 2, 2)};
    op_result r = op_run_ok(ctx, OCT_OP_EINSUM, &(oct_attr_einsum){"ii->"}, square, 1, 1);
    assert_true(((double *)r.out[0].data)[0] == 5);
    op_result_free(ctx, &r);
    static const char *const wrong[] = {"ij,jk->il", "ijk", "ij->ii", "ij,", "i j-", "....->"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const oct_attr_einsum at = {wrong[i]};
        oct_tensor_desc out;
        assert_int_not_equal(op_infer(ctx, OCT_OP_EINSUM, &at, square, 1, &out, 1), OCT_OK);
        oct_error_clear(ctx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm_transposes_scales_and_broadcasts),
        cmocka_unit_test(matmul_follows_numpy),
        cmocka_unit_test(an_inner_size_of_zero_gives_zeros),
        cmocka_unit_test(matmul_integer_subtracts_zero_points_per_row_and_column),
        cmocka_unit_test(integer_gemm_follows_the_requantization_formula),
        cmocka_unit_test(sums_that_may_leave_s32_are_refused),
        cmocka_unit_test(einsum_by_hand),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
