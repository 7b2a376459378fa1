/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/stats_means.h"

#include <string.h>

static bool find(void *user, const char *name, bool last, const double **mean, size_t *n)
{
    const oct_stats_means *m = user;
    const oct_channel_mean *c =
        oct_stats_means_of(m->stats, name, last ? OCT_MEAN_AXIS_LAST : OCT_MEAN_AXIS_1);
    if (c == NULL)
        return false;
    for (size_t i = 0; i < c->n_channels; i++)
        m->mean[i] = oct_channel_mean_at(c, i);
    *mean = m->mean;
    *n = c->n_channels;
    return true;
}

static bool never_negative(void *user, const char *name)
{
    return oct_stats_never_negative(((const oct_stats_means *)user)->stats, name);
}

oct_status oct_stats_means_init(oct_stats_means *m, oct_ctx *ctx, const oct_stats *stats)
{
    size_t most = 1;
    for (size_t i = 0; i < oct_stats_n_tensors(stats); i++) {
        const oct_channel_mean *c = oct_stats_at(stats, i)->mean;
        most = c != NULL && c->n_channels > most ? c->n_channels : most;
    }
    *m = (oct_stats_means){
        .ctx = ctx, .stats = stats, .source = {m, find}, .signs = {m, never_negative}};
    m->mean = oct_alloc_array(ctx, most, sizeof *m->mean);
    return m->mean != NULL ? OCT_OK : OCT_ERR_NOMEM;
}

void oct_stats_means_deinit(oct_stats_means *m)
{
    if (m->ctx != NULL)
        oct_free(m->ctx, m->mean);
    *m = (oct_stats_means){.ctx = NULL};
}

oct_status oct_stats_means_wanted(oct_cli *cli, const oct_stats *stats, bool *on)
{
    const char *when = oct_cli_str(cli, "bias-correction");
    const char *why = stats == NULL ? "a cache holds no channel means"
                      : !oct_stats_has_means(stats)
                          ? "the statistics hold no channel means: they are of an older version or "
                            "of a GPU"
                          : NULL;
    *on = strcmp(when, "off") != 0 && why == NULL;
    if (why != NULL && strcmp(when, "on") == 0)
        return oct_cli_usage(cli, "--bias-correction on: %s; calibrate on the CPU", why);
    if (why != NULL && strcmp(when, "auto") == 0)
        oct_log(cli->ctx, OCT_LOG_INFO, "biases are not corrected: %s", why);
    return OCT_OK;
}
