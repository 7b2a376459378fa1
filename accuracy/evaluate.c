/* SPDX-License-Identifier: Apache-2.0 */
#include "accuracy/evaluate.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/parallel.h"

typedef struct evaluator {
    oct_side *const *side;
    oct_batch_source *source;
    const oct_eval_options *opt;
    oct_evaluation *e;
    pthread_mutex_t lock; /* e's samples and classes, stop */
    bool stop;
} evaluator;

/* Outputs of one side for the batch under way. */
typedef struct answer {
    const oct_tensor *out;
    size_t n_out;
} answer;

bool oct_eval_best(const float *x, size_t n, int32_t top[OCT_EVAL_TOP])
{
    return oct_eval_best_without(x, n, n, top);
}

bool oct_eval_best_without(const float *x, size_t n, size_t dropped, int32_t top[OCT_EVAL_TOP])
{
    bool finite = true;
    float value[OCT_EVAL_TOP];
    int have = 0;
    for (size_t i = 0; i < n; i++) {
        finite = finite && isfinite(x[i]);
        if (i == dropped)
            continue;
        const float v = isnan(x[i]) ? -INFINITY : x[i];
        int at = have < OCT_EVAL_TOP ? have : OCT_EVAL_TOP;
        while (at > 0 && v > value[at - 1])
            at--;
        if (at == OCT_EVAL_TOP)
            continue;
        have += have < OCT_EVAL_TOP;
        for (int k = have - 1; k > at; k--) {
            value[k] = value[k - 1];
            top[k] = top[k - 1];
        }
        value[at] = v;
        top[at] = (int32_t)(i - (i > dropped));
    }
    for (int k = have; k < OCT_EVAL_TOP; k++)
        top[k] = -1;
    return finite;
}

/* Row `k` of n rows: where it is and how long; `is_vector`: at most one axis beside the batch. */
static oct_status row_of(oct_ctx *ctx, const oct_tensor *t, int64_t k, int64_t n, const float **x,
                         size_t *len, bool *is_vector)
{
    const oct_shape *s = &t->desc.shape;
    size_t all;
    const bool batched = s->n_dims > 0 && s->dim[0] == n;
    if (!oct_shape_elems(s, &all) || (!batched && n != 1))
        return oct_fail(ctx, OCT_ERR_SHAPE,
                        "an output of a batch of %lld samples does not have that many rows",
                        (long long)n);
    int n_axes = 0;
    for (int d = batched; d < s->n_dims; d++)
        n_axes += s->dim[d] > 1;
    *len = all / (size_t)n;
    *x = (const float *)t->data + *len * (size_t)k;
    *is_vector = n_axes == 1;
    return OCT_OK;
}

static int64_t rows_of(const oct_batch *b)
{
    return b->n_inputs > 0 && b->input[0].desc.shape.n_dims > 0 ? b->input[0].desc.shape.dim[0] : 1;
}

/* Recorded sides answer with real samples only, models with the padding too. */
static int64_t answer_rows(const answer *a, const oct_batch *b)
{
    const oct_shape *s = &a->out[0].desc.shape;
    const int64_t n = rows_of(b);
    return n > 1 && s->n_dims > 0 && s->dim[0] == b->n_samples ? b->n_samples : n;
}

static oct_status classify(evaluator *v, oct_ctx *ctx, const answer *a, const oct_batch *b, int k,
                           oct_eval_row *row)
{
    const float *x = NULL;
    size_t n = 0;
    bool is_vector = a->out[0].desc.dtype == OCT_DT_F32;
    if (is_vector)
        OCT_TRY(row_of(ctx, &a->out[0], k, answer_rows(a, b), &x, &n, &is_vector));
    const bool labelled = b->sample[k].label != OCT_LABEL_NONE;
    memset(row->top, -1, sizeof row->top);
    if (!is_vector && labelled && v->opt->coco == NULL)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED,
                        "the first output is no vector of class scores, which class labels need; "
                        "--labels none compares outputs");
    if (!is_vector || v->opt->coco != NULL)
        return OCT_OK;
    const size_t dropped = v->opt->drops_class ? (size_t)v->opt->dropped_class : n;
    oct_eval_best_without(x, n, dropped, row->top);
    n -= dropped < n;
    if (labelled && (b->sample[k].label < 0 || (size_t)b->sample[k].label >= n))
        return oct_fail(ctx, OCT_ERR_RANGE,
                        "%s: class label %d, but the output has %zu classes; see --label-offset "
                        "and --drop-class",
                        b->sample[k].name, b->sample[k].label, n);
    pthread_mutex_lock(&v->lock);
    const size_t before = v->e->n_classes;
    v->e->n_classes = n;
    pthread_mutex_unlock(&v->lock);
    if (before != 0 && before != n)
        return oct_fail(ctx, OCT_ERR_SHAPE, "one side has %zu classes, another %zu", before, n);
    return OCT_OK;
}

