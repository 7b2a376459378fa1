/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands before and behind the product of cuda_simt.cu: packing weights that are computed while
 * the model runs, and finishing sums that were split or come from cuBLASLt. Both run at the speed of
 * memory: they read and write each element once.
 */
#include "kernels/cuda/cuda_simt.cuh"

namespace
{

/* ---- sums made elsewhere ---- */

/* A block is `across` quads of columns by 256 / across rows. */
template <class T, class ACC>
__global__ void __launch_bounds__(256)
    finish_kernel(const __grid_constant__ oct_simt p, const T *sums, int64_t ld, int splits,
                  int across, int n_across)
{
    const oct_simt_z z = p.z[blockIdx.y];
    const int row = (int)(blockIdx.x / n_across) * (256 / across) + threadIdx.x / across;
    const int col = (int)(blockIdx.x % n_across * across + threadIdx.x % across) * 4;
    if (row >= p.rows || col >= p.cols)
        return;
    ACC acc[4] = {0, 0, 0, 0};
    const T *from = sums + ((int64_t)blockIdx.y * p.rows + row) * ld + col;
    const int64_t step = (int64_t)p.n_z * p.rows * ld;
    for (int s = 0; s < splits; s++, from += step) {
        if (p.vector_out) {
            const oct_dev_vec<T, 4> v = *reinterpret_cast<const oct_dev_vec<T, 4> *>(from);
#pragma unroll
            for (int i = 0; i < 4; i++)
                acc[i] += (ACC)v.v[i];
            continue;
        }
#pragma unroll
        for (int i = 0; i < 4; i++)
            acc[i] += col + i < p.cols ? (ACC)from[i] : (ACC)0;
    }
    oct_fin_channels<ACC, 4> c;
    oct_simt_load_four(p, z, row, col, c);
    oct_simt_put_four<ACC>(p, z, row, col, acc, c);
}

template <class T, class ACC>
cudaError_t finish_sums(const oct_simt *s, const void *sums, int64_t ld, int splits,
                        cudaStream_t stream)
{
    const int quads = (s->cols + 3) / 4;
    int across = 1;
    while (across < 64 && across < quads)
        across *= 2;
    const int n_across = (quads + across - 1) / across, down = 256 / across;
    const dim3 grid((unsigned)n_across * (unsigned)((s->rows + down - 1) / down), (unsigned)s->n_z);
    finish_kernel<T, ACC>
        <<<grid, 256, 0, stream>>>(*s, (const T *)sums, ld, splits, across, n_across);
    return cudaGetLastError();
}

/* ---- weights ---- */

template <class T, class W>
__global__ void __launch_bounds__(256) pack_kernel(const __grid_constant__ oct_simt_pack p)
{
    const int64_t id = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    const int64_t total = (int64_t)p.n_z * p.k_pad * p.n_pad;
    if (id >= total)
        return;
    const int n = (int)(id % p.n_pad), k = (int)(id / p.n_pad % p.k_pad);
    const int z = (int)(id / p.n_pad / p.k_pad);
    W v = 0;
    if (n < p.n && p.k_off[k] >= 0)
        v = (W)((const T *)p.w)[p.z_off[z] + p.k_off[k] + n * p.n_step] - (W)p.zero;
    ((W *)p.out)[id] = v;
}

template <class T, class W>
cudaError_t pack(const oct_simt_pack *p, cudaStream_t stream)
{
    const int64_t total = (int64_t)p->n_z * p->k_pad * p->n_pad;
    pack_kernel<T, W><<<(unsigned)((total + 255) / 256), 256, 0, stream>>>(*p);
    return cudaGetLastError();
}

} // namespace

extern "C" {

cudaError_t oct_simt_finish(const oct_simt *s, const void *sums, oct_sums_type type, int64_t ld,
                            int splits, cudaStream_t stream)
{
    if (type == OCT_SUMS_F32)
        return finish_sums<float, float>(s, sums, ld, splits, stream);
    if (type == OCT_SUMS_F16)
        return finish_sums<__half, float>(s, sums, ld, splits, stream);
    return finish_sums<int32_t, int32_t>(s, sums, ld, splits, stream);
}

cudaError_t oct_simt_pack_run(const oct_simt_pack *p, cudaStream_t stream)
{
    switch (p->dtype) {
    case OCT_DT_F32:
        return pack<float, float>(p, stream);
    case OCT_DT_F16:
        return pack<__half, float>(p, stream);
    case OCT_DT_S8:
        return pack<int8_t, int32_t>(p, stream);
    default:
        return pack<uint8_t, int32_t>(p, stream);
    }
}

} // extern "C"
