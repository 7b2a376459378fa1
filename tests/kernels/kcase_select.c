/* SPDX-License-Identifier: Apache-2.0
 *
 * A part of the runs, for tools under which all of them take hours (compute-sanitizer).
 *
 *     OCT_KCASE_SURVEY=FILE   nothing runs; FILE gets a line for each run that there would be
 *     OCT_KCASE_ONLY=FILE     only the runs listed are made, each once, not also from a graph
 *     OCT_KCASE_SHARD=I/N     of their cases only each N-th, from the I-th (0 ..)
 *
 * A run is "case offer candidate": cases are numbered by their order, offers by that of kc_offers(). A
 * survey adds its work (products or elements), then the kernels (device functions with their template
 * arguments, which the captured graph names; on the host the candidate) and after a "/" its
 * properties: operator with the kind of its attributes, activation, element types, what the epilogue
 * adds, layout. tests/bench/gpu_sanitize.py chooses among them. The same program must be surveyed
 * and run, without a filter.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/op_schema.h"
#include "tests/kernels/kcase_internal.h"

typedef struct run_id {
    uint32_t number; /* of the case */
    uint16_t offer, candidate;
} run_id;

static struct {
    FILE *survey;
    run_id *only; /* [n_only], sorted; NULL: all */
    size_t n_only;
    uint32_t next, shard, n_shards, in_order;
} sel;

/* ---- what a run shows ---- */

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

static void survey_run(kcase *k, const run_id *id, size_t work, const oct_candidate *c,
                       const kc_offer *o)
{
    kc_names names = {.n = 0};
    if (kc_on_device())
        kc_survey(k, kc_state.be, c, *o, &names);
    else
        names.hash[names.n++] = kc_hash(0, c->name, strlen(c->name));
    const uint64_t kind[] = {
        attr_kind(k),
        types_kind(k),
        hash_int(2, k->epilogue.act),
        hash_int(hash_int(3, k->epilogue.residual >= 0), o->layout),
        hash_int(hash_int(4, o->strided), o->layout),
    };
    fprintf(sel.survey, "%u %u %u %zu", id->number, id->offer, id->candidate, work);
    for (int i = 0; i < names.n; i++)
        fprintf(sel.survey, " %" PRIx64, names.hash[i]);
    fprintf(sel.survey, " /");
    for (size_t i = 0; i < sizeof kind / sizeof kind[0]; i++)
        fprintf(sel.survey, " %" PRIx64, kind[i]);
    fprintf(sel.survey, "\n");
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

static void survey_case(kcase *k, uint32_t number)
{
    kc_offer offer[KC_MAX_OFFERS];
    oct_candidate list[KC_MAX_CANDIDATES];
    char reason[OCT_REASON_BYTES] = "";
    const int n_offers = kc_offers(k, 1, offer);
    for (int i = 0; i < n_offers; i++) {
        const int n = kc_candidates(k, kc_state.be, &offer[i], list, KC_MAX_CANDIDATES, reason);
        for (int c = 0; c < n; c++) {
            const run_id id = {number, (uint16_t)i, (uint16_t)c};
            survey_run(k, &id, work_of(k), &list[c], &offer[i]);
        }
    }
}

/* ---- what runs ---- */

static int by_place(const void *a, const void *b)
{
    const run_id *x = a, *y = b;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    if (x->offer != y->offer)
        return x->offer < y->offer ? -1 : 1;
    return x->candidate < y->candidate ? -1 : x->candidate > y->candidate;
}

/* Whether any run of the case is listed. */
static bool case_listed(uint32_t number)
{
    size_t lo = 0, hi = sel.n_only;
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if (sel.only[mid].number < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < sel.n_only && sel.only[lo].number == number;
}

bool kc_selecting(void)
{
    return sel.survey != NULL || sel.only != NULL;
}

bool kc_selected(kcase *k)
{
    const uint32_t number = sel.next++;
    bool run = true;
    if (sel.survey != NULL) {
        survey_case(k, number);
        run = false;
    } else if (sel.only != NULL) {
        run = case_listed(number) && sel.in_order++ % sel.n_shards == sel.shard;
    }
    kc_state.left_out += !run;
    return run;
}

bool kc_run_selected(int offer, int candidate)
{
    const run_id id = {sel.next - 1, (uint16_t)offer, (uint16_t)candidate};
    return sel.only == NULL || bsearch(&id, sel.only, sel.n_only, sizeof id, by_place) != NULL;
}

static void read_runs(const char *path)
{
    FILE *f = fopen(path, "r");
    unsigned number, offer, candidate;
    size_t cap = 0;
    if (f == NULL)
        fail_msg("%s: cannot be read", path);
    while (fscanf(f, "%u %u %u%*[^\n]", &number, &offer, &candidate) == 3) {
        if (sel.n_only == cap) {
            cap = cap ? 2 * cap : 64;
            sel.only = realloc(sel.only, cap * sizeof *sel.only);
            assert_non_null(sel.only);
        }
        sel.only[sel.n_only++] = (run_id){number, (uint16_t)offer, (uint16_t)candidate};
    }
    fclose(f);
    if (sel.n_only == 0)
        fail_msg("%s: no runs", path);
    qsort(sel.only, sel.n_only, sizeof *sel.only, by_place);
}

void kc_select_open(void)
{
    const char *survey = getenv("OCT_KCASE_SURVEY"), *only = getenv("OCT_KCASE_ONLY"),
               *shard = getenv("OCT_KCASE_SHARD");
    memset(&sel, 0, sizeof sel);
    sel.n_shards = 1;
    if (survey != NULL && (sel.survey = fopen(survey, "w")) == NULL)
        fail_msg("%s: cannot be written", survey);
    if (survey == NULL && only != NULL)
        read_runs(only);
    if (shard != NULL &&
        (sscanf(shard, "%u/%u", &sel.shard, &sel.n_shards) != 2 || sel.shard >= sel.n_shards))
        fail_msg("OCT_KCASE_SHARD=%s: I/N expected, 0 <= I < N", shard);
}

void kc_select_close(void)
{
    if (sel.survey != NULL)
        assert_int_equal(fclose(sel.survey), 0);
    free(sel.only);
    memset(&sel, 0, sizeof sel);
}
