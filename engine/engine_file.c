/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine_file.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/container.h"
#include "base/json.h"
#include "engine/graph_codec.h"

#define INFO_MAX_BYTES (64u << 20)
#define CODE_MAX_BYTES ((size_t)1 << 30)
#define CONSTANTS_MAX_BYTES ((size_t)1 << 40)

struct oct_engine_file {
    oct_ctx *ctx;
    oct_model *model;
    oct_arena *arena; /* texts of info */
    oct_engine_info info;
};

/* ---- writing ---- */

static void render_info(const oct_engine_info *info, oct_strbuf *b)
{
    oct_json j;
    char hex[OCT_SHA256_HEX_BYTES], key[17];
    oct_json_init(&j, b, false);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "schema", "octet.engine/1");
    oct_json_kv_string(&j, "built_with", info->built_with);
    oct_json_kv_u64(&j, "precision", info->precision);
    oct_json_kv_string(&j, "model_sha256", oct_sha256_hex(&info->model_hash, hex));
    oct_json_kv_string(&j, "model_name", info->model_name ? info->model_name : "");
    oct_json_kv_string(&j, "quantization",
                       info->quantization_json ? info->quantization_json : "{}");
    oct_json_kv_string(&j, "preprocess", info->preprocess_json ? info->preprocess_json : "");
    if (info->tuned_on && *info->tuned_on)
        oct_json_kv_string(&j, "tuned_on", info->tuned_on);
    oct_json_key(&j, "tactics");
    oct_json_begin_array(&j);
    for (size_t i = 0; i < info->n_tactics; i++) {
        oct_json_begin_object(&j);
        oct_json_kv_string(&j, "node", info->tactic[i].node);
        oct_json_kv_string(&j, "tactic", info->tactic[i].tactic);
        oct_json_kv_f64(&j, "us", info->tactic[i].us);
        if (info->tactic[i].key) {
            snprintf(key, sizeof key, "%016" PRIx64, info->tactic[i].key);
            oct_json_kv_string(&j, "key", key);
        }
        oct_json_end_object(&j);
    }
    oct_json_end_array(&j);
    if (info->n_keep_f32 > 0) {
        oct_json_key(&j, "keep_f32");
        oct_json_begin_array(&j);
        for (size_t i = 0; i < info->n_keep_f32; i++)
            oct_json_string(&j, info->keep_f32[i]);
        oct_json_end_array(&j);
    }
    oct_json_end_object(&j);
}

static oct_status fill_container(oct_container_writer *w, const oct_graph_code *c, const char *info)
{
    OCT_TRY(oct_container_write_text(w, "info", info));
    OCT_TRY(oct_container_write_1d(w, "graph/code", OCT_DT_U8, c->code_bytes, c->code));
    if (c->constant_bytes)
        OCT_TRY(oct_container_write_1d(w, "graph/constants", OCT_DT_U8, c->constant_bytes,
                                       c->constants));
    if (c->n_params) {
        OCT_TRY(oct_container_write_1d(w, "graph/scale", OCT_DT_F32, c->n_params, c->scale));
        OCT_TRY(
            oct_container_write_1d(w, "graph/zero_point", OCT_DT_S32, c->n_params, c->zero_point));
    }
    return OCT_OK;
}

oct_status oct_engine_file_save(oct_ctx *ctx, const oct_graph *g, const oct_engine_info *info,
                                const char *path, bool force)
{
    oct_graph_code code = {0};
    oct_strbuf text;
    oct_container_writer *w = NULL;
    oct_strbuf_init(&text, ctx);
    render_info(info, &text);
    oct_status st = oct_strbuf_status(&text);
    if (st == OCT_OK)
        st = oct_graph_encode(ctx, g, &code);
    if (st == OCT_OK)
        st = oct_container_create(ctx, OCT_ENGINE_FILE_KIND, OCT_ENGINE_FILE_VERSION, &w);
    if (st == OCT_OK)
        st = fill_container(w, &code, text.text);
    if (st == OCT_OK)
        st = oct_container_commit(w, path, force);
    oct_container_discard(w);
    oct_graph_code_deinit(ctx, &code);
    oct_strbuf_deinit(&text);
    return st;
}

