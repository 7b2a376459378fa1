/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/engine_io.h"

#include <string.h>

#include "base/build_info.h"
#include "base/numeric.h"
#include "base/rng.h"

const oct_opt oct_engine_opts[] = {
    {.name = "shape",
     .arg = "NAME=DIMS",
     .type = OCT_OPT_TEXT,
     .repeat = true,
     .group = "Engine",
     .help = "shape of a random input with open dimensions, as in data=1x3x224x224"},
    {.name = "precision",
     .arg = "P",
     .type = OCT_OPT_CHOICE,
     .choices = OCT_PRECISION_CHOICES,
     .fallback = "auto",
     .group = "Engine",
     .help = "int8 computes quantized models in integers, fp32 simulates them; auto is int8 where "
             "the model is quantized, and what an engine file was built for; fp16 and tf32 need a "
             "GPU"},
    {.name = "reference",
     .type = OCT_OPT_FLAG,
     .group = "Engine",
     .help = "use the portable reference kernels (slow; the definition of correct)"},
    {.name = "tune",
     .type = OCT_OPT_FLAG,
     .group = "Engine",
     .help = "time the backend's candidates for each operator and take the fastest"},
    {.name = "timing-cache",
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .group = "Engine",
     .help = "with --tune: take times from FILE, time only what it does not have, and add that"},
    {.name = "no-fusion",
     .type = OCT_OPT_FLAG,
     .group = "Engine",
     .help = "run the graph as imported, operator by operator"},
    {0}};

oct_status oct_engine_io_init(oct_engine_io *io, oct_cli *cli, const char *path, int threads)
{
    *io = (oct_engine_io){0};
    oct_engine_options opt = {.backend = oct_cli_backend(cli, oct_cli_flag(cli, "reference")),
                              .threads = threads,
                              .tune = oct_cli_flag(cli, "tune"),
                              .timing_cache = oct_cli_given(cli, "timing-cache")
                                                  ? oct_cli_str(cli, "timing-cache")
                                                  : NULL,
                              .no_fusion = oct_cli_flag(cli, "no-fusion")};
    if (opt.timing_cache && !opt.tune)
        return oct_cli_usage(cli, "--timing-cache is for --tune");
    OCT_TRY(oct_any_model_open(cli->ctx, path, &io->model));
    opt.precision = oct_any_model_precision(&io->model, oct_cli_str(cli, "precision"));
    oct_any_model_tactics(&io->model, &opt);
    oct_status st = oct_engine_new(cli->ctx, io->model.model, &opt, &io->engine);
    if (st != OCT_OK)
        return oct_fail_in(cli->ctx, st, "%s", path);
    io->n_in = oct_engine_inputs(io->engine, &io->in);
    io->n_out = oct_engine_outputs(io->engine, &io->out);
    io->input = oct_zalloc_array(cli->ctx, io->n_in + 1, sizeof *io->input);
    return io->input ? OCT_OK : OCT_ERR_NOMEM;
}

void oct_engine_io_clear(oct_engine_io *io, oct_cli *cli)
{
    for (size_t i = 0; io->input && i < io->n_in; i++) {
        oct_array_deinit(cli->ctx, &io->input[i]);
        io->input[i] = (oct_array){0};
    }
}

void oct_engine_io_deinit(oct_engine_io *io, oct_cli *cli)
{
    oct_engine_io_clear(io, cli);
    oct_free(cli->ctx, io->input);
    oct_engine_free(io->engine, cli->ctx);
    oct_any_model_close(&io->model);
}

/* ---- random inputs ---- */

static void fill_random(oct_array *a, oct_rng *rng)
{
    for (size_t i = 0; i < a->n_elems; i++) {
        const float x = 2.0F * oct_rng_f32(rng) - 1.0F;
        switch (a->dtype) {
        case OCT_DT_F32:
            ((float *)a->data)[i] = x;
            break;
        case OCT_DT_F64:
            ((double *)a->data)[i] = x;
            break;
        case OCT_DT_F16:
            ((uint16_t *)a->data)[i] = oct_f16_from_f32(x);
            break;
        case OCT_DT_BF16:
            ((uint16_t *)a->data)[i] = oct_bf16_from_f32(x);
            break;
        case OCT_DT_BOOL:
            ((uint8_t *)a->data)[i] = x > 0.0F;
            break;
        default: { /* small integers of any width, little-endian */
            const uint64_t v = oct_rng_below(rng, 100);
            const size_t bytes = oct_dtype_bytes(a->dtype);
            memcpy((uint8_t *)a->data + i * bytes, &v, bytes);
        }
        }
    }
}

/* "1x3x224x224" after "NAME="; false when `text` is for another input. */
static bool names_input(const char *text, const char *name, const char **value)
{
    const size_t n = strlen(name);
    *value = text + n + 1;
    return strncmp(text, name, n) == 0 && text[n] == '=';
}

static oct_status parse_dims(oct_cli *cli, const char *text, oct_shape *s)
{
    s->n_dims = 0;
    for (const char *p = text; *p;) {
        const size_t n = strcspn(p, "x");
        int64_t d;
        if (s->n_dims == OCT_MAX_DIMS || !oct_parse_s64(p, n, &d) || d < 0)
            return oct_cli_usage(cli, "--shape: '%s' is no shape like 1x3x224x224", text);
        s->dim[s->n_dims++] = d;
        p += n;
        p += *p == 'x';
    }
    return OCT_OK;
}

