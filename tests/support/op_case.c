/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/op_case.h"

#include <string.h>

#include "engine/infer.h"
#include "kernels/op_schema.h"
#include "tests/support/cmocka_all.h"

#define MAX_IN 32
#define ATTR_BYTES 1024

oct_tensor op_tensor(oct_dtype dt, const void *data, const int64_t *dim, int n_dims)
{
    oct_shape s = {.n_dims = n_dims};
    for (int i = 0; i < n_dims; i++)
        s.dim[i] = dim[i];
    return (oct_tensor){oct_tensor_desc_make(dt, s, OCT_LAYOUT_ROW), (void *)(uintptr_t)data};
}

static int64_t next_symbol(void *user)
{
    return OCT_DIM_SYMBOL((*(int *)user)++);
}

static const void *attr_or_defaults(oct_op op, const void *attr, uint64_t *buffer)
{
    const size_t bytes = oct_op_schema_get(op)->attr_bytes;
    if (attr || bytes == 0)
        return attr;
    assert_true(bytes <= ATTR_BYTES);
    memset(buffer, 0, ATTR_BYTES);
    oct_op_attr_defaults(op, buffer);
    return buffer;
}

oct_status op_infer(oct_ctx *ctx, oct_op op, const void *attr, const oct_tensor *in, int n_in,
                    oct_tensor_desc *out, int n_out)
{
    uint64_t buffer[ATTR_BYTES / sizeof(uint64_t)];
    int symbols = 1000;
    const oct_infer_args a = {.op = op,
                              .attr = attr_or_defaults(op, attr, buffer),
                              .in = in,
                              .n_in = n_in,
                              .out = out,
                              .n_out = n_out,
                              .new_symbol = next_symbol,
                              .user = &symbols};
    const oct_infer_fn fn = oct_infer_find(op);
    assert_non_null(fn);
    oct_error_clear(ctx); /* the record keeps the first error */
    memset(out, 0, sizeof *out * (size_t)n_out);
    return fn(ctx, &a);
}

static oct_status run_prepared(oct_ctx *ctx, const oct_op_desc *d, const char *name,
                               const oct_run_args *args)
{
    oct_backend *be = NULL;
    oct_prepared *p = NULL;
    oct_candidate c[4];
    oct_run_args a = *args;
    char reason[OCT_REASON_BYTES] = "";
    OCT_TRY(oct_backend_open(ctx, name, &be));
    oct_status st = OCT_OK;
    if (be->vt->enumerate(be, ctx, d, c, 4, reason) < 1)
        st = oct_fail(ctx, OCT_ERR_UNSUPPORTED, "%s", reason);
    if (st == OCT_OK)
        st = be->vt->prepare(be, ctx, d, &c[0], &p);
    if (st == OCT_OK) {
        a.workspace = oct_alloc(ctx, c[0].workspace_bytes);
        assert_non_null(a.workspace);
        st = be->vt->run(p, ctx, &a);
        oct_free(ctx, a.workspace);
    }
    if (p)
        be->vt->release(be, p);
    oct_backend_close(be, ctx);
    return st;
}

static void describe_output(const op_options *opt, op_result *r)
{
    if (opt && opt->out_dtype != OCT_DT_NONE)
        r->out[0].desc.dtype = opt->out_dtype;
    if (opt && opt->out_at) {
        const oct_dtype dt = r->out[0].desc.dtype;
        r->out[0].desc = *opt->out_at;
        r->out[0].desc.dtype = dt;
    }
}

static void fill_operands(oct_ctx *ctx, const oct_tensor *in, int n_in, const op_options *opt,
                          op_result *r, oct_operand *operand, const void **in_data, void **out_data)
{
    for (int i = 0; i < n_in; i++) {
        operand[i] = (oct_operand){.desc = in[i].desc};
        if (opt && opt->in_quant)
            operand[i].quant = opt->in_quant[i];
        in_data[i] = in[i].data;
    }
    for (int i = 0; i < r->n_out; i++) {
        size_t n = 0;
        assert_true(oct_shape_elems(&r->out[i].desc.shape, &n));
        if (opt && opt->in_place && i == 0)
            r->out[0].data = in[0].data;
        else
            r->out[i].data = oct_zalloc(ctx, n * oct_dtype_bytes(r->out[i].desc.dtype));
        assert_non_null(r->out[i].data);
        operand[n_in + i] = (oct_operand){.desc = r->out[i].desc};
        out_data[i] = r->out[i].data;
    }
    if (opt)
        operand[n_in].quant = opt->out_quant;
}

oct_status op_run(oct_ctx *ctx, oct_op op, const void *attr, const oct_tensor *in, int n_in,
                  int n_out, const op_options *opt, op_result *r)
{
    uint64_t buffer[ATTR_BYTES / sizeof(uint64_t)];
    oct_operand operand[MAX_IN + OP_MAX_OUT];
    oct_tensor_desc out[OP_MAX_OUT];
    const void *in_data[MAX_IN];
    void *out_data[OP_MAX_OUT];
    assert_true(n_in <= MAX_IN && n_out <= OP_MAX_OUT);
    memset(r, 0, sizeof *r);
    attr = attr_or_defaults(op, attr, buffer);
    OCT_TRY(op_infer(ctx, op, attr, in, n_in, out, n_out));
    r->n_out = n_out;
    for (int i = 0; i < n_out; i++)
        r->out[i].desc = out[i];
    describe_output(opt, r);
    fill_operands(ctx, in, n_in, opt, r, operand, in_data, out_data);
    const oct_op_desc d = {.op = op,
                           .attr = attr,
                           .in = operand,
                           .out = operand + n_in,
                           .n_in = n_in,
                           .n_out = n_out,
                           .epilogue = opt && opt->epilogue ? *opt->epilogue
                                                            : (oct_epilogue){.residual = -1},
                           .threads = opt && opt->threads ? opt->threads : 1,
                           .name = "case"};
    const oct_run_args args = {.in = in_data, .out = out_data};
    const oct_status st = run_prepared(ctx, &d, opt && opt->backend ? opt->backend : "ref", &args);
    if (opt && opt->in_place)
        r->out[0].data = NULL; /* the caller's */
    if (st != OCT_OK)
        op_result_free(ctx, r);
    return st;
}

op_result op_run_ok(oct_ctx *ctx, oct_op op, const void *attr, const oct_tensor *in, int n_in,
                    int n_out)
{
    op_result r;
    const oct_status st = op_run(ctx, op, attr, in, n_in, n_out, NULL, &r);
    if (st != OCT_OK)
        fail_msg("%s: %s", oct_op_name(op), oct_error_text(ctx));
    return r;
}

void op_result_free(oct_ctx *ctx, op_result *r)
{
    for (int i = 0; i < r->n_out; i++)
        oct_free(ctx, r->out[i].data);
    memset(r, 0, sizeof *r);
}
