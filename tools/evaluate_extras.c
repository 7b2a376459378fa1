/* SPDX-License-Identifier: Apache-2.0
 *
 * What a report holds besides an evaluation's counts: tensors layer by layer, coverage, thumbnails.
 */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "datasets/thumbnail.h"
#include "tools/evaluate_result.h"

#define THUMBNAIL_SIDE 128
#define MAX_THUMBNAILS 24 /* as many as the page shows */

/* ---- layers ------------------------------------------------------------------------------ */

static oct_status fill_values(const oct_layers *l, oct_report *r, oct_report_pair *c)
{
    c->values = oct_report_array(r, OCT_REPORT_VALUE, l->n_values);
    c->values_removed = oct_report_array(r, OCT_REPORT_REMOVED, l->n_removed);
    if (!c->values || !c->values_removed)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < l->n_values; i++) {
        const oct_layer_value *v = &l->value[i];
        c->values[i] = (oct_report_value){.name = oct_report_text(r, v->name),
                                          .op = oct_report_text(r, v->op),
                                          .elements = (int64_t)v->elements,
                                          .sqnr_db = v->equal ? (double)NAN : v->sqnr_db,
                                          .equal = v->equal,
                                          .cosine = v->cosine,
                                          .max_error = v->max_error,
                                          .saturation = v->saturation,
                                          .scale = v->scale};
        if (!c->values[i].name || !c->values[i].op)
            return OCT_ERR_NOMEM;
    }
    c->n_values = l->n_values;
    c->values_images = (int64_t)l->n_images;
    for (size_t i = 0; i < l->n_removed; i++) {
        c->values_removed[i].name = oct_report_text(r, l->removed[i].name);
        c->values_removed[i].reason = oct_report_text(r, l->removed[i].reason);
        if (!c->values_removed[i].name || !c->values_removed[i].reason)
            return OCT_ERR_NOMEM;
    }
    c->n_values_removed = l->n_removed;
    return OCT_OK;
}

oct_status oct_layers_report(const oct_layers *l, size_t candidate, oct_report *r)
{
    oct_report_side *s = &r->sides[candidate + 1];
    OCT_TRY(fill_values(l, r, &r->comparisons[candidate]));
    size_t n_integer = 0;
    for (size_t i = 0; i < l->n_ops; i++)
        n_integer += l->op[i].integer;
    if (n_integer == 0) /* not an INT8 model: nothing to cover */
        return OCT_OK;
    s->nodes = oct_report_array(r, OCT_REPORT_NODE, l->n_ops);
    if (!s->nodes)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < l->n_ops; i++) {
        s->nodes[i] = (oct_report_node){.node = oct_report_text(r, l->op[i].node),
                                        .op = oct_report_text(r, l->op[i].op),
                                        .quantized = l->op[i].integer,
                                        .reason = oct_report_text(r, l->op[i].reason)};
        if (!s->nodes[i].node || !s->nodes[i].op || !s->nodes[i].reason)
            return OCT_ERR_NOMEM;
    }
    s->n_nodes = l->n_ops;
    return OCT_OK;
}

static void on_image(void *user, int64_t n_done)
{
    oct_progress_set(user, n_done);
}

oct_status oct_report_add_layers(oct_cli *cli, const oct_any_model *reference,
                                 const oct_any_model *candidate, const char *backend,
                                 oct_batch_source *source, size_t index, oct_report *r)
{
    oct_layers layers;
    oct_progress *progress =
        oct_progress_begin(cli, "compare layers", "images", source->vt->n_samples(source));
    const oct_layers_options opt = {
        .reference = reference->model,
        .candidate = candidate->model,
        .reference_precision = oct_any_model_precision(reference, "auto"),
        .candidate_precision = oct_any_model_precision(candidate, "auto"),
        .backend = backend,
        .workers = cli->n_threads,
        .progress = progress ? on_image : NULL,
        .user = progress};
    oct_status st = oct_layers_compare(cli->ctx, &opt, source, &layers);
    oct_progress_end(progress);
    if (st == OCT_OK)
        st = oct_layers_report(&layers, index, r);
    oct_layers_deinit(&layers);
    if (st == OCT_OK && r->n_weights == 0)
        st = oct_report_add_weights(reference->model, r);
    return st;
}

/* ---- thumbnails -------------------------------------------------------------------------- */

static oct_status add_thumbnail(oct_report *r, const char *images, oct_report_flip *f)
{
    uint8_t *jpeg = NULL;
    size_t n = 0;
    char *path = oct_path_join(r->ctx, images, f->image);
    if (!path)
        return OCT_ERR_NOMEM;
    oct_status st = oct_path_bytes(path) < 0
                        ? OCT_ERR_NOT_FOUND
                        : oct_thumbnail_make(r->ctx, path, THUMBNAIL_SIDE, &jpeg, &n);
    oct_free(r->ctx, path);
    if (st == OCT_OK && !(f->thumbnail = oct_report_thumbnail(r, "image/jpeg", jpeg, n)))
        st = OCT_ERR_NOMEM;
    oct_free(r->ctx, jpeg);
    if (st == OCT_OK || st == OCT_ERR_NOMEM)
        return st;
    oct_error_clear(r->ctx); /* a picture that cannot be shown is no reason to give no report */
    return OCT_OK;
}

oct_status oct_report_add_thumbnails(const char *images, oct_report *r)
{
    if (!oct_path_is_dir(images))
        return OCT_OK;
    for (size_t i = 0; i < r->n_comparisons; i++)
        for (size_t k = 0; k < r->comparisons[i].n_flips && k < MAX_THUMBNAILS; k++)
            OCT_TRY(add_thumbnail(r, images, &r->comparisons[i].flips[k]));
    return OCT_OK;
}
