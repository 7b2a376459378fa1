/* SPDX-License-Identifier: Apache-2.0
 *
 * The tensor-core kernel, one template for all types and tiles. A block computes tiles of
 * BM pixels x BN channels, one after the other, in steps of BK bytes of k:
 *
 *     load     copies of step s + AHEAD into a ring of STAGES: 16 bytes at a time, straight from
 *              the image (the padding from args.pad), past the end of the tile into the next one
 *     compute  ldmatrix + mma.sync by warps of WM x WN, or wgmma by warpgroups of 64 x BN
 *     store    results go through shared memory, so that memory sees whole 16-byte pieces;
 *              residuals come the same way, one tile ahead, and are overwritten in place
 *
 * Rows in shared memory are 64 or 128 bytes; their 16-byte pieces are permuted so that eight
 * rows at one piece hit all banks (for 128 bytes the permutation that wgmma knows).
 */
#ifndef OCT_KERNELS_CUDA_CUDA_MMA_KERNEL_CUH
#define OCT_KERNELS_CUDA_CUDA_MMA_KERNEL_CUH

#include "kernels/cuda/cuda_math.cuh"
#include "kernels/cuda/cuda_mma.h"
#include "kernels/cuda/cuda_mma_ops.cuh"
#include "kernels/cuda/cuda_wgmma.cuh"

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
    static constexpr int RA = BM / STEP, RB = BN / STEP;
    static constexpr int A_BYTES = BM * BK, B_BYTES = BN * BK, STAGE = A_BYTES + B_BYTES;
    static_assert(BM % STEP == 0 && BN % STEP == 0 && STEP % 8 == 0, "copies");
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

