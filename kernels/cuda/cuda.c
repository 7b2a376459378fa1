/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cuda/cuda.h"

#include <cublasLt.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/cuda/cuda_fault.h"
#include "kernels/cuda/cuda_hist.h"
#include "kernels/cuda/cuda_internal.h"
#include "kernels/cuda/cuda_packs.h"
#include "kernels/op_schema.h"

#define X(f) &oct_cuda_rows_##f,
static const oct_cuda_rows *const families[] = {OCT_CUDA_FAMILIES(X)};
#undef X

enum { N_FAMILIES = sizeof families / sizeof families[0] };

/* Candidate ids: family * 256 + row. */
#define ROW_BITS 8

/* Oldest chip whose kernels are built (mma.sync for s8, cp.async). */
#define OLDEST_CC 80

oct_status oct_cuda_check(oct_ctx *ctx, cudaError_t e, const char *what)
{
    if (e == cudaSuccess)
        return OCT_OK;
    int device = 0;
    cudaGetDevice(&device);
    const oct_status st = e == cudaErrorMemoryAllocation ? OCT_ERR_NOMEM : OCT_ERR_DEVICE;
    return oct_fail(ctx, st, "GPU %d: %s: %s", device, what, cudaGetErrorString(e));
}

void *oct_cuda_op_new(oct_cuda *be, oct_ctx *ctx, size_t bytes)
{
    oct_cuda_op *op = oct_zalloc(ctx, bytes);
    if (op)
        op->base.backend = &be->base;
    return op;
}

bool oct_cuda_no(char *reason, const char *why)
{
    snprintf(reason, OCT_REASON_BYTES, "%s", why);
    return false;
}

static oct_status use(oct_backend *base, oct_ctx *ctx)
{
    return oct_cuda_check(ctx, cudaSetDevice(((oct_cuda *)base)->device), "choosing the device");
}

/* ---- operators ---- */

static int enumerate(oct_backend *base, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *list,
                     int cap, char *reason)
{
    oct_cuda *be = (oct_cuda *)base;
    int n = 0;
    snprintf(reason, OCT_REASON_BYTES, "no GPU kernel for %s", oct_op_name(d->op));
    for (uint32_t f = 0; f < N_FAMILIES; f++) {
        for (int r = 0; r < families[f]->n && n < cap; r++) {
            const oct_cuda_row *row = &families[f]->row[r];
            if (row->op != d->op)
                continue;
            oct_candidate c = {.id = f << ROW_BITS | (uint32_t)r, .alias_in = -1};
            if (row->query(be, ctx, d, &c, reason))
                list[n++] = c;
        }
    }
    return n;
}

static oct_status prepare_op(oct_backend *base, oct_ctx *ctx, const oct_op_desc *d,
                             const oct_candidate *c, oct_prepared **out)
{
    oct_cuda *be = (oct_cuda *)base;
    const oct_cuda_rows *family = families[c->id >> ROW_BITS];
    const oct_cuda_row *row = &family->row[c->id & ((1u << ROW_BITS) - 1)];
    OCT_TRY(oct_cuda_check(ctx, cudaSetDevice(be->device), "choosing the device"));
    oct_cuda_op *op = NULL;
    const oct_status st = row->prepare(be, ctx, d, c, &op);
    if (st != OCT_OK)
        return oct_fail_in(ctx, st, "%s (%s)", d->name ? d->name : "?", c->name);
    *out = &op->base;
    return OCT_OK;
}

static void release(oct_backend *base, oct_prepared *p)
{
    oct_cuda *be = (oct_cuda *)base;
    oct_cuda_op *op = (oct_cuda_op *)p;
    if (!op)
        return;
    if (op->release)
        op->release(be, op);
    oct_free(be->ctx, op);
}

static oct_status run(const oct_prepared *p, oct_ctx *ctx, const oct_run_args *a)
{
    const oct_cuda_op *op = (const oct_cuda_op *)p;
    OCT_TRY(use(p->backend, ctx)); /* the device is a property of the calling thread */
    return op->run(op, ctx, a);
}

static oct_layout_wish layout_wish(oct_backend *base, oct_op op, const void *attr, int n_dims)
{
    (void)base;
    (void)attr;
    const uint32_t flags = oct_op_schema_get(op)->flags;
    if ((flags & OCT_OPF_SPATIAL) && n_dims >= 3)
        return OCT_WISH_CHANNELS_LAST;
    if (op == OCT_OP_QUANTIZE_LINEAR || op == OCT_OP_DEQUANTIZE_LINEAR)
        return OCT_WISH_ANY; /* their axis is walked by its stride */
    return flags & (OCT_OPF_UNARY | OCT_OPF_BINARY) ? OCT_WISH_ANY : OCT_WISH_ROW;
}

