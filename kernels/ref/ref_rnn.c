/* SPDX-License-Identifier: Apache-2.0
 *
 * LSTM, GRU and RNN in f32: both directions, both layouts, activations by name, clip,
 * sequence lengths, peepholes. One (direction, image) sequence at a time, so the result of an
 * image depends on nothing else. Source: ONNX.
 */
#include <math.h>
#include <string.h>

#include "base/parallel.h"
#include "kernels/epilogue.h"
#include "kernels/ref/ref_elem.h"
#include "kernels/ref/ref_groups_internal.h"

#define MAX_ACTIVATIONS 3

/* ---- activations ------------------------------------------------------------------------------- */

typedef enum rnn_act {
    ACT_RELU,
    ACT_TANH,
    ACT_SIGMOID,
    ACT_AFFINE,
    ACT_LEAKY_RELU,
    ACT_THRESHOLDED_RELU,
    ACT_SCALED_TANH,
    ACT_HARD_SIGMOID,
    ACT_SOFTSIGN,
    ACT_ELU,
    ACT_SOFTPLUS,
    ACT_COUNT,
} rnn_act;

static const struct {
    const char *name;
    bool has_alpha, has_beta;
    float alpha, beta; /* defaults */
} ACTS[ACT_COUNT] = {
    [ACT_RELU] = {"Relu", false, false, 0, 0},
    [ACT_TANH] = {"Tanh", false, false, 0, 0},
    [ACT_SIGMOID] = {"Sigmoid", false, false, 0, 0},
    [ACT_AFFINE] = {"Affine", true, true, 1, 0},
    [ACT_LEAKY_RELU] = {"LeakyRelu", true, false, 0.01f, 0},
    [ACT_THRESHOLDED_RELU] = {"ThresholdedRelu", true, false, 1, 0},
    [ACT_SCALED_TANH] = {"ScaledTanh", true, true, 1, 1},
    [ACT_HARD_SIGMOID] = {"HardSigmoid", true, true, 0.2f, 0.5f},
    [ACT_SOFTSIGN] = {"Softsign", false, false, 0, 0},
    [ACT_ELU] = {"Elu", true, false, 1, 0},
    [ACT_SOFTPLUS] = {"Softplus", false, false, 0, 0},
};

typedef struct activation {
    rnn_act fn;
    float alpha, beta;
} activation;

static float apply(const activation *f, float x)
{
    switch (f->fn) {
    case ACT_RELU:
        return oct_act_relu(x);
    case ACT_SIGMOID:
        return oct_act_sigmoid(x);
    case ACT_AFFINE:
        return f->alpha * x + f->beta;
    case ACT_LEAKY_RELU:
        return oct_act_leaky_relu(x, f->alpha);
    case ACT_THRESHOLDED_RELU:
        return x > f->alpha ? x : 0.0f;
    case ACT_SCALED_TANH:
        return f->alpha * tanhf(f->beta * x);
    case ACT_HARD_SIGMOID:
        return oct_act_hard_sigmoid(x, f->alpha, f->beta);
    case ACT_SOFTSIGN:
        return x / (1.0f + fabsf(x));
    case ACT_ELU:
        return oct_act_elu(x, f->alpha);
    case ACT_SOFTPLUS:
        return oct_act_softplus(x);
    default:
        return tanhf(x);
    }
}

static rnn_act act_by_name(const char *name)
{
    int i = 0;
    while (i < ACT_COUNT - 1 && strcmp(ACTS[i].name, name) != 0)
        i++; /* inference has checked the names */
    return (rnn_act)i;
}

/* ---- the job ----------------------------------------------------------------------------------- */

typedef struct job {
    const oct_op_desc *d;
    const oct_attr_rnn *at;
    int64_t seq, batch, input, hidden, dirs, gates;
    int n_acts;
    activation act[2][MAX_ACTIVATIONS]; /* by direction */
    const float *x, *w, *r, *b, *h0, *c0, *p;
    const int32_t *lens;
    float *y, *y_h, *y_c;
    float *scratch; /* per worker: see state */
    size_t scratch_elems;
} job;

