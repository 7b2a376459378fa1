/* SPDX-License-Identifier: Apache-2.0
 *
 * ONNX models come in right, in canonical form, or are refused with a reason.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "engine/model.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/onnx_build.h"

#define CORPUS OCT_TEST_SOURCE_DIR "/tests/fuzz/corpus/onnx/"

static oct_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    return oct_ctx_new(NULL, &ctx);
}

static int teardown(void **state)
{
    (void)state;
    oct_ctx_free(ctx); /* asserts that nothing leaked */
    return 0;
}

static void assert_refused(oct_onnx_doc *doc, oct_status st, const char *words)
{
    oct_model *m = NULL;
    assert_int_equal(ob_load(ctx, doc, NULL, &m), st);
    if (!strstr(oct_error_text(ctx), words))
        fail_msg("\"%s\" does not say \"%s\"", oct_error_text(ctx), words);
    oct_error_clear(ctx);
    oct_onnx_doc_free(doc);
}

static oct_model *load(oct_onnx_doc *doc)
{
    oct_model *m = NULL;
    const oct_status st = ob_load(ctx, doc, NULL, &m);
    if (st != OCT_OK)
        fail_msg("%s", oct_error_text(ctx));
    oct_onnx_doc_free(doc);
    return m;
}

static oct_model *load_corpus(const char *name)
{
    char path[512];
    oct_model *m = NULL;
    snprintf(path, sizeof path, CORPUS "%s", name);
    if (oct_model_load(ctx, path, NULL, &m) != OCT_OK)
        fail_msg("%s", oct_error_text(ctx));
    return m;
}

static void assert_line(const oct_graph *g, const char *line)
{
    char *text = ob_dump(ctx, g);
    if (!strstr(text, line))
        fail_msg("no \"%s\" in\n%s", line, text);
    oct_free(ctx, text);
}

static oct_onnx_doc *relu_model(int64_t opset)
{
    oct_onnx_doc *doc = ob_new(ctx, opset);
    ob_input(doc, "x", OB_FLOAT, OB_DIMS(-1, 4));
    ob_output(doc, "y");
    return doc;
}

/* ---- what comes in --------------------------------------------------------------------------- */

static void test_attributes_of_old_opsets_become_inputs(void **state)
{
    (void)state;
    oct_model *m = load_corpus("old_ops.onnx");
    const oct_graph *g = oct_model_graph(m);
    assert_line(g, "%c:f32[s0x3x4x4] = Clip(%x, %c/min, %c/max)\n");
    assert_line(g, "%p:f32[s0x3x6x6] = Pad(%c, %p/pads, %p/value)\n");
    assert_line(g, "= Resize(%p, -, %sc) {coordinate_transformation_mode=asymmetric, "
                   "nearest_mode=floor}\n");
    assert_line(g, "%s:f32[s0x2x12x12] = Slice(%u, %s/starts, %s/ends, %s/axes)\n");
    assert_line(g, "= Softmax(%s) {axis=1, octet_flatten_2d=1}\n");
    assert_line(g, "%d:f32[s0x2x12x12] = Dropout(%sm)\n");
    assert_line(g, "%y:f32[1xs0x2] = Unsqueeze(%r, %y/axes)\n");
    oct_model_free(m);
}

static void test_functions_are_inlined_with_their_attributes(void **state)
{
    (void)state;
    oct_model *m = load_corpus("functions.onnx");
    const float *k;
    assert_line(oct_model_graph(m), "%n/t:f32[s0x3x4x4] = LeakyRelu(%x) {alpha=0.3}\n"
                                    "%m:f32[s0x3x4x4] = Mul(%n/t, %n/o/k)\n"
                                    "%y:f32[s0x3x4x4] = Mul(%m, %y/k)\n");
    k = oct_graph_value(oct_model_graph(m), oct_graph_find_value(oct_model_graph(m), "y/k"))->data;
    assert_true(*k == 2.0f);
    oct_model_free(m);
}

static void test_captured_values_are_explicit(void **state)
{
    (void)state;
    oct_model *m = load_corpus("if_capture.onnx");
    assert_line(oct_model_graph(m), "%y:f32[s0x3x4x4] = If(%c, %x) {then_branch=@0, "
                                    "else_branch=@1, octet_captured=1}\n");
    oct_model_free(m);
    m = load_corpus("loop_scan.onnx");
    assert_line(oct_model_graph(m), "%final:f32[s0x3x4x4], %y:f32[s1xs0x3x4x4] = "
                                    "Loop(%trip, -, %x, %x) {body=@0, octet_captured=1}\n");
    const oct_node *n = oct_graph_node(oct_model_graph(m), 0);
    assert_int_equal(((const oct_attr_control *)n->attr)->n_captured, 1);
    oct_model_free(m);
}