/* ---- memory and streams ---- */

static void *mem_alloc(oct_backend *base, oct_ctx *ctx, size_t bytes)
{
    void *p = NULL;
    if (use(base, ctx) != OCT_OK)
        return NULL;
    const cudaError_t e = cudaMalloc(&p, bytes ? bytes : 1);
    if (e == cudaSuccess)
        return p;
    (void)cudaGetLastError(); /* not sticky */
    (void)oct_fail(ctx, OCT_ERR_NOMEM, "GPU memory: %zu bytes: %s", bytes, cudaGetErrorString(e));
    return NULL;
}

static void mem_free(oct_backend *base, oct_ctx *ctx, void *p)
{
    (void)base;
    (void)ctx;
    cudaFree(p);
}

static oct_status copy(oct_ctx *ctx, void *dst, const void *src, size_t bytes,
                       enum cudaMemcpyKind kind, oct_stream *s)
{
    return oct_cuda_check(ctx, cudaMemcpyAsync(dst, src, bytes, kind, s ? s->s : 0), "copying");
}

static oct_status copy_in(oct_backend *base, oct_ctx *ctx, void *dst, const void *src, size_t bytes,
                          oct_stream *s)
{
    OCT_TRY(use(base, ctx));
    OCT_TRY(copy(ctx, dst, src, bytes, cudaMemcpyHostToDevice, s));
    return s ? OCT_OK : oct_cuda_check(ctx, cudaStreamSynchronize(0), "copying");
}

static oct_status copy_out(oct_backend *base, oct_ctx *ctx, void *dst, const void *src,
                           size_t bytes, oct_stream *s)
{
    OCT_TRY(use(base, ctx));
    OCT_TRY(copy(ctx, dst, src, bytes, cudaMemcpyDeviceToHost, s));
    return s ? OCT_OK : oct_cuda_check(ctx, cudaStreamSynchronize(0), "copying");
}

static oct_status stream_new(oct_backend *base, oct_ctx *ctx, oct_stream **out)
{
    OCT_TRY(use(base, ctx));
    oct_cuda_stream *s = oct_zalloc(((oct_cuda *)base)->ctx, sizeof *s);
    if (!s)
        return OCT_ERR_NOMEM;
    oct_status st = oct_cuda_fault_new(ctx, &s->fault);
    if (st == OCT_OK)
        st = oct_cuda_check(ctx, cudaStreamCreateWithFlags(&s->base.s, cudaStreamNonBlocking),
                            "making a stream");
    if (st != OCT_OK) {
        oct_cuda_fault_free(s->fault);
        oct_free(((oct_cuda *)base)->ctx, s);
        return st;
    }
    *out = &s->base;
    return OCT_OK;
}

static void stream_free(oct_backend *base, oct_stream *s)
{
    if (!s)
        return;
    cudaStreamDestroy(s->s);
    oct_cuda_fault_free(((oct_cuda_stream *)s)->fault);
    oct_free(((oct_cuda *)base)->ctx, s);
}

static oct_status stream_sync(oct_backend *base, oct_ctx *ctx, oct_stream *s)
{
    (void)base;
    OCT_TRY(oct_cuda_check(ctx, cudaStreamSynchronize(s ? s->s : 0), "running"));
    return s ? oct_cuda_fault_take(ctx, ((oct_cuda_stream *)s)->fault) : OCT_OK;
}

static oct_status copy_within(oct_backend *base, oct_ctx *ctx, void *dst, const void *src,
                              size_t bytes, oct_stream *s)
{
    (void)base;
    return copy(ctx, dst, src, bytes, cudaMemcpyDeviceToDevice, s);
}

static void *host_alloc(oct_backend *base, oct_ctx *ctx, size_t bytes)
{
    void *p = NULL;
    if (use(base, ctx) != OCT_OK)
        return NULL;
    const cudaError_t e = cudaMallocHost(&p, bytes ? bytes : 1);
    if (e == cudaSuccess)
        return p;
    (void)cudaGetLastError(); /* not sticky */
    (void)oct_fail(ctx, OCT_ERR_NOMEM, "pinned memory: %zu bytes: %s", bytes,
                   cudaGetErrorString(e));
    return NULL;
}

static void host_free(oct_backend *base, oct_ctx *ctx, void *p)
{
    (void)base;
    (void)ctx;
    if (p)
        cudaFreeHost(p);
}

/* ---- events ---- */

