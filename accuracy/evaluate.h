/* SPDX-License-Identifier: Apache-2.0
 *
 * Evaluation: a reference and candidates answer the same samples, once; what is counted
 * follows from the labels.
 *
 *     class labels     top-1, top-5, agreement, paired counts, flips, output distances
 *     COCO boxes       AP and AR by COCO's rules, and the paired bootstrap interval
 *     none             agreement and output distances only
 *
 * Per sample and side only the five best classes and a few sums (or the boxes) are kept, in
 * records ordered by the data set, so that results do not depend on threads and memory does
 * not depend on the size of the outputs.
 *
 * Classes are read from output 0, whose row must be a vector; ties go to the lower class, NaN
 * is below everything. Output distances are over the float outputs both sides have:
 *     SQNR = 10 lg (sum ref^2 / sum (cand - ref)^2) dB,   cosine = sum ref cand / (|ref| |cand|)
 */
#ifndef OCT_ACCURACY_EVALUATE_H
#define OCT_ACCURACY_EVALUATE_H

#include "accuracy/detect.h"
#include "accuracy/side.h"
#include "accuracy/stats.h"
#include "datasets/coco.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_EVAL_TOP 5
#define OCT_EVAL_MAX_SIDES 16
#define OCT_EVAL_MAX_FLIPS 50     /* kept for the result, first in the data set's order */
#define OCT_EVAL_MAX_CONFUSION 20 /* most frequent changes kept */

/* One sample on one side. */
typedef struct oct_eval_row {
    int32_t top[OCT_EVAL_TOP];                   /* classes, best first; -1 = there are fewer */
    bool finite;                                 /* every output element is */
    bool comparable;                             /* its outputs have the reference's shapes */
    double dot, power, signal, noise, max_error; /* sums over elements, against the reference */
    oct_det_list det;
} oct_eval_row;

typedef struct oct_eval_sample {
    int64_t index;      /* in the data set's order */
    int32_t label;      /* or OCT_LABEL_NONE */
    int64_t coco_image; /* index in the annotations */
    char *name;         /* owned; only if a candidate's top-1 is not the reference's */
    oct_eval_row row[]; /* of each side, reference first */
} oct_eval_sample;

/* What a side achieved. */
typedef struct oct_eval_side {
    uint64_t n_top1, n_top5; /* right ones of n_labelled */
    uint64_t n_nonfinite;    /* samples with a NaN or infinity in the outputs */
    oct_coco_result coco;
} oct_eval_side;

typedef struct oct_eval_flip {
    const char *name; /* lives with the result */
    int64_t index;
    int32_t label, ref, cand;
} oct_eval_flip;

typedef struct oct_eval_confusion {
    int32_t ref, cand; /* predicted by the reference, by the candidate */
    uint64_t n;
} oct_eval_confusion;

/* A candidate against the reference. */
typedef struct oct_eval_pair {
    oct_paired_counts paired; /* of n_labelled */
    uint64_t n_agree;         /* same top-1, of n */
    bool has_distance;
    double sqnr_db, cosine, max_error; /* sqnr: infinity when equal */
    oct_interval ap_difference;        /* detection: 95 %, bootstrap over images */
    oct_eval_flip flip[OCT_EVAL_MAX_FLIPS];
    size_t n_flips;
    oct_eval_confusion confusion[OCT_EVAL_MAX_CONFUSION];
    size_t n_confusion;
} oct_eval_pair;

typedef struct oct_evaluation {
    oct_eval_sample **sample; /* n, by index */
    size_t n, cap;
    size_t n_sides;
    uint64_t n_labelled;
    size_t n_classes; /* elements of the class vector; 0 = output 0 is none */
    bool detection;
    oct_eval_side side[OCT_EVAL_MAX_SIDES];
    oct_eval_pair *pair; /* n_sides - 1 */
} oct_evaluation;

typedef struct oct_eval_options {
    int workers;           /* threads, each with its own sample */
    bool drops_class;      /* leave `dropped_class` out of the scores; later classes move down */
    int32_t dropped_class; /* e.g. 0, the background of networks with 1,001 classes */
    const oct_coco *coco;  /* boxes; NULL = classes */
    oct_detect_options detect; /* width and height follow from the data */
    int n_resamples;           /* bootstrap; 0 = 1,000 */
    uint64_t seed;
    void (*progress)(void *user, int64_t n_done); /* any thread; may be NULL */
    void *user;
} oct_eval_options;

/* Answers every sample of `source` by every side (reference first) and counts. Release with
 * oct_evaluation_deinit() whatever the outcome. OCT_ERR_SHAPE: sides whose outputs do not
 * belong together; OCT_ERR_RANGE: a label that no output stands for; OCT_ERR_USAGE. */
OCT_MUST_CHECK oct_status oct_evaluate(oct_ctx *ctx, oct_side *const *side, size_t n_sides,
                                       oct_batch_source *source, const oct_eval_options *opt,
                                       oct_evaluation *out);
void oct_evaluation_deinit(oct_ctx *ctx, oct_evaluation *e); /* zeroed structs are fine */

/* The counting alone: from e->sample (any order), n_sides, n_classes and detection to the rest. */
OCT_MUST_CHECK oct_status oct_evaluation_count(oct_ctx *ctx, const oct_eval_options *opt,
                                               oct_evaluation *e);
/* The five best of x[n], and whether all are finite. */
bool oct_eval_best(const float *x, size_t n, int32_t top[OCT_EVAL_TOP]);
/* The same without class `dropped`; later ones move down by one. A `dropped` of n or more drops none. */
bool oct_eval_best_without(const float *x, size_t n, size_t dropped, int32_t top[OCT_EVAL_TOP]);

/* Whether the reference does so badly on class labels that preprocessing or labels are suspect:
 * not clearly above chance, taken as 2 / classes (1.2 / classes below four). */
bool oct_evaluation_is_suspect(const oct_evaluation *e);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ACCURACY_EVALUATE_H */
