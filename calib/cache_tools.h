/* SPDX-License-Identifier: Apache-2.0
 *
 * The cache toolbox: comparing, checking, joining, filtering and renaming caches of any
 * format. Everything works on oct_ranges; damaged entries travel along, flagged.
 */
#ifndef OCT_CALIB_CACHE_TOOLS_H
#define OCT_CALIB_CACHE_TOOLS_H

#include "calib/ranges.h"
#include "engine/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- diff -------------------------------------------------------------------------------- */

typedef struct oct_cache_diff_row {
    const char *name;       /* borrowed from `a` or `b` */
    const oct_range *a, *b; /* NULL = only in the other */
    double ratio;           /* b / a; NaN if one is missing or unusable */
} oct_cache_diff_row;

typedef struct oct_cache_diff {
    oct_cache_diff_row *row; /* differing tensors: missing ones first, then by |ln ratio| */
    size_t n;
    size_t n_equal; /* same bits in both */
    size_t n_only_a, n_only_b;
    double largest_ratio; /* max(ratio, 1/ratio) over tensors in both; 1 if none differs */
} oct_cache_diff;

/* Release with oct_cache_diff_free(); `a` and `b` must outlive it. */
OCT_MUST_CHECK oct_status oct_cache_diff_of(oct_ctx *ctx, const oct_ranges *a, const oct_ranges *b,
                                            oct_cache_diff *out);
void oct_cache_diff_free(oct_ctx *ctx, oct_cache_diff *d);

/* ---- lint -------------------------------------------------------------------------------- */

typedef enum oct_lint_level {
    OCT_LINT_ERROR,   /* the cache cannot be used, or not fully */
    OCT_LINT_WARNING, /* some reader gets it wrong, or it does not belong to the model */
    OCT_LINT_INFO,
    OCT_LINT_COUNT,
} oct_lint_level;

/* One finding; texts live in the report. */
typedef struct oct_lint_item {
    oct_lint_level level;
    uint32_t line;    /* 0 = the file as a whole */
    const char *name; /* tensor, or "" */
    const char *text; /* what is wrong */
} oct_lint_item;

typedef struct oct_lint oct_lint;

/* Tensor names of a model. Needed are the ones that calibration gives a scale: float values
 * named in the ONNX file that depend on its inputs. */
typedef struct oct_model_names {
    const char **needed; /* n_needed, borrowed from the model */
    size_t n_needed;
    oct_ranges *all; /* every value's name; used as a set */
} oct_model_names;
OCT_MUST_CHECK oct_status oct_model_names_of(oct_ctx *ctx, const oct_model *model,
                                             oct_model_names *out);
void oct_model_names_free(oct_ctx *ctx, oct_model_names *m);

/* Checks `r`, against `model` too if it is not NULL. */
OCT_MUST_CHECK oct_status oct_cache_lint(oct_ctx *ctx, const oct_ranges *r,
                                         const oct_model_names *model, oct_lint **out);
void oct_lint_free(oct_lint *l); /* NULL is allowed */
size_t oct_lint_items(const oct_lint *l, const oct_lint_item **list);
size_t oct_lint_count(const oct_lint *l, oct_lint_level level);

/* ---- rename, filter, merge --------------------------------------------------------------- */

/* Old and new names, n pairs. */
typedef struct oct_rename_map {
    const char *const *from;
    const char *const *to;
    size_t n;
} oct_rename_map;

/* `out` gets every entry of `r`, renamed where the map has it. `n_renamed` may be NULL. */
OCT_MUST_CHECK oct_status oct_cache_rename(oct_ctx *ctx, const oct_ranges *r,
                                           const oct_rename_map *map, oct_ranges **out,
                                           size_t *n_renamed);
/* Names of `from` (the model a cache was made for) matched with those of `to` by position in
 * the graph: both must have the same operators in the same order (OCT_ERR_STALE names the first
 * difference). Release with oct_rename_map_free(); names are borrowed from the models. */
OCT_MUST_CHECK oct_status oct_rename_map_of_models(oct_ctx *ctx, const oct_model *from,
                                                   const oct_model *to, oct_rename_map *out);
/* Lines "old<TAB>new" of a file; the same release. */
OCT_MUST_CHECK oct_status oct_rename_map_read(oct_ctx *ctx, const char *path, oct_rename_map *out);
void oct_rename_map_free(oct_ctx *ctx, oct_rename_map *m);

/* Entries whose name matches one of the `include` patterns (none = all) and none of `exclude`.
 * Patterns are shell globs over the whole name: "*" any run, "?" one, "[ab]". */
typedef struct oct_name_filter {
    const char *const *include;
    size_t n_include;
    const char *const *exclude;
    size_t n_exclude;
} oct_name_filter;
bool oct_name_filter_passes(const oct_name_filter *f, const char *name);
OCT_MUST_CHECK oct_status oct_cache_filter(oct_ctx *ctx, const oct_ranges *r,
                                           const oct_name_filter *f, oct_ranges **out);

/* Union; where scales differ the larger wins, and a warning says so. Unusable entries are
 * left out. Order: first appearance. */
OCT_MUST_CHECK oct_status oct_cache_merge(oct_ctx *ctx, const oct_ranges *const *list, size_t n,
                                          oct_ranges **out, size_t *n_conflicts);

/* Scales by tensor name to scales by layer name for ncnn: each layer of the .param text that
 * ncnn quantizes (Convolution, ConvolutionDepthWise, InnerProduct) gets that of the blob it
 * reads. Layers without one are logged. */
OCT_MUST_CHECK oct_status oct_cache_to_ncnn_layers(oct_ctx *ctx, const oct_ranges *r,
                                                   const char *param, size_t n_param,
                                                   oct_ranges **out);

/* The bytes of a TensorRT cache file under another header; the other lines as they are. */
OCT_MUST_CHECK oct_status oct_cache_retarget(oct_ctx *ctx, const char *data, size_t n,
                                             const oct_cache_write_options *opt, oct_strbuf *out);

#ifdef __cplusplus
}
#endif

#endif /* OCT_CALIB_CACHE_TOOLS_H */
