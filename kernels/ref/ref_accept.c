/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/ref/ref_accept.h"

#include <stdio.h>

static bool refuse(char *reason, const char *why)
{
    snprintf(reason, OCT_REASON_BYTES, "%s", why);
    return false;
}

bool oct_ref_accept_strided(const oct_op_desc *d, char *reason)
{
    for (int i = 0; i < d->n_in; i++)
        if (d->in[i].quant.n > 0)
            return refuse(reason, "quantized input");
    for (int i = 0; i < d->n_out; i++)
        if (d->out[i].quant.n > 0)
            return refuse(reason, "quantized output");
    return true;
}

static bool same_quant(const oct_quant *a, const oct_quant *b)
{
    if (a->n != b->n)
        return false;
    for (int32_t i = 0; i < a->n; i++)
        if (a->q[i].scale != b->q[i].scale || a->q[i].zero_point != b->q[i].zero_point)
            return false;
    return a->n <= 1; /* a moved axis would need its parameters moved too */
}

bool oct_ref_accept_mover(const oct_op_desc *d, char *reason)
{
    const oct_dtype dt = d->out[0].desc.dtype;
    for (int i = 0; i < d->n_in; i++) {
        if (d->in[i].desc.dtype != dt) /* absent, or an index or shape operand */
            continue;
        const bool data = i == 0 || d->op == OCT_OP_CONCAT;
        if (data && !same_quant(&d->in[i].quant, &d->out[0].quant))
            return refuse(reason, "moves elements between different scales");
    }
    return true;
}

static bool is_dense_row(const oct_tensor_desc *t)
{
    return t->dtype == OCT_DT_NONE || (t->layout == OCT_LAYOUT_ROW && oct_tensor_desc_is_dense(t));
}

bool oct_ref_accept_dense_mover(const oct_op_desc *d, char *reason)
{
    for (int i = 0; i < d->n_in; i++)
        if (!is_dense_row(&d->in[i].desc))
            return refuse(reason, "input is not dense row-major");
    for (int i = 0; i < d->n_out; i++)
        if (!is_dense_row(&d->out[i].desc))
            return refuse(reason, "output is not dense row-major");
    return oct_ref_accept_mover(d, reason);
}

bool oct_ref_accept_any(const oct_op_desc *d, char *reason)
{
    (void)d, (void)reason;
    return true;
}

bool oct_ref_accept_quantized(const oct_op_desc *d, char *reason)
{
    bool any = d->out[0].quant.n > 0;
    for (int i = 0; i < d->n_in; i++) {
        any |= d->in[i].quant.n > 0;
        if (d->in[i].quant.n > 1)
            return refuse(reason, "operand quantized per channel");
    }
    if (d->out[0].quant.n > 1)
        return refuse(reason, "result quantized per channel");
    return !any || d->n_in <= 8 || refuse(reason, "more than 8 quantized operands");
}
