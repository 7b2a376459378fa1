/* SPDX-License-Identifier: Apache-2.0
 *
 * Calibration in the public API: the caller's batches into statistics.
 */
#include "calib/api_calib_internal.h"
#include "calib/runner.h"

static oct_status wrap(oct_ctx *ctx, oct_stats *s, octet_stats **out)
{
    octet_stats *made = oct_alloc(ctx, sizeof *made);
    if (!made) {
        oct_stats_free(s);
        return OCT_ERR_NOMEM;
    }
    *made = (octet_stats){ctx, s};
    *out = made;
    return OCT_OK;
}

static oct_status run_model(oct_ctx *ctx, const oct_model *model, octet_next_batch next, void *user,
                            const octet_calibrate_options *opt, octet_stats **out)
{
    const oct_calib_options run = {.backend = opt->reference ? "ref" : NULL,
                                   .workers = opt->n_threads,
                                   .per_channel = opt->per_channel != 0,
                                   .allow_nonfinite = opt->allow_nonfinite != 0};
    oct_batch_source *source;
    oct_calib_report report;
    oct_stats *stats = NULL;
    uint32_t n_inputs;
    (void)oct_graph_inputs(oct_model_graph(model), &n_inputs);
    OCT_TRY(oct_api_source_new(ctx, next, user, n_inputs, &source));
    const oct_status st = oct_calibrate_run(ctx, model, source, &run, &stats, &report);
    source->vt->close(source);
    return st == OCT_OK ? wrap(ctx, stats, out) : st;
}

octet_status octet_calibrate(octet_ctx *ctx, const char *model_path, octet_next_batch next,
                             void *user, const octet_calibrate_options *options, octet_stats **out)
{
    oct_ctx *c = oct_api_ctx(ctx);
    octet_calibrate_options opt;
    oct_model *model;
    if (oct_api_copy_options(&opt, sizeof opt, options) != OCT_OK || opt.n_threads < 0)
        return (octet_status)oct_fail(
            c, OCT_ERR_USAGE, "octet_calibrate_options: unknown size, field or n_threads < 0");
    oct_status st = oct_model_load(c, model_path, NULL, &model);
    if (st != OCT_OK)
        return (octet_status)st;
    st = oct_model_open_batch(c, model);
    if (st == OCT_OK)
        st = run_model(c, model, next, user, &opt, out);
    oct_model_free(model);
    return (octet_status)st;
}

octet_status octet_stats_read(octet_ctx *ctx, const char *path, octet_stats **out)
{
    oct_ctx *c = oct_api_ctx(ctx);
    oct_stats *s;
    const oct_status st = oct_stats_read(c, path, &s);
    return (octet_status)(st == OCT_OK ? wrap(c, s, out) : st);
}

octet_status octet_stats_write(octet_stats *stats, const char *path, int force)
{
    return (octet_status)oct_stats_write(stats->ctx, stats->stats, path, force != 0);
}

octet_status octet_stats_merge(octet_stats *dst, octet_stats *src, int allow_overlap)
{
    return (octet_status)oct_stats_merge(dst->ctx, dst->stats, src->stats, allow_overlap != 0);
}

uint64_t octet_stats_n_samples(const octet_stats *stats)
{
    return oct_stats_n_images(stats->stats);
}

size_t octet_stats_n_tensors(const octet_stats *stats)
{
    return oct_stats_n_tensors(stats->stats);
}

void octet_stats_free(octet_stats *stats)
{
    if (!stats)
        return;
    oct_stats_free(stats->stats);
    oct_free(stats->ctx, stats);
}

/* ---- scales ------------------------------------------------------------------------------ */

static oct_status add_all(octet_stats *stats, const oct_method *m, oct_calib_work *w, oct_ranges *r)
{
    for (size_t i = 0; i < oct_stats_n_tensors(stats->stats); i++) {
        oct_calib_result result;
        OCT_TRY(oct_check_cancel(stats->ctx));
        OCT_TRY(oct_stats_calibrate(stats->ctx, stats->stats, i, m, w, &result, NULL));
        OCT_TRY(oct_ranges_add_amax(r, oct_stats_at(stats->stats, i)->name, result.amax));
    }
    return OCT_OK;
}

octet_status octet_stats_scales(octet_stats *stats, const char *method, octet_scales **out)
{
    oct_ctx *ctx = stats->ctx;
    oct_calib_work *work = NULL;
    oct_ranges *ranges = NULL;
    oct_method m;
    oct_status st = oct_method_parse(ctx, method ? method : OCT_METHOD_DEFAULT, &m);
    if (st == OCT_OK)
        st = oct_calib_work_new(ctx, &work);
    if (st == OCT_OK)
        st = oct_ranges_new(ctx, &ranges);
    if (st == OCT_OK)
        st = add_all(stats, &m, work, ranges);
    oct_calib_work_free(ctx, work);
    if (st == OCT_OK)
        return (octet_status)oct_api_scales_wrap(ctx, ranges, out);
    oct_ranges_free(ranges);
    return (octet_status)st;
}

size_t oct_api_stats_means(const struct octet_stats *stats, const char *name, bool last,
                           double *mean, size_t cap)
{
    const oct_channel_mean *m =
        oct_stats_means_of(stats->stats, name, last ? OCT_MEAN_AXIS_LAST : OCT_MEAN_AXIS_1);
    for (size_t c = 0; m != NULL && c < m->n_channels && c < cap; c++)
        mean[c] = oct_channel_mean_at(m, c);
    return m != NULL ? m->n_channels : 0;
}

bool oct_api_stats_never_negative(const struct octet_stats *stats, const char *name)
{
    return oct_stats_never_negative(stats->stats, name);
}
