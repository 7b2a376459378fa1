/* SPDX-License-Identifier: Apache-2.0
 *
 * How unequal the channels of a model's weights are, for its report.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/numeric.h"
#include "engine/passes.h"
#include "quant/select.h"
#include "quant/weight_scale.h"
#include "tools/evaluate_result.h"

static int by_value(const void *pa, const void *pb)
{
    const float a = *(const float *)pa, b = *(const float *)pb;
    return (a > b) - (a < b);
}

/* Output-channel axis of the weight of a weighted node. */
static int channel_axis(const oct_node *n, const oct_shape *w)
{
    if (n->op == OCT_OP_CONV)
        return 0;
    if (n->op == OCT_OP_CONV_TRANSPOSE)
        return 1;
    if (n->op == OCT_OP_GEMM)
        return ((const oct_attr_gemm *)n->attr)->trans_b ? 0 : 1;
    return w->n_dims - 1;
}

static const oct_value *weight_of(const oct_graph *g, const oct_node *n)
{
    const oct_value *w = n->n_in > 1 && n->in[1] != OCT_NONE ? oct_graph_value(g, n->in[1]) : NULL;
    const bool constant = w && w->data && w->producer == OCT_NONE && oct_dtype_is_float(w->dtype);
    return !n->dead && oct_select_is_weighted(n->op) && constant && w->shape.n_dims >= 2 ? w : NULL;
}

/* Signal against rounding of weights that are scaled by `scale` a channel. */
static double rounding_db(const float *w, size_t n, const oct_shape *s, int axis,
                          const float *scale)
{
    size_t inner = 1;
    for (int d = axis + 1; d < s->n_dims; d++)
        inner *= (size_t)s->dim[d];
    double signal = 0, noise = 0;
    for (size_t i = 0; i < n; i++) {
        const float x = scale[i / inner % (size_t)s->dim[axis]];
        const double d = (double)w[i] - (double)x * nearbyint((double)w[i] / (double)x);
        signal += (double)w[i] * (double)w[i];
        noise += d * d;
    }
    return noise > 0 && signal > 0 ? 10 * log10(signal / noise) : (double)NAN;
}

static oct_status measure(oct_report *r, const oct_value *v, const oct_node *n,
                          oct_report_weight *to)
{
    const int axis = channel_axis(n, &v->shape);
    const size_t n_channels = oct_weight_n_scales(&v->shape, axis);
    size_t n_elems;
    if (!oct_shape_elems(&v->shape, &n_elems) || n_elems == 0)
        return OCT_OK;
    float *w = oct_alloc_array(r->ctx, n_elems, sizeof *w);
    float *scale = oct_alloc_array(r->ctx, n_channels, sizeof *scale);
    oct_status st = w && scale ? OCT_OK : OCT_ERR_NOMEM;
    for (size_t i = 0; st == OCT_OK && i < n_elems; i++)
        w[i] = (float)oct_elem_f64(v->data, v->dtype, i);
    if (st == OCT_OK)
        st = oct_weight_scales(r->ctx, w, &v->shape, axis, OCT_WEIGHT_MAX_ABS, scale);
    if (st == OCT_OK) {
        to->name = oct_report_text(r, v->name);
        to->node = oct_report_text(r, n->name);
        to->channels = (int64_t)n_channels;
        to->sqnr_db = rounding_db(w, n_elems, &v->shape, axis, scale);
        qsort(scale, n_channels, sizeof *scale, by_value);
        to->amax_min = 127 * (double)scale[0];
        to->amax_median = 127 * (double)scale[n_channels / 2];
        to->amax_max = 127 * (double)scale[n_channels - 1];
        st = to->name && to->node ? OCT_OK : OCT_ERR_NOMEM;
    }
    oct_free(r->ctx, w);
    oct_free(r->ctx, scale);
    return st;
}

static int widest_first(const void *pa, const void *pb)
{
    const oct_report_weight *a = pa, *b = pb;
    const double x = a->amax_max / a->amax_min, y = b->amax_max / b->amax_min;
    return x != y ? (x > y ? -1 : 1) : strcmp(a->node, b->node);
}

static oct_status measure_all(oct_graph *g, oct_report *r)
{
    uint32_t n = 0;
    const oct_node_id *order = oct_graph_order(g, &n);
    r->weights = oct_report_array(r, OCT_REPORT_WEIGHT, n);
    if (!r->weights)
        return OCT_ERR_NOMEM;
    for (uint32_t i = 0; i < n; i++) {
        const oct_node *node = oct_graph_node(g, order[i]);
        const oct_value *w = weight_of(g, node);
        if (!w)
            continue;
        const oct_status st = measure(r, w, node, &r->weights[r->n_weights]);
        if (st == OCT_ERR_RANGE)
            oct_error_clear(r->ctx); /* NaN weights have no range to show; the accuracy tells */
        else
            OCT_TRY(st);
        r->n_weights += r->weights[r->n_weights].name != NULL;
    }
    qsort(r->weights, r->n_weights, sizeof *r->weights, widest_first);
    return OCT_OK;
}

oct_status oct_report_add_weights(const oct_model *m, oct_report *r)
{
    const oct_pass_env env = {.precision = OCT_PRECISION_F32 | OCT_PRECISION_S8};
    oct_graph *g = NULL;
    OCT_TRY(oct_graph_clone(r->ctx, oct_model_graph(m), &g));
    oct_status st = oct_pass_batch_norm(r->ctx, g, &env); /* as the quantizer does first */
    oct_graph_remove_unused(g);
    if (st == OCT_OK)
        st = oct_graph_sort(g, r->ctx);
    if (st == OCT_OK)
        st = measure_all(g, r);
    oct_graph_free(g);
    return st;
}
