/* SPDX-License-Identifier: Apache-2.0
 *
 * Engines on a device, with a fake one that crashes on what a GPU forbids: results, graphs,
 * fallbacks, observers, profiles, tuning.
 */
#include <string.h>

#include "base/rng.h"
#include "kernels/op_schema.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/engine_case.h"
#include "tests/support/fake_device.h"

#define IMAGE (3 * 12 * 12)
#define CLASSES 5

static oct_value_id unary(oct_graph *g, oct_ctx *ctx, oct_op op, const char *name, oct_value_id x)
{
    return gb_node(g, ctx, op, name, NULL, NULL, GB_IN(x));
}

/* conv, relu, pool, residual, sigmoid beside it joined by a Concat, global pool, Gemm. */
static void branched_cnn(engine_case *c)
{
    oct_graph *g = c->g;
    oct_ctx *ctx = c->ctx;
    oct_attr_window a, p;
    oct_attr_gemm fc;
    oct_attr_axis cat = {.axis = 1};
    oct_op_attr_defaults(OCT_OP_CONV, &a);
    oct_op_attr_defaults(OCT_OP_MAX_POOL, &p);
    oct_op_attr_defaults(OCT_OP_GEMM, &fc);
    a.n_pad = 4;
    for (int i = 0; i < 4; i++)
        a.pad[i] = 1;
    p.n_kernel = p.n_stride = 2;
    p.kernel[0] = p.kernel[1] = p.stride[0] = p.stride[1] = 2;
    const int64_t n = OCT_DIM_SYMBOL(1);
    const oct_value_id x = gb_input(g, ctx, "x", GB_DIMS(n, 3, 12, 12));
    const oct_value_id w1 = gb_weight(g, ctx, "w1", GB_DIMS(8, 3, 3, 3));
    const oct_value_id w2 = gb_weight(g, ctx, "w22", GB_DIMS(8, 8, 3, 3));
    const oct_value_id w3 = gb_weight(g, ctx, "w333", GB_DIMS(16, CLASSES));
    const oct_value_id c1 =
        gb_node(g, ctx, OCT_OP_CONV, "c1", &a, GB_DIMS(n, 8, 12, 12), GB_IN(x, w1));
    const oct_value_id r1 = unary(g, ctx, OCT_OP_RELU, "r1", c1);
    const oct_value_id p1 =
        gb_node(g, ctx, OCT_OP_MAX_POOL, "p1", &p, GB_DIMS(n, 8, 6, 6), GB_IN(r1));
    const oct_value_id c2 =
        gb_node(g, ctx, OCT_OP_CONV, "c2", &a, GB_DIMS(n, 8, 6, 6), GB_IN(p1, w2));
    const oct_value_id s = gb_node(g, ctx, OCT_OP_ADD, "s", NULL, NULL, GB_IN(c2, p1));
    const oct_value_id sg = unary(g, ctx, OCT_OP_SIGMOID, "sg", s);
    const oct_value_id ab = unary(g, ctx, OCT_OP_ABS, "ab", p1);
    const oct_value_id j =
        gb_node(g, ctx, OCT_OP_CONCAT, "j", &cat, GB_DIMS(n, 16, 6, 6), GB_IN(sg, ab));
    const oct_value_id gp =
        gb_node(g, ctx, OCT_OP_GLOBAL_AVERAGE_POOL, "gp", NULL, GB_DIMS(n, 16, 1, 1), GB_IN(j));
    const oct_value_id f = gb_node(g, ctx, OCT_OP_FLATTEN, "f", NULL, GB_DIMS(n, 16), GB_IN(gp));
    gb_output(g, ctx, gb_node(g, ctx, OCT_OP_GEMM, "y", &fc, GB_DIMS(n, CLASSES), GB_IN(f, w3)));
}

/* An engine on a fake device and one on the CPU, to agree bit for bit. */
typedef struct pair {
    oct_backend *device;
    oct_model *m;
    oct_engine *e[2];
    oct_worker *w[2];
} pair;

