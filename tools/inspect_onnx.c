/* SPDX-License-Identifier: Apache-2.0
 *
 * octet inspect for ONNX models, readable ones and ones with operators that octet lacks.
 */
#include <inttypes.h>

#include "tools/inspect.h"
#include "tools/inspect_model.h"

static oct_status print_head(oct_cli *cli, const oct_model *m, const oct_model_facts *f)
{
    const oct_model_info *i = oct_model_get_info(m);
    char hash[OCT_SHA256_HEX_BYTES], name[256], producer[256], version[128];
    char macs[OCT_NUM_TEXT_BYTES], flops[OCT_NUM_TEXT_BYTES];
    OCT_TRY(oct_cli_printf(cli, "ONNX model, IR %lld, opset %lld, by %s %s, graph '%s'\n",
                           (long long)i->ir_version, (long long)i->opset,
                           oct_printable(i->producer_name, producer, sizeof producer),
                           oct_printable(i->producer_version, version, sizeof version),
                           oct_printable(i->graph_name, name, sizeof name)));
    OCT_TRY(oct_cli_printf(cli,
                           "%zu bytes, %" PRIu64 " parameters in %zu bytes, %u nodes, %u when "
                           "imported\n",
                           i->file_bytes, i->n_parameters, i->weight_bytes, i->n_model_nodes,
                           f->n_nodes));
    if (f->macs_known)
        OCT_TRY(oct_cli_printf(cli, "%s million MACs (%s MFLOP) for one image\n",
                               oct_fixed_text(f->macs / 1e6, 2, macs),
                               oct_fixed_text(2 * f->macs / 1e6, 2, flops)));
    else
        OCT_TRY(oct_cli_printf(cli, "work not known: dimensions besides the batch are open\n"));
    return oct_cli_printf(cli, "SHA-256 %s\n\n", oct_sha256_hex(&i->hash, hash));
}

static oct_status print_unsupported(oct_cli *cli, const oct_unsupported *u, size_t n)
{
    oct_table *t;
    if (n == 0)
        return OCT_OK;
    OCT_TRY(oct_cli_print(cli, "\nNot supported:\n"));
    OCT_TRY(oct_table_new(cli->ctx, "operator|domain|>opset|node|reason", &t));
    for (size_t i = 0; i < n; i++) {
        oct_table_str(t, u[i].op);
        oct_table_str(t, *u[i].domain ? u[i].domain : "ai.onnx");
        oct_table_s64(t, u[i].opset);
        oct_table_str(t, u[i].node);
        oct_table_str(t, u[i].reason);
    }
    const oct_status st = oct_cli_print_table(cli, t);
    oct_table_free(t);
    return st;
}

static void write_unsupported(oct_json *j, const oct_unsupported *u, size_t n)
{
    oct_json_key(j, "unsupported");
    oct_json_begin_array(j);
    for (size_t i = 0; i < n; i++) {
        oct_json_begin_object(j);
        oct_json_kv_string(j, "op", u[i].op);
        oct_json_kv_string(j, "domain", u[i].domain);
        oct_json_kv_s64(j, "opset", u[i].opset);
        oct_json_kv_string(j, "node", u[i].node);
        oct_json_kv_string(j, "reason", u[i].reason);
        oct_json_end_object(j);
    }
    oct_json_end_array(j);
}

/* As octet run would take it: integers where the model holds Q/DQ pairs. */
static uint32_t plan_precision(const oct_model *m)
{
    uint32_t n = 0;
    const oct_graph *g = oct_model_graph(m);
    const oct_node_id *order = oct_graph_order(g, &n);
    for (uint32_t i = 0; i < n; i++)
        if (oct_graph_node(g, order[i])->op == OCT_OP_QUANTIZE_LINEAR)
            return OCT_PRECISION_F32 | OCT_PRECISION_S8;
    return OCT_PRECISION_F32;
}

