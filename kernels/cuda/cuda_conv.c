/* SPDX-License-Identifier: Apache-2.0
 *
 * Conv, Gemm and MatMul on tensor cores: which tile, and launching it. The first row of an
 * operator is the tile that the estimate below likes best, the others are the rest in the
 * order of the tables, for the tuner.
 */
#include <math.h>
#include <stdio.h>

#include "kernels/cuda/cuda_conv_plan.h"

enum { MAX_TILES = 20, ROWS_PER_OP = MAX_TILES + 1 };

typedef struct conv_launch {
    const oct_mma_tile *tile;
    int32_t tiles_m, tiles_n, tiles, k_steps, grid, columns;
    size_t shared;
    bool res_ahead; /* room for the residuals of the next tile */
} conv_launch;

typedef struct conv_op {
    oct_cuda_op base;
    oct_mma_args args;
    conv_launch main, unaligned; /* the latter for addresses that the former cannot take */
    const void *weights;
    oct_conv_tables tables;
    int residual;
    bool early; /* start before the kernel ahead has finished */
} conv_op;

static const oct_mma_tiles *tiles_of(const oct_conv_plan *p)
{
    static const oct_mma_tiles *const of[][OCT_MMA_FINISHES] = {
        [OCT_MMA_S8] = {&oct_mma_tiles_s8, &oct_mma_tiles_s8_swish, &oct_mma_tiles_s8_gelu,
                        &oct_mma_tiles_s8_curve, &oct_mma_tiles_s8_half,
                        &oct_mma_tiles_s8_half_curve, &oct_mma_tiles_s8_float},
        [OCT_MMA_U8] = {&oct_mma_tiles_u8},
        [OCT_MMA_F16] = {&oct_mma_tiles_f16, &oct_mma_tiles_f16_swish, &oct_mma_tiles_f16_gelu,
                         &oct_mma_tiles_f16_curve},
        [OCT_MMA_TF32] = {&oct_mma_tiles_tf32},
    };
    return of[p->type][p->finish];
}

/* ---- tiles ---- */

static int32_t ceil_div(int64_t a, int64_t b)
{
    return (int32_t)((a + b - 1) / b);
}

static void size_launch(const oct_cuda *be, const oct_conv_plan *p, const oct_mma_tile *t,
                        conv_launch *l)
{
    const oct_mma_args *a = &p->args;
    const size_t elem = oct_dtype_bytes(a->y_type);
    const size_t staged = (size_t)t->bm * (size_t)t->bn * elem;
    l->tile = t;
    l->tiles_m = ceil_div(a->m, t->bm);
    l->tiles_n = ceil_div(a->n, t->bn);
    l->tiles = l->tiles_m * l->tiles_n * a->groups;
    l->k_steps = ceil_div(p->k_bytes, t->bk);
    l->columns = 1;
    l->shared = (size_t)t->stage_bytes + staged;
    l->res_ahead =
        a->fast && a->res_type != OCT_DT_NONE && l->shared + staged <= be->smem_per_block;
    l->shared += l->res_ahead ? staged : 0;
    if (t->load != OCT_MMA_LOAD_STEM)
        return;
    const int64_t width = a->per_row.d, rows = a->m / width;
    l->columns = l->tiles_n;
    l->tiles_n = ceil_div(width, t->bm); /* runs of pixels in a row */
    l->tiles_m = (int32_t)(a->per_image.d / a->per_row.d);
    l->tiles = (int32_t)(rows * l->tiles_n);
    l->shared = staged + 64 * (size_t)(a->k_row + 16) + (size_t)a->k_row * 2 +
                2 * (size_t)a->kernel_h * (size_t)a->stem_pitch;
}

static bool tile_fits(const oct_cuda *be, const oct_conv_plan *p, const oct_mma_tile *t)
{
    const oct_mma_load need = p->stem                ? OCT_MMA_LOAD_STEM
                              : p->folded            ? OCT_MMA_LOAD_ANY
                              : p->x_alignment == 16 ? OCT_MMA_LOAD_16
                                                     : OCT_MMA_LOAD_4;
    const int64_t tiles = (int64_t)ceil_div(p->args.m, t->bm) * ceil_div(p->args.n, t->bn);
    conv_launch l;
    if (t->load != need || (t->warpgroup && be->cc != 90) || tiles * p->args.groups > INT32_MAX / 2)
        return false;
    if ((t->bm > 64 && t->bm >= 2 * p->args.m) || (t->bn > 64 && t->bn >= 2 * p->args.n))
        return false;
    size_launch(be, p, t, &l);
    return l.shared <= be->smem_per_block;
}

