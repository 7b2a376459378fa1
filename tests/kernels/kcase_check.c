/* SPDX-License-Identifier: Apache-2.0
 *
 * Comparing: what `ref` says and what every candidate of the backend under test says.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/numeric.h"
#include "tests/kernels/kcase_internal.h"

#define SKIPPED 77 /* ctest's SKIP_RETURN_CODE */

kc_state_t kc_state;

static const char *backend_name(void)
{
    const char *name = getenv("OCT_TEST_BACKEND");
    return name && *name ? name : "cpu";
}

/* Without a GPU its tests are skipped aloud. */
static void open_under_test(const char *name)
{
    const oct_status st = oct_backend_open(kc_state.ctx, name, &kc_state.be);
    if (st == OCT_OK)
        return;
    if (st != OCT_ERR_DEVICE || getenv("OCT_TEST_NEEDS_DEVICE"))
        fail_msg("%s: %s", name, oct_error_text(kc_state.ctx));
    printf("SKIPPED: backend %s: %s\n", name, oct_error_text(kc_state.ctx));
    exit(SKIPPED);
}

void kc_open(void)
{
    memset(&kc_state, 0, sizeof kc_state);
    assert_int_equal(oct_ctx_new(NULL, &kc_state.ctx), OCT_OK);
    assert_int_equal(oct_backend_open(kc_state.ctx, "ref", &kc_state.ref), OCT_OK);
    open_under_test(backend_name());
    if (!kc_state.be->vt->host_memory)
        assert_int_equal(kc_state.be->vt->stream_new(kc_state.be, kc_state.ctx, &kc_state.stream),
                         OCT_OK);
    kc_select_open();
}

void kc_close(void)
{
    kc_select_close();
    if (kc_state.stream)
        kc_state.be->vt->stream_free(kc_state.be, kc_state.stream);
    oct_backend_close(kc_state.be, kc_state.ctx);
    oct_backend_close(kc_state.ref, kc_state.ctx);
    assert_int_equal(oct_mem_now(kc_state.ctx), 0);
    oct_ctx_free(kc_state.ctx);
}

bool kc_on_device(void)
{
    return !kc_state.be->vt->host_memory;
}

void kc_totals(const char *what)
{
    kc_state_t *s = &kc_state;
    print_message("%s: %zu cases (%zu declined), %zu candidate runs (%zu not ref), %zu strided, "
                  "%zu in place, %zu 8-bit values, %zu off by 1\n",
                  what, s->cases, s->declined, s->candidates, s->own, s->strided, s->in_place,
                  s->n8, s->off_by_one);
    if (s->left_out > 0)
        print_message("%s: %zu cases left out (kcase_select.c)\n", what, s->left_out);
    assert_true(s->own > 0 || s->left_out > 0 || (s->declined > 0 && s->declined == s->cases));
    assert_true(s->off_by_one * 10000 <= s->n8);
    s->cases = s->declined = s->candidates = s->own = s->strided = s->in_place = s->n8 =
        s->off_by_one = s->left_out = 0;
}

/* ---- elements ---- */

static float at(const void *x, size_t i, bool half)
{
    return half ? oct_f32_from_f16(((const uint16_t *)x)[i]) : ((const float *)x)[i];
}

static double largest(const void *x, size_t n, bool half)
{
    double m = 0;
    for (size_t i = 0; i < n; i++) {
        const double v = fabs((double)at(x, i, half));
        if (isfinite(v) && v > m)
            m = v;
    }
    return m;
}

static void compare_real(const void *want, const void *got, size_t n, bool half, double tolerance,
                         bool each, const char *name)
{
    const double scale = largest(want, n, half), tiny = half ? 6e-8 : 1e-37;
    for (size_t i = 0; i < n; i++) {
        const float w = at(want, i, half), g = at(got, i, half);
        if (isnan(w) ? isnan(g) : w == g)
            continue;
        const double limit = each ? tolerance * fabs((double)w) + tiny : tolerance * scale;
        if (!(fabs((double)w - g) <= limit))
            fail_msg("%s: element %zu of %zu: ref %.9g, got %.9g", name, i, n, (double)w,
                     (double)g);
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
        kc_state.off_by_one += a != b;
    }
    kc_state.n8 += n;
}

static void compare(const kcase *k, void *want[2], void *got[2], double tolerance, bool each,
                    const char *name)
{
    for (int i = 0; i < k->n_out; i++) {
        const kc_tensor *t = &k->out[i];
        const oct_dtype dt = t->desc.dtype;
        if (dt == OCT_DT_F32 || dt == OCT_DT_F16)
            compare_real(want[i], got[i], kc_elems(t), dt == OCT_DT_F16, tolerance, each, name);
        else if (dt == OCT_DT_S8 || dt == OCT_DT_U8)
            compare_8(want[i], got[i], kc_elems(t), dt == OCT_DT_S8, name);
        else if (memcmp(want[i], got[i], kc_bytes(t)) != 0)
            fail_msg("%s: %s results differ", name, oct_dtype_str(dt));
    }
}

static void describe(const kcase *k, const oct_candidate *c, const kc_offer *o, char *buf,
                     size_t cap)
{
    char s[2][OCT_SHAPE_STR_BYTES];
    snprintf(buf, cap, "%s %s x %s -> %s, %s, %s%s%s%s, %d threads, epilogue %d/%d",
             oct_op_name(k->op), oct_shape_str(&k->in[0].desc.shape, s[0], sizeof s[0]),
             k->n_in > 1 ? oct_shape_str(&k->in[1].desc.shape, s[1], sizeof s[1]) : "-",
             oct_dtype_str(k->out[0].desc.dtype), c->name,
             o->layout == OCT_LAYOUT_ROW ? "row" : "channels-last", o->strided ? ", strided" : "",
             o->in_place ? ", in place" : "", o->captured ? ", captured" : "", o->threads,
             (int)k->epilogue.act, k->epilogue.residual);
}

