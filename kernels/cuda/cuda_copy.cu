/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cuda/cuda_copy.h"

#include "kernels/cuda/cuda_kernel.cuh"

#define THREADS 256
#define TILE 32 /* words of packed elements */
#define SIDE 64 /* elements of other tiles */
#define THIN 8  /* fewer elements than this along a fast axis are not worth tiles */

static const int unit_bytes[OCT_CUDA_COPY_UNIT_SIZES] = {16, 8, 4, 2, 1};

/* ---- units ---- */

template <class T>
static __global__ void __launch_bounds__(THREADS) copy_units(oct_cuda_loop loop, T *y, const T *x)
{
    const uint32_t item = oct_dev_item();
    int64_t off[2];
    if (item >= loop.total)
        return;
    oct_dev_offsets(loop, item, off);
    y[off[0]] = x[off[1]];
}

template <class T>
static void launch_units(const oct_cuda_loop *l, void *y, const void *x, cudaStream_t s)
{
    copy_units<T><<<oct_cuda_blocks(l->total, THREADS), THREADS, 0, s>>>(*l, (T *)y, (const T *)x);
}

static void run_units(const oct_cuda_copy *c, void *y, const void *x, cudaStream_t s)
{
    int u = 0;
    while (!c->takes[u] || !oct_cuda_aligned(x, (size_t)unit_bytes[u]) ||
           !oct_cuda_aligned(y, (size_t)unit_bytes[u]))
        u++; /* ends at the unit of one element */
    const oct_cuda_loop *l = &c->unit[u];
    switch (unit_bytes[u]) {
    case 16:
        launch_units<uint4>(l, y, x, s);
        break;
    case 8:
        launch_units<uint2>(l, y, x, s);
        break;
    case 4:
        launch_units<uint32_t>(l, y, x, s);
        break;
    case 2:
        launch_units<uint16_t>(l, y, x, s);
        break;
    default:
        launch_units<uint8_t>(l, y, x, s);
        break;
    }
}

/* ---- changes of the fast axis ---- */

/* A thread takes one position of the long axis and walks the short one. */
template <class T>
static __global__ void __launch_bounds__(THREADS) copy_thin(oct_cuda_tiles t, T *y, const T *x)
{
    uint32_t at;
    const uint32_t item = oct_dev_item(), outer = oct_dev_divmod(item, t.tiles_wide, at);
    int64_t off[2];
    if (outer >= t.outer.total)
        return;
    oct_dev_offsets(t.outer, outer, off);
    if (t.len <= t.wide) {
        y += off[0] + at * t.y_wide;
        x += off[1] + at;
        for (uint32_t j = 0; j < t.len; j++)
            y[j] = x[j * t.x_long];
    } else {
        y += off[0] + at;
        x += off[1] + at * t.x_long;
        for (uint32_t i = 0; i < t.wide; i++)
            y[i * t.y_wide] = x[i];
    }
}

/* Three planes to triples (pictures), four positions a thread: all accesses are vectors. */
template <class T>
static __global__ void __launch_bounds__(THREADS) copy_triples(oct_cuda_tiles t, T *y, const T *x)
{
    uint32_t at;
    const uint32_t item = oct_dev_item(), outer = oct_dev_divmod(item, t.tiles_wide, at);
    int64_t off[2];
    oct_dev_vec<T, 4> in[3], out[3];
    if (outer >= t.outer.total)
        return;
    oct_dev_offsets(t.outer, outer, off);
    x += off[1] + 4 * at;
    y += off[0] + 12 * at;
#pragma unroll
    for (int j = 0; j < 3; j++)
        in[j] = *reinterpret_cast<const oct_dev_vec<T, 4> *>(x + j * t.x_long);
#pragma unroll
    for (int k = 0; k < 12; k++)
        out[k / 4].v[k % 4] = in[k % 3].v[k / 3];
#pragma unroll
    for (int j = 0; j < 3; j++)
        reinterpret_cast<oct_dev_vec<T, 4> *>(y)[j] = out[j];
}

/* Where a block's tile lies. */
typedef struct tile_at {
    uint32_t i, j; /* first tile column and row, in tiles */
    int64_t y, x;  /* offsets of the outer dims */
} tile_at;

OCT_DEV tile_at locate(const oct_cuda_tiles &t)
{
    tile_at r;
    int64_t off[2];
    uint32_t rest = oct_dev_divmod(blockIdx.x, t.tiles_wide, r.i);
    rest = oct_dev_divmod(rest, t.tiles_len, r.j);
    oct_dev_offsets(t.outer, rest, off);
    r.y = off[0];
    r.x = off[1];
    return r;
}

