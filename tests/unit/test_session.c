/* SPDX-License-Identifier: Apache-2.0
 * labels: threads
 *
 * Engines and workers: invariance, observers, shapes known only while running, control flow,
 * memory.
 */
#include <string.h>

#include "base/parallel.h"
#include "base/rng.h"
#include "kernels/op_schema.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/engine_case.h"
#include "tests/support/failing_alloc.h"

static oct_value_id unary(oct_graph *g, oct_ctx *ctx, oct_op op, const char *name, oct_value_id x)
{
    return gb_node(g, ctx, op, name, NULL, NULL, GB_IN(x));
}

/* A small CNN with an open batch: conv, relu, pool, residual, global pool, Gemm. */
static void small_cnn(engine_case *c)
{
    oct_graph *g = c->g;
    oct_ctx *ctx = c->ctx;
    oct_attr_window a, p;
    oct_attr_gemm fc;
    oct_op_attr_defaults(OCT_OP_CONV, &a);
    oct_op_attr_defaults(OCT_OP_MAX_POOL, &p);
    oct_op_attr_defaults(OCT_OP_GEMM, &fc);
    a.n_pad = 4;
    for (int i = 0; i < 4; i++)
        a.pad[i] = 1;
    p.n_kernel = p.n_stride = 2;
    p.kernel[0] = p.kernel[1] = p.stride[0] = p.stride[1] = 2;
    const int64_t n = OCT_DIM_SYMBOL(1);
    const oct_value_id x = gb_input(g, ctx, "x", GB_DIMS(n, 3, 16, 16));
    const oct_value_id w1 = gb_weight(g, ctx, "w1", GB_DIMS(8, 3, 3, 3));
    const oct_value_id w2 = gb_weight(g, ctx, "w22", GB_DIMS(8, 8, 3, 3));
    const oct_value_id w3 = gb_weight(g, ctx, "w333", GB_DIMS(8, 5));
    const oct_value_id c1 =
        gb_node(g, ctx, OCT_OP_CONV, "c1", &a, GB_DIMS(n, 8, 16, 16), GB_IN(x, w1));
    const oct_value_id r1 = unary(g, ctx, OCT_OP_RELU, "r1", c1);
    const oct_value_id p1 =
        gb_node(g, ctx, OCT_OP_MAX_POOL, "p1", &p, GB_DIMS(n, 8, 8, 8), GB_IN(r1));
    const oct_value_id c2 =
        gb_node(g, ctx, OCT_OP_CONV, "c2", &a, GB_DIMS(n, 8, 8, 8), GB_IN(p1, w2));
    const oct_value_id s = gb_node(g, ctx, OCT_OP_ADD, "s", NULL, NULL, GB_IN(c2, p1));
    const oct_value_id r2 = unary(g, ctx, OCT_OP_RELU, "r2", s);
    const oct_value_id gp =
        gb_node(g, ctx, OCT_OP_GLOBAL_AVERAGE_POOL, "gp", NULL, GB_DIMS(n, 8, 1, 1), GB_IN(r2));
    const oct_value_id f = gb_node(g, ctx, OCT_OP_FLATTEN, "f", NULL, GB_DIMS(n, 8), GB_IN(gp));
    gb_output(g, ctx, gb_node(g, ctx, OCT_OP_GEMM, "y", &fc, GB_DIMS(n, 5), GB_IN(f, w3)));
}

#define IMAGE (3 * 16 * 16)

typedef struct running {
    oct_model *m;
    oct_engine *e;
    oct_worker *w;
} running;

static running start(engine_case *c, const oct_engine_options *opt)
{
    running r;
    r.m = ec_model(c);
    if (oct_engine_new(c->ctx, r.m, opt, &r.e) != OCT_OK)
        fail_msg("%s", oct_error_text(c->ctx));
    assert_int_equal(oct_worker_new(r.e, c->ctx, &r.w), OCT_OK);
    return r;
}

