/* SPDX-License-Identifier: Apache-2.0
 *
 * octet scales: every calibrator on statistics that are already there.
 */
#include "tools/cache_cmds.h"
#include "tools/scale_report.h"

static oct_status show(oct_cli *cli, const oct_scale_results *r)
{
    oct_scale_results_warn(cli, r);
    if (oct_cli_given(cli, "cache"))
        OCT_TRY(oct_scale_results_cache(cli, r));
    if (oct_cli_given(cli, "plot"))
        OCT_TRY(oct_scale_results_plot(cli, r, oct_cli_str(cli, "plot")));
    if (cli->json)
        OCT_TRY(oct_scale_results_emit(cli, r));
    if (oct_cli_wants_text(cli))
        OCT_TRY(oct_scale_results_table(cli, r));
    if (oct_cli_wants_text(cli) && r->with_spread)
        OCT_TRY(oct_scale_results_verdict(cli, r));
    oct_cli_summary(cli, "%zu tensors, %llu images", r->n_tensors,
                    (unsigned long long)oct_stats_n_images(r->stats));
    return OCT_OK;
}

static oct_status run(oct_cli *cli)
{
    oct_scale_results r;
    oct_stats *s;
    OCT_TRY(oct_scale_results_methods(cli, oct_cli_str(cli, "method"), &r));
    OCT_TRY(oct_stats_read(cli->ctx, cli->pos[0], &s));
    if (!oct_stats_is_complete(s))
        oct_log(cli->ctx, OCT_LOG_WARN,
                "%s is a checkpoint of %llu images; octet calibrate --resume finishes it",
                cli->pos[0], (unsigned long long)oct_stats_n_images(s));
    oct_status st = oct_scale_results_compute(cli, s, oct_cli_flag(cli, "spread"), &r);
    if (st == OCT_OK)
        st = show(cli, &r);
    oct_scale_results_deinit(cli, &r);
    oct_stats_free(s);
    return st;
}

static const oct_pos positions[] = {
    {.name = "STATS", .help = "statistics written by octet calibrate or octet merge"}, {0}};

static const oct_opt options[] = {
    {.name = "method",
     .letter = 'm',
     .arg = "M[,M...]",
     .type = OCT_OPT_TEXT,
     .fallback = OCT_METHOD_DEFAULT,
     .help = "mse, entropy, percentile[:P], minmax; several stand side by side"},
    {.name = "spread",
     .type = OCT_OPT_FLAG,
     .help = "how far each scale may move with other images, and whether more are needed"},
    {.name = "cache", .arg = "FILE", .type = OCT_OPT_FILE, .help = "write a calibration cache"},
    {.name = "plot",
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .help = "draw every histogram with the thresholds (.svg or .html)"},
    {0}};

static const oct_opt *const shared[] = {oct_cache_write_opts, NULL};

const oct_cmd oct_cmd_scales = {
    .name = "scales",
    .summary = "compute scales from statistics, by any method, in milliseconds",
    .examples = "  octet scales statistics.h5\n"
                "  octet scales statistics.h5 --method mse,entropy,percentile:99.9,minmax\n"
                "  octet scales statistics.h5 --method entropy --cache calibration.cache\n"
                "  octet scales statistics.h5 --method mse,entropy --plot histograms.html\n",
    .pos = positions,
    .opts = options,
    .shared = shared,
    .run = run,
    .rank = 32,
};
