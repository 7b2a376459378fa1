/* SPDX-License-Identifier: Apache-2.0
 *
 * Raising the opset of a document (oct_onnx_opset_raise): every change of a supported operator
 * between opset 7 and 20 that alters how a node must be written. Two tables: attributes that became
 * inputs, and functions for the rest. Source: the ONNX operator changelog.
 */
#include <string.h>

#include "base/numeric.h"
#include "engine/onnx_edit.h"

enum { FIRST_OPSET = 7, LAST_OPSET = 20 };

/* A list of nodes: a graph's or a function's. */
typedef struct upgrade {
    oct_ctx *ctx;
    oct_onnx_doc *doc;
    const oct_graph *types;
    int64_t from, to;
    Onnx__GraphProto *g;     /* NULL inside a function */
    Onnx__FunctionProto *fn; /* NULL inside a graph */
    size_t at;               /* the node in hand */
    Onnx__NodeProto *n;
} upgrade;

static Onnx__NodeProto **nodes_of(const upgrade *u, size_t *n)
{
    *n = u->g ? u->g->n_node : u->fn->n_node;
    return u->g ? u->g->node : u->fn->node;
}

/* Before the node in hand, or after it. */
static oct_status insert(upgrade *u, Onnx__NodeProto *n, bool after)
{
    Onnx__GraphProto list = {.n_node = 0};
    if (!n)
        return OCT_ERR_NOMEM;
    list.node = nodes_of(u, &list.n_node);
    OCT_TRY(oct_onnx_graph_insert(u->doc, &list, u->at + (after ? 1 : 0), n));
    if (u->g) {
        u->g->node = list.node;
        u->g->n_node = list.n_node;
    } else {
        u->fn->node = list.node;
        u->fn->n_node = list.n_node;
    }
    u->at += after ? 0 : 1;
    return OCT_OK;
}

static oct_status refuse(const upgrade *u, const char *what)
{
    const char *name = oct_onnx_str(u->n->name);
    return oct_fail(u->ctx, OCT_ERR_UNSUPPORTED,
                    "raising the opset from %lld to %lld: node '%s' (%s): %s", (long long)u->from,
                    (long long)u->to, *name || !u->n->n_output ? name : u->n->output[0],
                    u->n->op_type, what);
}

/* ---- what is known of a value -------------------------------------------------------------------- */

static const oct_value *find_value(const oct_graph *g, const char *name)
{
    if (!g)
        return NULL;
    const oct_value_id id = oct_graph_find_value(g, name);
    if (id != OCT_NONE)
        return oct_graph_value(g, id);
    for (uint32_t i = 0; i < oct_graph_n_subs(g); i++) {
        const oct_value *v = find_value(oct_graph_sub(g, i), name);
        if (v)
            return v;
    }
    return NULL;
}

static const oct_value *input_value(const upgrade *u, size_t i)
{
    if (u->fn || i >= u->n->n_input || !*u->n->input[i])
        return NULL;
    return find_value(u->types, u->n->input[i]);
}

static bool has_input(const Onnx__NodeProto *n, size_t i)
{
    return i < n->n_input && *n->input[i];
}

/* ---- constants: initializers in graphs, Constant nodes in functions ------------------------------- */

static oct_status constant_node(upgrade *u, const char *name, oct_dtype dt, const oct_shape *shape,
                                const void *data)
{
    Onnx__GraphProto holder = {.n_initializer = 0};
    Onnx__NodeProto *n = oct_onnx_node_new(u->doc, "Constant", "", name);
    Onnx__TensorProto *t = oct_onnx_initializer_add(u->doc, &holder, name, dt, shape, data, true);
    if (!n || !t)
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_onnx_node_output(u->doc, n, name));
    OCT_TRY(oct_onnx_attr_set_s64(u->doc, n, "value", 0));
    n->attribute[0]->has_i = false;
    n->attribute[0]->type = 4; /* TENSOR */
    n->attribute[0]->t = t;
    return insert(u, n, false);
}

