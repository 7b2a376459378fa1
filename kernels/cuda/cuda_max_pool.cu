/* SPDX-License-Identifier: Apache-2.0
 *
 * MaxPool of pictures with channels innermost, windows of 3x3 and 5x5, by the rolling kernel of depthwise
 * convolutions (cuda_depthwise.cuh) with maxima for sums: the greatest of each row of a window once, and that
 * once for every window that sees it. Maxima are taken of pairs in a register. Other windows, and
 * indices, are cuda_pool.cu's.
 */
#include "kernels/cuda/cuda_depthwise.cuh"
#include "kernels/cuda/cuda_max_pool.h"

#define BLOCKS_AT_ONCE 6 /* of a multiprocessor */

namespace
{

/* Elements as registers that have a maximum: f32 one, f16 two, 8-bit two of 16 bits each. */
struct as_f32 {
    typedef uint32_t raw_t;
    static constexpr int ELEM = 4, N = 1, REGS = 1;
    static constexpr uint32_t LEAST = 0xFF800000u;
    static __device__ __forceinline__ void unpack(uint32_t raw, uint32_t (&x)[REGS])
    {
        x[0] = raw;
    }
    static __device__ __forceinline__ uint32_t pack(const uint32_t (&x)[REGS])
    {
        return x[0];
    }
    static __device__ __forceinline__ uint32_t greater(uint32_t a, uint32_t b) /* NaN wins */
    {
        uint32_t r;
        asm("max.NaN.f32 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
        return r;
    }
};

struct as_f16 {
    typedef uint32_t raw_t;
    static constexpr int ELEM = 2, N = 2, REGS = 1;
    static constexpr uint32_t LEAST = 0xFC00FC00u;
    static __device__ __forceinline__ void unpack(uint32_t raw, uint32_t (&x)[REGS])
    {
        x[0] = raw;
    }
    static __device__ __forceinline__ uint32_t pack(const uint32_t (&x)[REGS])
    {
        return x[0];
    }
    static __device__ __forceinline__ uint32_t greater(uint32_t a, uint32_t b)
    {
        uint32_t r;
        asm("max.NaN.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
        return r;
    }
};

template <bool SIGNED>
struct as_q8 {
    typedef uint32_t raw_t;
    static constexpr int ELEM = 1, N = 4, REGS = 2;
    static constexpr uint32_t LEAST = SIGNED ? 0x80808080u : 0u;
    static __device__ __forceinline__ void unpack(uint32_t raw, uint32_t (&x)[REGS])
    {
        if (SIGNED) { /* selectors with the top bit repeat the sign */
            asm("prmt.b32 %0, %1, 0, 0x9180;" : "=r"(x[0]) : "r"(raw));
            asm("prmt.b32 %0, %1, 0, 0xb3a2;" : "=r"(x[1]) : "r"(raw));
        } else {
            x[0] = __byte_perm(raw, 0, 0x4140);
            x[1] = __byte_perm(raw, 0, 0x4342);
        }
    }
    static __device__ __forceinline__ uint32_t pack(const uint32_t (&x)[REGS])
    {
        return __byte_perm(x[0], x[1], 0x6420);
    }
    static __device__ __forceinline__ uint32_t greater(uint32_t a, uint32_t b)
    {
        return __vmaxs2(a, b);
    }
};

template <class T, int WINDOW, int STRIDE>
struct maxima : T {
    typedef uint32_t acc_t;
    using T::REGS;
    static constexpr int K = WINDOW, S = STRIDE, COLS = (OCT_DW_COLS - 1) * S + K;
    static constexpr int BLOCKS = BLOCKS_AT_ONCE;
    uint32_t best[OCT_DW_COLS][REGS]; /* of a row, for each output */

