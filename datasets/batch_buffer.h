/* SPDX-License-Identifier: Apache-2.0
 *
 * One reusable batch: tensors, samples, and what went wrong in each row. Private to the loader.
 */
#ifndef OCT_DATASETS_BATCH_BUFFER_H
#define OCT_DATASETS_BATCH_BUFFER_H

#include "datasets/loader.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_batch_row {
    oct_status status;
    char *reason; /* oct_alloc()ed text if status is an error */
    char name[OCT_SAMPLE_NAME_BYTES];
} oct_batch_row;

typedef struct oct_batch_buffer {
    oct_batch batch;
    oct_tensor *tensor;
    oct_sample *sample;
    oct_batch_row *row;
    void **row_dst;          /* scratch of the thread that loads; one set per row */
    int n_rows;              /* of this block */
    int n_taken, n_finished; /* rows begun, rows done; under the loader's lock */
    bool handed_out;
    oct_load_scratch scratch; /* used when the calling thread decodes */
    struct oct_batch_buffer *next;
} oct_batch_buffer;

OCT_MUST_CHECK oct_status oct_batch_buffer_new(oct_ctx *ctx, const oct_loader_config *c,
                                               oct_batch_buffer **out);
void oct_batch_buffer_free(oct_ctx *ctx, const oct_loader_config *c, oct_batch_buffer *b);

/* Gets ready for block `index`. */
void oct_batch_buffer_begin(const oct_loader_config *c, oct_batch_buffer *b, uint64_t index);
/* Loads one row; the outcome is in row[r]. */
void oct_batch_buffer_load(const oct_loader_config *c, oct_ctx *ctx, oct_load_scratch *scratch,
                           oct_batch_buffer *b, int r);
/* Moves the good rows together, zeroes the rest, fills the batch. Returns how many are good. */
int oct_batch_buffer_finish(const oct_loader_config *c, oct_batch_buffer *b);

void oct_load_scratch_deinit(oct_ctx *ctx, oct_load_scratch *s);

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_BATCH_BUFFER_H */
