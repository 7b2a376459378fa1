/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch source: where input tensors come from. datasets/ implements it for image
 * folders, packs and arrays; API callers implement it for their own data. calib,
 * accuracy and quant only ever see this interface.
 *
 * A source hands out batches in a fixed order, numbered from 0. next() is safe to call from
 * several threads at once: each call hands out the next batch to one caller, who owns it
 * until release(). Which caller gets which batch depends on timing; the content of batch k
 * does not.
 */
#ifndef OCT_BASE_BATCH_H
#define OCT_BASE_BATCH_H

#include "base/ctx.h"
#include "base/hash.h"
#include "base/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_LABEL_NONE INT32_MIN

/* One image (or sample) of a batch. */
typedef struct oct_sample {
    oct_sha256 id;         /* SHA-256 of the file's bytes, or of the tensor bytes for arrays */
    const char *name;      /* path relative to the dataset's root, or "#12"; for messages */
    int64_t index;         /* position in the dataset's order */
    int32_t label;         /* class id, or OCT_LABEL_NONE */
    int32_t width, height; /* of the decoded image before preprocessing; 0 if not an image */
    /* original = (network - offset) / ratio, per axis, for mapping boxes back; ratio 0 if n/a */
    float ratio_x, ratio_y, offset_x, offset_y;
} oct_sample;

typedef struct oct_batch {
    uint64_t index;           /* number of this batch, from 0 */
    int n_inputs;             /* model inputs, in the order the source was opened with */
    const oct_tensor *input;  /* f32 (or as the model declares), [N, ...], row-major, dense */
    int n_samples;            /* real samples, <= N; the rows after them are padding (zeros) */
    const oct_sample *sample; /* n_samples entries */
} oct_batch;

typedef struct oct_batch_source oct_batch_source;

/* What a source left out, for the closing report. Text is owned by the source. */
typedef struct oct_skip {
    const char *name;
    const char *reason;
    int64_t index;
} oct_skip;

typedef struct oct_batch_source_vtable {
    /* Samples in all (after subset choice, before errors), or -1 if not known ahead. */
    int64_t (*n_samples)(const oct_batch_source *s);
    /* The next batch in `*out`, NULL at the end. Messages name the file. */
    oct_status (*next)(oct_batch_source *s, oct_ctx *ctx, const oct_batch **out);
    void (*release)(oct_batch_source *s, const oct_batch *b);
    /* Back to batch 0; no batch may be out. */
    oct_status (*rewind)(oct_batch_source *s, oct_ctx *ctx);
    /* Skipped so far, in dataset order; valid until the next call of next(). */
    size_t (*skipped)(const oct_batch_source *s, const oct_skip **list);
    /* Effective preprocessing as canonical JSON text (equal text = equal tensors); "" for
     * callers' own data. Valid for the source's life. */
    const char *(*preprocess_json)(const oct_batch_source *s);
    void (*close)(oct_batch_source *s);
} oct_batch_source_vtable;

struct oct_batch_source { /* first member of every implementation */
    const oct_batch_source_vtable *vt;
};

#ifdef __cplusplus
}
#endif

#endif /* OCT_BASE_BATCH_H */
