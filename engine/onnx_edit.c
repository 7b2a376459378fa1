/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/onnx_edit.h"

#include <string.h>

/* ---- lists ----------------------------------------------------------------------------------- */

/* protobuf-c's lists carry no capacity. The few that were made longer last are remembered with
 * theirs, so that appending many nodes to one graph stays linear. */
static void *make_room(oct_onnx_doc *doc, void *list, size_t n)
{
    for (unsigned i = 0; i < OCT_ONNX_GROWN; i++)
        if (list && doc->grown[i].list == list && n < doc->grown[i].cap)
            return list;
    const size_t cap = n + n / 2 + 4;
    void **p = oct_onnx_doc_alloc(doc, cap * sizeof *p);
    if (!p)
        return NULL;
    if (n)
        memcpy(p, list, n * sizeof *p);
    const unsigned slot = doc->next_grown++ % OCT_ONNX_GROWN;
    doc->grown[slot].list = p;
    doc->grown[slot].cap = cap;
    return p;
}

/* `list` (of `*n` pointers to messages or strings) gets `item` at `at`; the new list or NULL. */
static void *insert(oct_onnx_doc *doc, void *list, size_t *n, size_t at, void *item)
{
    void **p = item ? make_room(doc, list, *n) : NULL;
    if (!p)
        return NULL;
    memmove(p + at + 1, p + at, (*n - at) * sizeof *p);
    p[at] = item;
    ++*n;
    return p;
}

#define APPEND(doc, list, n, item)                              \
    do {                                                        \
        void *list_ = insert((doc), (list), &(n), (n), (item)); \
        if (!list_)                                             \
            return OCT_ERR_NOMEM;                               \
        (list) = list_;                                         \
    } while (0)

/* ---- names ----------------------------------------------------------------------------------- */

static oct_status take(oct_onnx_doc *doc, const char *name)
{
    return name && *name ? oct_name_map_put(doc->ctx, &doc->names, name, 0) : OCT_OK;
}

static oct_status take_graph(oct_onnx_doc *doc, const Onnx__GraphProto *g);

static oct_status take_node(oct_onnx_doc *doc, const Onnx__NodeProto *n)
{
    OCT_TRY(take(doc, n->name));
    for (size_t i = 0; i < n->n_input; i++)
        OCT_TRY(take(doc, n->input[i]));
    for (size_t i = 0; i < n->n_output; i++)
        OCT_TRY(take(doc, n->output[i]));
    for (size_t i = 0; i < n->n_attribute; i++)
        if (n->attribute[i]->g)
            OCT_TRY(take_graph(doc, n->attribute[i]->g));
    return OCT_OK;
}

static oct_status take_graph(oct_onnx_doc *doc, const Onnx__GraphProto *g)
{
    for (size_t i = 0; i < g->n_input; i++)
        OCT_TRY(take(doc, g->input[i]->name));
    for (size_t i = 0; i < g->n_output; i++)
        OCT_TRY(take(doc, g->output[i]->name));
    for (size_t i = 0; i < g->n_initializer; i++)
        OCT_TRY(take(doc, g->initializer[i]->name));
    for (size_t i = 0; i < g->n_node; i++)
        OCT_TRY(take_node(doc, g->node[i]));
    return OCT_OK;
}

static oct_status take_all(oct_onnx_doc *doc)
{
    OCT_TRY(take_graph(doc, doc->model->graph));
    for (size_t i = 0; i < doc->model->n_functions; i++)
        for (size_t k = 0; k < doc->model->functions[i]->n_node; k++)
            OCT_TRY(take_node(doc, doc->model->functions[i]->node[k]));
    return OCT_OK;
}

