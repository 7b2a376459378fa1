/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "base/rng.h"
#include "calib/histogram.h"

static oct_ctx *ctx;

static int setup(void **state)
{
    return oct_ctx_new(NULL, &ctx);
}

static int teardown(void **state)
{
    oct_ctx_free(ctx);
    return 0;
}

static void assert_half_equal(const oct_hist_half *a, const oct_hist_half *b)
{
    assert_int_equal(a->width_exp, b->width_exp);
    assert_memory_equal(&a->amax, &b->amax, sizeof a->amax);
    assert_int_equal(a->amax > 0, b->amax > 0);
    if (a->amax > 0)
        assert_memory_equal(a->bin, b->bin, OCT_HIST_BINS * sizeof *a->bin);
}

static void assert_hist_equal(const oct_hist *a, const oct_hist *b)
{
    assert_half_equal(&a->pos, &b->pos);
    assert_half_equal(&a->neg, &b->neg);
    assert_true(a->n_zero == b->n_zero && a->n_nan == b->n_nan && a->n_pos_inf == b->n_pos_inf &&
                a->n_neg_inf == b->n_neg_inf && a->n_total == b->n_total);
    for (int f = 0; f < OCT_HIST_FOLDS; f++) {
        const oct_hist_fold *p = &a->fold[f], *q = &b->fold[f];
        assert_int_equal(p->bin != NULL, q->bin != NULL);
        assert_true(p->pos_amax == q->pos_amax && p->neg_amax == q->neg_amax &&
                    p->n_zero == q->n_zero && p->n_total == q->n_total &&
                    p->n_neg_inf == q->n_neg_inf);
        if (p->bin != NULL)
            assert_memory_equal(p->bin, q->bin, 2 * OCT_HIST_COARSE_BINS * sizeof *p->bin);
    }
}

/* Values over many magnitudes with zeros, subnormals and, if asked, non-finite ones. */
static void fill(oct_rng *rng, float *x, size_t n, bool odd)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t kind = oct_rng_below(rng, 40);
        const float scale = ldexpf(1.0f, (int)oct_rng_below(rng, 24) - 12);
        x[i] = oct_rng_normal(rng) * (kind < 30 ? 1.0f : scale);
        if (kind == 30)
            x[i] = -0.0f;
        else if (kind < 34 && kind > 30)
            x[i] = 0.0f;
        else if (kind == 34)
            x[i] = 1e-40f;
        else if (odd && kind == 35)
            x[i] = NAN;
        else if (odd && kind == 36)
            x[i] = oct_rng_below(rng, 2) ? INFINITY : -INFINITY;
    }
}

#define N 20011

static float values[N];

static void add_slices(oct_hist *h, const float *x, const size_t *cut, size_t n_cuts, int fold)
{
    for (size_t i = 0; i + 1 < n_cuts; i++)
        assert_int_equal(oct_hist_add(ctx, h, x + cut[i], cut[i + 1] - cut[i], fold, NULL), OCT_OK);
}

static void any_split_and_order_gives_the_same_bytes(void **state)
{
    oct_rng rng = {11};
    fill(&rng, values, N, true);
    oct_hist whole;
    oct_hist_init(&whole);
    assert_int_equal(oct_hist_add(ctx, &whole, values, N, 3, NULL), OCT_OK);
    for (int round = 0; round < 20; round++) {
        size_t cut[9] = {0};
        for (int i = 1; i < 8; i++)
            cut[i] = cut[i - 1] + oct_rng_below(&rng, (N - cut[i - 1]) / 2 + 1);
        cut[8] = N;
        oct_hist parts, reversed;
        oct_hist_init(&parts);
        oct_hist_init(&reversed);
        add_slices(&parts, values, cut, 9, 3);
        for (int i = 7; i >= 0; i--) {
            oct_hist one;
            oct_hist_init(&one);
            assert_int_equal(oct_hist_add(ctx, &one, values + cut[i], cut[i + 1] - cut[i], 3, NULL),
                             OCT_OK);
            assert_int_equal(oct_hist_merge(ctx, &reversed, &one), OCT_OK);
            oct_hist_deinit(ctx, &one);
        }
        assert_hist_equal(&whole, &parts);
        assert_hist_equal(&whole, &reversed);
        oct_hist_deinit(ctx, &parts);
        oct_hist_deinit(ctx, &reversed);
    }
    oct_hist_deinit(ctx, &whole);
}

