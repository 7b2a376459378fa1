/* SPDX-License-Identifier: Apache-2.0
 *
 * Text form of a graph, for people, golden tests and diffs. Attributes come from the attribute
 * table; those at their default are left out. Names from files are made printable.
 */
#include <string.h>

#include "engine/graph_internal.h"
#include "kernels/op_schema.h"

enum { NAME_BYTES = 512 };

static void add_name(oct_strbuf *b, const char *name)
{
    char text[NAME_BYTES];
    oct_strbuf_addf(b, "%%%s", oct_printable(name, text, sizeof text));
}

/* " *scale" of a quantized value, "~n" where there is one a channel, "+zero point" if any. */
static void add_quant(oct_strbuf *b, const oct_quant *q)
{
    if (q->n <= 0)
        return;
    oct_strbuf_add(b, "*");
    oct_strbuf_add_f32(b, q->q[0].scale);
    if (q->n > 1)
        oct_strbuf_addf(b, "~%d", q->n);
    if (q->q[0].zero_point)
        oct_strbuf_addf(b, "%+d", q->q[0].zero_point);
}

static void add_type(oct_strbuf *b, const oct_value *v)
{
    oct_strbuf_addf(b, ":%s", oct_dtype_str(v->dtype));
    add_quant(b, &v->quant);
    if (v->shape.n_dims < 0) {
        oct_strbuf_add(b, "[...]");
        return;
    }
    oct_strbuf_add(b, "[");
    for (int i = 0; i < v->shape.n_dims; i++) {
        if (i)
            oct_strbuf_add(b, "x");
        if (oct_dim_is_symbol(v->shape.dim[i]))
            oct_strbuf_addf(b, "s%lld", (long long)(v->shape.dim[i] - INT64_MIN));
        else
            oct_strbuf_addf(b, "%lld", (long long)v->shape.dim[i]);
    }
    oct_strbuf_add(b, "]");
}

static void add_value(oct_strbuf *b, const oct_graph *g, oct_value_id id, bool type)
{
    if (id == OCT_NONE) {
        oct_strbuf_add(b, "-");
        return;
    }
    add_name(b, g->value[id].name);
    if (type)
        add_type(b, &g->value[id]);
}

/* ---- attributes ---------------------------------------------------------------------------- */

static void add_quoted(oct_strbuf *b, const char *s)
{
    char text[NAME_BYTES];
    oct_strbuf_addf(b, "\"%s\"", oct_printable(s ? s : "", text, sizeof text));
}

static void add_s64s(oct_strbuf *b, const char *at, int n)
{
    oct_strbuf_add(b, "[");
    for (int i = 0; i < n; i++) {
        int64_t v;
        memcpy(&v, at + (size_t)i * sizeof v, sizeof v);
        oct_strbuf_addf(b, i ? ",%lld" : "%lld", (long long)v);
    }
    oct_strbuf_add(b, "]");
}

static void add_f32s(oct_strbuf *b, const float *v, int n)
{
    oct_strbuf_add(b, "[");
    for (int i = 0; i < n; i++) {
        if (i)
            oct_strbuf_add(b, ",");
        oct_strbuf_add_f32(b, v[i]);
    }
    oct_strbuf_add(b, "]");
}

static void add_strings(oct_strbuf *b, const char *const *v, int n)
{
    oct_strbuf_add(b, "[");
    for (int i = 0; i < n; i++) {
        if (i)
            oct_strbuf_add(b, ",");
        add_quoted(b, v[i]);
    }
    oct_strbuf_add(b, "]");
}

static void add_fill(oct_strbuf *b, const oct_attr_fill *fill)
{
    oct_strbuf_addf(b, "%s:0x", oct_dtype_str(fill->dtype));
    for (size_t i = oct_dtype_bytes(fill->dtype); i-- > 0;)
        oct_strbuf_addf(b, "%02x", fill->value[i]);
}

