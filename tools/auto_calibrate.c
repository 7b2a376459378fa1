/* SPDX-License-Identifier: Apache-2.0
 *
 * Stages of octet auto: statistics and the choice of a method, then caches and tables of scales.
 *
 *     held-in pictures ──► statistics ──► scales by every method ──► INT8 networks in memory
 *     held-back pictures ─────────────────────────────────────────► the nearest outputs win
 *     held-in + held-back statistics merged ──► statistics.h5, as if counted in one run
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/build_info.h"
#include "base/file.h"
#include "base/json_read.h"
#include "calib/runner.h"
#include "kernels/cpu/cpu.h"
#include "quant/choose.h"
#include "tools/auto.h"
#include "tools/cache_cmds.h"
#include "tools/scale_results.h"
#include "tools/scale_source.h"

#define CHECKPOINT_EVERY 128

/* ---- options ----------------------------------------------------------------------------- */

static void add_repeated(oct_cli *cli, const char *option, oct_strbuf *b)
{
    for (int i = 0; i < oct_cli_count(cli, option); i++)
        oct_strbuf_addf(b, "%s=%s\n", option, oct_cli_str_at(cli, option, i));
}

void oct_auto_scheme_options(oct_auto *a, oct_strbuf *b)
{
    static const char *const flag[] = {"per-tensor", "skip-first", "skip-last", "allow-missing",
                                       "quantize-matmul"};
    for (size_t i = 0; i < sizeof flag / sizeof flag[0]; i++)
        if (oct_cli_flag(a->cli, flag[i]))
            oct_strbuf_addf(b, "%s\n", flag[i]);
    oct_strbuf_addf(b, "weights=%s\nbias-correction=%s\nactivations=%s\n",
                    oct_cli_str(a->cli, "weights"), oct_cli_str(a->cli, "bias-correction"),
                    oct_cli_str(a->cli, "activations"));
    add_repeated(a->cli, "include", b);
    add_repeated(a->cli, "exclude", b);
    oct_sha256 hash;
    char hex[OCT_SHA256_HEX_BYTES];
    const char *plan = oct_cli_str(a->cli, "plan");
    if (plan != NULL && oct_sha256_of_file(a->ctx, plan, &hash) == OCT_OK)
        oct_strbuf_addf(b, "plan=%s\n", oct_sha256_hex(&hash, hex));
    oct_error_clear(a->ctx); /* reading it reports what is wrong */
}

/* Lines of images.txt that belong to calibration. */
static void add_calibration_images(const oct_auto *a, oct_strbuf *b)
{
    for (const char *at = a->images.text; *at != '\0';) {
        const char *end = strchr(at, '\n');
        if (strncmp(at, "test ", 5) != 0)
            oct_strbuf_add_n(b, at, (size_t)(end - at) + 1);
        at = end + 1;
    }
}

void oct_auto_calibrate_options(oct_auto *a, oct_strbuf *b)
{
    char hex[OCT_SHA256_HEX_BYTES];
    oct_strbuf_addf(b, "model %s\npreprocess %s\nbackend %s\nmethods %s\n",
                    oct_sha256_hex(&oct_model_get_info(a->model)->hash, hex), a->preprocess,
                    a->backend, oct_cli_str(a->cli, "methods"));
    add_repeated(a->cli, "set-input", b);
    oct_auto_scheme_options(a, b);
    add_calibration_images(a, b);
}

/* ---- statistics -------------------------------------------------------------------------- */

static void on_image(void *user, uint64_t n_done)
{
    oct_progress_set(user, (int64_t)n_done);
}

/* A checkpoint of the same part by the same engine, by its name. */
static char *checkpoint_path(oct_auto *a, oct_auto_part_id id)
{
    oct_strbuf b;
    oct_sha256 key;
    char hex[OCT_SHA256_HEX_BYTES], name[128];
    oct_strbuf_init(&b, a->ctx);
    oct_auto_calibrate_options(a, &b);
    oct_strbuf_addf(&b, "octet %s, oneDNN %s, %s\n", OCT_VERSION, OCT_BUILD_ONEDNN,
                    oct_cpu_isa_text());
    if (oct_strbuf_status(&b) != OCT_OK) {
        oct_strbuf_deinit(&b);
        return NULL;
    }
    oct_sha256_of(b.text, b.len, &key);
    oct_strbuf_deinit(&b);
    snprintf(name, sizeof name, OCT_AUTO_WORK "/part-%d-%.16s.h5", (int)id,
             oct_sha256_hex(&key, hex));
    return oct_auto_path(a, name);
}

