/* SPDX-License-Identifier: Apache-2.0
 *
 * s8 by s8 to 8 bits after the activations that have no file of their own.
 */
#include "kernels/cuda/cuda_mma_shapes.cuh"

#define OCT_MMA_FINISH OCT_MMA_CURVE

typedef oct_mma_shapes<oct_op_s8> S;

static const oct_mma_tile tiles[] = {
    OCT_MMA_TILE(OCT_MMA_S8, "mma:128x64x64", S::m128x64),
    OCT_MMA_TILE(OCT_MMA_S8, "mma:64x64x64", S::m64x64),
    OCT_MMA_TILE(OCT_MMA_S8, "wgmma:128x128x128x3", S::w128x128),
    OCT_MMA_TILE(OCT_MMA_S8, "wgmma:64x64x128x4", S::w64x64),
    OCT_MMA_TILE(OCT_MMA_S8, "mma:64x64x64:narrow", S::n64x64),
    OCT_MMA_TILE(OCT_MMA_S8, "mma:128x64x64:gather", S::gather),
    OCT_STEM_TILE(OCT_MMA_S8, "stem:128x64", oct_op_s8),
};

extern "C" const oct_mma_tiles oct_mma_tiles_s8_curve = {tiles, sizeof tiles / sizeof tiles[0]};
