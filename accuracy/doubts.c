/* SPDX-License-Identifier: Apache-2.0 */
#include "accuracy/doubts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define MIN_GAIN 0.02
#define MAX_P 0.01
#define MIN_PER_CLASS 8  /* images, before an order of labels is judged */
#define EXPLAINS 0.8     /* of what another order would gain: a simpler alternative suffices */
#define MOST 0.5         /* of the images of a class */
#define FIRST_IMAGES 128 /* answered again before the rest is worth it */
#define RANGE_BELOW 0.5  /* top-1 below which value ranges are tried */

static uint64_t n_of(const oct_paired_counts *c)
{
    return c->both + c->only_ref + c->only_cand + c->neither;
}

bool oct_doubt_is_raised(const oct_paired_counts *c)
{
    return oct_paired_delta(c) >= MIN_GAIN && oct_mcnemar(c->only_ref, c->only_cand) < MAX_P;
}

static void add_pair(oct_paired_counts *c, bool ref, bool alt)
{
    c->both += ref && alt;
    c->only_ref += ref && !alt;
    c->only_cand += !ref && alt;
    c->neither += !ref && !alt;
}

static oct_doubt *add_doubt(oct_doubts *d, uint64_t n, uint64_t n_ref, uint64_t n_alt)
{
    if (d->n == OCT_DOUBTS_MAX)
        return NULL;
    size_t at = d->n++; /* best alternative first; shares are of like samples */
    for (; at > 0 &&
           (double)n_alt / (double)n > (double)d->item[at - 1].n_alt / (double)d->item[at - 1].n;
         at--)
        d->item[at] = d->item[at - 1];
    d->item[at] = (oct_doubt){.n = n, .n_ref = n_ref, .n_alt = n_alt, .p = NAN};
    return &d->item[at];
}

static oct_doubt *doubt_if_better(oct_doubts *d, const oct_paired_counts *c)
{
    if (!oct_doubt_is_raised(c))
        return NULL;
    oct_doubt *made = add_doubt(d, n_of(c), c->both + c->only_ref, c->both + c->only_cand);
    if (made != NULL)
        made->p = oct_mcnemar(c->only_ref, c->only_cand);
    return made;
}

/* ---- labels ------------------------------------------------------------------------------ */

static void try_offset(const oct_evaluation *e, int by, oct_doubts *out)
{
    oct_paired_counts c = {0};
    for (size_t i = 0; i < e->n; i++) {
        const oct_eval_sample *s = e->sample[i];
        if (s->label != OCT_LABEL_NONE)
            add_pair(&c, s->row[0].top[0] == s->label, s->row[0].top[0] == s->label + by);
    }
    oct_doubt *d = doubt_if_better(out, &c);
    if (d == NULL)
        return;
    snprintf(d->text, sizeof d->text, "labels %s by one", by > 0 ? "larger" : "smaller");
    snprintf(d->remedy, sizeof d->remedy, "--label-offset %d on top of what is given", by);
}

/* A class that no label stands for, at the beginning: networks with a background class. */
static void try_background(const oct_evaluation *e, oct_doubts *out)
{
    oct_paired_counts c = {0};
    int32_t largest = -1;
    for (size_t i = 0; i < e->n; i++) {
        const oct_eval_sample *s = e->sample[i];
        const int32_t *top = s->row[0].top;
        if (s->label == OCT_LABEL_NONE)
            continue;
        largest = s->label > largest ? s->label : largest;
        add_pair(&c, top[0] == s->label, (top[0] == 0 ? top[1] : top[0]) - 1 == s->label);
    }
    oct_doubt *d = largest + 1 < (int32_t)e->n_classes ? doubt_if_better(out, &c) : NULL;
    if (d == NULL)
        return;
    snprintf(d->text, sizeof d->text, "class 0 as background that no label stands for");
    snprintf(d->remedy, sizeof d->remedy, "--drop-class 0");
}

typedef struct call {
    int32_t label, answer;
} call;

static int by_label(const void *a, const void *b)
{
    const call *x = a, *y = b;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    return (x->answer > y->answer) - (x->answer < y->answer);
}

/* What the images of one label, a run of `list`, are mostly called. */
static size_t majority(const call *list, size_t n, int32_t *answer)
{
    size_t best = 0;
    for (size_t i = 0; i < n;) {
        size_t k = i;
        while (k < n && list[k].answer == list[i].answer)
            k++;
        if (k - i > best) {
            best = k - i;
            *answer = list[i].answer;
        }
        i = k;
    }
    return best;
}

