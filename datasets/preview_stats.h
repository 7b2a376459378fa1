/* SPDX-License-Identifier: Apache-2.0
 *
 * What the network sees, in numbers: per-channel minimum, mean, deviation and maximum of
 * preprocessed pictures, and warnings where range or channel order look wrong.
 * Thread-safety: none.
 */
#ifndef OCT_DATASETS_PREVIEW_STATS_H
#define OCT_DATASETS_PREVIEW_STATS_H

#include "base/strbuf.h"
#include "datasets/preprocess.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_preview_channel {
    double min, max, sum, sum_sq;
} oct_preview_channel;

typedef struct oct_preview_stats {
    oct_preprocess spec;
    oct_preview_channel channel[3];
    int64_t n_images;
    double n_pixels;              /* per channel, all images */
    double diff_sum, diff_sum_sq; /* over images: mean of channel 0 minus channel 2 */
    int64_t n_colourless;         /* images whose channels are equal */
    double border;                /* share of the input that letterboxing pads, summed */
} oct_preview_stats;

void oct_preview_stats_init(oct_preview_stats *s, const oct_preprocess *spec);
/* One f32 sample of the network input, in the specification's layout. */
void oct_preview_stats_add(oct_preview_stats *s, const float *x, const oct_sample *sample);

typedef struct oct_preview_summary {
    double min, mean, std, max; /* of the network input */
} oct_preview_summary;
oct_preview_summary oct_preview_stats_channel(const oct_preview_stats *s, int c);

/* Adds a line per warning to `out`; returns how many. Needs about 8 pictures for the order of
 * channels, none for what the numbers of the specification say alone. */
int oct_preview_stats_check(const oct_preview_stats *s, oct_strbuf *out);

/* The picture that a sample of the network input shows: normalisation undone, RGB or grey, rounded
 * and clamped. `im` is reserved here. */
OCT_MUST_CHECK oct_status oct_preview_picture(oct_ctx *ctx, const oct_preprocess *spec,
                                              const float *x, oct_image *im);

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_PREVIEW_STATS_H */
