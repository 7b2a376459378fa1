/* SPDX-License-Identifier: Apache-2.0
 *
 * The tiles that the finishes of their own (all but PLAIN) choose from: fewer than PLAIN has, each
 * of at most 64 values a thread where an activation unrolls much code.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_MMA_SHAPES_CUH
#define OCT_KERNELS_CUDA_CUDA_MMA_SHAPES_CUH

#include "kernels/cuda/cuda_stem.cuh"

template <class Op>
struct oct_mma_shapes {
    typedef oct_mma_shape<Op, 128, 128, 64, 64, 64, 4, 2> m128x128;
    typedef oct_mma_shape<Op, 128, 64, 64, 32, 64, 4, 3> m128x64;
    typedef oct_mma_shape<Op, 64, 64, 32, 32, 64, 4, 4> m64x64;
    typedef oct_mma_shape<Op, 64, 128, 32, 64, 64, 4, 3> m64x128;
    typedef oct_mma_shape<Op, 128, 128, 16, 128, 128, 3, 2, OCT_MMA_LOAD_16, true> w128x128;
    typedef oct_mma_shape<Op, 128, 256, 16, 256, 128, 3, 1, OCT_MMA_LOAD_16, true> w128x256;
    typedef oct_mma_shape<Op, 256, 128, 16, 128, 128, 3, 1, OCT_MMA_LOAD_16, true> w256x128;
    typedef oct_mma_shape<Op, 128, 64, 16, 64, 128, 4, 2, OCT_MMA_LOAD_16, true> w128x64;
    typedef oct_mma_shape<Op, 64, 64, 16, 64, 128, 4, 3, OCT_MMA_LOAD_16, true> w64x64;
    typedef oct_mma_shape<Op, 64, 128, 16, 128, 128, 4, 2, OCT_MMA_LOAD_16, true> w64x128;
    typedef oct_mma_shape<Op, 128, 64, 64, 32, 64, 4, 3, OCT_MMA_LOAD_4> n128x64;
    typedef oct_mma_shape<Op, 64, 64, 32, 32, 64, 4, 4, OCT_MMA_LOAD_4> n64x64;
    typedef oct_mma_shape<Op, 128, 64, 64, 32, 64, 3, 2, OCT_MMA_LOAD_ANY> gather;
};

#endif /* OCT_KERNELS_CUDA_CUDA_MMA_SHAPES_CUH */
