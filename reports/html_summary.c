/* SPDX-License-Identifier: Apache-2.0
 *
 * Top of the page: the verdict, warnings, key figures; and the overview of several results.
 */
#include <math.h>
#include <string.h>

#include "reports/html_page_internal.h"
#include "reports/svg.h"

static bool is_boxes(const oct_report *r)
{
    return r->task && strcmp(r->task, "detection") == 0;
}

/* ---- verdict ----------------------------------------------------------------------------- */

static void default_sentence(oct_strbuf *b, const oct_report *r)
{
    const oct_report_pair *c = r->comparisons;
    if (r->n_comparisons == 0) {
        oct_strbuf_add(b, "There is no candidate to judge.");
        return;
    }
    const oct_report_side *s = oct_page_side(r, c->candidate);
    oct_html_add(b, "$t ", s ? oct_page_label(s) : c->candidate);
    const double d = is_boxes(r) ? c->ap_difference : c->top1_difference;
    if (!isnan(d))
        oct_html_add(b, "changes $r by $2 points. No limit was asked for.",
                     is_boxes(r) ? "AP" : "top-1", 100 * d);
    else if (!isnan(c->agreement))
        oct_html_add(b,
                     "gives the reference\xe2\x80\x99s answer on $p % of the images. Without "
                     "labels accuracy is not known.",
                     c->agreement);
    else if (c->outputs_equal)
        oct_strbuf_add(b, "gives exactly the reference\xe2\x80\x99s outputs.");
    else
        oct_html_add(b, "has outputs at $1 dB. Without labels accuracy is not known.", c->sqnr_db);
}

static void verdict(const oct_page *p)
{
    static const struct {
        const char *verdict, *badge;
    } known[] = {{"passed", "\xe2\x9c\x93 passed"},
                 {"failed", "\xe2\x9c\x97 failed"},
                 {"undecided", "? undecided"}};
    const oct_report *r = p->r;
    const char *look = "none", *badge = "measured";
    for (size_t i = 0; r->verdict && i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].verdict, r->verdict) == 0) {
            look = known[i].verdict;
            badge = known[i].badge;
        }
    oct_html_add(p->b, "<section class=\"verdict $r\"><span class=\"badge\">$r</span><p>", look,
                 badge);
    if (r->verdict_text)
        oct_html_text(p->b, r->verdict_text);
    else
        default_sentence(p->b, r);
    oct_strbuf_add(p->b, "</p></section>\n");
}

static void notes(const oct_page *p)
{
    const oct_report *r = p->r;
    if (r->suspect)
        oct_strbuf_add(p->b, "<section class=\"note\"><p><b>Wrong preprocessing or label map?</b> "
                             "The reference itself is hardly better than chance, so the figures "
                             "below say little about quantization.</p></section>\n");
    for (size_t i = 0; i < r->n_notes; i++)
        oct_html_add(p->b, "<section class=\"note\"><p>$t</p></section>\n", r->notes[i]);
}

/* ---- key figures ------------------------------------------------------------------------- */

static void card_accuracy(oct_strbuf *b, const oct_report *r, const oct_report_side *s)
{
    const bool boxes = is_boxes(r);
    const double v = boxes ? s->ap : s->top1;
    if (isnan(v))
        return;
    oct_html_add(b, "<div class=\"card\"><b>$t $r</b><span>$p<small> %</small></span>",
                 oct_page_label(s), boxes ? "AP" : "top-1", v);
    if (!isnan(s->top1_interval.lo))
        oct_html_add(b, "<i>95 %: $p to $p</i>", s->top1_interval.lo, s->top1_interval.hi);
    else if (!isnan(s->ap50))
        oct_html_add(b, "<i>AP50 $p</i>", s->ap50);
    oct_strbuf_add(b, "</div>\n");
}

static void card_difference(oct_strbuf *b, const oct_report *r, const oct_report_pair *c)
{
    const bool boxes = is_boxes(r);
    const double d = boxes ? c->ap_difference : c->top1_difference;
    const oct_report_interval i = boxes ? c->ap_difference_interval : c->top1_difference_interval;
    if (isnan(d))
        return;
    oct_html_add(b, "<div class=\"card\"><b>Difference</b><span>$r$p<small> pts</small></span>",
                 d > 0 ? "+" : "", d);
    if (!isnan(i.lo))
        oct_html_add(b, "<i class=\"$r\">95 %: $p to $p</i>",
                     i.hi < 0   ? "down"
                     : i.lo > 0 ? "up"
                                : "",
                     i.lo, i.hi);
    oct_strbuf_add(b, "</div>\n");
}

