/* SPDX-License-Identifier: Apache-2.0
 *
 * Files made to hurt: refused fast, with little memory, and never a file outside the model's folder.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/model.h"
#include "engine/onnx_scan.h"
#include "engine/onnx_write.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/onnx_build.h"

enum { MEMORY = 256 << 20 };

static oct_ctx *ctx;
static char dir[64];

static int setup(void **state)
{
    const oct_ctx_options opt = {.memory_limit_bytes = MEMORY};
    (void)state;
    snprintf(dir, sizeof dir, "hostile_XXXXXX");
    return oct_ctx_new(&opt, &ctx) != OCT_OK || !mkdtemp(dir);
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    oct_ctx_free(ctx);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

/* ---- bytes by hand ---------------------------------------------------------------------------- */

static size_t put_varint(uint8_t *p, size_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        p[n++] = (uint8_t)(v | 0x80);
    p[n++] = (uint8_t)v;
    return n;
}

/* ModelProto.graph holding `n` copies of the two bytes `field` (an empty submessage or string),
 * inside `outer` (0 = directly in the graph). */
static uint8_t *repeated(uint8_t tag, size_t n, uint8_t outer, size_t *n_bytes)
{
    uint8_t *bytes = oct_alloc(ctx, 2 * n + 32), head[32];
    assert_non_null(bytes);
    size_t k = 0;
    if (outer) {
        head[k++] = outer;
        k += put_varint(head + k, 2 * n);
    }
    bytes[0] = 7 << 3 | 2;
    size_t at = 1 + put_varint(bytes + 1, 2 * n + k);
    memcpy(bytes + at, head, k);
    at += k;
    for (size_t i = 0; i < n; i++, at += 2) {
        bytes[at] = tag;
        bytes[at + 1] = 0;
    }
    *n_bytes = at;
    return bytes;
}

static void assert_bytes_refused(uint8_t *bytes, size_t n, oct_status st, const char *words)
{
    oct_onnx_doc *doc;
    assert_int_equal(oct_onnx_doc_parse(ctx, bytes, n, NULL, 0, &doc), st);
    if (!strstr(oct_error_text(ctx), words))
        fail_msg("\"%s\" does not say \"%s\"", oct_error_text(ctx), words);
    oct_error_clear(ctx);
}

static void test_a_million_nested_graphs_are_refused(void **state)
{
    enum { DEPTH = 1000000, HEADER = 6 };
    static const uint8_t tag[] = {6 << 3 | 2, 5 << 3 | 2, 1 << 3 | 2}; /* g, attribute, node */
    (void)state;
    uint8_t *bytes = oct_alloc(ctx, (size_t)3 * DEPTH * HEADER + 16);
    assert_non_null(bytes);
    uint8_t *end = bytes + (size_t)3 * DEPTH * HEADER + 16, *p = end;
    for (size_t i = 0; i <= (size_t)3 * DEPTH; i++) { /* from the inside out */
        uint8_t head[HEADER];
        const size_t n = put_varint(head, (size_t)(end - p));
        p -= n;
        memcpy(p, head, n);
        *--p = i == (size_t)3 * DEPTH ? 7 << 3 | 2 : tag[i % 3];
    }
    const size_t n = (size_t)(end - p);
    memmove(bytes, p, n);
    assert_bytes_refused(bytes, n, OCT_ERR_LIMIT, "nested more than 100 deep");
}

static void test_twenty_megabytes_of_nothing_are_refused(void **state)
{
    size_t n;
    (void)state;
    uint8_t *bytes = repeated(1 << 3 | 2, 10000000, 0, &n); /* empty nodes */
    assert_bytes_refused(bytes, n, OCT_ERR_LIMIT, "more than 1000000 nodes");
    bytes = repeated(5 << 3 | 2, 10000000, 0, &n); /* empty initializers */
    assert_bytes_refused(bytes, n, OCT_ERR_LIMIT, "out of proportion");
    bytes = repeated(5 << 3 | 2, 10000000, 1 << 3 | 2, &n); /* a node's empty attributes */
    assert_bytes_refused(bytes, n, OCT_ERR_LIMIT, "out of proportion");
    bytes = repeated(1 << 3 | 2, 10000000, 1 << 3 | 2, &n); /* a node's empty input names */
    assert_bytes_refused(bytes, n, OCT_ERR_LIMIT, "out of proportion");
    bytes = repeated(6 << 3 | 0, 10000000, 0, &n); /* unknown numbers */
    assert_bytes_refused(bytes, n, OCT_ERR_LIMIT, "");
}

