/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/support/cmocka_all.h"
#include "tests/support/op_case.h"

#define N_SYM OCT_DIM_SYMBOL(1) /* batch */
#define H_SYM OCT_DIM_SYMBOL(2)

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

#define SHAPE(...) OP_TENSOR(F32, NULL, __VA_ARGS__)
#define VALUES(...)                                  \
    OP_TENSOR(S64, ((const int64_t[]){__VA_ARGS__}), \
              sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
#define UNKNOWN_RANK ((oct_tensor){.desc = {.dtype = OCT_DT_F32, .shape.n_dims = -1}})

static bool is(const oct_shape *s, int n, const int64_t *dim)
{
    return s->n_dims == n && memcmp(s->dim, dim, sizeof *dim * (size_t)n) == 0;
}
#define IS(shape, ...)                                                            \
    is(&(shape), (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
       (const int64_t[]){__VA_ARGS__})

static oct_shape infer2(oct_op op, const void *attr, oct_tensor a, oct_tensor b)
{
    const oct_tensor in[2] = {a, b};
    oct_tensor_desc out;
    if (op_infer(ctx, op, attr, in, 2, &out, 1) != OCT_OK)
        fail_msg("%s: %s", oct_op_name(op), oct_error_text(ctx));
    return out.shape;
}

static void refuses2(oct_op op, const void *attr, oct_tensor a, oct_tensor b, const char *text)
{
    const oct_tensor in[2] = {a, b};
    oct_tensor_desc out;
    const oct_status st = op_infer(ctx, op, attr, in, 2, &out, 1);
    if (st == OCT_OK || !strstr(oct_error_text(ctx), text))
        fail_msg("%s: expected '%s', got '%s'", oct_op_name(op), text, oct_error_text(ctx));
    oct_error_clear(ctx);
}

static void reshape_solves_for_one_dimension(void **state)
{
    (void)state;
    oct_shape s = infer2(OCT_OP_RESHAPE, NULL, SHAPE(2, 3, 4), VALUES(0, -1));
    assert_true(IS(s, 2, 12));
    s = infer2(OCT_OP_RESHAPE, NULL, SHAPE(N_SYM, 3, 4), VALUES(N_SYM, -1));
    assert_true(IS(s, N_SYM, 12));
    s = infer2(OCT_OP_RESHAPE, NULL, SHAPE(N_SYM, 3, 4), VALUES(-1, 12));
    assert_true(IS(s, N_SYM, 12));
    s = infer2(OCT_OP_RESHAPE, NULL, SHAPE(N_SYM, H_SYM, 4), VALUES(H_SYM, -1, N_SYM));
    assert_true(IS(s, H_SYM, 4, N_SYM));
    s = infer2(OCT_OP_RESHAPE, NULL, SHAPE(N_SYM, 3, 4), VALUES(-1, 6));
    assert_true(oct_dim_is_symbol(s.dim[0]) && s.dim[0] != N_SYM);
    s = infer2(OCT_OP_RESHAPE, NULL, UNKNOWN_RANK, VALUES(0, -1, 5));
    assert_true(s.n_dims == 3 && oct_dim_is_symbol(s.dim[0]) && s.dim[2] == 5);
    s = infer2(OCT_OP_RESHAPE, NULL, SHAPE(0, 3), VALUES(3, -1));
    assert_true(IS(s, 3, 0));
    s = infer2(OCT_OP_RESHAPE, NULL, SHAPE(2, 3), OP_TENSOR(S64, NULL, 4));
    assert_true(s.n_dims == 4 && oct_dim_is_symbol(s.dim[3]));
    s = infer2(OCT_OP_RESHAPE, NULL, SHAPE(2, 3), OP_TENSOR(S64, NULL, N_SYM));
    assert_int_equal(s.n_dims, -1);
}

static void reshape_refuses_what_does_not_fit(void **state)
{
    (void)state;
    const int64_t big = INT64_MAX / 2;
    refuses2(OCT_OP_RESHAPE, NULL, SHAPE(2, 3), VALUES(-1, -1), "more than one -1");
    refuses2(OCT_OP_RESHAPE, NULL, SHAPE(2, 3), VALUES(-2, 3), "entry 0 is -2");
    refuses2(OCT_OP_RESHAPE, NULL, SHAPE(2, 3), VALUES(4, -1), "does not fit");
    refuses2(OCT_OP_RESHAPE, NULL, SHAPE(2, 3), VALUES(5), "expected the elements of 2x3");
    refuses2(OCT_OP_RESHAPE, NULL, SHAPE(2), VALUES(1, 2, 0), "entry 2 is 0");
    refuses2(OCT_OP_RESHAPE, NULL, SHAPE(2, 3), VALUES(big, big, -1), "64 bits");
    refuses2(OCT_OP_RESHAPE, NULL, SHAPE(4), VALUES(1, 1, 1, 1, 1, 1, 1, 1, 4), "at most 8");
    refuses2(OCT_OP_RESHAPE, &(oct_attr_reshape){.allow_zero = true}, SHAPE(0, 3), VALUES(0, -1),
             "does not fit");
}

static void broadcasting_keeps_what_is_certain(void **state)
{
    (void)state;
    oct_shape s = infer2(OCT_OP_ADD, NULL, SHAPE(N_SYM, 3, 1), SHAPE(1, 5));
    assert_true(IS(s, N_SYM, 3, 5));
    s = infer2(OCT_OP_ADD, NULL, SHAPE(N_SYM, 3), SHAPE(N_SYM, 1));
    assert_true(IS(s, N_SYM, 3));
    s = infer2(OCT_OP_ADD, NULL, SHAPE(N_SYM), SHAPE(7));
    assert_true(IS(s, 7));
    s = infer2(OCT_OP_ADD, NULL, SHAPE(0), SHAPE(1));
    assert_true(IS(s, 0));
    s = infer2(OCT_OP_ADD, NULL, UNKNOWN_RANK, SHAPE(7));
    assert_int_equal(s.n_dims, -1);
    refuses2(OCT_OP_ADD, NULL, SHAPE(2), SHAPE(3), "do not broadcast");
    refuses2(OCT_OP_PRELU, NULL, SHAPE(1, 3), SHAPE(2, 3), "slope");
    refuses2(OCT_OP_MUL, NULL, SHAPE(INT64_MAX / 4, 1), SHAPE(1, 64), "too large");
    refuses2(OCT_OP_ADD, NULL, SHAPE(2), OP_TENSOR(S64, NULL, 2), "element types f32 and s64");
    refuses2(OCT_OP_AND, NULL, SHAPE(2), SHAPE(2), "not supported");
}

static void slices_of_unknown_axes(void **state)
{
    (void)state;
    static const struct {
        int64_t dim, start, end, step, want; /* want 1 << 40: some fresh symbol */
    } cases[] = {
        {N_SYM, 0, INT64_MAX, 1, N_SYM},
        {N_SYM, -1, INT64_MIN, -1, N_SYM},
        {N_SYM, 0, N_SYM, 1, N_SYM},
        {N_SYM, 1, INT64_MAX, 1, INT64_C(1) << 40},
        {7, 0, N_SYM, 1, INT64_C(1) << 40},
        {7, 5, INT64_MAX, 2, 1},
        {7, -1, INT64_MIN, -3, 3},
        {7, 0, 0, 1, 0},
        {0, 0, 5, 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const oct_tensor in[5] = {SHAPE(3, cases[i].dim), VALUES(cases[i].start),
                                  VALUES(cases[i].end), VALUES(1), VALUES(cases[i].step)};
        oct_tensor_desc out;
        assert_int_equal(op_infer(ctx, OCT_OP_SLICE, NULL, in, 5, &out, 1), OCT_OK);
        const int64_t got = out.shape.dim[1];
        const bool fresh = oct_dim_is_symbol(got) && got != N_SYM;
        if (cases[i].want == INT64_C(1) << 40 ? !fresh : got != cases[i].want)
            fail_msg("case %d", (int)i);
    }
    const oct_tensor zero[5] = {SHAPE(3, 4), VALUES(0), VALUES(1), VALUES(0), VALUES(0)};
    const oct_tensor twice[4] = {SHAPE(3, 4), VALUES(0, 0), VALUES(1, 1), VALUES(1, -1)};
    oct_tensor_desc out;
    assert_int_equal(op_infer(ctx, OCT_OP_SLICE, NULL, zero, 5, &out, 1), OCT_ERR_SHAPE);
    assert_int_equal(op_infer(ctx, OCT_OP_SLICE, NULL, twice, 4, &out, 1), OCT_ERR_SHAPE);
    assert_non_null(strstr(oct_error_text(ctx), "axis 1 occurs twice"));
    oct_error_clear(ctx);
}

static void squeeze_without_axes_needs_known_dimensions(void **state)
{
    (void)state;
    oct_tensor_desc out;
    const oct_tensor known[1] = {SHAPE(1, 5, 1)}, open[1] = {SHAPE(N_SYM, 5, 1)};
    assert_int_equal(op_infer(ctx, OCT_OP_SQUEEZE, NULL, known, 1, &out, 1), OCT_OK);
    assert_true(IS(out.shape, 5));
    assert_int_equal(op_infer(ctx, OCT_OP_SQUEEZE, NULL, open, 1, &out, 1), OCT_OK);
    assert_int_equal(out.shape.n_dims, -1);
    const oct_shape s = infer2(OCT_OP_SQUEEZE, NULL, SHAPE(N_SYM, 5, 1), VALUES(-1));
    assert_true(IS(s, N_SYM, 5));
    refuses2(OCT_OP_SQUEEZE, NULL, SHAPE(2, 5), VALUES(0), "axis 0 has 2 elements");
    const oct_shape u = infer2(OCT_OP_UNSQUEEZE, NULL, SHAPE(N_SYM, 5), VALUES(0, -1));
    assert_true(IS(u, 1, N_SYM, 5, 1));
    refuses2(OCT_OP_UNSQUEEZE, NULL, SHAPE(5), VALUES(0, 0), "occurs twice");
    refuses2(OCT_OP_UNSQUEEZE, NULL, SHAPE(5), VALUES(3), "rank 2");
}

static void concat_adds_and_merges(void **state)
{
    (void)state;
    const oct_attr_axis axis = {.axis = 1};
    oct_shape s = infer2(OCT_OP_CONCAT, &axis, SHAPE(N_SYM, 2), SHAPE(4, 3));
    assert_true(IS(s, 4, 5));
    s = infer2(OCT_OP_CONCAT, &axis, SHAPE(4, N_SYM), SHAPE(4, 3));
    assert_true(s.dim[0] == 4 && oct_dim_is_symbol(s.dim[1]) && s.dim[1] != N_SYM);
    refuses2(OCT_OP_CONCAT, &axis, SHAPE(4, 2), SHAPE(5, 2), "dimension 0 is 5, expected 4");
    refuses2(OCT_OP_CONCAT, &axis, SHAPE(4, 2), SHAPE(4), "rank 1");
    refuses2(OCT_OP_CONCAT, &axis, SHAPE(1, INT64_MAX), SHAPE(1, 2), "64 bits");
    refuses2(OCT_OP_CONCAT, &(oct_attr_axis){.axis = 2}, SHAPE(4, 2), SHAPE(4, 2), "axis");
}

static void split_gives_the_rest_to_the_last(void **state)
{
    (void)state;
    oct_tensor_desc out[3];
    const oct_attr_axis attr = {.axis = 1, .num_outputs = 3};
    const oct_tensor in[1] = {SHAPE(N_SYM, 7)};
    assert_int_equal(op_infer(ctx, OCT_OP_SPLIT, &attr, in, 1, out, 3), OCT_OK);
    assert_true(IS(out[0].shape, N_SYM, 3) && IS(out[2].shape, N_SYM, 1));
    const oct_attr_axis by_input = {.axis = 1};
    const oct_tensor sized[2] = {in[0], VALUES(1, 2, 3)};
    assert_int_equal(op_infer(ctx, OCT_OP_SPLIT, &by_input, sized, 2, out, 3), OCT_ERR_SHAPE);
    assert_non_null(strstr(oct_error_text(ctx), "sums to 6"));
    oct_error_clear(ctx);
    assert_int_equal(op_infer(ctx, OCT_OP_SPLIT, &by_input, sized, 2, out, 2), OCT_ERR_SHAPE);
    oct_error_clear(ctx);
}

static void reductions_drop_or_keep_their_axes(void **state)
{
    (void)state;
    oct_attr_reduce attr = {.keepdims = false};
    oct_shape s = infer2(OCT_OP_REDUCE_MEAN, &attr, SHAPE(N_SYM, 3, H_SYM, 5), VALUES(-1, 2));
    assert_true(IS(s, N_SYM, 3));
    s = infer2(OCT_OP_REDUCE_MEAN, &attr, SHAPE(N_SYM, 3), OP_TENSOR(S64, NULL, 1));
    assert_int_equal(s.n_dims, 1);
    attr.keepdims = true;
    s = infer2(OCT_OP_REDUCE_MEAN, &attr, SHAPE(N_SYM, 3), OP_TENSOR(S64, NULL, 0));
    assert_true(IS(s, 1, 1));
    attr.noop_with_empty_axes = true;
    s = infer2(OCT_OP_REDUCE_MEAN, &attr, SHAPE(N_SYM, 3), OP_TENSOR(S64, NULL, 0));
    assert_true(IS(s, N_SYM, 3));
    refuses2(OCT_OP_REDUCE_SUM, NULL, SHAPE(2), VALUES(1), "axes");
    refuses2(OCT_OP_REDUCE_SUM, NULL, OP_TENSOR(BOOL, NULL, 2), VALUES(0), "bool");
}

static void hostile_sizes_are_refused(void **state)
{
    (void)state;
    const int64_t big = INT64_MAX / 2;
    refuses2(OCT_OP_EXPAND, NULL, SHAPE(1), VALUES(big, 64), "too large");
    refuses2(OCT_OP_EXPAND, NULL, SHAPE(1), VALUES(-1), "entry 0 is -1");
    refuses2(OCT_OP_TILE, NULL, SHAPE(2), VALUES(big), "output 0");
    refuses2(OCT_OP_TILE, NULL, SHAPE(2, 2), VALUES(1), "1 entries for rank 2");
    refuses2(OCT_OP_PAD, NULL, SHAPE(3), VALUES(INT64_MAX, 1), "pads");
    refuses2(OCT_OP_PAD, NULL, SHAPE(3), VALUES(-2, -2), "pads");
    refuses2(OCT_OP_PAD, NULL, SHAPE(3), VALUES(1, 1, 1), "expected 2");
    refuses2(OCT_OP_GATHER, NULL, SHAPE(3), SHAPE(2), "not supported");
    refuses2(OCT_OP_TOP_K, NULL, SHAPE(3), VALUES(4), "k: 4");
    refuses2(OCT_OP_CUM_SUM, NULL, SHAPE(3), VALUES(1), "axis");
    oct_tensor_desc out;
    const oct_tensor shape[1] = {VALUES(big, 3)}, negative[1] = {VALUES(-5)};
    assert_int_equal(op_infer(ctx, OCT_OP_CONSTANT_OF_SHAPE, NULL, shape, 1, &out, 1),
                     OCT_ERR_LIMIT);
    assert_int_equal(op_infer(ctx, OCT_OP_CONSTANT_OF_SHAPE, NULL, negative, 1, &out, 1),
                     OCT_ERR_SHAPE);
    const oct_tensor range[3] = {VALUES(0), VALUES(INT64_MAX), VALUES(1)};
    const oct_tensor still[3] = {VALUES(0), VALUES(4), VALUES(0)};
    assert_int_equal(op_infer(ctx, OCT_OP_RANGE, NULL, range, 3, &out, 1), OCT_ERR_LIMIT);
    assert_int_equal(op_infer(ctx, OCT_OP_RANGE, NULL, still, 3, &out, 1), OCT_ERR_RANGE);
    oct_attr_transpose perm = {.n_perm = 2, .perm = {0, 0}};
    const oct_tensor x[1] = {SHAPE(2, 3)};
    assert_int_equal(op_infer(ctx, OCT_OP_TRANSPOSE, &perm, x, 1, &out, 1), OCT_ERR_SHAPE);
    perm.perm[1] = 64;
    assert_int_equal(op_infer(ctx, OCT_OP_TRANSPOSE, &perm, x, 1, &out, 1), OCT_ERR_SHAPE);
    const oct_attr_depth_space block = {.block_size = INT64_MAX};
    const oct_tensor deep[1] = {SHAPE(1, 4, 2, 2)};
    assert_int_equal(op_infer(ctx, OCT_OP_DEPTH_TO_SPACE, &block, deep, 1, &out, 1), OCT_ERR_SHAPE);
    oct_error_clear(ctx);
}

static void gathers_splice_shapes(void **state)
{
    (void)state;
    const oct_attr_axis axis = {.axis = 1};
    oct_shape s = infer2(OCT_OP_GATHER, &axis, SHAPE(N_SYM, 9, 4), OP_TENSOR(S64, NULL, 2, H_SYM));
    assert_true(IS(s, N_SYM, 2, H_SYM, 4));
    s = infer2(OCT_OP_GATHER, &axis, SHAPE(N_SYM, 9), OP_SCALAR(S32, NULL));
    assert_true(IS(s, N_SYM));
    const oct_attr_gather_nd batch = {1};
    s = infer2(OCT_OP_GATHER_ND, &batch, SHAPE(2, 5, 6, 7), OP_TENSOR(S64, NULL, 2, 3, 1));
    assert_true(IS(s, 2, 3, 6, 7));
    refuses2(OCT_OP_GATHER_ND, NULL, SHAPE(5), OP_TENSOR(S64, NULL, 3, 2), "last dimension 2");
    refuses2(OCT_OP_GATHER_ND, &(oct_attr_gather_nd){2}, SHAPE(5, 5), OP_TENSOR(S64, NULL, 5, 1),
             "batch_dims");
    refuses2(OCT_OP_GATHER_ELEMENTS, NULL, SHAPE(2, 2), OP_TENSOR(S64, NULL, 2, 3),
             "dimension 1 is 3");
}

static void shapes_of_shapes(void **state)
{
    (void)state;
    oct_tensor_desc out;
    const oct_tensor x[1] = {SHAPE(N_SYM, 3, 4)}, unknown[1] = {UNKNOWN_RANK};
    const oct_attr_shape part = {.start = -2, .end = 100};
    assert_int_equal(op_infer(ctx, OCT_OP_SHAPE, &part, x, 1, &out, 1), OCT_OK);
    assert_true(IS(out.shape, 2) && out.dtype == OCT_DT_S64);
    assert_int_equal(op_infer(ctx, OCT_OP_SHAPE, NULL, unknown, 1, &out, 1), OCT_OK);
    assert_true(out.shape.n_dims == 1 && oct_dim_is_symbol(out.shape.dim[0]));
    const oct_tensor dims[1] = {VALUES(N_SYM, 3)};
    assert_int_equal(op_infer(ctx, OCT_OP_CONSTANT_OF_SHAPE, NULL, dims, 1, &out, 1), OCT_OK);
    assert_true(IS(out.shape, N_SYM, 3));
    const oct_tensor flat[1] = {SHAPE(N_SYM, 3, 4)};
    assert_int_equal(op_infer(ctx, OCT_OP_FLATTEN, NULL, flat, 1, &out, 1), OCT_OK);
    assert_true(IS(out.shape, N_SYM, 12));
}

static void casts_name_what_they_cannot_do(void **state)
{
    (void)state;
    oct_tensor_desc out;
    const oct_tensor x[1] = {SHAPE(3)};
    const oct_attr_cast none = {.to = OCT_DT_NONE};
    assert_int_equal(op_infer(ctx, OCT_OP_CAST, &none, x, 1, &out, 1), OCT_ERR_UNSUPPORTED);
    assert_non_null(strstr(oct_error_text(ctx), "strings"));
    oct_error_clear(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reshape_solves_for_one_dimension),
        cmocka_unit_test(reshape_refuses_what_does_not_fit),
        cmocka_unit_test(broadcasting_keeps_what_is_certain),
        cmocka_unit_test(slices_of_unknown_axes),
        cmocka_unit_test(squeeze_without_axes_needs_known_dimensions),
        cmocka_unit_test(concat_adds_and_merges),
        cmocka_unit_test(split_gives_the_rest_to_the_last),
        cmocka_unit_test(reductions_drop_or_keep_their_axes),
        cmocka_unit_test(hostile_sizes_are_refused),
        cmocka_unit_test(gathers_splice_shapes),
        cmocka_unit_test(shapes_of_shapes),
        cmocka_unit_test(casts_name_what_they_cannot_do),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
