/* SPDX-License-Identifier: Apache-2.0
 *
 * A part of the cases, for tools under which all of them take hours (compute-sanitizer).
 *
 *     OCT_KCASE_SURVEY=FILE   nothing runs; FILE gets the numbers of the cases that matter
 *     OCT_KCASE_ONLY=FILE     only these run, each candidate once, not also from a graph
 *     OCT_KCASE_SHARD=I/N     of these only the I-th (0 ..) of N equal parts
 *
 * What matters: a case has *traits*, pairs of a kernel (a device function with its template arguments,
 * which the captured graph names; on the host a candidate) and a property: the operator with the
 * kind of its attributes, the activation, the element types, what the epilogue adds, the layout. The
 * survey chooses twice: small cases that together show every trait which all cases show, and, so that
 * loops and pipelines turn too, large ones that show every trait which cases of at most WORK_LIMIT
 * products or elements show. Either time the cases go in one by one, those with nothing new stay out,
 * and then those leave of which the others show everything.
 *
 * Cases are numbered by their order: the same program must be surveyed and run, without a filter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/op_schema.h"
#include "tests/kernels/kcase_internal.h"

#define WORK_LIMIT 1000000u

typedef struct surveyed {
    size_t number, work;
    uint64_t *trait;
    size_t n, cap;
    bool taken, chosen;
} surveyed;

static struct {
    const char *survey; /* path */
    surveyed *list;
    size_t n, cap;
    bool *only; /* [n_only] */
    size_t n_only;
    size_t next, shard, n_shards, in_order;
} sel;

/* ---- traits ---- */

static void *grown(void *p, size_t *cap, size_t n, size_t each)
{
    if (n < *cap)
        return p;
    *cap = *cap ? 2 * *cap : 64;
    p = realloc(p, *cap * each);
    assert_non_null(p);
    return p;
}

static uint64_t hash_int(uint64_t h, int64_t v)
{
    return kc_hash(h, &v, sizeof v);
}

static bool is_window(oct_op op)
{
    return op == OCT_OP_CONV || op == OCT_OP_CONV_TRANSPOSE || op == OCT_OP_MAX_POOL ||
           op == OCT_OP_AVERAGE_POOL || op == OCT_OP_LP_POOL;
}

/* Attributes as they are; of windows only what kind they are, for numbers are geometry. */
static uint64_t attr_kind(const kcase *k)
{
    const size_t bytes = oct_op_schema_get(k->op)->attr_bytes;
    uint64_t h = hash_int(0, k->op);
    if (k->attr == NULL || !is_window(k->op))
        return k->attr ? kc_hash(h, k->attr, bytes) : h;
    const oct_attr_window *w = k->attr;
    h = hash_int(h, w->group > 1);
    h = hash_int(h, w->pad[0] > 0);
    h = hash_int(h, w->stride[0] > 1);
    h = hash_int(h, w->dilation[0] > 1);
    return hash_int(h, w->ceil_mode + 2 * w->count_include_pad);
}

static uint64_t types_kind(const kcase *k)
{
    uint64_t h = hash_int(1, k->n_out);
    for (int i = 0; i < k->n_in; i++) {
        h = hash_int(h, k->in[i].desc.dtype);
        h = hash_int(h, k->in[i].constant + 2 * (k->in[i].quant.n > 1));
    }
    for (int i = 0; i < k->n_out; i++)
        h = hash_int(h, k->out[i].desc.dtype);
    return h;
}

static void add_traits(surveyed *s, const kcase *k, const kc_offer *o, uint64_t kernel)
{
    const uint64_t kind[] = {
        attr_kind(k),
        types_kind(k),
        hash_int(2, k->epilogue.act),
        hash_int(hash_int(3, k->epilogue.residual >= 0), o->layout),
        hash_int(hash_int(4, o->strided), o->layout),
    };
    for (size_t i = 0; i < sizeof kind / sizeof kind[0]; i++) {
        s->trait = grown(s->trait, &s->cap, s->n, sizeof *s->trait);
        s->trait[s->n++] = kc_hash(kernel, &kind[i], sizeof kind[i]);
    }
}

