/* SPDX-License-Identifier: Apache-2.0
 *
 * s8 pixels by s8 weights.
 */
#include "kernels/cuda/cuda_stem.cuh"

#define OCT_MMA_FINISH OCT_MMA_PLAIN

typedef oct_mma_shape<oct_op_s8, 128, 128, 64, 64, 64, 4, 2> t0;
typedef oct_mma_shape<oct_op_s8, 128, 64, 64, 32, 64, 4, 3> t1;
typedef oct_mma_shape<oct_op_s8, 64, 64, 32, 32, 64, 4, 4> t2;
typedef oct_mma_shape<oct_op_s8, 64, 128, 32, 64, 64, 4, 3> t3;
typedef oct_mma_shape<oct_op_s8, 128, 256, 64, 64, 64, 4, 1> t4;
typedef oct_mma_shape<oct_op_s8, 64, 64, 32, 32, 128, 4, 3> t5;
typedef oct_mma_shape<oct_op_s8, 128, 128, 16, 128, 128, 3, 2, OCT_MMA_LOAD_16, true> t6;
typedef oct_mma_shape<oct_op_s8, 128, 128, 16, 128, 128, 4, 1, OCT_MMA_LOAD_16, true> t7;
typedef oct_mma_shape<oct_op_s8, 128, 256, 16, 256, 128, 4, 1, OCT_MMA_LOAD_16, true> t8;
typedef oct_mma_shape<oct_op_s8, 128, 64, 16, 64, 128, 4, 2, OCT_MMA_LOAD_16, true> t9;
typedef oct_mma_shape<oct_op_s8, 64, 64, 16, 64, 128, 4, 3, OCT_MMA_LOAD_16, true> t10;
typedef oct_mma_shape<oct_op_s8, 64, 128, 16, 128, 128, 4, 2, OCT_MMA_LOAD_16, true> t11;
typedef oct_mma_shape<oct_op_s8, 256, 128, 16, 128, 128, 4, 1, OCT_MMA_LOAD_16, true> t12;
typedef oct_mma_shape<oct_op_s8, 64, 256, 16, 256, 128, 4, 1, OCT_MMA_LOAD_16, true> t13;
typedef oct_mma_shape<oct_op_s8, 128, 64, 64, 32, 64, 4, 3, OCT_MMA_LOAD_4> t14;
typedef oct_mma_shape<oct_op_s8, 64, 64, 32, 32, 64, 4, 4, OCT_MMA_LOAD_4> t15;
typedef oct_mma_shape<oct_op_s8, 128, 64, 64, 32, 64, 3, 2, OCT_MMA_LOAD_ANY> t16;
typedef oct_mma_shape<oct_op_s8, 192, 256, 16, 256, 128, 3, 1, OCT_MMA_LOAD_16, true> t17;

static const oct_mma_tile tiles[] = {
    OCT_MMA_TILE(OCT_MMA_S8, "mma:128x128x64", t0),
    OCT_MMA_TILE(OCT_MMA_S8, "mma:128x64x64", t1),
    OCT_MMA_TILE(OCT_MMA_S8, "mma:64x64x64", t2),
    OCT_MMA_TILE(OCT_MMA_S8, "mma:64x128x64", t3),
    OCT_MMA_TILE(OCT_MMA_S8, "mma:128x256x64", t4),
    OCT_MMA_TILE(OCT_MMA_S8, "mma:64x64x128", t5),
    OCT_MMA_TILE(OCT_MMA_S8, "wgmma:128x128x128x3", t6),
    OCT_MMA_TILE(OCT_MMA_S8, "wgmma:128x128x128x4", t7),
    OCT_MMA_TILE(OCT_MMA_S8, "wgmma:128x256x128x4", t8),
    OCT_MMA_TILE(OCT_MMA_S8, "wgmma:128x64x128x4", t9),
    OCT_MMA_TILE(OCT_MMA_S8, "wgmma:64x64x128x4", t10),
    OCT_MMA_TILE(OCT_MMA_S8, "wgmma:64x128x128x4", t11),
    OCT_MMA_TILE(OCT_MMA_S8, "wgmma:256x128x128x4", t12),
    OCT_MMA_TILE(OCT_MMA_S8, "wgmma:64x256x128x4", t13),
    OCT_MMA_TILE(OCT_MMA_S8, "mma:128x64x64:narrow", t14),
    OCT_MMA_TILE(OCT_MMA_S8, "mma:64x64x64:narrow", t15),
    OCT_MMA_TILE(OCT_MMA_S8, "mma:128x64x64:gather", t16),
    OCT_MMA_TILE(OCT_MMA_S8, "wgmma:192x256x128x3", t17),
    OCT_STEM_TILE(OCT_MMA_S8, "stem:128x64", oct_op_s8),
};

extern "C" const oct_mma_tiles oct_mma_tiles_s8 = {tiles, sizeof tiles / sizeof tiles[0]};
