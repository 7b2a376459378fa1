/* SPDX-License-Identifier: Apache-2.0
 *
 * cuda_simt.h on the device. A block makes a tile of BM rows by BN columns, each thread 8 by 8 of
 * them; x and w travel to shared memory by cp.async, three stages of 16 k deep:
 *
 *     x  [row][k]  row length 16 + 4 elements: the 4..8 rows a warp reads lie in different banks
 *     w  [k][n]    read as two runs of four columns, BN / 2 apart
 *
 * Per k a thread does 64 multiply-adds for 2 reads of 16 bytes of w and 4 of 8 bytes of x. Expected: 60-70 %
 * of the f32 peak (67 TFLOP/s on an H100/H200).
 */
#include "kernels/cuda/cuda_simt.cuh"

namespace
{

constexpr int BK = OCT_SIMT_BK;
constexpr int LDX = BK + 4;
constexpr int STAGES = 3;
constexpr int PER_THREAD = 8; /* rows and columns */
constexpr int FRAG = 4;       /* k that a thread holds of x at a time */

/* ---- element kinds ---- */

struct kind_f32 {
    typedef float x_t;
    typedef float acc_t;
    static constexpr bool ALIGNED = true;
    static __device__ __forceinline__ void frag(float (&a)[FRAG], const float *s, const oct_simt &)
    {
        oct_dev_load<FRAG>(a, s);
    }
    static __device__ __forceinline__ float mac(float a, float b, float c)
    {
        return fmaf(a, b, c);
    }
};

struct kind_f16 : kind_f32 {
    typedef __half x_t;
    static __device__ __forceinline__ void frag(float (&a)[FRAG], const __half *s, const oct_simt &)
    {
        oct_dev_load<FRAG>(a, s);
    }
};

struct kind_s32 {
    typedef int32_t acc_t;
    static constexpr bool ALIGNED = true;
    static __device__ __forceinline__ int32_t mac(int32_t a, int32_t b, int32_t c)
    {
        return a * b + c;
    }
};

template <class T>
struct kind_q8 : kind_s32 {
    typedef T x_t;
    static __device__ __forceinline__ void frag(int32_t (&a)[FRAG], const T *s, const oct_simt &p)
    {
        const oct_dev_vec<T, FRAG> v = *reinterpret_cast<const oct_dev_vec<T, FRAG> *>(s);
#pragma unroll
        for (int i = 0; i < FRAG; i++)
            a[i] = (int32_t)v.v[i] - p.x_zero;
    }
};

template <bool IS_ALIGNED>
struct kind_dp4a {
    typedef int32_t x_t;
    typedef int32_t acc_t;
    static constexpr bool ALIGNED = IS_ALIGNED;
    static __device__ __forceinline__ void frag(int32_t (&a)[FRAG], const int32_t *s,
                                                const oct_simt &p)
    {
        const oct_dev_vec<int32_t, FRAG> v =
            *reinterpret_cast<const oct_dev_vec<int32_t, FRAG> *>(s);
#pragma unroll
        for (int i = 0; i < FRAG; i++)
            a[i] = v.v[i] ^ (int32_t)p.x_flip;
    }
    static __device__ __forceinline__ int32_t mac(int32_t a, int32_t b, int32_t c)
    {
        return __dp4a(a, b, c);
    }
};

/* ---- copies ---- */

template <int BYTES>
__device__ __forceinline__ void copy_async(void *to, const void *from)
{
    const uint32_t s = (uint32_t)__cvta_generic_to_shared(to);
    if constexpr (BYTES == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(s), "l"(from) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(s), "l"(from), "n"(BYTES)
                     : "memory");
}

/* VEC elements from global to shared memory. What is shorter or less aligned than 4 bytes goes
 * through registers. */
template <class K, int VEC>
__device__ __forceinline__ void copy_elems(typename K::x_t *to, const typename K::x_t *from)
{
    constexpr int BYTES = (int)sizeof(typename K::x_t) * VEC;
    if constexpr (K::ALIGNED && BYTES >= 4) {
        copy_async<BYTES>(to, from);
    } else if constexpr (K::ALIGNED) {
        *to = *from;
    } else {
        const uint8_t *b = (const uint8_t *)from;
        *to = (int32_t)(b[0] | b[1] << 8 | b[2] << 16 | (uint32_t)b[3] << 24);
    }
}

struct row_place { /* what a row adds to the place of k */
    int32_t offset, at[3];
};

template <class K, int BM, int BN, int VEC>
struct tile {
    typedef typename K::x_t x_t;
    typedef typename K::acc_t acc_t;
    static constexpr int THREADS = BM * BN / (PER_THREAD * PER_THREAD);
    static constexpr int BLOCKS = THREADS == 64 ? 7 : 512 / THREADS; /* of a multiprocessor */
    static constexpr int STAGE_X = BM * LDX * (int)sizeof(x_t);
    static constexpr int STAGE_W = BK * BN * 4;
    static constexpr int ROWS = BM * (int)sizeof(row_place);
    static constexpr int LD_OUT = BN / 2 + 4;
    static constexpr int LOOP_BYTES = ROWS + STAGES * (STAGE_X + STAGE_W);
    static constexpr int OUT_BYTES = BM * LD_OUT * 4;
    static constexpr int BYTES = LOOP_BYTES > OUT_BYTES ? LOOP_BYTES : OUT_BYTES;
};

/* Where output position `row` begins in the input. */
__device__ __forceinline__ row_place locate(const oct_simt &p, int row)
{
    row_place r;
    if (row >= p.rows) {
        r.offset = 0;
        r.at[0] = r.at[1] = r.at[2] = OCT_SIMT_NEVER;
        return r;
    }
    uint32_t o[3], image;
    uint32_t rest = oct_dev_divmod((uint32_t)row, p.out_w, o[2]);
    rest = oct_dev_divmod(rest, p.out_h, o[1]);
    image = oct_dev_divmod(rest, p.out_d, o[0]);
    r.offset = (int32_t)image * p.x_batch;
#pragma unroll
    for (int i = 0; i < 3; i++) {
        r.at[i] = (int32_t)o[i] * p.step[i] + p.origin[i];
        r.offset += r.at[i] * p.x_axis[i];
    }
    return r;
}

/* ---- the product ---- */

template <class K, int BM, int BN, int VEC>
__device__ __forceinline__ void load_stage(const oct_simt &p, const typename K::x_t *x,
                                           const float *w, int k_tile, const row_place *rows,
                                           typename K::x_t *xs, float *ws)
{
    typedef typename K::x_t x_t;
    constexpr int THREADS = tile<K, BM, BN, VEC>::THREADS, CHUNKS = BK / VEC;
    const int t = threadIdx.x, c = t % CHUNKS;
    const int4 k4 = *reinterpret_cast<const int4 *>(p.k + k_tile * CHUNKS + c);
    const x_t *pad = (const x_t *)p.pad;
#pragma unroll
    for (int i = 0; i < BM * CHUNKS / THREADS; i++) {
        const int r = t / CHUNKS + i * (THREADS / CHUNKS);
        const int4 at = *reinterpret_cast<const int4 *>(rows + r);
        const bool inside = (uint32_t)(at.y + k4.y) < (uint32_t)p.in[0] &&
                            (uint32_t)(at.z + k4.z) < (uint32_t)p.in[1] &&
                            (uint32_t)(at.w + k4.w) < (uint32_t)p.in[2];
        const x_t *from = inside ? x + (at.x + k4.x) : pad;
        copy_elems<K, VEC>(xs + r * LDX + c * VEC, from);
    }
    w += (int64_t)k_tile * BK * p.n_pad;
#pragma unroll
    for (int i = 0; i < BK * BN / 4 / THREADS; i++) {
        const int id = t + i * THREADS, row = id / (BN / 4), col = id % (BN / 4) * 4;
        copy_async<16>(ws + row * BN + col, w + (int64_t)row * p.n_pad + col);
    }
}

template <class K, int BM, int BN>
__device__ __forceinline__ void multiply_stage(const oct_simt &p, const typename K::x_t *xs,
                                               const typename K::acc_t *ws, int ty, int tx,
                                               typename K::acc_t (&acc)[PER_THREAD][PER_THREAD])
{
    typedef typename K::acc_t acc_t;
#pragma unroll
    for (int k = 0; k < BK; k += FRAG) {
        acc_t a[PER_THREAD][FRAG];
#pragma unroll
        for (int i = 0; i < PER_THREAD; i++)
            K::frag(a[i], xs + (ty + i * (BM / PER_THREAD)) * LDX + k, p);
#pragma unroll
        for (int q = 0; q < FRAG; q++) {
            const acc_t *row = ws + (k + q) * BN + tx * 4;
            const oct_dev_vec<acc_t, 4> b0 = *reinterpret_cast<const oct_dev_vec<acc_t, 4> *>(row);
            const oct_dev_vec<acc_t, 4> b1 =
                *reinterpret_cast<const oct_dev_vec<acc_t, 4> *>(row + BN / 2);
#pragma unroll
            for (int i = 0; i < PER_THREAD; i++) {
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    acc[i][j] = K::mac(a[i][q], b0.v[j], acc[i][j]);
                    acc[i][4 + j] = K::mac(a[i][q], b1.v[j], acc[i][4 + j]);
                }
            }
        }
    }
}

