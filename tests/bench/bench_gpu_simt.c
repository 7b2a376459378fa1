/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernels of ordinary arithmetic on the GPU, and products: ResNet-50's convolutions in true f32,
 * depthwise layers of MobileNetV2 and EfficientNet-B0, ViT-B/16's products. Each is timed by graph replay
 * over rotating buffers on random data, beside the floor of bytes and operations.
 *
 *     bench_gpu_simt [conv] [depthwise] [products] [all]
 *
 * all: every candidate, not only the one that is used untuned. Results are checked by
 * tests/kernels.
 */
#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/numeric.h"
#include "base/rng.h"
#include "kernels/backend.h"
#include "kernels/op_schema.h"

enum { MAX_CANDIDATES = 32, MAX_SETS = 12, RUNS = 12, REPEATS = 5 };

#define F32_PEAK 66.9e12 /* operations a second: H100/H200 SXM */
#define F16_PEAK 989e12
#define S8_SIMT_PEAK 66.9e12 /* depthwise sums 8-bit values in f32 */
#define S8_PEAK 1979e12

typedef struct bench {
    oct_ctx *ctx;
    oct_backend *be;
    oct_stream *stream;
    cudaStream_t timing;
    double copy_rate; /* bytes a second */
    bool all;
    uint8_t *noise;
} bench;

typedef struct job {
    const char *name;
    oct_operand in[4], out[1];
    oct_op_desc d;
    double ops, peak, bytes;
    uint8_t *dev_in[3][MAX_SETS], *dev_out[MAX_SETS], *workspace;
    int sets;
} job;

static void must(cudaError_t e, const char *what)
{
    if (e == cudaSuccess)
        return;
    fprintf(stderr, "bench_gpu_simt: %s: %s\n", what, cudaGetErrorString(e));
    exit(1);
}

static void must_ok(const bench *b, oct_status st)
{
    if (st == OCT_OK)
        return;
    fprintf(stderr, "bench_gpu_simt: %s\n", oct_error_text(b->ctx));
    exit(1);
}

/* ---- data: one block of random values for each type, repeated ---- */

#define NOISE_BYTES (8u << 20)

static void fill_noise(oct_dtype dt, uint8_t *to)
{
    oct_rng rng = {11};
    for (size_t i = 0; i < NOISE_BYTES / oct_dtype_bytes(dt); i++) {
        const float v = dt == OCT_DT_S8 ? 0.0f : oct_rng_normal(&rng);
        if (dt == OCT_DT_F32)
            ((float *)(void *)to)[i] = v;
        else if (dt == OCT_DT_F16)
            ((uint16_t *)(void *)to)[i] = oct_f16_from_f32(v);
        else
            to[i] = (uint8_t)oct_rng_u64(&rng);
    }
}

static uint8_t *device_noise(const bench *b, size_t bytes)
{
    uint8_t *p = NULL;
    must(cudaMalloc((void **)&p, bytes + 256), "memory");
    for (size_t at = 0; at < bytes; at += NOISE_BYTES) {
        const size_t n = bytes - at < NOISE_BYTES ? bytes - at : NOISE_BYTES;
        must(cudaMemcpy(p + at, b->noise, n, cudaMemcpyHostToDevice), "copy");
    }
    return p;
}

static size_t bytes_of(const oct_operand *o)
{
    size_t n = 0;
    return o->desc.dtype != OCT_DT_NONE && oct_tensor_desc_bytes(&o->desc, &n) ? n : 0;
}

/* ---- timing ---- */

static void run_once(bench *b, job *j, const oct_prepared *p, int set)
{
    const void *in[4] = {j->dev_in[0][set], j->dev_in[1][set], j->dev_in[2][set],
                         j->dev_in[0][set]};
    void *out[1] = {j->dev_out[set]};
    const oct_run_args a = {.in = in, .out = out, .workspace = j->workspace, .stream = b->stream};
    must_ok(b, b->be->vt->run(p, b->ctx, &a));
}

