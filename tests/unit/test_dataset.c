/* SPDX-License-Identifier: Apache-2.0
 *
 * labels: threads
 * Folders, lists and arrays as batch sources, on a small tree of PNG files made here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/parallel.h"
#include "datasets/dataset.h"
#include "datasets/npz.h"
#include "datasets/presets.h"

#define N_GOOD 23
#define N_CLASSES 3

typedef struct fixture {
    oct_ctx *ctx;
    char dir[64], path[160];
} fixture;

static const oct_input_spec image_input = {"input", OCT_DT_F32, {{-1, 3, 8, 8}, 4}};

static const char *at(fixture *f, const char *name)
{
    snprintf(f->path, sizeof f->path, "%s/%s", f->dir, name);
    return f->path;
}

static void write_text(fixture *f, const char *name, const char *text)
{
    assert_int_equal(oct_file_write(f->ctx, at(f, name), text, strlen(text), true), OCT_OK);
}

static void make_pictures(fixture *f)
{
    oct_image im = {0};
    for (int i = 0; i < N_GOOD; i++) {
        char name[64];
        snprintf(name, sizeof name, "img/c%d", i % N_CLASSES);
        assert_int_equal(oct_path_make_dir(f->ctx, at(f, name)), OCT_OK);
        assert_int_equal(oct_image_reserve(f->ctx, &im, 8 + i % 5, 8 + i % 3, 3), OCT_OK);
        for (size_t k = 0; k < (size_t)(im.width * im.height * 3); k++)
            im.data[k] = (uint8_t)(k * 7 + (size_t)i * 11);
        snprintf(name, sizeof name, "img/c%d/%02d.png", i % N_CLASSES, i);
        assert_int_equal(oct_image_write_png(f->ctx, at(f, name), &im, true), OCT_OK);
    }
    oct_image_deinit(f->ctx, &im);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/octet_dataset_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(oct_ctx_new(NULL, &f->ctx), OCT_OK);
    make_pictures(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    char cmd[160];
    snprintf(cmd, sizeof cmd, "rm -rf %s", f->dir);
    assert_int_equal(system(cmd), 0);
    oct_ctx_free(f->ctx);
    free(f);
    return 0;
}

static oct_dataset_options options(fixture *f, const char *name, oct_preprocess *p)
{
    const oct_image_input in = oct_image_input_of(&image_input.shape);
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    assert_int_equal(oct_preset_apply(f->ctx, "imagenet", &in, p), OCT_OK);
    p->resize_short = 9;
    return (oct_dataset_options){
        .path = path, .preprocess = p, .input = &image_input, .n_inputs = 1, .batch = 4};
}

/* Everything a source delivers, as one hash; closes it. */
static oct_sha256 digest(fixture *f, oct_batch_source *s, int *n_samples)
{
    oct_sha256_stream *h;
    oct_sha256 out;
    const oct_batch *b;
    *n_samples = 0;
    assert_int_equal(oct_sha256_begin(f->ctx, &h), OCT_OK);
    for (;;) {
        assert_int_equal(s->vt->next(s, f->ctx, &b), OCT_OK);
        if (b == NULL)
            break;
        size_t n;
        assert_true(oct_tensor_desc_bytes(&b->input[0].desc, &n));
        oct_sha256_update(h, b->input[0].data, n);
        for (int i = 0; i < b->n_samples; i++) {
            oct_sha256_update(h, b->sample[i].name, strlen(b->sample[i].name));
            oct_sha256_update(h, &b->sample[i].id, sizeof b->sample[i].id);
            oct_sha256_update(h, &b->sample[i].label, sizeof b->sample[i].label);
        }
        *n_samples += b->n_samples;
        s->vt->release(s, b);
    }
    oct_sha256_end(h, &out);
    return out;
}

static void bytes_do_not_depend_on_threads(void **state)
{
    fixture *f = *state;
    static const int threads[] = {0, 1, 2, 8};
    oct_sha256 first;
    for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
        oct_preprocess p;
        oct_dataset_options o = options(f, "img", &p);
        oct_batch_source *s;
        int n;
        o.n_threads = threads[t];
        o.queue = 1 + (int)t;
        assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_OK);
        assert_int_equal(s->vt->n_samples(s), N_GOOD);
        for (int round = 0; round < 3; round++) {
            const oct_sha256 d = digest(f, s, &n);
            assert_int_equal(n, N_GOOD);
            if (t == 0 && round == 0)
                first = d;
            assert_int_equal(oct_sha256_cmp(&d, &first), 0);
            assert_int_equal(s->vt->rewind(s, f->ctx), OCT_OK);
        }
        s->vt->close(s);
    }
}

