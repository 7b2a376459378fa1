/* SPDX-License-Identifier: Apache-2.0
 *
 * The public API from a caller's side, over a model of one node that is written here.
 */
#include "octet/octet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cmocka_all.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/tiny_onnx.h"

/* ---- tests ---------------------------------------------------------------------------------- */

static octet_ctx *new_ctx(void)
{
    octet_ctx *ctx = NULL;
    assert_int_equal(octet_ctx_new(NULL, &ctx), OCTET_OK);
    return ctx;
}

static void a_model_says_what_it_takes_and_runs(void **state)
{
    octet_ctx *ctx = new_ctx();
    const oct_tiny_onnx onnx = oct_tiny_onnx_unary("Relu");
    octet_model *m = NULL;
    octet_value_info info;
    assert_int_equal(octet_model_parse(ctx, onnx.data, onnx.n, NULL, &m), OCTET_OK);
    assert_int_equal(octet_model_n_inputs(m), 1);
    assert_int_equal(octet_model_n_outputs(m), 1);
    assert_int_equal(octet_model_input(m, 0, &info), OCTET_OK);
    assert_string_equal(info.name, "x");
    assert_int_equal(info.dtype, OCTET_DTYPE_F32);
    assert_int_equal(info.n_dims, 2);
    assert_int_equal(info.dim[0], -1);
    assert_int_equal(info.dim[1], 4);
    assert_int_equal(octet_model_output(m, 1, &info), OCTET_ERR_RANGE);
    octet_error_clear(ctx);
    for (int64_t n = 1; n <= 3; n++) {
        float x[12] = {-1, 2, -3, 4, 5, -6, 7, -8, 0, -0.0f, 1e-40f, 9};
        const octet_tensor in = {OCTET_DTYPE_F32, 2, {n, 4}, x};
        octet_tensor out;
        assert_int_equal(octet_model_prepare(m, &in, 1), OCTET_OK);
        assert_int_equal(octet_model_run(m, &in, 1, &out, 1), OCTET_OK);
        assert_int_equal(out.dtype, OCTET_DTYPE_F32);
        assert_int_equal(out.n_dims, 2);
        assert_int_equal(out.dim[0], n);
        for (int i = 0; i < 4 * n; i++)
            assert_true(((float *)out.data)[i] == fmaxf(x[i], 0));
    }
    octet_model_close(m);
    octet_model_close(NULL);
    assert_int_equal(octet_memory_now(ctx), 0);
    assert_true(octet_memory_peak(ctx) > 0);
    octet_ctx_free(ctx);
}

static void wrong_tensors_are_refused_with_the_inputs_name(void **state)
{
    octet_ctx *ctx = new_ctx();
    const oct_tiny_onnx onnx = oct_tiny_onnx_unary("Relu");
    octet_model *m = NULL;
    float x[8] = {0};
    octet_tensor out;
    const octet_tensor good = {OCTET_DTYPE_F32, 2, {2, 4}, x};
    const octet_tensor bad[] = {
        {OCTET_DTYPE_F32, 2, {2, 3}, x},  {OCTET_DTYPE_F32, 1, {8}, x},
        {OCTET_DTYPE_S32, 2, {2, 4}, x},  {OCTET_DTYPE_F32, 2, {-2, 4}, x},
        {OCTET_DTYPE_F32, 99, {2, 4}, x}, {OCTET_DTYPE_F32, 2, {2, 4}, NULL},
        {(octet_dtype)77, 2, {2, 4}, x},
    };
    assert_int_equal(octet_model_parse(ctx, onnx.data, onnx.n, NULL, &m), OCTET_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const octet_status st = octet_model_run(m, &bad[i], 1, &out, 1);
        if (st == OCTET_OK || !strstr(octet_error_text(ctx), "x"))
            fail_msg("case %zu: %s", i, octet_error_text(ctx));
        octet_error_clear(ctx);
    }
    assert_int_equal(octet_model_run(m, &good, 2, &out, 1), OCTET_ERR_USAGE);
    octet_error_clear(ctx);
    assert_int_equal(octet_model_run(m, &good, 1, &out, 0), OCTET_ERR_USAGE);
    octet_error_clear(ctx);
    assert_int_equal(octet_model_run(m, &good, 1, &out, 1), OCTET_OK);
    octet_model_close(m);
    octet_ctx_free(ctx);
}

