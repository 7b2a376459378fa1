/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cuda/cuda_simt_op.h"

#include <stdio.h>

#include "base/numeric.h"

#define QUAD 4         /* elements of a word for dp4a; k of a vector access */
#define MAX_GRID 65535 /* of y and z */

/* What the numbers decide, without any device. */
typedef struct plan {
    oct_simt_kind kind;
    oct_simt_tile tile;
    int splits;
    int64_t unit; /* elements of one k */
    int64_t k, k_pad, n_pad;
    bool vector, vector_out;
    bool computed; /* weights are packed while running */
    size_t w_words;
} plan;

typedef struct part {
    oct_simt s;
    plan plan;
    const oct_simt_k *k_vector, *k_single; /* device */
    oct_simt_pack pack;
    const void *packed; /* constant weights; oct_cuda_unpack() */
    void *tables, *correction;
    size_t pack_at; /* computed weights in the workspace */
} part;

typedef struct simt_op {
    oct_cuda_op base;
    int bias, residual;
    void *factors;
    size_t partial_at;
    int n_parts;
    part part[];
} simt_op;

/* ---- problems ---- */

oct_status oct_simt_problem_init(oct_simt_problem *p, oct_ctx *ctx, int64_t n_terms, int64_t n_z,
                                 int64_t n_w)
{
    memset(p, 0, sizeof *p);
    p->n_terms = n_terms;
    p->n_z = n_z;
    p->n_w = n_w;
    p->bias_col = 1;
    p->term = oct_zalloc_array(ctx, (size_t)n_terms + 1, sizeof *p->term);
    p->z = oct_zalloc_array(ctx, (size_t)n_z, sizeof *p->z);
    p->w_off = oct_zalloc_array(ctx, (size_t)n_w, sizeof *p->w_off);
    return p->term && p->z && p->w_off ? OCT_OK : OCT_ERR_NOMEM;
}

void oct_simt_problem_free(oct_simt_problem *p, oct_ctx *ctx)
{
    oct_free(ctx, p->term);
    oct_free(ctx, p->z);
    oct_free(ctx, p->w_off);
    p->term = NULL;
    p->z = NULL;
    p->w_off = NULL;
}

oct_simt_strides oct_simt_strides_of(const oct_tensor_desc *t)
{
    oct_simt_strides s = {.batch = t->stride[0], .channel = t->stride[1]};
    const int lead = 3 - (t->shape.n_dims - 2);
    for (int i = lead; i < 3; i++)
        s.axis[i] = t->stride[2 + i - lead];
    return s;
}

/* ---- planning ---- */

static int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

/* Terms come in runs of `n` neighbours of one tap, each beginning at a multiple of `n`. */
static bool in_runs(const oct_simt_problem *p, int64_t n)
{
    if (p->n_terms % n != 0 || p->x_batch % n != 0)
        return false;
    for (int i = 0; i < 3; i++)
        if (p->x_axis[i] % n != 0)
            return false;
    for (int64_t i = 0; i < p->n_z; i++)
        if (p->z[i].x % n != 0)
            return false;
    for (int64_t i = 0; i < p->n_terms; i++) {
        const oct_simt_term *t = &p->term[i], *first = &p->term[i / n * n];
        if (t->offset != first->offset + i % n || first->offset % n != 0 ||
            memcmp(t->move, first->move, sizeof t->move) != 0)
            return false;
    }
    return true;
}

/* What is left of the weights' zero points when they are stored as s8; false if it does not fit. */
static bool weights_are_s8(const oct_operand *w)
{
    const int32_t zero = w->desc.dtype == OCT_DT_S8 ? 0 : 128;
    for (int32_t i = 0; i < w->quant.n; i++)
        if (w->quant.q[i].zero_point != zero)
            return false;
    return true;
}

/* x less 128 where it is u8: dp4a then multiplies s8 by s8. */
static int32_t dp4a_zero(const oct_operand *x)
{
    return x->quant.q[0].zero_point - (x->desc.dtype == OCT_DT_U8 ? 128 : 0);
}

static oct_simt_kind choose_kind(const oct_op_desc *d, const oct_simt_problem *p, int n)
{
    const oct_dtype dt = d->in[0].desc.dtype;
    if (oct_cuda_is_real(dt))
        return dt == OCT_DT_F32 ? OCT_SIMT_F32 : OCT_SIMT_F16;
    bool words = d->in[1].data && weights_are_s8(&d->in[1]);
    for (int i = 0; words && i < n; i++)
        words = in_runs(&p[i], QUAD) && (p[i].own_channels || dp4a_zero(&d->in[0]) == 0);
    if (words)
        return OCT_SIMT_DP4A;
    return dt == OCT_DT_S8 ? OCT_SIMT_S8 : OCT_SIMT_U8;
}