/* Most images of most classes are called by one other class. */
static void try_order(const call *list, size_t n, oct_doubts *out)
{
    size_t n_labels = 0, n_moved = 0, n_alt = 0, n_ref = 0, n_repeated = 0;
    call example = {-1, -1};
    int32_t last = -1;
    for (size_t i = 0; i < n;) {
        size_t k = i;
        int32_t answer = -1;
        while (k < n && list[k].label == list[i].label) {
            n_ref += list[k].answer == list[k].label;
            k++;
        }
        const size_t most = majority(&list[i], k - i, &answer);
        const bool moved = answer != list[i].label && (double)most > MOST * (double)(k - i);
        if (moved && n_moved++ == 0)
            example = (call){list[i].label, answer};
        n_repeated += answer == last; /* a network that says the same to everything */
        last = answer;
        n_alt += most;
        n_labels++;
        i = k;
    }
    if (n_labels < 3 || n < MIN_PER_CLASS * n_labels || 2 * n_moved <= n_labels ||
        2 * n_repeated > n_labels)
        return;
    if (out->n > 0 && (double)out->item[0].n_alt > EXPLAINS * (double)n_alt)
        return;
    out->n = 0; /* an offset that happens to fit some classes of another order */
    oct_doubt *d = add_doubt(out, n, n_ref, n_alt);
    if (d == NULL)
        return;
    snprintf(d->text, sizeof d->text,
             "classes in another order: most images of %zu of %zu labels are called by one other "
             "class each, those of %d by %d",
             n_moved, n_labels, (int)example.label, (int)example.answer);
    snprintf(d->remedy, sizeof d->remedy, "--labels FILE with the network's own order of classes");
}

oct_status oct_doubts_labels(oct_ctx *ctx, const oct_evaluation *e, oct_doubts *out)
{
    size_t n = 0;
    if (e->detection || e->n_labelled == 0 || e->n_classes < 2)
        return OCT_OK;
    try_offset(e, 1, out);
    try_offset(e, -1, out);
    try_background(e, out);
    call *list = oct_alloc_array(ctx, e->n, sizeof *list);
    if (list == NULL)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < e->n; i++)
        if (e->sample[i]->label != OCT_LABEL_NONE)
            list[n++] = (call){e->sample[i]->label, e->sample[i]->row[0].top[0]};
    qsort(list, n, sizeof *list, by_label);
    try_order(list, n, out);
    oct_free(ctx, list);
    return OCT_OK;
}

/* ---- pictures ---------------------------------------------------------------------------- */

/* Everything that answering again needs. */
typedef struct again {
    oct_side *ref;
    const oct_dataset_options *data;
    const oct_eval_options *opt;
    const oct_evaluation *e;
    int64_t *order; /* of labelled samples, evenly spaced */
} again;

/* `n` labelled samples of e, evenly spaced. */
static size_t spread(const oct_evaluation *e, size_t n, int64_t *order)
{
    const size_t all = (size_t)e->n_labelled;
    size_t seen = 0, taken = 0;
    n = n < all ? n : all;
    for (size_t i = 0; i < e->n && taken < n; i++) {
        if (e->sample[i]->label == OCT_LABEL_NONE)
            continue;
        if (seen++ == taken * all / n)
            order[taken++] = e->sample[i]->index;
    }
    return taken;
}

static bool is_right(const oct_eval_sample *s)
{
    return s->row[0].top[0] == s->label;
}

/* Pairs the new answers with those of e; both are in the data set's order. */
static void pair_up(const oct_evaluation *e, const oct_evaluation *alt, oct_paired_counts *c)
{
    size_t k = 0;
    *c = (oct_paired_counts){0};
    for (size_t i = 0; i < alt->n; i++) {
        while (k < e->n && e->sample[k]->index < alt->sample[i]->index)
            k++;
        if (k < e->n && e->sample[k]->index == alt->sample[i]->index)
            add_pair(c, is_right(e->sample[k]), is_right(alt->sample[i]));
    }
}

static oct_status answer(oct_ctx *ctx, const again *w, const oct_preprocess *spec, size_t n,
                         oct_paired_counts *c)
{
    oct_batch_source *source = NULL;
    oct_evaluation alt = {0};
    oct_dataset_options data = *w->data;
    oct_eval_options opt = *w->opt;
    data.preprocess = spec;
    data.order = w->order;
    data.n_order = (int64_t)spread(w->e, n, w->order);
    data.skip_bad = true;
    data.max_skip_percent = 100;
    opt.progress = NULL;
    OCT_TRY(oct_dataset_open(ctx, &data, &source));
    const oct_status st = oct_evaluate(ctx, &w->ref, 1, source, &opt, &alt);
    if (st == OCT_OK)
        pair_up(w->e, &alt, c);
    oct_evaluation_deinit(ctx, &alt);
    source->vt->close(source);
    return st;
}