/* What a killed run left; nothing if it cannot be read. */
static oct_stats *read_checkpoint(oct_auto *a, const char *path)
{
    oct_stats *s = NULL;
    if (!oct_path_exists(path))
        return NULL;
    if (oct_stats_read(a->ctx, path, &s) == OCT_OK)
        return s;
    oct_log(a->ctx, OCT_LOG_WARN, "%s cannot be used, counting anew: %s", path,
            oct_error_text(a->ctx));
    oct_error_clear(a->ctx);
    return NULL;
}

static oct_status count(oct_auto *a, oct_auto_part_id id, const char *path, oct_stats *resume,
                        oct_stats **out)
{
    oct_dataset_args args;
    oct_batch_source *source;
    oct_calib_report report;
    const int64_t n_left =
        a->part[id].n - (resume != NULL ? (int64_t)oct_stats_n_images(resume) : 0);
    oct_calib_options opt = {.backend = a->backend,
                             .workers = a->cli->n_threads,
                             .checkpoint = path,
                             .checkpoint_every = CHECKPOINT_EVERY,
                             .resume = resume,
                             .progress = on_image};
    oct_status st = oct_auto_open_part(a, id, &args, &source);
    if (st != OCT_OK) {
        oct_stats_free(resume);
    } else {
        opt.user = oct_progress_begin(a->cli, "calibrate", "images", n_left);
        st = oct_calibrate_run(a->ctx, a->model, source, &opt, out, &report);
        oct_progress_end(opt.user);
        oct_dataset_report(a->cli, source);
        source->vt->close(source);
    }
    oct_dataset_args_deinit(&args);
    if (st == OCT_OK)
        st = oct_stats_write(a->ctx, *out, path, true);
    return st;
}

/* Statistics of a part: from a finished or unfinished checkpoint, or counted now. */
static oct_status statistics_of(oct_auto *a, oct_auto_part_id id, oct_stats **out)
{
    char *path = checkpoint_path(a, id);
    if (path == NULL)
        return OCT_ERR_NOMEM;
    oct_stats *s = read_checkpoint(a, path);
    oct_status st = OCT_OK;
    if (s != NULL && oct_stats_is_complete(s))
        *out = s;
    else
        st = count(a, id, path, s, out);
    oct_free(a->ctx, path);
    return st;
}

/* ---- the choice -------------------------------------------------------------------------- */

static oct_status write_choice(oct_auto *a, const oct_scale_results *r, const oct_choose_result *c)
{
    oct_strbuf b;
    oct_json j;
    oct_strbuf_init(&b, a->ctx);
    oct_json_init(&j, &b, true);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "schema", "octet.choice/1");
    oct_json_kv_string(&j, "chosen", r->label[c->best]);
    oct_json_kv_string(
        &j, "rule",
        r->n_methods == 1 ? "the only method that was asked for"
        : a->chooses_on_all
            ? "largest SQNR of the outputs on the calibration images themselves (too "
              "few to hold some back), if its lead over the first is no chance"
            : "largest SQNR of the outputs on held-back calibration images, if its "
              "lead over the first is no chance");
    oct_json_kv_u64(&j, "images", c->n_images);
    oct_json_key(&j, "methods");
    oct_json_begin_array(&j);
    for (int m = 0; m < r->n_methods; m++) {
        oct_json_begin_object(&j);
        oct_json_kv_string(&j, "method", r->label[m]);
        oct_json_kv_f64(&j, "output_sqnr_db", c->score_db[m]);
        oct_json_kv_f64(&j, "lead_error_db", c->error_db[m]);
        oct_json_end_object(&j);
    }
    oct_json_end_array(&j);
    oct_json_end_object(&j);
    oct_strbuf_add(&b, "\n");
    const oct_status st = oct_auto_write(a, OCT_AUTO_CHOICE, &b);
    oct_strbuf_deinit(&b);
    return st;
}

