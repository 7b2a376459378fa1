/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two halves of placement share: placement.c decides which nodes are quantized,
 * placement_points.c which values then carry Q/DQ pairs and with which scales.
 */
#ifndef OCT_QUANT_PLACEMENT_INTERNAL_H
#define OCT_QUANT_PLACEMENT_INTERNAL_H

#include "quant/placement.h"

#define MISSING_LISTED 12 /* names in the error message */

/* Per value. */
typedef struct value_info {
    uint32_t share; /* union-find parent: values that must have one scale */
    float amax;     /* 0 = unknown */
    bool asked, needed, non_negative;
    uint32_t point; /* activation point + 1, or 0 */
} value_info;

typedef struct placer {
    oct_ctx *ctx;
    oct_graph *g;
    const oct_amax_source *amax;
    const oct_scheme *scheme;
    oct_placement *out;
    value_info *value;
    bool *allowed;       /* per node */
    const char **reason; /* per node */
    bool *quantized;     /* per node */
    uint32_t cap_points;
    oct_value_id missing[MISSING_LISTED];
} placer;

const oct_value *oct_placer_value(const placer *p, oct_value_id v);
const oct_node *oct_placer_producer(const placer *p,
                                    oct_value_id v); /* NULL for inputs, constants */
bool oct_placer_amax(placer *p, oct_value_id v); /* looks the threshold up once; false if none */
uint32_t oct_placer_share(placer *p,
                          uint32_t v);  /* representative of the values sharing v's scale */
bool oct_placer_is_follower(oct_op op); /* quantized only where a quantized op follows */
uint32_t oct_placer_n_real_inputs(const oct_node *n);

/* Points for one quantized node: its inputs, its result (ORT), its weight and bias. */
OCT_MUST_CHECK oct_status oct_placer_inputs(placer *p, oct_node_id id);
OCT_MUST_CHECK oct_status oct_placer_result(placer *p, oct_node_id id);
OCT_MUST_CHECK oct_status oct_placer_weights(placer *p, oct_node_id id);
/* Scales of all activation points, once their sharing is known. */
void oct_placer_scales(placer *p);

#endif /* OCT_QUANT_PLACEMENT_INTERNAL_H */
