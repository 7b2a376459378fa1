/* SPDX-License-Identifier: Apache-2.0
 *
 * Inference of Resize, GridSample, RoiAlign and NonMaxSuppression.
 */
#include "engine/infer_internal.h"
#include "kernels/nms.h"
#include "kernels/resize.h"

/* ---- Resize --------------------------------------------------------------------------------- */

/* An optional input that is given and not empty. */
static bool is_given(const oct_infer_args *a, int i)
{
    const oct_tensor_desc *t = oct_infer_in(a, i);
    return t && !(t->shape.n_dims == 1 && t->shape.dim[0] == 0);
}

static oct_status check_resize_types(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_resize *at = a->attr;
    const uint32_t smooth = OCT_DTS_FLOAT | OCT_DTS_Q8, any = ~OCT_DT_BIT(NONE);
    OCT_TRY(
        oct_infer_check_dtype(ctx, a, 0, "input", at->mode == OCT_RESIZE_NEAREST ? any : smooth));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 1, "roi", OCT_DTS_FLOAT));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 2, "scales", OCT_DTS_FLOAT));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 3, "sizes", OCT_DT_BIT(S64)));
    if (at->antialias && at->mode == OCT_RESIZE_NEAREST)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "antialias: not with mode nearest");
    return OCT_OK;
}

static oct_status infer_resize(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_resize *at = a->attr;
    const oct_shape *x = &a->in[0].desc.shape;
    const oct_dtype dt = a->in[0].desc.dtype;
    const oct_tensor *scales = is_given(a, 2) ? oct_infer_data(a, 2) : NULL;
    const oct_tensor *sizes = is_given(a, 3) ? oct_infer_data(a, 3) : NULL;
    const oct_tensor *roi = oct_infer_data(a, 1);
    oct_resize_plan p;
    OCT_TRY(check_resize_types(ctx, a));
    if (x->n_dims < 0) {
        oct_infer_set_unknown(a, 0, dt);
        return OCT_OK;
    }
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "input", 1, OCT_MAX_DIMS));
    oct_shape s = *x;
    if ((is_given(a, 2) && !scales) || (is_given(a, 3) && !sizes) ||
        (at->coord == OCT_COORD_TF_CROP_AND_RESIZE && is_given(a, 1) && !roi)) {
        for (int k = 0; k < s.n_dims; k++) /* sizes are computed by the model */
            s.dim[k] = oct_infer_symbol(a);
        oct_infer_set(a, 0, dt, &s);
        return OCT_OK;
    }
    OCT_TRY(oct_resize_plan_make(ctx, at, x, roi, scales, sizes, &p));
    for (int k = 0; k < s.n_dims; k++) {
        const int64_t dim = p.axis[k].out;
        if (x->dim[k] == 0 && dim > 0)
            return oct_fail(ctx, OCT_ERR_SHAPE, "axis %d: an empty input cannot grow", k);
        s.dim[k] = dim == OCT_RESIZE_UNKNOWN ? oct_infer_symbol(a) : dim;
    }
    oct_infer_set(a, 0, dt, &s);
    return OCT_OK;
}

/* ---- GridSample ------------------------------------------------------------------------------ */

static oct_status infer_grid_sample(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_grid_sample *at = a->attr;
    const oct_shape *x = &a->in[0].desc.shape, *g = &a->in[1].desc.shape;
    const oct_dtype dt = a->in[0].desc.dtype;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", OCT_DTS_FLOAT));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 1, "grid", OCT_DTS_FLOAT));
    if (x->n_dims < 0 || g->n_dims < 0) {
        oct_infer_set_unknown(a, 0, dt);
        return OCT_OK;
    }
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "input", 4, 5));
    OCT_TRY(oct_infer_check_rank(ctx, a, 1, "grid", x->n_dims, x->n_dims));
    if (at->mode == OCT_RESIZE_CUBIC && x->n_dims != 4)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "mode cubic: only for rank 4");
    if (!oct_infer_merge_dim(g->dim[g->n_dims - 1], x->n_dims - 2, NULL) ||
        !oct_infer_merge_dim(g->dim[0], x->dim[0], NULL))
        return oct_fail(ctx, OCT_ERR_SHAPE, "grid: expected [batch, ..., %d]", x->n_dims - 2);
    oct_shape s = {.n_dims = x->n_dims};
    oct_infer_merge_dim(x->dim[0], g->dim[0], &s.dim[0]);
    s.dim[1] = x->dim[1];
    for (int k = 2; k < s.n_dims; k++)
        s.dim[k] = g->dim[k - 1];
    oct_infer_set(a, 0, dt, &s);
    return OCT_OK;
}

/* ---- RoiAlign ----------------------------------------------------------------------------------- */

