/* SPDX-License-Identifier: Apache-2.0
 *
 * Histograms on the GPU (kernels/hist_device.h). Three kernels a value and batch:
 *
 *     scan    largest magnitudes and values that are not finite, an image at a time
 *     grow    widens the bins if the batch needs it: two blocks, one a sign
 *     count   each block counts into shared memory, 32-bit; then adds what it has to the
 *             64-bit totals and to the fold's coarse bins
 *
 * Shared memory holds the lower part of both halves; the rare values above go straight to
 * the totals. Integer sums commute: the bytes do not depend on the order of blocks.
 */
#include <cuda_fp16.h>

#include "kernels/cuda/cuda_hist.h"
#include "kernels/cuda/cuda_internal.h"

typedef unsigned long long u64;

enum {
    SCAN_THREADS = 256,
    COUNT_THREADS = 1024,
    GROW_THREADS = 1024,
    N_FOLDS = OCT_HIST_DEVICE_FOLDS,
    FINE = OCT_HIST_BINS,
    COARSE = OCT_HIST_COARSE_BINS,
    EXACT = OCT_HIST_EXACT_BINS,
    ELEMS_PER_SCAN_BLOCK = 16 * 1024,
    ELEMS_PER_COUNT_BLOCK = 64 * 1024,
    EXP_MIN = -126, /* as calib/histogram.h */
};

/* One sign of one value. */
struct half_state {
    uint32_t amax; /* bits of a non-negative float: they order as the floats do */
    int32_t exp;
};

struct fold_state {
    uint32_t amax[2];
    u64 n_zero, n_neg_inf, n_total;
};

struct value_state {
    half_state half[2];
    u64 n_zero, n_nan, n_pos_inf, n_neg_inf, n_total;
    fold_state fold[N_FOLDS];
    u64 bin[2 * FINE];
    u64 coarse[N_FOLDS][2 * COARSE];
    u64 exact[2][EXACT];
};

struct oct_hist_device {
    oct_cuda *be;
    uint32_t n_values;
    int max_images;
    value_state *state;    /* device, n_values */
    oct_hist_image *image; /* device, [n_values][max_images] */
    oct_hist_image *host;  /* pinned, the same */
    value_state *read;     /* pinned, one */
    int low_bins;          /* bins of one sign that a block holds in shared memory */
    size_t image_bytes;
};

/* ---- device code ------------------------------------------------------------------------- */

__device__ inline float as_f32(float x)
{
    return x;
}

__device__ inline float as_f32(__half x)
{
    return __half2float(x);
}

__device__ inline bool is_normal(uint32_t magnitude)
{
    return magnitude >= 0x00800000u && magnitude < 0x7f800000u;
}

__device__ inline u64 warp_sum(u64 v)
{
    for (int d = 16; d > 0; d /= 2)
        v += __shfl_down_sync(0xffffffffu, v, d);
    return v;
}

__device__ inline uint32_t warp_max(uint32_t v)
{
    return __reduce_max_sync(0xffffffffu, v);
}

/* Sums of one thread's elements. */
struct scan_sums {
    uint32_t amax[2], n_zero, n_nan, n_inf[2];
};

__device__ inline void scan_one(scan_sums &s, float x)
{
    const uint32_t bits = __float_as_uint(x), magnitude = bits & 0x7fffffffu;
    const int sign = bits >> 31;
    if (is_normal(magnitude))
        s.amax[sign] = max(s.amax[sign], magnitude);
    else if (magnitude < 0x00800000u)
        s.n_zero++;
    else if (magnitude > 0x7f800000u)
        s.n_nan++;
    else
        s.n_inf[sign]++;
}

