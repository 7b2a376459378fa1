/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/dnnl_prim.h"

#if defined(OCT_HAVE_ONEDNN)

#include <assert.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#if defined(OCT_HAVE_OPENMP)
#include <omp.h>
#else
#include <dlfcn.h>
#endif

#define N_SLOTS 64 /* concurrent runs of one op; more wait */

enum { SLOT_EMPTY, SLOT_FREE, SLOT_BUSY };

typedef struct slot {
    dnnl_stream_t stream;
    dnnl_exec_arg_t arg[OCT_DNNL_MAX_ARGS];
} slot;

struct oct_dnnl_prim {
    dnnl_primitive_t prim;
    dnnl_engine_t engine;
    oct_dnnl_args args;
    int threads;
    atomic_int state[N_SLOTS];
    slot slots[N_SLOTS];
};

#if defined(OCT_HAVE_OPENMP)
int oct_dnnl_set_threads(int n)
{
    const int before = omp_get_max_threads();
    if (n != before)
        omp_set_num_threads(n);
    return before;
}
#else
/* We run on pthreads, but oneDNN may still bring an OpenMP runtime of its own. */
int oct_dnnl_set_threads(int n)
{
    int (*get)(void) = NULL;
    void (*set)(int) = NULL;
    *(void **)&get = dlsym(RTLD_DEFAULT, "omp_get_max_threads");
    *(void **)&set = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    if (!get || !set)
        return n;
    const int before = get();
    if (n != before)
        set(n);
    return before;
}
#endif

oct_status oct_dnnl_fail(oct_ctx *ctx, dnnl_status_t st, const char *what)
{
    if (st == dnnl_out_of_memory)
        return oct_fail(ctx, OCT_ERR_NOMEM, "%s: out of memory", what);
    if (st == dnnl_unimplemented)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "%s: not implemented by oneDNN", what);
    return oct_fail(ctx, OCT_ERR_BUG, "%s: oneDNN status %d", what, (int)st);
}

void oct_dnnl_args_deinit(oct_dnnl_args *args)
{
    for (int i = 0; i < args->n; i++)
        oct_dmd_deinit(&args->a[i].md);
    args->n = 0;
}

void oct_dnnl_args_add(oct_dnnl_args *args, int arg, oct_dnnl_where where, int index,
                       const void *fixed, oct_dmd *md)
{
    assert(args->n < OCT_DNNL_MAX_ARGS);
    const oct_dnnl_arg a = {arg, where, index, fixed, *md};
    args->a[args->n++] = a;
    memset(md, 0, sizeof *md);
}

static void slot_deinit(const oct_dnnl_prim *p, slot *s)
{
    for (int i = 0; i < p->args.n; i++) {
        if (s->arg[i].memory)
            dnnl_memory_destroy(s->arg[i].memory);
    }
    if (s->stream)
        dnnl_stream_destroy(s->stream);
    memset(s, 0, sizeof *s);
}

static dnnl_status_t slot_init(const oct_dnnl_prim *p, slot *s)
{
    dnnl_status_t st = dnnl_stream_create(&s->stream, p->engine, dnnl_stream_default_flags);
    for (int i = 0; i < p->args.n && st == dnnl_success; i++) {
        const oct_dnnl_arg *a = &p->args.a[i];
        s->arg[i].arg = a->arg;
        st = oct_dmd_memory(&s->arg[i].memory, &a->md, p->engine, (void *)a->fixed);
    }
    if (st != dnnl_success)
        slot_deinit(p, s);
    return st;
}

oct_status oct_dnnl_prim_new(oct_ctx *ctx, oct_cpu_dnnl *d, const_dnnl_primitive_desc_t pd,
                             oct_dnnl_args *args, int threads, oct_dnnl_prim **out)
{
    oct_dnnl_prim *p = oct_zalloc(ctx, sizeof *p);
    if (!p) {
        oct_dnnl_args_deinit(args);
        return OCT_ERR_NOMEM;
    }
    p->engine = oct_cpu_dnnl_engine(d);
    p->args = *args;
    p->threads = threads;
    args->n = 0;
    dnnl_status_t st = dnnl_primitive_create(&p->prim, pd);
    if (st == dnnl_success)
        st = slot_init(p, &p->slots[0]);
    if (st != dnnl_success) {
        oct_dnnl_prim_free(ctx, p);
        return oct_dnnl_fail(ctx, st, "oneDNN primitive");
    }
    atomic_store(&p->state[0], SLOT_FREE);
    *out = p;
    return OCT_OK;
}

