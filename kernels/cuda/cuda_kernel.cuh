/* SPDX-License-Identifier: Apache-2.0
 *
 * What the .cu files of operators share on top of cuda_math.cuh: positions in loop nests, and
 * small host helpers for C++.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_KERNEL_CUH
#define OCT_KERNELS_CUDA_CUDA_KERNEL_CUH

#include <stdio.h>

#include "kernels/cuda/cuda_loop.h"
#include "kernels/cuda/cuda_math.cuh"

/* Offsets of item `i` in the first K operands. */
template <int K>
OCT_DEV void oct_dev_offsets(const oct_cuda_loop &l, uint32_t i, int64_t (&off)[K])
{
    uint32_t d = 0;
#pragma unroll
    for (int k = 0; k < K; k++)
        off[k] = 0;
    for (; d + 1 < l.n_dims; d++) {
        uint32_t r;
        i = oct_dev_divmod(i, l.dim[d], r);
#pragma unroll
        for (int k = 0; k < K; k++)
            off[k] += r * l.stride[k][d];
    }
#pragma unroll
    for (int k = 0; k < K; k++)
        off[k] += i * l.stride[k][d];
}

/* Index value number `i` of an integer tensor. */
OCT_DEV int64_t oct_dev_index(const void *p, oct_dtype dt, int64_t i)
{
    return dt == OCT_DT_S64 ? ((const int64_t *)p)[i] : ((const int32_t *)p)[i];
}

static inline bool oct_cuda_is_index(oct_dtype dt)
{
    return dt == OCT_DT_S64 || dt == OCT_DT_S32;
}

/* A number of any real or 8-bit type as f32 and back. */
OCT_DEV float oct_dev_get(const void *p, oct_dtype dt, int64_t i)
{
    float v[1];
    oct_dev_load_any<1>(v, p, dt, i);
    return v[0];
}

OCT_DEV void oct_dev_put(void *p, oct_dtype dt, int64_t i, float x)
{
    const float v[1] = {x};
    oct_dev_store_any<1>(p, dt, i, v);
}

OCT_DEV uint32_t oct_dev_item()
{
    return blockIdx.x * blockDim.x + threadIdx.x;
}

/* Sum and maximum over the block; every thread gets the result. `shared`: 33 floats. */
OCT_DEV float oct_dev_block_sum(float v, float *shared)
{
    v = oct_dev_warp_sum(v);
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        shared[threadIdx.x / 32] = v;
    __syncthreads();
    float s = threadIdx.x % 32 < (blockDim.x + 31) / 32 ? shared[threadIdx.x % 32] : 0.0f;
    return oct_dev_warp_sum(s);
}

OCT_DEV float oct_dev_block_max(float v, float *shared)
{
    v = oct_dev_warp_max(v);
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        shared[threadIdx.x / 32] = v;
    __syncthreads();
    float s = threadIdx.x % 32 < (blockDim.x + 31) / 32 ? shared[threadIdx.x % 32] : shared[0];
    return oct_dev_warp_max(s);
}

static inline uint32_t oct_cuda_blocks(int64_t items, int threads)
{
    return (uint32_t)((items + threads - 1) / threads);
}

typedef oct_status (*oct_cuda_run_fn)(const oct_cuda_op *op, oct_ctx *ctx, const oct_run_args *a);

/* A cleared op of type T, whose first member is `oct_cuda_op base`. */
template <class T>
static inline T *oct_cuda_make(oct_cuda *be, oct_ctx *ctx, oct_cuda_run_fn run)
{
    T *op = (T *)oct_cuda_op_new(be, ctx, sizeof(T));
    if (op)
        op->base.run = run;
    return op;
}

static inline bool oct_cuda_name(oct_candidate *c, const char *name)
{
    snprintf(c->name, sizeof c->name, "cuda:%s", name);
    return true;
}

/* An operator implemented in a file of its own: for the table of its family. */
#define OCT_CUDA_OP(name)                                                                  \
    bool oct_cuda_##name##_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,         \
                                 oct_candidate *c, char *reason);                          \
    oct_status oct_cuda_##name##_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, \
                                         const oct_candidate *c, oct_cuda_op **out);
/* Element-wise (cuda_cast.cu) */
OCT_CUDA_OP(cast)
OCT_CUDA_OP(where)
OCT_CUDA_OP(integer)
OCT_CUDA_OP(binary_q8)
/* Pools */
OCT_CUDA_OP(global_pool)
OCT_CUDA_OP(resize)
/* Reductions and normalizations */
OCT_CUDA_OP(softmax)
OCT_CUDA_OP(row_norm)
OCT_CUDA_OP(channel_norm)
OCT_CUDA_OP(lrn)
OCT_CUDA_OP(arg)
OCT_CUDA_OP(top_k)
OCT_CUDA_OP(cum_sum)
/* Movers */
OCT_CUDA_OP(pad)
OCT_CUDA_OP(gather)
OCT_CUDA_OP(gather_elements)
OCT_CUDA_OP(gather_nd)
OCT_CUDA_OP(scatter)
OCT_CUDA_OP(one_hot)
OCT_CUDA_OP(fill)
OCT_CUDA_OP(range)
OCT_CUDA_OP(eye)
OCT_CUDA_OP(trilu)
OCT_CUDA_OP(reverse_sequence)
OCT_CUDA_OP(grid_sample)
OCT_CUDA_OP(roi_align)
#undef OCT_CUDA_OP

#endif /* OCT_KERNELS_CUDA_CUDA_KERNEL_CUH */
