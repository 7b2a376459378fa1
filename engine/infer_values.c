/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/infer_values.h"

#include <assert.h>
#include <string.h>

#include "base/checked.h"
#include "base/numeric.h"
#include "engine/infer_internal.h"

oct_status oct_infer_values_read(oct_ctx *ctx, const oct_infer_args *a, int i, const char *what,
                                 int max, oct_infer_values *out)
{
    const oct_tensor_desc *t = oct_infer_in(a, i);
    memset(out, 0, sizeof *out);
    assert(max <= OCT_INFER_MAX_VALUES);
    if (!t)
        return OCT_OK;
    out->present = true;
    out->n = -1;
    OCT_TRY(oct_infer_check_dtype(ctx, a, i, what, OCT_DT_BIT(S64) | OCT_DT_BIT(S32)));
    OCT_TRY(oct_infer_check_rank(ctx, a, i, what, 0, 1));
    if (t->shape.n_dims < 0 || (t->shape.n_dims == 1 && t->shape.dim[0] < 0))
        return OCT_OK;
    const int64_t n = t->shape.n_dims == 0 ? 1 : t->shape.dim[0];
    if (n > max)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "%s (input %d): %lld elements, at most %d", what,
                        i, (long long)n, max);
    out->n = (int)n;
    const oct_tensor *data = oct_infer_data(a, i);
    if (!data)
        return OCT_OK;
    out->known = true;
    for (int k = 0; k < out->n; k++)
        out->v[k] = oct_elem_s64(data->data, t->dtype, (size_t)k);
    return OCT_OK;
}

oct_status oct_infer_values_axes(oct_ctx *ctx, oct_infer_values *axes, int rank, const char *what)
{
    uint32_t seen = 0;
    for (int k = 0; k < axes->n; k++) {
        int axis = 0;
        OCT_TRY(oct_infer_axis(ctx, axes->v[k], rank, what, &axis));
        if (seen >> axis & 1)
            return oct_fail(ctx, OCT_ERR_SHAPE, "%s: axis %d occurs twice", what, axis);
        seen |= 1u << axis;
        axes->v[k] = axis;
    }
    return OCT_OK;
}

oct_status oct_infer_output(oct_ctx *ctx, const oct_infer_args *a, int i, oct_dtype dt,
                            const oct_shape *s)
{
    size_t bytes = oct_dtype_bytes(dt);
    bool empty = false;
    if (s->n_dims > OCT_MAX_DIMS)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "output %d: rank %d, at most %d", i, s->n_dims,
                        OCT_MAX_DIMS);
    for (int k = 0; k < s->n_dims; k++) {
        if (s->dim[k] < 0 && !oct_dim_is_symbol(s->dim[k]))
            return oct_fail(ctx, OCT_ERR_SHAPE, "output %d: dimension %d is %lld", i, k,
                            (long long)s->dim[k]);
        empty |= s->dim[k] == 0;
    }
    for (int k = 0; k < s->n_dims && !empty; k++)
        if (s->dim[k] > 0 &&
            (!oct_mul_size(bytes, (size_t)s->dim[k], &bytes) || bytes > PTRDIFF_MAX)) {
            char text[OCT_SHAPE_STR_BYTES];
            return oct_fail(ctx, OCT_ERR_LIMIT, "output %d: %s of shape %s is too large", i,
                            oct_dtype_str(dt), oct_shape_str(s, text, sizeof text));
        }
    if (s->n_dims < 0)
        oct_infer_set_unknown(a, i, dt);
    else
        oct_infer_set(a, i, dt, s);
    return OCT_OK;
}

oct_status oct_infer_symbols(oct_ctx *ctx, const oct_infer_args *a, int n, oct_shape *s)
{
    if (n > OCT_MAX_DIMS)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "output: rank %d, at most %d", n, OCT_MAX_DIMS);
    s->n_dims = n;
    for (int k = 0; k < n; k++)
        s->dim[k] = oct_infer_symbol(a);
    return OCT_OK;
}