/* Time of all tiles in arbitrary units. The form is a roofline of one block (products, copies from
 * L2, stores, fixed costs), as many blocks as fit side by side, at least a pipeline's
 * latency, and whole waves. The constants are fitted to the 120 layers x tiles that NOTES.md
 * mentions: what it picks is 2.5 % slower than the best on average. */
typedef struct tile_costs {
    double products, l2, memory; /* per unit of time */
    double store, store_residual, tile, step, latency, latency_step;
} tile_costs;

static const tile_costs by_warps = {1530, 57.4, 45.1, 0.14, 1.09, 45, 113, 5344, 300};
static const tile_costs by_groups = {2800, 40.0, 45.1, 0.07, 1.09, 45, 18, 5344, 300};

#define CURVE_COST 0.2 /* of an activation that is no bound, for one value */

#define STEP_LATENCY 800.0
#define SHALLOW_COST 1.2

/* 192x256 is for long sums of as many tiles as there are multiprocessors: elsewhere it was measured 20
 * to 40 % slower than two of 128x128. */
static double shallow_cost(const oct_cuda *be, const conv_launch *l, double area)
{
    const bool large = area > 128 * 256, lone = l->tiles <= be->n_sm && l->k_steps >= 12;
    return !large ? SHALLOW_COST : lone ? 1.1 : 1.5;
}

static double waves_of(double waves)
{
    return waves <= 3 ? ceil(waves) : waves + 0.5;
}

static double estimate(const oct_cuda *be, const oct_conv_plan *p, const oct_mma_tile *t)
{
    const oct_mma_args *a = &p->args;
    const tile_costs *c = t->warpgroup ? &by_groups : &by_warps;
    conv_launch l;
    size_launch(be, p, t, &l);
    int blocks = (int)(230000 / (l.shared + 1024));
    const int by_threads = 512 / t->threads;
    const int to_share = ceil_div(l.tiles, be->n_sm); /* few tiles do not share a multiprocessor */
    blocks = blocks > by_threads ? by_threads : blocks;
    blocks = blocks > to_share ? to_share : blocks;
    blocks = blocks < 1 ? 1 : blocks;
    const double area = (double)t->bm * t->bn, k = (double)l.k_steps * t->bk;
    const double narrow = t->warpgroup && t->bn == 64 ? 0.8 : 1.0;
    const double products = area * k / (c->products * narrow);
    const double moved =
        (t->bm + t->bn) * k / c->l2 +
        area * (double)(oct_dtype_bytes(a->y_type) + oct_dtype_bytes(a->res_type)) / c->memory;
    const double store = area * (c->store * (a->res_type != OCT_DT_NONE ? c->store_residual : 1.0) +
                                 (a->act != OCT_ACT_NONE ? CURVE_COST : 0.0));
    const double busy =
        (products > moved ? products : moved) + store + c->tile + l.k_steps * c->step;
    /* wgmma tiles of three stages load one step ahead only: a step is no shorter than memory's latency */
    const bool shallow = t->warpgroup && t->stage_bytes == 3 * (t->bm + t->bn) * t->bk;
    const double per_step = shallow ? STEP_LATENCY : c->latency_step * sqrt(t->bk / 64.0);
    const double latency = c->latency + l.k_steps * per_step + store;
    const double one = busy * blocks > latency ? busy * blocks : latency;
    return waves_of((double)l.tiles / ((double)be->n_sm * blocks)) * one *
           (shallow && blocks == 1 ? shallow_cost(be, &l, area) : 1.0);
}