typedef struct consumers {
    oct_batch_source *s;
    uint8_t seen[8][N_GOOD];
} consumers;

static oct_status consume(void *user, oct_ctx *ctx, int worker)
{
    consumers *c = user;
    const oct_batch *b;
    for (;;) {
        OCT_TRY(c->s->vt->next(c->s, ctx, &b));
        if (b == NULL)
            return OCT_OK;
        for (int i = 0; i < b->n_samples; i++)
            c->seen[worker][b->sample[i].index]++;
        c->s->vt->release(c->s, b);
    }
}

static void several_callers_get_every_sample_once(void **state)
{
    fixture *f = *state;
    for (int threads = 0; threads <= 2; threads += 2) {
        oct_preprocess p;
        oct_dataset_options o = options(f, "img", &p);
        consumers c = {0};
        o.n_threads = threads;
        assert_int_equal(oct_dataset_open(f->ctx, &o, &c.s), OCT_OK);
        assert_int_equal(oct_run_workers(f->ctx, 4, 1, consume, &c), OCT_OK);
        for (int i = 0; i < N_GOOD; i++)
            assert_int_equal(c.seen[0][i] + c.seen[1][i] + c.seen[2][i] + c.seen[3][i], 1);
        c.s->vt->close(c.s);
    }
}

static void a_source_closes_in_the_middle(void **state)
{
    fixture *f = *state;
    for (int threads = 0; threads <= 3; threads++) {
        oct_preprocess p;
        oct_dataset_options o = options(f, "img", &p);
        oct_batch_source *s;
        const oct_batch *b;
        o.n_threads = threads;
        assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_OK);
        assert_int_equal(s->vt->next(s, f->ctx, &b), OCT_OK);
        s->vt->release(s, b);
        s->vt->close(s);
    }
}

static void the_last_batch_is_padded_with_zeros_and_says_so(void **state)
{
    fixture *f = *state;
    oct_preprocess p;
    oct_dataset_options o = options(f, "img", &p);
    oct_batch_source *s;
    const oct_batch *b = NULL;
    assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_OK);
    for (int k = 0; k < 6; k++) {
        assert_int_equal(s->vt->next(s, f->ctx, &b), OCT_OK);
        assert_int_equal(b->index, k);
        assert_int_equal(b->n_samples, k < 5 ? 4 : 3);
        assert_int_equal(b->input[0].desc.shape.dim[0], 4);
        if (k < 5)
            s->vt->release(s, b);
    }
    const float *x = b->input[0].data;
    for (int i = 3 * 192; i < 4 * 192; i++)
        assert_true(x[i] == 0);
    s->vt->release(s, b);
    s->vt->close(s);
}

static void class_folders_give_labels_in_sorted_order(void **state)
{
    fixture *f = *state;
    oct_preprocess p;
    oct_dataset_options o = options(f, "img", &p);
    oct_batch_source *s;
    const oct_batch *b;
    oct_dataset_info info;
    o.label_offset = 1;
    assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_OK);
    oct_dataset_get_info(s, &info);
    assert_int_equal(info.n_classes, N_CLASSES);
    assert_string_equal(info.class_name[1], "c1");
    for (;;) {
        assert_int_equal(s->vt->next(s, f->ctx, &b), OCT_OK);
        if (b == NULL)
            break;
        for (int i = 0; i < b->n_samples; i++)
            assert_int_equal(b->sample[i].label, b->sample[i].name[1] - '0' + 1);
        s->vt->release(s, b);
    }
    s->vt->close(s);
}

static void special_files_and_link_circles_are_counted_not_opened(void **state)
{
    fixture *f = *state;
    char target[160];
    oct_preprocess p;
    oct_batch_source *s;
    oct_dataset_info info;
    int n;
    assert_int_equal(mkfifo(at(f, "img/c0/pipe.png"), 0600), 0);
    snprintf(target, sizeof target, "%s/img", f->dir);
    assert_int_equal(symlink(target, at(f, "img/c1/back")), 0);
    assert_int_equal(symlink("nowhere", at(f, "img/c1/dangling.png")), 0);
    write_text(f, "img/notes.txt", "hello");
    oct_dataset_options o = options(f, "img", &p);
    assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_OK);
    oct_dataset_get_info(s, &info);
    assert_int_equal(info.n_found, N_GOOD);
    assert_int_equal(info.n_special, 2);
    assert_int_equal(info.n_loops, 1);
    assert_int_equal(info.n_other, 1);
    digest(f, s, &n);
    s->vt->close(s);
    unlink(at(f, "img/c0/pipe.png"));
    unlink(at(f, "img/c1/back"));
    unlink(at(f, "img/c1/dangling.png"));
    unlink(at(f, "img/notes.txt"));
}