static oct_status set_constant(upgrade *u, size_t input, const char *what, oct_dtype dt,
                               const oct_shape *shape, const void *data)
{
    const char *base = oct_onnx_str(u->n->name);
    if (!*base && u->n->n_output)
        base = u->n->output[0];
    const char *stem = oct_arena_printf(u->doc->arena, "%s_%s", base, what);
    const char *name = stem ? oct_onnx_fresh_name(u->doc, stem) : NULL;
    if (!name)
        return OCT_ERR_NOMEM;
    if (u->fn)
        OCT_TRY(constant_node(u, name, dt, shape, data));
    else if (!oct_onnx_initializer_add(u->doc, u->g, name, dt, shape, data, true))
        return OCT_ERR_NOMEM;
    return oct_onnx_node_set_input(u->doc, u->n, input, name);
}

/* ---- attributes that became inputs ---------------------------------------------------------------- */

typedef enum form { S64S, S64_ONE, F32S, LIKE_INPUT } form;

static const struct {
    const char *op;
    int64_t since;
    const char *attr;
    size_t input;
    form form;
} MOVED[] = {
    {"Upsample", 9, "scales", 1, F32S},    {"Slice", 10, "starts", 1, S64S},
    {"Slice", 10, "ends", 2, S64S},        {"Slice", 10, "axes", 3, S64S},
    {"TopK", 10, "k", 1, S64_ONE},         {"Clip", 11, "min", 1, LIKE_INPUT},
    {"Clip", 11, "max", 2, LIKE_INPUT},    {"Pad", 11, "pads", 1, S64S},
    {"Pad", 11, "value", 2, LIKE_INPUT},   {"Squeeze", 13, "axes", 1, S64S},
    {"Unsqueeze", 13, "axes", 1, S64S},    {"ReduceSum", 13, "axes", 1, S64S},
    {"Split", 13, "split", 1, S64S},       {"ReduceMean", 18, "axes", 1, S64S},
    {"ReduceMax", 18, "axes", 1, S64S},    {"ReduceMin", 18, "axes", 1, S64S},
    {"ReduceProd", 18, "axes", 1, S64S},   {"ReduceL1", 18, "axes", 1, S64S},
    {"ReduceL2", 18, "axes", 1, S64S},     {"ReduceSumSquare", 18, "axes", 1, S64S},
    {"ReduceLogSum", 18, "axes", 1, S64S}, {"ReduceLogSumExp", 18, "axes", 1, S64S},
};

static oct_status scalar_like(upgrade *u, size_t input, const char *what, float v)
{
    const oct_shape scalar = {.n_dims = 0};
    const oct_value *x = input_value(u, 0);
    const double wide = v;
    if (!x || !oct_dtype_is_float(x->dtype))
        return refuse(u, "the element type of its input is not known");
    const uint16_t half = x->dtype == OCT_DT_F16 ? oct_f16_from_f32(v) : oct_bf16_from_f32(v);
    const void *data = x->dtype == OCT_DT_F32   ? (const void *)&v
                       : x->dtype == OCT_DT_F64 ? (const void *)&wide
                                                : (const void *)&half;
    return set_constant(u, input, what, x->dtype, &scalar, data);
}

static oct_status move_attr(upgrade *u, const Onnx__AttributeProto *a, size_t input, form f)
{
    const oct_shape ints = {.dim = {(int64_t)a->n_ints}, .n_dims = 1};
    const oct_shape floats = {.dim = {(int64_t)a->n_floats}, .n_dims = 1};
    const oct_shape one = {.dim = {1}, .n_dims = 1};
    if (a->ref_attr_name && *a->ref_attr_name)
        return refuse(u, "an attribute passed through a function became an input");
    switch (f) {
    case S64S:
        return set_constant(u, input, a->name, OCT_DT_S64, &ints, a->n_ints ? (void *)a->ints : "");
    case S64_ONE:
        return set_constant(u, input, a->name, OCT_DT_S64, &one, &a->i);
    case F32S:
        return set_constant(u, input, a->name, OCT_DT_F32, &floats,
                            a->n_floats ? (void *)a->floats : "");
    default:
        return scalar_like(u, input, a->name, a->f);
    }
}

