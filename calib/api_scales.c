/* SPDX-License-Identifier: Apache-2.0
 *
 * Scales and calibration caches in the public API.
 */
#include <math.h>
#include <string.h>

#include "calib/api_calib_internal.h"

_Static_assert((int)OCTET_CACHE_TRT == (int)OCT_CACHE_TRT, "format codes differ");
_Static_assert((int)OCTET_CACHE_ORT == (int)OCT_CACHE_ORT, "format codes differ");
_Static_assert((int)OCTET_CACHE_ORT_TEXT == (int)OCT_CACHE_ORT_TEXT, "format codes differ");
_Static_assert((int)OCTET_CACHE_NCNN == (int)OCT_CACHE_NCNN, "format codes differ");
_Static_assert((int)OCTET_CACHE_JSON == (int)OCT_CACHE_JSON, "format codes differ");

oct_status oct_api_scales_wrap(oct_ctx *ctx, oct_ranges *r, octet_scales **out)
{
    octet_scales *s = oct_alloc(ctx, sizeof *s);
    if (!s) {
        oct_ranges_free(r);
        return OCT_ERR_NOMEM;
    }
    *s = (octet_scales){ctx, r};
    *out = s;
    return OCT_OK;
}

const oct_ranges *oct_api_scales_ranges(const struct octet_scales *scales)
{
    return scales->ranges;
}

octet_status octet_scales_new(octet_ctx *ctx, octet_scales **out)
{
    oct_ranges *r;
    const oct_status st = oct_ranges_new(oct_api_ctx(ctx), &r);
    return (octet_status)(st == OCT_OK ? oct_api_scales_wrap(oct_api_ctx(ctx), r, out) : st);
}

octet_status octet_scales_add(octet_scales *scales, const char *name, float scale)
{
    char text[OCT_NUM_TEXT_BYTES];
    if (!(scale > 0) || !isfinite(scale))
        return (octet_status)oct_fail(scales->ctx, OCT_ERR_RANGE,
                                      "'%s': scale %s, expected a positive finite number", name,
                                      oct_f32_text(scale, text));
    if (oct_ranges_find(scales->ranges, name))
        return (octet_status)oct_fail(scales->ctx, OCT_ERR_RANGE, "'%s' has a scale already", name);
    return (octet_status)oct_ranges_add_scale(scales->ranges, name, scale);
}

octet_status octet_scales_read(octet_ctx *ctx, const char *path, octet_cache_format format,
                               octet_scales **out)
{
    oct_ctx *c = oct_api_ctx(ctx);
    oct_ranges *r;
    oct_status st = oct_ranges_read(c, path, (oct_cache_format)format, &r);
    if (st != OCT_OK)
        return (octet_status)st;
    st = oct_ranges_check(c, r);
    if (st == OCT_OK)
        return (octet_status)oct_api_scales_wrap(c, r, out);
    oct_ranges_free(r);
    return (octet_status)st;
}

static oct_status write_options(oct_ctx *ctx, const octet_cache_options *options,
                                octet_cache_options *opt, oct_cache_write_options *write)
{
    if (oct_api_copy_options(opt, sizeof *opt, options) != OCT_OK)
        return oct_fail(ctx, OCT_ERR_USAGE, "octet_cache_options: unknown size or field");
    *write = (oct_cache_write_options){.trt_algorithm = opt->trt_algorithm};
    return opt->trt_version ? oct_trt_version_parse(ctx, opt->trt_version, &write->trt_version)
                            : OCT_OK;
}

octet_status octet_scales_write(const octet_scales *scales, const char *path,
                                octet_cache_format format, const octet_cache_options *options)
{
    octet_cache_options opt;
    oct_cache_write_options write;
    oct_cache_format f = (oct_cache_format)format;
    const oct_status st = write_options(scales->ctx, options, &opt, &write);
    if (st != OCT_OK)
        return (octet_status)st;
    if (f == OCT_CACHE_AUTO)
        f = oct_cache_format_of_path(path);
    if (f == OCT_CACHE_AUTO)
        return (octet_status)oct_fail(scales->ctx, OCT_ERR_USAGE,
                                      "%s: the name does not say which cache format", path);
    return (octet_status)oct_ranges_write(scales->ctx, scales->ranges, f, &write, path,
                                          opt.force != 0);
}

size_t octet_scales_count(const octet_scales *scales)
{
    return oct_ranges_count(scales->ranges);
}

octet_status octet_scales_at(const octet_scales *scales, size_t i, const char **name, float *scale)
{
    if (i >= oct_ranges_count(scales->ranges))
        return (octet_status)oct_fail(scales->ctx, OCT_ERR_RANGE,
                                      "entry %zu asked for, there are %zu", i,
                                      oct_ranges_count(scales->ranges));
    const oct_range *r = oct_ranges_at(scales->ranges, i);
    *name = r->name;
    *scale = r->scale;
    return OCTET_OK;
}

octet_status octet_scales_find(const octet_scales *scales, const char *name, float *scale)
{
    const oct_range *r = oct_ranges_find(scales->ranges, name);
    if (!r)
        return (octet_status)oct_fail(scales->ctx, OCT_ERR_NOT_FOUND, "no scale for '%s'", name);
    *scale = r->scale;
    return OCTET_OK;
}

void octet_scales_free(octet_scales *scales)
{
    if (!scales)
        return;
    oct_ranges_free(scales->ranges);
    oct_free(scales->ctx, scales);
}
