/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/coco.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json_read.h"

#define MAX_COCO_BYTES ((size_t)512 << 20)
#define MAX_CLASSES 100000

typedef struct image {
    int64_t id;
    char *name;
    size_t first, n; /* boxes */
} image;

typedef struct category {
    int64_t id;
    char *name;
} category;

/* A box that still knows its picture, for sorting. */
typedef struct placed_box {
    oct_coco_box box;
    int64_t image;
    size_t order;
} placed_box;

struct oct_coco {
    oct_ctx *ctx;
    image *images; /* sorted by id */
    int64_t n_images;
    int64_t *by_name;     /* indices, sorted by last part of the name */
    category *categories; /* by class index */
    int n_classes;
    bool standard; /* COCO's 80 */
    oct_coco_box *boxes;
};

/* Ids of COCO's 80 categories in order: 1..90 without these. */
static bool is_unused_id(int64_t id)
{
    static const uint8_t unused[] = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83};
    for (size_t i = 0; i < sizeof unused; i++)
        if (unused[i] == id)
            return true;
    return id < 1 || id > 90;
}

int oct_coco_index_of_category(int64_t category_id)
{
    if (is_unused_id(category_id))
        return -1;
    int n = 0;
    for (int64_t id = 1; id < category_id; id++)
        n += !is_unused_id(id);
    return n;
}

