/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/file_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define MAX_DEPTH 64
#define MAX_PATH_BYTES 4096

oct_status oct_file_list_init(oct_file_list *l, oct_ctx *ctx, const char *root, size_t root_len)
{
    *l = (oct_file_list){.ctx = ctx};
    l->root = oct_strndup(ctx, root, root_len);
    return l->root != NULL ? OCT_OK : OCT_ERR_NOMEM;
}

void oct_file_list_deinit(oct_file_list *l)
{
    if (l->ctx == NULL)
        return;
    oct_free(l->ctx, l->root);
    oct_free(l->ctx, l->text);
    oct_free(l->ctx, l->offset);
    *l = (oct_file_list){0};
}

oct_status oct_file_list_add(oct_file_list *l, const char *name, size_t len)
{
    if (l->text_len + len + 1 > l->text_cap) {
        const size_t cap = 2 * (l->text_len + len + 1) + 4096;
        char *text = oct_realloc(l->ctx, l->text, cap);
        if (text == NULL)
            return OCT_ERR_NOMEM;
        l->text = text;
        l->text_cap = cap;
    }
    if (l->n == l->cap) {
        const int64_t cap = 2 * l->cap + 256;
        size_t *offset = oct_realloc(l->ctx, l->offset, (size_t)cap * sizeof *offset);
        if (offset == NULL)
            return OCT_ERR_NOMEM;
        l->offset = offset;
        l->cap = cap;
    }
    memcpy(l->text + l->text_len, name, len);
    l->text[l->text_len + len] = '\0';
    l->offset[l->n++] = l->text_len;
    l->text_len += len + 1;
    return OCT_OK;
}

static int compare_names(const void *a, const void *b, void *text)
{
    const unsigned char *x = (const unsigned char *)text + *(const size_t *)a;
    const unsigned char *y = (const unsigned char *)text + *(const size_t *)b;
    while (*x == *y && *x != '\0') {
        x++;
        y++;
    }
    const int p = *x == '/' ? 1 : *x, q = *y == '/' ? 1 : *y;
    return p - q;
}

void oct_file_list_sort(oct_file_list *l)
{
    if (l->n > 1)
        qsort_r(l->offset, (size_t)l->n, sizeof *l->offset, compare_names, l->text);
}

static bool is_picture_name(const char *name)
{
    static const char *const known[] = {".jpg", ".jpeg", ".png", ".jpe", ".jfif"};
    const char *ext = oct_path_ext(name);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcasecmp(ext, known[i]) == 0)
            return true;
    return false;
}

/* One walk. `path` is the folder being read, `rel` its part below the root. */
typedef struct walk {
    oct_file_list *list;
    oct_dataset_info *info;
    char path[MAX_PATH_BYTES];
    size_t root_len; /* of path, with the slash */
    struct {
        dev_t dev;
        ino_t ino;
    } above[MAX_DEPTH];
} walk;

static oct_status walk_folder(walk *w, size_t len, int depth);

static bool leads_back(const walk *w, const struct stat *st, int depth)
{
    for (int i = 0; i < depth; i++)
        if (w->above[i].dev == st->st_dev && w->above[i].ino == st->st_ino)
            return true;
    return false;
}

static oct_status enter(walk *w, size_t len, int depth, const struct stat *st)
{
    if (depth >= MAX_DEPTH || leads_back(w, st, depth)) {
        w->info->n_loops++;
        return OCT_OK;
    }
    w->above[depth].dev = st->st_dev;
    w->above[depth].ino = st->st_ino;
    return walk_folder(w, len, depth + 1);
}

/* The type of an entry without a system call where the file system tells. */
static oct_status visit(walk *w, const struct dirent *e, size_t len, int depth)
{
    const size_t n = strlen(e->d_name);
    struct stat st;
    if (len + n + 2 > sizeof w->path)
        return oct_fail(w->list->ctx, OCT_ERR_LIMIT, "%.200s...: path above %d bytes", w->path,
                        MAX_PATH_BYTES);
    memcpy(w->path + len, e->d_name, n + 1);
    bool regular = e->d_type == DT_REG, folder = false;
    if (e->d_type == DT_DIR || e->d_type == DT_LNK || e->d_type == DT_UNKNOWN) {
        if (stat(w->path, &st) != 0) { /* a dangling link, or gone meanwhile */
            w->info->n_special++;
            return OCT_OK;
        }
        regular = S_ISREG(st.st_mode);
        folder = S_ISDIR(st.st_mode);
    }
    if (folder) {
        w->path[len + n] = '/';
        w->path[len + n + 1] = '\0';
        return enter(w, len + n + 1, depth, &st);
    }
    if (!regular)
        w->info->n_special++;
    else if (!is_picture_name(e->d_name))
        w->info->n_other++;
    else
        return oct_file_list_add(w->list, w->path + w->root_len, len + n - w->root_len);
    return OCT_OK;
}

static oct_status walk_folder(walk *w, size_t len, int depth)
{
    oct_status st = oct_check_cancel(w->list->ctx);
    w->path[len] = '\0';
    DIR *dir = st == OCT_OK ? opendir(w->path) : NULL;
    if (st == OCT_OK && dir == NULL)
        return oct_fail(w->list->ctx, OCT_ERR_NOT_FOUND, "%s: cannot read the folder: %s", w->path,
                        strerror(errno));
    while (st == OCT_OK) {
        const struct dirent *e = readdir(dir);
        if (e == NULL)
            break;
        if (e->d_name[0] != '.')
            st = visit(w, e, len, depth);
    }
    if (dir != NULL)
        closedir(dir);
    return st;
}

oct_status oct_file_list_scan(oct_file_list *l, oct_dataset_info *info)
{
    const size_t n = strlen(l->root);
    struct stat st;
    if (n + 2 > MAX_PATH_BYTES)
        return oct_fail(l->ctx, OCT_ERR_LIMIT, "%.200s...: path above %d bytes", l->root,
                        MAX_PATH_BYTES);
    if (stat(l->root, &st) != 0)
        return oct_fail(l->ctx, OCT_ERR_NOT_FOUND, "%s: %s", l->root, strerror(errno));
    walk *w = oct_zalloc(l->ctx, sizeof *w);
    if (w == NULL)
        return OCT_ERR_NOMEM;
    w->list = l;
    w->info = info;
    memcpy(w->path, l->root, n);
    w->path[n] = '/';
    w->root_len = n + 1;
    const oct_status s = enter(w, n + 1, 0, &st);
    oct_free(l->ctx, w);
    if (s == OCT_OK)
        oct_file_list_sort(l);
    return s;
}
