/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/ref/ref.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "kernels/op_schema.h"
#include "kernels/ref/ref_elem.h"
#include "kernels/ref/ref_groups_internal.h"

typedef struct ref_backend {
    oct_backend base;
    oct_ctx *ctx; /* outlives all prepared ops; frees them */
} ref_backend;

/* A prepared op is one block: this, then copies of operands, attributes, quantization
 * parameters and the name. */
typedef struct ref_prepared {
    oct_prepared base;
    const oct_ref_entry *entry;
    oct_op_desc d;    /* as the kernel sees it (f32 where halves are converted) */
    size_t scratch;   /* bytes of the kernel's own workspace, which comes first */
    bool converts;    /* some operand is converted */
    oct_dtype *dtype; /* types of the callers' buffers: n_in, then n_out */
} ref_prepared;

static const oct_ref_entry *const GROUPS[] = {
#define X(group) oct_ref_##group,
    OCT_REF_GROUPS(X)
#undef X
};

const oct_ref_entry *oct_ref_find(oct_op op)
{
    for (size_t g = 0; g < sizeof GROUPS / sizeof GROUPS[0]; g++) {
        for (const oct_ref_entry *e = GROUPS[g]; e->run; e++) {
            if (e->op == op)
                return e;
        }
    }
    return NULL;
}

bool oct_ref_refuse(char *reason, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(reason, OCT_REASON_BYTES, fmt, args);
    va_end(args);
    return false;
}

static bool operand_is_plain(const oct_operand *o)
{
    return o->desc.dtype == OCT_DT_NONE || (o->quant.n == 0 && o->desc.layout == OCT_LAYOUT_ROW &&
                                            oct_tensor_desc_is_dense(&o->desc));
}

bool oct_ref_accepts_plain(const oct_op_desc *d, char *reason)
{
    for (int i = 0; i < d->n_in + d->n_out; i++) {
        const oct_operand *o = i < d->n_in ? &d->in[i] : &d->out[i - d->n_in];
        if (!operand_is_plain(o))
            return oct_ref_refuse(reason, "ref %s: %s %d is not plain row-major",
                                  oct_op_name(d->op), i < d->n_in ? "input" : "output",
                                  i < d->n_in ? i : i - d->n_in);
    }
    if (d->epilogue.residual >= 0 || d->epilogue.act != OCT_ACT_NONE)
        return oct_ref_refuse(reason, "ref %s takes no epilogue", oct_op_name(d->op));
    return true;
}

static bool is_half(oct_dtype dt)
{
    return dt == OCT_DT_F16 || dt == OCT_DT_BF16;
}

static size_t align_up(size_t n)
{
    return (n + OCT_ALIGN - 1) / OCT_ALIGN * OCT_ALIGN;
}

/* Elements of a dense operand; shapes were checked when the plan was made. */
static size_t operand_elems(const oct_operand *o)
{
    size_t n = 0;
    const bool known = oct_shape_elems(&o->desc.shape, &n);
    assert(known);
    (void)known;
    return n;
}

/* Bytes of the f32 copy of operand `o`, 0 when it is used as it is. */
static size_t f32_copy_bytes(const oct_operand *o)
{
    return is_half(o->desc.dtype) ? align_up(operand_elems(o) * sizeof(float)) : 0;
}

/* ---- descriptor copy ------------------------------------------------------------------ */

typedef struct carver {
    uint8_t *base; /* NULL while measuring */
    size_t used;
} carver;

static void *carve(carver *c, const void *src, size_t bytes)
{
    uint8_t *at = c->base ? c->base + c->used : NULL;
    c->used += (bytes + 15) / 16 * 16;
    if (at && src && bytes)
        memcpy(at, src, bytes);
    return at;
}

static const oct_operand *carve_operands(carver *c, const oct_operand *src, int n, bool to_f32)
{
    oct_operand *list = carve(c, src, (size_t)n * sizeof *src);
    for (int i = 0; i < n; i++) {
        const oct_quant *q = &src[i].quant;
        const void *copy = carve(c, q->q, (size_t)q->n * sizeof *q->q);
        if (!list)
            continue;
        list[i].quant.q = q->n ? copy : NULL;
        if (to_f32 && is_half(list[i].desc.dtype)) {
            list[i].desc.dtype = OCT_DT_F32;
            list[i].data = NULL;
        }
    }
    return list;
}