static double time_prepared(bench *b, job *j, const oct_prepared *p)
{
    const oct_backend_vtable *vt = b->be->vt;
    void *graph = NULL;
    cudaEvent_t from, to;
    double best = 1e30;
    run_once(b, j, p, 0);
    must_ok(b, vt->stream_sync(b->be, b->ctx, b->stream));
    must_ok(b, vt->capture_begin(b->be, b->ctx, b->stream));
    for (int i = 0; i < RUNS; i++)
        run_once(b, j, p, i % j->sets);
    must_ok(b, vt->capture_end(b->be, b->ctx, b->stream, &graph));
    must(cudaEventCreate(&from), "event");
    must(cudaEventCreate(&to), "event");
    for (int i = 0; i < REPEATS; i++) {
        float ms = 0;
        must(cudaEventRecord(from, b->timing), "event");
        must(cudaGraphLaunch((cudaGraphExec_t)graph, b->timing), "graph");
        must(cudaEventRecord(to, b->timing), "event");
        must(cudaStreamSynchronize(b->timing), "running");
        must(cudaEventElapsedTime(&ms, from, to), "time");
        best = ms < best ? ms : best;
    }
    cudaEventDestroy(from);
    cudaEventDestroy(to);
    vt->graph_free(b->be, graph);
    return best * 1e3 / RUNS;
}

/* The residual is read where the input lies. */
static size_t input_bytes(const job *j)
{
    const size_t x = bytes_of(&j->in[0]), y = bytes_of(&j->out[0]);
    return j->d.epilogue.residual >= 0 && y > x ? y : x;
}

static void buffers(bench *b, job *j)
{
    const size_t all = bytes_of(&j->in[0]) + bytes_of(&j->out[0]);
    j->sets = (int)((160u << 20) / (all + 1)) + 1;
    j->sets = j->sets > MAX_SETS ? MAX_SETS : j->sets;
    for (int s = 0; s < j->sets; s++) {
        j->dev_in[0][s] = device_noise(b, input_bytes(j));
        for (int i = 1; i < 3 && i < j->d.n_in; i++)
            j->dev_in[i][s] = s == 0 ? device_noise(b, bytes_of(&j->in[i])) : j->dev_in[i][0];
        j->dev_out[s] = device_noise(b, bytes_of(&j->out[0]));
    }
}

static void free_buffers(job *j)
{
    for (int s = 0; s < j->sets; s++) {
        cudaFree(j->dev_in[0][s]);
        cudaFree(j->dev_out[s]);
    }
    cudaFree(j->dev_in[1][0]);
    cudaFree(j->dev_in[2][0]);
}

/* Time of the first candidate, in us. */
static double measure(bench *b, job *j)
{
    oct_candidate list[MAX_CANDIDATES];
    char reason[OCT_REASON_BYTES] = "";
    const double floor =
        j->ops / j->peak > j->bytes / b->copy_rate ? j->ops / j->peak : j->bytes / b->copy_rate;
    double first = 0;
    const int n = b->be->vt->enumerate(b->be, b->ctx, &j->d, list, MAX_CANDIDATES, reason);
    if (n == 0)
        printf("%-22s %s\n", j->name, reason);
    buffers(b, j);
    for (int i = 0; i < n && (i == 0 || b->all); i++) {
        oct_prepared *p = NULL;
        must_ok(b, b->be->vt->prepare(b->be, b->ctx, &j->d, &list[i], &p));
        must(cudaMalloc((void **)&j->workspace, list[i].workspace_bytes + 256), "workspace");
        const double us = time_prepared(b, j, p);
        printf("%-22s %8.1f us  floor %7.1f  %5.1f %%  %6.2f Top/s %5.2f TB/s  %s\n", j->name, us,
               floor * 1e6, floor * 1e8 / us, j->ops / us * 1e-6, j->bytes / us * 1e-6,
               list[i].name);
        b->be->vt->release(b->be, p);
        cudaFree(j->workspace);
        first = i == 0 ? us : first;
    }
    free_buffers(j);
    fflush(stdout);
    return first;
}

/* ---- convolutions ---- */

typedef struct conv_layer {
    int ic, in, oc, kernel, stride, residual, count;
} conv_layer;

