/* SPDX-License-Identifier: Apache-2.0
 *
 * The caller's batches as a batch source. The runner's workers hold several batches at a time
 * and the caller may reuse its memory, so each batch is copied. A sample's id is the SHA-256
 * of its elements in all inputs: the same sample counts into the same fold wherever it comes.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "calib/api_calib_internal.h"

typedef struct api_source {
    oct_batch_source base;
    oct_ctx *ctx;
    octet_next_batch next;
    void *user;
    size_t n_inputs;
    pthread_mutex_t lock; /* calls of `next`, and what follows */
    octet_tensor *scratch;
    uint64_t n_batches;
    int64_t n_samples;
    bool ended;
} api_source;

/* Allocated as one piece with its tensors; the copied elements are blocks of their own. */
typedef struct api_batch {
    oct_batch base;
    oct_tensor *input;
    oct_sample *sample;
    char (*name)[24];
} api_batch;

static void batch_free(oct_ctx *ctx, api_batch *b)
{
    if (!b)
        return;
    for (int i = 0; b->input && i < b->base.n_inputs; i++)
        oct_free(ctx, b->input[i].data);
    oct_free(ctx, b->input);
    oct_free(ctx, b->sample);
    oct_free(ctx, b->name);
    oct_free(ctx, b);
}

static oct_status copy_inputs(api_source *s, oct_ctx *ctx, api_batch *b)
{
    const int64_t n = s->scratch[0].n_dims > 0 ? s->scratch[0].dim[0] : 1;
    for (size_t i = 0; i < s->n_inputs; i++) {
        char what[64];
        oct_tensor t;
        size_t bytes;
        snprintf(what, sizeof what, "batch %" PRIu64 ", input %zu", s->n_batches, i);
        OCT_TRY(oct_api_tensor(ctx, what, &s->scratch[i], &t));
        if ((t.desc.shape.n_dims > 0 ? t.desc.shape.dim[0] : 1) != n || n < 1 || n > INT32_MAX)
            return oct_fail(ctx, OCT_ERR_SHAPE,
                            "%s: axis 0 must be the number of samples, the same for all inputs",
                            what);
        if (!oct_tensor_desc_bytes(&t.desc, &bytes))
            return oct_fail(ctx, OCT_ERR_SHAPE, "%s: too large", what);
        b->input[i].desc = t.desc;
        b->input[i].data = oct_alloc(ctx, bytes);
        if (!b->input[i].data)
            return OCT_ERR_NOMEM;
        memcpy(b->input[i].data, t.data, bytes);
    }
    b->base.n_samples = (int)n;
    return OCT_OK;
}

static oct_status name_samples(api_source *s, oct_ctx *ctx, api_batch *b)
{
    const int n = b->base.n_samples;
    b->sample = oct_zalloc_array(ctx, (size_t)n, sizeof *b->sample);
    b->name = oct_zalloc_array(ctx, (size_t)n, sizeof *b->name);
    if (!b->sample || !b->name)
        return OCT_ERR_NOMEM;
    for (int k = 0; k < n; k++) {
        oct_sha256_stream *hash;
        OCT_TRY(oct_sha256_begin(ctx, &hash));
        for (size_t i = 0; i < s->n_inputs; i++) {
            size_t bytes = 0;
            (void)oct_tensor_desc_bytes(&b->input[i].desc, &bytes); /* fits: it was copied */
            const size_t row = bytes / (size_t)n;
            oct_sha256_update(hash, (const char *)b->input[i].data + row * (size_t)k, row);
        }
        b->sample[k].index = s->n_samples + k;
        b->sample[k].label = OCT_LABEL_NONE;
        oct_sha256_end(hash, &b->sample[k].id);
        snprintf(b->name[k], sizeof b->name[k], "#%" PRId64, b->sample[k].index);
        b->sample[k].name = b->name[k];
    }
    return OCT_OK;
}

static oct_status make_batch(api_source *s, oct_ctx *ctx, api_batch **out)
{
    api_batch *b = oct_zalloc(ctx, sizeof *b);
    if (!b)
        return OCT_ERR_NOMEM;
    b->base.n_inputs = (int)s->n_inputs;
    b->input = oct_zalloc_array(ctx, s->n_inputs + 1, sizeof *b->input);
    oct_status st = b->input ? copy_inputs(s, ctx, b) : OCT_ERR_NOMEM;
    if (st == OCT_OK)
        st = name_samples(s, ctx, b);
    if (st != OCT_OK) {
        batch_free(ctx, b);
        return st;
    }
    b->base.index = s->n_batches++;
    b->base.input = b->input;
    b->base.sample = b->sample;
    s->n_samples += b->base.n_samples;
    *out = b;
    return OCT_OK;
}

static oct_status source_next(oct_batch_source *base, oct_ctx *ctx, const oct_batch **out)
{
    api_source *s = (api_source *)base;
    api_batch *b = NULL;
    oct_status st = OCT_OK;
    pthread_mutex_lock(&s->lock);
    int more = 0;
    if (!s->ended) {
        memset(s->scratch, 0, (s->n_inputs + 1) * sizeof *s->scratch);
        more = s->next(s->user, s->scratch, s->n_inputs);
    }
    s->ended = more <= 0;
    if (more > 0)
        st = make_batch(s, ctx, &b);
    else if (more < 0)
        st = oct_fail(ctx, OCT_ERR_IO, "the batch function returned %d", more);
    pthread_mutex_unlock(&s->lock);
    *out = b ? &b->base : NULL;
    return st;
}

static void source_release(oct_batch_source *base, const oct_batch *b)
{
    batch_free(((api_source *)base)->ctx, (api_batch *)(uintptr_t)b);
}

static int64_t source_n_samples(const oct_batch_source *base)
{
    (void)base;
    return -1;
}

static oct_status source_rewind(oct_batch_source *base, oct_ctx *ctx)
{
    (void)base;
    return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "a caller's batches come only once");
}

static size_t source_skipped(const oct_batch_source *base, const oct_skip **list)
{
    (void)base;
    *list = NULL;
    return 0;
}

static const char *source_preprocess(const oct_batch_source *base)
{
    (void)base;
    return "";
}

static void source_close(oct_batch_source *base)
{
    api_source *s = (api_source *)base;
    pthread_mutex_destroy(&s->lock);
    oct_free(s->ctx, s->scratch);
    oct_free(s->ctx, s);
}

static const oct_batch_source_vtable vtable = {
    .n_samples = source_n_samples,
    .next = source_next,
    .release = source_release,
    .rewind = source_rewind,
    .skipped = source_skipped,
    .preprocess_json = source_preprocess,
    .close = source_close,
};

oct_status oct_api_source_new(oct_ctx *ctx, octet_next_batch next, void *user, size_t n_inputs,
                              oct_batch_source **out)
{
    api_source *s = oct_zalloc(ctx, sizeof *s);
    if (!s)
        return OCT_ERR_NOMEM;
    s->scratch = oct_zalloc_array(ctx, n_inputs + 1, sizeof *s->scratch);
    if (!s->scratch) {
        oct_free(ctx, s);
        return OCT_ERR_NOMEM;
    }
    s->base.vt = &vtable;
    s->ctx = ctx;
    s->next = next;
    s->user = user;
    s->n_inputs = n_inputs;
    pthread_mutex_init(&s->lock, NULL);
    *out = &s->base;
    return OCT_OK;
}
