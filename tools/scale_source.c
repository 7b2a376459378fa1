/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/scale_source.h"

#include <string.h>

#include "base/json_read.h"
#include "calib/statistics.h"

#define PLAN_MAX_BYTES (16u << 20)

const oct_opt oct_scale_opts[] = {
    {.name = "stats",
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .group = "Scales",
     .help = "statistics of 'octet calibrate'"},
    {.name = "method",
     .arg = "M",
     .type = OCT_OPT_TEXT,
     .fallback = OCT_METHOD_DEFAULT,
     .group = "Scales",
     .help = "how thresholds follow from statistics: minmax, percentile[:P], entropy, mse"},
    {.name = "cache",
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .group = "Scales",
     .help = "a calibration cache instead: TensorRT, ONNX Runtime, ncnn or JSON"},
    {0}};

const oct_opt oct_scheme_opts[] = {
    {.name = "weights",
     .arg = "METHOD",
     .type = OCT_OPT_CHOICE,
     .choices = "maxabs|mse",
     .fallback = "maxabs",
     .group = "Scheme",
     .help = "how weight scales are chosen"},
    {.name = "bias-correction",
     .arg = "WHEN",
     .type = OCT_OPT_CHOICE,
     .choices = "auto|on|off",
     .fallback = "auto",
     .group = "Scheme",
     .help = "take back through biases what rounding the weights does to the mean of a layer's "
             "outputs; auto where the statistics hold the channel means it needs"},
    {.name = "activations",
     .arg = "TYPE",
     .type = OCT_OPT_CHOICE,
     .choices = "auto|s8|mixed",
     .fallback = "auto",
     .group = "Scheme",
     .help = "mixed: u8 for values that are never negative (Relu, raw pixels), one bit more for "
             "them; as fast on a CPU, slower on a GPU, and nothing for TensorRT; auto is mixed "
             "for octet on a CPU"},
    {.name = "per-tensor",
     .type = OCT_OPT_FLAG,
     .group = "Scheme",
     .help = "one scale a weight instead of one a channel"},
    {.name = "include",
     .arg = "PATTERN",
     .type = OCT_OPT_TEXT,
     .repeat = true,
     .group = "Scheme",
     .help = "quantize only these nodes: a name, op:TYPE or re:REGEX"},
    {.name = "exclude",
     .arg = "PATTERN",
     .type = OCT_OPT_TEXT,
     .repeat = true,
     .group = "Scheme",
     .help = "keep these nodes in floating point"},
    {.name = "skip-first",
     .type = OCT_OPT_FLAG,
     .group = "Scheme",
     .help = "keep the first weighted node in floating point"},
    {.name = "skip-last",
     .type = OCT_OPT_FLAG,
     .group = "Scheme",
     .help = "keep the last weighted node in floating point"},
    {.name = "plan",
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .group = "Scheme",
     .help = "keep the nodes that 'octet sensitivity' listed in floating point"},
    {.name = "allow-missing",
     .type = OCT_OPT_FLAG,
     .group = "Scheme",
     .help = "nodes whose input has no threshold stay in floating point instead of failing"},
    {.name = "quantize-matmul",
     .type = OCT_OPT_FLAG,
     .group = "Scheme",
     .help = "also quantize MatMul of two activations (attention)"},
    {0}};

/* ---- thresholds ---- */

static bool find_in_ranges(void *user, const char *name, float *amax)
{
    const oct_range *r = oct_ranges_find(user, name);
    if (!r)
        return false;
    *amax = r->amax;
    return true;
}

oct_amax_source oct_amax_of_ranges(const oct_ranges *r)
{
    return (oct_amax_source){(void *)(uintptr_t)r, find_in_ranges};
}

static bool find_amax(void *user, const char *name, float *amax)
{
    return find_in_ranges(((oct_scale_source *)user)->ranges, name, amax);
}

void oct_poor_scales_note(oct_poor_scales *p, const char *tensor, const oct_calib_result *r)
{
    if (!(r->flags & OCT_CALIB_POOR))
        return;
    const double ratio = r->error / r->minmax_error;
    p->n++;
    if (ratio > p->ratio) {
        p->ratio = ratio;
        p->worst = tensor;
    }
}