static pair start(engine_case *c, const fake_device_options *fake, oct_engine_options opt)
{
    pair p;
    p.m = ec_model(c);
    assert_int_equal(fake_device_open(c->ctx, fake, &p.device), OCT_OK);
    opt.threads = 1;
    opt.backend = fake->kernels;
    for (int i = 0; i < 2; i++) {
        opt.opened = i == 0 ? p.device : NULL;
        if (oct_engine_new(c->ctx, p.m, &opt, &p.e[i]) != OCT_OK)
            fail_msg("%s", oct_error_text(c->ctx));
        assert_int_equal(oct_worker_new(p.e[i], c->ctx, &p.w[i]), OCT_OK);
    }
    return p;
}

static void stop(engine_case *c, pair *p)
{
    for (int i = 0; i < 2; i++) {
        oct_worker_free(p->w[i], c->ctx);
        oct_engine_free(p->e[i], c->ctx);
    }
    assert_int_equal(fake_device_count(p->device).live_bytes, 0);
    oct_backend_close(p->device, c->ctx);
    oct_model_free(p->m);
}

static void run_one(engine_case *c, oct_worker *w, float *x, int64_t n, float *y,
                    oct_observer *observer)
{
    const oct_shape s = {.dim = {n, 3, 12, 12}, .n_dims = 4};
    const oct_tensor in = {oct_tensor_desc_make(OCT_DT_F32, s, OCT_LAYOUT_ROW), x};
    oct_tensor out;
    if (oct_worker_run(w, c->ctx, &in, 1, &out, 1, observer) != OCT_OK)
        fail_msg("%s", oct_error_text(c->ctx));
    memcpy(y, out.data, (size_t)n * CLASSES * sizeof *y);
}

/* Fresh images each time: a graph that read stale inputs would show. */
static void run_both(engine_case *c, pair *p, int64_t n, uint64_t seed)
{
    float x[8 * IMAGE], y[2][8 * CLASSES];
    oct_rng rng = {.state = seed};
    oct_rng_fill_normal(&rng, x, (size_t)n * IMAGE);
    for (int i = 0; i < 2; i++)
        run_one(c, p->w[i], x, n, y[i], NULL);
    for (int i = 0; i < n * CLASSES; i++)
        if (y[0][i] < y[1][i] - 1e-5F || y[0][i] > y[1][i] + 1e-5F)
            fail_msg("batch %d, seed %d, element %d: %g on the device, %g on the CPU", (int)n,
                     (int)seed, i, (double)y[0][i], (double)y[1][i]);
}

static bool no_sigmoid(oct_op op)
{
    return op == OCT_OP_SIGMOID;
}

static const fake_device_options plain[] = {{.kernels = "cpu"}, {.kernels = "ref"}};

static void the_device_agrees_with_the_cpu(void **state)
{
    engine_case *c = *state;
    branched_cnn(c);
    for (int k = 0; k < 2; k++) {
        pair p = start(c, &plain[k], (oct_engine_options){0});
        for (uint64_t round = 1; round < 6; round++)
            run_both(c, &p, 2, round);
        stop(c, &p);
    }
}

static void static_plans_are_one_graph(void **state)
{
    engine_case *c = *state;
    branched_cnn(c);
    pair p = start(c, &plain[0], (oct_engine_options){0});
    run_both(c, &p, 4, 1); /* loads kernels */
    run_both(c, &p, 4, 2); /* captures */
    const fake_device_counts before = fake_device_count(p.device);
    assert_int_equal(before.captures, 1);
    assert_int_equal(before.graph_launches, 1);
    for (uint64_t round = 3; round < 13; round++)
        run_both(c, &p, 4, round);
    const fake_device_counts after = fake_device_count(p.device);
    assert_int_equal(after.captures, 1);
    assert_int_equal(after.graph_launches, 11);
    assert_int_equal(after.launches, before.launches);
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.copies_in - before.copies_in, 10);
    assert_int_equal(after.copies_out - before.copies_out, 10);
    assert_int_equal(after.syncs - before.syncs, 20); /* pageable input, end of the run */
    stop(c, &p);
}

