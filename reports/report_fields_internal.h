/* SPDX-License-Identifier: Apache-2.0
 *
 * The members of every report struct as a table, from which reader, writer and schema follow.
 */
#ifndef OCT_REPORTS_REPORT_FIELDS_INTERNAL_H
#define OCT_REPORTS_REPORT_FIELDS_INTERNAL_H

#include "reports/report.h"

typedef enum oct_field_type {
    OCT_FIELD_END,
    OCT_FIELD_TEXT,     /* const char *, NULL = not known */
    OCT_FIELD_F64,      /* double, NaN = not known, infinity written as null */
    OCT_FIELD_S64,      /* int64_t, -1 = not known */
    OCT_FIELD_BOOL,     /* bool, always written */
    OCT_FIELD_INTERVAL, /* oct_report_interval as [lo, hi] */
    OCT_FIELD_OBJECT,   /* pointer to a struct of `kind`, NULL = not known */
    OCT_FIELD_LIST,     /* pointer to structs of `kind` and a size_t */
    OCT_FIELD_NUMBERS,  /* uint64_t * and a size_t */
    OCT_FIELD_TEXTS,    /* const char ** and a size_t */
} oct_field_type;

typedef struct oct_field {
    const char *key;
    oct_field_type type;
    bool required; /* readers insist on it; writers must know it */
    oct_report_kind kind;
    size_t at, n_at;     /* offsets of the member and of its length */
    const char *choices; /* of a text: "a|b"; NULL = any */
    const char *about;   /* for the schema */
} oct_field;

typedef struct oct_report_struct {
    const char *name; /* in the schema's $defs */
    size_t bytes;
    const oct_field *field; /* ended by OCT_FIELD_END */
} oct_report_struct;

extern const oct_report_struct oct_report_structs[OCT_REPORT_KIND_COUNT];

/* One member of a list whose n-th struct is at `p`. */
static inline void *oct_field_of(const void *p, size_t at)
{
    return (char *)(uintptr_t)p + at;
}

#endif /* OCT_REPORTS_REPORT_FIELDS_INTERNAL_H */
