/* SPDX-License-Identifier: Apache-2.0
 *
 * From sums to results in memory (cuda_mma_kernel.cuh).
 */
#ifndef OCT_KERNELS_CUDA_CUDA_MMA_STORE_CUH
#define OCT_KERNELS_CUDA_CUDA_MMA_STORE_CUH

#include "kernels/cuda/cuda_mma_act.cuh"
#include "kernels/cuda/cuda_mma_compute.cuh"

/* Rounds to the nearest even integer; |v| < 2^22. */
OCT_MMA_DEV int32_t oct_mma_round(float v)
{
    return __float_as_int(v + 12582912.0f);
}

/* Bytes of a result that finish F stores. */
template <class C, oct_mma_finish F>
constexpr int oct_mma_out = F == OCT_MMA_HALF || F == OCT_MMA_HALF_CURVE ? 2
                            : F == OCT_MMA_FLOAT                         ? 4
                                                                         : C::Op::out;

template <class C, oct_mma_finish F>
struct oct_mma_storer {
    typedef typename C::acc acc;
    static constexpr int OUT = oct_mma_out<C, F>;
    static constexpr int ROW = C::BN * OUT; /* bytes of a staged row, fast */
    const oct_mma_args &p;
    const oct_mma_computer<C> &at;
    uint32_t base, flip; /* this thread's first row of sums; its permutation of pieces */

