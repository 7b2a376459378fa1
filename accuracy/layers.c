/* SPDX-License-Identifier: Apache-2.0 */
#include "accuracy/layers.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/numeric.h"
#include "base/parallel.h"

/* Sums over one image's elements of one tensor. */
typedef struct sums {
    double signal, power, dot, noise, max_error;
    uint64_t n, n_integers, n_saturated;
} sums;

typedef struct image_record {
    int64_t index; /* in the data set's order */
    sums tensor[]; /* n_pairs */
} image_record;

typedef struct comparison {
    const oct_layers_options *opt;
    oct_batch_source *source;
    oct_engine *ref, *cand;
    const oct_observed *ref_list, *cand_list;
    size_t n_ref, n_cand;
    uint32_t *pair_of_cand; /* per observed value of the candidate: pair, or OCT_NONE */
    size_t n_pairs;         /* as many as the reference's observed values, in their order */
    oct_layers *out;
    pthread_mutex_t lock; /* what follows, and out->op */
    image_record **record;
    size_t n_records, cap_records;
    bool stop;
} comparison;

/* One worker's values of the image under way. */
typedef struct bench {
    oct_observer observer; /* first member */
    comparison *c;
    bool is_reference;
    float **value; /* per pair: row-major elements of the reference */
    size_t *n, *cap;
    image_record *record;
    void *host; /* copy of a device's tensor */
    size_t host_bytes;
} bench;

/* ---- elements ---------------------------------------------------------------------------- */

/* Calls with the memory index of each element in row-major order. */
static size_t memory_index(const oct_tensor_desc *d, size_t k)
{
    size_t at = 0;
    for (int a = d->shape.n_dims - 1; a >= 0; a--) {
        const size_t len = (size_t)d->shape.dim[a];
        at += k % len * (size_t)d->stride[a];
        k /= len;
    }
    return at;
}

static bool is_row_major(const oct_tensor_desc *d)
{
    return oct_tensor_desc_is_dense(d) && (d->layout == OCT_LAYOUT_ROW || d->shape.n_dims < 3);
}

static double element(const oct_tensor *t, const oct_observed *o, size_t at, bool plain)
{
    const size_t i = plain ? at : memory_index(&t->desc, at);
    if (t->desc.dtype == OCT_DT_F32)
        return ((const float *)t->data)[i];
    const double v = oct_elem_f64(t->data, t->desc.dtype, i);
    return o->quantized ? (double)o->q.scale * (v - o->q.zero_point) : v;
}

static oct_status keep_reference(bench *b, oct_ctx *ctx, uint32_t pair, const oct_tensor *t,
                                 const oct_observed *o)
{
    size_t n;
    if (!oct_shape_elems(&t->desc.shape, &n))
        return oct_fail(ctx, OCT_ERR_SHAPE, "tensor '%s' has no known shape", o->name);
    if (n > b->cap[pair]) {
        oct_free(ctx, b->value[pair]);
        b->cap[pair] = 0;
        b->value[pair] = oct_alloc_array(ctx, n, sizeof(float));
        if (b->value[pair] == NULL)
            return OCT_ERR_NOMEM;
        b->cap[pair] = n;
    }
    const bool plain = is_row_major(&t->desc);
    for (size_t i = 0; i < n; i++)
        b->value[pair][i] = (float)element(t, o, i, plain);
    b->n[pair] = n;
    return OCT_OK;
}

static void count_integers(const oct_tensor *t, const oct_observed *o, size_t n, sums *s)
{
    const bool wide = t->desc.dtype == OCT_DT_U8;
    const int lo = wide ? 0 : -128, hi = wide ? 255 : 127;
    if (!o->quantized)
        return;
    s->n_integers += n;
    for (size_t i = 0; i < n; i++) { /* order does not matter: memory's own */
        const int q = wide ? ((const uint8_t *)t->data)[i] : ((const int8_t *)t->data)[i];
        s->n_saturated += (q == lo || q == hi) && q != o->q.zero_point;
    }
}

