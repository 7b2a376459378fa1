/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as an ONNX model: pre-scan, protobuf, import, inference and folding, checker, dump, and
 * writing back what was read. Whatever loads must survive all of it and load again.
 */
#include <stdlib.h>

#include "engine/model.h"
#include "engine/onnx_edit.h"
#include "engine/onnx_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static oct_ctx *new_ctx(void)
{
    const oct_ctx_options opt = {.memory_limit_bytes = (size_t)256 << 20};
    oct_ctx *ctx;
    if (oct_ctx_new(&opt, &ctx) != OCT_OK)
        abort();
    return ctx;
}

static void require(oct_ctx *ctx, bool ok)
{
    (void)ctx;
    if (!ok)
        abort();
}

/* Every failure has a message and a code that a user may see. */
static void check_failure(oct_ctx *ctx, oct_status st)
{
    require(ctx, *oct_error_text(ctx) != 0);
    require(ctx, st != OCT_ERR_BUG && st != OCT_ERR_USAGE);
}

static void write_back(oct_ctx *ctx, oct_model *m, const oct_model_options *opt)
{
    oct_model *again;
    uint8_t *bytes;
    size_t n;
    if (oct_onnx_opset_raise(ctx, oct_model_doc(m), 19, oct_model_graph(m)) != OCT_OK)
        oct_error_clear(ctx);
    if (oct_onnx_pack(ctx, oct_model_doc(m), &bytes, &n) != OCT_OK) {
        oct_error_clear(ctx);
        return;
    }
    if (oct_model_parse(ctx, bytes, n, NULL, opt, &again) == OCT_OK)
        oct_model_free(again);
    else
        check_failure(ctx, oct_error_status(ctx));
    oct_free(ctx, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const oct_model_options opt = {.keep_unsupported = true, .max_bytes = (size_t)128 << 20};
    oct_ctx *ctx = new_ctx();
    oct_model *m;
    const oct_status st = oct_model_parse(ctx, data, size, NULL, &opt, &m);
    if (st == OCT_OK) {
        oct_strbuf text;
        oct_graph *copy;
        oct_strbuf_init(&text, ctx);
        oct_graph_dump(oct_model_graph(m), &text);
        oct_strbuf_deinit(&text);
        if (oct_graph_clone(ctx, oct_model_graph(m), &copy) == OCT_OK) {
            if (oct_graph_infer(ctx, copy, NULL) != OCT_OK)
                oct_error_clear(ctx);
            oct_graph_free(copy);
        }
        write_back(ctx, m, &opt);
        oct_model_free(m);
    } else {
        check_failure(ctx, st);
    }
    oct_ctx_free(ctx);
    return 0;
}
