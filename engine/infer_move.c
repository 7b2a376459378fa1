/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators that place elements elsewhere: Concat, Split, Slice, Pad, Expand, Tile,
 * DepthToSpace, SpaceToDepth, ReverseSequence, Trilu.
 */
#include "base/checked.h"
#include "engine/infer_internal.h"
#include "engine/infer_values.h"

static oct_dtype dtype_of(const oct_infer_args *a)
{
    return a->in[0].desc.dtype;
}

static oct_status unknown_output(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_shape s = {.n_dims = -1};
    return oct_infer_output(ctx, a, 0, dtype_of(a), &s);
}

/* x + y; an unknown operand gives a fresh symbol, unless the other is 0. */
static oct_status add_dims(oct_ctx *ctx, const oct_infer_args *a, int64_t x, int64_t y,
                           int64_t *out)
{
    if (x == 0 || y == 0)
        *out = x + y;
    else if (x < 0 || y < 0)
        *out = oct_infer_symbol(a);
    else if (!oct_add_s64(x, y, out))
        return oct_fail(ctx, OCT_ERR_LIMIT, "output: a dimension does not fit 64 bits");
    return OCT_OK;
}

/* Joins input `i` to `s` along `axis`. */
static oct_status concat_one(oct_ctx *ctx, const oct_infer_args *a, int i, int axis, oct_shape *s)
{
    const oct_shape *x = &a->in[i].desc.shape;
    if (x->n_dims != s->n_dims)
        return oct_fail(ctx, OCT_ERR_SHAPE, "input %d: rank %d, expected %d", i, x->n_dims,
                        s->n_dims);
    for (int k = 0; k < s->n_dims; k++) {
        if (k == axis)
            OCT_TRY(add_dims(ctx, a, s->dim[k], x->dim[k], &s->dim[k]));
        else if (!oct_infer_merge_dim(s->dim[k], x->dim[k], &s->dim[k]))
            return oct_fail(ctx, OCT_ERR_SHAPE, "input %d: dimension %d is %lld, expected %lld", i,
                            k, (long long)x->dim[k], (long long)s->dim[k]);
    }
    return OCT_OK;
}

static oct_status infer_concat(oct_ctx *ctx, const oct_infer_args *a)
{
    oct_shape s = a->in[0].desc.shape;
    int axis = 0;
    bool known = true;
    for (int i = 0; i < a->n_in; i++) {
        if (!oct_infer_in(a, i))
            return oct_fail(ctx, OCT_ERR_SHAPE, "input %d: absent, but it is not optional", i);
        OCT_TRY(oct_infer_check_same_dtype(ctx, a, 0, i));
        known = known && a->in[i].desc.shape.n_dims >= 0;
    }
    if (!known)
        return unknown_output(ctx, a);
    OCT_TRY(oct_infer_axis(ctx, ((const oct_attr_axis *)a->attr)->axis, s.n_dims, "axis", &axis));
    for (int i = 1; i < a->n_in; i++)
        OCT_TRY(concat_one(ctx, a, i, axis, &s));
    return oct_infer_output(ctx, a, 0, dtype_of(a), &s);
}

/* Size of part `k` of `n_out` along an axis of `dim`. */
static oct_status split_size(oct_ctx *ctx, const oct_infer_args *a, const oct_infer_values *sizes,
                             int64_t dim, int k, int64_t *out)
{
    const int64_t n = a->n_out;
    if (sizes->present) {
        *out = sizes->v[k];
        if (*out < 0 && !oct_dim_is_symbol(*out))
            return oct_fail(ctx, OCT_ERR_SHAPE, "split (input 1): entry %d is %lld", k,
                            (long long)*out);
        return OCT_OK;
    }
    if (dim < 0) {
        *out = oct_infer_symbol(a);
        return OCT_OK;
    }
    const int64_t part = (dim + n - 1) / n; /* the last one may be smaller */
    const int64_t left = dim - part * k;
    *out = left < 0 ? 0 : left < part ? left : part;
    return OCT_OK;
}

