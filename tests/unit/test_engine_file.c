/* SPDX-License-Identifier: Apache-2.0
 *
 * Engine files: what is saved comes back, every damaged byte and every missing end is refused, and
 * damage behind a mended hash is an error or a usable model, never a crash.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_internal.h"
#include "base/file.h"
#include "base/rng.h"
#include "engine/engine_file.h"
#include "kernels/op_schema.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/engine_case.h"
#include "tests/support/failing_alloc.h"

/* Lists at the start of attributes, an activation, a constant, an open batch. */
static void small_net(engine_case *c)
{
    oct_graph *g = c->g;
    oct_ctx *ctx = c->ctx;
    oct_attr_window a, p;
    oct_op_attr_defaults(OCT_OP_CONV, &a);
    oct_op_attr_defaults(OCT_OP_MAX_POOL, &p);
    a.n_pad = 4;
    for (int i = 0; i < 4; i++)
        a.pad[i] = 1;
    p.n_kernel = p.n_stride = 2;
    p.kernel[0] = p.kernel[1] = p.stride[0] = p.stride[1] = 2;
    const int64_t n = OCT_DIM_SYMBOL(1);
    const oct_value_id x = gb_input(g, ctx, "x", GB_DIMS(n, 2, 4, 4));
    const oct_value_id w = gb_weight(g, ctx, "w", GB_DIMS(3, 2, 3, 3));
    const oct_value_id y =
        gb_node(g, ctx, OCT_OP_CONV, "conv", &a, GB_DIMS(n, 3, 4, 4), GB_IN(x, w));
    const oct_value_id r = gb_node(g, ctx, OCT_OP_RELU, "relu", NULL, NULL, GB_IN(y));
    const oct_value_id m =
        gb_node(g, ctx, OCT_OP_MAX_POOL, "pool", &p, GB_DIMS(n, 3, 2, 2), GB_IN(r));
    gb_output(g, ctx, gb_node(g, ctx, OCT_OP_FLATTEN, "flat", NULL, GB_DIMS(n, 12), GB_IN(m)));
}

static const oct_tactic tactics[] = {{"conv", "cpu:conv:f32", 12.5, UINT64_C(0xfedcba9876543210)},
                                     {"pool", "ref", 0, 0}};

static oct_status save(engine_case *c, const char *path)
{
    oct_engine_info info = {.precision = OCT_PRECISION_F32 | OCT_PRECISION_S8,
                            .model_name = "small",
                            .quantization_json = "{\"method\":\"mse\"}",
                            .preprocess_json = "{\"preset\":\"imagenet\"}",
                            .built_with = "octet test",
                            .tactic = tactics,
                            .n_tactics = 2};
    memset(&info.model_hash, 0x5a, sizeof info.model_hash);
    return oct_engine_file_save(c->ctx, c->g, &info, path, true);
}

/* A new name in the temporary directory. */
static void temp_path(char path[64])
{
    strcpy(path, "/tmp/octet_engine_XXXXXX");
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)fclose(fdopen(fd, "wb"));
}

static void image_of(engine_case *c, uint8_t **image, size_t *n)
{
    char path[64];
    small_net(c);
    temp_path(path);
    assert_int_equal(save(c, path), OCT_OK);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *n = (size_t)ftell(f);
    rewind(f);
    *image = oct_alloc(c->ctx, *n);
    assert_int_equal(fread(*image, 1, *n, f), *n);
    (void)fclose(f);
    (void)remove(path);
}

/* ---- round trip ---- */

static void check_info(const oct_engine_info *i)
{
    oct_sha256 want;
    memset(&want, 0x5a, sizeof want);
    assert_int_equal(i->precision, OCT_PRECISION_F32 | OCT_PRECISION_S8);
    assert_memory_equal(&i->model_hash, &want, sizeof want);
    assert_string_equal(i->model_name, "small");
    assert_string_equal(i->quantization_json, "{\"method\":\"mse\"}");
    assert_string_equal(i->preprocess_json, "{\"preset\":\"imagenet\"}");
    assert_string_equal(i->built_with, "octet test");
    assert_int_equal(i->n_tactics, 2);
    for (size_t k = 0; k < 2; k++) {
        assert_string_equal(i->tactic[k].node, tactics[k].node);
        assert_string_equal(i->tactic[k].tactic, tactics[k].tactic);
        assert_true(i->tactic[k].us == tactics[k].us);
        assert_true(i->tactic[k].key == tactics[k].key);
    }
}