/* ---- one candidate ---- */

typedef struct verdict {
    kcase *k;
    void *want[2], *got[2], *again[2];
    double tolerance;
    bool each;
} verdict;

static void result(verdict *v, const oct_candidate *c, const kc_offer *o, void *out[2], char *name,
                   size_t cap)
{
    describe(v->k, c, o, name, cap);
    kc_result(v->k, kc_state.be, c, o, out);
}

/* On a device the second time is from a captured graph. */
static void check_again(verdict *v, const oct_candidate *c, kc_offer o, char *name, size_t cap)
{
    o.captured = kc_on_device();
    if (o.captured && kc_selecting())
        return;
    result(v, c, &o, v->again, name, cap);
    for (int i = 0; i < v->k->n_out; i++)
        if (memcmp(v->got[i], v->again[i], kc_bytes(&v->k->out[i])) != 0)
            fail_msg("%s: another result the second time", name);
}

/* Twice with equal bits. */
static void check_candidate(verdict *v, const oct_candidate *c, kc_offer o)
{
    char name[512];
    bool may_alias = false;
    result(v, c, &o, v->got, name, sizeof name);
    compare(v->k, v->want, v->got, v->tolerance, v->each, name);
    check_again(v, c, o, name, sizeof name);
    for (int i = 0; i < v->k->n_in && i < OCT_MAX_ALIAS; i++)
        may_alias |= c->may_alias[i];
    kc_state.candidates++;
    kc_state.strided += o.strided;
    kc_state.own += strncmp(c->name, "ref", 3) != 0;
    if (!may_alias || o.strided || c->alias_in >= 0)
        return;
    o.in_place = true;
    result(v, c, &o, v->got, name, sizeof name);
    compare(v->k, v->want, v->got, v->tolerance, v->each, name);
    kc_state.in_place++;
}

static int check_offer(verdict *v, kc_offer o, int number, char *reason)
{
    oct_candidate list[KC_MAX_CANDIDATES];
    const int n = kc_candidates(v->k, kc_state.be, &o, list, KC_MAX_CANDIDATES, reason);
    for (int c = 0; c < n; c++)
        if (kc_run_selected(number, c))
            check_candidate(v, &list[c], o);
    return n;
}

int kc_offers(const kcase *k, int threads, kc_offer list[KC_MAX_OFFERS])
{
    int n = 0;
    for (int strided = 0; strided < 1 + kc_on_device(); strided++)
        for (int last = 0; last < 1 + (k->layout == OCT_LAYOUT_CHANNELS_LAST); last++)
            list[n++] = (kc_offer){.layout = last ? OCT_LAYOUT_CHANNELS_LAST : OCT_LAYOUT_ROW,
                                   .threads = strided ? 1 : threads,
                                   .strided = strided};
    return n;
}

static void check_threads(verdict *v, int threads)
{
    char reason[OCT_REASON_BYTES] = "";
    kc_offer offer[KC_MAX_OFFERS];
    const int n_offers = kc_offers(v->k, threads, offer);
    int n = 0;
    for (int i = 0; i < n_offers && !offer[i].strided; i++) {
        n += check_offer(v, offer[i], i, reason);
        if (n == 0 && !kc_on_device())
            fail_msg("%s: no candidate: %s", oct_op_name(v->k->op), reason);
    }
    kc_state.declined += n == 0;
    if (n == 0 && !v->k->may_decline && !getenv("OCT_TEST_MAY_DECLINE"))
        fail_msg("%s: no candidate: %s", oct_op_name(v->k->op), reason);
    if (n == 0)
        print_message("declined: %s: %s\n", oct_op_name(v->k->op), reason);
    for (int i = 0; i < n_offers; i++)
        if (offer[i].strided)
            check_offer(v, offer[i], i, reason);
}

/* ---- the whole case ---- */

static void case_free(verdict *v)
{
    kcase *k = v->k;
    for (int i = 0; i < k->n_in; i++) {
        free(k->in[i].data);
        free(k->in[i].qparams);
    }
    for (int i = 0; i < k->n_out; i++) {
        free(k->out[i].qparams);
        free(v->want[i]);
        free(v->got[i]);
        free(v->again[i]);
    }
}

static void check(kcase *k, double tolerance, bool each)
{
    verdict v = {.k = k, .tolerance = tolerance, .each = each};
    const kc_offer plain = {.layout = OCT_LAYOUT_ROW, .threads = 1};
    oct_candidate c;
    char reason[OCT_REASON_BYTES] = "";
    if (!kc_selected(k)) {
        case_free(&v);
        return;
    }
    for (int i = 0; i < k->n_out; i++) {
        v.want[i] = malloc(kc_bytes(&k->out[i]) + 1);
        v.got[i] = malloc(kc_bytes(&k->out[i]) + 1);
        v.again[i] = malloc(kc_bytes(&k->out[i]) + 1);
    }
    if (kc_candidates(k, kc_state.ref, &plain, &c, 1, reason) != 1)
        fail_msg("ref has no %s: %s", oct_op_name(k->op), reason);
    kc_result(k, kc_state.ref, &c, &plain, v.want);
    check_threads(&v, 1);
    if (!kc_on_device())
        check_threads(&v, 3);
    case_free(&v);
    kc_state.cases++;
}

void kc_check(kcase *k, double tolerance)
{
    check(k, tolerance, false);
}

void kc_check_each(kcase *k, double relative)
{
    check(k, relative, true);
}
