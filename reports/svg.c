/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/svg.h"

#include <math.h>

#define AXIS 16.0   /* room for the numbers below a plot */
#define LEGEND 20.0 /* room for labels above */

/* Distinguishable with the common kinds of colour blindness (Okabe and Ito). */
static const char *const colors[OCT_SVG_COLORS] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                   "#e69f00", "#56b4e9", "#8c6d1f", "#666666"};
static const char *const dashes[4] = {"none", "5 2", "2 2", "7 2 2 2"};

const char *oct_svg_color(size_t i)
{
    return colors[i % OCT_SVG_COLORS];
}

/* ---- histogram --------------------------------------------------------------------------- */

typedef struct frame {
    double x, y, w, h; /* of the plot itself */
    double lo, hi;     /* of the axis */
} frame;

static double x_of(const frame *f, double v)
{
    return f->x + (v - f->lo) / (f->hi - f->lo) * f->w;
}

static frame frame_of(const oct_svg_histogram *h)
{
    const double top = h->legend || h->title ? LEGEND : 4;
    frame f = {h->x, h->y + top, h->width, h->height - top - AXIS, h->lo, h->hi};
    for (size_t i = 0; i < h->n_lines; i++) {
        f.hi = h->line[i].amax > f.hi ? h->line[i].amax : f.hi;
        f.lo = h->lo < 0 && -h->line[i].amax < f.lo ? -h->line[i].amax : f.lo;
    }
    const double room = 0.02 * (f.hi - f.lo);
    f.hi += room;
    f.lo -= f.lo < 0 ? room : 0;
    if (!(f.hi > f.lo))
        f.hi = f.lo + 1;
    return f;
}

static void add_columns(oct_strbuf *b, const oct_svg_histogram *h, const frame *f)
{
    uint64_t most = 1;
    for (size_t i = 0; i < h->n_counts; i++)
        most = h->counts[i] > most ? h->counts[i] : most;
    const double base = f->y + f->h, step = h->n_counts ? (h->hi - h->lo) / (double)h->n_counts : 0;
    oct_html_add(b, "<path class=\"hist\" fill=\"#8a9ba8\" d=\"M$1 $1", x_of(f, h->lo), base);
    double last = base;
    for (size_t i = 0; i < h->n_counts; i++) {
        const double y = base - f->h * log1p((double)h->counts[i]) / log1p((double)most);
        if (fabs(y - last) >= 0.05)
            oct_html_add(b, "V$1", y);
        oct_html_add(b, "H$1", x_of(f, h->lo + (double)(i + 1) * step));
        last = y;
    }
    oct_html_add(b, "V$1Z\"/>\n", base);
}

static void add_threshold(oct_strbuf *b, const oct_svg_line *l, const frame *f, double at)
{
    const size_t c = l->color % OCT_SVG_COLORS;
    oct_html_add(b,
                 "<line class=\"s$d\" stroke=\"$r\" stroke-width=\"1.6\" stroke-dasharray=\"$r\" "
                 "x1=\"$1\" x2=\"$1\" y1=\"$1\" y2=\"$1\"><title>$t $4</title></line>\n",
                 (int64_t)c, colors[c], dashes[c % 4], x_of(f, at), x_of(f, at), f->y, f->y + f->h,
                 l->label, at);
}

static void add_axis_text(oct_strbuf *b, const frame *f, double v, const char *anchor)
{
    char text[OCT_NUM_TEXT_BYTES];
    oct_f32_text((float)v, text);
    if (fabs(v) >= 1e-3 && fabs(v) < 1e6)
        oct_fixed_text(v, fabs(v) < 1 ? 3 : fabs(v) < 100 ? 2 : 0, text);
    oct_html_add(b, "<text class=\"ax\" x=\"$1\" y=\"$1\" text-anchor=\"$r\">$r</text>\n",
                 x_of(f, v), f->y + f->h + 13, anchor, text);
}