static void survey_candidate(surveyed *s, kcase *k, const oct_candidate *c, const kc_offer *o)
{
    kc_names names = {.n = 0};
    if (kc_on_device())
        kc_survey(k, kc_state.be, c, *o, &names);
    add_traits(s, k, o, kc_hash(0, c->name, strlen(c->name)));
    for (int i = 0; i < names.n; i++)
        add_traits(s, k, o, names.hash[i]);
}

/* ---- one case ---- */

/* Products of an op with weights, else elements. */
static size_t work_of(const kcase *k)
{
    const kc_tensor *x = &k->in[0], *w = &k->in[1];
    size_t n = kc_elems(&k->out[0]);
    const size_t in = kc_elems(x);
    if (k->op == OCT_OP_CONV || k->op == OCT_OP_CONV_TRANSPOSE)
        return n * (kc_elems(w) / (size_t)w->desc.shape.dim[0]);
    if ((k->op == OCT_OP_GEMM || k->op == OCT_OP_MATMUL) && x->desc.shape.n_dims > 0)
        return n * (size_t)x->desc.shape.dim[x->desc.shape.n_dims - 1];
    return n > in ? n : in;
}

static void survey_case(kcase *k, size_t number)
{
    sel.list = grown(sel.list, &sel.cap, sel.n, sizeof *sel.list);
    surveyed *s = &sel.list[sel.n++];
    *s = (surveyed){.number = number, .work = work_of(k)};
    kc_offer offer[KC_MAX_OFFERS];
    oct_candidate list[KC_MAX_CANDIDATES];
    char reason[OCT_REASON_BYTES] = "";
    const int n_offers = kc_offers(k, 1, offer);
    for (int i = 0; i < n_offers; i++) {
        const int n = kc_candidates(k, kc_state.be, &offer[i], list, KC_MAX_CANDIDATES, reason);
        for (int c = 0; c < n; c++)
            survey_candidate(s, k, &list[c], &offer[i]);
    }
}

bool kc_selecting(void)
{
    return sel.survey != NULL || sel.only != NULL;
}

bool kc_selected(kcase *k)
{
    const size_t number = sel.next++;
    bool run = true;
    if (sel.survey != NULL) {
        survey_case(k, number);
        run = false;
    } else if (sel.only != NULL) {
        run = number < sel.n_only && sel.only[number];
        run = run && sel.in_order++ % sel.n_shards == sel.shard;
    }
    kc_state.left_out += !run;
    return run;
}

/* ---- the choice ---- */