static void larger_batches_move_memory_and_capture_again(void **state)
{
    engine_case *c = *state;
    static const int64_t batch[] = {1, 1, 1, 8, 8, 1, 8, 1, 2, 2, 2, 1};
    branched_cnn(c);
    pair p = start(c, &plain[0], (oct_engine_options){0});
    for (size_t i = 0; i < sizeof batch / sizeof batch[0]; i++)
        run_both(c, &p, batch[i], i + 1);
    assert_in_range(fake_device_count(p.device).captures, 4, 6);
    stop(c, &p);
}

static void a_device_that_cannot_capture_still_runs(void **state)
{
    engine_case *c = *state;
    branched_cnn(c);
    const fake_device_options fake = {.kernels = "cpu", .fails_to_capture = true};
    pair p = start(c, &fake, (oct_engine_options){0});
    for (uint64_t round = 1; round < 5; round++)
        run_both(c, &p, 3, round);
    assert_int_equal(fake_device_count(p.device).graph_launches, 0);
    stop(c, &p);
}

/* ---- fp16 ---- */

static size_t count_dtype(const oct_worker *w, oct_dtype dt)
{
    const oct_op_info *ops;
    const size_t n = oct_worker_ops(w, &ops);
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        found += ops[i].out_dtype == dt;
    return found;
}

static void run_near(engine_case *c, pair *p, uint64_t seed, float tolerance)
{
    float x[2 * IMAGE], y[2][2 * CLASSES];
    oct_rng rng = {.state = seed};
    oct_rng_fill_normal(&rng, x, 2 * IMAGE);
    for (int i = 0; i < 2; i++)
        run_one(c, p->w[i], x, 2, y[i], NULL);
    for (int i = 0; i < 2 * CLASSES; i++)
        assert_true(y[0][i] > y[1][i] - tolerance && y[0][i] < y[1][i] + tolerance);
}

/* The CPU half of the pair stays in f32. */
static pair start_half(engine_case *c, const fake_device_options *fake, const char *keep)
{
    const oct_engine_options half = {.threads = 1,
                                     .precision = OCT_PRECISION_F32 | OCT_PRECISION_F16,
                                     .keep_f32 = &keep,
                                     .n_keep_f32 = keep ? 1 : 0};
    pair p = start(c, fake, (oct_engine_options){0});
    oct_worker_free(p.w[0], c->ctx);
    oct_engine_free(p.e[0], c->ctx);
    oct_engine_options opt = half;
    opt.opened = p.device;
    if (oct_engine_new(c->ctx, p.m, &opt, &p.e[0]) != OCT_OK)
        fail_msg("%s", oct_error_text(c->ctx));
    assert_int_equal(oct_worker_new(p.e[0], c->ctx, &p.w[0]), OCT_OK);
    return p;
}

static void half_values_lie_between_casts(void **state)
{
    engine_case *c = *state;
    branched_cnn(c);
    pair p = start_half(c, &plain[1], NULL);
    for (uint64_t round = 1; round < 5; round++)
        run_near(c, &p, round, 0.03F);
    assert_true(count_dtype(p.w[0], OCT_DT_F16) >= 6);
    stop(c, &p);
    const fake_device_options fake = {.kernels = "ref", .declines = no_sigmoid};
    p = start_half(c, &fake, NULL); /* Casts around what is declined */
    for (uint64_t round = 1; round < 5; round++)
        run_near(c, &p, round, 0.03F);
    stop(c, &p);
}

