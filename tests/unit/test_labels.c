/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "datasets/coco.h"
#include "datasets/labels.h"
#include "datasets/subset.h"

static const char *const pictures[] = {"a/x_00000002.jpg", "a/y_00000001.jpg", "b/z_3.png"};

static const char *picture(const void *user, int64_t i)
{
    (void)user;
    return pictures[i];
}

static const oct_label_names names = {3, picture, NULL};

static int with_ctx(void **state)
{
    return oct_ctx_new(NULL, (oct_ctx **)state) == OCT_OK ? 0 : -1;
}

static int without_ctx(void **state)
{
    oct_ctx_free(*state);
    return 0;
}

static oct_status parse(oct_ctx *ctx, const char *text, int32_t label[3])
{
    oct_error_clear(ctx);
    return oct_labels_parse_list(ctx, "l.txt", text, strlen(text), &names, label);
}

static void lists_are_read_by_path_by_name_and_by_order(void **state)
{
    int32_t l[3];
    assert_int_equal(parse(*state, "a/x_00000002.jpg 5\nz_3.png,7\n# no\n./a/y_00000001.jpg\t6", l),
                     0);
    assert_true(l[0] == 5 && l[1] == 6 && l[2] == 7);
    assert_int_equal(parse(*state, "3\r\n\n1\n2\n", l), 0);
    assert_true(l[0] == 3 && l[1] == 1 && l[2] == 2);
    assert_int_equal(parse(*state, "x_00000002.jpg 5\nother.jpg 9\n", l), OCT_ERR_USAGE);
    assert_non_null(strstr(oct_error_text(*state), "2 of 3"));
    assert_int_equal(parse(*state, "1\n2\n", l), OCT_ERR_USAGE);
    assert_int_equal(parse(*state, "x_00000002.jpg five\n", l), OCT_ERR_FORMAT);
    assert_non_null(strstr(oct_error_text(*state), "l.txt:1"));
    assert_int_equal(parse(*state, "z_3.png 1\nz_3.png 2\n", l), OCT_ERR_FORMAT);
    oct_error_clear(*state);
}

static void ilsvrc_ids_go_through_the_map(void **state)
{
    int32_t l[3];
    const char *gt = "1\n2\n3\n";
    /* sorted synsets: n01 (id 2) = 0, n02 (id 3) = 1, n09 (id 1) = 2 */
    const char *maps[] = {"1 n09 tench\n2 n01 goldfish\n3 n02\n", "n09\nn01\nn02\n"};
    for (int k = 0; k < 2; k++) {
        assert_int_equal(oct_labels_parse_ilsvrc(*state, "gt", gt, strlen(gt), "map", maps[k],
                                                 strlen(maps[k]), &names, l),
                         OCT_OK);
        assert_true(l[0] == 0 && l[1] == 2 && l[2] == 1);
    }
    assert_int_equal(
        oct_labels_parse_ilsvrc(*state, "gt", "1\n", 2, "map", maps[0], strlen(maps[0]), &names, l),
        OCT_ERR_USAGE);
    oct_error_clear(*state);
    assert_int_equal(
        oct_labels_parse_ilsvrc(*state, "gt", gt, strlen(gt), "map", "1 n1\n1 n2\n", 10, &names, l),
        OCT_ERR_FORMAT);
    oct_error_clear(*state);
}

static void coco_ids_become_80_classes(void **state)
{
    (void)state;
    int n = 0;
    for (int64_t id = -1; id <= 92; id++)
        if (oct_coco_index_of_category(id) >= 0)
            assert_int_equal(oct_coco_index_of_category(id), n++);
    assert_int_equal(n, 80);
    assert_int_equal(oct_coco_index_of_category(13), 11);
    assert_int_equal(oct_coco_index_of_category(90), 79);
}

