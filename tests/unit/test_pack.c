/* SPDX-License-Identifier: Apache-2.0
 *
 * labels: threads
 * Packs: folder -> file -> batches, damaged files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "datasets/pack.h"
#include "datasets/presets.h"

#define N 11

typedef struct fixture {
    oct_ctx *ctx;
    char dir[64], path[160];
    oct_preprocess spec;
    char *json;
} fixture;

static const oct_input_spec input = {"input", OCT_DT_F32, {{-1, 3, 16, 16}, 4}};

static const char *at(fixture *f, const char *name)
{
    snprintf(f->path, sizeof f->path, "%s/%s", f->dir, name);
    return f->path;
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    oct_image im = {0};
    const oct_image_input in = oct_image_input_of(&input.shape);
    snprintf(f->dir, sizeof f->dir, "/tmp/octet_pack_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(oct_ctx_new(NULL, &f->ctx), OCT_OK);
    for (int i = 0; i < N; i++) {
        char name[64];
        snprintf(name, sizeof name, "img/%c", "ab"[i % 2]);
        assert_int_equal(oct_path_make_dir(f->ctx, at(f, name)), OCT_OK);
        assert_int_equal(oct_image_reserve(f->ctx, &im, 20 + i, 30 - i, 3), OCT_OK);
        for (size_t k = 0; k < (size_t)(im.width * im.height * 3); k++)
            im.data[k] = (uint8_t)(k * k / 7 + (size_t)i);
        snprintf(name, sizeof name, "img/%c/%d.png", "ab"[i % 2], i);
        assert_int_equal(oct_image_write_png(f->ctx, at(f, name), &im, true), OCT_OK);
    }
    oct_image_deinit(f->ctx, &im);
    assert_int_equal(oct_preset_apply(f->ctx, "caffe-bgr", &in, &f->spec), OCT_OK);
    assert_int_equal(oct_preprocess_to_json(f->ctx, &f->spec, &f->json), OCT_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    char cmd[160];
    snprintf(cmd, sizeof cmd, "rm -rf %s", f->dir);
    assert_int_equal(system(cmd), 0);
    oct_free(f->ctx, f->json);
    oct_ctx_free(f->ctx);
    free(f);
    return 0;
}

static oct_batch_source *open_source(fixture *f, const char *name, const oct_preprocess *spec,
                                     const oct_input_spec *in, int threads)
{
    oct_batch_source *s;
    const oct_dataset_options o = {.path = at(f, name),
                                   .preprocess = spec,
                                   .input = in,
                                   .n_inputs = 1,
                                   .batch = 4,
                                   .n_threads = threads};
    if (oct_dataset_open(f->ctx, &o, &s) != OCT_OK)
        fail_msg("%s", oct_error_text(f->ctx));
    return s;
}

static void write_pack(fixture *f, const char *name, bool pixels)
{
    oct_preprocess spec = f->spec;
    oct_input_spec in = input;
    oct_pack_layout layout = {
        .pixels = pixels, .preprocess_json = f->json, .row = {{3, 16, 16}, 3}};
    oct_pack_writer *w;
    const oct_batch *b;
    oct_dataset_info info;
    if (pixels) {
        spec.scale = 1;
        spec.color = OCT_COLOR_RGB;
        spec.channels_last = true;
        memset(spec.mean, 0, sizeof spec.mean);
        in.dtype = OCT_DT_U8;
        in.shape = (oct_shape){{-1, 16, 16, 3}, 4};
        layout.row = (oct_shape){{16, 16, 3}, 3};
    }
    oct_batch_source *s = open_source(f, "img", &spec, &in, 0);
    oct_dataset_get_info(s, &info);
    layout.class_name = info.class_name;
    layout.n_classes = info.n_classes;
    assert_int_equal(oct_pack_create(f->ctx, at(f, name), true, &layout, &w), OCT_OK);
    while (s->vt->next(s, f->ctx, &b) == OCT_OK && b != NULL) {
        const size_t row = 16 * 16 * 3 * (pixels ? 1 : sizeof(float));
        for (int i = 0; i < b->n_samples; i++)
            assert_int_equal(oct_pack_append(w, (const uint8_t *)b->input[0].data + (size_t)i * row,
                                             &b->sample[i]),
                             OCT_OK);
        s->vt->release(s, b);
    }
    s->vt->close(s);
    assert_int_equal(oct_pack_commit(w), OCT_OK);
}

static void a_pack_gives_the_batches_of_its_folder(void **state)
{
    fixture *f = *state;
    for (int pixels = 0; pixels < 2; pixels++)
        for (int threads = 0; threads <= 3; threads += 3) {
            write_pack(f, "p.h5", pixels != 0);
            oct_batch_source *a = open_source(f, "img", &f->spec, &input, threads);
            oct_batch_source *b =
                open_source(f, "p.h5", threads ? &f->spec : NULL, &input, threads);
            const oct_batch *x, *y;
            oct_dataset_info info;
            oct_dataset_get_info(b, &info);
            assert_int_equal(info.n_classes, 2);
            assert_string_equal(info.class_name[1], "b");
            assert_string_equal(a->vt->preprocess_json(a), b->vt->preprocess_json(b));
            for (;;) {
                assert_int_equal(a->vt->next(a, f->ctx, &x), OCT_OK);
                assert_int_equal(b->vt->next(b, f->ctx, &y), OCT_OK);
                assert_int_equal(x == NULL, y == NULL);
                if (x == NULL)
                    break;
                assert_int_equal(x->n_samples, y->n_samples);
                assert_memory_equal(x->input[0].data, y->input[0].data, 4 * 3 * 16 * 16 * 4);
                for (int i = 0; i < x->n_samples; i++) {
                    const oct_sample *p = &x->sample[i], *q = &y->sample[i];
                    assert_string_equal(p->name, q->name);
                    assert_int_equal(oct_sha256_cmp(&p->id, &q->id), 0);
                    assert_true(p->label == q->label && p->width == q->width &&
                                p->height == q->height && p->index == q->index);
                    assert_true(p->ratio_x == q->ratio_x && p->offset_y == q->offset_y);
                }
                a->vt->release(a, x);
                b->vt->release(b, y);
            }
            a->vt->close(a);
            b->vt->close(b);
        }
}

static void the_same_folder_gives_the_same_pack(void **state)
{
    fixture *f = *state;
    uint8_t *a, *b;
    size_t n, m;
    write_pack(f, "p.h5", true);
    write_pack(f, "q.h5", true);
    assert_int_equal(oct_file_read(f->ctx, at(f, "p.h5"), 0, &a, &n), OCT_OK);
    assert_int_equal(oct_file_read(f->ctx, at(f, "q.h5"), 0, &b, &m), OCT_OK);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    oct_free(f->ctx, a);
    oct_free(f->ctx, b);
}

static void other_preprocessing_is_refused(void **state)
{
    fixture *f = *state;
    oct_preprocess other = f->spec;
    oct_batch_source *s;
    other.exif = !other.exif;
    write_pack(f, "p.h5", true);
    const oct_dataset_options o = {
        .path = at(f, "p.h5"), .preprocess = &other, .input = &input, .n_inputs = 1};
    assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_ERR_USAGE);
    oct_error_clear(f->ctx);
}

/* Without the fsync of oct_file_write(). */
static void put_file(const char *path, const uint8_t *data, size_t n)
{
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, n, out), n);
    fclose(out);
}

