/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/dataset.h"

#include <limits.h>
#include <string.h>

#include "base/checked.h"
#include "base/file.h"
#include "base/numeric.h"
#include "base/strbuf.h"
#include "datasets/labels.h"
#include "datasets/loader.h"
#include "datasets/npy.h"

#define DEFAULT_QUEUE 4

/* By extension; folders and lists are what is left. */
static const struct {
    const char *ext;
    oct_status (*open)(oct_ctx *ctx, const oct_source_request *r, oct_source **out);
} kinds[] = {
    {".npy", oct_source_open_npy},
    {".npz", oct_source_open_npz},
    {".h5", oct_source_open_pack},
    {".hdf5", oct_source_open_pack},
};

static oct_status open_source(oct_ctx *ctx, const oct_source_request *r, oct_source **out)
{
    const char *path = r->opt->path;
    if (oct_path_is_dir(path))
        return oct_source_open_dir(ctx, r, out);
    if (!oct_path_exists(path))
        return oct_fail(ctx, OCT_ERR_NOT_FOUND, "%s: no such file or folder", path);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(oct_path_ext(path), kinds[i].ext) == 0)
            return kinds[i].open(ctx, r, out);
    return oct_source_open_list(ctx, r, out);
}

oct_status oct_dataset_image_input(oct_ctx *ctx, const oct_input_spec *input, int n_inputs,
                                   const char *name, int *index)
{
    int found = -1, n_candidates = 0;
    for (int k = 0; k < n_inputs; k++) {
        if (name != NULL && strcmp(input[k].name, name) == 0) {
            *index = k;
            return OCT_OK;
        }
        if (oct_image_input_of(&input[k].shape).channels != 0) {
            found = k;
            n_candidates++;
        }
    }
    if (name != NULL)
        return oct_fail(ctx, OCT_ERR_USAGE, "--image-input %s: the model has no such input (%s%s)",
                        name, n_inputs > 0 ? input[0].name : "none", n_inputs > 1 ? ", ..." : "");
    if (n_candidates > 1)
        return oct_fail(ctx, OCT_ERR_USAGE,
                        "%d inputs of the model can take pictures; choose with --image-input NAME",
                        n_candidates);
    *index = found;
    return OCT_OK;
}

/* ---- constants -------------------------------------------------------------------------- */

/* Converts array or number to the input's type; 64-bit integers stay exact. */
static bool put_constant(void *dst, oct_dtype to, size_t i, double f, int64_t n)
{
    switch (to) {
    case OCT_DT_F32:
        ((float *)dst)[i] = (float)f;
        return true;
    case OCT_DT_F16:
        ((uint16_t *)dst)[i] = oct_f16_from_f32((float)f);
        return true;
    case OCT_DT_F64:
        ((double *)dst)[i] = f;
        return true;
    case OCT_DT_S64:
        ((int64_t *)dst)[i] = n;
        return true;
    case OCT_DT_S32:
        ((int32_t *)dst)[i] = (int32_t)n;
        return n >= INT32_MIN && n <= INT32_MAX;
    case OCT_DT_U8:
    case OCT_DT_BOOL:
        ((uint8_t *)dst)[i] = (uint8_t)n;
        return n >= 0 && n <= (to == OCT_DT_BOOL ? 1 : 255);
    default:
        return false;
    }
}

static oct_status bad_constant(oct_ctx *ctx, const oct_set_input *set, oct_dtype to)
{
    return oct_fail(ctx, OCT_ERR_USAGE, "--set-input %s=%s: not a value of type %s", set->name,
                    set->value, oct_dtype_str(to));
}

static oct_status fill_from_array(oct_ctx *ctx, const oct_set_input *set, oct_loader_input *in,
                                  size_t n_elems, size_t n_row)
{
    oct_array a;
    OCT_TRY(oct_npy_read(ctx, set->value, 0, &a));
    oct_status st = OCT_OK;
    if (a.n_elems != n_elems && a.n_elems != n_row && a.n_elems != 1)
        st = oct_fail(ctx, OCT_ERR_SHAPE,
                      "--set-input %s=%s: %zu elements, expected %zu (a row) or %zu (the batch)",
                      set->name, set->value, a.n_elems, n_row, n_elems);
    for (size_t i = 0; i < n_elems && st == OCT_OK; i++) {
        const size_t k = i % a.n_elems;
        if (!put_constant(in->constant, in->desc.dtype, i, oct_elem_f64(a.data, a.dtype, k),
                          oct_elem_s64(a.data, a.dtype, k)))
            st = bad_constant(ctx, set, in->desc.dtype);
    }
    oct_array_deinit(ctx, &a);
    return st;
}

