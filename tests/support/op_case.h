/* SPDX-License-Identifier: Apache-2.0
 *
 * One operator run by itself, without a graph: inference, allocation, enumerate, prepare, run.
 *
 *     const float x[] = {1, -2};
 *     const oct_tensor in[] = {OP_TENSOR(F32, x, 2)};
 *     op_result r = op_run_ok(ctx, OCT_OP_RELU, NULL, in, 1, 1);
 *     ... ((float *)r.out[0].data)[1] ...
 *     op_result_free(ctx, &r);
 */
#ifndef OCT_TESTS_OP_CASE_H
#define OCT_TESTS_OP_CASE_H

#include "base/ctx.h"
#include "kernels/backend.h"

#define OP_MAX_OUT 16

/* Dense row-major tensor over an array; dims follow. OP_SCALAR: rank 0. */
#define OP_TENSOR(dt, array, ...)                                 \
    op_tensor(OCT_DT_##dt, array, (const int64_t[]){__VA_ARGS__}, \
              (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))
#define OP_SCALAR(dt, array) op_tensor(OCT_DT_##dt, array, NULL, 0)
#define OP_ABSENT ((oct_tensor){.desc = {.dtype = OCT_DT_NONE}})

oct_tensor op_tensor(oct_dtype dt, const void *data, const int64_t *dim, int n_dims);

typedef struct op_result {
    oct_tensor out[OP_MAX_OUT]; /* data is oct_alloc()ed */
    int n_out;
} op_result;

typedef struct op_options {
    const char *backend;           /* NULL = "ref" */
    int threads;                   /* 0 = 1 */
    const oct_quant *in_quant;     /* n_in entries, or NULL */
    oct_quant out_quant;           /* of output 0 */
    oct_dtype out_dtype;           /* of output 0; NONE = inferred */
    const oct_tensor_desc *out_at; /* layout and strides of output 0; NULL = dense row-major */
    bool in_place;                 /* output 0 lies in input 0's memory */
    const oct_epilogue *epilogue;  /* NULL = none */
} op_options;

/* Attributes default to the op's own when `attr` is NULL. On failure `*r` is empty. */
oct_status op_run(oct_ctx *ctx, oct_op op, const void *attr, const oct_tensor *in, int n_in,
                  int n_out, const op_options *opt, op_result *r);
/* The same, with defaults, asserting success. */
op_result op_run_ok(oct_ctx *ctx, oct_op op, const void *attr, const oct_tensor *in, int n_in,
                    int n_out);
void op_result_free(oct_ctx *ctx, op_result *r);

/* Inference alone: `out` gets n_out descriptions. Inputs' data may be NULL (not known). */
/* Clears the error record first. */
oct_status op_infer(oct_ctx *ctx, oct_op op, const void *attr, const oct_tensor *in, int n_in,
                    oct_tensor_desc *out, int n_out);

#endif /* OCT_TESTS_OP_CASE_H */