static oct_status read_split(oct_ctx *ctx, const oct_infer_args *a, oct_infer_values *sizes)
{
    const oct_attr_axis *attr = a->attr;
    *sizes = (oct_infer_values){.n = 0};
    const oct_tensor_desc *t = oct_infer_in(a, 1);
    if (attr->num_outputs != 0 && (attr->num_outputs != a->n_out || t))
        return oct_fail(ctx, OCT_ERR_SHAPE, "num_outputs: %lld with %d outputs%s",
                        (long long)attr->num_outputs, a->n_out, t ? " and input 1" : "");
    if (!t)
        return OCT_OK;
    sizes->present = true;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 1, "split", OCT_DT_BIT(S64)));
    OCT_TRY(oct_infer_check_rank(ctx, a, 1, "split", 1, 1));
    if (t->shape.n_dims == 1 && t->shape.dim[0] >= 0 && t->shape.dim[0] != a->n_out)
        return oct_fail(ctx, OCT_ERR_SHAPE, "split (input 1): %lld entries for %d outputs",
                        (long long)t->shape.dim[0], a->n_out);
    return OCT_OK;
}

static oct_status infer_split(oct_ctx *ctx, const oct_infer_args *a)
{
    oct_infer_values sizes;
    oct_shape s = a->in[0].desc.shape;
    int axis = 0;
    int64_t sum = 0;
    OCT_TRY(read_split(ctx, a, &sizes));
    if (s.n_dims >= 0)
        OCT_TRY(
            oct_infer_axis(ctx, ((const oct_attr_axis *)a->attr)->axis, s.n_dims, "axis", &axis));
    const int64_t dim = s.n_dims >= 0 ? s.dim[axis] : 0;
    const oct_tensor *data = oct_infer_data(a, 1);
    for (int k = 0; k < a->n_out; k++) {
        oct_shape part = s;
        if (s.n_dims >= 0 && sizes.present && !data) {
            part.dim[axis] = oct_infer_symbol(a);
        } else if (s.n_dims >= 0) {
            oct_infer_values one = sizes; /* more outputs than OCT_INFER_MAX_VALUES are fine */
            if (data)
                one.v[0] = ((const int64_t *)data->data)[k];
            OCT_TRY(split_size(ctx, a, &one, dim, sizes.present ? 0 : k, &part.dim[axis]));
            sum =
                part.dim[axis] < 0 || sum < 0 || !oct_add_s64(sum, part.dim[axis], &sum) ? -1 : sum;
        }
        OCT_TRY(oct_infer_output(ctx, a, k, dtype_of(a), &part));
    }
    if (data && sum >= 0 && dim >= 0 && sum != dim)
        return oct_fail(ctx, OCT_ERR_SHAPE, "split (input 1): sums to %lld, axis %d has %lld",
                        (long long)sum, axis, (long long)dim);
    return OCT_OK;
}

/* ---- Slice ------------------------------------------------------------------------------ */

/* Elements from start to end in steps of `step`, both clamped as ONNX says; `dim` known. */
static int64_t slice_count(int64_t dim, int64_t start, int64_t end, int64_t step)
{
    const int64_t low = step < 0 ? -1 : 0, last = step < 0 ? dim - 1 : dim;
    start += start < 0 ? dim : 0;
    end += end < 0 ? dim : 0;
    start = start < 0 ? 0 : start > last ? last : start;
    end = end < low ? low : end > dim ? dim : end;
    if (step > 0)
        return end > start ? (end - start - 1) / step + 1 : 0;
    return start > end ? (int64_t)((uint64_t)(start - end - 1) / (0 - (uint64_t)step)) + 1 : 0;
}

/* One axis with symbols about: kept whole where that is certain, else a fresh symbol. In a backward
 * slice a symbol-sized end can only be the usual "very negative" number. */
static int64_t slice_dim(const oct_infer_args *a, int64_t dim, int64_t start, int64_t end,
                         int64_t step)
{
    const int64_t huge = INT32_MAX;
    if (step == 1 && start == 0 && (end == dim || end >= huge))
        if (dim < 0 || end >= dim)
            return dim;
    if (step == -1 && (start == -1 || start >= huge) && end <= -huge && dim < 0)
        return dim;
    if (dim < 0 || oct_dim_is_symbol(start) || (step > 0 && oct_dim_is_symbol(end)))
        return dim == 0 ? 0 : oct_infer_symbol(a);
    if (step < 0 && end < -dim)
        end = -dim - 1;
    return slice_count(dim, start, end, step);
}

static oct_status check_slice_counts(oct_ctx *ctx, const oct_infer_values *starts,
                                     const oct_infer_values *v, const char *what)
{
    if (v->present && v->n >= 0 && starts->n >= 0 && v->n != starts->n)
        return oct_fail(ctx, OCT_ERR_SHAPE, "%s: %d entries, starts has %d", what, v->n, starts->n);
    return OCT_OK;
}

