/* SPDX-License-Identifier: Apache-2.0
 *
 * Report: what is known about a quantized model, as plain data. Commands fill it; JSON, HTML and
 * terminal text are made from nothing else, so that a saved result can be shown again.
 *
 *     command ──fills──► oct_report ──► JSON (schema octet.report/1) ──► oct_report
 *                             ├──► HTML, several side by side
 *                             └──► terminal tables
 *
 * Everything is optional: numbers that are not known are NaN (integers: -1), texts and lists NULL and 0,
 * and what is not known is not shown. One table (report_fields.c) names every member; reading, writing
 * and the JSON Schema follow from it, and REPORT.md explains it.
 *
 * Ownership: a report and all it points to live in its arena; fill lists with
 * oct_report_array() and texts with oct_report_text(). Thread-safety: none.
 */
#ifndef OCT_REPORTS_REPORT_H
#define OCT_REPORTS_REPORT_H

#include "base/arena.h"
#include "base/strbuf.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_REPORT_SCHEMA "octet.report/1"
#define OCT_REPORT_MAX_BYTES (256u << 20) /* of a JSON file */

/* Shares are in [0, 1], differences too; intervals are of 95 %. */
typedef struct oct_report_interval {
    double lo, hi; /* both NaN = not known */
} oct_report_interval;

/* Wall times of single runs. */
typedef struct oct_report_latency {
    int64_t runs, batch, threads;
    double p50_ms, p90_ms, p99_ms, mean_ms;
    double images_per_s;
} oct_report_latency;

/* A node of a side's model, and whether it computes with integers. */
typedef struct oct_report_node {
    const char *node, *op;
    bool quantized;
    const char *reason; /* why not; "" if quantized */
} oct_report_node;

typedef struct oct_report_side {
    const char *name;      /* as given on the command line */
    const char *label;     /* short, for headings: "FP32", "INT8 entropy"; NULL = name */
    const char *role;      /* "reference" or "candidate" */
    const char *runtime;   /* who computed: "octet 1.0.0, cpu", "recorded outputs" */
    const char *precision; /* "fp32", "fp16", "int8", "int8+fp32"; NULL = not known */
    int64_t file_bytes;
    const char *sha256;       /* of the file */
    int64_t nonfinite_images; /* with a NaN or infinity in the outputs */
    int64_t n_top1, n_top5;   /* right ones of the labelled images */
    double top1, top5;
    oct_report_interval top1_interval, top5_interval;
    double ap, ap50, ap75, ap_small, ap_medium, ap_large; /* COCO's rules */
    double ar1, ar10, ar100, ar_small, ar_medium, ar_large;
    oct_report_latency *latency; /* NULL = not measured */
    oct_report_node *nodes;      /* operators on data, in execution order */
    size_t n_nodes;
} oct_report_side;

/* One image that the candidate answers differently. */
typedef struct oct_report_flip {
    const char *image; /* name in the data set */
    int64_t index;     /* in its order */
    int64_t label;     /* class, -1 = none */
    int64_t reference, candidate;
    const char *label_name, *reference_name, *candidate_name; /* of the classes; NULL = not known */
    const char *thumbnail; /* "image/jpeg;base64,..." or "image/png;base64,..." */
} oct_report_flip;

typedef struct oct_report_confusion {
    int64_t reference, candidate; /* classes */
    const char *reference_name, *candidate_name;
    int64_t images;
} oct_report_confusion;

/* One tensor of the model on both sides, over the same images. */
typedef struct oct_report_value {
    const char *name, *op; /* op that produces it; "input" */
    int64_t elements;      /* compared */
    double sqnr_db;        /* infinity = equal, written as null with `equal` */
    bool equal;
    double cosine, max_error;
    double saturation; /* share of integers at either end of their range */
    double scale;      /* of the integers; NaN = stays float */
} oct_report_value;

/* A value that only one side has. */
typedef struct oct_report_removed {
    const char *name, *reason;
} oct_report_removed;

