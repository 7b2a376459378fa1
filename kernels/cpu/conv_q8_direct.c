/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/conv_q8_internal.h"

#if defined(OCT_X86)

#define TILE OCT_VNNI_ROWS
#define PANEL OCT_VNNI_PANEL
#define CHUNK_TILES 16         /* of 14 pixels, listed at once */
#define SLAB_BYTES (96 * 1024) /* of input rows copied at once, so that they stay in L2 */
#define SLAB_SLACK 64          /* a lane may start in the last byte of a row */

/* ---- plan ----------------------------------------------------------------------------------- */

static bool even_rows(const oct_cpu_window *c, const int64_t axis[3])
{
    return c->w.out[1] == 1 || axis[1] == c->w.out[2] * axis[2];
}

/* No tap of any pixel is padding. */
static bool all_inside(const oct_cpu_window *c)
{
    for (int a = 1; a < 3; a++) {
        const int64_t last = (c->w.out[a] - 1) * c->w.stride[a] - c->w.pad_lo[a];
        if (c->w.pad_lo[a] > 0 || last + (c->w.kernel[a] - 1) * c->w.dilation[a] >= c->w.in[a])
            return false;
    }
    return true;
}

/* Input rows under n consecutive pixels, at most. */
static size_t rows_under(const oct_cpu_window *c, size_t n)
{
    const size_t width = (size_t)c->w.out[2];
    const size_t out_rows = oct_min_size((n + width - 2) / width + 1, (size_t)c->w.out[1]);
    return (out_rows - 1) * (size_t)c->w.stride[1] +
           (size_t)((c->w.kernel[1] - 1) * c->w.dilation[1]) + 1;
}

static size_t slab_bytes(const oct_q8_conv *op, size_t n)
{
    return rows_under(&op->win, n) * (size_t)op->direct.row_step + SLAB_SLACK;
}

/* How threads share the work: pixels, channels or both, so that the fullest has least. */
static void share(oct_q8_conv *op)
{
    oct_q8_direct *p = &op->direct;
    const size_t threads = (size_t)op->threads, tiles = (op->pixels + TILE - 1) / TILE;
    size_t least = SIZE_MAX;
    for (size_t n = 1; n <= oct_min_size(threads, op->panels); n++) {
        const size_t pixel_parts = oct_min_size(threads / n, tiles);
        const size_t load = (tiles + pixel_parts - 1) / pixel_parts * ((op->panels + n - 1) / n);
        if (load < least) {
            least = load;
            p->panel_parts = n;
            p->pixel_parts = pixel_parts;
        }
    }
}

bool oct_q8_direct_plan(oct_q8_conv *op)
{
    oct_q8_direct *p = &op->direct;
    const oct_cpu_window *c = &op->win;
    const size_t channels = (size_t)c->in_channels;
    if (op->kind == OCT_Q8_S16 || op->depthwise || c->transposed || c->w.in[0] != 1 ||
        c->w.kernel[0] != 1 || c->w.out[0] != 1 || c->w.pad_lo[0] != 0 ||
        !even_rows(c, c->y_axis) || (op->residual >= 0 && !even_rows(c, op->residual_axis)))
        return false;
    const bool dense = c->x_axis[2] == c->in_channels;
    p->in_place = all_inside(c) && op->k % 4 == 0;
    p->run = c->group == 1 && c->w.dilation[2] == 1 && (dense || !p->in_place)
                 ? (size_t)c->w.kernel[2]
                 : 1;
    p->taps = op->taps / p->run;
    p->lanes = (p->run * op->k + 3) / 4;
    p->pixel_step = p->in_place ? c->x_axis[2] : c->in_channels;
    p->padded_width =
        (size_t)((c->w.out[2] - 1) * c->w.stride[2] + (c->w.kernel[2] - 1) * c->w.dilation[2] + 1);
    p->row_step = p->in_place ? c->x_axis[1] : (ptrdiff_t)(p->padded_width * channels);
    op->panels = (op->n + PANEL - 1) / PANEL;
    share(op);
    p->chunk = CHUNK_TILES * TILE;
    while (!p->in_place && p->chunk > TILE && slab_bytes(op, p->chunk) > SLAB_BYTES)
        p->chunk -= TILE;
    return true;
}

