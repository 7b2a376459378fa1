/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sensitivity_show.h"

#include <math.h>

#define SHOWN 16 /* of the ranking; kept layers always */

/* ---- JSON -------------------------------------------------------------------------------- */

static void number(oct_json *j, const char *key, double v)
{
    if (!isnan(v) && !isinf(v))
        oct_json_kv_f64(j, key, v);
}

static void score(oct_json *j, const oct_sens_score *s)
{
    number(j, "sqnr_db", s->sqnr_db);
    oct_json_kv_bool(j, "outputs_equal", isinf(s->sqnr_db) && s->sqnr_db > 0);
    number(j, "agreement", s->agreement);
    number(j, "difference", s->difference);
    if (!isnan(s->lo)) {
        oct_json_key(j, "difference_interval");
        oct_json_begin_array(j);
        oct_json_f64(j, s->lo);
        oct_json_f64(j, s->hi);
        oct_json_end_array(j);
    }
}

static void score_object(oct_json *j, const char *key, const oct_sens_score *s)
{
    oct_json_key(j, key);
    oct_json_begin_object(j);
    score(j, s);
    oct_json_end_object(j);
}

static void ranking(const oct_sens_view *v, oct_json *j)
{
    oct_json_key(j, "ranking");
    oct_json_begin_array(j);
    for (size_t i = 0; i < v->n_layers; i++) {
        const uint32_t k = v->result->order[i];
        oct_json_begin_object(j);
        oct_json_kv_string(j, "node", v->layer[k]->node);
        oct_json_kv_string(j, "op", v->layer[k]->op);
        oct_json_kv_bool(j, "kept", v->result->keep[k]);
        score(j, &v->result->alone[k]);
        oct_json_end_object(j);
    }
    oct_json_end_array(j);
}

oct_status oct_sens_plan(const oct_sens_view *v, oct_strbuf *out)
{
    oct_json w, *j = &w;
    char hex[OCT_SHA256_HEX_BYTES];
    oct_json_init(j, out, true);
    oct_json_begin_object(j);
    oct_json_kv_string(j, "schema", "octet.plan/1");
    oct_json_key(j, "keep");
    oct_json_begin_array(j);
    for (size_t i = 0; i < v->n_always; i++)
        oct_json_string(j, v->always[i]);
    for (size_t i = 0; i < v->n_layers; i++)
        if (v->result->keep[i])
            oct_json_string(j, v->layer[i]->node);
    oct_json_end_array(j);
    oct_json_kv_string(j, "model", oct_sha256_hex(&v->model, hex));
    oct_json_kv_string(j, "scales", v->scales);
    oct_json_kv_string(j, "preprocess", v->preprocess);
    oct_json_kv_u64(j, "images", v->n_images);
    oct_json_kv_u64(j, "rank_images", v->n_rank_images);
    score_object(j, "int8", &v->result->none);
    score_object(j, "plan", &v->result->plan);
    ranking(v, j);
    oct_json_end_object(j);
    return oct_strbuf_status(out);
}

/* ---- table ------------------------------------------------------------------------------- */

static void db_cell(oct_table *t, double db)
{
    if (isinf(db))
        oct_table_str(t, db > 0 ? "equal" : "-inf");
    else
        oct_table_fixed(t, db, 2);
}

static oct_status ranking_table(oct_cli *cli, const oct_sens_view *v)
{
    oct_table *t;
    OCT_TRY(oct_table_new(cli->ctx,
                          ">rank|layer alone in INT8|op|>output SQNR dB|>same answer %|plan", &t));
    for (size_t i = 0; i < v->n_layers; i++) {
        const uint32_t k = v->result->order[i];
        if (i >= SHOWN && !v->result->keep[k])
            continue;
        oct_table_s64(t, (int64_t)i + 1);
        oct_table_str(t, v->layer[k]->node);
        oct_table_str(t, v->layer[k]->op);
        db_cell(t, v->result->alone[k].sqnr_db);
        oct_table_fixed(t, 100 * v->result->alone[k].agreement, 2);
        oct_table_str(t, v->result->keep[k] ? "floating point" : "INT8");
    }
    const oct_status st = oct_cli_print_table(cli, t);
    oct_table_free(t);
    return st;
}

static void score_row(oct_table *t, const char *name, const oct_sens_score *s)
{
    char a[OCT_NUM_TEXT_BYTES], lo[OCT_NUM_TEXT_BYTES], hi[OCT_NUM_TEXT_BYTES];
    oct_table_str(t, name);
    if (isnan(s->difference))
        oct_table_str(t, "-");
    else
        oct_table_strf(t, "%s%s [%s, %s]", s->difference > 0 ? "+" : "",
                       oct_fixed_text(100 * s->difference, 3, a),
                       oct_fixed_text(100 * s->lo, 2, lo), oct_fixed_text(100 * s->hi, 2, hi));
    oct_table_fixed(t, 100 * s->agreement, 2);
    db_cell(t, s->sqnr_db);
}

oct_status oct_sens_show(oct_cli *cli, const oct_sens_view *v)
{
    oct_table *t;
    OCT_TRY(ranking_table(cli, v));
    if (v->n_layers > SHOWN)
        OCT_TRY(oct_cli_printf(cli, "%zu layers in all\n", v->n_layers));
    OCT_TRY(oct_table_new(
        cli->ctx, "on all images|>difference, points [95 %]|>same answer %|>output SQNR dB", &t));
    score_row(t, "all layers INT8", &v->result->none);
    score_row(t, "by the plan", &v->result->plan);
    const oct_status st = oct_cli_print_table(cli, t);
    oct_table_free(t);
    return st;
}