static oct_status compare(const bench *b, oct_ctx *ctx, uint32_t pair, const oct_tensor *t,
                          const oct_observed *o)
{
    sums *s = &b->record->tensor[pair];
    size_t n;
    if (!oct_shape_elems(&t->desc.shape, &n) || n != b->n[pair])
        return oct_fail(ctx, OCT_ERR_SHAPE,
                        "tensor '%s' has %zu elements in the reference, others in the candidate",
                        o->name, b->n[pair]);
    const bool plain = is_row_major(&t->desc);
    for (size_t i = 0; i < n; i++) {
        const double r = (double)b->value[pair][i], c = element(t, o, i, plain), d = c - r;
        s->signal += r * r;
        s->power += c * c;
        s->dot += r * c;
        s->noise += d * d;
        s->max_error = fabs(d) > s->max_error ? fabs(d) : s->max_error;
    }
    s->n += n;
    if (oct_tensor_desc_is_dense(&t->desc))
        count_integers(t, o, n, s);
    return OCT_OK;
}

/* A tensor in device memory, waited for and copied. */
static oct_status fetch(bench *b, oct_ctx *ctx, oct_tensor *t, oct_stream *stream)
{
    size_t bytes;
    if (!oct_tensor_desc_bytes(&t->desc, &bytes))
        return oct_fail(ctx, OCT_ERR_SHAPE, "a tensor of unknown size on the device");
    if (bytes > b->host_bytes) {
        void *more = oct_realloc(ctx, b->host, bytes);
        if (more == NULL)
            return OCT_ERR_NOMEM;
        b->host = more;
        b->host_bytes = bytes;
    }
    OCT_TRY(oct_engine_fetch(b->is_reference ? b->c->ref : b->c->cand, ctx, t, stream, b->host));
    t->data = b->host;
    return OCT_OK;
}

static oct_status on_value(oct_observer *self, oct_ctx *ctx, uint32_t value, const oct_tensor *seen,
                           oct_stream *stream)
{
    bench *b = (bench *)self;
    comparison *c = b->c;
    oct_tensor copy = *seen, *t = &copy;
    const uint32_t pair = b->is_reference ? value : c->pair_of_cand[value];
    if (pair == UINT32_MAX)
        return OCT_OK;
    if (stream != NULL)
        OCT_TRY(fetch(b, ctx, t, stream));
    return b->is_reference ? keep_reference(b, ctx, pair, t, &c->ref_list[value])
                           : compare(b, ctx, pair, t, &c->cand_list[value]);
}

/* ---- pairing ----------------------------------------------------------------------------- */

static uint32_t find_cand(const comparison *c, const char *name)
{
    uint32_t found = UINT32_MAX;
    for (size_t i = 0; i < c->n_cand; i++) {
        if (strcmp(c->cand_list[i].name, name) != 0)
            continue;
        if (found == UINT32_MAX || (c->cand_list[i].quantized && !c->cand_list[found].quantized))
            found = (uint32_t)i; /* of a tensor both as float and as integers: the integers */
    }
    return found;
}

static const char *op_of(const oct_model *m, const char *name)
{
    const oct_graph *g = oct_model_graph(m);
    const oct_value_id v = oct_graph_find_value(g, name);
    const oct_node_id p = v == OCT_NONE ? OCT_NONE : oct_graph_value(g, v)->producer;
    return p == OCT_NONE ? "input" : oct_op_name(oct_graph_node(g, p)->op);
}

static oct_status pair_tensors(comparison *c, oct_ctx *ctx)
{
    oct_layers *l = c->out;
    c->pair_of_cand = oct_alloc_array(ctx, c->n_cand, sizeof *c->pair_of_cand);
    l->value = oct_arena_array(l->arena, c->n_ref, sizeof *l->value);
    if (!c->pair_of_cand || !l->value)
        return OCT_ERR_NOMEM;
    memset(c->pair_of_cand, 0xff, c->n_cand * sizeof *c->pair_of_cand);
    for (size_t i = 0; i < c->n_ref; i++) {
        const uint32_t k = find_cand(c, c->ref_list[i].name);
        assert(k != UINT32_MAX && "only the candidate's names are observed");
        c->pair_of_cand[k] = (uint32_t)i;
        l->value[i] = (oct_layer_value){
            .name = oct_arena_strdup(l->arena, c->ref_list[i].name),
            .op = op_of(c->opt->reference, c->ref_list[i].name),
            .scale = c->cand_list[k].quantized ? (double)c->cand_list[k].q.scale : (double)NAN};
        if (!l->value[i].name)
            return OCT_ERR_NOMEM;
    }
    l->n_values = c->n_pairs = c->n_ref;
    return c->n_pairs > 0 ? OCT_OK
                          : oct_fail(ctx, OCT_ERR_NOT_FOUND,
                                     "reference and candidate have no tensor name in common");
}