static bool fours(const oct_simt_strides *s)
{
    return s->channel == 1 && s->batch % QUAD == 0 && s->axis[0] % QUAD == 0 &&
           s->axis[1] % QUAD == 0 && s->axis[2] % QUAD == 0 && s->base % QUAD == 0;
}

/* Whether channels of outputs and residual can be written in fours, pointers permitting. */
static bool can_store_fours(const oct_op_desc *d, const oct_simt_problem *p)
{
    if (p->cols % QUAD != 0 || !fours(&p->y[0]) || (d->n_out > 1 && !fours(&p->y[1])) ||
        (d->epilogue.residual >= 0 && !fours(&p->y[2])))
        return false;
    for (int64_t i = 0; i < p->n_z; i++) {
        const oct_simt_z *z = &p->z[i];
        if (z->y0 % QUAD || z->y1 % QUAD || z->r % QUAD || z->channel % QUAD)
            return false;
    }
    return true;
}

static bool fits_grid(const oct_simt_problem *p, const plan *pl)
{
    const int64_t tiles = round_up(p->rows, oct_simt_tile_rows(pl->tile)) /
                          oct_simt_tile_rows(pl->tile) * (pl->n_pad / oct_simt_tile_cols(pl->tile));
    return p->rows > 0 && p->rows < INT32_MAX && p->cols > 0 && p->cols < INT32_MAX &&
           tiles < INT32_MAX && p->n_z <= MAX_GRID && pl->k_pad < INT32_MAX;
}

static bool make_plan(oct_cuda *be, const oct_op_desc *d, const oct_simt_problem *p,
                      oct_simt_kind kind, plan *pl)
{
    const bool small = kind != OCT_SIMT_F32;
    *pl = (plan){.kind = kind, .unit = kind == OCT_SIMT_DP4A ? QUAD : 1};
    pl->k = p->n_terms / pl->unit;
    pl->k_pad = round_up(pl->k, OCT_SIMT_BK);
    pl->vector =
        kind != OCT_SIMT_S8 && kind != OCT_SIMT_U8 && in_runs(p, QUAD * pl->unit) && pl->k > 0;
    pl->vector_out = can_store_fours(d, p);
    pl->computed = !d->in[1].data;
    oct_simt_choose(be->n_sm, p->rows, p->cols, p->n_z, pl->k_pad / OCT_SIMT_BK, &pl->tile,
                    &pl->splits);
    if (small && pl->tile != OCT_SIMT_128x32)
        pl->tile = OCT_SIMT_64x64;
    pl->n_pad = round_up(p->cols, oct_simt_tile_cols(pl->tile));
    pl->w_words = (size_t)(p->n_w * pl->k_pad) * (size_t)pl->n_pad;
    return fits_grid(p, pl);
}

static size_t aligned(size_t n)
{
    return (n + 255) / 256 * 256;
}

static size_t partial_bytes(const oct_simt_problem *p, const plan *pl)
{
    return pl->splits > 1 ? sizeof(float) * (size_t)pl->splits * (size_t)p->n_z * (size_t)p->rows *
                                (size_t)pl->n_pad
                          : 0;
}

/* Furthest element of x that a place can name; positions are 32-bit on the device. */
static bool x_fits(const oct_tensor_desc *x)
{
    int64_t last = 0;
    for (int i = 0; i < x->shape.n_dims; i++)
        last += (x->shape.dim[i] - 1) * x->stride[i];
    return last < INT32_MAX / 2;
}

