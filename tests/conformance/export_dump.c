/* SPDX-License-Identifier: Apache-2.0
 *
 * export_dump IN OUT OPSET [external]: reads a model, raises its opset, notes that in its metadata,
 * writes it.
 */
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "engine/model.h"
#include "engine/onnx_edit.h"
#include "engine/onnx_write.h"

static oct_status copy(oct_ctx *ctx, char **arg, int n_args)
{
    const oct_onnx_write_options opt = {.force = true, .external = n_args > 4};
    oct_model *m;
    int64_t opset = 0;
    if (!oct_parse_s64(arg[3], strlen(arg[3]), &opset))
        return oct_fail(ctx, OCT_ERR_USAGE, "opset '%s' is no number", arg[3]);
    OCT_TRY(oct_model_load(ctx, arg[1], NULL, &m));
    oct_status st = oct_onnx_opset_raise(ctx, oct_model_doc(m), opset, oct_model_graph(m));
    if (st == OCT_OK)
        st = oct_onnx_metadata_set(oct_model_doc(m), "octet.test", arg[3]);
    if (st == OCT_OK)
        st = oct_onnx_write(ctx, oct_model_doc(m), arg[2], &opt);
    oct_model_free(m);
    return st;
}

int main(int argc, char **argv)
{
    oct_ctx *ctx;
    if (argc < 4 || oct_ctx_new(NULL, &ctx) != OCT_OK)
        return 2;
    const oct_status st = copy(ctx, argv, argc);
    if (st != OCT_OK)
        fprintf(stderr, "%s\n", oct_error_text(ctx));
    oct_ctx_free(ctx);
    return oct_status_exit_code(st);
}