static oct_status move_attrs(upgrade *u)
{
    for (size_t i = 0; i < sizeof MOVED / sizeof MOVED[0]; i++) {
        if (strcmp(MOVED[i].op, u->n->op_type) != 0 || u->from >= MOVED[i].since ||
            u->to < MOVED[i].since)
            continue;
        const Onnx__AttributeProto *a = oct_onnx_attr_find(u->n, MOVED[i].attr);
        if (!a)
            continue;
        if (!has_input(u->n, MOVED[i].input))
            OCT_TRY(move_attr(u, a, MOVED[i].input, MOVED[i].form));
        oct_onnx_attr_remove(u->n, MOVED[i].attr);
    }
    return OCT_OK;
}

/* ---- other changes -------------------------------------------------------------------------------- */

static oct_status batch_norm_9(upgrade *u)
{
    const Onnx__AttributeProto *a = oct_onnx_attr_find(u->n, "spatial");
    if (a && a->has_i && a->i == 0)
        return refuse(u, "spatial=0 is gone");
    oct_onnx_attr_remove(u->n, "spatial");
    return OCT_OK;
}

/* The outputs after the first held training statistics; now they would turn training on. */
static oct_status batch_norm_14(upgrade *u)
{
    u->n->n_output = u->n->n_output > 1 ? 1 : u->n->n_output;
    return OCT_OK;
}

static oct_status dropout_12(upgrade *u)
{
    oct_onnx_attr_remove(u->n, "ratio");
    return OCT_OK;
}

static oct_status resize_as_before(upgrade *u)
{
    OCT_TRY(oct_onnx_attr_set_string(u->doc, u->n, "coordinate_transformation_mode", "asymmetric"));
    OCT_TRY(oct_onnx_attr_set_string(u->doc, u->n, "nearest_mode", "floor"));
    if (u->n->n_input != 2)
        return refuse(u, "expected two inputs, data and scales");
    OCT_TRY(oct_onnx_node_set_input(u->doc, u->n, 2, u->n->input[1]));
    return oct_onnx_node_set_input(u->doc, u->n, 1, "");
}

static oct_status upsample_10(upgrade *u)
{
    u->n->op_type = oct_onnx_doc_strdup(u->doc, "Resize");
    return u->n->op_type ? resize_as_before(u) : OCT_ERR_NOMEM;
}

static oct_status resize_11(upgrade *u)
{
    return resize_as_before(u);
}

static oct_status resize_13(upgrade *u)
{
    const Onnx__AttributeProto *a = oct_onnx_attr_find(u->n, "coordinate_transformation_mode");
    static const char gone[] = "tf_half_pixel_for_nn";
    if (a && a->s.len == sizeof gone - 1 && memcmp(a->s.data, gone, a->s.len) == 0)
        return refuse(u, "tf_half_pixel_for_nn is gone");
    for (size_t i = 1; i < u->n->n_input; i++) { /* an empty tensor used to say "absent" */
        const oct_value *v = input_value(u, i);
        if (v && v->data && v->data_bytes == 0)
            OCT_TRY(oct_onnx_node_set_input(u->doc, u->n, i, ""));
    }
    return OCT_OK;
}

static oct_status scatter_11(upgrade *u)
{
    u->n->op_type = oct_onnx_doc_strdup(u->doc, "ScatterElements");
    return u->n->op_type ? OCT_OK : OCT_ERR_NOMEM;
}

static oct_status roi_align_16(upgrade *u)
{
    if (oct_onnx_attr_find(u->n, "coordinate_transformation_mode"))
        return OCT_OK;
    return oct_onnx_attr_set_string(u->doc, u->n, "coordinate_transformation_mode",
                                    "output_half_pixel");
}

static oct_status split_18(upgrade *u)
{
    if (has_input(u->n, 1))
        return OCT_OK;
    return oct_onnx_attr_set_s64(u->doc, u->n, "num_outputs", (int64_t)u->n->n_output);
}

