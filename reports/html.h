/* SPDX-License-Identifier: Apache-2.0
 *
 * Building HTML and SVG text. What comes from files is escaped; a page is well-formed XML too, so
 * that a plain parser can check it.
 */
#ifndef OCT_REPORTS_HTML_H
#define OCT_REPORTS_HTML_H

#include "base/strbuf.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Appends `fmt` with its directives replaced:
 *     $t  const char *, escaped (NULL: nothing)      $r  const char *, as it is
 *     $i  int64_t with thin spaces between thousands $d  int64_t, digits only
 *     $0 .. $9  double with so many decimals         $p  double share as percent, 2 decimals
 *     $b  int64_t bytes as kB or MB                  $$  a dollar sign
 * NaN and the integer -1 (but for $d) appear as a dash. */
void oct_html_add(oct_strbuf *b, const char *fmt, ...);

/* Appends `s` with markup escaped and what a browser must not see (control characters, bidi marks,
 * invalid UTF-8) as \xHH. */
void oct_html_text(oct_strbuf *b, const char *s);

#ifdef __cplusplus
}
#endif

#endif /* OCT_REPORTS_HTML_H */
