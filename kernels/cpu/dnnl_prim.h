/* SPDX-License-Identifier: Apache-2.0
 *
 * A oneDNN primitive that any number of threads can run at once. oneDNN's memory objects hold
 * a pointer each, so every concurrent run takes a slot with memory objects and a stream of its
 * own; slots are made on first use and kept. Scratch memory is the caller's workspace.
 */
#ifndef OCT_KERNELS_CPU_DNNL_PRIM_H
#define OCT_KERNELS_CPU_DNNL_PRIM_H

#if defined(OCT_HAVE_ONEDNN)

#include "kernels/backend.h"
#include "kernels/cpu/dnnl_compat.h"
#include "kernels/cpu/dnnl_engine.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum oct_dnnl_where {
    OCT_DNNL_IN,        /* run_args.in[index] */
    OCT_DNNL_OUT,       /* run_args.out[index] */
    OCT_DNNL_WORKSPACE, /* run_args.workspace */
    OCT_DNNL_FIXED,     /* `fixed`, which outlives the primitive */
} oct_dnnl_where;

typedef struct oct_dnnl_arg {
    int arg; /* DNNL_ARG_... */
    oct_dnnl_where where;
    int index;
    const void *fixed;
    oct_dmd md;
} oct_dnnl_arg;

#define OCT_DNNL_MAX_ARGS 12

typedef struct oct_dnnl_args {
    oct_dnnl_arg a[OCT_DNNL_MAX_ARGS];
    int n;
} oct_dnnl_args;

void oct_dnnl_args_deinit(oct_dnnl_args *args);
/* Adds an argument and takes `md` over. */
void oct_dnnl_args_add(oct_dnnl_args *args, int arg, oct_dnnl_where where, int index,
                       const void *fixed, oct_dmd *md);

typedef struct oct_dnnl_prim oct_dnnl_prim;

/* Takes `args` over, also on failure. `threads`: OpenMP threads it was made for and runs with. */
OCT_MUST_CHECK oct_status oct_dnnl_prim_new(oct_ctx *ctx, oct_cpu_dnnl *d,
                                            const_dnnl_primitive_desc_t pd, oct_dnnl_args *args,
                                            int threads, oct_dnnl_prim **out);
void oct_dnnl_prim_free(oct_ctx *ctx, oct_dnnl_prim *p); /* NULL is allowed */
OCT_MUST_CHECK oct_status oct_dnnl_prim_run(const oct_dnnl_prim *p, oct_ctx *ctx,
                                            const oct_run_args *a);

dnnl_engine_t oct_cpu_dnnl_engine(const oct_cpu_dnnl *d);

/* oneDNN decides how to split work when a primitive is made and again when it runs. Returns the
 * previous setting of this thread, to be put back with another call. */
int oct_dnnl_set_threads(int n);

/* One reorder, now, from `src` to `dst`. */
OCT_MUST_CHECK oct_status oct_dnnl_reorder(oct_ctx *ctx, oct_cpu_dnnl *d, const oct_dmd *src_md,
                                           const void *src, const oct_dmd *dst_md, void *dst);

/* Status for a failed oneDNN call, with what was tried. */
oct_status oct_dnnl_fail(oct_ctx *ctx, dnnl_status_t st, const char *what);

#ifdef __cplusplus
}
#endif

#endif /* OCT_HAVE_ONEDNN */
#endif /* OCT_KERNELS_CPU_DNNL_PRIM_H */