static void damaged_packs_are_refused_before_hdf5_sees_them(void **state)
{
    fixture *f = *state;
    uint8_t *a;
    size_t n;
    write_pack(f, "p.h5", true);
    assert_int_equal(oct_file_read(f->ctx, at(f, "p.h5"), 0, &a, &n), OCT_OK);
    for (size_t k = 0; k < n; k += k < 600 ? 7 : 997) {
        oct_batch_source *s;
        const oct_dataset_options o = {.path = at(f, "bad.h5"), .input = &input, .n_inputs = 1};
        a[k] ^= 0x10;
        put_file(f->path, a, n);
        const oct_status flipped = oct_dataset_open(f->ctx, &o, &s);
        assert_true(flipped == OCT_ERR_FORMAT || flipped == OCT_ERR_VERSION);
        oct_error_clear(f->ctx);
        a[k] ^= 0x10;
        put_file(f->path, a, k);
        assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_ERR_FORMAT);
        oct_error_clear(f->ctx);
    }
    oct_free(f->ctx, a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pack_gives_the_batches_of_its_folder),
        cmocka_unit_test(the_same_folder_gives_the_same_pack),
        cmocka_unit_test(other_preprocessing_is_refused),
        cmocka_unit_test(damaged_packs_are_refused_before_hdf5_sees_them),
    };
    return cmocka_run_group_tests_name("pack", tests, set_up, tear_down);
}
