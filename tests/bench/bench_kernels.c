/* SPDX-License-Identifier: Apache-2.0
 *
 * Time of every candidate that `cpu` has for the convolutions of ResNet-50 and MobileNetV2,
 * batch 1 (or N: `bench_kernels [threads] [batch] [f32|int8]`). Random data. Prints GFLOP/s (2 per
 * multiply-add) per layer, and the networks' sums for the first and for the best candidate.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "kernels/backend.h"
#include "kernels/op_schema.h"

typedef struct layer {
    const char *net;
    int count, ic, oc, group, size, kernel, stride;
} layer;

static const layer layers[] = {
    {"resnet50", 1, 3, 64, 1, 224, 7, 2},        {"resnet50", 1, 64, 64, 1, 56, 1, 1},
    {"resnet50", 3, 64, 64, 1, 56, 3, 1},        {"resnet50", 4, 64, 256, 1, 56, 1, 1},
    {"resnet50", 2, 256, 64, 1, 56, 1, 1},       {"resnet50", 1, 256, 128, 1, 56, 1, 1},
    {"resnet50", 1, 128, 128, 1, 56, 3, 2},      {"resnet50", 4, 128, 512, 1, 28, 1, 1},
    {"resnet50", 1, 256, 512, 1, 56, 1, 2},      {"resnet50", 3, 512, 128, 1, 28, 1, 1},
    {"resnet50", 3, 128, 128, 1, 28, 3, 1},      {"resnet50", 1, 512, 256, 1, 28, 1, 1},
    {"resnet50", 1, 256, 256, 1, 28, 3, 2},      {"resnet50", 6, 256, 1024, 1, 14, 1, 1},
    {"resnet50", 1, 512, 1024, 1, 28, 1, 2},     {"resnet50", 5, 1024, 256, 1, 14, 1, 1},
    {"resnet50", 5, 256, 256, 1, 14, 3, 1},      {"resnet50", 1, 1024, 512, 1, 14, 1, 1},
    {"resnet50", 1, 512, 512, 1, 14, 3, 2},      {"resnet50", 3, 512, 2048, 1, 7, 1, 1},
    {"resnet50", 1, 1024, 2048, 1, 14, 1, 2},    {"resnet50", 2, 2048, 512, 1, 7, 1, 1},
    {"resnet50", 2, 512, 512, 1, 7, 3, 1},       {"mobilenetv2", 1, 3, 32, 1, 224, 3, 2},
    {"mobilenetv2", 1, 32, 32, 32, 112, 3, 1},   {"mobilenetv2", 1, 32, 16, 1, 112, 1, 1},
    {"mobilenetv2", 1, 16, 96, 1, 112, 1, 1},    {"mobilenetv2", 1, 96, 96, 96, 112, 3, 2},
    {"mobilenetv2", 1, 96, 24, 1, 56, 1, 1},     {"mobilenetv2", 2, 24, 144, 1, 56, 1, 1},
    {"mobilenetv2", 1, 144, 144, 144, 56, 3, 1}, {"mobilenetv2", 1, 144, 24, 1, 56, 1, 1},
    {"mobilenetv2", 1, 144, 144, 144, 56, 3, 2}, {"mobilenetv2", 1, 144, 32, 1, 28, 1, 1},
    {"mobilenetv2", 3, 32, 192, 1, 28, 1, 1},    {"mobilenetv2", 2, 192, 192, 192, 28, 3, 1},
    {"mobilenetv2", 2, 192, 32, 1, 28, 1, 1},    {"mobilenetv2", 1, 192, 192, 192, 28, 3, 2},
    {"mobilenetv2", 1, 192, 64, 1, 14, 1, 1},    {"mobilenetv2", 4, 64, 384, 1, 14, 1, 1},
    {"mobilenetv2", 4, 384, 384, 384, 14, 3, 1}, {"mobilenetv2", 3, 384, 64, 1, 14, 1, 1},
    {"mobilenetv2", 1, 384, 96, 1, 14, 1, 1},    {"mobilenetv2", 3, 96, 576, 1, 14, 1, 1},
    {"mobilenetv2", 2, 576, 576, 576, 14, 3, 1}, {"mobilenetv2", 2, 576, 96, 1, 14, 1, 1},
    {"mobilenetv2", 1, 576, 576, 576, 14, 3, 2}, {"mobilenetv2", 1, 576, 160, 1, 7, 1, 1},
    {"mobilenetv2", 3, 160, 960, 1, 7, 1, 1},    {"mobilenetv2", 3, 960, 960, 960, 7, 3, 1},
    {"mobilenetv2", 2, 960, 160, 1, 7, 1, 1},    {"mobilenetv2", 1, 960, 320, 1, 7, 1, 1},
    {"mobilenetv2", 1, 320, 1280, 1, 7, 1, 1},
};

enum { N_LAYERS = sizeof layers / sizeof layers[0], MAX_CANDIDATES = 8, REPEATS = 9 };

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* A descriptor with its buffers. */
typedef struct work {
    oct_attr_window at;
    oct_operand in[3], out[1];
    oct_qparams x_q, y_q, *w_q;
    oct_op_desc d;
    void *x, *w, *bias, *y;
    double flops;
} work;