/* Names and parameters in the model's order; alphas and betas are used up by those that have
 * one. */
static void read_activations(job *j, const rnn_act *defaults)
{
    const oct_attr_rnn *at = j->at;
    int alpha = 0, beta = 0;
    for (int i = 0; i < j->n_acts * (int)j->dirs; i++) {
        const rnn_act fn =
            at->n_activations ? act_by_name(at->activations[i]) : defaults[i % j->n_acts];
        activation *f = &j->act[i / j->n_acts][i % j->n_acts];
        *f = (activation){fn, ACTS[fn].alpha, ACTS[fn].beta};
        if (ACTS[fn].has_alpha && alpha < at->n_alpha)
            f->alpha = at->alpha[alpha++];
        if (ACTS[fn].has_beta && beta < at->n_beta)
            f->beta = at->beta[beta++];
    }
}

/* Scratch of one sequence: h and c, gate inputs of x and of h (gates * hidden each), reset h. */
typedef struct state {
    float *h, *c, *gx, *gh, *rh;
} state;

static size_t state_elems(int64_t hidden, int64_t gates)
{
    return (size_t)(hidden * (3 + 2 * gates) + OCT_ALIGN / 4);
}

static state state_at(const job *j, int worker)
{
    float *base = j->scratch + j->scratch_elems * (size_t)worker;
    state s = {.h = base, .c = base + j->hidden, .rh = base + 2 * j->hidden};
    s.gx = base + 3 * j->hidden;
    s.gh = s.gx + j->gates * j->hidden;
    return s;
}

/* out[r] = sum over k of m[r][k] v[k] (+ b[r]); four rows at a time hide the adds' latency. */
static void mat_vec(const float *m, const float *v, const float *b, int64_t n_rows, int64_t n,
                    float *out)
{
    int64_t r = 0;
    for (; r + 4 <= n_rows; r += 4) {
        const float *m0 = m + r * n, *m1 = m0 + n, *m2 = m1 + n, *m3 = m2 + n;
        float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
        for (int64_t k = 0; k < n; k++) {
            s0 += m0[k] * v[k];
            s1 += m1[k] * v[k];
            s2 += m2[k] * v[k];
            s3 += m3[k] * v[k];
        }
        out[r] = s0;
        out[r + 1] = s1;
        out[r + 2] = s2;
        out[r + 3] = s3;
    }
    for (; r < n_rows; r++) {
        float s = 0;
        for (int64_t k = 0; k < n; k++)
            s += m[r * n + k] * v[k];
        out[r] = s;
    }
    for (int64_t i = 0; b && i < n_rows; i++)
        out[i] += b[i];
}

static float clip(const job *j, float v)
{
    return j->at->clip > 0 ? oct_act_clip(v, -j->at->clip, j->at->clip) : v;
}

/* ---- one step ---------------------------------------------------------------------------------- */

/* Gates i, o, f, c; peepholes i, o, f. */
static void lstm_step(const job *j, int dir, state *s)
{
    const int64_t n = j->hidden;
    const activation *f = j->act[dir];
    const float *p = j->p ? j->p + dir * 3 * n : NULL;
    for (int64_t k = 0; k < n; k++) {
        const float *gx = s->gx + k, *gh = s->gh + k;
        const float c = s->c[k];
        const float i = apply(&f[0], clip(j, gx[0] + gh[0] + (p ? p[k] * c : 0)));
        const float forget =
            j->at->input_forget
                ? 1 - i
                : apply(&f[0], clip(j, gx[2 * n] + gh[2 * n] + (p ? p[2 * n + k] * c : 0)));
        const float fresh = apply(&f[1], clip(j, gx[3 * n] + gh[3 * n]));
        s->c[k] = forget * c + i * fresh;
        const float o = apply(&f[0], clip(j, gx[n] + gh[n] + (p ? p[n + k] * s->c[k] : 0)));
        s->h[k] = o * apply(&f[2], s->c[k]);
    }
}