static const conv_layer resnet50[] = {
    {3, 224, 64, 7, 2, 0, 1},    {64, 56, 64, 1, 1, 0, 1},    {64, 56, 64, 3, 1, 0, 3},
    {64, 56, 256, 1, 1, 1, 3},   {64, 56, 256, 1, 1, 0, 1},   {256, 56, 64, 1, 1, 0, 2},
    {256, 56, 128, 1, 1, 0, 1},  {128, 56, 128, 3, 2, 0, 1},  {256, 56, 512, 1, 2, 0, 1},
    {128, 28, 512, 1, 1, 1, 4},  {512, 28, 128, 1, 1, 0, 3},  {128, 28, 128, 3, 1, 0, 3},
    {512, 28, 256, 1, 1, 0, 1},  {256, 28, 256, 3, 2, 0, 1},  {512, 28, 1024, 1, 2, 0, 1},
    {256, 14, 1024, 1, 1, 1, 6}, {1024, 14, 256, 1, 1, 0, 5}, {256, 14, 256, 3, 1, 0, 5},
    {1024, 14, 512, 1, 1, 0, 1}, {512, 14, 512, 3, 2, 0, 1},  {1024, 14, 2048, 1, 2, 0, 1},
    {512, 7, 2048, 1, 1, 1, 3},  {2048, 7, 512, 1, 1, 0, 2},  {512, 7, 512, 3, 1, 0, 2},
};

/* channels, input size, kernel, stride: MobileNetV2's, then those of EfficientNet-B0 it lacks */
static const int depthwise[][4] = {
    {32, 112, 3, 1}, {96, 112, 3, 2}, {144, 56, 3, 1}, {192, 28, 3, 1},
    {384, 14, 3, 1}, {576, 14, 3, 2}, {960, 7, 3, 1},  {144, 56, 5, 2},
    {240, 28, 5, 1}, {672, 14, 5, 1}, {1152, 7, 5, 1},
};

typedef struct conv_job {
    job j;
    oct_attr_window at;
    oct_qparams q_x, q_y, q_w;
    void *w, *bias;
    char name[48];
} conv_job;

static void *host_noise(const bench *b, size_t bytes)
{
    uint8_t *p = malloc(bytes + 8);
    for (size_t at = 0; p && at < bytes; at += NOISE_BYTES)
        memcpy(p + at, b->noise, bytes - at < NOISE_BYTES ? bytes - at : NOISE_BYTES);
    return p;
}

static void make_conv(const bench *b, conv_job *c, const conv_layer *l, int batch, int group,
                      oct_dtype dt)
{
    const int pad = l->kernel / 2, out = (l->in + 2 * pad - l->kernel) / l->stride + 1;
    const size_t width = oct_dtype_bytes(dt);
    job *j = &c->j;
    memset(c, 0, sizeof *c);
    oct_op_attr_defaults(OCT_OP_CONV, &c->at);
    c->at.n_stride = 2;
    c->at.n_pad = 4;
    c->at.group = group;
    for (int i = 0; i < 4; i++) {
        c->at.stride[i % 2] = l->stride;
        c->at.pad[i] = pad;
    }
    const oct_shape y = {{batch, l->oc, out, out}, 4};
    const oct_shape w = {{l->oc, l->ic / group, l->kernel, l->kernel}, 4};
    j->in[0].desc = oct_tensor_desc_make(dt, (oct_shape){{batch, l->ic, l->in, l->in}, 4},
                                         OCT_LAYOUT_CHANNELS_LAST);
    j->in[1].desc = oct_tensor_desc_make(dt, w, OCT_LAYOUT_ROW);
    j->in[2].desc = oct_tensor_desc_make(OCT_DT_F32, (oct_shape){{l->oc}, 1}, OCT_LAYOUT_ROW);
    j->in[3].desc = j->out[0].desc = oct_tensor_desc_make(dt, y, OCT_LAYOUT_CHANNELS_LAST);
    c->q_x = (oct_qparams){0.03f, 0};
    c->q_w = (oct_qparams){0.01f, 0};
    c->q_y = (oct_qparams){0.1f, 0};
    if (dt == OCT_DT_S8) {
        j->in[0].quant = (oct_quant){&c->q_x, 1, 0};
        j->in[1].quant = (oct_quant){&c->q_w, 1, 0};
        j->in[3].quant = j->out[0].quant = (oct_quant){&c->q_y, 1, 0};
    }
    c->w = host_noise(b, bytes_of(&j->in[1]));
    c->bias = calloc((size_t)l->oc, sizeof(float));
    j->in[1].data = c->w;
    j->in[1].const_key = oct_const_key_new();
    j->in[2].data = c->bias;
    j->d = (oct_op_desc){.op = OCT_OP_CONV,
                         .attr = &c->at,
                         .in = j->in,
                         .out = j->out,
                         .n_in = l->residual ? 4 : 3,
                         .n_out = 1,
                         .epilogue = {l->residual ? 3 : -1, OCT_ACT_RELU, 0, 0},
                         .threads = 1,
                         .name = c->name};
    const double pixels = (double)batch * out * out;
    const double read = l->kernel == 1 && l->stride == 2 ? 0.25 : 1.0;
    j->ops = 2.0 * pixels * l->oc * (l->ic / group) * l->kernel * l->kernel;
    j->bytes = (double)batch * l->in * l->in * l->ic * (double)width * read +
               pixels * l->oc * (double)width * (1 + l->residual);
    j->peak = dt == OCT_DT_S8 ? S8_SIMT_PEAK : F32_PEAK;
    j->name = c->name;
    snprintf(c->name, sizeof c->name, "%s %d>%d %dx%d/%d @%d%s", oct_dtype_str(dt), l->ic, l->oc,
             l->kernel, l->kernel, l->stride, l->in, l->residual ? "+" : "");
}

