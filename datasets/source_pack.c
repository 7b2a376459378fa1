/* SPDX-License-Identifier: Apache-2.0
 *
 * A pack (pack.h) as a sample source: rows are read one by one; pixel packs go through the same
 * look-up stage as decoded files.
 */
#include <string.h>

#include "base/container_stream.h"
#include "datasets/labels.h"
#include "datasets/pack.h"
#include "datasets/source.h"

#define MAX_TEXT_BYTES ((size_t)16 << 20)
#define MAX_SAMPLES ((int64_t)100000000)

typedef struct pack_source {
    oct_source base;
    oct_container_file *file;
    oct_preprocessor *pre;
    bool pixels;
    int image_input, data;
    size_t row_bytes; /* of "data" */
    oct_sha256 *id;
    char *name; /* n_items * OCT_PACK_NAME_BYTES */
    int32_t *meta;
    float *ratio;
    char *classes; /* names, newlines replaced by NUL */
    const char **class_name;
} pack_source;

static const char *pack_name(const oct_source *base, int64_t i, char buf[OCT_SAMPLE_NAME_BYTES])
{
    (void)buf;
    return ((const pack_source *)base)->name + i * OCT_PACK_NAME_BYTES;
}

static oct_status pack_load(oct_source *base, oct_ctx *ctx, oct_load_scratch *scratch, int64_t i,
                            void *const *dst, oct_sample *sample)
{
    pack_source *s = (pack_source *)base;
    sample->id = s->id[i];
    sample->width = s->meta[3 * i];
    sample->height = s->meta[3 * i + 1];
    sample->ratio_x = s->ratio[4 * i];
    sample->ratio_y = s->ratio[4 * i + 1];
    sample->offset_x = s->ratio[4 * i + 2];
    sample->offset_y = s->ratio[4 * i + 3];
    if (!s->pixels)
        return oct_container_file_read(s->file, ctx, s->data, i, 1, dst[s->image_input]);
    if (scratch->file == NULL) {
        scratch->file = oct_alloc(ctx, s->row_bytes);
        if (scratch->file == NULL)
            return OCT_ERR_NOMEM;
        scratch->file_cap = s->row_bytes;
    }
    OCT_TRY(oct_container_file_read(s->file, ctx, s->data, i, 1, scratch->file));
    oct_preprocess_normalize(s->pre, scratch->file, dst[s->image_input]);
    return OCT_OK;
}

static void pack_close(oct_source *base)
{
    pack_source *s = (pack_source *)base;
    oct_ctx *ctx = s->base.ctx;
    oct_container_file_close(s->file);
    oct_preprocessor_free(s->pre);
    oct_free(ctx, s->id);
    oct_free(ctx, s->name);
    oct_free(ctx, s->meta);
    oct_free(ctx, s->ratio);
    oct_free(ctx, s->classes);
    oct_free(ctx, s->class_name);
    oct_source_deinit(&s->base);
    oct_free(ctx, s);
}

static oct_status pack_identify(oct_source *base, oct_ctx *ctx, oct_load_scratch *scratch,
                                int64_t i, oct_sha256 *id)
{
    (void)ctx;
    (void)scratch;
    *id = ((const pack_source *)base)->id[i];
    return OCT_OK;
}

static const oct_source_vtable pack_vtable = {"pack", pack_name, pack_load, pack_close,
                                              pack_identify};

static oct_status malformed(const pack_source *s, const oct_source_request *r, const char *what)
{
    return oct_fail(s->base.ctx, OCT_ERR_FORMAT, "%s: pack: %s", r->opt->path, what);
}

/* A dataset with one row of `row_elems` elements of type `dt` for every sample, read whole. */
static oct_status read_column(pack_source *s, const oct_source_request *r, const char *name,
                              oct_dtype dt, int64_t row_elems, void **out)
{
    oct_dtype found;
    oct_shape row;
    int64_t n_rows;
    int rows;
    OCT_TRY(oct_container_file_rows(s->file, name, &found, &row, &n_rows, &rows));
    if (found != dt || row.n_dims != 1 || row.dim[0] != row_elems || n_rows != s->base.n_items)
        return malformed(s, r, "columns of different lengths or types");
    *out = oct_alloc_array(s->base.ctx, (size_t)n_rows, (size_t)row_elems * oct_dtype_bytes(dt));
    if (*out == NULL)
        return OCT_ERR_NOMEM;
    return oct_container_file_read(s->file, s->base.ctx, rows, 0, n_rows, *out);
}

