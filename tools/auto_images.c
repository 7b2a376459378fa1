/* SPDX-License-Identifier: Apache-2.0
 *
 * Which pictures calibrate, which choose the method and which judge: fixed by their ids, and
 * written to images.txt.
 */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "datasets/listing.h"
#include "datasets/loader.h"
#include "tools/auto.h"

#define MAX_CALIBRATION 1024 /* without --limit */
#define MAX_HELD_BACK 64
#define MAX_LAYERS 32     /* pictures compared tensor by tensor */
#define HELD_BACK_SHARE 8 /* one picture in so many */

static const char *const part_name[OCT_AUTO_PART_COUNT] = {"calibrate", "choose", "test", NULL};

/* ---- opening ----------------------------------------------------------------------------- */

/* Options for the pictures of IMAGES (which judge too if they are divided) or --test. Labels belong to those that judge. */
static oct_status init_args(oct_auto *a, bool test, oct_dataset_args *args)
{
    oct_status st = oct_dataset_args_init(args, a->cli, test ? a->test_path : a->calib_path,
                                          a->input, a->n_inputs);
    if (!test && !a->divided) {
        args->options.labels = NULL;
        args->options.label_offset = 0;
    }
    args->options.batch = 1;
    args->options.n_threads = 0; /* workers decode their own picture */
    return st;
}

static bool judges(oct_auto_part_id id)
{
    return id == OCT_AUTO_TEST || id == OCT_AUTO_LAYERS;
}

oct_status oct_auto_open_part(oct_auto *a, oct_auto_part_id id, oct_dataset_args *args,
                              oct_batch_source **out)
{
    const oct_auto_part *p = &a->part[id];
    const int64_t n_calib = a->part[OCT_AUTO_HELD_IN].n + a->part[OCT_AUTO_HELD_BACK].n;
    *out = NULL;
    OCT_TRY(init_args(a, judges(id), args));
    args->options.order = p->order;
    args->options.n_order = p->n;
    if (!judges(id) && p->n > 0 && args->options.skip_bad) /* the share is of both parts */
        args->options.max_skip_percent =
            fmin(100, args->options.max_skip_percent * (double)n_calib / (double)p->n);
    return oct_dataset_args_open(args, out);
}

/* Lists the samples of IMAGES or --test. */
static oct_status list(oct_auto *a, bool test, oct_listing *out)
{
    oct_dataset_args args;
    oct_batch_source *s = NULL;
    const char *limit = test ? "test-limit" : "limit";
    oct_status st = init_args(a, test, &args);
    if (st == OCT_OK) {
        args.options.subset.limit = a->divided ? 0 : oct_cli_s64(a->cli, limit);
        if (!test && !a->divided && args.options.subset.limit == 0)
            args.options.subset.limit = MAX_CALIBRATION;
        st = oct_dataset_args_open(&args, &s);
    }
    if (st == OCT_OK)
        st = oct_listing_make(a->ctx, s, a->cli->n_threads, out);
    for (int k = 0; st == OCT_OK && k < a->n_inputs; k++)
        a->fed[k] = *oct_loader_shape(s, k);
    if (st == OCT_OK && !test) {
        a->preprocess = oct_strdup(a->ctx, s->vt->preprocess_json(s));
        st = a->preprocess != NULL ? OCT_OK : OCT_ERR_NOMEM;
    }
    for (size_t i = 0; st == OCT_OK && i < out->n; i++)
        if (!out->item[i].readable)
            oct_log(a->ctx, OCT_LOG_WARN, "sample %lld of %s cannot be read",
                    (long long)out->item[i].index, args.options.path);
    if (s != NULL)
        s->vt->close(s);
    oct_dataset_args_deinit(&args);
    return st;
}

/* ---- dividing ---------------------------------------------------------------------------- */

/* Keeps the items that `keep` marks, in order. */
static void filter(oct_listing *l, const bool *keep)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        if (keep[i])
            l->item[n++] = l->item[i];
    l->n = n;
}

