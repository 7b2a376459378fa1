/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of a stage (cuda_mma_kernel.cuh).
 */
#ifndef OCT_KERNELS_CUDA_CUDA_MMA_COMPUTE_CUH
#define OCT_KERNELS_CUDA_CUDA_MMA_COMPUTE_CUH

#include "kernels/cuda/cuda_mma_shape.cuh"
#include "kernels/cuda/cuda_wgmma.cuh"

template <class C>
struct oct_mma_computer {
    typedef typename C::acc acc;
    typedef typename C::Op Op;
    int wm, wn, lane; /* the warp's corner in the tile */
    uint32_t a_row, b_row;
    int a_piece, b_piece;

    __device__ __forceinline__ oct_mma_computer()
    {
        constexpr int WARPS_N = C::BN / C::WN;
        const int warp = (int)threadIdx.x / 32;
        lane = (int)threadIdx.x % 32;
        wm = warp / WARPS_N * C::WM;
        wn = warp % WARPS_N * C::WN;
        const int ra = wm + (lane & 15), rb = wn + (lane & 7) + (lane >> 4) * 8;
        a_row = (uint32_t)(ra * C::BK);
        b_row = (uint32_t)(C::A_BYTES + rb * C::BK);
        a_piece = (lane >> 4) ^ (C::BK == 64 ? (ra >> 1) & 3 : ra & 7);
        b_piece = ((lane >> 3) & 1) ^ (C::BK == 64 ? (rb >> 1) & 3 : rb & 7);
    }

    __device__ __forceinline__ void by_warp(acc (&sum)[C::SUMS], uint32_t stage) const
    {
#pragma unroll
        for (int kk = 0; kk < C::BK / 32; kk++) {
            uint32_t a[C::MI][4];
#pragma unroll
            for (int mi = 0; mi < C::MI; mi++)
                oct_ldmatrix(a[mi], stage + a_row + (uint32_t)(mi * 16 * C::BK) +
                                        (uint32_t)((a_piece ^ (kk * 2)) << 4));
#pragma unroll
            for (int nj = 0; nj < C::NI / 2; nj++) {
                uint32_t b[4];
                oct_ldmatrix(b, stage + b_row + (uint32_t)(nj * 16 * C::BK) +
                                    (uint32_t)((b_piece ^ (kk * 2)) << 4));
#pragma unroll
                for (int mi = 0; mi < C::MI; mi++) {
                    Op::mma(&sum[(mi * C::NI + nj * 2) * 4], a[mi], b[0], b[1]);
                    Op::mma(&sum[(mi * C::NI + nj * 2 + 1) * 4], a[mi], b[2], b[3]);
                }
            }
        }
    }

    __device__ __forceinline__ void by_warpgroup(acc (&sum)[C::SUMS], uint32_t stage) const
    {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
        const uint32_t group = __shfl_sync(0xffffffffu, threadIdx.x / 128, 0);
        const uint64_t a = oct_wg_operand(stage + group * (64 * 128));
        const uint64_t b = oct_wg_operand(stage + C::A_BYTES);
        oct_wg_fence();
#pragma unroll
        for (int kk = 0; kk < 4; kk++)
            oct_wg_mma(Op(), sum, a + (uint64_t)(kk * 2), b + (uint64_t)(kk * 2));
        oct_wg_commit();
#endif
    }
};

#endif /* OCT_KERNELS_CUDA_CUDA_MMA_COMPUTE_CUH */
