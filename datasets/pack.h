/* SPDX-License-Identifier: Apache-2.0
 *
 * Packs: a data set decoded once, in one HDF5 file (base/container_stream.h, kind "pack",
 * version 1). Reading one gives the batches that the folder gives, byte for byte.
 *
 *     stage       text     "pixels": u8 after resize and crop; "tensor": the network input
 *     preprocess  text     canonical JSON of the whole preprocessing
 *     classes     text     class folders, one per line; "" if none
 *     data        rows     u8 [H, W, C], or f32 as the input is laid out
 *     id          rows     u8 [32], SHA-256 of the file
 *     name        rows     u8 [OCT_PACK_NAME_BYTES], NUL-padded
 *     meta        rows     s32 [3]: width, height (of the file's picture), label (INT32_MIN: none)
 *     ratio       rows     f32 [4]: ratio x, y and offset x, y of oct_sample
 */
#ifndef OCT_DATASETS_PACK_H
#define OCT_DATASETS_PACK_H

#include "datasets/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_PACK_KIND "pack"
#define OCT_PACK_VERSION 1
#define OCT_PACK_NAME_BYTES 512

typedef struct oct_pack_writer oct_pack_writer;

typedef struct oct_pack_layout {
    bool pixels; /* u8 stage; else f32 tensors */
    const char *preprocess_json;
    oct_shape row; /* of "data" */
    const char *const *class_name;
    int n_classes;
} oct_pack_layout;

OCT_MUST_CHECK oct_status oct_pack_create(oct_ctx *ctx, const char *path, bool force,
                                          const oct_pack_layout *layout, oct_pack_writer **out);
/* One sample; `data` is a row. OCT_ERR_LIMIT if its name is too long. */
OCT_MUST_CHECK oct_status oct_pack_append(oct_pack_writer *w, const void *data,
                                          const oct_sample *sample);
OCT_MUST_CHECK oct_status oct_pack_commit(oct_pack_writer *w); /* frees `w` */
void oct_pack_abort(oct_pack_writer *w);                       /* NULL is allowed */

/* What a pack was made with, for commands that need it before they open the source; the JSON is
 * oct_alloc()ed. */
OCT_MUST_CHECK oct_status oct_pack_read_preprocess(oct_ctx *ctx, const char *path, char **json);

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_PACK_H */