static oct_status grid_sample_20(upgrade *u)
{
    static const char *const word[][2] = {{"bilinear", "linear"}, {"bicubic", "cubic"}};
    const Onnx__AttributeProto *a = oct_onnx_attr_find(u->n, "mode");
    for (size_t i = 0; a && i < 2; i++)
        if (a->s.len == strlen(word[i][0]) && memcmp(a->s.data, word[i][0], a->s.len) == 0)
            return oct_onnx_attr_set_string(u->doc, u->n, "mode", word[i][1]);
    return OCT_OK;
}

/* Softmax over all axes from `axis` on: the same as over one axis where the others are 1,
 * which is the last axis, or the only one longer than 1. -1 if there is no such axis. */
static int64_t single_axis(const oct_shape *s, int64_t axis)
{
    int64_t found = -1;
    for (int i = (int)axis; i < s->n_dims; i++) {
        if (s->dim[i] == 1)
            continue;
        if (found >= 0)
            return -1;
        found = i;
    }
    return found >= 0 ? found : s->n_dims - 1;
}

static oct_status chain(upgrade *u, const char *op, const char *in0, const char *in1,
                        const char *out, bool after, Onnx__NodeProto **made)
{
    const char *name = oct_onnx_fresh_name(u->doc, out);
    Onnx__NodeProto *n = name ? oct_onnx_node_new(u->doc, op, "", name) : NULL;
    if (!n)
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_onnx_node_input(u->doc, n, in0));
    if (in1)
        OCT_TRY(oct_onnx_node_input(u->doc, n, in1));
    OCT_TRY(oct_onnx_node_output(u->doc, n, out));
    *made = n;
    return insert(u, n, after);
}

/* y = Reshape(Softmax(Flatten(x, axis)), Shape(x)) */
static oct_status flattened_softmax(upgrade *u, int64_t axis)
{
    oct_arena *a = u->doc->arena;
    const char *y = u->n->output[0], *x = u->n->input[0];
    Onnx__NodeProto *made;
    const char *stem = oct_arena_printf(a, "%s_flat", y);
    const char *flat = stem ? oct_onnx_fresh_name(u->doc, stem) : NULL;
    const char *soft =
        (stem = oct_arena_printf(a, "%s_2d", y)) ? oct_onnx_fresh_name(u->doc, stem) : NULL;
    const char *shape =
        (stem = oct_arena_printf(a, "%s_shape", y)) ? oct_onnx_fresh_name(u->doc, stem) : NULL;
    if (!flat || !soft || !shape)
        return OCT_ERR_NOMEM;
    OCT_TRY(chain(u, "Flatten", x, NULL, flat, false, &made));
    OCT_TRY(oct_onnx_attr_set_s64(u->doc, made, "axis", axis));
    OCT_TRY(chain(u, "Shape", x, NULL, shape, false, &made));
    OCT_TRY(chain(u, "Reshape", soft, shape, y, true, &made));
    OCT_TRY(oct_onnx_node_set_input(u->doc, u->n, 0, flat));
    u->n->output[0] = oct_onnx_doc_strdup(u->doc, soft);
    return u->n->output[0] ? oct_onnx_attr_set_s64(u->doc, u->n, "axis", -1) : OCT_ERR_NOMEM;
}

static oct_status softmax_13(upgrade *u)
{
    const Onnx__AttributeProto *a = oct_onnx_attr_find(u->n, "axis");
    const oct_value *x = input_value(u, 0);
    int64_t axis = a ? a->i : 1;
    if (!x || x->shape.n_dims < 0)
        return refuse(u, "the rank of its input is not known");
    axis += axis < 0 ? x->shape.n_dims : 0;
    if (axis < 0 || axis > x->shape.n_dims)
        return refuse(u, "its axis is out of range");
    const int64_t one = single_axis(&x->shape, axis);
    return one >= 0 ? oct_onnx_attr_set_s64(u->doc, u->n, "axis", one) : flattened_softmax(u, axis);
}

