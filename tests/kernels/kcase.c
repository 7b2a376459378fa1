/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/kernels/kcase.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/infer.h"

#define GUARD_BYTES 256
#define GUARD 0x5a
#define MAX_CANDIDATES 16

static struct {
    oct_ctx *ctx;
    oct_backend *ref, *cpu;
    size_t cases, candidates, own, n8, off_by_one;
} state;

void kc_open(void)
{
    memset(&state, 0, sizeof state);
    assert_int_equal(oct_ctx_new(NULL, &state.ctx), OCT_OK);
    assert_int_equal(oct_backend_open(state.ctx, "ref", &state.ref), OCT_OK);
    assert_int_equal(oct_backend_open(state.ctx, "cpu", &state.cpu), OCT_OK);
}

void kc_close(void)
{
    oct_backend_close(state.cpu, state.ctx);
    oct_backend_close(state.ref, state.ctx);
    assert_int_equal(oct_mem_now(state.ctx), 0);
    oct_ctx_free(state.ctx);
}

void kc_totals(const char *what)
{
    print_message(
        "%s: %zu cases, %zu candidate runs (%zu not ref), %zu 8-bit values, %zu off by 1\n", what,
        state.cases, state.candidates, state.own, state.n8, state.off_by_one);
    assert_true(state.own > 0);
    assert_true(state.off_by_one * 10000 <= state.n8);
    state.cases = state.candidates = state.own = state.n8 = state.off_by_one = 0;
}

/* ---- building a case ------------------------------------------------------------------------ */

void kc_begin(kcase *k, oct_op op, const void *attr)
{
    static uint64_t seed = 1;
    memset(k, 0, sizeof *k);
    k->op = op;
    k->attr = attr;
    k->epilogue.residual = -1;
    k->rng.state = seed++ * 7919;
}

oct_shape kc_shape(int n_dims, ...)
{
    oct_shape s = {.n_dims = n_dims};
    va_list args;
    va_start(args, n_dims);
    for (int i = 0; i < n_dims; i++)
        s.dim[i] = va_arg(args, int);
    va_end(args);
    return s;
}

static float random_f32(oct_rng *r, kc_fill fill)
{
    if (fill == KC_POSITIVE)
        return 0.1f + 1.9f * oct_rng_f32(r);
    const float v = oct_rng_normal(r) * (fill == KC_SMALL ? 0.1f : 1.0f);
    if (fill != KC_WIDE)
        return v;
    return oct_rng_below(r, 16) == 0 ? 0.0f : v * powf(10.0f, 12.0f * oct_rng_f32(r) - 6.0f);
}

static int64_t random_int(oct_rng *r, kc_fill fill, int64_t lo, int64_t hi)
{
    if (fill == KC_EXTREMES && oct_rng_below(r, 8) != 0)
        return oct_rng_below(r, 2) ? lo : hi;
    return lo + (int64_t)oct_rng_below(r, (uint64_t)(hi - lo + 1));
}

static void fill_tensor(kcase *k, kc_tensor *t, kc_fill fill, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        switch (t->desc.dtype) {
        case OCT_DT_F32:
            ((float *)t->data)[i] = random_f32(&k->rng, fill);
            break;
        case OCT_DT_S8:
            ((int8_t *)t->data)[i] = (int8_t)random_int(&k->rng, fill, -128, 127);
            break;
        case OCT_DT_U8:
            ((uint8_t *)t->data)[i] = (uint8_t)random_int(&k->rng, fill, 0, 255);
            break;
        case OCT_DT_S32:
            ((int32_t *)t->data)[i] = (int32_t)random_int(&k->rng, KC_INTS, -5000, 5000);
            break;
        default:
            fail_msg("no filling for %s", oct_dtype_str(t->desc.dtype));
        }
    }
}

static size_t elems(const kc_tensor *t)
{
    size_t n = 0;
    assert_true(oct_shape_elems(&t->desc.shape, &n));
    return n;
}

static size_t bytes_of(const kc_tensor *t)
{
    return elems(t) * oct_dtype_bytes(t->desc.dtype);
}

kc_tensor *kc_in(kcase *k, oct_dtype dt, oct_shape s, kc_fill fill)
{
    assert_true(k->n_in < KC_MAX);
    kc_tensor *t = &k->in[k->n_in++];
    t->desc = oct_tensor_desc_make(dt, s, OCT_LAYOUT_ROW);
    t->data = malloc(bytes_of(t) + 1);
    fill_tensor(k, t, fill, elems(t));
    return t;
}

kc_tensor *kc_in_f32(kcase *k, oct_shape s, kc_fill fill)
{
    return kc_in(k, OCT_DT_F32, s, fill);
}

kc_tensor *kc_absent(kcase *k)
{
    return &k->in[k->n_in++];
}

