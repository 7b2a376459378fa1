/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of the cpu backend share. Each family of kernels (dnnl_conv, eltwise, pool,
 * ...) is a list of rows {op, query, prepare}; cpu.c joins the lists, asks them in order, and
 * falls back to `ref`.
 *
 *     query    can this descriptor be served? fills name, workspace and aliasing
 *     prepare  makes the op; its first member is oct_cpu_op with run and release
 */
#ifndef OCT_KERNELS_CPU_CPU_INTERNAL_H
#define OCT_KERNELS_CPU_CPU_INTERNAL_H

#include <assert.h>
#include <string.h>

#include "base/checked.h"
#include "base/ctx.h"
#include "base/parallel.h"
#include "kernels/backend.h"
#include "kernels/cpu/cpu_isa.h"
#include "kernels/cpu/pack_cache.h"

typedef struct oct_cpu_dnnl oct_cpu_dnnl; /* oneDNN engine and stream; dnnl_compat.h */

typedef struct oct_cpu {
    oct_backend base;
    oct_ctx *ctx;     /* own fork, for what is freed without a caller's context */
    oct_backend *ref; /* serves what nothing here does */
    oct_cpu_isa isa;
    oct_pack_cache *packs;
    oct_cpu_dnnl *dnnl; /* NULL without oneDNN */
} oct_cpu;

typedef struct oct_cpu_op oct_cpu_op;
struct oct_cpu_op {
    oct_prepared base;
    oct_status (*run)(const oct_cpu_op *op, oct_ctx *ctx, const oct_run_args *a);
    void (*release)(oct_cpu *be, oct_cpu_op *op); /* frees all but `op` itself; may be NULL */
};

typedef struct oct_cpu_row {
    oct_op op;
    /* False with a reason if it cannot serve. `c` comes zeroed, with id and alias_in -1 set. */
    bool (*query)(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c, char *reason);
    oct_status (*prepare)(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, const oct_candidate *c,
                          oct_cpu_op **out);
} oct_cpu_row;

typedef struct oct_cpu_rows {
    const oct_cpu_row *row;
    int n;
} oct_cpu_rows;

/* The families, in order of preference (cpu.c's table). */
extern const oct_cpu_rows oct_cpu_rows_eltwise;
extern const oct_cpu_rows oct_cpu_rows_pool;
extern const oct_cpu_rows oct_cpu_rows_winograd;
extern const oct_cpu_rows oct_cpu_rows_conv_f32;
extern const oct_cpu_rows oct_cpu_rows_matmul_f32;
extern const oct_cpu_rows oct_cpu_rows_conv_q8;
extern const oct_cpu_rows oct_cpu_rows_quant;
extern const oct_cpu_rows oct_cpu_rows_norm;
extern const oct_cpu_rows oct_cpu_rows_reorder;
extern const oct_cpu_rows oct_cpu_rows_resize;
#if defined(OCT_HAVE_ONEDNN)
extern const oct_cpu_rows oct_cpu_rows_dnnl_conv;
#endif

/* A cleared prepared op of `bytes` (its struct starts with oct_cpu_op), or NULL (out of memory). */
void *oct_cpu_op_new(oct_cpu *be, oct_ctx *ctx, size_t bytes);

/* Writes `reason` and returns false: `return oct_cpu_no(reason, "why")`. */
bool oct_cpu_no(char *reason, const char *why);

static inline bool oct_operand_present(const oct_op_desc *d, int i)
{
    return i < d->n_in && d->in[i].desc.dtype != OCT_DT_NONE;
}

/* All present operands are f32 without quantization parameters. */
bool oct_cpu_all_f32(const oct_op_desc *d);
/* No operand carries quantization parameters. */
bool oct_cpu_all_real(const oct_op_desc *d);
/* Strides are those of a dense tensor in its layout. */
static inline bool oct_cpu_dense(const oct_operand *o)
{
    return oct_tensor_desc_is_dense(&o->desc);
}

static inline size_t oct_cpu_elems(const oct_operand *o)
{
    size_t n = 0;
    const bool ok = oct_shape_elems(&o->desc.shape, &n);
    assert(ok && "shapes are known when ops are prepared");
    (void)ok;
    return n;
}

#endif /* OCT_KERNELS_CPU_CPU_INTERNAL_H */