static bool query_plans(oct_cuda *be, const oct_op_desc *d, const oct_simt_problem *p, int n,
                        plan *first, size_t *workspace, char *reason)
{
    size_t packed = 0, partial = 0;
    const bool integer = oct_cuda_is_8bit(d->in[0].desc.dtype);
    if (!oct_cuda_finish_ok(d, integer, reason))
        return false;
    if (!x_fits(&d->in[0].desc))
        return oct_cuda_no(reason, "input of more than 2^30 elements");
    if (d->in[1].desc.layout != OCT_LAYOUT_ROW || !oct_cuda_dense(&d->in[1]))
        return oct_cuda_no(reason, "strided weights");
    if (integer && !d->in[1].data && d->in[1].quant.n != 1)
        return oct_cuda_no(reason, "computed weights with a scale per channel");
    const oct_simt_kind kind = choose_kind(d, p, n);
    for (int i = 0; i < n; i++) {
        plan pl;
        if (integer && !oct_cuda_sum_fits(d, p[i].n_terms))
            return oct_cuda_no(reason, "sums may leave s32");
        if (!make_plan(be, d, &p[i], kind, &pl))
            return oct_cuda_no(reason, "size");
        packed += pl.computed ? aligned(pl.w_words * sizeof(float)) : 0;
        partial = oct_max_size(partial, partial_bytes(&p[i], &pl));
        if (i == 0)
            *first = pl;
    }
    *workspace = packed + partial;
    return true;
}

bool oct_simt_op_query(oct_cuda *be, const oct_op_desc *d, const oct_simt_problem *p, int n,
                       oct_candidate *c, char *reason)
{
    static const char *const kinds[OCT_SIMT_KIND_COUNT] = {"f32", "f16",  "s8",
                                                           "u8",  "dp4a", "dp4a"};
    plan pl;
    if (!query_plans(be, d, p, n, &pl, &c->workspace_bytes, reason))
        return false;
    snprintf(c->name, sizeof c->name, "cuda:simt:%s:%dx%d", kinds[pl.kind],
             oct_simt_tile_rows(pl.tile), oct_simt_tile_cols(pl.tile));
    return true;
}

/* ---- weights ---- */

typedef struct packing {
    const oct_simt_problem *p;
    const plan *pl;
    const oct_operand *w;
} packing;

static int32_t weight_zero(const packing *k, int64_t channel)
{
    const oct_quant *q = &k->w->quant;
    return q->n == 0 ? 0 : q->q[q->n == 1 ? 0 : channel % k->p->zero_channels % q->n].zero_point;
}

static int32_t weight_int(const packing *k, int64_t at)
{
    return k->w->desc.dtype == OCT_DT_S8 ? ((const int8_t *)k->w->data)[at]
                                         : ((const uint8_t *)k->w->data)[at];
}

static float weight_real(const packing *k, int64_t at)
{
    return k->w->desc.dtype == OCT_DT_F32 ? ((const float *)k->w->data)[at]
                                          : oct_f32_from_f16(((const uint16_t *)k->w->data)[at]);
}

/* Channel of column 0 of weight matrix `m`: that of the first z that uses it. */
static int64_t matrix_channel(const oct_simt_problem *p, int64_t m)
{
    for (int64_t i = 0; i < p->n_z; i++)
        if (p->z[i].w == m)
            return p->z[i].channel;
    return 0;
}

/* The word of (k, n) in the matrix at `base`. */
static uint32_t weight_word(const packing *pk, int64_t base, int64_t k, int32_t zero)
{
    const oct_simt_term *t = &pk->p->term[k * pk->pl->unit];
    if (pk->pl->kind == OCT_SIMT_F32 || pk->pl->kind == OCT_SIMT_F16)
        return oct_f32_bits(weight_real(pk, base + t->w));
    if (pk->pl->kind != OCT_SIMT_DP4A)
        return (uint32_t)(weight_int(pk, base + t->w) - zero);
    uint32_t word = 0;
    for (int i = 0; i < QUAD; i++)
        word |= (uint32_t)(uint8_t)(weight_int(pk, base + t[i].w) - zero) << 8 * i;
    return word;
}