void oct_poor_scales_warn(oct_ctx *ctx, const oct_poor_scales *p, const char *method)
{
    char shown[160], ratio[OCT_NUM_TEXT_BYTES];
    if (p->n == 0)
        return;
    oct_log(
        ctx, OCT_LOG_WARN,
        "%s clips %zu tensors so hard that the expected error is more than %d times that of "
        "minmax, '%s' %s times: accuracy will suffer; --method mse does not, or keep the layers "
        "that read them in floating point (--exclude)",
        method, p->n, (int)OCT_CALIB_GUARD, oct_printable(p->worst, shown, sizeof shown),
        oct_fixed_text(p->ratio, 1, ratio));
}

static oct_status thresholds_of(oct_scale_source *s, const oct_stats *stats,
                                const oct_method *method)
{
    oct_calib_work *w = NULL;
    oct_poor_scales poor = {0};
    char text[OCT_METHOD_TEXT_BYTES];
    OCT_TRY(oct_calib_work_new(s->ctx, &w));
    oct_status st = OCT_OK;
    for (size_t i = 0; st == OCT_OK && i < oct_stats_n_tensors(stats); i++) {
        oct_calib_result r;
        st = oct_stats_calibrate(s->ctx, stats, i, method, w, &r, NULL);
        if (st == OCT_OK)
            st = oct_ranges_add_amax(s->ranges, oct_stats_at(stats, i)->name, r.amax);
        if (st == OCT_OK)
            oct_poor_scales_note(&poor, oct_stats_at(stats, i)->name, &r);
    }
    oct_calib_work_free(s->ctx, w);
    if (st == OCT_OK)
        oct_poor_scales_warn(s->ctx, &poor, oct_method_text(method, text));
    return st;
}

static void describe(oct_scale_source *s, const char *kind, const char *how, const oct_sha256 *hash,
                     uint64_t n_images)
{
    oct_json j;
    char hex[OCT_SHA256_HEX_BYTES];
    oct_json_init(&j, &s->provenance, false);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "scales", kind);
    oct_json_kv_string(&j, "method", how);
    oct_json_kv_string(&j, "sha256", oct_sha256_hex(hash, hex));
    if (n_images)
        oct_json_kv_u64(&j, "images", n_images);
    oct_json_kv_bool(&j, "bias_correction", s->corrects);
    oct_json_kv_string(&j, "engine_activations", s->activations);
    oct_json_end_object(&j);
}

/* Whether --activations wants u8 for what is never negative. The choice of a device stays open. */
static bool mixes(oct_cli *cli, oct_quant_target target)
{
    const char *type = oct_cli_str(cli, "activations"), *device = cli->device;
    if (strcmp(type, "auto") != 0 || target != OCT_TARGET_OCTET)
        return target != OCT_TARGET_TRT && strcmp(type, "mixed") == 0;
    const bool gpu = oct_cli_on_gpu(cli, false);
    cli->device = device;
    return !gpu;
}

/* What octet's own engine gets; an export for TensorRT has s8, one for ONNX Runtime u8. */
static const char *activations_text(oct_cli *cli)
{
    return mixes(cli, OCT_TARGET_OCTET) ? "mixed" : "s8";
}

static oct_status take_statistics(oct_scale_source *s, oct_cli *cli, const oct_stats *stats,
                                  const oct_method *method, const oct_sha256 *file)
{
    char text[OCT_METHOD_TEXT_BYTES];
    OCT_TRY(oct_stats_means_wanted(cli, stats, &s->corrects));
    s->activations = activations_text(cli);
    OCT_TRY(oct_stats_means_init(&s->means, cli->ctx, stats));
    OCT_TRY(thresholds_of(s, stats, method));
    s->preprocess = oct_strdup(s->ctx, oct_stats_get_origin(stats)->preprocess);
    describe(s, "statistics", oct_method_text(method, text), file, oct_stats_n_images(stats));
    return s->preprocess ? oct_strbuf_status(&s->provenance) : OCT_ERR_NOMEM;
}

static oct_status from_statistics(oct_scale_source *s, oct_cli *cli, const oct_model *model,
                                  const char *path)
{
    oct_method method;
    oct_sha256 hash;
    OCT_TRY(oct_method_parse(s->ctx, oct_cli_str(cli, "method"), &method));
    OCT_TRY(oct_sha256_of_file(s->ctx, path, &hash));
    OCT_TRY(oct_stats_read(s->ctx, path, &s->stats));
    if (oct_sha256_cmp(&oct_stats_get_origin(s->stats)->model, &oct_model_get_info(model)->hash) !=
        0)
        return oct_fail(s->ctx, OCT_ERR_STALE,
                        "%s was collected on another model; calibrate this one", path);
    if (!oct_stats_is_complete(s->stats))
        oct_log(s->ctx, OCT_LOG_WARN,
                "%s is a checkpoint of an unfinished calibration (%llu images)", path,
                (unsigned long long)oct_stats_n_images(s->stats));
    return take_statistics(s, cli, s->stats, &method, &hash);
}

