/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/inspect_model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/planner.h"

enum { MAX_PLAN_IN = 16 };

/* ---- counting -------------------------------------------------------------------------------- */

static oct_operand operand(const oct_graph *g, oct_value_id id)
{
    if (id == OCT_NONE)
        return (oct_operand){0};
    const oct_value *v = oct_graph_value(g, id);
    return (oct_operand){.desc = {.dtype = v->dtype, .shape = v->shape}};
}

static double macs_of(const oct_graph *g, const oct_node *n)
{
    oct_operand in[MAX_PLAN_IN], out[1];
    for (uint32_t i = 0; i < MAX_PLAN_IN; i++)
        in[i] = operand(g, i < n->n_in ? n->in[i] : OCT_NONE);
    out[0] = operand(g, n->n_out ? n->out[0] : OCT_NONE);
    return n->n_out && out[0].desc.shape.n_dims >= 0 ? oct_plan_macs(n, in, out) : 0.0;
}

static int by_work(const void *a, const void *b)
{
    const oct_op_count *x = a, *y = b;
    if (x->macs != y->macs)
        return x->macs > y->macs ? -1 : 1;
    if (x->n != y->n)
        return x->n > y->n ? -1 : 1;
    return strcmp(oct_op_name(x->op), oct_op_name(y->op));
}

static void count_graph(const oct_graph *g, oct_model_facts *f)
{
    uint32_t n = 0;
    const oct_node_id *order = oct_graph_order(g, &n);
    for (uint32_t i = 0; i < n; i++) {
        const oct_node *node = oct_graph_node(g, order[i]);
        const double macs = f->macs_known ? macs_of(g, node) : 0.0;
        f->op[node->op].n++;
        f->op[node->op].macs += macs;
        f->macs += macs;
    }
    f->n_nodes += n;
    for (uint32_t i = 0; i < oct_graph_n_subs(g); i++)
        count_graph(oct_graph_sub(g, i), f);
}

/* One image: an open batch becomes 1. False if other dimensions are open. */
static bool one_image(const oct_graph *g, oct_shape *shape)
{
    uint32_t n = 0;
    const oct_value_id *in = oct_graph_inputs(g, &n);
    for (uint32_t i = 0; i < n; i++) {
        shape[i] = oct_graph_value(g, in[i])->shape;
        if (shape[i].n_dims > 0 && oct_dim_is_symbol(shape[i].dim[0]))
            shape[i].dim[0] = 1;
        if (!oct_shape_is_known(&shape[i]))
            return false;
    }
    return true;
}

/* A copy of the graph with shapes for one image; NULL (and no error) if these are not known. */
static oct_status sized_copy(oct_ctx *ctx, const oct_graph *g, oct_graph **out)
{
    uint32_t n = 0;
    *out = NULL;
    oct_graph_inputs(g, &n);
    oct_shape *shape = oct_alloc_array(ctx, (size_t)n + 1, sizeof *shape);
    if (!shape)
        return OCT_ERR_NOMEM;
    oct_status st = OCT_OK;
    if (one_image(g, shape)) {
        st = oct_graph_clone(ctx, g, out);
        if (st == OCT_OK && oct_graph_infer(ctx, *out, shape) != OCT_OK) {
            oct_error_clear(ctx);
            oct_graph_free(*out);
            *out = NULL;
        }
    }
    oct_free(ctx, shape);
    return st;
}

oct_status oct_model_facts_of(oct_ctx *ctx, const oct_model *m, oct_model_facts *f)
{
    oct_graph *sized;
    const oct_graph *g = oct_model_graph(m);
    memset(f, 0, sizeof *f);
    for (int i = 0; i < OCT_OP_COUNT; i++)
        f->op[i].op = (oct_op)i;
    OCT_TRY(sized_copy(ctx, g, &sized));
    f->macs_known = sized != NULL;
    count_graph(sized ? sized : g, f);
    oct_graph_free(sized);
    qsort(f->op, OCT_OP_COUNT, sizeof f->op[0], by_work);
    while (f->n_ops < OCT_OP_COUNT && f->op[f->n_ops].n)
        f->n_ops++;
    return OCT_OK;
}

/* ---- text ------------------------------------------------------------------------------------ */