static void fill_weights(const void *user, void *host, size_t bytes)
{
    const packing *pk = user;
    const plan *pl = pk->pl;
    (void)bytes;
    for (int64_t m = 0; m < pk->p->n_w; m++) {
        const int64_t channel = matrix_channel(pk->p, m);
        for (int64_t n = 0; n < pk->p->cols; n++) {
            const int32_t zero = weight_zero(pk, channel + n);
            const int64_t base = pk->p->w_off[m] + n * pk->p->w_step;
            uint32_t *to = (uint32_t *)host + m * pl->k_pad * pl->n_pad + n;
            for (int64_t k = 0; k < pl->k; k++)
                to[k * pl->n_pad] = weight_word(pk, base, k, zero);
        }
    }
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

/* Everything the packed bytes depend on besides the constant. */
static uint64_t weight_format(const packing *pk)
{
    const oct_simt_problem *p = pk->p;
    uint64_t h = mix(0x73696D74, (uint64_t)pk->pl->kind);
    h = mix(mix(h, (uint64_t)pk->pl->k_pad), (uint64_t)pk->pl->n_pad);
    h = mix(mix(h, (uint64_t)p->cols), (uint64_t)p->w_step);
    for (int64_t i = 0; i < p->n_terms; i++)
        h = mix(h, (uint64_t)p->term[i].w);
    for (int64_t i = 0; i < p->n_w; i++)
        h = mix(h, (uint64_t)p->w_off[i]);
    for (int32_t i = 0; i < pk->w->quant.n; i++)
        h = mix(h, (uint64_t)(int64_t)pk->w->quant.q[i].zero_point);
    return h;
}

/* dp4a multiplies x itself: what its zero point adds to each channel comes off again. */
static oct_status upload_correction(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                    const oct_simt_problem *p, part *pt)
{
    const int32_t x_zero = dp4a_zero(&d->in[0]);
    const packing pk = {p, &pt->plan, &d->in[1]};
    int32_t *sum = oct_zalloc_array(ctx, (size_t)p->n_channels + QUAD, sizeof *sum);
    if (!sum)
        return OCT_ERR_NOMEM;
    for (int64_t i = 0; i < p->n_z; i++) {
        for (int64_t n = 0; n < p->cols; n++) {
            const int64_t c = p->z[i].channel + n;
            const int32_t zero = weight_zero(&pk, c);
            int32_t total = 0;
            for (int64_t k = 0; k < p->n_terms; k++)
                total += weight_int(&pk, p->w_off[p->z[i].w] + n * p->w_step + p->term[k].w) - zero;
            sum[c] = -x_zero * total;
        }
    }
    const oct_status st = oct_cuda_upload(
        be, ctx, sum, ((size_t)p->n_channels + QUAD) * sizeof *sum, &pt->correction);
    oct_free(ctx, sum);
    return st;
}

/* ---- tables ---- */

typedef struct tables { /* one upload: places of its pieces */
    size_t k_vector, k_single, z, pad, z_off, k_off, bytes;
} tables;

static tables table_places(const oct_simt_problem *p, const plan *pl)
{
    tables t = {.k_vector = 0};
    t.k_single = aligned((size_t)(pl->k_pad / QUAD) * sizeof(oct_simt_k));
    t.z = t.k_single + aligned((size_t)pl->k_pad * sizeof(oct_simt_k));
    t.pad = t.z + aligned((size_t)p->n_z * sizeof(oct_simt_z));
    t.z_off = t.pad + aligned(16);
    t.k_off = t.z_off + aligned((size_t)p->n_w * sizeof(int64_t));
    t.bytes = t.k_off + aligned((size_t)pl->k_pad * sizeof(int64_t));
    return t;
}

static void fill_k(const oct_simt_problem *p, const plan *pl, int64_t step, oct_simt_k *k)
{
    for (int64_t i = 0; i < pl->k_pad; i += step, k++) {
        if (i >= pl->k) {
            *k = (oct_simt_k){.move = {0, 0, OCT_SIMT_NEVER}};
            continue;
        }
        const oct_simt_term *t = &p->term[i * pl->unit];
        k->offset = (int32_t)(t->offset / pl->unit);
        memcpy(k->move, t->move, sizeof k->move);
    }
}

static void fill_tables(const oct_op_desc *d, const oct_simt_problem *p, const plan *pl,
                        const tables *t, char *host)
{
    const oct_operand *x = &d->in[0];
    if (pl->vector)
        fill_k(p, pl, QUAD, (oct_simt_k *)(void *)(host + t->k_vector));
    fill_k(p, pl, 1, (oct_simt_k *)(void *)(host + t->k_single));
    oct_simt_z *z = (oct_simt_z *)(void *)(host + t->z);
    for (int64_t i = 0; i < p->n_z; i++) {
        z[i] = p->z[i];
        z[i].x /= pl->unit;
        z[i].w *= pl->k_pad * pl->n_pad;
    }
    if (x->quant.n > 0)
        memset(host + t->pad, x->quant.q[0].zero_point & 0xFF, 16);
    memcpy(host + t->z_off, p->w_off, (size_t)p->n_w * sizeof *p->w_off);
    int64_t *k_off = (int64_t *)(void *)(host + t->k_off);
    for (int64_t i = 0; i < pl->k_pad; i++)
        k_off[i] = i < pl->k ? p->term[i].w : -1;
}

static oct_status upload_tables(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                const oct_simt_problem *p, part *pt)
{
    const tables t = table_places(p, &pt->plan);
    char *host = oct_zalloc(ctx, t.bytes);
    if (!host)
        return OCT_ERR_NOMEM;
    fill_tables(d, p, &pt->plan, &t, host);
    const oct_status st = oct_cuda_upload(be, ctx, host, t.bytes, &pt->tables);
    oct_free(ctx, host);
    if (st != OCT_OK)
        return st;
    const char *at = pt->tables;
    pt->k_vector = (const void *)(at + t.k_vector);
    pt->k_single = (const void *)(at + t.k_single);
    pt->s.z = (const void *)(at + t.z);
    pt->s.pad = at + t.pad;
    pt->pack.z_off = (const void *)(at + t.z_off);
    pt->pack.k_off = (const void *)(at + t.k_off);
    return OCT_OK;
}

/* ---- making ---- */

static void set_shape(const oct_op_desc *d, const oct_simt_problem *p, part *pt)
{
    oct_simt *s = &pt->s;
    const plan *pl = &pt->plan;
    const oct_operand *x = &d->in[0];
    s->rows = (int32_t)p->rows;
    s->cols = (int32_t)p->cols;
    s->n_pad = (int32_t)pl->n_pad;
    s->k_tiles = (int32_t)(pl->k_pad / OCT_SIMT_BK);
    s->n_z = (int32_t)p->n_z;
    s->splits = pl->splits;
    for (int i = 0; i < 3; i++) {
        s->in[i] = (int32_t)p->in[i];
        s->step[i] = (int32_t)p->step[i];
        s->origin[i] = (int32_t)p->origin[i];
        s->x_axis[i] = (int32_t)(p->x_axis[i] / pl->unit);
        s->y[i] = p->y[i];
    }
    s->x_batch = (int32_t)(p->x_batch / pl->unit);
    s->out_d = oct_cuda_div_make(p->out[0]);
    s->out_h = oct_cuda_div_make(p->out[1]);
    s->out_w = oct_cuda_div_make(p->out[2]);
    s->flat = p->flat;
    s->x_zero = x->quant.n > 0 ? x->quant.q[0].zero_point : 0;
    s->x_flip = x->desc.dtype == OCT_DT_U8 ? 0x80808080u : 0;
    pt->pack.n_step = p->w_step;
    pt->pack.dtype = d->in[1].desc.dtype;
    pt->pack.zero = d->in[1].quant.n > 0 ? d->in[1].quant.q[0].zero_point : 0;
    pt->pack.n_z = (int32_t)p->n_w;
    pt->pack.k_pad = (int32_t)pl->k_pad;
    pt->pack.n = (int32_t)p->cols;
    pt->pack.n_pad = (int32_t)pl->n_pad;
}

static oct_status make_part(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                            const oct_simt_problem *p, const oct_cuda_finish *fin, part *pt)
{
    set_shape(d, p, pt);
    pt->s.fin = *fin;
    pt->s.fin.bias_row = p->bias_row;
    pt->s.fin.bias_col = p->bias_col;
    OCT_TRY(upload_tables(be, ctx, d, p, pt));
    if (pt->plan.computed || pt->plan.w_words == 0)
        return OCT_OK;
    const packing pk = {p, &pt->plan, &d->in[1]};
    return oct_cuda_pack_get(be, ctx, d->in[1].const_key, weight_format(&pk),
                             pt->plan.w_words * sizeof(float), (oct_cuda_pack){fill_weights, &pk},
                             &pt->packed);
}

static void simt_release(oct_cuda *be, oct_cuda_op *base)
{
    simt_op *op = (simt_op *)base;
    for (int i = 0; i < op->n_parts; i++) {
        oct_cuda_unpack(be, op->part[i].packed);
        cudaFree(op->part[i].tables);
        cudaFree(op->part[i].correction);
    }
    cudaFree(op->factors);
}

/* ---- running ---- */

static bool is_aligned(const void *p, size_t to)
{
    return (uintptr_t)p % to == 0;
}

static bool stores_fours(const part *pt, const oct_cuda_finish *f)
{
    bool ok = pt->plan.vector_out;
    for (int o = 0; o < f->n_out; o++)
        ok = ok && is_aligned(f->out[o].data, QUAD * oct_dtype_bytes(f->out[o].dtype));
    ok = ok && (!f->residual || is_aligned(f->residual, QUAD * oct_dtype_bytes(f->residual_dtype)));
    return ok && (!f->bias || is_aligned(f->bias, QUAD * oct_dtype_bytes(f->bias_dtype)));
}

/* Vector access where x permits it; words from anywhere by single bytes. */
static oct_simt_kind choose_access(const part *pt, const void *x, bool *vector)
{
    static const size_t bytes[OCT_SIMT_KIND_COUNT] = {4, 2, 1, 1, 4, 1};
    const oct_simt_kind kind = pt->plan.kind;
    *vector = pt->plan.vector && is_aligned(x, QUAD * bytes[kind]);
    return kind == OCT_SIMT_DP4A && !is_aligned(x, QUAD) ? OCT_SIMT_DP4A_BYTES : kind;
}

static oct_status run_part(const simt_op *op, const part *pt, oct_ctx *ctx, const oct_run_args *a)
{
    const cudaStream_t stream = a->stream ? a->stream->s : 0;
    char *ws = a->workspace;
    oct_simt s = pt->s;
    s.x = a->in[0];
    s.w = pt->packed;
    s.partial = ws + op->partial_at;
    oct_cuda_finish_bind(&s.fin, a, op->bias, op->residual);
    s.fin.correction = pt->correction;
    s.vector_out = stores_fours(pt, &s.fin);
    if (pt->plan.computed) {
        oct_simt_pack pack = pt->pack;
        pack.w = a->in[1];
        pack.out = ws + pt->pack_at;
        s.w = pack.out;
        if (pt->plan.w_words > 0)
            OCT_TRY(oct_cuda_check(ctx, oct_simt_pack_run(&pack, stream), "packing weights"));
    }
    bool vector;
    const oct_simt_kind kind = choose_access(pt, s.x, &vector);
    s.k = vector ? pt->k_vector : pt->k_single;
    OCT_TRY(oct_cuda_check(ctx, oct_simt_launch(&s, kind, pt->plan.tile, vector, stream),
                           "multiplying"));
    if (s.splits == 1)
        return OCT_OK;
    const bool real = kind == OCT_SIMT_F32 || kind == OCT_SIMT_F16;
    return oct_cuda_check(ctx,
                          oct_simt_finish(&s, s.partial, real ? OCT_SUMS_F32 : OCT_SUMS_S32,
                                          s.n_pad, s.splits, stream),
                          "adding partial sums");
}

static oct_status simt_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const simt_op *op = (const simt_op *)base;
    for (int i = 0; i < op->n_parts; i++)
        OCT_TRY(run_part(op, &op->part[i], ctx, a));
    return OCT_OK;
}