/* Calls fn(x) for the elements [first, end) of this block's image with wide loads. */
template <typename T, typename F>
__device__ inline void for_elems(const T *x, size_t first, size_t end, F fn)
{
    constexpr size_t WIDE = 16 / sizeof(T);
    union {
        uint4 raw;
        T elem[WIDE];
    } u;
    const bool aligned = ((uintptr_t)(x + first) & 15) == 0;
    const size_t wide_end = aligned ? first + (end - first) / WIDE * WIDE : first;
    for (size_t i = first + threadIdx.x * WIDE; i < wide_end; i += blockDim.x * WIDE) {
        u.raw = *(const uint4 *)(x + i);
#pragma unroll
        for (size_t k = 0; k < WIDE; k++)
            fn(as_f32(u.elem[k]));
    }
    for (size_t i = wide_end + threadIdx.x; i < end; i += blockDim.x)
        fn(as_f32(x[i]));
}

__device__ inline void add_if(u64 *to, u64 v)
{
    if (v)
        atomicAdd(to, v);
}

/* grid: x = pieces of an image, y = images */
template <typename T>
__global__ void __launch_bounds__(SCAN_THREADS)
    scan_kernel(const T *x, size_t n_each, size_t piece, int fold, value_state *v,
                oct_hist_image *image)
{
    const size_t first = blockIdx.x * piece;
    const size_t end = min(first + piece, n_each);
    scan_sums s = {};
    for_elems(x + blockIdx.y * n_each, first, end, [&](float e) { scan_one(s, e); });
    const uint32_t pos = warp_max(s.amax[0]), neg = warp_max(s.amax[1]);
    const u64 zero = warp_sum(s.n_zero), nan = warp_sum(s.n_nan);
    const u64 pos_inf = warp_sum(s.n_inf[0]), neg_inf = warp_sum(s.n_inf[1]);
    if (threadIdx.x % 32 == 0) {
        oct_hist_image *im = &image[blockIdx.y];
        if (pos)
            atomicMax((uint32_t *)&im->pos_amax, pos);
        if (neg)
            atomicMax((uint32_t *)&im->neg_amax, neg);
        if (nan)
            atomicAdd(&im->n_nan, (uint32_t)nan);
        if (pos_inf + neg_inf)
            atomicAdd(&im->n_inf, (uint32_t)(pos_inf + neg_inf));
        add_if(&v->n_zero, zero);
        add_if(&v->n_nan, nan);
        add_if(&v->n_pos_inf, pos_inf);
        add_if(&v->n_neg_inf, neg_inf);
        add_if(&v->fold[fold].n_zero, zero);
        add_if(&v->fold[fold].n_neg_inf, neg_inf);
    }
    if (threadIdx.x == 0) {
        /* all of them; what is not finite is taken off when read */
        atomicAdd(&v->n_total, (u64)(end - first));
        atomicAdd(&v->fold[fold].n_total, (u64)(end - first));
    }
    /* what is not finite does not count */
    if (threadIdx.x % 32 == 0 && nan + pos_inf + neg_inf) {
        atomicAdd(&v->n_total, 0 - (nan + pos_inf + neg_inf));
        atomicAdd(&v->fold[fold].n_total, 0 - (nan + pos_inf + neg_inf));
    }
}

/* Makes every 2^shift neighbours one. Destinations never lie above what is still to be read. */
__device__ void merge_bins(u64 *bin, int n, int shift)
{
    if (shift > 16)
        shift = 16;
    const int groups = (n >> shift) > 0 ? n >> shift : 1;
    for (int g0 = 0; g0 < groups; g0 += blockDim.x) {
        const int g = g0 + threadIdx.x;
        u64 sum = 0;
        for (int k = g << shift; g < groups && k < min((g + 1) << shift, n); k++)
            sum += bin[k];
        __syncthreads();
        if (g < groups)
            bin[g] = sum;
        __syncthreads();
    }
    for (int k = groups + threadIdx.x; k < n; k += blockDim.x)
        bin[k] = 0;
    __syncthreads();
}

__device__ inline int width_exp(uint32_t amax_bits)
{
    return max((int)(amax_bits >> 23) - 126 - 15, EXP_MIN);
}

