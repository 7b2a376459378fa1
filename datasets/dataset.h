/* SPDX-License-Identifier: Apache-2.0
 *
 * The entry to this folder: opens a data set as a batch source (base/batch.h). What is given
 * as the path decides the kind:
 *
 *     folder        pictures in it and below, sorted; sub-folders may be classes
 *     *.h5          a pack written by `octet pack`
 *     *.npy, *.npz  tensors: rows of one array, or of one array per model input
 *     other files   list of pictures, one path (and label) per line
 *
 * Batches hold N rows of every model input. Block k holds samples [k*N, (k+1)*N) of the chosen
 * ones; rows that cannot be read are left out of their block and listed, so content depends on
 * neither threads nor timing. Rows behind the last sample of a block are zeros.
 *
 * next() is thread-safe. With n_threads > 0, that many threads decode ahead into a bounded
 * queue; with 0 the calling thread decodes.
 */
#ifndef OCT_DATASETS_DATASET_H
#define OCT_DATASETS_DATASET_H

#include "base/batch.h"
#include "datasets/preprocess.h"
#include "datasets/subset.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A model input. Unknown dims are symbols (base/tensor.h) or -1. */
typedef struct oct_input_spec {
    const char *name;
    oct_dtype dtype;
    oct_shape shape;
} oct_input_spec;

/* A constant for an input that pictures do not feed: a number, or a .npy file whose elements
 * fill one row or the whole batch. */
typedef struct oct_set_input {
    const char *name, *value;
} oct_set_input;

/* Text is borrowed during oct_dataset_open() only. */
typedef struct oct_dataset_options {
    const char *path;
    const oct_preprocess *preprocess; /* needed for pictures; packs bring their own, and a
                                       * different one here is OCT_ERR_USAGE */
    const oct_input_spec *input;
    int n_inputs;
    const char *image_input; /* which one takes pictures; NULL = the only one that can */
    const oct_set_input *set;
    int n_set;
    int batch;     /* rows where the model leaves them free; 0 = 1 */
    int n_threads; /* decoding threads; 0 = in next() */
    int queue;     /* finished batches waiting at most; 0 = 4 */
    oct_subset subset;
    const int64_t *order; /* these samples and no others, ascending; NULL = as `subset` says */
    int64_t n_order;
    const char *labels; /* NULL = class folders or the list's own, where there are any;
                         * see labels.h */
    int label_offset;
    bool skip_bad;           /* go on past unreadable pictures, else the first one is the error */
    double max_skip_percent; /* of the samples; more is an error */
    bool allow_truncated;
    oct_decode_limits limits; /* zeroed = defaults */
} oct_dataset_options;

/* Errors: OCT_ERR_NOT_FOUND (no such path, no picture in it), OCT_ERR_USAGE (a missing input,
 * preprocessing or label), OCT_ERR_SHAPE (arrays that do not match the model). */
OCT_MUST_CHECK oct_status oct_dataset_open(oct_ctx *ctx, const oct_dataset_options *opt,
                                           oct_batch_source **out);

/* What was found; text lives as long as the source. Only for sources from here. */
typedef struct oct_dataset_info {
    const char *kind;              /* "dir", "list", "pack", "npy", "npz" */
    int64_t n_found;               /* samples before subset choice */
    int64_t n_special;             /* entries that are no regular files (FIFOs, devices, sockets) */
    int64_t n_loops;               /* symbolic links that lead back */
    int64_t n_other;               /* regular files that are no pictures by name */
    int n_classes;                 /* class folders; 0 = none */
    const char *const *class_name; /* n_classes of them, NULL if none */
    int batch;                     /* rows per batch */
} oct_dataset_info;
void oct_dataset_get_info(const oct_batch_source *s, oct_dataset_info *out);

/* Index of the input that takes pictures: `name`, or the only candidate. OCT_ERR_USAGE with
 * the candidates otherwise. */
OCT_MUST_CHECK oct_status oct_dataset_image_input(oct_ctx *ctx, const oct_input_spec *input,
                                                  int n_inputs, const char *name, int *index);

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_DATASET_H */