template <class T>
static __global__ void __launch_bounds__(THREADS) copy_tiles(oct_cuda_tiles t, T *y, const T *x)
{
    __shared__ T tile[SIDE][SIDE + 1];
    const tile_at r = locate(t);
    const uint32_t i0 = r.i * SIDE, j0 = r.j * SIDE;
    const uint32_t lane = threadIdx.x % SIDE, row = threadIdx.x / SIDE;
    constexpr uint32_t ROWS = THREADS / SIDE, N = SIDE / ROWS; /* at once; elements a thread */
    T v[N]; /* all loads before the first store: they are in flight together */
    x += r.x + min(i0 + lane, t.wide - 1);
    y += r.y + j0 + lane;
#pragma unroll
    for (uint32_t n = 0; n < N; n++)
        v[n] = x[min(j0 + row + n * ROWS, t.len - 1) * t.x_long];
#pragma unroll
    for (uint32_t n = 0; n < N; n++)
        tile[row + n * ROWS][lane] = v[n];
    __syncthreads();
#pragma unroll
    for (uint32_t n = 0; n < N; n++)
        v[n] = tile[lane][row + n * ROWS];
#pragma unroll
    for (uint32_t n = 0; n < N; n++)
        if (i0 + row + n * ROWS < t.wide && j0 + lane < t.len)
            y[(i0 + row + n * ROWS) * t.y_wide] = v[n];
}

/* The P x P elements in P words, transposed. */
template <int P>
OCT_DEV void transpose_words(uint32_t (&w)[P]);
template <>
__device__ __forceinline__ void transpose_words<2>(uint32_t (&w)[2])
{
    const uint32_t a = w[0], b = w[1];
    w[0] = __byte_perm(a, b, 0x5410);
    w[1] = __byte_perm(a, b, 0x7632);
}
template <>
__device__ __forceinline__ void transpose_words<4>(uint32_t (&w)[4])
{
    const uint32_t ab_lo = __byte_perm(w[0], w[1], 0x5140), ab_hi = __byte_perm(w[0], w[1], 0x7362);
    const uint32_t cd_lo = __byte_perm(w[2], w[3], 0x5140), cd_hi = __byte_perm(w[2], w[3], 0x7362);
    w[0] = __byte_perm(ab_lo, cd_lo, 0x5410);
    w[1] = __byte_perm(ab_lo, cd_lo, 0x7632);
    w[2] = __byte_perm(ab_hi, cd_hi, 0x5410);
    w[3] = __byte_perm(ab_hi, cd_hi, 0x7632);
}

/* Tiles of TILE * P by TILE * P elements of 4 / P bytes: all accesses are words; x_long and y_wide
 * count elements and are multiples of P. */
template <int P>
static __global__ void __launch_bounds__(THREADS)
    copy_packed(oct_cuda_tiles t, uint32_t *y, const uint32_t *x)
{
    __shared__ uint32_t tile[TILE * P][TILE + 1];
    const tile_at r = locate(t);
    const uint32_t i0 = r.i * TILE, j0 = r.j * TILE; /* words */
    const uint32_t lane = threadIdx.x % TILE, row = threadIdx.x / TILE;
    const uint32_t wide = t.wide / P, len = t.len / P;
    const int64_t x_long = t.x_long / P, y_wide = t.y_wide / P;
    constexpr uint32_t ROWS = THREADS / TILE, N = TILE * P / ROWS; /* at once; words a thread */
    uint32_t v[N]; /* all loads before the first store: they are in flight together */
    x += r.x / P + min(i0 + lane, wide - 1);
    y += r.y / P;
#pragma unroll
    for (uint32_t n = 0; n < N; n++)
        v[n] = x[min(j0 * P + row + n * ROWS, t.len - 1) * x_long];
#pragma unroll
    for (uint32_t n = 0; n < N; n++)
        tile[row + n * ROWS][lane] = v[n];
    __syncthreads();
#pragma unroll
    for (uint32_t k = row; k < TILE; k += THREADS / TILE) {
        uint32_t w[P];
        if (i0 + k >= wide || j0 + lane >= len)
            continue;
#pragma unroll
        for (int p = 0; p < P; p++)
            w[p] = tile[lane * P + p][k];
        transpose_words<P>(w);
#pragma unroll
        for (int p = 0; p < P; p++)
            y[((i0 + k) * P + p) * y_wide + (j0 + lane)] = w[p];
    }
}