static oct_status emit_json(oct_cli *cli, const oct_model *m, const oct_model_facts *f)
{
    const oct_model_info *i = oct_model_get_info(m);
    const oct_unsupported *u;
    char hash[OCT_SHA256_HEX_BYTES];
    oct_strbuf b;
    oct_json j;
    oct_status st = OCT_OK;
    const size_t n = oct_model_unsupported(m, &u);
    oct_strbuf_init(&b, cli->ctx);
    oct_json_init(&j, &b, true);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "kind", "onnx");
    oct_json_kv_s64(&j, "ir_version", i->ir_version);
    oct_json_kv_s64(&j, "opset", i->opset);
    oct_json_kv_string(&j, "producer", i->producer_name);
    oct_json_kv_string(&j, "producer_version", i->producer_version);
    oct_json_kv_string(&j, "graph", i->graph_name);
    oct_json_kv_string(&j, "sha256", oct_sha256_hex(&i->hash, hash));
    oct_json_kv_u64(&j, "file_bytes", i->file_bytes);
    oct_json_kv_u64(&j, "weight_bytes", i->weight_bytes);
    oct_json_kv_u64(&j, "parameters", i->n_parameters);
    oct_json_kv_u64(&j, "model_nodes", i->n_model_nodes);
    oct_inspect_write_graph(&j, oct_model_graph(m), f);
    write_unsupported(&j, u, n);
    if (oct_cli_flag(cli, "plan") && n == 0)
        st = oct_inspect_plan(cli, m, plan_precision(m), NULL, &j);
    oct_json_end_object(&j);
    if (st == OCT_OK)
        st = oct_strbuf_status(&b);
    if (st == OCT_OK)
        st = oct_cli_emit_json(cli, &b);
    oct_strbuf_deinit(&b);
    return st;
}

static oct_status print_text(oct_cli *cli, const oct_model *m, const oct_model_facts *f)
{
    const oct_unsupported *u;
    const size_t n = oct_model_unsupported(m, &u);
    const oct_graph *g = oct_model_graph(m);
    if (oct_cli_flag(cli, "dump"))
        return oct_inspect_print_dump(cli, g);
    OCT_TRY(print_head(cli, m, f));
    OCT_TRY(oct_inspect_print_io(cli, g));
    OCT_TRY(oct_cli_print(cli, "\n"));
    OCT_TRY(oct_inspect_print_ops(cli, f));
    OCT_TRY(print_unsupported(cli, u, n));
    if (!oct_cli_flag(cli, "plan") || n)
        return OCT_OK;
    OCT_TRY(oct_cli_print(cli, "\n"));
    return oct_inspect_plan(cli, m, plan_precision(m), NULL, NULL);
}

static oct_status show_model(oct_cli *cli, const char *path, const oct_model *m)
{
    oct_model_facts *f = oct_alloc(cli->ctx, sizeof *f);
    const oct_unsupported *u;
    if (!f)
        return OCT_ERR_NOMEM;
    oct_status st = oct_model_facts_of(cli->ctx, m, f);
    if (st == OCT_OK && oct_cli_wants_text(cli))
        st = print_text(cli, m, f);
    if (st == OCT_OK && cli->json)
        st = emit_json(cli, m, f);
    const size_t n = oct_model_unsupported(m, &u);
    if (st == OCT_OK && n)
        st = oct_fail(cli->ctx, OCT_ERR_UNSUPPORTED,
                      "%s: %zu unsupported node%s, first '%s' (%s): %s", path, n, n == 1 ? "" : "s",
                      u[0].node, u[0].op, u[0].reason);
    if (st == OCT_OK)
        oct_cli_summary(cli, "%s: %u nodes, %" PRIu64 " parameters, all operators supported", path,
                        f->n_nodes, oct_model_get_info(m)->n_parameters);
    oct_free(cli->ctx, f);
    return st;
}

static oct_status show(oct_cli *cli, const char *path)
{
    const oct_model_options opt = {.keep_unsupported = true};
    oct_model *m;
    OCT_TRY(oct_model_load(cli->ctx, path, &opt, &m));
    const oct_status st = show_model(cli, path, m);
    oct_model_free(m);
    return st;
}

const oct_inspect_kind oct_inspect_onnx = {"onnx", NULL, show};
