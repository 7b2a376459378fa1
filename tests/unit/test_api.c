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

/* ---- y = Relu(x), x: float [N, 4], as protobuf --------------------------------------------- */

typedef struct bytes {
    unsigned char data[512];
    size_t n;
} bytes;

static void put_int(bytes *b, int field, unsigned v)
{
    b->data[b->n++] = (unsigned char)(field << 3);
    for (; v >= 0x80; v >>= 7)
        b->data[b->n++] = (unsigned char)(v | 0x80);
    b->data[b->n++] = (unsigned char)v;
}

static void put_bytes(bytes *b, int field, const void *p, size_t n)
{
    assert_true(n < 128 * 128);
    b->data[b->n++] = (unsigned char)(field << 3 | 2);
    if (n >= 0x80)
        b->data[b->n++] = (unsigned char)(n | 0x80);
    b->data[b->n++] = (unsigned char)(n >= 0x80 ? n >> 7 : n);
    memcpy(b->data + b->n, p, n);
    b->n += n;
}

static void put_text(bytes *b, int field, const char *s)
{
    put_bytes(b, field, s, strlen(s));
}

static void put_sub(bytes *b, int field, const bytes *sub)
{
    put_bytes(b, field, sub->data, sub->n);
}

static bytes value_info(const char *name)
{
    bytes dim_n = {.n = 0}, dim_4 = {.n = 0}, shape = {.n = 0}, tensor = {.n = 0}, type = {.n = 0};
    bytes info = {.n = 0};
    put_text(&dim_n, 2, "N");
    put_int(&dim_4, 1, 4);
    put_sub(&shape, 1, &dim_n);
    put_sub(&shape, 1, &dim_4);
    put_int(&tensor, 1, 1);
    put_sub(&tensor, 2, &shape);
    put_sub(&type, 1, &tensor);
    put_text(&info, 1, name);
    put_sub(&info, 2, &type);
    return info;
}

static bytes model_of(const char *op)
{
    bytes node = {.n = 0}, graph = {.n = 0}, opset = {.n = 0}, model = {.n = 0};
    const bytes x = value_info("x"), y = value_info("y");
    put_text(&node, 1, "x");
    put_text(&node, 2, "y");
    put_text(&node, 3, "the_node");
    put_text(&node, 4, op);
    put_sub(&graph, 1, &node);
    put_text(&graph, 2, "g");
    put_sub(&graph, 11, &x);
    put_sub(&graph, 12, &y);
    put_int(&opset, 2, 17);
    put_int(&model, 1, 8);
    put_sub(&model, 7, &graph);
    put_sub(&model, 8, &opset);
    return model;
}

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
    const bytes onnx = model_of("Relu");
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
    const bytes onnx = model_of("Relu");
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
    const bytes unknown = model_of("NoSuchOp");
    bytes cut = model_of("Relu");
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
    const bytes onnx = model_of("Relu");
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