static void bad_models_are_errors_with_a_reason(void **state)
{
    octet_ctx *ctx = new_ctx();
    octet_model *m = NULL;
    const oct_tiny_onnx unknown = oct_tiny_onnx_unary("NoSuchOp");
    oct_tiny_onnx cut = oct_tiny_onnx_unary("Relu");
    assert_int_equal(octet_model_open(ctx, "/no/such.onnx", NULL, &m), OCTET_ERR_NOT_FOUND);
    assert_non_null(strstr(octet_error_text(ctx), "/no/such.onnx"));
    octet_error_clear(ctx);
    assert_int_equal(octet_model_parse(ctx, unknown.data, unknown.n, NULL, &m),
                     OCTET_ERR_UNSUPPORTED);
    assert_non_null(strstr(octet_error_text(ctx), "the_node"));
    octet_error_clear(ctx);
    for (cut.n = cut.n - 1; cut.n > 0; cut.n--) {
        const octet_status st = octet_model_parse(ctx, cut.data, cut.n, NULL, &m);
        if (st == OCTET_OK)
            octet_model_close(m);
        else
            assert_true(octet_error_text(ctx)[0] != '\0');
        octet_error_clear(ctx);
    }
    assert_int_equal(octet_memory_now(ctx), 0);
    octet_ctx_free(ctx);
}

static void option_structs_of_other_versions_are_understood(void **state)
{
    struct {
        octet_ctx_options known;
        size_t from_the_future;
    } opt;
    octet_ctx *ctx = NULL;
    OCTET_INIT(opt);
    assert_int_equal(octet_ctx_new(&opt.known, &ctx), OCTET_OK); /* unknown field at its default */
    octet_ctx_free(ctx);
    ctx = NULL;
    opt.from_the_future = 1;
    assert_int_equal(octet_ctx_new(&opt.known, &ctx), OCTET_ERR_USAGE);
    assert_null(ctx);
    opt.known.struct_size = offsetof(octet_ctx_options, log); /* an older caller */
    assert_int_equal(octet_ctx_new(&opt.known, &ctx), OCTET_OK);
    octet_ctx_free(ctx);
    OCTET_INIT(opt.known);
    opt.known.free = (void (*)(void *, void *, size_t))(void (*)(void))free; /* without alloc */
    assert_int_equal(octet_ctx_new(&opt.known, &ctx), OCTET_ERR_USAGE);
}

/* Load and run with every n-th allocation failing: OCTET_ERR_NOMEM and no leak. */
static void every_failing_allocation_is_survived(void **state)
{
    const oct_tiny_onnx onnx = oct_tiny_onnx_unary("Relu");
    long n = 1;
    for (bool done = false; !done && n < 5000; n++) {
        oct_failing_alloc *a = oct_failing_alloc_new(n, n % 2);
        const oct_allocator hooks = oct_failing_alloc_hooks(a);
        octet_ctx_options opt;
        octet_ctx *ctx = NULL;
        octet_model *m = NULL;
        float x[4] = {-1, 1, -2, 2};
        const octet_tensor in = {OCTET_DTYPE_F32, 2, {1, 4}, x};
        octet_tensor out;
        OCTET_INIT(opt);
        opt.user = hooks.user;
        opt.alloc = hooks.alloc;
        opt.free = hooks.free;
        octet_status st = octet_ctx_new(&opt, &ctx);
        if (st == OCTET_OK)
            st = octet_model_parse(ctx, onnx.data, onnx.n, NULL, &m);
        if (st == OCTET_OK)
            st = octet_model_run(m, &in, 1, &out, 1);
        done = !oct_failing_alloc_hit(a);
        assert_true(!done || st == OCTET_OK);
        if (st != (done ? OCTET_OK : OCTET_ERR_NOMEM) && !(st == OCTET_OK && !done))
            fail_msg("allocation %ld: %s (%s)", n, octet_status_str(st),
                     ctx ? octet_error_text(ctx) : "");
        octet_model_close(m);
        octet_ctx_free(ctx);
        if (oct_failing_alloc_live(a) != 0)
            fail_msg("allocation %ld: %ld blocks leak", n, oct_failing_alloc_live(a));
        oct_failing_alloc_free(a);
    }
    assert_in_range(n, 10, 4999);
}

static int always(void *user)
{
    return user != NULL;
}

static void callbacks_reach_the_caller(void **state)
{
    octet_ctx_options opt;
    octet_ctx *ctx = NULL;
    OCTET_INIT(opt);
    opt.user = &opt;
    opt.cancelled = always;
    opt.memory_limit_bytes = 1 << 20;
    assert_int_equal(octet_ctx_new(&opt, &ctx), OCTET_OK);
    octet_ctx_free(ctx);
    octet_ctx_free(NULL);
    assert_string_equal(octet_status_str(OCTET_ERR_CANCELLED), "cancelled");
    assert_int_equal(octet_dtype_bytes(OCTET_DTYPE_F16), 2);
    assert_string_equal(octet_dtype_str(OCTET_DTYPE_BF16), "bf16");
    assert_true(octet_cpu_count() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_says_what_it_takes_and_runs),
        cmocka_unit_test(wrong_tensors_are_refused_with_the_inputs_name),
        cmocka_unit_test(bad_models_are_errors_with_a_reason),
        cmocka_unit_test(option_structs_of_other_versions_are_understood),
        cmocka_unit_test(every_failing_allocation_is_survived),
        cmocka_unit_test(callbacks_reach_the_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
