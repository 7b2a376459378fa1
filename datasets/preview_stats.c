/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/preview_stats.h"

#include <math.h>

#define MIN_IMAGES_FOR_ORDER 8

void oct_preview_stats_init(oct_preview_stats *s, const oct_preprocess *spec)
{
    *s = (oct_preview_stats){.spec = *spec};
    for (int c = 0; c < 3; c++)
        s->channel[c] = (oct_preview_channel){.min = INFINITY, .max = -INFINITY};
}

/* Element i of channel c. */
static size_t element(const oct_preprocess *p, int c, size_t i)
{
    const size_t n = (size_t)p->width * (size_t)p->height;
    const size_t n_channels = (size_t)oct_preprocess_channels(p);
    return p->channels_last ? i * n_channels + (size_t)c : (size_t)c * n + i;
}

static double raw_value(const oct_preprocess *p, int c, double y)
{
    return (y * p->std[c] + p->mean[c]) / p->scale;
}

static bool is_colourless(const oct_preprocess *p, const float *x)
{
    const size_t n = (size_t)p->width * (size_t)p->height;
    for (size_t i = 0; i < n; i++) {
        const double a = raw_value(p, 0, x[element(p, 0, i)]);
        if (fabs(raw_value(p, 1, x[element(p, 1, i)]) - a) > 1.5 ||
            fabs(raw_value(p, 2, x[element(p, 2, i)]) - a) > 1.5)
            return false;
    }
    return true;
}

void oct_preview_stats_add(oct_preview_stats *s, const float *x, const oct_sample *sample)
{
    const oct_preprocess *p = &s->spec;
    const size_t n = (size_t)p->width * (size_t)p->height;
    double mean[3] = {0, 0, 0};
    for (int c = 0; c < oct_preprocess_channels(p); c++) {
        oct_preview_channel *ch = &s->channel[c];
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            const double v = x[element(p, c, i)];
            ch->min = fmin(ch->min, v);
            ch->max = fmax(ch->max, v);
            ch->sum_sq += v * v;
            sum += v;
        }
        ch->sum += sum;
        mean[c] = raw_value(p, c, sum / (double)n);
    }
    const double diff = mean[0] - mean[2];
    s->diff_sum += diff;
    s->diff_sum_sq += diff * diff;
    s->n_images++;
    s->n_pixels += (double)n;
    if (oct_preprocess_channels(p) == 3)
        s->n_colourless += is_colourless(p, x);
    if (p->resize == OCT_FIT_LETTERBOX && sample->width > 0)
        s->border += 1.0 - (double)sample->width * sample->ratio_x * sample->height *
                               sample->ratio_y / (double)n;
}

oct_preview_summary oct_preview_stats_channel(const oct_preview_stats *s, int c)
{
    const oct_preview_channel *ch = &s->channel[c];
    const double mean = ch->sum / s->n_pixels;
    return (oct_preview_summary){ch->min, mean,
                                 sqrt(fmax(ch->sum_sq / s->n_pixels - mean * mean, 0)), ch->max};
}

static void add_number(oct_strbuf *out, double v)
{
    char buf[OCT_NUM_TEXT_BYTES];
    oct_strbuf_add(out, oct_fixed_text(v, fabs(v) < 10 ? 3 : 1, buf));
}

/* What black and white become says much without any picture. */
static int check_range(const oct_preview_stats *s, oct_strbuf *out)
{
    const oct_preprocess *p = &s->spec;
    int n = 0;
    for (int c = 0; c < oct_preprocess_channels(p) && n == 0; c++) {
        const double lo = (0 - p->mean[c]) / p->std[c];
        const double hi = (255 * p->scale - p->mean[c]) / p->std[c];
        const bool centred = p->mean[c] != 0 || p->std[c] != 1;
        const char *why = NULL;
        if (fabs(hi - lo) < 0.1)
            why = "the whole range is tiny; is the scale applied twice?";
        else if (centred && (lo > 1e-6 || hi < -1e-6))
            why = "the mean is no grey level at this scale; do scale and mean belong together?";
        else if (p->std[c] != 1 && fabs(hi - lo) > 20)
            why = "the range is far too wide; is a scale of 1/255 missing?";
        if (why == NULL)
            continue;
        oct_strbuf_addf(out, "range: black becomes ");
        add_number(out, lo);
        oct_strbuf_add(out, " and white ");
        add_number(out, hi);
        oct_strbuf_addf(out, " in channel %d: %s\n", c, why);
        n++;
    }
    return n;
}