static oct_status infer_slice(oct_ctx *ctx, const oct_infer_args *a)
{
    oct_infer_values starts, ends, axes, steps;
    oct_shape s = a->in[0].desc.shape;
    OCT_TRY(oct_infer_values_read(ctx, a, 1, "starts", OCT_MAX_DIMS, &starts));
    OCT_TRY(oct_infer_values_read(ctx, a, 2, "ends", OCT_MAX_DIMS, &ends));
    OCT_TRY(oct_infer_values_read(ctx, a, 3, "axes", OCT_MAX_DIMS, &axes));
    OCT_TRY(oct_infer_values_read(ctx, a, 4, "steps", OCT_MAX_DIMS, &steps));
    OCT_TRY(check_slice_counts(ctx, &starts, &ends, "ends"));
    OCT_TRY(check_slice_counts(ctx, &starts, &axes, "axes"));
    OCT_TRY(check_slice_counts(ctx, &starts, &steps, "steps"));
    if (s.n_dims < 0)
        return unknown_output(ctx, a);
    if (starts.n < 0 || (axes.present && !axes.known)) {
        OCT_TRY(oct_infer_symbols(ctx, a, s.n_dims, &s));
        return oct_infer_output(ctx, a, 0, dtype_of(a), &s);
    }
    if (!axes.present) {
        axes.n = starts.n;
        for (int k = 0; k < axes.n; k++)
            axes.v[k] = k;
    }
    OCT_TRY(oct_infer_values_axes(ctx, &axes, s.n_dims, "axes"));
    const bool known = starts.known && ends.known && (!steps.present || steps.known);
    for (int k = 0; k < axes.n; k++) {
        int64_t *dim = &s.dim[axes.v[k]];
        const int64_t step = steps.known ? steps.v[k] : 1;
        if (step == 0)
            return oct_fail(ctx, OCT_ERR_SHAPE, "steps (input 4): entry %d is 0", k);
        *dim = known ? slice_dim(a, *dim, starts.v[k], ends.v[k], step) : oct_infer_symbol(a);
    }
    return oct_infer_output(ctx, a, 0, dtype_of(a), &s);
}

/* ---- Pad, Expand, Tile ------------------------------------------------------------------- */

static oct_status pad_dim(oct_ctx *ctx, const oct_infer_args *a, int axis, int64_t lo, int64_t hi,
                          int64_t *dim)
{
    const oct_pad_mode mode = ((const oct_attr_pad *)a->attr)->mode;
    int64_t sum = 0;
    if (lo == 0 && hi == 0)
        return OCT_OK;
    if (oct_dim_is_symbol(lo) || oct_dim_is_symbol(hi) || *dim < 0) {
        *dim = oct_infer_symbol(a);
        return OCT_OK;
    }
    if (!oct_add_s64(lo, hi, &sum) || !oct_add_s64(sum, *dim, &sum) || sum < 0)
        return oct_fail(ctx, OCT_ERR_SHAPE, "pads (input 1): %lld and %lld on axis %d of %lld",
                        (long long)lo, (long long)hi, axis, (long long)*dim);
    if (mode == OCT_PAD_MODE_REFLECT && *dim > 0 && (lo >= *dim || hi >= *dim))
        return oct_fail(ctx, OCT_ERR_SHAPE,
                        "pads (input 1): reflection of %lld and %lld on axis %d of %lld, at most "
                        "%lld",
                        (long long)lo, (long long)hi, axis, (long long)*dim, (long long)(*dim - 1));
    if (mode != OCT_PAD_MODE_CONSTANT && *dim == 0 && sum > 0)
        return oct_fail(ctx, OCT_ERR_SHAPE, "pads (input 1): axis %d is empty, nothing to repeat",
                        axis);
    *dim = sum;
    return OCT_OK;
}

static oct_status read_pad_inputs(oct_ctx *ctx, const oct_infer_args *a, oct_infer_values *pads,
                                  oct_infer_values *axes)
{
    const oct_tensor_desc *value = oct_infer_in(a, 2);
    size_t n = 1;
    OCT_TRY(oct_infer_values_read(ctx, a, 1, "pads", 2 * OCT_MAX_DIMS, pads));
    OCT_TRY(oct_infer_values_read(ctx, a, 3, "axes", OCT_MAX_DIMS, axes));
    OCT_TRY(oct_infer_check_same_dtype(ctx, a, 0, 2));
    if (value && oct_shape_is_known(&value->shape) &&
        (!oct_shape_elems(&value->shape, &n) || n != 1))
        return oct_fail(ctx, OCT_ERR_SHAPE, "constant_value (input 2): must be one number");
    return OCT_OK;
}