static void test_broken_wire_format_is_refused_with_the_offset(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *words;
    } row[] = {
        {"\x3a\x05\x0a", 3, "byte 0, in ModelProto: field of 5 bytes, but only 1 are left"},
        {"\x08", 1, "byte 1, in ModelProto: number cut off"},
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, "byte 1"},
        {"\x3a\x02\x0b\x00", 4, "byte 2, in GraphProto: field of a wire type"},
        {"\x3a\x02\x08\x00", 4, "byte 2, in GraphProto: field 'node' has wire type 0"},
        {"\x3a\x02\x00\x00", 4, "byte 2, in GraphProto: not a field tag"},
        {"\x3a\x05\x2a\x03\x22\x01\x00", 7, "packed field with a broken last element"},
        {"\x08\x08", 2, "no graph"},
        {"", 0, "empty file"},
        {"version https://git-lfs.github.com/spec/v1", 42, "git lfs pull"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        uint8_t *bytes = oct_alloc(ctx, row[i].n);
        memcpy(bytes, row[i].bytes, row[i].n);
        assert_bytes_refused(bytes, row[i].n, OCT_ERR_FORMAT, row[i].words);
    }
}

static void test_the_slim_copy_differs_by_tokens_only(void **state)
{
    uint8_t data[300];
    size_t n;
    (void)state;
    oct_onnx_doc *doc = ob_new(ctx, 17);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)i;
    for (int64_t len = 1; len <= 300; len += len < 20 ? 1 : 140) {
        char name[16];
        const oct_shape s = {.dim = {len}, .n_dims = 1};
        snprintf(name, sizeof name, "t%lld", (long long)len);
        assert_non_null(
            oct_onnx_initializer_add(doc, doc->model->graph, name, OCT_DT_U8, &s, data, true));
    }
    uint8_t *bytes;
    assert_int_equal(oct_onnx_pack(ctx, doc, &bytes, &n), OCT_OK);
    oct_onnx_doc_free(doc);
    assert_int_equal(oct_onnx_doc_parse(ctx, bytes, n, NULL, 0, &doc), OCT_OK);
    for (size_t i = 0; i < doc->model->graph->n_initializer; i++) {
        const Onnx__TensorProto *t = doc->model->graph->initializer[i];
        assert_int_equal(t->raw_data.len, t->dims[0]);
        assert_memory_equal(t->raw_data.data, data, t->raw_data.len);
    }
    oct_onnx_doc_free(doc);
}

/* ---- external data ----------------------------------------------------------------------------- */

static const char *in_dir(const char *name)
{
    static char path[4][256];
    static int k;
    k = (k + 1) % 4;
    snprintf(path[k], sizeof path[k], "%s/%s", dir, name);
    return path[k];
}

static void add_entry(oct_onnx_doc *doc, Onnx__TensorProto *t, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *e = oct_onnx_doc_alloc(doc, sizeof *e);
    onnx__string_string_entry_proto__init(e);
    e->key = oct_onnx_doc_strdup(doc, key);
    e->value = oct_onnx_doc_strdup(doc, value);
    t->external_data[t->n_external_data++] = e;
}

/* A model in `dir` whose only weight (four floats) lies where the arguments say. */
static oct_status load_external(const char *file, const char *offset, const char *length,
                                const char *key, const oct_model_options *opt, oct_model **m)
{
    const float w[4] = {0};
    uint8_t *bytes;
    size_t n;
    oct_onnx_doc *doc = ob_new(ctx, 17);
    ob_input(doc, "x", OB_FLOAT, OB_DIMS(4));
    ob_output(doc, "y");
    ob_f32s(doc, "w", w, 4);
    ob_node(doc, "Add", "x w", "y");
    Onnx__TensorProto *t = doc->model->graph->initializer[0];
    t->has_raw_data = false;
    t->has_data_location = true;
    t->data_location = 1;
    t->external_data = oct_onnx_doc_alloc(doc, 4 * sizeof *t->external_data);
    add_entry(doc, t, "location", file);
    add_entry(doc, t, "offset", offset);
    add_entry(doc, t, "length", length);
    if (key)
        add_entry(doc, t, key, "1");
    /* oct_onnx_pack() would read the data: pack what is there. */
    n = protobuf_c_message_get_packed_size(&doc->model->base);
    bytes = oct_alloc(ctx, n);
    protobuf_c_message_pack(&doc->model->base, bytes);
    oct_onnx_doc_free(doc);
    const oct_status st = oct_model_parse(ctx, bytes, n, dir, opt, m);
    oct_free(ctx, bytes);
    return st;
}