static void merging_folds_equals_adding_by_fold(void **state)
{
    oct_rng rng = {12};
    fill(&rng, values, N, false);
    oct_hist all, a, b;
    oct_hist_init(&all);
    oct_hist_init(&a);
    oct_hist_init(&b);
    for (size_t i = 0; i < 16; i++) {
        const int fold = (int)(i * 5 % 8);
        assert_int_equal(oct_hist_add(ctx, &all, values + i * 1000, 1000, fold, NULL), OCT_OK);
        assert_int_equal(oct_hist_add(ctx, i % 3 ? &a : &b, values + i * 1000, 1000, fold, NULL),
                         OCT_OK);
    }
    assert_int_equal(oct_hist_merge(ctx, &b, &a), OCT_OK);
    assert_hist_equal(&all, &b);
    uint64_t n = 0;
    for (int f = 0; f < OCT_HIST_FOLDS; f++)
        n += all.fold[f].n_total;
    assert_true(n == all.n_total);
    /* the folds together are the whole, coarsened */
    for (size_t k = 0; k < OCT_HIST_COARSE_BINS; k++) {
        uint64_t fine = 0, coarse = 0;
        for (size_t j = 0; j < 16; j++)
            fine += all.neg.bin[16 * k + j];
        for (int f = 0; f < OCT_HIST_FOLDS; f++)
            coarse += all.fold[f].bin[OCT_HIST_COARSE_BINS + k];
        assert_true(fine == coarse);
    }
    oct_hist_deinit(ctx, &all);
    oct_hist_deinit(ctx, &a);
    oct_hist_deinit(ctx, &b);
}

static void relu_is_byte_equal_to_scanning_the_relu(void **state)
{
    oct_rng rng = {13};
    static float rectified[N];
    for (int round = 0; round < 6; round++) {
        fill(&rng, values, N, round % 2 == 1);
        const float sign = round < 4 ? 1.0f : -1.0f;
        for (size_t i = 0; i < N; i++) {
            if (round >= 4)
                values[i] = sign * fabsf(values[i]); /* negative only */
            rectified[i] = isnan(values[i]) ? values[i] : values[i] > 0 ? values[i] : 0.0f;
        }
        oct_hist in, derived, scanned;
        oct_hist_init(&in);
        oct_hist_init(&derived);
        oct_hist_init(&scanned);
        assert_int_equal(oct_hist_add(ctx, &in, values, N, round, NULL), OCT_OK);
        assert_int_equal(oct_hist_add(ctx, &scanned, rectified, N, round, NULL), OCT_OK);
        assert_int_equal(oct_hist_relu(ctx, &derived, &in), OCT_OK);
        assert_hist_equal(&derived, &scanned);
        oct_hist_deinit(ctx, &in);
        oct_hist_deinit(ctx, &derived);
        oct_hist_deinit(ctx, &scanned);
    }
}

/* pytorch-quantization's float32 counters stop at 2^24 (NVIDIA/TensorRT #2757). */
static void fifty_million_equal_values_are_counted_exactly(void **state)
{
    enum { CHUNK = 1 << 16 };
    static float same[CHUNK];
    for (size_t i = 0; i < CHUNK; i++)
        same[i] = 0.625f;
    const uint64_t n = 3u * (UINT64_C(1) << 24) + 1;
    oct_hist h;
    oct_hist_init(&h);
    for (uint64_t left = n; left > 0;) {
        const size_t len = left < CHUNK ? (size_t)left : CHUNK;
        assert_int_equal(oct_hist_add(ctx, &h, same, len, 0, NULL), OCT_OK);
        left -= len;
    }
    assert_true(h.n_total == n);
    assert_true(h.pos.bin[(int)(0.625f * ldexpf(1.0f, -h.pos.width_exp))] == n);
    oct_hist_deinit(ctx, &h);
}

