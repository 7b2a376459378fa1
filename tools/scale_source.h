/* SPDX-License-Identifier: Apache-2.0
 *
 * Where quantize and build take thresholds from: --stats S [--method M] or --cache C, and the options of the
 * quantization scheme that both share.
 */
#ifndef OCT_TOOLS_SCALE_SOURCE_H
#define OCT_TOOLS_SCALE_SOURCE_H

#include "calib/ranges.h"
#include "calib/statistics.h"
#include "engine/model.h"
#include "quant/quantize.h"
#include "tools/cli.h"
#include "tools/stats_means.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --stats --method --cache */
extern const oct_opt oct_scale_opts[];
/* --weights --bias-correction --activations --per-tensor --include --exclude --skip-first --skip-last --plan --allow-missing --quantize-matmul */
extern const oct_opt oct_scheme_opts[];

typedef struct oct_scale_source {
    oct_ctx *ctx;
    oct_ranges *ranges;
    oct_strbuf provenance; /* JSON: method or cache header, hash, number of images */
    char *preprocess;      /* of the statistics; "" if unknown */
    oct_amax_source amax;
    oct_stats *stats; /* --stats, kept for the means; owned */
    oct_stats_means means;
    const char *activations; /* of --activations, for the provenance */
    bool corrects;           /* biases are to be corrected, and there are means */
} oct_scale_source;

/* Reads what the options name. Statistics must belong to `model` (OCT_ERR_STALE). OCT_ERR_USAGE unless exactly
 * one of --stats and --cache is given. Deinit whatever the outcome. */
OCT_MUST_CHECK oct_status oct_scale_source_init(oct_scale_source *s, oct_cli *cli,
                                                const oct_model *model);
void oct_scale_source_deinit(oct_scale_source *s);
/* The same from statistics in memory (borrowed until deinit), whose file has the hash `file`; the one option read is
 * --bias-correction. */
OCT_MUST_CHECK oct_status oct_scale_source_from_stats(oct_scale_source *s, oct_cli *cli,
                                                      const oct_stats *stats,
                                                      const oct_method *method,
                                                      const oct_sha256 *file);
/* Gives `scheme` what the statistics know besides thresholds: signs, and means where --bias-correction wants them. Both
 * borrow from `s`. */
void oct_scale_source_inform(const oct_scale_source *s, oct_scheme *scheme);
/* Thresholds that some ranges (borrowed) hold. */
oct_amax_source oct_amax_of_ranges(const oct_ranges *r);

/* Tensors whose result by one method is OCT_CALIB_POOR, and the warning that says what to do. */
typedef struct oct_poor_scales {
    size_t n;
    const char *worst; /* borrowed */
    double ratio;      /* of the worst: expected error over minmax's */
} oct_poor_scales;
void oct_poor_scales_note(oct_poor_scales *p, const char *tensor, const oct_calib_result *r);
void oct_poor_scales_warn(oct_ctx *ctx, const oct_poor_scales *p, const char *method);

typedef struct oct_scheme_args {
    oct_ctx *ctx;
    oct_scheme scheme; /* borrows from here and from the command line */
    const char **include, **exclude, **keep;
    char *plan_text;
} oct_scheme_args;

OCT_MUST_CHECK oct_status oct_scheme_args_init(oct_scheme_args *a, oct_cli *cli,
                                               oct_quant_target target);
void oct_scheme_args_deinit(oct_scheme_args *a);

/* Prints which nodes were quantized and which not, with the reason; JSON with --json. */
OCT_MUST_CHECK oct_status oct_quant_report_print(oct_cli *cli, const oct_quant_report *r,
                                                 const char *output);

#ifdef __cplusplus
}
#endif

#endif /* OCT_TOOLS_SCALE_SOURCE_H */
