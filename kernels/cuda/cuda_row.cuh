/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of neighbouring elements, one read by one group of threads into registers: a warp for short
 * rows, a block for long ones, and for the longest a block that reads them again. Softmax and layer
 * normalization are written on these.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_ROW_CUH
#define OCT_KERNELS_CUDA_CUDA_ROW_CUH

#include "kernels/cuda/cuda_kernel.cuh"

#define OCT_ROW_WARPS 8 /* of a block */
#define OCT_ROW_THREADS (32 * OCT_ROW_WARPS)

/* Lane `lane` of a group of GROUP threads holds elements (c * GROUP + lane) * V + i. */
template <class T, int V, int CHUNKS, int GROUP>
struct oct_row {
    static constexpr int count = V * CHUNKS;
    static constexpr int group = GROUP;
    static constexpr int vec = V;
    typedef T type;
    float v[count];
    uint32_t lane, n;

    __device__ __forceinline__ uint32_t at(int c) const
    {
        return (c * GROUP + lane) * V;
    }
    __device__ __forceinline__ void load(const T *x)
    {
#pragma unroll
        for (int c = 0; c < CHUNKS; c++)
            if (at(c) < n) {
                float w[V];
                oct_dev_load<V>(w, x + at(c));
#pragma unroll
                for (int i = 0; i < V; i++)
                    v[c * V + i] = w[i];
            }
    }
    __device__ __forceinline__ void store(T *y) const
    {
#pragma unroll
        for (int c = 0; c < CHUNKS; c++)
            if (at(c) < n) {
                float w[V];
#pragma unroll
                for (int i = 0; i < V; i++)
                    w[i] = v[c * V + i];
                oct_dev_store<V>(y + at(c), w);
            }
    }
    /* f(value, position) for each element that exists */
    template <class F>
    __device__ __forceinline__ void each(F f)
    {
#pragma unroll
        for (int c = 0; c < CHUNKS; c++)
            if (at(c) < n) {
#pragma unroll
                for (int i = 0; i < V; i++)
                    f(v[c * V + i], at(c) + i);
            }
    }
};

template <int GROUP>
OCT_DEV float oct_row_sum(float v, float *shared)
{
    return GROUP == 32 ? oct_dev_warp_sum(v) : oct_dev_block_sum(v, shared);
}

template <int GROUP>
OCT_DEV float oct_row_max(float v, float *shared)
{
    return GROUP == 32 ? oct_dev_warp_max(v) : oct_dev_block_max(v, shared);
}

/* Row number and lane of this thread; false behind the last row (then for the whole warp). */
template <int GROUP>
OCT_DEV bool oct_row_locate(uint32_t rows, uint32_t &row, uint32_t &lane)
{
    row = GROUP == 32 ? blockIdx.x * OCT_ROW_WARPS + threadIdx.x / 32 : blockIdx.x;
    lane = GROUP == 32 ? threadIdx.x % 32 : threadIdx.x;
    return row < rows;
}

/* Blocks for `rows` rows. */
static inline uint32_t oct_row_blocks(uint32_t rows, int group)
{
    return group == 32 ? (rows + OCT_ROW_WARPS - 1) / OCT_ROW_WARPS : rows;
}

/* Calls launch.run<oct_row<...>>() with the fitting form for rows of n elements, or launch.run_long<T>()
 * for rows that no group holds. `wide`: rows and pointers are whole 16-byte vectors. */
template <class T, class L>
static void oct_row_dispatch(const L &launch, uint32_t n, bool wide)
{
    constexpr int W = 16 / (int)sizeof(T);
    if (wide && n <= 256)
        launch.template run<oct_row<T, W, 8 / W, 32>>();
    else if (wide && n <= 1024)
        launch.template run<oct_row<T, W, 32 / W, 32>>();
    else if (wide && n <= 8192)
        launch.template run<oct_row<T, W, 32 / W, OCT_ROW_THREADS>>();
    else if (!wide && n <= 256)
        launch.template run<oct_row<T, 1, 8, 32>>();
    else if (!wide && n <= 1024)
        launch.template run<oct_row<T, 1, 32, 32>>();
    else if (!wide && n <= 8192)
        launch.template run<oct_row<T, 1, 32, OCT_ROW_THREADS>>();
    else
        launch.template run_long<T>();
}

#endif /* OCT_KERNELS_CUDA_CUDA_ROW_CUH */