static int best_tile(const oct_cuda *be, const oct_conv_plan *p)
{
    const oct_mma_tiles *all = tiles_of(p);
    int best = -1;
    double least = 0;
    for (int i = 0; i < all->n; i++) {
        if (!tile_fits(be, p, &all->tile[i]))
            continue;
        const double e = estimate(be, p, &all->tile[i]);
        if (best < 0 || e < least) {
            best = i;
            least = e;
        }
    }
    return best;
}

/* The tile of row `row` of an operator, or -1. */
static int tile_of_row(const oct_cuda *be, const oct_conv_plan *p, int row)
{
    const int best = best_tile(be, p);
    if (row == 0)
        return best;
    const oct_mma_tiles *all = tiles_of(p);
    const int i = row - 1;
    return i < all->n && i != best && tile_fits(be, p, &all->tile[i]) ? i : -1;
}

/* ---- the rows ---- */

static int row_of(const oct_candidate *c)
{
    return (int)(c->id & 0xff) % ROWS_PER_OP;
}

static bool query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c, char *reason)
{
    static const char *const types[] = {"s8", "u8", "f16", "tf32"};
    oct_conv_plan p;
    if (!oct_conv_plan_make(ctx, d, &p, reason))
        return false;
    const int i = tile_of_row(be, &p, row_of(c));
    if (i < 0)
        return oct_cuda_no(reason, "no tile fits");
    snprintf(c->name, sizeof c->name, "%s:%s", tiles_of(&p)->tile[i].name, types[p.type]);
    return true;
}

typedef struct weights_of {
    const oct_op_desc *d;
    const oct_conv_plan *p;
} weights_of;

static void fill_weights(const void *user, void *host, size_t bytes)
{
    const weights_of *w = user;
    (void)bytes; /* cleared by the caller */
    oct_conv_pack_weights(w->d, w->p, host);
}

static oct_status set_up_launch(const oct_cuda *be, oct_ctx *ctx, const oct_conv_plan *p,
                                const oct_mma_tile *t, conv_launch *l)
{
    int blocks = 0;
    size_launch(be, p, t, l);
    OCT_TRY(oct_cuda_check(ctx,
                           cudaFuncSetAttribute(t->function,
                                                cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                (int)be->smem_per_block),
                           t->name));
    OCT_TRY(oct_cuda_check(
        ctx,
        cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, t->function, t->threads, l->shared),
        t->name));
    if (blocks < 1)
        return oct_fail(ctx, OCT_ERR_DEVICE, "%s: %zu bytes of shared memory do not fit", t->name,
                        l->shared);
    const int64_t all = ((int64_t)be->n_sm * blocks + l->columns - 1) / l->columns;
    l->grid = l->tiles < all ? l->tiles : (int32_t)all;
    return OCT_OK;
}

static const oct_mma_tile *unaligned_tile(const oct_conv_plan *p, const oct_mma_tile *main)
{
    const oct_mma_tiles *all = tiles_of(p);
    if (p->folded)
        return main;
    for (int i = all->n - 1; i >= 0; i--)
        if (all->tile[i].load == OCT_MMA_LOAD_4)
            return &all->tile[i];
    return main;
}

static void release(oct_cuda *be, oct_cuda_op *base)
{
    conv_op *op = (conv_op *)base;
    oct_cuda_unpack(be, op->weights);
    cudaFree(op->tables.device);
}

/* ---- run ---- */

static int32_t alignment(const void *p, int32_t step)
{
    const uintptr_t bits = (uintptr_t)p | (uintptr_t)step;
    return bits % 16 == 0 ? 16 : bits % 8 == 0 ? 8 : bits % 4 == 0 ? 4 : 1;
}