static oct_status event_new(oct_backend *base, oct_ctx *ctx, oct_event **out)
{
    cudaEvent_t e;
    OCT_TRY(use(base, ctx));
    OCT_TRY(oct_cuda_check(ctx, cudaEventCreate(&e), "making an event"));
    *out = (oct_event *)e;
    return OCT_OK;
}

static void event_free(oct_backend *base, oct_event *e)
{
    (void)base;
    if (e)
        cudaEventDestroy((cudaEvent_t)e);
}

static oct_status event_record(oct_backend *base, oct_ctx *ctx, oct_event *e, oct_stream *s)
{
    (void)base;
    return oct_cuda_check(ctx, cudaEventRecord((cudaEvent_t)e, s ? s->s : 0), "recording an event");
}

static oct_status event_ms(oct_backend *base, oct_ctx *ctx, oct_event *from, oct_event *to,
                           double *ms)
{
    float f = 0;
    (void)base;
    OCT_TRY(oct_cuda_check(ctx, cudaEventSynchronize((cudaEvent_t)to), "running"));
    OCT_TRY(oct_cuda_check(ctx, cudaEventElapsedTime(&f, (cudaEvent_t)from, (cudaEvent_t)to),
                           "timing"));
    *ms = (double)f;
    return OCT_OK;
}

/* ---- graphs ---- */

static oct_status capture_begin(oct_backend *base, oct_ctx *ctx, oct_stream *s)
{
    OCT_TRY(use(base, ctx));
    return oct_cuda_check(ctx, cudaStreamBeginCapture(s->s, cudaStreamCaptureModeThreadLocal),
                          "recording a graph");
}

static oct_status capture_end(oct_backend *base, oct_ctx *ctx, oct_stream *s, void **graph)
{
    (void)base;
    cudaGraph_t g = NULL;
    cudaGraphExec_t exec = NULL;
    OCT_TRY(oct_cuda_check(ctx, cudaStreamEndCapture(s->s, &g), "recording a graph"));
    const oct_status st = oct_cuda_check(ctx, cudaGraphInstantiate(&exec, g, 0), "making a graph");
    cudaGraphDestroy(g);
    *graph = exec;
    return st;
}

static oct_status graph_launch(oct_backend *base, oct_ctx *ctx, void *graph, oct_stream *s)
{
    OCT_TRY(use(base, ctx));
    return oct_cuda_check(ctx, cudaGraphLaunch((cudaGraphExec_t)graph, s->s), "running a graph");
}

static void graph_free(oct_backend *base, void *graph)
{
    (void)base;
    if (graph)
        cudaGraphExecDestroy((cudaGraphExec_t)graph);
}

static const char *describe(const oct_backend *base)
{
    return ((const oct_cuda *)base)->text;
}

/* ---- what the device is ---- */

/* CUDA numbers its versions 1000 * major + 10 * minor. */
static void version_text(char *text, size_t cap, int version)
{
    snprintf(text, cap, "%d.%d", version / 1000, version % 1000 / 10);
}

static oct_status device_info(oct_backend *base, oct_ctx *ctx, oct_device_info *info)
{
    oct_cuda *be = (oct_cuda *)base;
    int driver = 0, runtime = 0, clock = 0, memory_clock = 0, l2 = 0;
    memset(info, 0, sizeof *info);
    OCT_TRY(use(base, ctx));
    OCT_TRY(oct_cuda_check(ctx, cudaDriverGetVersion(&driver), "asking the driver"));
    OCT_TRY(oct_cuda_check(ctx, cudaRuntimeGetVersion(&runtime), "asking the runtime"));
    OCT_TRY(oct_cuda_check(ctx, cudaMemGetInfo(&info->free_bytes, &info->memory_bytes),
                           "asking for memory"));
    (void)cudaDeviceGetAttribute(&clock, cudaDevAttrClockRate, be->device);
    (void)cudaDeviceGetAttribute(&memory_clock, cudaDevAttrMemoryClockRate, be->device);
    (void)cudaDeviceGetAttribute(&l2, cudaDevAttrL2CacheSize, be->device);
    snprintf(info->name, sizeof info->name, "%s", be->name);
    version_text(info->driver, sizeof info->driver, driver);
    version_text(info->runtime, sizeof info->runtime, runtime);
    const size_t lt = cublasLtGetVersion();
    snprintf(info->blas, sizeof info->blas, "%zu.%zu.%zu", lt / 10000, lt / 100 % 100, lt % 100);
    info->cc = be->cc;
    info->n_sm = be->n_sm;
    info->clock_mhz = clock / 1000;
    info->memory_clock_mhz = memory_clock / 1000;
    info->l2_bytes = (size_t)l2;
    return OCT_OK;
}

/* ---- open and close ---- */