static void test_typed_tensors_of_every_type_keep_their_elements(void **state)
{
    (void)state;
    oct_model *m = load_corpus("types.onnx");
    const oct_graph *g = oct_model_graph(m);
    const oct_value *f16 = oct_graph_value(g, oct_graph_find_value(g, "f16"));
    const oct_value *s8 = oct_graph_value(g, oct_graph_find_value(g, "i8"));
    const oct_value *u32 = oct_graph_value(g, oct_graph_find_value(g, "u32"));
    const oct_value *big = oct_graph_value(g, oct_graph_find_value(g, "big"));
    assert_int_equal(f16->dtype, OCT_DT_F16);
    assert_int_equal(((const uint16_t *)f16->data)[1], 0x7400); /* 16384 */
    assert_int_equal(((const int8_t *)s8->data)[0], -1);
    assert_int_equal(((const uint32_t *)u32->data)[0], 9);
    assert_int_equal(((const int32_t *)big->data)[39], 39);
    oct_model_free(m);
}

static void test_raw_data_is_borrowed_and_aligned(void **state)
{
    (void)state;
    float w[4][100];
    oct_onnx_doc *doc = relu_model(17);
    for (int i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "%.*s", i + 1, "wwww"); /* odd offsets in the file */
        for (int k = 0; k < 100; k++)
            w[i][k] = (float)(100 * i + k);
        ob_f32s(doc, name, w[i], 100);
    }
    ob_node(doc, "Relu", "x", "y");
    oct_model *m = load(doc);
    const oct_graph *g = oct_model_graph(m);
    for (int i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "%.*s", i + 1, "wwww");
        const oct_value *v = oct_graph_value(g, oct_graph_find_value(g, name));
        assert_memory_equal(v->data, w[i], sizeof w[i]);
        assert_int_equal((uintptr_t)v->data % 8, 0);
    }
    assert_true(oct_mem_now(ctx) < 40000); /* 1,600 bytes of weights in the file, once */
    oct_model_free(m);
}

static void test_clip_bounds_of_a_half_model_are_halves(void **state)
{
    (void)state;
    oct_onnx_doc *doc = ob_new(ctx, 7);
    ob_input(doc, "x", OB_FLOAT16, OB_DIMS(1, 4));
    ob_output(doc, "y");
    Onnx__NodeProto *n = ob_node(doc, "Clip", "x", "y");
    assert_int_equal(oct_onnx_attr_set_f32(doc, n, "max", 6), OCT_OK);
    oct_model *m = load(doc);
    const oct_graph *g = oct_model_graph(m);
    const oct_value *v = oct_graph_value(g, oct_graph_find_value(g, "y/max"));
    assert_int_equal(v->dtype, OCT_DT_F16);
    assert_int_equal(*(const uint16_t *)v->data, 0x4600);
    oct_model_free(m);
}

static void test_an_initializer_that_is_an_input_is_a_constant(void **state)
{
    (void)state;
    const float w[4] = {1, 2, 3, 4};
    uint32_t n;
    oct_onnx_doc *doc = relu_model(17);
    ob_input(doc, "w", OB_FLOAT, OB_DIMS(4));
    ob_f32s(doc, "w", w, 4);
    ob_node(doc, "Add", "x w", "y");
    oct_model *m = load(doc);
    oct_graph_inputs(oct_model_graph(m), &n);
    assert_int_equal(n, 1);
    oct_model_free(m);
}

static void test_nodes_out_of_order_are_sorted(void **state)
{
    (void)state;
    oct_onnx_doc *doc = relu_model(17);
    ob_node(doc, "Relu", "b", "y");
    ob_node(doc, "Neg", "a", "b");
    ob_node(doc, "Abs", "x", "a");
    oct_model *m = load(doc);
    assert_line(oct_model_graph(m), "Abs(%x)\n%b:f32[s0x4] = Neg(%a)\n%y:f32[s0x4] = Relu(%b)\n");
    oct_model_free(m);
}

