/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/cpu_window.h"

static void axis_steps(const oct_tensor_desc *t, int n_spatial, int64_t *batch, int64_t *channel,
                       int64_t axis[3])
{
    *batch = t->stride[0];
    *channel = t->stride[1];
    for (int a = 0; a < 3; a++)
        axis[a] = a < 3 - n_spatial ? 0 : t->stride[2 + a - (3 - n_spatial)];
}

bool oct_cpu_window_init(oct_cpu_window *c, oct_ctx *ctx, const oct_op_desc *d)
{
    const oct_attr_window *at = d->attr;
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    const bool conv = d->op == OCT_OP_CONV || d->op == OCT_OP_CONV_TRANSPOSE;
    const int n = x->shape.n_dims - 2;
    oct_window w;
    if (n < 1 || n > 3 || y->shape.n_dims != x->shape.n_dims)
        return false;
    if (oct_window_resolve(ctx, d->op, at, &x->shape, conv ? &d->in[1].desc.shape : NULL, &w) !=
        OCT_OK) {
        oct_error_clear(ctx);
        return false;
    }
    c->w = oct_window_to_3d(&w);
    for (int a = 0; a < 3; a++)
        c->w.out[a] = a < 3 - n ? 1 : y->shape.dim[2 + a - (3 - n)];
    c->n_spatial = n;
    c->batch = x->shape.dim[0];
    c->in_channels = x->shape.dim[1];
    c->out_channels = y->shape.dim[1];
    c->group = conv ? at->group : 1;
    c->transposed = d->op == OCT_OP_CONV_TRANSPOSE;
    axis_steps(x, n, &c->x_batch, &c->x_channel, c->x_axis);
    axis_steps(y, n, &c->y_batch, &c->y_channel, c->y_axis);
    return true;
}