void oct_dnnl_prim_free(oct_ctx *ctx, oct_dnnl_prim *p)
{
    if (!p)
        return;
    for (int i = 0; i < N_SLOTS; i++)
        slot_deinit(p, &p->slots[i]);
    if (p->prim)
        dnnl_primitive_destroy(p->prim);
    oct_dnnl_args_deinit(&p->args);
    oct_free(ctx, p);
}

/* Index of a slot that is now ours, or -1 if oneDNN has no memory for a new one. */
static int slot_take(oct_dnnl_prim *p)
{
    for (;; sched_yield()) {
        for (int i = 0; i < N_SLOTS; i++) {
            int state = SLOT_FREE;
            if (atomic_compare_exchange_strong(&p->state[i], &state, SLOT_BUSY))
                return i;
            state = SLOT_EMPTY;
            if (!atomic_compare_exchange_strong(&p->state[i], &state, SLOT_BUSY))
                continue;
            if (slot_init(p, &p->slots[i]) == dnnl_success)
                return i;
            atomic_store(&p->state[i], SLOT_EMPTY);
            return -1;
        }
    }
}

static void *handle_of(const oct_dnnl_arg *a, const oct_run_args *r)
{
    switch (a->where) {
    case OCT_DNNL_IN:
        return (void *)r->in[a->index];
    case OCT_DNNL_OUT:
        return r->out[a->index];
    case OCT_DNNL_WORKSPACE:
        return r->workspace;
    default:
        return (void *)a->fixed;
    }
}

static dnnl_status_t execute(const oct_dnnl_prim *p, slot *s, const oct_run_args *r)
{
    for (int i = 0; i < p->args.n; i++) {
        if (p->args.a[i].where == OCT_DNNL_FIXED)
            continue;
        const dnnl_status_t st =
            dnnl_memory_set_data_handle(s->arg[i].memory, handle_of(&p->args.a[i], r));
        if (st != dnnl_success)
            return st;
    }
    const int before = oct_dnnl_set_threads(p->threads);
    dnnl_status_t st = dnnl_primitive_execute(p->prim, s->stream, p->args.n, s->arg);
    if (st == dnnl_success)
        st = dnnl_stream_wait(s->stream);
    oct_dnnl_set_threads(before);
    return st;
}

oct_status oct_dnnl_prim_run(const oct_dnnl_prim *p, oct_ctx *ctx, const oct_run_args *a)
{
    oct_dnnl_prim *mutable_slots = (oct_dnnl_prim *)p; /* the slots guard themselves */
    const int i = slot_take(mutable_slots);
    if (i < 0)
        return oct_fail(ctx, OCT_ERR_NOMEM, "oneDNN memory object: out of memory");
    const dnnl_status_t st = execute(p, &mutable_slots->slots[i], a);
    atomic_store(&mutable_slots->state[i], SLOT_FREE);
    return st == dnnl_success ? OCT_OK : oct_dnnl_fail(ctx, st, "oneDNN primitive");
}

oct_status oct_dnnl_reorder(oct_ctx *ctx, oct_cpu_dnnl *d, const oct_dmd *src_md, const void *src,
                            const oct_dmd *dst_md, void *dst)
{
    dnnl_engine_t engine = oct_cpu_dnnl_engine(d);
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t prim = NULL;
    dnnl_stream_t stream = NULL;
    dnnl_exec_arg_t arg[2] = {{DNNL_ARG_FROM, NULL}, {DNNL_ARG_TO, NULL}};
    dnnl_status_t st = oct_dmd_reorder(src_md, dst_md, engine, &pd);
    if (st == dnnl_success)
        st = dnnl_primitive_create(&prim, pd);
    if (st == dnnl_success)
        st = dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);
    if (st == dnnl_success)
        st = oct_dmd_memory(&arg[0].memory, src_md, engine, (void *)src);
    if (st == dnnl_success)
        st = oct_dmd_memory(&arg[1].memory, dst_md, engine, dst);
    if (st == dnnl_success)
        st = dnnl_primitive_execute(prim, stream, 2, arg);
    if (st == dnnl_success)
        st = dnnl_stream_wait(stream);
    for (int i = 0; i < 2; i++) {
        if (arg[i].memory)
            dnnl_memory_destroy(arg[i].memory);
    }
    if (stream)
        dnnl_stream_destroy(stream);
    if (prim)
        dnnl_primitive_destroy(prim);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    return st == dnnl_success ? OCT_OK : oct_dnnl_fail(ctx, st, "oneDNN weight reorder");
}

#endif /* OCT_HAVE_ONEDNN */
