/* SPDX-License-Identifier: Apache-2.0
 *
 * The words that stand for the enumerations in JSON, one table each, indexed by value.
 */
#ifndef OCT_DATASETS_PREPROCESS_NAMES_H
#define OCT_DATASETS_PREPROCESS_NAMES_H

#include "datasets/preprocess.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const char *const oct_fit_mode_names[OCT_FIT_COUNT];
extern const char *const oct_resample_names[OCT_RESAMPLE_COUNT];
extern const char *const oct_color_names[OCT_COLOR_COUNT];
extern const char *const oct_crop_rounding_names[OCT_CROP_COUNT];
extern const char *const oct_gray_names[OCT_GRAY_COUNT];
extern const char *const oct_alpha_names[OCT_ALPHA_COUNT];
extern const char *const oct_decoder_names[OCT_DECODER_COUNT];

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_PREPROCESS_NAMES_H */