    static __device__ __forceinline__ uint32_t outside(const oct_dw &)
    {
        return T::LEAST;
    }
    __device__ __forceinline__ void begin(const oct_dw &, int)
    {
    }
    __device__ __forceinline__ void start(uint32_t (&acc)[OCT_DW_COLS][REGS]) const
    {
        uint32_t least[REGS];
        T::unpack(T::LEAST, least);
#pragma unroll
        for (int j = 0; j < OCT_DW_COLS; j++)
#pragma unroll
            for (int i = 0; i < REGS; i++)
                acc[j][i] = least[i];
    }
    __device__ __forceinline__ void unpack(const uint32_t (&raw)[COLS])
    {
        uint32_t x[COLS][REGS];
#pragma unroll
        for (int j = 0; j < COLS; j++)
            T::unpack(raw[j], x[j]);
#pragma unroll
        for (int j = 0; j < OCT_DW_COLS; j++)
#pragma unroll
            for (int i = 0; i < REGS; i++) {
                best[j][i] = x[j * S][i];
#pragma unroll
                for (int k = 1; k < K; k++)
                    best[j][i] = T::greater(best[j][i], x[j * S + k][i]);
            }
    }
    template <int KH>
    __device__ __forceinline__ void add(uint32_t (&acc)[OCT_DW_COLS][REGS]) const
    {
#pragma unroll
        for (int j = 0; j < OCT_DW_COLS; j++)
#pragma unroll
            for (int i = 0; i < REGS; i++)
                acc[j][i] = T::greater(acc[j][i], best[j][i]);
    }
    static __device__ __forceinline__ uint32_t finish(const oct_dw &, const uint32_t (&acc)[REGS])
    {
        return T::pack(acc);
    }
};

template <class T>
cudaError_t launch(const oct_dw *p, cudaStream_t s)
{
    if (p->kernel[0] == 3)
        return p->step[0] == 1 ? oct_dw_roll<maxima<T, 3, 1>>(p, s)
                               : oct_dw_roll<maxima<T, 3, 2>>(p, s);
    return p->step[0] == 1 ? oct_dw_roll<maxima<T, 5, 1>>(p, s)
                           : oct_dw_roll<maxima<T, 5, 2>>(p, s);
}

/* ---- which pools ---- */

bool square(const oct_window *w)
{
    const int64_t k = w->kernel[0], s = w->stride[0];
    return w->n == 2 && (k == 3 || k == 5) && (s == 1 || s == 2) && w->kernel[1] == k &&
           w->stride[1] == s && w->dilation[0] == 1 && w->dilation[1] == 1;
}

/* Channels innermost, everything in whole words. */
bool in_words(const oct_tensor_desc *t, int64_t per)
{
    return t->stride[1] == 1 && t->shape.dim[1] % per == 0 && t->stride[0] % per == 0 &&
           t->stride[2] % per == 0 && t->stride[3] % per == 0;
}

bool lay_out(const oct_op_desc *d, const oct_window *w, int n_sm, oct_dw *p)
{
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    const int64_t per = 4 / (int64_t)oct_dtype_bytes(x->dtype);
    if (!in_words(x, per) || !in_words(y, per))
        return false;
    p->channels = (int32_t)x->shape.dim[1];
    p->in_h = (int32_t)x->shape.dim[2];
    p->in_w = (int32_t)x->shape.dim[3];
    p->out_h = (int32_t)y->shape.dim[2];
    p->out_w = (int32_t)y->shape.dim[3];
    for (int i = 0; i < 2; i++) {
        p->kernel[i] = (int32_t)w->kernel[i];
        p->step[i] = (int32_t)w->stride[i];
        p->origin[i] = (int32_t)-w->pad_lo[i];
    }
    p->x_batch = x->stride[0];
    p->x_row = (int32_t)x->stride[2];
    p->x_col = (int32_t)x->stride[3];
    p->y[0].batch = y->stride[0];
    p->y[0].axis[1] = y->stride[2];
    p->y[0].axis[2] = y->stride[3];
    p->vectors = oct_cuda_div_make(p->channels / per);
    p->tiles = oct_cuda_div_make((p->out_w + OCT_DW_COLS - 1) / OCT_DW_COLS);
    const int64_t a_row = x->shape.dim[0] * p->tiles.d * p->vectors.d;
    p->strip = oct_dw_strip(a_row, p, (int64_t)n_sm * BLOCKS_AT_ONCE * OCT_DW_THREADS);
    p->lines = oct_cuda_div_make((p->out_h + p->strip - 1) / p->strip);
    p->threads = (uint32_t)(a_row * p->lines.d);
    return a_row * p->lines.d < INT32_MAX;
}

} // namespace

bool oct_cuda_max_roll_make(const oct_op_desc *d, const oct_window *w, int n_sm, oct_dw *p)
{
    const oct_operand *x = &d->in[0];
    memset(p, 0, sizeof *p);
    return d->op == OCT_OP_MAX_POOL && x->desc.shape.n_dims == 4 && square(w) &&
           oct_cuda_elems(x) > 0 && oct_cuda_elems(&d->out[0]) > 0 && lay_out(d, w, n_sm, p);
}

cudaError_t oct_cuda_max_roll(const oct_dw *made, oct_dtype dt, void *y, const void *x,
                              cudaStream_t stream)
{
    oct_dw p = *made;
    p.x = x;
    p.fin.out[0].data = y;
    switch (dt) {
    case OCT_DT_F32:
        return launch<as_f32>(&p, stream);
    case OCT_DT_F16:
        return launch<as_f16>(&p, stream);
    case OCT_DT_S8:
        return launch<as_q8<true>>(&p, stream);
    default:
        return launch<as_q8<false>>(&p, stream);
    }
}