kc_tensor *kc_const(kc_tensor *t)
{
    t->constant = t->fixed_layout = true;
    return t;
}

kc_tensor *kc_const_values(kcase *k, oct_dtype dt, oct_shape s, const void *values)
{
    kc_tensor *t = &k->in[k->n_in++];
    t->desc = oct_tensor_desc_make(dt, s, OCT_LAYOUT_ROW);
    t->data = malloc(bytes_of(t) + 1);
    memcpy(t->data, values, bytes_of(t));
    return kc_const(t);
}

void kc_quant(kcase *k, kc_tensor *t, float scale, int zero_point)
{
    (void)k;
    t->qparams = malloc(sizeof *t->qparams);
    *t->qparams = (oct_qparams){scale, zero_point};
    t->quant = (oct_quant){t->qparams, 1, 0};
}

void kc_quant_axis(kcase *k, kc_tensor *t, float scale, int axis)
{
    const int n = (int)t->desc.shape.dim[axis];
    t->qparams = malloc(sizeof *t->qparams * (size_t)n);
    for (int i = 0; i < n; i++)
        t->qparams[i] = (oct_qparams){scale * powf(10.0f, oct_rng_f32(&k->rng) - 0.5f), 0};
    t->quant = (oct_quant){t->qparams, n, axis};
}

static int64_t no_symbols(void *user)
{
    (void)user;
    return OCT_DIM_SYMBOL(0);
}

kc_tensor *kc_out(kcase *k, oct_dtype dt)
{
    kc_tensor *t = &k->out[k->n_out++];
    if (k->n_out == 2) { /* a second form of output 0 */
        t->desc = oct_tensor_desc_make(dt, k->out[0].desc.shape, OCT_LAYOUT_ROW);
        return t;
    }
    oct_tensor in[KC_MAX];
    oct_tensor_desc out;
    int n_in = k->n_in;
    if (k->epilogue.residual == n_in - 1)
        n_in--;
    for (int i = 0; i < n_in; i++) {
        in[i].desc = k->in[i].desc;
        in[i].data = k->in[i].constant ? k->in[i].data : NULL;
        if (k->in[i].quant.n && (k->op == OCT_OP_CONV || k->op == OCT_OP_CONV_TRANSPOSE ||
                                 k->op == OCT_OP_GEMM || k->op == OCT_OP_MATMUL))
            in[i].desc.dtype = OCT_DT_F32; /* inference knows real-valued forms */
        else if (k->in[i].quant.n)
            in[i].desc.dtype = OCT_DT_F32;
    }
    if (k->op == OCT_OP_REORDER || k->op == OCT_OP_TABLE) { /* ours: shape kept */
        t->desc = oct_tensor_desc_make(dt, k->in[0].desc.shape, OCT_LAYOUT_ROW);
        return t;
    }
    oct_infer_args a = {k->op, k->attr, in, n_in, &out, 1, no_symbols, NULL};
    const oct_status st = oct_infer_find(k->op)(state.ctx, &a);
    if (st != OCT_OK)
        fail_msg("%s: %s", oct_op_name(k->op), oct_error_text(state.ctx));
    t->desc = oct_tensor_desc_make(dt, out.shape, OCT_LAYOUT_ROW);
    return t;
}

/* ---- layouts -------------------------------------------------------------------------------- */

static oct_tensor_desc placed(const kcase *k, const kc_tensor *t, oct_layout layout)
{
    const bool row = t->fixed_layout || t->desc.shape.n_dims < 3 || layout == OCT_LAYOUT_ROW;
    (void)k;
    return oct_tensor_desc_make(t->desc.dtype, t->desc.shape,
                                row ? OCT_LAYOUT_ROW : OCT_LAYOUT_CHANNELS_LAST);
}

/* Copies between row-major `row` and `other` laid out as `d`. */
static void relayout(const oct_tensor_desc *d, void *other, void *row, bool to_row)
{
    size_t n = 0;
    const size_t width = oct_dtype_bytes(d->dtype);
    assert_true(oct_shape_elems(&d->shape, &n));
    int64_t at[OCT_MAX_DIMS] = {0};
    for (size_t i = 0; i < n; i++) {
        int64_t offset = 0;
        for (int a = 0; a < d->shape.n_dims; a++)
            offset += at[a] * d->stride[a];
        char *o = (char *)other + (size_t)offset * width, *r = (char *)row + i * width;
        memcpy(to_row ? r : o, to_row ? o : r, width);
        for (int a = d->shape.n_dims - 1; a >= 0 && ++at[a] == d->shape.dim[a]; a--)
            at[a] = 0;
    }
}

/* ---- running -------------------------------------------------------------------------------- */

typedef struct bound { /* a case as a descriptor with buffers */
    oct_operand in[KC_MAX], out[2];
    oct_op_desc d;
    void *in_buf[KC_MAX], *out_buf[2];
} bound;