static oct_status fill_constant(oct_ctx *ctx, const oct_set_input *set, oct_loader_input *in)
{
    size_t n_elems, n_row;
    double f = 0;
    int64_t n = 0;
    const size_t len = strlen(set->value);
    if (!oct_shape_elems(&in->desc.shape, &n_elems))
        return oct_fail(ctx, OCT_ERR_RANGE, "input '%s' overflows", set->name);
    n_row = in->desc.shape.n_dims > 0 && in->desc.shape.dim[0] > 0
                ? n_elems / (size_t)in->desc.shape.dim[0]
                : n_elems;
    in->constant = oct_zalloc(ctx, in->total_bytes);
    if (in->constant == NULL)
        return OCT_ERR_NOMEM;
    const bool whole = oct_parse_s64(set->value, len, &n);
    if (!oct_parse_f64(set->value, len, &f))
        return fill_from_array(ctx, set, in, n_elems, n_row);
    if (!whole && oct_dtype_is_int(in->desc.dtype))
        return bad_constant(ctx, set, in->desc.dtype);
    for (size_t i = 0; i < n_elems; i++)
        if (!put_constant(in->constant, in->desc.dtype, i, f, n))
            return bad_constant(ctx, set, in->desc.dtype);
    return OCT_OK;
}

static const oct_set_input *find_set(const oct_dataset_options *opt, const char *name)
{
    for (int i = 0; i < opt->n_set; i++)
        if (strcmp(opt->set[i].name, name) == 0)
            return &opt->set[i];
    return NULL;
}

/* ---- shapes ----------------------------------------------------------------------------- */

/* Rows of a batch: what the model fixes for the fed inputs, else the option. */
static oct_status choose_batch(oct_ctx *ctx, const oct_dataset_options *opt, const oct_source *s,
                               int *batch)
{
    int64_t n = 0;
    for (int k = 0; k < opt->n_inputs; k++) {
        const oct_shape *shape = &opt->input[k].shape;
        if (s->row[k].n_dims < 0)
            continue;
        const int64_t fixed = shape->n_dims == s->row[k].n_dims ? 1 : shape->dim[0];
        if (fixed <= 0)
            continue;
        if (n != 0 && n != fixed)
            return oct_fail(ctx, OCT_ERR_SHAPE, "inputs of different batch sizes: %lld and %lld",
                            (long long)n, (long long)fixed);
        n = fixed;
    }
    if (n != 0 && opt->batch != 0 && n != opt->batch)
        return oct_fail(ctx, OCT_ERR_USAGE, "--batch %d, but the model's batch size is %lld",
                        opt->batch, (long long)n);
    n = n != 0 ? n : opt->batch != 0 ? opt->batch : 1;
    if (n < 1 || n > 65536)
        return oct_fail(ctx, OCT_ERR_USAGE, "batch of %lld; expected 1 to 65536", (long long)n);
    *batch = (int)n;
    return OCT_OK;
}

/* The input's shape with the batch and the source's row put in; free dims of constants get the
 * batch (first axis) or are refused. */
static oct_status resolve(oct_ctx *ctx, const oct_input_spec *in, const oct_shape *row, int batch,
                          oct_shape *out)
{
    *out = in->shape;
    for (int d = 0; d < out->n_dims; d++) {
        const int from_row = d - (out->n_dims - row->n_dims);
        if (row->n_dims >= 0 && from_row >= 0)
            out->dim[d] = row->dim[from_row];
        else if (out->dim[d] < 0 && d == 0)
            out->dim[d] = batch;
        if (out->dim[d] < 0)
            return oct_fail(
                ctx, OCT_ERR_USAGE,
                "input '%s': axis %d has no fixed size; give its rows in an .npz with an "
                "array for each input",
                in->name, d);
    }
    return OCT_OK;
}

static oct_status missing_input(oct_ctx *ctx, const oct_input_spec *in)
{
    return oct_fail(ctx, OCT_ERR_USAGE,
                    "input '%s' gets no data: give --set-input %s=VALUE or --set-input %s=FILE.npy "
                    "(or an .npz with an array for each input)",
                    in->name, in->name, in->name);
}

static oct_status make_inputs(oct_ctx *ctx, const oct_dataset_options *opt, const oct_source *s,
                              oct_loader_config *c)
{
    for (int k = 0; k < opt->n_inputs; k++) {
        oct_loader_input *in = &c->input[k];
        const oct_input_spec *spec = &opt->input[k];
        const oct_set_input *set = find_set(opt, spec->name);
        const bool fed = s->row[k].n_dims >= 0;
        oct_shape shape;
        if (!fed && set == NULL)
            return missing_input(ctx, spec);
        if (fed && set != NULL)
            return oct_fail(ctx, OCT_ERR_USAGE, "--set-input %s: this input is fed by %s",
                            spec->name, opt->path);
        OCT_TRY(resolve(ctx, spec, &s->row[k], c->batch, &shape));
        in->desc = oct_tensor_desc_make(spec->dtype, shape, OCT_LAYOUT_ROW);
        if (!oct_tensor_desc_bytes(&in->desc, &in->total_bytes))
            return oct_fail(ctx, OCT_ERR_RANGE, "input '%s' overflows", spec->name);
        if (fed)
            in->row_bytes = in->total_bytes / (size_t)c->batch;
        else
            OCT_TRY(fill_constant(ctx, set, in));
    }
    return OCT_OK;
}

