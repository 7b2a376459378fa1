/* SPDX-License-Identifier: Apache-2.0
 *
 * A plan of layers that stay in floating point: as the file that --plan of quantize and build reads
 * (schema octet.plan/1), and as a table.
 */
#ifndef OCT_TOOLS_SENSITIVITY_SHOW_H
#define OCT_TOOLS_SENSITIVITY_SHOW_H

#include "quant/quantize.h"
#include "quant/sensitivity.h"
#include "tools/cli.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_sens_view {
    const oct_sens_result *result;
    const struct oct_quant_line *const *layer; /* of each layer */
    size_t n_layers;
    const char *const *always; /* kept before the search began */
    size_t n_always;
    oct_sha256 model;
    const char *scales;     /* provenance, JSON text */
    const char *preprocess; /* canonical JSON text */
    uint64_t n_images, n_rank_images;
} oct_sens_view;

/* Appends the plan as JSON. */
OCT_MUST_CHECK oct_status oct_sens_plan(const oct_sens_view *v, oct_strbuf *out);
OCT_MUST_CHECK oct_status oct_sens_show(oct_cli *cli, const oct_sens_view *v);

#ifdef __cplusplus
}
#endif

#endif /* OCT_TOOLS_SENSITIVITY_SHOW_H */