static void unreadable_files_are_listed_or_fatal(void **state)
{
    fixture *f = *state;
    oct_preprocess p;
    oct_batch_source *s;
    int n;
    write_text(f, "img/c0/00a.png", "not a picture");
    write_text(f, "img/c2/99.jpg", "");
    for (int threads = 0; threads <= 4; threads += 2) {
        const oct_skip *skip;
        const oct_batch *b;
        oct_dataset_options o = options(f, "img", &p);
        o.n_threads = threads;
        o.skip_bad = true;
        o.max_skip_percent = 10;
        assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_OK);
        digest(f, s, &n);
        assert_int_equal(n, N_GOOD);
        assert_int_equal(s->vt->skipped(s, &skip), 2);
        assert_string_equal(skip[0].name, "c0/00a.png");
        assert_non_null(strstr(skip[0].reason, "neither JPEG nor PNG"));
        assert_string_equal(skip[1].name, "c2/99.jpg");
        s->vt->close(s);
        o.max_skip_percent = 1;
        assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_OK);
        assert_int_equal(s->vt->next(s, f->ctx, &b), OCT_ERR_FORMAT);
        assert_non_null(strstr(oct_error_text(f->ctx), "more than 1 %"));
        oct_error_clear(f->ctx);
        s->vt->close(s);
        o.skip_bad = false;
        assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_OK);
        assert_int_equal(s->vt->next(s, f->ctx, &b), OCT_ERR_UNSUPPORTED);
        assert_non_null(strstr(oct_error_text(f->ctx), "c0/00a.png"));
        oct_error_clear(f->ctx);
        s->vt->close(s);
    }
    unlink(at(f, "img/c0/00a.png"));
    unlink(at(f, "img/c2/99.jpg"));
}

static void a_list_gives_the_same_pictures(void **state)
{
    fixture *f = *state;
    oct_preprocess p;
    oct_batch_source *s;
    char list[4096] = "# comment\n\n";
    int n, m;
    oct_dataset_options o = options(f, "img", &p);
    assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_OK);
    const oct_sha256 want = digest(f, s, &n);
    s->vt->close(s);
    for (int c = 0; c < N_CLASSES; c++)
        for (int i = c; i < N_GOOD; i += N_CLASSES)
            snprintf(list + strlen(list), sizeof list - strlen(list), "c%d/%02d.png\t%d\r\n", c, i,
                     c);
    write_text(f, "img/list.txt", list);
    o = options(f, "img/list.txt", &p);
    assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_OK);
    const oct_sha256 got = digest(f, s, &m);
    assert_int_equal(m, n);
    assert_int_equal(oct_sha256_cmp(&got, &want), 0);
    s->vt->close(s);
    unlink(at(f, "img/list.txt"));
}

static void preprocessing_is_never_guessed(void **state)
{
    fixture *f = *state;
    oct_preprocess p;
    oct_batch_source *s;
    oct_dataset_options o = options(f, "img", &p);
    o.preprocess = NULL;
    assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_ERR_USAGE);
    assert_non_null(strstr(oct_error_text(f->ctx), "--preset"));
    oct_error_clear(f->ctx);
    o = options(f, "nowhere", &p);
    assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_ERR_NOT_FOUND);
    oct_error_clear(f->ctx);
}

static void other_inputs_are_constants_or_an_error(void **state)
{
    fixture *f = *state;
    const oct_input_spec inputs[3] = {
        {"ids", OCT_DT_S64, {{-1, 5}, 2}}, image_input, {"size", OCT_DT_F32, {{1, 2}, 2}}};
    const float size[2] = {8, 9};
    const oct_shape shape = {{1, 2}, 2};
    char value[160];
    oct_preprocess p;
    oct_batch_source *s;
    const oct_batch *b;
    oct_dataset_options o = options(f, "img", &p);
    snprintf(value, sizeof value, "%s/size.npy", f->dir);
    assert_int_equal(oct_npy_write(f->ctx, value, OCT_DT_F32, &shape, size, true), OCT_OK);
    const oct_set_input set[2] = {{"ids", "42"}, {"size", value}};
    o.input = inputs;
    o.n_inputs = 3;
    assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_ERR_USAGE);
    assert_non_null(strstr(oct_error_text(f->ctx), "--set-input ids="));
    oct_error_clear(f->ctx);
    o.set = set;
    o.n_set = 2;
    assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_OK);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(s->vt->next(s, f->ctx, &b), OCT_OK);
        assert_int_equal(b->n_inputs, 3);
        assert_int_equal(b->input[0].desc.shape.dim[0], 4);
        for (int i = 0; i < 20; i++)
            assert_int_equal(((const int64_t *)b->input[0].data)[i], 42);
        assert_memory_equal(b->input[2].data, size, sizeof size);
        s->vt->release(s, b);
    }
    s->vt->close(s);
}

