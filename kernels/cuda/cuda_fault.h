/* SPDX-License-Identifier: Apache-2.0
 *
 * What a running kernel finds wrong in the data, an index outside of its axis: it cannot stop, so it computes
 * with 0 instead, writes the first such find into a record of its stream and goes on. Whoever waits for the
 * stream is given the record as OCT_ERR_RANGE, in the words of the reference kernels. The record
 * lies in host memory that the device writes: nothing is copied and nothing costs time as long as all is well.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_FAULT_H
#define OCT_KERNELS_CUDA_CUDA_FAULT_H

#include "kernels/cuda/cuda_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_CUDA_FAULT_NODE_BYTES 64

typedef struct oct_cuda_fault {
    uint32_t set;
    oct_op op;
    int64_t place, value; /* element number of the index, and what it holds */
    int64_t lo, hi;       /* what it may hold */
    char node[OCT_CUDA_FAULT_NODE_BYTES];
} oct_cuda_fault;

/* Every oct_stream of this backend is one of these. */
typedef struct oct_cuda_stream {
    oct_stream base;
    oct_cuda_fault *fault; /* the same address for host and device */
} oct_cuda_stream;

OCT_MUST_CHECK oct_status oct_cuda_fault_new(oct_ctx *ctx, oct_cuda_fault **out);
void oct_cuda_fault_free(oct_cuda_fault *f); /* NULL is allowed */
/* After the stream's work is done: what was found, once. */
OCT_MUST_CHECK oct_status oct_cuda_fault_take(oct_ctx *ctx, oct_cuda_fault *f);

/* What an op that may find something carries. */
typedef struct oct_cuda_fault_at {
    oct_cuda_fault *fault; /* of the stream; set by run() */
    oct_op op;
    char node[OCT_CUDA_FAULT_NODE_BYTES]; /* as much of the name as fits */
} oct_cuda_fault_at;

void oct_cuda_fault_at_init(oct_cuda_fault_at *at, const oct_op_desc *d);

static inline oct_cuda_fault *oct_cuda_fault_of(const oct_run_args *a)
{
    return a->stream ? ((const oct_cuda_stream *)(const void *)a->stream)->fault : NULL;
}

#ifdef __cplusplus
}
#endif

#ifdef __CUDACC__
/* Index number `place` is `value`, outside of [lo, hi]. */
static __device__ __forceinline__ void oct_dev_fault(const oct_cuda_fault_at &at, int64_t place,
                                                     int64_t value, int64_t lo, int64_t hi)
{
    oct_cuda_fault *f = at.fault;
    if (f == NULL || atomicCAS(&f->set, 0u, 1u) != 0u)
        return;
    f->op = at.op;
    f->place = place;
    f->value = value;
    f->lo = lo;
    f->hi = hi;
#pragma unroll 1
    for (int i = 0; i < OCT_CUDA_FAULT_NODE_BYTES; i++)
        f->node[i] = at.node[i];
}
#endif

#endif /* OCT_KERNELS_CUDA_CUDA_FAULT_H */