static oct_status infer_pad(oct_ctx *ctx, const oct_infer_args *a)
{
    oct_shape s = a->in[0].desc.shape;
    oct_infer_values pads, axes;
    OCT_TRY(read_pad_inputs(ctx, a, &pads, &axes));
    if (s.n_dims < 0)
        return unknown_output(ctx, a);
    if (!axes.present) {
        axes.n = s.n_dims;
        axes.known = true;
        for (int k = 0; k < axes.n; k++)
            axes.v[k] = k;
    }
    if (!pads.known || !axes.known) {
        OCT_TRY(oct_infer_symbols(ctx, a, s.n_dims, &s));
        return oct_infer_output(ctx, a, 0, dtype_of(a), &s);
    }
    if (pads.n != 2 * axes.n)
        return oct_fail(ctx, OCT_ERR_SHAPE, "pads (input 1): %d entries, expected %d", pads.n,
                        2 * axes.n);
    OCT_TRY(oct_infer_values_axes(ctx, &axes, s.n_dims, "axes"));
    for (int k = 0; k < axes.n; k++)
        OCT_TRY(pad_dim(ctx, a, (int)axes.v[k], pads.v[k], pads.v[k + axes.n], &s.dim[axes.v[k]]));
    return oct_infer_output(ctx, a, 0, dtype_of(a), &s);
}

static oct_status infer_expand(oct_ctx *ctx, const oct_infer_args *a)
{
    oct_infer_values v;
    oct_shape s = {.n_dims = -1};
    const oct_shape *x = &a->in[0].desc.shape;
    OCT_TRY(oct_infer_values_read(ctx, a, 1, "shape", OCT_MAX_DIMS, &v));
    if (v.known) {
        s.n_dims = v.n;
        for (int k = 0; k < v.n; k++) {
            s.dim[k] = v.v[k];
            if (v.v[k] < 0 && !oct_dim_is_symbol(v.v[k]))
                return oct_fail(ctx, OCT_ERR_SHAPE, "shape (input 1): entry %d is %lld", k,
                                (long long)v.v[k]);
        }
        OCT_TRY(oct_infer_broadcast(ctx, a, x, &s, &s));
    } else if (v.n >= 0 && x->n_dims >= 0) {
        OCT_TRY(oct_infer_symbols(ctx, a, v.n > x->n_dims ? v.n : x->n_dims, &s));
    }
    return oct_infer_output(ctx, a, 0, dtype_of(a), &s);
}

static oct_status infer_tile(oct_ctx *ctx, const oct_infer_args *a)
{
    oct_infer_values v;
    oct_shape s = a->in[0].desc.shape;
    OCT_TRY(oct_infer_values_read(ctx, a, 1, "repeats", OCT_MAX_DIMS, &v));
    if (s.n_dims < 0)
        return unknown_output(ctx, a);
    if (v.n >= 0 && v.n != s.n_dims)
        return oct_fail(ctx, OCT_ERR_SHAPE, "repeats (input 1): %d entries for rank %d", v.n,
                        s.n_dims);
    for (int k = 0; k < s.n_dims; k++) {
        const int64_t times = v.known ? v.v[k] : oct_infer_symbol(a);
        if (times < 0 && !oct_dim_is_symbol(times))
            return oct_fail(ctx, OCT_ERR_SHAPE, "repeats (input 1): entry %d is %lld", k,
                            (long long)times);
        if (times >= 0 && s.dim[k] >= 0 && !oct_mul_s64(s.dim[k], times, &s.dim[k]))
            return oct_fail(ctx, OCT_ERR_LIMIT, "repeats (input 1): entry %d is %lld: too large", k,
                            (long long)times);
        else if (times < 0 || s.dim[k] < 0)
            s.dim[k] = oct_infer_mul_dims(a, s.dim[k], times);
    }
    return oct_infer_output(ctx, a, 0, dtype_of(a), &s);
}

/* ---- Depth, time, triangles --------------------------------------------------------------- */

static oct_status check_block(oct_ctx *ctx, const oct_infer_args *a, int64_t *block)
{
    *block = ((const oct_attr_depth_space *)a->attr)->block_size;
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "input", 4, 4));
    if (*block < 1 || *block > 1 << 20)
        return oct_fail(ctx, OCT_ERR_SHAPE, "blocksize: %lld, expected at least 1",
                        (long long)*block);
    return OCT_OK;
}

static oct_status divide_dim(oct_ctx *ctx, const oct_infer_args *a, int axis, int64_t by,
                             int64_t *dim)
{
    if (*dim >= 0 && *dim % by != 0)
        return oct_fail(ctx, OCT_ERR_SHAPE, "input: dimension %d is %lld, no multiple of %lld",
                        axis, (long long)*dim, (long long)by);
    if (by != 1)
        *dim = *dim >= 0 ? *dim / by : oct_infer_symbol(a);
    return OCT_OK;
}