static void what_is_saved_comes_back(void **state)
{
    engine_case *c = *state;
    char path[64];
    oct_engine_file *f = NULL;
    ec_result before, after;
    small_net(c);
    temp_path(path);
    assert_int_equal(save(c, path), OCT_OK);
    assert_true(oct_engine_file_is(path));
    if (oct_engine_file_load(c->ctx, path, &f) != OCT_OK)
        fail_msg("%s", oct_error_text(c->ctx));
    check_info(oct_engine_file_info(f));
    const oct_engine_options opt = {.backend = "ref", .threads = 1};
    ec_run(c, &opt, &before);
    engine_case loaded = {.ctx = c->ctx};
    assert_int_equal(oct_graph_clone(c->ctx, oct_model_graph(oct_engine_file_model(f)), &loaded.g),
                     OCT_OK);
    ec_run(&loaded, &opt, &after);
    assert_true(ec_distance(&after, &before) == 0);
    ec_result_free(c, &before);
    ec_result_free(c, &after);
    oct_graph_free(loaded.g);
    oct_engine_file_free(f);
    (void)remove(path);
}

static void equal_engines_are_equal_bytes(void **state)
{
    engine_case *c = *state;
    uint8_t *a, *b;
    size_t n, n2;
    engine_case other;
    void *second = NULL;
    image_of(c, &a, &n);
    assert_int_equal(engine_case_setup(&second), 0);
    other = *(engine_case *)second;
    image_of(&other, &b, &n2);
    assert_int_equal(n, n2);
    assert_memory_equal(a, b, n);
    oct_free(c->ctx, a);
    oct_free(other.ctx, b);
    assert_int_equal(engine_case_teardown(&second), 0);
}

/* ---- damage ---- */

static void refuse(engine_case *c, const uint8_t *data, size_t n, const char *what, size_t at)
{
    oct_engine_file *f = NULL;
    const oct_status st = oct_engine_file_parse(c->ctx, data, n, &f);
    if (st == OCT_OK || f)
        fail_msg("%s %zu: accepted", what, at);
    if (*oct_error_text(c->ctx) == 0)
        fail_msg("%s %zu: no message", what, at);
    oct_error_clear(c->ctx);
}

static void every_flipped_byte_is_refused(void **state)
{
    engine_case *c = *state;
    uint8_t *image;
    size_t n;
    image_of(c, &image, &n);
    for (size_t i = 0; i < n; i++) {
        const uint8_t was = image[i];
        image[i] = (uint8_t)(was ^ (1u << i % 8));
        refuse(c, image, n, "bit of byte", i);
        image[i] = (uint8_t)(was ^ 0xffu);
        refuse(c, image, n, "byte", i);
        image[i] = was;
    }
    oct_engine_file *f = NULL; /* undamaged again: the test damages what would load */
    assert_int_equal(oct_engine_file_parse(c->ctx, image, n, &f), OCT_OK);
    oct_engine_file_free(f);
    oct_free(c->ctx, image);
}

static void every_missing_end_is_refused(void **state)
{
    engine_case *c = *state;
    uint8_t *image;
    size_t n;
    image_of(c, &image, &n);
    for (size_t k = 0; k < n; k++)
        refuse(c, image, k, "cut at", k);
    uint8_t *longer = oct_zalloc(c->ctx, n + 1);
    memcpy(longer, image, n);
    refuse(c, longer, n + 1, "one byte more than", n);
    oct_free(c->ctx, longer);
    oct_free(c->ctx, image);
}

static void mend(uint8_t *image, size_t n)
{
    const oct_xxh128 h = oct_container_hash(image, n);
    const uint64_t part[2] = {h.lo, h.hi};
    for (int i = 0; i < HEAD_HASH_BYTES; i++)
        image[HEAD_HASH + i] = (uint8_t)(part[i / 8] >> (8 * (i % 8)));
}

/* Whatever still loads is planned and run on the reference kernels. */
static bool survives(engine_case *c, const uint8_t *image, size_t n)
{
    oct_engine_file *f = NULL;
    if (oct_engine_file_parse(c->ctx, image, n, &f) != OCT_OK) {
        assert_true(*oct_error_text(c->ctx) != 0);
        oct_error_clear(c->ctx);
        return false;
    }
    const oct_engine_options opt = {.backend = "ref",
                                    .threads = 1,
                                    .precision = oct_engine_file_info(f)->precision,
                                    .tactic = oct_engine_file_info(f)->tactic,
                                    .n_tactics = oct_engine_file_info(f)->n_tactics,
                                    .arena_limit_bytes = (size_t)64 << 20};
    oct_engine *e = NULL;
    if (oct_engine_new(c->ctx, oct_engine_file_model(f), &opt, &e) == OCT_OK)
        oct_engine_free(e, c->ctx);
    oct_error_clear(c->ctx);
    oct_engine_file_free(f);
    return true;
}

