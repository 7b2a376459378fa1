/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/pack.h"

#include <string.h>

#include "base/container_stream.h"
#include "base/strbuf.h"

#define MAX_JSON_BYTES 65536

struct oct_pack_writer {
    oct_ctx *ctx;
    oct_container_sink *sink;
    int data, id, name, meta, ratio;
};

static oct_status write_classes(oct_ctx *ctx, oct_container_sink *sink,
                                const oct_pack_layout *layout)
{
    oct_strbuf b;
    oct_strbuf_init(&b, ctx);
    for (int i = 0; i < layout->n_classes; i++) {
        oct_strbuf_add(&b, layout->class_name[i]);
        oct_strbuf_add(&b, "\n");
    }
    oct_status st = oct_strbuf_status(&b);
    if (st == OCT_OK)
        st = oct_container_sink_text(sink, "classes", b.text != NULL ? b.text : "");
    oct_strbuf_deinit(&b);
    return st;
}

static oct_status set_up(oct_pack_writer *w, const oct_pack_layout *layout)
{
    static const int64_t id = OCT_SHA256_BYTES, name = OCT_PACK_NAME_BYTES, meta = 3, ratio = 4;
    oct_container_sink *s = w->sink;
    OCT_TRY(oct_container_sink_text(s, "stage", layout->pixels ? "pixels" : "tensor"));
    OCT_TRY(oct_container_sink_text(s, "preprocess", layout->preprocess_json));
    OCT_TRY(write_classes(w->ctx, s, layout));
    OCT_TRY(oct_container_sink_rows(s, "data", layout->pixels ? OCT_DT_U8 : OCT_DT_F32,
                                    layout->row.n_dims, layout->row.dim, &w->data));
    OCT_TRY(oct_container_sink_rows(s, "id", OCT_DT_U8, 1, &id, &w->id));
    OCT_TRY(oct_container_sink_rows(s, "name", OCT_DT_U8, 1, &name, &w->name));
    OCT_TRY(oct_container_sink_rows(s, "meta", OCT_DT_S32, 1, &meta, &w->meta));
    return oct_container_sink_rows(s, "ratio", OCT_DT_F32, 1, &ratio, &w->ratio);
}

oct_status oct_pack_create(oct_ctx *ctx, const char *path, bool force,
                           const oct_pack_layout *layout, oct_pack_writer **out)
{
    oct_pack_writer *w = oct_zalloc(ctx, sizeof *w);
    if (w == NULL)
        return OCT_ERR_NOMEM;
    w->ctx = ctx;
    oct_status st =
        oct_container_sink_open(ctx, path, OCT_PACK_KIND, OCT_PACK_VERSION, force, &w->sink);
    if (st == OCT_OK)
        st = set_up(w, layout);
    if (st != OCT_OK)
        oct_pack_abort(w);
    else
        *out = w;
    return st;
}

oct_status oct_pack_append(oct_pack_writer *w, const void *data, const oct_sample *sample)
{
    char name[OCT_PACK_NAME_BYTES] = {0};
    const size_t n = strlen(sample->name);
    const int32_t meta[3] = {sample->width, sample->height, sample->label};
    const float ratio[4] = {sample->ratio_x, sample->ratio_y, sample->offset_x, sample->offset_y};
    if (n >= sizeof name)
        return oct_fail(w->ctx, OCT_ERR_LIMIT, "%.100s...: name of %zu bytes; a pack holds %d",
                        sample->name, n, OCT_PACK_NAME_BYTES - 1);
    memcpy(name, sample->name, n);
    OCT_TRY(oct_container_sink_append(w->sink, w->data, data));
    OCT_TRY(oct_container_sink_append(w->sink, w->id, sample->id.byte));
    OCT_TRY(oct_container_sink_append(w->sink, w->name, name));
    OCT_TRY(oct_container_sink_append(w->sink, w->meta, meta));
    return oct_container_sink_append(w->sink, w->ratio, ratio);
}

oct_status oct_pack_commit(oct_pack_writer *w)
{
    const oct_status st = oct_container_sink_commit(w->sink);
    oct_free(w->ctx, w);
    return st;
}

void oct_pack_abort(oct_pack_writer *w)
{
    if (w == NULL)
        return;
    oct_container_sink_abort(w->sink);
    oct_free(w->ctx, w);
}

oct_status oct_pack_read_preprocess(oct_ctx *ctx, const char *path, char **json)
{
    oct_container_file *f;
    OCT_TRY(oct_container_file_open(ctx, path, OCT_PACK_KIND, OCT_PACK_VERSION, &f));
    const oct_status st = oct_container_file_text(f, "preprocess", MAX_JSON_BYTES, json);
    oct_container_file_close(f);
    return st;
}