/* Some images, and more if the alternative is not behind. */
static oct_status try_spec(oct_ctx *ctx, const again *w, const oct_preprocess *spec,
                           const char *text, const char *remedy, oct_doubts *out)
{
    oct_paired_counts c;
    OCT_TRY(answer(ctx, w, spec, FIRST_IMAGES, &c));
    if (c.only_cand < c.only_ref)
        return OCT_OK;
    if (w->e->n_labelled > FIRST_IMAGES)
        OCT_TRY(answer(ctx, w, spec, OCT_DOUBTS_IMAGES, &c));
    oct_doubt *d = doubt_if_better(out, &c);
    if (d != NULL) {
        snprintf(d->text, sizeof d->text, "%s", text);
        snprintf(d->remedy, sizeof d->remedy, "%s", remedy);
    }
    return OCT_OK;
}

static oct_status try_color(oct_ctx *ctx, const again *w, oct_doubts *out)
{
    oct_preprocess s = *w->data->preprocess;
    const bool rgb = s.color == OCT_COLOR_RGB;
    if (s.color == OCT_COLOR_GRAY)
        return OCT_OK;
    s.color = rgb ? OCT_COLOR_BGR : OCT_COLOR_RGB;
    const double mean = s.mean[0], std = s.std[0]; /* each colour keeps its own */
    s.mean[0] = s.mean[2];
    s.std[0] = s.std[2];
    s.mean[2] = mean;
    s.std[2] = std;
    return try_spec(ctx, w, &s,
                    rgb ? "pictures in BGR order instead of RGB"
                        : "pictures in RGB order instead of BGR",
                    rgb ? "--config F.json with {\"color\": \"BGR\"}"
                        : "--config F.json with {\"color\": \"RGB\"}",
                    out);
}

static const struct {
    double scale, mean, std;
    const char *text, *remedy;
} range[] = {
    {1, 0, 1, "values 0..255", "--config F.json with \"scale\": 1 and mean 0, std 1"},
    {1 / 255.0, 0, 1, "values 0..1", "--config F.json with \"scale\": 1/255 and mean 0, std 1"},
    {1 / 127.5, 1, 1, "values -1..1", "--config F.json with \"scale\": 1/127.5 and mean 1, std 1"},
};

static bool has_range(const oct_preprocess *s, double scale, double mean, double std)
{
    bool same = fabs(s->scale - scale) < 1e-9;
    for (int c = 0; c < oct_preprocess_channels(s); c++)
        same = same && fabs(s->mean[c] - mean) < 1e-9 && fabs(s->std[c] - std) < 1e-9;
    return same;
}

static oct_status try_ranges(oct_ctx *ctx, const again *w, oct_doubts *out)
{
    for (size_t i = 0; i < sizeof range / sizeof range[0]; i++) {
        oct_preprocess s = *w->data->preprocess;
        if (has_range(&s, range[i].scale, range[i].mean, range[i].std))
            continue;
        s.scale = range[i].scale;
        for (int c = 0; c < 3; c++) {
            s.mean[c] = range[i].mean;
            s.std[c] = range[i].std;
        }
        OCT_TRY(try_spec(ctx, w, &s, range[i].text, range[i].remedy, out));
    }
    /* the means of ImageNet, which most photo networks were trained with */
    static const double mean[3] = {0.485, 0.456, 0.406}, std[3] = {0.229, 0.224, 0.225};
    oct_preprocess s = *w->data->preprocess;
    const bool bgr = s.color == OCT_COLOR_BGR;
    if (s.color == OCT_COLOR_GRAY)
        return OCT_OK;
    s.scale = 1 / 255.0;
    for (int c = 0; c < 3; c++) {
        s.mean[c] = mean[bgr ? 2 - c : c];
        s.std[c] = std[bgr ? 2 - c : c];
    }
    return try_spec(ctx, w, &s, "values 0..1 with ImageNet's mean and standard deviation",
                    "--preset imagenet, or its mean and std in --config", out);
}

oct_status oct_doubts_pictures(oct_ctx *ctx, oct_side *ref, const oct_dataset_options *data,
                               const oct_eval_options *opt, const oct_evaluation *e,
                               oct_doubts *out)
{
    const char *ext = oct_path_ext(data->path);
    const bool files = strcmp(ext, ".npy") != 0 && strcmp(ext, ".npz") != 0 &&
                       strcmp(ext, ".h5") != 0 && strcmp(ext, ".hdf5") != 0;
    if (e->detection || e->n_labelled == 0 || data->preprocess == NULL || !files ||
        oct_side_n_rows(ref) >= 0)
        return OCT_OK;
    again w = {ref, data, opt, e, oct_alloc_array(ctx, OCT_DOUBTS_IMAGES, sizeof(int64_t))};
    if (w.order == NULL)
        return OCT_ERR_NOMEM;
    oct_status st = try_color(ctx, &w, out);
    if (st == OCT_OK && (double)e->side[0].n_top1 < RANGE_BELOW * (double)e->n_labelled)
        st = try_ranges(ctx, &w, out);
    oct_free(ctx, w.order);
    return st;
}