static oct_status run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *r)
{
    const conv_op *op = (const conv_op *)base;
    oct_mma_args a = op->args;
    a.x = r->in[0];
    a.y = r->out[0];
    a.y2 = a.y2_type == OCT_DT_NONE ? NULL : r->out[1];
    a.res = op->residual < 0 ? NULL : r->in[op->residual];
    const int32_t group = a.groups > 1 ? a.n * (int32_t)oct_dtype_bytes(a.y_type) : 0;
    const int32_t within = op->main.tile->load == OCT_MMA_LOAD_STEM ? 0 : a.x_pixel | a.tap_bytes;
    a.x_vec = alignment(a.x, a.x_image | a.x_row | within);
    a.y_vec = alignment(a.y, a.y_pixel | group);
    a.res_vec = alignment(a.res, a.res_pixel | group);
    const bool aligned = op->main.tile->load != OCT_MMA_LOAD_16 || a.x_vec == 16;
    const conv_launch *l = aligned ? &op->main : &op->unaligned;
    a.tiles_m = l->tiles_m;
    a.tiles_n = l->tiles_n;
    a.tiles = l->tiles;
    a.k_steps = l->k_steps;
    a.res_ahead = l->res_ahead;
    a.per_tile_row = oct_cuda_div_make(l->tiles_n);
    const bool stem = l->tile->load == OCT_MMA_LOAD_STEM;
    a.per_group = oct_cuda_div_make(stem ? l->tiles_m : (int64_t)l->tiles_m * l->tiles_n);
    if (stem && a.in_w * a.tap_bytes % 16 != 0)
        a.x_vec = 1;

    cudaLaunchAttribute early = {.id = cudaLaunchAttributeProgrammaticStreamSerialization};
    early.val.programmaticStreamSerializationAllowed = 1;
    const cudaLaunchConfig_t config = {
        .gridDim = {(unsigned)l->grid, (unsigned)l->columns, 1},
        .blockDim = {(unsigned)l->tile->threads, 1, 1},
        .dynamicSmemBytes = l->shared,
        .stream = r->stream ? r->stream->s : 0,
        .attrs = &early,
        .numAttrs = op->early ? 1 : 0,
    };
    void *params[] = {&a};
    return oct_cuda_check(ctx, cudaLaunchKernelExC(&config, l->tile->function, params),
                          l->tile->name);
}

static oct_status set_up(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, int row, conv_op *op)
{
    oct_conv_plan p;
    char reason[OCT_REASON_BYTES] = "";
    if (!oct_conv_plan_make(ctx, d, &p, reason))
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "%s", reason);
    const int i = tile_of_row(be, &p, row);
    if (i < 0)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "no tile fits");
    const oct_mma_tile *t = &tiles_of(&p)->tile[i];
    OCT_TRY(set_up_launch(be, ctx, &p, t, &op->main));
    OCT_TRY(set_up_launch(be, ctx, &p, unaligned_tile(&p, t), &op->unaligned));
    OCT_TRY(oct_conv_tables_make(be, ctx, d, &p, &op->tables));
    const weights_of w = {d, &p};
    OCT_TRY(oct_cuda_pack_get(be, ctx, d->in[1].const_key, oct_conv_weight_format(&p),
                              oct_conv_weight_bytes(&p), (oct_cuda_pack){fill_weights, &w},
                              &op->weights));
    op->args = p.args;
    op->args.w = op->weights;
    op->residual = d->epilogue.residual;
    op->early = be->cc >= 90;
    return OCT_OK;
}

static oct_status prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, const oct_candidate *c,
                          oct_cuda_op **out)
{
    conv_op *op = oct_cuda_op_new(be, ctx, sizeof *op);
    if (!op)
        return OCT_ERR_NOMEM;
    op->base.run = run;
    op->base.release = release;
    const oct_status st = set_up(be, ctx, d, row_of(c), op);
    if (st != OCT_OK) {
        release(be, &op->base);
        oct_free(ctx, op);
        return st;
    }
    *out = &op->base;
    return OCT_OK;
}

#define ROW(op)            \
    {                      \
        op, query, prepare \
    }
#define ROWS_7(op) ROW(op), ROW(op), ROW(op), ROW(op), ROW(op), ROW(op), ROW(op)
#define ROWS_21(op) ROWS_7(op), ROWS_7(op), ROWS_7(op)

static const oct_cuda_row rows[] = {
    ROWS_21(OCT_OP_CONV),
    ROWS_21(OCT_OP_GEMM),
    ROWS_21(OCT_OP_MATMUL),
};

_Static_assert(sizeof rows / sizeof rows[0] == 3 * ROWS_PER_OP, "row_of()");

const oct_cuda_rows oct_cuda_rows_conv = {rows, sizeof rows / sizeof rows[0]};