static void *guarded(size_t bytes)
{
    unsigned char *p = aligned_alloc(64, (bytes + 2 * GUARD_BYTES + 63) / 64 * 64);
    memset(p, GUARD, bytes + 2 * GUARD_BYTES);
    return p + GUARD_BYTES;
}

static void check_guard(const void *buf, size_t bytes, const char *what)
{
    const unsigned char *p = buf;
    for (size_t i = 0; i < GUARD_BYTES; i++)
        if (p[-1 - (int)i] != GUARD || p[bytes + i] != GUARD)
            fail_msg("%s: written outside of the buffer", what);
}

static void unguard(void *p)
{
    free((char *)p - GUARD_BYTES);
}

static void bind(kcase *k, bound *b, oct_layout layout, int threads)
{
    memset(b, 0, sizeof *b);
    for (int i = 0; i < k->n_in; i++) {
        kc_tensor *t = &k->in[i];
        if (t->desc.dtype == OCT_DT_NONE)
            continue;
        b->in[i].desc = placed(k, t, layout);
        b->in[i].quant = t->quant;
        b->in[i].data = t->constant ? t->data : NULL;
        b->in_buf[i] = guarded(bytes_of(t));
        relayout(&b->in[i].desc, b->in_buf[i], t->data, false);
    }
    for (int i = 0; i < k->n_out; i++) {
        b->out[i].desc = placed(k, &k->out[i], layout);
        b->out[i].quant = k->out[i].quant;
        b->out_buf[i] = guarded(bytes_of(&k->out[i]));
    }
    b->d = (oct_op_desc){.op = k->op,
                         .attr = k->attr,
                         .in = b->in,
                         .out = b->out,
                         .n_in = k->n_in,
                         .n_out = k->n_out,
                         .epilogue = k->epilogue,
                         .threads = threads,
                         .name = "case"};
}

static void unbind(const kcase *k, bound *b)
{
    for (int i = 0; i < k->n_in; i++)
        if (b->in_buf[i])
            unguard(b->in_buf[i]);
    for (int i = 0; i < k->n_out; i++)
        unguard(b->out_buf[i]);
}

static void run_candidate(const kcase *k, oct_backend *be, bound *b, const oct_candidate *c)
{
    oct_prepared *p = NULL;
    const void *in[KC_MAX];
    void *out[2];
    void *ws = guarded(c->workspace_bytes);
    if (be->vt->prepare(be, state.ctx, &b->d, c, &p) != OCT_OK)
        fail_msg("%s: prepare: %s", c->name, oct_error_text(state.ctx));
    for (int i = 0; i < k->n_in; i++)
        in[i] = b->in_buf[i];
    for (int i = 0; i < k->n_out; i++)
        out[i] = b->out_buf[i];
    if (c->alias_in >= 0) {
        memcpy(out[0], in[c->alias_in], bytes_of(&k->out[0]));
        in[c->alias_in] = out[0];
    }
    const oct_run_args args = {in, out, ws, NULL};
    if (be->vt->run(p, state.ctx, &args) != OCT_OK)
        fail_msg("%s: run: %s", c->name, oct_error_text(state.ctx));
    be->vt->release(be, p);
    check_guard(ws, c->workspace_bytes, "workspace");
    for (int i = 0; i < k->n_out; i++)
        check_guard(out[i], bytes_of(&k->out[i]), c->name);
    unguard(ws);
}

/* Result of one candidate in row-major order. */
static void result_of(kcase *k, oct_backend *be, const oct_candidate *c, oct_layout layout,
                      int threads, void *out[2])
{
    bound b;
    bind(k, &b, layout, threads);
    run_candidate(k, be, &b, c);
    for (int i = 0; i < k->n_out; i++)
        relayout(&b.out[i].desc, b.out_buf[i], out[i], true);
    unbind(k, &b);
}

/* ---- comparing ------------------------------------------------------------------------------ */

static double largest(const float *x, size_t n)
{
    double m = 0;
    for (size_t i = 0; i < n; i++)
        if (isfinite(x[i]) && fabs(x[i]) > m)
            m = fabs(x[i]);
    return m;
}

static void compare_f32(const float *want, const float *got, size_t n, double tolerance, bool each,
                        const char *name)
{
    const double scale = largest(want, n);
    for (size_t i = 0; i < n; i++) {
        if (isnan(want[i]) ? isnan(got[i]) : want[i] == got[i])
            continue;
        const double limit = each ? tolerance * fabs(want[i]) + 1e-37 : tolerance * scale;
        if (!(fabs((double)want[i] - got[i]) <= limit))
            fail_msg("%s: element %zu of %zu: ref %.9g, got %.9g", name, i, n, want[i], got[i]);
    }
}

