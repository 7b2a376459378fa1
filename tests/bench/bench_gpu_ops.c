/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory-bound operators on the GPU: achieved GB/s (each operand read or written once) beside a
 * device-to-device copy of the same run. Buffers are larger than the L2 cache together.
 *
 *     bench_gpu_ops [NAME PART]
 */
#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "kernels/backend.h"
#include "kernels/op_schema.h"

enum { RUNS = 20, REPEATS = 5, MAX_IN = 5, NOISE = 1 << 22 };

typedef struct bench_case {
    const char *name;
    oct_op op;
    oct_dtype in, out;
    int x[4], y[4]; /* shapes; the last entries may be 0 */
    oct_layout in_layout, out_layout;
    int second; /* 0 none, 1 another input like the first, 2 per channel, 3 per image and channel */
} bench_case;

#define ROW OCT_LAYOUT_ROW
#define CL OCT_LAYOUT_CHANNELS_LAST
#define F32 OCT_DT_F32
#define F16 OCT_DT_F16
#define S8 OCT_DT_S8

static const bench_case cases[] = {
    {"add f32", OCT_OP_ADD, F32, F32, {64, 256, 56, 56}, {64, 256, 56, 56}, CL, CL, 1},
    {"add f16", OCT_OP_ADD, F16, F16, {128, 256, 56, 56}, {128, 256, 56, 56}, CL, CL, 1},
    {"add s8", OCT_OP_ADD, S8, S8, {256, 256, 56, 56}, {256, 256, 56, 56}, CL, CL, 1},
    {"mul f32 per channel", OCT_OP_MUL, F32, F32, {64, 256, 56, 56}, {64, 256, 56, 56}, CL, CL, 2},
    {"mul f32 per channel, row",
     OCT_OP_MUL,
     F32,
     F32,
     {64, 256, 56, 56},
     {64, 256, 56, 56},
     ROW,
     ROW,
     2},
    {"relu f16", OCT_OP_RELU, F16, F16, {128, 256, 56, 56}, {128, 256, 56, 56}, CL, CL, 0},
    {"sigmoid f32", OCT_OP_SIGMOID, F32, F32, {64, 256, 56, 56}, {64, 256, 56, 56}, CL, CL, 0},
    {"quantize f32",
     OCT_OP_QUANTIZE_LINEAR,
     F32,
     S8,
     {64, 256, 56, 56},
     {64, 256, 56, 56},
     CL,
     CL,
     0},
    {"dequantize f16",
     OCT_OP_DEQUANTIZE_LINEAR,
     S8,
     F16,
     {128, 256, 56, 56},
     {128, 256, 56, 56},
     CL,
     CL,
     0},
    {"table s8", OCT_OP_TABLE, S8, S8, {256, 256, 56, 56}, {256, 256, 56, 56}, CL, CL, 0},
    {"max pool f16", OCT_OP_MAX_POOL, F16, F16, {256, 64, 112, 112}, {256, 64, 56, 56}, CL, CL, 0},
    {"max pool s8", OCT_OP_MAX_POOL, S8, S8, {256, 64, 112, 112}, {256, 64, 56, 56}, CL, CL, 0},
    {"max pool f32, row",
     OCT_OP_MAX_POOL,
     F32,
     F32,
     {128, 64, 112, 112},
     {128, 64, 56, 56},
     ROW,
     ROW,
     0},
    {"global average f16",
     OCT_OP_GLOBAL_AVERAGE_POOL,
     F16,
     F16,
     {512, 2048, 7, 7},
     {512, 2048, 1, 1},
     CL,
     CL,
     0},
    {"global average f32, row",
     OCT_OP_GLOBAL_AVERAGE_POOL,
     F32,
     F32,
     {512, 2048, 7, 7},
     {512, 2048, 1, 1},
     ROW,
     ROW,
     0},
    {"global average s8",
     OCT_OP_GLOBAL_AVERAGE_POOL,
     S8,
     S8,
     {1024, 2048, 7, 7},
     {1024, 2048, 1, 1},
     CL,
     CL,
     0},
    {"softmax f32 197",
     OCT_OP_SOFTMAX,
     F32,
     F32,
     {128, 12, 197, 197},
     {128, 12, 197, 197},
     ROW,
     ROW,
     0},
    {"softmax f16 197",
     OCT_OP_SOFTMAX,
     F16,
     F16,
     {128, 12, 197, 197},
     {128, 12, 197, 197},
     ROW,
     ROW,
     0},
    {"layer norm f32 768",
     OCT_OP_LAYER_NORM,
     F32,
     F32,
     {512, 197, 768},
     {512, 197, 768},
     ROW,
     ROW,
     0},
    {"layer norm f16 768",
     OCT_OP_LAYER_NORM,
     F16,
     F16,
     {512, 197, 768},
     {512, 197, 768},
     ROW,
     ROW,
     0},
    {"nchw>nhwc f32", OCT_OP_REORDER, F32, F32, {64, 256, 56, 56}, {64, 256, 56, 56}, ROW, CL, 0},
    {"nhwc>nchw f16", OCT_OP_REORDER, F16, F16, {128, 256, 56, 56}, {128, 256, 56, 56}, CL, ROW, 0},
    {"nchw>nhwc s8", OCT_OP_REORDER, S8, S8, {256, 256, 56, 56}, {256, 256, 56, 56}, ROW, CL, 0},
    {"nchw>nhwc f32 3 channels",
     OCT_OP_REORDER,
     F32,
     F32,
     {512, 3, 224, 224},
     {512, 3, 224, 224},
     ROW,
     CL,
     0},
    {"nchw>nhwc s8 3 channels",
     OCT_OP_REORDER,
     S8,
     S8,
     {1024, 3, 224, 224},
     {1024, 3, 224, 224},
     ROW,
     CL,
     0},
    {"batch norm f32",
     OCT_OP_BATCH_NORM,
     F32,
     F32,
     {64, 256, 56, 56},
     {64, 256, 56, 56},
     CL,
     CL,
     0},
    {"instance norm f32, row",
     OCT_OP_INSTANCE_NORM,
     F32,
     F32,
     {64, 256, 56, 56},
     {64, 256, 56, 56},
     ROW,
     ROW,
     0},
    /* what MobileNetV2, EfficientNet-B0, YOLOv8n and ViT-B/16 have besides */
    {"excite f16", OCT_OP_MUL, F16, F16, {128, 96, 112, 112}, {128, 96, 112, 112}, CL, CL, 3},
    {"excite s8", OCT_OP_MUL, S8, S8, {256, 96, 112, 112}, {256, 96, 112, 112}, CL, CL, 3},
    {"silu f16", OCT_OP_SWISH, F16, F16, {128, 256, 56, 56}, {128, 256, 56, 56}, CL, CL, 0},
    {"squeeze f16",
     OCT_OP_GLOBAL_AVERAGE_POOL,
     F16,
     F16,
     {128, 32, 112, 112},
     {128, 32, 1, 1},
     CL,
     CL,
     0},
    {"squeeze s8",
     OCT_OP_GLOBAL_AVERAGE_POOL,
     S8,
     S8,
     {256, 32, 112, 112},
     {256, 32, 1, 1},
     CL,
     CL,
     0},
    {"squeeze f16, 240",
     OCT_OP_GLOBAL_AVERAGE_POOL,
     F16,
     F16,
     {512, 240, 28, 28},
     {512, 240, 1, 1},
     CL,
     CL,
     0},
    {"upsample f16", OCT_OP_RESIZE, F16, F16, {128, 128, 40, 40}, {128, 128, 80, 80}, CL, CL, 0},
    {"upsample s8", OCT_OP_RESIZE, S8, S8, {128, 128, 40, 40}, {128, 128, 80, 80}, CL, CL, 0},
    {"concat f16", OCT_OP_CONCAT, F16, F16, {64, 64, 80, 80}, {64, 128, 80, 80}, CL, CL, 1},
    {"concat s8", OCT_OP_CONCAT, S8, S8, {128, 64, 80, 80}, {128, 128, 80, 80}, CL, CL, 1},
    {"max pool 5x5 s8", OCT_OP_MAX_POOL, S8, S8, {512, 128, 40, 40}, {512, 128, 40, 40}, CL, CL, 0},
    {"heads f16", OCT_OP_TRANSPOSE, F16, F16, {512, 197, 12, 64}, {512, 12, 197, 64}, ROW, ROW, 0},
    {"quantize f16",
     OCT_OP_QUANTIZE_LINEAR,
     F16,
     S8,
     {128, 256, 56, 56},
     {128, 256, 56, 56},
     CL,
     CL,
     0},
    {"cast f32>f16", OCT_OP_CAST, F32, F16, {64, 256, 56, 56}, {64, 256, 56, 56}, CL, CL, 0},
};

