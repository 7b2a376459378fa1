/* SPDX-License-Identifier: Apache-2.0
 *
 * The writing half of graph_codec.h. The reading half is graph_decode.c; a field written here
 * is read there in the same order.
 */
#include <string.h>

#include "base/numeric.h"
#include "engine/graph_codec.h"
#include "engine/graph_codec_internal.h"
#include "kernels/op_schema.h"

/* Growing byte buffer that remembers failure. */
typedef struct bytes {
    uint8_t *p;
    size_t n, cap;
} bytes;

typedef struct encoder {
    oct_ctx *ctx;
    bytes code, constants, scale, zero_point;
    uint32_t
        *new_id; /* per value of the graph being written: its number in the file, or OCT_NONE */
    bool failed;
} encoder;

static void put(encoder *e, bytes *b, const void *src, size_t n)
{
    if (e->failed || n == 0)
        return;
    if (b->n + n > b->cap) {
        const size_t cap = 2 * (b->n + n) + 256;
        uint8_t *grown = oct_realloc(e->ctx, b->p, cap);
        if (!grown) {
            e->failed = true;
            return;
        }
        b->p = grown;
        b->cap = cap;
    }
    memcpy(b->p + b->n, src, n);
    b->n += n;
}

static void put_u64(encoder *e, uint64_t v)
{
    uint8_t le[8];
    for (int i = 0; i < 8; i++)
        le[i] = (uint8_t)(v >> (8 * i));
    put(e, &e->code, le, 8);
}