oct_status oct_engine_io_shape(const oct_engine_io *io, oct_cli *cli, size_t i, int64_t batch,
                               oct_shape *s)
{
    *s = io->in[i].shape;
    for (int k = 0; k < oct_cli_count(cli, "shape"); k++) {
        const char *text = oct_cli_str_at(cli, "shape", k), *value;
        if (names_input(text, io->in[i].name, &value))
            return parse_dims(cli, value, s);
        if (io->n_in == 1 && !strchr(text, '='))
            return parse_dims(cli, text, s);
    }
    if (s->n_dims < 0)
        return oct_cli_usage(cli, "input %s has no declared shape; give --shape %s=DIMS",
                             io->in[i].name, io->in[i].name);
    for (int k = 0; k < s->n_dims; k++)
        if (oct_dim_is_symbol(s->dim[k]))
            s->dim[k] = k == 0 && batch > 0 ? batch : 1;
    return OCT_OK;
}

static oct_status make_random(oct_engine_io *io, oct_cli *cli, size_t i, uint64_t seed,
                              int64_t batch)
{
    oct_array *a = &io->input[i];
    oct_rng rng = {.state = seed + i};
    size_t bytes = 0;
    OCT_TRY(oct_engine_io_shape(io, cli, i, batch, &a->shape));
    a->dtype = io->in[i].dtype;
    const oct_tensor_desc d = oct_tensor_desc_make(a->dtype, a->shape, OCT_LAYOUT_ROW);
    if (!oct_tensor_desc_bytes(&d, &bytes) || !oct_shape_elems(&a->shape, &a->n_elems))
        return oct_fail(cli->ctx, OCT_ERR_LIMIT, "input %s: too many elements", io->in[i].name);
    a->data = oct_zalloc(cli->ctx, bytes);
    if (!a->data)
        return OCT_ERR_NOMEM;
    fill_random(a, &rng);
    return OCT_OK;
}

oct_status oct_engine_io_fill(oct_engine_io *io, oct_cli *cli, uint64_t seed, int64_t batch)
{
    for (size_t i = 0; i < io->n_in; i++)
        if (!io->input[i].data)
            OCT_TRY(make_random(io, cli, i, seed, batch));
    return OCT_OK;
}

/* ---- given inputs ---- */

static oct_status set_input(oct_engine_io *io, oct_cli *cli, size_t i, const char *value)
{
    static const char random[] = "random:";
    if (io->input[i].data)
        return oct_cli_usage(cli, "input %s is given twice", io->in[i].name);
    if (strncmp(value, random, sizeof random - 1) == 0) {
        uint64_t seed;
        const char *digits = value + sizeof random - 1;
        if (!oct_parse_u64(digits, strlen(digits), &seed))
            return oct_cli_usage(cli, "'%s': the seed must be a whole number", value);
        return make_random(io, cli, i, seed, 0);
    }
    OCT_TRY(oct_npy_read(cli->ctx, value, 0, &io->input[i]));
    if (io->input[i].dtype == io->in[i].dtype)
        return OCT_OK;
    return oct_fail(cli->ctx, OCT_ERR_SHAPE, "%s holds %s, input %s wants %s", value,
                    oct_dtype_str(io->input[i].dtype), io->in[i].name,
                    oct_dtype_str(io->in[i].dtype));
}

oct_status oct_engine_io_set(oct_engine_io *io, oct_cli *cli, const char *text)
{
    const char *value;
    for (size_t i = 0; i < io->n_in; i++)
        if (names_input(text, io->in[i].name, &value))
            return set_input(io, cli, i, value);
    for (size_t i = 0; i < io->n_in; i++)
        if (!io->input[i].data)
            return set_input(io, cli, i, text);
    return oct_cli_usage(cli, "'%s': the model has only %zu input%s", text, io->n_in,
                         io->n_in == 1 ? "" : "s");
}

oct_status oct_engine_io_check(oct_engine_io *io, oct_cli *cli)
{
    for (size_t i = 0; i < io->n_in; i++)
        if (!io->input[i].data)
            return oct_cli_usage(cli,
                                 "input %s has no value; give --input %s=FILE.npy or "
                                 "--input %s=random:SEED",
                                 io->in[i].name, io->in[i].name, io->in[i].name);
    return OCT_OK;
}

void oct_engine_io_tensors(const oct_engine_io *io, oct_tensor *t)
{
    for (size_t i = 0; i < io->n_in; i++) {
        t[i].desc = oct_tensor_desc_make(io->input[i].dtype, io->input[i].shape, OCT_LAYOUT_ROW);
        t[i].data = io->input[i].data;
    }
}

oct_status oct_engine_write(oct_ctx *ctx, const oct_model *m, const oct_engine_origin *o,
                            const char *path, bool force)
{
    const oct_model_info *info = oct_model_get_info(m);
    const oct_engine_info e = {.precision = OCT_PRECISION_F32 | (o->int8 ? OCT_PRECISION_S8 : 0u) |
                                            (o->half ? OCT_PRECISION_F16 : 0u),
                               .keep_f32 = o->keep_f32,
                               .n_keep_f32 = o->n_keep_f32,
                               .model_hash = info->hash,
                               .model_name = info->graph_name,
                               .quantization_json = o->quantization,
                               .preprocess_json = o->preprocess,
                               .built_with = "octet " OCT_VERSION,
                               .tactic = o->tactic,
                               .n_tactics = o->n_tactics,
                               .tuned_on = o->tuned_on};
    return oct_engine_file_save(ctx, oct_model_graph(m), &e, path, force);
}