static int by_work(const void *a, const void *b)
{
    const surveyed *x = a, *y = b;
    if (x->work != y->work)
        return x->work < y->work ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

typedef struct traits {
    uint64_t *all;   /* sorted, no two alike */
    uint32_t *shown; /* by how many cases taken */
    size_t n;
} traits;

static traits traits_of_all(void)
{
    traits t = {.n = 0};
    size_t total = 0;
    for (size_t i = 0; i < sel.n; i++)
        total += sel.list[i].n;
    t.all = malloc((total + 1) * sizeof *t.all);
    t.shown = calloc(total + 1, sizeof *t.shown);
    assert_true(t.all != NULL && t.shown != NULL);
    for (size_t i = 0, at = 0; i < sel.n; at += sel.list[i++].n)
        if (sel.list[i].n > 0)
            memcpy(t.all + at, sel.list[i].trait, sel.list[i].n * sizeof *t.all);
    qsort(t.all, total, sizeof *t.all, by_value);
    for (size_t i = 0; i < total; i++)
        if (i == 0 || t.all[i] != t.all[i - 1])
            t.all[t.n++] = t.all[i];
    return t;
}

/* How many of the cases taken show the one of its traits that fewest show. */
static uint32_t least_shown(const surveyed *s, const traits *t)
{
    uint32_t least = UINT32_MAX;
    for (size_t i = 0; i < s->n; i++) {
        const uint64_t *at = bsearch(&s->trait[i], t->all, t->n, sizeof *t->all, by_value);
        const uint32_t shown = t->shown[at - t->all];
        least = shown < least ? shown : least;
    }
    return least;
}

static void take(surveyed *s, traits *t, bool in)
{
    uint64_t last = 0; /* traits are sorted: each counts once */
    for (size_t i = 0; i < s->n; last = s->trait[i++]) {
        const uint64_t *at = bsearch(&s->trait[i], t->all, t->n, sizeof *t->all, by_value);
        if (i == 0 || s->trait[i] != last)
            t->shown[at - t->all] += in ? 1u : UINT32_MAX;
    }
    s->taken = in;
}

/* The i-th of the cases in the order of a choice: from the small ones up, or from the large ones. */
static surveyed *in_order(size_t i, bool large)
{
    return &sel.list[large ? sel.n - 1 - i : i];
}

static void choose_some(traits *t, bool large)
{
    memset(t->shown, 0, t->n * sizeof *t->shown);
    for (size_t i = 0; i < sel.n; i++) {
        surveyed *s = in_order(i, large);
        s->taken = false;
        if ((!large || s->work <= WORK_LIMIT) && least_shown(s, t) == 0)
            take(s, t, true);
    }
    for (size_t i = sel.n; i-- > 0;) {
        surveyed *s = in_order(i, large);
        if (s->taken && least_shown(s, t) > 1)
            take(s, t, false);
        s->chosen |= s->taken;
    }
}

static void choose(void)
{
    qsort(sel.list, sel.n, sizeof *sel.list, by_work);
    for (size_t i = 0; i < sel.n; i++)
        if (sel.list[i].n > 0)
            qsort(sel.list[i].trait, sel.list[i].n, sizeof *sel.list[i].trait, by_value);
    traits t = traits_of_all();
    choose_some(&t, true);
    choose_some(&t, false);
    for (size_t i = 0; i < t.n; i++)
        assert_true(t.shown[i] > 0);
    print_message("survey: %zu traits", t.n);
    free(t.all);
    free(t.shown);
}

static void write_choice(void)
{
    size_t n = 0, largest = 0, left = 0;
    FILE *f = fopen(sel.survey, "w");
    if (f == NULL)
        fail_msg("%s: cannot be written", sel.survey);
    choose();
    for (size_t i = 0; i < sel.n; i++) {
        const surveyed *s = &sel.list[i];
        if (s->chosen) {
            fprintf(f, "%zu\n", s->number);
            n++;
            largest = s->work > largest ? s->work : largest;
        } else {
            left = s->work > left ? s->work : left;
        }
        free(s->trait);
    }
    assert_int_equal(fclose(f), 0);
    print_message(", shown by %zu of %zu cases; largest chosen %zu, largest left out %zu\n", n,
                  sel.n, largest, left);
}

static void read_choice(const char *path)
{
    FILE *f = fopen(path, "r");
    size_t number, cap = 0;
    if (f == NULL)
        fail_msg("%s: cannot be read", path);
    sel.only = grown(NULL, &cap, 0, sizeof *sel.only);
    while (fscanf(f, "%zu", &number) == 1) {
        const size_t end = number + 1;
        if (end > sel.n_only) {
            sel.only = realloc(sel.only, end * sizeof *sel.only);
            assert_non_null(sel.only);
            memset(sel.only + sel.n_only, 0, end - sel.n_only);
            sel.n_only = end;
        }
        sel.only[number] = true;
    }
    fclose(f);
}

void kc_select_open(void)
{
    const char *only = getenv("OCT_KCASE_ONLY"), *shard = getenv("OCT_KCASE_SHARD");
    memset(&sel, 0, sizeof sel);
    sel.n_shards = 1;
    sel.survey = getenv("OCT_KCASE_SURVEY");
    if (sel.survey == NULL && only != NULL)
        read_choice(only);
    if (shard != NULL &&
        (sscanf(shard, "%zu/%zu", &sel.shard, &sel.n_shards) != 2 || sel.shard >= sel.n_shards))
        fail_msg("OCT_KCASE_SHARD=%s: I/N expected, 0 <= I < N", shard);
}

void kc_select_close(void)
{
    if (sel.survey != NULL)
        write_choice();
    free(sel.list);
    free(sel.only);
    memset(&sel, 0, sizeof sel);
}
