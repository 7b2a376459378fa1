/* SPDX-License-Identifier: Apache-2.0
 *
 * The reading half of graph_codec.h. Nothing read is trusted: every length is checked against
 * what is left, every id against how many there are, every type against the table.
 */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/numeric.h"
#include "engine/graph_codec.h"
#include "engine/graph_codec_internal.h"
#include "kernels/op_schema.h"

typedef struct decoder {
    oct_ctx *ctx;
    const oct_graph_code *c;
    size_t at;       /* in the code */
    size_t at_param; /* in scale and zero_point */
    oct_status st;   /* first failure; readers give zeros afterwards */
    int depth;
} decoder;

static void fail(decoder *d, const char *what)
{
    if (d->st == OCT_OK)
        d->st = oct_fail(d->ctx, OCT_ERR_FORMAT, "engine graph: %s at offset %zu", what, d->at);
}

static const uint8_t *take(decoder *d, size_t n)
{
    if (d->st != OCT_OK || d->c->code_bytes - d->at < n) {
        fail(d, "cut short");
        return NULL;
    }
    d->at += n;
    return d->c->code + d->at - n;
}

static uint32_t get_u32(decoder *d)
{
    const uint8_t *p = take(d, 4);
    return p ? (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24
             : 0;
}

static uint64_t get_u64(decoder *d)
{
    const uint64_t lo = get_u32(d);
    return lo | (uint64_t)get_u32(d) << 32;
}

static float get_f32(decoder *d)
{
    return oct_f32_from_bits(get_u32(d));
}

/* A count of things that take at least `least` bytes each: no more than the code can hold. */
static uint32_t get_count(decoder *d, size_t least)
{
    const uint32_t n = get_u32(d);
    if (d->st == OCT_OK && n > (d->c->code_bytes - d->at) / least)
        fail(d, "count too large");
    return d->st == OCT_OK ? n : 0;
}

/* In the graph's arena; NULL for an absent string. */
static const char *get_str(decoder *d, oct_graph *g)
{
    const uint32_t n = get_u32(d);
    if (n == OCT_CODE_NO_STRING)
        return NULL;
    const uint8_t *p = take(d, n);
    if (p && memchr(p, 0, n))
        fail(d, "NUL in a string");
    char *s = d->st == OCT_OK ? oct_arena_strndup(oct_graph_arena(g), (const char *)p, n) : NULL;
    if (d->st == OCT_OK && !s)
        d->st = OCT_ERR_NOMEM;
    return s;
}

static oct_dtype get_dtype(decoder *d)
{
    const uint32_t dt = get_u32(d);
    if (dt >= OCT_DT_COUNT)
        fail(d, "unknown element type");
    return d->st == OCT_OK ? (oct_dtype)dt : OCT_DT_NONE;
}

static oct_shape get_shape(decoder *d)
{
    oct_shape s = {.n_dims = (int)get_u32(d)};
    if (s.n_dims < -1 || s.n_dims > OCT_MAX_DIMS) {
        fail(d, "rank out of range");
        s.n_dims = 0;
    }
    for (int i = 0; i < s.n_dims; i++) {
        s.dim[i] = (int64_t)get_u64(d);
        if (s.dim[i] < 0 && !oct_dim_is_symbol(s.dim[i]))
            fail(d, "negative dimension");
    }
    return s;
}

static oct_quant get_quant(decoder *d, oct_graph *g, const oct_shape *shape)
{
    oct_quant q = {0};
    q.n = (int32_t)get_u32(d);
    q.axis = (int32_t)get_u32(d);
    if (d->st != OCT_OK || q.n == 0)
        return (oct_quant){0};
    if (q.n < 0 || (size_t)q.n > d->c->n_params - d->at_param)
        fail(d, "more scales than stored");
    else if (q.n > 1 && (q.axis < 0 || q.axis >= shape->n_dims || shape->dim[q.axis] != q.n))
        fail(d, "scales do not fit the shape");
    if (d->st != OCT_OK)
        return (oct_quant){0};
    oct_qparams *p = oct_arena_array(oct_graph_arena(g), (size_t)q.n, sizeof *p);
    if (!p) {
        d->st = OCT_ERR_NOMEM;
        return (oct_quant){0};
    }
    for (int32_t i = 0; i < q.n; i++, d->at_param++) {
        p[i] = (oct_qparams){d->c->scale[d->at_param], d->c->zero_point[d->at_param]};
        if (!(p[i].scale > 0) || !isfinite(p[i].scale) || p[i].zero_point < -128 ||
            p[i].zero_point > 255)
            fail(d, "scale or zero point out of range");
    }
    q.q = p;
    return q;
}

static void get_value(decoder *d, oct_graph *g)
{
    const char *name = get_str(d, g);
    const oct_dtype dt = get_dtype(d);
    const oct_shape shape = get_shape(d);
    const uint32_t flags = get_u32(d);
    const oct_quant quant = get_quant(d, g, &shape);
    oct_value_id id;
    if (d->st == OCT_OK && (!name || !name[0]))
        fail(d, "value without a name");
    if (d->st != OCT_OK)
        return;
    if (!(flags & OCT_CODE_CONSTANT)) {
        d->st = oct_graph_add_value(g, d->ctx, name, dt, &shape, &id);
    } else {
        const uint64_t at = get_u64(d), n = get_u64(d);
        const oct_tensor_desc desc = oct_tensor_desc_make(dt, shape, OCT_LAYOUT_ROW);
        size_t want = 0;
        if (!oct_shape_is_known(&shape) || !oct_tensor_desc_bytes(&desc, &want) || want != n)
            fail(d, "constant's size does not fit its shape");
        else if (at % OCT_ALIGN || at > d->c->constant_bytes || n > d->c->constant_bytes - at)
            fail(d, "constant outside the stored data");
        if (d->st == OCT_OK)
            d->st = oct_graph_add_constant(g, d->ctx, name, dt, &shape, d->c->constants + at, false,
                                           &id);
    }
    if (d->st != OCT_OK)
        return;
    oct_graph_value(g, id)->quant = quant;
    oct_graph_value(g, id)->from_model = (flags & OCT_CODE_FROM_MODEL) != 0;
}

static oct_value_id *get_ids(decoder *d, oct_graph *g, uint32_t *n)
{
    *n = get_count(d, 4);
    oct_value_id *id = oct_arena_array(oct_graph_arena(g), *n, sizeof *id);
    if (!id && d->st == OCT_OK)
        d->st = OCT_ERR_NOMEM;
    for (uint32_t i = 0; id && i < *n; i++) {
        id[i] = get_u32(d);
        if (id[i] != OCT_NONE && id[i] >= oct_graph_n_values(g))
            fail(d, "value number out of range");
    }
    return id;
}

/* ---- attributes ---- */

static uint32_t n_choices(const oct_attr_field *f)
{
    uint32_t n = 0;
    while (f->choices && f->choices[n])
        n++;
    return n;
}

static void get_s64s(decoder *d, const oct_attr_field *f, uint8_t *attr)
{
    const uint32_t n = get_u32(d);
    if (n > (uint32_t)f->cap)
        fail(d, "attribute list too long");
    for (uint32_t i = 0; d->st == OCT_OK && i < n; i++)
        ((int64_t *)(void *)(attr + f->offset))[i] = (int64_t)get_u64(d);
    if (d->st == OCT_OK)
        *(int *)(void *)(attr + f->count_offset) = (int)n;
}

/* F32S and STRINGS: an arena array. */
static void get_list(decoder *d, oct_graph *g, const oct_attr_field *f, uint8_t *attr)
{
    const uint32_t n = get_count(d, 4);
    const bool text = f->kind == OCT_ATTR_STRINGS;
    void *list = oct_arena_array(oct_graph_arena(g), n, text ? sizeof(char *) : sizeof(float));
    if (!list && d->st == OCT_OK)
        d->st = OCT_ERR_NOMEM;
    for (uint32_t i = 0; d->st == OCT_OK && i < n; i++) {
        if (!text)
            ((float *)list)[i] = get_f32(d);
        else if (!(((const char **)list)[i] = get_str(d, g)))
            fail(d, "absent string in a list");
    }
    if (d->st != OCT_OK)
        return;
    memcpy(attr + f->offset, &list, sizeof list);
    *(int *)(void *)(attr + f->count_offset) = (int)n;
}

static void get_fill(decoder *d, uint8_t *at)
{
    oct_attr_fill *fill = (oct_attr_fill *)(void *)at;
    fill->dtype = get_dtype(d);
    const uint8_t *v = take(d, 8);
    if (v)
        memcpy(fill->value, v, 8);
}

/* Small integers with a range: enums, subgraph numbers, booleans. */
static uint32_t get_below(decoder *d, uint32_t limit)
{
    const uint32_t v = get_u32(d);
    if (v >= limit)
        fail(d, "attribute out of range");
    return d->st == OCT_OK ? v : 0;
}

static void get_field(decoder *d, oct_graph *g, const oct_attr_field *f, uint8_t *attr)
{
    void *at = attr + f->offset;
    switch (f->kind) {
    case OCT_ATTR_S64:
        *(int64_t *)at = (int64_t)get_u64(d);
        break;
    case OCT_ATTR_S64_OF:
        *(int64_t *)at = (int64_t)get_u64(d);
        if ((uint64_t) * (int64_t *)at >= n_choices(f))
            fail(d, "attribute out of range");
        break;
    case OCT_ATTR_BOOL:
    case OCT_ATTR_BOOL_OF:
        *(bool *)at = get_below(d, 2) != 0;
        break;
    case OCT_ATTR_F32:
        *(float *)at = get_f32(d);
        break;
    case OCT_ATTR_ENUM:
        *(uint32_t *)at = get_below(d, n_choices(f));
        break;
    case OCT_ATTR_DTYPE:
        *(oct_dtype *)at = get_dtype(d);
        break;
    case OCT_ATTR_GRAPH:
        *(uint32_t *)at = get_below(d, oct_graph_n_subs(g) ? oct_graph_n_subs(g) : 1);
        break;
    case OCT_ATTR_STRING:
        *(const char **)at = get_str(d, g);
        break;
    case OCT_ATTR_S64S:
        get_s64s(d, f, attr);
        break;
    case OCT_ATTR_F32S:
    case OCT_ATTR_STRINGS:
        get_list(d, g, f, attr);
        break;
    case OCT_ATTR_FILL:
        get_fill(d, at);
        break;
    }
}

static const oct_attr_field *find_field(const oct_op_schema *s, const char *name)
{
    for (int i = 0; i < s->n_fields; i++)
        if (strcmp(s->field[i].name, name) == 0)
            return &s->field[i];
    return NULL;
}

static void *get_attr(decoder *d, oct_graph *g, oct_op op)
{
    const oct_op_schema *schema = oct_op_schema_get(op);
    const uint32_t n = get_count(d, 8);
    uint8_t *attr =
        schema->attr_bytes ? oct_arena_zalloc(oct_graph_arena(g), schema->attr_bytes) : NULL;
    if (schema->attr_bytes && !attr)
        d->st = OCT_ERR_NOMEM;
    if (attr)
        oct_op_attr_defaults(op, attr);
    for (uint32_t i = 0; d->st == OCT_OK && i < n; i++) {
        const char *name = get_str(d, g);
        const uint32_t kind = get_u32(d);
        const oct_attr_field *f = name && attr ? find_field(schema, name) : NULL;
        if (!f || (uint32_t)f->kind != kind)
            fail(d, "unknown attribute");
        else
            get_field(d, g, f, attr);
    }
    return attr;
}

/* ---- nodes and graphs ---- */

static bool epilogue_is_valid(const oct_epilogue *e, uint32_t n_in)
{
    return e->residual >= -1 && e->residual < (int)n_in && (uint32_t)e->act < OCT_ACT_COUNT;
}

static void get_node(decoder *d, oct_graph *g)
{
    uint32_t n_in = 0, n_out = 0;
    const char *domain = get_str(d, g), *op_name = get_str(d, g), *name = get_str(d, g);
    const oct_value_id *in = get_ids(d, g, &n_in), *out = get_ids(d, g, &n_out);
    oct_epilogue epilogue;
    epilogue.residual = (int)get_u32(d);
    epilogue.act = (oct_act)get_u32(d);
    epilogue.a = get_f32(d);
    epilogue.b = get_f32(d);
    const uint32_t model_index = get_u32(d);
    const char *note = get_str(d, g);
    if (d->st != OCT_OK)
        return;
    const oct_op op = domain && op_name ? oct_op_find(domain, op_name) : OCT_OP_COUNT;
    if (op == OCT_OP_COUNT || !name || !epilogue_is_valid(&epilogue, n_in)) {
        fail(d, "node of an unknown operator or epilogue");
        return;
    }
    const void *attr = get_attr(d, g, op);
    oct_node_id id;
    if (d->st == OCT_OK)
        d->st = oct_graph_add_node(g, d->ctx, op, name, attr, in, n_in, out, n_out, &id);
    if (d->st != OCT_OK)
        return;
    oct_node *n = oct_graph_node(g, id);
    n->epilogue = epilogue;
    n->model_index = model_index;
    n->note = note;
}

static void get_graph(decoder *d, oct_graph **out);

static void get_subgraphs(decoder *d, oct_graph *g)
{
    const uint32_t n = get_count(d, 16);
    for (uint32_t i = 0; d->st == OCT_OK && i < n; i++) {
        oct_graph *sub = NULL;
        uint32_t index;
        get_graph(d, &sub);
        if (d->st == OCT_OK)
            d->st = oct_graph_add_subgraph(g, d->ctx, sub, &index);
        if (d->st != OCT_OK)
            oct_graph_free(sub);
    }
}

static void get_graph(decoder *d, oct_graph **out)
{
    oct_graph *g = NULL;
    if (++d->depth > OCT_CODE_MAX_SUBS)
        fail(d, "subgraphs nested too deeply");
    if (d->st == OCT_OK)
        d->st = oct_graph_new(d->ctx, &g);
    if (d->st != OCT_OK)
        return;
    const uint32_t n_values = get_count(d, 16);
    for (uint32_t i = 0; d->st == OCT_OK && i < n_values; i++)
        get_value(d, g);
    for (int side = 0; side < 2; side++) {
        uint32_t n = 0;
        const oct_value_id *id = get_ids(d, g, &n);
        for (uint32_t i = 0; d->st == OCT_OK && i < n; i++) {
            if (id[i] == OCT_NONE)
                fail(d, "absent graph input or output");
            else
                d->st = side ? oct_graph_add_output(g, d->ctx, id[i])
                             : oct_graph_add_input(g, d->ctx, id[i]);
        }
    }
    if (d->st == OCT_OK)
        get_subgraphs(d, g);
    const uint32_t n_nodes = get_count(d, 16);
    for (uint32_t i = 0; d->st == OCT_OK && i < n_nodes; i++)
        get_node(d, g);
    d->depth--;
    *out = g;
}

oct_status oct_graph_decode(oct_ctx *ctx, const oct_graph_code *c, oct_graph **out)
{
    decoder d = {.ctx = ctx, .c = c};
    oct_graph *g = NULL;
    get_graph(&d, &g);
    if (d.st == OCT_OK && (d.at != c->code_bytes || d.at_param != c->n_params))
        fail(&d, "bytes left over");
    if (d.st == OCT_OK)
        d.st = oct_graph_sort(g, ctx);
    if (d.st == OCT_OK)
        d.st = oct_graph_check(ctx, g);
    if (d.st != OCT_OK) {
        oct_graph_free(g);
        return d.st;
    }
    *out = g;
    return OCT_OK;
}
