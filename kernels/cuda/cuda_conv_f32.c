/* SPDX-License-Identifier: Apache-2.0
 *
 * Conv and ConvTranspose of any kind that `ref` knows, on the ordinary arithmetic units
 * (cuda_simt.h): true f32, and every type, layout, rank, group count and dilation that the faster
 * families decline. A transposed convolution with stride s is s * s (per axis) plain ones, each
 * with the taps that reach its phase of the output.
 */
#include "kernels/cuda/cuda_depthwise.h"
#include "kernels/cuda/cuda_simt_op.h"
#include "kernels/window.h"

#define MAX_PHASES 64

typedef struct conv {
    const oct_op_desc *d;
    oct_window w; /* three axes */
    bool transposed;
    int64_t batch, group, ic, oc, taps; /* channels of one group */
    oct_simt_strides x, y[3];
    int n_phases;
} conv;

static bool conv_init(conv *c, oct_ctx *ctx, const oct_op_desc *d, char *reason)
{
    const oct_attr_window *at = d->attr;
    const oct_tensor_desc *x = &d->in[0].desc, *w = &d->in[1].desc, *y = &d->out[0].desc;
    const int n = x->shape.n_dims - 2, r = d->epilogue.residual;
    oct_window win;
    if (n < 1 || n > OCT_MAX_SPATIAL || w->shape.n_dims != n + 2)
        return oct_cuda_no(reason, "rank");
    if (oct_window_resolve(ctx, d->op, at, &x->shape, &w->shape, &win) != OCT_OK) {
        oct_error_clear(ctx);
        return oct_cuda_no(reason, "window");
    }
    *c = (conv){.d = d, .w = oct_window_to_3d(&win), .group = at->group};
    for (int i = 3 - n; i < 3; i++)
        c->w.out[i] = y->shape.dim[2 + i - (3 - n)];
    c->transposed = d->op == OCT_OP_CONV_TRANSPOSE;
    c->batch = x->shape.dim[0];
    c->ic = x->shape.dim[1] / at->group;
    c->oc = c->transposed ? w->shape.dim[1] : w->shape.dim[0] / at->group;
    c->taps = c->w.kernel[0] * c->w.kernel[1] * c->w.kernel[2];
    c->x = oct_simt_strides_of(x);
    for (int o = 0; o < d->n_out && o < 2; o++)
        c->y[o] = oct_simt_strides_of(&d->out[o].desc);
    if (r >= 0 && r < d->n_in)
        c->y[2] = oct_simt_strides_of(&d->in[r].desc);
    c->n_phases = c->transposed ? (int)(c->w.stride[0] * c->w.stride[1] * c->w.stride[2]) : 1;
    if (c->transposed && c->w.stride[0] * c->w.stride[1] * c->w.stride[2] > MAX_PHASES)
        return oct_cuda_no(reason, "stride of the transposed convolution");
    if (oct_cuda_elems(&d->out[0]) == 0 || oct_cuda_elems(&d->in[0]) == 0)
        return oct_cuda_no(reason, "empty tensor");
    return true;
}

/* Distance that tap `t` of axis `k` moves the input position of phase `phase`; false if the tap
 * does not reach that phase. */
static bool tap_move(const conv *c, int k, int64_t phase, int64_t t, int64_t *move)
{
    if (!c->transposed) {
        *move = t * c->w.dilation[k];
        return true;
    }
    const int64_t at = phase + c->w.pad_lo[k] - t * c->w.dilation[k];
    *move = at / c->w.stride[k];
    return at % c->w.stride[k] == 0;
}

/* Terms of a phase, input channels innermost; returns how many (`term` may be NULL). */
static int64_t list_terms(const conv *c, const int64_t phase[3], oct_simt_term *term)
{
    const oct_window *w = &c->w;
    int64_t n = 0, m[3];
    for (int64_t tap = 0; tap < c->taps; tap++) {
        const int64_t t[3] = {tap / w->kernel[2] / w->kernel[1], tap / w->kernel[2] % w->kernel[1],
                              tap % w->kernel[2]};
        bool reaches = true;
        for (int k = 0; k < 3; k++)
            reaches = tap_move(c, k, phase[k], t[k], &m[k]) && reaches;
        for (int64_t i = 0; reaches && i < c->ic; i++, n++) {
            if (!term)
                continue;
            term[n].offset =
                m[0] * c->x.axis[0] + m[1] * c->x.axis[1] + m[2] * c->x.axis[2] + i * c->x.channel;
            for (int k = 0; k < 3; k++)
                term[n].move[k] = (int32_t)m[k];
            term[n].w = (c->transposed ? i * c->oc : i) * c->taps + tap;
        }
    }
    return n;
}

static void list_groups(const conv *c, oct_simt_problem *p)
{
    for (int64_t g = 0; g < c->group; g++) {
        p->z[g] = (oct_simt_z){.x = g * c->ic * c->x.channel,
                               .w = g,
                               .y0 = g * c->oc * c->y[0].channel,
                               .y1 = g * c->oc * c->y[1].channel,
                               .r = g * c->oc * c->y[2].channel,
                               .channel = g * c->oc};
        p->w_off[g] = g * c->oc * c->ic * c->taps;
    }
    p->w_step = c->transposed ? c->taps : c->ic * c->taps;
    p->own_channels = true;
    p->n_channels = c->group * c->oc;
    p->zero_channels = c->transposed ? c->oc : p->n_channels;
}