/* Distances over the float outputs that both have. */
static oct_status compare(oct_ctx *ctx, const answer *ref, const answer *cand, const oct_batch *b,
                          int k, oct_eval_row *row)
{
    const size_t n_out = ref->n_out < cand->n_out ? ref->n_out : cand->n_out;
    bool any = false;
    row->finite = row->comparable = true;
    for (size_t o = 0; o < n_out; o++) {
        const float *x, *y;
        size_t n, m;
        bool is_vector;
        if (ref->out[o].desc.dtype != OCT_DT_F32 || cand->out[o].desc.dtype != OCT_DT_F32)
            continue;
        any = true;
        OCT_TRY(row_of(ctx, &ref->out[o], k, answer_rows(ref, b), &x, &n, &is_vector));
        OCT_TRY(row_of(ctx, &cand->out[o], k, answer_rows(cand, b), &y, &m, &is_vector));
        for (size_t i = 0; i < m; i++)
            row->finite = row->finite && isfinite(y[i]);
        row->comparable = row->comparable && n == m;
        for (size_t i = 0; n == m && i < n; i++) {
            const double r = x[i], c = y[i], d = c - r;
            row->signal += r * r;
            row->power += c * c;
            row->dot += r * c;
            row->noise += d * d;
            row->max_error = fabs(d) > row->max_error ? fabs(d) : row->max_error;
        }
    }
    row->comparable = row->comparable && any;
    return OCT_OK;
}

static oct_status detect(evaluator *v, oct_ctx *ctx, const answer *a, const oct_batch *b, int k,
                         oct_eval_row *row)
{
    oct_detect_options opt = v->opt->detect;
    for (int i = 0; i < b->n_inputs && opt.width == 0; i++) {
        const oct_shape *s = &b->input[i].desc.shape;
        if (s->n_dims == 4) {
            opt.height = s->dim[2];
            opt.width = s->dim[3];
        }
    }
    return oct_detect(ctx, &opt, a->out, a->n_out, k, &b->sample[k], 0, &row->det);
}

static void free_sample(oct_ctx *ctx, oct_eval_sample *s, size_t n_sides)
{
    for (size_t i = 0; s != NULL && i < n_sides; i++)
        oct_det_list_deinit(ctx, &s->row[i].det);
    if (s != NULL)
        oct_free(ctx, s->name);
    oct_free(ctx, s);
}

static oct_status fill_sample(evaluator *v, oct_ctx *ctx, const answer *a, const oct_batch *b,
                              int k, oct_eval_sample *s)
{
    const oct_sample *in = &b->sample[k];
    bool flip = false;
    s->index = in->index;
    s->label = v->opt->coco == NULL ? in->label : OCT_LABEL_NONE;
    s->coco_image = v->opt->coco != NULL ? oct_coco_find(v->opt->coco, in->name) : -1;
    if (v->opt->coco != NULL && s->coco_image < 0)
        return oct_fail(ctx, OCT_ERR_USAGE, "%s: no such picture among the annotations", in->name);
    for (size_t i = 0; i < v->e->n_sides; i++) {
        OCT_TRY(classify(v, ctx, &a[i], b, k, &s->row[i]));
        OCT_TRY(compare(ctx, &a[0], &a[i], b, k, &s->row[i]));
        if (v->opt->coco != NULL)
            OCT_TRY(detect(v, ctx, &a[i], b, k, &s->row[i]));
        flip = flip || s->row[i].top[0] != s->row[0].top[0];
    }
    if (flip && (s->name = oct_strdup(ctx, in->name)) == NULL)
        return OCT_ERR_NOMEM;
    return OCT_OK;
}

