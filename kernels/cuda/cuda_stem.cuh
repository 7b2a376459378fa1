/* SPDX-License-Identifier: Apache-2.0
 *
 * First layers: so few channels that a tap is not even 8 bytes. A block keeps the weights of 64
 * channels in shared memory and walks over runs of 128 output pixels of one row. The input rows
 * that a run sees lie in shared memory as they do in the image, once; fragments of A are
 * gathered from there in quads of 4 bytes, which start at any byte. k is (kernel row, quad).
 */
#ifndef OCT_KERNELS_CUDA_CUDA_STEM_CUH
#define OCT_KERNELS_CUDA_CUDA_STEM_CUH

#include "kernels/cuda/cuda_mma_kernel.cuh"

template <class Op>
struct oct_stem {
    typedef oct_mma_shape<Op, 128, 64, 32, 64, 64, 1, 2> C;

    const oct_mma_args &p;
    int t, row_bytes, chunks;

    __device__ __forceinline__ oct_stem(const oct_mma_args &args) : p(args)
    {
        t = (int)threadIdx.x;
        row_bytes = p.in_w * p.tap_bytes;
        chunks = p.stem_pitch / 16;
    }

    /* Weights of 64 channels, rows 16 bytes further apart than long. */
    __device__ __forceinline__ void load_weights(uint32_t to) const
    {
        const int pieces = p.k_row / 16;
        const uint8_t *from = p.w + (int64_t)blockIdx.y * 64 * p.k_row;
        for (int i = t; i < 64 * pieces; i += C::THREADS) {
            const int row = i / pieces, c = i - row * pieces;
            oct_cp16(to + (uint32_t)(row * (p.k_row + 16) + c * 16), from + row * p.k_row + c * 16,
                     16);
        }
    }

    /* Where quad q of k lies from the window's corner, and which of its bytes count. */
    __device__ __forceinline__ void make_quads(int2 *quads) const
    {
        const int used = p.kernel_w * p.tap_bytes;
        for (int q = t; q < p.k_row / 4; q += C::THREADS) {
            const int row = q / p.stem_quads, byte = (q - row * p.stem_quads) * 4;
            const bool in = row < p.kernel_h;
            const int left = in ? min(used - byte, 4) : 0;
            quads[q] = make_int2(in ? row * p.stem_pitch + byte : 0,
                                 left == 4 ? -1 : (int)((1u << (8 * left)) - 1));
        }
    }

    struct run {
        int image, y, x; /* first output pixel */
        int from;        /* byte of the input row at which the copied part starts: / 16 */
        int shift;       /* of the window's corner from there */
    };

    __device__ __forceinline__ run locate(int tile) const
    {
        uint32_t part, y;
        const uint32_t row = oct_dev_divmod((uint32_t)tile, p.per_tile_row, part);
        const uint32_t image = oct_dev_divmod(row, p.per_group, y);
        run r = {(int)image, (int)y, (int)part * C::BM, 0, 0};
        const int corner = (r.x * p.stride_w - p.pad_w) * p.tap_bytes;
        r.from = corner & ~15; /* rounds down for negative ones too */
        r.shift = corner - r.from;
        return r;
    }

    __device__ __forceinline__ void copy_piece(uint32_t to, const uint8_t *row, int byte) const
    {
        if (p.x_vec == 16) {
            oct_cp16(to, row + byte, 16);
            return;
        }
        uint32_t word[4];
#pragma unroll
        for (int j = 0; j < 4; j++)
            word[j] = p.pad_word;
#pragma unroll
        for (int j = 0; j < 16; j++)
            if (byte + j >= 0 && byte + j < row_bytes) {
                const uint32_t bits = 0xffu << (j % 4 * 8);
                word[j / 4] = (word[j / 4] & ~bits) | (uint32_t)row[byte + j] << (j % 4 * 8);
            }
        asm volatile("st.shared.v4.b32 [%0], {%1,%2,%3,%4};" ::"r"(to), "r"(word[0]), "r"(word[1]),
                     "r"(word[2]), "r"(word[3]));
    }

    __device__ __forceinline__ void load_rows(uint32_t to, int tile) const
    {
        if (tile >= p.tiles)
            return;
        const run r = locate(tile);
        for (int i = t; i < p.kernel_h * chunks; i += C::THREADS) {
            const int ky = i / chunks, byte = r.from + (i - ky * chunks) * 16;
            const int iy = r.y * p.stride_h - p.pad_h + ky * p.dil_h;
            const bool in = (uint32_t)iy < (uint32_t)p.in_h && byte > -16 && byte < row_bytes &&
                            (p.x_vec < 16 || byte >= 0);
            const uint32_t place = to + (uint32_t)(i * 16);
            if (in)
                copy_piece(place, p.x + (int64_t)r.image * p.x_image + (int64_t)iy * p.x_row, byte);
            else
                asm volatile("st.shared.v4.b32 [%0], {%1,%1,%1,%1};" ::"r"(place), "r"(p.pad_word));
        }
    }

    static __device__ __forceinline__ uint32_t quad(const uint8_t *at, uint32_t shift, int mask)
    {
        const uint32_t *w = reinterpret_cast<const uint32_t *>(at);
        return __funnelshift_r(w[0], w[1], shift) & (uint32_t)mask;
    }

