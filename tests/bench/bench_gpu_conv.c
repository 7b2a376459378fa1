/* SPDX-License-Identifier: Apache-2.0
 *
 * The convolutions of ResNet-50 (and MobileNetV2's 1x1 ones) on the GPU: every candidate timed by
 * graph replay over rotating buffers, beside the floor that bytes and operations set, and
 * checked at random pixels against exact sums.
 *
 *     bench_gpu_conv s8|s8f16|u8|f16|tf32 BATCH [best|all|PREFIX] [NETWORK] [layer]
 *
 * s8f16: 8-bit operands, f16 results. NETWORK: resnet50, mobilenet, efficientnet or vit.
 *
 * best: the candidate that is used untuned; PREFIX: candidates whose name starts so, "mma:".
 */
#include <cuda_runtime_api.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/numeric.h"
#include "base/rng.h"
#include "kernels/op_schema.h"
#include "kernels/requant.h"

enum { MAX_CANDIDATES = 32, MAX_SETS = 16, PIXELS = 12, RUNS = 16, REPEATS = 5 };

typedef struct layer {
    const char *name;
    int ic, in, oc, kernel, stride, pad, residual, count;
    oct_act act;
} layer;

#define RELU OCT_ACT_RELU
#define SWISH OCT_ACT_SWISH
#define GELU OCT_ACT_GELU
#define NO_ACT OCT_ACT_NONE

static const layer resnet50[] = {
    {"conv1 7x7", 3, 224, 64, 7, 2, 3, 0, 1, RELU},
    {"res2 1x1a", 64, 56, 64, 1, 1, 0, 0, 1, RELU},
    {"res2 3x3", 64, 56, 64, 3, 1, 1, 0, 3, RELU},
    {"res2 1x1c+", 64, 56, 256, 1, 1, 0, 1, 3, RELU},
    {"res2 down", 64, 56, 256, 1, 1, 0, 0, 1, RELU},
    {"res2 1x1", 256, 56, 64, 1, 1, 0, 0, 2, RELU},
    {"res3 1x1a", 256, 56, 128, 1, 1, 0, 0, 1, RELU},
    {"res3 3x3s2", 128, 56, 128, 3, 2, 1, 0, 1, RELU},
    {"res3 down", 256, 56, 512, 1, 2, 0, 0, 1, RELU},
    {"res3 1x1c+", 128, 28, 512, 1, 1, 0, 1, 4, RELU},
    {"res3 1x1", 512, 28, 128, 1, 1, 0, 0, 3, RELU},
    {"res3 3x3", 128, 28, 128, 3, 1, 1, 0, 3, RELU},
    {"res4 1x1a", 512, 28, 256, 1, 1, 0, 0, 1, RELU},
    {"res4 3x3s2", 256, 28, 256, 3, 2, 1, 0, 1, RELU},
    {"res4 down", 512, 28, 1024, 1, 2, 0, 0, 1, RELU},
    {"res4 1x1c+", 256, 14, 1024, 1, 1, 0, 1, 6, RELU},
    {"res4 1x1", 1024, 14, 256, 1, 1, 0, 0, 5, RELU},
    {"res4 3x3", 256, 14, 256, 3, 1, 1, 0, 5, RELU},
    {"res5 1x1a", 1024, 14, 512, 1, 1, 0, 0, 1, RELU},
    {"res5 3x3s2", 512, 14, 512, 3, 2, 1, 0, 1, RELU},
    {"res5 down", 1024, 14, 2048, 1, 2, 0, 0, 1, RELU},
    {"res5 1x1c+", 512, 7, 2048, 1, 1, 0, 1, 3, RELU},
    {"res5 1x1", 2048, 7, 512, 1, 1, 0, 0, 2, RELU},
    {"res5 3x3", 512, 7, 512, 3, 1, 1, 0, 2, RELU},
    {"fc", 2048, 1, 1000, 1, 1, 0, 0, 1, RELU},
};