static void add_field_value(oct_strbuf *b, const oct_attr_field *f, const void *attr)
{
    union {
        int64_t s64;
        bool b;
        float f32;
        int e;
        const void *p;
        uint32_t u32;
    } v;
    const char *at = (const char *)attr + f->offset;
    int n = 0;
    memcpy(&v, at,
           f->kind == OCT_ATTR_BOOL || f->kind == OCT_ATTR_BOOL_OF ? sizeof v.b
           : f->kind == OCT_ATTR_F32                               ? sizeof v.f32
           : f->kind == OCT_ATTR_ENUM || f->kind == OCT_ATTR_DTYPE ? sizeof v.e
           : f->kind == OCT_ATTR_GRAPH                             ? sizeof v.u32
                                                                   : sizeof v.s64);
    if (f->kind == OCT_ATTR_S64S || f->kind == OCT_ATTR_F32S || f->kind == OCT_ATTR_STRINGS)
        memcpy(&n, (const char *)attr + f->count_offset, sizeof n);
    switch (f->kind) {
    case OCT_ATTR_S64:
        oct_strbuf_addf(b, "%lld", (long long)v.s64);
        break;
    case OCT_ATTR_BOOL:
        oct_strbuf_add(b, v.b ? "1" : "0");
        break;
    case OCT_ATTR_F32:
        oct_strbuf_add_f32(b, v.f32);
        break;
    case OCT_ATTR_ENUM:
        oct_strbuf_add(b, f->choices[v.e]);
        break;
    case OCT_ATTR_BOOL_OF:
        oct_strbuf_add(b, f->choices[v.b]);
        break;
    case OCT_ATTR_S64_OF:
        oct_strbuf_add(b, f->choices[v.s64]);
        break;
    case OCT_ATTR_DTYPE:
        oct_strbuf_add(b, oct_dtype_str((oct_dtype)v.e));
        break;
    case OCT_ATTR_STRING:
        add_quoted(b, v.p);
        break;
    case OCT_ATTR_S64S:
        add_s64s(b, at, n);
        break;
    case OCT_ATTR_F32S:
        add_f32s(b, v.p, n);
        break;
    case OCT_ATTR_STRINGS:
        add_strings(b, v.p, n);
        break;
    case OCT_ATTR_FILL:
        add_fill(b, (const oct_attr_fill *)at);
        break;
    case OCT_ATTR_GRAPH:
        oct_strbuf_addf(b, "@%u", v.u32);
        break;
    }
}

static size_t field_bytes(const oct_attr_field *f)
{
    switch (f->kind) {
    case OCT_ATTR_BOOL:
    case OCT_ATTR_BOOL_OF:
        return sizeof(bool);
    case OCT_ATTR_F32:
        return sizeof(float);
    case OCT_ATTR_ENUM:
    case OCT_ATTR_DTYPE:
        return sizeof(int);
    case OCT_ATTR_FILL:
        return sizeof(oct_attr_fill);
    default:
        return sizeof(int64_t);
    }
}

static bool is_default(const oct_attr_field *f, const void *attr, const void *defaults)
{
    int n = 0;
    if (f->kind == OCT_ATTR_GRAPH)
        return false;
    if (f->kind == OCT_ATTR_S64S) {
        memcpy(&n, (const char *)attr + f->count_offset, sizeof n);
        return n == 0;
    }
    return memcmp((const char *)attr + f->offset, (const char *)defaults + f->offset,
                  field_bytes(f)) == 0;
}

void oct_graph_dump_attrs(oct_strbuf *b, oct_op op, const void *attr)
{
    _Alignas(16) char defaults[1024];
    const oct_op_schema *s = oct_op_schema_get(op);
    const char *sep = " {";
    if (!attr || s->attr_bytes > sizeof defaults)
        return;
    oct_op_attr_defaults(op, defaults);
    for (int i = 0; i < s->n_fields; i++) {
        if (is_default(&s->field[i], attr, defaults))
            continue;
        oct_strbuf_addf(b, "%s%s=", sep, s->field[i].name);
        add_field_value(b, &s->field[i], attr);
        sep = ", ";
    }
    if (*sep == ',')
        oct_strbuf_add(b, "}");
}

