/* SPDX-License-Identifier: Apache-2.0
 *
 * Inference of LSTM, GRU and RNN.
 */
#include <string.h>

#include "engine/infer_internal.h"

static const char *const ACTIVATIONS[] = {
    "Relu",       "Tanh",        "Sigmoid",  "Affine", "LeakyRelu", "ThresholdedRelu",
    "ScaledTanh", "HardSigmoid", "Softsign", "Elu",    "Softplus",
};

static bool is_known_activation(const char *name)
{
    for (size_t i = 0; i < sizeof ACTIVATIONS / sizeof ACTIVATIONS[0]; i++) {
        if (strcmp(ACTIVATIONS[i], name) == 0)
            return true;
    }
    return false;
}

static oct_status check_attributes(oct_ctx *ctx, const oct_infer_args *a, int per_direction)
{
    const oct_attr_rnn *at = a->attr;
    const int directions = at->direction == 2 ? 2 : 1;
    if (at->layout != 0 && at->layout != 1)
        return oct_fail(ctx, OCT_ERR_SHAPE, "layout: %lld, expected 0 or 1", (long long)at->layout);
    if (at->n_activations != 0 && at->n_activations != directions * per_direction)
        return oct_fail(ctx, OCT_ERR_SHAPE, "activations: %d names, expected %d", at->n_activations,
                        directions * per_direction);
    for (int i = 0; i < at->n_activations; i++) {
        if (!is_known_activation(at->activations[i]))
            return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "activations[%d]: %.32s is not known", i,
                            at->activations[i]);
    }
    return OCT_OK;
}

/* Input `i`, when present with a known shape, must be `dim` (negative: anything). */
static oct_status check_shape(oct_ctx *ctx, const oct_infer_args *a, int i, const char *what,
                              int n_dims, const int64_t *dim)
{
    const oct_tensor_desc *t = oct_infer_in(a, i);
    OCT_TRY(oct_infer_check_rank(ctx, a, i, what, n_dims, n_dims));
    for (int k = 0; t && t->shape.n_dims >= 0 && k < n_dims; k++) {
        if (!oct_infer_merge_dim(t->shape.dim[k], dim[k], NULL))
            return oct_fail(ctx, OCT_ERR_SHAPE,
                            "%s (input %d): dimension %d is %lld, expected %lld", what, i, k,
                            (long long)t->shape.dim[k], (long long)dim[k]);
    }
    return OCT_OK;
}

/* gates: 4 (LSTM), 3 (GRU), 1 (RNN). Shapes of W, R, B, sequence_lens and states. */
static oct_status check_inputs(oct_ctx *ctx, const oct_infer_args *a, int64_t gates, int64_t dirs,
                               int64_t hidden)
{
    const oct_attr_rnn *at = a->attr;
    const oct_shape *x = &a->in[0].desc.shape;
    const int64_t batch = x->n_dims == 3 ? x->dim[at->layout ? 0 : 1] : -1;
    const int64_t input = x->n_dims == 3 ? x->dim[2] : -1;
    const int64_t state[2][3] = {{dirs, batch, hidden}, {batch, dirs, hidden}};
    OCT_TRY(check_shape(ctx, a, 1, "W", 3, (int64_t[]){dirs, gates * hidden, input}));
    OCT_TRY(check_shape(ctx, a, 2, "R", 3, (int64_t[]){dirs, gates * hidden, hidden}));
    OCT_TRY(check_shape(ctx, a, 3, "B", 2, (int64_t[]){dirs, 2 * gates * hidden}));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 4, "sequence_lens", OCT_DT_BIT(S32)));
    OCT_TRY(check_shape(ctx, a, 4, "sequence_lens", 1, &batch));
    OCT_TRY(check_shape(ctx, a, 5, "initial_h", 3, state[at->layout]));
    if (a->op != OCT_OP_LSTM)
        return OCT_OK;
    OCT_TRY(check_shape(ctx, a, 6, "initial_c", 3, state[at->layout]));
    return check_shape(ctx, a, 7, "P", 2, (int64_t[]){dirs, 3 * hidden});
}

static oct_status infer_rnn(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_rnn *at = a->attr;
    const oct_shape *x = &a->in[0].desc.shape, *r = &a->in[2].desc.shape;
    const oct_dtype dt = a->in[0].desc.dtype;
    const int64_t dirs = at->direction == 2 ? 2 : 1;
    const int64_t gates = a->op == OCT_OP_LSTM ? 4 : a->op == OCT_OP_GRU ? 3 : 1;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", OCT_DTS_FLOAT));
    for (int i = 1; i < a->n_in; i++) {
        if (i != 4)
            OCT_TRY(oct_infer_check_same_dtype(ctx, a, 0, i));
    }
    OCT_TRY(check_attributes(ctx, a, a->op == OCT_OP_LSTM ? 3 : a->op == OCT_OP_GRU ? 2 : 1));
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "input", 3, 3));
    OCT_TRY(oct_infer_check_rank(ctx, a, 2, "R", 3, 3));
    const int64_t hidden = at->hidden_size ? at->hidden_size : r->n_dims == 3 ? r->dim[2] : -1;
    if (hidden < 1 || hidden > INT32_MAX)
        return oct_fail(ctx, OCT_ERR_SHAPE, "hidden_size: %lld", (long long)hidden);
    OCT_TRY(check_inputs(ctx, a, gates, dirs, hidden));
    if (x->n_dims < 0) {
        for (int i = 0; i < a->n_out; i++)
            oct_infer_set_unknown(a, i, dt);
        return OCT_OK;
    }
    const int64_t seq = x->dim[at->layout ? 1 : 0], batch = x->dim[at->layout ? 0 : 1];
    const int64_t y[2][4] = {{seq, dirs, batch, hidden}, {batch, seq, dirs, hidden}};
    const int64_t state[2][3] = {{dirs, batch, hidden}, {batch, dirs, hidden}};
    oct_infer_set_dims(a, 0, dt, 4, y[at->layout]);
    oct_infer_set_dims(a, 1, dt, 3, state[at->layout]);
    oct_infer_set_dims(a, 2, dt, 3, state[at->layout]);
    return OCT_OK;
}

const oct_infer_entry oct_infer_rnn[] = {
    {OCT_OP_LSTM, infer_rnn},
    {OCT_OP_GRU, infer_rnn},
    {OCT_OP_RNN, infer_rnn},
    {0},
};