static void card_agreement(oct_strbuf *b, const oct_report *r, const oct_report_pair *c)
{
    if (!isnan(c->agreement))
        oct_html_add(b,
                     "<div class=\"card\"><b>Same answer</b><span>$p<small> %</small></span>"
                     "<i>$i of $i images</i></div>\n",
                     c->agreement, c->n_agree, r->images);
    if (c->outputs_equal)
        oct_strbuf_add(b, "<div class=\"card\"><b>Output SQNR</b><span>equal</span><i>bit for bit"
                          "</i></div>\n");
    else if (!isnan(c->sqnr_db))
        oct_html_add(b,
                     "<div class=\"card\"><b>Output SQNR</b><span>$1<small> dB</small></span>"
                     "<i>cosine $5</i></div>\n",
                     c->sqnr_db, c->cosine);
}

static void card_gain(oct_strbuf *b, const oct_report_side *ref, const oct_report_side *s)
{
    if (ref->latency && s->latency && ref->latency->p50_ms > 0 && s->latency->p50_ms > 0)
        oct_html_add(b,
                     "<div class=\"card\"><b>Faster by</b><span>$2<small> \xc3\x97</small></span>"
                     "<i>$2 \xe2\x86\x92 $2 ms median</i></div>\n",
                     ref->latency->p50_ms / s->latency->p50_ms, ref->latency->p50_ms,
                     s->latency->p50_ms);
    if (ref->file_bytes > 0 && s->file_bytes > 0)
        oct_html_add(b,
                     "<div class=\"card\"><b>Smaller by</b><span>$2<small> \xc3\x97</small>"
                     "</span><i>$b \xe2\x86\x92 $b</i></div>\n",
                     (double)ref->file_bytes / (double)s->file_bytes, ref->file_bytes,
                     s->file_bytes);
}

/* The comparison that the verdict is about: that of the gate that decided, else the first. */
static const oct_report_pair *judged_pair(const oct_report *r)
{
    const char *name = NULL;
    for (size_t i = 0; r->verdict && !name && i < r->n_gates; i++)
        if (r->gates[i].verdict && strcmp(r->gates[i].verdict, r->verdict) == 0)
            name = r->gates[i].candidate;
    for (size_t i = 0; name && i < r->n_comparisons; i++)
        if (strcmp(r->comparisons[i].candidate, name) == 0)
            return &r->comparisons[i];
    return &r->comparisons[0];
}

void oct_page_summary(const oct_page *p)
{
    const oct_report *r = p->r;
    verdict(p);
    notes(p);
    oct_strbuf_add(p->b, "<div class=\"cards\">\n");
    if (r->n_sides > 0)
        card_accuracy(p->b, r, &r->sides[0]);
    if (r->n_comparisons > 0) {
        const oct_report_pair *c = judged_pair(r);
        const oct_report_side *s = oct_page_side(r, c->candidate);
        if (s)
            card_accuracy(p->b, r, s);
        card_difference(p->b, r, c);
        card_agreement(p->b, r, c);
        if (s && s != &r->sides[0])
            card_gain(p->b, &r->sides[0], s);
    }
    oct_strbuf_add(p->b, "</div>\n");
}

/* ---- several results --------------------------------------------------------------------- */

static void overview_row(const oct_page *p, const oct_report_side *s, bool first)
{
    oct_strbuf *b = p->b;
    const oct_report *r = p->r;
    const oct_report_pair *c = NULL;
    for (size_t i = 0; i < r->n_comparisons; i++)
        if (strcmp(r->comparisons[i].candidate, s->name) == 0 && s != &r->sides[0])
            c = &r->comparisons[i];
    oct_strbuf_add(b, "<tr><td class=\"name\">");
    if (first)
        oct_html_add(b, "<a href=\"#r$d\">$t</a>", (int64_t)p->number,
                     r->title ? r->title : "result");
    oct_html_add(b, "</td><td class=\"name\">$t</td><td class=\"n\">$p</td>", oct_page_label(s),
                 is_boxes(r) ? s->ap : s->top1);
    const double d = !c ? NAN : is_boxes(r) ? c->ap_difference : c->top1_difference;
    oct_html_add(b, "<td class=\"n\">$r$p</td><td class=\"n\">$p</td><td class=\"n\">",
                 d > 0 ? "+" : "", d, c ? c->agreement : (double)NAN);
    if (c && c->outputs_equal)
        oct_strbuf_add(b, "equal");
    else
        oct_html_add(b, "$1", c ? c->sqnr_db : (double)NAN);
    oct_html_add(b, "</td><td class=\"n\">$2</td></tr>\n",
                 s->latency ? s->latency->p50_ms : (double)NAN);
}

void oct_page_overview(oct_strbuf *b, const oct_report *const *r, size_t n)
{
    oct_page p = {b, r[0], 0};
    oct_page_open(&p, "overview", "Side by side", NULL);
    oct_page_table(&p, "result|side|>top-1 or AP, %|>difference, points|>same answer, %|"
                       ">output SQNR, dB|>median, ms");
    for (size_t i = 0; i < n; i++) {
        p = (oct_page){b, r[i], i + 1};
        for (size_t k = 0; k < r[i]->n_sides; k++)
            overview_row(&p, &r[i]->sides[k], k == 0);
    }
    oct_page_table_end(&p);
    oct_page_close(&p);
}