static void values_beyond_half_stay_single(void **state)
{
    engine_case *c = *state;
    branched_cnn(c);
    pair p = start_half(c, &plain[1], NULL);
    run_near(c, &p, 1, 0.03F);
    const size_t all = count_dtype(p.w[0], OCT_DT_F16);
    stop(c, &p);
    p = start_half(c, &plain[1], "sg");
    run_near(c, &p, 1, 0.03F);
    assert_true(count_dtype(p.w[0], OCT_DT_F16) < all);
    stop(c, &p);
}

static void half_needs_a_device(void **state)
{
    engine_case *c = *state;
    oct_engine *e;
    branched_cnn(c);
    oct_model *m = ec_model(c);
    const oct_engine_options opt = {.precision = OCT_PRECISION_F32 | OCT_PRECISION_F16};
    assert_int_equal(oct_engine_new(c->ctx, m, &opt, &e), OCT_ERR_UNSUPPORTED);
    assert_non_null(strstr(oct_error_text(c->ctx), "fp16 needs a GPU"));
    oct_error_clear(c->ctx);
    oct_model_free(m);
}

/* ---- fallbacks ---- */

static bool no_pool(oct_op op)
{
    return op == OCT_OP_MAX_POOL || op == OCT_OP_SIGMOID;
}

static bool no_reorder(oct_op op)
{
    return op == OCT_OP_REORDER;
}

static bool nothing(oct_op op)
{
    (void)op;
    return true;
}

static bool only_conv(oct_op op)
{
    return op != OCT_OP_CONV;
}

static void what_the_device_declines_runs_on_the_host(void **state)
{
    engine_case *c = *state;
    bool (*const declines[])(oct_op) = {no_pool, no_reorder, only_conv, nothing};
    branched_cnn(c);
    for (size_t k = 0; k < sizeof declines / sizeof declines[0]; k++) {
        const fake_device_options fake = {.kernels = "cpu", .declines = declines[k]};
        pair p = start(c, &fake, (oct_engine_options){0});
        for (uint64_t round = 1; round < 5; round++)
            run_both(c, &p, 3, round);
        const oct_op_info *ops;
        size_t n = oct_worker_ops(p.w[0], &ops), on_host = 0;
        for (size_t i = 0; i < n; i++)
            on_host += strstr(ops[i].reason, "fake: declined") != NULL;
        assert_true(on_host > 0 || declines[k] == no_reorder);
        stop(c, &p);
    }
}

static void packed_weights_are_not_uploaded(void **state)
{
    engine_case *c = *state;
    branched_cnn(c);
    size_t copies[2];
    for (int packs = 0; packs < 2; packs++) {
        const fake_device_options fake = {.kernels = "cpu", .packs_weights = packs};
        pair p = start(c, &fake, (oct_engine_options){0});
        run_both(c, &p, 1, 1);
        copies[packs] = fake_device_count(p.device).copies_in;
        stop(c, &p);
    }
    assert_int_equal(copies[0] - copies[1], 3); /* w1, w22, w333 */
}

/* ---- observers ---- */

typedef struct watcher {
    oct_observer base;
    oct_backend *be;
    size_t n;
    float first[32];
} watcher;

static oct_status watch(oct_observer *self, oct_ctx *ctx, uint32_t value, const oct_tensor *t,
                        oct_stream *stream)
{
    watcher *w = (watcher *)self;
    (void)value;
    if (w->be)
        return w->be->vt->copy_out(w->be, ctx, &w->first[w->n++], t->data, sizeof(float), stream);
    w->first[w->n++] = *(const float *)t->data;
    return OCT_OK;
}

