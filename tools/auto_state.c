/* SPDX-License-Identifier: Apache-2.0
 *
 * The folder of octet auto: who works in it, which stages hold, and auto.json.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/build_info.h"
#include "base/file.h"
#include "base/json_read.h"
#include "tools/auto.h"

#define SCHEMA "octet.auto-state/1"
#define MAX_STATE_BYTES ((size_t)1 << 20)

char *oct_auto_path(const oct_auto *a, const char *file)
{
    return oct_path_join(a->ctx, a->dir, file);
}

oct_status oct_auto_write(const oct_auto *a, const char *file, const oct_strbuf *b)
{
    OCT_TRY(oct_strbuf_status(b));
    char *path = oct_auto_path(a, file);
    if (path == NULL)
        return OCT_ERR_NOMEM;
    const oct_status st = oct_file_write(a->ctx, path, b->text, b->len, true);
    oct_free(a->ctx, path);
    return st;
}

const oct_sha256 *oct_auto_hash(const oct_auto *a, const char *file)
{
    for (size_t i = 0; i < a->n_stages; i++)
        for (size_t k = 0; k < a->done[i].n_files; k++)
            if (strcmp(a->done[i].file[k].file, file) == 0)
                return &a->done[i].file[k].hash;
    return NULL;
}

/* ---- keys -------------------------------------------------------------------------------- */

static oct_status hash_text(const oct_strbuf *b, oct_sha256 *out)
{
    OCT_TRY(oct_strbuf_status(b));
    oct_sha256_of(b->text, b->len, out);
    return OCT_OK;
}

/* Everything that a run depends on. */
static oct_status run_key(oct_auto *a, oct_sha256 *out)
{
    oct_strbuf b;
    oct_strbuf_init(&b, a->ctx);
    for (size_t i = 0; i < a->n_stages; i++)
        a->done[i].stage->options(a, &b);
    const oct_status st = hash_text(&b, out);
    oct_strbuf_deinit(&b);
    return st;
}

static oct_status stage_key(oct_auto *a, const oct_auto_stage *s, oct_sha256 *out)
{
    oct_strbuf b;
    char hex[OCT_SHA256_HEX_BYTES];
    oct_strbuf_init(&b, a->ctx);
    oct_strbuf_addf(&b, "octet %s %s\n", OCT_VERSION, s->name);
    s->options(a, &b);
    for (int i = 0; s->needs[i] != NULL; i++) {
        const oct_sha256 *h = oct_auto_hash(a, s->needs[i]);
        oct_strbuf_addf(&b, "%s %s\n", s->needs[i], h != NULL ? oct_sha256_hex(h, hex) : "-");
    }
    const oct_status st = hash_text(&b, out);
    oct_strbuf_deinit(&b);
    return st;
}

/* ---- auto.json --------------------------------------------------------------------------- */

static void write_stage(oct_json *j, const oct_auto_done *d)
{
    char hex[OCT_SHA256_HEX_BYTES];
    oct_json_begin_object(j);
    oct_json_kv_string(j, "stage", d->stage->name);
    oct_json_kv_string(j, "key", oct_sha256_hex(&d->key, hex));
    oct_json_key(j, "files");
    oct_json_begin_object(j);
    for (size_t k = 0; k < d->n_files; k++)
        oct_json_kv_string(j, d->file[k].file, oct_sha256_hex(&d->file[k].hash, hex));
    oct_json_end_object(j);
    oct_json_end_object(j);
}

static oct_status save(oct_auto *a)
{
    oct_strbuf b;
    oct_json j;
    char hex[OCT_SHA256_HEX_BYTES];
    oct_strbuf_init(&b, a->ctx);
    oct_json_init(&j, &b, true);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "schema", SCHEMA);
    oct_json_kv_string(&j, "run", oct_sha256_hex(&a->run_key, hex));
    oct_json_key(&j, "stages");
    oct_json_begin_array(&j);
    for (size_t i = 0; i < a->n_stages; i++)
        if (a->done[i].is_done)
            write_stage(&j, &a->done[i]);
    oct_json_end_array(&j);
    oct_json_end_object(&j);
    oct_strbuf_add(&b, "\n");
    const oct_status st = oct_auto_write(a, OCT_AUTO_STATE, &b);
    oct_strbuf_deinit(&b);
    return st;
}

