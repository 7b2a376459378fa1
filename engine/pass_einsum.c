/* SPDX-License-Identifier: Apache-2.0
 *
 * Einsums of two operands that are a matrix product, for which every backend has fast kernels:
 *
 *     bhid,bhjd->bhij      MatMul(x, Transpose(y))
 *     bthd,bshd->bhts      MatMul(Transpose(x), Transpose(y))
 *     ij,jk->ki            Transpose(MatMul(x, y))
 *
 * One index is summed and in both operands, one is the left's alone and one the right's, and the rest
 * is in both and in the result. All others stay Einsum.
 */
#include "engine/pass_internal.h"
#include "kernels/einsum.h"

typedef struct product {
    oct_einsum e;
    int order[2][OCT_MAX_DIMS]; /* of each operand: its indices as MatMul wants them */
    int result[OCT_MAX_DIMS];   /* indices as MatMul gives them */
    int n;                      /* dims of each of the three */
} product;

/* Axis of operand `i` that has `index`, or -1; *twice when more than one has. */
static int axis_of(const oct_einsum *e, int i, int index, bool *twice)
{
    int found = -1;
    for (int k = 0; k < e->n_dims[i]; k++) {
        if (e->index[i][k] != index)
            continue;
        *twice = *twice || found >= 0;
        found = k;
    }
    return found;
}

static bool sort_indices(product *p)
{
    int batch = 0, alone[2] = {-1, -1}, n_alone[2] = {0, 0};
    const int summed = p->e.n_out_dims;
    bool twice = false;
    for (int o = 0; o < p->e.n_indices; o++) {
        const bool in[2] = {axis_of(&p->e, 0, o, &twice) >= 0, axis_of(&p->e, 1, o, &twice) >= 0};
        if (o == summed && !(in[0] && in[1]))
            return false;
        if (o == summed)
            continue;
        if (in[0] && in[1]) {
            p->order[0][batch] = p->order[1][batch] = p->result[batch] = o;
            batch++;
        } else {
            alone[in[1]] = o;
            n_alone[in[1]]++;
        }
    }
    p->n = batch + 2;
    p->order[0][batch] = p->result[batch] = alone[0];
    p->order[0][batch + 1] = p->order[1][batch] = summed;
    p->order[1][batch + 1] = p->result[batch + 1] = alone[1];
    return !twice && n_alone[0] == 1 && n_alone[1] == 1;
}

static bool is_product(oct_ctx *ctx, const oct_graph *g, const oct_node *n, product *p)
{
    int n_dims[2];
    bool twice = false;
    if (n->n_in != 2 || n->in[0] == OCT_NONE || n->in[1] == OCT_NONE)
        return false;
    for (int i = 0; i < 2; i++) {
        const oct_value *v = oct_graph_value(g, n->in[i]);
        n_dims[i] = v->shape.n_dims;
        if (v->dtype != OCT_DT_F32 || n_dims[i] < 2)
            return false;
    }
    const oct_attr_einsum *a = n->attr;
    if (oct_einsum_parse(ctx, a->equation, n_dims, 2, &p->e) != OCT_OK) {
        oct_error_clear(ctx);
        return false;
    }
    if (p->e.n_indices != p->e.n_out_dims + 1 || p->e.n_out_dims > OCT_MAX_DIMS ||
        p->e.n_out_dims < 2 || !sort_indices(p))
        return false;
    const int summed = p->e.n_out_dims;
    const oct_shape *x = &oct_graph_value(g, n->in[0])->shape,
                    *y = &oct_graph_value(g, n->in[1])->shape;
    return x->dim[axis_of(&p->e, 0, summed, &twice)] == /* Einsum would broadcast a 1 */
           y->dim[axis_of(&p->e, 1, summed, &twice)];
}

static oct_status new_value(oct_ctx *ctx, oct_graph *g, const oct_shape *shape, oct_value_id *v)
{
    const char *name = oct_graph_fresh_name(g, ctx, "einsum");
    return name ? oct_graph_add_value(g, ctx, name, OCT_DT_F32, shape, v) : OCT_ERR_NOMEM;
}

/* `to` = `from` with axis perm[k] as axis k. */
static oct_status add_transpose(oct_ctx *ctx, oct_graph *g, oct_value_id from, const int *perm,
                                int n, const char *name, oct_value_id to)
{
    oct_node_id id;
    oct_attr_transpose a = {.n_perm = n};
    for (int k = 0; k < n; k++)
        a.perm[k] = perm[k];
    const oct_attr_transpose *kept = oct_arena_copy(oct_graph_arena(g), &a, sizeof a);
    if (!kept)
        return OCT_ERR_NOMEM;
    return oct_graph_add_node(g, ctx, OCT_OP_TRANSPOSE, name, kept, &from, 1, &to, 1, &id);
}

static bool is_identity(const int *perm, int n)
{
    for (int k = 0; k < n; k++)
        if (perm[k] != k)
            return false;
    return true;
}

/* Operand `i` in MatMul's order: itself or transposed. */
static oct_status operand(oct_ctx *ctx, oct_graph *g, const product *p, int i, oct_value_id from,
                          oct_value_id *to)
{
    int perm[OCT_MAX_DIMS];
    bool twice = false;
    oct_shape shape = {.n_dims = p->n};
    for (int k = 0; k < p->n; k++) {
        perm[k] = axis_of(&p->e, i, p->order[i][k], &twice);
        shape.dim[k] = oct_graph_value(g, from)->shape.dim[perm[k]];
    }
    *to = from;
    if (is_identity(perm, p->n))
        return OCT_OK;
    OCT_TRY(new_value(ctx, g, &shape, to));
    return add_transpose(ctx, g, from, perm, p->n, oct_graph_value(g, *to)->name, *to);
}

static oct_status lower(oct_ctx *ctx, oct_graph *g, oct_node_id id, const product *p)
{
    oct_value_id in[2], y = oct_graph_node(g, id)->out[0], made = y;
    const char *name = oct_graph_node(g, id)->name;
    int perm[OCT_MAX_DIMS];
    oct_shape shape = {.n_dims = p->n};
    oct_node_id product_id;
    for (int i = 0; i < 2; i++)
        OCT_TRY(operand(ctx, g, p, i, oct_graph_node(g, id)->in[i], &in[i]));
    for (int k = 0; k < p->n; k++) {
        perm[p->result[k]] = k;
        shape.dim[k] = oct_graph_value(g, y)->shape.dim[p->result[k]];
    }
    const bool direct = is_identity(perm, p->n);
    if (!direct)
        OCT_TRY(new_value(ctx, g, &shape, &made));
    oct_graph_remove_node(g, id);
    OCT_TRY(oct_graph_add_node(g, ctx, OCT_OP_MATMUL, name, NULL, in, 2, &made, 1, &product_id));
    return direct ? OCT_OK
                  : add_transpose(ctx, g, made, perm, p->n, oct_graph_value(g, made)->name, y);
}

oct_status oct_pass_einsum(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env)
{
    product p;
    (void)env;
    for (uint32_t i = 0; i < oct_graph_n_nodes(g); i++) {
        const oct_node *n = oct_graph_node(g, i);
        if (!n->dead && n->op == OCT_OP_EINSUM && is_product(ctx, g, n, &p))
            OCT_TRY(lower(ctx, g, i, &p));
    }
    return OCT_OK;
}
