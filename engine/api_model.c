/* SPDX-License-Identifier: Apache-2.0
 *
 * Models in the public API: open, ask, run. An octet_model is an engine with one worker.
 */
#include <string.h>

#include "base/api.h"
#include "engine/engine_file.h"
#include "engine/session.h"

struct octet_model {
    oct_ctx *ctx;
    oct_engine_file *file; /* owns the model when it came from an engine file */
    oct_model *onnx;
    oct_engine *engine;
    oct_worker *worker;
    const oct_io *in, *out;
    size_t n_in, n_out;
    oct_tensor *tensors; /* n_in + n_out, scratch of run() */
    oct_shape *shapes;   /* n_in, scratch of prepare() */
};

static void model_free(octet_model *m)
{
    oct_ctx *ctx = m->ctx;
    oct_worker_free(m->worker, ctx);
    oct_engine_free(m->engine, ctx);
    oct_model_free(m->onnx);
    oct_engine_file_free(m->file);
    oct_free(ctx, m->tensors);
    oct_free(ctx, m->shapes);
    oct_free(ctx, m);
}

/* Q/DQ in the graph is lowered to INT8 unless the caller wants the float simulation. */
static uint32_t precision_of(const octet_model *m, const octet_model_options *opt)
{
    if (m->file && !opt->no_int8)
        return oct_engine_file_info(m->file)->precision;
    return opt->no_int8 ? OCT_PRECISION_F32 : OCT_PRECISION_F32 | OCT_PRECISION_S8;
}

static oct_status make_engine(octet_model *m, const octet_model_options *opt)
{
    const oct_model *model = m->file ? oct_engine_file_model(m->file) : m->onnx;
    const oct_engine_info *info = m->file ? oct_engine_file_info(m->file) : NULL;
    const oct_engine_options engine = {.backend = opt->device,
                                       .threads = opt->n_threads,
                                       .precision = precision_of(m, opt),
                                       .tactic = info ? info->tactic : NULL,
                                       .n_tactics = info ? info->n_tactics : 0,
                                       .arena_limit_bytes = opt->max_arena_bytes};
    OCT_TRY(oct_engine_new(m->ctx, model, &engine, &m->engine));
    OCT_TRY(oct_worker_new(m->engine, m->ctx, &m->worker));
    m->n_in = oct_engine_inputs(m->engine, &m->in);
    m->n_out = oct_engine_outputs(m->engine, &m->out);
    m->tensors = oct_zalloc_array(m->ctx, m->n_in + m->n_out + 1, sizeof *m->tensors);
    m->shapes = oct_zalloc_array(m->ctx, m->n_in + 1, sizeof *m->shapes);
    return m->tensors && m->shapes ? OCT_OK : OCT_ERR_NOMEM;
}

/* What the model is read from: a path, or bytes. */
typedef struct source {
    const char *path;
    const void *data;
    size_t n_bytes;
} source;

static oct_status load(octet_model *m, const source *src, const octet_model_options *opt)
{
    const oct_model_options model = {.allow_external_symlinks = opt->allow_external_symlinks != 0,
                                     .max_bytes = opt->max_model_bytes};
    if (src->path && oct_engine_file_is(src->path))
        return oct_engine_file_load(m->ctx, src->path, &m->file);
    if (src->path)
        return oct_model_load(m->ctx, src->path, &model, &m->onnx);
    return oct_model_parse(m->ctx, src->data, src->n_bytes, NULL, &model, &m->onnx);
}

static octet_status open_source(octet_ctx *ctx, const source *src,
                                const octet_model_options *options, octet_model **out)
{
    oct_ctx *c = oct_api_ctx(ctx);
    octet_model_options opt;
    if (oct_api_copy_options(&opt, sizeof opt, options) != OCT_OK || opt.n_threads < 0)
        return (octet_status)oct_fail(c, OCT_ERR_USAGE,
                                      "octet_model_options: unknown size, field or n_threads < 0");
    octet_model *m = oct_zalloc(c, sizeof *m);
    if (!m)
        return OCTET_ERR_NOMEM;
    m->ctx = c;
    oct_status st = load(m, src, &opt);
    if (st == OCT_OK)
        st = make_engine(m, &opt);
    if (st != OCT_OK) {
        model_free(m);
        return (octet_status)st;
    }
    *out = m;
    return OCTET_OK;
}

