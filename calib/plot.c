/* SPDX-License-Identifier: Apache-2.0 */
#include "calib/plot.h"

#include <math.h>

#define COLUMNS 400
#define LEFT 20.0
#define RIGHT 20.0
#define TOP 26.0
#define BOTTOM 30.0

static const char *const colors[] = {"#c0392b", "#2471a3", "#1e8449", "#b9770e", "#7d3c98"};
#define N_COLORS (sizeof colors / sizeof colors[0])

void oct_plot_text(oct_strbuf *out, const char *s)
{
    char shown[400];
    oct_printable(s, shown, sizeof shown);
    for (const char *p = shown; *p != '\0'; p++) {
        if (*p == '<')
            oct_strbuf_add(out, "&lt;");
        else if (*p == '>')
            oct_strbuf_add(out, "&gt;");
        else if (*p == '&')
            oct_strbuf_add(out, "&amp;");
        else if (*p == '"')
            oct_strbuf_add(out, "&quot;");
        else
            oct_strbuf_add_n(out, p, 1);
    }
}

static void attr(oct_strbuf *out, const char *name, double v)
{
    oct_strbuf_addf(out, " %s=\"", name);
    oct_strbuf_add_fixed(out, v, 2);
    oct_strbuf_add(out, "\"");
}

static void text_at(oct_strbuf *out, double x, double y, const char *anchor, const char *s)
{
    oct_strbuf_add(out, "<text");
    attr(out, "x", x);
    attr(out, "y", y);
    oct_strbuf_addf(out, " text-anchor=\"%s\">", anchor);
    oct_plot_text(out, s);
    oct_strbuf_add(out, "</text>\n");
}

static void number_at(oct_strbuf *out, double x, double y, const char *anchor, double v)
{
    char text[OCT_NUM_TEXT_BYTES];
    text_at(out, x, y, anchor, oct_f32_text((float)v, text));
}

/* Adds one side's bins to the columns over [-range, range]. */
static void add_side(double *column, const oct_hist_half *half, double sign, double range)
{
    if (half->bin == NULL)
        return;
    for (size_t k = 0; k < OCT_HIST_BINS; k++) {
        if (half->bin[k] == 0)
            continue;
        const double x = sign * ldexp((double)k + 0.5, half->width_exp);
        const double at = (x / range + 1) / 2 * COLUMNS;
        const int c = at < 0 ? 0 : at >= COLUMNS ? COLUMNS - 1 : (int)at;
        column[c] += (double)half->bin[k];
    }
}

static void draw_bars(oct_strbuf *out, const double *column, double plot_w, double plot_h)
{
    double most = 1;
    for (int c = 0; c < COLUMNS; c++)
        most = column[c] > most ? column[c] : most;
    oct_strbuf_add(out, "<path fill=\"#8a9ba8\" d=\"");
    for (int c = 0; c < COLUMNS; c++) {
        if (!(column[c] > 0))
            continue;
        const double height = plot_h * log(1 + column[c]) / log(1 + most);
        oct_strbuf_add(out, "M");
        oct_strbuf_add_fixed(out, LEFT + plot_w * c / COLUMNS, 2);
        oct_strbuf_add(out, " ");
        oct_strbuf_add_fixed(out, TOP + plot_h, 2);
        oct_strbuf_add(out, "v");
        oct_strbuf_add_fixed(out, -height, 2);
        oct_strbuf_add(out, "h");
        oct_strbuf_add_fixed(out, plot_w / COLUMNS, 2);
        oct_strbuf_add(out, "v");
        oct_strbuf_add_fixed(out, height, 2);
        oct_strbuf_add(out, "z");
    }
    oct_strbuf_add(out, "\"/>\n");
}

static void draw_line(oct_strbuf *out, double x, double plot_h, const char *color)
{
    oct_strbuf_add(out, "<line");
    attr(out, "x1", x);
    attr(out, "x2", x);
    attr(out, "y1", TOP);
    attr(out, "y2", TOP + plot_h);
    oct_strbuf_addf(out, " stroke=\"%s\"/>\n", color);
}

static void draw_thresholds(oct_strbuf *out, const oct_hist *h, const oct_plot_line *line,
                            size_t n_lines, double range, double plot_w, double plot_h)
{
    double legend = OCT_PLOT_WIDTH - RIGHT;
    for (size_t i = n_lines; i-- > 0;) {
        const char *color = colors[i % N_COLORS];
        const double at = (double)line[i].amax / range / 2 * plot_w, middle = LEFT + plot_w / 2;
        draw_line(out, middle + at, plot_h, color);
        if (h->neg.amax > 0)
            draw_line(out, middle - at, plot_h, color);
        oct_strbuf_addf(out, "<g fill=\"%s\">", color);
        text_at(out, legend, 16, "end", line[i].label);
        oct_strbuf_add(out, "</g>");
        legend -= 120;
    }
}

void oct_plot_hist(oct_strbuf *out, double y, const char *title, const oct_hist *h,
                   const oct_plot_line *line, size_t n_lines)
{
    double range = (double)oct_hist_amax(h);
    for (size_t i = 0; i < n_lines; i++)
        range = (double)line[i].amax > range ? (double)line[i].amax : range;
    range = range > 0 ? range * 1.02 : 1;
    const double plot_w = OCT_PLOT_WIDTH - LEFT - RIGHT, plot_h = OCT_PLOT_HEIGHT - TOP - BOTTOM;
    double column[COLUMNS] = {0};
    add_side(column, &h->pos, 1, range);
    add_side(column, &h->neg, -1, range);
    oct_strbuf_add(out, "<g transform=\"translate(0 ");
    oct_strbuf_add_fixed(out, y, 0);
    oct_strbuf_add(out, ")\">\n");
    text_at(out, LEFT, 16, "start", title);
    draw_bars(out, column, plot_w, plot_h);
    draw_thresholds(out, h, line, n_lines, range, plot_w, plot_h);
    number_at(out, LEFT, TOP + plot_h + 14, "start", -range);
    number_at(out, LEFT + plot_w / 2, TOP + plot_h + 14, "middle", 0);
    number_at(out, LEFT + plot_w, TOP + plot_h + 14, "end", range);
    oct_strbuf_add(out, "</g>\n");
}

void oct_plot_begin(oct_strbuf *out, size_t n)
{
    oct_strbuf_addf(out,
                    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" "
                    "viewBox=\"0 0 %d %zu\" font-family=\"sans-serif\" font-size=\"11\">\n"
                    "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
                    OCT_PLOT_WIDTH, n * OCT_PLOT_HEIGHT, OCT_PLOT_WIDTH, n * OCT_PLOT_HEIGHT);
}

void oct_plot_end(oct_strbuf *out)
{
    oct_strbuf_add(out, "</svg>\n");
}
