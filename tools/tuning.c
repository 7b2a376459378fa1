/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/tuning.h"

#include <string.h>

oct_status oct_tuning_check(oct_cli *cli)
{
    return oct_cli_given(cli, "timing-cache") && !oct_cli_flag(cli, "tune")
               ? oct_cli_usage(cli, "--timing-cache is for --tune")
               : OCT_OK;
}

static oct_status prepare(oct_tuning *t, oct_cli *cli, const oct_shape *given)
{
    if (given)
        return oct_worker_prepare(t->worker, cli->ctx, given, t->io.n_in);
    oct_shape *shape = oct_alloc_array(cli->ctx, t->io.n_in + 1, sizeof *shape);
    oct_status st = shape ? OCT_OK : OCT_ERR_NOMEM;
    for (size_t i = 0; st == OCT_OK && i < t->io.n_in; i++)
        st = oct_engine_io_shape(&t->io, cli, i, 0, &shape[i]);
    if (st == OCT_OK)
        st = oct_worker_prepare(t->worker, cli->ctx, shape, t->io.n_in);
    oct_free(cli->ctx, shape);
    return st;
}

static bool is_listed(const oct_tuning *t, const char *node)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->list[i].node, node) == 0)
            return true;
    return false;
}

static oct_status list_tactics(oct_tuning *t, oct_cli *cli)
{
    const oct_op_info *op;
    const size_t n = oct_worker_ops(t->worker, &op);
    t->list = oct_alloc_array(cli->ctx, n + 1, sizeof *t->list);
    if (!t->list)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        if (op[i].tuned_us > 0 && !is_listed(t, op[i].node))
            t->list[t->n++] =
                (oct_tactic){op[i].node, op[i].tactic, op[i].tuned_us, op[i].tuned_key};
    return OCT_OK;
}

oct_status oct_tuning_run(oct_tuning *t, oct_cli *cli, const oct_model *m, const oct_shape *shapes,
                          oct_engine_origin *origin)
{
    const char *cache =
        oct_cli_given(cli, "timing-cache") ? oct_cli_str(cli, "timing-cache") : NULL;
    *t = (oct_tuning){.n = 0};
    if (!oct_cli_flag(cli, "tune"))
        return OCT_OK;
    const oct_engine_options opt = {.backend = oct_cli_backend(cli, false),
                                    .threads = cli->n_threads,
                                    .precision = OCT_PRECISION_F32 |
                                                 (origin->int8 ? OCT_PRECISION_S8 : 0u) |
                                                 (origin->half ? OCT_PRECISION_F16 : 0u),
                                    .keep_f32 = origin->keep_f32,
                                    .n_keep_f32 = origin->n_keep_f32,
                                    .tune = true,
                                    .timing_cache = cache};
    OCT_TRY(oct_engine_new(cli->ctx, m, &opt, &t->io.engine));
    OCT_TRY(oct_worker_new(t->io.engine, cli->ctx, &t->worker));
    t->io.n_in = oct_engine_inputs(t->io.engine, &t->io.in);
    OCT_TRY(prepare(t, cli, shapes));
    OCT_TRY(list_tactics(t, cli));
    origin->tactic = t->list;
    origin->n_tactics = t->n;
    const size_t n_timed = oct_engine_timed(t->io.engine, &origin->tuned_on);
    oct_log(cli->ctx, OCT_LOG_INFO, "tuned %zu operators, timed %zu kernels%s%s", t->n, n_timed,
            cache ? ", the rest is from " : "", cache ? cache : "");
    return OCT_OK;
}

void oct_tuning_deinit(oct_tuning *t, oct_cli *cli)
{
    oct_free(cli->ctx, t->list);
    oct_worker_free(t->worker, cli->ctx);
    oct_engine_free(t->io.engine, cli->ctx);
}