static oct_auto_done *done_of(oct_auto *a, const char *name)
{
    for (size_t i = 0; i < a->n_stages; i++)
        if (strcmp(a->done[i].stage->name, name) == 0)
            return &a->done[i];
    return NULL;
}

/* One entry of "stages"; names that this version does not know are passed over. */
static void read_stage(oct_auto *a, json_t *entry)
{
    const char *name = json_string_value(json_object_get(entry, "stage"));
    const char *key = json_string_value(json_object_get(entry, "key"));
    oct_auto_done *d = name != NULL ? done_of(a, name) : NULL;
    json_t *files = json_object_get(entry, "files");
    if (d == NULL || key == NULL || !oct_sha256_parse(key, &d->key))
        return;
    for (int i = 0; d->stage->file[i] != NULL; i++) {
        oct_auto_record *r = &d->file[i];
        const char *hex = json_string_value(json_object_get(files, d->stage->file[i]));
        if (hex == NULL || !oct_sha256_parse(hex, &r->hash))
            return;
        snprintf(r->file, sizeof r->file, "%s", d->stage->file[i]);
        d->n_files = (size_t)i + 1;
    }
    d->is_done = true;
}

static oct_status read_state(oct_auto *a, const char *path, bool *same_run)
{
    json_t *root = NULL;
    oct_sha256 run;
    OCT_TRY(oct_json_read_file(a->ctx, path, MAX_STATE_BYTES, &root));
    const char *hex = json_string_value(json_object_get(root, "run"));
    const char *schema = json_string_value(json_object_get(root, "schema"));
    oct_status st = OCT_OK;
    if (schema == NULL || strcmp(schema, SCHEMA) != 0 || hex == NULL ||
        !oct_sha256_parse(hex, &run))
        st = oct_fail(a->ctx, OCT_ERR_FORMAT, "%s: not the state of a run (%s)", path, SCHEMA);
    if (st == OCT_OK) {
        json_t *stages = json_object_get(root, "stages");
        for (size_t i = 0; i < json_array_size(stages); i++)
            read_stage(a, json_array_get(stages, i));
        *same_run = oct_sha256_cmp(&run, &a->run_key) == 0;
    }
    oct_json_read_free(root);
    return st;
}

/* ---- the folder -------------------------------------------------------------------------- */

/* An unfinished file of ours, "NAME.tmp-PID-N": its writer is dead, since we hold the lock. */
static bool is_remnant(const oct_auto *a, const char *entry)
{
    const char *tmp = strstr(entry, ".tmp-");
    if (tmp == NULL || strspn(tmp + 5, "0123456789-") != strlen(tmp + 5))
        return false;
    const size_t n = (size_t)(tmp - entry);
    if (n == strlen(OCT_AUTO_STATE) && memcmp(entry, OCT_AUTO_STATE, n) == 0)
        return true;
    for (size_t i = 0; i < a->n_stages; i++)
        for (int k = 0; a->done[i].stage->file[k] != NULL; k++)
            if (strlen(a->done[i].stage->file[k]) == n &&
                memcmp(entry, a->done[i].stage->file[k], n) == 0)
                return true;
    return false;
}

static void sweep(const oct_auto *a)
{
    DIR *d = opendir(a->dir);
    struct dirent *e;
    while (d != NULL && (e = readdir(d)) != NULL)
        if (is_remnant(a, e->d_name))
            unlinkat(dirfd(d), e->d_name, 0);
    if (d != NULL)
        closedir(d);
}

void oct_auto_clean(oct_auto *a)
{
    char *path = oct_auto_path(a, OCT_AUTO_WORK);
    DIR *d = path != NULL ? opendir(path) : NULL;
    struct dirent *e;
    while (d != NULL && (e = readdir(d)) != NULL)
        if (strncmp(e->d_name, "part-", 5) == 0)
            unlinkat(dirfd(d), e->d_name, 0);
    if (d != NULL)
        closedir(d);
    if (path != NULL)
        rmdir(path); /* stays if somebody else put something there */
    oct_free(a->ctx, path);
}

