/* SPDX-License-Identifier: Apache-2.0
 *
 * octet calibrate: images through the FP32 engine into statistics.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "calib/runner.h"
#include "tools/cache_cmds.h"
#include "tools/dataset_options.h"
#include "tools/scale_results.h"

/* ---- options ----------------------------------------------------------------------------- */

/* "I/N", I from 1. */
static oct_status parse_shard(oct_cli *cli, oct_calib_options *opt)
{
    const char *text = oct_cli_str(cli, "shard");
    if (text == NULL)
        return OCT_OK;
    const char *slash = strchr(text, '/');
    uint64_t i, n;
    if (slash == NULL || !oct_parse_u64(text, (size_t)(slash - text), &i) ||
        !oct_parse_u64(slash + 1, strlen(slash + 1), &n) || i < 1 || i > n || n > 1000000)
        return oct_cli_usage(cli, "--shard %s: expected I/N with 1 <= I <= N", text);
    opt->shard = (uint32_t)(i - 1);
    opt->n_shards = (uint32_t)n;
    return OCT_OK;
}

static oct_status parse_options(oct_cli *cli, oct_calib_options *opt)
{
    const char *out = oct_cli_str(cli, "out"), *cache = oct_cli_str(cli, "cache");
    *opt = (oct_calib_options){
        .backend = oct_cli_backend(cli, oct_cli_flag(cli, "reference")),
        .workers = cli->n_threads,
        .per_channel = oct_cli_flag(cli, "per-channel"),
        .exact_range = oct_cli_flag(cli, "exact-range"),
        .allow_nonfinite = oct_cli_flag(cli, "allow-nonfinite"),
        .checkpoint = out,
        .checkpoint_every = (uint64_t)oct_cli_s64(cli, "checkpoint"),
    };
    OCT_TRY(parse_shard(cli, opt));
    if (cache != NULL && opt->n_shards > 1)
        return oct_cli_usage(cli, "--cache of one shard would miss the others: octet merge, then "
                                  "octet scales --cache");
    if (cache != NULL)
        OCT_TRY(oct_path_check_output(cli->ctx, cache, cli->force));
    return OCT_OK;
}

/* Statistics to go on from, if --resume is given and there are any. */
static oct_status load_resumed(oct_cli *cli, oct_calib_options *opt)
{
    const char *out = oct_cli_str(cli, "out");
    if (!oct_cli_flag(cli, "resume"))
        return oct_path_check_output(cli->ctx, out, cli->force);
    if (!oct_path_exists(out)) {
        oct_log(cli->ctx, OCT_LOG_INFO, "%s is not there yet: starting from the first image", out);
        return OCT_OK;
    }
    OCT_TRY(oct_stats_read(cli->ctx, out, &opt->resume));
    oct_log(cli->ctx, OCT_LOG_INFO, "%s holds %llu images", out,
            (unsigned long long)oct_stats_n_images(opt->resume));
    return OCT_OK;
}

/* ---- running ----------------------------------------------------------------------------- */

typedef struct watcher {
    oct_cli *cli;
    oct_progress *progress;
    int64_t total;
} watcher;

static void on_pass(void *user, int pass)
{
    watcher *w = user;
    oct_progress_end(w->progress);
    w->progress =
        oct_progress_begin(w->cli, pass == 1 ? "calibrate" : "exact ranges", "images", w->total);
}

static void on_image(void *user, uint64_t n_done)
{
    oct_progress_set(((watcher *)user)->progress, (int64_t)n_done);
}

/* Images this run will count, as far as known. */
static int64_t expected(const oct_batch_source *source, const oct_calib_options *opt)
{
    int64_t n = source->vt->n_samples(source);
    if (n < 0)
        return n;
    if (opt->n_shards > 1)
        n = n / opt->n_shards + (n % opt->n_shards > opt->shard);
    if (opt->resume != NULL)
        n -= (int64_t)oct_stats_n_images(opt->resume);
    return n < 0 ? 0 : n;
}

