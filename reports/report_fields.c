/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/report_fields_internal.h"

#include <stddef.h>

#define AT(type, member) .at = offsetof(oct_report##type, member)
#define TEXT(t, m, text)                            \
    {                                               \
#m, OCT_FIELD_TEXT, AT(t, m), .about = text \
    }
#define MUST(t, m, text)                                              \
    {                                                                 \
#m, OCT_FIELD_TEXT, .required = true, AT(t, m), .about = text \
    }
#define CHOICE(t, m, list, text)                                     \
    {                                                                \
#m, OCT_FIELD_TEXT, AT(t, m), .choices = list, .about = text \
    }
#define F64(t, m, text)                            \
    {                                              \
#m, OCT_FIELD_F64, AT(t, m), .about = text \
    }
#define S64(t, m, text)                            \
    {                                              \
#m, OCT_FIELD_S64, AT(t, m), .about = text \
    }
#define BOOL(t, m, text)                            \
    {                                               \
#m, OCT_FIELD_BOOL, AT(t, m), .about = text \
    }
#define INTERVAL(t, m, text)                            \
    {                                                   \
#m, OCT_FIELD_INTERVAL, AT(t, m), .about = text \
    }
#define OBJECT(t, m, k, text)                                    \
    {                                                            \
#m, OCT_FIELD_OBJECT, .kind = k, AT(t, m), .about = text \
    }
#define COUNTED(t, m, type, k, text)                                                         \
    {                                                                                        \
#m, type, .kind = k, AT(t, m), .n_at = offsetof(oct_report##t, n_##m), .about = text \
    }
#define LIST(t, m, k, text) COUNTED(t, m, OCT_FIELD_LIST, k, text)
#define NUMBERS(t, m, text) COUNTED(t, m, OCT_FIELD_NUMBERS, OCT_REPORT_ROOT, text)
#define TEXTS(t, m, text) COUNTED(t, m, OCT_FIELD_TEXTS, OCT_REPORT_ROOT, text)
/* clang-format off */
#define END {0}

static const oct_field root[] = {
    TEXT(, title, "what is judged"),
    TEXT(, command, "the command that wrote it"),
    CHOICE(, task, "classification|detection|outputs", "what the answers are"),
    CHOICE(, verdict, "passed|failed|undecided", "of all gates together"),
    TEXT(, verdict_text, "the verdict as a sentence"),
    S64(, images, "images that were answered"),
    S64(, skipped, "images that could not be read"),
    S64(, labelled, "images with a class label"),
    S64(, classes, "length of the class vector; 0 = the first output is none"),
    TEXT(, preprocess, "effective preprocessing as canonical JSON text"),
    BOOL(, suspect, "the reference is not clearly above chance: preprocessing or label map?"),
    LIST(, sides, OCT_REPORT_SIDE, "who answered; the reference first"),
    LIST(, comparisons, OCT_REPORT_PAIR, "each candidate against the reference"),
    LIST(, gates, OCT_REPORT_GATE, "limits that were asked for"),
    OBJECT(, calibration, OCT_REPORT_CALIBRATION, "thresholds of the activations"),
    LIST(, weights, OCT_REPORT_WEIGHT, "weights of quantizable nodes"),
    LIST(, artefacts, OCT_REPORT_ARTEFACT, "files that were made"),
    LIST(, provenance, OCT_REPORT_FACT, "versions, hashes, options"),
    TEXTS(, notes, "warnings, one sentence each"),
    END};

static const oct_field latency[] = {
    S64(_latency, runs, "timed runs"),
    S64(_latency, batch, "images a run"),
    S64(_latency, threads, "threads a run"),
    F64(_latency, p50_ms, "median, ms"),
    F64(_latency, p90_ms, "90th percentile, ms"),
    F64(_latency, p99_ms, "99th percentile, ms"),
    F64(_latency, mean_ms, "mean, ms"),
    F64(_latency, images_per_s, "throughput"),
    END};

static const oct_field node[] = {
    MUST(_node, node, "name"),
    TEXT(_node, op, "ONNX operator"),
    BOOL(_node, quantized, "computes with integers"),
    TEXT(_node, reason, "why not"),
    END};