static void add_io(oct_table *t, const oct_graph *g, const char *what, const oct_value_id *id,
                   uint32_t n)
{
    char text[OCT_SHAPE_STR_BYTES];
    for (uint32_t i = 0; i < n; i++) {
        const oct_value *v = oct_graph_value(g, id[i]);
        oct_table_str(t, what);
        oct_table_str(t, v->name);
        oct_table_str(t, oct_dtype_str(v->dtype));
        oct_table_str(t, v->shape.n_dims < 0 ? "any rank"
                                             : oct_shape_str(&v->shape, text, sizeof text));
    }
}

oct_status oct_inspect_print_io(oct_cli *cli, const oct_graph *g)
{
    oct_table *t;
    uint32_t n_in = 0, n_out = 0;
    const oct_value_id *in = oct_graph_inputs(g, &n_in), *out = oct_graph_outputs(g, &n_out);
    OCT_TRY(oct_table_new(cli->ctx, "|name|type|shape", &t));
    add_io(t, g, "input", in, n_in);
    add_io(t, g, "output", out, n_out);
    const oct_status st = oct_cli_print_table(cli, t);
    oct_table_free(t);
    return st;
}

oct_status oct_inspect_print_ops(oct_cli *cli, const oct_model_facts *f)
{
    oct_table *t;
    OCT_TRY(oct_table_new(cli->ctx, "operator|>nodes|>MMACs|>share %", &t));
    for (int i = 0; i < f->n_ops; i++) {
        oct_table_str(t, oct_op_name(f->op[i].op));
        oct_table_s64(t, f->op[i].n);
        if (f->op[i].macs > 0) {
            oct_table_fixed(t, f->op[i].macs / 1e6, 2);
            oct_table_fixed(t, 100 * f->op[i].macs / f->macs, 1);
        } else {
            oct_table_str(t, "");
            oct_table_str(t, "");
        }
    }
    const oct_status st = oct_cli_print_table(cli, t);
    oct_table_free(t);
    return st;
}

