/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/conv_q8_internal.h"

#if defined(OCT_X86)

#define BLOCK 64
#define SLAB_BYTES (64 * 1024) /* of input rows copied at once */

/* ---- plan ----------------------------------------------------------------------------------- */

static size_t gcd(size_t a, size_t b)
{
    return b == 0 ? a : gcd(b, a % b);
}

/* Input rows under `rows` output rows, and the one more that pairs read below the last. */
static size_t slab_rows(const oct_q8_conv *op, size_t rows)
{
    const oct_window *w = &op->win.w;
    return (rows - 1) * (size_t)w->stride[1] + (size_t)((w->kernel[1] - 1) * w->dilation[1]) + 2;
}

static size_t slab_bytes(const oct_q8_conv *op, size_t rows)
{
    return slab_rows(op, rows) * op->dw.row_step + BLOCK;
}

bool oct_q8_dw_plan(oct_q8_conv *op)
{
    oct_q8_dw *p = &op->dw;
    const oct_cpu_window *c = &op->win;
    const oct_window *w = &c->w;
    const size_t channels = (size_t)c->in_channels;
    if (c->transposed || w->in[0] != 1 || w->kernel[0] != 1 || w->out[0] != 1 ||
        w->pad_lo[0] != 0 || c->y_axis[2] != c->out_channels)
        return false;
    p->period = channels / gcd(channels, BLOCK);
    p->pairs = w->stride[1] == 1 && w->dilation[1] == 1 && w->out[1] > 1;
    p->deep = p->pairs ? ((size_t)w->kernel[1] + 4) / 4 : 0; /* kernel rows and one more */
    p->groups = p->pairs ? (size_t)w->kernel[2] * p->deep : (op->taps + 3) / 4;
    const int64_t width = (w->out[2] - 1) * w->stride[2] + (w->kernel[2] - 1) * w->dilation[2] + 1;
    p->plane = (size_t)((width + w->stride[2] - 1) / w->stride[2]);
    p->row_step = (size_t)w->stride[2] * p->plane * channels;
    p->rows = 2;
    while (p->rows < (size_t)w->out[1] && slab_bytes(op, p->rows + 2) <= SLAB_BYTES)
        p->rows += 2;
    return p->groups <= OCT_Q8_DW_GROUPS;
}

size_t oct_q8_dw_worker_bytes(const oct_q8_conv *op)
{
    return (slab_bytes(op, op->dw.rows) + OCT_ALIGN - 1) / OCT_ALIGN * OCT_ALIGN;
}

static size_t packed_rows(const oct_q8_conv *op)
{
    return op->dw.pairs ? 2 : 1;
}

size_t oct_q8_dw_lanes(const oct_q8_conv *op)
{
    return op->dw.period * packed_rows(op) * op->dw.groups * BLOCK;
}

/* ---- packing -------------------------------------------------------------------------------- */

/* Kernel row and column of byte `i` of a group's lanes; false where there is none. With pairs, row
 * `second` of the two has its taps one byte later. */
static bool tap_of(const oct_q8_conv *op, size_t group, size_t i, size_t second, size_t *ky,
                   size_t *kx)
{
    const size_t across = (size_t)op->win.w.kernel[2], down = (size_t)op->win.w.kernel[1];
    if (op->dw.pairs) {
        const size_t row = group % op->dw.deep * 4 + i;
        *kx = group / op->dw.deep;
        *ky = row - second;
        return row >= second && *ky < down;
    }
    *ky = (4 * group + i) / across;
    *kx = (4 * group + i) % across;
    return *ky < down;
}

/* Four taps of one channel. */
static uint32_t pack_lane(const oct_q8_conv *op, size_t group, size_t second, size_t channel)
{
    const oct_q8_source *s = &op->source;
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        size_t ky, kx;
        if (!tap_of(op, group, i, second, &ky, &kx))
            continue;
        const ptrdiff_t tap = (ptrdiff_t)(ky * (size_t)op->win.w.kernel[2] + kx);
        const uint8_t w = s->w[(ptrdiff_t)channel * s->group_step + tap * s->tap_step];
        bits |= (uint32_t)(uint8_t)(s->is_signed ? w : w ^ 0x80) << 8 * i;
    }
    return bits;
}

