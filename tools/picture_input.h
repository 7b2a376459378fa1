/* SPDX-License-Identifier: Apache-2.0
 *
 * The network input that pictures are prepared for, in commands that run no network (pack,
 * preview): that of --model, or a free one that follows from the preprocessing.
 */
#ifndef OCT_TOOLS_PICTURE_INPUT_H
#define OCT_TOOLS_PICTURE_INPUT_H

#include "tools/any_model.h"
#include "tools/dataset_options.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const oct_opt oct_picture_input_opts[]; /* --model */

typedef struct oct_picture_input {
    oct_any_model model; /* owns the name */
    oct_input_spec spec; /* f32, first axis free */
} oct_picture_input;

/* `pack_path`: where the preprocessing comes from if the data set is a pack, else NULL. Close
 * whatever the outcome. */
OCT_MUST_CHECK oct_status oct_picture_input_open(oct_picture_input *p, oct_cli *cli,
                                                 const char *pack_path);
void oct_picture_input_close(oct_picture_input *p);

/* Whether a path is read as a pack. */
bool oct_path_is_pack(const char *path);

#ifdef __cplusplus
}
#endif

#endif /* OCT_TOOLS_PICTURE_INPUT_H */