static oct_status make_parts(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                             const oct_simt_problem *p, simt_op *op)
{
    const bool integer = oct_cuda_is_8bit(d->in[0].desc.dtype);
    const oct_simt_kind kind = choose_kind(d, p, op->n_parts);
    oct_cuda_finish fin;
    OCT_TRY(oct_cuda_finish_make(be, ctx, d, integer, p->n_channels, &fin, &op->factors));
    op->bias = oct_cuda_bias_input(d);
    op->residual = d->epilogue.residual;
    for (int i = 0; i < op->n_parts; i++) {
        part *pt = &op->part[i];
        (void)make_plan(be, d, &p[i], kind, &pt->plan);
        pt->pack_at = op->partial_at;
        op->partial_at += pt->plan.computed ? aligned(pt->plan.w_words * sizeof(float)) : 0;
        OCT_TRY(make_part(be, ctx, d, &p[i], &fin, pt));
        if (kind == OCT_SIMT_DP4A && dp4a_zero(&d->in[0]) != 0)
            OCT_TRY(upload_correction(be, ctx, d, &p[i], pt));
    }
    return OCT_OK;
}

oct_status oct_simt_op_make(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                            const oct_simt_problem *p, int n, oct_cuda_op **out)
{
    simt_op *op = oct_cuda_op_new(be, ctx, sizeof *op + (size_t)n * sizeof op->part[0]);
    if (!op)
        return OCT_ERR_NOMEM;
    op->base.run = simt_run;
    op->base.release = simt_release;
    op->n_parts = n;
    const oct_status st = make_parts(be, ctx, d, p, op);
    if (st != OCT_OK) {
        simt_release(be, &op->base);
        oct_free(be->ctx, op);
        return st;
    }
    *out = &op->base;
    return OCT_OK;
}
