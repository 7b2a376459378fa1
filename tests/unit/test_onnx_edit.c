/* SPDX-License-Identifier: Apache-2.0
 *
 * Documents survive editing and writing: what was not touched comes back byte for byte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/model.h"
#include "engine/onnx_write.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/onnx_build.h"

#define CORPUS OCT_TEST_SOURCE_DIR "/tests/fuzz/corpus/onnx/"

static oct_ctx *ctx;
static char dir[64];

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "edit_XXXXXX");
    return oct_ctx_new(NULL, &ctx) != OCT_OK || !mkdtemp(dir);
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    oct_ctx_free(ctx);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static oct_onnx_doc *base(int64_t opset)
{
    oct_onnx_doc *doc = ob_new(ctx, opset);
    ob_input(doc, "x", OB_FLOAT, OB_DIMS(2, 3, 4));
    ob_output(doc, "y");
    return doc;
}

static oct_model *load(oct_onnx_doc *doc)
{
    oct_model *m = NULL;
    if (ob_load(ctx, doc, NULL, &m) != OCT_OK)
        fail_msg("%s", oct_error_text(ctx));
    return m;
}

static void assert_raised(oct_onnx_doc *doc, int64_t version, const char *line)
{
    oct_model *m = load(doc);
    if (oct_onnx_opset_raise(ctx, doc, version, oct_model_graph(m)) != OCT_OK)
        fail_msg("%s", oct_error_text(ctx));
    oct_model_free(m);
    m = load(doc);
    assert_int_equal(oct_model_get_info(m)->opset, version);
    char *text = ob_dump(ctx, oct_model_graph(m));
    if (!strstr(text, line))
        fail_msg("no \"%s\" in\n%s", line, text);
    oct_free(ctx, text);
    oct_model_free(m);
    oct_onnx_doc_free(doc);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void test_unknown_fields_come_back(void **state)
{
    /* field 77 of the model: 3 bytes; field 99 of the graph: a number */
    static const uint8_t model_extra[] = {0xea, 0x04, 0x03, 'o', 'c', 't'};
    static const uint8_t graph_extra[] = {0x98, 0x06, 0x2a};
    uint8_t *bytes, *again;
    size_t n, n_again;
    (void)state;
    oct_onnx_doc *doc = base(17);
    ob_node(doc, "Relu", "x", "y");
    assert_int_equal(oct_onnx_pack(ctx, doc, &bytes, &n), OCT_OK);
    oct_onnx_doc_free(doc);
    /* graph (field 7) comes after ir_version (2 bytes): open it and put the extra field first */
    assert_int_equal(bytes[2], 7 << 3 | 2);
    assert_true(bytes[3] + sizeof graph_extra < 0x80);
    uint8_t *big = oct_alloc(ctx, n + 16);
    memcpy(big, bytes, 4);
    big[3] = (uint8_t)(bytes[3] + sizeof graph_extra);
    memcpy(big + 4, graph_extra, sizeof graph_extra);
    memcpy(big + 4 + sizeof graph_extra, bytes + 4, n - 4);
    memcpy(big + n + sizeof graph_extra, model_extra, sizeof model_extra);
    n += sizeof graph_extra + sizeof model_extra;
    oct_free(ctx, bytes);
    assert_int_equal(oct_onnx_doc_parse(ctx, big, n, NULL, 0, &doc), OCT_OK);
    assert_int_equal(oct_onnx_metadata_set(doc, "octet.version", "1"), OCT_OK);
    assert_int_equal(oct_onnx_pack(ctx, doc, &again, &n_again), OCT_OK);
    assert_non_null(memmem(again, n_again, model_extra, sizeof model_extra));
    assert_non_null(memmem(again, n_again, graph_extra, sizeof graph_extra));
    assert_non_null(memmem(again, n_again, "octet.version", 13));
    oct_free(ctx, again);
    oct_onnx_doc_free(doc);
}