static void compare_8(const uint8_t *want, const uint8_t *got, size_t n, bool is_signed,
                      const char *name)
{
    for (size_t i = 0; i < n; i++) {
        const int a = is_signed ? (int8_t)want[i] : want[i],
                  b = is_signed ? (int8_t)got[i] : got[i];
        if (abs(a - b) > 1)
            fail_msg("%s: element %zu of %zu: ref %d, got %d", name, i, n, a, b);
        state.off_by_one += a != b;
    }
    state.n8 += n;
}

static void compare(const kcase *k, void *want[2], void *got[2], double tolerance, bool each,
                    const char *name)
{
    for (int i = 0; i < k->n_out; i++) {
        const kc_tensor *t = &k->out[i];
        const oct_dtype dt = t->desc.dtype;
        if (dt == OCT_DT_F32)
            compare_f32(want[i], got[i], elems(t), tolerance, each, name);
        else if (dt == OCT_DT_S8 || dt == OCT_DT_U8)
            compare_8(want[i], got[i], elems(t), dt == OCT_DT_S8, name);
        else
            assert_memory_equal(want[i], got[i], bytes_of(t));
    }
}

static void describe(const kcase *k, const oct_candidate *c, oct_layout layout, int threads,
                     char *buf, size_t cap)
{
    char s[2][OCT_SHAPE_STR_BYTES];
    snprintf(buf, cap, "%s %s x %s, %s, %s, %d threads, epilogue %d/%d", oct_op_name(k->op),
             oct_shape_str(&k->in[0].desc.shape, s[0], sizeof s[0]),
             k->n_in > 1 ? oct_shape_str(&k->in[1].desc.shape, s[1], sizeof s[1]) : "-", c->name,
             layout == OCT_LAYOUT_ROW ? "row" : "channels-last", threads, (int)k->epilogue.act,
             k->epilogue.residual);
}

static void check_layout(kcase *k, oct_layout layout, int threads, void *want[2], double tolerance,
                         bool each)
{
    bound b;
    oct_candidate list[MAX_CANDIDATES];
    char reason[OCT_REASON_BYTES] = "", name[512];
    void *got[2], *again[2];
    bind(k, &b, layout, threads);
    const int n =
        state.cpu->vt->enumerate(state.cpu, state.ctx, &b.d, list, MAX_CANDIDATES, reason);
    unbind(k, &b);
    if (layout == OCT_LAYOUT_ROW && n == 0)
        fail_msg("%s: no candidate: %s", oct_op_name(k->op), reason);
    for (int i = 0; i < k->n_out; i++) {
        got[i] = malloc(bytes_of(&k->out[i]) + 1);
        again[i] = malloc(bytes_of(&k->out[i]) + 1);
    }
    for (int c = 0; c < n; c++) {
        describe(k, &list[c], layout, threads, name, sizeof name);
        result_of(k, state.cpu, &list[c], layout, threads, got);
        compare(k, want, got, tolerance, each, name);
        result_of(k, state.cpu, &list[c], layout, threads, again);
        for (int i = 0; i < k->n_out; i++)
            if (memcmp(got[i], again[i], bytes_of(&k->out[i])) != 0)
                fail_msg("%s: another result the second time", name);
        state.candidates++;
        state.own += strncmp(list[c].name, "ref", 3) != 0;
    }
    for (int i = 0; i < k->n_out; i++) {
        free(got[i]);
        free(again[i]);
    }
}

static void check(kcase *k, double tolerance, bool each)
{
    static const int threads[] = {1, 3};
    oct_candidate c;
    char reason[OCT_REASON_BYTES] = "";
    void *want[2];
    bound b;
    bind(k, &b, OCT_LAYOUT_ROW, 1);
    if (state.ref->vt->enumerate(state.ref, state.ctx, &b.d, &c, 1, reason) != 1)
        fail_msg("ref has no %s: %s", oct_op_name(k->op), reason);
    unbind(k, &b);
    for (int i = 0; i < k->n_out; i++)
        want[i] = malloc(bytes_of(&k->out[i]) + 1);
    result_of(k, state.ref, &c, OCT_LAYOUT_ROW, 1, want);
    for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
        check_layout(k, OCT_LAYOUT_ROW, threads[t], want, tolerance, each);
        if (k->layout == OCT_LAYOUT_CHANNELS_LAST)
            check_layout(k, OCT_LAYOUT_CHANNELS_LAST, threads[t], want, tolerance, each);
    }
    for (int i = 0; i < k->n_out; i++)
        free(want[i]);
    for (int i = 0; i < k->n_in; i++) {
        free(k->in[i].data);
        free(k->in[i].qparams);
    }
    for (int i = 0; i < k->n_out; i++)
        free(k->out[i].qparams);
    state.cases++;
}

void kc_check(kcase *k, double tolerance)
{
    check(k, tolerance, false);
}

void kc_check_each(kcase *k, double relative)
{
    check(k, relative, true);
}
