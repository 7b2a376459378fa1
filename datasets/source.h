/* SPDX-License-Identifier: Apache-2.0
 *
 * Sample source: the random-access half of a data set. The loader (loader.h) makes batches of
 * it. One small table of functions per kind; to add a kind, write source_<kind>.c with an open
 * function and name it in the table of dataset.c.
 */
#ifndef OCT_DATASETS_SOURCE_H
#define OCT_DATASETS_SOURCE_H

#include "datasets/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_source oct_source;

/* What one decoding thread keeps between samples. */
typedef struct oct_load_scratch {
    oct_preprocess_scratch *pre;
    uint8_t *file; /* oct_alloc()ed */
    size_t file_cap;
} oct_load_scratch;

#define OCT_SAMPLE_NAME_BYTES 24

typedef struct oct_source_vtable {
    const char *kind;
    /* Name of sample i: stable text, or written to `buf`. */
    const char *(*name)(const oct_source *s, int64_t i, char buf[OCT_SAMPLE_NAME_BYTES]);
    /* Sample i: one row per fed input at dst[k] (NULL for inputs that are constants) and all of
     * `sample` but name, index and label. Thread-safe. */
    oct_status (*load)(oct_source *s, oct_ctx *ctx, oct_load_scratch *scratch, int64_t i,
                       void *const *dst, oct_sample *sample);
    void (*close)(oct_source *s);
    /* The id of sample i without decoding it. Thread-safe; NULL: load() has to tell. */
    oct_status (*identify)(oct_source *s, oct_ctx *ctx, oct_load_scratch *scratch, int64_t i,
                           oct_sha256 *id);
} oct_source_vtable;

struct oct_source { /* first member of every kind; filled by its open function */
    const oct_source_vtable *vt;
    oct_ctx *ctx;
    int64_t n_items;
    int32_t *label;        /* n_items, or NULL; owned */
    char *preprocess_json; /* owned; NULL = "" */
    /* Row shape and type that each model input gets; n_dims -1 = not fed by this source. */
    oct_shape *row;
    int n_inputs;
    oct_dataset_info info;
};

/* What an open function may look at. */
typedef struct oct_source_request {
    const oct_dataset_options *opt;
    int image_input; /* index, -1 if no input can take pictures */
} oct_source_request;

OCT_MUST_CHECK oct_status oct_source_open_dir(oct_ctx *ctx, const oct_source_request *r,
                                              oct_source **out);
OCT_MUST_CHECK oct_status oct_source_open_list(oct_ctx *ctx, const oct_source_request *r,
                                               oct_source **out);
OCT_MUST_CHECK oct_status oct_source_open_npy(oct_ctx *ctx, const oct_source_request *r,
                                              oct_source **out);
OCT_MUST_CHECK oct_status oct_source_open_npz(oct_ctx *ctx, const oct_source_request *r,
                                              oct_source **out);
OCT_MUST_CHECK oct_status oct_source_open_pack(oct_ctx *ctx, const oct_source_request *r,
                                               oct_source **out);

/* Sets up the common part (vt and info.kind apart from it, row shapes unfed). */
OCT_MUST_CHECK oct_status oct_source_init(oct_source *s, oct_ctx *ctx, const oct_source_vtable *vt,
                                          int n_inputs);
void oct_source_deinit(oct_source *s); /* frees the common part's blocks */

/* The preprocessor for an image input: checks that there is a specification and that it yields
 * what the input takes; sets row shape and preprocess_json. */
OCT_MUST_CHECK oct_status oct_source_make_preprocessor(oct_source *s, const oct_source_request *r,
                                                       const oct_preprocess *spec,
                                                       oct_preprocessor **out);

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_SOURCE_H */