static const oct_field side[] = {
    MUST(_side, name, "as given"),
    TEXT(_side, label, "short name for headings"),
    CHOICE(_side, role, "reference|candidate", "what it is here"),
    TEXT(_side, runtime, "who computed"),
    TEXT(_side, precision, "fp32, fp16, int8 or several joined by +"),
    S64(_side, file_bytes, "size of the file"),
    TEXT(_side, sha256, "of the file"),
    S64(_side, nonfinite_images, "images with a NaN or infinity in the outputs"),
    S64(_side, n_top1, "labelled images whose best class is right"),
    S64(_side, n_top5, "labelled images with the right class among the best five"),
    F64(_side, top1, "share"),
    F64(_side, top5, "share"),
    INTERVAL(_side, top1_interval, "Wilson, 95 %"),
    INTERVAL(_side, top5_interval, "Wilson, 95 %"),
    F64(_side, ap, "COCO AP@[.5:.95]"),
    F64(_side, ap50, "AP at IoU .5"),
    F64(_side, ap75, "AP at IoU .75"),
    F64(_side, ap_small, "AP of boxes below 32x32"),
    F64(_side, ap_medium, "AP of boxes below 96x96"),
    F64(_side, ap_large, "AP of larger boxes"),
    F64(_side, ar1, "AR at 1 detection"),
    F64(_side, ar10, "AR at 10 detections"),
    F64(_side, ar100, "AR at 100 detections"),
    F64(_side, ar_small, "AR of small boxes"),
    F64(_side, ar_medium, "AR of medium boxes"),
    F64(_side, ar_large, "AR of large boxes"),
    OBJECT(_side, latency, OCT_REPORT_LATENCY, "measured run times"),
    LIST(_side, nodes, OCT_REPORT_NODE, "operators on data: integers or not, and why not"),
    END};

static const oct_field flip[] = {
    MUST(_flip, image, "name in the data set"),
    S64(_flip, index, "position in the data set"),
    S64(_flip, label, "right class"),
    S64(_flip, reference, "class by the reference"),
    S64(_flip, candidate, "class by the candidate"),
    TEXT(_flip, label_name, "name of the class"),
    TEXT(_flip, reference_name, "name of the class"),
    TEXT(_flip, candidate_name, "name of the class"),
    TEXT(_flip, thumbnail, "picture as image/jpeg;base64,... or image/png;base64,..."),
    END};

static const oct_field confusion[] = {
    S64(_confusion, reference, "class by the reference"),
    S64(_confusion, candidate, "class by the candidate"),
    TEXT(_confusion, reference_name, "name of the class"),
    TEXT(_confusion, candidate_name, "name of the class"),
    S64(_confusion, images, "how often"),
    END};

static const oct_field value[] = {
    MUST(_value, name, "tensor"),
    TEXT(_value, op, "operator that makes it"),
    S64(_value, elements, "compared"),
    F64(_value, sqnr_db, "10 lg (signal / error) power; null and equal: no error"),
    BOOL(_value, equal, "no difference at all"),
    F64(_value, cosine, "similarity"),
    F64(_value, max_error, "largest absolute difference"),
    F64(_value, saturation, "share of integers at an end of their range"),
    F64(_value, scale, "of the integers"),
    END};

static const oct_field removed[] = {
    MUST(_removed, name, "tensor"),
    TEXT(_removed, reason, "why it cannot be compared"),
    END};

static const oct_field pair[] = {
    MUST(_pair, candidate, "name of the side"),
    F64(_pair, sqnr_db, "of the outputs; null and outputs_equal: no error"),
    BOOL(_pair, outputs_equal, "no difference at all"),
    F64(_pair, cosine, "of the outputs"),
    F64(_pair, max_error, "of the outputs"),
    S64(_pair, both_right, "images"),
    S64(_pair, only_reference_right, "images"),
    S64(_pair, only_candidate_right, "images"),
    S64(_pair, both_wrong, "images"),
    F64(_pair, top1_difference, "candidate - reference, share"),
    INTERVAL(_pair, top1_difference_interval, "adjusted Wald for paired data, 95 %"),
    F64(_pair, mcnemar_p, "McNemar's test"),
    F64(_pair, ap_difference, "candidate - reference"),
    INTERVAL(_pair, ap_difference_interval, "bootstrap over images, 95 %"),
    S64(_pair, n_agree, "images with the same best class"),
    F64(_pair, agreement, "share"),
    INTERVAL(_pair, agreement_interval, "Wilson, 95 %"),
    LIST(_pair, flips, OCT_REPORT_FLIP, "images with another best class, the first ones"),
    S64(_pair, n_flips_all, "how many there are"),
    LIST(_pair, confusion_changes, OCT_REPORT_CONFUSION, "most frequent changes of class"),
    LIST(_pair, values, OCT_REPORT_VALUE, "tensors on both sides, in execution order"),
    S64(_pair, values_images, "images the tensors were compared on"),
    LIST(_pair, values_removed, OCT_REPORT_REMOVED, "tensors that could not be compared"),
    END};

static const oct_field gate[] = {
    MUST(_gate, gate, "name of the option"),
    TEXT(_gate, candidate, "name of the side"),
    F64(_gate, limit, "points, percent or dB"),
    F64(_gate, value, "in the same unit"),
    INTERVAL(_gate, interval, "95 %, in the same unit"),
    CHOICE(_gate, verdict, "passed|failed|undecided", "outcome"),
    S64(_gate, images_needed, "images that would decide"),
    END};