/* [place in the period][row of a pair][group][64 lanes] */
void oct_q8_dw_pack(const oct_q8_conv *op, uint32_t *out)
{
    const size_t channels = (size_t)op->win.in_channels;
    for (size_t at = 0; at < op->dw.period; at++)
        for (size_t second = 0; second < packed_rows(op); second++)
            for (size_t g = 0; g < op->dw.groups; g++)
                for (size_t i = 0; i < BLOCK; i++)
                    *out++ = pack_lane(op, g, second, (at * BLOCK + oct_dw_byte(i)) % channels);
}

oct_status oct_q8_dw_params(oct_q8_conv *op, oct_ctx *ctx)
{
    const oct_q8_out *o = &op->finish.out[0];
    const size_t n = op->dw.period * BLOCK, channels = (size_t)op->win.in_channels;
    int32_t *comp = oct_alloc_array(ctx, 3 * n, sizeof *comp);
    op->lane_params = comp;
    if (!comp)
        return OCT_ERR_NOMEM;
    float *m = (float *)(void *)(comp + n), *b = m + n;
    op->dw.tame = oct_q8_is_tame(op);
    for (size_t i = 0; i < n; i++) {
        const size_t c = (i / BLOCK * BLOCK + oct_dw_byte(i % BLOCK)) % channels;
        comp[i] = op->comp[c];
        m[i] = o->m[c];
        b[i] = o->b[c];
    }
    return OCT_OK;
}

/* ---- run ------------------------------------------------------------------------------------ */

typedef struct job {
    const oct_q8_conv *op;
    const uint8_t *x;
    uint8_t *y;
    uint8_t *workspace;
} job;

/* One input row, columns of equal remainder modulo the stride side by side. */
static void fill_row(const oct_q8_conv *op, const uint8_t *x, uint8_t *slab)
{
    const oct_cpu_window *c = &op->win;
    const size_t channels = (size_t)c->in_channels, stride = (size_t)c->w.stride[2];
    const size_t left = (size_t)c->w.pad_lo[2], width = stride * op->dw.plane;
    const uint8_t flip = op->x_signed ? 0x80 : 0, zero = (uint8_t)op->x_zero ^ flip;
    const size_t pixels = left < width ? oct_min_size((size_t)c->w.in[2], width - left) : 0;
    if (stride == 1 && c->x_axis[2] == c->in_channels) {
        const size_t before = oct_min_size(left, width) * channels, bytes = pixels * channels;
        memset(slab, zero, before);
        oct_dw_copy_avx512(slab + before, x, bytes, flip);
        memset(slab + before + bytes, zero, op->dw.row_step - before - bytes);
        return;
    }
    for (size_t phase = 0; phase < stride; phase++)
        for (size_t at = phase; at < width; at += stride, slab += channels) {
            if (at >= left && at - left < pixels)
                oct_dw_copy_avx512(slab, x + (int64_t)(at - left) * c->x_axis[2], channels, flip);
            else
                memset(slab, zero, channels);
        }
}

static void fill_slab(const oct_q8_conv *op, const uint8_t *image, int64_t top, size_t rows,
                      uint8_t *slab)
{
    const oct_cpu_window *c = &op->win;
    const uint8_t zero = (uint8_t)op->x_zero ^ (op->x_signed ? 0x80 : 0);
    for (size_t r = 0; r < rows; r++, slab += op->dw.row_step) {
        const int64_t from = top + (int64_t)r;
        if (from < 0 || from >= c->w.in[1])
            memset(slab, zero, op->dw.row_step);
        else
            fill_row(op, image + from * c->x_axis[1], slab);
    }
}

/* Distances of the taps from the first byte of a row of the slab: [groups][4]. */
static void tap_offsets(const oct_q8_conv *op, size_t *offset)
{
    const oct_window *w = &op->win.w;
    const size_t channels = (size_t)op->win.in_channels, stride = (size_t)w->stride[2];
    const size_t down = (size_t)w->kernel[1] + op->dw.pairs;
    for (size_t g = 0; g < op->dw.groups; g++)
        for (size_t i = 0; i < 4; i++) {
            size_t ky, kx;
            tap_of(op, g, i, 0, &ky, &kx);
            if (ky >= down) /* its weights are 0 */
                ky = 0;
            const size_t at = kx * (size_t)w->dilation[2];
            offset[4 * g + i] = ky * (size_t)w->dilation[1] * op->dw.row_step +
                                (at % stride * op->dw.plane + at / stride) * channels;
        }
}