const char *oct_onnx_fresh_name(oct_onnx_doc *doc, const char *stem)
{
    uint32_t used;
    if (doc->names.n == 0 && take_all(doc) != OCT_OK)
        return NULL;
    char *name = oct_arena_strdup(doc->arena, *stem ? stem : "value");
    if (!name)
        return NULL;
    const char *base = name;
    uint32_t k = 0;
    /* The number of the last name made from this stem is kept with the stem. */
    if (oct_name_map_get(&doc->names, base, &k)) {
        do
            name = oct_arena_printf(doc->arena, "%s_%u", base, ++k);
        while (name && oct_name_map_get(&doc->names, name, &used));
        if (!name || oct_name_map_put(doc->ctx, &doc->names, base, k) != OCT_OK)
            return NULL;
    }
    return oct_name_map_put(doc->ctx, &doc->names, name, 0) == OCT_OK ? name : NULL;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

Onnx__NodeProto *oct_onnx_node_new(oct_onnx_doc *doc, const char *op_type, const char *domain,
                                   const char *name)
{
    Onnx__NodeProto *n = oct_onnx_doc_alloc(doc, sizeof *n);
    if (!n)
        return NULL;
    onnx__node_proto__init(n);
    n->op_type = oct_onnx_doc_strdup(doc, op_type);
    n->name = oct_onnx_doc_strdup(doc, name);
    if (*domain && !(n->domain = oct_onnx_doc_strdup(doc, domain)))
        return NULL;
    return n->op_type && n->name ? n : NULL;
}

oct_status oct_onnx_node_input(oct_onnx_doc *doc, Onnx__NodeProto *n, const char *name)
{
    APPEND(doc, n->input, n->n_input, oct_onnx_doc_strdup(doc, name));
    return OCT_OK;
}

oct_status oct_onnx_node_output(oct_onnx_doc *doc, Onnx__NodeProto *n, const char *name)
{
    APPEND(doc, n->output, n->n_output, oct_onnx_doc_strdup(doc, name));
    return OCT_OK;
}

oct_status oct_onnx_node_set_input(oct_onnx_doc *doc, Onnx__NodeProto *n, size_t i,
                                   const char *name)
{
    while (n->n_input <= i)
        OCT_TRY(oct_onnx_node_input(doc, n, ""));
    n->input[i] = oct_onnx_doc_strdup(doc, name);
    return n->input[i] ? OCT_OK : OCT_ERR_NOMEM;
}

oct_status oct_onnx_graph_insert(oct_onnx_doc *doc, Onnx__GraphProto *g, size_t at,
                                 Onnx__NodeProto *n)
{
    void *list = insert(doc, g->node, &g->n_node, at, n);
    if (!list)
        return OCT_ERR_NOMEM;
    g->node = list;
    return OCT_OK;
}

void oct_onnx_graph_remove(Onnx__GraphProto *g, size_t at)
{
    g->n_node--;
    memmove(g->node + at, g->node + at + 1, (g->n_node - at) * sizeof *g->node);
}

/* The graph defines `name` itself, so that it hides the outer value. */
static bool defines(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_input; i++)
        if (strcmp(oct_onnx_str(g->input[i]->name), name) == 0)
            return true;
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_output; k++)
            if (strcmp(g->node[i]->output[k], name) == 0)
                return true;
    return oct_onnx_initializer_find(g, name) != NULL;
}

static oct_status rename_in_node(oct_onnx_doc *doc, Onnx__NodeProto *n, const char *from, char *to);

/* A subgraph's output that is an outer value is a read of it too. */
static oct_status rename_in_sub(oct_onnx_doc *doc, Onnx__GraphProto *g, const char *from, char *to)
{
    if (defines(g, from))
        return OCT_OK;
    for (size_t i = 0; i < g->n_node; i++)
        OCT_TRY(rename_in_node(doc, g->node[i], from, to));
    for (size_t i = 0; i < g->n_output; i++)
        if (strcmp(oct_onnx_str(g->output[i]->name), from) == 0)
            g->output[i]->name = to;
    return OCT_OK;
}

static oct_status rename_in_node(oct_onnx_doc *doc, Onnx__NodeProto *n, const char *from, char *to)
{
    for (size_t i = 0; i < n->n_input; i++)
        if (strcmp(n->input[i], from) == 0)
            n->input[i] = to;
    for (size_t i = 0; i < n->n_attribute; i++)
        if (n->attribute[i]->g)
            OCT_TRY(rename_in_sub(doc, n->attribute[i]->g, from, to));
    return OCT_OK;
}

oct_status oct_onnx_rename_reads(oct_onnx_doc *doc, Onnx__GraphProto *g, const char *from,
                                 const char *to, const Onnx__NodeProto *except)
{
    char *copy = oct_onnx_doc_strdup(doc, to);
    if (!copy)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < g->n_node; i++)
        if (g->node[i] != except)
            OCT_TRY(rename_in_node(doc, g->node[i], from, copy));
    return OCT_OK;
}

/* ---- attributes ------------------------------------------------------------------------------ */

enum { T_FLOAT = 1, T_INT = 2, T_STRING = 3, T_INTS = 7 };

Onnx__AttributeProto *oct_onnx_attr_find(const Onnx__NodeProto *n, const char *name)
{
    for (size_t i = 0; i < n->n_attribute; i++)
        if (strcmp(oct_onnx_str(n->attribute[i]->name), name) == 0)
            return n->attribute[i];
    return NULL;
}