/* ---- load ---- */

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

    /* Pieces of 8, 4 or single bytes. */
    __device__ __forceinline__ void copy_a_narrow(uint32_t stage)
    {
        const int bytes = left > 0 ? min(16, p.tap_bytes - c) : 0;
        const uint8_t *from = p.x + (offset + c);
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
            oct_cp16(place(stage, i) + C::A_BYTES, p.w + (w + (uint32_t)(i * C::STEP * p.k_row)),
                     16);
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

/* ---- compute ---- */

template <class C>
struct oct_mma_computer {
    typedef typename C::acc acc;
    typedef typename C::Op Op;
    int wm, wn, lane; /* the warp's corner in the tile */
    uint32_t a_row, b_row;
    int a_piece, b_piece;

    __device__ __forceinline__ oct_mma_computer()
    {
        constexpr int WARPS_N = C::BN / C::WN;
        const int warp = (int)threadIdx.x / 32;
        lane = (int)threadIdx.x % 32;
        wm = warp / WARPS_N * C::WM;
        wn = warp % WARPS_N * C::WN;
        const int ra = wm + (lane & 15), rb = wn + (lane & 7) + (lane >> 4) * 8;
        a_row = (uint32_t)(ra * C::BK);
        b_row = (uint32_t)(C::A_BYTES + rb * C::BK);
        a_piece = (lane >> 4) ^ (C::BK == 64 ? (ra >> 1) & 3 : ra & 7);
        b_piece = ((lane >> 3) & 1) ^ (C::BK == 64 ? (rb >> 1) & 3 : rb & 7);
    }

    __device__ __forceinline__ void by_warp(acc (&sum)[C::SUMS], uint32_t stage) const
    {
#pragma unroll
        for (int kk = 0; kk < C::BK / 32; kk++) {
            uint32_t a[C::MI][4];
#pragma unroll
            for (int mi = 0; mi < C::MI; mi++)
                oct_ldmatrix(a[mi], stage + a_row + (uint32_t)(mi * 16 * C::BK) +
                                        (uint32_t)((a_piece ^ (kk * 2)) << 4));
#pragma unroll
            for (int nj = 0; nj < C::NI / 2; nj++) {
                uint32_t b[4];
                oct_ldmatrix(b, stage + b_row + (uint32_t)(nj * 16 * C::BK) +
                                    (uint32_t)((b_piece ^ (kk * 2)) << 4));
#pragma unroll
                for (int mi = 0; mi < C::MI; mi++) {
                    Op::mma(&sum[(mi * C::NI + nj * 2) * 4], a[mi], b[0], b[1]);
                    Op::mma(&sum[(mi * C::NI + nj * 2 + 1) * 4], a[mi], b[2], b[3]);
                }
            }
        }
    }

    __device__ __forceinline__ void by_warpgroup(acc (&sum)[C::SUMS], uint32_t stage) const
    {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
        const uint32_t group = __shfl_sync(0xffffffffu, threadIdx.x / 128, 0);
        const uint64_t a = oct_wg_operand(stage + group * (64 * 128));
        const uint64_t b = oct_wg_operand(stage + C::A_BYTES);
        oct_wg_fence();
#pragma unroll
        for (int kk = 0; kk < 4; kk++)
            oct_wg_mma(Op(), sum, a + (uint64_t)(kk * 2), b + (uint64_t)(kk * 2));
        oct_wg_commit();
#endif
    }
};

/* ---- store ---- */

/* Rounds to the nearest even integer; |v| < 2^22. */
OCT_MMA_DEV int32_t oct_mma_round(float v)
{
    return __float_as_int(v + 12582912.0f);
}

OCT_MMA_DEV float oct_mma_bound(float v, float lo, float hi)
{
    asm("max.NaN.f32 %0, %0, %1;\n\tmin.NaN.f32 %0, %0, %2;" : "+f"(v) : "f"(lo), "f"(hi));
    return v;
}

template <class C>
struct oct_mma_storer {
    typedef typename C::acc acc;
    static constexpr int ROW = C::BN * C::Op::out; /* bytes of a staged row, fast */
    const oct_mma_args &p;
    const oct_mma_computer<C> &at;
    uint32_t base, flip; /* this thread's first row of sums; its permutation of pieces */

    __device__ __forceinline__ oct_mma_storer(const oct_mma_args &args,
                                              const oct_mma_computer<C> &computer)
        : p(args), at(computer)
    {
        const int row = at.wm + (at.lane >> 2);
        base = (uint32_t)(row * ROW + (at.lane & 3) * 2 * C::Op::out % 16);
        flip = (uint32_t)(ROW == 64 ? (row >> 1) & 3 : row & 7);
    }

    /* Sums start at the correction for zero points and an s32 bias. */
    __device__ __forceinline__ void start(acc (&sum)[C::SUMS], const oct_mma_place_of_tile &t) const
    {
        if constexpr (C::Op::integer) {
            const int32_t *from = p.start + t.group * p.n_even + t.n0 + at.wn + (at.lane & 3) * 2;
#pragma unroll
            for (int ni = 0; ni < C::NI; ni++) {
                const int2 v = *reinterpret_cast<const int2 *>(from + ni * 8);
#pragma unroll
                for (int mi = 0; mi < C::MI; mi++) {
                    acc *s = &sum[(mi * C::NI + ni) * 4];
                    s[0] = s[2] = v.x;
                    s[1] = s[3] = v.y;
                }
            }
        } else {
#pragma unroll
            for (int i = 0; i < C::SUMS; i++)
                sum[i] = 0.0f;
        }
    }

    /* f(offset of the staged pair, index of the pair of sums, m and b of both) */
    template <class F>
    __device__ __forceinline__ void pairs(const oct_mma_place_of_tile &t, F f) const
    {
        const float *mb = p.mb + 2 * (t.group * p.n_even + t.n0 + at.wn + (at.lane & 3) * 2);
#pragma unroll
        for (int ni = 0; ni < C::NI; ni++) {
            const float4 q = *reinterpret_cast<const float4 *>(mb + ni * 16);
            const uint32_t piece =
                (uint32_t)((at.wn + ni * 8 + (at.lane & 3) * 2) * C::Op::out) >> 4;
            const uint32_t place = base + ((piece ^ flip) << 4);
            const uint32_t odd = C::Op::out == 1 ? (uint32_t)(ni & 1) * 8 : 0;
#pragma unroll
            for (int mi = 0; mi < C::MI; mi++)
#pragma unroll
                for (int half = 0; half < 2; half++)
                    f(place + odd + (uint32_t)((mi * 16 + half * 8) * ROW),
                      (mi * C::NI + ni) * 4 + half * 2, q);
        }
    }

    template <bool RES, bool AS_FLOAT>
    __device__ __forceinline__ void fast_q8(const acc (&sum)[C::SUMS], uint8_t *staged,
                                            const oct_mma_place_of_tile &t) const
    {
        pairs(t, [&](uint32_t to, int i, const float4 &q) {
            uint16_t *place = reinterpret_cast<uint16_t *>(staged + to);
            const float s0 = AS_FLOAT ? __int_as_float(sum[i]) - 12582912.0f : (float)sum[i];
            const float s1 =
                AS_FLOAT ? __int_as_float(sum[i + 1]) - 12582912.0f : (float)sum[i + 1];
            float v0 = fmaf(s0, q.x, q.y), v1 = fmaf(s1, q.z, q.w);
            if (RES) {
                const uint32_t r = (uint32_t)*place ^ p.res_flip;
                v0 = fmaf((float)(r & 255) - p.res_z, p.res_r, v0);
                v1 = fmaf((float)((r >> 8) & 255) - p.res_z, p.res_r, v1);
            }
            const int q0 = oct_mma_round(fminf(fmaxf(v0, p.lo), p.hi)) + p.zero;
            const int q1 = oct_mma_round(fminf(fmaxf(v1, p.lo), p.hi)) + p.zero;
            *place = (uint16_t)__byte_perm((uint32_t)q0, (uint32_t)q1, 0x40);
        });
    }

    template <bool RES>
    __device__ __forceinline__ void fast_f16(const acc (&sum)[C::SUMS], uint8_t *staged,
                                             const oct_mma_place_of_tile &t) const
    {
        pairs(t, [&](uint32_t to, int i, const float4 &q) {
            __half2 *place = reinterpret_cast<__half2 *>(staged + to);
            float v0 = sum[i] + q.y, v1 = sum[i + 1] + q.w;
            if (RES) {
                const float2 r = __half22float2(*place);
                v0 += r.x;
                v1 += r.y;
            }
            *place =
                __floats2half2_rn(oct_mma_bound(v0, p.lo, p.hi), oct_mma_bound(v1, p.lo, p.hi));
        });
    }

    template <bool RES>
    __device__ __forceinline__ void fast_f32(const acc (&sum)[C::SUMS], uint8_t *staged,
                                             const oct_mma_place_of_tile &t) const
    {
        pairs(t, [&](uint32_t to, int i, const float4 &q) {
            float2 *place = reinterpret_cast<float2 *>(staged + to);
            float v0 = sum[i] + q.y, v1 = sum[i + 1] + q.w;
            if (RES) {
                v0 += place->x;
                v1 += place->y;
            }
            *place = make_float2(oct_mma_bound(v0, p.lo, p.hi), oct_mma_bound(v1, p.lo, p.hi));
        });
    }

    template <bool RES>
    __device__ __forceinline__ void fast(const acc (&sum)[C::SUMS], uint8_t *staged,
                                         const oct_mma_place_of_tile &t) const
    {
        if constexpr (C::Op::integer) {
            if (p.int_as_float)
                fast_q8<RES, true>(sum, staged, t);
            else
                fast_q8<RES, false>(sum, staged, t);
        } else if constexpr (C::Op::out == 2) {
            fast_f16<RES>(sum, staged, t);
        } else {
            fast_f32<RES>(sum, staged, t);
        }
    }

    /* Anything the descriptor may ask for, one element after the other: the sums go through local
     * memory so that there is one copy of this code. */
    __device__ __forceinline__ void general(const acc (&sum)[C::SUMS], uint8_t *staged,
                                            int row_bytes, const oct_mma_place_of_tile &t) const
    {
        acc local[C::SUMS];
#pragma unroll
        for (int i = 0; i < C::SUMS; i++)
            local[i] = sum[i];
#pragma unroll 1
        for (int i = 0; i < C::SUMS; i++) {
            const int ni = i / 4 % C::NI, mi = i / 4 / C::NI;
            const int row = at.wm + mi * 16 + (i & 2) * 4 + (at.lane >> 2);
            const int col = at.wn + ni * 8 + (at.lane & 3) * 2 + (i & 1);
            const int m = t.m0 + row, n = t.n0 + col;
            if (row < t.rows && n < p.n)
                one(p, local[i], m, n, t.group,
                    staged + oct_mma_staged(row, col * (row_bytes / C::BN), row_bytes));
        }
    }

    static __device__ __noinline__ void one(const oct_mma_args &p, acc sum, int m, int n, int group,
                                            uint8_t *staged)
    {
        if (C::Op::integer && p.int_as_float)
            sum -= 0x4b400000;
        const int table = 2 * (group * p.n_even + n), channel = group * p.n + n;
        float residual[1] = {0.0f};
        if (p.res)
            oct_dev_load_any<1>(residual, p.res + (int64_t)m * p.res_pixel, p.res_type, channel);
        for (int o = 0; o < 2; o++) {
            const oct_dtype type = o ? p.y2_type : p.y_type;
            void *to = o ? (void *)(p.y2 + (int64_t)m * p.y2_pixel) : (void *)staged;
            const int64_t index = o ? channel : 0;
            if (type == OCT_DT_NONE)
                return;
            if (type == OCT_DT_S32) {
                ((int32_t *)to)[index] = (int32_t)sum;
                continue;
            }
            const oct_requant &rq = p.rq[o];
            const float *mb = (o ? p.mb2 : p.mb) + table;
            const float plain =
                C::Op::integer ? fmaf((float)sum, mb[0], mb[1]) : (float)sum + mb[1];
            const float v = fmaf(residual[0] - (float)rq.z_r, rq.r, plain);
            const bool real = type == OCT_DT_F32 || type == OCT_DT_F16;
            const float stored[1] = {real ? oct_dev_act_apply(rq.act, rq.a, rq.b, v)
                                          : (float)oct_dev_requant_round(rq, v)};
            oct_dev_store_any<1>(to, type, index, stored);
        }
    }

    /* A piece of staged bytes to memory by accesses of V bytes. */
    template <int V>
    static __device__ __forceinline__ void write_piece(uint8_t *to, const uint4 &piece, int bytes)
    {
        const uint32_t word[4] = {piece.x, piece.y, piece.z, piece.w};
#pragma unroll
        for (int j = 0; j < 16; j += V) {
            if (j >= bytes)
                continue;
            if constexpr (V == 8)
                *reinterpret_cast<uint2 *>(to + j) = make_uint2(word[j / 4], word[j / 4 + 1]);
            else if constexpr (V == 4)
                *reinterpret_cast<uint32_t *>(to + j) = word[j / 4];
            else
                to[j] = (uint8_t)(word[j / 4] >> (j % 4 * 8));
        }
    }

    /* Any row length, any alignment. */
    __device__ __forceinline__ void write_any(const uint8_t *staged, int row_bytes,
                                              const oct_mma_place_of_tile &t) const
    {
        const int per_row = row_bytes / 16, elem = row_bytes / C::BN;
        const int bytes = (p.n - t.n0) * elem; /* of a row from here on */
#pragma unroll 1
        for (int i = (int)threadIdx.x; i < C::BM * per_row; i += C::THREADS) {
            const int row = i / per_row, byte = (i - row * per_row) * 16;
            const int m = t.m0 + row, left = min(bytes - byte, 16);
            if (row >= t.rows || left <= 0)
                continue;
            const uint4 piece =
                *reinterpret_cast<const uint4 *>(staged + oct_mma_staged(row, byte, row_bytes));
            uint8_t *to =
                p.y + (int64_t)m * p.y_pixel + (int64_t)(t.group * p.n + t.n0) * elem + byte;
            if (p.y_vec >= 8 && left % 8 == 0)
                write_piece<8>(to, piece, left);
            else if (p.y_vec >= 4 && left % 4 == 0)
                write_piece<4>(to, piece, left);
            else
                write_piece<1>(to, piece, left);
        }
    }

    static constexpr int PER_ROW = ROW / 16;
    static constexpr int ROWS = C::THREADS / PER_ROW; /* moved at once */
    static_assert(C::BM % ROWS == 0, "rows");

    /* Whole 16-byte pieces, and the tile does not end inside one. */
    __device__ __forceinline__ bool whole(const oct_mma_place_of_tile &t, int vec) const
    {
        return vec == 16 && ((p.n - t.n0) * C::Op::out >= ROW || p.n * C::Op::out % 16 == 0);
    }

    __device__ __forceinline__ void write(const uint8_t *staged,
                                          const oct_mma_place_of_tile &t) const
    {
        if (!whole(t, p.y_vec)) {
            write_any(staged, ROW, t);
            return;
        }
        const int row = (int)threadIdx.x / PER_ROW, byte = (int)threadIdx.x % PER_ROW * 16;
        const int rows = t.rows - row;
        const bool in = byte < (p.n - t.n0) * C::Op::out;
        uint8_t *to =
            p.y + (int64_t)(t.m0 + row) * p.y_pixel + ((t.group * p.n + t.n0) * C::Op::out + byte);
        uint4 piece[C::BM / ROWS];
#pragma unroll
        for (int j = 0; j < C::BM / ROWS; j++)
            piece[j] = *reinterpret_cast<const uint4 *>(staged +
                                                        oct_mma_staged(row + j * ROWS, byte, ROW));
#pragma unroll
        for (int j = 0; j < C::BM / ROWS; j++)
            if (in && j * ROWS < rows)
                *reinterpret_cast<uint4 *>(to + (int64_t)j * ROWS * p.y_pixel) = piece[j];
    }

    /* Queues the residuals of a tile into its staging place. */
    __device__ __forceinline__ void prefetch(uint8_t *staged, int tile) const
    {
        if (tile >= p.tiles)
            return;
        const oct_mma_place_of_tile t = oct_mma_locate<C>(p, tile);
        const int row = (int)threadIdx.x / PER_ROW, byte = (int)threadIdx.x % PER_ROW * 16;
        const int rows = t.rows - row, left = min((p.n - t.n0) * C::Op::out - byte, 16);
        const uint8_t *from = p.res + (int64_t)(t.m0 + row) * p.res_pixel +
                              ((t.group * p.n + t.n0) * C::Op::out + byte);
        const uint32_t to = oct_smem(staged);
        if (left <= 0)
            return;
        if (whole(t, p.res_vec)) {
#pragma unroll
            for (int j = 0; j < C::BM / ROWS; j++)
                if (j * ROWS < rows)
                    oct_cp16(to + oct_mma_staged(row + j * ROWS, byte, ROW),
                             from + (int64_t)j * ROWS * p.res_pixel, 16);
            return;
        }
#pragma unroll 1
        for (int j = 0; j < C::BM && j < rows; j += ROWS) {
            const uint32_t place = oct_mma_staged(row + j, byte, ROW);
            const uint8_t *src = from + (int64_t)j * p.res_pixel;
#pragma unroll 1
            for (int i = 0; i < left; i++)
                staged[place + i] = src[i];
        }
    }
};

/* Bytes of a row of staged results. */
template <class C>
OCT_MMA_DEV int oct_mma_staged_row(const oct_mma_args &p)
{
    if (p.fast)
        return C::BN * C::Op::out;
    if (p.y_type == OCT_DT_F16)
        return C::BN * 2;
    return p.y_type == OCT_DT_S8 || p.y_type == OCT_DT_U8 ? C::BN : C::BN * 4;
}

/* ---- the kernel ---- */

template <class C>
__global__ void __launch_bounds__(C::THREADS, C::BLOCKS)
    oct_mma_kernel(const __grid_constant__ oct_mma_args p)
{
#if defined(__CUDA_ARCH__) && (__CUDA_ARCH__ >= 800)
    extern __shared__ __align__(1024) uint8_t oct_mma_memory[];
#if !defined(__CUDA_ARCH_FEAT_SM90_ALL)
    if (C::WG)
        return;
#endif
    const uint32_t ring = oct_smem(oct_mma_memory);
    uint8_t *const staging = oct_mma_memory + C::STAGES * C::STAGE;
    const bool prefetches = p.fast && p.res;
    const int row_bytes = oct_mma_staged_row<C>(p);
    oct_let_next_start();
    oct_mma_loader<C> loader(p);
    const oct_mma_computer<C> computer;
    const oct_mma_storer<C> storer(p, computer);
    oct_wait_for_inputs();

    if (prefetches)
        storer.prefetch(staging, (int)blockIdx.x);
    int into = 0, from = 0; /* stages */
#pragma unroll
    for (int s = 0; s < C::AHEAD; s++) {
        loader.load(ring + (uint32_t)(into * C::STAGE));
        oct_cp_commit();
        into++;
    }
    int turn = 0;
    for (int tile = (int)blockIdx.x; tile < p.tiles; tile += (int)gridDim.x, turn ^= 1) {
        const oct_mma_place_of_tile at = oct_mma_locate<C>(p, tile);
        typename C::acc sum[C::SUMS];
        storer.start(sum, at);
        for (int k = 0; k < p.k_steps; k++) {
            oct_cp_wait<C::AHEAD - 1>();
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
            if constexpr (C::WG)
                oct_wg_publish();
#endif
            __syncthreads();
            if constexpr (C::WG)
                computer.by_warpgroup(sum, ring + (uint32_t)(from * C::STAGE));
            loader.load(ring + (uint32_t)(into * C::STAGE));
            if (prefetches && k == 0)
                storer.prefetch(staging + (turn ^ 1) * (C::BM * C::BN * C::Op::out),
                                tile + (int)gridDim.x);
            oct_cp_commit();
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
            if constexpr (C::WG)
                oct_wg_wait<1>(); /* the step before this one: its stage is free after a barrier */
#endif
            if constexpr (!C::WG)
                computer.by_warp(sum, ring + (uint32_t)(from * C::STAGE));
            from = from + 1 == C::STAGES ? 0 : from + 1;
            into = into + 1 == C::STAGES ? 0 : into + 1;
        }
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
        if constexpr (C::WG)
            oct_wg_wait<0>();
#endif
        uint8_t *const staged = staging + (prefetches ? turn * (C::BM * C::BN * C::Op::out) : 0);
        if (prefetches) {
            if (p.k_steps * 2 <= C::AHEAD) { /* the ring ran less ahead than the residuals */
                oct_cp_wait<1>();
                __syncthreads();
            }
            storer.template fast<true>(sum, staged, at);
        } else if (p.fast) {
            storer.template fast<false>(sum, staged, at);
        } else {
            storer.general(sum, staged, row_bytes, at);
        }
        __syncthreads();
        if (p.fast)
            storer.write(staged, at);
        else
            storer.write_any(staged, row_bytes, at);
    }
#endif
}

#define OCT_MMA_TILE(type, name, C)                                                       \
    {                                                                                     \
        name, type, C::LOAD, C::BM, C::BN, C::BK, C::THREADS, C::STAGES *C::STAGE, C::WG, \
            (const void *)oct_mma_kernel<C>                                               \
    }

#endif /* OCT_KERNELS_CUDA_CUDA_MMA_KERNEL_CUH */
