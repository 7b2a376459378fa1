/* SPDX-License-Identifier: Apache-2.0 */
#include "calib/calibrator.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/strbuf.h"
#include "calib/calibrator_internal.h"

static const oct_calibrator *const calibrators[] = {
    &oct_calibrator_mse,
    &oct_calibrator_entropy,
    &oct_calibrator_percentile,
    &oct_calibrator_minmax,
};

const oct_calibrator *oct_calibrator_at(int i)
{
    return i >= 0 && i < (int)(sizeof calibrators / sizeof calibrators[0]) ? calibrators[i] : NULL;
}

oct_status oct_calib_work_new(oct_ctx *ctx, oct_calib_work **out)
{
    oct_calib_work *w = oct_zalloc(ctx, sizeof *w);
    if (w == NULL)
        return OCT_ERR_NOMEM;
    oct_entropy_begin(w);
    oct_status st = oct_density_new(ctx, &w->density);
    if (st == OCT_OK)
        st = oct_density_new(ctx, &w->part);
    if (st == OCT_OK)
        st = oct_density_shape_new(ctx, w->shape);
    if (st != OCT_OK) {
        oct_calib_work_free(ctx, w);
        return st;
    }
    *out = w;
    return OCT_OK;
}

void oct_calib_work_free(oct_ctx *ctx, oct_calib_work *w)
{
    if (w == NULL)
        return;
    oct_density_free(ctx, &w->density);
    oct_density_free(ctx, &w->part);
    oct_density_shape_free(ctx, w->shape);
    oct_free(ctx, w);
}

oct_density *oct_calib_work_density(oct_calib_work *w)
{
    return &w->density;
}

oct_density_shape *oct_calib_work_shape(oct_calib_work *w)
{
    return w->shape;
}

oct_density *oct_calib_work_part(oct_calib_work *w)
{
    return &w->part;
}

oct_status oct_method_parse(oct_ctx *ctx, const char *text, oct_method *out)
{
    const char *colon = strchr(text, ':');
    const size_t len = colon != NULL ? (size_t)(colon - text) : strlen(text);
    const oct_calibrator *c = NULL;
    for (int i = 0; (c = oct_calibrator_at(i)) != NULL; i++)
        if (strlen(c->name) == len && memcmp(c->name, text, len) == 0)
            break;
    if (c == NULL)
        return oct_fail(ctx, OCT_ERR_USAGE,
                        "method '%s': expected mse, entropy, percentile[:P] or minmax", text);
    double param = c->param_default;
    if (colon != NULL && !c->has_param)
        return oct_fail(ctx, OCT_ERR_USAGE, "method '%s': %s takes no number", text, c->name);
    if (colon != NULL && (!oct_parse_f64(colon + 1, strlen(colon + 1), &param) ||
                          !(param >= c->param_min && param <= c->param_max))) {
        char lo[OCT_NUM_TEXT_BYTES], hi[OCT_NUM_TEXT_BYTES];
        return oct_fail(ctx, OCT_ERR_USAGE, "method '%s': expected a number from %s to %s", text,
                        oct_f64_text(c->param_min, lo), oct_f64_text(c->param_max, hi));
    }
    *out = (oct_method){c, param};
    return OCT_OK;
}

const char *oct_method_text(const oct_method *m, char buf[OCT_METHOD_TEXT_BYTES])
{
    size_t n = strlen(m->calibrator->name);
    memcpy(buf, m->calibrator->name, n + 1);
    if (m->calibrator->has_param) {
        char number[OCT_NUM_TEXT_BYTES];
        oct_f64_text(m->param, number);
        buf[n++] = ':';
        memcpy(buf + n, number, strlen(number) + 1);
    }
    return buf;
}

float oct_calib_scale(float amax)
{
    const float scale = amax / 127.0f;
    return scale > FLT_MIN ? scale : FLT_MIN;
}

static void dead_result(oct_calib_result *r)
{
    *r = (oct_calib_result){
        .amax = 1.0f, .scale = oct_calib_scale(1.0f), .flags = OCT_CALIB_DEAD, .sqnr_db = INFINITY};
}

/* Fills amax, candidate and OCT_CALIB_FELL_BACK. d->amax > 0. */
static void choose(oct_calib_work *w, const oct_method *m, const oct_density *d,
                   oct_calib_result *r)
{
    m->calibrator->choose(w, d, m->param, r);
    if (!(r->amax > 0)) {
        r->amax = d->amax;
        r->flags |= OCT_CALIB_FELL_BACK;
    }
    if (!(r->amax <= FLT_MAX))
        r->amax = FLT_MAX;
}

float oct_calib_amax(oct_calib_work *w, const oct_method *m, const oct_density *d)
{
    oct_calib_result r = {0};
    if (d->amax > 0)
        choose(w, m, d, &r);
    return r.amax;
}

void oct_calibrate_density(oct_calib_work *w, const oct_method *m, const oct_density *d,
                           oct_calib_result *r)
{
    if (!(d->amax > 0)) {
        dead_result(r);
        return;
    }
    memset(r, 0, sizeof *r);
    choose(w, m, d, r);
    r->scale = oct_calib_scale(r->amax);
    r->minmax_error = oct_density_error(d, (double)oct_calib_scale(d->amax), INFINITY);
    r->error =
        r->amax == d->amax ? r->minmax_error : oct_density_error(d, (double)r->scale, INFINITY);
    if (r->error > OCT_CALIB_GUARD * r->minmax_error)
        r->flags |= OCT_CALIB_POOR;
    r->sqnr_db = r->error > 0 ? 10.0 * log10(oct_density_power(d) / r->error) : INFINITY;
}

void oct_calibrate_hist(oct_calib_work *w, const oct_method *m, const oct_hist *h,
                        const uint64_t *exact, oct_calib_result *r)
{
    oct_density_load(&w->density, h);
    w->density.exact = exact;
    oct_calibrate_density(w, m, &w->density, r);
}