static void *random_bytes(oct_ctx *ctx, oct_dtype dt, size_t n, oct_rng *r)
{
    void *p = oct_alloc(ctx, n * oct_dtype_bytes(dt));
    if (!p)
        exit(1);
    if (dt == OCT_DT_F32)
        oct_rng_fill_normal(r, p, n);
    for (size_t i = 0; dt != OCT_DT_F32 && i < n; i++)
        ((int8_t *)p)[i] = (int8_t)(oct_rng_below(r, 127) - 63);
    return p;
}

static oct_operand operand(oct_dtype dt, oct_layout layout, int n_dims, const int64_t *dim)
{
    oct_operand o;
    oct_shape s = {.n_dims = n_dims};
    memset(&o, 0, sizeof o);
    memcpy(s.dim, dim, sizeof *dim * (size_t)n_dims);
    o.desc = oct_tensor_desc_make(dt, s, layout);
    return o;
}

static void work_init(work *k, oct_ctx *ctx, const layer *l, int batch, int threads, bool int8)
{
    oct_rng r = {.state = 42};
    const oct_dtype dt = int8 ? OCT_DT_S8 : OCT_DT_F32;
    const int out = (l->size + l->stride - 1) / l->stride;
    const int64_t x[4] = {batch, l->ic, l->size, l->size}, y[4] = {batch, l->oc, out, out};
    const int64_t w[4] = {l->oc, l->ic / l->group, l->kernel, l->kernel}, b[1] = {l->oc};
    memset(k, 0, sizeof *k);
    oct_op_attr_defaults(OCT_OP_CONV, &k->at);
    k->at.n_stride = 2;
    k->at.n_pad = 4;
    k->at.group = l->group;
    for (int i = 0; i < 2; i++)
        k->at.stride[i] = l->stride;
    for (int i = 0; i < 4; i++)
        k->at.pad[i] = l->kernel / 2;
    const size_t n_w = (size_t)(w[0] * w[1] * w[2] * w[3]);
    k->x = random_bytes(ctx, dt, (size_t)(x[0] * x[1] * x[2] * x[3]), &r);
    k->w = random_bytes(ctx, dt, n_w, &r);
    k->bias = random_bytes(ctx, OCT_DT_F32, (size_t)l->oc, &r);
    k->y = oct_alloc(ctx, (size_t)(y[0] * y[1] * y[2] * y[3]) * sizeof(float));
    k->in[0] = operand(dt, OCT_LAYOUT_CHANNELS_LAST, 4, x);
    k->in[1] = operand(dt, OCT_LAYOUT_ROW, 4, w);
    k->in[2] = operand(OCT_DT_F32, OCT_LAYOUT_ROW, 1, b);
    k->out[0] = operand(dt, OCT_LAYOUT_CHANNELS_LAST, 4, y);
    k->in[1].data = k->w;
    k->in[2].data = k->bias;
    k->w_q = oct_alloc_array(ctx, (size_t)l->oc, sizeof *k->w_q);
    if (int8) {
        k->x_q = (oct_qparams){0.02f, 0};
        k->y_q = (oct_qparams){0.5f, 0};
        for (int i = 0; i < l->oc; i++)
            k->w_q[i] = (oct_qparams){0.01f, 0};
        k->in[0].quant = (oct_quant){&k->x_q, 1, 0};
        k->in[1].quant = (oct_quant){k->w_q, l->oc, 0};
        k->out[0].quant = (oct_quant){&k->y_q, 1, 0};
    }
    k->d = (oct_op_desc){.op = OCT_OP_CONV,
                         .attr = &k->at,
                         .in = k->in,
                         .out = k->out,
                         .n_in = 3,
                         .n_out = 1,
                         .threads = threads,
                         .name = "bench"};
    k->d.epilogue.residual = -1;
    k->d.epilogue.act = OCT_ACT_RELU;
    k->flops = 2.0 * (double)n_w * batch * out * out;
}