/* Named activations of the reference: those that the candidate computes too go to `name`, the
 * others to the list of removed ones. */
static oct_status sort_names(comparison *c, const char **name, size_t *n_names)
{
    oct_layers *l = c->out;
    const oct_graph *g = oct_model_graph(c->opt->reference);
    for (uint32_t i = 0; i < oct_graph_n_values(g); i++) {
        const oct_value *v = oct_graph_value(g, i);
        if (!v->from_model || !oct_dtype_is_float(v->dtype) || v->data ||
            (!v->is_input && v->producer == OCT_NONE))
            continue;
        if (find_cand(c, v->name) != UINT32_MAX) {
            name[(*n_names)++] = v->name;
            continue;
        }
        oct_layer_removed *r = &l->removed[l->n_removed++];
        r->name = oct_arena_strdup(l->arena, v->name);
        r->reason = "fused: the candidate does not compute it by itself";
        if (!r->name)
            return OCT_ERR_NOMEM;
    }
    return OCT_OK;
}

/* The reference is only observed where the candidate is, so that both fuse alike. */
static oct_status open_reference(comparison *c, oct_ctx *ctx)
{
    const oct_layers_options *o = c->opt;
    const size_t n_values = oct_graph_n_values(oct_model_graph(o->reference));
    size_t n = 0;
    const char **name = oct_alloc_array(ctx, n_values, sizeof *name);
    c->out->removed = oct_arena_array(c->out->arena, n_values, sizeof *c->out->removed);
    oct_status st = name && c->out->removed ? sort_names(c, name, &n) : OCT_ERR_NOMEM;
    const oct_engine_options ref = {.backend = o->backend,
                                    .opened = o->opened,
                                    .threads = 1,
                                    .precision = o->reference_precision,
                                    .observe = name,
                                    .n_observe = n};
    if (st == OCT_OK)
        st = oct_engine_new(ctx, o->reference, &ref, &c->ref);
    if (st == OCT_OK)
        c->n_ref = oct_engine_observed(c->ref, &c->ref_list);
    oct_free(ctx, (void *)name);
    return st;
}

static oct_status open_engines(comparison *c, oct_ctx *ctx)
{
    const oct_layers_options *o = c->opt;
    const oct_engine_options cand = {.backend = o->backend,
                                     .opened = o->opened,
                                     .threads = 1,
                                     .precision = o->candidate_precision,
                                     .observe_made = true};
    OCT_TRY(oct_engine_new(ctx, o->candidate, &cand, &c->cand));
    c->n_cand = oct_engine_observed(c->cand, &c->cand_list);
    OCT_TRY(open_reference(c, ctx));
    return pair_tensors(c, ctx);
}

/* ---- coverage ---------------------------------------------------------------------------- */

static bool is_conversion(const char *op)
{
    static const char *const list[] = {"QuantizeLinear", "DequantizeLinear", "Reorder", "Cast"};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (strcmp(op, list[i]) == 0)
            return true;
    return false;
}

/* Not shapes and indices. */
static bool is_data(oct_dtype dt)
{
    return oct_dtype_is_float(dt) || dt == OCT_DT_S8 || dt == OCT_DT_U8;
}