static void counts_beyond_32_bits_survive_merging(void **state)
{
    oct_hist a, b;
    oct_hist_init(&a);
    oct_hist_init(&b);
    const float x = 1.0f;
    assert_int_equal(oct_hist_add(ctx, &a, &x, 1, 0, NULL), OCT_OK);
    for (int i = 0; i < 40; i++) { /* doubling: 2^40 */
        assert_int_equal(oct_hist_merge(ctx, &b, &a), OCT_OK);
        assert_int_equal(oct_hist_merge(ctx, &a, &b), OCT_OK);
        oct_hist_deinit(ctx, &b);
    }
    assert_true(a.n_total == UINT64_C(1) << 40);
    assert_true(oct_hist_n_pos(&a) == UINT64_C(1) << 40);
    oct_hist_deinit(ctx, &a);
}

static void every_value_lies_inside_its_bin_and_the_width_is_the_least(void **state)
{
    static const float probe[] = {1.0f,          0.99999994f,    1e-37f, 1.17549435e-38f,
                                  3.4028235e38f, 255.0f,         256.0f, 255.99998f,
                                  -1.0f,         -1.175495e-38f, -3e38f, 1e10f};
    for (size_t i = 0; i < sizeof probe / sizeof probe[0]; i++) {
        oct_hist h;
        oct_hist_init(&h);
        assert_int_equal(oct_hist_add(ctx, &h, &probe[i], 1, OCT_HIST_NO_FOLD, NULL), OCT_OK);
        const oct_hist_half *half = probe[i] > 0 ? &h.pos : &h.neg;
        assert_true(half->amax == fabsf(probe[i]));
        const double w = ldexp(1.0, half->width_exp);
        const size_t k = (size_t)(fabs((double)probe[i]) / w);
        assert_true(k < OCT_HIST_BINS);
        assert_true(half->bin[k] == 1);
        assert_true(k >= OCT_HIST_BINS / 2 || half->width_exp == OCT_HIST_EXP_MIN);
        oct_hist_deinit(ctx, &h);
    }
}

static void assert_range_equal(const oct_hist_range *a, const oct_hist_range *b)
{
    assert_true(a->pos_amax == b->pos_amax && a->neg_amax == b->neg_amax);
    assert_true(a->n_zero == b->n_zero && a->n_nan == b->n_nan && a->n_pos_inf == b->n_pos_inf &&
                a->n_neg_inf == b->n_neg_inf);
}

/* Tallies until the end or until `k` stops, in table `t`. */
static size_t tally_some(const oct_hist_kernel *k, uint32_t *bin, int exp, size_t n,
                         oct_hist_range *r)
{
    const oct_hist_table t = {bin, exp, exp - 2};
    memset(bin, 0, 2 * OCT_HIST_BINS * sizeof *bin);
    memset(r, 0, sizeof *r);
    return k->tally(values, n, &t, r);
}

static void all_kernels_agree_with_the_reference(void **state)
{
    static const size_t length[] = {0, 1, 7, 16, 17, 127, 128, 129, 255, 257, 1300, N};
    uint32_t *bin[2] = {oct_alloc(ctx, 2 * OCT_HIST_BINS * sizeof **bin),
                        oct_alloc(ctx, 2 * OCT_HIST_BINS * sizeof **bin)};
    size_t n_stops = 0;
    for (uint64_t seed = 0; seed < 24; seed++) {
        oct_rng rng = {seed};
        fill(&rng, values, N, false);
        for (size_t i = 0; seed % 3 == 0 && i < N; i++) /* no zeros: another path */
            values[i] = values[i] == 0.0f ? 1.0f : values[i];
        for (size_t i = 0; seed % 8 == 5 && i < N; i++) /* one sign only */
            values[i] = fabsf(values[i]);
        for (size_t i = 0; seed % 8 == 6 && i < N; i++)
            values[i] = -fabsf(values[i]);
        if (seed % 4 == 3) /* one odd value somewhere */
            values[oct_rng_below(&rng, N)] = seed % 8 == 3 ? -INFINITY : NAN;
        const int exp = seed % 2 ? 2 : (int)oct_rng_below(&rng, 8) - 10;
        for (int v = 0; oct_hist_kernel_at(v) != NULL; v++) {
            for (size_t l = 0; l < sizeof length / sizeof length[0]; l++) {
                oct_hist_range r[2];
                const size_t n = tally_some(&oct_hist_ref, bin[0], exp, length[l], &r[0]);
                assert_int_equal(tally_some(oct_hist_kernel_at(v), bin[1], exp, length[l], &r[1]),
                                 n);
                assert_range_equal(&r[0], &r[1]);
                assert_memory_equal(bin[0], bin[1], 2 * OCT_HIST_BINS * sizeof **bin);
                assert_true(n == length[l] || n % OCT_HIST_BLOCK == 0);
                n_stops += n < length[l];
            }
        }
    }
    assert_true(n_stops > 20);
    oct_free(ctx, bin[0]);
    oct_free(ctx, bin[1]);
}