/* Where a thread's 8 by 8 outputs are in a tile: rows y + i * BM / 8, columns 4 x + j. A warp covers
 * 4..8 of y and 4..8 of x. */
struct place2 {
    int x, y;
};

template <int BN>
__device__ __forceinline__ place2 thread_place(int t)
{
    constexpr int TX = BN / PER_THREAD, WX = TX < 8 ? TX : 8, WY = 32 / WX;
    const int lane = t % 32, warp = t / 32;
    return {warp % (TX / WX) * WX + lane % WX, warp / (TX / WX) * WY + lane / WX};
}

struct corner {
    int row, col;
};

/* Tiles of one row band are neighbours, so that they share its x in the caches. */
template <int BM, int BN>
__device__ __forceinline__ corner tile_corner(const oct_simt &p, uint32_t block)
{
    const uint32_t n_tiles = (uint32_t)(p.n_pad / BN);
    return {(int)(block / n_tiles) * BM, (int)(block % n_tiles) * BN};
}

/* Through shared memory, so that a row's columns leave together and the epilogue's code is small.
 * Indices are read afresh: kept over the main loop they would cost registers there. */
template <class K, int BM, int BN, int VEC>
__device__ __forceinline__ void store_tile(const oct_simt &p,
                                           typename K::acc_t (&acc)[PER_THREAD][PER_THREAD],
                                           typename K::acc_t *out)
{
    typedef typename K::acc_t acc_t;
    typedef tile<K, BM, BN, VEC> S;
    constexpr int QUADS = BN / 8;
    int t, block, zi, split;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(t));
    asm volatile("mov.u32 %0, %%ctaid.x;" : "=r"(block));
    asm volatile("mov.u32 %0, %%ctaid.y;" : "=r"(zi));
    asm volatile("mov.u32 %0, %%ctaid.z;" : "=r"(split));
    const place2 me = thread_place<BN>(t);
    const corner c0 = tile_corner<BM, BN>(p, (uint32_t)block);
    const int row0 = c0.row, col0 = c0.col, ty = me.y, tx = me.x, quad = t % QUADS;
    const oct_simt_z z = p.z[zi];
