/* SPDX-License-Identifier: Apache-2.0
 *
 * Attributes of a node, by the attribute table. What the table does not name is either
 * taken care of by an adapter (attributes that became inputs), meaningless when running
 * (training switches), or refused.
 */
#include <string.h>

#include "engine/import_internal.h"
#include "kernels/op_schema.h"

/* AttributeProto.AttributeType */
enum { ANY_TYPE, T_FLOAT, T_INT, T_STRING, T_TENSOR, T_GRAPH, T_FLOATS, T_INTS, T_STRINGS };

static const int TYPE_OF[] = {
    [OCT_ATTR_S64] = T_INT,     [OCT_ATTR_BOOL] = T_INT,        [OCT_ATTR_F32] = T_FLOAT,
    [OCT_ATTR_ENUM] = T_STRING, [OCT_ATTR_BOOL_OF] = T_STRING,  [OCT_ATTR_S64_OF] = T_STRING,
    [OCT_ATTR_DTYPE] = T_INT,   [OCT_ATTR_STRING] = T_STRING,   [OCT_ATTR_S64S] = T_INTS,
    [OCT_ATTR_F32S] = T_FLOATS, [OCT_ATTR_STRINGS] = T_STRINGS, [OCT_ATTR_FILL] = T_TENSOR,
    [OCT_ATTR_GRAPH] = T_GRAPH,
};

static const char *const TYPE_NAME[] = {"any",   "FLOAT",  "INT",  "STRING", "TENSOR",
                                        "GRAPH", "FLOATS", "INTS", "STRINGS"};

/* Known, and without effect on inference. */
static const char *const IGNORED[] = {
    "momentum", "consumed_inputs", "is_test",   "stash_type",      "ratio", "seed",
    "epsilon",  "broadcast",       "precision", "output_sequence", "axis",  "softmax_precision",
};

/* Taken care of by adapters. */
static const char *const ADAPTED[] = {
    "axes", "split",        "starts",      "ends",          "k",           "shape",       "scales",
    "pads", "min",          "max",         "paddings",      "value",       "to",          "spatial",
    "mode", "height_scale", "width_scale", "training_mode", "then_branch", "else_branch", "body",
};