static const layer mobilenet[] = {
    {"conv1 3x3s2", 3, 224, 32, 3, 2, 1, 0, 1, RELU},
    {"32>16 112", 32, 112, 16, 1, 1, 0, 0, 1, RELU},
    {"16>96 112", 16, 112, 96, 1, 1, 0, 0, 1, RELU},
    {"96>24 56", 96, 56, 24, 1, 1, 0, 0, 1, RELU},
    {"24>144 56", 24, 56, 144, 1, 1, 0, 0, 2, RELU},
    {"144>24+ 56", 144, 56, 24, 1, 1, 0, 1, 1, RELU},
    {"144>32 28", 144, 28, 32, 1, 1, 0, 0, 1, RELU},
    {"32>192 28", 32, 28, 192, 1, 1, 0, 0, 3, RELU},
    {"192>32+ 28", 192, 28, 32, 1, 1, 0, 1, 2, RELU},
    {"192>64 14", 192, 14, 64, 1, 1, 0, 0, 1, RELU},
    {"64>384 14", 64, 14, 384, 1, 1, 0, 0, 4, RELU},
    {"384>64+ 14", 384, 14, 64, 1, 1, 0, 1, 3, RELU},
    {"384>96 14", 384, 14, 96, 1, 1, 0, 0, 1, RELU},
    {"96>576 14", 96, 14, 576, 1, 1, 0, 0, 3, RELU},
    {"576>96+ 14", 576, 14, 96, 1, 1, 0, 1, 2, RELU},
    {"576>160 7", 576, 7, 160, 1, 1, 0, 0, 1, RELU},
    {"160>960 7", 160, 7, 960, 1, 1, 0, 0, 3, RELU},
    {"960>160+ 7", 960, 7, 160, 1, 1, 0, 1, 2, RELU},
    {"960>320 7", 960, 7, 320, 1, 1, 0, 0, 1, RELU},
    {"320>1280 7", 320, 7, 1280, 1, 1, 0, 0, 1, RELU},
};

/* What is followed by an activation; the rest is as MobileNetV2's. */
static const layer efficientnet[] = {
    {"conv1 3x3s2", 3, 224, 32, 3, 2, 1, 0, 1, SWISH},
    {"16>96 112", 16, 112, 96, 1, 1, 0, 0, 1, SWISH},
    {"24>144 56", 24, 56, 144, 1, 1, 0, 0, 2, SWISH},
    {"40>240 28", 40, 28, 240, 1, 1, 0, 0, 2, SWISH},
    {"80>480 14", 80, 14, 480, 1, 1, 0, 0, 3, SWISH},
    {"112>672 14", 112, 14, 672, 1, 1, 0, 0, 3, SWISH},
    {"192>1152 7", 192, 7, 1152, 1, 1, 0, 0, 4, SWISH},
    {"320>1280 7", 320, 7, 1280, 1, 1, 0, 0, 1, SWISH},
    {"64>64 3x3 80", 64, 80, 64, 3, 1, 1, 0, 1, SWISH},
};

/* ViT-B/16's products, for 196 of its 197 tokens. */
static const layer vit[] = {
    {"qkv", 768, 14, 2304, 1, 1, 0, 0, 12, NO_ACT},
    {"mlp.0", 768, 14, 3072, 1, 1, 0, 0, 12, GELU},
    {"mlp.3+", 3072, 14, 768, 1, 1, 0, 1, 12, NO_ACT},
};

static const struct {
    const char *name;
    const layer *layer;
    size_t n;
} networks[] = {
    {"resnet50", resnet50, sizeof resnet50 / sizeof resnet50[0]},
    {"mobilenet", mobilenet, sizeof mobilenet / sizeof mobilenet[0]},
    {"efficientnet", efficientnet, sizeof efficientnet / sizeof efficientnet[0]},
    {"vit", vit, sizeof vit / sizeof vit[0]},
};

typedef struct bench {
    oct_ctx *ctx;
    oct_backend *be;
    oct_stream *stream;
    cudaStream_t timing;
    oct_dtype x, w, y;
    bool tf32, all;
    const char *prefix;
    int batch;
    double copy_rate; /* bytes a second */
    oct_rng rng;
} bench;

static void must(cudaError_t e, const char *what)
{
    if (e == cudaSuccess)
        return;
    fprintf(stderr, "bench_gpu_conv: %s: %s\n", what, cudaGetErrorString(e));
    exit(1);
}