static void test_broadcast_axis_of_opset_6_becomes_trailing_ones(void **state)
{
    (void)state;
    const float b[3] = {1, 2, 3};
    oct_onnx_doc *doc = ob_new(ctx, 6);
    ob_input(doc, "x", OB_FLOAT, OB_DIMS(-1, 3, 4, 4));
    ob_output(doc, "y");
    ob_f32s(doc, "b", b, 3);
    Onnx__NodeProto *n = ob_node(doc, "Add", "x b", "y");
    assert_int_equal(oct_onnx_attr_set_s64(doc, n, "axis", 1), OCT_OK);
    assert_int_equal(oct_onnx_attr_set_s64(doc, n, "broadcast", 1), OCT_OK);
    oct_model *m = load(doc);
    assert_line(oct_model_graph(m), ":f32[3x1x1] = Unsqueeze(%b, ");
    assert_line(oct_model_graph(m), "%y:f32[s0x3x4x4] = Add(");
    oct_model_free(m);
}

/* ---- shape arithmetic ------------------------------------------------------------------------ */

static void test_a_batch_read_from_the_shape_stays_the_same_symbol(void **state)
{
    (void)state;
    const int64_t zero = 0, minus = -1;
    oct_onnx_doc *doc = ob_new(ctx, 17);
    ob_input(doc, "x", OB_FLOAT, OB_DIMS(-1, 3, 4, 4));
    ob_output(doc, "y");
    ob_s64s(doc, "zero", &zero, 1);
    ob_s64s(doc, "minus", &minus, 1);
    ob_node(doc, "Shape", "x", "s");
    ob_node(doc, "Gather", "s zero", "batch");
    ob_node(doc, "Concat", "batch minus", "target");
    assert_int_equal(oct_onnx_attr_set_s64(doc, doc->model->graph->node[2], "axis", 0), OCT_OK);
    ob_node(doc, "Reshape", "x target", "y");
    oct_model *m = load(doc);
    assert_line(oct_model_graph(m), "%y:f32[s0x48] = Reshape(%x, %target)\n");
    oct_graph *copy;
    assert_int_equal(oct_graph_clone(ctx, oct_model_graph(m), &copy), OCT_OK);
    const oct_shape five = {.dim = {5, 3, 4, 4}, .n_dims = 4};
    assert_int_equal(oct_graph_infer(ctx, copy, &five), OCT_OK);
    const oct_value *t = oct_graph_value(copy, oct_graph_find_value(copy, "target"));
    assert_non_null(t->data);
    assert_int_equal(((const int64_t *)t->data)[0], 5);
    assert_line(copy, "%y:f32[5x48] = Reshape(%x, %target)\n");
    const oct_shape two = {.dim = {2, 3, 4, 4}, .n_dims = 4};
    assert_int_equal(oct_graph_infer(ctx, copy, &two), OCT_OK);
    assert_line(copy, "%y:f32[2x48] = Reshape(%x, %target)\n");
    oct_graph_free(copy);
    oct_model_free(m);
}