static oct_status run_and_write(oct_cli *cli, const oct_model *model, oct_batch_source *source,
                                oct_calib_options *opt, oct_stats **out)
{
    watcher w = {cli, NULL, expected(source, opt)};
    oct_calib_report report;
    opt->user = &w;
    opt->pass = on_pass;
    opt->progress = on_image;
    oct_stats *s = NULL;
    oct_status st = oct_calibrate_run(cli->ctx, model, source, opt, &s, &report);
    opt->resume = NULL; /* given away */
    oct_progress_end(w.progress);
    oct_dataset_report(cli, source);
    if (st != OCT_OK)
        return st;
    oct_log(cli->ctx, OCT_LOG_INFO, "counted %llu images, %llu were counted before%s",
            (unsigned long long)report.n_counted, (unsigned long long)report.n_resumed,
            report.n_other_shards > 0 ? "; other shards have the rest" : "");
    *out = s;
    return OCT_OK;
}

static oct_status with_source(oct_cli *cli, const oct_model *model, oct_calib_options *opt,
                              oct_stats **out)
{
    oct_input_spec spec[OCT_MAX_MODEL_INPUTS];
    int n;
    OCT_TRY(oct_model_input_specs(cli->ctx, model, spec, &n));
    oct_dataset_args args;
    oct_batch_source *source = NULL;
    oct_status st = oct_dataset_args_init(&args, cli, cli->pos[1], spec, n);
    if (st == OCT_OK && opt->resume != NULL)
        st = oct_dataset_args_use(&args, opt->checkpoint,
                                  oct_stats_get_origin(opt->resume)->preprocess);
    args.options.batch = 1;
    if (oct_cli_on_gpu(cli, oct_cli_flag(cli, "reference")))
        args.options.queue = 2 * cli->n_threads; /* all cores decode ahead of the GPU */
    else
        args.options.n_threads = 0; /* workers decode their own image */
    if (st == OCT_OK)
        st = oct_dataset_args_open(&args, &source);
    if (st == OCT_OK)
        st = run_and_write(cli, model, source, opt, out);
    if (source != NULL)
        source->vt->close(source);
    oct_dataset_args_deinit(&args);
    return st;
}

/* ---- result ------------------------------------------------------------------------------ */

static oct_status show(oct_cli *cli, const oct_scale_results *r)
{
    oct_scale_results_warn(cli, r);
    if (oct_cli_given(cli, "cache"))
        OCT_TRY(oct_scale_results_cache(cli, r));
    if (cli->json)
        OCT_TRY(oct_scale_results_emit(cli, r));
    if (oct_cli_wants_text(cli))
        OCT_TRY(oct_scale_results_verdict(cli, r));
    oct_cli_summary(cli, "wrote %s (%zu tensors, %llu images)", oct_cli_str(cli, "out"),
                    r->n_tensors, (unsigned long long)oct_stats_n_images(r->stats));
    return OCT_OK;
}

typedef struct written {
    oct_stats *stats;
    const char *path;
} written;

static oct_status write_stats(void *user, oct_ctx *ctx)
{
    const written *w = user;
    /* the path was ours from the beginning: a checkpoint may lie there */
    return oct_stats_write(ctx, w->stats, w->path, true);
}

/* The file is written while the scales are computed. */
static oct_status finish(oct_cli *cli, const char *path, oct_stats *s, oct_scale_results *results)
{
    written w = {s, path};
    (void)oct_stats_images(s); /* sorts them: from here on nobody changes the statistics */
    return oct_scale_results_compute_beside(cli, s, true, write_stats, &w, results);
}