static void must_ok(const bench *b, oct_status st)
{
    if (st == OCT_OK)
        return;
    fprintf(stderr, "bench_gpu_conv: %s\n", oct_error_text(b->ctx));
    exit(1);
}

/* ---- data ---- */

static void *random_elements(bench *b, oct_dtype dt, size_t n)
{
    const size_t width = oct_dtype_bytes(dt);
    uint8_t *p = malloc(n * width + 8);
    for (size_t i = 0; width == 1 && i < n; i += 8) {
        const uint64_t v = oct_rng_u64(&b->rng);
        memcpy(p + i, &v, 8);
    }
    enum { POOL = 4096 };
    static float pool[POOL];
    for (int i = 0; i < POOL; i++)
        pool[i] = oct_rng_normal(&b->rng);
    for (size_t i = 0; width > 1 && i < n; i++) {
        const float v = pool[oct_rng_u64(&b->rng) % POOL];
        if (width == 2)
            ((uint16_t *)p)[i] = oct_f16_from_f32(v);
        else
            ((float *)p)[i] = v;
    }
    return p;
}

static double element(oct_dtype dt, const void *p, size_t i)
{
    switch (dt) {
    case OCT_DT_S8:
        return ((const int8_t *)p)[i];
    case OCT_DT_U8:
        return ((const uint8_t *)p)[i];
    case OCT_DT_F16:
        return oct_f32_from_f16(((const uint16_t *)p)[i]);
    default:
        return ((const float *)p)[i];
    }
}

/* ---- one layer ---- */

typedef struct job {
    const layer *l;
    oct_attr_window at;
    oct_operand in[4], out[1];
    oct_op_desc d;
    oct_qparams q_x, q_y, q_r, *q_w;
    int out_size, sets;
    size_t x_bytes, y_bytes, r_bytes;
    void *x, *w, *res;
    float *bias, *m, *b;
    uint8_t *dev_x[MAX_SETS], *dev_y[MAX_SETS], *dev_r[MAX_SETS], *workspace;
    float *dev_bias; /* for kernels that have no copy of their own */
    size_t workspace_bytes;
} job;

static oct_shape shape4(int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (oct_shape){{a, b, c, d}, 4};
}

static bool is_q8(oct_dtype dt)
{
    return dt == OCT_DT_S8 || dt == OCT_DT_U8;
}

static void set_quant(const bench *b, job *j)
{
    const double root = sqrt((double)j->l->ic * j->l->kernel * j->l->kernel);
    j->q_x = (oct_qparams){0.03f, 0};
    j->q_y = (oct_qparams){(float)(0.03 * 0.01 * 74.0 * 74.0 * root / 64.0), 0};
    j->q_r = (oct_qparams){j->q_y.scale * 0.8f, 0};
    j->q_w = malloc((size_t)j->l->oc * sizeof *j->q_w);
    for (int c = 0; c < j->l->oc; c++)
        j->q_w[c] = (oct_qparams){0.01f + 0.0001f * (float)(c % 17), 0};
    j->in[0].quant = (oct_quant){&j->q_x, 1, 0};
    j->in[1].quant = (oct_quant){j->q_w, j->l->oc, 0};
    if (!is_q8(b->y))
        return;
    j->in[3].quant = (oct_quant){&j->q_r, 1, 0};
    j->out[0].quant = (oct_quant){&j->q_y, 1, 0};
}

static void describe(bench *b, job *j)
{
    const layer *l = j->l;
    oct_op_attr_defaults(OCT_OP_CONV, &j->at);
    j->at.n_stride = 2;
    j->at.n_pad = 4;
    j->at.group = 1;
    for (int i = 0; i < 2; i++) {
        j->at.stride[i] = l->stride;
        j->at.pad[i] = j->at.pad[i + 2] = l->pad;
    }
    const oct_shape y = shape4(b->batch, l->oc, j->out_size, j->out_size);
    j->in[0].desc =
        oct_tensor_desc_make(b->x, shape4(b->batch, l->ic, l->in, l->in), OCT_LAYOUT_CHANNELS_LAST);
    j->in[1].desc =
        oct_tensor_desc_make(b->w, shape4(l->oc, l->ic, l->kernel, l->kernel), OCT_LAYOUT_ROW);
    j->in[2].desc = oct_tensor_desc_make(OCT_DT_F32, (oct_shape){{l->oc}, 1}, OCT_LAYOUT_ROW);
    j->in[3].desc = oct_tensor_desc_make(b->y, y, OCT_LAYOUT_CHANNELS_LAST);
    j->out[0].desc = j->in[3].desc;
    if (is_q8(b->x))
        set_quant(b, j);
    j->in[1].data = j->w;
    j->in[1].const_key = oct_const_key_new();
    j->in[2].data = j->bias;
    j->d = (oct_op_desc){.op = OCT_OP_CONV,
                         .attr = &j->at,
                         .in = j->in,
                         .out = j->out,
                         .n_in = l->residual ? 4 : 3,
                         .n_out = 1,
                         .epilogue = {l->residual ? 3 : -1, l->act, 1.0f, 0},
                         .threads = 1,
                         .tf32 = b->tf32,
                         .name = l->name};
}