size_t oct_q8_direct_lanes(const oct_q8_conv *op)
{
    const oct_q8_direct *p = &op->direct;
    return (size_t)op->win.group * op->panels * PANEL * p->taps * p->lanes;
}

static size_t aligned(size_t bytes)
{
    return (bytes + OCT_ALIGN - 1) / OCT_ALIGN * OCT_ALIGN;
}

size_t oct_q8_direct_worker_bytes(const oct_q8_conv *op)
{
    const oct_q8_direct *p = &op->direct;
    return aligned(p->chunk * sizeof(void *)) +
           (p->in_place ? 0 : aligned(slab_bytes(op, p->chunk)));
}

/* ---- packing -------------------------------------------------------------------------------- */

/* Channels of a panel in a whole vector pair, or in one vector. */
static size_t panel_width(size_t columns)
{
    return columns <= 16 ? 16 : PANEL;
}

static size_t channel_of(size_t width, size_t lane)
{
    return width == 16 ? lane : oct_vnni_channel(lane);
}

#define LANES_AT_ONCE 16 /* of every channel, so that what is written stays in L1 */

/* One channel's weights as the lanes read them: [tap][run * k] bytes, each tap padded to lanes. */
static void order_channel(const oct_q8_conv *op, size_t group, size_t n, uint8_t *out)
{
    const oct_q8_direct *p = &op->direct;
    const oct_q8_source *s = &op->source;
    const uint8_t raise = s->is_signed ? 0 : 0x80; /* u8 around 128 as s8 */
    const uint8_t *w = s->w + (ptrdiff_t)group * s->group_step + (ptrdiff_t)n * s->n_step;
    const size_t tap_bytes = 4 * p->lanes;
    for (size_t tap = 0; tap < op->taps; tap++) {
        uint8_t *to = out + tap / p->run * tap_bytes + tap % p->run * op->k;
        const uint8_t *from = w + (ptrdiff_t)tap * s->tap_step;
        if (s->k_step == 1 && raise == 0)
            memcpy(to, from, op->k);
        else
            for (size_t k = 0; k < op->k; k++)
                to[k] = from[(ptrdiff_t)k * s->k_step] ^ raise;
    }
    for (size_t tap = 0; tap < p->taps; tap++)
        memset(out + tap * tap_bytes + p->run * op->k, 0, tap_bytes - p->run * op->k);
}

static void pack_panel(const oct_q8_conv *op, size_t group, size_t first, uint8_t *ordered,
                       uint32_t *out)
{
    const size_t lanes = op->direct.taps * op->direct.lanes;
    const size_t columns = oct_min_size(PANEL, op->n - first), width = panel_width(columns);
    for (size_t c = 0; c < columns; c++)
        order_channel(op, group, first + c, ordered + c * lanes * 4);
    if (columns < PANEL)
        memset(out, 0, PANEL * lanes * sizeof *out);
    for (size_t lo = 0; lo < lanes; lo += LANES_AT_ONCE)
        for (size_t i = 0; i < width; i++) {
            const size_t c = channel_of(width, i);
            const size_t hi = oct_min_size(lo + LANES_AT_ONCE, lanes);
            for (size_t lane = lo; c < columns && lane < hi; lane++)
                memcpy(out + lane * width + i, ordered + (c * lanes + lane) * 4, 4);
        }
}
typedef struct packing {
    const oct_q8_conv *op;
    uint32_t *out;
    uint8_t *ordered; /* a panel's rows per worker */
} packing;

static void pack_panels(void *user, size_t lo, size_t hi, int worker)
{
    const packing *k = user;
    const size_t lanes = k->op->direct.taps * k->op->direct.lanes, panels = k->op->panels;
    for (size_t i = lo; i < hi; i++)
        pack_panel(k->op, i / panels, i % panels * PANEL,
                   k->ordered + (size_t)worker * PANEL * lanes * 4, k->out + i * PANEL * lanes);
}