static oct_status multiply_dim(oct_ctx *ctx, const oct_infer_args *a, int axis, int64_t by,
                               int64_t *dim)
{
    if (*dim >= 0 && !oct_mul_s64(*dim, by, dim))
        return oct_fail(ctx, OCT_ERR_LIMIT, "input: dimension %d is too large", axis);
    if (*dim < 0)
        *dim = oct_infer_mul_dims(a, *dim, by);
    return OCT_OK;
}

static oct_status infer_depth_to_space(oct_ctx *ctx, const oct_infer_args *a)
{
    oct_shape s = a->in[0].desc.shape;
    int64_t block;
    OCT_TRY(check_block(ctx, a, &block));
    if (s.n_dims < 0)
        return unknown_output(ctx, a);
    OCT_TRY(divide_dim(ctx, a, 1, block * block, &s.dim[1]));
    OCT_TRY(multiply_dim(ctx, a, 2, block, &s.dim[2]));
    OCT_TRY(multiply_dim(ctx, a, 3, block, &s.dim[3]));
    return oct_infer_output(ctx, a, 0, dtype_of(a), &s);
}

static oct_status infer_space_to_depth(oct_ctx *ctx, const oct_infer_args *a)
{
    oct_shape s = a->in[0].desc.shape;
    int64_t block;
    OCT_TRY(check_block(ctx, a, &block));
    if (s.n_dims < 0)
        return unknown_output(ctx, a);
    OCT_TRY(multiply_dim(ctx, a, 1, block * block, &s.dim[1]));
    OCT_TRY(divide_dim(ctx, a, 2, block, &s.dim[2]));
    OCT_TRY(divide_dim(ctx, a, 3, block, &s.dim[3]));
    return oct_infer_output(ctx, a, 0, dtype_of(a), &s);
}

static oct_status infer_reverse_sequence(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_reverse_sequence *attr = a->attr;
    const oct_shape *x = &a->in[0].desc.shape, *lens = &a->in[1].desc.shape;
    const bool ok = (attr->batch_axis == 0 && attr->time_axis == 1) ||
                    (attr->batch_axis == 1 && attr->time_axis == 0);
    if (!ok)
        return oct_fail(ctx, OCT_ERR_SHAPE,
                        "batch_axis, time_axis: %lld and %lld, expected 0 and 1 or 1 and 0",
                        (long long)attr->batch_axis, (long long)attr->time_axis);
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "input", 2, OCT_MAX_DIMS));
    OCT_TRY(oct_infer_check_rank(ctx, a, 1, "sequence_lens", 1, 1));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 1, "sequence_lens", OCT_DT_BIT(S64)));
    if (x->n_dims >= 0 && lens->n_dims == 1 &&
        !oct_infer_merge_dim(x->dim[attr->batch_axis], lens->dim[0], NULL))
        return oct_fail(ctx, OCT_ERR_SHAPE, "sequence_lens (input 1): %lld entries for batch %lld",
                        (long long)lens->dim[0], (long long)x->dim[attr->batch_axis]);
    return oct_infer_output(ctx, a, 0, dtype_of(a), x);
}

static oct_status infer_trilu(oct_ctx *ctx, const oct_infer_args *a)
{
    oct_infer_values k;
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "input", 2, OCT_MAX_DIMS));
    OCT_TRY(oct_infer_values_read(ctx, a, 1, "k", 1, &k));
    if (k.present && k.n == 0)
        return oct_fail(ctx, OCT_ERR_SHAPE, "k (input 1): must be one number");
    return oct_infer_output(ctx, a, 0, dtype_of(a), &a->in[0].desc.shape);
}

const oct_infer_entry oct_infer_move[] = {
    {OCT_OP_CONCAT, infer_concat},
    {OCT_OP_SPLIT, infer_split},
    {OCT_OP_SLICE, infer_slice},
    {OCT_OP_PAD, infer_pad},
    {OCT_OP_EXPAND, infer_expand},
    {OCT_OP_TILE, infer_tile},
    {OCT_OP_DEPTH_TO_SPACE, infer_depth_to_space},
    {OCT_OP_SPACE_TO_DEPTH, infer_space_to_depth},
    {OCT_OP_REVERSE_SEQUENCE, infer_reverse_sequence},
    {OCT_OP_TRILU, infer_trilu},
    {OCT_OP_COUNT, NULL},
};