static void pouring_adds_everything_and_leaves_zeros(void **state)
{
    enum { BINS = 4096 };
    uint32_t *from = oct_alloc(ctx, BINS * sizeof *from);
    uint64_t *bin = oct_alloc(ctx, BINS * sizeof *bin);
    uint64_t *coarse = oct_alloc(ctx, BINS / 16 * sizeof *coarse);
    for (int v = 0; oct_hist_kernel_at(v) != NULL; v++) {
        oct_rng rng = {15};
        memset(coarse, 0, BINS / 16 * sizeof *coarse);
        for (size_t i = 0; i < BINS; i++) {
            from[i] = oct_rng_below(&rng, 40) == 0 ? (uint32_t)oct_rng_u64(&rng) : 0;
            bin[i] = (uint64_t)UINT32_MAX * i - from[i]; /* carries past 32 bits */
        }
        uint64_t sum = 0;
        for (size_t i = 0; i < 1024; i++)
            sum += from[i];
        oct_hist_kernel_at(v)->pour(from, 1024, bin, NULL);
        oct_hist_kernel_at(v)->pour(from + 1024, BINS - 1024, bin + 1024, coarse + 64);
        for (size_t i = 0; i < BINS; i++)
            assert_true(bin[i] == (uint64_t)UINT32_MAX * i && from[i] == 0);
        assert_true(coarse[0] == 0 && sum > 0);
        oct_rng again = {15};
        for (size_t k = 0; k < BINS / 16; k++) {
            uint64_t want = 0;
            for (size_t i = 0; i < 16; i++)
                want += oct_rng_below(&again, 40) == 0 ? (uint32_t)oct_rng_u64(&again) : 0;
            assert_true(coarse[k] == (k < 64 ? 0 : want));
        }
    }
    oct_free(ctx, from);
    oct_free(ctx, bin);
    oct_free(ctx, coarse);
}

static void every_variant_adds_up_to_the_same_bits(void **state)
{
    static const size_t length[] = {0, 1, 15, 16, 17, 31, 49, 64, 784, N};
    oct_rng rng = {77};
    fill(&rng, values, N, false);
    for (size_t l = 0; l < sizeof length / sizeof length[0]; l++) {
        double naive = 0, most = 0;
        for (size_t i = 0; i < length[l]; i++) {
            naive += (double)values[i];
            most += fabs((double)values[i]);
        }
        const double want = oct_hist_ref.sum(values, length[l]);
        assert_true(fabs(want - naive) <= 1e-12 * most);
        for (int v = 0; oct_hist_kernel_at(v) != NULL; v++) {
            const double got = oct_hist_kernel_at(v)->sum(values, length[l]);
            assert_memory_equal(&got, &want, sizeof got);
        }
    }
}

static void every_variant_adds_up_columns_from_the_top(void **state)
{
    enum { ROWS = 37 };
    static const size_t cols[] = {1, 3, 15, 16, 17, 40, 64};
    static double sum[64];
    oct_rng rng = {78};
    fill(&rng, values, N, false);
    for (size_t l = 0; l < sizeof cols / sizeof cols[0]; l++) {
        for (int v = 0; oct_hist_kernel_at(v) != NULL; v++) {
            oct_hist_kernel_at(v)->sum_columns(values, ROWS, cols[l], sum);
            for (size_t c = 0; c < cols[l]; c++) {
                double want = 0;
                for (size_t r = 0; r < ROWS; r++)
                    want += (double)values[r * cols[l] + c];
                assert_memory_equal(&sum[c], &want, sizeof want);
            }
        }
    }
}