oct_status oct_auto_read_choice(oct_auto *a)
{
    json_t *root = NULL;
    const char *chosen;
    char *path = oct_auto_path(a, OCT_AUTO_CHOICE);
    if (path == NULL)
        return OCT_ERR_NOMEM;
    const oct_json_at at = {a->ctx, path, ""};
    oct_status st = oct_json_read_file(a->ctx, path, (size_t)1 << 20, &root);
    if (st == OCT_OK)
        st = oct_json_get_string(&at, root, "chosen", &chosen);
    if (st == OCT_OK)
        st = oct_method_parse(a->ctx, chosen, &a->chosen);
    oct_json_read_free(root);
    oct_free(a->ctx, path);
    return st;
}

static void on_choice(void *user, int64_t n_done)
{
    oct_progress_set(user, n_done);
}

static oct_status choose_among(oct_auto *a, oct_ranges *const *ranges, const oct_scale_results *r,
                               const oct_stats_means *known, bool corrects, oct_choose_result *c)
{
    const oct_auto_part_id id = a->chooses_on_all ? OCT_AUTO_HELD_IN : OCT_AUTO_HELD_BACK;
    oct_choose_candidate candidate[OCT_CHOOSE_MAX];
    oct_scheme_args scheme;
    oct_dataset_args args;
    oct_batch_source *source = NULL;
    oct_choose_options opt = {
        .backend = a->backend, .workers = a->cli->n_threads, .progress = on_choice};
    for (int m = 0; m < r->n_methods; m++)
        candidate[m] = (oct_choose_candidate){r->label[m], oct_amax_of_ranges(ranges[m])};
    oct_status st = oct_scheme_args_init(&scheme, a->cli, OCT_TARGET_OCTET);
    scheme.scheme.means = corrects ? &known->source : NULL;
    scheme.scheme.signs = &known->signs;
    const oct_status opened = oct_auto_open_part(a, id, &args, &source);
    st = st == OCT_OK ? opened : st;
    if (st == OCT_OK) {
        opt.user = oct_progress_begin(a->cli, "choose", "images", a->part[id].n);
        st = oct_choose(a->ctx, a->model, candidate, r->n_methods, &scheme.scheme, source, &opt, c);
        oct_progress_end(opt.user);
    }
    if (source != NULL)
        source->vt->close(source);
    oct_dataset_args_deinit(&args);
    oct_scheme_args_deinit(&scheme);
    return st;
}

static oct_status choose(oct_auto *a, const oct_stats *s)
{
    oct_scale_results r;
    oct_ranges *ranges[OCT_SCALES_MAX_METHODS] = {0};
    oct_choose_result c = {.best = 0};
    oct_stats_means means;
    bool corrects;
    OCT_TRY(oct_stats_means_wanted(a->cli, s, &corrects));
    OCT_TRY(oct_scale_results_methods(a->cli, oct_cli_str(a->cli, "methods"), &r));
    oct_status st = oct_stats_means_init(&means, a->ctx, s);
    if (st == OCT_OK)
        st = oct_scale_results_compute(a->cli, s, false, &r);
    for (int m = 0; m < r.n_methods && st == OCT_OK; m++)
        st = oct_scale_results_ranges(a->cli, &r, m, &ranges[m]);
    if (st == OCT_OK && r.n_methods > 1)
        st = choose_among(a, ranges, &r, &means, corrects, &c);
    else
        c.score_db[0] = NAN;
    if (st == OCT_OK)
        st = write_choice(a, &r, &c);
    for (int m = 0; m < r.n_methods; m++)
        oct_ranges_free(ranges[m]);
    oct_scale_results_deinit(a->cli, &r);
    oct_stats_means_deinit(&means);
    return st;
}

/* ---- stages ------------------------------------------------------------------------------ */