/* --limit or --test-limit among the items, as --subset says. */
static oct_status limit_to(oct_auto *a, oct_listing *l, int64_t limit)
{
    oct_dataset_args args;
    int64_t *chosen = NULL, n = 0;
    bool labelled = true;
    if (limit == 0 || (int64_t)l->n <= limit)
        return OCT_OK;
    int32_t *label = oct_alloc_array(a->ctx, l->n, sizeof *label);
    if (label == NULL)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < l->n; i++) {
        label[i] = l->item[i].label;
        labelled = labelled && label[i] != OCT_LABEL_NONE;
    }
    oct_status st = init_args(a, false, &args);
    args.options.subset.limit = limit;
    if (st == OCT_OK)
        st = oct_subset_choose(a->ctx, &args.options.subset, (int64_t)l->n, labelled ? label : NULL,
                               &chosen, &n);
    for (int64_t i = 0; st == OCT_OK && i < n; i++)
        l->item[i] = l->item[chosen[i]];
    if (st == OCT_OK)
        l->n = (size_t)n;
    oct_dataset_args_deinit(&args);
    oct_free(a->ctx, chosen);
    oct_free(a->ctx, label);
    return st;
}

static oct_status copy_items(oct_auto *a, const oct_listing *from, oct_listing *to)
{
    *to = (oct_listing){.ctx = a->ctx, .n = from->n};
    to->item = oct_alloc_array(a->ctx, from->n, sizeof *to->item);
    if (to->item == NULL)
        return OCT_ERR_NOMEM;
    memcpy(to->item, from->item, from->n * sizeof *to->item);
    return OCT_OK;
}

/* One data set for both purposes: the fixed rule, or for a handful of pictures the least ids. */
static oct_status divide_one(oct_auto *a, oct_listing *calib, oct_listing *test)
{
    size_t n_calib = 0, n_test = 0;
    bool *calibrates = oct_zalloc_array(a->ctx, calib->n, sizeof *calibrates);
    bool *tests = oct_zalloc_array(a->ctx, calib->n, sizeof *tests);
    oct_status st = calibrates != NULL && tests != NULL ? OCT_OK : OCT_ERR_NOMEM;
    for (size_t i = 0; st == OCT_OK && i < calib->n; i++) {
        const oct_listing_item *it = &calib->item[i];
        calibrates[i] = it->readable && oct_listing_calibrates(&it->id);
        n_calib += calibrates[i];
        n_test += it->readable && !calibrates[i];
    }
    if (st == OCT_OK && (n_calib == 0 || n_test == 0)) {
        const size_t n = (n_calib + n_test) / OCT_LISTING_SPLIT;
        st = oct_listing_hold_back(calib, n > 0 ? n : 1, calibrates, &n_calib);
    }
    if (st == OCT_OK && n_calib == 0)
        st = oct_fail(a->ctx, OCT_ERR_USAGE,
                      "%s has no two different pictures: one part has to calibrate and the other "
                      "to judge; give --test IMAGES",
                      a->calib_path);
    for (size_t i = 0; st == OCT_OK && i < calib->n; i++)
        tests[i] = calib->item[i].readable && !calibrates[i];
    if (st == OCT_OK)
        st = copy_items(a, calib, test);
    if (st == OCT_OK) {
        filter(test, tests);
        filter(calib, calibrates);
        const int64_t limit = oct_cli_s64(a->cli, "limit");
        st = limit_to(a, calib, limit > 0 ? limit : MAX_CALIBRATION);
    }
    if (st == OCT_OK)
        st = limit_to(a, test, oct_cli_s64(a->cli, "test-limit"));
    oct_free(a->ctx, calibrates);
    oct_free(a->ctx, tests);
    return st;
}

/* Two data sets: what is in both only tests. */
static oct_status drop_shared(oct_auto *a, oct_listing *calib, const oct_listing *test)
{
    oct_listing sorted = {0};
    bool *keep = oct_zalloc_array(a->ctx, calib->n, sizeof *keep);
    oct_status st = keep != NULL ? copy_items(a, test, &sorted) : OCT_ERR_NOMEM;
    size_t n_kept = 0;
    if (st == OCT_OK)
        oct_listing_sort(&sorted);
    for (size_t i = 0; st == OCT_OK && i < calib->n; i++) {
        const bool shared = oct_listing_has(&sorted, &calib->item[i].id);
        a->n_shared += shared;
        keep[i] = calib->item[i].readable && !shared;
        n_kept += keep[i];
    }
    if (st == OCT_OK && n_kept == 0)
        st = oct_fail(a->ctx, OCT_ERR_USAGE,
                      "every picture of %s is in %s too: pictures that judge cannot calibrate; "
                      "without --test one folder is divided",
                      a->calib_path, a->test_path);
    if (st == OCT_OK)
        filter(calib, keep);
    if (st == OCT_OK && a->n_shared > 0)
        oct_log(a->ctx, OCT_LOG_WARN,
                "%zu pictures are in both %s and %s: they judge and do not calibrate", a->n_shared,
                a->calib_path, a->test_path);
    oct_listing_deinit(&sorted);
    oct_free(a->ctx, keep);
    return st;
}