static void a_scratch_gives_the_bytes_of_adding(void **state)
{
    oct_hist_scratch *scratch;
    assert_int_equal(oct_hist_scratch_new(ctx, &scratch), OCT_OK);
    for (uint64_t seed = 20; seed < 40; seed++) {
        oct_rng rng = {seed};
        fill(&rng, values, N, seed % 2 == 0);
        const float scale = seed % 5 == 0 ? 0x1p-120f : 1.0f;
        for (size_t i = 0; i < N; i++)
            values[i] *= scale;
        oct_hist direct, taken;
        oct_hist_init(&direct);
        oct_hist_init(&taken);
        for (size_t at = 0, n; at < N; at += n) {
            oct_hist_range a = {0}, b;
            n = oct_rng_below(&rng, N - at) + 1;
            const int fold = (int)oct_rng_below(&rng, OCT_HIST_FOLDS + 1) - 1;
            const size_t cut = oct_rng_below(&rng, n + 1);
            oct_hist_scratch_begin(scratch, &taken);
            oct_hist_scratch_add(scratch, values + at, cut);
            oct_hist_scratch_add(scratch, values + at + cut, n - cut);
            if (seed % 4 == 0) /* someone else widens it meanwhile */
                assert_int_equal(oct_hist_add(ctx, &taken, &values[at], 1, fold, NULL), OCT_OK);
            assert_int_equal(oct_hist_scratch_take(ctx, &taken, scratch, fold, &b), OCT_OK);
            assert_int_equal(oct_hist_add(ctx, &direct, values + at, n, fold, &a), OCT_OK);
            if (seed % 4 == 0)
                assert_int_equal(oct_hist_add(ctx, &direct, &values[at], 1, fold, NULL), OCT_OK);
            assert_range_equal(&a, &b);
        }
        assert_hist_equal(&direct, &taken);
        oct_hist_deinit(ctx, &direct);
        oct_hist_deinit(ctx, &taken);
    }
    oct_hist_scratch_free(ctx, scratch);
}

static void zeros_and_nonfinite_values_are_apart(void **state)
{
    const float x[] = {0.0f, -0.0f, 1e-40f, -1e-40f, NAN, INFINITY, -INFINITY, -INFINITY, 2.0f};
    oct_hist h;
    oct_hist_init(&h);
    oct_hist_range seen = {0};
    assert_int_equal(oct_hist_add(ctx, &h, x, 9, 0, &seen), OCT_OK);
    assert_true(h.n_zero == 4 && h.n_nan == 1 && h.n_pos_inf == 1 && h.n_neg_inf == 2);
    assert_true(h.n_total == 5 && oct_hist_n_pos(&h) == 1 && oct_hist_n_neg(&h) == 0);
    assert_true(seen.n_nan == 1 && seen.pos_amax == 2.0f && seen.neg_amax == 0.0f);
    assert_true(oct_hist_amax(&h) == 2.0f);
    oct_hist_deinit(ctx, &h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_split_and_order_gives_the_same_bytes),
        cmocka_unit_test(merging_folds_equals_adding_by_fold),
        cmocka_unit_test(relu_is_byte_equal_to_scanning_the_relu),
        cmocka_unit_test(fifty_million_equal_values_are_counted_exactly),
        cmocka_unit_test(counts_beyond_32_bits_survive_merging),
        cmocka_unit_test(every_value_lies_inside_its_bin_and_the_width_is_the_least),
        cmocka_unit_test(all_kernels_agree_with_the_reference),
        cmocka_unit_test(pouring_adds_everything_and_leaves_zeros),
        cmocka_unit_test(every_variant_adds_up_to_the_same_bits),
        cmocka_unit_test(every_variant_adds_up_columns_from_the_top),
        cmocka_unit_test(a_scratch_gives_the_bytes_of_adding),
        cmocka_unit_test(zeros_and_nonfinite_values_are_apart),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