/* Copies `d` into the carver's memory (measures when it has none). */
static void carve_desc(carver *c, const oct_op_desc *d, bool to_f32, oct_op_desc *out)
{
    *out = *d;
    out->in = carve_operands(c, d->in, d->n_in, to_f32);
    out->out = carve_operands(c, d->out, d->n_out, to_f32);
    if (d->attr)
        out->attr = carve(c, d->attr, oct_op_schema_get(d->op)->attr_bytes);
    if (d->name)
        out->name = carve(c, d->name, strlen(d->name) + 1);
}

static bool needs_conversion(const oct_ref_entry *e, const oct_op_desc *d)
{
    bool half = false;
    for (int i = 0; i < d->n_in; i++)
        half |= is_half(d->in[i].desc.dtype);
    for (int i = 0; i < d->n_out; i++)
        half |= is_half(d->out[i].desc.dtype);
    return e->half_via_f32 && half;
}

static bool halves_are_dense(const oct_op_desc *d)
{
    for (int i = 0; i < d->n_in + d->n_out; i++) {
        const oct_tensor_desc *t = i < d->n_in ? &d->in[i].desc : &d->out[i - d->n_in].desc;
        if (is_half(t->dtype) && !oct_tensor_desc_is_dense(t))
            return false;
    }
    return true;
}

/* ---- the vtable ------------------------------------------------------------------------ */

/* Fills a new prepared op; its kernel sees f32 where halves are converted. */
static ref_prepared *prepared_new(oct_ctx *ctx, const oct_ref_entry *e, const oct_op_desc *d)
{
    const bool to_f32 = needs_conversion(e, d);
    const size_t n_types = (size_t)(d->n_in + d->n_out);
    oct_op_desc unused;
    carver measure = {NULL, 0};
    carve(&measure, NULL, sizeof(ref_prepared));
    carve(&measure, NULL, n_types * sizeof(oct_dtype));
    carve_desc(&measure, d, to_f32, &unused);
    carver c = {oct_zalloc(ctx, measure.used), 0};
    if (!c.base)
        return NULL;
    ref_prepared *p = carve(&c, NULL, sizeof *p);
    p->dtype = carve(&c, NULL, n_types * sizeof(oct_dtype));
    carve_desc(&c, d, to_f32, &p->d);
    for (int i = 0; i < d->n_in; i++)
        p->dtype[i] = d->in[i].desc.dtype;
    for (int i = 0; i < d->n_out; i++)
        p->dtype[d->n_in + i] = d->out[i].desc.dtype;
    p->entry = e;
    p->converts = to_f32;
    p->scratch = e->workspace ? align_up(e->workspace(&p->d)) : 0;
    return p;
}

static size_t conversion_bytes(const oct_op_desc *d)
{
    size_t bytes = 0;
    for (int i = 0; i < d->n_in; i++)
        bytes += f32_copy_bytes(&d->in[i]);
    for (int i = 0; i < d->n_out; i++)
        bytes += f32_copy_bytes(&d->out[i]);
    return bytes;
}

/* Element-wise ops may overwrite their first input where it lies exactly like the result. */
static bool may_run_in_place(const oct_op_desc *d)
{
    if (!(oct_op_schema_get(d->op)->flags & (OCT_OPF_UNARY | OCT_OPF_BINARY)) || d->n_in < 1)
        return false;
    const oct_tensor_desc *a = &d->in[0].desc, *y = &d->out[0].desc;
    if (a->dtype != y->dtype || !oct_shape_equal(&a->shape, &y->shape))
        return false;
    return memcmp(a->stride, y->stride, sizeof a->stride[0] * (size_t)a->shape.n_dims) == 0;
}

static int ref_enumerate(oct_backend *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *list,
                         int cap, char *reason)
{
    (void)be;
    const oct_ref_entry *e = oct_ref_find(d->op);
    if (!e)
        return oct_ref_refuse(reason, "ref has no kernel for %s", oct_op_name(d->op));
    if (needs_conversion(e, d) && !halves_are_dense(d))
        return oct_ref_refuse(reason, "ref %s: strided half-precision operand", oct_op_name(d->op));
    ref_prepared *p = prepared_new(ctx, e, d);
    if (!p)
        return oct_ref_refuse(reason, "out of memory");
    const bool ok = (e->accepts ? e->accepts : oct_ref_accepts_plain)(&p->d, reason);
    if (ok && cap > 0) {
        *list = (oct_candidate){.name = "ref", .alias_in = -1};
        list->workspace_bytes = p->scratch + (p->converts ? conversion_bytes(d) : 0);
        list->may_alias[0] = !p->converts && may_run_in_place(d);
    }
    oct_free(ctx, p);
    return ok && cap > 0;
}

