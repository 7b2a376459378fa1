/* SPDX-License-Identifier: Apache-2.0
 *
 * QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear and Table, on dense tensors of any
 * layout (input and output alike). Formulas: base/numeric.h.
 */
#include <math.h>

#include "base/parallel.h"
#include "kernels/ref/ref_elem.h"
#include "kernels/ref/ref_groups_internal.h"

/* Parameters by memory position: number (i / step) % n. */
typedef struct job {
    const oct_op_desc *d;
    const void *x;
    const float *scale;
    const void *zero; /* NULL = 0 */
    oct_dtype zero_type;
    void *y;
    int64_t n, step;
} job;

static int32_t zero_point(const job *j, int64_t c)
{
    if (!j->zero)
        return 0;
    return j->zero_type == OCT_DT_S32 ? ((const int32_t *)j->zero)[c]
                                      : oct_ref_load_q8(j->zero, j->zero_type, c);
}

static void quantize(void *user, size_t lo, size_t hi, int worker)
{
    (void)worker;
    const job *j = user;
    const oct_dtype from = j->d->in[0].desc.dtype, dt = j->d->out[0].desc.dtype;
    const int32_t q_lo = oct_ref_q8_min(dt), q_hi = oct_ref_q8_max(dt);
    for (int64_t i = (int64_t)lo; i < (int64_t)hi; i++) {
        const int64_t c = j->n == 1 ? 0 : i / j->step % j->n;
        const oct_qparams q = {j->scale[c], zero_point(j, c)};
        oct_ref_store_q8(j->y, dt, i, oct_quantize(oct_ref_load_f32(j->x, from, i), q, q_lo, q_hi));
    }
}

static void dequantize(void *user, size_t lo, size_t hi, int worker)
{
    (void)worker;
    const job *j = user;
    const oct_dtype from = j->d->in[0].desc.dtype, dt = j->d->out[0].desc.dtype;
    for (int64_t i = (int64_t)lo; i < (int64_t)hi; i++) {
        const int64_t c = j->n == 1 ? 0 : i / j->step % j->n;
        const int64_t q =
            from == OCT_DT_S32 ? ((const int32_t *)j->x)[i] : oct_ref_load_q8(j->x, from, i);
        oct_ref_store_f32(j->y, dt, i, (float)(q - zero_point(j, c)) * j->scale[c]);
    }
}

static size_t elems(const oct_tensor_desc *t)
{
    size_t n = 0;
    return oct_shape_elems(&t->shape, &n) ? n : 0;
}

static oct_status run_linear(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const oct_attr_quantize *at = d->attr;
    const oct_tensor_desc *x = &d->in[0].desc;
    job j = {.d = d, .x = a->in[0], .scale = a->in[1], .y = a->out[0], .step = 1};
    j.zero = d->n_in > 2 ? a->in[2] : NULL;
    j.zero_type = j.zero ? d->in[2].desc.dtype : OCT_DT_NONE;
    j.n = (int64_t)elems(&d->in[1].desc);
    if (j.n > 1)
        j.step = x->stride[at->axis < 0 ? at->axis + x->shape.n_dims : at->axis];
    oct_parallel_for(d->threads, elems(x), 4096,
                     d->op == OCT_OP_QUANTIZE_LINEAR ? quantize : dequantize, &j);
    return OCT_OK;
}

/* scale = (max(x, 0) - min(x, 0)) / 255; zero point = clamp(rne(-min / scale)). */
static oct_status run_dynamic(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const float *x = a->in[0];
    const size_t n = elems(&d->in[0].desc);
    float lo = 0, hi = 0;
    for (size_t i = 0; i < n; i++) {
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
    }
    oct_qparams q = {.scale = (hi - lo) / 255.0f};
    if (q.scale == 0)
        q.scale = 1; /* all zero */
    q.zero_point = oct_quantize(-lo, (oct_qparams){q.scale, 0}, 0, 255);
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)a->out[0])[i] = (uint8_t)oct_quantize(x[i], q, 0, 255);
    *(float *)a->out[1] = q.scale;
    *(uint8_t *)a->out[2] = (uint8_t)q.zero_point;
    return OCT_OK;
}

static oct_status run_table(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const uint8_t *x = a->in[0], *table = a->in[1];
    const size_t n = elems(&d->in[0].desc);
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)a->out[0])[i] = table[x[i]];
    return OCT_OK;
}

static bool same_dense_layout(const oct_op_desc *d, char *reason)
{
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    if (x->layout != y->layout || !oct_tensor_desc_is_dense(x) || !oct_tensor_desc_is_dense(y))
        return oct_ref_refuse(reason, "ref %s: operands must be dense and alike",
                              oct_op_name(d->op));
    return true;
}

static bool accepts_linear(const oct_op_desc *d, char *reason)
{
    const bool to_q8 = d->op == OCT_OP_QUANTIZE_LINEAR;
    const oct_dtype real = d->in[to_q8 ? 0 : 1].desc.dtype, scale = d->in[1].desc.dtype;
    const oct_dtype stored = (to_q8 ? d->out : d->in)[0].desc.dtype;
    if (scale != OCT_DT_F32)
        return oct_ref_refuse(reason, "ref %s: scale of type %s", oct_op_name(d->op),
                              oct_dtype_str(scale));
    if (!oct_ref_is_q8(stored) && !(stored == OCT_DT_S32 && !to_q8))
        return oct_ref_refuse(reason, "ref %s on %s", oct_op_name(d->op), oct_dtype_str(stored));
    if (real != OCT_DT_F32 && real != OCT_DT_S32 && real != OCT_DT_F64)
        return oct_ref_refuse(reason, "ref %s on %s", oct_op_name(d->op), oct_dtype_str(real));
    return same_dense_layout(d, reason);
}

const oct_ref_entry oct_ref_quantize[] = {
    {OCT_OP_QUANTIZE_LINEAR, run_linear, NULL, accepts_linear, true},
    {OCT_OP_DEQUANTIZE_LINEAR, run_linear, NULL, accepts_linear, true},
    {OCT_OP_DYNAMIC_QUANTIZE_LINEAR, run_dynamic, NULL, NULL, false},
    {OCT_OP_TABLE, run_table, NULL, same_dense_layout, false},
    {0},
};
