/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/graph_build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/rng.h"

static oct_shape shape_of(const int64_t *dim)
{
    oct_shape s = {0};
    while (dim[s.n_dims] != 0) {
        s.dim[s.n_dims] = dim[s.n_dims];
        s.n_dims++;
    }
    return s;
}

oct_value_id gb_input(oct_graph *g, oct_ctx *ctx, const char *name, const int64_t *dim)
{
    const oct_shape s = shape_of(dim);
    oct_value_id v;
    assert_int_equal(oct_graph_add_value(g, ctx, name, OCT_DT_F32, &s, &v), OCT_OK);
    assert_int_equal(oct_graph_add_input(g, ctx, v), OCT_OK);
    oct_graph_value(g, v)->from_model = true;
    return v;
}

static oct_value_id add_constant(oct_graph *g, oct_ctx *ctx, const char *name, const oct_shape *s,
                                 const float *data)
{
    oct_value_id v;
    assert_int_equal(oct_graph_add_constant(g, ctx, name, OCT_DT_F32, s, data, true, &v), OCT_OK);
    return v;
}

oct_value_id gb_weight(oct_graph *g, oct_ctx *ctx, const char *name, const int64_t *dim)
{
    const oct_shape s = shape_of(dim);
    size_t n = 0;
    assert_true(oct_shape_elems(&s, &n));
    float *w = oct_alloc_array(ctx, n, sizeof *w);
    assert_non_null(w);
    oct_rng rng = {n + strlen(name)};
    oct_rng_fill_normal(&rng, w, n);
    const oct_value_id v = add_constant(g, ctx, name, &s, w);
    oct_free(ctx, w);
    return v;
}

oct_value_id gb_fill(oct_graph *g, oct_ctx *ctx, const char *name, const int64_t *dim, float value)
{
    const oct_shape s = shape_of(dim);
    size_t n = 0;
    assert_true(oct_shape_elems(&s, &n));
    float *w = oct_alloc_array(ctx, n, sizeof *w);
    assert_non_null(w);
    for (size_t i = 0; i < n; i++)
        w[i] = value;
    const oct_value_id v = add_constant(g, ctx, name, &s, w);
    oct_free(ctx, w);
    return v;
}

oct_value_id gb_node(oct_graph *g, oct_ctx *ctx, oct_op op, const char *name, const void *attr,
                     const int64_t *dim, const oct_value_id *in)
{
    const oct_shape s = dim ? shape_of(dim) : oct_graph_value(g, in[0])->shape;
    uint32_t n_in = 0;
    while (in[n_in] != OCT_NONE)
        n_in++;
    oct_value_id v;
    oct_node_id n;
    assert_int_equal(oct_graph_add_value(g, ctx, name, OCT_DT_F32, &s, &v), OCT_OK);
    oct_graph_value(g, v)->from_model = true;
    assert_int_equal(oct_graph_add_node(g, ctx, op, name, attr, in, n_in, &v, 1, &n), OCT_OK);
    return v;
}

void gb_output(oct_graph *g, oct_ctx *ctx, oct_value_id v)
{
    assert_int_equal(oct_graph_add_output(g, ctx, v), OCT_OK);
}

uint32_t gb_count(const oct_graph *g, oct_op op)
{
    uint32_t n = 0, found = 0;
    const oct_node_id *order = oct_graph_order(g, &n);
    for (uint32_t i = 0; i < n; i++)
        found += oct_graph_node(g, order[i])->op == op;
    return found;
}

const oct_node *gb_find(const oct_graph *g, const char *name)
{
    uint32_t n = 0;
    const oct_node_id *order = oct_graph_order(g, &n);
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(oct_graph_node(g, order[i])->name, name) == 0)
            return oct_graph_node(g, order[i]);
    fail_msg("no node '%s'", name);
    return NULL;
}