/* ---- parts ------------------------------------------------------------------------------- */

static oct_status make_part(oct_auto *a, oct_auto_part_id id, const oct_listing *l,
                            const bool *marks, bool mark)
{
    oct_auto_part *p = &a->part[id];
    p->order = oct_alloc_array(a->ctx, l->n + 1, sizeof *p->order);
    if (p->order == NULL)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < l->n; i++) {
        char hex[OCT_SHA256_HEX_BYTES];
        const oct_listing_item *it = &l->item[i];
        if (!it->readable || (marks != NULL && marks[i] != mark))
            continue;
        p->order[p->n++] = it->index;
        oct_strbuf_addf(&a->images, "%s %s", part_name[id], oct_sha256_hex(&it->id, hex));
        if (id == OCT_AUTO_TEST && it->label != OCT_LABEL_NONE) {
            oct_strbuf_addf(&a->images, " %d", (int)it->label);
            a->has_labels = true;
        }
        oct_strbuf_add(&a->images, "\n");
    }
    return OCT_OK;
}

/* Evenly spaced ones of those that judge. */
static oct_status make_layers_part(oct_auto *a)
{
    const oct_auto_part *test = &a->part[OCT_AUTO_TEST];
    oct_auto_part *p = &a->part[OCT_AUTO_LAYERS];
    p->n = test->n < MAX_LAYERS ? test->n : MAX_LAYERS;
    p->order = oct_alloc_array(a->ctx, (size_t)p->n + 1, sizeof *p->order);
    if (p->order == NULL)
        return OCT_ERR_NOMEM;
    for (int64_t i = 0; i < p->n; i++)
        p->order[i] = test->order[i * test->n / p->n];
    return OCT_OK;
}

static oct_status make_parts(oct_auto *a, const oct_listing *calib, const oct_listing *test)
{
    size_t n_held = 0;
    size_t want = calib->n / HELD_BACK_SHARE;
    want = want < 1 ? 1 : want > MAX_HELD_BACK ? MAX_HELD_BACK : want;
    bool *held = oct_zalloc_array(a->ctx, calib->n, sizeof *held);
    oct_status st =
        held != NULL ? oct_listing_hold_back(calib, want, held, &n_held) : OCT_ERR_NOMEM;
    if (st == OCT_OK)
        st = make_part(a, OCT_AUTO_HELD_IN, calib, held, false);
    if (st == OCT_OK)
        st = make_part(a, OCT_AUTO_HELD_BACK, calib, held, true);
    if (st == OCT_OK)
        st = make_part(a, OCT_AUTO_TEST, test, NULL, false);
    if (st == OCT_OK)
        st = make_layers_part(a);
    a->chooses_on_all = n_held == 0;
    oct_free(a->ctx, held);
    if (st == OCT_OK && (a->part[OCT_AUTO_HELD_IN].n == 0 || a->part[OCT_AUTO_TEST].n == 0))
        st = oct_fail(a->ctx, OCT_ERR_NOT_FOUND, "%s: no picture can be read",
                      a->part[OCT_AUTO_TEST].n == 0 ? a->test_path : a->calib_path);
    return st;
}

oct_status oct_auto_divide(oct_auto *a)
{
    oct_listing calib = {0}, test = {0};
    oct_strbuf_add(&a->images, "# part, SHA-256 of the file (or the tensor's bytes), class\n");
    oct_status st = list(a, false, &calib);
    if (st == OCT_OK && !a->divided)
        st = list(a, true, &test);
    if (st == OCT_OK)
        st = a->divided ? divide_one(a, &calib, &test) : drop_shared(a, &calib, &test);
    if (st == OCT_OK)
        st = make_parts(a, &calib, &test);
    oct_listing_deinit(&calib);
    oct_listing_deinit(&test);
    return st == OCT_OK ? oct_strbuf_status(&a->images) : st;
}

void oct_auto_parts_deinit(oct_auto *a)
{
    for (int i = 0; i < OCT_AUTO_PART_COUNT; i++)
        oct_free(a->ctx, a->part[i].order);
}

void oct_auto_images_options(oct_auto *a, oct_strbuf *b)
{
    oct_strbuf_add(b, a->images.text);
}

oct_status oct_auto_images(oct_auto *a)
{
    return oct_auto_write(a, OCT_AUTO_IMAGES, &a->images);
}