/* Declared means say which channel is which: over natural pictures red is brighter than blue, and
 * training statistics show it. */
static int check_order(const oct_preview_stats *s, oct_strbuf *out)
{
    const oct_preprocess *p = &s->spec;
    if (p->color == OCT_COLOR_GRAY || s->n_images < MIN_IMAGES_FOR_ORDER ||
        s->n_colourless == s->n_images)
        return 0;
    const double n = (double)s->n_images;
    const double declared = (p->mean[0] - p->mean[2]) / p->scale;
    const double found = s->diff_sum / n;
    const double error = sqrt(fmax(s->diff_sum_sq / n - found * found, 0) / n);
    if (fabs(declared) < 1 || fabs(found + declared) >= fabs(found - declared) ||
        fabs(found - declared) < 3 * error)
        return 0;
    oct_strbuf_addf(out, "channel order: the first channel is ");
    add_number(out, fabs(found));
    oct_strbuf_addf(out, " grey levels %s than the last, but the declared means say ",
                    found > 0 ? "brighter" : "darker");
    add_number(out, fabs(declared));
    oct_strbuf_addf(out, " %s: are RGB and BGR swapped?\n", declared > 0 ? "brighter" : "darker");
    return 1;
}

static int check_level(const oct_preview_stats *s, oct_strbuf *out)
{
    const oct_preprocess *p = &s->spec;
    for (int c = 0; c < oct_preprocess_channels(p); c++) {
        const oct_preview_summary m = oct_preview_stats_channel(s, c);
        if (p->std[c] == 1 || (fabs(m.mean) <= 1.5 && m.std <= 4 && m.std >= 0.05))
            continue;
        oct_strbuf_addf(out, "level: channel %d has mean ", c);
        add_number(out, m.mean);
        oct_strbuf_add(out, " and deviation ");
        add_number(out, m.std);
        oct_strbuf_add(out, " where about 0 and 1 are expected: other pictures or other statistics "
                            "than the network was trained with?\n");
        return 1;
    }
    return 0;
}

static int check_content(const oct_preview_stats *s, oct_strbuf *out)
{
    int n = 0;
    if (s->n_images > 0 && s->n_colourless * 10 > s->n_images * 9) {
        oct_strbuf_addf(out,
                        "colour: %lld of %lld pictures have none, but the network takes 3 "
                        "channels\n",
                        (long long)s->n_colourless, (long long)s->n_images);
        n++;
    }
    if (s->n_images > 0 && s->border / (double)s->n_images > 0.5) {
        oct_strbuf_add(out, "border: more than half of the input is padding\n");
        n++;
    }
    return n;
}

int oct_preview_stats_check(const oct_preview_stats *s, oct_strbuf *out)
{
    const int n = check_range(s, out);
    int m = check_order(s, out);
    if (n == 0 && s->n_images > 0)
        m += check_level(s, out);
    return n + m + check_content(s, out);
}

oct_status oct_preview_picture(oct_ctx *ctx, const oct_preprocess *spec, const float *x,
                               oct_image *im)
{
    const int n_channels = oct_preprocess_channels(spec);
    const size_t n = (size_t)spec->width * (size_t)spec->height;
    OCT_TRY(oct_image_reserve(ctx, im, spec->width, spec->height, n_channels));
    for (int c = 0; c < n_channels; c++) {
        const int to = spec->color == OCT_COLOR_BGR ? 2 - c : c;
        for (size_t i = 0; i < n; i++) {
            const double v = rint(raw_value(spec, c, x[element(spec, c, i)]));
            im->data[i * (size_t)n_channels + (size_t)to] =
                v > 0 ? (uint8_t)fmin(v, 255) : 0; /* NaN shows as black */
        }
    }
    return OCT_OK;
}