static void damage_with_a_mended_hash_is_survived(void **state)
{
    enum { ROUNDS = 2000, BEHIND_SUPERBLOCK = OCT_CONTAINER_HEADER_BYTES + 96 };
    engine_case *c = *state;
    uint8_t *image;
    size_t n;
    int n_refused = 0;
    oct_rng rng = {.state = 11};
    image_of(c, &image, &n);
    uint8_t *copy = oct_alloc(c->ctx, n);
    for (int round = 0; round < ROUNDS; round++) {
        memcpy(copy, image, n);
        for (int k = 0; k < 1 + round % 3; k++)
            copy[BEHIND_SUPERBLOCK + oct_rng_below(&rng, n - BEHIND_SUPERBLOCK)] ^=
                (uint8_t)(1 + oct_rng_below(&rng, 255));
        mend(copy, n);
        n_refused += !survives(c, copy, n);
    }
    assert_true(n_refused > ROUNDS / 20);
    assert_true(n_refused < ROUNDS); /* weights and texts may be anything */
    oct_free(c->ctx, copy);
    oct_free(c->ctx, image);
}

/* ---- memory ---- */

typedef struct image {
    const uint8_t *data;
    size_t n;
} image;

static oct_status parse(oct_ctx *ctx, void *user)
{
    const image *i = user;
    oct_engine_file *f = NULL;
    OCT_TRY(oct_engine_file_parse(ctx, i->data, i->n, &f));
    oct_engine_file_free(f);
    return OCT_OK;
}

static void any_failing_allocation_is_survived(void **state)
{
    engine_case *c = *state;
    uint8_t *data;
    size_t n;
    image_of(c, &data, &n);
    const image i = {data, n};
    assert_true(oct_assert_survives_failing_alloc(parse, &i, 2000) > 5);
    oct_free(c->ctx, data);
}

/* ---- tactics ---- */

/* Name of the kernel of node "conv" in an engine with these options; *us: its time if timed here. */
static void conv_tactic(engine_case *c, const oct_engine_options *opt, char name[64], double *us)
{
    const oct_shape shape = {.dim = {64, 2, 4, 4}, .n_dims = 4};
    const oct_op_info *op = NULL;
    oct_model *m = ec_model(c);
    oct_engine *e = NULL;
    oct_worker *w = NULL;
    assert_int_equal(oct_engine_new(c->ctx, m, opt, &e), OCT_OK);
    assert_int_equal(oct_worker_new(e, c->ctx, &w), OCT_OK);
    assert_int_equal(oct_worker_prepare(w, c->ctx, &shape, 1), OCT_OK);
    const size_t n = oct_worker_ops(w, &op);
    name[0] = '\0';
    for (size_t i = 0; i < n; i++)
        if (strcmp(op[i].node, "conv") == 0) {
            (void)snprintf(name, 64, "%s", op[i].tactic);
            *us = op[i].tuned_us;
        }
    assert_true(name[0] != '\0');
    oct_worker_free(w, c->ctx);
    oct_engine_free(e, c->ctx);
    oct_model_free(m);
}

static void a_stored_tactic_is_taken_without_timing(void **state)
{
    engine_case *c = *state;
    char first[64], tuned[64], stored[64], foreign[64];
    double us = 0;
    small_net(c);
    oct_engine_options opt = {.backend = "cpu", .threads = 1};
    conv_tactic(c, &opt, first, &us);
    assert_true(us == 0);
    opt.tune = true;
    conv_tactic(c, &opt, tuned, &us);
    const oct_tactic list[] = {{"other", "x", 0, 0}, {"conv", tuned, 12345.5, 0}},
                     gone = {"conv", "cpu:of-another-machine", 1, 0},
                     other_shape = {"conv", tuned, 12345.5, 1};
    opt.tune = us > 0; /* with candidates to time: what is stored still wins */
    opt.tactic = list;
    opt.n_tactics = 2;
    conv_tactic(c, &opt, stored, &us);
    assert_string_equal(stored, tuned);
    assert_true(us == 12345.5); /* as stored, not as timed here */
    opt.tune = false;
    opt.tactic = &gone;
    opt.n_tactics = 1;
    conv_tactic(c, &opt, foreign, &us);
    assert_string_equal(foreign, first);
    opt.tactic = &other_shape;
    us = 0;
    conv_tactic(c, &opt, foreign, &us);
    assert_string_equal(foreign, first);
    assert_true(us == 0);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--write-sample") == 0) { /* makes the fuzz corpus */
        void *state = NULL;
        if (engine_case_setup(&state) != 0)
            return 1;
        small_net(state);
        const oct_status st = save(state, argv[2]);
        (void)engine_case_teardown(&state);
        return st != OCT_OK;
    }
#define TEST(f) cmocka_unit_test_setup_teardown(f, engine_case_setup, engine_case_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_saved_comes_back),
        TEST(equal_engines_are_equal_bytes),
        TEST(every_flipped_byte_is_refused),
        TEST(every_missing_end_is_refused),
        TEST(damage_with_a_mended_hash_is_survived),
        TEST(any_failing_allocation_is_survived),
        TEST(a_stored_tactic_is_taken_without_timing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
