/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cuda/cuda_fault.h"

#include <stdio.h>
#include <string.h>

oct_status oct_cuda_fault_new(oct_ctx *ctx, oct_cuda_fault **out)
{
    void *p = NULL;
    OCT_TRY(oct_cuda_check(
        ctx, cudaHostAlloc(&p, sizeof **out, cudaHostAllocMapped | cudaHostAllocPortable),
        "memory for reports"));
    memset(p, 0, sizeof **out);
    *out = p;
    return OCT_OK;
}

void oct_cuda_fault_free(oct_cuda_fault *f)
{
    if (f)
        cudaFreeHost(f);
}

oct_status oct_cuda_fault_take(oct_ctx *ctx, oct_cuda_fault *f)
{
    if (!f || !f->set)
        return OCT_OK;
    const oct_cuda_fault found = *f;
    memset(f, 0, sizeof *f);
    return oct_fail(ctx, OCT_ERR_RANGE, "%.*s: %s: indices[%lld] is %lld, expected %lld to %lld",
                    OCT_CUDA_FAULT_NODE_BYTES - 1, found.node, oct_op_name(found.op),
                    (long long)found.place, (long long)found.value, (long long)found.lo,
                    (long long)found.hi);
}

void oct_cuda_fault_at_init(oct_cuda_fault_at *at, const oct_op_desc *d)
{
    memset(at, 0, sizeof *at);
    at->op = d->op;
    snprintf(at->node, sizeof at->node, "%s", d->name ? d->name : "");
}
