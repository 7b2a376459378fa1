/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of many files, compactly: one growing text block and a pointer per name (a million
 * entries take about 50 MB). Folder scanning lives here too.
 */
#ifndef OCT_DATASETS_FILE_LIST_H
#define OCT_DATASETS_FILE_LIST_H

#include "base/ctx.h"
#include "datasets/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_file_list {
    oct_ctx *ctx;
    char *root; /* names are relative to this folder */
    char *text; /* NUL-terminated names, one after the other */
    size_t text_len, text_cap;
    size_t *offset; /* of each name in text */
    int64_t n, cap;
} oct_file_list;

OCT_MUST_CHECK oct_status oct_file_list_init(oct_file_list *l, oct_ctx *ctx, const char *root,
                                             size_t root_len);
void oct_file_list_deinit(oct_file_list *l); /* zeroed structs are fine */
OCT_MUST_CHECK oct_status oct_file_list_add(oct_file_list *l, const char *name, size_t len);
static inline const char *oct_file_list_name(const oct_file_list *l, int64_t i)
{
    return l->text + l->offset[i];
}

/* Sorts by bytes, folder by folder ('/' before everything), as os.walk over sorted names. */
void oct_file_list_sort(oct_file_list *l);

/* Adds every picture (by extension: jpg jpeg jpe jfif png) in `root` and below. Follows
 * symbolic links but not in circles; opens nothing but folders. Counts what it leaves out in
 * `info`. Names starting with a dot are passed over. */
OCT_MUST_CHECK oct_status oct_file_list_scan(oct_file_list *l, oct_dataset_info *info);

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_FILE_LIST_H */