static void arrays_feed_inputs_row_by_row(void **state)
{
    fixture *f = *state;
    float x[5 * 6];
    int64_t y[5];
    for (int i = 0; i < 30; i++)
        x[i] = (float)i;
    for (int i = 0; i < 5; i++)
        y[i] = 100 + i;
    const oct_npz_member m[2] = {{"x", OCT_DT_F32, {{5, 2, 3}, 3}, x},
                                 {"y", OCT_DT_S64, {{5}, 1}, y}};
    const oct_input_spec inputs[2] = {{"x", OCT_DT_F32, {{-1, 2, 3}, 3}},
                                      {"y", OCT_DT_S64, {{-1}, 1}}};
    oct_batch_source *s;
    const oct_batch *b;
    assert_int_equal(oct_npz_write(f->ctx, at(f, "a.npz"), m, 2, true), OCT_OK);
    oct_dataset_options o = {.path = f->path, .input = inputs, .n_inputs = 2, .batch = 2};
    assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_OK);
    assert_int_equal(s->vt->n_samples(s), 5);
    for (int k = 0; k < 3; k++) {
        assert_int_equal(s->vt->next(s, f->ctx, &b), OCT_OK);
        assert_memory_equal(b->input[0].data, x + 12 * k, sizeof(float) * 6 * (size_t)b->n_samples);
        assert_memory_equal(b->input[1].data, y + 2 * k, sizeof(int64_t) * (size_t)b->n_samples);
        assert_string_equal(b->sample[0].name, k == 0 ? "#0" : k == 1 ? "#2" : "#4");
        s->vt->release(s, b);
    }
    s->vt->close(s);
    const oct_shape shape = {{5, 2, 3}, 3};
    assert_int_equal(oct_npy_write(f->ctx, at(f, "x.npy"), OCT_DT_F32, &shape, x, true), OCT_OK);
    o.n_inputs = 1;
    assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_OK);
    assert_int_equal(s->vt->next(s, f->ctx, &b), OCT_OK);
    assert_memory_equal(b->input[0].data, x, sizeof(float) * 12);
    s->vt->release(s, b);
    s->vt->close(s);
    const oct_input_spec other = {"x", OCT_DT_F32, {{-1, 3, 3}, 3}};
    o.input = &other;
    assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_ERR_SHAPE);
    oct_error_clear(f->ctx);
}

static void memory_does_not_grow_with_the_data_set(void **state)
{
    fixture *f = *state;
    size_t after[2];
    for (int round = 0; round < 2; round++) {
        oct_preprocess p;
        oct_batch_source *s;
        int n;
        oct_dataset_options o = options(f, "img", &p);
        o.n_threads = 2;
        assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_OK);
        for (int k = 0; k < (round == 0 ? 2 : 50); k++) {
            digest(f, s, &n);
            assert_int_equal(s->vt->rewind(s, f->ctx), OCT_OK);
        }
        after[round] = oct_mem_now(f->ctx);
        s->vt->close(s);
    }
    assert_true(after[1] <= after[0] + 65536);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_do_not_depend_on_threads),
        cmocka_unit_test(several_callers_get_every_sample_once),
        cmocka_unit_test(a_source_closes_in_the_middle),
        cmocka_unit_test(the_last_batch_is_padded_with_zeros_and_says_so),
        cmocka_unit_test(class_folders_give_labels_in_sorted_order),
        cmocka_unit_test(special_files_and_link_circles_are_counted_not_opened),
        cmocka_unit_test(unreadable_files_are_listed_or_fatal),
        cmocka_unit_test(a_list_gives_the_same_pictures),
        cmocka_unit_test(preprocessing_is_never_guessed),
        cmocka_unit_test(other_inputs_are_constants_or_an_error),
        cmocka_unit_test(arrays_feed_inputs_row_by_row),
        cmocka_unit_test(memory_does_not_grow_with_the_data_set),
    };
    return cmocka_run_group_tests_name("dataset", tests, set_up, tear_down);
}
