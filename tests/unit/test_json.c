/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json_read.h"
#include "base/numeric.h"
#include "base/rng.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/failing_alloc.h"

static oct_ctx *ctx;

static int setup(void **state)
{
    ctx = oct_test_ctx();
    return 0;
}

static int teardown(void **state)
{
    oct_ctx_free(ctx);
    return 0;
}

static void write_sample(oct_json *j)
{
    const int64_t dim[] = {OCT_DIM_SYMBOL(0), 3};
    oct_json_begin_object(j);
    oct_json_kv_string(j, "name", "a\"b\\\n\x01");
    oct_json_kv_s64(j, "min", INT64_MIN);
    oct_json_kv_u64(j, "max", UINT64_MAX);
    oct_json_kv_f32(j, "scale", 0.1f);
    oct_json_kv_f64(j, "nan", NAN);
    oct_json_kv_bool(j, "yes", true);
    oct_json_kv_shape(j, "shape", dim, 2);
    oct_json_key(j, "empty");
    oct_json_begin_array(j);
    oct_json_end_array(j);
    oct_json_kv_string(j, "none", NULL);
    oct_json_end_object(j);
}

static void the_compact_form_is_exact(void **state)
{
    oct_strbuf b;
    oct_json j;
    oct_strbuf_init(&b, ctx);
    oct_json_init(&j, &b, false);
    write_sample(&j);
    assert_string_equal(b.text,
                        "{\"name\":\"a\\\"b\\\\\\n\\u0001\",\"min\":-9223372036854775808,"
                        "\"max\":18446744073709551615,\"scale\":0.1,\"nan\":null,\"yes\":true,"
                        "\"shape\":[-1,3],\"empty\":[],\"none\":null}");
    oct_strbuf_deinit(&b);
}

static void the_pretty_form_is_indented(void **state)
{
    oct_strbuf b;
    oct_json j;
    oct_strbuf_init(&b, ctx);
    oct_json_init(&j, &b, true);
    oct_json_begin_object(&j);
    oct_json_key(&j, "a");
    oct_json_begin_array(&j);
    oct_json_s64(&j, 1);
    oct_json_s64(&j, 2);
    oct_json_end_array(&j);
    oct_json_end_object(&j);
    assert_string_equal(b.text, "{\n  \"a\": [\n    1,\n    2\n  ]\n}");
    oct_strbuf_deinit(&b);
}

/* Any bytes give JSON that a strict reader accepts; valid UTF-8 comes back unchanged. */
static void any_bytes_make_a_valid_string(void **state)
{
    oct_rng rng = {7};
    for (int round = 0; round < 3000; round++) {
        char raw[40];
        const size_t n = (size_t)oct_rng_below(&rng, sizeof raw);
        const bool ascii = round % 2;
        for (size_t i = 0; i < n; i++)
            raw[i] = (char)(ascii ? 1 + oct_rng_below(&rng, 127) : oct_rng_below(&rng, 256));
        oct_strbuf b;
        oct_json j;
        json_t *root;
        oct_strbuf_init(&b, ctx);
        oct_json_init(&j, &b, false);
        oct_json_begin_array(&j);
        oct_json_string_n(&j, raw, n);
        oct_json_end_array(&j);
        root = json_loadb(b.text, b.len, JSON_ALLOW_NUL, NULL);
        assert_non_null(root);
        if (ascii) {
            assert_int_equal(json_string_length(json_array_get(root, 0)), n);
            assert_memory_equal(json_string_value(json_array_get(root, 0)), raw, n);
        }
        json_decref(root);
        oct_strbuf_deinit(&b);
    }
}

static void floats_come_back_exactly(void **state)
{
    oct_rng rng = {8};
    for (int i = 0; i < 2000; i++) {
        const float v = oct_f32_from_bits((uint32_t)oct_rng_u64(&rng));
        oct_strbuf b;
        oct_json j;
        json_t *root;
        float back = 0;
        if (!isfinite(v))
            continue;
        oct_strbuf_init(&b, ctx);
        oct_json_init(&j, &b, false);
        oct_json_begin_object(&j);
        oct_json_kv_f32(&j, "v", v);
        oct_json_end_object(&j);
        assert_int_equal(oct_json_read_text(ctx, "t", b.text, b.len, &root), OCT_OK);
        const oct_json_at at = {ctx, "t", ""};
        assert_int_equal(oct_json_get_f32(&at, root, "v", &back), OCT_OK);
        assert_true(back == v);
        oct_json_read_free(root);
        oct_strbuf_deinit(&b);
    }
}

static oct_status write_only(oct_ctx *c, void *user)
{
    oct_strbuf b;
    oct_json j;
    oct_strbuf_init(&b, c);
    oct_json_init(&j, &b, true);
    write_sample(&j);
    const oct_status st = oct_strbuf_status(&b);
    oct_strbuf_deinit(&b);
    return st;
}