/* Every worker's plan is the same: the first to finish an image says what is in it. */
static oct_status note_ops(comparison *c, oct_worker *w)
{
    oct_layers *l = c->out;
    const oct_op_info *list;
    const size_t n = oct_worker_ops(w, &list);
    if (l->op != NULL)
        return OCT_OK;
    l->op = oct_arena_array(l->arena, n, sizeof *l->op);
    if (!l->op)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const oct_op_info *o = &list[i];
        if (o->op == NULL || o->node == NULL || is_conversion(o->op) || !is_data(o->in_dtype))
            continue;
        oct_layer_op *to = &l->op[l->n_ops++];
        to->node = oct_arena_strdup(l->arena, o->node);
        to->op = oct_arena_strdup(l->arena, o->op);
        to->integer = o->in_dtype == OCT_DT_S8 || o->in_dtype == OCT_DT_U8;
        to->reason = to->integer                 ? ""
                     : o->reason && o->reason[0] ? oct_arena_strdup(l->arena, o->reason)
                                                 : "the model has no quantized input here";
        if (!to->node || !to->op || !to->reason)
            return OCT_ERR_NOMEM;
    }
    return OCT_OK;
}

/* ---- running ----------------------------------------------------------------------------- */

static oct_status keep_record(comparison *c, oct_ctx *ctx, oct_worker *cand, image_record *r,
                              int64_t *n_done)
{
    oct_status st = OCT_OK;
    pthread_mutex_lock(&c->lock);
    if (c->n_records == c->cap_records) {
        const size_t cap = c->cap_records ? 2 * c->cap_records : 64;
        image_record **more = oct_realloc(ctx, c->record, cap * sizeof(image_record *));
        st = more ? OCT_OK : OCT_ERR_NOMEM;
        c->record = more ? more : c->record;
        c->cap_records = more ? cap : c->cap_records;
    }
    if (st == OCT_OK)
        st = note_ops(c, cand);
    if (st == OCT_OK)
        c->record[c->n_records++] = r;
    *n_done = (int64_t)c->n_records;
    pthread_mutex_unlock(&c->lock);
    return st;
}

static oct_status run_one(oct_worker *w, oct_ctx *ctx, const oct_batch *b, bench *bn)
{
    const oct_engine *e = bn->is_reference ? bn->c->ref : bn->c->cand;
    const oct_io *io;
    const size_t n = oct_engine_outputs(e, &io);
    oct_tensor *out = oct_zalloc_array(ctx, n + 1, sizeof *out);
    if (out == NULL)
        return OCT_ERR_NOMEM;
    const oct_status st =
        oct_worker_run(w, ctx, b->input, (size_t)b->n_inputs, out, n, &bn->observer);
    oct_free(ctx, out);
    return st;
}

static oct_status do_batch(comparison *c, oct_ctx *ctx, oct_worker *const w[2], bench *bn,
                           const oct_batch *b)
{
    int64_t n_done = 0;
    bn->record = oct_zalloc(ctx, sizeof *bn->record + c->n_pairs * sizeof bn->record->tensor[0]);
    if (bn->record == NULL)
        return OCT_ERR_NOMEM;
    bn->record->index = b->n_samples > 0 ? b->sample[0].index : 0;
    oct_status st = OCT_OK;
    for (int side = 0; side < 2 && st == OCT_OK; side++) {
        bn->is_reference = side == 0;
        st = run_one(w[side], ctx, b, bn);
    }
    if (st == OCT_OK)
        st = keep_record(c, ctx, w[1], bn->record, &n_done);
    if (st != OCT_OK)
        oct_free(ctx, bn->record);
    else if (c->opt->progress != NULL)
        c->opt->progress(c->opt->user, n_done);
    return st;
}

static oct_status loop(comparison *c, oct_ctx *ctx, oct_worker *const w[2], bench *bn)
{
    for (;;) {
        const oct_batch *b = NULL;
        OCT_TRY(oct_check_cancel(ctx));
        pthread_mutex_lock(&c->lock);
        const bool stop = c->stop;
        pthread_mutex_unlock(&c->lock);
        if (!stop)
            OCT_TRY(c->source->vt->next(c->source, ctx, &b));
        if (b == NULL)
            return OCT_OK;
        const oct_status st = b->n_samples > 0 ? do_batch(c, ctx, w, bn, b) : OCT_OK;
        c->source->vt->release(c->source, b);
        OCT_TRY(st);
    }
}