static bool in_list(const char *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

const Onnx__AttributeProto *oct_draft_attr(const oct_draft *d, const char *name)
{
    for (size_t i = 0; i < d->node->n_attribute; i++)
        if (strcmp(oct_onnx_str(d->node->attribute[i]->name), name) == 0)
            return oct_scope_attr(d->s, d->node->attribute[i]);
    return NULL;
}

static oct_status refuse(oct_draft *d, const char *name, const char *what)
{
    return oct_fail(d->s->im->ctx, OCT_ERR_UNSUPPORTED, "attribute '%s': %s", name, what);
}

/* Other words for the same choice in older opsets. */
static const char *newest_word(const char *s)
{
    return strcmp(s, "bilinear") == 0 ? "linear" : strcmp(s, "bicubic") == 0 ? "cubic" : s;
}

static char *text_of(oct_draft *d, const ProtobufCBinaryData *s)
{
    return oct_arena_strndup(oct_graph_arena(d->s->g), s->len ? (const char *)s->data : "", s->len);
}

static oct_status fill_choice(oct_draft *d, const oct_attr_field *f, const Onnx__AttributeProto *a,
                              void *at)
{
    const char *given = text_of(d, &a->s);
    if (!given)
        return OCT_ERR_NOMEM;
    int i = 0;
    while (f->choices[i] && strcmp(f->choices[i], newest_word(given)) != 0)
        i++;
    if (!f->choices[i])
        return oct_fail(d->s->im->ctx, OCT_ERR_UNSUPPORTED, "attribute '%s' is '%s'", f->name,
                        given);
    if (f->kind == OCT_ATTR_ENUM)
        memcpy(at, &i, sizeof i);
    else if (f->kind == OCT_ATTR_BOOL_OF)
        memcpy(at, &(bool){i != 0}, sizeof(bool));
    else
        memcpy(at, &(int64_t){i}, sizeof(int64_t));
    return OCT_OK;
}

static oct_status fill_list(oct_draft *d, const oct_attr_field *f, const Onnx__AttributeProto *a)
{
    oct_arena *arena = oct_graph_arena(d->s->g);
    uint8_t *at = (uint8_t *)d->attr + f->offset;
    const size_t n = f->kind == OCT_ATTR_S64S   ? a->n_ints
                     : f->kind == OCT_ATTR_F32S ? a->n_floats
                                                : a->n_strings;
    if (n > INT32_MAX || (f->kind == OCT_ATTR_S64S && n > (size_t)f->cap))
        return oct_fail(d->s->im->ctx, OCT_ERR_UNSUPPORTED,
                        "attribute '%s' has %zu entries, at most %d", f->name, n, f->cap);
    memcpy((uint8_t *)d->attr + f->count_offset, &(int){(int)n}, sizeof(int));
    if (f->kind == OCT_ATTR_S64S) {
        if (n)
            memcpy(at, a->ints, n * sizeof *a->ints);
        return OCT_OK;
    }
    void *list = NULL;
    if (f->kind == OCT_ATTR_F32S) {
        list = oct_arena_copy(arena, n ? (const void *)a->floats : "", n * sizeof *a->floats);
    } else {
        const char **text = oct_arena_array(arena, n + 1, sizeof *text);
        for (size_t i = 0; text && i < n; i++)
            if (!(text[i] = text_of(d, &a->strings[i])))
                return OCT_ERR_NOMEM;
        list = text;
    }
    memcpy(at, &list, sizeof list);
    return list ? OCT_OK : OCT_ERR_NOMEM;
}

static oct_status fill_dtype(oct_draft *d, const oct_attr_field *f, const Onnx__AttributeProto *a,
                             void *at)
{
    const oct_dtype dt = oct_onnx_dtype(a->i >= 0 && a->i < 1000 ? (int32_t)a->i : -1);
    if (dt == OCT_DT_NONE && a->i != 0)
        return oct_fail(
            d->s->im->ctx, OCT_ERR_UNSUPPORTED, "attribute '%s': element type %s (%lld)", f->name,
            oct_onnx_type_name(a->i >= 0 && a->i < 1000 ? (int32_t)a->i : -1), (long long)a->i);
    memcpy(at, &dt, sizeof dt);
    return OCT_OK;
}

static oct_status fill_fill(oct_draft *d, const oct_attr_field *f, const Onnx__AttributeProto *a,
                            void *at)
{
    oct_value_id id;
    size_t n = 0;
    OCT_TRY(oct_import_tensor(d->s, a->t, "fill", &id));
    const oct_value *v = oct_graph_value(d->s->g, id);
    if (!oct_shape_elems(&v->shape, &n) || n != 1)
        return oct_fail(d->s->im->ctx, OCT_ERR_FORMAT, "attribute '%s': %zu elements, expected one",
                        f->name, n);
    oct_attr_fill fill = {.dtype = v->dtype};
    memcpy(fill.value, v->data, v->data_bytes);
    memcpy(at, &fill, sizeof fill);
    return OCT_OK;
}

static oct_status fill_field(oct_draft *d, const oct_attr_field *f, const Onnx__AttributeProto *a)
{
    uint8_t *at = (uint8_t *)d->attr + f->offset;
    char *text;
    if (a->has_type && a->type != ANY_TYPE && a->type != TYPE_OF[f->kind])
        return oct_fail(d->s->im->ctx, OCT_ERR_FORMAT, "attribute '%s' has type %s, expected %s",
                        f->name,
                        a->type > 0 && a->type <= T_STRINGS ? TYPE_NAME[a->type] : "unknown",
                        TYPE_NAME[TYPE_OF[f->kind]]);
    switch (f->kind) {
    case OCT_ATTR_S64:
        memcpy(at, &a->i, sizeof a->i);
        return OCT_OK;
    case OCT_ATTR_BOOL:
        memcpy(at, &(bool){a->i != 0}, sizeof(bool));
        return OCT_OK;
    case OCT_ATTR_F32:
        memcpy(at, &a->f, sizeof a->f);
        return OCT_OK;
    case OCT_ATTR_ENUM:
    case OCT_ATTR_BOOL_OF:
    case OCT_ATTR_S64_OF:
        return fill_choice(d, f, a, at);
    case OCT_ATTR_DTYPE:
        return fill_dtype(d, f, a, at);
    case OCT_ATTR_STRING:
        if (!(text = text_of(d, &a->s)))
            return OCT_ERR_NOMEM;
        memcpy(at, &text, sizeof text);
        return OCT_OK;
    case OCT_ATTR_FILL:
        return a->t ? fill_fill(d, f, a, at) : refuse(d, f->name, "no tensor");
    case OCT_ATTR_GRAPH:
        return OCT_OK; /* import_control.c */
    default:
        return fill_list(d, f, a);
    }
}

static const oct_attr_field *find_field(const oct_op_schema *schema, const char *name)
{
    for (int i = 0; i < schema->n_fields; i++)
        if (strcmp(schema->field[i].name, name) == 0 && strncmp(name, "octet_", 6) != 0)
            return &schema->field[i];
    return NULL;
}

oct_status oct_import_attrs(oct_draft *d)
{
    const oct_op_schema *schema = oct_op_schema_get(d->op);
    for (size_t i = 0; i < d->node->n_attribute; i++) {
        const char *name = oct_onnx_str(d->node->attribute[i]->name);
        const oct_attr_field *f = find_field(schema, name);
        if (!f) {
            if (in_list(IGNORED, sizeof IGNORED / sizeof *IGNORED, name) ||
                in_list(ADAPTED, sizeof ADAPTED / sizeof *ADAPTED, name))
                continue;
            return refuse(d, name, "not an attribute of this operator");
        }
        const Onnx__AttributeProto *a = oct_scope_attr(d->s, d->node->attribute[i]);
        if (!a)
            continue; /* refers to an optional attribute that the caller left out */
        /* Attributes whose kind changed over the opsets; the adapter reads the old kind. */
        if (strcmp(name, "to") == 0 && d->version < 6)
            continue;
        OCT_TRY(fill_field(d, f, a));
    }
    return OCT_OK;
}