static oct_status check_set_names(oct_ctx *ctx, const oct_dataset_options *opt)
{
    for (int i = 0; i < opt->n_set; i++) {
        bool known = false;
        for (int k = 0; k < opt->n_inputs; k++)
            known = known || strcmp(opt->set[i].name, opt->input[k].name) == 0;
        if (!known)
            return oct_fail(ctx, OCT_ERR_USAGE, "--set-input %s: the model has no such input",
                            opt->set[i].name);
    }
    return OCT_OK;
}

/* ---- opening ---------------------------------------------------------------------------- */

static oct_status choose_samples(oct_ctx *ctx, const oct_dataset_options *opt, const oct_source *s,
                                 oct_loader_config *c)
{
    if (opt->order == NULL)
        return oct_subset_choose(ctx, &opt->subset, s->n_items, s->label, &c->order, &c->n_order);
    c->order = oct_alloc_array(ctx, (size_t)opt->n_order, sizeof *c->order);
    if (c->order == NULL)
        return OCT_ERR_NOMEM;
    for (int64_t i = 0; i < opt->n_order; i++) {
        c->order[i] = opt->order[i];
        if (opt->order[i] < (i > 0 ? opt->order[i - 1] + 1 : 0) || opt->order[i] >= s->n_items)
            return oct_fail(ctx, OCT_ERR_RANGE, "%s: no sample number %lld there, or given twice",
                            opt->path, (long long)opt->order[i]);
    }
    c->n_order = opt->n_order;
    return OCT_OK;
}

static const char *no_name(const void *user, int64_t i)
{
    (void)user;
    (void)i;
    return "";
}

/* Arrays have no names: one label per line. */
static oct_status label_arrays(oct_ctx *ctx, const oct_dataset_options *opt, oct_source *s)
{
    const bool arrays = strcmp(s->vt->kind, "npy") == 0 || strcmp(s->vt->kind, "npz") == 0;
    if (!arrays || opt->labels == NULL || strcmp(opt->labels, "none") == 0)
        return OCT_OK;
    if (strcmp(opt->labels, "folder") == 0 || strchr(opt->labels, ':') != NULL)
        return oct_fail(ctx, OCT_ERR_USAGE,
                        "--labels %s does not go with arrays; give a file with "
                        "one label per line",
                        opt->labels);
    const oct_label_names names = {s->n_items, no_name, NULL};
    s->label = oct_alloc_array(ctx, (size_t)s->n_items, sizeof *s->label);
    if (s->label == NULL)
        return OCT_ERR_NOMEM;
    return oct_labels_read(ctx, opt->labels, opt->label_offset, &names, s->label);
}

static oct_status configure(oct_ctx *ctx, const oct_dataset_options *opt, oct_loader_config *c)
{
    oct_source *s = c->source;
    s->info.n_found = s->n_items;
    OCT_TRY(label_arrays(ctx, opt, s));
    OCT_TRY(choose_batch(ctx, opt, s, &c->batch));
    c->input = oct_zalloc_array(ctx, (size_t)opt->n_inputs, sizeof *c->input);
    if (c->input == NULL)
        return OCT_ERR_NOMEM;
    c->n_inputs = opt->n_inputs;
    OCT_TRY(make_inputs(ctx, opt, s, c));
    OCT_TRY(choose_samples(ctx, opt, s, c));
    c->n_threads = opt->n_threads;
    c->queue = opt->queue > 0 ? opt->queue : DEFAULT_QUEUE;
    c->skip_bad = opt->skip_bad;
    c->max_skip_percent = opt->max_skip_percent;
    return OCT_OK;
}

static void discard(oct_ctx *ctx, oct_loader_config *c)
{
    for (int k = 0; k < c->n_inputs; k++)
        oct_free(ctx, c->input[k].constant);
    oct_free(ctx, c->input);
    oct_free(ctx, c->order);
    c->source->vt->close(c->source);
}

oct_status oct_dataset_open(oct_ctx *ctx, const oct_dataset_options *opt, oct_batch_source **out)
{
    static const oct_decode_limits defaults = OCT_DECODE_LIMITS_DEFAULT;
    oct_dataset_options o = *opt;
    oct_source_request r = {&o, -1};
    oct_loader_config c = {0};
    if (o.limits.max_side == 0)
        o.limits = defaults;
    OCT_TRY(check_set_names(ctx, &o));
    OCT_TRY(oct_dataset_image_input(ctx, o.input, o.n_inputs, o.image_input, &r.image_input));
    OCT_TRY(open_source(ctx, &r, &c.source));
    const oct_status st = configure(ctx, &o, &c);
    if (st != OCT_OK) {
        discard(ctx, &c);
        return st;
    }
    return oct_loader_open(ctx, &c, out);
}

void oct_dataset_get_info(const oct_batch_source *s, oct_dataset_info *out)
{
    *out = oct_loader_source(s)->info;
    out->batch = oct_loader_batch(s);
}
