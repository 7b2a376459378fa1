/* SPDX-License-Identifier: Apache-2.0
 *
 * Backends: how an operator is run. A backend gets an *operator descriptor* (what to
 * compute, on which shapes, types, layouts, strides and constants, with which epilogue),
 * lists *candidates* for it, prepares one, and runs it on raw buffers. It knows no graph
 * and no file.
 *
 *     enumerate(desc) -> candidates, each with workspace and aliasing needs (or why none)
 *     prepare(candidate, desc) -> prepared op: immutable, weights packed, nothing left to decide
 *     run(prepared, buffers, stream): no allocation, no synchronisation
 *
 * `ref` (portable C) defines what is correct; `cpu` and `cuda` must agree with it as
 * DESIGN 3 says. A backend may decline any descriptor with a reason; the engine then tries
 * row-major layout, inserts a Reorder, or falls back to `ref`.
 *
 * Thread-safety: a backend instance may be used by several threads; enumerate and prepare
 * lock inside. A prepared op is immutable: any number of threads may run it at once, each
 * with its own buffers and workspace. Errors found while running (an index out of
 * range) are reported through the context given to run().
 */
#ifndef OCT_KERNELS_BACKEND_H
#define OCT_KERNELS_BACKEND_H

#include "base/ctx.h"
#include "base/tensor.h"
#include "kernels/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Quantization parameters of one operand: n = 0 for real-valued tensors, 1 per tensor, else
 * one per index along logical axis `axis`. */
typedef struct oct_quant {
    const oct_qparams *q; /* borrowed for the descriptor's life */
    int32_t n;
    int32_t axis;
} oct_quant;

/* What happens to a result before it is stored, in this order, all in f32:
 *
 *     y = act(acc + bias + residual);   out = y, or quantized by the output's oct_quant
 *
 * Only Conv, ConvTranspose, Gemm and MatMul take an epilogue (MatMul's bias is then input
 * 2, of the size of the last axis). The residual is input number `residual` of the
 * descriptor (shape of the output; may be s8/u8 with its own oct_quant), or -1. With n_out == 2
 * these ops store the same y a second time in output 1's own type. INT8 follows DESIGN 3's
 * formula; m[c] and b[c] come from kernels/requant.h so that all backends use the same bits. */
typedef struct oct_epilogue {
    int residual; /* -1 = none */
    oct_act act;
    float a, b; /* the activation's parameters */
} oct_epilogue;

/* A tensor operand. Weights and other constants come with their bytes. */
typedef struct oct_operand {
    oct_tensor_desc desc; /* dtype NONE = absent optional input */
    oct_quant quant;
    const void *data;   /* constant: dense row-major host bytes, valid for the backend's life;
                             also small host-known integers (axes, pads, sizes); else NULL */
    uint64_t const_key; /* constant: unique in the process (0 = do not share); packed copies are
                             shared by (key, format) */
} oct_operand;

typedef struct oct_op_desc {
    oct_op op;
    const void *attr; /* oct_attr_<x>, borrowed; NULL for none */
    const oct_operand *in;
    const oct_operand *out;
    int n_in, n_out;
    oct_epilogue epilogue; /* residual -1, act NONE when there is none */
    int threads;           /* threads run() may use; >= 1 */
    bool tf32;             /* f32 products may be of operands rounded to tf32 (cuda, by request) */
    const char *name;      /* node name, for messages and profiles */
} oct_op_desc;

#define OCT_CANDIDATE_NAME_BYTES 64
#define OCT_MAX_ALIAS 8

typedef struct oct_candidate {
    uint32_t id; /* backend-private */
    char name
        [OCT_CANDIDATE_NAME_BYTES]; /* the tactic's name in engine files, "onednn:brgconv:avx512_core" */
    size_t workspace_bytes; /* scratch that run() gets, 64-byte aligned; contents undefined */
    int8_t alias_in;        /* input that output 0 MUST share memory with (overwritten), or -1 */
    bool may_alias
        [OCT_MAX_ALIAS]; /* input i MAY share memory with output 0 (element-wise in place) */
} oct_candidate;

typedef struct oct_stream oct_stream; /* a device queue; NULL on the CPU */
typedef struct oct_event oct_event;   /* a moment on a stream */
typedef struct oct_prepared oct_prepared;
typedef struct oct_backend oct_backend;

/* Arguments of one run. `in` entries of absent inputs are NULL. Constants are passed like any
 * other input (the engine keeps them in backend memory), unless the prepared op packed its own
 * copy, in which case it ignores the pointer. */
typedef struct oct_run_args {
    const void *const *in; /* n_in pointers */
    void *const *out;      /* n_out pointers */
    void *workspace;
    oct_stream *stream;
} oct_run_args;

/* What a device says of itself, for doctor and results files. Zero or "" = not known. */
typedef struct oct_device_info {
    char name[128], driver[32], runtime[32], blas[32];
    int cc;                          /* compute capability: 10 * major + minor */
    int n_sm;                        /* multiprocessors */
    int clock_mhz, memory_clock_mhz; /* highest */
    size_t memory_bytes, free_bytes, l2_bytes;
} oct_device_info;