static oct_status from_cache(oct_scale_source *s, oct_cli *cli, const char *path)
{
    oct_sha256 hash;
    OCT_TRY(oct_stats_means_wanted(cli, NULL, &s->corrects));
    s->activations = activations_text(cli);
    OCT_TRY(oct_sha256_of_file(s->ctx, path, &hash));
    oct_ranges_free(s->ranges);
    s->ranges = NULL;
    OCT_TRY(oct_ranges_read(s->ctx, path, OCT_CACHE_AUTO, &s->ranges));
    OCT_TRY(oct_ranges_check(s->ctx, s->ranges));
    s->preprocess = oct_strdup(s->ctx, "");
    describe(s, "cache", oct_ranges_header(s->ranges), &hash, 0);
    return s->preprocess ? oct_strbuf_status(&s->provenance) : OCT_ERR_NOMEM;
}

static void start(oct_scale_source *s, oct_ctx *ctx)
{
    *s = (oct_scale_source){.ctx = ctx};
    oct_strbuf_init(&s->provenance, ctx);
    s->amax = (oct_amax_source){s, find_amax};
}

oct_status oct_scale_source_from_stats(oct_scale_source *s, oct_cli *cli, const oct_stats *stats,
                                       const oct_method *method, const oct_sha256 *file)
{
    start(s, cli->ctx);
    OCT_TRY(oct_ranges_new(cli->ctx, &s->ranges));
    return take_statistics(s, cli, stats, method, file);
}

void oct_scale_source_inform(const oct_scale_source *s, oct_scheme *scheme)
{
    scheme->means = s->corrects ? &s->means.source : NULL;
    scheme->signs = s->means.stats != NULL ? &s->means.signs : NULL;
}

oct_status oct_scale_source_init(oct_scale_source *s, oct_cli *cli, const oct_model *model)
{
    const char *stats = oct_cli_str(cli, "stats"), *cache = oct_cli_str(cli, "cache");
    start(s, cli->ctx);
    if (!stats == !cache)
        return oct_cli_usage(cli,
                             "INT8 needs thresholds: give either --stats FILE or --cache FILE");
    if (cache && oct_cli_given(cli, "method"))
        return oct_cli_usage(cli,
                             "--method chooses from statistics; a cache holds one choice already");
    OCT_TRY(oct_ranges_new(cli->ctx, &s->ranges));
    return stats ? from_statistics(s, cli, model, stats) : from_cache(s, cli, cache);
}

void oct_scale_source_deinit(oct_scale_source *s)
{
    oct_stats_means_deinit(&s->means);
    oct_stats_free(s->stats);
    oct_ranges_free(s->ranges);
    oct_strbuf_deinit(&s->provenance);
    oct_free(s->ctx, s->preprocess);
}

/* ---- scheme ---- */

static oct_status copy_list(oct_cli *cli, const char *option, const char ***list, size_t *n)
{
    *n = (size_t)oct_cli_count(cli, option);
    *list = oct_alloc_array(cli->ctx, *n, sizeof **list);
    if (!*list)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < *n; i++)
        (*list)[i] = oct_cli_str_at(cli, option, (int)i);
    return OCT_OK;
}

/* {"schema": "octet.plan/1", "keep": ["node", ...]} */
static oct_status read_plan(oct_scheme_args *a, oct_cli *cli, const char *path)
{
    json_t *root = NULL;
    OCT_TRY(oct_json_read_file(cli->ctx, path, PLAN_MAX_BYTES, &root));
    const json_t *keep = json_object_get(root, "keep");
    const size_t n = json_array_size(keep);
    size_t bytes = 1;
    for (size_t i = 0; i < n; i++)
        bytes += json_string_length(json_array_get(keep, i)) + 1;
    a->keep = oct_alloc_array(cli->ctx, n, sizeof *a->keep);
    a->plan_text = oct_alloc(cli->ctx, bytes);
    oct_status st = a->keep && a->plan_text ? OCT_OK : OCT_ERR_NOMEM;
    if (st == OCT_OK && !json_is_array(keep))
        st = oct_fail(cli->ctx, OCT_ERR_FORMAT,
                      "%s: no list 'keep'; is it a plan of 'octet sensitivity'?", path);
    char *at = a->plan_text;
    for (size_t i = 0; st == OCT_OK && i < n; i++) {
        const json_t *name = json_array_get(keep, i);
        if (!json_is_string(name)) {
            st = oct_fail(cli->ctx, OCT_ERR_FORMAT, "%s: keep[%zu] is no string", path, i);
            break;
        }
        memcpy(at, json_string_value(name), json_string_length(name) + 1);
        a->keep[i] = at;
        at += json_string_length(name) + 1;
    }
    a->scheme.keep = a->keep;
    a->scheme.n_keep = n;
    oct_json_read_free(root);
    return st;
}

