/* SPDX-License-Identifier: Apache-2.0
 *
 * Constants of the tensor-core kernels: weights as rows of k, tables per channel.
 */
#include "base/numeric.h"

#include "kernels/cuda/cuda_conv_plan.h"

#define FLOAT_OF_INT 0x4b400000      /* bits of 1.5 * 2^23 */
#define FLOAT_OF_INT_BOUND (1 << 22) /* integers that then read as floats */

static bool is_integer(const oct_conv_plan *p)
{
    return p->type == OCT_MMA_S8 || p->type == OCT_MMA_U8;
}

static int32_t load_q8(const oct_operand *o, int64_t i)
{
    return o->desc.dtype == OCT_DT_S8 ? ((const int8_t *)o->data)[i]
                                      : ((const uint8_t *)o->data)[i];
}

static int32_t weight_zero(const oct_quant *q, int64_t channel)
{
    return q->q[q->n == 1 ? 0 : channel % q->n].zero_point;
}

static float load_real(const oct_operand *o, int64_t i)
{
    return o->desc.dtype == OCT_DT_F16 ? oct_f32_from_f16(((const uint16_t *)o->data)[i])
                                       : ((const float *)o->data)[i];
}

/* ---- weights ---- */

size_t oct_conv_weight_bytes(const oct_conv_plan *p)
{
    return (size_t)p->args.groups * (size_t)p->args.w_group +
           (size_t)OCT_MMA_ROW_SLACK * (size_t)p->args.k_row;
}

uint64_t oct_conv_weight_format(const oct_conv_plan *p)
{
    const uint64_t parts[] = {(uint64_t)p->type,
                              (uint64_t)p->folded | (uint64_t)p->stem << 1 |
                                  (uint64_t)p->args.kernel_w << 2,
                              (uint64_t)p->parts,
                              (uint64_t)p->channels,
                              (uint64_t)p->taps,
                              (uint64_t)p->n_step,
                              (uint64_t)p->c_step,
                              (uint64_t)p->args.n,
                              (uint64_t)p->args.groups};
    uint64_t h = 0x6d6d615f7061636bu; /* "mma_pack" */
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        h = (h ^ parts[i]) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return h;
}

/* f32 rounded to tf32, halves away from zero, as the instruction cvt.rna does. */
static uint32_t tf32_bits(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    if ((bits & 0x7f800000u) != 0x7f800000u)
        bits = (bits + 0x1000u) & ~0x1fffu;
    return bits;
}

static void put_weight(const oct_op_desc *d, const oct_conv_plan *p, int64_t n, int64_t from,
                       uint8_t *row, int64_t tap, int64_t c)
{
    const oct_mma_args *a = &p->args;
    const int64_t tap_bytes = p->folded ? a->tap_bytes : a->tap_padded;
    const int64_t at =
        p->stem ? tap / a->kernel_w * a->stem_quads * 4 + tap % a->kernel_w * a->tap_bytes
                : tap * tap_bytes;
    uint8_t *to = row + at + c * p->elem;
    if (p->type == OCT_MMA_F16) {
        const uint16_t h = oct_f16_from_f32(load_real(&d->in[1], from));
        memcpy(to, &h, sizeof h);
        return;
    }
    if (p->type == OCT_MMA_TF32) {
        const uint32_t bits = tf32_bits(load_real(&d->in[1], from));
        memcpy(to, &bits, sizeof bits);
        return;
    }
    int32_t v = load_q8(&d->in[1], from) - weight_zero(&d->in[1].quant, n);
    for (int i = 0; i < p->parts; i++) {
        const int32_t part = v > 127 ? 127 : v < -128 ? -128 : v;
        to[i * p->taps * tap_bytes] = (uint8_t)(int8_t)part;
        v -= part;
    }
}

void oct_conv_pack_weights(const oct_op_desc *d, const oct_conv_plan *p, void *packed)
{
    const int64_t n = (int64_t)p->args.n * p->args.groups;
    for (int64_t i = 0; i < n; i++) {
        uint8_t *row = (uint8_t *)packed + i * p->args.k_row;
        for (int64_t c = 0; c < p->channels; c++)
            for (int64_t t = 0; t < p->taps; t++)
                put_weight(d, p, i, i * p->n_step + c * p->c_step + t, row, t, c);
    }
}

/* ---- tables ---- */

typedef struct tables {
    uint8_t *host;
    size_t mb[2], start, places, bytes; /* offsets */
    size_t entries;                     /* per channel */
} tables;

static size_t take(tables *t, size_t bytes)
{
    const size_t at = t->bytes;
    t->bytes += (bytes + 15) / 16 * 16;
    return at;
}

static void lay_out(tables *t, const oct_op_desc *d, const oct_conv_plan *p)
{
    const oct_mma_args *a = &p->args;
    t->entries = (size_t)a->groups * (size_t)a->n_even + OCT_MMA_SLACK;
    for (int o = 0; o < d->n_out; o++)
        t->mb[o] = take(t, 2 * t->entries * sizeof(float));
    if (is_integer(p))
        t->start = take(t, t->entries * sizeof(int32_t));
    if (p->folded)
        t->places = take(t, (size_t)(a->k_row / p->elem) * sizeof(oct_mma_place));
}

