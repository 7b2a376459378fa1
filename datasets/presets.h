/* SPDX-License-Identifier: Apache-2.0
 *
 * The presets: one table fixes every field and names the program each one reproduces.
 */
#ifndef OCT_DATASETS_PRESETS_H
#define OCT_DATASETS_PRESETS_H

#include "datasets/preprocess.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_preset {
    const char *name;
    const char *program; /* whose pixels these are */
    const char *summary;
    oct_preprocess spec;    /* sizes, mode and channel count aside */
    int channels;           /* of the network input; 0 = 1 or 3 */
    int default_side;       /* when the network leaves its size free; 0 = must be given */
    int min_side, max_side; /* network sizes that the preset is proposed for */
    int side_multiple;
    /* OCT_FIT_SHORT: the short side is side * num / den, rounded down */
    int short_num, short_den;
} oct_preset;

int oct_preset_count(void);
const oct_preset *oct_preset_at(int i);
const oct_preset *oct_preset_find(const char *name); /* NULL if unknown */

/* The preset's specification for a network input. OCT_ERR_USAGE: unknown name (the message
 * lists those that fit), other channel count, or a free size without a default. */
OCT_MUST_CHECK oct_status oct_preset_apply(oct_ctx *ctx, const char *name,
                                           const oct_image_input *in, oct_preprocess *out);

/* Whether the preset can serve this input / is a sensible proposal for it. */
bool oct_preset_serves(const oct_preset *p, const oct_image_input *in);
bool oct_preset_fits(const oct_preset *p, const oct_image_input *in);
/* "imagenet, imagenet-v2, none" in `buf`: those that fit. Returns `buf`. */
const char *oct_presets_fitting(const oct_image_input *in, char *buf, size_t cap);

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_PRESETS_H */