oct_status oct_scheme_args_init(oct_scheme_args *a, oct_cli *cli, oct_quant_target target)
{
    *a = (oct_scheme_args){.ctx = cli->ctx};
    oct_scheme *s = &a->scheme;
    s->target = target;
    s->weights =
        strcmp(oct_cli_str(cli, "weights"), "mse") == 0 ? OCT_WEIGHT_MSE : OCT_WEIGHT_MAX_ABS;
    s->unsigned_activations = mixes(cli, target);
    s->per_tensor_weights = oct_cli_flag(cli, "per-tensor");
    s->matmul_of_activations = oct_cli_flag(cli, "quantize-matmul");
    s->allow_missing = oct_cli_flag(cli, "allow-missing");
    s->skip_first = oct_cli_flag(cli, "skip-first");
    s->skip_last = oct_cli_flag(cli, "skip-last");
    OCT_TRY(copy_list(cli, "include", &a->include, &s->n_include));
    OCT_TRY(copy_list(cli, "exclude", &a->exclude, &s->n_exclude));
    s->include = a->include;
    s->exclude = a->exclude;
    const char *plan = oct_cli_str(cli, "plan");
    return plan ? read_plan(a, cli, plan) : OCT_OK;
}

void oct_scheme_args_deinit(oct_scheme_args *a)
{
    oct_free(a->ctx, a->include);
    oct_free(a->ctx, a->exclude);
    oct_free(a->ctx, a->keep);
    oct_free(a->ctx, a->plan_text);
}

/* ---- report ---- */

static oct_status report_json(oct_cli *cli, const oct_quant_report *r, const char *output)
{
    oct_strbuf b;
    oct_json j;
    oct_strbuf_init(&b, cli->ctx);
    oct_json_init(&j, &b, true);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "schema", "octet.quantize/1");
    oct_json_kv_string(&j, "output", output);
    oct_json_kv_u64(&j, "quantized", r->n_quantized);
    oct_json_kv_u64(&j, "folded_batch_norms", r->n_folded);
    oct_json_kv_u64(&j, "corrected_biases", r->n_corrected);
    oct_json_key(&j, "nodes");
    oct_json_begin_array(&j);
    for (uint32_t i = 0; i < r->n_lines; i++) {
        oct_json_begin_object(&j);
        oct_json_kv_string(&j, "node", r->line[i].node);
        oct_json_kv_string(&j, "op", r->line[i].op);
        oct_json_kv_bool(&j, "quantized", r->line[i].reason[0] == '\0');
        oct_json_kv_string(&j, "reason", r->line[i].reason);
        oct_json_end_object(&j);
    }
    oct_json_end_array(&j);
    oct_json_end_object(&j);
    oct_status st = oct_strbuf_status(&b);
    if (st == OCT_OK)
        st = oct_cli_emit_json(cli, &b);
    oct_strbuf_deinit(&b);
    return st;
}

oct_status oct_quant_report_print(oct_cli *cli, const oct_quant_report *r, const char *output)
{
    OCT_TRY(report_json(cli, r, output));
    if (!oct_cli_wants_text(cli))
        return OCT_OK;
    oct_table *t = NULL;
    OCT_TRY(
        oct_cli_printf(cli, "%u of %u quantizable nodes are INT8\n", r->n_quantized, r->n_lines));
    if (r->n_quantized == r->n_lines)
        return OCT_OK;
    OCT_TRY(oct_table_new(cli->ctx, "floating point|op|because", &t));
    for (uint32_t i = 0; i < r->n_lines; i++) {
        if (r->line[i].reason[0] == '\0')
            continue;
        oct_table_str(t, r->line[i].node);
        oct_table_str(t, r->line[i].op);
        oct_table_str(t, r->line[i].reason);
    }
    const oct_status st = oct_cli_print_table(cli, t);
    oct_table_free(t);
    return st;
}
