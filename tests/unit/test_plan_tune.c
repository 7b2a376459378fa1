/* SPDX-License-Identifier: Apache-2.0
 *
 * Choosing kernels by time: equal layers are timed once, the same cache makes the same engine file,
 * another device times anew, and what the cache says is what is chosen. On a fake device, where
 * each operator has a twin to choose from, and on the CPU.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/engine_file.h"
#include "engine/timing_cache.h"
#include "kernels/op_schema.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/engine_case.h"
#include "tests/support/fake_device.h"

#define MAX_TACTICS 32
#define BATCH 2

/* Three convolutions, the last two of them equal but for their weights. */
static void twin_layers(engine_case *c)
{
    oct_graph *g = c->g;
    oct_ctx *ctx = c->ctx;
    oct_attr_window a;
    oct_op_attr_defaults(OCT_OP_CONV, &a);
    a.n_pad = 4;
    for (int i = 0; i < 4; i++)
        a.pad[i] = 1;
    const int64_t n = OCT_DIM_SYMBOL(1);
    const oct_value_id x = gb_input(g, ctx, "x", GB_DIMS(n, 3, 8, 8));
    const oct_value_id w1 = gb_weight(g, ctx, "w1", GB_DIMS(8, 3, 3, 3));
    const oct_value_id w2 = gb_weight(g, ctx, "w2", GB_DIMS(8, 8, 3, 3));
    const oct_value_id w3 = gb_weight(g, ctx, "w3", GB_DIMS(8, 8, 3, 3));
    const oct_value_id c1 =
        gb_node(g, ctx, OCT_OP_CONV, "c1", &a, GB_DIMS(n, 8, 8, 8), GB_IN(x, w1));
    const oct_value_id c2 =
        gb_node(g, ctx, OCT_OP_CONV, "c2", &a, GB_DIMS(n, 8, 8, 8), GB_IN(c1, w2));
    gb_output(g, ctx, gb_node(g, ctx, OCT_OP_CONV, "c3", &a, GB_DIMS(n, 8, 8, 8), GB_IN(c2, w3)));
}

typedef struct build { /* what one build found out */
    oct_status st;
    size_t n_timed, n;
    char node[MAX_TACTICS][16], tactic[MAX_TACTICS][OCT_CANDIDATE_NAME_BYTES];
    double us[MAX_TACTICS];
} build;

/* Builds and, when `engine_path` is not NULL, saves as octet build --tune does. */
static build tune(engine_case *c, const oct_engine_options *opt, const char *engine_path)
{
    const oct_shape shape = {.dim = {BATCH, 3, 8, 8}, .n_dims = 4};
    const oct_op_info *op = NULL;
    oct_tactic list[MAX_TACTICS];
    build b = {0};
    oct_model *m = ec_model(c);
    oct_engine *e = NULL;
    oct_worker *w = NULL;
    oct_engine_info info = {.precision = OCT_PRECISION_F32, .built_with = "octet test"};
    b.st = oct_engine_new(c->ctx, m, opt, &e);
    if (b.st == OCT_OK)
        b.st = oct_worker_new(e, c->ctx, &w);
    if (b.st == OCT_OK)
        b.st = oct_worker_prepare(w, c->ctx, &shape, 1);
    const size_t n = b.st == OCT_OK ? oct_worker_ops(w, &op) : 0;
    for (size_t i = 0; i < n && b.n < MAX_TACTICS; i++) {
        if (op[i].tuned_us <= 0)
            continue;
        snprintf(b.node[b.n], sizeof b.node[0], "%s", op[i].node);
        snprintf(b.tactic[b.n], sizeof b.tactic[0], "%s", op[i].tactic);
        b.us[b.n] = op[i].tuned_us;
        list[b.n++] = (oct_tactic){op[i].node, op[i].tactic, op[i].tuned_us, op[i].tuned_key};
    }
    if (e)
        b.n_timed = oct_engine_timed(e, &info.tuned_on);
    info.tactic = list;
    info.n_tactics = b.n;
    if (b.st == OCT_OK && engine_path)
        b.st = oct_engine_file_save(c->ctx, oct_model_graph(m), &info, engine_path, true);
    oct_worker_free(w, c->ctx);
    oct_engine_free(e, c->ctx);
    oct_model_free(m);
    return b;
}

static void assert_ok(engine_case *c, const build *b)
{
    if (b->st != OCT_OK)
        fail_msg("%s", oct_error_text(c->ctx));
}

/* ---- files in a folder of their own ---- */

typedef struct place {
    char dir[64], cache[96], engine[2][96];
} place;

static place place_new(void)
{
    place p;
    strcpy(p.dir, "/tmp/octet_tune_XXXXXX");
    assert_non_null(mkdtemp(p.dir));
    snprintf(p.cache, sizeof p.cache, "%s/times", p.dir);
    for (int i = 0; i < 2; i++)
        snprintf(p.engine[i], sizeof p.engine[i], "%s/%d.engine", p.dir, i);
    return p;
}