static oct_status read_columns(pack_source *s, const oct_source_request *r)
{
    void *id = NULL, *name = NULL, *meta = NULL, *ratio = NULL;
    oct_status st = read_column(s, r, "id", OCT_DT_U8, OCT_SHA256_BYTES, &id);
    s->id = id;
    if (st == OCT_OK)
        st = read_column(s, r, "name", OCT_DT_U8, OCT_PACK_NAME_BYTES, &name);
    s->name = name;
    if (st == OCT_OK)
        st = read_column(s, r, "meta", OCT_DT_S32, 3, &meta);
    s->meta = meta;
    if (st == OCT_OK)
        st = read_column(s, r, "ratio", OCT_DT_F32, 4, &ratio);
    s->ratio = ratio;
    for (int64_t i = 0; i < s->base.n_items && st == OCT_OK; i++)
        s->name[(i + 1) * OCT_PACK_NAME_BYTES - 1] = '\0';
    return st;
}

/* The recorded preprocessing; one that the caller brings must be the same. */
static oct_status read_spec(pack_source *s, const oct_source_request *r)
{
    oct_ctx *ctx = s->base.ctx;
    const oct_dataset_options *opt = r->opt;
    char *json = NULL, *mine = NULL;
    oct_preprocess spec;
    if (r->image_input < 0)
        return oct_fail(ctx, OCT_ERR_USAGE, "%s: none of the model's inputs takes pictures",
                        opt->path);
    const oct_image_input in = oct_image_input_of(&opt->input[r->image_input].shape);
    oct_status st = oct_container_file_text(s->file, "preprocess", MAX_TEXT_BYTES, &json);
    if (st == OCT_OK)
        st = oct_preprocess_from_json(ctx, opt->path, json, strlen(json), &in, NULL, &spec);
    if (st == OCT_OK && opt->preprocess != NULL) {
        st = oct_preprocess_to_json(ctx, opt->preprocess, &mine);
        if (st == OCT_OK && strcmp(mine, json) != 0)
            st = oct_fail(ctx, OCT_ERR_USAGE,
                          "%s was packed with other preprocessing than asked for: %s", opt->path,
                          json);
    }
    if (st == OCT_OK)
        st = oct_source_make_preprocessor(&s->base, r, &spec, &s->pre);
    if (st == OCT_OK && strcmp(json, s->base.preprocess_json) != 0)
        st = malformed(s, r, "preprocessing text is not canonical");
    oct_free(ctx, json);
    oct_free(ctx, mine);
    return st;
}

static oct_status check_row(pack_source *s, const oct_source_request *r, oct_dtype dt,
                            const oct_shape *row)
{
    const oct_preprocess *p = oct_preprocessor_spec(s->pre);
    const oct_shape pixels = {{p->height, p->width, oct_preprocess_channels(p)}, 3};
    const oct_shape *want = s->pixels ? &pixels : &s->base.row[r->image_input];
    size_t n;
    if (!s->pixels && r->opt->input[r->image_input].dtype != OCT_DT_F32)
        return oct_fail(s->base.ctx, OCT_ERR_USAGE,
                        "%s holds f32 tensors, the model takes another type; pack pixels instead",
                        r->opt->path);
    if (dt != (s->pixels ? OCT_DT_U8 : OCT_DT_F32) || !oct_shape_equal(row, want) ||
        !oct_shape_elems(want, &n))
        return malformed(s, r, "data does not have the shape that its preprocessing makes");
    s->row_bytes = n * oct_dtype_bytes(dt);
    return OCT_OK;
}

