/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/dnnl_compat.h"

#if defined(OCT_HAVE_ONEDNN)

#include <string.h>

#include "base/hash.h"

#define V3 (DNNL_VERSION_MAJOR >= 3)

#if V3
#define REF(m) ((m).md)
#else
#define REF(m) (&(m).md)
#endif

dnnl_status_t oct_dmd_init(oct_dmd *m, int n_dims, const dnnl_dim_t *dims, dnnl_data_type_t dt,
                           const dnnl_dim_t *strides)
{
    dnnl_status_t st;
#if V3
    if (strides)
        st = dnnl_memory_desc_create_with_strides(&m->md, n_dims, dims, dt, strides);
    else
        st = dnnl_memory_desc_create_with_tag(&m->md, n_dims, dims, dt, dnnl_format_tag_any);
#else
    if (strides)
        st = dnnl_memory_desc_init_by_strides(&m->md, n_dims, dims, dt, strides);
    else
        st = dnnl_memory_desc_init_by_tag(&m->md, n_dims, dims, dt, dnnl_format_tag_any);
#endif
    m->live = st == dnnl_success;
    return st;
}

dnnl_status_t oct_dmd_copy(oct_dmd *m, const oct_dmd *from)
{
    dnnl_status_t st = dnnl_success;
#if V3
    st = dnnl_memory_desc_clone(&m->md, from->md);
#else
    m->md = from->md;
#endif
    m->live = st == dnnl_success;
    return st;
}

void oct_dmd_deinit(oct_dmd *m)
{
#if V3
    if (m->live)
        dnnl_memory_desc_destroy(m->md);
#endif
    memset(m, 0, sizeof *m);
}

size_t oct_dmd_bytes(const oct_dmd *m)
{
    return m->live ? dnnl_memory_desc_get_size(REF(*m)) : 0;
}

uint64_t oct_dmd_hash(const oct_dmd *m)
{
#if V3
    uint8_t blob[4096];
    size_t bytes = 0;
    if (dnnl_memory_desc_get_blob(NULL, &bytes, m->md) != dnnl_success || bytes > sizeof blob)
        return 0;
    memset(blob, 0, sizeof blob);
    if (dnnl_memory_desc_get_blob(blob, &bytes, m->md) != dnnl_success)
        return 0;
    return oct_xxh64_of(blob, bytes);
#else
    return oct_xxh64_of(&m->md, sizeof m->md);
#endif
}

dnnl_status_t oct_dmd_query(oct_dmd *m, const_dnnl_primitive_desc_t pd, dnnl_query_t what,
                            int index)
{
#if V3
    const_dnnl_memory_desc_t found = dnnl_primitive_desc_query_md(pd, what, index);
    const dnnl_status_t st = found ? dnnl_memory_desc_clone(&m->md, found) : dnnl_invalid_arguments;
    m->live = st == dnnl_success;
    return st;
#else
    const dnnl_memory_desc_t *found = dnnl_primitive_desc_query_md(pd, what, index);
    if (!found)
        return dnnl_invalid_arguments;
    m->md = *found;
    m->live = true;
    return dnnl_success;
#endif
}

dnnl_status_t oct_dmd_memory(dnnl_memory_t *mem, const oct_dmd *m, dnnl_engine_t engine,
                             void *handle)
{
    return dnnl_memory_create(mem, REF(*m), engine, handle);
}

dnnl_status_t oct_dmd_reorder(const oct_dmd *src, const oct_dmd *dst, dnnl_engine_t engine,
                              dnnl_primitive_desc_t *pd)
{
    return dnnl_reorder_primitive_desc_create(pd, REF(*src), engine, REF(*dst), engine, NULL);
}

dnnl_status_t oct_dnnl_conv_pd(const oct_dnnl_conv_desc *c, dnnl_primitive_attr_t attr,
                               dnnl_engine_t engine, dnnl_primitive_desc_t *pd)
{
    const dnnl_prop_kind_t prop = dnnl_forward_inference;
#if V3
    const dnnl_memory_desc_t bias = c->bias.live ? c->bias.md : NULL;
    if (c->transposed)
        return dnnl_deconvolution_forward_primitive_desc_create(
            pd, engine, prop, dnnl_deconvolution_direct, c->src.md, c->weights.md, bias, c->dst.md,
            c->stride, c->dilation, c->pad_lo, c->pad_hi, attr);
    return dnnl_convolution_forward_primitive_desc_create(
        pd, engine, prop, dnnl_convolution_direct, c->src.md, c->weights.md, bias, c->dst.md,
        c->stride, c->dilation, c->pad_lo, c->pad_hi, attr);
#else
    const dnnl_memory_desc_t *bias = c->bias.live ? &c->bias.md : NULL;
    dnnl_status_t st;
    if (c->transposed) {
        dnnl_deconvolution_desc_t d;
        st = dnnl_dilated_deconvolution_forward_desc_init(
            &d, prop, dnnl_deconvolution_direct, &c->src.md, &c->weights.md, bias, &c->dst.md,
            c->stride, c->dilation, c->pad_lo, c->pad_hi);
        return st == dnnl_success ? dnnl_primitive_desc_create(pd, &d, attr, engine, NULL) : st;
    }
    dnnl_convolution_desc_t d;
    st = dnnl_dilated_convolution_forward_desc_init(&d, prop, dnnl_convolution_direct, &c->src.md,
                                                    &c->weights.md, bias, &c->dst.md, c->stride,
                                                    c->dilation, c->pad_lo, c->pad_hi);
    return st == dnnl_success ? dnnl_primitive_desc_create(pd, &d, attr, engine, NULL) : st;
#endif
}

dnnl_status_t oct_dnnl_post_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha,
                                    float beta)
{
#if V3
    return dnnl_post_ops_append_eltwise(ops, alg, alpha, beta);
#else
    return dnnl_post_ops_append_eltwise(ops, 1.0f, alg, alpha, beta);
#endif
}

dnnl_status_t oct_dnnl_post_sum(dnnl_post_ops_t ops, float scale, int32_t zero_point,
                                dnnl_data_type_t dt)
{
#if V3
    return dnnl_post_ops_append_sum(ops, scale, zero_point, dt);
#else
    return dnnl_post_ops_append_sum_v3(ops, scale, zero_point, dt);
#endif
}

dnnl_status_t oct_dnnl_post_binary(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, const oct_dmd *src)
{
    return dnnl_post_ops_append_binary(ops, alg, REF(*src));
}

#endif /* OCT_HAVE_ONEDNN */