/* Nothing else may have been left there. */
static void place_free(const place *p)
{
    (void)unlink(p->cache);
    for (int i = 0; i < 2; i++)
        (void)unlink(p->engine[i]);
    assert_int_equal(rmdir(p->dir), 0);
}

static void assert_same_files(engine_case *c, const char *a, const char *b)
{
    uint8_t *x, *y;
    size_t n_x, n_y;
    assert_int_equal(oct_file_read(c->ctx, a, 0, &x, &n_x), OCT_OK);
    assert_int_equal(oct_file_read(c->ctx, b, 0, &y, &n_y), OCT_OK);
    assert_int_equal(n_x, n_y);
    assert_memory_equal(x, y, n_x);
    oct_free(c->ctx, x);
    oct_free(c->ctx, y);
}

/* ---- tests ---- */

static oct_backend *fake_chip(engine_case *c, const char *chip)
{
    const fake_device_options opt = {.kernels = "ref", .twins = true, .chip = chip};
    oct_backend *be;
    assert_int_equal(fake_device_open(c->ctx, &opt, &be), OCT_OK);
    return be;
}

static void equal_layers_are_timed_once(void **state)
{
    engine_case *c = *state;
    oct_backend *be = fake_chip(c, "a");
    twin_layers(c);
    const build b = tune(c, &(oct_engine_options){.opened = be, .threads = 1, .tune = true}, NULL);
    assert_ok(c, &b);
    size_t convs = 0;
    for (size_t i = 0; i < b.n; i++)
        convs += b.node[i][0] == 'c';
    assert_int_equal(convs, 3);
    assert_true(b.n_timed < 2 * b.n); /* two candidates each */
    assert_int_equal(b.n_timed % 2, 0);
    assert_true(b.us[b.n - 1] == b.us[b.n - 2] || b.us[1] == b.us[2]);
    oct_backend_close(be, c->ctx);
}

static void the_same_cache_makes_the_same_engine(void **state)
{
    engine_case *c = *state;
    twin_layers(c);
    oct_backend *be = fake_chip(c, "a");
    oct_backend *const opened[] = {be, NULL};
    for (int k = 0; k < 2; k++) { /* the device, the CPU */
        const place p = place_new();
        const oct_engine_options opt = {.backend = "cpu",
                                        .opened = opened[k],
                                        .threads = 1,
                                        .tune = true,
                                        .timing_cache = p.cache};
        const build first = tune(c, &opt, p.engine[0]);
        assert_ok(c, &first);
        const build again = tune(c, &opt, p.engine[1]);
        assert_ok(c, &again);
        assert_int_equal(again.n_timed, 0);
        assert_int_equal(again.n, first.n);
        assert_true(k == 1 || first.n_timed > 0); /* a CPU without oneDNN has no choice */
        assert_same_files(c, p.engine[0], p.engine[1]);
        place_free(&p);
    }
    oct_backend_close(be, c->ctx);
}

static void another_device_times_for_itself(void **state)
{
    engine_case *c = *state;
    const place p = place_new();
    const char *const chip[] = {"a", "b", "a"};
    size_t n_timed[3];
    twin_layers(c);
    for (int k = 0; k < 3; k++) {
        oct_backend *be = fake_chip(c, chip[k]);
        const build b = tune(c,
                             &(oct_engine_options){
                                 .opened = be, .threads = 1, .tune = true, .timing_cache = p.cache},
                             NULL);
        assert_ok(c, &b);
        n_timed[k] = b.n_timed;
        oct_backend_close(be, c->ctx);
    }
    assert_true(n_timed[0] > 0);
    assert_int_equal(n_timed[1], n_timed[0]);
    assert_int_equal(n_timed[2], 0);
    place_free(&p);
}

/* Replaces every time of `tactic` in the file, and of all others by 1000 ns. */
static void forge(engine_case *c, const char *path, const char *tactic, uint64_t ns)
{
    uint8_t *text;
    size_t n;
    char device[512] = "", key[1024] = "", name[256];
    oct_timing_cache *tc;
    assert_int_equal(oct_file_read(c->ctx, path, 0, &text, &n), OCT_OK);
    assert_int_equal(oct_timing_cache_open(c->ctx, path, &tc), OCT_OK);
    assert_int_equal(oct_timing_cache_begin(tc, c->ctx), OCT_OK);
    char *line = strtok((char *)text, "\n");
    while ((line = strtok(NULL, "\n"))) {
        if (sscanf(line, "device %511[^\n]", device) == 1 ||
            sscanf(line, "op %1023[^\n]", key) == 1)
            continue;
        assert_int_equal(sscanf(line, "%*s %255[^\n]", name), 1);
        assert_int_equal(oct_timing_cache_add(tc, c->ctx, device, key, name,
                                              strcmp(name, tactic) == 0 ? ns : 1000),
                         OCT_OK);
    }
    assert_int_equal(oct_timing_cache_end(tc, c->ctx), OCT_OK);
    oct_timing_cache_close(tc);
    oct_free(c->ctx, text);
}

