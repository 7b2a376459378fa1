/* SPDX-License-Identifier: Apache-2.0
 *
 * Prepared ops of `cpu` under several workers: the same bits whatever the others do, and one
 * copy of packed weights.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/parallel.h"
#include "base/rng.h"
#include "kernels/backend.h"
#include "kernels/op_schema.h"

enum { IC = 48, OC = 80, SIZE = 20, WORKERS = 4, RUNS = 25, MAX_CANDIDATES = 8 };

#define X_ELEMS ((size_t)IC * SIZE * SIZE)
#define W_ELEMS ((size_t)OC * IC * 9)
#define Y_ELEMS ((size_t)OC * SIZE * SIZE)

typedef struct fixture {
    oct_ctx *ctx;
    oct_backend *be;
    oct_attr_window at;
    oct_operand in[2], out[1];
    oct_qparams x_q, w_q, y_q;
    oct_op_desc d;
    char *x, *w;
    size_t y_bytes;
} fixture;

static oct_operand operand(oct_dtype dt, oct_layout layout, int64_t a, int64_t b, int64_t c)
{
    oct_operand o;
    const oct_shape s = {.n_dims = 4, .dim = {a, b, c, c}};
    memset(&o, 0, sizeof o);
    o.desc = oct_tensor_desc_make(dt, s, layout);
    return o;
}

static void *filled(oct_ctx *ctx, oct_dtype dt, size_t n, uint64_t seed)
{
    oct_rng r = {seed};
    void *p = oct_alloc(ctx, n * oct_dtype_bytes(dt));
    assert_non_null(p);
    if (dt == OCT_DT_F32)
        oct_rng_fill_normal(&r, p, n);
    for (size_t i = 0; dt != OCT_DT_F32 && i < n; i++)
        ((int8_t *)p)[i] = (int8_t)oct_rng_below(&r, 256);
    return p;
}

/* A 3x3 convolution in f32 or s8. */
static void fixture_init(fixture *f, bool int8)
{
    const oct_dtype dt = int8 ? OCT_DT_S8 : OCT_DT_F32;
    memset(f, 0, sizeof *f);
    assert_int_equal(oct_ctx_new(NULL, &f->ctx), OCT_OK);
    assert_int_equal(oct_backend_open(f->ctx, "cpu", &f->be), OCT_OK);
    oct_op_attr_defaults(OCT_OP_CONV, &f->at);
    f->at.n_pad = 4;
    for (int i = 0; i < 4; i++)
        f->at.pad[i] = 1;
    f->at.group = 1;
    f->x = filled(f->ctx, dt, X_ELEMS, 1);
    f->w = filled(f->ctx, dt, W_ELEMS, 2);
    f->in[0] = operand(dt, OCT_LAYOUT_CHANNELS_LAST, 1, IC, SIZE);
    f->in[1] = operand(dt, OCT_LAYOUT_ROW, OC, IC, 3);
    f->out[0] = operand(dt, OCT_LAYOUT_CHANNELS_LAST, 1, OC, SIZE);
    f->in[1].data = f->w;
    f->in[1].const_key = oct_const_key_new();
    if (int8) {
        f->x_q = (oct_qparams){0.02f, 0};
        f->w_q = (oct_qparams){0.01f, 0};
        f->y_q = (oct_qparams){0.4f, 0};
        f->in[0].quant = (oct_quant){&f->x_q, 1, 0};
        f->in[1].quant = (oct_quant){&f->w_q, 1, 0};
        f->out[0].quant = (oct_quant){&f->y_q, 1, 0};
    }
    f->y_bytes = Y_ELEMS * oct_dtype_bytes(dt);
    f->d = (oct_op_desc){.op = OCT_OP_CONV,
                         .attr = &f->at,
                         .in = f->in,
                         .out = f->out,
                         .n_in = 2,
                         .n_out = 1,
                         .threads = 1,
                         .name = "shared"};
    f->d.epilogue.residual = -1;
}

static void fixture_deinit(fixture *f)
{
    oct_backend_close(f->be, f->ctx);
    oct_free(f->ctx, f->x);
    oct_free(f->ctx, f->w);
    assert_int_equal(oct_mem_now(f->ctx), 0);
    oct_ctx_free(f->ctx);
}

