/* SPDX-License-Identifier: Apache-2.0
 *
 * octet merge: statistics of shards or of further images into one file.
 */
#include "base/file.h"
#include "calib/statistics.h"
#include "tools/cli.h"

static oct_status merge_into(oct_cli *cli, oct_stats *all)
{
    const bool overlap = oct_cli_flag(cli, "allow-overlap");
    for (int i = 1; i < cli->n_pos; i++) {
        oct_stats *part;
        OCT_TRY(oct_stats_read(cli->ctx, cli->pos[i], &part));
        const oct_status st = oct_stats_merge(cli->ctx, all, part, overlap);
        oct_stats_free(part);
        if (st != OCT_OK)
            return oct_fail_in(cli->ctx, st, "%s", cli->pos[i]);
        OCT_TRY(oct_check_cancel(cli->ctx));
    }
    if (oct_stats_n_engines(all) > 1)
        oct_log(cli->ctx, OCT_LOG_WARN,
                "the parts were made with %zu kinds of engine; values may differ in the last bits",
                oct_stats_n_engines(all));
    if (!oct_stats_is_complete(all))
        oct_log(cli->ctx, OCT_LOG_WARN, "at least one part is a checkpoint, not a finished run");
    return OCT_OK;
}

static oct_status run(oct_cli *cli)
{
    const char *out = oct_cli_str(cli, "out");
    oct_stats *all;
    OCT_TRY(oct_path_check_output(cli->ctx, out, cli->force));
    OCT_TRY(oct_stats_read(cli->ctx, cli->pos[0], &all));
    oct_status st = merge_into(cli, all);
    if (st == OCT_OK)
        st = oct_stats_write(cli->ctx, all, out, cli->force);
    if (st == OCT_OK)
        oct_cli_summary(cli, "wrote %s (%llu images, %zu tensors, from %d files)", out,
                        (unsigned long long)oct_stats_n_images(all), oct_stats_n_tensors(all),
                        cli->n_pos);
    oct_stats_free(all);
    return st;
}

static const oct_pos positions[] = {
    {.name = "STATS", .help = "statistics of one model and preprocessing", .repeat = true}, {0}};

static const oct_opt options[] = {
    {.name = "out",
     .letter = 'o',
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .required = true,
     .help = "statistics to write"},
    {.name = "allow-overlap",
     .type = OCT_OPT_FLAG,
     .help = "count images that are in several files as often as they occur"},
    {0}};

const oct_cmd oct_cmd_merge = {
    .name = "merge",
    .summary = "join calibration statistics; equal to one run over all images",
    .examples = "  octet merge part1.h5 part2.h5 part3.h5 -o statistics.h5\n",
    .details = "The order of the files does not matter: the bytes are those of one run over all "
               "images. Files of another model or preprocessing are refused, and so are images "
               "that occur twice.",
    .pos = positions,
    .opts = options,
    .run = run,
    .rank = 31,
};