static void the_cache_decides(void **state)
{
    engine_case *c = *state;
    const place p = place_new();
    const struct {
        uint64_t twin_ns;
        bool twin;
    } cases[] = {{500, true},  {2000, false}, {1000, false},
                 {995, false}, {700, false},  {UINT64_MAX, false}};
    oct_backend *be = fake_chip(c, "a");
    const oct_engine_options opt = {
        .opened = be, .threads = 1, .tune = true, .timing_cache = p.cache};
    twin_layers(c);
    build b = tune(c, &opt, NULL);
    assert_ok(c, &b);
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        forge(c, p.cache, "twin", cases[k].twin_ns);
        b = tune(c, &opt, NULL);
        assert_ok(c, &b);
        assert_int_equal(b.n_timed, 0);
        for (size_t i = 0; i < b.n; i++)
            assert_int_equal(strcmp(b.tactic[i], "twin") == 0, cases[k].twin);
    }
    oct_backend_close(be, c->ctx);
    place_free(&p);
}

static void what_is_missing_is_timed_and_added(void **state)
{
    engine_case *c = *state;
    const place p = place_new();
    oct_backend *twins = fake_chip(c, "a"), *plain;
    const fake_device_options one = {.kernels = "ref", .chip = "a"};
    twin_layers(c);
    assert_int_equal(fake_device_open(c->ctx, &one, &plain), OCT_OK);
    oct_engine_options opt = {.opened = plain, .threads = 1, .tune = true, .timing_cache = p.cache};
    const build no_choice = tune(c, &opt, NULL);
    assert_ok(c, &no_choice);
    assert_int_equal(no_choice.n_timed, 0);
    assert_false(oct_path_exists(p.cache)); /* nothing timed, nothing written */
    opt.opened = twins;
    const build b = tune(c, &opt, NULL);
    assert_ok(c, &b);
    assert_true(b.n_timed > 0);
    assert_true(oct_path_exists(p.cache));
    oct_backend_close(twins, c->ctx);
    oct_backend_close(plain, c->ctx);
    place_free(&p);
}

static void a_damaged_cache_stops_the_build(void **state)
{
    engine_case *c = *state;
    const place p = place_new();
    twin_layers(c);
    assert_int_equal(oct_file_write(c->ctx, p.cache, "no cache", 8, false), OCT_OK);
    const build b =
        tune(c, &(oct_engine_options){.threads = 1, .tune = true, .timing_cache = p.cache}, NULL);
    assert_int_equal(b.st, OCT_ERR_FORMAT);
    assert_non_null(strstr(oct_error_text(c->ctx), p.cache));
    oct_error_clear(c->ctx);
    assert_int_equal(oct_path_bytes(p.cache), 8);
    place_free(&p);
}

/* ---- cancelled half-way ---- */

static int polls_left;

static bool out_of_patience(void *user)
{
    (void)user;
    return polls_left-- <= 0;
}

static void times_survive_a_cancelled_build(void **state)
{
    engine_case *c = *state;
    const place p = place_new();
    const oct_cancel cancel = {.requested = out_of_patience};
    const oct_ctx_options ctx_opt = {.cancel = &cancel};
    oct_ctx *ctx;
    engine_case hasty = {.g = NULL};
    assert_int_equal(oct_ctx_new(&ctx_opt, &ctx), OCT_OK);
    hasty.ctx = ctx;
    hasty.g = c->g;
    twin_layers(c);
    oct_backend *be = fake_chip(&hasty, "a");
    const oct_engine_options opt = {
        .opened = be, .threads = 1, .tune = true, .timing_cache = p.cache};
    polls_left = 1000;
    const build whole = tune(&hasty, &opt, NULL);
    assert_ok(&hasty, &whole);
    const int used = 1000 - polls_left;
    assert_int_equal(unlink(p.cache), 0);
    polls_left = used - 1;
    const build cut = tune(&hasty, &opt, NULL);
    assert_int_equal(cut.st, OCT_ERR_CANCELLED);
    oct_error_clear(ctx);
    polls_left = 1000;
    const build rest = tune(&hasty, &opt, NULL);
    assert_ok(&hasty, &rest);
    assert_true(rest.n_timed > 0 && rest.n_timed < whole.n_timed);
    oct_backend_close(be, ctx);
    oct_ctx_free(ctx);
    place_free(&p);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, engine_case_setup, engine_case_teardown)
    const struct CMUnitTest tests[] = {
        TEST(equal_layers_are_timed_once),        TEST(the_same_cache_makes_the_same_engine),
        TEST(another_device_times_for_itself),    TEST(the_cache_decides),
        TEST(what_is_missing_is_timed_and_added), TEST(a_damaged_cache_stops_the_build),
        TEST(times_survive_a_cancelled_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