oct_status oct_inspect_print_dump(oct_cli *cli, const oct_graph *g)
{
    oct_strbuf b;
    oct_strbuf_init(&b, cli->ctx);
    oct_graph_dump(g, &b);
    oct_status st = oct_strbuf_status(&b);
    if (st == OCT_OK)
        st = oct_cli_print_buf(cli, &b);
    oct_strbuf_deinit(&b);
    return st;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void write_io(oct_json *j, const char *key, const oct_graph *g, const oct_value_id *id,
                     uint32_t n)
{
    oct_json_key(j, key);
    oct_json_begin_array(j);
    for (uint32_t i = 0; i < n; i++) {
        const oct_value *v = oct_graph_value(g, id[i]);
        oct_json_begin_object(j);
        oct_json_kv_string(j, "name", v->name);
        oct_json_kv_string(j, "type", oct_dtype_str(v->dtype));
        if (v->shape.n_dims >= 0)
            oct_json_kv_shape(j, "shape", v->shape.dim, v->shape.n_dims);
        oct_json_end_object(j);
    }
    oct_json_end_array(j);
}

void oct_inspect_write_graph(oct_json *j, const oct_graph *g, const oct_model_facts *f)
{
    uint32_t n_in = 0, n_out = 0;
    const oct_value_id *in = oct_graph_inputs(g, &n_in), *out = oct_graph_outputs(g, &n_out);
    write_io(j, "inputs", g, in, n_in);
    write_io(j, "outputs", g, out, n_out);
    oct_json_kv_u64(j, "nodes", f->n_nodes);
    if (f->macs_known) {
        oct_json_kv_f64(j, "macs", f->macs);
        oct_json_kv_f64(j, "flops", 2 * f->macs);
    }
    oct_json_key(j, "operators");
    oct_json_begin_array(j);
    for (int i = 0; i < f->n_ops; i++) {
        oct_json_begin_object(j);
        oct_json_kv_string(j, "op", oct_op_name(f->op[i].op));
        oct_json_kv_u64(j, "nodes", f->op[i].n);
        if (f->macs_known)
            oct_json_kv_f64(j, "macs", f->op[i].macs);
        oct_json_end_object(j);
    }
    oct_json_end_array(j);
}

/* ---- plan ------------------------------------------------------------------------------------ */

static void add_time(oct_table *t, double us)
{
    if (us > 0)
        oct_table_fixed(t, us, 2);
    else
        oct_table_str(t, "");
}

static oct_status print_plan(oct_cli *cli, const oct_op_info *op, size_t n)
{
    oct_table *t;
    char text[OCT_SHAPE_STR_BYTES];
    OCT_TRY(
        oct_table_new(cli->ctx, "operator|nodes|in|out|shape|>MMACs|kernel|>tuned us|note", &t));
    for (size_t i = 0; i < n; i++) {
        oct_table_str(t, op[i].op);
        oct_table_str(t, op[i].fused && *op[i].fused ? op[i].fused : op[i].node);
        oct_table_str(t, oct_dtype_str(op[i].in_dtype));
        oct_table_str(t, oct_dtype_str(op[i].out_dtype));
        oct_table_str(t, oct_shape_str(&op[i].out_shape, text, sizeof text));
        oct_table_fixed(t, op[i].macs / 1e6, 2);
        oct_table_str(t, op[i].tactic ? op[i].tactic : "");
        add_time(t, op[i].tuned_us);
        oct_table_str(t, op[i].reason ? op[i].reason : "");
    }
    const oct_status st = oct_cli_print_table(cli, t);
    oct_table_free(t);
    return st;
}

static void write_plan(oct_json *j, const oct_op_info *op, size_t n)
{
    oct_json_key(j, "plan");
    oct_json_begin_array(j);
    for (size_t i = 0; i < n; i++) {
        oct_json_begin_object(j);
        oct_json_kv_string(j, "op", op[i].op);
        oct_json_kv_string(j, "node", op[i].node);
        oct_json_kv_string(j, "fused", op[i].fused);
        oct_json_kv_string(j, "in", oct_dtype_str(op[i].in_dtype));
        oct_json_kv_string(j, "out", oct_dtype_str(op[i].out_dtype));
        oct_json_kv_shape(j, "shape", op[i].out_shape.dim, op[i].out_shape.n_dims);
        oct_json_kv_string(j, "kernel", op[i].tactic);
        if (op[i].tuned_us > 0)
            oct_json_kv_f64(j, "tuned_us", op[i].tuned_us);
        oct_json_kv_string(j, "note", op[i].reason);
        oct_json_kv_f64(j, "macs", op[i].macs);
        oct_json_end_object(j);
    }
    oct_json_end_array(j);
}

static oct_status plan_with(oct_cli *cli, oct_engine *e, oct_worker *w, const oct_graph *g,
                            oct_json *j)
{
    uint32_t n_in = 0;
    const oct_op_info *op;
    (void)e;
    oct_graph_inputs(g, &n_in);
    oct_shape *shape = oct_alloc_array(cli->ctx, (size_t)n_in + 1, sizeof *shape);
    if (!shape)
        return OCT_ERR_NOMEM;
    oct_status st = OCT_OK;
    if (!one_image(g, shape))
        st = oct_fail(cli->ctx, OCT_ERR_UNSUPPORTED,
                      "a plan needs known input shapes, and dimensions besides the batch are open");
    if (st == OCT_OK)
        st = oct_worker_prepare(w, cli->ctx, shape, n_in);
    oct_free(cli->ctx, shape);
    OCT_TRY(st);
    const size_t n = oct_worker_ops(w, &op);
    if (!j)
        return print_plan(cli, op, n);
    write_plan(j, op, n);
    return OCT_OK;
}

oct_status oct_inspect_plan(oct_cli *cli, const oct_model *m, uint32_t precision,
                            const oct_engine_info *stored, oct_json *j)
{
    const oct_engine_options opt = {
        .backend = strcmp(cli->device, "auto") == 0 ? NULL : cli->device,
        .threads = cli->n_threads,
        .precision = precision,
        .tactic = stored ? stored->tactic : NULL,
        .n_tactics = stored ? stored->n_tactics : 0,
    };
    oct_engine *e;
    oct_worker *w = NULL;
    OCT_TRY(oct_engine_new(cli->ctx, m, &opt, &e));
    oct_status st = oct_worker_new(e, cli->ctx, &w);
    if (st == OCT_OK)
        st = plan_with(cli, e, w, oct_model_graph(m), j);
    oct_worker_free(w, cli->ctx);
    oct_engine_free(e, cli->ctx);
    return st;
}