#pragma unroll
    for (int half = 0; half < 2; half++) {
        __syncthreads();
#pragma unroll
        for (int i = 0; i < PER_THREAD; i++) {
            oct_dev_vec<acc_t, 4> v;
#pragma unroll
            for (int j = 0; j < 4; j++)
                v.v[j] = acc[i][half * 4 + j];
            *reinterpret_cast<oct_dev_vec<acc_t, 4> *>(
                out + (ty + i * (BM / PER_THREAD)) * S::LD_OUT + tx * 4) = v;
        }
        __syncthreads();
        const int col = col0 + half * (BN / 2) + quad * 4;
        if (col >= p.cols)
            continue;
        oct_fin_channels<acc_t, 4> c;
        if (p.splits == 1)
            oct_simt_load_four(p, z, 0, col, c);
#pragma unroll 1
        for (int r = t / QUADS; r < BM && row0 + r < p.rows; r += S::THREADS / QUADS) {
            const oct_dev_vec<acc_t, 4> v =
                *reinterpret_cast<const oct_dev_vec<acc_t, 4> *>(out + r * S::LD_OUT + quad * 4);
            if (p.splits > 1) {
                const int64_t at =
                    ((int64_t)(split * p.n_z + zi) * p.rows + row0 + r) * p.n_pad + col;
                *reinterpret_cast<oct_dev_vec<acc_t, 4> *>((acc_t *)p.partial + at) = v;
                continue;
            }
            if (p.fin.bias_row != 0)
                oct_simt_load_four(p, z, row0 + r, col, c);
            oct_simt_put_four<acc_t>(p, z, row0 + r, col, v.v, c);
        }
    }
}

