/* SPDX-License-Identifier: Apache-2.0
 *
 * NonMaxSuppression. Its output has as many rows as inference found with the same data.
 */
#include "kernels/nms.h"
#include "kernels/ref/ref_groups_internal.h"

static size_t workspace(const oct_op_desc *d)
{
    return oct_nms_scratch_bytes(d->in[0].desc.shape.dim[1]);
}

static const void *optional(const oct_op_desc *d, const oct_run_args *a, int i)
{
    size_t n = 0;
    const bool any = i < d->n_in && oct_shape_elems(&d->in[i].desc.shape, &n) && n > 0;
    return any ? a->in[i] : NULL;
}

static oct_status run_nms(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    const oct_attr_nms *at = d->attr;
    const int64_t *scores = d->in[1].desc.shape.dim;
    const int64_t *max = optional(d, a, 2);
    const float *iou = optional(d, a, 3);
    const oct_nms p = {
        .boxes = a->in[0],
        .scores = a->in[1],
        .batch = scores[0],
        .classes = scores[1],
        .n_boxes = scores[2],
        .max_per_class = max ? *max : 0,
        .iou_threshold = iou ? *iou : 0.0f,
        .score_threshold = optional(d, a, 4),
        .center_point_box = at->center_point_box,
    };
    const int64_t n = oct_nms_select(&p, a->workspace, NULL), room = d->out[0].desc.shape.dim[0];
    if (n != room)
        return oct_fail(ctx, OCT_ERR_SHAPE, "NonMaxSuppression: %lld boxes, planned for %lld",
                        (long long)n, (long long)room);
    oct_nms_select(&p, a->workspace, a->out[0]);
    return OCT_OK;
}

const oct_ref_entry oct_ref_nms[] = {
    {OCT_OP_NON_MAX_SUPPRESSION, run_nms, workspace, NULL, false},
    {0},
};
