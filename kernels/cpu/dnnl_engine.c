/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/dnnl_engine.h"

#include <stdio.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/dnnl_prim.h"

#if defined(OCT_HAVE_ONEDNN)

struct oct_cpu_dnnl {
    dnnl_engine_t engine;
};

oct_status oct_cpu_dnnl_open(oct_ctx *ctx, oct_cpu_dnnl **out)
{
    oct_cpu_dnnl *d = oct_zalloc(ctx, sizeof *d);
    if (!d)
        return OCT_ERR_NOMEM;
    const dnnl_status_t st = dnnl_engine_create(&d->engine, dnnl_cpu, 0);
    if (st != dnnl_success) { /* a SYCL build without a CPU device, say: our own kernels serve */
        oct_log(ctx, OCT_LOG_WARN, "oneDNN has no CPU engine (status %d): slower kernels are used",
                (int)st);
        oct_free(ctx, d);
        d = NULL;
    }
    *out = d;
    return OCT_OK;
}

void oct_cpu_dnnl_close(oct_ctx *ctx, oct_cpu_dnnl *d)
{
    if (!d)
        return;
    dnnl_engine_destroy(d->engine);
    oct_free(ctx, d);
}

dnnl_engine_t oct_cpu_dnnl_engine(const oct_cpu_dnnl *d)
{
    return d->engine;
}

static const char *isa_text(void)
{
    static const struct {
        int isa;
        const char *text;
    } names[] = {
        {dnnl_cpu_isa_sse41, "sse41"},
        {dnnl_cpu_isa_avx, "avx"},
        {dnnl_cpu_isa_avx2, "avx2"},
        {dnnl_cpu_isa_avx2_vnni, "avx2_vnni"},
        {dnnl_cpu_isa_avx512_core, "avx512_core"},
        {dnnl_cpu_isa_avx512_core_vnni, "avx512_core_vnni"},
        {dnnl_cpu_isa_avx512_core_bf16, "avx512_core_bf16"},
    };
    const int isa = (int)dnnl_get_effective_cpu_isa();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].isa == isa)
            return names[i].text;
    }
    return "other";
}

const char *oct_cpu_dnnl_text(char *buf, size_t cap)
{
    const dnnl_version_t *v = dnnl_version();
    snprintf(buf, cap, "oneDNN %d.%d.%d (%s)", v->major, v->minor, v->patch, isa_text());
    return buf;
}

#else

oct_status oct_cpu_dnnl_open(oct_ctx *ctx, oct_cpu_dnnl **out)
{
    (void)ctx;
    *out = NULL;
    return OCT_OK;
}

void oct_cpu_dnnl_close(oct_ctx *ctx, oct_cpu_dnnl *d)
{
    (void)ctx;
    (void)d;
}

const char *oct_cpu_dnnl_text(char *buf, size_t cap)
{
    snprintf(buf, cap, "none");
    return buf;
}

#endif