static void stop(engine_case *c, running *r)
{
    oct_worker_free(r->w, c->ctx);
    oct_engine_free(r->e, c->ctx);
    oct_model_free(r->m);
}

static oct_tensor image_batch(float *x, int64_t n)
{
    const oct_shape s = {.dim = {n, 3, 16, 16}, .n_dims = 4};
    return (oct_tensor){oct_tensor_desc_make(OCT_DT_F32, s, OCT_LAYOUT_ROW), x};
}

static void run_images(engine_case *c, running *r, float *x, int64_t n, float *y)
{
    const oct_tensor in = image_batch(x, n);
    oct_tensor out;
    if (oct_worker_run(r->w, c->ctx, &in, 1, &out, 1, NULL) != OCT_OK)
        fail_msg("%s", oct_error_text(c->ctx));
    memcpy(y, out.data, (size_t)n * 5 * sizeof *y);
}

static void fill_images(float *x)
{
    oct_rng rng = {.state = 11};
    oct_rng_fill_normal(&rng, x, 32 * IMAGE);
}

/* ---- invariance ---- */

static void ref_gives_the_same_bits_for_any_batch_and_threads(void **state)
{
    engine_case *c = *state;
    static float x[32 * IMAGE], one[32 * 5], many[32 * 5];
    small_cnn(c);
    fill_images(x);
    for (int threads = 1; threads <= 2; threads++) {
        running r = start(c, &(oct_engine_options){.backend = "ref", .threads = threads});
        for (int i = 0; i < 32 && threads == 1; i++)
            run_images(c, &r, x + i * IMAGE, 1, one + i * 5);
        for (int64_t n = 7; n <= 32; n += 25) {
            run_images(c, &r, x, n, many);
            assert_memory_equal(one, many, (size_t)n * 5 * sizeof *one);
        }
        stop(c, &r);
    }
}

typedef struct crowd {
    oct_engine *e;
    float *x;
    float y[4][32 * 5];
} crowd;

static oct_status crowd_member(void *user, oct_ctx *ctx, int index)
{
    crowd *k = user;
    oct_worker *w;
    oct_status st = OCT_OK;
    OCT_TRY(oct_worker_new(k->e, ctx, &w));
    for (int round = 0; round < 3 && st == OCT_OK; round++) {
        for (int i = 0; i < 32 && st == OCT_OK; i++) {
            const int image = (i + 5 * index) % 32; /* everyone in another order */
            const oct_tensor in = image_batch(k->x + image * IMAGE, 1);
            oct_tensor out;
            st = oct_worker_run(w, ctx, &in, 1, &out, 1, NULL);
            if (st == OCT_OK)
                memcpy(k->y[index] + image * 5, out.data, 5 * sizeof(float));
        }
    }
    oct_worker_free(w, ctx);
    return st;
}

static void cpu_gives_the_same_bits_whatever_other_workers_do(void **state)
{
    engine_case *c = *state;
    static float x[32 * IMAGE], alone[32 * 5];
    static crowd k;
    small_cnn(c);
    fill_images(x);
    running r = start(c, &(oct_engine_options){.backend = "cpu", .threads = 1});
    for (int i = 0; i < 32; i++)
        run_images(c, &r, x + i * IMAGE, 1, alone + i * 5);
    k.e = r.e;
    k.x = x;
    assert_int_equal(oct_run_workers(c->ctx, 4, 1, crowd_member, &k), OCT_OK);
    for (int i = 0; i < 4; i++)
        assert_memory_equal(alone, k.y[i], sizeof alone);
    stop(c, &r);
}

/* ---- plans and memory ---- */