static int candidates(fixture *f, oct_candidate *list)
{
    char reason[OCT_REASON_BYTES] = "";
    const int n = f->be->vt->enumerate(f->be, f->ctx, &f->d, list, MAX_CANDIDATES, reason);
    assert_true(n > 0);
    return n;
}

typedef struct shared_run {
    fixture *f;
    const oct_prepared *op;
    size_t workspace_bytes;
    const char *want;
    int different[WORKERS];
} shared_run;

static oct_status run_once(const shared_run *s, oct_ctx *ctx, char *y, void *workspace)
{
    const void *in[2] = {s->f->x, s->f->w};
    void *out[1] = {y};
    const oct_run_args a = {in, out, workspace, NULL};
    return s->f->be->vt->run(s->op, ctx, &a);
}

static oct_status worker_runs(void *user, oct_ctx *ctx, int worker)
{
    shared_run *s = user;
    oct_status st = OCT_OK;
    char *y = oct_alloc(ctx, s->f->y_bytes);
    void *workspace = oct_alloc(ctx, s->workspace_bytes);
    if (!y || !workspace)
        st = OCT_ERR_NOMEM;
    for (int i = 0; i < RUNS && st == OCT_OK; i++) {
        st = run_once(s, ctx, y, workspace);
        s->different[worker] += st == OCT_OK && memcmp(y, s->want, s->f->y_bytes) != 0;
    }
    oct_free(ctx, y);
    oct_free(ctx, workspace);
    return st;
}

static void check_workers(bool int8)
{
    fixture f;
    oct_candidate list[MAX_CANDIDATES];
    fixture_init(&f, int8);
    const int n = candidates(&f, list);
    for (int c = 0; c < n; c++) {
        oct_prepared *op = NULL;
        assert_int_equal(f.be->vt->prepare(f.be, f.ctx, &f.d, &list[c], &op), OCT_OK);
        char *want = oct_alloc(f.ctx, f.y_bytes);
        void *workspace = oct_alloc(f.ctx, list[c].workspace_bytes);
        shared_run s = {&f, op, list[c].workspace_bytes, want, {0}};
        assert_int_equal(run_once(&s, f.ctx, want, workspace), OCT_OK);
        assert_int_equal(oct_run_workers(f.ctx, WORKERS, 1, worker_runs, &s), OCT_OK);
        for (int w = 0; w < WORKERS; w++)
            if (s.different[w])
                fail_msg("%s: worker %d got other bits in %d runs", list[c].name, w,
                         s.different[w]);
        f.be->vt->release(f.be, op);
        oct_free(f.ctx, want);
        oct_free(f.ctx, workspace);
    }
    print_message("%d candidates, %d workers, %d runs each\n", n, WORKERS, RUNS);
    fixture_deinit(&f);
}

static void f32_results_do_not_depend_on_other_workers(void **state)
{
    (void)state;
    check_workers(false);
}

static void int8_results_do_not_depend_on_other_workers(void **state)
{
    (void)state;
    check_workers(true);
}

static void prepared_ops_share_packed_weights(void **state)
{
    (void)state;
    for (int int8 = 0; int8 < 2; int8++) {
        fixture f;
        oct_candidate list[MAX_CANDIDATES];
        oct_prepared *first = NULL, *second = NULL;
        fixture_init(&f, int8);
        candidates(&f, list);
        const size_t before = oct_mem_now(f.ctx);
        assert_int_equal(f.be->vt->prepare(f.be, f.ctx, &f.d, &list[0], &first), OCT_OK);
        const size_t one = oct_mem_now(f.ctx) - before;
        assert_int_equal(f.be->vt->prepare(f.be, f.ctx, &f.d, &list[0], &second), OCT_OK);
        const size_t more = oct_mem_now(f.ctx) - before - one;
        assert_true(one >= W_ELEMS);
        assert_true(one - more >= W_ELEMS); /* the second one packed nothing */
        f.be->vt->release(f.be, first);
        f.be->vt->release(f.be, second);
        assert_int_equal(oct_mem_now(f.ctx), before);
        fixture_deinit(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f32_results_do_not_depend_on_other_workers),
        cmocka_unit_test(int8_results_do_not_depend_on_other_workers),
        cmocka_unit_test(prepared_ops_share_packed_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