static oct_ctx *ctx;
static oct_backend *be;
static oct_stream *stream;
static const oct_qparams q8 = {0.02f, 0};

static oct_shape shape_of(const int *d)
{
    oct_shape s = {{0}, 0};
    while (s.n_dims < 4 && d[s.n_dims] > 0) {
        s.dim[s.n_dims] = d[s.n_dims];
        s.n_dims++;
    }
    return s;
}

static void must(oct_status st)
{
    if (st == OCT_OK)
        return;
    printf("failed: %s\n", oct_error_text(ctx));
    exit(1);
}

static size_t bytes_of(const oct_operand *o)
{
    size_t n = 0;
    return oct_tensor_desc_bytes(&o->desc, &n) ? n : 0;
}

/* A device buffer of small random values: a block of them, again and again. */
static void *buffer(const oct_operand *o)
{
    const size_t n = o->desc.dtype == OCT_DT_NONE ? 0 : bytes_of(o);
    if (n == 0)
        return NULL;
    uint8_t *host = malloc(n);
    oct_rng rng;
    memset(&rng, 7, sizeof rng);
    for (size_t i = 0; i < n && i < NOISE; i++)
        host[i] = o->desc.dtype == F32 || o->desc.dtype == F16 ? (uint8_t)(0x30 + i % 13)
                                                               : (uint8_t)oct_rng_u64(&rng);
    for (size_t i = NOISE; i < n; i += NOISE)
        memcpy(host + i, host, n - i < NOISE ? n - i : NOISE);
    void *p = be->vt->mem_alloc(be, ctx, n);
    if (p)
        must(be->vt->copy_in(be, ctx, p, host, n, NULL));
    free(host);
    return p;
}

