/* SPDX-License-Identifier: Apache-2.0
 *
 * The report as one HTML file: frame, headings, order of the sections.
 */
#include <stdio.h>
#include <string.h>

#include "reports/html_page_internal.h"
#include "reports/svg.h"

/* ---- shared pieces ----------------------------------------------------------------------- */

void oct_page_open(const oct_page *p, const char *id, const char *title, const char *lead)
{
    oct_html_add(p->b, "<section id=\"r$d-$r\">\n<h2>$t</h2>\n", (int64_t)p->number, id, title);
    if (lead)
        oct_html_add(p->b, "<p class=\"lead\">$r</p>\n", lead);
}

void oct_page_close(const oct_page *p)
{
    oct_strbuf_add(p->b, "</section>\n");
}

void oct_page_table(const oct_page *p, const char *columns)
{
    oct_strbuf_add(p->b, "<div class=\"scroll\"><table>\n<thead><tr>");
    for (const char *c = columns; c; c = strchr(c, '|') ? strchr(c, '|') + 1 : NULL) {
        const char *start = c + (*c == '>');
        oct_strbuf_add(p->b, *c == '>' ? "<th class=\"n\">" : "<th>");
        oct_strbuf_add_n(p->b, start, strcspn(start, "|"));
        oct_strbuf_add(p->b, "</th>");
    }
    oct_strbuf_add(p->b, "</tr></thead>\n<tbody>\n");
}

void oct_page_table_end(const oct_page *p)
{
    oct_strbuf_add(p->b, "</tbody></table></div>\n");
}

const char *oct_page_label(const oct_report_side *s)
{
    return s->label ? s->label : s->name;
}

const oct_report_side *oct_page_side(const oct_report *r, const char *name)
{
    for (size_t i = 0; i < r->n_sides; i++)
        if (strcmp(r->sides[i].name, name) == 0)
            return &r->sides[i];
    return NULL;
}

size_t oct_page_method_color(const oct_report *r, const char *method)
{
    const oct_report_calibration *c = r->calibration;
    for (size_t i = 0; c && i < c->n_methods; i++)
        if (strcmp(c->methods[i].method, method) == 0)
            return i;
    for (size_t i = 0; c && c->n_tensors && i < c->tensors[0].n_thresholds; i++)
        if (strcmp(c->tensors[0].thresholds[i].method, method) == 0)
            return i;
    return 0;
}

/* ---- head -------------------------------------------------------------------------------- */

static const char octagon[] =
    "<svg viewBox=\"0 0 24 24\" aria-hidden=\"true\"><path fill=\"none\" stroke=\"#7cc4ff\" "
    "stroke-width=\"2\" d=\"M8 2H16L22 8V16L16 22H8L2 16V8Z\"/><path fill=\"#7cc4ff\" "
    "d=\"M7 13h2v4H7zM11 9h2v8h-2zM15 6h2v11h-2z\"/></svg>";

static void head(oct_strbuf *b, const oct_report *const *r, size_t n)
{
    char many[40];
    snprintf(many, sizeof many, "%zu results", n);
    const char *title = n > 1 ? many : r[0]->title ? r[0]->title : "INT8 report";
    oct_html_add(b,
                 "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
                 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
                 "<meta name=\"generator\" content=\"octet\"/>\n<title>$t \xe2\x80\x93 octet"
                 "</title>\n<style>\n",
                 title);
    oct_page_style(b);
    oct_html_add(b,
                 "</style>\n</head>\n<body>\n<header class=\"top\"><div class=\"wrap\">\n"
                 "<div class=\"brand\">$r octet</div>\n<h1>$t</h1>\n",
                 octagon, title);
}

