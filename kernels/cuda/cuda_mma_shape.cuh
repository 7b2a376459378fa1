/* SPDX-License-Identifier: Apache-2.0
 *
 * A tile's shape and where things lie in shared memory (cuda_mma_kernel.cuh says how).
 */
#ifndef OCT_KERNELS_CUDA_CUDA_MMA_SHAPE_CUH
#define OCT_KERNELS_CUDA_CUDA_MMA_SHAPE_CUH

#include "kernels/cuda/cuda_math.cuh"
#include "kernels/cuda/cuda_mma.h"
#include "kernels/cuda/cuda_mma_ops.cuh"

template <class Op_, int BM_, int BN_, int WM_, int WN_, int BK_, int STAGES_, int BLOCKS_,
          oct_mma_load LOAD_ = OCT_MMA_LOAD_16, bool WG_ = false>
struct oct_mma_shape {
    typedef Op_ Op;
    typedef typename Op::acc acc;
    static constexpr int BM = BM_, BN = BN_, WM = WM_, WN = WN_, BK = BK_, STAGES = STAGES_;
    static constexpr int BLOCKS = BLOCKS_; /* per multiprocessor, what registers must allow */
    static constexpr oct_mma_load LOAD = LOAD_;
    static constexpr bool WG = WG_;
    static constexpr int AHEAD = WG ? STAGES - 2 : STAGES - 1;
    static constexpr int THREADS = 32 * (BM / WM) * (BN / WN);
    static constexpr int MI = WM / 16, NI = WN / 8, SUMS = MI * NI * 4;
    static constexpr int PIECES = BK / 16;        /* of a row */
    static constexpr int STEP = THREADS / PIECES; /* rows copied at once */
    static constexpr int RA = BM / STEP, RB = (BN + STEP - 1) / STEP;
    static constexpr int A_BYTES = BM * BK, B_BYTES = BN * BK, STAGE = A_BYTES + B_BYTES;
    static_assert(BM % STEP == 0 && STEP % 8 == 0, "copies");
    static_assert(!WG || (WM == 16 && WN == BN && BK == 128 && BM % 64 == 0), "warpgroups");
};

/* Where piece `c` of row `r` lies in rows of `BYTES`. */
template <int BYTES>
OCT_MMA_DEV uint32_t oct_mma_piece(int r, int c)
{
    return (uint32_t)(r * BYTES + ((c ^ (BYTES == 64 ? (r >> 1) & 3 : r & 7)) << 4));
}

/* The same for the staged results, whose row length depends on the output's type. */
OCT_MMA_DEV uint32_t oct_mma_staged(int r, int byte, int row_bytes)
{
    const int c = (byte >> 4) ^ (row_bytes == 64 ? (r >> 1) & 3 : r & 7);
    return (uint32_t)(r * row_bytes + (c << 4) + (byte & 15));
}

struct oct_mma_place_of_tile {
    int group, m0, n0;
    int rows; /* from m0 on that are to be stored; may exceed the tile */
};

template <class C>
OCT_MMA_DEV oct_mma_place_of_tile oct_mma_locate(const oct_mma_args &p, int t)
{
    uint32_t in_group = (uint32_t)t, column;
    const int g = p.groups == 1 ? 0 : (int)oct_dev_divmod((uint32_t)t, p.per_group, in_group);
    const int row = (int)oct_dev_divmod(in_group, p.per_tile_row, column);
    return {g, row * C::BM, (int)column * C::BN, p.m - row * C::BM};
}

#endif /* OCT_KERNELS_CUDA_CUDA_MMA_SHAPE_CUH */