template <class K, int BM, int BN, int VEC>
__global__ void __launch_bounds__(tile<K, BM, BN, VEC>::THREADS, tile<K, BM, BN, VEC>::BLOCKS)
    simt_kernel(const __grid_constant__ oct_simt p)
{
    typedef tile<K, BM, BN, VEC> S;
    typedef typename K::acc_t acc_t;
    typedef typename K::x_t x_t;
    extern __shared__ __align__(16) unsigned char smem[];
    row_place *rows = reinterpret_cast<row_place *>(smem);
    unsigned char *xs = smem + S::ROWS, *ws = xs + STAGES * S::STAGE_X;
    const int t = threadIdx.x;
    const corner c0 = tile_corner<BM, BN>(p, blockIdx.x);
    const int row0 = c0.row, col0 = c0.col;
    const int k_lo = (int)((int64_t)p.k_tiles * blockIdx.z / p.splits);
    const int k_hi = (int)((int64_t)p.k_tiles * (blockIdx.z + 1) / p.splits);
    const x_t *x = (const x_t *)p.x + p.z[blockIdx.y].x;
    const float *w = (const float *)p.w + p.z[blockIdx.y].w + col0;

    for (int r = t; r < BM; r += S::THREADS)
        rows[r] = locate(p, row0 + r);
    __syncthreads();
#pragma unroll
    for (int s = 0; s < STAGES - 1; s++) {
        if (k_lo + s < k_hi)
            load_stage<K, BM, BN, VEC>(p, x, w, k_lo + s, rows,
                                       reinterpret_cast<x_t *>(xs + s * S::STAGE_X),
                                       reinterpret_cast<float *>(ws + s * S::STAGE_W));
        asm volatile("cp.async.commit_group;" ::: "memory");
    }
    acc_t acc[PER_THREAD][PER_THREAD];
#pragma unroll
    for (int i = 0; i < PER_THREAD; i++)
#pragma unroll
        for (int j = 0; j < PER_THREAD; j++)
            acc[i][j] = 0;
    const place2 me = thread_place<BN>(t);
    int use = 0, fill = STAGES - 1;
#pragma unroll 1
    for (int k = k_lo; k < k_hi; k++) {
        asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
        __syncthreads();
        if (k + STAGES - 1 < k_hi)
            load_stage<K, BM, BN, VEC>(p, x, w, k + STAGES - 1, rows,
                                       reinterpret_cast<x_t *>(xs + fill * S::STAGE_X),
                                       reinterpret_cast<float *>(ws + fill * S::STAGE_W));
        asm volatile("cp.async.commit_group;" ::: "memory");
        multiply_stage<K, BM, BN>(p, reinterpret_cast<const x_t *>(xs + use * S::STAGE_X),
                                  reinterpret_cast<const acc_t *>(ws + use * S::STAGE_W), me.y,
                                  me.x, acc);
        use = use == STAGES - 1 ? 0 : use + 1;
        fill = fill == STAGES - 1 ? 0 : fill + 1;
    }
    asm volatile("cp.async.wait_group 0;" ::: "memory");
    store_tile<K, BM, BN, VEC>(p, acc, reinterpret_cast<acc_t *>(smem));
}

/* ---- launching ---- */

struct tile_info {
    int rows, cols;
    double rate; /* relative speed of a full multiprocessor */
};
constexpr tile_info TILE[OCT_SIMT_TILE_COUNT] = {
    {128, 128, 1.0}, {128, 64, 0.93}, {64, 64, 0.85}, {128, 32, 0.75}};

/* What a multiprocessor needs for `blocks` tiles, one k deep. Registers let 512 threads run at once; fewer
 * leave it partly idle. */
double tile_time(const tile_info *t, int64_t blocks)
{
    const int64_t area = (int64_t)t->rows * t->cols, at_once = 2 * 128 * 128 / area;
    const int64_t rest = blocks % at_once;
    const double busy = 0.4 + 0.6 * (double)rest / (double)at_once;
    return ((double)(blocks - rest) + (double)rest / busy) * (double)area / t->rate;
}