static void add_legend(oct_strbuf *b, const oct_svg_histogram *h, const frame *f)
{
    double x = f->x + f->w;
    for (size_t i = h->n_lines; i-- > 0;) {
        const size_t c = h->line[i].color % OCT_SVG_COLORS;
        oct_html_add(b,
                     "<text x=\"$1\" y=\"$1\" text-anchor=\"end\" fill=\"$r\" "
                     "class=\"f$d\">$t</text>\n",
                     x, f->y - 7, colors[c], (int64_t)c, h->line[i].label);
        x -= 120;
    }
}

void oct_svg_add_histogram(oct_strbuf *b, const oct_svg_histogram *h)
{
    const frame f = frame_of(h);
    oct_strbuf_add(b, "<g>\n");
    if (h->title)
        oct_html_add(b, "<text x=\"$1\" y=\"$1\">$t</text>\n", f.x, f.y - 7, h->title);
    add_columns(b, h, &f);
    oct_html_add(b, "<path class=\"base\" stroke=\"#999\" fill=\"none\" d=\"M$1 $1H$1\"/>\n", f.x,
                 f.y + f.h, f.x + f.w);
    for (size_t i = 0; i < h->n_lines; i++) {
        if (!(h->line[i].amax > 0))
            continue;
        add_threshold(b, &h->line[i], &f, h->line[i].amax);
        if (h->lo < 0)
            add_threshold(b, &h->line[i], &f, -h->line[i].amax);
    }
    add_axis_text(b, &f, h->lo, "start");
    if (h->lo < 0 && -h->lo > 0.25 * (h->hi - h->lo) && h->hi > 0.25 * (h->hi - h->lo))
        add_axis_text(b, &f, 0, "middle");
    add_axis_text(b, &f, h->hi, "end");
    if (h->legend)
        add_legend(b, h, &f);
    oct_strbuf_add(b, "</g>\n");
}

/* ---- rows -------------------------------------------------------------------------------- */

#define ROW_W 200.0
#define ROW_H 22.0

static double row_x(const oct_svg_axis *a, double v)
{
    const double x = 6 + (v - a->lo) / (a->hi - a->lo) * (ROW_W - 12);
    return x < 2 ? 2 : x > ROW_W - 2 ? ROW_W - 2 : x;
}

static void row_line(oct_strbuf *b, const oct_svg_axis *a, double v, const char *look)
{
    if (!isnan(v) && v >= a->lo && v <= a->hi)
        oct_html_add(b, "<path class=\"$r\" d=\"M$1 0V22\"/>", look, row_x(a, v));
}

void oct_svg_interval(oct_strbuf *b, const oct_svg_axis *axis, double value, double lo, double hi)
{
    oct_strbuf_add(b, "<svg class=\"row\" viewBox=\"0 0 200 22\" role=\"img\">");
    oct_strbuf_add(b, "<path class=\"track\" d=\"M6 11H194\"/>");
    row_line(b, axis, axis->zero, "zero");
    row_line(b, axis, axis->mark, "mark");
    if (!isnan(lo) && !isnan(hi))
        oct_html_add(b, "<path class=\"whisk\" d=\"M$1 7V15M$1 11H$1M$1 7V15\"/>", row_x(axis, lo),
                     row_x(axis, lo), row_x(axis, hi), row_x(axis, hi));
    if (!isnan(value))
        oct_html_add(b, "<circle class=\"dot\" cx=\"$1\" cy=\"11\" r=\"4\"/>", row_x(axis, value));
    oct_strbuf_add(b, "</svg>");
}

void oct_svg_bar(oct_strbuf *b, double share, const char *look)
{
    const double w = isnan(share) || share < 0 ? 0 : share > 1 ? 1 : share;
    oct_html_add(b,
                 "<svg class=\"bar\" viewBox=\"0 0 200 12\" preserveAspectRatio=\"none\" "
                 "role=\"img\"><rect class=\"track\" width=\"200\" height=\"12\"/>"
                 "<rect class=\"$r\" width=\"$1\" height=\"12\"/></svg>",
                 look, 200 * w);
}