static void test_the_same_sum_of_unknowns_is_the_same_unknown(void **state)
{
    (void)state;
    const int64_t zero = 0, two = 2, rest = 4;
    oct_onnx_doc *doc = relu_model(17);
    ob_s64s(doc, "zero", &zero, 1);
    ob_s64s(doc, "two", &two, 1);
    ob_s64s(doc, "four", &rest, 1);
    ob_node(doc, "Shape", "x", "s");
    ob_node(doc, "Gather", "s zero", "b");
    ob_node(doc, "Mul", "b two", "c");
    ob_node(doc, "Mul", "two b", "d");
    ob_node(doc, "Sub", "c d", "nothing"); /* equal unknowns cancel */
    ob_node(doc, "Add", "nothing b", "again");
    ob_node(doc, "Concat", "again four", "target");
    assert_int_equal(oct_onnx_attr_set_s64(doc, doc->model->graph->node[6], "axis", 0), OCT_OK);
    ob_node(doc, "Reshape", "x target", "y");
    oct_model *m = load(doc);
    assert_line(oct_model_graph(m), "%y:f32[s0x4] = Reshape(%x, %target)\n");
    oct_model_free(m);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void test_broken_graphs_are_refused_with_the_name(void **state)
{
    (void)state;
    oct_onnx_doc *doc = relu_model(17);
    ob_node(doc, "Add", "x b", "a");
    ob_node(doc, "Relu", "a", "b");
    ob_node(doc, "Relu", "b", "y");
    assert_refused(doc, OCT_ERR_FORMAT, "cyclic graph: node 0 'a' (Add)");
    doc = relu_model(17);
    ob_node(doc, "Relu", "x", "y");
    ob_node(doc, "Neg", "x", "y");
    assert_refused(doc, OCT_ERR_FORMAT, "value 'y' is defined twice");
    doc = relu_model(17);
    ob_node(doc, "Relu", "nowhere", "y");
    assert_refused(doc, OCT_ERR_FORMAT, "input 'nowhere' is made by nothing");
    doc = relu_model(17);
    ob_node(doc, "Relu", "x", "z");
    assert_refused(doc, OCT_ERR_FORMAT, "graph output 0 'y' is made by nothing");
    doc = relu_model(17);
    ob_node(doc, "Relu", "x x", "y");
    assert_refused(doc, OCT_ERR_FORMAT, "has 2 inputs, expected 1 to 1");
    doc = relu_model(17);
    Onnx__NodeProto *n = ob_node(doc, "Flatten", "x", "y");
    assert_int_equal(oct_onnx_attr_set_f32(doc, n, "axis", 1), OCT_OK);
    assert_refused(doc, OCT_ERR_FORMAT, "attribute 'axis' has type FLOAT, expected INT");
    doc = relu_model(17);
    ob_node(doc, "Relu", "x", "y");
    doc->model->n_opset_import = 0;
    assert_refused(doc, OCT_ERR_FORMAT, "imports no operator set");
}

static void test_broken_tensors_are_refused_with_the_name(void **state)
{
    (void)state;
    const float w[4] = {0};
    int64_t huge[2] = {INT64_C(1) << 31, INT64_C(1) << 31}, negative[1] = {-4};
    for (int k = 0; k < 4; k++) {
        oct_onnx_doc *doc = relu_model(17);
        ob_f32s(doc, "w", w, 4);
        ob_node(doc, "Add", "x w", "y");
        Onnx__TensorProto *t = doc->model->graph->initializer[0];
        static const char *const words[] = {"overflow", "dimension 0 is -4", "raw_data of 12 bytes",
                                            "element type COMPLEX64"};
        if (k == 0) {
            t->dims = huge;
            t->n_dims = 2;
        } else if (k == 1) {
            t->dims = negative;
        } else if (k == 2) {
            t->raw_data.len = 12;
        } else {
            t->data_type = 14;
        }
        assert_refused(doc, k == 3 ? OCT_ERR_UNSUPPORTED : OCT_ERR_FORMAT, words[k]);
    }
    oct_onnx_doc *doc = ob_new(ctx, 17);
    ob_input(doc, "x", OB_FLOAT, OB_DIMS(huge[0], huge[0], 4));
    ob_output(doc, "y");
    ob_node(doc, "Relu", "x", "y");
    assert_refused(doc, OCT_ERR_FORMAT, "dimensions overflow");
    doc = ob_new(ctx, 17);
    ob_input(doc, "x", OB_FLOAT, OB_DIMS(-7, 4));
    ob_output(doc, "y");
    ob_node(doc, "Relu", "x", "y");
    assert_refused(doc, OCT_ERR_FORMAT, "dimension -7");
}

static void test_all_unsupported_operators_are_listed_at_once(void **state)
{
    (void)state;
    const oct_unsupported *list;
    const oct_model_options keep = {.keep_unsupported = true};
    oct_model *m;
    for (int k = 0; k < 2; k++) {
        oct_onnx_doc *doc = relu_model(17);
        ob_node(doc, "Foo", "x", "a");
        ob_node(doc, "Relu", "a", "b");
        ob_node(doc, "Foo", "b", "c");
        ob_node(doc, "Bar", "c", "y");
        if (k == 0) {
            assert_refused(doc, OCT_ERR_UNSUPPORTED,
                           "3 unsupported nodes; Foo (2 nodes, first 'a') of opset 17: no such "
                           "operator in octet; Bar ('y') of opset 17");
            continue;
        }
        assert_int_equal(ob_load(ctx, doc, &keep, &m), OCT_OK);
        assert_int_equal(oct_model_unsupported(m, &list), 3);
        assert_string_equal(list[1].node, "c");
        assert_int_equal(list[1].opset, 17);
        oct_model_free(m);
        oct_onnx_doc_free(doc);
    }
}

/* Loads fine, or says why not with a code for bad input. */
static void try_bytes(const uint8_t *bytes, size_t n, const char *what)
{
    oct_model *m = NULL;
    const oct_status st = oct_model_parse(ctx, bytes, n, NULL, NULL, &m);
    const int code = oct_status_exit_code(st);
    if (st != OCT_OK && (code < 4 || code > 6 || !*oct_error_text(ctx)))
        fail_msg("%s: exit %d, \"%s\"", what, code, oct_error_text(ctx));
    oct_error_clear(ctx);
    oct_model_free(m);
}

static void test_every_truncation_and_byte_flip_is_survived(void **state)
{
    (void)state;
    uint8_t *bytes;
    size_t n;
    assert_int_equal(oct_file_read(ctx, CORPUS "loop_scan.onnx", 0, &bytes, &n), OCT_OK);
    for (size_t i = 0; i < n; i++)
        try_bytes(bytes, i, "truncated");
    for (size_t i = 0; i < n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1 << bit);
            try_bytes(bytes, n, "flipped");
            bytes[i] ^= (uint8_t)(1 << bit);
        }
    }
    oct_free(ctx, bytes);
}