/* ---- reading ---- */

static const char *text_of(oct_engine_file *f, const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return oct_arena_strdup(f->arena, s ? s : "");
}

static bool hash_of(const json_t *o, oct_sha256 *h)
{
    const char *hex = json_string_value(json_object_get(o, "model_sha256"));
    return hex && oct_sha256_parse(hex, h);
}

/* 16 hex digits; 0 for anything else, which takes the tactic for any shape. */
static uint64_t key_of(const json_t *o)
{
    const char *hex = json_string_value(json_object_get(o, "key"));
    uint64_t key = 0;
    if (!hex || strlen(hex) != 16 || strspn(hex, "0123456789abcdef") != 16)
        return 0;
    for (; *hex; hex++)
        key = key << 4 | (uint64_t)(*hex <= '9' ? *hex - '0' : *hex - 'a' + 10);
    return key;
}

static oct_status read_tactics(oct_engine_file *f, const json_t *list)
{
    const size_t n = json_array_size(list);
    oct_tactic *t = oct_arena_array(f->arena, n, sizeof *t);
    if (!t)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const json_t *o = json_array_get(list, i);
        t[i] = (oct_tactic){text_of(f, o, "node"), text_of(f, o, "tactic"),
                            json_number_value(json_object_get(o, "us")), key_of(o)};
        if (!t[i].node || !t[i].tactic)
            return OCT_ERR_NOMEM;
    }
    f->info.tactic = t;
    f->info.n_tactics = n;
    return OCT_OK;
}

static oct_status read_keep(oct_engine_file *f, const json_t *list)
{
    const size_t n = json_array_size(list);
    const char **name = oct_arena_array(f->arena, n, sizeof *name);
    if (!name)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(list, i));
        name[i] = oct_arena_strdup(f->arena, s ? s : "");
        if (!name[i])
            return OCT_ERR_NOMEM;
    }
    f->info.keep_f32 = name;
    f->info.n_keep_f32 = n;
    return OCT_OK;
}

static oct_status read_info(oct_engine_file *f, oct_container *c)
{
    char *text = NULL;
    json_error_t err;
    OCT_TRY(oct_container_read_text(c, "info", INFO_MAX_BYTES, &text));
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &err);
    oct_free(f->ctx, text);
    oct_status st = OCT_OK;
    const json_int_t precision = json_integer_value(json_object_get(o, "precision"));
    if (!json_is_object(o) || !hash_of(o, &f->info.model_hash) || precision < 1 || precision > 15)
        st = oct_fail(f->ctx, OCT_ERR_FORMAT, "engine information is not what octet writes");
    if (st == OCT_OK) {
        f->info.precision = (uint32_t)precision;
        f->info.model_name = text_of(f, o, "model_name");
        f->info.quantization_json = text_of(f, o, "quantization");
        f->info.preprocess_json = text_of(f, o, "preprocess");
        f->info.built_with = text_of(f, o, "built_with");
        f->info.tuned_on = text_of(f, o, "tuned_on");
        st = read_tactics(f, json_object_get(o, "tactics"));
    }
    if (st == OCT_OK)
        st = read_keep(f, json_object_get(o, "keep_f32"));
    if (st == OCT_OK && !(f->info.model_name && f->info.quantization_json &&
                          f->info.preprocess_json && f->info.built_with && f->info.tuned_on))
        st = OCT_ERR_NOMEM;
    json_decref(o);
    return st;
}

static oct_status read_code(oct_ctx *ctx, oct_container *c, oct_graph_code *code)
{
    void *p = NULL;
    size_t n = 0;
    OCT_TRY(
        oct_container_read_1d(c, "graph/code", OCT_DT_U8, CODE_MAX_BYTES, &p, &code->code_bytes));
    code->code = p;
    if (oct_container_has(c, "graph/constants")) {
        OCT_TRY(oct_container_read_1d(c, "graph/constants", OCT_DT_U8, CONSTANTS_MAX_BYTES, &p,
                                      &code->constant_bytes));
        code->constants = p;
    }
    if (!oct_container_has(c, "graph/scale"))
        return OCT_OK;
    OCT_TRY(
        oct_container_read_1d(c, "graph/scale", OCT_DT_F32, CODE_MAX_BYTES, &p, &code->n_params));
    code->scale = p;
    OCT_TRY(oct_container_read_1d(c, "graph/zero_point", OCT_DT_S32, CODE_MAX_BYTES, &p, &n));
    code->zero_point = p;
    return n == code->n_params
               ? OCT_OK
               : oct_fail(ctx, OCT_ERR_FORMAT, "scales and zero points differ in number");
}

