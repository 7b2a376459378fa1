/* SPDX-License-Identifier: Apache-2.0
 *
 * oneDNN v2 (2.6) and v3 behind one set of calls. v3 made descriptors opaque, moved scales from
 * creation to run time and split them per argument; the differences end in dnnl_compat.c. Only
 * dnnl_*.c include this.
 */
#ifndef OCT_KERNELS_CPU_DNNL_COMPAT_H
#define OCT_KERNELS_CPU_DNNL_COMPAT_H

#if defined(OCT_HAVE_ONEDNN)

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <oneapi/dnnl/dnnl.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A memory descriptor: a struct in v2, an owned handle in v3. Zero-initialised = none. */
typedef struct oct_dmd {
    dnnl_memory_desc_t md;
    bool live;
} oct_dmd;

/* strides NULL: "any", the primitive chooses. */
dnnl_status_t oct_dmd_init(oct_dmd *md, int n_dims, const dnnl_dim_t *dims, dnnl_data_type_t dt,
                           const dnnl_dim_t *strides);
dnnl_status_t oct_dmd_copy(oct_dmd *md, const oct_dmd *from);
void oct_dmd_deinit(oct_dmd *md);
size_t oct_dmd_bytes(const oct_dmd *md);
uint64_t oct_dmd_hash(const oct_dmd *md); /* equal descriptors, equal hashes */
/* Copy of what `pd` chose for an argument (dnnl_query_weights_md, ...). */
dnnl_status_t oct_dmd_query(oct_dmd *md, const_dnnl_primitive_desc_t pd, dnnl_query_t what,
                            int index);
dnnl_status_t oct_dmd_memory(dnnl_memory_t *mem, const oct_dmd *md, dnnl_engine_t engine,
                             void *handle);
dnnl_status_t oct_dmd_reorder(const oct_dmd *src, const oct_dmd *dst, dnnl_engine_t engine,
                              dnnl_primitive_desc_t *pd);

/* A convolution or, with `transposed`, a deconvolution. `bias` may be absent. */
typedef struct oct_dnnl_conv_desc {
    bool transposed;
    oct_dmd src, weights, bias, dst;
    dnnl_dims_t stride, dilation, pad_lo, pad_hi; /* dilation 0 = dense */
} oct_dnnl_conv_desc;

dnnl_status_t oct_dnnl_conv_pd(const oct_dnnl_conv_desc *c, dnnl_primitive_attr_t attr,
                               dnnl_engine_t engine, dnnl_primitive_desc_t *pd);

/* Post-ops. */
dnnl_status_t oct_dnnl_post_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha,
                                    float beta);
dnnl_status_t oct_dnnl_post_sum(dnnl_post_ops_t ops, float scale, int32_t zero_point,
                                dnnl_data_type_t dt);
dnnl_status_t oct_dnnl_post_binary(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, const oct_dmd *src);

#ifdef __cplusplus
}
#endif

#endif /* OCT_HAVE_ONEDNN */
#endif /* OCT_KERNELS_CPU_DNNL_COMPAT_H */