static int for_each_onnx(const char *dir, void (*fn)(const char *path))
{
    char path[1024];
    int n = 0;
    DIR *d = opendir(dir);
    if (!d)
        return 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (!strstr(e->d_name, ".onnx"))
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        fn(path);
        n++;
    }
    closedir(d);
    return n;
}

static void load_or_explain(const char *path)
{
    oct_model *m = NULL;
    const oct_status st = oct_model_load(ctx, path, NULL, &m);
    const int code = oct_status_exit_code(st);
    if (st != OCT_OK && ((code != 4 && code != 5) || !strstr(oct_error_text(ctx), path)))
        fail_msg("%s: exit %d, \"%s\"", path, code, oct_error_text(ctx));
    oct_error_clear(ctx);
    oct_model_free(m);
}

static void must_load(const char *path)
{
    oct_model *m = NULL;
    if (oct_model_load(ctx, path, NULL, &m) != OCT_OK)
        fail_msg("%s", oct_error_text(ctx));
    assert_int_equal(oct_graph_check(ctx, oct_model_graph(m)), OCT_OK);
    for (uint32_t v = 0; v < oct_graph_n_values(oct_model_graph(m)); v++)
        assert_true(oct_graph_value(oct_model_graph(m), v)->shape.n_dims >= 0);
    oct_model_free(m);
}

static void test_damaged_files_load_or_say_why_not(void **state)
{
    (void)state;
    if (for_each_onnx(OCT_TEST_DATA_DIR "/bad-onnx", load_or_explain) == 0)
        skip();
}

static void test_real_models_load_with_all_shapes_known(void **state)
{
    (void)state;
    if (for_each_onnx(OCT_TEST_DATA_DIR "/models", must_load) == 0)
        skip();
}

static oct_status load_and_free(oct_ctx *c, void *user)
{
    oct_model *m = NULL;
    OCT_TRY(oct_model_load(c, user, NULL, &m));
    oct_model_free(m);
    return OCT_OK;
}

static void test_every_failing_allocation_is_reported_and_leaks_nothing(void **state)
{
    static const char *const name[] = {"conv_net",  "shape_arith", "if_capture", "loop_scan",
                                       "functions", "old_ops",     "types",      "resize"};
    char path[512];
    (void)state;
    for (size_t i = 0; i < sizeof name / sizeof name[0]; i++) {
        snprintf(path, sizeof path, CORPUS "%s.onnx", name[i]);
        assert_true(oct_assert_survives_failing_alloc(load_and_free, path, 5000) > 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attributes_of_old_opsets_become_inputs),
        cmocka_unit_test(test_functions_are_inlined_with_their_attributes),
        cmocka_unit_test(test_captured_values_are_explicit),
        cmocka_unit_test(test_typed_tensors_of_every_type_keep_their_elements),
        cmocka_unit_test(test_raw_data_is_borrowed_and_aligned),
        cmocka_unit_test(test_clip_bounds_of_a_half_model_are_halves),
        cmocka_unit_test(test_an_initializer_that_is_an_input_is_a_constant),
        cmocka_unit_test(test_nodes_out_of_order_are_sorted),
        cmocka_unit_test(test_broadcast_axis_of_opset_6_becomes_trailing_ones),
        cmocka_unit_test(test_a_batch_read_from_the_shape_stays_the_same_symbol),
        cmocka_unit_test(test_the_same_sum_of_unknowns_is_the_same_unknown),
        cmocka_unit_test(test_broken_graphs_are_refused_with_the_name),
        cmocka_unit_test(test_broken_tensors_are_refused_with_the_name),
        cmocka_unit_test(test_all_unsupported_operators_are_listed_at_once),
        cmocka_unit_test(test_every_truncation_and_byte_flip_is_survived),
        cmocka_unit_test(test_damaged_files_load_or_say_why_not),
        cmocka_unit_test(test_real_models_load_with_all_shapes_known),
        cmocka_unit_test(test_every_failing_allocation_is_reported_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