typedef enum oct_layout_wish {
    OCT_WISH_ROW,           /* runs in row-major only */
    OCT_WISH_CHANNELS_LAST, /* runs best in channels-last */
    OCT_WISH_ANY,           /* whatever its input has, if all operands agree */
} oct_layout_wish;

#define OCT_REASON_BYTES 160

struct oct_hist_device_vtable; /* kernels/hist_device.h */

typedef struct oct_backend_vtable {
    const char *name; /* "ref", "cpu", "cuda" */
    bool host_memory; /* buffers are ordinary host memory */

    /* Fills up to `cap` candidates, best guess first; returns how many. With 0, `reason`
     * (OCT_REASON_BYTES) says why in a few words, e.g. "group convolution with u8 weights". */
    int (*enumerate)(oct_backend *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *list,
                     int cap, char *reason);
    /* Copies what it needs of `d`; constants' bytes stay borrowed. */
    oct_status (*prepare)(oct_backend *be, oct_ctx *ctx, const oct_op_desc *d,
                          const oct_candidate *c, oct_prepared **out);
    void (*release)(oct_backend *be, oct_prepared *p);
    oct_status (*run)(const oct_prepared *p, oct_ctx *ctx, const oct_run_args *a);

    oct_layout_wish (*layout_wish)(oct_backend *be, oct_op op, const void *attr, int n_dims);

    /* Device memory, streams, graph capture. NULL members on host backends: the engine
     * then uses the context's allocator and memcpy, and no streams. */
    void *(*mem_alloc)(oct_backend *be, oct_ctx *ctx, size_t bytes);
    void (*mem_free)(oct_backend *be, oct_ctx *ctx, void *p);
    oct_status (*copy_in)(oct_backend *be, oct_ctx *ctx, void *dst, const void *host_src,
                          size_t bytes, oct_stream *s);
    oct_status (*copy_out)(oct_backend *be, oct_ctx *ctx, void *host_dst, const void *src,
                           size_t bytes, oct_stream *s);
    oct_status (*stream_new)(oct_backend *be, oct_ctx *ctx, oct_stream **out);
    void (*stream_free)(oct_backend *be, oct_stream *s);
    oct_status (*stream_sync)(oct_backend *be, oct_ctx *ctx, oct_stream *s);
    oct_status (*capture_begin)(oct_backend *be, oct_ctx *ctx, oct_stream *s);
    oct_status (*capture_end)(oct_backend *be, oct_ctx *ctx, oct_stream *s, void **graph);
    oct_status (*graph_launch)(oct_backend *be, oct_ctx *ctx, void *graph, oct_stream *s);
    void (*graph_free)(oct_backend *be, void *graph);

    /* What can change a result: chip, driver and library versions, in a few words. NULL on host
     * backends. */
    const char *(*describe)(const oct_backend *be);

    /* Counting of activations where they are; NULL = on the host only. */
    const struct oct_hist_device_vtable *hist;
    /* Copies inside device memory. */
    oct_status (*copy_within)(oct_backend *be, oct_ctx *ctx, void *dst, const void *src,
                              size_t bytes, oct_stream *s);
    /* Host memory from and to which copies overlap with work (pinned). */
    void *(*host_alloc)(oct_backend *be, oct_ctx *ctx, size_t bytes);
    void (*host_free)(oct_backend *be, oct_ctx *ctx, void *p);
    /* Events; event_ms waits for `to` and gives the time since `from` on one stream. */
    oct_status (*event_new)(oct_backend *be, oct_ctx *ctx, oct_event **out);
    void (*event_free)(oct_backend *be, oct_event *e);
    oct_status (*event_record)(oct_backend *be, oct_ctx *ctx, oct_event *e, oct_stream *s);
    oct_status (*event_ms)(oct_backend *be, oct_ctx *ctx, oct_event *from, oct_event *to,
                           double *ms);
    oct_status (*device_info)(oct_backend *be, oct_ctx *ctx, oct_device_info *info);

    void (*close)(oct_backend *be, oct_ctx *ctx);
} oct_backend_vtable;

struct oct_backend { /* first member of every backend's own struct */
    const oct_backend_vtable *vt;
};

struct oct_prepared { /* first member of every prepared op */
    oct_backend *backend;
    uint32_t packed; /* devices: bit i = run() does not read constant input i, which then need not
                          lie in device memory (0 = reads all) */
};

/* Backends by name: "ref" and "cpu" always ("cpu" = oneDNN where built, our SIMD, else ref per
 * op); "cuda" or "cuda:N" where built and present. OCT_ERR_UNSUPPORTED / OCT_ERR_DEVICE otherwise. */
OCT_MUST_CHECK oct_status oct_backend_open(oct_ctx *ctx, const char *name, oct_backend **out);
void oct_backend_close(oct_backend *be, oct_ctx *ctx); /* NULL is allowed */

/* Fresh non-zero key for a constant (atomic counter). */
uint64_t oct_const_key_new(void);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_BACKEND_H */