static void observers_get_device_memory_and_the_stream(void **state)
{
    engine_case *c = *state;
    float x[2 * IMAGE], y[2 * CLASSES];
    oct_rng rng = {.state = 5};
    branched_cnn(c);
    pair p = start(c, &plain[0], (oct_engine_options){.observe_all = true});
    for (int round = 0; round < 3; round++) {
        watcher w[2] = {{.base = {.fn = watch}, .be = p.device}, {.base = {.fn = watch}}};
        oct_rng_fill_normal(&rng, x, 2 * IMAGE);
        for (int i = 0; i < 2; i++)
            run_one(c, p.w[i], x, 2, y, &w[i].base);
        assert_true(w[0].n > 8);
        assert_int_equal(w[0].n, w[1].n);
        for (size_t i = 0; i < w[0].n; i++)
            assert_true(w[0].first[i] > w[1].first[i] - 1e-5F &&
                        w[0].first[i] < w[1].first[i] + 1e-5F);
    }
    assert_int_equal(fake_device_count(p.device).graph_launches, 0);
    stop(c, &p);
}

/* ---- times ---- */

static void profiles_and_replays_use_the_devices_clock(void **state)
{
    engine_case *c = *state;
    const oct_op_info *ops;
    double ms[3];
    branched_cnn(c);
    pair p = start(c, &plain[0], (oct_engine_options){0});
    run_both(c, &p, 2, 1);
    run_both(c, &p, 2, 2);
    assert_int_equal(oct_worker_replay(p.w[0], c->ctx, 3, ms), OCT_OK);
    for (int i = 0; i < 3; i++)
        assert_true(ms[i] > 0.003 && ms[i] < 0.1); /* the fake's microsecond a step */
    run_both(c, &p, 2, 3);
    oct_worker_set_profiling(p.w[0], true);
    run_both(c, &p, 2, 4);
    const size_t n = oct_worker_ops(p.w[0], &ops);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(ops[i].n_runs, 1);
        assert_in_range(ops[i].total_ns, 999, 3001);
    }
    assert_int_equal(oct_worker_replay(p.w[1], c->ctx, 1, ms), OCT_ERR_UNSUPPORTED);
    oct_error_clear(c->ctx);
    stop(c, &p);
}

static void candidates_are_timed_on_the_device(void **state)
{
    engine_case *c = *state;
    const oct_op_info *ops;
    size_t timed = 0;
    fake_device_options twins = plain[0];
    twins.twins = true;
    branched_cnn(c);
    pair p = start(c, &twins, (oct_engine_options){.tune = true});
    run_both(c, &p, 2, 1);
    const size_t n = oct_worker_ops(p.w[0], &ops);
    for (size_t i = 0; i < n; i++)
        timed += ops[i].tuned_us > 0.0;
    assert_true(timed > 0);
    run_both(c, &p, 2, 2);
    stop(c, &p);
}

/* ---- what is said ---- */

static char said[4096];

static void note(void *user, oct_log_level level, const char *text)
{
    (void)user;
    (void)level;
    strncat(said, text, sizeof said - strlen(said) - 1);
    strncat(said, "\n", sizeof said - strlen(said) - 1);
}

/* The log of a run on a device that declines what `declines` names. */
static void run_aloud(bool (*declines)(oct_op op), int plans)
{
    const oct_log_sink sink = {.write = note, .max_level = OCT_LOG_INFO};
    const oct_ctx_options opt = {.log = &sink};
    const fake_device_options fake = {.kernels = "ref", .declines = declines};
    engine_case c = {0};
    said[0] = '\0';
    assert_int_equal(oct_ctx_new(&opt, &c.ctx), OCT_OK);
    assert_int_equal(oct_graph_new(c.ctx, &c.g), OCT_OK);
    branched_cnn(&c);
    pair p = start(&c, &fake, (oct_engine_options){0});
    for (int i = 1; i <= plans; i++)
        run_both(&c, &p, i, 1);
    stop(&c, &p);
    oct_graph_free(c.g);
    oct_ctx_free(c.ctx);
}

static void steps_on_the_host_are_said_aloud_once(void **state)
{
    (void)state;
    run_aloud(NULL, 2);
    assert_string_equal(said, "");
    run_aloud(no_pool, 2);
    assert_non_null(strstr(said, "1 of "));
    assert_non_null(strstr(said, "run on the CPU"));
    assert_non_null(strstr(said, "1 x MaxPool (p1): fake: declined"));
    assert_null(strstr(strstr(said, "MaxPool") + 1, "MaxPool")); /* once, not per shape */
}