static int category_by_id(const void *a, const void *b)
{
    const category *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static int image_by_id(const void *a, const void *b)
{
    const image *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static int by_image_then_order(const void *a, const void *b)
{
    const placed_box *x = a, *y = b;
    if (x->image != y->image)
        return x->image < y->image ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static int compare_last_parts(const void *a, const void *b, void *user)
{
    const image *images = user;
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    const int d = strcmp(oct_path_name(images[x].name), oct_path_name(images[y].name));
    return d != 0 ? d : (x > y) - (x < y);
}

static oct_status copy_name(const oct_json_at *at, const json_t *obj, const char *key, char **out)
{
    const char *text;
    OCT_TRY(oct_json_get_string(at, obj, key, &text));
    *out = oct_strdup(at->ctx, text);
    return *out != NULL ? OCT_OK : OCT_ERR_NOMEM;
}

/* The 80 COCO categories get their usual indices even if the file lists only some of them. */
static bool are_coco_ids(const oct_coco *c)
{
    static const char *const some[] = {"1person", "3car", "18dog", "62chair", "90toothbrush"};
    int matches = 0;
    for (int i = 0; i < c->n_classes; i++) {
        if (is_unused_id(c->categories[i].id))
            return false;
        for (size_t k = 0; k < sizeof some / sizeof some[0]; k++) {
            char *rest;
            const long long id = strtoll(some[k], &rest, 10);
            if (c->categories[i].id == id)
                matches += strcmp(rest, c->categories[i].name) == 0 ? 1 : -100;
        }
    }
    return matches > 0;
}

static oct_status read_categories(oct_coco *c, const oct_json_at *at, const json_t *list)
{
    const size_t n = json_array_size(list);
    if (n == 0 || n > MAX_CLASSES)
        return oct_fail(at->ctx, OCT_ERR_FORMAT, "%s: %zu categories, expected 1 to %d", at->file,
                        n, MAX_CLASSES);
    c->categories = oct_zalloc_array(c->ctx, n, sizeof *c->categories);
    if (c->categories == NULL)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        c->n_classes = (int)i + 1;
        OCT_TRY(oct_json_get_s64(at, json_array_get(list, i), "id", &c->categories[i].id));
        OCT_TRY(copy_name(at, json_array_get(list, i), "name", &c->categories[i].name));
    }
    qsort(c->categories, n, sizeof *c->categories, category_by_id);
    for (size_t i = 1; i < n; i++)
        if (c->categories[i].id == c->categories[i - 1].id)
            return oct_fail(at->ctx, OCT_ERR_FORMAT, "%s: category id %lld occurs twice", at->file,
                            (long long)c->categories[i].id);
    c->standard = are_coco_ids(c);
    return OCT_OK;
}

static int32_t class_of(const oct_coco *c, int64_t category_id)
{
    const category key = {category_id, NULL};
    const category *found =
        bsearch(&key, c->categories, (size_t)c->n_classes, sizeof key, category_by_id);
    if (found == NULL)
        return -1;
    return c->standard ? oct_coco_index_of_category(category_id) : (int32_t)(found - c->categories);
}

static oct_status read_images(oct_coco *c, const oct_json_at *at, const json_t *list)
{
    const size_t n = json_array_size(list);
    c->images = oct_zalloc_array(c->ctx, n + 1, sizeof *c->images);
    c->by_name = oct_zalloc_array(c->ctx, n + 1, sizeof *c->by_name);
    if (c->images == NULL || c->by_name == NULL)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        c->n_images = (int64_t)i + 1;
        OCT_TRY(oct_json_get_s64(at, json_array_get(list, i), "id", &c->images[i].id));
        OCT_TRY(copy_name(at, json_array_get(list, i), "file_name", &c->images[i].name));
        c->by_name[i] = (int64_t)i;
    }
    qsort(c->images, n, sizeof *c->images, image_by_id);
    for (size_t i = 1; i < n; i++)
        if (c->images[i].id == c->images[i - 1].id)
            return oct_fail(at->ctx, OCT_ERR_FORMAT, "%s: image id %lld occurs twice", at->file,
                            (long long)c->images[i].id);
    qsort_r(c->by_name, n, sizeof *c->by_name, compare_last_parts, c->images);
    return OCT_OK;
}

static oct_status read_bbox(const oct_json_at *at, const json_t *obj, oct_coco_box *b)
{
    json_t *v;
    double *field[4] = {&b->x, &b->y, &b->width, &b->height};
    OCT_TRY(oct_json_get_array(at, obj, "bbox", &v));
    for (size_t k = 0; k < 4; k++) {
        const json_t *item = json_array_get(v, k);
        if (json_array_size(v) != 4 || !json_is_number(item) || !isfinite(json_number_value(item)))
            return oct_fail(at->ctx, OCT_ERR_FORMAT, "%s: key '%sbbox': expected 4 numbers",
                            at->file, at->where);
        *field[k] = json_number_value(item);
    }
    return OCT_OK;
}

static oct_status read_box(const oct_coco *c, const oct_json_at *at, const json_t *obj,
                           placed_box *out)
{
    int64_t image_id, category_id, crowd = 0;
    out->box.id = -1;
    OCT_TRY(oct_json_get_s64(at, obj, "image_id", &image_id));
    OCT_TRY(oct_json_get_s64(at, obj, "category_id", &category_id));
    OCT_TRY(oct_json_opt_s64(at, obj, "iscrowd", &crowd));
    OCT_TRY(oct_json_opt_s64(at, obj, "id", &out->box.id));
    OCT_TRY(read_bbox(at, obj, &out->box));
    out->box.area = out->box.width * out->box.height;
    OCT_TRY(oct_json_opt_f64(at, obj, "area", &out->box.area));
    const image key = {.id = image_id};
    const image *found = bsearch(&key, c->images, (size_t)c->n_images, sizeof key, image_by_id);
    out->box.class_index = class_of(c, category_id);
    out->box.iscrowd = crowd != 0;
    if (found == NULL || out->box.class_index < 0)
        return oct_fail(at->ctx, OCT_ERR_FORMAT, "%s: %s: no image %lld or category %lld", at->file,
                        at->where, (long long)image_id, (long long)category_id);
    out->image = found - c->images;
    return OCT_OK;
}

static oct_status read_boxes(oct_coco *c, oct_json_at *at, const json_t *list)
{
    const size_t n = json_array_size(list);
    char where[48];
    placed_box *all = oct_zalloc_array(c->ctx, n + 1, sizeof *all);
    c->boxes = oct_zalloc_array(c->ctx, n + 1, sizeof *c->boxes);
    oct_status st = all == NULL || c->boxes == NULL ? OCT_ERR_NOMEM : OCT_OK;
    at->where = where;
    for (size_t i = 0; i < n && st == OCT_OK; i++) {
        snprintf(where, sizeof where, "annotations[%zu].", i);
        st = read_box(c, at, json_array_get(list, i), &all[i]);
        all[i].order = i;
    }
    if (st == OCT_OK) {
        qsort(all, n, sizeof *all, by_image_then_order);
        for (size_t i = 0; i < n; i++) {
            image *im = &c->images[all[i].image];
            im->first = im->n == 0 ? i : im->first;
            im->n++;
            c->boxes[i] = all[i].box;
        }
    }
    oct_free(c->ctx, all);
    at->where = "";
    return st;
}

static oct_status read_root(oct_coco *c, const char *name, const json_t *root)
{
    oct_json_at at = {c->ctx, name, ""};
    json_t *images, *categories, *boxes;
    OCT_TRY(oct_json_get_array(&at, root, "images", &images));
    OCT_TRY(oct_json_get_array(&at, root, "categories", &categories));
    OCT_TRY(oct_json_get_array(&at, root, "annotations", &boxes));
    OCT_TRY(read_categories(c, &at, categories));
    OCT_TRY(read_images(c, &at, images));
    return read_boxes(c, &at, boxes);
}

static oct_status from_tree(oct_ctx *ctx, const char *name, const json_t *root, oct_coco **out)
{
    oct_coco *c = oct_zalloc(ctx, sizeof *c);
    if (c == NULL)
        return OCT_ERR_NOMEM;
    c->ctx = ctx;
    const oct_status st = read_root(c, name, root);
    if (st != OCT_OK)
        oct_coco_close(c);
    else
        *out = c;
    return st;
}

oct_status oct_coco_parse(oct_ctx *ctx, const char *name, const char *text, size_t n_bytes,
                          oct_coco **out)
{
    json_t *root;
    OCT_TRY(oct_json_read_text(ctx, name, text, n_bytes, &root));
    const oct_status st = from_tree(ctx, name, root, out);
    oct_json_read_free(root);
    return st;
}

oct_status oct_coco_open(oct_ctx *ctx, const char *path, oct_coco **out)
{
    json_t *root;
    OCT_TRY(oct_json_read_file(ctx, path, MAX_COCO_BYTES, &root));
    const oct_status st = from_tree(ctx, path, root, out);
    oct_json_read_free(root);
    return st;
}

void oct_coco_close(oct_coco *c)
{
    if (c == NULL)
        return;
    for (int64_t i = 0; i < c->n_images; i++)
        oct_free(c->ctx, c->images[i].name);
    for (int i = 0; i < c->n_classes; i++)
        oct_free(c->ctx, c->categories[i].name);
    oct_free(c->ctx, c->images);
    oct_free(c->ctx, c->by_name);
    oct_free(c->ctx, c->categories);
    oct_free(c->ctx, c->boxes);
    oct_free(c->ctx, c);
}

int64_t oct_coco_find(const oct_coco *c, const char *path)
{
    const char *key = oct_path_name(path);
    int64_t lo = 0, hi = c->n_images;
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        if (strcmp(oct_path_name(c->images[c->by_name[mid]].name), key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    int64_t found = -1;
    for (; lo < c->n_images; lo++) { /* several folders may hold the same last part */
        const char *name = c->images[c->by_name[lo]].name;
        if (strcmp(oct_path_name(name), key) != 0)
            break;
        if (strcmp(name, path) == 0)
            return c->by_name[lo];
        found = found < 0 ? c->by_name[lo] : found;
    }
    return found;
}

int64_t oct_coco_n_images(const oct_coco *c)
{
    return c->n_images;
}

int64_t oct_coco_image_id(const oct_coco *c, int64_t i)
{
    return c->images[i].id;
}

const char *oct_coco_image_name(const oct_coco *c, int64_t i)
{
    return c->images[i].name;
}

const oct_coco_box *oct_coco_boxes(const oct_coco *c, int64_t i, size_t *n)
{
    *n = c->images[i].n;
    return c->boxes + c->images[i].first;
}

int oct_coco_n_classes(const oct_coco *c)
{
    return c->standard ? 80 : c->n_classes;
}

static const category *category_at(const oct_coco *c, int class_index)
{
    if (!c->standard)
        return class_index >= 0 && class_index < c->n_classes ? &c->categories[class_index] : NULL;
    for (int i = 0; i < c->n_classes; i++)
        if (oct_coco_index_of_category(c->categories[i].id) == class_index)
            return &c->categories[i];
    return NULL;
}

const char *oct_coco_class_name(const oct_coco *c, int class_index)
{
    const category *k = category_at(c, class_index);
    return k != NULL ? k->name : "";
}

int64_t oct_coco_category_id(const oct_coco *c, int class_index)
{
    const category *k = category_at(c, class_index);
    return k != NULL ? k->id : -1;
}
