/* SPDX-License-Identifier: Apache-2.0
 *
 * Sections of the HTML page. Each appends a panel, or nothing when the report does not know enough.
 */
#ifndef OCT_REPORTS_HTML_PAGE_INTERNAL_H
#define OCT_REPORTS_HTML_PAGE_INTERNAL_H

#include "reports/html.h"
#include "reports/report.h"

/* What sections share. A failed allocation is kept in b->failed. */
typedef struct oct_page {
    oct_strbuf *b;
    const oct_report *r;
    size_t number; /* of the report on the page, from 1 */
} oct_page;

void oct_page_style(oct_strbuf *b);

/* "<section ...><h2>title</h2>"; `lead` is a sentence of explanation, markup allowed; NULL = none. */
void oct_page_open(const oct_page *p, const char *id, const char *title, const char *lead);
void oct_page_close(const oct_page *p);
/* "<table ...><thead>" with `columns` as oct_table_new(): ">" aligns right; and its end. */
void oct_page_table(const oct_page *p, const char *columns);
void oct_page_table_end(const oct_page *p);

/* The short name of a side, and the side that a comparison is about (NULL: no such side). */
const char *oct_page_label(const oct_report_side *s);
const oct_report_side *oct_page_side(const oct_report *r, const char *name);
/* Colour of a calibration method, the same everywhere on the page. */
size_t oct_page_method_color(const oct_report *r, const char *method);

void oct_page_summary(const oct_page *p); /* verdict, warnings, key figures */
void oct_page_accuracy(const oct_page *p);
void oct_page_gates(const oct_page *p);
void oct_page_speed(const oct_page *p);
void oct_page_layers(const oct_page *p);
void oct_page_coverage(const oct_page *p);
void oct_page_methods(const oct_page *p);
void oct_page_histograms(const oct_page *p);
void oct_page_weights(const oct_page *p);
void oct_page_flips(const oct_page *p);
void oct_page_artefacts(const oct_page *p);
void oct_page_provenance(const oct_page *p);
/* The sides of all reports in one table. */
void oct_page_overview(oct_strbuf *b, const oct_report *const *r, size_t n);

#endif /* OCT_REPORTS_HTML_PAGE_INTERNAL_H */