static const struct {
    const char *op;
    int64_t since;
    oct_status (*fn)(upgrade *u);
} CHANGED[] = {
    {"BatchNormalization", 9, batch_norm_9},
    {"Upsample", 10, upsample_10},
    {"Resize", 11, resize_11},
    {"Scatter", 11, scatter_11},
    {"Dropout", 12, dropout_12},
    {"Softmax", 13, softmax_13},
    {"LogSoftmax", 13, softmax_13},
    {"Hardmax", 13, softmax_13},
    {"Resize", 13, resize_13},
    {"BatchNormalization", 14, batch_norm_14},
    {"RoiAlign", 16, roi_align_16},
    {"Split", 18, split_18},
    {"GridSample", 20, grid_sample_20},
};

/* ---- walking -------------------------------------------------------------------------------------- */

static oct_status raise_nodes(upgrade *u);

static oct_status raise_node(upgrade *u)
{
    const char *domain = oct_onnx_str(u->n->domain);
    for (size_t i = 0; i < u->n->n_attribute; i++) { /* subgraphs of any domain's node */
        upgrade sub = *u;
        sub.g = u->n->attribute[i]->g;
        sub.at = 0;
        if (sub.g)
            OCT_TRY(raise_nodes(&sub));
    }
    if (!u->n->op_type || (*domain && strcmp(domain, "ai.onnx") != 0))
        return OCT_OK;
    OCT_TRY(move_attrs(u));
    /* An Upsample is a Resize of opset 13 once its row was applied: it must not meet Resize's rows. */
    const char *op = u->n->op_type;
    for (size_t i = 0; i < sizeof CHANGED / sizeof CHANGED[0]; i++)
        if (strcmp(CHANGED[i].op, op) == 0 && u->from < CHANGED[i].since &&
            u->to >= CHANGED[i].since)
            OCT_TRY(CHANGED[i].fn(u));
    return OCT_OK;
}

static oct_status raise_nodes(upgrade *u)
{
    size_t n;
    for (u->at = 0; nodes_of(u, &n), u->at < n; u->at++) {
        u->n = nodes_of(u, &n)[u->at];
        OCT_TRY(raise_node(u));
    }
    return OCT_OK;
}

static oct_status raise_function(upgrade *u, Onnx__FunctionProto *f)
{
    for (size_t i = 0; i < f->n_opset_import; i++) {
        const char *d = oct_onnx_str(f->opset_import[i]->domain);
        if ((*d && strcmp(d, "ai.onnx") != 0) || f->opset_import[i]->version >= u->to)
            continue;
        upgrade in = *u;
        in.g = NULL;
        in.fn = f;
        in.from = f->opset_import[i]->version;
        OCT_TRY(raise_nodes(&in));
        f->opset_import[i]->version = u->to;
    }
    return OCT_OK;
}

/* IR version that the ONNX release of an opset came with. */
static int64_t ir_of(int64_t opset)
{
    return opset >= 19 ? 9 : opset >= 15 ? 8 : 7;
}

oct_status oct_onnx_opset_raise(oct_ctx *ctx, oct_onnx_doc *doc, int64_t version,
                                const oct_graph *g)
{
    Onnx__ModelProto *m = doc->model;
    upgrade u = {.ctx = ctx, .doc = doc, .types = g, .to = version, .g = m->graph};
    u.from = oct_onnx_doc_opset(doc, "");
    if (u.from >= version)
        return OCT_OK;
    if (version > LAST_OPSET || u.from < FIRST_OPSET)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED,
                        "raising the opset from %lld to %lld: octet does that from %d up to %d; "
                        "export the model anew",
                        (long long)u.from, (long long)version, FIRST_OPSET, LAST_OPSET);
    OCT_TRY(raise_nodes(&u));
    for (size_t i = 0; i < m->n_functions; i++)
        OCT_TRY(raise_function(&u, m->functions[i]));
    if (m->ir_version < ir_of(version)) {
        m->has_ir_version = true;
        m->ir_version = ir_of(version);
    }
    return oct_onnx_opset_set(doc, "", version);
}