static void make_data(bench *b, job *j)
{
    const layer *l = j->l;
    j->out_size = (l->in + 2 * l->pad - l->kernel) / l->stride + 1;
    const size_t x = (size_t)b->batch * (size_t)(l->in * l->in * l->ic);
    const size_t y = (size_t)b->batch * (size_t)(j->out_size * j->out_size * l->oc);
    j->x_bytes = x * oct_dtype_bytes(b->x);
    j->y_bytes = y * oct_dtype_bytes(b->y);
    j->r_bytes = l->residual ? j->y_bytes : 0;
    j->x = random_elements(b, b->x, x);
    j->w = random_elements(b, b->w, (size_t)l->oc * (size_t)(l->ic * l->kernel * l->kernel));
    j->bias = random_elements(b, OCT_DT_F32, (size_t)l->oc);
    j->res = l->residual ? random_elements(b, b->y, y) : NULL;
    j->m = malloc((size_t)l->oc * sizeof(float));
    j->b = malloc((size_t)l->oc * sizeof(float));
    const size_t bias = (size_t)l->oc * sizeof *j->bias;
    must(cudaMalloc((void **)&j->dev_bias, bias), "memory");
    must(cudaMemcpy(j->dev_bias, j->bias, bias, cudaMemcpyHostToDevice), "bias");
    const size_t all = j->x_bytes + j->y_bytes + j->r_bytes;
    j->sets = (int)(((size_t)200 << 20) / all) + 1;
    j->sets = j->sets > MAX_SETS ? MAX_SETS : j->sets;
    for (int s = 0; s < j->sets; s++) {
        must(cudaMalloc((void **)&j->dev_x[s], j->x_bytes), "memory");
        must(cudaMalloc((void **)&j->dev_y[s], j->y_bytes), "memory");
        must(cudaMemcpy(j->dev_x[s], s ? (const void *)j->dev_x[0] : j->x, j->x_bytes,
                        s ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice),
             "x");
        if (!l->residual)
            continue;
        must(cudaMalloc((void **)&j->dev_r[s], j->r_bytes), "memory");
        must(cudaMemcpy(j->dev_r[s], s ? (const void *)j->dev_r[0] : j->res, j->r_bytes,
                        s ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice),
             "residual");
    }
}

static void free_data(job *j)
{
    for (int s = 0; s < j->sets; s++) {
        cudaFree(j->dev_x[s]);
        cudaFree(j->dev_y[s]);
        cudaFree(j->dev_r[s]);
    }
    cudaFree(j->workspace);
    cudaFree(j->dev_bias);
    free(j->x);
    free(j->w);
    free(j->res);
    free(j->bias);
    free(j->m);
    free(j->b);
    free(j->q_w);
}

/* ---- checking ---- */

static double exact_sum(const bench *b, const job *j, int64_t pixel, int oc)
{
    const layer *l = j->l;
    const int64_t per = (int64_t)j->out_size * j->out_size;
    const int64_t n = pixel / per, oy = pixel % per / j->out_size, ox = pixel % j->out_size;
    double sum = 0;
    for (int ky = 0; ky < l->kernel; ky++)
        for (int kx = 0; kx < l->kernel; kx++) {
            const int64_t iy = oy * l->stride - l->pad + ky, ix = ox * l->stride - l->pad + kx;
            if (iy < 0 || iy >= l->in || ix < 0 || ix >= l->in)
                continue;
            for (int c = 0; c < l->ic; c++)
                sum += element(b->x, j->x, (size_t)(((n * l->in + iy) * l->in + ix) * l->ic + c)) *
                       element(b->w, j->w,
                               (size_t)(((oc * l->ic + c) * l->kernel + ky) * l->kernel + kx));
        }
    return sum;
}