static void many_shapes_share_few_plans(void **state)
{
    engine_case *c = *state;
    static float x[32 * IMAGE], first[32 * 5], again[32 * 5];
    small_cnn(c);
    fill_images(x);
    running r = start(c, &(oct_engine_options){.backend = "cpu", .threads = 1, .max_plans = 2});
    run_images(c, &r, x, 3, first);
    for (int64_t n = 1; n <= 9; n++)
        run_images(c, &r, x, n, again);
    run_images(c, &r, x, 3, again);
    assert_memory_equal(first, again, 3 * 5 * sizeof *first);
    stop(c, &r);
}

static void a_second_run_allocates_nothing(void **state)
{
    engine_case *c = *state;
    static float x[32 * IMAGE];
    oct_failing_alloc *count = oct_failing_alloc_new(0, false);
    const oct_allocator hooks = oct_failing_alloc_hooks(count);
    engine_case mine = {.g = c->g};
    small_cnn(c);
    fill_images(x);
    assert_int_equal(oct_ctx_new(&(oct_ctx_options){.allocator = &hooks}, &mine.ctx), OCT_OK);
    running r = start(&mine, &(oct_engine_options){.backend = "cpu", .threads = 1});
    float y[5];
    run_images(&mine, &r, x, 1, y);
    const long calls = oct_failing_alloc_calls(count);
    run_images(&mine, &r, x, 1, y);
    assert_int_equal(oct_failing_alloc_calls(count), calls);
    stop(&mine, &r);
    oct_ctx_free(mine.ctx);
    assert_int_equal(oct_failing_alloc_live(count), 0);
    oct_failing_alloc_free(count);
}

static oct_status whole_life(oct_ctx *ctx, void *user)
{
    const oct_graph *source = user;
    static const oct_model_info info = {
        .producer_name = "test", .producer_version = "", .graph_name = "g"};
    oct_graph *g;
    oct_model *m;
    oct_engine *e;
    oct_worker *w;
    static float x[IMAGE];
    OCT_TRY(oct_graph_clone(ctx, source, &g));
    OCT_TRY(oct_model_adopt(ctx, g, NULL, &info, &m));
    oct_status st = oct_engine_new(
        ctx, m, &(oct_engine_options){.backend = "ref", .threads = 1, .observe_all = true}, &e);
    if (st == OCT_OK) {
        st = oct_worker_new(e, ctx, &w);
        if (st == OCT_OK) {
            const oct_tensor in = image_batch(x, 1);
            oct_tensor out;
            st = oct_worker_run(w, ctx, &in, 1, &out, 1, NULL);
            oct_worker_free(w, ctx);
        }
        oct_engine_free(e, ctx);
    }
    oct_model_free(m);
    return st;
}

static void any_failing_allocation_is_reported_and_leaks_nothing(void **state)
{
    engine_case *c = *state;
    small_cnn(c);
    assert_int_equal(oct_graph_infer(c->ctx, c->g, NULL), OCT_OK);
    oct_assert_survives_failing_alloc_step(whole_life, c->g, 20000, 7);
}

static void wrong_inputs_are_named(void **state)
{
    engine_case *c = *state;
    static float x[32 * IMAGE];
    small_cnn(c);
    running r = start(c, &(oct_engine_options){.backend = "ref", .threads = 1});
    oct_tensor in = image_batch(x, 1), out;
    in.desc.shape.dim[1] = 4;
    assert_int_equal(oct_worker_run(r.w, c->ctx, &in, 1, &out, 1, NULL), OCT_ERR_SHAPE);
    assert_non_null(strstr(oct_error_text(c->ctx), "input x is 1x4x16x16"));
    oct_error_clear(c->ctx);
    in = image_batch(x, 1);
    in.desc.dtype = OCT_DT_F16;
    assert_int_equal(oct_worker_run(r.w, c->ctx, &in, 1, &out, 1, NULL), OCT_ERR_SHAPE);
    oct_error_clear(c->ctx);
    assert_int_equal(oct_worker_run(r.w, c->ctx, &in, 0, &out, 1, NULL), OCT_ERR_USAGE);
    oct_error_clear(c->ctx);
    stop(c, &r);
}

