/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/ref/ref_index.h"

#include <string.h>

#include "kernels/ref/ref_cast.h"

static oct_status out_of_range(oct_ctx *ctx, const char *op, int64_t position, int64_t value,
                               int64_t dim)
{
    return oct_fail(ctx, OCT_ERR_RANGE, "%s: indices[%lld] is %lld, expected %lld to %lld", op,
                    (long long)position, (long long)value, (long long)-dim, (long long)(dim - 1));
}

oct_status oct_ref_check_indices(oct_ctx *ctx, const char *op, const void *index, oct_dtype dt,
                                 int64_t n, int64_t dim)
{
    for (int64_t i = 0; i < n; i++) {
        const int64_t k = oct_ref_get_s64(index, dt, i);
        if (k < -dim || k >= dim)
            return out_of_range(ctx, op, i, k, dim);
    }
    return OCT_OK;
}

void oct_ref_index_next(const oct_shape *s, int64_t *at)
{
    for (int i = s->n_dims - 1; i >= 0; i--) {
        if (++at[i] < s->dim[i])
            return;
        at[i] = 0;
    }
}

oct_ref_nd oct_ref_nd_make(const oct_shape *data, int first, int depth)
{
    oct_ref_nd nd;
    memset(&nd, 0, sizeof nd);
    nd.depth = depth;
    nd.slice = 1;
    for (int i = first + depth; i < data->n_dims; i++)
        nd.slice *= data->dim[i];
    int64_t step = nd.slice;
    for (int i = depth - 1; i >= 0; i--) {
        nd.dim[i] = data->dim[first + i];
        nd.stride[i] = step;
        step *= nd.dim[i];
    }
    return nd;
}

oct_status oct_ref_nd_offset(oct_ctx *ctx, const char *op, const oct_ref_nd *nd, const void *index,
                             oct_dtype dt, int64_t i, int64_t *offset)
{
    int64_t sum = 0;
    for (int k = 0; k < nd->depth; k++) {
        const int64_t v = oct_ref_get_s64(index, dt, i * nd->depth + k);
        if (v < -nd->dim[k] || v >= nd->dim[k])
            return out_of_range(ctx, op, i * nd->depth + k, v, nd->dim[k]);
        sum += (v < 0 ? v + nd->dim[k] : v) * nd->stride[k];
    }
    *offset = sum;
    return OCT_OK;
}