static const oct_field threshold[] = {
    MUST(_threshold, method, "calibration method"),
    F64(_threshold, amax, "threshold"),
    F64(_threshold, scale, "amax / 127"),
    F64(_threshold, sqnr_db, "expected from the histogram"),
    TEXT(_threshold, note, "what is wrong with it"),
    END};

static const oct_field histogram[] = {
    F64(_histogram, lo, "left end of the first column"),
    F64(_histogram, hi, "right end of the last column"),
    NUMBERS(_histogram, counts, "values in equal columns"),
    END};

static const oct_field tensor[] = {
    MUST(_tensor, name, "tensor"),
    F64(_tensor, min, "smallest value"),
    F64(_tensor, max, "largest value"),
    S64(_tensor, values, "counted"),
    S64(_tensor, nonfinite, "NaN and infinities, left out"),
    OBJECT(_tensor, histogram, OCT_REPORT_HISTOGRAM, "distribution of its values"),
    LIST(_tensor, thresholds, OCT_REPORT_THRESHOLD, "by method"),
    TEXT(_tensor, settled, "settled, more images, cannot tell"),
    F64(_tensor, spread_percent, "two standard errors of the chosen scale"),
    S64(_tensor, images_needed, "images that would settle it"),
    END};

static const oct_field method[] = {
    MUST(_method, method, "calibration method"),
    F64(_method, sqnr_db, "of the outputs on held-back calibration images"),
    F64(_method, agreement, "share of these images with the same best class"),
    BOOL(_method, chosen, "the engines use it"),
    TEXT(_method, note, "remark"),
    END};

static const oct_field calibration[] = {
    TEXT(_calibration, method, "that the engines use"),
    S64(_calibration, images, "counted"),
    TEXT(_calibration, settled, "settled, more images, cannot tell"),
    TEXT(_calibration, settled_text, "the same as a sentence"),
    S64(_calibration, images_needed, "images that would settle all scales"),
    LIST(_calibration, methods, OCT_REPORT_METHOD, "methods compared over the whole network"),
    LIST(_calibration, tensors, OCT_REPORT_TENSOR, "histograms and thresholds"),
    END};

static const oct_field weight[] = {
    MUST(_weight, name, "constant"),
    TEXT(_weight, node, "that uses it"),
    S64(_weight, channels, "output channels"),
    F64(_weight, amax_min, "smallest channel amax"),
    F64(_weight, amax_median, "median channel amax"),
    F64(_weight, amax_max, "largest channel amax"),
    F64(_weight, sqnr_db, "of the quantized weights"),
    END};

static const oct_field fact[] = {
    MUST(_fact, key, "what"),
    TEXT(_fact, value, "its value"),
    END};

static const oct_field artefact[] = {
    MUST(_artefact, file, "path"),
    TEXT(_artefact, purpose, "what it is for"),
    S64(_artefact, bytes, "size"),
    TEXT(_artefact, sha256, "hash"),
    TEXTS(_artefact, commands, "lines that feed it to its readers"),
    END};

const oct_report_struct oct_report_structs[OCT_REPORT_KIND_COUNT] = {
    [OCT_REPORT_ROOT] = {"report", sizeof(oct_report), root},
    [OCT_REPORT_LATENCY] = {"latency", sizeof(oct_report_latency), latency},
    [OCT_REPORT_NODE] = {"node", sizeof(oct_report_node), node},
    [OCT_REPORT_SIDE] = {"side", sizeof(oct_report_side), side},
    [OCT_REPORT_FLIP] = {"flip", sizeof(oct_report_flip), flip},
    [OCT_REPORT_CONFUSION] = {"confusion", sizeof(oct_report_confusion), confusion},
    [OCT_REPORT_VALUE] = {"value", sizeof(oct_report_value), value},
    [OCT_REPORT_REMOVED] = {"removed", sizeof(oct_report_removed), removed},
    [OCT_REPORT_PAIR] = {"comparison", sizeof(oct_report_pair), pair},
    [OCT_REPORT_GATE] = {"gate", sizeof(oct_report_gate), gate},
    [OCT_REPORT_THRESHOLD] = {"threshold", sizeof(oct_report_threshold), threshold},
    [OCT_REPORT_HISTOGRAM] = {"histogram", sizeof(oct_report_histogram), histogram},
    [OCT_REPORT_TENSOR] = {"tensor", sizeof(oct_report_tensor), tensor},
    [OCT_REPORT_METHOD] = {"method", sizeof(oct_report_method), method},
    [OCT_REPORT_CALIBRATION] = {"calibration", sizeof(oct_report_calibration), calibration},
    [OCT_REPORT_WEIGHT] = {"weight", sizeof(oct_report_weight), weight},
    [OCT_REPORT_FACT] = {"fact", sizeof(oct_report_fact), fact},
    [OCT_REPORT_ARTEFACT] = {"artefact", sizeof(oct_report_artefact), artefact},
};