static oct_status ref_prepare(oct_backend *be, oct_ctx *ctx, const oct_op_desc *d,
                              const oct_candidate *c, oct_prepared **out)
{
    (void)c;
    const oct_ref_entry *e = oct_ref_find(d->op);
    if (!e)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "%s: ref has no kernel for it",
                        oct_op_name(d->op));
    ref_prepared *p = prepared_new(ctx, e, d);
    if (!p)
        return OCT_ERR_NOMEM;
    p->base.backend = be;
    *out = &p->base;
    return OCT_OK;
}

static void ref_release(oct_backend *be, oct_prepared *p)
{
    oct_free(((ref_backend *)be)->ctx, p);
}

/* Runs the kernel on f32 copies of half-precision operands, which lie behind its scratch. */
static oct_status run_converted(const ref_prepared *p, oct_ctx *ctx, const oct_run_args *a)
{
    enum { MAX_OPERANDS = 64 };
    const void *in[MAX_OPERANDS];
    void *out[MAX_OPERANDS];
    const oct_op_desc *d = &p->d;
    if (d->n_in > MAX_OPERANDS || d->n_out > MAX_OPERANDS)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "%s: %d half-precision operands, at most %d",
                        oct_op_name(d->op), d->n_in, MAX_OPERANDS);
    uint8_t *at = (uint8_t *)a->workspace + p->scratch;
    for (int i = 0; i < d->n_in; i++) {
        in[i] = a->in[i];
        if (!is_half(p->dtype[i]) || !in[i])
            continue;
        const size_t n = operand_elems(&d->in[i]);
        for (size_t k = 0; k < n; k++)
            ((float *)at)[k] = oct_ref_load_f32(a->in[i], p->dtype[i], (int64_t)k);
        in[i] = at;
        at += align_up(n * sizeof(float));
    }
    for (int i = 0; i < d->n_out; i++) {
        out[i] = a->out[i];
        if (!is_half(p->dtype[d->n_in + i]) || !out[i])
            continue;
        out[i] = at;
        at += align_up(operand_elems(&d->out[i]) * sizeof(float));
    }
    OCT_TRY(p->entry->run(ctx, d, &(oct_run_args){in, out, a->workspace, NULL}));
    for (int i = 0; i < d->n_out; i++) {
        if (out[i] == a->out[i])
            continue;
        const size_t n = operand_elems(&d->out[i]);
        for (size_t k = 0; k < n; k++)
            oct_ref_store_f32(a->out[i], p->dtype[d->n_in + i], (int64_t)k, ((float *)out[i])[k]);
    }
    return OCT_OK;
}

static oct_status ref_run(const oct_prepared *prepared, oct_ctx *ctx, const oct_run_args *a)
{
    const ref_prepared *p = (const ref_prepared *)prepared;
    return p->converts ? run_converted(p, ctx, a) : p->entry->run(ctx, &p->d, a);
}

/* Reference kernels gain nothing from a layout, so they never ask for a reorder. */
static oct_layout_wish ref_layout_wish(oct_backend *be, oct_op op, const void *attr, int n_dims)
{
    (void)be, (void)op, (void)attr, (void)n_dims;
    return OCT_WISH_ROW;
}

static void ref_close(oct_backend *be, oct_ctx *ctx)
{
    oct_free(ctx, be);
}

static const oct_backend_vtable REF_VTABLE = {
    .name = "ref",
    .host_memory = true,
    .enumerate = ref_enumerate,
    .prepare = ref_prepare,
    .release = ref_release,
    .run = ref_run,
    .layout_wish = ref_layout_wish,
    .close = ref_close,
};

oct_status oct_ref_open(oct_ctx *ctx, oct_backend **out)
{
    ref_backend *be = oct_zalloc(ctx, sizeof *be);
    if (!be)
        return OCT_ERR_NOMEM;
    be->base.vt = &REF_VTABLE;
    be->ctx = ctx;
    *out = &be->base;
    return OCT_OK;
}