octet_status octet_model_open(octet_ctx *ctx, const char *path, const octet_model_options *options,
                              octet_model **out)
{
    return open_source(ctx, &(source){.path = path}, options, out);
}

octet_status octet_model_parse(octet_ctx *ctx, const void *data, size_t n_bytes,
                               const octet_model_options *options, octet_model **out)
{
    return open_source(ctx, &(source){.data = data, .n_bytes = n_bytes}, options, out);
}

void octet_model_close(octet_model *model)
{
    if (model)
        model_free(model);
}

/* ---- inputs and outputs ------------------------------------------------------------------ */

size_t octet_model_n_inputs(const octet_model *model)
{
    return model->n_in;
}

size_t octet_model_n_outputs(const octet_model *model)
{
    return model->n_out;
}

static octet_status describe(const octet_model *m, const oct_io *list, size_t n, size_t i,
                             octet_value_info *out)
{
    if (i >= n)
        return (octet_status)oct_fail(m->ctx, OCT_ERR_RANGE, "value %zu asked for, there are %zu",
                                      i, n);
    *out = (octet_value_info){
        .name = list[i].name, .dtype = (octet_dtype)list[i].dtype, .n_dims = list[i].shape.n_dims};
    for (int k = 0; k < out->n_dims; k++)
        out->dim[k] = list[i].shape.dim[k] < 0 ? -1 : list[i].shape.dim[k];
    return OCTET_OK;
}

octet_status octet_model_input(const octet_model *model, size_t i, octet_value_info *out)
{
    return describe(model, model->in, model->n_in, i, out);
}

octet_status octet_model_output(const octet_model *model, size_t i, octet_value_info *out)
{
    return describe(model, model->out, model->n_out, i, out);
}

/* ---- running ----------------------------------------------------------------------------- */

static oct_status check_count(const octet_model *m, const char *what, size_t got, size_t want)
{
    if (got == want)
        return OCT_OK;
    return oct_fail(m->ctx, OCT_ERR_USAGE, "%zu %s given, the model has %zu", got, what, want);
}

static oct_status run(octet_model *m, const octet_tensor *in, size_t n_in, octet_tensor *out,
                      size_t n_out)
{
    oct_tensor *mine = m->tensors + m->n_in;
    OCT_TRY(check_count(m, "inputs", n_in, m->n_in));
    OCT_TRY(check_count(m, "outputs", n_out, m->n_out));
    for (size_t i = 0; i < n_in; i++)
        OCT_TRY(oct_api_tensor(m->ctx, m->in[i].name, &in[i], &m->tensors[i]));
    OCT_TRY(oct_worker_run(m->worker, m->ctx, m->tensors, n_in, mine, n_out, NULL));
    for (size_t i = 0; i < n_out; i++)
        oct_api_tensor_out(&mine[i], &out[i]);
    return OCT_OK;
}

octet_status octet_model_run(octet_model *model, const octet_tensor *in, size_t n_in,
                             octet_tensor *out, size_t n_out)
{
    return (octet_status)run(model, in, n_in, out, n_out);
}

octet_status octet_model_prepare(octet_model *model, const octet_tensor *in, size_t n_in)
{
    oct_status st = check_count(model, "inputs", n_in, model->n_in);
    for (size_t i = 0; i < n_in && st == OCT_OK; i++) {
        if (in[i].n_dims < 0 || in[i].n_dims > OCTET_MAX_DIMS)
            st = oct_fail(model->ctx, OCT_ERR_USAGE, "%s: %d dimensions", model->in[i].name,
                          in[i].n_dims);
        else
            memcpy(model->shapes[i].dim, in[i].dim, sizeof model->shapes[i].dim);
        model->shapes[i].n_dims = in[i].n_dims;
    }
    if (st == OCT_OK)
        st = oct_worker_prepare(model->worker, model->ctx, model->shapes, n_in);
    return (octet_status)st;
}
