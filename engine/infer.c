/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/infer.h"

#include "base/checked.h"
#include "engine/infer_internal.h"

static const oct_infer_entry *const GROUPS[] = {
#define X(group) oct_infer_##group,
    OCT_INFER_GROUPS(X)
#undef X
};

oct_infer_fn oct_infer_find(oct_op op)
{
    for (size_t g = 0; g < sizeof GROUPS / sizeof GROUPS[0]; g++) {
        for (const oct_infer_entry *e = GROUPS[g]; e->infer; e++) {
            if (e->op == op)
                return e->infer;
        }
    }
    return NULL;
}

const oct_tensor_desc *oct_infer_in(const oct_infer_args *a, int i)
{
    return i < a->n_in && a->in[i].desc.dtype != OCT_DT_NONE ? &a->in[i].desc : NULL;
}

const oct_tensor *oct_infer_data(const oct_infer_args *a, int i)
{
    return oct_infer_in(a, i) && a->in[i].data ? &a->in[i] : NULL;
}

void oct_infer_set(const oct_infer_args *a, int i, oct_dtype dt, const oct_shape *shape)
{
    if (i < a->n_out)
        a->out[i] = oct_tensor_desc_make(dt, *shape, OCT_LAYOUT_ROW);
}

void oct_infer_set_dims(const oct_infer_args *a, int i, oct_dtype dt, int n_dims,
                        const int64_t *dim)
{
    oct_shape s = {.n_dims = n_dims};
    for (int k = 0; k < n_dims; k++)
        s.dim[k] = dim[k];
    oct_infer_set(a, i, dt, &s);
}

void oct_infer_set_unknown(const oct_infer_args *a, int i, oct_dtype dt)
{
    if (i < a->n_out)
        a->out[i] = (oct_tensor_desc){.dtype = dt, .shape.n_dims = -1};
}

int64_t oct_infer_symbol(const oct_infer_args *a)
{
    return a->new_symbol(a->user);
}

oct_status oct_infer_check_dtype(oct_ctx *ctx, const oct_infer_args *a, int i, const char *what,
                                 uint32_t allowed)
{
    const oct_tensor_desc *t = oct_infer_in(a, i);
    if (!t || (allowed >> t->dtype & 1))
        return OCT_OK;
    return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "%s (input %d): element type %s is not supported",
                    what, i, oct_dtype_str(t->dtype));
}

oct_status oct_infer_check_same_dtype(oct_ctx *ctx, const oct_infer_args *a, int i, int j)
{
    const oct_tensor_desc *x = oct_infer_in(a, i), *y = oct_infer_in(a, j);
    if (!x || !y || x->dtype == y->dtype)
        return OCT_OK;
    return oct_fail(ctx, OCT_ERR_SHAPE, "inputs %d and %d: element types %s and %s, expected equal",
                    i, j, oct_dtype_str(x->dtype), oct_dtype_str(y->dtype));
}

oct_status oct_infer_check_rank(oct_ctx *ctx, const oct_infer_args *a, int i, const char *what,
                                int lo, int hi)
{
    const oct_tensor_desc *t = oct_infer_in(a, i);
    if (!t || t->shape.n_dims < 0 || (t->shape.n_dims >= lo && t->shape.n_dims <= hi))
        return OCT_OK;
    return oct_fail(ctx, OCT_ERR_SHAPE, "%s (input %d): rank %d, expected %d to %d", what, i,
                    t->shape.n_dims, lo, hi);
}

oct_status oct_infer_axis(oct_ctx *ctx, int64_t axis, int n_dims, const char *what, int *out)
{
    if (axis < -n_dims || axis >= n_dims)
        return oct_fail(ctx, OCT_ERR_SHAPE, "%s: %lld, expected within rank %d", what,
                        (long long)axis, n_dims);
    *out = (int)(axis < 0 ? axis + n_dims : axis);
    return OCT_OK;
}

bool oct_infer_merge_dim(int64_t a, int64_t b, int64_t *out)
{
    if (a >= 0 && b >= 0 && a != b)
        return false;
    if (out)
        *out = a >= 0 ? a : b;
    return true;
}

int64_t oct_infer_mul_dims(const oct_infer_args *a, int64_t x, int64_t y)
{
    int64_t n;
    if (x == 1)
        return y;
    if (y == 1)
        return x;
    if (x == 0 || y == 0)
        return 0;
    return x > 0 && y > 0 && oct_mul_s64(x, y, &n) ? n : oct_infer_symbol(a);
}

static oct_status broadcast_dim(oct_ctx *ctx, const oct_infer_args *a, int64_t x, int64_t y,
                                int64_t *out)
{
    if (x == y || y == 1)
        *out = x;
    else if (x == 1)
        *out = y;
    else if (x >= 0 && y >= 0)
        return oct_fail(ctx, OCT_ERR_SHAPE, "dimensions %lld and %lld do not broadcast",
                        (long long)x, (long long)y);
    else if (x >= 0 || y >= 0)
        *out = x >= 0 ? x : y; /* the unknown one must be 1 or the same */
    else
        *out = oct_infer_symbol(a);
    return OCT_OK;
}

oct_status oct_infer_broadcast(oct_ctx *ctx, const oct_infer_args *a, const oct_shape *x,
                               const oct_shape *y, oct_shape *out)
{
    oct_shape s = {.n_dims = -1};
    if (x->n_dims >= 0 && y->n_dims >= 0) {
        s.n_dims = x->n_dims > y->n_dims ? x->n_dims : y->n_dims;
        for (int k = 0; k < s.n_dims; k++) {
            const int i = k - (s.n_dims - x->n_dims), j = k - (s.n_dims - y->n_dims);
            OCT_TRY(broadcast_dim(ctx, a, i < 0 ? 1 : x->dim[i], j < 0 ? 1 : y->dim[j], &s.dim[k]));
        }
    }
    *out = s;
    return OCT_OK;
}

oct_status oct_infer_like_input(oct_ctx *ctx, const oct_infer_args *a)
{
    (void)ctx;
    if (a->in[0].desc.shape.n_dims < 0)
        oct_infer_set_unknown(a, 0, a->in[0].desc.dtype);
    else
        oct_infer_set(a, 0, a->in[0].desc.dtype, &a->in[0].desc.shape);
    return OCT_OK;
}