static oct_status take_lock(oct_auto *a)
{
    a->lock = open(a->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (a->lock < 0)
        return oct_fail(a->ctx, OCT_ERR_IO, "%s: %s", a->dir, strerror(errno));
    if (flock(a->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return oct_fail(a->ctx, OCT_ERR_USAGE, "%s: another octet auto works there", a->dir);
    return OCT_OK;
}

/* Without a state, none of our files may be there. */
static oct_status check_free(const oct_auto *a)
{
    for (size_t i = 0; i < a->n_stages; i++)
        for (int k = 0; a->done[i].stage->file[k] != NULL; k++) {
            char *path = oct_auto_path(a, a->done[i].stage->file[k]);
            if (path == NULL)
                return OCT_ERR_NOMEM;
            const oct_status st = oct_path_check_output(a->ctx, path, a->cli->force);
            oct_free(a->ctx, path);
            OCT_TRY(st);
        }
    return OCT_OK;
}

static oct_status find_state(oct_auto *a)
{
    bool same = true;
    char *path = oct_auto_path(a, OCT_AUTO_STATE);
    if (path == NULL)
        return OCT_ERR_NOMEM;
    oct_status st;
    if (oct_path_exists(path)) {
        st = read_state(a, path, &same);
        if (st != OCT_OK && a->cli->force) { /* damaged, and we may replace it */
            oct_error_clear(a->ctx);
            st = OCT_OK;
        }
    } else {
        st = check_free(a);
    }
    if (st == OCT_OK && !same && !a->cli->force)
        st = oct_fail(a->ctx, OCT_ERR_USAGE,
                      "%s holds a run with another model, other pictures or options; use another "
                      "folder, or --force to replace it",
                      a->dir);
    oct_free(a->ctx, path);
    return st;
}

oct_status oct_auto_open_dir(oct_auto *a, const oct_auto_stage *stages, size_t n)
{
    a->n_stages = n;
    for (size_t i = 0; i < n; i++)
        a->done[i] = (oct_auto_done){.stage = &stages[i]};
    OCT_TRY(run_key(a, &a->run_key));
    OCT_TRY(oct_path_make_dir(a->ctx, a->dir));
    OCT_TRY(take_lock(a));
    OCT_TRY(find_state(a));
    sweep(a);
    return save(a);
}

void oct_auto_close_dir(oct_auto *a)
{
    if (a->lock >= 0)
        close(a->lock);
    a->lock = -1;
}

/* ---- stages ------------------------------------------------------------------------------ */

/* Whether the files are there, as they were written. */
static oct_status holds(const oct_auto *a, const oct_auto_done *d, const oct_sha256 *key, bool *out)
{
    *out = d->is_done && oct_sha256_cmp(&d->key, key) == 0;
    for (size_t k = 0; k < d->n_files && *out; k++) {
        oct_sha256 h;
        char *path = oct_auto_path(a, d->file[k].file);
        if (path == NULL)
            return OCT_ERR_NOMEM;
        *out = oct_path_exists(path) && oct_sha256_of_file(a->ctx, path, &h) == OCT_OK &&
               oct_sha256_cmp(&h, &d->file[k].hash) == 0;
        oct_free(a->ctx, path);
        oct_error_clear(a->ctx);
    }
    return OCT_OK;
}

static oct_status book(oct_auto *a, oct_auto_done *d, const oct_sha256 *key)
{
    d->key = *key;
    d->n_files = 0;
    for (int i = 0; d->stage->file[i] != NULL; i++) {
        oct_auto_record *r = &d->file[i];
        char *path = oct_auto_path(a, d->stage->file[i]);
        if (path == NULL)
            return OCT_ERR_NOMEM;
        const oct_status st = oct_sha256_of_file(a->ctx, path, &r->hash);
        oct_free(a->ctx, path);
        OCT_TRY(st);
        snprintf(r->file, sizeof r->file, "%s", d->stage->file[i]);
        d->n_files = (size_t)i + 1;
    }
    d->is_done = true;
    return save(a);
}

oct_status oct_auto_run_stages(oct_auto *a)
{
    for (size_t i = 0; i < a->n_stages; i++) {
        oct_auto_done *d = &a->done[i];
        oct_sha256 key;
        bool ok;
        OCT_TRY(stage_key(a, d->stage, &key));
        OCT_TRY(holds(a, d, &key, &ok));
        oct_log(a->ctx, OCT_LOG_INFO, "%zu of %zu, %s%s", i + 1, a->n_stages, d->stage->title,
                ok ? ": done before" : "");
        if (ok)
            continue;
        d->is_done = false;
        OCT_TRY(d->stage->run(a));
        OCT_TRY(book(a, d, &key));
    }
    return OCT_OK;
}