static void work_free(work *k, oct_ctx *ctx)
{
    oct_free(ctx, k->x);
    oct_free(ctx, k->w);
    oct_free(ctx, k->bias);
    oct_free(ctx, k->y);
    oct_free(ctx, k->w_q);
}

/* Least of REPEATS runs, in ms; negative on failure. */
static double time_candidate(oct_backend *be, oct_ctx *ctx, work *k, const oct_candidate *c)
{
    oct_prepared *p = NULL;
    const void *in[3] = {k->x, k->w, k->bias};
    void *out[1] = {k->y};
    double best = -1.0;
    void *ws = oct_alloc(ctx, c->workspace_bytes);
    const oct_run_args args = {in, out, ws, NULL};
    if (be->vt->prepare(be, ctx, &k->d, c, &p) != OCT_OK) {
        printf("%s: %s\n", c->name, oct_error_text(ctx));
        exit(1);
    }
    for (int i = 0; i < REPEATS; i++) {
        const double start = now_ms();
        if (be->vt->run(p, ctx, &args) != OCT_OK)
            exit(1);
        const double ms = now_ms() - start;
        best = best < 0 || ms < best ? ms : best;
    }
    be->vt->release(be, p);
    oct_free(ctx, ws);
    return best;
}

typedef struct total {
    const char *net;
    double first_ms, best_ms, flops;
} total;

static void print_total(const total *t, int batch)
{
    if (t->net)
        printf(
            "== %s, its convolutions: first %.2f ms (%.1f images/s, %.0f GFLOP/s), best %.2f ms\n",
            t->net, t->first_ms, batch * 1e3 / t->first_ms, t->flops / t->first_ms * 1e-6,
            t->best_ms);
}

static void bench_layer(oct_backend *be, oct_ctx *ctx, const layer *l, work *k, total *t)
{
    oct_candidate list[MAX_CANDIDATES];
    char reason[OCT_REASON_BYTES] = "";
    const int n = be->vt->enumerate(be, ctx, &k->d, list, MAX_CANDIDATES, reason);
    double first = 0.0, best = 0.0;
    printf("%-11s %dx %4d->%4d /%-3d %3d^2 k%d s%d:", l->net, l->count, l->ic, l->oc, l->group,
           l->size, l->kernel, l->stride);
    for (int c = 0; c < n; c++) {
        const double ms = time_candidate(be, ctx, k, &list[c]);
        printf("  %s %.3f ms %.0f GFLOP/s", list[c].name, ms, k->flops / ms * 1e-6);
        if (c == 0)
            first = ms;
        best = c == 0 || ms < best ? ms : best;
    }
    printf("%s\n", n ? "" : reason);
    t->first_ms += first * l->count;
    t->best_ms += best * l->count;
    t->flops += k->flops * l->count;
}

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : 1, batch = argc > 2 ? atoi(argv[2]) : 1;
    const bool int8 = argc > 3 && strcmp(argv[3], "int8") == 0;
    oct_ctx *ctx = NULL;
    oct_backend *be = NULL;
    total t = {NULL, 0.0, 0.0, 0.0};
    if (threads < 1 || batch < 1 || oct_ctx_new(NULL, &ctx) != OCT_OK ||
        oct_backend_open(ctx, "cpu", &be) != OCT_OK)
        return 1;
    for (int i = 0; i < N_LAYERS; i++) {
        work k;
        if (t.net != layers[i].net) {
            print_total(&t, batch);
            t = (total){layers[i].net, 0.0, 0.0, 0.0};
        }
        work_init(&k, ctx, &layers[i], batch, threads, int8);
        bench_layer(be, ctx, &layers[i], &k, &t);
        work_free(&k, ctx);
    }
    print_total(&t, batch);
    oct_backend_close(be, ctx);
    oct_ctx_free(ctx);
    return 0;
}
