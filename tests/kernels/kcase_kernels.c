/* SPDX-License-Identifier: Apache-2.0
 *
 * Which device functions a prepared op queues: its run() is captured into a graph whose nodes are
 * looked at and which is never launched. CUDA's driver tells their names, template arguments and all;
 * it is opened by name, so that a test program starts on machines without one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/kernels/kcase_internal.h"

uint64_t kc_hash(uint64_t h, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    h ^= 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

#ifdef OCT_HAVE_CUDA

#include <cuda.h>
#include <dlfcn.h>

#include "kernels/cuda/cuda_internal.h"

typedef CUresult (*node_params_fn)(CUgraphNode, CUDA_KERNEL_NODE_PARAMS_v2 *);
typedef CUresult (*func_name_fn)(const char **, CUfunction);
typedef CUresult (*kernel_name_fn)(const char **, CUkernel);

static void *driver(const char *name)
{
    void *lib = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
    void *fn = lib ? dlsym(lib, name) : NULL;
    if (fn == NULL)
        fail_msg("CUDA's driver has no %s", name);
    return fn;
}

static const char *kernel_name(cudaGraphNode_t node)
{
    CUDA_KERNEL_NODE_PARAMS_v2 p;
    node_params_fn params;
    func_name_fn of_func;
    kernel_name_fn of_kernel;
    const char *name = NULL;
    *(void **)&params = driver("cuGraphKernelNodeGetParams_v2");
    *(void **)&of_func = driver("cuFuncGetName");
    *(void **)&of_kernel = driver("cuKernelGetName");
    memset(&p, 0, sizeof p);
    if (params(node, &p) != CUDA_SUCCESS ||
        (p.func ? of_func(&name, p.func) : of_kernel(&name, p.kern)) != CUDA_SUCCESS)
        fail_msg("CUDA does not name a kernel");
    return name;
}

static void add_node(cudaGraphNode_t node, kc_names *names)
{
    enum cudaGraphNodeType type;
    assert_int_equal(cudaGraphNodeGetType(node, &type), cudaSuccess);
    if (type != cudaGraphNodeTypeKernel)
        return;
    const char *name = kernel_name(node);
    assert_true(names->n < KC_MAX_KERNELS);
    names->hash[names->n++] = kc_hash(0, name, strlen(name));
}

void kc_names_of(const oct_prepared *p, oct_backend *be, const oct_run_args *a, kc_names *names)
{
    cudaGraph_t graph = NULL;
    cudaGraphNode_t node[4 * KC_MAX_KERNELS];
    size_t n = sizeof node / sizeof node[0];
    names->n = 0;
    if (be->vt->host_memory)
        return;
    assert_int_equal(be->vt->capture_begin(be, kc_state.ctx, a->stream), OCT_OK);
    if (be->vt->run(p, kc_state.ctx, a) != OCT_OK)
        fail_msg("captured: %s", oct_error_text(kc_state.ctx));
    assert_int_equal(cudaStreamEndCapture(a->stream->s, &graph), cudaSuccess);
    assert_int_equal(cudaGraphGetNodes(graph, node, &n), cudaSuccess);
    assert_true(n <= sizeof node / sizeof node[0]);
    for (size_t i = 0; i < n; i++)
        add_node(node[i], names);
    cudaGraphDestroy(graph);
}

#else

void kc_names_of(const oct_prepared *p, oct_backend *be, const oct_run_args *a, kc_names *names)
{
    (void)p;
    (void)be;
    (void)a;
    names->n = 0;
}

#endif
