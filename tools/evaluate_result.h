/* SPDX-License-Identifier: Apache-2.0
 *
 * Gates and presentation of an evaluation, for the evaluate command.
 */
#ifndef OCT_TOOLS_EVALUATE_RESULT_H
#define OCT_TOOLS_EVALUATE_RESULT_H

#include "accuracy/doubts.h"
#include "accuracy/layers.h"
#include "reports/report.h"
#include "tools/any_model.h"
#include "tools/dataset_options.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum oct_gate_kind {
    OCT_GATE_MAX_DROP,      /* points of top-1 or AP */
    OCT_GATE_MIN_AGREEMENT, /* percent of samples with the reference's top-1 */
    OCT_GATE_MIN_SQNR,      /* dB of the outputs; always on the point estimate */
    OCT_GATE_COUNT,
} oct_gate_kind;

typedef enum oct_gate_verdict {
    OCT_GATE_PASSED,
    OCT_GATE_FAILED,
    OCT_GATE_UNDECIDED, /* --gate=confident, and the interval spans the limit */
} oct_gate_verdict;

typedef struct oct_gate {
    oct_gate_kind kind;
    size_t candidate; /* pair index */
    double limit, value;
    oct_interval interval;
    oct_gate_verdict verdict;
    uint64_t needed; /* samples in all, when undecided; 0 = not known */
} oct_gate;

#define OCT_EVAL_MAX_GATES (OCT_EVAL_MAX_SIDES * OCT_GATE_COUNT)

/* What is known about a side besides its answers; texts are borrowed, NULL = not known. */
typedef struct oct_side_info {
    const char *label; /* "FP32" */
    const char *runtime, *precision;
    const char *path; /* of its file */
} oct_side_info;

typedef struct oct_evaluation_view {
    const oct_evaluation *e;
    const char *const *name;   /* of each side, as given */
    const oct_side_info *info; /* of each side; NULL = nothing known */
    const char *const *class_name;
    size_t n_class_names;
    const char *preprocess; /* JSON, "" = none */
    size_t n_skipped;
    oct_gate gate[OCT_EVAL_MAX_GATES];
    size_t n_gates;
} oct_evaluation_view;

/* Fills the gates from the options. OCT_ERR_USAGE: a gate that the data cannot answer. */
OCT_MUST_CHECK oct_status oct_evaluation_gates(oct_cli *cli, oct_evaluation_view *v);
/* --max-drop --min-agreement --min-sqnr --gate --detector --drop-class */
extern const oct_opt oct_judge_opts[];
/* How to evaluate, from these options, --labels, -j and --seed. `*coco` (NULL without boxes) is the caller's to close and must
 * outlive `opt`. */
OCT_MUST_CHECK oct_status oct_judge_read(oct_cli *cli, oct_eval_options *opt, oct_coco **coco);

/* Whether labels or preprocessing are in doubt (accuracy/doubts.h), said on stderr too. `args` opened the data set. */
OCT_MUST_CHECK oct_status oct_doubts_find(oct_cli *cli, oct_side *ref, const oct_dataset_args *args,
                                          const oct_eval_options *opt, const oct_evaluation *e,
                                          oct_doubts *out);
/* Adds them to the report's notes. */
OCT_MUST_CHECK oct_status oct_doubts_report(const oct_doubts *d, oct_report *r);

const char *oct_gate_option(oct_gate_kind k);
const char *oct_gate_verdict_str(oct_gate_verdict v);

/* Fills what an evaluation knows: task, data, sides, comparisons, gates, verdict. */
OCT_MUST_CHECK oct_status oct_evaluation_report(const oct_evaluation_view *v, oct_report *r);
/* Adds what was compared tensor by tensor, and the coverage of an INT8 candidate. */
OCT_MUST_CHECK oct_status oct_layers_report(const oct_layers *l, size_t candidate, oct_report *r);
/* Compares both models tensor by tensor over all of `source` and adds that, and the reference's weights. */
OCT_MUST_CHECK oct_status oct_report_add_layers(oct_cli *cli, const oct_any_model *reference,
                                                const oct_any_model *candidate, const char *backend,
                                                oct_batch_source *source, size_t index,
                                                oct_report *r);
/* Adds how unequal the channels of each weight are, widest spread first. */
OCT_MUST_CHECK oct_status oct_report_add_weights(const oct_model *m, oct_report *r);
/* Adds small pictures of the first flips, where `images` is a folder that holds them. */
OCT_MUST_CHECK oct_status oct_report_add_thumbnails(const char *images, oct_report *r);

#ifdef __cplusplus
}
#endif

#endif /* OCT_TOOLS_EVALUATE_RESULT_H */
