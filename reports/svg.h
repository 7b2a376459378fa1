/* SPDX-License-Identifier: Apache-2.0
 *
 * Small plots as inline SVG. Colours are CSS classes of the page (html_style.c) with plain
 * attributes beside them for files that stand alone.
 */
#ifndef OCT_REPORTS_SVG_H
#define OCT_REPORTS_SVG_H

#include "reports/html.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_SVG_COLORS 8

/* Colour number i of a series, "#0072b2"; the same as class "s<i>" of the page. */
const char *oct_svg_color(size_t i);

/* ---- histogram with thresholds ---- */

typedef struct oct_svg_line {
    const char *label; /* borrowed */
    double amax;       /* drawn at +amax, and at -amax where there are negative values */
    size_t color;
} oct_svg_line;

typedef struct oct_svg_histogram {
    double lo, hi; /* range of the columns */
    const uint64_t *counts;
    size_t n_counts;
    const oct_svg_line *line;
    size_t n_lines;
    double x, y, width, height; /* where it stands; room for the axis included */
    bool legend;                /* labels above the plot; 20 units of the height */
    const char *title;          /* upper left; NULL = none */
} oct_svg_histogram;

/* Appends a <g>: counts on a logarithmic scale, thresholds as vertical lines. */
void oct_svg_add_histogram(oct_strbuf *b, const oct_svg_histogram *h);

/* ---- one row of a table ---- */

typedef struct oct_svg_axis {
    double lo, hi;
    double mark; /* a dashed line, e.g. the limit of a gate; NaN = none */
    double zero; /* a solid thin line; NaN = none */
} oct_svg_axis;

/* Appends a whole <svg>: an estimate with its interval (NaN = none) on `axis`. */
void oct_svg_interval(oct_strbuf *b, const oct_svg_axis *axis, double value, double lo, double hi);

/* Appends a whole <svg>: a bar of `share` in [0, 1] of its width with class `look`. */
void oct_svg_bar(oct_strbuf *b, double share, const char *look);

#ifdef __cplusplus
}
#endif

#endif /* OCT_REPORTS_SVG_H */
