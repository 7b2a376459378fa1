/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/plan_key.h"

#include <inttypes.h>
#include <string.h>

#include "base/build_info.h"
#include "base/hash.h"
#include "engine/graph.h"
#include "kernels/cpu/cpu.h"
#include "kernels/kernel_digest.h"

#define MAX_INTEGERS 64 /* of a constant operand that says what to do, not with what */

static void add_strides(oct_strbuf *b, const oct_tensor_desc *t)
{
    if (oct_tensor_desc_is_dense(t))
        return;
    for (int i = 0; i < t->shape.n_dims; i++)
        oct_strbuf_addf(b, "%c%" PRId64, i ? ',' : '/', t->stride[i]);
}

static void add_quant(oct_strbuf *b, const oct_quant *q)
{
    bool zero_points = false;
    if (q->n == 0)
        return;
    for (int32_t i = 0; i < q->n; i++)
        zero_points |= q->q[i].zero_point != 0;
    oct_strbuf_addf(b, "*%" PRId32, q->n);
    if (q->n > 1)
        oct_strbuf_addf(b, "@%" PRId32, q->axis);
    if (zero_points)
        oct_strbuf_add(b, "z");
}

static void add_constant(oct_strbuf *b, const oct_operand *o)
{
    size_t n = 0;
    const oct_dtype dt = o->desc.dtype;
    if (!o->data)
        return;
    oct_strbuf_add(b, "!");
    if ((dt == OCT_DT_S64 || dt == OCT_DT_S32) && oct_shape_elems(&o->desc.shape, &n) && n > 0 &&
        n <= MAX_INTEGERS)
        oct_strbuf_addf(b, "%016" PRIx64, oct_xxh64_of(o->data, n * oct_dtype_bytes(dt)));
}

static void add_operand(oct_strbuf *b, const oct_operand *o)
{
    static const char *const layouts[OCT_LAYOUT_COUNT] = {
        [OCT_LAYOUT_ROW] = "", [OCT_LAYOUT_CHANNELS_LAST] = "nhwc"};
    char text[OCT_SHAPE_STR_BYTES];
    if (o->desc.dtype == OCT_DT_NONE) {
        oct_strbuf_add(b, " -");
        return;
    }
    oct_strbuf_addf(b, " %s[%s]%s", oct_dtype_str(o->desc.dtype),
                    oct_shape_str(&o->desc.shape, text, sizeof text), layouts[o->desc.layout]);
    add_strides(b, &o->desc);
    add_quant(b, &o->quant);
    add_constant(b, o);
}

/* Nothing but printable characters, so that a line of a file is a line. */
static oct_status add_plain(oct_strbuf *b, const oct_strbuf *from)
{
    for (size_t i = 0; i < from->len; i++) {
        const unsigned char c = (unsigned char)from->text[i];
        if (c >= 0x20 && c < 0x7f)
            oct_strbuf_add_n(b, &from->text[i], 1);
        else
            oct_strbuf_addf(b, "\\x%02x", c);
    }
    return oct_strbuf_status(b);
}

static void add_all(oct_strbuf *b, const oct_op_desc *d)
{
    oct_strbuf_add(b, oct_op_name(d->op));
    oct_graph_dump_attrs(b, d->op, d->attr);
    for (int i = 0; i < d->n_in; i++)
        add_operand(b, &d->in[i]);
    oct_strbuf_add(b, " ->");
    for (int i = 0; i < d->n_out; i++)
        add_operand(b, &d->out[i]);
    if (d->epilogue.residual >= 0)
        oct_strbuf_addf(b, " + %d", d->epilogue.residual);
    if (d->epilogue.act != OCT_ACT_NONE)
        oct_strbuf_addf(b, " %s", oct_graph_dump_act(d->epilogue.act));
    if (d->tf32)
        oct_strbuf_add(b, " tf32");
}

oct_status oct_plan_key(const oct_op_desc *d, oct_strbuf *b)
{
    oct_strbuf raw;
    oct_strbuf_init(&raw, b->ctx);
    add_all(&raw, d);
    oct_status st = oct_strbuf_status(&raw);
    if (st == OCT_OK)
        st = add_plain(b, &raw);
    oct_strbuf_deinit(&raw);
    return st;
}

oct_status oct_plan_key_device(const oct_backend *be, int threads, oct_strbuf *b)
{
    char brand[64], dnnl[64];
    oct_strbuf raw;
    oct_strbuf_init(&raw, b->ctx);
    oct_strbuf_addf(&raw, "%s ", be->vt->name);
    if (be->vt->describe)
        oct_strbuf_add(&raw, be->vt->describe(be));
    else if (be->vt->host_memory)
        oct_strbuf_addf(&raw, "%s %s, threads %d, %s", oct_cpu_brand(brand, sizeof brand),
                        oct_cpu_isa_text(), threads, oct_cpu_dnnl_text(dnnl, sizeof dnnl));
    oct_strbuf_addf(&raw, "; octet " OCT_VERSION " " OCT_BUILD_TYPE " " OCT_KERNEL_DIGEST);
    oct_status st = oct_strbuf_status(&raw);
    if (st == OCT_OK)
        st = add_plain(b, &raw);
    oct_strbuf_deinit(&raw);
    return st;
}