oct_status oct_q8_direct_pack(const oct_q8_conv *op, oct_ctx *ctx, uint32_t *out)
{
    const size_t lanes = op->direct.taps * op->direct.lanes;
    packing k = {op, out, oct_alloc_array(ctx, (size_t)op->threads * PANEL * lanes, 4)};
    if (!k.ordered)
        return OCT_ERR_NOMEM;
    oct_parallel_for(op->threads, (size_t)op->win.group * op->panels, 1, pack_panels, &k);
    oct_free(ctx, k.ordered);
    return OCT_OK;
}

static void set_finish(oct_q8_conv *op)
{
    oct_vnni_finish *f = &op->direct.finish;
    const oct_q8_out *o = &op->finish.out[0];
    const oct_requant *rq = &o->rq;
    const int out_bias = o->dtype == OCT_DT_U8 ? 128 : 0;
    const int res_bias = op->finish.residual == OCT_DT_U8 ? 128 : 0;
    f->other = &op->finish;
    f->bytes = op->finish.n_out == 1 && (o->dtype == OCT_DT_S8 || o->dtype == OCT_DT_U8) &&
               op->finish.residual != OCT_DT_F32 && oct_q8_is_tame(op);
    f->act = rq->act;
    f->a = rq->a;
    f->b = rq->b;
    f->scale = rq->scaled ? 1.0f : rq->out.scale;
    f->factor = 1.0f / f->scale;
    f->flip = (uint8_t)out_bias;
    f->zero = rq->out.zero_point - out_bias;
    f->lo = (int8_t)(rq->lo - out_bias);
    f->hi = (int8_t)(rq->hi - out_bias);
    f->r_flip = (uint8_t)res_bias;
    f->r = rq->r;
    f->r_zero = (float)(rq->z_r - res_bias);
}

oct_status oct_q8_direct_params(oct_q8_conv *op, oct_ctx *ctx)
{
    const oct_q8_out *o = &op->finish.out[0];
    const size_t group = (size_t)op->win.group, padded = op->panels * PANEL, n = group * padded;
    int32_t *comp = oct_zalloc_array(ctx, 3 * n, sizeof *comp);
    op->lane_params = comp;
    if (!comp)
        return OCT_ERR_NOMEM;
    float *m = (float *)(void *)(comp + n), *b = m + n;
    set_finish(op);
    for (size_t i = 0; op->direct.finish.bytes && i < n; i++) { /* the others bring their own */
        const size_t first = i % padded / PANEL * PANEL;
        const size_t width = panel_width(oct_min_size(PANEL, op->n - first));
        const size_t lane = i % PANEL, c = first + (lane < width ? channel_of(width, lane) : PANEL);
        if (lane >= width || c >= op->n)
            continue;
        const size_t at = i / padded * op->n + c;
        comp[i] = op->comp[at];
        m[i] = o->m[at];
        b[i] = o->b[at];
    }
    return OCT_OK;
}

/* ---- run ------------------------------------------------------------------------------------ */

typedef struct job {
    const oct_q8_conv *op;
    const uint8_t *x;
    const char *residual;
    char *y[2];
    char *workspace;
    ptrdiff_t *delta; /* [taps] */
} job;

/* Consecutive pixels of one image. */
typedef struct chunk {
    int64_t image;
    size_t first, n; /* pixels, counted within the image */
    const uint8_t **x;
    uint8_t *slab;
} chunk;

