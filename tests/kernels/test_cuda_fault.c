/* SPDX-License-Identifier: Apache-2.0
 *
 * Indices that are wrong and known only while running: the GPU reports them after the run as the CPU does,
 * by single steps and from a captured graph, and the next run with right ones is right.
 */
#include <stdio.h>
#include <string.h>

#include "kernels/backend.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/engine_case.h"

#define SKIPPED 77
#define ROWS 5
#define COLUMNS 4
#define PICKS 3

/* y = -Gather(data, index): something follows the find. */
static void gather_net(engine_case *c, oct_op op)
{
    static const oct_attr_axis axis;
    static const oct_attr_gather_nd nd;
    oct_value_id index;
    const oct_shape tuple = {.dim = {PICKS, 1}, .n_dims = op == OCT_OP_GATHER_ND ? 2 : 1};
    const oct_value_id data = gb_weight(c->g, c->ctx, "data", GB_DIMS(ROWS, COLUMNS));
    assert_int_equal(oct_graph_add_value(c->g, c->ctx, "index", OCT_DT_S64, &tuple, &index),
                     OCT_OK);
    assert_int_equal(oct_graph_add_input(c->g, c->ctx, index), OCT_OK);
    const oct_value_id y =
        gb_node(c->g, c->ctx, op, "pick", op == OCT_OP_GATHER ? (const void *)&axis : &nd,
                GB_DIMS(PICKS, COLUMNS), GB_IN(data, index));
    gb_output(c->g, c->ctx, gb_node(c->g, c->ctx, OCT_OP_NEG, "y", NULL, NULL, GB_IN(y)));
}

typedef struct side {
    oct_engine *e;
    oct_worker *w;
} side;

static oct_status pick(engine_case *c, const side *s, int n_dims, int64_t *index, float *y)
{
    const oct_shape shape = {.dim = {PICKS, 1}, .n_dims = n_dims};
    const oct_tensor in = {oct_tensor_desc_make(OCT_DT_S64, shape, OCT_LAYOUT_ROW), index};
    oct_tensor out;
    OCT_TRY(oct_worker_run(s->w, c->ctx, &in, 1, &out, 1, NULL));
    memcpy(y, out.data, PICKS * COLUMNS * sizeof *y);
    return OCT_OK;
}

static void assert_reported(engine_case *c, const side *s, int n_dims)
{
    int64_t wrong[PICKS] = {0, ROWS + 4, 1};
    float y[PICKS * COLUMNS];
    assert_int_equal(pick(c, s, n_dims, wrong, y), OCT_ERR_RANGE);
    if (!strstr(oct_error_text(c->ctx), "indices[1] is 9, expected -5 to 4") ||
        !strstr(oct_error_text(c->ctx), "pick"))
        fail_msg("%s", oct_error_text(c->ctx));
    oct_error_clear(c->ctx);
}

static void check(engine_case *c, oct_op op)
{
    static const char *const backend[] = {"cuda", "cpu"};
    int64_t right[PICKS] = {4, -5, 2};
    float y[2][PICKS * COLUMNS];
    side s[2];
    const int n_dims = op == OCT_OP_GATHER_ND ? 2 : 1;
    gather_net(c, op);
    oct_model *m = ec_model(c);
    for (int i = 0; i < 2; i++) {
        const oct_engine_options opt = {.backend = backend[i], .threads = 1};
        assert_int_equal(oct_engine_new(c->ctx, m, &opt, &s[i].e), OCT_OK);
        assert_int_equal(oct_worker_new(s[i].e, c->ctx, &s[i].w), OCT_OK);
    }
    for (int round = 0; round < 4; round++) { /* the later ones from a captured graph */
        for (int i = 0; i < 2; i++) {
            if (round != 1)
                assert_reported(c, &s[i], n_dims);
            assert_int_equal(pick(c, &s[i], n_dims, right, y[i]), OCT_OK);
        }
        assert_memory_equal(y[0], y[1], sizeof y[0]);
    }
    for (int i = 0; i < 2; i++) {
        oct_worker_free(s[i].w, c->ctx);
        oct_engine_free(s[i].e, c->ctx);
    }
    oct_model_free(m);
}

static void gather_reports_a_wrong_index(void **state)
{
    check(*state, OCT_OP_GATHER);
}

static void gather_nd_reports_a_wrong_index(void **state)
{
    check(*state, OCT_OP_GATHER_ND);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, engine_case_setup, engine_case_teardown)
    const struct CMUnitTest tests[] = {
        TEST(gather_reports_a_wrong_index),
        TEST(gather_nd_reports_a_wrong_index),
    };
    oct_ctx *ctx;
    oct_backend *probe = NULL;
    if (oct_ctx_new(NULL, &ctx) != OCT_OK)
        return 1;
    if (oct_backend_open(ctx, "cuda", &probe) != OCT_OK) {
        printf("SKIPPED: %s\n", oct_error_text(ctx));
        oct_ctx_free(ctx);
        return SKIPPED;
    }
    oct_backend_close(probe, ctx);
    oct_ctx_free(ctx);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
