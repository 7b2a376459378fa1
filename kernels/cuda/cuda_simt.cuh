/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the kernels of cuda_simt.h put their results.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_SIMT_CUH
#define OCT_KERNELS_CUDA_CUDA_SIMT_CUH

#include "kernels/cuda/cuda_finish.cuh"
#include "kernels/cuda/cuda_simt.h"

OCT_DEV int64_t oct_simt_row(const oct_simt_strides &s, uint32_t image, const uint32_t (&o)[3])
{
    return s.base + image * s.batch + o[0] * s.axis[0] + o[1] * s.axis[1] + o[2] * s.axis[2];
}

/* Where the columns from `col` of an output row lie in outputs and residual. */
OCT_DEV oct_fin_place oct_simt_place(const oct_simt &p, const oct_simt_z &z, uint32_t row, int col)
{
    oct_fin_place at;
    if (p.flat) {
        at.y0 = p.y[0].base + row * p.y[0].axis[2];
        at.y1 = p.y[1].base + row * p.y[1].axis[2];
        at.r = p.y[2].base + row * p.y[2].axis[2];
    } else {
        uint32_t o[3];
        uint32_t rest = oct_dev_divmod(row, p.out_w, o[2]);
        rest = oct_dev_divmod(rest, p.out_h, o[1]);
        const uint32_t image = oct_dev_divmod(rest, p.out_d, o[0]);
        at.y0 = oct_simt_row(p.y[0], image, o);
        at.y1 = oct_simt_row(p.y[1], image, o);
        at.r = oct_simt_row(p.y[2], image, o);
    }
    at.y0 += z.y0 + col * p.y[0].channel;
    at.y1 += z.y1 + col * p.y[1].channel;
    at.r += z.r + col * p.y[2].channel;
    return at;
}

/* Four columns from `col` of a row; those beyond the last are dropped. */
template <class ACC>
OCT_DEV void oct_simt_put_four(const oct_simt &p, const oct_simt_z &z, int row, int col,
                               const ACC (&acc)[4], const oct_fin_channels<ACC, 4> &c)
{
    oct_fin_place at = oct_simt_place(p, z, (uint32_t)row, col);
    if (p.vector_out && p.fin.is_short) {
        oct_fin_put_short<4>(p.fin, c, acc, at);
        return;
    }
    if (p.vector_out) {
        oct_fin_put<4>(p.fin, c, acc, at);
        return;
    }
#pragma unroll 1
    for (int i = 0; i < 4 && col + i < p.cols; i++) {
        oct_fin_channels<ACC, 1> one;
        oct_fin_load<1>(p.fin, row, z.channel + col + i, one);
        const ACC a[1] = {i == 0 ? acc[0] : i == 1 ? acc[1] : i == 2 ? acc[2] : acc[3]};
        oct_fin_put<1>(p.fin, one, a, at);
        at.y0 += p.y[0].channel;
        at.y1 += p.y[1].channel;
        at.r += p.y[2].channel;
    }
}

/* What belongs to four columns, where it is not loaded row by row. */
template <class ACC>
OCT_DEV void oct_simt_load_four(const oct_simt &p, const oct_simt_z &z, int row, int col,
                                oct_fin_channels<ACC, 4> &c)
{
    if (p.vector_out)
        oct_fin_load<4>(p.fin, row, z.channel + col, c);
}

#endif /* OCT_KERNELS_CUDA_CUDA_SIMT_CUH */
