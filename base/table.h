/* SPDX-License-Identifier: Apache-2.0
 *
 * Aligned text tables. Cells are kept as one text with offsets, made printable.
 * Thread-safety: none.
 */
#ifndef OCT_BASE_TABLE_H
#define OCT_BASE_TABLE_H

#include "base/strbuf.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Aligned columns. `columns`: titles separated by '|', a leading '>' aligns right:
 * "name|>count|>share". Cells are added row by row; text is made printable. */
typedef struct oct_table oct_table;
OCT_MUST_CHECK oct_status oct_table_new(oct_ctx *ctx, const char *columns, oct_table **out);
void oct_table_free(oct_table *t); /* NULL is allowed */
void oct_table_str(oct_table *t, const char *s);
void oct_table_strf(oct_table *t, const char *fmt, ...) OCT_PRINTF(2, 3); /* no %f/%g/%e */
void oct_table_s64(oct_table *t, int64_t v);
void oct_table_fixed(oct_table *t, double v, int decimals); /* NaN shows as "-" */
/* Appends the table to `out`; OCT_ERR_NOMEM if any allocation on the way failed. */
OCT_MUST_CHECK oct_status oct_table_render(const oct_table *t, oct_strbuf *out);

#ifdef __cplusplus
}
#endif

#endif /* OCT_BASE_TABLE_H */
