/* SPDX-License-Identifier: Apache-2.0
 *
 * u8 pixels by s8 weights.
 */
#include "kernels/cuda/cuda_stem.cuh"

#define OCT_MMA_FINISH OCT_MMA_PLAIN

typedef oct_mma_shape<oct_op_u8, 128, 128, 64, 64, 64, 4, 2> t0;
typedef oct_mma_shape<oct_op_u8, 128, 64, 64, 32, 64, 4, 3> t1;
typedef oct_mma_shape<oct_op_u8, 64, 64, 32, 32, 64, 4, 4> t2;
typedef oct_mma_shape<oct_op_u8, 128, 128, 16, 128, 128, 3, 2, OCT_MMA_LOAD_16, true> t3;
typedef oct_mma_shape<oct_op_u8, 128, 64, 16, 64, 128, 4, 2, OCT_MMA_LOAD_16, true> t4;
typedef oct_mma_shape<oct_op_u8, 64, 64, 32, 32, 64, 4, 4, OCT_MMA_LOAD_4> t5;
typedef oct_mma_shape<oct_op_u8, 128, 64, 64, 32, 64, 3, 2, OCT_MMA_LOAD_ANY> t6;

static const oct_mma_tile tiles[] = {
    OCT_MMA_TILE(OCT_MMA_U8, "mma:128x128x64", t0),
    OCT_MMA_TILE(OCT_MMA_U8, "mma:128x64x64", t1),
    OCT_MMA_TILE(OCT_MMA_U8, "mma:64x64x64", t2),
    OCT_MMA_TILE(OCT_MMA_U8, "wgmma:128x128x128x3", t3),
    OCT_MMA_TILE(OCT_MMA_U8, "wgmma:128x64x128x4", t4),
    OCT_MMA_TILE(OCT_MMA_U8, "mma:64x64x64:narrow", t5),
    OCT_MMA_TILE(OCT_MMA_U8, "mma:128x64x64:gather", t6),
    OCT_STEM_TILE(OCT_MMA_U8, "stem:128x64", oct_op_u8),
};

extern "C" const oct_mma_tiles oct_mma_tiles_u8 = {tiles, sizeof tiles / sizeof tiles[0]};
