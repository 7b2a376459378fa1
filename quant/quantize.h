/* SPDX-License-Identifier: Apache-2.0
 *
 * Quantizing a whole model in one call: in memory for our engine, or as an ONNX file for others.
 */
#ifndef OCT_QUANT_QUANTIZE_H
#define OCT_QUANT_QUANTIZE_H

#include "engine/session.h"
#include "quant/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How much of a model is quantized; reasons in OCT_PLACED order live with the report. */
typedef struct oct_quant_report {
    oct_arena *arena;
    struct oct_quant_line {
        const char *node, *op, *reason; /* reason "" = quantized */
        bool corrected;                 /* its bias, for what rounding the weights moves */
    } * line;
    uint32_t n_lines, n_quantized, n_points, n_folded, n_corrected;
} oct_quant_report;
void oct_quant_report_deinit(oct_quant_report *r);

/* A new model holding `m`'s graph with BatchNorm folded and Q/DQ inserted; `m` must outlive it (it lends its
 * constants). `report` may be NULL. */
OCT_MUST_CHECK oct_status oct_quantize_model(oct_ctx *ctx, const oct_model *m,
                                             const oct_amax_source *amax, const oct_scheme *scheme,
                                             oct_quant_report *report, oct_model **out);

typedef struct oct_quantize_file_options {
    oct_export_options qdq;
    bool force, external_data;
} oct_quantize_file_options;

/* Reads the ONNX file `in` and writes it with Q/DQ pairs to `out`. The threshold source is asked for the
 * names of the file as it is. */
OCT_MUST_CHECK oct_status oct_quantize_file(oct_ctx *ctx, const char *in, const char *out,
                                            const oct_amax_source *amax, const oct_scheme *scheme,
                                            const oct_quantize_file_options *opt,
                                            oct_quant_report *report);

#ifdef __cplusplus
}
#endif

#endif /* OCT_QUANT_QUANTIZE_H */