static oct_status calibrate(oct_cli *cli, oct_calib_options *opt, oct_scale_results *results)
{
    oct_model *model;
    oct_stats *s = NULL;
    OCT_TRY(oct_model_load(cli->ctx, cli->pos[0], NULL, &model));
    oct_status st = oct_model_open_batch(cli->ctx, model);
    if (st == OCT_OK)
        st = with_source(cli, model, opt, &s);
    if (st == OCT_OK)
        st = finish(cli, opt->checkpoint, s, results);
    if (st == OCT_OK)
        st = show(cli, results);
    oct_scale_results_deinit(cli, results);
    oct_stats_free(s);
    oct_model_free(model);
    return st;
}

static oct_status run(oct_cli *cli)
{
    oct_calib_options opt;
    oct_scale_results results;
    OCT_TRY(parse_options(cli, &opt));
    OCT_TRY(oct_scale_results_methods(cli, oct_cli_str(cli, "method"), &results));
    if (results.n_methods != 1)
        return oct_cli_usage(cli, "--method: one here; octet scales shows several side by side");
    oct_status st = load_resumed(cli, &opt);
    if (st == OCT_OK)
        st = calibrate(cli, &opt, &results);
    oct_stats_free(opt.resume); /* if nobody took it */
    return st;
}

static const oct_pos positions[] = {
    {.name = "MODEL", .help = "an ONNX model"},
    {.name = "IMAGES", .help = "folder, list, pack or .npy of representative images"},
    {0}};

static const oct_opt options[] = {
    {.name = "out",
     .letter = 'o',
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .required = true,
     .help = "statistics to write; checkpoints go there too"},
    {.name = "method",
     .letter = 'm',
     .arg = "M",
     .type = OCT_OPT_TEXT,
     .fallback = OCT_METHOD_DEFAULT,
     .help = "calibrator for --cache and the verdict: mse, entropy, percentile[:P], minmax; the "
             "statistics serve all of them"},
    {.name = "cache", .arg = "FILE", .type = OCT_OPT_FILE, .help = "write a calibration cache"},
    {.name = "resume",
     .type = OCT_OPT_FLAG,
     .help = "go on from the checkpoint in --out; the result is that of an uninterrupted run"},
    {.name = "checkpoint",
     .arg = "N",
     .type = OCT_OPT_S64,
     .fallback = "256",
     .min = 0,
     .max = 1e12,
     .help = "write a checkpoint every N images; 0 = only when interrupted"},
    {.name = "shard",
     .arg = "I/N",
     .type = OCT_OPT_TEXT,
     .help = "count only every N-th image, from the I-th; octet merge joins the parts"},
    {.name = "exact-range",
     .type = OCT_OPT_FLAG,
     .help = "second pass: 2,048 bins over the exact range, as two-pass calibrators have"},
    {.name = "per-channel",
     .type = OCT_OPT_FLAG,
     .help = "keep minimum, maximum and mean of every channel too"},
    {.name = "allow-nonfinite",
     .type = OCT_OPT_FLAG,
     .help = "leave NaN and infinite activations out instead of failing"},
    {.name = "reference", .type = OCT_OPT_FLAG, .help = "slow portable kernels"},
    {0}};

static const oct_opt *const shared[] = {oct_dataset_opts, oct_cache_write_opts, NULL};

const oct_cmd oct_cmd_calibrate = {
    .name = "calibrate",
    .summary = "collect activation statistics of a model over images",
    .examples = "  octet calibrate model.onnx photos/ --preset imagenet -o statistics.h5\n"
                "  octet calibrate model.onnx photos/ --preset imagenet -o statistics.h5 \\\n"
                "        --method entropy --cache calibration.cache\n"
                "  octet calibrate model.onnx photos/ --preset imagenet -o part2.h5 --shard 2/8\n",
    .details = "Every value of every float tensor named in the model is counted, on any number of "
               "threads, with the same bytes as a result. Ctrl-C keeps a checkpoint that --resume "
               "finishes.",
    .pos = positions,
    .opts = options,
    .shared = shared,
    .run = run,
    .rank = 30,
};