static oct_status infer_roi_align(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_roi_align *at = a->attr;
    const oct_shape *x = &a->in[0].desc.shape, *rois = &a->in[1].desc.shape;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", OCT_DTS_FLOAT));
    OCT_TRY(oct_infer_check_same_dtype(ctx, a, 0, 1));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 2, "batch_indices", OCT_DT_BIT(S64)));
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "input", 4, 4));
    OCT_TRY(oct_infer_check_rank(ctx, a, 1, "rois", 2, 2));
    OCT_TRY(oct_infer_check_rank(ctx, a, 2, "batch_indices", 1, 1));
    const int64_t n = rois->n_dims == 2 ? rois->dim[0] : oct_infer_symbol(a);
    if (rois->n_dims == 2 && !oct_infer_merge_dim(rois->dim[1], 4, NULL))
        return oct_fail(ctx, OCT_ERR_SHAPE, "rois (input 1): expected 4 values each");
    if (a->in[2].desc.shape.n_dims == 1 &&
        !oct_infer_merge_dim(n, a->in[2].desc.shape.dim[0], NULL))
        return oct_fail(ctx, OCT_ERR_SHAPE, "batch_indices (input 2): expected one per region");
    if (at->output_height < 1 || at->output_width < 1 || at->output_height > INT32_MAX ||
        at->output_width > INT32_MAX || at->sampling_ratio < 0 || at->sampling_ratio > 4096)
        return oct_fail(ctx, OCT_ERR_SHAPE,
                        "output_height, output_width, sampling_ratio: "
                        "%lld, %lld, %lld",
                        (long long)at->output_height, (long long)at->output_width,
                        (long long)at->sampling_ratio);
    const int64_t dim[4] = {n, x->n_dims == 4 ? x->dim[1] : oct_infer_symbol(a), at->output_height,
                            at->output_width};
    oct_infer_set_dims(a, 0, a->in[0].desc.dtype, 4, dim);
    return OCT_OK;
}

/* ---- NonMaxSuppression ------------------------------------------------------------------------ */

/* Every input that is given has data: the count is decided. */
static bool all_known(const oct_infer_args *a)
{
    for (int i = 0; i < a->n_in; i++) {
        if (oct_infer_in(a, i) && (!a->in[i].data || !oct_shape_is_known(&a->in[i].desc.shape)))
            return false;
    }
    return true;
}

/* First element of an optional input, NULL when it is absent or empty. */
static const void *first_of(const oct_infer_args *a, int i)
{
    const oct_tensor *t = oct_infer_data(a, i);
    size_t n = 0;
    return t && oct_shape_elems(&t->desc.shape, &n) && n > 0 ? t->data : NULL;
}

static oct_status count_boxes(oct_ctx *ctx, const oct_infer_args *a, int64_t *count)
{
    const int64_t *dim = a->in[1].desc.shape.dim;
    const int64_t *max = first_of(a, 2);
    const float *iou = first_of(a, 3);
    const oct_nms p = {
        .boxes = a->in[0].data,
        .scores = a->in[1].data,
        .batch = dim[0],
        .classes = dim[1],
        .n_boxes = dim[2],
        .max_per_class = max ? *max : 0,
        .iou_threshold = iou ? *iou : 0.0f,
        .score_threshold = first_of(a, 4),
        .center_point_box = ((const oct_attr_nms *)a->attr)->center_point_box,
    };
    void *scratch = oct_alloc(ctx, oct_nms_scratch_bytes(p.n_boxes));
    if (!scratch)
        return OCT_ERR_NOMEM;
    *count = oct_nms_select(&p, scratch, NULL);
    oct_free(ctx, scratch);
    return OCT_OK;
}

static oct_status infer_nms(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_shape *boxes = &a->in[0].desc.shape, *scores = &a->in[1].desc.shape;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "boxes", OCT_DT_BIT(F32)));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 1, "scores", OCT_DT_BIT(F32)));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 2, "max_output_boxes_per_class", OCT_DT_BIT(S64)));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 3, "iou_threshold", OCT_DT_BIT(F32)));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 4, "score_threshold", OCT_DT_BIT(F32)));
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "boxes", 3, 3));
    OCT_TRY(oct_infer_check_rank(ctx, a, 1, "scores", 3, 3));
    if (boxes->n_dims == 3 && scores->n_dims == 3 &&
        (!oct_infer_merge_dim(boxes->dim[2], 4, NULL) ||
         !oct_infer_merge_dim(boxes->dim[0], scores->dim[0], NULL) ||
         !oct_infer_merge_dim(boxes->dim[1], scores->dim[2], NULL)))
        return oct_fail(ctx, OCT_ERR_SHAPE,
                        "boxes and scores: expected [N, boxes, 4] and "
                        "[N, classes, boxes]");
    int64_t dim[2] = {0, 3};
    if (all_known(a))
        OCT_TRY(count_boxes(ctx, a, &dim[0]));
    else
        dim[0] = oct_infer_symbol(a);
    oct_infer_set_dims(a, 0, OCT_DT_S64, 2, dim);
    return OCT_OK;
}

const oct_infer_entry oct_infer_spatial[] = {
    {OCT_OP_RESIZE, infer_resize},
    {OCT_OP_GRID_SAMPLE, infer_grid_sample},
    {OCT_OP_ROI_ALIGN, infer_roi_align},
    {OCT_OP_NON_MAX_SUPPRESSION, infer_nms},
    {0},
};