static void failing_allocations_while_writing(void **state)
{
    oct_assert_survives_failing_alloc(write_only, NULL, 20);
}

static void assert_refused(const char *text, const char *part)
{
    json_t *root;
    assert_int_equal(oct_json_read_text(ctx, "f.json", text, strlen(text), &root), OCT_ERR_FORMAT);
    assert_null(root);
    if (!strstr(oct_error_text(ctx), part))
        fail_msg("'%s' does not say '%s'", oct_error_text(ctx), part);
    oct_error_clear(ctx);
}

static void bad_json_is_refused_with_its_place(void **state)
{
    char deep[400];
    assert_refused("{\"a\": 1,\n  \"b\" 2}", "f.json:2:");
    assert_refused("", "f.json");
    assert_refused("{} {}", "f.json");
    assert_refused("{\"a\":1,\"a\":2}", "uplicate");
    assert_refused("[\"\xff\"]", "0xff");
    memset(deep, '[', 200);
    memset(deep + 200, ']', 199);
    deep[399] = '\0';
    assert_refused(deep, "nested 200 deep");
    json_t *root;
    assert_int_equal(oct_json_read_text(ctx, "t", "[\"[[[[\\\"[[\"]", 12, &root), OCT_OK);
    oct_json_read_free(root);
    oct_json_read_free(NULL);
}

static void values_are_checked_against_their_type(void **state)
{
    static const char text[] = "{\"n\":1.5,\"i\":-3,\"s\":\"x\",\"o\":{},\"a\":[],\"b\":true,"
                               "\"big\":1e300,\"z\":null}";
    json_t *root, *v = NULL;
    const char *s = NULL;
    double f = 0;
    float f32 = 7;
    int64_t i = 7;
    bool b = false;
    assert_int_equal(oct_json_read_text(ctx, "f.json", text, strlen(text), &root), OCT_OK);
    const oct_json_at at = {ctx, "f.json", "layers[3]."};
    assert_int_equal(oct_json_get_f64(&at, root, "n", &f), OCT_OK);
    assert_int_equal(oct_json_get_f64(&at, root, "i", &f), OCT_OK);
    assert_true(f == -3);
    assert_int_equal(oct_json_get_s64(&at, root, "i", &i), OCT_OK);
    assert_int_equal(oct_json_get_string(&at, root, "s", &s), OCT_OK);
    assert_string_equal(s, "x");
    assert_int_equal(oct_json_get_bool(&at, root, "b", &b), OCT_OK);
    assert_int_equal(oct_json_get_object(&at, root, "o", &v), OCT_OK);
    assert_int_equal(oct_json_get_array(&at, root, "a", &v), OCT_OK);
    i = 7;
    assert_int_equal(oct_json_opt_s64(&at, root, "absent", &i), OCT_OK);
    assert_int_equal(oct_json_opt_s64(&at, root, "z", &i), OCT_OK);
    assert_int_equal(i, 7);
    assert_int_equal(oct_json_opt_s64(&at, root, "n", &i), OCT_ERR_FORMAT);
    assert_string_equal(oct_error_text(ctx),
                        "f.json: key 'layers[3].n': expected an integer, found a float");
    oct_error_clear(ctx);
    assert_int_equal(oct_json_get_f32(&at, root, "big", &f32), OCT_ERR_FORMAT);
    assert_true(f32 == 7);
    oct_error_clear(ctx);
    assert_int_equal(oct_json_get_string(&at, root, "absent", &s), OCT_ERR_FORMAT);
    assert_non_null(strstr(oct_error_text(ctx), "found nothing"));
    oct_error_clear(ctx);
    oct_json_read_free(root);
}

static void unknown_keys_are_named(void **state)
{
    static const char *const known[] = {"mean", "std", NULL};
    static const char text[] = "{\"mean\":1,\"stdd\":2}";
    json_t *root;
    assert_int_equal(oct_json_read_text(ctx, "p.json", text, strlen(text), &root), OCT_OK);
    const oct_json_at at = {ctx, "p.json", ""};
    assert_int_equal(oct_json_check_keys(&at, root, known), OCT_ERR_FORMAT);
    assert_string_equal(oct_error_text(ctx), "p.json: key 'stdd' is not known");
    oct_error_clear(ctx);
    oct_json_read_free(root);
}

#define with_ctx(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_ctx(the_compact_form_is_exact),
        with_ctx(the_pretty_form_is_indented),
        with_ctx(any_bytes_make_a_valid_string),
        with_ctx(floats_come_back_exactly),
        with_ctx(failing_allocations_while_writing),
        with_ctx(bad_json_is_refused_with_its_place),
        with_ctx(values_are_checked_against_their_type),
        with_ctx(unknown_keys_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