static oct_status read_data(pack_source *s, const oct_source_request *r)
{
    char *stage;
    oct_dtype dt;
    oct_shape row;
    OCT_TRY(oct_container_file_text(s->file, "stage", 64, &stage));
    s->pixels = strcmp(stage, "pixels") == 0;
    const bool known = s->pixels || strcmp(stage, "tensor") == 0;
    oct_free(s->base.ctx, stage);
    if (!known)
        return malformed(s, r, "stage is neither pixels nor tensor");
    OCT_TRY(oct_container_file_rows(s->file, "data", &dt, &row, &s->base.n_items, &s->data));
    if (s->base.n_items < 1 || s->base.n_items > MAX_SAMPLES)
        return malformed(s, r, "no samples, or too many");
    return check_row(s, r, dt, &row);
}

static oct_status read_classes(pack_source *s)
{
    oct_ctx *ctx = s->base.ctx;
    int n = 0;
    OCT_TRY(oct_container_file_text(s->file, "classes", MAX_TEXT_BYTES, &s->classes));
    for (const char *p = s->classes; *p != '\0'; p++)
        n += *p == '\n';
    s->class_name = oct_zalloc_array(ctx, (size_t)n + 1, sizeof(char *));
    if (s->class_name == NULL)
        return OCT_ERR_NOMEM;
    char *at = s->classes;
    for (int i = 0; i < n; i++) {
        char *end = strchr(at, '\n');
        *end = '\0';
        s->class_name[i] = at;
        at = end + 1;
    }
    s->base.info.n_classes = n;
    s->base.info.class_name = n > 0 ? s->class_name : NULL;
    return OCT_OK;
}

static const char *name_of(const void *user, int64_t i)
{
    return (const char *)user + i * OCT_PACK_NAME_BYTES;
}

static oct_status set_labels(pack_source *s, const oct_source_request *r)
{
    const char *spec = r->opt->labels;
    const int64_t n = s->base.n_items;
    bool all = true;
    for (int64_t i = 0; i < n; i++)
        all = all && s->meta[3 * i + 2] != OCT_LABEL_NONE;
    const bool own = spec == NULL || strcmp(spec, "folder") == 0;
    if ((own && !all && spec == NULL) ||
        (!own && (strcmp(spec, "none") == 0 || strncmp(spec, "coco:", 5) == 0)))
        return OCT_OK;
    if (own && !all)
        return oct_fail(s->base.ctx, OCT_ERR_USAGE, "%s: the pack has no labels", r->opt->path);
    s->base.label = oct_alloc_array(s->base.ctx, (size_t)n, sizeof *s->base.label);
    if (s->base.label == NULL)
        return OCT_ERR_NOMEM;
    if (!own) {
        const oct_label_names names = {n, name_of, s->name};
        return oct_labels_read(s->base.ctx, spec, r->opt->label_offset, &names, s->base.label);
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t label = (int64_t)s->meta[3 * i + 2] + r->opt->label_offset;
        s->base.label[i] = (int32_t)label;
        if (label < 0 || label > INT32_MAX)
            return oct_fail(s->base.ctx, OCT_ERR_USAGE, "class of %s is out of range",
                            name_of(s->name, i));
    }
    return OCT_OK;
}

static oct_status open_pack(pack_source *s, const oct_source_request *r)
{
    OCT_TRY(oct_container_file_open(s->base.ctx, r->opt->path, OCT_PACK_KIND, OCT_PACK_VERSION,
                                    &s->file));
    OCT_TRY(read_spec(s, r));
    OCT_TRY(read_data(s, r));
    OCT_TRY(read_columns(s, r));
    OCT_TRY(read_classes(s));
    s->image_input = r->image_input;
    return set_labels(s, r);
}

oct_status oct_source_open_pack(oct_ctx *ctx, const oct_source_request *r, oct_source **out)
{
    pack_source *s = oct_zalloc(ctx, sizeof *s);
    if (s == NULL)
        return OCT_ERR_NOMEM;
    oct_status st = oct_source_init(&s->base, ctx, &pack_vtable, r->opt->n_inputs);
    if (st == OCT_OK)
        st = open_pack(s, r);
    if (st != OCT_OK)
        pack_close(&s->base);
    else
        *out = &s->base;
    return st;
}