static void chips(oct_strbuf *b, const oct_report *r)
{
    static const struct {
        const char *task, *shown;
    } tasks[] = {{"classification", "Image classification"},
                 {"detection", "Object detection"},
                 {"outputs", "Output comparison"}};
    oct_strbuf_add(b, "<div class=\"chips\">");
    for (size_t i = 0; r->task && i < sizeof tasks / sizeof *tasks; i++)
        if (strcmp(tasks[i].task, r->task) == 0)
            oct_html_add(b, "<span>$r</span>", tasks[i].shown);
    if (r->images >= 0)
        oct_html_add(b, "<span>$i images$r</span>", r->images,
                     r->labelled == 0 && r->task && strcmp(r->task, "detection") != 0
                         ? " without labels"
                         : "");
    if (r->labelled > 0 && r->labelled < r->images)
        oct_html_add(b, "<span>$i with labels</span>", r->labelled);
    if (r->skipped > 0)
        oct_html_add(b, "<span>$i unreadable</span>", r->skipped);
    if (r->classes > 0)
        oct_html_add(b, "<span>$i classes</span>", r->classes);
    for (size_t i = 0; i < r->n_sides; i++)
        oct_html_add(b, "<span>$t$r</span>", oct_page_label(&r->sides[i]),
                     i == 0 ? " (reference)" : "");
    oct_strbuf_add(b, "</div>\n");
}

/* ---- sections ---------------------------------------------------------------------------- */

static const struct {
    const char *id, *title;
    void (*add)(const oct_page *p);
} sections[] = {
    {"accuracy", "Accuracy", oct_page_accuracy},       {"gates", "Gates", oct_page_gates},
    {"speed", "Speed, size", oct_page_speed},          {"layers", "Layers", oct_page_layers},
    {"coverage", "INT8 coverage", oct_page_coverage},  {"methods", "Methods", oct_page_methods},
    {"histograms", "Thresholds", oct_page_histograms}, {"weights", "Weights", oct_page_weights},
    {"flips", "Changed answers", oct_page_flips},      {"artefacts", "Files", oct_page_artefacts},
    {"provenance", "Provenance", oct_page_provenance},
};
#define N_SECTIONS (sizeof sections / sizeof *sections)

/* Sections go to a text of their own first, so that the list of links names only those that exist. */
static oct_status add_sections(const oct_page *p)
{
    oct_strbuf body;
    oct_strbuf_init(&body, p->b->ctx);
    const oct_page inner = {&body, p->r, p->number};
    oct_strbuf_add(p->b, "<nav>");
    for (size_t i = 0; i < N_SECTIONS; i++) {
        const size_t before = body.len;
        sections[i].add(&inner);
        if (body.len > before)
            oct_html_add(p->b, "<a href=\"#r$d-$r\">$r</a>", (int64_t)p->number, sections[i].id,
                         sections[i].title);
    }
    oct_strbuf_add(p->b, "</nav>\n");
    const oct_status st = oct_strbuf_status(&body);
    if (st == OCT_OK && body.len > 0)
        oct_strbuf_add_n(p->b, body.text, body.len);
    oct_strbuf_deinit(&body);
    return st;
}

static oct_status add_report(const oct_page *p, bool several)
{
    if (several) {
        oct_html_add(p->b, "<h2 class=\"result\" id=\"r$d\">$i. $t</h2>\n", (int64_t)p->number,
                     (int64_t)p->number, p->r->title ? p->r->title : "result");
    }
    oct_page_summary(p);
    return add_sections(p);
}

oct_status oct_report_html(oct_ctx *ctx, const oct_report *const *r, size_t n, oct_strbuf *out)
{
    (void)ctx;
    head(out, r, n);
    if (n == 1)
        chips(out, r[0]);
    oct_strbuf_add(out, "</div></header>\n<main class=\"wrap\">\n");
    if (n > 1)
        oct_page_overview(out, r, n);
    for (size_t i = 0; i < n; i++) {
        const oct_page p = {out, r[i], i + 1};
        OCT_TRY(add_report(&p, n > 1));
    }
    oct_strbuf_add(out, "<footer>Written by octet. The figures for programs are in the JSON result "
                        "this page was made from (schema " OCT_REPORT_SCHEMA ").</footer>\n"
                        "</main>\n</body>\n</html>\n");
    return oct_strbuf_status(out);
}