static void test_a_model_over_the_limit_spills_its_tensors(void **state)
{
    float w[1024];
    char path[128], data[160];
    (void)state;
    for (int i = 0; i < 1024; i++)
        w[i] = (float)i;
    oct_onnx_doc *doc = ob_new(ctx, 17);
    ob_input(doc, "x", OB_FLOAT, OB_DIMS(1024));
    ob_output(doc, "y");
    ob_f32s(doc, "a", w, 1024);
    ob_f32s(doc, "b", w, 1000);
    ob_f32s(doc, "small", w, 1);
    ob_node(doc, "Add", "x a", "t");
    ob_node(doc, "Mul", "t small", "y");
    snprintf(path, sizeof path, "%s/big.onnx", dir);
    snprintf(data, sizeof data, "%s.data", path);
    const oct_onnx_write_options opt = {.limit_bytes = 2000};
    assert_int_equal(oct_onnx_write(ctx, doc, path, &opt), OCT_OK);
    oct_onnx_doc_free(doc);
    assert_true(oct_path_exists(data));
    oct_model *m;
    if (oct_model_load(ctx, path, NULL, &m) != OCT_OK)
        fail_msg("%s", oct_error_text(ctx));
    const oct_graph *g = oct_model_graph(m);
    const oct_value *a = oct_graph_value(g, oct_graph_find_value(g, "a"));
    const oct_value *b = oct_graph_value(g, oct_graph_find_value(g, "b"));
    assert_memory_equal(a->data, w, sizeof w);
    assert_memory_equal(b->data, w, 4000);
    assert_int_equal((uintptr_t)b->data % 64, 0);
    /* External data follows the model to another place, where no file is replaced unasked. */
    assert_int_equal(oct_onnx_write(ctx, oct_model_doc(m), path, NULL), OCT_ERR_USAGE);
    oct_error_clear(ctx);
    snprintf(path, sizeof path, "%s/copy.onnx", dir);
    assert_int_equal(oct_onnx_write(ctx, oct_model_doc(m), path, NULL), OCT_OK);
    oct_model_free(m);
    assert_int_equal(unlink(data), 0);
    assert_int_equal(oct_model_load(ctx, path, NULL, &m), OCT_OK);
    oct_model_free(m);
}

/* ---- editing --------------------------------------------------------------------------------- */

static void test_fresh_names_avoid_every_name_of_the_document(void **state)
{
    (void)state;
    oct_onnx_doc *doc;
    assert_int_equal(oct_onnx_doc_open(ctx, CORPUS "loop_scan.onnx", 0, &doc), OCT_OK);
    assert_string_equal(oct_onnx_fresh_name(doc, "acc2"), "acc2_1"); /* in the loop's body */
    assert_string_equal(oct_onnx_fresh_name(doc, "acc2"), "acc2_2");
    assert_string_equal(oct_onnx_fresh_name(doc, "new"), "new");
    assert_string_equal(oct_onnx_fresh_name(doc, "new"), "new_1");
    oct_onnx_doc_free(doc);
}

static void test_renamed_reads_reach_into_subgraphs(void **state)
{
    (void)state;
    oct_onnx_doc *doc;
    assert_int_equal(oct_onnx_doc_open(ctx, CORPUS "if_capture.onnx", 0, &doc), OCT_OK);
    Onnx__GraphProto *g = doc->model->graph;
    Onnx__NodeProto *n = oct_onnx_node_new(doc, "Abs", "", "abs");
    assert_int_equal(oct_onnx_node_input(doc, n, "x"), OCT_OK);
    assert_int_equal(oct_onnx_node_output(doc, n, "x_abs"), OCT_OK);
    assert_int_equal(oct_onnx_graph_insert(doc, g, 0, n), OCT_OK);
    assert_int_equal(oct_onnx_rename_reads(doc, g, "x", "x_abs", n), OCT_OK);
    oct_model *m = load(doc);
    char *text = ob_dump(ctx, oct_model_graph(m));
    assert_non_null(strstr(text, "%x_abs:f32[s0x3x4x4] = Abs(%x)\n"));
    assert_non_null(strstr(text, "If(%c, %x_abs)"));
    assert_non_null(strstr(text, "= Neg(%x_abs)"));
    oct_free(ctx, text);
    oct_model_free(m);
    oct_onnx_doc_free(doc);
}

static void test_many_insertions_keep_their_order(void **state)
{
    (void)state;
    oct_onnx_doc *doc = base(17);
    ob_node(doc, "Relu", "x", "v0");
    for (int i = 1; i < 300; i++) {
        char in[16], out[16];
        snprintf(in, sizeof in, "v%d", i - 1);
        snprintf(out, sizeof out, i == 299 ? "y" : "v%d", i);
        ob_node(doc, "Relu", in, out);
    }
    oct_model *m = load(doc);
    assert_int_equal(oct_model_get_info(m)->n_model_nodes, 300);
    oct_model_free(m);
    oct_onnx_doc_free(doc);
}

/* ---- opsets ---------------------------------------------------------------------------------- */