    __device__ __forceinline__ oct_mma_storer(const oct_mma_args &args,
                                              const oct_mma_computer<C> &computer)
        : p(args), at(computer)
    {
        const int row = at.wm + (at.lane >> 2);
        base = (uint32_t)(row * ROW + (at.lane & 3) * 2 * OUT % 16);
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

    /* f(offset of the staged pair, index of the pair of sums, m and b of both) for the sums of
     * columns ni * 8 on */
    template <class Visit>
    __device__ __forceinline__ void pairs_of(int ni, const oct_mma_place_of_tile &t, Visit f) const
    {
        const float *mb = p.mb + 2 * (t.group * p.n_even + t.n0 + at.wn + (at.lane & 3) * 2);
        const float4 q = *reinterpret_cast<const float4 *>(mb + ni * 16);
        const uint32_t piece = (uint32_t)((at.wn + ni * 8 + (at.lane & 3) * 2) * OUT) >> 4;
        const uint32_t place = base + ((piece ^ flip) << 4);
        const uint32_t odd = OUT == 1 ? (uint32_t)(ni & 1) * 8 : 0;
#pragma unroll
        for (int mi = 0; mi < C::MI; mi++)
#pragma unroll
            for (int half = 0; half < 2; half++)
                f(place + odd + (uint32_t)((mi * 16 + half * 8) * ROW),
                  (mi * C::NI + ni) * 4 + half * 2, q);
    }

    template <class Visit>
    __device__ __forceinline__ void pairs(const oct_mma_place_of_tile &t, Visit f) const
    {
#pragma unroll
        for (int ni = 0; ni < C::NI; ni++)
            pairs_of(ni, t, f);
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

    template <bool AS_FLOAT>
    static __device__ __forceinline__ float real(acc sum)
    {
        if constexpr (AS_FLOAT)
            return __int_as_float(sum) - 12582912.0f;
        else
            return (float)sum;
    }

    template <bool RES>
    __device__ __forceinline__ float2 with_residual(float2 v, const uint8_t *place) const
    {
        if constexpr (!RES) {
            return v;
        } else if constexpr (OUT == 1) {
            const uint32_t r = (uint32_t) * reinterpret_cast<const uint16_t *>(place) ^ p.res_flip;
            return make_float2(fmaf((float)(r & 255) - p.res_z, p.res_r, v.x),
                               fmaf((float)((r >> 8) & 255) - p.res_z, p.res_r, v.y));
        } else {
            float2 r;
            if constexpr (OUT == 2)
                r = __half22float2(*reinterpret_cast<const __half2 *>(place));
            else
                r = *reinterpret_cast<const float2 *>(place);
            return make_float2(v.x + r.x, v.y + r.y);
        }
    }

    __device__ __forceinline__ void put(uint8_t *place, float v0, float v1) const
    {
        if constexpr (OUT == 1) {
            const int q0 = oct_mma_round(fminf(fmaxf(v0 * p.to_q, p.lo), p.hi)) + p.zero;
            const int q1 = oct_mma_round(fminf(fmaxf(v1 * p.to_q, p.lo), p.hi)) + p.zero;
            *reinterpret_cast<uint16_t *>(place) =
                (uint16_t)__byte_perm((uint32_t)q0, (uint32_t)q1, 0x40);
        } else if constexpr (OUT == 2) {
            *reinterpret_cast<__half2 *>(place) = __floats2half2_rn(v0, v1);
        } else {
            *reinterpret_cast<float2 *>(place) = make_float2(v0, v1);
        }
    }

    /* A few columns at a time, so that one branch to the activation serves 8 or more values. */
    template <bool RES, bool AS_FLOAT>
    __device__ __forceinline__ void curved(const acc (&sum)[C::SUMS], uint8_t *staged,
                                           const oct_mma_place_of_tile &t) const
    {
        constexpr int COLUMNS = C::MI == 1 ? 2 : 1, N = COLUMNS * C::MI * 4;
#pragma unroll
        for (int ni = 0; ni < C::NI; ni += COLUMNS) {
            float v[N];
            int n = 0;
#pragma unroll
            for (int j = 0; j < COLUMNS; j++)
                pairs_of(ni + j, t, [&](uint32_t to, int i, const float4 &q) {
                    const float2 x =
                        with_residual<RES>(make_float2(fmaf(real<AS_FLOAT>(sum[i]), q.x, q.y),
                                                       fmaf(real<AS_FLOAT>(sum[i + 1]), q.z, q.w)),
                                           staged + to);
                    v[n++] = x.x;
                    v[n++] = x.y;
                });
            oct_mma_activate<F>(p, v);
            n = 0;
#pragma unroll
            for (int j = 0; j < COLUMNS; j++)
                pairs_of(ni + j, t, [&](uint32_t to, int, const float4 &) {
                    put(staged + to, v[n], v[n + 1]);
                    n += 2;
                });
        }
    }

    template <bool RES>
    __device__ __forceinline__ void fast(const acc (&sum)[C::SUMS], uint8_t *staged,
                                         const oct_mma_place_of_tile &t) const
    {
        if constexpr (F != OCT_MMA_PLAIN) {
            if (C::Op::integer && p.int_as_float)
                curved<RES, C::Op::integer>(sum, staged, t);
            else
                curved<RES, false>(sum, staged, t);
        } else if constexpr (C::Op::integer) {
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
        return vec == 16 && ((p.n - t.n0) * OUT >= ROW || p.n * OUT % 16 == 0);
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
        const bool in = byte < (p.n - t.n0) * OUT;
        uint8_t *to =
            p.y + (int64_t)(t.m0 + row) * p.y_pixel + ((t.group * p.n + t.n0) * OUT + byte);
        constexpr int ALL = C::BM / ROWS, MOST = ALL < 8 ? ALL : 8; /* registers at once */
#pragma unroll
        for (int from = 0; from < ALL; from += MOST) {
            uint4 piece[MOST];
#pragma unroll
            for (int j = 0; j < MOST; j++)
                piece[j] = *reinterpret_cast<const uint4 *>(
                    staged + oct_mma_staged(row + (from + j) * ROWS, byte, ROW));
#pragma unroll
            for (int j = 0; j < MOST; j++)
                if (in && (from + j) * ROWS < rows)
                    *reinterpret_cast<uint4 *>(to + (int64_t)(from + j) * ROWS * p.y_pixel) =
                        piece[j];
        }
    }

    /* Queues the residuals of a tile into its staging place. */
    __device__ __forceinline__ void prefetch(uint8_t *staged, int tile) const
    {
        if (tile >= p.tiles)
            return;
        const oct_mma_place_of_tile t = oct_mma_locate<C>(p, tile);
        const int row = (int)threadIdx.x / PER_ROW, byte = (int)threadIdx.x % PER_ROW * 16;
        const int rows = t.rows - row, left = min((p.n - t.n0) * OUT - byte, 16);
        const uint8_t *from =
            p.res + (int64_t)(t.m0 + row) * p.res_pixel + ((t.group * p.n + t.n0) * OUT + byte);
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
template <class C, oct_mma_finish F>
OCT_MMA_DEV int oct_mma_staged_row(const oct_mma_args &p)
{
    if (F != OCT_MMA_PLAIN || p.fast)
        return C::BN * oct_mma_out<C, F>;
    if (p.y_type == OCT_DT_F16)
        return C::BN * 2;
    return p.y_type == OCT_DT_S8 || p.y_type == OCT_DT_U8 ? C::BN : C::BN * 4;
}

#endif /* OCT_KERNELS_CUDA_CUDA_MMA_STORE_CUH */