static void bench_conv(bench *b, int batch)
{
    double total = 0, ops = 0;
    for (size_t i = 0; i < sizeof resnet50 / sizeof resnet50[0]; i++) {
        const conv_layer *l = &resnet50[i];
        conv_job c;
        make_conv(b, &c, l, batch, 1, OCT_DT_F32);
        total += l->count * measure(b, &c.j);
        ops += l->count * c.j.ops;
        free(c.w);
        free(c.bias);
    }
    printf("ResNet-50 f32 convolutions, batch %d: %.2f ms, %.0f img/s, %.1f TFLOP/s\n", batch,
           total * 1e-3, batch / total * 1e6, ops / total * 1e-6);
}

static void bench_depthwise(bench *b)
{
    static const oct_dtype types[] = {OCT_DT_F32, OCT_DT_F16, OCT_DT_S8};
    for (int t = 0; t < 3; t++) {
        fill_noise(types[t], b->noise);
        for (size_t i = 0; i < sizeof depthwise / sizeof depthwise[0]; i++) {
            const int *s = depthwise[i];
            const conv_layer l = {s[0], s[1], s[0], s[2], s[3], 0, 1};
            conv_job c;
            make_conv(b, &c, &l, 128, s[0], types[t]);
            (void)measure(b, &c.j);
            free(c.w);
            free(c.bias);
        }
    }
}

/* ---- products ---- */

typedef struct product {
    const char *name;
    int batch, m, n, k;
    bool constant;
    oct_act act;
} product;

static const product vit[] = {
    {"qkv", 1, 64 * 197, 2304, 768, true, OCT_ACT_NONE},
    {"q k^T", 64 * 12, 197, 197, 64, false, OCT_ACT_NONE},
    {"p v", 64 * 12, 197, 64, 197, false, OCT_ACT_NONE},
    {"out", 1, 64 * 197, 768, 768, true, OCT_ACT_NONE},
    {"mlp1 gelu", 1, 64 * 197, 3072, 768, true, OCT_ACT_GELU},
    {"mlp2", 1, 64 * 197, 768, 3072, true, OCT_ACT_NONE},
    {"8192^3/8", 1, 4096, 4096, 4096, true, OCT_ACT_NONE},
};