/* Gates z, r, h. */
static void gru_step(const job *j, int dir, state *s)
{
    const int64_t n = j->hidden;
    const activation *f = j->act[dir];
    const float *rh = j->r + (dir * 3 + 2) * n * n;
    const float *bias = j->b ? j->b + dir * 6 * n + 5 * n : NULL;
    float *z = s->gx, *fresh = s->gh + 2 * n;
    for (int64_t k = 0; k < n; k++) {
        const float r = apply(&f[0], clip(j, s->gx[n + k] + s->gh[n + k]));
        z[k] = apply(&f[0], clip(j, s->gx[k] + s->gh[k]));
        s->rh[k] = j->at->linear_before_reset ? r * fresh[k] : r * s->h[k];
    }
    if (j->at->linear_before_reset)
        memcpy(fresh, s->rh, (size_t)n * sizeof *fresh);
    else
        mat_vec(rh, s->rh, bias, n, n, fresh);
    for (int64_t k = 0; k < n; k++) {
        const float v = apply(&f[1], clip(j, s->gx[2 * n + k] + fresh[k]));
        s->h[k] = (1 - z[k]) * v + z[k] * s->h[k];
    }
}

static void rnn_step(const job *j, int dir, state *s)
{
    for (int64_t k = 0; k < j->hidden; k++)
        s->h[k] = apply(&j->act[dir][0], clip(j, s->gx[k] + s->gh[k]));
}

static void step(const job *j, int dir, const float *x, state *s)
{
    const int64_t rows = j->gates * j->hidden;
    const float *b = j->b ? j->b + dir * 2 * rows : NULL;
    mat_vec(j->w + dir * rows * j->input, x, b, rows, j->input, s->gx);
    mat_vec(j->r + dir * rows * j->hidden, s->h, b ? b + rows : NULL, rows, j->hidden, s->gh);
    if (j->d->op == OCT_OP_LSTM)
        lstm_step(j, dir, s);
    else if (j->d->op == OCT_OP_GRU)
        gru_step(j, dir, s);
    else
        rnn_step(j, dir, s);
}

/* ---- sequences --------------------------------------------------------------------------------- */

static int64_t state_offset(const job *j, int64_t dir, int64_t n)
{
    return (j->at->layout ? n * j->dirs + dir : dir * j->batch + n) * j->hidden;
}

static int64_t output_offset(const job *j, int64_t t, int64_t dir, int64_t n)
{
    return (j->at->layout ? (n * j->seq + t) * j->dirs + dir : (t * j->dirs + dir) * j->batch + n) *
           j->hidden;
}

static void load_state(const job *j, const float *from, int64_t at, float *to)
{
    if (from)
        memcpy(to, from + at, (size_t)j->hidden * sizeof *to);
    else
        memset(to, 0, (size_t)j->hidden * sizeof *to);
}

static void sequence(const job *j, int dir, int64_t n, state *s)
{
    const size_t bytes = (size_t)j->hidden * sizeof(float);
    const int64_t len = j->lens ? j->lens[n] : j->seq, at = state_offset(j, dir, n);
    const bool reverse = j->at->direction == 1 || dir == 1;
    load_state(j, j->h0, at, s->h);
    load_state(j, j->c0, at, s->c);
    for (int64_t i = 0; i < len; i++) {
        const int64_t t = reverse ? len - 1 - i : i;
        step(j, dir, j->x + (j->at->layout ? n * j->seq + t : t * j->batch + n) * j->input, s);
        if (j->y)
            memcpy(j->y + output_offset(j, t, dir, n), s->h, bytes);
    }
    for (int64_t t = len; j->y && t < j->seq; t++)
        memset(j->y + output_offset(j, t, dir, n), 0, bytes);
    if (j->y_h)
        memcpy(j->y_h + at, s->h, bytes);
    if (j->y_c)
        memcpy(j->y_c + at, s->c, bytes);
}