/* ---- observers ---- */

typedef struct watcher {
    oct_observer base; /* first */
    const oct_observed *list;
    uint32_t n, next;
    float lowest[32];
    bool seen[32];
    bool in_order;
} watcher;

static oct_status watch(oct_observer *self, oct_ctx *ctx, uint32_t value, const oct_tensor *t,
                        oct_stream *stream)
{
    watcher *w = (watcher *)(void *)self;
    size_t n = 0;
    (void)ctx, (void)stream;
    w->in_order &= value >= w->next && oct_tensor_desc_is_dense(&t->desc);
    w->next = value + 1;
    if (!oct_shape_elems(&t->desc.shape, &n) || value >= 32)
        return OCT_ERR_BUG;
    w->seen[value] = true;
    w->lowest[value] = 1e9F;
    for (size_t i = 0; i < n; i++)
        if (((const float *)t->data)[i] < w->lowest[value])
            w->lowest[value] = ((const float *)t->data)[i];
    return OCT_OK;
}

static int find_observed(const watcher *w, const char *name)
{
    for (uint32_t i = 0; i < w->n; i++)
        if (strcmp(w->list[i].name, name) == 0)
            return (int)i;
    fail_msg("%s is not observed", name);
    return -1;
}

static void every_named_value_is_handed_out_unfused(void **state)
{
    engine_case *c = *state;
    static float x[32 * IMAGE], plain[5], y[5];
    small_cnn(c);
    fill_images(x);
    running r0 = start(c, &(oct_engine_options){.backend = "ref", .threads = 1});
    run_images(c, &r0, x, 1, plain);
    stop(c, &r0);
    static const char *const backend[] = {"ref", "cpu"};
    for (int b = 0; b < 2; b++) {
        const oct_engine_options opt = {.backend = backend[b], .threads = 1, .observe_all = true};
        running r = start(c, &opt);
        watcher w = {.base = {.fn = watch}, .in_order = true};
        w.n = (uint32_t)oct_engine_observed(r.e, &w.list);
        assert_int_equal(w.n, 10); /* x and nine node outputs */
        const oct_tensor in = image_batch(x, 1);
        oct_tensor out;
        assert_int_equal(oct_worker_run(r.w, c->ctx, &in, 1, &out, 1, &w.base), OCT_OK);
        memcpy(y, out.data, sizeof y);
        assert_true(w.in_order);
        assert_int_equal(w.next, w.n);
        /* before the Relu there are negative values, after it none */
        assert_true(w.lowest[find_observed(&w, "c1")] < 0.0F);
        assert_true(w.lowest[find_observed(&w, "r1")] >= 0.0F);
        for (int i = 0; i < 5; i++)
            assert_true(y[i] - plain[i] < 1e-4F && plain[i] - y[i] < 1e-4F);
        const oct_observed *r1 = &w.list[find_observed(&w, "r1")];
        assert_int_equal(r1->derived, OCT_DERIVED_RELU);
        assert_int_equal(r1->source, find_observed(&w, "c1"));
        assert_int_equal(w.list[find_observed(&w, "f")].derived, OCT_DERIVED_SAME);
        assert_int_equal(w.list[find_observed(&w, "p1")].derived, OCT_DERIVED_NONE);
        for (uint32_t i = 0; i < w.n; i++)
            assert_true(w.list[i].batch_outermost && !w.list[i].batch_free);
        w.next = 0;
        memset(w.seen, 0, sizeof w.seen);
        w.base.skip_derived = true;
        assert_int_equal(oct_worker_run(r.w, c->ctx, &in, 1, &out, 1, &w.base), OCT_OK);
        assert_false(w.seen[find_observed(&w, "r1")]);
        assert_true(w.seen[find_observed(&w, "c1")]);
        stop(c, &r);
    }
}

