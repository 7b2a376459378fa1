/* SPDX-License-Identifier: Apache-2.0
 *
 * octet inspect for engine files: where they come from, and every operator as it runs.
 */
#include <inttypes.h>

#include "tools/any_model.h"
#include "tools/inspect.h"
#include "tools/inspect_model.h"

static const char *precision_text(uint32_t bits)
{
    return bits & OCT_PRECISION_S8 ? "int8" : bits & OCT_PRECISION_F16 ? "fp16" : "fp32";
}

/* What timing chose, which the plan below shows only on that device and for those shapes. */
static oct_status print_tuned(oct_cli *cli, const oct_engine_info *i)
{
    oct_table *t;
    char text[256];
    if (i->n_tactics == 0)
        return OCT_OK;
    OCT_TRY(oct_cli_printf(cli, "tuned on %s\n",
                           *i->tuned_on ? oct_printable(i->tuned_on, text, sizeof text)
                                        : "a device that was not recorded"));
    OCT_TRY(oct_table_new(cli->ctx, "tuned node|kernel|>us", &t));
    for (size_t k = 0; k < i->n_tactics; k++) {
        oct_table_str(t, i->tactic[k].node);
        oct_table_str(t, i->tactic[k].tactic);
        oct_table_fixed(t, i->tactic[k].us, 2);
    }
    oct_status st = oct_cli_print_table(cli, t);
    oct_table_free(t);
    return st == OCT_OK ? oct_cli_print(cli, "\n") : st;
}

static void write_tuned(oct_json *j, const oct_engine_info *i)
{
    oct_json_kv_u64(j, "tuned", i->n_tactics);
    oct_json_kv_string(j, "tuned_on", i->tuned_on);
    oct_json_key(j, "tactics");
    oct_json_begin_array(j);
    for (size_t k = 0; k < i->n_tactics; k++) {
        oct_json_begin_object(j);
        oct_json_kv_string(j, "node", i->tactic[k].node);
        oct_json_kv_string(j, "kernel", i->tactic[k].tactic);
        oct_json_kv_f64(j, "us", i->tactic[k].us);
        oct_json_end_object(j);
    }
    oct_json_end_array(j);
}

static oct_status print_text(oct_cli *cli, const oct_engine_file *file, const oct_model_facts *f)
{
    const oct_engine_info *i = oct_engine_file_info(file);
    const oct_model *m = oct_engine_file_model(file);
    char hash[OCT_SHA256_HEX_BYTES], name[256], with[128];
    if (oct_cli_flag(cli, "dump"))
        return oct_inspect_print_dump(cli, oct_model_graph(m));
    OCT_TRY(oct_cli_printf(cli, "octet engine, %s, %u operators, %zu tuned, by %s\n",
                           precision_text(i->precision), f->n_nodes, i->n_tactics,
                           oct_printable(i->built_with, with, sizeof with)));
    OCT_TRY(oct_cli_printf(cli, "from model '%s', SHA-256 %s\n",
                           oct_printable(i->model_name, name, sizeof name),
                           oct_sha256_hex(&i->model_hash, hash)));
    OCT_TRY(oct_cli_print(cli, "quantization "));
    OCT_TRY(oct_cli_print(cli, i->quantization_json));
    OCT_TRY(oct_cli_print(cli, "\n\n"));
    OCT_TRY(oct_inspect_print_io(cli, oct_model_graph(m)));
    OCT_TRY(oct_cli_print(cli, "\n"));
    OCT_TRY(print_tuned(cli, i));
    return oct_inspect_plan(cli, m, i->precision, i, NULL);
}

static oct_status emit_json(oct_cli *cli, const oct_engine_file *file, const oct_model_facts *f)
{
    const oct_engine_info *i = oct_engine_file_info(file);
    const oct_model *m = oct_engine_file_model(file);
    char hash[OCT_SHA256_HEX_BYTES];
    oct_strbuf b;
    oct_json j;
    oct_strbuf_init(&b, cli->ctx);
    oct_json_init(&j, &b, true);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "kind", "engine");
    oct_json_kv_string(&j, "precision", precision_text(i->precision));
    oct_json_kv_string(&j, "model", i->model_name);
    oct_json_kv_string(&j, "model_sha256", oct_sha256_hex(&i->model_hash, hash));
    oct_json_kv_string(&j, "built_with", i->built_with);
    oct_json_kv_string(&j, "quantization", i->quantization_json);
    oct_json_kv_string(&j, "preprocess", i->preprocess_json);
    write_tuned(&j, i);
    oct_inspect_write_graph(&j, oct_model_graph(m), f);
    oct_status st = oct_inspect_plan(cli, m, i->precision, i, &j);
    oct_json_end_object(&j);
    if (st == OCT_OK)
        st = oct_strbuf_status(&b);
    if (st == OCT_OK)
        st = oct_cli_emit_json(cli, &b);
    oct_strbuf_deinit(&b);
    return st;
}

static oct_status show_engine(oct_cli *cli, const char *path, const oct_engine_file *file)
{
    oct_model_facts *f = oct_alloc(cli->ctx, sizeof *f);
    if (!f)
        return OCT_ERR_NOMEM;
    oct_status st = oct_model_facts_of(cli->ctx, oct_engine_file_model(file), f);
    if (st == OCT_OK && oct_cli_wants_text(cli))
        st = print_text(cli, file, f);
    if (st == OCT_OK && cli->json)
        st = emit_json(cli, file, f);
    if (st == OCT_OK)
        oct_cli_summary(cli, "%s: %s engine, %u operators", path,
                        precision_text(oct_engine_file_info(file)->precision), f->n_nodes);
    oct_free(cli->ctx, f);
    return st;
}

static oct_status show(oct_cli *cli, const char *path)
{
    oct_engine_file *file;
    OCT_TRY(oct_engine_file_load(cli->ctx, path, &file));
    const oct_status st = show_engine(cli, path, file);
    oct_engine_file_free(file);
    return st;
}

const oct_inspect_kind oct_inspect_engine = {"engine", oct_engine_file_is, show};