template <class K, int BM, int BN, int VEC>
cudaError_t launch_tile(const oct_simt *s, cudaStream_t stream)
{
    typedef tile<K, BM, BN, VEC> S;
    const void *kernel = (const void *)simt_kernel<K, BM, BN, VEC>;
    const cudaError_t e =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, S::BYTES);
    if (e != cudaSuccess)
        return e;
    const int64_t tiles = ((int64_t)s->rows + BM - 1) / BM * (s->n_pad / BN);
    const dim3 grid((unsigned)tiles, (unsigned)s->n_z, (unsigned)s->splits);
    simt_kernel<K, BM, BN, VEC><<<grid, S::THREADS, S::BYTES, stream>>>(*s);
    return cudaGetLastError();
}

template <class K, int VEC>
cudaError_t launch_kind(const oct_simt *s, oct_simt_tile t, cudaStream_t stream)
{
    switch (t) {
    case OCT_SIMT_128x128:
        return launch_tile<K, 128, 128, VEC>(s, stream);
    case OCT_SIMT_128x64:
        return launch_tile<K, 128, 64, VEC>(s, stream);
    case OCT_SIMT_64x64:
        return launch_tile<K, 64, 64, VEC>(s, stream);
    default:
        return launch_tile<K, 128, 32, VEC>(s, stream);
    }
}

/* Everything but f32 is a fallback and has the small tiles only, to keep compile times down. */
template <class K, int VEC>
cudaError_t launch_small(const oct_simt *s, oct_simt_tile t, cudaStream_t stream)
{
    if (t == OCT_SIMT_128x32)
        return launch_tile<K, 128, 32, VEC>(s, stream);
    return launch_tile<K, 64, 64, VEC>(s, stream);
}

} // namespace

extern "C" {

int oct_simt_tile_cols(oct_simt_tile t)
{
    return TILE[t].cols;
}

int oct_simt_tile_rows(oct_simt_tile t)
{
    return TILE[t].rows;
}

cudaError_t oct_simt_launch(const oct_simt *s, oct_simt_kind kind, oct_simt_tile tile, bool vector,
                            cudaStream_t stream)
{
    switch (kind) {
    case OCT_SIMT_F32:
        return vector ? launch_kind<kind_f32, 4>(s, tile, stream)
                      : launch_kind<kind_f32, 1>(s, tile, stream);
    case OCT_SIMT_F16:
        return vector ? launch_small<kind_f16, 4>(s, tile, stream)
                      : launch_small<kind_f16, 1>(s, tile, stream);
    case OCT_SIMT_S8:
        return launch_small<kind_q8<int8_t>, 1>(s, tile, stream);
    case OCT_SIMT_U8:
        return launch_small<kind_q8<uint8_t>, 1>(s, tile, stream);
    case OCT_SIMT_DP4A_BYTES:
        return launch_small<kind_dp4a<false>, 1>(s, tile, stream);
    default:
        return vector ? launch_small<kind_dp4a<true>, 4>(s, tile, stream)
                      : launch_small<kind_dp4a<true>, 1>(s, tile, stream);
    }
}

void oct_simt_choose(int n_sm, int64_t rows, int64_t cols, int64_t n_z, int64_t k_tiles,
                     oct_simt_tile *tile, int *splits)
{
    double best = 0;
    *tile = OCT_SIMT_128x32;
    *splits = 1;
    for (int t = 0; t < OCT_SIMT_TILE_COUNT; t++) {
        const int64_t blocks = (rows + TILE[t].rows - 1) / TILE[t].rows *
                               ((cols + TILE[t].cols - 1) / TILE[t].cols) * n_z;
        for (int split = 1; split <= 32 && (split == 1 || split * 4 <= k_tiles); split *= 2) {
            if (split > 1 && blocks * split > 8 * n_sm)
                break;
            /* writing and adding up partial sums costs about as much as 4 steps of k */
            const double steps = (double)((k_tiles + split - 1) / split) + 2 + (split > 1 ? 4 : 0);
            const double time = steps * tile_time(&TILE[t], (blocks * split + n_sm - 1) / n_sm);
            if (best == 0 || time < best) {
                best = time;
                *tile = (oct_simt_tile)t;
                *splits = split;
            }
        }
    }
}

} // extern "C"