/* A batch that moves away from axis 0 is no longer outermost; one that comes back is not proven. */
static void a_moved_batch_is_not_called_outermost(void **state)
{
    engine_case *c = *state;
    oct_attr_transpose swap = {.n_perm = 2, .perm = {1, 0}};
    const int64_t n = OCT_DIM_SYMBOL(1);
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(n, 6));
    const oct_value_id t =
        gb_node(c->g, c->ctx, OCT_OP_TRANSPOSE, "t", &swap, GB_DIMS(6, n), GB_IN(x));
    const oct_value_id e = unary(c->g, c->ctx, OCT_OP_EXP, "e", t);
    gb_output(c->g, c->ctx,
              gb_node(c->g, c->ctx, OCT_OP_TRANSPOSE, "u", &swap, GB_DIMS(n, 6), GB_IN(e)));
    running r =
        start(c, &(oct_engine_options){.backend = "ref", .threads = 1, .observe_all = true});
    watcher w = {.in_order = true};
    w.n = (uint32_t)oct_engine_observed(r.e, &w.list);
    assert_true(w.list[find_observed(&w, "x")].batch_outermost);
    assert_false(w.list[find_observed(&w, "t")].batch_outermost);
    assert_false(w.list[find_observed(&w, "e")].batch_outermost);
    stop(c, &r);
}

static void an_unknown_name_to_observe_is_an_error(void **state)
{
    engine_case *c = *state;
    const char *const names[] = {"no such value"};
    oct_engine *e;
    small_cnn(c);
    oct_model *m = ec_model(c);
    const oct_engine_options opt = {.backend = "ref", .observe = names, .n_observe = 1};
    assert_int_equal(oct_engine_new(c->ctx, m, &opt, &e), OCT_ERR_USAGE);
    assert_non_null(strstr(oct_error_text(c->ctx), "no such value"));
    oct_error_clear(c->ctx);
    oct_model_free(m);
}

/* ---- shapes known only while running ---- */

static oct_value_id value(oct_graph *g, oct_ctx *ctx, const char *name, oct_dtype dt,
                          const oct_shape *s)
{
    oct_value_id v;
    assert_int_equal(oct_graph_add_value(g, ctx, name, dt, s, &v), OCT_OK);
    return v;
}

static void node(oct_graph *g, oct_ctx *ctx, oct_op op, const void *attr, const oct_value_id *in,
                 uint32_t n_in, oct_value_id out)
{
    oct_node_id id;
    assert_int_equal(
        oct_graph_add_node(g, ctx, op, oct_graph_value(g, out)->name, attr, in, n_in, &out, 1, &id),
        OCT_OK);
}

static void data_dependent_shapes_run(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(40));
    const oct_value_id r = unary(c->g, c->ctx, OCT_OP_RELU, "r", x);
    const oct_value_id nz = value(c->g, c->ctx, "nz", OCT_DT_S64, NULL);
    const oct_value_id at = value(c->g, c->ctx, "at", OCT_DT_S64, NULL);
    const oct_value_id y = value(c->g, c->ctx, "y", OCT_DT_F32, NULL);
    const oct_value_id z = value(c->g, c->ctx, "z", OCT_DT_F32, NULL);
    oct_attr_transpose swap = {.n_perm = 2, .perm = {1, 0}};
    oct_attr_gather_nd nd = {0};
    node(c->g, c->ctx, OCT_OP_NON_ZERO, NULL, &r, 1, nz);
    node(c->g, c->ctx, OCT_OP_TRANSPOSE, &swap, &nz, 1, at);
    node(c->g, c->ctx, OCT_OP_GATHER_ND, &nd, GB_IN(x, at), 2, y);
    node(c->g, c->ctx, OCT_OP_EXP, NULL, &y, 1, z);
    gb_output(c->g, c->ctx, z);
    running run = start(c, &(oct_engine_options){.backend = "cpu", .threads = 1});
    oct_rng rng = {.state = 3};
    float data[40];
    for (int round = 0; round < 20; round++) {
        size_t positive = 0, n = 0;
        oct_rng_fill_normal(&rng, data, 40);
        if (round == 7) /* nothing is left */
            memset(data, 0, sizeof data);
        for (int i = 0; i < 40; i++)
            positive += data[i] > 0.0F;
        const oct_shape s = {.dim = {40}, .n_dims = 1};
        const oct_tensor in = {oct_tensor_desc_make(OCT_DT_F32, s, OCT_LAYOUT_ROW), data};
        oct_tensor out;
        if (oct_worker_run(run.w, c->ctx, &in, 1, &out, 1, NULL) != OCT_OK)
            fail_msg("%s", oct_error_text(c->ctx));
        assert_true(oct_shape_elems(&out.desc.shape, &n));
        assert_int_equal(n, positive);
        for (size_t i = 0; i < n; i++)
            assert_true(((const float *)out.data)[i] >= 1.0F);
    }
    stop(c, &run);
}