static bool rows_are_flat(const oct_simt_strides *s, const int64_t out[3])
{
    const int64_t step = s->axis[2];
    return s->axis[1] == step * out[2] && (out[0] == 1 || s->axis[0] == s->axis[1] * out[1]) &&
           s->batch == step * out[0] * out[1] * out[2];
}

static void set_outputs(const conv *c, const int64_t phase[3], oct_simt_problem *p)
{
    p->flat = !c->transposed;
    for (int i = 0; i < 3; i++) {
        oct_simt_strides *s = &p->y[i];
        const bool used = i == 0 || (i == 1 ? c->d->n_out > 1 : c->d->epilogue.residual >= 0);
        *s = c->y[i];
        for (int k = 0; k < 3; k++) {
            s->base += phase[k] * s->axis[k];
            s->axis[k] *= c->transposed ? c->w.stride[k] : 1;
        }
        p->flat = p->flat && (!used || rows_are_flat(s, p->out));
    }
}

static oct_status make_problem(const conv *c, oct_ctx *ctx, const int64_t phase[3],
                               oct_simt_problem *p)
{
    OCT_TRY(oct_simt_problem_init(p, ctx, list_terms(c, phase, NULL), c->group, c->group));
    p->rows = c->batch;
    p->cols = c->oc;
    for (int k = 0; k < 3; k++) {
        const int64_t s = c->w.stride[k];
        p->in[k] = c->w.in[k];
        p->out[k] = c->transposed ? (c->w.out[k] - phase[k] + s - 1) / s : c->w.out[k];
        p->step[k] = c->transposed ? 1 : s;
        p->origin[k] = c->transposed ? 0 : -c->w.pad_lo[k];
        p->rows *= p->out[k];
        p->x_axis[k] = c->x.axis[k];
    }
    p->x_batch = c->x.batch;
    (void)list_terms(c, phase, p->term);
    list_groups(c, p);
    set_outputs(c, phase, p);
    return OCT_OK;
}

static void free_problems(oct_ctx *ctx, oct_simt_problem *p, int n)
{
    for (int i = 0; p && i < n; i++)
        oct_simt_problem_free(&p[i], ctx);
    oct_free(ctx, p);
}

/* One problem for each phase that has outputs. */
static oct_status make_problems(const conv *c, oct_ctx *ctx, oct_simt_problem **out, int *n)
{
    oct_simt_problem *p = oct_zalloc_array(ctx, (size_t)c->n_phases, sizeof *p);
    if (!p)
        return OCT_ERR_NOMEM;
    *n = 0;
    for (int64_t i = 0; i < c->n_phases; i++) {
        const int64_t s1 = c->transposed ? c->w.stride[1] : 1;
        const int64_t s2 = c->transposed ? c->w.stride[2] : 1;
        const int64_t phase[3] = {i / s2 / s1, i / s2 % s1, i % s2};
        if (phase[0] >= c->w.out[0] || phase[1] >= c->w.out[1] || phase[2] >= c->w.out[2])
            continue;
        const oct_status st = make_problem(c, ctx, phase, &p[(*n)++]);
        if (st != OCT_OK) {
            free_problems(ctx, p, *n);
            return st;
        }
    }
    *out = p;
    return OCT_OK;
}

static bool query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c, char *reason)
{
    conv cv;
    oct_simt_problem *p = NULL;
    int n = 0;
    if (oct_cuda_depthwise_serves(be, ctx, d, reason))
        return oct_cuda_no(reason, "depthwise");
    if (!conv_init(&cv, ctx, d, reason))
        return false;
    if (make_problems(&cv, ctx, &p, &n) != OCT_OK) {
        oct_error_clear(ctx);
        return oct_cuda_no(reason, "memory");
    }
    const bool ok = oct_simt_op_query(be, d, p, n, c, reason);
    free_problems(ctx, p, n);
    return ok;
}

static oct_status prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, const oct_candidate *c,
                          oct_cuda_op **out)
{
    char reason[OCT_REASON_BYTES];
    conv cv;
    oct_simt_problem *p = NULL;
    int n = 0;
    (void)c;
    if (!conv_init(&cv, ctx, d, reason))
        return oct_fail(ctx, OCT_ERR_BUG, "%s: %s", oct_op_name(d->op), reason);
    OCT_TRY(make_problems(&cv, ctx, &p, &n));
    const oct_status st = oct_simt_op_make(be, ctx, d, p, n, out);
    free_problems(ctx, p, n);
    return st;
}

static const oct_cuda_row rows[] = {
    {OCT_OP_CONV, query, prepare},
    {OCT_OP_CONV_TRANSPOSE, query, prepare},
};
const oct_cuda_rows oct_cuda_rows_conv_f32 = {rows, sizeof rows / sizeof rows[0]};