/* Copies the input rows [top, top + rows) of an image, padding included. */
static void fill_slab(const oct_q8_conv *op, const uint8_t *image, int64_t top, size_t rows,
                      uint8_t *slab)
{
    const oct_q8_direct *p = &op->direct;
    const oct_cpu_window *c = &op->win;
    const size_t channels = (size_t)c->in_channels, width = (size_t)p->row_step;
    const size_t left = (size_t)c->w.pad_lo[2];
    const size_t pixels = oct_min_size((size_t)c->w.in[2], p->padded_width - left);
    const size_t right = p->padded_width - left - pixels;
    for (size_t r = 0; r < rows; r++, slab += width) {
        const int64_t from = top + (int64_t)r;
        if (from < 0 || from >= c->w.in[1]) {
            memset(slab, (uint8_t)op->x_zero, width);
            continue;
        }
        const uint8_t *x = image + from * c->x_axis[1];
        uint8_t *to = slab + left * channels;
        memset(slab, (uint8_t)op->x_zero, left * channels);
        if (c->x_axis[2] == c->in_channels)
            memcpy(to, x, pixels * channels);
        else
            for (size_t i = 0; i < pixels; i++)
                memcpy(to + i * channels, x + (int64_t)i * c->x_axis[2], channels);
        memset(to + pixels * channels, (uint8_t)op->x_zero, right * channels);
    }
}

/* Where tap 0 of every pixel lies. */
static void list_chunk(const job *j, const chunk *k)
{
    const oct_q8_conv *op = j->op;
    const oct_q8_direct *p = &op->direct;
    const oct_cpu_window *c = &op->win;
    const size_t width = (size_t)c->w.out[2];
    const uint8_t *image = j->x + k->image * c->x_batch, *base = image;
    int64_t top = 0;
    if (!p->in_place) {
        const int64_t out_top = (int64_t)(k->first / width);
        const int64_t out_end = (int64_t)((k->first + k->n - 1) / width);
        const int64_t tall = (c->w.kernel[1] - 1) * c->w.dilation[1] + 1;
        top = out_top * c->w.stride[1];
        fill_slab(op, image, top - c->w.pad_lo[1],
                  (size_t)((out_end - out_top) * c->w.stride[1] + tall), k->slab);
        base = k->slab;
    }
    const ptrdiff_t across = (ptrdiff_t)c->w.stride[2] * p->pixel_step;
    size_t column = k->first % width;
    int64_t row = (int64_t)(k->first / width);
    for (size_t i = 0; i < k->n; row++, column = 0) {
        const uint8_t *x = base + (row * c->w.stride[1] - top) * p->row_step;
        for (; column < width && i < k->n; column++, i++)
            k->x[i] = x + (ptrdiff_t)column * across;
    }
}

/* Rows of the next tile: even shares of what is left. */
static size_t tile_rows(size_t left)
{
    const size_t tiles = (left + TILE - 1) / TILE;
    return (left + tiles - 1) / tiles;
}

static void place_rows(const job *j, const chunk *k, size_t at, size_t n, oct_q8_place *place)
{
    const oct_q8_conv *op = j->op;
    const oct_cpu_window *c = &op->win;
    for (size_t i = 0; i < n; i++) {
        const int64_t pixel = (int64_t)(k->first + at + i);
        const int64_t y = k->image * c->y_batch + pixel * c->y_axis[2];
        memset(&place[i], 0, sizeof place[i]);
        for (int o = 0; o < op->finish.n_out; o++)
            place[i].out[o] = j->y[o] + y * (int64_t)op->out_bytes[o];
        if (j->residual)
            place[i].residual =
                j->residual + (k->image * op->residual_batch + pixel * op->residual_axis[2]) *
                                  (int64_t)op->residual_bytes;
    }
}