template <class T>
static void launch_tiles(const oct_cuda_copy *c, void *y, const void *x, cudaStream_t s)
{
    const oct_cuda_tiles *t = &c->tiles;
    if (t->triples && sizeof(T) <= 4 && oct_cuda_aligned(y, 4 * sizeof(T)) &&
        oct_cuda_aligned(x, 4 * sizeof(T))) {
        oct_cuda_tiles quarter = *t;
        quarter.tiles_wide = oct_cuda_div_make(t->wide / 4);
        copy_triples<T>
            <<<oct_cuda_blocks((int64_t)t->outer.total * (t->wide / 4), THREADS), THREADS, 0, s>>>(
                quarter, (T *)y, (const T *)x);
    } else if (c->kind == OCT_CUDA_COPY_THIN)
        copy_thin<T><<<oct_cuda_blocks((int64_t)t->outer.total * t->tiles_wide.d, THREADS), THREADS,
                       0, s>>>(*t, (T *)y, (const T *)x);
    else
        copy_tiles<T><<<t->outer.total * t->tiles_wide.d * t->tiles_len.d, THREADS, 0, s>>>(
            *t, (T *)y, (const T *)x);
}

/* Words need aligned data; else the plain tiles, of which there are more. */
static bool run_packed(const oct_cuda_copy *c, void *y, const void *x, cudaStream_t s)
{
    if (c->kind != OCT_CUDA_COPY_TILES || !c->tiles.packed || !oct_cuda_aligned(x, 4) ||
        !oct_cuda_aligned(y, 4))
        return false;
    oct_cuda_tiles t = c->tiles;
    const uint32_t side = (uint32_t)(TILE * 4 / c->elem_bytes);
    t.tiles_wide = oct_cuda_div_make((t.wide + side - 1) / side);
    t.tiles_len = oct_cuda_div_make((t.len + side - 1) / side);
    const uint32_t blocks = t.outer.total * t.tiles_wide.d * t.tiles_len.d;
    if (c->elem_bytes == 1)
        copy_packed<4><<<blocks, THREADS, 0, s>>>(t, (uint32_t *)y, (const uint32_t *)x);
    else
        copy_packed<2><<<blocks, THREADS, 0, s>>>(t, (uint32_t *)y, (const uint32_t *)x);
    return true;
}

static void run_tiles(const oct_cuda_copy *c, void *y, const void *x, cudaStream_t s)
{
    if (run_packed(c, y, x, s))
        return;
    if (c->elem_bytes == 1)
        launch_tiles<uint8_t>(c, y, x, s);
    else if (c->elem_bytes == 2)
        launch_tiles<uint16_t>(c, y, x, s);
    else if (c->elem_bytes == 4)
        launch_tiles<uint32_t>(c, y, x, s);
    else
        launch_tiles<uint64_t>(c, y, x, s);
}

oct_status oct_cuda_copy_run(const oct_cuda_copy *c, oct_ctx *ctx, void *dst, const void *src,
                             cudaStream_t stream)
{
    if (c->kind == OCT_CUDA_COPY_NONE)
        return OCT_OK;
    if (c->kind == OCT_CUDA_COPY_BYTES)
        return dst == src
                   ? OCT_OK
                   : oct_cuda_check(
                         ctx, cudaMemcpyAsync(dst, src, c->bytes, cudaMemcpyDeviceToDevice, stream),
                         "copying");
    if (c->kind == OCT_CUDA_COPY_UNITS)
        run_units(c, dst, src, stream);
    else
        run_tiles(c, dst, src, stream);
    return oct_cuda_launched(ctx, "copying");
}

/* ---- planning ---- */

/* The dim along which the source is contiguous while the destination is not, or -1. */
static int source_row(const oct_ref_loop *l)
{
    const int inner = l->n_dims - 1;
    if (l->stride[0][inner] != 1 || l->stride[1][inner] <= 1)
        return -1;
    for (int i = 0; i < inner; i++)
        if (l->stride[1][i] == 1 && l->dim[i] > 1)
            return i;
    return -1;
}

static bool outer_takes(const oct_ref_loop *outer, int per_word)
{
    for (int i = 0; i < outer->n_dims; i++)
        if (outer->dim[i] > 1 &&
            (outer->stride[0][i] % per_word != 0 || outer->stride[1][i] % per_word != 0))
            return false;
    return true;
}