static void coco_boxes_are_found_by_picture(void **state)
{
    const char *text =
        "{\"images\":[{\"id\":7,\"file_name\":\"b.jpg\"},{\"id\":3,\"file_name\":\"d/a.jpg\"}],"
        "\"categories\":[{\"id\":18,\"name\":\"dog\"},{\"id\":1,\"name\":\"person\"}],"
        "\"annotations\":[{\"id\":1,\"image_id\":7,\"category_id\":18,\"bbox\":[1,2,3,4]},"
        "{\"id\":2,\"image_id\":3,\"category_id\":1,\"bbox\":[0,0,9,9],\"area\":5.5,\"iscrowd\":1},"
        "{\"id\":3,\"image_id\":7,\"category_id\":1,\"bbox\":[5,6,7,8]}]}";
    oct_coco *c;
    size_t n;
    assert_int_equal(oct_coco_parse(*state, "t", text, strlen(text), &c), OCT_OK);
    assert_int_equal(oct_coco_n_classes(c), 80);
    assert_string_equal(oct_coco_class_name(c, 16), "dog");
    assert_int_equal(oct_coco_category_id(c, 16), 18);
    const int64_t b = oct_coco_find(c, "some/where/b.jpg"), a = oct_coco_find(c, "d/a.jpg");
    assert_int_equal(oct_coco_image_id(c, b), 7);
    const oct_coco_box *box = oct_coco_boxes(c, b, &n);
    assert_int_equal(n, 2);
    assert_true(box[0].class_index == 16 && box[0].area == 12 && !box[0].iscrowd);
    assert_true(box[1].id == 3 && box[1].x == 5);
    box = oct_coco_boxes(c, a, &n);
    assert_true(n == 1 && box[0].iscrowd && box[0].area == 5.5);
    assert_int_equal(oct_coco_find(c, "c.jpg"), -1);
    oct_coco_close(c);
}

static void broken_coco_files_are_refused(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"images\":[],\"categories\":[],\"annotations\":[]}",
        "{\"images\":[{\"id\":1,\"file_name\":3}],\"categories\":[{\"id\":1,\"name\":\"a\"}],"
        "\"annotations\":[]}",
        "{\"images\":[{\"id\":1,\"file_name\":\"a\"}],\"categories\":[{\"id\":1,\"name\":\"a\"}],"
        "\"annotations\":[{\"image_id\":2,\"category_id\":1,\"bbox\":[1,2,3,4]}]}",
        "{\"images\":[{\"id\":1,\"file_name\":\"a\"}],\"categories\":[{\"id\":1,\"name\":\"a\"}],"
        "\"annotations\":[{\"image_id\":1,\"category_id\":1,\"bbox\":[1,2,3]}]}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        oct_coco *c;
        oct_error_clear(*state);
        assert_int_equal(oct_coco_parse(*state, "t", texts[i], strlen(texts[i]), &c),
                         OCT_ERR_FORMAT);
    }
    oct_error_clear(*state);
}

static void subsets_are_deterministic_and_fair(void **state)
{
    int32_t label[100];
    int64_t *a, *b, n, m;
    oct_subset s;
    for (int i = 0; i < 100; i++)
        label[i] = i < 4 ? 7 : i % 3;
    for (int kind = OCT_SUBSET_AUTO; kind < OCT_SUBSET_COUNT; kind++) {
        s = (oct_subset){.kind = (oct_subset_kind)kind, .limit = 31, .seed = 5};
        assert_int_equal(oct_subset_choose(*state, &s, 100, label, &a, &n), OCT_OK);
        assert_int_equal(oct_subset_choose(*state, &s, 100, label, &b, &m), OCT_OK);
        assert_int_equal(n, 31);
        assert_memory_equal(a, b, 31 * sizeof *a);
        for (int64_t i = 1; i < n; i++)
            assert_true(a[i] > a[i - 1] && a[i] < 100);
        int small = 0;
        for (int64_t i = 0; i < n; i++)
            small += label[a[i]] == 7;
        if (kind == OCT_SUBSET_AUTO || kind == OCT_SUBSET_STRATIFIED)
            assert_int_equal(small, 4);
        oct_free(*state, a);
        oct_free(*state, b);
    }
    s = (oct_subset){.limit = 31, .shard = 2, .n_shards = 3};
    assert_int_equal(oct_subset_choose(*state, &s, 100, NULL, &a, &n), OCT_OK);
    assert_int_equal(n, 10); /* 2, 5, ... 29 of 0 .. 30 */
    oct_free(*state, a);
    assert_int_equal(oct_subset_parse(*state, "random:12", &s), OCT_OK);
    assert_true(s.kind == OCT_SUBSET_RANDOM && s.seed == 12);
    assert_int_equal(oct_subset_parse(*state, "first:1", &s), OCT_ERR_USAGE);
    oct_error_clear(*state);
    assert_int_equal(oct_subset_parse(*state, "rand", &s), OCT_ERR_USAGE);
    oct_error_clear(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read_by_path_by_name_and_by_order),
        cmocka_unit_test(ilsvrc_ids_go_through_the_map),
        cmocka_unit_test(coco_ids_become_80_classes),
        cmocka_unit_test(coco_boxes_are_found_by_picture),
        cmocka_unit_test(broken_coco_files_are_refused),
        cmocka_unit_test(subsets_are_deterministic_and_fair),
    };
    return cmocka_run_group_tests_name("labels", tests, with_ctx, without_ctx);
}