/* A candidate against the reference. */
typedef struct oct_report_pair {
    const char *candidate; /* its name among the sides */
    double sqnr_db;        /* of the outputs; infinity = equal, written as null */
    bool outputs_equal;
    double cosine, max_error;
    int64_t both_right, only_reference_right, only_candidate_right, both_wrong;
    double top1_difference; /* candidate - reference */
    oct_report_interval top1_difference_interval;
    double mcnemar_p;
    double ap_difference;
    oct_report_interval ap_difference_interval;
    int64_t n_agree; /* same top-1 */
    double agreement;
    oct_report_interval agreement_interval;
    oct_report_flip *flips; /* the first ones */
    size_t n_flips;
    int64_t n_flips_all; /* how many there are */
    oct_report_confusion *confusion_changes;
    size_t n_confusion_changes;
    oct_report_value *values; /* in execution order */
    size_t n_values;
    int64_t values_images; /* images they were compared on */
    oct_report_removed *values_removed;
    size_t n_values_removed;
} oct_report_pair;

typedef struct oct_report_gate {
    const char *gate;      /* "max-drop", "min-agreement", "min-sqnr" */
    const char *candidate; /* name of a side */
    double limit, value;   /* points, percent, dB */
    oct_report_interval interval;
    const char *verdict; /* "passed", "failed", "undecided" */
    int64_t images_needed;
} oct_report_gate;

/* One tensor's threshold by one method. */
typedef struct oct_report_threshold {
    const char *method;
    double amax, scale;
    double sqnr_db;   /* expected from the histogram */
    const char *note; /* "dead", "poor" ...; NULL or "" = nothing */
} oct_report_threshold;

/* Counts of a tensor's values in equal columns over [lo, hi]. */
typedef struct oct_report_histogram {
    double lo, hi;
    uint64_t *counts;
    size_t n_counts;
} oct_report_histogram;

/* A calibrated tensor. */
typedef struct oct_report_tensor {
    const char *name;
    double min, max;
    int64_t values, nonfinite;
    oct_report_histogram *histogram; /* NULL = not kept */
    oct_report_threshold *thresholds;
    size_t n_thresholds;
    const char *settled;   /* spread: "settled", "more images", "cannot tell" */
    double spread_percent; /* 2 standard errors of the chosen scale */
    int64_t images_needed;
} oct_report_tensor;

/* One calibration method for the whole network. */
typedef struct oct_report_method {
    const char *method;
    double sqnr_db; /* of the network's outputs on held-back calibration images */
    double agreement;
    bool chosen;
    const char *note;
} oct_report_method;

typedef struct oct_report_calibration {
    const char *method; /* that the engines use */
    int64_t images;
    const char *settled; /* of all tensors, as oct_report_tensor.settled */
    const char *settled_text;
    int64_t images_needed;
    oct_report_method *methods;
    size_t n_methods;
    oct_report_tensor *tensors;
    size_t n_tensors;
} oct_report_calibration;

/* Weights of one node: how unequal its channels are. */
typedef struct oct_report_weight {
    const char *name, *node;
    int64_t channels;
    double amax_min, amax_median, amax_max; /* over the channels */
    double sqnr_db;                         /* of the quantized weights */
} oct_report_weight;

/* A line of the provenance table. */
typedef struct oct_report_fact {
    const char *key, *value;
} oct_report_fact;

typedef struct oct_report_artefact {
    const char *file;
    const char *purpose; /* one sentence */
    int64_t bytes;
    const char *sha256;
    const char **commands; /* lines that feed it to its readers */
    size_t n_commands;
} oct_report_artefact;

typedef struct oct_report {
    oct_ctx *ctx;
    oct_arena *arena;
    const char *title;        /* what is judged */
    const char *command;      /* "evaluate", "auto" */
    const char *task;         /* "classification", "detection", "outputs" */
    const char *verdict;      /* "passed", "failed", "undecided"; NULL = nothing was asked */
    const char *verdict_text; /* one sentence */
    int64_t images, skipped, labelled, classes;
    const char *preprocess; /* canonical JSON; "" = callers' own */
    bool suspect;           /* the reference is near chance: preprocessing or labels? */
    oct_report_side *sides; /* reference first */
    size_t n_sides;
    oct_report_pair *comparisons; /* sides[1..] against sides[0] */
    size_t n_comparisons;
    oct_report_gate *gates;
    size_t n_gates;
    oct_report_calibration *calibration; /* NULL = not part of it */
    oct_report_weight *weights;
    size_t n_weights;
    oct_report_artefact *artefacts;
    size_t n_artefacts;
    oct_report_fact *provenance;
    size_t n_provenance;
    const char **notes; /* warnings, one sentence each */
    size_t n_notes;
} oct_report;

