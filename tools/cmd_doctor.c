/* SPDX-License-Identifier: Apache-2.0
 *
 * octet doctor: what this machine and this build can do, for bug reports and for choosing
 * threads, device and memory limit.
 */
#include <hdf5.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <png.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <xxhash.h>

#include <jpeglib.h>

#include <jansson.h>

#include "base/build_info.h"
#include "base/parallel.h"
#include "tools/cli.h"

#if OCT_HAVE_ONEDNN
#include <oneapi/dnnl/dnnl.h>
#endif
#if OCT_HAVE_CUDA
#include <cublasLt.h>
#include <cuda_runtime_api.h>
#endif

#define OCT_STRINGIFY_(x) #x
#define OCT_STRINGIFY(x) OCT_STRINGIFY_(x)

typedef struct fact {
    const char *group, *name;
    char text[160];
} fact;

#define MAX_FACTS 48

typedef struct facts {
    fact item[MAX_FACTS];
    int n;
} facts;

static void add(facts *f, const char *group, const char *name, const char *fmt, ...)
    OCT_PRINTF(4, 5);

static void add(facts *f, const char *group, const char *name, const char *fmt, ...)
{
    va_list args;
    if (f->n == MAX_FACTS)
        return;
    fact *item = &f->item[f->n++];
    item->group = group;
    item->name = name;
    va_start(args, fmt);
    vsnprintf(item->text, sizeof item->text, fmt, args);
    va_end(args);
}

/* Value of the first line "key : value" of a /proc file; false when there is none. */
static bool proc_value(const char *path, const char *key, char *buf, size_t cap)
{
    char line[512];
    bool found = false;
    FILE *f = fopen(path, "r");
    while (f && !found && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (!colon || strncmp(line, key, strlen(key)) != 0)
            continue;
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(buf, cap, "%.*s", (int)strcspn(colon, "\n"), colon);
        found = true;
    }
    if (f)
        fclose(f);
    return found;
}

static void add_isa(facts *f)
{
#if OCT_X86
    const struct {
        const char *name;
        int has;
    } isa[] = {
        {"SSE4.2", __builtin_cpu_supports("sse4.2")},
        {"AVX2", __builtin_cpu_supports("avx2")},
        {"FMA", __builtin_cpu_supports("fma")},
        {"AVX-512F", __builtin_cpu_supports("avx512f")},
        {"AVX-512BW", __builtin_cpu_supports("avx512bw")},
        {"AVX-512 VNNI", __builtin_cpu_supports("avx512vnni")},
    };
    char text[128] = "";
    for (size_t i = 0; i < sizeof isa / sizeof isa[0]; i++) {
        const size_t n = strlen(text);
        if (isa[i].has)
            snprintf(text + n, sizeof text - n, "%s%s", n ? ", " : "", isa[i].name);
    }
    add(f, "cpu", "instructions", "%s", text);
    if (!__builtin_cpu_supports("avx512vnni"))
        add(f, "cpu", "note", "no AVX-512 VNNI: INT8 runs on octet's own exact kernels");
#else
    add(f, "cpu", "instructions", "portable code (no x86 SIMD in this build)");
#endif
}

static void add_machine(facts *f)
{
    char text[128];
    struct utsname u;
    if (proc_value("/proc/cpuinfo", "model name", text, sizeof text))
        add(f, "cpu", "model", "%s", text);
    if (uname(&u) == 0)
        add(f, "cpu", "system", "%s %s %s", u.sysname, u.release, u.machine);
    add_isa(f);
    add(f, "cpu", "cores", "%d usable of %ld online", oct_cpu_count(),
        sysconf(_SC_NPROCESSORS_ONLN));
    if (proc_value("/proc/meminfo", "MemTotal", text, sizeof text))
        add(f, "memory", "total", "%s", text);
    if (proc_value("/proc/meminfo", "MemAvailable", text, sizeof text))
        add(f, "memory", "available", "%s", text);
}

static void add_build(facts *f)
{
    add(f, "octet", "version", "%s", OCT_VERSION);
    add(f, "octet", "build", "%s, %s", OCT_BUILD_TYPE, OCT_BUILD_COMPILER);
#if OCT_HAVE_OPENMP
    add(f, "octet", "threads", "OpenMP");
#else
    add(f, "octet", "threads", "pthreads");
#endif
}