static bool make_tiles(const oct_ref_loop *l, int row, oct_cuda_copy *c)
{
    const int inner = l->n_dims - 1;
    oct_cuda_tiles *t = &c->tiles;
    oct_ref_loop outer;
    memset(&outer, 0, sizeof outer);
    outer.n_operands = 2;
    for (int i = 0; i < inner; i++)
        if (i != row)
            oct_ref_loop_dim(&outer, l->dim[i], l->stride[0][i], l->stride[1][i]);
    if (outer.n_dims == 0)
        oct_ref_loop_dim(&outer, 1, 0, 0);
    if (l->dim[row] > OCT_CUDA_MAX_ELEMS || l->dim[inner] > OCT_CUDA_MAX_ELEMS ||
        !oct_cuda_loop_make(&outer, 1, &t->outer))
        return false;
    t->wide = (uint32_t)l->dim[row];
    t->len = (uint32_t)l->dim[inner];
    t->y_wide = l->stride[0][row];
    t->x_long = l->stride[1][inner];
    if (t->wide <= THIN || t->len <= THIN) {
        c->kind = OCT_CUDA_COPY_THIN;
        t->tiles_wide = oct_cuda_div_make(t->len <= t->wide ? t->wide : t->len);
        t->tiles_len = oct_cuda_div_make(1);
        t->triples = t->len == 3 && t->wide % 4 == 0 && t->y_wide == 3 && t->x_long % 4 == 0 &&
                     outer_takes(&outer, 4);
        return true;
    }
    c->kind = OCT_CUDA_COPY_TILES;
    t->tiles_wide = oct_cuda_div_make((t->wide + SIDE - 1) / SIDE);
    t->tiles_len = oct_cuda_div_make((t->len + SIDE - 1) / SIDE);
    const int per_word = c->elem_bytes < 4 ? (int)(4 / c->elem_bytes) : 1;
    t->packed = per_word > 1 && t->wide % (uint32_t)per_word == 0 &&
                t->len % (uint32_t)per_word == 0 && t->y_wide % per_word == 0 &&
                t->x_long % per_word == 0 && outer_takes(&outer, per_word);
    return true;
}

static bool make_units(const oct_ref_loop *l, oct_cuda_copy *c)
{
    const int inner = l->n_dims - 1;
    c->kind = OCT_CUDA_COPY_UNITS;
    for (int u = 0; u < OCT_CUDA_COPY_UNIT_SIZES; u++) {
        const int vec = unit_bytes[u] / (int)c->elem_bytes;
        const bool wide = vec > 1 && l->stride[1][inner] == 1 && l->dim[inner] % vec == 0 &&
                          oct_cuda_loop_takes(l, vec);
        if (vec != 1 && !wide)
            continue;
        oct_cuda_loop *unit = &c->unit[u];
        if (!oct_cuda_loop_make(l, vec, unit))
            return false;
        for (int k = 0; k < 2 && vec > 1; k++)
            for (int i = 0; i < OCT_CUDA_LOOP_DIMS; i++)
                unit->stride[k][i] /= vec; /* steps in units */
        c->takes[u] = true;
    }
    return true;
}

bool oct_cuda_copy_make(oct_ref_loop *l, size_t elem_bytes, oct_cuda_copy *c, char *reason)
{
    memset(c, 0, sizeof *c);
    c->elem_bytes = elem_bytes;
    int64_t total = 1;
    for (int i = 0; i < l->n_dims; i++)
        if (l->dim[i] == 0)
            return true;
    for (int i = 0; i < l->n_dims; i++) {
        if (l->dim[i] > OCT_CUDA_MAX_ELEMS || (total *= l->dim[i]) > OCT_CUDA_MAX_ELEMS)
            return oct_cuda_no(reason, "more than 2^31 elements");
    }
    oct_ref_loop_optimize(l);
    if (l->n_dims == 1 && (l->dim[0] == 1 || (l->stride[0][0] == 1 && l->stride[1][0] == 1))) {
        c->kind = OCT_CUDA_COPY_BYTES;
        c->bytes = (size_t)l->dim[0] * elem_bytes;
        return true;
    }
    const int row = source_row(l);
    if (row >= 0 ? make_tiles(l, row, c) : make_units(l, c))
        return true;
    return oct_cuda_no(reason, "more than 8 dims");
}

bool oct_cuda_copy_tensor(const oct_tensor_desc *dst, const oct_tensor_desc *src, oct_cuda_copy *c,
                          char *reason)
{
    oct_ref_loop l;
    oct_ref_loop_init(&l, &dst->shape);
    oct_ref_loop_add(&l, dst);
    oct_ref_loop_add(&l, src);
    return oct_cuda_copy_make(&l, oct_dtype_bytes(dst->dtype), c, reason);
}
