/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/backend.h"

#include <stdatomic.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#if defined(OCT_HAVE_CUDA)
#include "kernels/cuda/cuda.h"
#endif
#include "kernels/ref/ref.h"

/* `arg` is what follows the colon of "cuda:1", "" without one. */
typedef oct_status (*open_fn)(oct_ctx *ctx, const char *arg, oct_backend **out);

static oct_status open_ref(oct_ctx *ctx, const char *arg, oct_backend **out)
{
    if (*arg)
        return oct_fail(ctx, OCT_ERR_USAGE, "device ref:%s: ref has no numbers", arg);
    return oct_ref_open(ctx, out);
}

static oct_status open_cpu(oct_ctx *ctx, const char *arg, oct_backend **out)
{
    if (*arg)
        return oct_fail(ctx, OCT_ERR_USAGE, "device cpu:%s: cpu has no numbers", arg);
    return oct_cpu_open(ctx, out);
}

/* A backend that is not always built guards its include and its row by OCT_HAVE_<NAME>. */
static const struct {
    const char *name;
    open_fn open;
} BACKENDS[] = {
    {"ref", open_ref},
    {"cpu", open_cpu},
#if defined(OCT_HAVE_CUDA)
    {"cuda", oct_cuda_open},
#endif
};

oct_status oct_backend_open(oct_ctx *ctx, const char *name, oct_backend **out)
{
    const size_t len = strcspn(name, ":");
    const char *arg = name[len] ? name + len + 1 : "";
    for (size_t i = 0; i < sizeof BACKENDS / sizeof BACKENDS[0]; i++) {
        if (strlen(BACKENDS[i].name) == len && memcmp(BACKENDS[i].name, name, len) == 0)
            return BACKENDS[i].open(ctx, arg, out);
    }
    if (len == 4 && memcmp(name, "cuda", 4) == 0)
        return oct_fail(ctx, OCT_ERR_DEVICE, "device %s: this build has no GPU backend", name);
    return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "device %s: unknown, expected cpu, ref or cuda[:N]",
                    name);
}

void oct_backend_close(oct_backend *be, oct_ctx *ctx)
{
    if (be)
        be->vt->close(be, ctx);
}

uint64_t oct_const_key_new(void)
{
    /* The one process-wide variable: keys need only differ. */
    static atomic_uint_fast64_t last;
    return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}
