/* SPDX-License-Identifier: Apache-2.0
 *
 * Label files: lists, ILSVRC ground truth with its map, COCO JSON. A NUL byte separates the
 * two files of ILSVRC.
 */
#include <string.h>

#include "datasets/coco.h"
#include "datasets/labels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *name_of(const void *user, int64_t i)
{
    static const char *const names[] = {"a/x_00000002.jpg", "a/y_1.jpg", "b/z_3.png"};
    (void)user;
    return names[i];
}

static void read_coco(oct_ctx *ctx, const char *text, size_t size)
{
    oct_coco *c;
    if (oct_coco_parse(ctx, "fuzz", text, size, &c) != OCT_OK)
        return;
    double sum = 0;
    for (int64_t i = 0; i < oct_coco_n_images(c); i++) {
        size_t n;
        const oct_coco_box *box = oct_coco_boxes(c, i, &n);
        for (size_t k = 0; k < n; k++)
            sum += box[k].area + (double)strlen(oct_coco_class_name(c, box[k].class_index));
        sum += (double)oct_coco_find(c, oct_coco_image_name(c, i));
    }
    if (sum == 0.5)
        oct_log(ctx, OCT_LOG_DEBUG, "half");
    oct_coco_close(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const oct_label_names names = {3, name_of, NULL};
    const char *text = (const char *)data;
    const char *second = size > 0 ? memchr(text, '\0', size) : NULL;
    const size_t first_len = second != NULL ? (size_t)(second - text) : size;
    oct_ctx *ctx;
    int32_t label[3];
    if (oct_ctx_new(NULL, &ctx) != OCT_OK)
        return 0;
    if (oct_labels_parse_list(ctx, "fuzz", text, size, &names, label) != OCT_OK)
        oct_error_clear(ctx);
    if (second != NULL && oct_labels_parse_ilsvrc(ctx, "gt", text, first_len, "map", second + 1,
                                                  size - first_len - 1, &names, label) != OCT_OK)
        oct_error_clear(ctx);
    read_coco(ctx, text, size);
    oct_error_clear(ctx);
    oct_ctx_free(ctx);
    return 0;
}
