/* SPDX-License-Identifier: Apache-2.0 */
#include "accuracy/side.h"

#include <string.h>

#include "accuracy/recorded.h"
#include "base/checked.h"
#include "base/file.h"
#include "base/numeric.h"
#include "datasets/npy.h"

struct oct_side {
    oct_engine *engine; /* NULL = recorded */
    oct_array rows;
};

struct oct_side_worker {
    oct_side *side;
    oct_worker *worker;
    size_t n_in, n_out;
    oct_tensor *raw, *out; /* n_out each: as the engine gave them, as f32 */
    float **buf;           /* n_out: memory of converted outputs */
    size_t *cap;           /* elements in buf */
};

oct_status oct_side_open_model(oct_ctx *ctx, const oct_model *model, const oct_engine_options *opt,
                               oct_side **out)
{
    oct_side *s = oct_zalloc(ctx, sizeof *s);
    if (s == NULL)
        return OCT_ERR_NOMEM;
    oct_engine_options one = *opt;
    one.threads = 1;
    const oct_status st = oct_engine_new(ctx, model, &one, &s->engine);
    if (st == OCT_OK)
        *out = s;
    else
        oct_free(ctx, s);
    return st;
}

oct_status oct_side_open_outputs(oct_ctx *ctx, const char *path, oct_side **out)
{
    oct_side *s = oct_zalloc(ctx, sizeof *s);
    if (s == NULL)
        return OCT_ERR_NOMEM;
    oct_status st = strcmp(oct_path_ext(path), ".json") == 0
                        ? oct_recorded_read_json(ctx, path, &s->rows)
                        : oct_npy_read(ctx, path, 0, &s->rows);
    if (st == OCT_OK && (s->rows.shape.n_dims < 1 || s->rows.n_elems == 0))
        st = oct_fail(ctx, OCT_ERR_SHAPE, "%s: expected one row of outputs a sample, found none",
                      path);
    if (st == OCT_OK)
        *out = s;
    else
        oct_side_close(s, ctx);
    return st;
}

void oct_side_close(oct_side *s, oct_ctx *ctx)
{
    if (s == NULL)
        return;
    oct_engine_free(s->engine, ctx);
    oct_array_deinit(ctx, &s->rows);
    oct_free(ctx, s);
}

int64_t oct_side_n_rows(const oct_side *s)
{
    return s->engine != NULL ? -1 : s->rows.shape.dim[0];
}

oct_status oct_side_worker_new(oct_side *s, oct_ctx *ctx, oct_side_worker **out)
{
    const oct_io *list;
    oct_side_worker *w = oct_zalloc(ctx, sizeof *w);
    if (w == NULL)
        return OCT_ERR_NOMEM;
    w->side = s;
    w->n_in = s->engine != NULL ? oct_engine_inputs(s->engine, &list) : 0;
    w->n_out = s->engine != NULL ? oct_engine_outputs(s->engine, &list) : 1;
    w->raw = oct_zalloc_array(ctx, w->n_out, sizeof *w->raw);
    w->out = oct_zalloc_array(ctx, w->n_out, sizeof *w->out);
    w->buf = oct_zalloc_array(ctx, w->n_out, sizeof *w->buf);
    w->cap = oct_zalloc_array(ctx, w->n_out, sizeof *w->cap);
    oct_status st = w->raw && w->out && w->buf && w->cap ? OCT_OK : OCT_ERR_NOMEM;
    if (st == OCT_OK && s->engine != NULL)
        st = oct_worker_new(s->engine, ctx, &w->worker);
    if (st == OCT_OK)
        *out = w;
    else
        oct_side_worker_free(w, ctx);
    return st;
}

