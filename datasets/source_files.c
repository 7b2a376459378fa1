/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures as files: a folder tree or a list. Both end as names to decode.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "datasets/coco.h"
#include "datasets/file_list.h"
#include "datasets/labels.h"
#include "datasets/source.h"

#define MAX_LIST_BYTES ((size_t)512 << 20)
#define MAX_PATH_BYTES 4096

typedef struct files_source {
    oct_source base;
    oct_file_list files;
    oct_preprocessor *pre;
    size_t max_file_bytes;
    int image_input;
    char **class_name;
} files_source;

static const char *files_name(const oct_source *s, int64_t i, char buf[OCT_SAMPLE_NAME_BYTES])
{
    (void)buf;
    return oct_file_list_name(&((const files_source *)s)->files, i);
}

static oct_status read_all(oct_ctx *ctx, oct_load_scratch *scratch, int fd, const char *path,
                           size_t n)
{
    if (scratch->file == NULL || scratch->file_cap < n) {
        oct_free(ctx, scratch->file);
        scratch->file_cap = n + n / 4;
        scratch->file = oct_alloc(ctx, scratch->file_cap);
        if (scratch->file == NULL)
            return OCT_ERR_NOMEM;
    }
    size_t at = 0;
    while (at < n) {
        const ssize_t got = read(fd, scratch->file + at, n - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return oct_fail(ctx, OCT_ERR_IO, "%s: %s", path,
                            got < 0 ? strerror(errno) : "shrank while being read");
        at += (size_t)got;
    }
    return OCT_OK;
}

/* Into the scratch buffer. Non-blocking, so that a FIFO put in place of a picture meanwhile
 * cannot hang us. */
static oct_status read_file(oct_ctx *ctx, oct_load_scratch *scratch, const char *path,
                            size_t max_bytes, size_t *n_bytes)
{
    struct stat st;
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return oct_fail(ctx, OCT_ERR_NOT_FOUND, "%s: %s", path, strerror(errno));
    oct_status s = OCT_OK;
    if (fstat(fd, &st) != 0)
        s = oct_fail(ctx, OCT_ERR_IO, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        s = oct_fail(ctx, OCT_ERR_USAGE, "%s: not a regular file", path);
    else if ((uint64_t)st.st_size > max_bytes)
        s = oct_fail(ctx, OCT_ERR_LIMIT, "%s: %lld bytes, the limit is %zu", path,
                     (long long)st.st_size, max_bytes);
    else
        s = read_all(ctx, scratch, fd, path, (size_t)st.st_size);
    if (s == OCT_OK)
        *n_bytes = (size_t)st.st_size;
    close(fd);
    return s;
}

/* Reads file i whole and identifies it. */
static oct_status fetch(const files_source *s, oct_ctx *ctx, oct_load_scratch *scratch, int64_t i,
                        size_t *n, oct_sha256 *id)
{
    const char *name = oct_file_list_name(&s->files, i);
    char path[MAX_PATH_BYTES];
    const size_t root_len = strlen(s->files.root), name_len = strlen(name);
    if (root_len + name_len + 2 > sizeof path)
        return oct_fail(ctx, OCT_ERR_LIMIT, "%s: path above %d bytes", name, MAX_PATH_BYTES);
    const size_t prefix = name[0] == '/' ? 0 : root_len + 1;
    if (prefix > 0) {
        memcpy(path, s->files.root, root_len);
        path[root_len] = '/';
    }
    memcpy(path + prefix, name, name_len + 1);
    OCT_TRY(read_file(ctx, scratch, path, s->max_file_bytes, n));
    oct_sha256_of(scratch->file, *n, id);
    return OCT_OK;
}

static oct_status files_load(oct_source *base, oct_ctx *ctx, oct_load_scratch *scratch, int64_t i,
                             void *const *dst, oct_sample *sample)
{
    const files_source *s = (const files_source *)base;
    const char *name = oct_file_list_name(&s->files, i);
    oct_decode_info info;
    size_t n;
    if (scratch->pre == NULL)
        OCT_TRY(oct_preprocess_scratch_new(ctx, &scratch->pre));
    OCT_TRY(fetch(s, ctx, scratch, i, &n, &sample->id));
    OCT_TRY(oct_preprocess_file(s->pre, ctx, scratch->pre, name, scratch->file, n,
                                dst[s->image_input], sample, &info));
    if (info.n_warnings > 0)
        oct_log(ctx, OCT_LOG_DEBUG, "%s: %d decoder warnings", name, info.n_warnings);
    return OCT_OK;
}

static oct_status files_identify(oct_source *base, oct_ctx *ctx, oct_load_scratch *scratch,
                                 int64_t i, oct_sha256 *id)
{
    size_t n;
    return fetch((const files_source *)base, ctx, scratch, i, &n, id);
}

static void files_close(oct_source *base)
{
    files_source *s = (files_source *)base;
    oct_ctx *ctx = s->base.ctx;
    for (int c = 0; c < s->base.info.n_classes && s->class_name != NULL; c++)
        oct_free(ctx, s->class_name[c]);
    oct_free(ctx, s->class_name);
    oct_preprocessor_free(s->pre);
    oct_file_list_deinit(&s->files);
    oct_source_deinit(&s->base);
    oct_free(ctx, s);
}

static const oct_source_vtable dir_vtable = {"dir", files_name, files_load, files_close,
                                             files_identify};
static const oct_source_vtable list_vtable = {"list", files_name, files_load, files_close,
                                              files_identify};

/* ---- labels ----------------------------------------------------------------------------- */

static size_t class_len(const char *name)
{
    const char *slash = strchr(name, '/');
    return slash != NULL ? (size_t)(slash - name) : 0;
}

static bool new_class(const files_source *s, int64_t i)
{
    const char *a = oct_file_list_name(&s->files, i);
    if (i == 0)
        return true;
    const char *b = oct_file_list_name(&s->files, i - 1);
    return class_len(a) != class_len(b) || memcmp(a, b, class_len(a)) != 0;
}

/* Names are sorted, so a class is a run. `*flat` when a picture lies in no sub-folder. */
static int count_classes(const files_source *s, bool *flat)
{
    int n = 0;
    *flat = false;
    for (int64_t i = 0; i < s->base.n_items; i++) {
        *flat = *flat || class_len(oct_file_list_name(&s->files, i)) == 0;
        n += new_class(s, i);
    }
    return n;
}

static oct_status label_by_folder(files_source *s, int n_classes, int offset)
{
    oct_ctx *ctx = s->base.ctx;
    int c = -1;
    s->base.label = oct_alloc_array(ctx, (size_t)s->base.n_items, sizeof *s->base.label);
    s->class_name = oct_zalloc_array(ctx, (size_t)n_classes, sizeof *s->class_name);
    if (s->base.label == NULL || s->class_name == NULL)
        return OCT_ERR_NOMEM;
    s->base.info.n_classes = n_classes;
    s->base.info.class_name = (const char *const *)s->class_name;
    for (int64_t i = 0; i < s->base.n_items; i++) {
        if (new_class(s, i)) {
            const char *name = oct_file_list_name(&s->files, i);
            s->class_name[++c] = oct_strndup(ctx, name, class_len(name));
            if (s->class_name[c] == NULL)
                return OCT_ERR_NOMEM;
        }
        if (c + offset < 0)
            return oct_fail(ctx, OCT_ERR_USAGE, "class %d is negative after --label-offset %d", c,
                            offset);
        s->base.label[i] = c + offset;
    }
    return OCT_OK;
}

static const char *name_of(const void *user, int64_t i)
{
    return oct_file_list_name(user, i);
}

static oct_status label_dir(files_source *s, const oct_dataset_options *opt)
{
    bool flat;
    const char *spec = opt->labels;
    const int n_classes = count_classes(s, &flat);
    if (spec == NULL)
        return flat || n_classes < 2 ? OCT_OK : label_by_folder(s, n_classes, opt->label_offset);
    if (strcmp(spec, "none") == 0 || strncmp(spec, "coco:", 5) == 0)
        return OCT_OK;
    if (strcmp(spec, "folder") == 0) {
        if (flat)
            return oct_fail(s->base.ctx, OCT_ERR_USAGE,
                            "--labels folder: %s has pictures outside class folders",
                            s->files.root);
        return label_by_folder(s, n_classes, opt->label_offset);
    }
    const oct_label_names names = {s->base.n_items, name_of, &s->files};
    s->base.label = oct_alloc_array(s->base.ctx, (size_t)s->base.n_items, sizeof *s->base.label);
    if (s->base.label == NULL)
        return OCT_ERR_NOMEM;
    return oct_labels_read(s->base.ctx, spec, opt->label_offset, &names, s->base.label);
}

/* ---- opening ---------------------------------------------------------------------------- */

static oct_status set_up(files_source *s, const oct_source_request *r, const oct_source_vtable *vt,
                         const char *root, size_t root_len)
{
    oct_ctx *ctx = s->base.ctx;
    while (root_len > 1 && root[root_len - 1] == '/')
        root_len--;
    OCT_TRY(oct_source_init(&s->base, ctx, vt, r->opt->n_inputs));
    OCT_TRY(oct_source_make_preprocessor(&s->base, r, r->opt->preprocess, &s->pre));
    s->max_file_bytes = r->opt->limits.max_file_bytes;
    s->image_input = r->image_input;
    return oct_file_list_init(&s->files, ctx, root, root_len);
}

static oct_status not_empty(const files_source *s, const char *path)
{
    if (s->base.n_items > 0)
        return OCT_OK;
    return oct_fail(s->base.ctx, OCT_ERR_NOT_FOUND,
                    "%s: no picture found (.jpg .jpeg .jpe .jfif .png); %lld other files, %lld "
                    "special ones",
                    path, (long long)s->base.info.n_other, (long long)s->base.info.n_special);
}

static oct_status open_dir(files_source *s, const oct_source_request *r)
{
    const char *path = r->opt->path;
    OCT_TRY(set_up(s, r, &dir_vtable, path, strlen(path)));
    OCT_TRY(oct_file_list_scan(&s->files, &s->base.info));
    s->base.n_items = s->files.n;
    OCT_TRY(not_empty(s, path));
    return label_dir(s, r->opt);
}

/* Lines "path" or "path label", all the same. */
static oct_status read_list(files_source *s, const char *path, const char *text, size_t n_bytes)
{
    oct_line_reader r = {text, text + n_bytes, 0};
    const char *line;
    size_t len, path_len;
    int64_t label, n_labels = 0, cap = 0;
    while (oct_line_next(&r, &line, &len)) {
        const bool labelled = oct_line_split_label(line, len, &path_len, &label);
        if (path_len >= MAX_PATH_BYTES || memchr(line, '\0', path_len) != NULL)
            return oct_fail(s->base.ctx, OCT_ERR_FORMAT, "%s:%lld: not a path", path,
                            (long long)r.number);
        if (labelled && (label < INT32_MIN / 2 || label > INT32_MAX / 2))
            return oct_fail(s->base.ctx, OCT_ERR_FORMAT, "%s:%lld: label out of range", path,
                            (long long)r.number);
        OCT_TRY(oct_file_list_add(&s->files, line, path_len));
        if (labelled && n_labels == cap) {
            cap = 2 * cap + 256;
            int32_t *grown =
                oct_realloc(s->base.ctx, s->base.label, (size_t)cap * sizeof *s->base.label);
            if (grown == NULL)
                return OCT_ERR_NOMEM;
            s->base.label = grown;
        }
        if (labelled)
            s->base.label[n_labels++] = (int32_t)label;
        if (n_labels != 0 && n_labels != s->files.n)
            return oct_fail(s->base.ctx, OCT_ERR_FORMAT,
                            "%s:%lld: some lines have a label and some have none", path,
                            (long long)r.number);
    }
    return OCT_OK;
}

static oct_status label_list(files_source *s, const oct_dataset_options *opt)
{
    const char *spec = opt->labels;
    const bool from_file = spec != NULL && strcmp(spec, "none") != 0 &&
                           strncmp(spec, "coco:", 5) != 0 && strcmp(spec, "folder") != 0;
    if (spec != NULL && strcmp(spec, "folder") == 0)
        return oct_fail(s->base.ctx, OCT_ERR_USAGE,
                        "--labels folder needs a folder; %s is a list (put labels in it)",
                        opt->path);
    if (spec != NULL) {
        oct_free(s->base.ctx, s->base.label);
        s->base.label = NULL;
    }
    if (from_file) {
        const oct_label_names names = {s->base.n_items, name_of, &s->files};
        s->base.label =
            oct_alloc_array(s->base.ctx, (size_t)s->base.n_items, sizeof *s->base.label);
        if (s->base.label == NULL)
            return OCT_ERR_NOMEM;
        return oct_labels_read(s->base.ctx, spec, opt->label_offset, &names, s->base.label);
    }
    for (int64_t i = 0; i < s->base.n_items && s->base.label != NULL; i++) {
        s->base.label[i] += opt->label_offset;
        if (s->base.label[i] < 0)
            return oct_fail(s->base.ctx, OCT_ERR_USAGE, "%s: class of %s is negative", opt->path,
                            oct_file_list_name(&s->files, i));
    }
    return OCT_OK;
}

static oct_status open_list(files_source *s, const oct_source_request *r)
{
    const char *path = r->opt->path, *name = oct_path_name(path);
    uint8_t *text;
    size_t n;
    OCT_TRY(set_up(s, r, &list_vtable, name == path ? "." : path,
                   name == path ? 1 : (size_t)(name - path)));
    OCT_TRY(oct_file_read(s->base.ctx, path, MAX_LIST_BYTES, &text, &n));
    oct_status st = read_list(s, path, (const char *)text, n);
    oct_free(s->base.ctx, text);
    s->base.n_items = s->files.n;
    if (st == OCT_OK)
        st = not_empty(s, path);
    return st == OCT_OK ? label_list(s, r->opt) : st;
}

static oct_status open_with(oct_ctx *ctx, const oct_source_request *r, oct_source **out,
                            oct_status (*open_kind)(files_source *, const oct_source_request *))
{
    files_source *s = oct_zalloc(ctx, sizeof *s);
    if (s == NULL)
        return OCT_ERR_NOMEM;
    s->base.ctx = ctx;
    const oct_status st = open_kind(s, r);
    if (st != OCT_OK)
        files_close(&s->base);
    else
        *out = &s->base;
    return st;
}

oct_status oct_source_open_dir(oct_ctx *ctx, const oct_source_request *r, oct_source **out)
{
    return open_with(ctx, r, out, open_dir);
}

oct_status oct_source_open_list(oct_ctx *ctx, const oct_source_request *r, oct_source **out)
{
    return open_with(ctx, r, out, open_list);
}