/* ---- control flow ---- */

static oct_graph *sub_graph(engine_case *c)
{
    oct_graph *g;
    assert_int_equal(oct_graph_new(c->ctx, &g), OCT_OK);
    return g;
}

static uint32_t add_sub(engine_case *c, oct_graph *sub)
{
    uint32_t index;
    assert_int_equal(oct_graph_add_subgraph(c->g, c->ctx, sub, &index), OCT_OK);
    return index;
}

static void if_takes_the_branch(void **state)
{
    engine_case *c = *state;
    const oct_op op[2] = {OCT_OP_NEG, OCT_OP_EXP};
    oct_attr_control a = {.n_captured = 1};
    const oct_shape scalar = {.n_dims = 0};
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(4));
    const oct_value_id cond = value(c->g, c->ctx, "cond", OCT_DT_BOOL, &scalar);
    assert_int_equal(oct_graph_add_input(c->g, c->ctx, cond), OCT_OK);
    for (int i = 0; i < 2; i++) {
        oct_graph *s = sub_graph(c);
        const oct_value_id sx = gb_input(s, c->ctx, "sx", GB_DIMS(4));
        gb_output(s, c->ctx, unary(s, c->ctx, op[i], "sy", sx));
        a.sub[i] = add_sub(c, s);
    }
    const oct_shape four = {.dim = {4}, .n_dims = 1};
    const oct_value_id y = value(c->g, c->ctx, "y", OCT_DT_F32, &four);
    node(c->g, c->ctx, OCT_OP_IF, &a, GB_IN(cond, x), 2, y);
    gb_output(c->g, c->ctx, unary(c->g, c->ctx, OCT_OP_ABS, "z", y));
    running r = start(c, &(oct_engine_options){.backend = "cpu", .threads = 1});
    float data[4] = {0.0F, 1.0F, 2.0F, 3.0F};
    for (int k = 0; k < 4; k++) {
        uint8_t flag = (uint8_t)(k % 2);
        const oct_tensor in[2] = {
            {oct_tensor_desc_make(OCT_DT_F32, four, OCT_LAYOUT_ROW), data},
            {oct_tensor_desc_make(OCT_DT_BOOL, scalar, OCT_LAYOUT_ROW), &flag}};
        oct_tensor out;
        if (oct_worker_run(r.w, c->ctx, in, 2, &out, 1, NULL) != OCT_OK)
            fail_msg("%s", oct_error_text(c->ctx));
        const float got = ((const float *)out.data)[2];
        assert_true(flag ? got == 2.0F : got > 7.38F && got < 7.4F);
    }
    stop(c, &r);
}