static oct_status work(void *user, oct_ctx *ctx, int index)
{
    comparison *c = user;
    oct_worker *w[2] = {NULL, NULL};
    (void)index;
    bench bn = {.observer = {.fn = on_value}, .c = c};
    bn.value = oct_zalloc_array(ctx, c->n_pairs, sizeof *bn.value);
    bn.n = oct_zalloc_array(ctx, c->n_pairs, sizeof *bn.n);
    bn.cap = oct_zalloc_array(ctx, c->n_pairs, sizeof *bn.cap);
    oct_status st = bn.value && bn.n && bn.cap ? OCT_OK : OCT_ERR_NOMEM;
    if (st == OCT_OK)
        st = oct_worker_new(c->ref, ctx, &w[0]);
    if (st == OCT_OK)
        st = oct_worker_new(c->cand, ctx, &w[1]);
    if (st == OCT_OK)
        st = loop(c, ctx, w, &bn);
    for (size_t i = 0; bn.value && i < c->n_pairs; i++)
        oct_free(ctx, bn.value[i]);
    oct_free(ctx, bn.value);
    oct_free(ctx, bn.n);
    oct_free(ctx, bn.cap);
    oct_free(ctx, bn.host);
    oct_worker_free(w[0], ctx);
    oct_worker_free(w[1], ctx);
    if (st != OCT_OK) {
        pthread_mutex_lock(&c->lock);
        c->stop = true;
        pthread_mutex_unlock(&c->lock);
    }
    return st;
}

/* ---- the result -------------------------------------------------------------------------- */

static int by_index(const void *a, const void *b)
{
    const image_record *x = *(image_record *const *)a, *y = *(image_record *const *)b;
    return (x->index > y->index) - (x->index < y->index);
}

static void finish_value(const comparison *c, size_t k, oct_layer_value *v)
{
    sums s = {0};
    for (size_t i = 0; i < c->n_records; i++) {
        const sums *t = &c->record[i]->tensor[k];
        s.signal += t->signal;
        s.power += t->power;
        s.dot += t->dot;
        s.noise += t->noise;
        s.max_error = t->max_error > s.max_error ? t->max_error : s.max_error;
        s.n += t->n;
        s.n_integers += t->n_integers;
        s.n_saturated += t->n_saturated;
    }
    v->elements = s.n;
    v->equal = s.n > 0 && s.noise == 0;
    v->sqnr_db = v->equal       ? (double)INFINITY
                 : s.signal > 0 ? 10 * log10(s.signal / s.noise)
                                : (double)NAN;
    v->cosine = v->equal                      ? 1
                : s.signal > 0 && s.power > 0 ? s.dot / sqrt(s.signal) / sqrt(s.power)
                                              : (double)NAN;
    v->max_error = s.n > 0 ? s.max_error : (double)NAN;
    v->saturation = s.n_integers > 0 ? (double)s.n_saturated / (double)s.n_integers : (double)NAN;
}

oct_status oct_layers_compare(oct_ctx *ctx, const oct_layers_options *opt, oct_batch_source *source,
                              oct_layers *out)
{
    comparison c = {.opt = opt, .source = source, .out = out};
    *out = (oct_layers){0};
    OCT_TRY(oct_arena_new(ctx, &out->arena));
    if (pthread_mutex_init(&c.lock, NULL) != 0)
        return oct_fail(ctx, OCT_ERR_NOMEM, "no memory for a lock");
    oct_status st = open_engines(&c, ctx);
    if (st == OCT_OK)
        st = oct_run_workers(ctx, opt->workers > 0 ? opt->workers : oct_cpu_count(), 1, work, &c);
    if (st == OCT_OK && c.n_records == 0)
        st = oct_fail(ctx, OCT_ERR_NOT_FOUND, "no image to compare tensors on");
    if (st == OCT_OK) {
        qsort(c.record, c.n_records, sizeof *c.record, by_index);
        for (size_t k = 0; k < c.n_pairs; k++)
            finish_value(&c, k, &out->value[k]);
        out->n_images = c.n_records;
    }
    for (size_t i = 0; i < c.n_records; i++)
        oct_free(ctx, c.record[i]);
    oct_free(ctx, c.record);
    oct_free(ctx, c.pair_of_cand);
    oct_engine_free(c.ref, ctx);
    oct_engine_free(c.cand, ctx);
    pthread_mutex_destroy(&c.lock);
    return st;
}

void oct_layers_deinit(oct_layers *l)
{
    oct_arena_free(l->arena);
    *l = (oct_layers){0};
}