static void panel_over_chunk(const job *j, const chunk *k, size_t group, size_t panel)
{
    const oct_q8_conv *op = j->op;
    const oct_q8_direct *p = &op->direct;
    const oct_cpu_window *c = &op->win;
    const size_t padded = op->panels * PANEL, params = group * padded + panel * PANEL;
    const size_t channel = group * op->n + panel * PANEL;
    const int32_t *comp = op->lane_params;
    const size_t all = (size_t)c->group * padded;
    const uint32_t *packed = op->weights->data;
    const int64_t first = (int64_t)k->first;
    oct_q8_place place[TILE];
    oct_vnni_tile t = {.finish = &p->finish,
                       .delta = j->delta + group * p->taps,
                       .taps = p->taps,
                       .lanes = p->lanes,
                       .flip = op->x_signed ? 0x80808080u : 0,
                       .w = packed + params * p->taps * p->lanes,
                       .comp = comp + params,
                       .m = (const float *)(const void *)(comp + all) + params,
                       .b = (const float *)(const void *)(comp + 2 * all) + params,
                       .y_step = c->y_axis[2],
                       .residual_step = op->residual_axis[2],
                       .place = place,
                       .channel = channel,
                       .columns = oct_min_size(PANEL, op->n - panel * PANEL)};
    t.y = j->y[0] + k->image * c->y_batch + first * t.y_step + (int64_t)channel;
    t.residual = j->residual ? j->residual + k->image * op->residual_batch +
                                   first * t.residual_step + (int64_t)channel
                             : NULL;
    for (size_t i = 0; i < k->n; i += t.rows) {
        t.rows = tile_rows(k->n - i);
        t.x = k->x + i;
        if (!p->finish.bytes)
            place_rows(j, k, i, t.rows, place);
        oct_vnni_tile_avx512(&t);
        t.y += (ptrdiff_t)t.rows * t.y_step;
        if (t.residual)
            t.residual += (ptrdiff_t)t.rows * t.residual_step;
    }
}

static void run_part(const job *j, size_t part, chunk *k)
{
    const oct_q8_conv *op = j->op;
    const oct_q8_direct *p = &op->direct;
    const size_t per_image = (size_t)oct_cpu_window_out_pixels(&op->win);
    const size_t tiles = (op->pixels + TILE - 1) / TILE, i = part / p->panel_parts;
    const size_t lo = i * tiles / p->pixel_parts * TILE;
    const size_t hi = oct_min_size((i + 1) * tiles / p->pixel_parts * TILE, op->pixels);
    const size_t n = part % p->panel_parts;
    for (size_t at = lo; at < hi; at += k->n) {
        k->image = (int64_t)(at / per_image);
        k->first = at % per_image;
        k->n = oct_min_size(oct_min_size(p->chunk, hi - at), per_image - k->first);
        list_chunk(j, k);
        for (size_t g = 0; g < (size_t)op->win.group; g++)
            for (size_t panel = n * op->panels / p->panel_parts;
                 panel < (n + 1) * op->panels / p->panel_parts; panel++)
                panel_over_chunk(j, k, g, panel);
    }
}

static void run_parts(void *user, size_t lo, size_t hi, int worker)
{
    const job *j = user;
    const oct_q8_conv *op = j->op;
    char *mine = j->workspace + (size_t)worker * oct_q8_direct_worker_bytes(op);
    chunk k = {.x = (const uint8_t **)(void *)mine,
               .slab = (uint8_t *)mine + aligned(op->direct.chunk * sizeof(void *))};
    for (size_t i = lo; i < hi; i++)
        run_part(j, i, &k);
}

oct_status oct_q8_direct_run(const oct_cpu_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const oct_q8_conv *op = (const oct_q8_conv *)base;
    job j = {op,
             a->in[0],
             op->residual >= 0 ? a->in[op->residual] : NULL,
             {a->out[0], op->finish.n_out == 2 ? a->out[1] : NULL},
             a->workspace,
             op->delta};
    (void)ctx;
    oct_parallel_for(op->threads, op->direct.pixel_parts * op->direct.panel_parts, 1, run_parts,
                     &j);
    return OCT_OK;
}

/* delta[group][tap]: bytes from a pixel's first tap to this one. */
void oct_q8_direct_deltas(const oct_q8_conv *op, ptrdiff_t *delta)
{
    const oct_q8_direct *p = &op->direct;
    const oct_window *w = &op->win.w;
    const size_t across = (size_t)w->kernel[2] / p->run;
    for (size_t g = 0; g < (size_t)op->win.group; g++)
        for (size_t t = 0; t < p->taps; t++)
            *delta++ = (ptrdiff_t)(g * op->k) +
                       (ptrdiff_t)(t / across) * w->dilation[1] * p->row_step +
                       (ptrdiff_t)(t % across) * w->dilation[2] * p->pixel_step;
}

#endif