static oct_status write_statistics(oct_auto *a, oct_stats *all, oct_stats *held_back)
{
    char *path = oct_auto_path(a, OCT_AUTO_STATISTICS);
    oct_status st = path != NULL ? OCT_OK : OCT_ERR_NOMEM;
    if (st == OCT_OK && held_back != NULL)
        st = oct_stats_merge(a->ctx, all, held_back, false);
    if (st == OCT_OK)
        st = oct_stats_write(a->ctx, all, path, true);
    oct_free(a->ctx, path);
    return st;
}

oct_status oct_auto_calibrate(oct_auto *a)
{
    oct_stats *held_in = NULL, *held_back = NULL;
    char *work = oct_auto_path(a, OCT_AUTO_WORK);
    oct_status st = work != NULL ? oct_path_make_dir(a->ctx, work) : OCT_ERR_NOMEM;
    if (st == OCT_OK)
        st = statistics_of(a, OCT_AUTO_HELD_IN, &held_in);
    if (st == OCT_OK)
        st = choose(a, held_in);
    if (st == OCT_OK && !a->chooses_on_all)
        st = statistics_of(a, OCT_AUTO_HELD_BACK, &held_back);
    if (st == OCT_OK)
        st = write_statistics(a, held_in, held_back);
    oct_stats_free(held_in);
    oct_stats_free(held_back);
    oct_free(a->ctx, work);
    return st;
}

void oct_auto_scales_options(oct_auto *a, oct_strbuf *b)
{
    oct_strbuf_addf(b, "trt-version %u\n", a->trt_version);
}

static oct_status write_scales(oct_auto *a, const oct_scale_results *r)
{
    oct_strbuf b;
    oct_json j;
    oct_strbuf_init(&b, a->ctx);
    oct_json_init(&j, &b, true);
    oct_json_begin_object(&j);
    oct_scale_results_json(r, &j);
    oct_json_end_object(&j);
    oct_strbuf_add(&b, "\n");
    const oct_status st = oct_auto_write(a, OCT_AUTO_SCALES, &b);
    oct_strbuf_deinit(&b);
    return st;
}

static int index_of(const oct_scale_results *r, const oct_method *m)
{
    char text[OCT_METHOD_TEXT_BYTES];
    oct_method_text(m, text);
    for (int i = 0; i < r->n_methods; i++)
        if (strcmp(r->label[i], text) == 0)
            return i;
    return 0;
}

static oct_status write_cache(oct_auto *a, const oct_scale_results *r)
{
    const oct_cache_write_options opt = {.trt_version = a->trt_version};
    oct_ranges *ranges = NULL;
    char *path = oct_auto_path(a, OCT_AUTO_CACHE);
    oct_status st = path != NULL ? OCT_OK : OCT_ERR_NOMEM;
    if (st == OCT_OK)
        st = oct_scale_results_ranges(a->cli, r, index_of(r, &a->chosen), &ranges);
    if (st == OCT_OK)
        st = oct_ranges_write(a->ctx, ranges, OCT_CACHE_TRT, &opt, path, true);
    oct_ranges_free(ranges);
    oct_free(a->ctx, path);
    return st;
}

oct_status oct_auto_scales(oct_auto *a)
{
    oct_scale_results r;
    oct_stats *s = NULL;
    char *path = oct_auto_path(a, OCT_AUTO_STATISTICS);
    if (path == NULL)
        return OCT_ERR_NOMEM;
    oct_status st = oct_scale_results_methods(a->cli, oct_cli_str(a->cli, "methods"), &r);
    if (st == OCT_OK)
        st = oct_auto_read_choice(a);
    if (st == OCT_OK)
        st = oct_stats_read(a->ctx, path, &s);
    if (st == OCT_OK)
        st = oct_scale_results_compute(a->cli, s, true, &r);
    if (st == OCT_OK)
        st = write_scales(a, &r);
    if (st == OCT_OK)
        st = write_cache(a, &r);
    oct_scale_results_deinit(a->cli, &r);
    oct_stats_free(s);
    oct_free(a->ctx, path);
    return st;
}