    __device__ __forceinline__ void compute(typename C::acc (&sum)[C::SUMS], const uint8_t *rows,
                                            uint32_t weights, const int2 *quads, int shift,
                                            const oct_mma_computer<C> &at) const
    {
        const int pixel = p.stride_w * p.tap_bytes;
        const int corner = shift + (at.wm + (at.lane >> 2)) * pixel;
        const uint8_t *from = rows + (corner & ~3);
        const uint32_t bits = (uint32_t)(corner & 3) * 8; /* 8 pixels on, it is the same */
        const uint32_t b_row =
            weights + (uint32_t)(((at.lane & 7) + (at.lane >> 4) * 8) * (p.k_row + 16) +
                                 ((at.lane >> 3) & 1) * 16);
        for (int ks = 0; ks < p.k_row / 32; ks++) {
            const int2 q0 = quads[ks * 8 + (at.lane & 3)], q1 = quads[ks * 8 + 4 + (at.lane & 3)];
            uint32_t a[C::MI][4];
#pragma unroll
            for (int mi = 0; mi < C::MI; mi++) {
                const uint8_t *x = from + mi * 16 * pixel;
                a[mi][0] = quad(x + q0.x, bits, q0.y);
                a[mi][1] = quad(x + 8 * pixel + q0.x, bits, q0.y);
                a[mi][2] = quad(x + q1.x, bits, q1.y);
                a[mi][3] = quad(x + 8 * pixel + q1.x, bits, q1.y);
            }
#pragma unroll
            for (int nj = 0; nj < C::NI / 2; nj++) {
                uint32_t b[4];
                oct_ldmatrix(b, b_row + (uint32_t)(nj * 16 * (p.k_row + 16) + ks * 32));
#pragma unroll
                for (int mi = 0; mi < C::MI; mi++) {
                    Op::mma(&sum[(mi * C::NI + nj * 2) * 4], a[mi], b[0], b[1]);
                    Op::mma(&sum[(mi * C::NI + nj * 2 + 1) * 4], a[mi], b[2], b[3]);
                }
            }
        }
    }
};

/* Shared memory: weights, quads, two sets of rows, staged results. */
template <class Op, oct_mma_finish F>
__global__ void __launch_bounds__(128, 3) oct_stem_kernel(const __grid_constant__ oct_mma_args p)
{
#if defined(__CUDA_ARCH__) && (__CUDA_ARCH__ >= 800)
    typedef typename oct_stem<Op>::C C;
    extern __shared__ __align__(1024) uint8_t oct_mma_memory[];
    const oct_stem<Op> stem(p);
    const int rows_bytes = p.kernel_h * p.stem_pitch;
    uint8_t *const staged = oct_mma_memory;
    const int row_bytes = oct_mma_staged_row<C, F>(p);
    uint8_t *const weights = staged + C::BM * row_bytes;
    int2 *const quads = reinterpret_cast<int2 *>(weights + 64 * (p.k_row + 16));
    uint8_t *const rows = reinterpret_cast<uint8_t *>(quads + p.k_row / 4);
    oct_let_next_start();
    stem.load_weights(oct_smem(weights));
    stem.make_quads(quads);
    const oct_mma_computer<C> computer;
    const oct_mma_storer<C, F> storer(p, computer);
    oct_wait_for_inputs();

    stem.load_rows(oct_smem(rows), (int)blockIdx.x);
    oct_cp_commit();
    int turn = 0;
    for (int tile = (int)blockIdx.x; tile < p.tiles; tile += (int)gridDim.x, turn ^= 1) {
        const typename oct_stem<Op>::run r = stem.locate(tile);
        const int width = (int)p.per_row.d;
        const oct_mma_place_of_tile at = {0, (r.image * (int)p.per_group.d + r.y) * width + r.x,
                                          (int)blockIdx.y * C::BN, width - r.x};
        typename C::acc sum[C::SUMS];
        storer.start(sum, at);
        oct_cp_wait<0>();
        __syncthreads();
        stem.load_rows(oct_smem(rows + (turn ^ 1) * rows_bytes), tile + (int)gridDim.x);
        oct_cp_commit();
        stem.compute(sum, rows + turn * rows_bytes, oct_smem(weights), quads, r.shift, computer);
        if (F != OCT_MMA_PLAIN || (p.fast && !p.res))
            storer.template fast<false>(sum, staged, at);
        else if constexpr (F == OCT_MMA_PLAIN)
            storer.general(sum, staged, row_bytes, at);
        __syncthreads();
        if (F != OCT_MMA_PLAIN || p.fast)
            storer.write(staged, at);
        else
            storer.write_any(staged, row_bytes, at);
    }
#endif
}

#define OCT_STEM_TILE(type, name, Op)                              \
    {                                                              \
        name, type, OCT_MMA_LOAD_STEM, 128, 64, 32, 128, 0, false, \
            (const void *)oct_stem_kernel<Op, OCT_MMA_FINISH>      \
    }

#endif /* OCT_KERNELS_CUDA_CUDA_STEM_CUH */