typedef struct verdict {
    int wrong, off_by_one, checked;
    double worst;
} verdict;

static void check_pixel(const bench *b, const job *j, int64_t pixel, const void *row, verdict *v)
{
    const layer *l = j->l;
    const oct_epilogue *e = &j->d.epilogue;
    const bool integer = is_q8(b->x);
    const oct_requant rq = integer ? oct_requant_make(&j->d, 0) : (oct_requant){0};
    for (int c = (int)(pixel % 7); c < l->oc; c += 7) {
        const double sum = exact_sum(b, j, pixel, c), got = element(b->y, row, (size_t)c);
        const double r =
            l->residual ? element(b->y, j->res, (size_t)pixel * (size_t)l->oc + (size_t)c) : 0.0;
        v->checked++;
        if (is_q8(b->y)) {
            const float value = oct_requant_value(&rq, (int32_t)sum, j->m[c], j->b[c], (float)r);
            const int diff = abs((int)got - oct_requant_round(&rq, value));
            v->off_by_one += diff == 1;
            v->wrong += diff > 1;
            continue;
        }
        const double y = integer ? oct_requant_value(&rq, (int32_t)sum, j->m[c], j->b[c], (float)r)
                                 : sum + j->bias[c] + r;
        const double want = oct_act_apply(e->act, e->a, e->b, (float)y);
        const double scale = integer ? 1.0 : sqrt((double)l->ic * l->kernel * l->kernel);
        const double error = fabs(got - want) / (fabs(want) + scale);
        v->worst = error > v->worst || !(error == error) ? error : v->worst;
        v->wrong += !(error < 2e-3);
    }
}

static verdict check(bench *b, job *j, const uint8_t *dev)
{
    const layer *l = j->l;
    const size_t bytes = (size_t)l->oc * oct_dtype_bytes(b->y);
    const int64_t pixels = (int64_t)b->batch * j->out_size * j->out_size;
    uint8_t *row = malloc(bytes);
    verdict v = {0};
    oct_rng rng = {7};
    if (is_q8(b->x))
        oct_requant_factors(&j->d, 0, j->bias, l->oc, j->m, j->b);
    for (int i = 0; i < PIXELS; i++) {
        const int64_t p = i == 0   ? 0
                          : i == 1 ? pixels - 1
                                   : (int64_t)oct_rng_below(&rng, (uint64_t)pixels);
        must(cudaMemcpy(row, dev + (size_t)p * bytes, bytes, cudaMemcpyDeviceToHost), "y");
        check_pixel(b, j, p, row, &v);
    }
    free(row);
    return v;
}

/* ---- timing ---- */

static void run_once(bench *b, job *j, const oct_prepared *p, int set)
{
    const void *in[4] = {j->dev_x[set], NULL, j->dev_bias, j->dev_r[set]};
    void *out[1] = {j->dev_y[set]};
    const oct_run_args a = {.in = in, .out = out, .workspace = j->workspace, .stream = b->stream};
    must_ok(b, b->be->vt->run(p, b->ctx, &a));
}

static double time_graph(bench *b, void *graph, int runs)
{
    cudaEvent_t from, to;
    double best = 1e30;
    must(cudaEventCreate(&from), "event");
    must(cudaEventCreate(&to), "event");
    for (int i = 0; i < REPEATS; i++) {
        must(cudaEventRecord(from, b->timing), "event");
        must(cudaGraphLaunch((cudaGraphExec_t)graph, b->timing), "graph");
        must(cudaEventRecord(to, b->timing), "event");
        must(cudaStreamSynchronize(b->timing), "running");
        float ms = 0;
        must(cudaEventElapsedTime(&ms, from, to), "time");
        best = ms < best ? ms : best;
    }
    cudaEventDestroy(from);
    cudaEventDestroy(to);
    return best * 1e3 / runs;
}