static void add_libraries(facts *f)
{
    unsigned major = 0, minor = 0, release = 0;
    const unsigned xxh = XXH_versionNumber();
#if OCT_HAVE_ONEDNN
    const dnnl_version_t *v = dnnl_version();
    add(f, "library", "oneDNN", "%d.%d.%d", v->major, v->minor, v->patch);
#else
    add(f, "library", "oneDNN", "not in this build");
#endif
    if (H5get_libversion(&major, &minor, &release) >= 0)
        add(f, "library", "HDF5", "%u.%u.%u", major, minor, release);
    add(f, "library", "libpng", "%s", png_get_libpng_ver(NULL));
#ifdef LIBJPEG_TURBO_VERSION
    add(f, "library", "libjpeg-turbo", "%s", OCT_STRINGIFY(LIBJPEG_TURBO_VERSION));
#else
    add(f, "library", "libjpeg", "%d", JPEG_LIB_VERSION);
#endif
    add(f, "library", "protobuf-c", "%s", protobuf_c_version());
    add(f, "library", "jansson", "%s", JANSSON_VERSION);
    add(f, "library", "xxHash", "%u.%u.%u", xxh / 10000, xxh / 100 % 100, xxh % 100);
    add(f, "library", "OpenSSL", "%s", OpenSSL_version(OPENSSL_VERSION));
}

static void add_gpu(facts *f)
{
#if OCT_HAVE_CUDA
    int n = 0, driver = 0, runtime = 0;
    const cudaError_t err = cudaGetDeviceCount(&n);
    (void)cudaDriverGetVersion(&driver);
    (void)cudaRuntimeGetVersion(&runtime);
    const size_t lt = cublasLtGetVersion();
    add(f, "gpu", "cuBLASLt", "%zu.%zu.%zu", lt / 10000, lt / 100 % 100, lt % 100);
    add(f, "gpu", "CUDA", "runtime %d.%d, driver %d.%d", runtime / 1000, runtime % 1000 / 10,
        driver / 1000, driver % 1000 / 10);
    if (err != cudaSuccess)
        add(f, "gpu", "devices", "none: %s", cudaGetErrorString(err));
    for (int i = 0; err == cudaSuccess && i < n; i++) {
        struct cudaDeviceProp p;
        size_t unused = 0, total = 0;
        if (cudaGetDeviceProperties(&p, i) != cudaSuccess)
            continue;
        const bool asked =
            cudaSetDevice(i) == cudaSuccess && cudaMemGetInfo(&unused, &total) == cudaSuccess;
        add(f, "gpu", "device", "cuda:%d %s, sm_%d%d, %d multiprocessors, %zu MiB, %zu MiB free", i,
            p.name, p.major, p.minor, p.multiProcessorCount, p.totalGlobalMem >> 20,
            asked ? unused >> 20 : 0);
    }
#else
    add(f, "gpu", "CUDA", "not in this build (configure with -DOCT_CUDA=ON)");
#endif
}

static oct_status print_facts(oct_cli *cli, const facts *f)
{
    oct_table *t;
    OCT_TRY(oct_table_new(cli->ctx, "what||found", &t));
    for (int i = 0; i < f->n; i++) {
        oct_table_str(t, f->item[i].group);
        oct_table_str(t, f->item[i].name);
        oct_table_str(t, f->item[i].text);
    }
    const oct_status st = oct_cli_print_table(cli, t);
    oct_table_free(t);
    return st;
}

/* {"cpu": {"model": "..."}, "gpu": {"device": ["...", "..."]}}: a name that occurs several
 * times becomes an array. Facts of one group are neighbours. */
static void write_facts(oct_json *j, const facts *f)
{
    oct_json_begin_object(j);
    for (int i = 0; i < f->n; i++) {
        const fact *x = &f->item[i];
        const bool first = i == 0 || strcmp(f->item[i - 1].group, x->group) != 0;
        const bool last = i + 1 == f->n || strcmp(f->item[i + 1].group, x->group) != 0;
        const bool again = !first && strcmp(f->item[i - 1].name, x->name) == 0;
        const bool more = !last && strcmp(f->item[i + 1].name, x->name) == 0;
        if (first) {
            oct_json_key(j, x->group);
            oct_json_begin_object(j);
        }
        if (!again)
            oct_json_key(j, x->name);
        if (!again && more)
            oct_json_begin_array(j);
        oct_json_string(j, x->text);
        if (again && !more)
            oct_json_end_array(j);
        if (last)
            oct_json_end_object(j);
    }
    oct_json_end_object(j);
}

static oct_status run(oct_cli *cli)
{
    facts f = {.n = 0};
    oct_strbuf b;
    oct_json j;
    oct_status st = OCT_OK;
    add_build(&f);
    add_machine(&f);
    add_gpu(&f);
    add_libraries(&f);
    if (oct_cli_wants_text(cli))
        st = print_facts(cli, &f);
    oct_strbuf_init(&b, cli->ctx);
    oct_json_init(&j, &b, true);
    write_facts(&j, &f);
    if (st == OCT_OK)
        st = oct_cli_emit_json(cli, &b);
    oct_strbuf_deinit(&b);
    return st;
}

const oct_cmd oct_cmd_doctor = {
    .name = "doctor",
    .summary = "show what this machine and this build can do",
    .examples = "  octet doctor             CPU, cores, memory, GPU, library versions\n"
                "  octet doctor --json      the same for a bug report\n",
    .run = run,
    .rank = 95,
};
