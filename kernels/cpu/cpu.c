/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/cpu.h"

#include <pthread.h>
#include <stdio.h>

#include "kernels/cpu/cpu_internal.h"
#include "kernels/cpu/dnnl_engine.h"
#include "kernels/op_schema.h"

static const oct_cpu_rows *const families[] = {
    &oct_cpu_rows_winograd,
#if defined(OCT_HAVE_ONEDNN)
    &oct_cpu_rows_dnnl_conv,
#endif
    &oct_cpu_rows_conv_f32,  &oct_cpu_rows_matmul_f32, &oct_cpu_rows_conv_q8,
    &oct_cpu_rows_eltwise,   &oct_cpu_rows_pool,       &oct_cpu_rows_quant,
    &oct_cpu_rows_reorder,   &oct_cpu_rows_norm,       &oct_cpu_rows_resize,
};

enum { N_FAMILIES = sizeof families / sizeof families[0] };

/* Candidate ids: family * 256 + row, or a candidate of `ref` with this bit. */
#define REF_BIT 0x80000000u
#define ROW_BITS 8

void *oct_cpu_op_new(oct_cpu *be, oct_ctx *ctx, size_t bytes)
{
    oct_cpu_op *op = oct_zalloc(ctx, bytes);
    if (op)
        op->base.backend = &be->base;
    return op;
}

bool oct_cpu_no(char *reason, const char *why)
{
    snprintf(reason, OCT_REASON_BYTES, "%s", why);
    return false;
}

bool oct_cpu_all_real(const oct_op_desc *d)
{
    for (int i = 0; i < d->n_in; i++) {
        if (d->in[i].quant.n != 0)
            return false;
    }
    for (int i = 0; i < d->n_out; i++) {
        if (d->out[i].quant.n != 0)
            return false;
    }
    return true;
}

bool oct_cpu_all_f32(const oct_op_desc *d)
{
    for (int i = 0; i < d->n_in; i++) {
        if (oct_operand_present(d, i) && d->in[i].desc.dtype != OCT_DT_F32)
            return false;
    }
    for (int i = 0; i < d->n_out; i++) {
        if (d->out[i].desc.dtype != OCT_DT_F32 && d->out[i].desc.dtype != OCT_DT_NONE)
            return false;
    }
    return oct_cpu_all_real(d);
}

static int enumerate(oct_backend *base, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *list,
                     int cap, char *reason)
{
    oct_cpu *be = (oct_cpu *)base;
    int n = 0;
    for (uint32_t f = 0; f < N_FAMILIES; f++) {
        for (int r = 0; r < families[f]->n && n < cap; r++) {
            const oct_cpu_row *row = &families[f]->row[r];
            if (row->op != d->op)
                continue;
            oct_candidate c = {.id = f << ROW_BITS | (uint32_t)r, .alias_in = -1};
            if (row->query(be, ctx, d, &c, reason))
                list[n++] = c;
        }
    }
    if (n > 0)
        return n;
    n = be->ref->vt->enumerate(be->ref, ctx, d, list, cap, reason);
    for (int i = 0; i < n; i++)
        list[i].id |= REF_BIT;
    return n;
}

static oct_status prepare_op(oct_backend *base, oct_ctx *ctx, const oct_op_desc *d,
                             const oct_candidate *c, oct_prepared **out)
{
    oct_cpu *be = (oct_cpu *)base;
    if (c->id & REF_BIT) {
        oct_candidate own = *c;
        own.id &= ~REF_BIT;
        return be->ref->vt->prepare(be->ref, ctx, d, &own, out);
    }
    const oct_cpu_rows *family = families[c->id >> ROW_BITS];
    const oct_cpu_row *row = &family->row[c->id & ((1u << ROW_BITS) - 1)];
    assert(row->op == d->op);
    oct_cpu_op *op = NULL;
    const oct_status st = row->prepare(be, ctx, d, c, &op);
    if (st != OCT_OK)
        return oct_fail(ctx, st, "%s: cannot prepare %s", d->name ? d->name : "?", c->name);
    *out = &op->base;
    return OCT_OK;
}

/* Ops that `ref` prepared carry its instance, ours carry ours. */
static bool is_ref(const oct_backend *base, const oct_prepared *p)
{
    return p->backend != base;
}

static void release(oct_backend *base, oct_prepared *p)
{
    oct_cpu *be = (oct_cpu *)base;
    if (!p)
        return;
    if (is_ref(base, p)) {
        p->backend->vt->release(p->backend, p);
        return;
    }
    oct_cpu_op *op = (oct_cpu_op *)p;
    if (op->release)
        op->release(be, op);
    oct_free(be->ctx, op);
}

static const oct_backend_vtable cpu_vtable;

static oct_status run(const oct_prepared *p, oct_ctx *ctx, const oct_run_args *a)
{
    if (p->backend->vt != &cpu_vtable)
        return p->backend->vt->run(p, ctx, a);
    const oct_cpu_op *op = (const oct_cpu_op *)p;
    return op->run(op, ctx, a);
}

static oct_layout_wish layout_wish(oct_backend *base, oct_op op, const void *attr, int n_dims)
{
    oct_cpu *be = (oct_cpu *)base;
    const uint32_t flags = oct_op_schema_get(op)->flags;
    if ((flags & OCT_OPF_SPATIAL) && n_dims >= 3)
        return OCT_WISH_CHANNELS_LAST;
    if (flags & (OCT_OPF_UNARY | OCT_OPF_BINARY))
        return OCT_WISH_ANY;
    return be->ref->vt->layout_wish(be->ref, op, attr, n_dims);
}

static void close_cpu(oct_backend *base, oct_ctx *ctx)
{
    oct_cpu *be = (oct_cpu *)base;
    oct_ctx *own = be->ctx;
    oct_cpu_dnnl_close(own, be->dnnl);
    oct_pack_cache_free(be->packs);
    oct_backend_close(be->ref, own);
    oct_free(own, be);
    oct_ctx_join(ctx, own);
}

static const oct_backend_vtable cpu_vtable = {
    .name = "cpu",
    .host_memory = true,
    .enumerate = enumerate,
    .prepare = prepare_op,
    .release = release,
    .run = run,
    .layout_wish = layout_wish,
    .close = close_cpu,
};

oct_status oct_cpu_open(oct_ctx *ctx, oct_backend **out)
{
    oct_ctx *own = NULL;
    OCT_TRY(oct_ctx_fork(ctx, &own));
    oct_cpu *be = oct_zalloc(own, sizeof *be);
    if (!be) {
        oct_ctx_join(ctx, own);
        return OCT_ERR_NOMEM;
    }
    be->base.vt = &cpu_vtable;
    be->ctx = own;
    be->isa = oct_cpu_isa_detect();
    oct_status st = oct_backend_open(own, "ref", &be->ref);
    if (st == OCT_OK)
        st = oct_pack_cache_new(own, &be->packs);
    if (st == OCT_OK)
        st = oct_cpu_dnnl_open(own, &be->dnnl);
    if (st != OCT_OK) {
        close_cpu(&be->base, ctx);
        return st;
    }
    *out = &be->base;
    return OCT_OK;
}