static oct_status keep(evaluator *v, oct_ctx *ctx, oct_eval_sample *s)
{
    oct_evaluation *e = v->e;
    oct_status st = OCT_OK;
    pthread_mutex_lock(&v->lock);
    if (e->n == e->cap) {
        const size_t cap = e->cap ? 2 * e->cap : 256;
        oct_eval_sample **more = oct_realloc(ctx, e->sample, cap * sizeof *more);
        if (more == NULL) {
            st = OCT_ERR_NOMEM;
        } else {
            e->sample = more;
            e->cap = cap;
        }
    }
    if (st == OCT_OK)
        e->sample[e->n++] = s;
    const int64_t n_done = (int64_t)e->n;
    pthread_mutex_unlock(&v->lock);
    if (st == OCT_OK && v->opt->progress != NULL)
        v->opt->progress(v->opt->user, n_done);
    return st;
}

static oct_status do_batch(evaluator *v, oct_ctx *ctx, oct_side_worker *const *w,
                           const oct_batch *b)
{
    answer a[OCT_EVAL_MAX_SIDES];
    const size_t n_sides = v->e->n_sides;
    for (size_t i = 0; i < n_sides; i++) {
        OCT_TRY(oct_side_run(w[i], ctx, b, &a[i].out, &a[i].n_out));
        if (a[i].n_out == 0)
            return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "a model without outputs");
    }
    for (int k = 0; k < b->n_samples; k++) {
        oct_eval_sample *s = oct_zalloc(ctx, sizeof *s + n_sides * sizeof s->row[0]);
        if (s == NULL)
            return OCT_ERR_NOMEM;
        oct_status st = fill_sample(v, ctx, a, b, k, s);
        if (st == OCT_OK)
            st = keep(v, ctx, s);
        if (st != OCT_OK) {
            free_sample(ctx, s, n_sides);
            return st;
        }
    }
    return OCT_OK;
}

static oct_status loop(evaluator *v, oct_ctx *ctx, oct_side_worker *const *w)
{
    const oct_batch_source_vtable *vt = v->source->vt;
    for (;;) {
        OCT_TRY(oct_check_cancel(ctx));
        pthread_mutex_lock(&v->lock);
        const bool stop = v->stop;
        pthread_mutex_unlock(&v->lock);
        const oct_batch *b = NULL;
        if (!stop)
            OCT_TRY(vt->next(v->source, ctx, &b));
        if (b == NULL)
            return OCT_OK;
        const oct_status st = b->n_samples > 0 ? do_batch(v, ctx, w, b) : OCT_OK;
        vt->release(v->source, b);
        OCT_TRY(st);
    }
}

static oct_status work(void *user, oct_ctx *ctx, int index)
{
    evaluator *v = user;
    oct_side_worker *w[OCT_EVAL_MAX_SIDES] = {0};
    oct_status st = OCT_OK;
    (void)index;
    for (size_t i = 0; i < v->e->n_sides && st == OCT_OK; i++)
        st = oct_side_worker_new(v->side[i], ctx, &w[i]);
    if (st == OCT_OK)
        st = loop(v, ctx, w);
    for (size_t i = 0; i < v->e->n_sides; i++)
        oct_side_worker_free(w[i], ctx);
    if (st != OCT_OK) {
        pthread_mutex_lock(&v->lock);
        v->stop = true;
        pthread_mutex_unlock(&v->lock);
    }
    return st;
}

oct_status oct_evaluate(oct_ctx *ctx, oct_side *const *side, size_t n_sides,
                        oct_batch_source *source, const oct_eval_options *opt, oct_evaluation *out)
{
    evaluator v = {.side = side, .source = source, .opt = opt, .e = out};
    *out = (oct_evaluation){.n_sides = n_sides, .detection = opt->coco != NULL};
    if (n_sides < 1 || n_sides > OCT_EVAL_MAX_SIDES)
        return oct_fail(ctx, OCT_ERR_USAGE, "%zu sides, expected 1 to %d", n_sides,
                        OCT_EVAL_MAX_SIDES);
    if (pthread_mutex_init(&v.lock, NULL) != 0)
        return oct_fail(ctx, OCT_ERR_NOMEM, "no memory for a lock");
    oct_status st =
        oct_run_workers(ctx, opt->workers > 0 ? opt->workers : oct_cpu_count(), 1, work, &v);
    pthread_mutex_destroy(&v.lock);
    if (st == OCT_OK)
        st = oct_evaluation_count(ctx, opt, out);
    return st;
}

void oct_evaluation_deinit(oct_ctx *ctx, oct_evaluation *e)
{
    for (size_t i = 0; i < e->n; i++)
        free_sample(ctx, e->sample[i], e->n_sides);
    oct_free(ctx, e->sample);
    oct_free(ctx, e->pair);
    *e = (oct_evaluation){0};
}