static const char *const ACT_NAME[OCT_ACT_COUNT] = {
    [OCT_ACT_NONE] = "none",
    [OCT_ACT_RELU] = "relu",
    [OCT_ACT_CLIP] = "clip",
    [OCT_ACT_LEAKY_RELU] = "leaky_relu",
    [OCT_ACT_SIGMOID] = "sigmoid",
    [OCT_ACT_TANH] = "tanh",
    [OCT_ACT_ELU] = "elu",
    [OCT_ACT_HARD_SIGMOID] = "hard_sigmoid",
    [OCT_ACT_HARD_SWISH] = "hard_swish",
    [OCT_ACT_SWISH] = "swish",
    [OCT_ACT_GELU] = "gelu",
    [OCT_ACT_GELU_TANH] = "gelu_tanh",
    [OCT_ACT_MISH] = "mish",
    [OCT_ACT_SOFTPLUS] = "softplus",
};

const char *oct_graph_dump_act(oct_act act)
{
    return ACT_NAME[act];
}

static void add_epilogue(oct_strbuf *b, const oct_node *n)
{
    if (n->epilogue.residual >= 0)
        oct_strbuf_addf(b, " +in%d", n->epilogue.residual);
    if (n->epilogue.act == OCT_ACT_NONE)
        return;
    oct_strbuf_addf(b, " |%s(", ACT_NAME[n->epilogue.act]);
    oct_strbuf_add_f32(b, n->epilogue.a);
    oct_strbuf_add(b, ",");
    oct_strbuf_add_f32(b, n->epilogue.b);
    oct_strbuf_add(b, ")");
}

/* ---- graph --------------------------------------------------------------------------------- */

static void add_indent(oct_strbuf *b, int depth)
{
    for (int i = 0; i < depth; i++)
        oct_strbuf_add(b, "    ");
}

static void add_node(oct_strbuf *b, const oct_graph *g, const oct_node *n)
{
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (i)
            oct_strbuf_add(b, ", ");
        add_value(b, g, n->out[i], true);
    }
    oct_strbuf_addf(b, " = %s(", oct_op_name(n->op));
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (i)
            oct_strbuf_add(b, ", ");
        add_value(b, g, n->in[i], false);
    }
    oct_strbuf_add(b, ")");
    oct_graph_dump_attrs(b, n->op, n->attr);
    add_epilogue(b, n);
    oct_strbuf_add(b, "\n");
}

static void add_ids(oct_strbuf *b, const oct_graph *g, const char *title, const oct_id_list *list)
{
    oct_strbuf_add(b, title);
    for (uint32_t i = 0; i < list->n; i++) {
        oct_strbuf_add(b, i ? ", " : " ");
        add_value(b, g, list->id[i], true);
    }
    oct_strbuf_add(b, "\n");
}

static void dump(const oct_graph *g, oct_strbuf *b, int depth)
{
    uint32_t n_order;
    const oct_node_id *order = oct_graph_order(g, &n_order);
    add_indent(b, depth);
    add_ids(b, g, "inputs", &g->inputs);
    for (uint32_t v = 0; v < g->n_values; v++) {
        if (!g->value[v].data || g->value[v].producer != OCT_NONE)
            continue;
        add_indent(b, depth);
        oct_strbuf_add(b, "const ");
        add_value(b, g, v, true);
        oct_strbuf_add(b, "\n");
    }
    for (uint32_t k = 0; k < n_order; k++) {
        add_indent(b, depth);
        add_node(b, g, &g->node[order[k]]);
    }
    add_indent(b, depth);
    add_ids(b, g, "outputs", &g->outputs);
    for (uint32_t i = 0; i < g->n_subs; i++) {
        add_indent(b, depth);
        oct_strbuf_addf(b, "graph @%u\n", i);
        dump(g->sub[i], b, depth + 1);
    }
}

void oct_graph_dump(const oct_graph *g, oct_strbuf *out)
{
    dump(g, out, 0);
}