static uint64_t count_parameters(const oct_graph *g)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < oct_graph_n_values(g); i++) {
        const oct_value *v = oct_graph_value(g, i);
        size_t elems = 0;
        if (v->data && v->producer == OCT_NONE && oct_shape_elems(&v->shape, &elems))
            n += elems;
    }
    return n;
}

static oct_status read_model(oct_engine_file *f, oct_container *c)
{
    oct_graph_code code = {0};
    oct_graph *g = NULL;
    oct_status st = read_code(f->ctx, c, &code);
    if (st == OCT_OK)
        st = oct_graph_decode(f->ctx, &code, &g);
    if (st == OCT_OK) {
        const oct_model_info info = {.graph_name = f->info.model_name,
                                     .producer_name = "octet",
                                     .producer_version = f->info.built_with,
                                     .hash = f->info.model_hash,
                                     .weight_bytes = code.constant_bytes,
                                     .n_parameters = count_parameters(g)};
        void *constants = code.constants;
        code.constants = NULL;
        st = oct_model_adopt(f->ctx, g, constants, &info, &f->model);
    }
    oct_graph_code_deinit(f->ctx, &code);
    return st;
}

/* What a verified container holds; errors carry `name`. Takes `c`. */
static oct_status read_container(oct_ctx *ctx, oct_container *c, const char *name,
                                 oct_engine_file **out)
{
    oct_engine_file *f = oct_zalloc(ctx, sizeof *f);
    oct_status st = f ? OCT_OK : OCT_ERR_NOMEM;
    if (f)
        f->ctx = ctx;
    if (st == OCT_OK)
        st = oct_arena_new(ctx, &f->arena);
    if (st == OCT_OK)
        st = read_info(f, c);
    if (st == OCT_OK)
        st = read_model(f, c);
    oct_container_close(c);
    if (st != OCT_OK) {
        oct_engine_file_free(f);
        return oct_fail_in(ctx, st, "%s", name);
    }
    *out = f;
    return OCT_OK;
}

oct_status oct_engine_file_load(oct_ctx *ctx, const char *path, oct_engine_file **out)
{
    oct_container *c = NULL;
    OCT_TRY(oct_container_open(ctx, path, OCT_ENGINE_FILE_KIND, OCT_ENGINE_FILE_VERSION, 0, &c));
    return read_container(ctx, c, path, out);
}

oct_status oct_engine_file_parse(oct_ctx *ctx, const uint8_t *data, size_t n_bytes,
                                 oct_engine_file **out)
{
    oct_container *c = NULL;
    OCT_TRY(oct_container_open_memory(ctx, data, n_bytes, OCT_ENGINE_FILE_KIND,
                                      OCT_ENGINE_FILE_VERSION, &c));
    return read_container(ctx, c, "engine", out);
}

void oct_engine_file_free(oct_engine_file *f)
{
    if (!f)
        return;
    oct_model_free(f->model);
    oct_arena_free(f->arena);
    oct_free(f->ctx, f);
}

oct_model *oct_engine_file_model(const oct_engine_file *f)
{
    return f->model;
}

const oct_engine_info *oct_engine_file_info(const oct_engine_file *f)
{
    return &f->info;
}

bool oct_engine_file_is(const char *path)
{
    uint8_t head[OCT_CONTAINER_HEADER_BYTES];
    FILE *fp = fopen(path, "rb");
    if (!fp)
        return false;
    const size_t n = fread(head, 1, sizeof head, fp);
    (void)fclose(fp);
    return n == sizeof head && oct_container_is(head, n) &&
           memcmp(head + 8, OCT_ENGINE_FILE_KIND, sizeof OCT_ENGINE_FILE_KIND) == 0;
}
