/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/op_schema.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/engine_case.h"

typedef struct einsum_case {
    const char *equation;
    int64_t a[5], b[5], y[5]; /* dims, ended by 0 */
    int transposes;           /* -1: it stays an Einsum */
} einsum_case;

static const einsum_case cases[] = {
    {"ij,jk->ik", {3, 4}, {4, 5}, {3, 5}, 0},
    {"ij,jk", {3, 4}, {4, 5}, {3, 5}, 0},
    {"ij,kj->ik", {3, 4}, {5, 4}, {3, 5}, 1},
    {"ij,jk->ki", {3, 4}, {4, 5}, {5, 3}, 1},
    {"ji,kj->ki", {4, 3}, {5, 4}, {5, 3}, 3},
    {"bhid,bhjd->bhij", {2, 3, 4, 5}, {2, 3, 6, 5}, {2, 3, 4, 6}, 1},
    {"bhij,bhjd->bhid", {2, 3, 4, 6}, {2, 3, 6, 5}, {2, 3, 4, 5}, 0},
    {"bthd,bshd->bhts", {2, 4, 3, 5}, {2, 6, 3, 5}, {2, 3, 4, 6}, 2},
    {"bhts,bshd->bthd", {2, 3, 4, 6}, {2, 6, 3, 5}, {2, 4, 3, 5}, 2},
    {"...ij,...jk->...ik", {2, 3, 4}, {2, 4, 5}, {2, 3, 5}, 0},
    {"bij,bjk->bik", {1, 3, 4}, {2, 4, 5}, {2, 3, 5}, 0}, /* the batch broadcasts */
    {"ij,jk->ik", {3, 1}, {4, 5}, {3, 5}, -1},            /* the sum broadcasts */
    {"ij,ij->ij", {3, 4}, {3, 4}, {3, 4}, -1},            /* nothing is summed */
    {"ijk,jkl->il", {3, 4, 2}, {4, 2, 5}, {3, 5}, -1},    /* two sums */
    {"ijk,kl->ijl", {3, 4, 2}, {2, 5}, {3, 4, 5}, -1},    /* two rows */
    {"iij,jk->ik", {3, 3, 4}, {4, 5}, {3, 5}, -1},        /* a diagonal */
};

static void products_become_matmul(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        void *own = NULL;
        assert_int_equal(engine_case_setup(&own), 0);
        engine_case *c = own;
        const einsum_case *k = &cases[i];
        oct_attr_einsum a = {.equation = k->equation};
        const oct_value_id x = gb_input(c->g, c->ctx, "x", k->a);
        const oct_value_id w = gb_input(c->g, c->ctx, "w", k->b);
        gb_output(c->g, c->ctx, gb_node(c->g, c->ctx, OCT_OP_EINSUM, "es", &a, k->y, GB_IN(x, w)));
        const bool stays = k->transposes < 0;
        if (ec_count(c, OCT_OP_EINSUM) != (stays ? 1 : 0) ||
            ec_count(c, OCT_OP_MATMUL) != (stays ? 0 : 1) ||
            (!stays && ec_count(c, OCT_OP_TRANSPOSE) != (uint32_t)k->transposes))
            fail_msg("%s (%zu): not as expected", k->equation, i);
        ec_assert_unchanged(c, "ref", 1e-5);
        ec_assert_unchanged(c, "cpu", 1e-5);
        assert_int_equal(engine_case_teardown(&own), 0);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(products_become_matmul)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