static double time_candidate(bench *b, job *j, const oct_prepared *p)
{
    const oct_backend_vtable *vt = b->be->vt;
    void *graph = NULL;
    must_ok(b, vt->capture_begin(b->be, b->ctx, b->stream));
    for (int i = 0; i < RUNS; i++)
        run_once(b, j, p, i % j->sets);
    must_ok(b, vt->capture_end(b->be, b->ctx, b->stream, &graph));
    const double us = time_graph(b, graph, RUNS);
    vt->graph_free(b->be, graph);
    return us;
}

typedef struct result {
    double us, floor_us;
    int wrong;
} result;

static double peak(const bench *b) /* operations a second */
{
    return is_q8(b->x) ? 1979e12 : b->tf32 ? 495e12 : 989e12;
}

static result measure(bench *b, const layer *l)
{
    job j = {.l = l};
    oct_candidate list[MAX_CANDIDATES];
    char reason[OCT_REASON_BYTES] = "", line[1600] = "", best_name[64] = "none";
    make_data(b, &j);
    describe(b, &j);
    int n = b->be->vt->enumerate(b->be, b->ctx, &j.d, list, MAX_CANDIDATES, reason);
    if (n == 0)
        printf("%-11s %s\n", l->name, reason);
    if (!b->all && n > 1)
        n = 1;
    const double pixels = (double)b->batch * j.out_size * j.out_size;
    const double ops = 2.0 * pixels * l->oc * l->ic * l->kernel * l->kernel;
    const double strided = l->kernel == 1 && l->stride == 2 ? 0.25 : 1.0;
    const double bytes =
        (double)j.x_bytes * strided + (double)j.y_bytes + (double)j.r_bytes +
        (double)l->oc * l->ic * l->kernel * l->kernel * (double)oct_dtype_bytes(b->w);
    const double t_ops = ops / peak(b) * 1e6, t_bytes = bytes / b->copy_rate * 1e6;
    result r = {.us = 1e30, .floor_us = t_ops > t_bytes ? t_ops : t_bytes};
    for (int i = 0; i < n; i++) {
        oct_prepared *p = NULL;
        if (strncmp(list[i].name, b->prefix, strlen(b->prefix)) != 0)
            continue;
        must_ok(b, b->be->vt->prepare(b->be, b->ctx, &j.d, &list[i], &p));
        if (list[i].workspace_bytes > j.workspace_bytes) {
            cudaFree(j.workspace);
            j.workspace_bytes = list[i].workspace_bytes;
            must(cudaMalloc((void **)&j.workspace, j.workspace_bytes), "workspace");
        }
        must(cudaMemset(j.dev_y[0], 0x5a, j.y_bytes), "poison");
        must(cudaDeviceSynchronize(), "poison");
        run_once(b, &j, p, 0);
        must_ok(b, b->be->vt->stream_sync(b->be, b->ctx, b->stream));
        const verdict v = check(b, &j, j.dev_y[0]);
        const bool bad = v.wrong > 0 || v.off_by_one * 1000 > v.checked;
        const double us = time_candidate(b, &j, p);
        const size_t used = strlen(line);
        snprintf(line + used, sizeof line - used, "  %s%s %.1f", bad ? "WRONG " : "", list[i].name,
                 us);
        r.wrong += bad;
        if (us < r.us && !bad) {
            r.us = us;
            snprintf(best_name, sizeof best_name, "%s", list[i].name);
        }
        b->be->vt->release(b->be, p);
    }
    printf("%-11s x%d ops %6.1f mem %6.1f | %7.1f us %5.0f%% %6.0f GB/s %6.0f TOPS  %s\n", l->name,
           l->count, t_ops, t_bytes, r.us, 100.0 * r.floor_us / r.us, bytes / r.us * 1e-3,
           ops / r.us * 1e-6, best_name);
    if (b->all)
        printf("   %s\n", line);
    fflush(stdout);
    free_data(&j);
    return r;
}

/* ---- the program ---- */