/* What oct_report_array() makes; OCT_REPORT_ROOT is the report itself. */
typedef enum oct_report_kind {
    OCT_REPORT_ROOT,
    OCT_REPORT_LATENCY,
    OCT_REPORT_NODE,
    OCT_REPORT_SIDE,
    OCT_REPORT_FLIP,
    OCT_REPORT_CONFUSION,
    OCT_REPORT_VALUE,
    OCT_REPORT_REMOVED,
    OCT_REPORT_PAIR,
    OCT_REPORT_GATE,
    OCT_REPORT_THRESHOLD,
    OCT_REPORT_HISTOGRAM,
    OCT_REPORT_TENSOR,
    OCT_REPORT_METHOD,
    OCT_REPORT_CALIBRATION,
    OCT_REPORT_WEIGHT,
    OCT_REPORT_FACT,
    OCT_REPORT_ARTEFACT,
    OCT_REPORT_KIND_COUNT,
} oct_report_kind;

/* ---- making one ---- */

OCT_MUST_CHECK oct_status oct_report_new(oct_ctx *ctx, oct_report **out);
void oct_report_free(oct_report *r); /* NULL is allowed */

/* `n` structs of `kind` (n = 0: a valid pointer) in which nothing is known yet; NULL with OCT_ERR_NOMEM
 * recorded. oct_report_numbers(), oct_report_texts(): plain lists, cleared. */
void *oct_report_array(oct_report *r, oct_report_kind kind, size_t n);
uint64_t *oct_report_numbers(oct_report *r, size_t n);
const char **oct_report_texts(oct_report *r, size_t n);

/* Copies of text (NULL stays NULL); NULL with OCT_ERR_NOMEM recorded. */
const char *oct_report_text(oct_report *r, const char *s);
const char *oct_report_textf(oct_report *r, const char *fmt, ...) OCT_PRINTF(2, 3); /* no %f %g */
/* A thumbnail's text of an encoded picture of type "image/jpeg" or "image/png". */
const char *oct_report_thumbnail(oct_report *r, const char *type, const void *data, size_t n);

/* ---- JSON ---- */

/* Appends the report as JSON. Members that are not known are left out; NaN never appears. */
OCT_MUST_CHECK oct_status oct_report_write(const oct_report *r, oct_strbuf *out);
/* Reads what oct_report_write() made. OCT_ERR_FORMAT names the key: another schema, a member of
 * another type. Members that this version does not know are ignored. */
OCT_MUST_CHECK oct_status oct_report_parse(oct_ctx *ctx, const char *name, const char *text,
                                           size_t n_bytes, oct_report **out);
OCT_MUST_CHECK oct_status oct_report_read(oct_ctx *ctx, const char *path, oct_report **out);
/* Appends the JSON Schema (draft 2020-12) of the format. */
OCT_MUST_CHECK oct_status oct_report_schema(oct_strbuf *out);

/* ---- rendering ---- */

/* Appends one HTML file for `n` >= 1 reports, several side by side in the overview. Complete in itself: no
 * scripts, no network; all text is escaped. */
OCT_MUST_CHECK oct_status oct_report_html(oct_ctx *ctx, const oct_report *const *r, size_t n,
                                          oct_strbuf *out);
/* Appends tables and verdicts for a terminal. */
OCT_MUST_CHECK oct_status oct_report_terminal(oct_ctx *ctx, const oct_report *r, oct_strbuf *out);

#ifdef __cplusplus
}
#endif

#endif /* OCT_REPORTS_REPORT_H */
