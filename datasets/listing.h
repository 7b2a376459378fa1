/* SPDX-License-Identifier: Apache-2.0
 *
 * Listing: who the samples of an open data set are, without decoding them, and fixed rules
 * that divide them. The rules look at image ids only, so neither order nor names nor threads
 * matter, and equal pictures never end on two sides.
 */
#ifndef OCT_DATASETS_LISTING_H
#define OCT_DATASETS_LISTING_H

#include "datasets/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_listing_item {
    oct_sha256 id; /* zeros if the sample cannot be read */
    int64_t index; /* in the data set's order */
    int32_t label; /* or OCT_LABEL_NONE */
    bool readable;
} oct_listing_item;

typedef struct oct_listing {
    oct_ctx *ctx;
    oct_listing_item *item;
    size_t n;
} oct_listing;

/* Identifies the chosen samples of `s` (from oct_dataset_open()) on `n_workers` threads; each file is read once.
 * What cannot be read is marked, not an error. Deinit whatever the outcome. */
OCT_MUST_CHECK oct_status oct_listing_make(oct_ctx *ctx, const oct_batch_source *s, int n_workers,
                                           oct_listing *out);
void oct_listing_deinit(oct_listing *l);

/* A fixed 64-bit number of an image, independent of the fold it belongs to in calibration. */
uint64_t oct_listing_key(const oct_sha256 *id);

/* Of a data set that serves for both, one picture in four calibrates and the others test. */
#define OCT_LISTING_SPLIT 4
bool oct_listing_calibrates(const oct_sha256 *id);

/* Whether `id` is among the readable items. */
bool oct_listing_has(const oct_listing *sorted, const oct_sha256 *id);
/* Puts the items in the order of their ids, for oct_listing_has(). */
void oct_listing_sort(oct_listing *l);

/* The `n_wanted` readable items with the least keys are held back, equal pictures together:
 * fills held[n]. Never all of them if there are two different ones. Returns how many. */
OCT_MUST_CHECK oct_status oct_listing_hold_back(const oct_listing *l, size_t n_wanted, bool *held,
                                                size_t *n_held);

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_LISTING_H */