/* grid: one block a sign */
__global__ void __launch_bounds__(GROW_THREADS)
    grow_kernel(value_state *v, const oct_hist_image *image, int n_images, int fold)
{
    const int sign = blockIdx.x;
    half_state *h = &v->half[sign];
    __shared__ uint32_t batch_amax;
    if (threadIdx.x == 0) {
        uint32_t a = 0;
        for (int i = 0; i < n_images; i++)
            a = max(a, __float_as_uint(sign ? image[i].neg_amax : image[i].pos_amax));
        batch_amax = a;
    }
    __syncthreads();
    const uint32_t old = h->amax, amax = batch_amax;
    const int old_exp = h->exp, exp = amax ? width_exp(amax) : old_exp;
    const bool wider = amax > old && old && exp > old_exp;
    __syncthreads();
    if (wider) {
        merge_bins(v->bin + sign * FINE, FINE, exp - old_exp);
        for (int f = 0; f < N_FOLDS; f++)
            merge_bins(v->coarse[f] + sign * COARSE, COARSE, exp - old_exp);
    }
    if (threadIdx.x != 0)
        return;
    if (amax > old) {
        h->amax = amax;
        h->exp = exp;
    }
    v->fold[fold].amax[sign] = max(v->fold[fold].amax[sign], amax);
}

__device__ inline float bins_per_unit(const half_state *h)
{
    return h->amax ? __uint_as_float((uint32_t)(127 - h->exp) << 23) : 0.0f;
}

template <typename T>
__global__ void __launch_bounds__(COUNT_THREADS)
    count_kernel(const T *x, size_t n, size_t piece, int fold, int low, value_state *v)
{
    extern __shared__ uint32_t table[]; /* low bins of x > 0, then of x < 0 */
    for (int i = threadIdx.x; i < 2 * low; i += blockDim.x)
        table[i] = 0;
    const float pos = bins_per_unit(&v->half[0]), neg = bins_per_unit(&v->half[1]);
    __syncthreads();
    const size_t first = blockIdx.x * piece, end = min(first + piece, n);
    u64 *coarse = v->coarse[fold];
    for_elems(x, first, end, [&](float e) {
        const uint32_t bits = __float_as_uint(e), magnitude = bits & 0x7fffffffu;
        if (!is_normal(magnitude))
            return;
        const int sign = bits >> 31;
        const int k = (int)(__uint_as_float(magnitude) * (sign ? neg : pos));
        if (k < low) {
            atomicAdd(&table[sign * low + k], 1u);
        } else {
            atomicAdd(&v->bin[sign * FINE + k], 1ull);
            atomicAdd(&coarse[sign * COARSE + (k >> OCT_HIST_COARSE_SHIFT)], 1ull);
        }
    });
    __syncthreads();
    for (int i = threadIdx.x; i < 2 * low; i += blockDim.x)
        add_if(&v->bin[i < low ? i : FINE + i - low], table[i]);
    const int low_coarse = low >> OCT_HIST_COARSE_SHIFT;
    for (int i = threadIdx.x; i < 2 * low_coarse; i += blockDim.x) {
        u64 sum = 0;
        for (int k = 0; k < 1 << OCT_HIST_COARSE_SHIFT; k++)
            sum += table[(i << OCT_HIST_COARSE_SHIFT) + k];
        add_if(&coarse[i < low_coarse ? i : COARSE + i - low_coarse], sum);
    }
}

