/* SPDX-License-Identifier: Apache-2.0
 *
 * Preprocessing configurations: what is accepted must survive its own canonical JSON.
 */
#include <stdlib.h>
#include <string.h>

#include "datasets/presets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_one(oct_ctx *ctx, const char *text, size_t size, const oct_image_input *in)
{
    oct_preprocess p, q;
    char *a = NULL, *b = NULL;
    if (oct_preprocess_from_json(ctx, "fuzz", text, size, in, NULL, &p) == OCT_OK) {
        if (oct_preprocess_to_json(ctx, &p, &a) != OCT_OK ||
            oct_preprocess_from_json(ctx, "again", a, strlen(a), in, NULL, &q) != OCT_OK ||
            oct_preprocess_to_json(ctx, &q, &b) != OCT_OK || strcmp(a, b) != 0)
            abort();
    }
    oct_free(ctx, a);
    oct_free(ctx, b);
    oct_error_clear(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const oct_image_input inputs[] = {
        {3, 224, 224, false}, {3, 0, 0, true}, {1, 28, 28, false}, {0, 0, 0, false}};
    oct_ctx *ctx;
    if (oct_ctx_new(NULL, &ctx) != OCT_OK)
        return 0;
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++)
        read_one(ctx, (const char *)data, size, &inputs[i]);
    oct_ctx_free(ctx);
    return 0;
}
