/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/cpu_isa.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "kernels/cpu/cpu.h"

#if defined(OCT_X86)

#include <cpuid.h>

/* oneDNN's names in rising order and what each allows us. */
static const struct {
    const char *name;
    oct_cpu_isa limit;
} limits[] = {
    {"SSE41", {OCT_ISA_PORTABLE, false, false, false}},
    {"AVX", {OCT_ISA_PORTABLE, false, false, false}},
    {"AVX2", {OCT_ISA_AVX2, false, false, false}},
    {"AVX2_VNNI", {OCT_ISA_AVX2, false, true, false}},
    {"AVX2_VNNI_2", {OCT_ISA_AVX2, false, true, false}},
    {"AVX512_MIC", {OCT_ISA_AVX2, false, false, false}},
    {"AVX512_MIC_4OPS", {OCT_ISA_AVX2, false, false, false}},
    {"AVX512_CORE", {OCT_ISA_AVX512, false, false, false}},
};

static oct_cpu_isa environment_limit(void)
{
    const oct_cpu_isa all = {OCT_ISA_AVX512, true, true, true};
    const char *text = getenv("ONEDNN_MAX_CPU_ISA");
    if (!text)
        text = getenv("DNNL_MAX_CPU_ISA"); /* its older name */
    for (size_t i = 0; text && i < sizeof limits / sizeof limits[0]; i++) {
        if (strcasecmp(text, limits[i].name) == 0)
            return limits[i].limit;
    }
    return all;
}

static oct_cpu_isa processor(void)
{
    oct_cpu_isa c = {OCT_ISA_PORTABLE, false, false, false};
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return c;
    c.isa = OCT_ISA_AVX2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        c.isa = OCT_ISA_AVX512;
        c.avx512_vnni = __builtin_cpu_supports("avx512vnni");
        c.avx512_vbmi = __builtin_cpu_supports("avx512vbmi");
    }
    return c;
}

oct_cpu_isa oct_cpu_isa_detect(void)
{
    const oct_cpu_isa have = processor(), allow = environment_limit();
    oct_cpu_isa c;
    c.isa = have.isa < allow.isa ? have.isa : allow.isa;
    c.avx512_vnni = have.avx512_vnni && allow.avx512_vnni && c.isa == OCT_ISA_AVX512;
    c.avx512_vbmi = have.avx512_vbmi && allow.avx512_vbmi && c.isa == OCT_ISA_AVX512;
    c.avx_vnni = have.avx_vnni && allow.avx_vnni && c.isa >= OCT_ISA_AVX2;
    return c;
}

/* CPUID leaves 0x80000002 to 0x80000004: 48 characters, with blanks in front on some. */
const char *oct_cpu_brand(char *buf, size_t cap)
{
    unsigned r[12] = {0};
    char text[sizeof r + 1] = "";
    for (unsigned i = 0; i < 3; i++)
        if (!__get_cpuid(0x80000002u + i, &r[4 * i], &r[4 * i + 1], &r[4 * i + 2], &r[4 * i + 3]))
            memset(r, 0, sizeof r);
    memcpy(text, r, sizeof r);
    snprintf(buf, cap, "%s", text + strspn(text, " "));
    return buf;
}

#else

const char *oct_cpu_brand(char *buf, size_t cap)
{
    snprintf(buf, cap, "%s", "");
    return buf;
}

oct_cpu_isa oct_cpu_isa_detect(void)
{
    const oct_cpu_isa c = {OCT_ISA_PORTABLE, false, false, false};
    return c;
}

#endif

const char *oct_cpu_isa_name(const oct_cpu_isa *c)
{
    static const char *const names[OCT_ISA_COUNT] = {"portable", "avx2", "avx512"};
    return c->avx512_vnni ? "avx512_vnni" : names[c->isa];
}

const char *oct_cpu_isa_text(void)
{
    const oct_cpu_isa c = oct_cpu_isa_detect();
    return oct_cpu_isa_name(&c);
}