void oct_side_worker_free(oct_side_worker *w, oct_ctx *ctx)
{
    if (w == NULL)
        return;
    oct_worker_free(w->worker, ctx);
    for (size_t i = 0; w->buf != NULL && i < w->n_out; i++)
        oct_free(ctx, w->buf[i]);
    oct_free(ctx, w->raw);
    oct_free(ctx, w->out);
    oct_free(ctx, w->buf);
    oct_free(ctx, w->cap);
    oct_free(ctx, w);
}

/* Room for n floats in buffer i. */
static oct_status reserve(oct_side_worker *w, oct_ctx *ctx, size_t i, size_t n)
{
    if (n <= w->cap[i] && w->buf[i] != NULL)
        return OCT_OK;
    oct_free(ctx, w->buf[i]);
    w->cap[i] = 0;
    w->buf[i] = oct_alloc_array(ctx, n, sizeof(float));
    if (w->buf[i] == NULL)
        return OCT_ERR_NOMEM;
    w->cap[i] = n;
    return OCT_OK;
}

static oct_status run_model(oct_side_worker *w, oct_ctx *ctx, const oct_batch *b)
{
    if ((size_t)b->n_inputs != w->n_in)
        return oct_fail(ctx, OCT_ERR_SHAPE, "the model has %zu inputs, the data %d", w->n_in,
                        b->n_inputs);
    OCT_TRY(oct_worker_run(w->worker, ctx, b->input, w->n_in, w->raw, w->n_out, NULL));
    for (size_t i = 0; i < w->n_out; i++) {
        size_t n;
        w->out[i] = w->raw[i];
        if (w->raw[i].desc.dtype == OCT_DT_F32 || !oct_dtype_is_float(w->raw[i].desc.dtype))
            continue;
        if (!oct_shape_elems(&w->raw[i].desc.shape, &n))
            return oct_fail(ctx, OCT_ERR_SHAPE, "output %zu has no known shape", i);
        OCT_TRY(reserve(w, ctx, i, n));
        for (size_t k = 0; k < n; k++)
            w->buf[i][k] = (float)oct_elem_f64(w->raw[i].data, w->raw[i].desc.dtype, k);
        w->out[i].desc = oct_tensor_desc_make(OCT_DT_F32, w->raw[i].desc.shape, OCT_LAYOUT_ROW);
        w->out[i].data = w->buf[i];
    }
    return OCT_OK;
}

static oct_status look_up(oct_side_worker *w, oct_ctx *ctx, const oct_batch *b)
{
    const oct_array *a = &w->side->rows;
    const int64_t n_rows = a->shape.dim[0];
    const size_t row = a->n_elems / (size_t)n_rows;
    size_t n;
    if (!oct_mul_size((size_t)b->n_samples, row, &n))
        return oct_fail(ctx, OCT_ERR_RANGE, "a batch of %d rows is too large", b->n_samples);
    OCT_TRY(reserve(w, ctx, 0, n));
    for (int k = 0; k < b->n_samples; k++) {
        const int64_t at = b->sample[k].index;
        if (at < 0 || at >= n_rows)
            return oct_fail(ctx, OCT_ERR_SHAPE,
                            "%s is sample %lld, but the recorded outputs have %lld rows",
                            b->sample[k].name, (long long)at, (long long)n_rows);
        for (size_t i = 0; i < row; i++)
            w->buf[0][(size_t)k * row + i] =
                (float)oct_elem_f64(a->data, a->dtype, (size_t)at * row + i);
    }
    oct_shape shape = a->shape;
    shape.dim[0] = b->n_samples;
    w->out[0].desc = oct_tensor_desc_make(OCT_DT_F32, shape, OCT_LAYOUT_ROW);
    w->out[0].data = w->buf[0];
    return OCT_OK;
}

oct_status oct_side_run(oct_side_worker *w, oct_ctx *ctx, const oct_batch *b,
                        const oct_tensor **out, size_t *n_out)
{
    OCT_TRY(w->side->engine != NULL ? run_model(w, ctx, b) : look_up(w, ctx, b));
    *out = w->out;
    *n_out = w->n_out;
    return OCT_OK;
}