void oct_onnx_attr_remove(Onnx__NodeProto *n, const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < n->n_attribute; i++)
        if (strcmp(oct_onnx_str(n->attribute[i]->name), name) != 0)
            n->attribute[kept++] = n->attribute[i];
    n->n_attribute = kept;
}

static oct_status attr_new(oct_onnx_doc *doc, Onnx__NodeProto *n, const char *name, int type,
                           Onnx__AttributeProto **out)
{
    Onnx__AttributeProto *a = oct_onnx_doc_alloc(doc, sizeof *a);
    if (!a)
        return OCT_ERR_NOMEM;
    onnx__attribute_proto__init(a);
    if (!(a->name = oct_onnx_doc_strdup(doc, name)))
        return OCT_ERR_NOMEM;
    a->has_type = true;
    a->type = type;
    oct_onnx_attr_remove(n, name);
    APPEND(doc, n->attribute, n->n_attribute, a);
    *out = a;
    return OCT_OK;
}

oct_status oct_onnx_attr_set_s64(oct_onnx_doc *doc, Onnx__NodeProto *n, const char *name, int64_t v)
{
    Onnx__AttributeProto *a;
    OCT_TRY(attr_new(doc, n, name, T_INT, &a));
    a->has_i = true;
    a->i = v;
    return OCT_OK;
}

oct_status oct_onnx_attr_set_f32(oct_onnx_doc *doc, Onnx__NodeProto *n, const char *name, float v)
{
    Onnx__AttributeProto *a;
    OCT_TRY(attr_new(doc, n, name, T_FLOAT, &a));
    a->has_f = true;
    a->f = v;
    return OCT_OK;
}

oct_status oct_onnx_attr_set_string(oct_onnx_doc *doc, Onnx__NodeProto *n, const char *name,
                                    const char *v)
{
    Onnx__AttributeProto *a;
    char *copy = oct_onnx_doc_strdup(doc, v);
    if (!copy)
        return OCT_ERR_NOMEM;
    OCT_TRY(attr_new(doc, n, name, T_STRING, &a));
    a->has_s = true;
    a->s = (ProtobufCBinaryData){.len = strlen(v), .data = (uint8_t *)copy};
    return OCT_OK;
}

oct_status oct_onnx_attr_set_s64s(oct_onnx_doc *doc, Onnx__NodeProto *n, const char *name,
                                  const int64_t *v, size_t n_v)
{
    Onnx__AttributeProto *a;
    int64_t *copy = oct_onnx_doc_alloc(doc, n_v * sizeof *copy + 1);
    if (!copy)
        return OCT_ERR_NOMEM;
    if (n_v)
        memcpy(copy, v, n_v * sizeof *copy);
    OCT_TRY(attr_new(doc, n, name, T_INTS, &a));
    a->ints = copy;
    a->n_ints = n_v;
    return OCT_OK;
}

/* ---- initializers ---------------------------------------------------------------------------- */

Onnx__TensorProto *oct_onnx_initializer_find(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_initializer; i++)
        if (strcmp(oct_onnx_str(g->initializer[i]->name), name) == 0)
            return g->initializer[i];
    return NULL;
}

static void drop_elements(Onnx__TensorProto *t)
{
    t->n_float_data = t->n_int32_data = t->n_string_data = t->n_int64_data = 0;
    t->n_double_data = t->n_uint64_data = t->n_external_data = 0;
    t->has_data_location = false;
}

oct_status oct_onnx_tensor_set(oct_onnx_doc *doc, Onnx__TensorProto *t, oct_dtype dt,
                               const oct_shape *shape, const void *data, bool copy)
{
    size_t n_bytes;
    const oct_tensor_desc d = oct_tensor_desc_make(dt, *shape, OCT_LAYOUT_ROW);
    if (!oct_tensor_desc_bytes(&d, &n_bytes))
        return oct_fail(doc->ctx, OCT_ERR_RANGE, "tensor '%s': its shape is unknown or too large",
                        oct_onnx_str(t->name));
    int64_t *dims = oct_onnx_doc_alloc(doc, sizeof shape->dim);
    void *own = copy ? oct_onnx_doc_alloc(doc, n_bytes + 1) : (void *)data;
    if (!dims || !own)
        return OCT_ERR_NOMEM;
    memcpy(dims, shape->dim, (size_t)shape->n_dims * sizeof *dims);
    if (copy && n_bytes)
        memcpy(own, data, n_bytes);
    drop_elements(t);
    t->has_data_type = true;
    t->data_type = oct_onnx_type_of(dt);
    t->dims = dims;
    t->n_dims = (size_t)shape->n_dims;
    t->has_raw_data = true;
    t->raw_data = (ProtobufCBinaryData){.len = n_bytes, .data = own};
    return OCT_OK;
}