/* ---- shapes known only while running ---- */

static oct_value_id value(oct_graph *g, oct_ctx *ctx, const char *name, oct_dtype dt)
{
    oct_value_id v;
    assert_int_equal(oct_graph_add_value(g, ctx, name, dt, NULL, &v), OCT_OK);
    return v;
}

static void node(oct_graph *g, oct_ctx *ctx, oct_op op, const void *attr, const oct_value_id *in,
                 uint32_t n_in, oct_value_id out)
{
    oct_node_id id;
    const char *name = oct_graph_value(g, out)->name;
    assert_int_equal(oct_graph_add_node(g, ctx, op, name, attr, in, n_in, &out, 1, &id), OCT_OK);
}

static void dynamic_steps_stand_between_device_steps(void **state)
{
    engine_case *c = *state;
    oct_graph *g = c->g;
    const oct_value_id x = gb_input(g, c->ctx, "x", GB_DIMS(40));
    const oct_value_id e = unary(g, c->ctx, OCT_OP_EXP, "e", x);
    const oct_value_id r = unary(g, c->ctx, OCT_OP_RELU, "r", x);
    const oct_value_id nz = value(g, c->ctx, "nz", OCT_DT_S64);
    const oct_value_id at = value(g, c->ctx, "at", OCT_DT_S64);
    const oct_value_id y = value(g, c->ctx, "y", OCT_DT_F32);
    const oct_attr_transpose swap = {.n_perm = 2, .perm = {1, 0}};
    const oct_attr_gather_nd nd = {0};
    node(g, c->ctx, OCT_OP_NON_ZERO, NULL, &r, 1, nz);
    node(g, c->ctx, OCT_OP_TRANSPOSE, &swap, &nz, 1, at);
    node(g, c->ctx, OCT_OP_GATHER_ND, &nd, GB_IN(e, at), 2, y);
    gb_output(g, c->ctx, y);
    pair p = start(c, &plain[0], (oct_engine_options){0});
    oct_rng rng = {.state = 3};
    for (int round = 0; round < 6; round++) {
        float data[40];
        oct_rng_fill_normal(&rng, data, 40);
        const oct_shape s = {.dim = {40}, .n_dims = 1};
        const oct_tensor in = {oct_tensor_desc_make(OCT_DT_F32, s, OCT_LAYOUT_ROW), data};
        oct_tensor out[2];
        size_t n = 0;
        for (int i = 0; i < 2; i++)
            if (oct_worker_run(p.w[i], c->ctx, &in, 1, &out[i], 1, NULL) != OCT_OK)
                fail_msg("%s", oct_error_text(c->ctx));
        assert_true(oct_shape_elems(&out[1].desc.shape, &n));
        assert_true(oct_shape_equal(&out[0].desc.shape, &out[1].desc.shape));
        assert_memory_equal(out[0].data, out[1].data, n * sizeof(float));
    }
    stop(c, &p);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, engine_case_setup, engine_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_device_agrees_with_the_cpu),
        CASE(static_plans_are_one_graph),
        CASE(larger_batches_move_memory_and_capture_again),
        CASE(a_device_that_cannot_capture_still_runs),
        CASE(half_values_lie_between_casts),
        CASE(values_beyond_half_stay_single),
        CASE(half_needs_a_device),
        CASE(what_the_device_declines_runs_on_the_host),
        CASE(packed_weights_are_not_uploaded),
        CASE(observers_get_device_memory_and_the_stream),
        CASE(profiles_and_replays_use_the_devices_clock),
        CASE(candidates_are_timed_on_the_device),
        CASE(steps_on_the_host_are_said_aloud_once),
        CASE(dynamic_steps_stand_between_device_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