static oct_operand operand(oct_dtype dt, oct_shape s, oct_layout l, bool quantized)
{
    oct_operand o = {.desc = oct_tensor_desc_make(dt, s, l)};
    if (quantized && dt == S8)
        o.quant = (oct_quant){&q8, 1, 0};
    return o;
}

/* Inputs behind the first: parameters of the op. */
static int parameters(const bench_case *c, oct_operand *in)
{
    const oct_shape channels = {{c->x[1]}, 1}, inner = {{c->x[2]}, 1}, scalar = {{0}, 0};
    const oct_shape each = {{c->second == 3 ? c->x[0] : 1, c->x[1], 1, 1}, 4}, table = {{256}, 1};
    const bool q = c->in == S8;
    int n = 1;
    if (c->second == 1)
        in[n++] = in[0];
    if (c->second >= 2)
        in[n++] = operand(c->in, each, c->in_layout, q);
    if (c->op == OCT_OP_QUANTIZE_LINEAR || c->op == OCT_OP_DEQUANTIZE_LINEAR)
        in[n++] = operand(F32, scalar, ROW, false);
    if (c->op == OCT_OP_RESIZE) {
        static const float twice[4] = {1, 1, 2, 2};
        n++; /* no region */
        in[n] = operand(F32, (oct_shape){{4}, 1}, ROW, false);
        in[n++].data = twice;
    }
    if (c->op == OCT_OP_TABLE)
        in[n++] = operand(OCT_DT_U8, table, ROW, false);
    if (c->op == OCT_OP_LAYER_NORM)
        in[n++] = operand(c->in, inner, ROW, false);
    const int params = c->op == OCT_OP_BATCH_NORM ? 4 : c->op == OCT_OP_INSTANCE_NORM ? 2 : 0;
    for (int i = 0; i < params; i++)
        in[n++] = operand(F32, channels, ROW, false);
    return n;
}

static float time_runs(const oct_prepared *p, const oct_run_args *a)
{
    cudaEvent_t from, to;
    const cudaStream_t s = *(const cudaStream_t *)stream; /* its first member */
    float best = 1e9f;
    cudaEventCreate(&from);
    cudaEventCreate(&to);
    must(be->vt->run(p, ctx, a));
    for (int r = 0; r < REPEATS; r++) {
        float ms = 0;
        cudaEventRecord(from, s);
        for (int i = 0; i < RUNS; i++)
            must(be->vt->run(p, ctx, a));
        cudaEventRecord(to, s);
        cudaEventSynchronize(to);
        cudaEventElapsedTime(&ms, from, to);
        best = ms < best ? ms : best;
    }
    cudaEventDestroy(from);
    cudaEventDestroy(to);
    return best / RUNS;
}

static double copy_rate(void)
{
    const oct_operand o = operand(F32, (oct_shape){{1 << 28}, 1}, ROW, false);
    const bench_case c = {.op = OCT_OP_IDENTITY, .name = "copy"};
    const oct_op_desc d = {.op = c.op,
                           .in = &o,
                           .out = &o,
                           .n_in = 1,
                           .n_out = 1,
                           .name = c.name,
                           .epilogue = {.residual = -1},
                           .threads = 1};
    oct_candidate cand;
    char reason[OCT_REASON_BYTES];
    oct_prepared *p = NULL;
    if (be->vt->enumerate(be, ctx, &d, &cand, 1, reason) != 1)
        return 0;
    must(be->vt->prepare(be, ctx, &d, &cand, &p));
    const void *in[1] = {buffer(&o)};
    void *out[1] = {be->vt->mem_alloc(be, ctx, bytes_of(&o))};
    const float ms = time_runs(p, &(oct_run_args){in, out, NULL, stream});
    be->vt->mem_free(be, ctx, (void *)in[0]);
    be->vt->mem_free(be, ctx, out[0]);
    be->vt->release(be, p);
    return 2.0 * (double)bytes_of(&o) / ms / 1e6;
}

