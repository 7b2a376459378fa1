/* SPDX-License-Identifier: Apache-2.0
 *
 * Reference convolutions against direct sums, and what must not change their bits: layout,
 * batch, threads.
 */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "kernels/requant.h"
#include "kernels/window.h"
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

#define MAX_ELEMS 60000

/* A random convolution of n spatial axes. */
typedef struct conv {
    oct_op op;
    oct_attr_window at;
    oct_shape x, w;
    int64_t oc;
} conv;

static int64_t pick(oct_rng *r, int64_t lo, int64_t hi)
{
    return lo + (int64_t)oct_rng_below(r, (uint64_t)(hi - lo + 1));
}

static void conv_random(conv *c, oct_rng *r, oct_op op, int n)
{
    memset(&c->at, 0, sizeof c->at);
    c->op = op;
    c->at.group = pick(r, 1, 3);
    const int64_t ic = pick(r, 1, 3), oc = pick(r, 1, 6);
    c->oc = oc * c->at.group;
    c->x = (oct_shape){{pick(r, 1, 2), ic * c->at.group}, n + 2};
    c->w = (oct_shape){{op == OCT_OP_CONV ? c->oc : ic * c->at.group, op == OCT_OP_CONV ? ic : oc},
                       n + 2};
    c->at.n_stride = c->at.n_dilation = n;
    c->at.n_pad = 2 * n;
    for (int k = 0; k < n; k++) {
        c->x.dim[k + 2] = pick(r, 5, n == 3 ? 7 : 11);
        c->w.dim[k + 2] = pick(r, 1, 3);
        c->at.stride[k] = pick(r, 1, 3);
        c->at.dilation[k] = pick(r, 1, 2);
        c->at.pad[k] = pick(r, 0, c->w.dim[k + 2] - 1);
        c->at.pad[k + n] = pick(r, 0, c->w.dim[k + 2] - 1);
    }
}

