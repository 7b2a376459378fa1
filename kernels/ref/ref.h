/* SPDX-License-Identifier: Apache-2.0
 *
 * Reference kernels: portable C, the definition of correct. One function an operator,
 * any dense layout it declares, no SIMD, no allocation. Work may be split over d->threads
 * with oct_parallel_for() as long as the bits do not depend on the split.
 */
#ifndef OCT_KERNELS_REF_REF_H
#define OCT_KERNELS_REF_REF_H

#include "kernels/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef oct_status (*oct_ref_fn)(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a);

typedef struct oct_ref_entry {
    oct_op op;
    oct_ref_fn run;
    /* Scratch bytes needed for this descriptor; NULL = 0. */
    size_t (*workspace)(const oct_op_desc *d);
    /* False with a reason when this descriptor is not supported (types, layouts); NULL = row-major
     * dense operands only. */
    bool (*accepts)(const oct_op_desc *d, char *reason);
    /* f16 and bf16 operands are converted to f32 before `run` and its results back after it
     * (kernels/ref/ref.c): `run`, `workspace` and `accepts` then see f32 only. */
    bool half_via_f32;
} oct_ref_entry;

/* The default of `accepts`: row-major dense operands, no quantization parameters, no epilogue. */
bool oct_ref_accepts_plain(const oct_op_desc *d, char *reason);
/* Writes `reason` (OCT_REASON_BYTES); returns false, so that a refusal is one line. */
bool oct_ref_refuse(char *reason, const char *fmt, ...) OCT_PRINTF(2, 3);

/* Entry of `op`, NULL if there is none. */
const oct_ref_entry *oct_ref_find(oct_op op);

/* The reference backend; closed with oct_backend_close(). */
OCT_MUST_CHECK oct_status oct_ref_open(oct_ctx *ctx, oct_backend **out);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_REF_REF_H */