static void run_range(void *user, size_t lo, size_t hi, int worker)
{
    const job *j = user;
    state s = state_at(j, worker);
    for (int64_t i = (int64_t)lo; i < (int64_t)hi; i++)
        sequence(j, (int)(i / j->batch), i % j->batch, &s);
}

static const void *optional(const oct_op_desc *d, const oct_run_args *a, int i)
{
    return i < d->n_in ? a->in[i] : NULL;
}

static int64_t gates_of(oct_op op)
{
    return op == OCT_OP_LSTM ? 4 : op == OCT_OP_GRU ? 3 : 1;
}

static void job_init(job *j, const oct_op_desc *d, const oct_run_args *a)
{
    static const rnn_act lstm[] = {ACT_SIGMOID, ACT_TANH, ACT_TANH}, rnn[] = {ACT_TANH};
    const oct_attr_rnn *at = d->attr;
    const int64_t *x = d->in[0].desc.shape.dim;
    *j = (job){.d = d, .at = at, .seq = x[at->layout ? 1 : 0], .batch = x[at->layout ? 0 : 1]};
    j->input = x[2];
    j->hidden = d->in[2].desc.shape.dim[2];
    j->dirs = at->direction == 2 ? 2 : 1;
    j->gates = gates_of(d->op);
    j->n_acts = d->op == OCT_OP_LSTM ? 3 : d->op == OCT_OP_GRU ? 2 : 1;
    read_activations(j, d->op == OCT_OP_RNN ? rnn : lstm);
    j->x = a->in[0];
    j->w = a->in[1];
    j->r = a->in[2];
    j->b = optional(d, a, 3);
    j->lens = optional(d, a, 4);
    j->h0 = optional(d, a, 5);
    j->c0 = d->op == OCT_OP_LSTM ? optional(d, a, 6) : NULL;
    j->p = d->op == OCT_OP_LSTM ? optional(d, a, 7) : NULL;
    j->y = a->out[0];
    j->y_h = d->n_out > 1 ? a->out[1] : NULL;
    j->y_c = d->n_out > 2 ? a->out[2] : NULL;
    j->scratch = a->workspace;
    j->scratch_elems = state_elems(j->hidden, j->gates);
}

static oct_status run_rnn(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    job j;
    job_init(&j, d, a);
    for (int64_t n = 0; j.lens && n < j.batch; n++) {
        if (j.lens[n] < 0 || j.lens[n] > j.seq)
            return oct_fail(ctx, OCT_ERR_RANGE,
                            "%s: sequence length %d of image %lld, at most %lld",
                            oct_op_name(d->op), (int)j.lens[n], (long long)n, (long long)j.seq);
    }
    oct_parallel_for(d->threads, (size_t)(j.dirs * j.batch), 1, run_range, &j);
    return OCT_OK;
}

static size_t workspace(const oct_op_desc *d)
{
    return state_elems(d->in[2].desc.shape.dim[2], gates_of(d->op)) * sizeof(float) *
           (size_t)d->threads;
}

static bool accepts(const oct_op_desc *d, char *reason)
{
    if (d->in[0].desc.dtype != OCT_DT_F32)
        return oct_ref_refuse(reason, "ref %s on %s", oct_op_name(d->op),
                              oct_dtype_str(d->in[0].desc.dtype));
    return oct_ref_accepts_plain(d, reason);
}

const oct_ref_entry oct_ref_rnn[] = {
    {OCT_OP_LSTM, run_rnn, workspace, accepts, true},
    {OCT_OP_GRU, run_rnn, workspace, accepts, true},
    {OCT_OP_RNN, run_rnn, workspace, accepts, true},
    {0},
};