static void set_place(const oct_q8_conv *op, size_t at, oct_dw_row *t)
{
    const size_t n = op->dw.period * BLOCK;
    const int32_t *comp = op->lane_params;
    t->first = at * BLOCK;
    t->w = (const uint8_t *)op->weights->data + at * packed_rows(op) * op->dw.groups * BLOCK * 4;
    t->comp = comp + at * BLOCK;
    t->m = (const float *)(const void *)(comp + n) + at * BLOCK;
    t->b = (const float *)(const void *)(comp + 2 * n) + at * BLOCK;
}

/* Output rows [first, first + n) of an image; at most dw.rows. */
static void run_rows(const job *j, int64_t image, int64_t first, size_t n, uint8_t *slab)
{
    const oct_q8_conv *op = j->op;
    const oct_cpu_window *c = &op->win;
    const oct_requant *rq = &op->finish.out[0].rq;
    const int bias = op->finish.out[0].dtype == OCT_DT_U8 ? 128 : 0;
    const uint8_t *x[4 * OCT_Q8_DW_GROUPS];
    size_t offset[4 * OCT_Q8_DW_GROUPS];
    oct_dw_row t = {.x = x,
                    .groups = op->dw.groups,
                    .step = op->dw.period * BLOCK,
                    .bytes = (size_t)(c->w.out[2] * c->out_channels),
                    .act = rq->act,
                    .a = rq->a,
                    .b_act = rq->b,
                    .scale = rq->scaled ? 1.0f : rq->out.scale,
                    .factor = rq->scaled ? 1.0f : 1.0f / rq->out.scale,
                    .tame = op->dw.tame,
                    .flip = (uint8_t)bias,
                    .lo = (int8_t)(rq->lo - bias),
                    .hi = (int8_t)(rq->hi - bias),
                    .zero = rq->out.zero_point - bias};
    tap_offsets(op, offset);
    fill_slab(op, j->x + image * c->x_batch, first * c->w.stride[1] - c->w.pad_lo[1],
              slab_rows(op, n) - 1, slab);
    uint8_t *y = j->y + image * c->y_batch + first * c->y_axis[1];
    for (size_t r = 0; r < n; r += packed_rows(op)) {
        for (size_t i = 0; i < 4 * op->dw.groups; i++)
            x[i] = slab + r * (size_t)c->w.stride[1] * op->dw.row_step + offset[i];
        t.y[0] = y + (int64_t)r * c->y_axis[1];
        t.y[1] = op->dw.pairs && r + 1 < n ? t.y[0] + c->y_axis[1] : NULL;
        for (size_t at = 0; at < op->dw.period; at++) {
            set_place(op, at, &t);
            oct_dw_row_avx512(&t);
        }
    }
}

static void run_range(void *user, size_t lo, size_t hi, int worker)
{
    const job *j = user;
    const oct_q8_conv *op = j->op;
    const int64_t per_image = op->win.w.out[1];
    uint8_t *slab = j->workspace + (size_t)worker * oct_q8_dw_worker_bytes(op);
    for (size_t n; lo < hi; lo += n) {
        const int64_t first = (int64_t)lo % per_image;
        n = oct_min_size(oct_min_size(op->dw.rows, hi - lo), (size_t)(per_image - first));
        run_rows(j, (int64_t)lo / per_image, first, n, slab);
    }
}

oct_status oct_q8_dw_run(const oct_cpu_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const oct_q8_conv *op = (const oct_q8_conv *)base;
    job j = {op, a->in[0], a->out[0], a->workspace};
    (void)ctx;
    oct_parallel_for(op->threads, (size_t)(op->win.batch * op->win.w.out[1]), 1, run_range, &j);
    return OCT_OK;
}

#endif