template <typename T>
__global__ void __launch_bounds__(SCAN_THREADS)
    exact_kernel(const T *x, size_t n, size_t piece, double own, double relu, value_state *v)
{
    __shared__ uint32_t table[2][EXACT];
    for (int i = threadIdx.x; i < 2 * EXACT; i += blockDim.x)
        table[i / EXACT][i % EXACT] = 0;
    __syncthreads();
    const size_t first = blockIdx.x * piece, end = min(first + piece, n);
    for_elems(x, first, end, [&](float e) {
        const uint32_t bits = __float_as_uint(e);
        if (!is_normal(bits & 0x7fffffffu))
            return;
        const double a = fabs((double)e);
        if (own > 0)
            atomicAdd(&table[0][(int)fmin(a * own, (double)(EXACT - 1))], 1u);
        if (relu > 0 && e > 0)
            atomicAdd(&table[1][(int)fmin(a * relu, (double)(EXACT - 1))], 1u);
    });
    __syncthreads();
    for (int i = threadIdx.x; i < 2 * EXACT; i += blockDim.x)
        add_if(&v->exact[i / EXACT][i % EXACT], table[i / EXACT][i % EXACT]);
}

/* Everything but the exact tables starts again. */
__global__ void reset_kernel(value_state *v)
{
    const size_t n = offsetof(value_state, exact) / sizeof(uint32_t);
    uint32_t *word = (uint32_t *)v;
    for (size_t i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        word[i] = i == 1 || i == 3 ? (uint32_t)EXP_MIN : 0; /* half[0].exp, half[1].exp */
}

/* ---- host code --------------------------------------------------------------------------- */

static void hist_destroy(oct_backend *be, oct_hist_device *h)
{
    if (!h)
        return;
    cudaFree(h->state);
    cudaFree(h->image);
    cudaFreeHost(h->host);
    cudaFreeHost(h->read);
    oct_free(((oct_cuda *)be)->ctx, h);
}

static oct_status hist_memory(oct_hist_device *h, oct_ctx *ctx)
{
    h->image_bytes = (size_t)h->n_values * (size_t)h->max_images * sizeof *h->image;
    OCT_TRY(oct_cuda_check(ctx, cudaMalloc(&h->state, h->n_values * sizeof *h->state),
                           "allocating histograms"));
    OCT_TRY(oct_cuda_check(ctx, cudaMalloc(&h->image, h->image_bytes), "allocating histograms"));
    OCT_TRY(oct_cuda_check(ctx, cudaMallocHost(&h->host, h->image_bytes), "allocating records"));
    OCT_TRY(oct_cuda_check(ctx, cudaMallocHost(&h->read, sizeof *h->read), "allocating records"));
    OCT_TRY(oct_cuda_check(ctx, cudaMemset(h->state, 0, h->n_values * sizeof *h->state),
                           "clearing histograms"));
    for (uint32_t i = 0; i < h->n_values; i++)
        reset_kernel<<<64, 256>>>(&h->state[i]);
    OCT_TRY(oct_cuda_launched(ctx, "clearing histograms"));
    return oct_cuda_check(ctx, cudaDeviceSynchronize(), "clearing histograms");
}

static oct_status hist_kernels(oct_hist_device *h, oct_ctx *ctx)
{
    h->low_bins = FINE / 2;
    while ((size_t)h->low_bins * 2 * sizeof(uint32_t) > h->be->smem_per_block)
        h->low_bins /= 2;
    const int bytes = h->low_bins * 2 * (int)sizeof(uint32_t);
    OCT_TRY(oct_cuda_check(ctx,
                           cudaFuncSetAttribute(count_kernel<float>,
                                                cudaFuncAttributeMaxDynamicSharedMemorySize, bytes),
                           "preparing histograms"));
    return oct_cuda_check(ctx,
                          cudaFuncSetAttribute(count_kernel<__half>,
                                               cudaFuncAttributeMaxDynamicSharedMemorySize, bytes),
                          "preparing histograms");
}

static oct_status hist_create(oct_backend *base, oct_ctx *ctx, uint32_t n_values, int max_images,
                              oct_hist_device **out)
{
    oct_cuda *be = (oct_cuda *)base;
    OCT_TRY(oct_cuda_check(ctx, cudaSetDevice(be->device), "choosing the device"));
    oct_hist_device *h = (oct_hist_device *)oct_zalloc(be->ctx, sizeof *h);
    if (!h)
        return OCT_ERR_NOMEM;
    h->be = be;
    h->n_values = n_values;
    h->max_images = max_images;
    oct_status st = hist_kernels(h, ctx);
    if (st == OCT_OK)
        st = hist_memory(h, ctx);
    if (st != OCT_OK) {
        hist_destroy(base, h);
        return st;
    }
    *out = h;
    return OCT_OK;
}

static oct_status hist_begin(oct_hist_device *h, oct_ctx *ctx, oct_stream *s)
{
    OCT_TRY(oct_cuda_check(ctx, cudaSetDevice(h->be->device), "choosing the device"));
    return oct_cuda_check(ctx, cudaMemsetAsync(h->image, 0, h->image_bytes, s->s),
                          "clearing records");
}

static unsigned n_pieces(size_t n, size_t piece, unsigned most)
{
    const size_t want = (n + piece - 1) / piece;
    return want < most ? (unsigned)(want ? want : 1) : most;
}

/* Length of each of `k` pieces of n, a multiple of 16 so that loads stay aligned. */
static size_t piece_len(size_t n, unsigned k)
{
    return ((n + k - 1) / k + 15) / 16 * 16;
}

template <typename T>
static void count_queue(oct_hist_device *h, uint32_t value, const oct_hist_slice *x, cudaStream_t s)
{
    value_state *v = &h->state[value];
    oct_hist_image *image = h->image + (size_t)value * (size_t)h->max_images;
    const T *data = (const T *)x->data;
    const unsigned px = n_pieces(x->n_each, ELEMS_PER_SCAN_BLOCK, 1024);
    const dim3 grid(px, (unsigned)x->n_images);
    scan_kernel<T><<<grid, SCAN_THREADS, 0, s>>>(data, x->n_each, piece_len(x->n_each, px), x->fold,
                                                 v, image);
    grow_kernel<<<2, GROW_THREADS, 0, s>>>(v, image, x->n_images, x->fold);
    const size_t n = x->n_each * (size_t)x->n_images;
    const unsigned blocks = n_pieces(n, ELEMS_PER_COUNT_BLOCK, (unsigned)h->be->n_sm);
    const size_t bytes = (size_t)h->low_bins * 2 * sizeof(uint32_t);
    count_kernel<T><<<blocks, COUNT_THREADS, bytes, s>>>(data, n, piece_len(n, blocks), x->fold,
                                                         h->low_bins, v);
}

static oct_status check_slice(oct_hist_device *h, oct_ctx *ctx, const oct_hist_slice *x)
{
    if (x->dtype != OCT_DT_F32 && x->dtype != OCT_DT_F16)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED,
                        "the GPU counts f32 and f16 values, not %s; use --device cpu",
                        oct_dtype_str(x->dtype));
    if (x->n_images > h->max_images || x->fold < 0 || x->fold >= N_FOLDS)
        return oct_fail(ctx, OCT_ERR_BUG, "histogram of %d images, fold %d", x->n_images, x->fold);
    return OCT_OK;
}

