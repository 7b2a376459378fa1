/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sensitivity_memo.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/json_read.h"

#define SCHEMA "octet.sensitivity-checkpoint/1"
#define MAX_BYTES (64u << 20)
#define N_NUMBERS (sizeof(oct_sens_score) / sizeof(double))

/* ---- scores as text: the bits of every double, so that NaN and infinity come back too ----- */

static void score_text(const oct_sens_score *s, char text[16 * N_NUMBERS + 1])
{
    uint64_t bits[N_NUMBERS];
    memcpy(bits, s, sizeof bits);
    for (size_t i = 0; i < N_NUMBERS; i++)
        snprintf(text + 16 * i, 17, "%016llx", (unsigned long long)bits[i]);
}

static bool score_parse(const char *text, oct_sens_score *s)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t bits[N_NUMBERS] = {0};
    if (strlen(text) != 16 * N_NUMBERS)
        return false;
    for (size_t i = 0; i < 16 * N_NUMBERS; i++) {
        const char *d = strchr(digits, text[i]);
        if (!d)
            return false;
        bits[i / 16] = bits[i / 16] << 4 | (uint64_t)(d - digits);
    }
    memcpy(s, bits, sizeof bits);
    return true;
}

/* ---- file -------------------------------------------------------------------------------- */

static oct_status fail_stale(const oct_sens_memo *m)
{
    return oct_fail(m->ctx, OCT_ERR_STALE,
                    "%s is of another search (model, scales, images or options differ); --force "
                    "instead of --resume starts anew",
                    m->path);
}

static oct_status read_entry(oct_sens_memo *m, const oct_json_at *at, const json_t *v)
{
    const char *id = NULL, *score = NULL;
    oct_sens_entry e;
    OCT_TRY(oct_json_get_string(at, v, "id", &id));
    OCT_TRY(oct_json_get_string(at, v, "score", &score));
    if (!oct_sha256_parse(id, &e.id) || !score_parse(score, &e.score))
        return oct_fail(m->ctx, OCT_ERR_FORMAT, "%s: a measurement is damaged", m->path);
    return oct_sens_memo_add(m, &e.id, &e.score);
}

static oct_status read_tree(oct_sens_memo *m, json_t *root)
{
    const oct_json_at at = {m->ctx, m->path, ""};
    const char *schema = NULL, *key = NULL;
    oct_sha256 found;
    json_t *list = NULL;
    OCT_TRY(oct_json_get_string(&at, root, "schema", &schema));
    OCT_TRY(oct_json_get_string(&at, root, "key", &key));
    OCT_TRY(oct_json_get_array(&at, root, "measured", &list));
    if (strcmp(schema, SCHEMA) != 0 || !oct_sha256_parse(key, &found) ||
        oct_sha256_cmp(&found, &m->key) != 0)
        return fail_stale(m);
    for (size_t i = 0; i < json_array_size(list); i++)
        OCT_TRY(read_entry(m, &at, json_array_get(list, i)));
    return OCT_OK;
}

oct_status oct_sens_memo_open(oct_ctx *ctx, const char *out, const oct_sha256 *key, bool resume,
                              bool force, oct_sens_memo *m)
{
    const size_t n = strlen(out) + sizeof ".checkpoint";
    json_t *root;
    *m = (oct_sens_memo){.ctx = ctx, .key = *key, .path = oct_alloc(ctx, n)};
    if (!m->path)
        return OCT_ERR_NOMEM;
    snprintf(m->path, n, "%s.checkpoint", out);
    if (!oct_path_exists(m->path))
        return OCT_OK;
    if (!resume)
        return force ? OCT_OK
                     : oct_fail(ctx, OCT_ERR_USAGE,
                                "%s of an interrupted search exists; --resume goes on with it, "
                                "--force starts anew",
                                m->path);
    OCT_TRY(oct_json_read_file(ctx, m->path, MAX_BYTES, &root));
    const oct_status st = read_tree(m, root);
    oct_json_read_free(root);
    return st;
}

oct_status oct_sens_memo_save(const oct_sens_memo *m)
{
    oct_strbuf b;
    oct_json j;
    char hex[OCT_SHA256_HEX_BYTES], score[16 * N_NUMBERS + 1];
    oct_strbuf_init(&b, m->ctx);
    oct_json_init(&j, &b, true);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "schema", SCHEMA);
    oct_json_kv_string(&j, "key", oct_sha256_hex(&m->key, hex));
    oct_json_key(&j, "measured");
    oct_json_begin_array(&j);
    for (size_t i = 0; i < m->n; i++) {
        score_text(&m->entry[i].score, score);
        oct_json_begin_object(&j);
        oct_json_kv_string(&j, "id", oct_sha256_hex(&m->entry[i].id, hex));
        oct_json_kv_string(&j, "score", score);
        oct_json_end_object(&j);
    }
    oct_json_end_array(&j);
    oct_json_end_object(&j);
    oct_status st = oct_strbuf_status(&b);
    if (st == OCT_OK)
        st = oct_file_write(m->ctx, m->path, b.text, b.len, true);
    oct_strbuf_deinit(&b);
    return st;
}

void oct_sens_memo_remove(const oct_sens_memo *m)
{
    (void)unlink(m->path);
}

/* ---- entries ----------------------------------------------------------------------------- */

void oct_sens_memo_deinit(oct_sens_memo *m)
{
    if (!m->ctx)
        return;
    oct_free(m->ctx, m->path);
    oct_free(m->ctx, m->entry);
    *m = (oct_sens_memo){0};
}

oct_sha256 oct_sens_memo_id(const bool *keep, size_t n_layers, bool all)
{
    oct_sha256 layers, id;
    uint8_t both[OCT_SHA256_BYTES + 1];
    oct_sha256_of(keep, n_layers * sizeof *keep, &layers);
    memcpy(both, layers.byte, OCT_SHA256_BYTES);
    both[OCT_SHA256_BYTES] = all;
    oct_sha256_of(both, sizeof both, &id);
    return id;
}

const oct_sens_score *oct_sens_memo_find(const oct_sens_memo *m, const oct_sha256 *id)
{
    for (size_t i = 0; i < m->n; i++)
        if (oct_sha256_cmp(&m->entry[i].id, id) == 0)
            return &m->entry[i].score;
    return NULL;
}

oct_status oct_sens_memo_add(oct_sens_memo *m, const oct_sha256 *id, const oct_sens_score *score)
{
    if (m->n == m->cap) {
        const size_t cap = m->cap ? 2 * m->cap : 64;
        oct_sens_entry *more = oct_realloc(m->ctx, m->entry, cap * sizeof *more);
        if (!more)
            return OCT_ERR_NOMEM;
        m->entry = more;
        m->cap = cap;
    }
    m->entry[m->n++] = (oct_sens_entry){*id, *score};
    return OCT_OK;
}