static oct_status add_initializer(oct_onnx_doc *doc, Onnx__GraphProto *g, Onnx__TensorProto *t)
{
    APPEND(doc, g->initializer, g->n_initializer, t);
    return OCT_OK;
}

Onnx__TensorProto *oct_onnx_initializer_add(oct_onnx_doc *doc, Onnx__GraphProto *g,
                                            const char *name, oct_dtype dt, const oct_shape *shape,
                                            const void *data, bool copy)
{
    Onnx__TensorProto *t = oct_onnx_doc_alloc(doc, sizeof *t);
    if (!t)
        return NULL;
    onnx__tensor_proto__init(t);
    if (!(t->name = oct_onnx_doc_strdup(doc, name)) ||
        oct_onnx_tensor_set(doc, t, dt, shape, data, copy) != OCT_OK ||
        add_initializer(doc, g, t) != OCT_OK)
        return NULL;
    return t;
}

void oct_onnx_initializer_remove(Onnx__GraphProto *g, const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->n_initializer; i++)
        if (strcmp(oct_onnx_str(g->initializer[i]->name), name) != 0)
            g->initializer[kept++] = g->initializer[i];
    g->n_initializer = kept;
    kept = 0;
    for (size_t i = 0; i < g->n_input; i++)
        if (strcmp(oct_onnx_str(g->input[i]->name), name) != 0)
            g->input[kept++] = g->input[i];
    g->n_input = kept;
}

/* ---- model ----------------------------------------------------------------------------------- */

const char *oct_onnx_metadata_get(const oct_onnx_doc *doc, const char *key)
{
    const Onnx__ModelProto *m = doc->model;
    for (size_t i = 0; i < m->n_metadata_props; i++)
        if (strcmp(oct_onnx_str(m->metadata_props[i]->key), key) == 0)
            return oct_onnx_str(m->metadata_props[i]->value);
    return NULL;
}

oct_status oct_onnx_metadata_set(oct_onnx_doc *doc, const char *key, const char *value)
{
    Onnx__ModelProto *m = doc->model;
    char *copy = oct_onnx_doc_strdup(doc, value);
    if (!copy)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < m->n_metadata_props; i++) {
        if (strcmp(oct_onnx_str(m->metadata_props[i]->key), key) == 0) {
            m->metadata_props[i]->value = copy;
            return OCT_OK;
        }
    }
    Onnx__StringStringEntryProto *e = oct_onnx_doc_alloc(doc, sizeof *e);
    if (!e)
        return OCT_ERR_NOMEM;
    onnx__string_string_entry_proto__init(e);
    e->value = copy;
    if (!(e->key = oct_onnx_doc_strdup(doc, key)))
        return OCT_ERR_NOMEM;
    APPEND(doc, m->metadata_props, m->n_metadata_props, e);
    return OCT_OK;
}

void oct_onnx_metadata_remove(oct_onnx_doc *doc, const char *key)
{
    Onnx__ModelProto *m = doc->model;
    size_t n = 0;
    for (size_t i = 0; i < m->n_metadata_props; i++)
        if (strcmp(oct_onnx_str(m->metadata_props[i]->key), key) != 0)
            m->metadata_props[n++] = m->metadata_props[i];
    m->n_metadata_props = n;
}

oct_status oct_onnx_opset_set(oct_onnx_doc *doc, const char *domain, int64_t version)
{
    Onnx__ModelProto *m = doc->model;
    for (size_t i = 0; i < m->n_opset_import; i++) {
        const char *d = oct_onnx_str(m->opset_import[i]->domain);
        if (strcmp(strcmp(d, "ai.onnx") == 0 ? "" : d, domain) != 0)
            continue;
        if (m->opset_import[i]->version < version) {
            m->opset_import[i]->has_version = true;
            m->opset_import[i]->version = version;
        }
        return OCT_OK;
    }
    Onnx__OperatorSetIdProto *o = oct_onnx_doc_alloc(doc, sizeof *o);
    if (!o)
        return OCT_ERR_NOMEM;
    onnx__operator_set_id_proto__init(o);
    if (!(o->domain = oct_onnx_doc_strdup(doc, domain)))
        return OCT_ERR_NOMEM;
    o->has_version = true;
    o->version = version;
    APPEND(doc, m->opset_import, m->n_opset_import, o);
    return OCT_OK;
}

bool oct_onnx_is_read(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_input; k++)
            if (strcmp(g->node[i]->input[k], name) == 0)
                return true;
    for (size_t i = 0; i < g->n_output; i++)
        if (strcmp(oct_onnx_str(g->output[i]->name), name) == 0)
            return true;
    return false;
}