static void run_case(const bench_case *c, double copy)
{
    union {
        oct_attr_window window;
        oct_attr_axis axis;
        oct_attr_norm norm;
        oct_attr_quantize quantize;
        oct_attr_transpose transpose;
        oct_attr_resize resize;
    } at;
    const bool moves = c->op == OCT_OP_QUANTIZE_LINEAR || c->op == OCT_OP_DEQUANTIZE_LINEAR;
    const bool quantized = c->in == S8 && c->op != OCT_OP_TABLE && !moves;
    oct_operand in[MAX_IN] = {operand(c->in, shape_of(c->x), c->in_layout, quantized)};
    const oct_operand out = operand(c->out, shape_of(c->y), c->out_layout, quantized);
    memset(&at, 0, sizeof at);
    if (oct_op_schema_get(c->op)->attr_bytes)
        oct_op_attr_defaults(c->op, &at);
    if (c->op == OCT_OP_MAX_POOL) {
        at.window.n_kernel = at.window.n_stride = 2;
        at.window.n_pad = 4;
        const bool halves = c->y[2] < c->x[2];
        for (int i = 0; i < 4; i++)
            at.window.pad[i] = halves ? 1 : 2;
        at.window.kernel[0] = at.window.kernel[1] = halves ? 3 : 5;
        at.window.stride[0] = at.window.stride[1] = halves ? 2 : 1;
    }
    if (c->op == OCT_OP_TRANSPOSE) {
        at.transpose = (oct_attr_transpose){.n_perm = 4, .perm = {0, 2, 1, 3}};
    } else if (c->op == OCT_OP_RESIZE) {
        at.resize.mode = OCT_RESIZE_NEAREST;
        at.resize.coord = OCT_COORD_ASYMMETRIC;
        at.resize.nearest = OCT_NEAREST_FLOOR;
    } else if (c->op == OCT_OP_CONCAT) {
        at.axis.axis = 1;
    }
    const int n_in = parameters(c, in);
    const oct_op_desc d = {.op = c->op,
                           .attr = &at,
                           .in = in,
                           .out = &out,
                           .n_in = n_in,
                           .n_out = 1,
                           .epilogue = {.residual = -1},
                           .threads = 1,
                           .name = c->name};
    oct_candidate cand;
    char reason[OCT_REASON_BYTES];
    oct_prepared *p = NULL;
    if (be->vt->enumerate(be, ctx, &d, &cand, 1, reason) != 1) {
        printf("%-28s declined: %s\n", c->name, reason);
        return;
    }
    must(be->vt->prepare(be, ctx, &d, &cand, &p));
    const void *x[MAX_IN];
    size_t bytes = bytes_of(&out);
    for (int i = 0; i < n_in; i++) {
        x[i] = buffer(&in[i]);
        bytes += x[i] ? bytes_of(&in[i]) : 0;
    }
    void *y = be->vt->mem_alloc(be, ctx, bytes_of(&out));
    void *workspace = be->vt->mem_alloc(be, ctx, cand.workspace_bytes + 1);
    const float ms = time_runs(p, &(oct_run_args){x, &y, workspace, stream});
    const double rate = (double)bytes / ms / 1e6;
    printf("%-28s %-26s %8.1f us %7.0f GB/s %5.0f %% of copy\n", c->name, cand.name, 1e3 * ms, rate,
           100 * rate / copy);
    for (int i = 0; i < n_in; i++)
        be->vt->mem_free(be, ctx, (void *)x[i]);
    be->vt->mem_free(be, ctx, y);
    be->vt->mem_free(be, ctx, workspace);
    be->vt->release(be, p);
}

int main(int argc, char **argv)
{
    if (oct_ctx_new(NULL, &ctx) != OCT_OK)
        return 1;
    if (oct_backend_open(ctx, "cuda", &be) != OCT_OK) {
        printf("SKIPPED: %s\n", oct_error_text(ctx));
        return 77;
    }
    must(be->vt->stream_new(be, ctx, &stream));
    const double copy = copy_rate();
    printf("copy %.0f GB/s\n", copy);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (argc < 2 || strstr(cases[i].name, argv[1]))
            run_case(&cases[i], copy);
    be->vt->stream_free(be, stream);
    oct_backend_close(be, ctx);
    oct_ctx_free(ctx);
    return 0;
}