static void make_files(void)
{
    const float w[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    const char secret[64] = "secret";
    assert_int_equal(oct_file_write(ctx, in_dir("w.bin"), w, sizeof w, true), OCT_OK);
    assert_int_equal(oct_path_make_dir(ctx, in_dir("sub")), OCT_OK);
    assert_int_equal(oct_file_write(ctx, in_dir("sub/w.bin"), w, sizeof w, true), OCT_OK);
    assert_int_equal(oct_file_write(ctx, "secret.bin", secret, sizeof secret, true), OCT_OK);
    assert_int_equal(symlink("../../secret.bin", in_dir("sub/up")), 0);
    assert_int_equal(symlink("w.bin", in_dir("inside")), 0);
    assert_int_equal(symlink("..", in_dir("parent")), 0);
    assert_int_equal(link("secret.bin", in_dir("hard")), 0);
    assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
}

static void test_external_data_cannot_leave_the_folder(void **state)
{
    static const struct {
        const char *file, *offset, *length, *key, *words;
    } row[] = {
        {"../secret.bin", "0", "16", NULL, "'..'"},
        {"sub/../../secret.bin", "0", "16", NULL, "'..'"},
        {"/etc/passwd", "0", "16", NULL, "absolute path"},
        {"", "0", "16", NULL, "empty file name"},
        {"sub/up", "0", "16", NULL, "symbolic link"},
        {"inside", "0", "16", NULL, "symbolic link"},
        {"parent/secret.bin", "0", "16", NULL, "symbolic link"},
        {"hard", "0", "16", NULL, "hard links"},
        {"fifo", "0", "16", NULL, "not a regular file"},
        {"w.bin", "-1", "16", NULL, "offset is not"},
        {"w.bin", "17", "16", NULL, "but 'w.bin' has 32"},
        {"w.bin", "18446744073709551615", "16", NULL, "but 'w.bin' has 32"},
        {"w.bin", "0", "12", NULL, "length 12, its type and shape need 16"},
        {"w.bin", "0", "16", "__class__", "unknown key"},
    };
    oct_model *m = NULL;
    (void)state;
    make_files();
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        assert_int_equal(
            load_external(row[i].file, row[i].offset, row[i].length, row[i].key, NULL, &m),
            OCT_ERR_FORMAT);
        if (!strstr(oct_error_text(ctx), row[i].words))
            fail_msg("\"%s\" does not say \"%s\"", oct_error_text(ctx), row[i].words);
        oct_error_clear(ctx);
    }
    assert_int_equal(load_external("none.bin", "0", "16", NULL, NULL, &m), OCT_ERR_NOT_FOUND);
    oct_error_clear(ctx);
    const oct_model_options links = {.allow_external_symlinks = true};
    assert_int_equal(load_external("sub/up", "0", "16", NULL, &links, &m), OCT_ERR_FORMAT);
    oct_error_clear(ctx);
    assert_int_equal(load_external("inside", "16", "16", NULL, &links, &m), OCT_OK);
    oct_model_free(m);
    assert_int_equal(unlink("secret.bin"), 0);
}

static void test_external_data_is_read_from_its_offset(void **state)
{
    oct_model *m = NULL;
    oct_sha256 plain;
    (void)state;
    static const char *const file[] = {"w.bin", "sub/w.bin"};
    for (int i = 0; i < 2; i++) {
        if (load_external(file[i], "16", "16", NULL, NULL, &m) != OCT_OK)
            fail_msg("%s", oct_error_text(ctx));
        const oct_graph *g = oct_model_graph(m);
        const float *w = oct_graph_value(g, oct_graph_find_value(g, "w"))->data;
        assert_true(w[0] == 4 && w[3] == 7);
        if (i == 0)
            plain = oct_model_get_info(m)->hash;
        oct_model_free(m);
    }
    assert_int_equal(oct_file_write(ctx, in_dir("w.bin"), &file, 8, true), OCT_OK);
    assert_int_equal(load_external("w.bin", "0", "16", NULL, NULL, &m), OCT_ERR_FORMAT);
    oct_error_clear(ctx);
    const float other[8] = {9};
    assert_int_equal(oct_file_write(ctx, in_dir("w.bin"), other, sizeof other, true), OCT_OK);
    assert_int_equal(load_external("w.bin", "16", "16", NULL, NULL, &m), OCT_OK);
    assert_int_not_equal(oct_sha256_cmp(&plain, &oct_model_get_info(m)->hash), 0);
    oct_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_million_nested_graphs_are_refused),
        cmocka_unit_test(test_twenty_megabytes_of_nothing_are_refused),
        cmocka_unit_test(test_broken_wire_format_is_refused_with_the_offset),
        cmocka_unit_test(test_the_slim_copy_differs_by_tokens_only),
        cmocka_unit_test(test_external_data_cannot_leave_the_folder),
        cmocka_unit_test(test_external_data_is_read_from_its_offset),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