static double copy_rate(bench *b)
{
    const size_t bytes = (size_t)1 << 30;
    void *x, *y;
    must(cudaMalloc(&x, bytes), "memory");
    must(cudaMalloc(&y, bytes), "memory");
    must(cudaMemset(x, 1, bytes), "memory");
    double best = 1e30;
    cudaEvent_t from, to;
    must(cudaEventCreate(&from), "event");
    must(cudaEventCreate(&to), "event");
    for (int i = 0; i < 3 * REPEATS; i++) {
        float ms = 0;
        must(cudaEventRecord(from, b->timing), "event");
        must(cudaMemcpyAsync(y, x, bytes, cudaMemcpyDeviceToDevice, b->timing), "copy");
        must(cudaEventRecord(to, b->timing), "event");
        must(cudaStreamSynchronize(b->timing), "copy");
        must(cudaEventElapsedTime(&ms, from, to), "time");
        best = ms < best ? ms : best;
    }
    const double us = best * 1e3;
    cudaEventDestroy(from);
    cudaEventDestroy(to);
    cudaFree(x);
    cudaFree(y);
    return 2.0 * (double)bytes / us * 1e6;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        oct_dtype x, w, y;
        bool tf32;
    } types[] = {{"s8", OCT_DT_S8, OCT_DT_S8, OCT_DT_S8, false},
                 {"s8f16", OCT_DT_S8, OCT_DT_S8, OCT_DT_F16, false},
                 {"u8", OCT_DT_U8, OCT_DT_S8, OCT_DT_U8, false},
                 {"f16", OCT_DT_F16, OCT_DT_F16, OCT_DT_F16, false},
                 {"tf32", OCT_DT_F32, OCT_DT_F32, OCT_DT_F32, true}};
    bench b = {.rng = {1}};
    b.batch = argc > 2 ? atoi(argv[2]) : 0;
    for (size_t i = 0; argc > 1 && i < sizeof types / sizeof types[0]; i++)
        if (strcmp(argv[1], types[i].name) == 0) {
            b.x = types[i].x;
            b.w = types[i].w;
            b.y = types[i].y;
            b.tf32 = types[i].tf32;
        }
    if (b.batch < 1 || b.x == OCT_DT_NONE) {
        fprintf(stderr, "usage: bench_gpu_conv s8|s8f16|u8|f16|tf32 BATCH [best|all|PREFIX] "
                        "[resnet50|mobilenet|efficientnet|vit] [layer]\n");
        return 2;
    }
    b.all = argc > 3 && strcmp(argv[3], "best") != 0;
    b.prefix = b.all && strcmp(argv[3], "all") != 0 ? argv[3] : "";
    size_t which = 0;
    for (size_t i = 0; argc > 4 && i < sizeof networks / sizeof networks[0]; i++)
        which = strcmp(argv[4], networks[i].name) == 0 ? i : which;
    const layer *list = networks[which].layer;
    const size_t n = networks[which].n;
    oct_status st = oct_ctx_new(NULL, &b.ctx);
    if (st == OCT_OK)
        st = oct_backend_open(b.ctx, "cuda", &b.be);
    if (st != OCT_OK) {
        fprintf(stderr, "bench_gpu_conv: no GPU: %s\n", b.ctx ? oct_error_text(b.ctx) : "");
        return 77;
    }
    must_ok(&b, b.be->vt->stream_new(b.be, b.ctx, &b.stream));
    must(cudaStreamCreateWithFlags(&b.timing, cudaStreamNonBlocking), "stream");
    b.copy_rate = copy_rate(&b);
    printf("%s batch %d; device copy %.2f TB/s (read + write)\n", argv[1], b.batch,
           b.copy_rate * 1e-12);
    double us = 0, floor_us = 0;
    int wrong = 0;
    for (size_t i = 0; i < n; i++) {
        if (argc > 5 && !strstr(list[i].name, argv[5]))
            continue;
        const result r = measure(&b, &list[i]);
        us += r.us * list[i].count;
        floor_us += r.floor_us * list[i].count;
        wrong += r.wrong;
    }
    printf("%s batch %d: convolutions and fc %.1f us, floor %.1f us, %.0f img/s; %d wrong\n",
           argv[1], b.batch, us, floor_us, b.batch / us * 1e6, wrong);
    b.be->vt->stream_free(b.be, b.stream);
    oct_backend_close(b.be, b.ctx);
    return wrong > 0;
}