static void loop_carries_and_scans(void **state)
{
    engine_case *c = *state;
    oct_attr_control a = {.n_captured = 1};
    const oct_shape scalar = {.n_dims = 0}, two = {.dim = {2}, .n_dims = 1};
    const int64_t five = 5;
    oct_value_id trips, outs[2];
    oct_node_id id;
    assert_int_equal(
        oct_graph_add_constant(c->g, c->ctx, "trips", OCT_DT_S64, &scalar, &five, true, &trips),
        OCT_OK);
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(2));
    const oct_value_id v0 = gb_fill(c->g, c->ctx, "v0", GB_DIMS(2), 1.0F);
    oct_graph *s = sub_graph(c);
    const oct_value_id it = value(s, c->ctx, "it", OCT_DT_S64, &scalar);
    const oct_value_id go = value(s, c->ctx, "go", OCT_DT_BOOL, &scalar);
    assert_int_equal(oct_graph_add_input(s, c->ctx, it), OCT_OK);
    assert_int_equal(oct_graph_add_input(s, c->ctx, go), OCT_OK);
    const oct_value_id v = gb_input(s, c->ctx, "v", GB_DIMS(2));
    const oct_value_id sx = gb_input(s, c->ctx, "sx", GB_DIMS(2));
    const oct_value_id go2 = value(s, c->ctx, "go2", OCT_DT_BOOL, &scalar);
    node(s, c->ctx, OCT_OP_IDENTITY, NULL, &go, 1, go2);
    const oct_value_id v2 = gb_node(s, c->ctx, OCT_OP_ADD, "v2", NULL, NULL, GB_IN(v, sx));
    gb_output(s, c->ctx, go2);
    gb_output(s, c->ctx, v2);
    gb_output(s, c->ctx, unary(s, c->ctx, OCT_OP_NEG, "scan", v2));
    a.sub[0] = add_sub(c, s);
    outs[0] = value(c->g, c->ctx, "last", OCT_DT_F32, &two);
    outs[1] = value(c->g, c->ctx, "all", OCT_DT_F32, NULL);
    const oct_value_id in_ids[4] = {trips, OCT_NONE, v0, x};
    assert_int_equal(
        oct_graph_add_node(c->g, c->ctx, OCT_OP_LOOP, "loop", &a, in_ids, 4, outs, 2, &id), OCT_OK);
    gb_output(c->g, c->ctx, outs[0]);
    gb_output(c->g, c->ctx, outs[1]);
    running r = start(c, &(oct_engine_options){.backend = "ref", .threads = 1});
    float data[2] = {2.0F, -1.0F};
    const oct_tensor in = {oct_tensor_desc_make(OCT_DT_F32, two, OCT_LAYOUT_ROW), data};
    oct_tensor out[2];
    for (int twice = 0; twice < 2; twice++)
        if (oct_worker_run(r.w, c->ctx, &in, 1, out, 2, NULL) != OCT_OK)
            fail_msg("%s", oct_error_text(c->ctx));
    assert_true(((const float *)out[0].data)[0] == 11.0F);
    assert_true(((const float *)out[0].data)[1] == -4.0F);
    assert_int_equal(out[1].desc.shape.n_dims, 2);
    assert_int_equal(out[1].desc.shape.dim[0], 5);
    for (int i = 0; i < 5; i++)
        assert_true(((const float *)out[1].data)[2 * i] == -(3.0F + 2.0F * (float)i));
    stop(c, &r);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, engine_case_setup, engine_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(ref_gives_the_same_bits_for_any_batch_and_threads),
        CASE(cpu_gives_the_same_bits_whatever_other_workers_do),
        CASE(many_shapes_share_few_plans),
        CASE(a_second_run_allocates_nothing),
        CASE(any_failing_allocation_is_reported_and_leaks_nothing),
        CASE(wrong_inputs_are_named),
        CASE(every_named_value_is_handed_out_unfused),
        CASE(a_moved_batch_is_not_called_outermost),
        CASE(an_unknown_name_to_observe_is_an_error),
        CASE(data_dependent_shapes_run),
        CASE(if_takes_the_branch),
        CASE(loop_carries_and_scans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
