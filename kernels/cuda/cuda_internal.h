/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of the cuda backend share. As in kernels/cpu, each family of kernels is a
 * list of rows {op, query, prepare}; cuda.c joins the lists and asks them in order. What no
 * row takes is declined with a reason, and the engine runs it on the host.
 *
 *     query    can this descriptor be served? fills name, workspace and aliasing
 *     prepare  makes the op: weights packed and uploaded, launch geometry decided; its first
 *              member is oct_cuda_op with run and release
 *     run      queues kernels on the stream: no allocation, no synchronisation, no host copies
 *
 * Host code is C (.c) or CUDA C++ (.cu) with extern "C" at the borders. All operands except
 * what `prepare` packed are device pointers. Elements: f32, f16 (computed in f32), 8-bit with
 * oct_quant, and integers for indices. `--fmad=false` holds for all CUDA code: where a fused
 * multiply-add is wanted, say fmaf().
 */
#ifndef OCT_KERNELS_CUDA_CUDA_INTERNAL_H
#define OCT_KERNELS_CUDA_CUDA_INTERNAL_H

#include <cuda_runtime_api.h>
#include <string.h>

#include "base/checked.h"
#include "base/ctx.h"
#include "kernels/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

struct oct_stream {
    cudaStream_t s; /* made non-blocking */
};

typedef struct oct_cuda_packs
    oct_cuda_packs; /* uploaded constants by (key, format); cuda_packs.c */

typedef struct oct_cuda {
    oct_backend base;
    oct_ctx *ctx; /* own fork, for what is freed without a caller's context */
    int device;
    int cc; /* compute capability: 10 * major + minor, e.g. 90 */
    int n_sm;
    size_t smem_per_block; /* opt-in maximum of dynamic shared memory */
    char name[64];         /* of the device */
    char text[128];        /* name, chip and versions, for provenance */
    oct_cuda_packs *packs;
    void *lt; /* cublasLtHandle_t */
} oct_cuda;

typedef struct oct_cuda_op oct_cuda_op;
struct oct_cuda_op {
    oct_prepared base;
    oct_status (*run)(const oct_cuda_op *op, oct_ctx *ctx, const oct_run_args *a);
    void (*release)(oct_cuda *be, oct_cuda_op *op); /* frees all but `op` itself; may be NULL */
};

typedef struct oct_cuda_row {
    oct_op op;
    /* False with a reason if it cannot serve. `c` comes zeroed, with id and alias_in -1 set. */
    bool (*query)(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c, char *reason);
    oct_status (*prepare)(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, const oct_candidate *c,
                          oct_cuda_op **out);
} oct_cuda_row;

typedef struct oct_cuda_rows {
    const oct_cuda_row *row;
    int n;
} oct_cuda_rows;

/* A cleared prepared op of `bytes` (its struct starts with oct_cuda_op), or NULL. */
void *oct_cuda_op_new(oct_cuda *be, oct_ctx *ctx, size_t bytes);

/* Writes `reason` and returns false: `return oct_cuda_no(reason, "why")`. */
bool oct_cuda_no(char *reason, const char *why);

/* OCT_OK, or OCT_ERR_DEVICE (OCT_ERR_NOMEM when memory is short) with CUDA's message:
 * "GPU 0: <what>: <cudaGetErrorString>". */
oct_status oct_cuda_check(oct_ctx *ctx, cudaError_t e, const char *what);
/* After a launch: what cudaGetLastError() says. */
static inline oct_status oct_cuda_launched(oct_ctx *ctx, const char *kernel)
{
    return oct_cuda_check(ctx, cudaGetLastError(), kernel);
}

/* ---- constants on the device (cuda_packs.c) ---- */

/* Makes `bytes` of packed constant in host memory. */
typedef struct oct_cuda_pack {
    void (*fill)(const void *user, void *host, size_t bytes);
    const void *user;
} oct_cuda_pack;

/* Device copy of a packed constant, shared by (key, format) while anyone holds it; key 0 is never
 * shared. `format` must tell apart all ways to pack one constant (a hash of everything `fill`
 * depends on besides the constant itself). Give back with oct_cuda_unpack(). Thread-safe. */
OCT_MUST_CHECK oct_status oct_cuda_pack_get(oct_cuda *be, oct_ctx *ctx, uint64_t key,
                                            uint64_t format, size_t bytes, oct_cuda_pack pack,
                                            const void **device);
void oct_cuda_unpack(oct_cuda *be, const void *device); /* NULL is allowed */

/* Plain device memory with these bytes, for tables of a prepared op (factors, offsets). */
OCT_MUST_CHECK oct_status oct_cuda_upload(oct_cuda *be, oct_ctx *ctx, const void *host,
                                          size_t bytes, void **device);

/* ---- small questions about descriptors ---- */

static inline bool oct_cuda_present(const oct_op_desc *d, int i)
{
    return i < d->n_in && d->in[i].desc.dtype != OCT_DT_NONE;
}

static inline bool oct_cuda_is_real(oct_dtype t)
{
    return t == OCT_DT_F32 || t == OCT_DT_F16;
}

static inline bool oct_cuda_is_8bit(oct_dtype t)
{
    return t == OCT_DT_S8 || t == OCT_DT_U8;
}

static inline bool oct_cuda_dense(const oct_operand *o)
{
    return oct_tensor_desc_is_dense(&o->desc);
}

static inline size_t oct_cuda_elems(const oct_operand *o)
{
    size_t n = 0;
    return oct_shape_elems(&o->desc.shape, &n) ? n : 0;
}

/* The families, in order of preference (cuda.c's table). Each is defined in the file of its name;
 * a file may hold several tables of rows but exports one family. */
#define OCT_CUDA_FAMILIES(X)                                                            \
    X(conv)      /* cuda_conv.*: Conv in s8, f16, tf32 on tensor cores */               \
    X(conv_f32)  /* cuda_conv_f32.*: Conv in true f32; any group count */               \
    X(depthwise) /* cuda_depthwise.*: one channel a group, all types; ConvTranspose */  \
    X(gemm)      /* cuda_gemm.*: Gemm, MatMul in all types (cuBLASLt and ours) */       \
    X(eltwise)   /* cuda_eltwise.*: unary, binary with broadcasting, Where, Cast */     \
    X(pool)      /* cuda_pool.*: windows and global pools, Resize */                    \
    X(quant)     /* cuda_quant.*: Q/DQ, Table, 8-bit Add/Mul/Concat/pools */            \
    X(reduce)    /* cuda_reduce.*: reductions, Softmax, normalizations, ArgMax, TopK */ \
    X(move)      /* cuda_move.*: Reorder, Transpose, Concat, Slice, Pad, Gather, ... */

#define X(f) extern const oct_cuda_rows oct_cuda_rows_##f;
OCT_CUDA_FAMILIES(X)
#undef X

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CUDA_CUDA_INTERNAL_H */