static void test_raising_the_opset_rewrites_what_changed(void **state)
{
    const float two[3] = {1, 1, 2};
    const int64_t axes[2] = {0, 1}, k = 1;
    (void)state;
    oct_onnx_doc *doc = base(7);
    Onnx__NodeProto *n = ob_node(doc, "Clip", "x", "y");
    assert_int_equal(oct_onnx_attr_set_f32(doc, n, "max", 6), OCT_OK);
    assert_raised(doc, 13, "= Clip(%x, -, %y_max)");
    doc = base(9);
    ob_f32s(doc, "s", two, 3);
    ob_node(doc, "Upsample", "x s", "y");
    assert_raised(doc, 13,
                  "Resize(%x, -, %s) {coordinate_transformation_mode=asymmetric, "
                  "nearest_mode=floor}");
    doc = base(11);
    n = ob_node(doc, "ReduceMean", "x", "y");
    assert_int_equal(oct_onnx_attr_set_s64s(doc, n, "axes", axes, 2), OCT_OK);
    assert_raised(doc, 19, "%y:f32[1x1x4] = ReduceMean(%x, %y_axes)");
    doc = base(9);
    n = ob_node(doc, "TopK", "x", "y i");
    assert_int_equal(oct_onnx_attr_set_s64(doc, n, "k", k), OCT_OK);
    assert_raised(doc, 13, "TopK(%x, %y_k)");
    doc = base(13);
    n = ob_node(doc, "Split", "x", "y z");
    assert_raised(doc, 19, "Split(%x) {num_outputs=2}");
    doc = base(11); /* axes from 1 on: two of them are longer than 1 */
    ob_node(doc, "Softmax", "x", "y");
    assert_raised(doc, 13,
                  "%y_flat:f32[2x12] = Flatten(%x)\n"
                  "%y_shape:s64[3] = Shape(%x)\n"
                  "%y_2d:f32[2x12] = Softmax(%y_flat)\n"
                  "%y:f32[2x3x4] = Reshape(%y_2d, %y_shape)\n");
    doc = base(11); /* the last one alone */
    n = ob_node(doc, "Softmax", "x", "y");
    assert_int_equal(oct_onnx_attr_set_s64(doc, n, "axis", 2), OCT_OK);
    assert_raised(doc, 13, "%y:f32[2x3x4] = Softmax(%x) {axis=2}\n");
}

static void test_what_cannot_be_raised_is_named(void **state)
{
    (void)state;
    oct_onnx_doc *doc = base(6);
    ob_node(doc, "Relu", "x", "y");
    assert_int_equal(oct_onnx_opset_raise(ctx, doc, 13, NULL), OCT_ERR_UNSUPPORTED);
    oct_error_clear(ctx);
    oct_onnx_doc_free(doc);
    doc = base(11);
    ob_node(doc, "Softmax", "x", "y");
    assert_int_equal(oct_onnx_opset_raise(ctx, doc, 13, NULL), OCT_ERR_UNSUPPORTED);
    assert_non_null(strstr(oct_error_text(ctx), "node 'y' (Softmax): the rank"));
    oct_error_clear(ctx);
    oct_onnx_doc_free(doc);
}

static oct_status raise_and_pack(oct_ctx *c, void *user)
{
    oct_model *m;
    uint8_t *bytes = NULL;
    size_t n;
    OCT_TRY(oct_model_load(c, user, NULL, &m));
    oct_status st = oct_onnx_opset_raise(c, oct_model_doc(m), 19, oct_model_graph(m));
    if (st == OCT_OK)
        st = oct_onnx_metadata_set(oct_model_doc(m), "k", "v");
    if (st == OCT_OK)
        st = oct_onnx_pack(c, oct_model_doc(m), &bytes, &n);
    oct_free(c, bytes);
    oct_model_free(m);
    return st;
}

static void test_every_failing_allocation_is_survived(void **state)
{
    (void)state;
    assert_true(oct_assert_survives_failing_alloc(raise_and_pack, CORPUS "old_ops.onnx", 5000) >
                20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_fields_come_back),
        cmocka_unit_test(test_a_model_over_the_limit_spills_its_tensors),
        cmocka_unit_test(test_fresh_names_avoid_every_name_of_the_document),
        cmocka_unit_test(test_renamed_reads_reach_into_subgraphs),
        cmocka_unit_test(test_many_insertions_keep_their_order),
        cmocka_unit_test(test_raising_the_opset_rewrites_what_changed),
        cmocka_unit_test(test_what_cannot_be_raised_is_named),
        cmocka_unit_test(test_every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
