/* SPDX-License-Identifier: Apache-2.0
 *
 * The tensor-core kernel, one template for all types and tiles. A block computes tiles of
 * BM pixels x BN channels, one after the other, in steps of BK bytes of k:
 *
 *     load     copies of step s + AHEAD into a ring of STAGES: 16 bytes at a time, straight from
 *              the image (the padding from args.pad), past the end of the tile into the next one
 *     compute  ldmatrix + mma.sync by warps of WM x WN, or wgmma by warpgroups of 64 x BN
 *     store    results go through shared memory, so that memory sees whole 16-byte pieces;
 *              residuals come the same way, one tile ahead, and are overwritten in place
 *
 * Rows in shared memory are 64 or 128 bytes; their 16-byte pieces are permuted so that eight
 * rows at one piece hit all banks (for 128 bytes the permutation that wgmma knows).
 */
#ifndef OCT_KERNELS_CUDA_CUDA_MMA_KERNEL_CUH
#define OCT_KERNELS_CUDA_CUDA_MMA_KERNEL_CUH

#include "kernels/cuda/cuda_mma_load.cuh"
#include "kernels/cuda/cuda_mma_store.cuh"

template <class C, oct_mma_finish F>
__global__ void __launch_bounds__(C::THREADS, C::BLOCKS)
    oct_mma_kernel(const __grid_constant__ oct_mma_args p)
{
#if defined(__CUDA_ARCH__) && (__CUDA_ARCH__ >= 800)
    extern __shared__ __align__(1024) uint8_t oct_mma_memory[];
#if !defined(__CUDA_ARCH_FEAT_SM90_ALL)
    if (C::WG)
        return;
#endif
    const uint32_t ring = oct_smem(oct_mma_memory);
    uint8_t *const staging = oct_mma_memory + C::STAGES * C::STAGE;
    const bool fast = F != OCT_MMA_PLAIN || p.fast, prefetches = fast && p.res;
    constexpr int TILE = C::BM * C::BN * oct_mma_out<C, F>; /* staged bytes */
    const int row_bytes = oct_mma_staged_row<C, F>(p);
    oct_let_next_start();
    oct_mma_loader<C> loader(p);
    const oct_mma_computer<C> computer;
    const oct_mma_storer<C, F> storer(p, computer);
    oct_wait_for_inputs();

    if (prefetches && p.res_ahead)
        storer.prefetch(staging, (int)blockIdx.x);
    int into = 0, from = 0; /* stages */
#pragma unroll
    for (int s = 0; s < C::AHEAD; s++) {
        loader.load(ring + (uint32_t)(into * C::STAGE));
        oct_cp_commit();
        into++;
    }
    int turn = 0;
    for (int tile = (int)blockIdx.x; tile < p.tiles; tile += (int)gridDim.x, turn ^= 1) {
        const oct_mma_place_of_tile at = oct_mma_locate<C>(p, tile);
        typename C::acc sum[C::SUMS];
        storer.start(sum, at);
        for (int k = 0; k < p.k_steps; k++) {
            oct_cp_wait<C::AHEAD - 1>();
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
            if constexpr (C::WG)
                oct_wg_publish();
#endif
            __syncthreads();
            if constexpr (C::WG)
                computer.by_warpgroup(sum, ring + (uint32_t)(from * C::STAGE));
            loader.load(ring + (uint32_t)(into * C::STAGE));
            if (prefetches && k == 0) /* every thread has written the results of before */
                storer.prefetch(staging + (p.res_ahead ? (turn ^ 1) * TILE : 0),
                                p.res_ahead ? tile + (int)gridDim.x : tile);
            oct_cp_commit();
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
            if constexpr (C::WG)
                oct_wg_wait<1>(); /* the step before this one: its stage is free after a barrier */
#endif
            if constexpr (!C::WG)
                computer.by_warp(sum, ring + (uint32_t)(from * C::STAGE));
            from = from + 1 == C::STAGES ? 0 : from + 1;
            into = into + 1 == C::STAGES ? 0 : into + 1;
        }
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
        if constexpr (C::WG)
            oct_wg_wait<0>();
#endif
        uint8_t *const staged = staging + (prefetches && p.res_ahead ? turn * TILE : 0);
        if (prefetches) {
            if (!p.res_ahead && p.k_steps <= C::AHEAD) {
                oct_cp_wait<0>();
                __syncthreads();
            } else if (p.k_steps * 2 <= C::AHEAD) { /* the ring ran less ahead than the residuals */
                oct_cp_wait<1>();
                __syncthreads();
            }
            storer.template fast<true>(sum, staged, at);
        } else if (fast) {
            storer.template fast<false>(sum, staged, at);
        } else if constexpr (F == OCT_MMA_PLAIN) {
            storer.general(sum, staged, row_bytes, at);
        }
        __syncthreads();
        if (fast)
            storer.write(staged, at);
        else
            storer.write_any(staged, row_bytes, at);
    }
#endif
}

/* A file defines OCT_MMA_FINISH first, for which its kernels are. */
#define OCT_MMA_TILE(type, name, C)                                                       \
    {                                                                                     \
        name, type, C::LOAD, C::BM, C::BN, C::BK, C::THREADS, C::STAGES *C::STAGE, C::WG, \
            (const void *)oct_mma_kernel<C, OCT_MMA_FINISH>                               \
    }

#endif /* OCT_KERNELS_CUDA_CUDA_MMA_KERNEL_CUH */