static void close_cuda(oct_backend *base, oct_ctx *ctx)
{
    oct_cuda *be = (oct_cuda *)base;
    oct_ctx *own = be->ctx;
    cudaSetDevice(be->device);
    if (be->lt)
        cublasLtDestroy(be->lt);
    oct_cuda_packs_free(be->packs);
    oct_free(own, be);
    oct_ctx_join(ctx, own);
}

static const oct_backend_vtable cuda_vtable = {
    .name = "cuda",
    .host_memory = false,
    .enumerate = enumerate,
    .prepare = prepare_op,
    .release = release,
    .run = run,
    .layout_wish = layout_wish,
    .mem_alloc = mem_alloc,
    .mem_free = mem_free,
    .copy_in = copy_in,
    .copy_out = copy_out,
    .stream_new = stream_new,
    .stream_free = stream_free,
    .stream_sync = stream_sync,
    .capture_begin = capture_begin,
    .capture_end = capture_end,
    .graph_launch = graph_launch,
    .graph_free = graph_free,
    .describe = describe,
    .hist = &oct_cuda_hist,
    .copy_within = copy_within,
    .host_alloc = host_alloc,
    .host_free = host_free,
    .event_new = event_new,
    .event_free = event_free,
    .event_record = event_record,
    .event_ms = event_ms,
    .device_info = device_info,
    .close = close_cuda,
};

static oct_status parse_device(oct_ctx *ctx, const char *arg, int *device)
{
    int n = 0;
    OCT_TRY(oct_cuda_check(ctx, cudaGetDeviceCount(&n), "looking for devices"));
    *device = 0;
    for (const char *c = arg; *c; c++) {
        if (*c < '0' || *c > '9' || *device > 9999)
            return oct_fail(ctx, OCT_ERR_USAGE, "device cuda:%s: expected a number", arg);
        *device = 10 * *device + (*c - '0');
    }
    if (*device >= n)
        return oct_fail(ctx, OCT_ERR_DEVICE, "device cuda:%d: there are %d", *device, n);
    return OCT_OK;
}

static oct_status read_properties(oct_cuda *be, oct_ctx *ctx)
{
    struct cudaDeviceProp p;
    OCT_TRY(oct_cuda_check(ctx, cudaSetDevice(be->device), "choosing the device"));
    OCT_TRY(oct_cuda_check(ctx, cudaGetDeviceProperties(&p, be->device), "asking the device"));
    be->cc = 10 * p.major + p.minor;
    be->n_sm = p.multiProcessorCount;
    be->smem_per_block = p.sharedMemPerBlockOptin;
    snprintf(be->name, sizeof be->name, "%s", p.name);
    int runtime = 0;
    OCT_TRY(oct_cuda_check(ctx, cudaRuntimeGetVersion(&runtime), "asking for versions"));
    snprintf(be->text, sizeof be->text, "%s sm_%d, CUDA %d.%d, cuBLASLt %zu", be->name, be->cc,
             runtime / 1000, runtime % 1000 / 10, cublasLtGetVersion());
    if (be->cc < OLDEST_CC)
        return oct_fail(
            ctx, OCT_ERR_DEVICE,
            "%s: compute capability %d.%d, octet needs %d.%d or newer; use --device cpu", be->name,
            p.major, p.minor, OLDEST_CC / 10, OLDEST_CC % 10);
    return OCT_OK;
}

static oct_status open_parts(oct_cuda *be, oct_ctx *ctx)
{
    OCT_TRY(read_properties(be, ctx));
    OCT_TRY(oct_cuda_packs_new(be->ctx, &be->packs));
    cublasLtHandle_t lt = NULL;
    if (cublasLtCreate(&lt) != CUBLAS_STATUS_SUCCESS)
        return oct_fail(ctx, OCT_ERR_DEVICE, "%s: cuBLASLt does not start", be->name);
    be->lt = lt;
    return OCT_OK;
}

oct_status oct_cuda_open(oct_ctx *ctx, const char *arg, oct_backend **out)
{
    int device = 0;
    OCT_TRY(parse_device(ctx, arg, &device));
    oct_ctx *own = NULL;
    OCT_TRY(oct_ctx_fork(ctx, &own));
    oct_cuda *be = oct_zalloc(own, sizeof *be);
    if (!be) {
        oct_ctx_join(ctx, own);
        return OCT_ERR_NOMEM;
    }
    be->base.vt = &cuda_vtable;
    be->ctx = own;
    be->device = device;
    const oct_status st = open_parts(be, ctx);
    if (st != OCT_OK) {
        close_cuda(&be->base, ctx);
        return st;
    }
    *out = &be->base;
    return OCT_OK;
}
