/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/engine_case.h"

#include <math.h>
#include <string.h>

#include "base/numeric.h"
#include "base/rng.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/failing_alloc.h"

int engine_case_setup(void **state)
{
    engine_case *c = test_calloc(1, sizeof *c);
    c->ctx = oct_test_ctx();
    assert_int_equal(oct_graph_new(c->ctx, &c->g), OCT_OK);
    *state = c;
    return 0;
}

int engine_case_teardown(void **state)
{
    engine_case *c = *state;
    oct_graph_free(c->g);
    oct_ctx_free(c->ctx);
    test_free(c);
    return 0;
}

static void assert_ok(engine_case *c, oct_status st)
{
    if (st != OCT_OK)
        fail_msg("%s: %s", oct_status_str(st), oct_error_text(c->ctx));
}

oct_model *ec_model(engine_case *c)
{
    const oct_model_info info = {
        .producer_name = "test", .producer_version = "", .graph_name = "g"};
    oct_graph *g;
    oct_model *m;
    assert_ok(c, oct_graph_clone(c->ctx, c->g, &g));
    assert_ok(c, oct_graph_infer(c->ctx, g, NULL));
    assert_ok(c, oct_model_adopt(c->ctx, g, NULL, &info, &m));
    return m;
}

static void random_input(engine_case *c, const oct_io *io, oct_tensor *t)
{
    oct_shape s = io->shape;
    size_t n = 0;
    for (int i = 0; i < s.n_dims; i++)
        s.dim[i] = oct_dim_is_symbol(s.dim[i]) ? 2 : s.dim[i];
    assert_true(oct_shape_elems(&s, &n));
    t->desc = oct_tensor_desc_make(io->dtype, s, OCT_LAYOUT_ROW);
    t->data = oct_zalloc(c->ctx, n * 8 + 8);
    oct_rng rng = {.state = strlen(io->name)};
    for (size_t i = 0; i < n; i++) {
        const float x = oct_rng_normal(&rng);
        if (io->dtype == OCT_DT_F32)
            ((float *)t->data)[i] = x;
        else if (io->dtype == OCT_DT_F16)
            ((uint16_t *)t->data)[i] = oct_f16_from_f32(x);
        else if (io->dtype == OCT_DT_BOOL)
            ((uint8_t *)t->data)[i] = x > 0.0F;
        else
            ((int64_t *)t->data)[i] = (int64_t)(3.0F * fabsf(x));
    }
}

static void copy_outputs(engine_case *c, const oct_tensor *out, ec_result *r)
{
    for (size_t i = 0; i < r->n; i++) {
        size_t bytes = 0;
        assert_true(oct_tensor_desc_bytes(&out[i].desc, &bytes));
        r->out[i].desc = out[i].desc;
        r->out[i].data = oct_alloc(c->ctx, bytes);
        memcpy(r->out[i].data, out[i].data, bytes);
    }
}

void ec_run(engine_case *c, const oct_engine_options *opt, ec_result *r)
{
    oct_model *m = ec_model(c);
    oct_engine *e;
    oct_worker *w;
    const oct_io *in_io, *out_io;
    oct_tensor in[EC_MAX_OUT], out[EC_MAX_OUT];
    assert_ok(c, oct_engine_new(c->ctx, m, opt, &e));
    const size_t n_in = oct_engine_inputs(e, &in_io);
    r->n = oct_engine_outputs(e, &out_io);
    assert_true(n_in <= EC_MAX_OUT && r->n <= EC_MAX_OUT);
    for (size_t i = 0; i < n_in; i++)
        random_input(c, &in_io[i], &in[i]);
    assert_ok(c, oct_worker_new(e, c->ctx, &w));
    for (int twice = 0; twice < 2; twice++) /* the second run finds used memory */
        assert_ok(c, oct_worker_run(w, c->ctx, in, n_in, out, r->n, NULL));
    copy_outputs(c, out, r);
    for (size_t i = 0; i < n_in; i++)
        oct_free(c->ctx, in[i].data);
    oct_worker_free(w, c->ctx);
    oct_engine_free(e, c->ctx);
    oct_model_free(m);
}

void ec_result_free(engine_case *c, ec_result *r)
{
    for (size_t i = 0; i < r->n; i++)
        oct_free(c->ctx, r->out[i].data);
    r->n = 0;
}

double ec_distance(const ec_result *a, const ec_result *b)
{
    double worst = 0.0;
    for (size_t k = 0; k < b->n; k++) {
        const oct_tensor *x = &a->out[k], *y = &b->out[k];
        size_t n = 0;
        double scale = 0.0, diff = 0.0;
        if (a->n != b->n || x->desc.dtype != y->desc.dtype ||
            !oct_shape_equal(&x->desc.shape, &y->desc.shape) ||
            !oct_shape_elems(&y->desc.shape, &n))
            return INFINITY;
        for (size_t i = 0; i < n; i++) {
            const double u = oct_elem_f64(x->data, x->desc.dtype, i);
            const double v = oct_elem_f64(y->data, y->desc.dtype, i);
            scale = fmax(scale, fabs(v));
            diff = isnan(u) || isnan(v) ? INFINITY : fmax(diff, fabs(u - v));
        }
        worst = fmax(worst, diff == 0.0 ? 0.0 : diff / scale);
    }
    return worst;
}

void ec_assert_unchanged(engine_case *c, const char *backend, double tol)
{
    const oct_engine_options as_built = {.backend = "ref", .threads = 1, .no_fusion = true};
    const oct_engine_options rewritten = {.backend = backend, .threads = 1};
    ec_result a, b;
    ec_run(c, &rewritten, &a);
    ec_run(c, &as_built, &b);
    const double d = ec_distance(&a, &b);
    if (!(d <= tol))
        fail_msg("%s: rewritten graph is off by %d millionths", backend, (int)fmin(d * 1e6, 1e9));
    ec_result_free(c, &a);
    ec_result_free(c, &b);
}

oct_graph *ec_rewritten(engine_case *c)
{
    oct_backend *ref;
    oct_graph *g;
    assert_ok(c, oct_backend_open(c->ctx, "ref", &ref));
    assert_ok(c, oct_graph_clone(c->ctx, c->g, &g));
    assert_ok(c, oct_graph_infer(c->ctx, g, NULL));
    const oct_pass_env env = {.backend = ref, .ref = ref, .precision = OCT_PRECISION_F32};
    assert_ok(c, oct_passes_run(c->ctx, g, &env));
    assert_ok(c, oct_graph_check(c->ctx, g));
    oct_backend_close(ref, c->ctx);
    return g;
}

uint32_t ec_count(engine_case *c, oct_op op)
{
    oct_graph *g = ec_rewritten(c);
    const uint32_t n = gb_count(g, op);
    oct_graph_free(g);
    return n;
}