/* Per-channel factors of output `o`; `values` has room for three rows of channels. */
static void fill_factors(const oct_op_desc *d, const oct_conv_plan *p, int o, float *values,
                         float *mb)
{
    const oct_mma_args *a = &p->args;
    const int64_t n = (int64_t)a->n * a->groups;
    float *bias = values, *m = values + n, *b = m + n;
    for (int64_t i = 0; i < n; i++) {
        bias[i] = p->f32_bias ? load_real(&d->in[2], i) : 0.0f;
        m[i] = 1.0f;
        b[i] = p->beta * bias[i];
    }
    if (is_integer(p) && d->out[o].desc.dtype != OCT_DT_S32)
        oct_requant_factors(d, o, p->f32_bias ? bias : NULL, n, m, b);
    for (int64_t i = 0; i < n; i++) {
        const int64_t to = 2 * (i / a->n * a->n_even + i % a->n);
        mb[to] = m[i];
        mb[to + 1] = b[i];
    }
}

typedef struct channel_sums {
    int64_t signed_sum, absolute;
} channel_sums;

static channel_sums sum_weights(const oct_op_desc *d, const oct_conv_plan *p, int64_t n)
{
    channel_sums s = {0, 0};
    const int32_t zero = weight_zero(&d->in[1].quant, n);
    for (int64_t c = 0; c < p->channels; c++)
        for (int64_t t = 0; t < p->taps; t++) {
            const int32_t v = load_q8(&d->in[1], n * p->n_step + c * p->c_step + t) - zero;
            s.signed_sum += v;
            s.absolute += v < 0 ? -v : v;
        }
    return s;
}

/* Sums start at bias - zero point * sum of weights. When none can leave (-2^22, 2^22) they start
 * 1.5 * 2^23 as float bits higher, so that the results read as floats without a conversion. */
static void fill_start(const oct_op_desc *d, oct_conv_plan *p, int32_t *start)
{
    oct_mma_args *a = &p->args;
    const int64_t n = (int64_t)a->n * a->groups;
    const int64_t x_max = p->type == OCT_MMA_S8 ? 128 : 255;
    const int64_t zero = d->in[0].quant.q[0].zero_point;
    int64_t bound = 0;
    for (int64_t i = 0; i < n; i++) {
        const channel_sums s = sum_weights(d, p, i);
        const int64_t bias = p->s32_bias ? ((const int32_t *)d->in[2].data)[i] : 0;
        const int64_t from = bias - zero * s.signed_sum;
        const int64_t reach = x_max * s.absolute + (from < 0 ? -from : from);
        start[i / a->n * a->n_even + i % a->n] = (int32_t)(uint32_t)(uint64_t)from;
        bound = reach > bound ? reach : bound;
    }
    a->int_as_float = bound < FLOAT_OF_INT_BOUND;
    if (!a->int_as_float)
        return;
    for (int64_t i = 0; i < (int64_t)a->groups * a->n_even; i++)
        start[i] += FLOAT_OF_INT;
}

static void fill_places(const oct_conv_plan *p, oct_mma_place *place)
{
    const oct_mma_args *a = &p->args;
    const int64_t n = a->k_row / p->elem, used = p->k_bytes / p->elem;
    for (int64_t k = 0; k < n; k++) {
        const int64_t tap = k / p->channels % p->taps, c = k % p->channels;
        const int64_t dy = tap / a->kernel_w * a->dil_h, dx = tap % a->kernel_w * a->dil_w;
        place[k] = (oct_mma_place){INT32_MIN, 0, 0};
        if (k < used)
            place[k] = (oct_mma_place){(int32_t)(dy * a->x_row + dx * a->x_pixel + c * p->elem),
                                       (int16_t)dy, (int16_t)dx};
    }
}

oct_status oct_conv_tables_make(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_conv_plan *p,
                                oct_conv_tables *out)
{
    tables t = {0};
    oct_mma_args *a = &p->args;
    lay_out(&t, d, p);
    const size_t channels = (size_t)a->n * (size_t)a->groups;
    t.host = oct_zalloc(ctx, t.bytes);
    float *values = oct_alloc(ctx, 3 * channels * sizeof *values);
    oct_status st = t.host && values ? OCT_OK : OCT_ERR_NOMEM;
    if (st == OCT_OK) {
        for (int o = 0; o < d->n_out; o++)
            fill_factors(d, p, o, values, (float *)(t.host + t.mb[o]));
        if (is_integer(p))
            fill_start(d, p, (int32_t *)(t.host + t.start));
        if (p->folded)
            fill_places(p, (oct_mma_place *)(t.host + t.places));
        st = oct_cuda_upload(be, ctx, t.host, t.bytes, &out->device);
    }
    oct_free(ctx, values);
    oct_free(ctx, t.host);
    if (st != OCT_OK)
        return st;
    const uint8_t *base = out->device;
    a->mb = (const float *)(base + t.mb[0]);
    a->mb2 = (const float *)(base + t.mb[1]);
    a->start = (const int32_t *)(base + t.start);
    a->places = (const oct_mma_place *)(base + t.places);
    return OCT_OK;
}
