/* SPDX-License-Identifier: Apache-2.0
 *
 * Changed answers, files and provenance.
 */
#include <stdio.h>
#include <string.h>

#include "reports/html_page_internal.h"

#define SHOWN_FLIPS 24

/* ---- flips ------------------------------------------------------------------------------- */

/* Only pictures of the two kinds we write, and nothing but base64 behind: results may come from
 * anywhere. */
static bool is_picture(const char *s)
{
    static const char *const kinds[] = {"image/jpeg;base64,", "image/png;base64,"};
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    for (size_t i = 0; s && i < sizeof kinds / sizeof *kinds; i++) {
        const size_t n = strlen(kinds[i]);
        if (strncmp(s, kinds[i], n) == 0)
            return s[n] != '\0' && strspn(s + n, digits) == strlen(s + n);
    }
    return false;
}

static void class_name(oct_strbuf *b, const char *name, int64_t number)
{
    if (name)
        oct_html_text(b, name);
    else
        oct_html_add(b, number >= 0 ? "class $d" : "none", number);
}

static void flip(oct_strbuf *b, const oct_report_flip *f)
{
    oct_strbuf_add(b, "<div class=\"flip\">");
    if (is_picture(f->thumbnail))
        oct_html_add(b, "<img alt=\"\" src=\"data:$t\"/>", f->thumbnail);
    const char *was = f->label < 0 ? "" : f->reference == f->label ? "good" : "bad";
    const char *is = f->label < 0 ? "" : f->candidate == f->label ? "good" : "bad";
    oct_html_add(b, "<div class=\"t\"><span class=\"$r\">", was);
    class_name(b, f->reference_name, f->reference);
    oct_html_add(b, "</span> \xe2\x86\x92 <b class=\"$r\">", is);
    class_name(b, f->candidate_name, f->candidate);
    oct_strbuf_add(b, "</b>");
    if (f->label >= 0) {
        oct_strbuf_add(b, "<br/><span class=\"soft\">label ");
        class_name(b, f->label_name, f->label);
        oct_strbuf_add(b, "</span>");
    }
    oct_html_add(b, "<br/><span class=\"soft\">$t</span></div></div>\n", f->image);
}

static void confusion(const oct_page *p, const oct_report_pair *c)
{
    oct_strbuf_add(p->b, "<details><summary>Most frequent changes of class</summary>\n");
    oct_page_table(p, "reference says|candidate says|>images");
    for (size_t i = 0; i < c->n_confusion_changes; i++) {
        const oct_report_confusion *k = &c->confusion_changes[i];
        oct_strbuf_add(p->b, "<tr><td>");
        class_name(p->b, k->reference_name, k->reference);
        oct_strbuf_add(p->b, "</td><td>");
        class_name(p->b, k->candidate_name, k->candidate);
        oct_html_add(p->b, "</td><td class=\"n\">$i</td></tr>\n", k->images);
    }
    oct_page_table_end(p);
    oct_strbuf_add(p->b, "</details>\n");
}

static void flips(const oct_page *p, const oct_report_pair *c)
{
    const oct_report_side *s = oct_page_side(p->r, c->candidate);
    const size_t n = c->n_flips < SHOWN_FLIPS ? c->n_flips : SHOWN_FLIPS;
    const int64_t all = c->n_flips_all >= 0 ? c->n_flips_all : (int64_t)c->n_flips;
    oct_html_add(p->b, "<h3>$t: $i images", s ? oct_page_label(s) : c->candidate, all);
    if ((int64_t)n < all)
        oct_html_add(p->b, " <span class=\"soft\">the first $i</span>", (int64_t)n);
    oct_strbuf_add(p->b, "</h3>\n<div class=\"flips\">\n");
    for (size_t i = 0; i < n; i++)
        flip(p->b, &c->flips[i]);
    oct_strbuf_add(p->b, "</div>\n");
    if (c->n_confusion_changes > 0)
        confusion(p, c);
}

void oct_page_flips(const oct_page *p)
{
    bool open = false;
    for (size_t i = 0; i < p->r->n_comparisons; i++) {
        if (p->r->comparisons[i].n_flips == 0)
            continue;
        if (!open)
            oct_page_open(p, "flips", "Changed answers",
                          "Images whose best class is not the reference\xe2\x80\x99s. Green is "
                          "right, red is wrong.");
        open = true;
        flips(p, &p->r->comparisons[i]);
    }
    if (open)
        oct_page_close(p);
}

/* ---- files ------------------------------------------------------------------------------- */

void oct_page_artefacts(const oct_page *p)
{
    const oct_report *r = p->r;
    if (r->n_artefacts == 0)
        return;
    oct_page_open(p, "artefacts", "Files and what they are for", NULL);
    for (size_t i = 0; i < r->n_artefacts; i++) {
        const oct_report_artefact *a = &r->artefacts[i];
        oct_html_add(p->b, "<h3><code>$t</code>", a->file);
        if (a->bytes >= 0)
            oct_html_add(p->b, " <span class=\"soft\">$b</span>", a->bytes);
        oct_html_add(p->b, "</h3>\n<p class=\"lead\">$t</p>\n", a->purpose);
        for (size_t k = 0; k < a->n_commands; k++)
            oct_html_add(p->b, "<pre>$t</pre>\n", a->commands[k]);
    }
    oct_page_close(p);
}

/* ---- provenance -------------------------------------------------------------------------- */

static void fact(oct_strbuf *b, const char *key, const char *value)
{
    if (value && value[0])
        oct_html_add(b, "<tr><td>$t</td><td class=\"name\"><code>$t</code></td></tr>\n", key,
                     value);
}

void oct_page_provenance(const oct_page *p)
{
    const oct_report *r = p->r;
    bool hashes = false;
    for (size_t i = 0; i < r->n_sides; i++)
        hashes = hashes || r->sides[i].sha256;
    if (r->n_provenance == 0 && !hashes && !(r->preprocess && r->preprocess[0]))
        return;
    oct_page_open(p, "provenance", "Provenance", NULL);
    oct_page_table(p, "what|value");
    for (size_t i = 0; i < r->n_provenance; i++)
        fact(p->b, r->provenance[i].key, r->provenance[i].value);
    fact(p->b, "preprocessing", r->preprocess);
    for (size_t i = 0; i < r->n_sides; i++) {
        char key[256];
        snprintf(key, sizeof key, "SHA-256 of %s", r->sides[i].name);
        fact(p->b, key, r->sides[i].sha256);
    }
    oct_page_table_end(p);
    oct_page_close(p);
}
