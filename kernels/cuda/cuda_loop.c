/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cuda/cuda_loop.h"

#include "base/numeric.h"

bool oct_cuda_loop_takes(const oct_ref_loop *l, int vec)
{
    const int inner = l->n_dims - 1;
    if (l->stride[0][inner] != 1 || l->dim[inner] < vec)
        return false;
    if (l->n_dims > 1 && l->dim[inner] % vec != 0)
        return false;
    for (int k = 0; k < l->n_operands; k++) {
        if (l->stride[k][inner] != 0 && l->stride[k][inner] != 1)
            return false;
        for (int i = 0; i < inner && l->stride[k][inner] == 1; i++)
            if (l->stride[k][i] % vec != 0)
                return false;
    }
    return true;
}

bool oct_cuda_loop_make(const oct_ref_loop *l, int vec, oct_cuda_loop *out)
{
    memset(out, 0, sizeof *out);
    if (l->n_dims > OCT_CUDA_LOOP_DIMS || l->n_operands > OCT_CUDA_LOOP_OPERANDS)
        return false;
    int64_t total = 1;
    for (int i = 0; i < l->n_dims; i++)
        if (l->dim[i] == 0)
            return true; /* nothing to do: total 0 */
    out->n_dims = (uint32_t)l->n_dims;
    for (int i = 0; i < l->n_dims; i++) {
        const int from = l->n_dims - 1 - i;
        const int64_t size = i == 0 ? l->dim[from] / vec : l->dim[from];
        if (size > OCT_CUDA_MAX_ELEMS || total * size > OCT_CUDA_MAX_ELEMS)
            return false;
        total *= size;
        out->dim[i] = oct_cuda_div_make(size ? size : 1);
        for (int k = 0; k < l->n_operands; k++)
            out->stride[k][i] = i == 0 ? l->stride[k][from] * vec : l->stride[k][from];
    }
    out->total = (uint32_t)total;
    return true;
}

bool oct_cuda_ints(const oct_op_desc *d, int i, int64_t *values, int cap, int *n)
{
    *n = 0;
    if (!oct_cuda_present(d, i))
        return true;
    const size_t count = oct_cuda_elems(&d->in[i]);
    if (count == 0)
        return true;
    if (!d->in[i].data || count > (size_t)cap)
        return false;
    for (size_t k = 0; k < count; k++)
        values[k] = oct_elem_s64(d->in[i].data, d->in[i].desc.dtype, k);
    *n = (int)count;
    return true;
}

oct_cuda_axis oct_cuda_axis_of(const oct_shape *s, int64_t axis)
{
    axis += axis < 0 ? s->n_dims : 0;
    oct_cuda_axis v = {1, s->n_dims ? s->dim[axis] : 1, 1};
    for (int i = 0; i < axis; i++)
        v.outer *= s->dim[i];
    for (int64_t i = axis + 1; i < s->n_dims; i++)
        v.inner *= s->dim[i];
    return v;
}

bool oct_cuda_row_major(const oct_operand *o)
{
    return o->desc.dtype == OCT_DT_NONE ||
           (o->desc.layout == OCT_LAYOUT_ROW && oct_tensor_desc_is_dense(&o->desc));
}

bool oct_cuda_all_plain(const oct_op_desc *d, char *reason)
{
    for (int i = 0; i < d->n_in + d->n_out; i++) {
        const oct_operand *o = i < d->n_in ? &d->in[i] : &d->out[i - d->n_in];
        if (!oct_cuda_row_major(o))
            return oct_cuda_no(reason, "an operand is not dense row-major");
        if (o->quant.n > 0)
            return oct_cuda_no(reason, "a quantized operand");
    }
    return true;
}

bool oct_cuda_same_quant(const oct_quant *a, const oct_quant *b)
{
    if (a->n != b->n || a->n > 1)
        return false;
    return a->n == 0 ||
           (a->q[0].scale == b->q[0].scale && a->q[0].zero_point == b->q[0].zero_point);
}
