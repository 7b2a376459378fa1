/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/picture_input.h"

#include <string.h>

#include "base/file.h"
#include "base/json_read.h"
#include "datasets/pack.h"

const oct_opt oct_picture_input_opts[] = {
    {.name = "model",
     .letter = 'm',
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .help = "take the input's size and layout from this model"},
    {0}};

bool oct_path_is_pack(const char *path)
{
    const char *ext = oct_path_ext(path);
    return strcmp(ext, ".h5") == 0 || strcmp(ext, ".hdf5") == 0;
}

static oct_status from_model(oct_picture_input *p, oct_cli *cli, const char *path)
{
    uint32_t n;
    int k = -1;
    OCT_TRY(oct_any_model_open(cli->ctx, path, &p->model));
    const oct_graph *g = oct_model_graph(p->model.model);
    const oct_value_id *id = oct_graph_inputs(g, &n);
    oct_input_spec *all = oct_zalloc_array(cli->ctx, n, sizeof *all);
    if (all == NULL)
        return OCT_ERR_NOMEM;
    for (uint32_t i = 0; i < n; i++) {
        const oct_value *v = oct_graph_value(g, id[i]);
        all[i] = (oct_input_spec){v->name, v->dtype, v->shape};
    }
    oct_status st =
        oct_dataset_image_input(cli->ctx, all, (int)n, oct_cli_str(cli, "image-input"), &k);
    if (st == OCT_OK && k < 0)
        st = oct_fail(cli->ctx, OCT_ERR_USAGE, "%s: none of its inputs takes pictures", path);
    if (st == OCT_OK) {
        p->spec = all[k];
        p->spec.dtype = OCT_DT_F32;
        if (p->spec.shape.n_dims == 4)
            p->spec.shape.dim[0] = -1; /* the model's batch size is of no interest here */
    }
    oct_free(cli->ctx, all);
    return st;
}

/* [N, C, H, W] or [N, H, W, C] that a pack was made for, from its recorded preprocessing. */
static oct_status from_pack(oct_picture_input *p, oct_cli *cli, const char *path)
{
    char *text;
    const char *color = NULL, *layout = NULL;
    json_t *root, *size;
    int64_t h = 0, w = 0;
    OCT_TRY(oct_pack_read_preprocess(cli->ctx, path, &text));
    const oct_json_at at = {cli->ctx, path, ""};
    oct_status st = oct_json_read_text(cli->ctx, path, text, strlen(text), &root);
    oct_free(cli->ctx, text);
    if (st != OCT_OK)
        return st;
    st = oct_json_get_array(&at, root, "size", &size);
    if (st == OCT_OK) {
        h = json_integer_value(json_array_get(size, 0));
        w = json_integer_value(json_array_get(size, 1));
        st = oct_json_get_string(&at, root, "color", &color);
    }
    if (st == OCT_OK)
        st = oct_json_get_string(&at, root, "layout", &layout);
    if (st == OCT_OK) {
        const int64_t c = strcmp(color, "GRAY") == 0 ? 1 : 3;
        p->spec = (oct_input_spec){.name = "input", .dtype = OCT_DT_F32};
        p->spec.shape = strcmp(layout, "NHWC") == 0 ? (oct_shape){{-1, h, w, c}, 4}
                                                    : (oct_shape){{-1, c, h, w}, 4};
    }
    oct_json_read_free(root);
    return st;
}

oct_status oct_picture_input_open(oct_picture_input *p, oct_cli *cli, const char *pack_path)
{
    *p = (oct_picture_input){0};
    if (oct_cli_given(cli, "model"))
        return from_model(p, cli, oct_cli_str(cli, "model"));
    if (pack_path != NULL)
        return from_pack(p, cli, pack_path);
    return oct_dataset_free_input(cli, &p->spec);
}

void oct_picture_input_close(oct_picture_input *p)
{
    oct_any_model_close(&p->model);
}