static float *random_floats(oct_rng *r, const oct_shape *s)
{
    size_t n = 0;
    assert_true(oct_shape_elems(s, &n) && n <= MAX_ELEMS);
    float *v = oct_alloc(ctx, n * sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = oct_rng_f32(r) * 2 - 1;
    return v;
}

static int64_t position(const oct_window *w, const int64_t *size, const int64_t *at)
{
    int64_t p = 0;
    for (int k = 0; k < w->n; k++)
        p = p * size[k] + at[k];
    return p;
}

static bool next(const int64_t *size, int n, int64_t *at)
{
    for (int k = n - 1; k >= 0; k--) {
        if (++at[k] < size[k])
            return true;
        at[k] = 0;
    }
    return false;
}

/* Scatter form for both directions: every (input, tap) pair adds to one output, if that is inside. */
static void direct(const conv *c, const oct_window *w, const double *x, const double *wt, double *y)
{
    const int n = w->n;
    const bool back = c->op == OCT_OP_CONV_TRANSPOSE;
    const int64_t icg = c->x.dim[1] / c->at.group, ocg = c->oc / c->at.group;
    int64_t taps = 1, plane_x = 1, plane_y = 1;
    for (int k = 0; k < n; k++) {
        taps *= w->kernel[k];
        plane_x *= w->in[k];
        plane_y *= w->out[k];
    }
    /* walk the larger-strided side: outputs of a forward, inputs of a transposed convolution */
    const int64_t *walk = back ? w->in : w->out, *other = back ? w->out : w->in;
    int64_t at[3] = {0}, tap[3] = {0}, to[3];
    do {
        do {
            bool inside = true;
            for (int k = 0; k < n; k++) {
                to[k] = at[k] * w->stride[k] - w->pad_lo[k] + tap[k] * w->dilation[k];
                inside &= to[k] >= 0 && to[k] < other[k];
            }
            if (!inside)
                continue;
            const int64_t px = position(w, w->in, back ? at : to);
            const int64_t py = position(w, w->out, back ? to : at);
            const int64_t pt = position(w, w->kernel, tap);
            for (int64_t b = 0; b < c->x.dim[0]; b++)
                for (int64_t o = 0; o < c->oc; o++)
                    for (int64_t i = 0; i < icg; i++) {
                        const int64_t g = o / ocg;
                        const int64_t wi = back ? ((g * icg + i) * ocg + o % ocg) * taps + pt
                                                : (o * icg + i) * taps + pt;
                        y[(b * c->oc + o) * plane_y + py] +=
                            x[(b * c->x.dim[1] + g * icg + i) * plane_x + px] * wt[wi];
                    }
        } while (next(w->kernel, n, tap));
    } while (next(walk, n, at));
}

static double *widen(const float *v, size_t n)
{
    double *d = oct_zalloc(ctx, n * sizeof *d);
    for (size_t i = 0; i < n && v; i++)
        d[i] = v[i];
    return d;
}

static oct_tensor tensor_of(oct_dtype dt, oct_shape s, const void *data)
{
    return (oct_tensor){oct_tensor_desc_make(dt, s, OCT_LAYOUT_ROW), (void *)(uintptr_t)data};
}

static void check_f32(const conv *c, oct_rng *r)
{
    oct_window w;
    const oct_shape bias = {{c->oc}, 1};
    float *x = random_floats(r, &c->x), *wt = random_floats(r, &c->w), *b = random_floats(r, &bias);
    const oct_tensor in[] = {tensor_of(OCT_DT_F32, c->x, x), tensor_of(OCT_DT_F32, c->w, wt),
                             tensor_of(OCT_DT_F32, bias, b)};
    size_t nx = 0, nw = 0, ny = 0;
    op_result got = op_run_ok(ctx, c->op, &c->at, in, 3, 1);
    assert_int_equal(oct_window_resolve(ctx, c->op, &c->at, &c->x, &c->w, &w), OCT_OK);
    assert_true(oct_shape_elems(&c->x, &nx) && oct_shape_elems(&c->w, &nw));
    assert_true(oct_shape_elems(&got.out[0].desc.shape, &ny));
    double *dx = widen(x, nx), *dw = widen(wt, nw), *dy = widen(NULL, ny);
    direct(c, &w, dx, dw, dy);
    const int64_t plane = (int64_t)ny / (c->x.dim[0] * c->oc);
    for (size_t i = 0; i < ny; i++) {
        const double want = dy[i] + b[(int64_t)i / plane % c->oc];
        assert_true(fabs(((float *)got.out[0].data)[i] - want) < 1e-4);
    }
    oct_free(ctx, dx);
    oct_free(ctx, dw);
    oct_free(ctx, dy);
    op_result_free(ctx, &got);
    oct_free(ctx, x);
    oct_free(ctx, wt);
    oct_free(ctx, b);
}

static void convolutions_equal_direct_sums(void **state)
{
    (void)state;
    oct_rng r;
    conv c;
    r = (oct_rng){1};
    for (int i = 0; i < 120; i++) {
        conv_random(&c, &r, i % 2 ? OCT_OP_CONV_TRANSPOSE : OCT_OP_CONV, 1 + i % 3);
        check_f32(&c, &r);
    }
}

/* ---- 8 bits -------------------------------------------------------------------------------- */

static void eight_bit_accumulators_are_exact(void **state)
{
    (void)state;
    oct_rng r;
    conv c;
    r = (oct_rng){2};
    for (int i = 0; i < 60; i++) {
        conv_random(&c, &r, i % 2 ? OCT_OP_CONV_TRANSPOSE : OCT_OP_CONV, 1 + i % 2);
        const oct_dtype dx = i % 3 ? OCT_DT_U8 : OCT_DT_S8;
        const oct_qparams qx = {0.1f, dx == OCT_DT_U8 ? 77 : -5}, qw = {0.2f, 3}, qy = {3.0f, -7};
        size_t nx = 0, nw = 0, ny = 0;
        assert_true(oct_shape_elems(&c.x, &nx) && oct_shape_elems(&c.w, &nw));
        uint8_t *x = oct_alloc(ctx, nx), *wt = oct_alloc(ctx, nw);
        double *vx = oct_alloc(ctx, nx * sizeof *vx), *vw = oct_alloc(ctx, nw * sizeof *vw);
        for (size_t k = 0; k < nx; k++) {
            x[k] = (uint8_t)oct_rng_below(&r, 256);
            vx[k] = (dx == OCT_DT_U8 ? x[k] : (int8_t)x[k]) - qx.zero_point;
        }
        for (size_t k = 0; k < nw; k++) {
            wt[k] = (uint8_t)oct_rng_below(&r, 256);
            vw[k] = (int8_t)wt[k] - qw.zero_point;
        }
        const oct_tensor in[] = {tensor_of(dx, c.x, x), tensor_of(OCT_DT_S8, c.w, wt)};
        const oct_quant quant[] = {{&qx, 1, 0}, {&qw, 1, 0}};
        const op_options opt = {
            .in_quant = quant, .out_quant = {&qy, 1, 0}, .out_dtype = OCT_DT_S8};
        op_result got;
        assert_int_equal(op_run(ctx, c.op, &c.at, in, 2, 1, &opt, &got), OCT_OK);
        assert_true(oct_shape_elems(&got.out[0].desc.shape, &ny));
        double *acc = widen(NULL, ny);
        oct_window w;
        assert_int_equal(oct_window_resolve(ctx, c.op, &c.at, &c.x, &c.w, &w), OCT_OK);
        direct(&c, &w, vx, vw, acc);
        const float m = (float)((double)qx.scale * qw.scale / qy.scale);
        for (size_t k = 0; k < ny; k++)
            assert_int_equal(((int8_t *)got.out[0].data)[k],
                             oct_requantize((int32_t)acc[k], m, 0, qy.zero_point, -128, 127));
        oct_free(ctx, x);
        oct_free(ctx, wt);
        oct_free(ctx, vx);
        oct_free(ctx, vw);
        oct_free(ctx, acc);
        op_result_free(ctx, &got);
    }
}

/* ---- bits ------------------------------------------------------------------------------------ */

enum { B = 3, C = 6, H = 9, W = 10, OC = 7, POSITIONS = H * W };

static float IMAGE[B * C * H * W], LAST[B * C * H * W], WEIGHT[OC * C * 9];

static const oct_attr_window SAME_3X3 = {.auto_pad = OCT_PAD_SAME_UPPER, .group = 1};

static void fill_images(void)
{
    oct_rng r;
    r = (oct_rng){3};
    for (int i = 0; i < B * C * H * W; i++)
        IMAGE[i] = oct_rng_f32(&r) - 0.5f;
    for (int i = 0; i < OC * C * 9; i++)
        WEIGHT[i] = oct_rng_f32(&r) - 0.5f;
    for (int b = 0; b < B; b++)
        for (int c = 0; c < C; c++)
            for (int p = 0; p < POSITIONS; p++)
                LAST[(b * POSITIONS + p) * C + c] = IMAGE[(b * C + c) * POSITIONS + p];
}

static op_result run_image(const float *x, int64_t batch, oct_layout layout, int threads)
{
    const oct_shape s = {{batch, C, H, W}, 4}, out = {{batch, OC, H, W}, 4};
    const oct_tensor_desc at = oct_tensor_desc_make(OCT_DT_F32, out, layout);
    const oct_tensor in[] = {{oct_tensor_desc_make(OCT_DT_F32, s, layout), (void *)(uintptr_t)x},
                             OP_TENSOR(F32, WEIGHT, OC, C, 3, 3)};
    const op_options opt = {.threads = threads, .out_at = &at};
    op_result r;
    assert_int_equal(op_run(ctx, OCT_OP_CONV, &SAME_3X3, in, 2, 1, &opt, &r), OCT_OK);
    return r;
}

static void bits_do_not_depend_on_layout_batch_or_threads(void **state)
{
    (void)state;
    fill_images();
    op_result row = run_image(IMAGE, B, OCT_LAYOUT_ROW, 1);
    op_result last = run_image(LAST, B, OCT_LAYOUT_CHANNELS_LAST, 1);
    op_result two = run_image(IMAGE, B, OCT_LAYOUT_ROW, 2);
    op_result one = run_image(IMAGE + 2 * C * POSITIONS, 1, OCT_LAYOUT_ROW, 1);
    const float *y = row.out[0].data;
    assert_memory_equal(y, two.out[0].data, sizeof(float) * B * OC * POSITIONS);
    assert_memory_equal(y + 2 * OC * POSITIONS, one.out[0].data, sizeof(float) * OC * POSITIONS);
    for (int b = 0; b < B; b++)
        for (int c = 0; c < OC; c++)
            for (int p = 0; p < POSITIONS; p++)
                assert_true(y[(b * OC + c) * POSITIONS + p] ==
                            ((float *)last.out[0].data)[(b * POSITIONS + p) * OC + c]);
    op_result_free(ctx, &row);
    op_result_free(ctx, &last);
    op_result_free(ctx, &two);
    op_result_free(ctx, &one);
}

static void the_epilogue_adds_bias_then_residual_then_activates(void **state)
{
    (void)state;
    const float x[] = {1, -2, 3, -4}, w[] = {2}, b[] = {1}, res[] = {-10, 4, 0.5f, 0};
    const oct_tensor in[] = {OP_TENSOR(F32, x, 1, 1, 2, 2), OP_TENSOR(F32, w, 1, 1, 1, 1),
                             OP_TENSOR(F32, b, 1), OP_TENSOR(F32, res, 1, 1, 2, 2)};
    const oct_attr_window at = {.group = 1};
    const oct_epilogue e = {.residual = 3, .act = OCT_ACT_LEAKY_RELU, .a = 0.5f};
    op_result r;
    assert_int_equal(op_run(ctx, OCT_OP_CONV, &at, in, 4, 2, &(op_options){.epilogue = &e}, &r),
                     OCT_OK);
    const float want[] = {-3.5f, 1, 7.5f, -3.5f};
    for (int i = 0; i < 4; i++) {
        assert_true(((float *)r.out[0].data)[i] == want[i]);
        assert_true(((float *)r.out[1].data)[i] == want[i]); /* the second output */
    }
    op_result_free(ctx, &r);
}

static void fused_conv_is_conv_with_its_activation(void **state)
{
    (void)state;
    const float x[] = {1, -2, 3, -4}, w[] = {2};
    const oct_tensor in[] = {OP_TENSOR(F32, x, 1, 1, 2, 2), OP_TENSOR(F32, w, 1, 1, 1, 1)};
    const float limits[] = {-3, 5};
    const oct_attr_window at = {
        .group = 1, .activation = "Clip", .activation_params = limits, .n_activation_params = 2};
    op_result r = op_run_ok(ctx, OCT_OP_FUSED_CONV, &at, in, 2, 1);
    const float want[] = {2, -3, 5, -3};
    for (int i = 0; i < 4; i++)
        assert_true(((float *)r.out[0].data)[i] == want[i]);
    op_result_free(ctx, &r);
    const oct_attr_window odd = {.group = 1, .activation = "NoSuch"};
    assert_int_equal(op_run(ctx, OCT_OP_FUSED_CONV, &odd, in, 2, 1, NULL, &r), OCT_ERR_UNSUPPORTED);
    oct_error_clear(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_equal_direct_sums),
        cmocka_unit_test(eight_bit_accumulators_are_exact),
        cmocka_unit_test(bits_do_not_depend_on_layout_batch_or_threads),
        cmocka_unit_test(the_epilogue_adds_bias_then_residual_then_activates),
        cmocka_unit_test(fused_conv_is_conv_with_its_activation),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