static oct_status hist_count(oct_hist_device *h, oct_ctx *ctx, uint32_t value,
                             const oct_hist_slice *x, oct_stream *s)
{
    OCT_TRY(check_slice(h, ctx, x));
    if (x->n_images == 0 || x->n_each == 0)
        return OCT_OK;
    if (x->dtype == OCT_DT_F32)
        count_queue<float>(h, value, x, s->s);
    else
        count_queue<__half>(h, value, x, s->s);
    return oct_cuda_launched(ctx, "counting a value");
}

static oct_status hist_images(oct_hist_device *h, oct_ctx *ctx, oct_stream *s,
                              const oct_hist_image **list)
{
    OCT_TRY(oct_cuda_check(
        ctx, cudaMemcpyAsync(h->host, h->image, h->image_bytes, cudaMemcpyDeviceToHost, s->s),
        "reading records"));
    OCT_TRY(oct_cuda_check(ctx, cudaStreamSynchronize(s->s), "counting"));
    *list = h->host;
    return OCT_OK;
}

static float bits_f32(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static void copy_counts(const value_state *v, oct_hist_counts *c)
{
    memcpy(c->bin, v->bin, sizeof c->bin);
    memcpy(c->coarse, v->coarse, sizeof c->coarse);
    c->pos_amax = bits_f32(v->half[0].amax);
    c->neg_amax = bits_f32(v->half[1].amax);
    c->pos_exp = v->half[0].exp;
    c->neg_exp = v->half[1].exp;
    c->n_zero = v->n_zero;
    c->n_nan = v->n_nan;
    c->n_pos_inf = v->n_pos_inf;
    c->n_neg_inf = v->n_neg_inf;
    c->n_total = v->n_total;
    for (int f = 0; f < N_FOLDS; f++) {
        c->fold[f].pos_amax = bits_f32(v->fold[f].amax[0]);
        c->fold[f].neg_amax = bits_f32(v->fold[f].amax[1]);
        c->fold[f].n_zero = v->fold[f].n_zero;
        c->fold[f].n_neg_inf = v->fold[f].n_neg_inf;
        c->fold[f].n_total = v->fold[f].n_total;
    }
}

static oct_status hist_read(oct_hist_device *h, oct_ctx *ctx, uint32_t value, oct_hist_counts *out)
{
    value_state *v = &h->state[value];
    OCT_TRY(oct_cuda_check(ctx, cudaSetDevice(h->be->device), "choosing the device"));
    OCT_TRY(oct_cuda_check(
        ctx, cudaMemcpy(h->read, v, offsetof(value_state, exact), cudaMemcpyDeviceToHost),
        "reading a histogram"));
    copy_counts(h->read, out);
    reset_kernel<<<64, 256>>>(v);
    OCT_TRY(oct_cuda_launched(ctx, "clearing a histogram"));
    return oct_cuda_check(ctx, cudaDeviceSynchronize(), "clearing a histogram");
}

static oct_status hist_count_exact(oct_hist_device *h, oct_ctx *ctx, uint32_t value,
                                   const oct_hist_slice *x, const double scale[2], oct_stream *s)
{
    OCT_TRY(check_slice(h, ctx, x));
    const size_t n = x->n_each * (size_t)x->n_images;
    if (n == 0)
        return OCT_OK;
    const unsigned blocks = n_pieces(n, ELEMS_PER_SCAN_BLOCK, 4 * (unsigned)h->be->n_sm);
    const size_t piece = piece_len(n, blocks);
    if (x->dtype == OCT_DT_F32)
        exact_kernel<float><<<blocks, SCAN_THREADS, 0, s->s>>>(
            (const float *)x->data, n, piece, scale[0], scale[1], &h->state[value]);
    else
        exact_kernel<__half><<<blocks, SCAN_THREADS, 0, s->s>>>(
            (const __half *)x->data, n, piece, scale[0], scale[1], &h->state[value]);
    return oct_cuda_launched(ctx, "counting a value");
}

static oct_status hist_read_exact(oct_hist_device *h, oct_ctx *ctx, uint32_t value,
                                  uint64_t table[2][OCT_HIST_EXACT_BINS])
{
    OCT_TRY(oct_cuda_check(ctx, cudaSetDevice(h->be->device), "choosing the device"));
    return oct_cuda_check(ctx,
                          cudaMemcpy(table, h->state[value].exact, 2 * EXACT * sizeof(uint64_t),
                                     cudaMemcpyDeviceToHost),
                          "reading a histogram");
}

extern "C" const oct_hist_device_vtable oct_cuda_hist = {
    hist_create, hist_destroy, hist_begin,       hist_count,
    hist_images, hist_read,    hist_count_exact, hist_read_exact,
};
