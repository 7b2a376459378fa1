/* SPDX-License-Identifier: Apache-2.0
 *
 * s8 by s8 to f32: the last layers, and networks without f16.
 */
#include "kernels/cuda/cuda_stem.cuh"

#define OCT_MMA_FINISH OCT_MMA_FLOAT

typedef oct_mma_shape<oct_op_s8, 128, 64, 64, 32, 64, 4, 3> t0;
typedef oct_mma_shape<oct_op_s8, 64, 64, 32, 32, 64, 4, 4> t1;
typedef oct_mma_shape<oct_op_s8, 128, 128, 16, 128, 128, 3, 2, OCT_MMA_LOAD_16, true> t2;
typedef oct_mma_shape<oct_op_s8, 64, 64, 16, 64, 128, 4, 3, OCT_MMA_LOAD_16, true> t3;
typedef oct_mma_shape<oct_op_s8, 64, 64, 32, 32, 64, 4, 4, OCT_MMA_LOAD_4> t4;
typedef oct_mma_shape<oct_op_s8, 128, 64, 64, 32, 64, 3, 2, OCT_MMA_LOAD_ANY> t5;

static const oct_mma_tile tiles[] = {
    OCT_MMA_TILE(OCT_MMA_S8, "mma:128x64x64", t0),
    OCT_MMA_TILE(OCT_MMA_S8, "mma:64x64x64", t1),
    OCT_MMA_TILE(OCT_MMA_S8, "wgmma:128x128x128x3", t2),
    OCT_MMA_TILE(OCT_MMA_S8, "wgmma:64x64x128x4", t3),
    OCT_MMA_TILE(OCT_MMA_S8, "mma:64x64x64:narrow", t4),
    OCT_MMA_TILE(OCT_MMA_S8, "mma:128x64x64:gather", t5),
    OCT_STEM_TILE(OCT_MMA_S8, "stem:128x64", oct_op_s8),
};

extern "C" const oct_mma_tiles oct_mma_tiles_s8_float = {tiles, sizeof tiles / sizeof tiles[0]};