static void bench_product(bench *b, const product *s, oct_dtype dt)
{
    char name[48];
    const size_t width = oct_dtype_bytes(dt);
    const oct_qparams q_x = {0.03f, 0}, q_w = {0.01f, 0}, q_y = {0.5f, 0};
    job j = {.name = name};
    j.in[0].desc = oct_tensor_desc_make(dt, (oct_shape){{s->batch, s->m, s->k}, 3}, OCT_LAYOUT_ROW);
    j.in[1].desc = oct_tensor_desc_make(
        dt, s->constant ? (oct_shape){{s->k, s->n}, 2} : (oct_shape){{s->batch, s->k, s->n}, 3},
        OCT_LAYOUT_ROW);
    j.in[2].desc = oct_tensor_desc_make(OCT_DT_F32, (oct_shape){{s->n}, 1}, OCT_LAYOUT_ROW);
    j.out[0].desc =
        oct_tensor_desc_make(dt, (oct_shape){{s->batch, s->m, s->n}, 3}, OCT_LAYOUT_ROW);
    if (dt == OCT_DT_S8) {
        j.in[0].quant = (oct_quant){&q_x, 1, 0};
        j.in[1].quant = (oct_quant){&q_w, 1, 0};
        j.out[0].quant = (oct_quant){&q_y, 1, 0};
    }
    void *w = host_noise(b, bytes_of(&j.in[1]));
    float *bias = calloc((size_t)s->n, sizeof *bias);
    j.in[1].data = s->constant ? w : NULL;
    j.in[1].const_key = oct_const_key_new();
    j.in[2].data = bias;
    j.d = (oct_op_desc){.op = OCT_OP_MATMUL,
                        .in = j.in,
                        .out = j.out,
                        .n_in = s->constant ? 3 : 2,
                        .n_out = 1,
                        .epilogue = {-1, s->act, 0, 0},
                        .threads = 1,
                        .name = name};
    snprintf(name, sizeof name, "%s %s", oct_dtype_str(dt), s->name);
    j.ops = 2.0 * s->batch * s->m * s->n * s->k;
    j.bytes = (double)s->batch * ((double)s->m * s->k + (double)s->m * s->n) * (double)width +
              (double)(s->constant ? 1 : s->batch) * s->k * s->n * (double)width;
    j.peak = dt == OCT_DT_F32 ? F32_PEAK : dt == OCT_DT_F16 ? F16_PEAK : S8_PEAK;
    (void)measure(b, &j);
    free(w);
    free(bias);
}

static void bench_products(bench *b)
{
    static const oct_dtype types[] = {OCT_DT_F32, OCT_DT_F16, OCT_DT_S8};
    for (int t = 0; t < 3; t++) {
        fill_noise(types[t], b->noise);
        for (size_t i = 0; i < sizeof vit / sizeof vit[0]; i++)
            bench_product(b, &vit[i], types[t]);
    }
}

/* ---- the device's copy rate ---- */

static double copy_rate(bench *b)
{
    const size_t bytes = 1u << 30;
    uint8_t *x = NULL, *y = NULL;
    cudaEvent_t from, to;
    float ms = 0, best = 1e30f;
    must(cudaMalloc((void **)&x, bytes), "memory");
    must(cudaMalloc((void **)&y, bytes), "memory");
    must(cudaEventCreate(&from), "event");
    must(cudaEventCreate(&to), "event");
    for (int i = 0; i < 4; i++) {
        must(cudaEventRecord(from, b->timing), "event");
        must(cudaMemcpyAsync(y, x, bytes, cudaMemcpyDeviceToDevice, b->timing), "copy");
        must(cudaEventRecord(to, b->timing), "event");
        must(cudaStreamSynchronize(b->timing), "copy");
        must(cudaEventElapsedTime(&ms, from, to), "time");
        best = ms < best ? ms : best;
    }
    cudaFree(x);
    cudaFree(y);
    cudaEventDestroy(from);
    cudaEventDestroy(to);
    return 2.0 * (double)bytes / best * 1e3;
}

static bool wanted(int argc, char **argv, const char *what)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], what) == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    bench b = {.all = wanted(argc, argv, "all")};
    const bool every = !wanted(argc, argv, "conv") && !wanted(argc, argv, "depthwise") &&
                       !wanted(argc, argv, "products");
    if (oct_ctx_new(NULL, &b.ctx) != OCT_OK)
        return 1;
    if (oct_backend_open(b.ctx, "cuda", &b.be) != OCT_OK) {
        printf("SKIPPED: %s\n", oct_error_text(b.ctx));
        return 77;
    }
    must_ok(&b, b.be->vt->stream_new(b.be, b.ctx, &b.stream));
    must(cudaStreamCreateWithFlags(&b.timing, cudaStreamNonBlocking), "stream");
    b.noise = malloc(NOISE_BYTES);
    b.copy_rate = copy_rate(&b);
    printf("device copy %.2f TB/s\n", b.copy_rate * 1e-12);
    fill_noise(OCT_DT_F32, b.noise);
    if (every || wanted(argc, argv, "conv")) {
        bench_conv(&b, 128);
        bench_conv(&b, 1);
    }
    if (every || wanted(argc, argv, "depthwise"))
        bench_depthwise(&b);
    if (every || wanted(argc, argv, "products"))
        bench_products(&b);
    free(b.noise);
    cudaStreamDestroy(b.timing);
    b.be->vt->stream_free(b.be, b.stream);
    oct_backend_close(b.be, b.ctx);
    oct_ctx_free(b.ctx);
    return 0;
}
