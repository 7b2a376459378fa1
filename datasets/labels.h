/* SPDX-License-Identifier: Apache-2.0
 *
 * Class labels of pictures. The argument says where they come from:
 *
 *     folder                 sorted sub-folders are classes 0, 1, ... (torchvision's ImageFolder)
 *     FILE                   lines "path label", or one label per line in the data set's order
 *     ilsvrc:GT,map=FILE     ILSVRC ground truth (line k: id of picture number k) with a map
 *                            whose lines are "id synset" or, line k for id k, "synset ...";
 *                            class = rank of the synset in sorted order (torchvision's)
 *     coco:FILE              no class labels, but boxes: see coco.h
 *     none                   ignore what there is
 */
#ifndef OCT_DATASETS_LABELS_H
#define OCT_DATASETS_LABELS_H

#include "base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Pictures by index, for look-ups. */
typedef struct oct_label_names {
    int64_t n;
    const char *(*name)(const void *user, int64_t i); /* relative path */
    const void *user;
} oct_label_names;

/* Fills label[n] (all of them) from the files that `spec` names; `offset` is added.
 * OCT_ERR_FORMAT: malformed line, with its number; OCT_ERR_USAGE: pictures without a label (the
 * first is named) or a negative class; OCT_ERR_NOT_FOUND. Not for "folder", "none" and "coco:". */
OCT_MUST_CHECK oct_status oct_labels_read(oct_ctx *ctx, const char *spec, int offset,
                                          const oct_label_names *names, int32_t *label);

/* The same from text in memory: a "path label" list or bare labels. `file` is for messages. */
OCT_MUST_CHECK oct_status oct_labels_parse_list(oct_ctx *ctx, const char *file, const char *text,
                                                size_t n_bytes, const oct_label_names *names,
                                                int32_t *label);
/* ILSVRC from text in memory. */
OCT_MUST_CHECK oct_status oct_labels_parse_ilsvrc(oct_ctx *ctx, const char *file, const char *text,
                                                  size_t n_bytes, const char *map_file,
                                                  const char *map_text, size_t map_bytes,
                                                  const oct_label_names *names, int32_t *label);

/* One line of a list: [at, end) without the line end; blank and '#' lines are passed over.
 * Returns false at the end of the text. */
typedef struct oct_line_reader {
    const char *at, *end;
    int64_t number; /* of the line returned last, from 1 */
} oct_line_reader;
bool oct_line_next(oct_line_reader *r, const char **line, size_t *len);

/* Splits "path label": the label is the last word if that is a whole number (separated by
 * blanks, tabs or one comma). Returns false if there is none; then path is the whole line. */
bool oct_line_split_label(const char *line, size_t len, size_t *path_len, int64_t *label);

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_LABELS_H */
