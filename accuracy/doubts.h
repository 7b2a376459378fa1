/* SPDX-License-Identifier: Apache-2.0
 *
 * Doubts: would the reference do better if the labels or the preprocessing meant something else? A wrong colour
 * order, value range or label map is the usual reason for bad accuracy, and INT8 is blamed for it.
 *
 *     from the answers that are there    labels one too high or low, a background class, another order
 *     by answering some images again     the other colour order; other value ranges if top-1 < 50 %
 *
 * A doubt is raised when the alternative gets more images right, by at least 2 points and with p < 0.01
 * (McNemar, two-sided, on the same images). Another label order has no such test: it is raised when most
 * images of most classes are called by one and the same other class.
 */
#ifndef OCT_ACCURACY_DOUBTS_H
#define OCT_ACCURACY_DOUBTS_H

#include "accuracy/evaluate.h"
#include "datasets/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_DOUBTS_MAX 8
#define OCT_DOUBTS_IMAGES 512 /* answered again at most, by each alternative */

typedef struct oct_doubt {
    char text[256];           /* "pictures in BGR order instead of RGB" */
    char remedy[128];         /* "--config with \"color\": \"BGR\"" */
    uint64_t n, n_ref, n_alt; /* images; right as declared, right with the alternative */
    double p;                 /* NaN for another label order */
} oct_doubt;

typedef struct oct_doubts {
    oct_doubt item[OCT_DOUBTS_MAX]; /* raised ones, the best alternative first */
    size_t n;
} oct_doubts;

/* About the labels, from the answers of side 0 in `e`. Nothing without class labels. */
OCT_MUST_CHECK oct_status oct_doubts_labels(oct_ctx *ctx, const oct_evaluation *e, oct_doubts *out);

/* About the pictures: `ref` (a model) answers some of the images of `e` again. `data` is how the data set was opened; it
 * must be a folder or list of pictures, else nothing is done. Adds to `out`. */
OCT_MUST_CHECK oct_status oct_doubts_pictures(oct_ctx *ctx, oct_side *ref,
                                              const oct_dataset_options *data,
                                              const oct_eval_options *opt, const oct_evaluation *e,
                                              oct_doubts *out);

/* The rule: paired counts of declared (ref) against alternative (cand). */
bool oct_doubt_is_raised(const oct_paired_counts *c);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ACCURACY_DOUBTS_H */
