/* SPDX-License-Identifier: Apache-2.0
 *
 * Pieces of pixels and weights on their way into the ring of stages (cuda_mma_kernel.cuh).
 */
#ifndef OCT_KERNELS_CUDA_CUDA_MMA_LOAD_CUH
#define OCT_KERNELS_CUDA_CUDA_MMA_LOAD_CUH

#include "kernels/cuda/cuda_mma_shape.cuh"

template <class C>
struct oct_mma_loader {
    const oct_mma_args &p;
    uint32_t dst;      /* of this thread's first piece in a stage's A and B */
    int row, column;   /* its row and byte column */
    int corner[C::RA]; /* byte offset of the window's corner */
    int iy[C::RA], ix[C::RA];
    uint32_t w;                         /* byte offset */
    int c, left, kx, dy, dx, offset, k; /* where in k */
    int tile, step;

    __device__ __forceinline__ oct_mma_loader(const oct_mma_args &args) : p(args)
    {
        const int t = (int)threadIdx.x;
        row = t / C::PIECES;
        column = (t % C::PIECES) * 16;
        dst = oct_mma_piece<C::BK>(row, t % C::PIECES);
        tile = (int)blockIdx.x;
        begin_tile();
    }

    __device__ __forceinline__ void begin_tile()
    {
        step = 0;
        if (tile >= p.tiles)
            return;
        const oct_mma_place_of_tile at = oct_mma_locate<C>(p, tile);
        const int group = at.group * p.x_group;
#pragma unroll
        for (int i = 0; i < C::RA; i++) {
            const int m = at.m0 + row + i * C::STEP;
            iy[i] = ix[i] = 0;
            if (p.linear) {
                corner[i] = m * p.x_pixel + group;
            } else {
                uint32_t rest, x;
                const uint32_t image = oct_dev_divmod((uint32_t)m, p.per_image, rest);
                const uint32_t y = oct_dev_divmod(rest, p.per_row, x);
                iy[i] = (int)y * p.stride_h - p.pad_h;
                ix[i] = (int)x * p.stride_w - p.pad_w;
                corner[i] = (int)image * p.x_image + iy[i] * p.x_row + ix[i] * p.x_pixel + group;
            }
            if (m >= p.m)
                iy[i] = -(1 << 20);
        }
        w = (uint32_t)(at.group * p.w_group + (at.n0 + row) * p.k_row + column);
        c = column;
        left = p.taps;
        kx = dy = dx = offset = 0;
        k = column / C::Op::elem;
        wrap();
    }

    __device__ __forceinline__ void wrap()
    {
        while (c >= p.tap_padded) {
            c -= p.tap_padded;
            left--;
            dx += p.dil_w;
            offset += p.dil_w * p.x_pixel;
            if (++kx == p.kernel_w) {
                kx = 0;
                offset += p.dil_h * p.x_row - dx * p.x_pixel;
                dx = 0;
                dy += p.dil_h;
                if (dy == p.kernel_h * p.dil_h) { /* again, for split weights */
                    offset -= dy * p.x_row;
                    dy = 0;
                }
            }
        }
    }

    __device__ __forceinline__ bool inside(int i) const
    {
        return (uint32_t)(iy[i] + dy) < (uint32_t)p.in_h &&
               (uint32_t)(ix[i] + dx) < (uint32_t)p.in_w;
    }

    __device__ __forceinline__ uint32_t place(uint32_t stage, int i) const
    {
        return stage + dst + (uint32_t)(i * C::STEP * C::BK);
    }

    __device__ __forceinline__ void fill(uint32_t to) const
    {
        asm volatile("st.shared.v4.b32 [%0], {%1,%1,%1,%1};" ::"r"(to), "r"(p.pad_word));
    }

    /* Whole pieces. Padding is stored, not copied: one address that all blocks read would be
     * slower than all the rest. */
    __device__ __forceinline__ void copy_a(uint32_t stage)
    {
        const uint8_t *from = p.x + (offset + c);
        if (p.linear) {
#pragma unroll
            for (int i = 0; i < C::RA; i++) {
                const bool in = iy[i] >= 0 && left > 0;
                oct_cp16(place(stage, i), from + corner[i], in ? 16 : 0);
            }
        } else if (p.pad_word == 0) {
#pragma unroll
            for (int i = 0; i < C::RA; i++) {
                const bool in = inside(i) && left > 0;
                oct_cp16(place(stage, i), in ? from + corner[i] : p.x, in ? 16 : 0);
            }
        } else {
#pragma unroll
            for (int i = 0; i < C::RA; i++) {
                if (inside(i) && left > 0)
                    oct_cp16(place(stage, i), from + corner[i], 16);
                else
                    fill(place(stage, i));
            }
        }
    }

