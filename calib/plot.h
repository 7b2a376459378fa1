/* SPDX-License-Identifier: Apache-2.0
 *
 * Histograms with thresholds as SVG: counts on a logarithmic scale over the signed range, one
 * vertical line a method at plus and minus its amax.
 */
#ifndef OCT_CALIB_PLOT_H
#define OCT_CALIB_PLOT_H

#include "base/strbuf.h"
#include "calib/statistics.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_PLOT_WIDTH 860
#define OCT_PLOT_HEIGHT 190

/* One threshold to draw. */
typedef struct oct_plot_line {
    const char *label; /* borrowed */
    float amax;
} oct_plot_line;

/* Appends a <g> of OCT_PLOT_WIDTH x OCT_PLOT_HEIGHT whose upper left corner is (0, y). Text from the
 * model is escaped. */
void oct_plot_hist(oct_strbuf *out, double y, const char *title, const oct_hist *h,
                   const oct_plot_line *line, size_t n_lines);

/* "<svg ...>" for `n` plots one below the other, and its end. */
void oct_plot_begin(oct_strbuf *out, size_t n);
void oct_plot_end(oct_strbuf *out);

/* Appends `s` with <, >, &, quotes and control characters escaped for XML. */
void oct_plot_text(oct_strbuf *out, const char *s);

#ifdef __cplusplus
}
#endif

#endif /* OCT_CALIB_PLOT_H */