static void put_u32_to(encoder *e, bytes *b, uint32_t v)
{
    const uint8_t le[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
    put(e, b, le, 4);
}

static void put_u32(encoder *e, uint32_t v)
{
    put_u32_to(e, &e->code, v);
}

static void put_f32(encoder *e, float v)
{
    put_u32(e, oct_f32_bits(v));
}

/* Length and characters; NULL is told from "" by the length. */
static void put_str(encoder *e, const char *s)
{
    const size_t n = s ? strlen(s) : 0;
    put_u32(e, s ? (uint32_t)n : OCT_CODE_NO_STRING);
    put(e, &e->code, s, n);
}

static void put_quant(encoder *e, const oct_quant *q)
{
    put_u32(e, (uint32_t)q->n);
    put_u32(e, (uint32_t)q->axis);
    for (int32_t i = 0; i < q->n; i++) {
        put_u32_to(e, &e->scale, oct_f32_bits(q->q[i].scale));
        put_u32_to(e, &e->zero_point, (uint32_t)q->q[i].zero_point);
    }
}

static void put_constant(encoder *e, const oct_value *v)
{
    static const uint8_t zeros[OCT_ALIGN] = {0};
    put(e, &e->constants, zeros, (OCT_ALIGN - e->constants.n % OCT_ALIGN) % OCT_ALIGN);
    put_u64(e, e->constants.n);
    put_u64(e, v->data_bytes);
    put(e, &e->constants, v->data, v->data_bytes);
}

static void put_value(encoder *e, const oct_value *v)
{
    /* a computed value whose elements shape inference knows is no constant */
    const bool constant = v->data && v->producer == OCT_NONE;
    put_str(e, v->name);
    put_u32(e, (uint32_t)v->dtype);
    put_u32(e, (uint32_t)v->shape.n_dims);
    for (int d = 0; d < v->shape.n_dims; d++)
        put_u64(e, (uint64_t)v->shape.dim[d]);
    put_u32(e, (constant ? OCT_CODE_CONSTANT : 0u) | (v->from_model ? OCT_CODE_FROM_MODEL : 0u));
    put_quant(e, &v->quant);
    if (constant)
        put_constant(e, v);
}

static void put_s64s(encoder *e, const int64_t *v, int n)
{
    put_u32(e, (uint32_t)n);
    for (int i = 0; i < n; i++)
        put_u64(e, (uint64_t)v[i]);
}

/* One attribute as its kind says; see get_field() in graph_decode.c. */
static void put_field(encoder *e, const oct_attr_field *f, const uint8_t *attr)
{
    const void *at = attr + f->offset;
    /* a count may lie at offset 0, so only the kind tells whether there is one */
    const bool is_list =
        f->kind == OCT_ATTR_S64S || f->kind == OCT_ATTR_F32S || f->kind == OCT_ATTR_STRINGS;
    const int n = is_list ? *(const int *)(const void *)(attr + f->count_offset) : 0;
    put_str(e, f->name);
    put_u32(e, (uint32_t)f->kind);
    switch (f->kind) {
    case OCT_ATTR_S64:
    case OCT_ATTR_S64_OF:
        put_u64(e, (uint64_t) * (const int64_t *)at);
        break;
    case OCT_ATTR_BOOL:
    case OCT_ATTR_BOOL_OF:
        put_u32(e, *(const bool *)at);
        break;
    case OCT_ATTR_F32:
        put_f32(e, *(const float *)at);
        break;
    case OCT_ATTR_ENUM:
    case OCT_ATTR_DTYPE:
    case OCT_ATTR_GRAPH:
        put_u32(e, *(const uint32_t *)at);
        break;
    case OCT_ATTR_STRING:
        put_str(e, *(const char *const *)at);
        break;
    case OCT_ATTR_S64S:
        put_s64s(e, at, n);
        break;
    case OCT_ATTR_F32S:
        put_u32(e, (uint32_t)n);
        for (int i = 0; i < n; i++)
            put_f32(e, (*(const float *const *)at)[i]);
        break;
    case OCT_ATTR_STRINGS:
        put_u32(e, (uint32_t)n);
        for (int i = 0; i < n; i++)
            put_str(e, (*(const char *const *const *)at)[i]);
        break;
    case OCT_ATTR_FILL:
        put_u32(e, (uint32_t)((const oct_attr_fill *)at)->dtype);
        put(e, &e->code, ((const oct_attr_fill *)at)->value, 8);
        break;
    }
}

static void put_ids(encoder *e, const oct_value_id *id, uint32_t n)
{
    put_u32(e, n);
    for (uint32_t i = 0; i < n; i++)
        put_u32(e, id[i] == OCT_NONE ? OCT_NONE : e->new_id[id[i]]);
}

static void put_node(encoder *e, const oct_node *n)
{
    const oct_op_schema *schema = oct_op_schema_get(n->op);
    put_str(e, oct_op_domain(n->op));
    put_str(e, oct_op_name(n->op));
    put_str(e, n->name);
    put_ids(e, n->in, n->n_in);
    put_ids(e, n->out, n->n_out);
    put_u32(e, (uint32_t)n->epilogue.residual);
    put_u32(e, (uint32_t)n->epilogue.act);
    put_f32(e, n->epilogue.a);
    put_f32(e, n->epilogue.b);
    put_u32(e, n->model_index);
    put_str(e, n->note);
    put_u32(e, n->attr ? (uint32_t)schema->n_fields : 0);
    for (int i = 0; n->attr && i < schema->n_fields; i++)
        put_field(e, &schema->field[i], n->attr);
}

static void number(encoder *e, oct_value_id v, oct_value_id *list, uint32_t *n)
{
    if (v == OCT_NONE || e->new_id[v] != OCT_NONE)
        return;
    list[*n] = v;
    e->new_id[v] = (*n)++;
}

/* Numbers the values that live nodes and the graph's own lists use, in order of first use. */
static uint32_t number_values(encoder *e, const oct_graph *g, oct_value_id *list)
{
    uint32_t n = 0, n_order = 0, n_ids = 0;
    const oct_node_id *order = oct_graph_order(g, &n_order);
    for (uint32_t v = 0; v < oct_graph_n_values(g); v++)
        e->new_id[v] = OCT_NONE;
    for (int pass = 0; pass < 2; pass++) {
        const oct_value_id *ids = pass ? oct_graph_outputs(g, &n_ids) : oct_graph_inputs(g, &n_ids);
        for (uint32_t i = 0; i < n_ids; i++)
            number(e, ids[i], list, &n);
    }
    for (uint32_t k = 0; k < n_order; k++) {
        const oct_node *node = oct_graph_node(g, order[k]);
        for (uint32_t i = 0; i < node->n_in; i++)
            number(e, node->in[i], list, &n);
        for (uint32_t i = 0; i < node->n_out; i++)
            number(e, node->out[i], list, &n);
    }
    return n;
}

static oct_status put_graph(encoder *e, const oct_graph *g)
{
    const uint32_t n_all = oct_graph_n_values(g);
    uint32_t n_order = 0, n_ids = 0;
    const oct_node_id *order = oct_graph_order(g, &n_order);
    uint32_t *outer = e->new_id;
    e->new_id = oct_alloc_array(e->ctx, n_all, sizeof *e->new_id);
    oct_value_id *list = oct_alloc_array(e->ctx, n_all, sizeof *list);
    oct_status st = e->new_id && list ? OCT_OK : OCT_ERR_NOMEM;
    if (st == OCT_OK) {
        const uint32_t n = number_values(e, g, list);
        put_u32(e, n);
        for (uint32_t i = 0; i < n; i++)
            put_value(e, oct_graph_value(g, list[i]));
        const oct_value_id *ids = oct_graph_inputs(g, &n_ids);
        put_ids(e, ids, n_ids);
        ids = oct_graph_outputs(g, &n_ids);
        put_ids(e, ids, n_ids);
        put_u32(e, oct_graph_n_subs(g));
        for (uint32_t i = 0; st == OCT_OK && i < oct_graph_n_subs(g); i++)
            st = put_graph(e, oct_graph_sub(g, i));
        put_u32(e, n_order);
        for (uint32_t k = 0; k < n_order; k++)
            put_node(e, oct_graph_node(g, order[k]));
    }
    oct_free(e->ctx, list);
    oct_free(e->ctx, e->new_id);
    e->new_id = outer;
    return st;
}

oct_status oct_graph_encode(oct_ctx *ctx, const oct_graph *g, oct_graph_code *out)
{
    encoder e = {.ctx = ctx};
    oct_status st = put_graph(&e, g);
    if (st == OCT_OK && e.failed)
        st = OCT_ERR_NOMEM;
    *out = (oct_graph_code){e.code.p,
                            e.code.n,
                            e.constants.p,
                            e.constants.n,
                            (float *)(void *)e.scale.p,
                            (int32_t *)(void *)e.zero_point.p,
                            e.scale.n / 4};
    if (st != OCT_OK)
        oct_graph_code_deinit(ctx, out);
    return st;
}

void oct_graph_code_deinit(oct_ctx *ctx, oct_graph_code *c)
{
    oct_free(ctx, c->code);
    oct_free(ctx, c->constants);
    oct_free(ctx, c->scale);
    oct_free(ctx, c->zero_point);
    *c = (oct_graph_code){0};
}