    /* Pieces of 8 bytes of a matrix. */
    __device__ __forceinline__ void copy_a_halves(uint32_t stage, const uint8_t *from, int bytes)
    {
        const int low = max(0, min(bytes, 8)), high = max(0, min(bytes - 8, 8));
#pragma unroll
        for (int i = 0; i < C::RA; i++) {
            const uint8_t *src = from + corner[i];
            const bool in = iy[i] >= 0;
            oct_cp8(place(stage, i), in && low > 0 ? src : p.x, in ? low : 0);
            oct_cp8(place(stage, i) + 8, in && high > 0 ? src + 8 : p.x, in ? high : 0);
        }
    }

    /* Pieces of 8, 4 or single bytes. */
    __device__ __forceinline__ void copy_a_narrow(uint32_t stage)
    {
        const int bytes = left > 0 ? min(16, p.tap_bytes - c) : 0;
        const uint8_t *from = p.x + (offset + c);
        if (p.linear && p.x_vec == 8) {
            copy_a_halves(stage, from, bytes);
            return;
        }
#pragma unroll 1
        for (int i = 0; i < C::RA; i++) {
            bool in = false;
            int base = 0; /* constant indices only */
#pragma unroll
            for (int j = 0; j < C::RA; j++)
                if (j == i) {
                    in = p.linear ? iy[j] >= 0 : inside(j);
                    base = corner[j];
                }
            const uint32_t to = place(stage, i);
            const uint8_t *src = from + base;
            if (!in) {
                fill(to);
            } else if (p.x_vec == 8) {
                oct_cp8(to, src, min(bytes, 8));
                oct_cp8(to + 8, bytes > 8 ? src + 8 : p.x, max(bytes - 8, 0));
            } else if (p.x_vec == 4) {
#pragma unroll
                for (int j = 0; j < 16; j += 4)
                    oct_cp4(to + j, j < bytes ? src + j : p.x, min(max(bytes - j, 0), 4));
            } else {
                uint32_t word[4] = {0, 0, 0, 0};
#pragma unroll
                for (int j = 0; j < 16; j++)
                    word[j / 4] |= j < bytes ? (uint32_t)src[j] << (j % 4 * 8) : 0u;
                asm volatile("st.shared.v4.b32 [%0], {%1,%2,%3,%4};" ::"r"(to), "r"(word[0]),
                             "r"(word[1]), "r"(word[2]), "r"(word[3]));
            }
        }
    }

    /* One element at a time, by the table. */
    __device__ __forceinline__ void gather_a(uint32_t stage)
    {
        constexpr int E = C::Op::elem, PER_WORD = 4 / E;
#pragma unroll 1
        for (int i = 0; i < C::RA; i++) {
            int y = 0, x = 0, base = 0; /* constant indices only */
#pragma unroll
            for (int j = 0; j < C::RA; j++)
                if (j == i) {
                    y = iy[j];
                    x = ix[j];
                    base = corner[j];
                }
            uint32_t word[4];
#pragma unroll
            for (int v = 0; v < 4; v++) {
                word[v] = 0;
#pragma unroll
                for (int e = 0; e < PER_WORD; e++) {
                    const oct_mma_place at = p.places[k + v * PER_WORD + e];
                    const bool in = (uint32_t)(y + at.dy) < (uint32_t)p.in_h &&
                                    (uint32_t)(x + at.dx) < (uint32_t)p.in_w;
                    const uint8_t *src = p.x + (base + at.offset);
                    uint32_t value = p.pad_word & (0xffffffffu >> (32 - 8 * E));
                    if (at.offset == INT32_MIN)
                        value = 0;
                    else if (in)
                        value = E == 1   ? *src
                                : E == 2 ? *reinterpret_cast<const uint16_t *>(src)
                                         : *reinterpret_cast<const uint32_t *>(src);
                    word[v] |= value << (8 * E * e);
                }
            }
            const uint32_t to = stage + dst + (uint32_t)(i * C::STEP * C::BK);
            asm volatile("st.shared.v4.b32 [%0], {%1,%2,%3,%4};" ::"r"(to), "r"(word[0]),
                         "r"(word[1]), "r"(word[2]), "r"(word[3]));
        }
    }

    /* Queues the next step's copies into `stage`. */
    __device__ __forceinline__ void load(uint32_t stage)
    {
        if (tile >= p.tiles)
            return;
        if constexpr (C::LOAD == OCT_MMA_LOAD_ANY)
            gather_a(stage);
        else if constexpr (C::LOAD == OCT_MMA_LOAD_4)
            copy_a_narrow(stage);
        else
            copy_a(stage);
#pragma unroll
        for (int i = 0; i < C::RB; i++)
            if (C::BN % C::STEP == 0 || row + i * C::STEP < C::BN)
                oct_cp16(place(stage, i) + C::A_BYTES,
                         p.w + (w + (uint32_t)(i * C::STEP * p.k_row)), 16);
        if (++step == p.k_steps) {
            tile += (int)gridDim.x;
            begin_tile();
            return;
        }
        w += C::BK;
        k += C::BK / C::Op::elem;
        c += C::BK;
        wrap();
    }
};

#endif /* OCT_KERNELS_CUDA_CUDA_MMA_LOAD_CUH */
