/* SPDX-License-Identifier: Apache-2.0
 *
 * run_node_tests DIR BACKEND SKIPS OPERATORS: loads each model of DIR (tests/conformance/cases.py
 * says how it is laid out), runs it on BACKEND ("cpu", "ref", "cuda", or "fake": a device without
 * a GPU, tests/support/fake_device.h) and compares with the expected outputs. On a device each
 * case runs three times: plainly, captured as a graph, replayed. 77 when there is no device.
 *
 * SKIPS: lines "name: reason"; "-" for none. OPERATORS: operators that count, one a line; cases
 * with any other are counted apart; "-" for all. Fails when a case fails, when a skipped one
 * passes (the list would rot), and when SKIPS names a case that is not there.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/numeric.h"
#include "datasets/npy.h"
#include "engine/engine_file.h"
#include "engine/session.h"
#include "tests/support/fake_device.h"

#define MAX_VALUES 64
#define MAX_OPERATORS 400
#define NAME_BYTES 256

typedef struct operator_count {
    char name[64];
    bool listed;
    int passed, failed, skipped;
} operator_count;

typedef struct skip_line {
    char *name, *reason;
    bool used;
} skip_line;

typedef struct suite {
    oct_ctx *ctx;
    const char *dir, *backend;
    oct_backend *be;
    bool through_file; /* each model is written as an engine file and read back */
    skip_line *skip;
    size_t n_skip;
    bool all_listed;
    operator_count op[MAX_OPERATORS];
    size_t n_op;
    int passed, failed, skipped, outside;
} suite;

typedef struct test_case {
    char *name;
    double rtol, atol;
    char *operators;
} test_case;

/* ---- lists ---------------------------------------------------------------------------- */

static char *read_text(oct_ctx *ctx, const char *path)
{
    uint8_t *data = NULL;
    size_t n = 0;
    if (oct_file_read(ctx, path, 0, &data, &n) != OCT_OK) {
        fprintf(stderr, "%s\n", oct_error_text(ctx));
        exit(2);
    }
    return (char *)data;
}

/* Cuts the next line off `*rest`; NULL at the end. */
static char *next_line(char **rest)
{
    char *line = *rest;
    if (!*line)
        return NULL;
    char *end = strchr(line, '\n');
    *rest = end ? end + 1 : line + strlen(line);
    if (end)
        *end = 0;
    return line;
}

static operator_count *find_operator(suite *s, const char *name, bool add)
{
    for (size_t i = 0; i < s->n_op; i++)
        if (strcmp(s->op[i].name, name) == 0)
            return &s->op[i];
    if (!add || s->n_op == MAX_OPERATORS)
        return NULL;
    operator_count *o = &s->op[s->n_op++];
    memset(o, 0, sizeof *o);
    snprintf(o->name, sizeof o->name, "%s", name);
    return o;
}

static void read_operators(suite *s, char *text)
{
    for (char *line; (line = next_line(&text));)
        if (*line && *line != '#')
            find_operator(s, line, true)->listed = true;
}

static void read_skips(suite *s, char *text)
{
    s->skip = oct_zalloc_array(s->ctx, strlen(text) / 3 + 1, sizeof *s->skip);
    for (char *line; (line = next_line(&text));) {
        char *colon = strstr(line, ": ");
        if (!*line || *line == '#')
            continue;
        if (!colon || !colon[2]) {
            fprintf(stderr, "skip list: no reason: %s\n", line);
            exit(2);
        }
        *colon = 0;
        s->skip[s->n_skip++] = (skip_line){line, colon + 2, false};
    }
}

static skip_line *find_skip(suite *s, const char *name)
{
    for (size_t i = 0; i < s->n_skip; i++)
        if (strcmp(s->skip[i].name, name) == 0)
            return &s->skip[i];
    return NULL;
}

/* ---- one case ------------------------------------------------------------------------- */

typedef struct array_set {
    oct_array a[MAX_VALUES];
    size_t n;
} array_set;

static void free_set(oct_ctx *ctx, array_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        oct_array_deinit(ctx, &set->a[i]);
    set->n = 0;
}

static oct_status read_set(oct_ctx *ctx, const char *folder, const char *kind, array_set *set)
{
    char path[4096];
    set->n = 0;
    for (; set->n < MAX_VALUES; set->n++) {
        snprintf(path, sizeof path, "%s/%s%zu.npy", folder, kind, set->n);
        const bool plain = oct_path_exists(path);
        if (!plain)
            snprintf(path, sizeof path, "%s/%s%zu.bf16.npy", folder, kind, set->n);
        if (!oct_path_exists(path))
            break;
        OCT_TRY(oct_npy_read(ctx, path, 0, &set->a[set->n]));
        if (!plain)
            set->a[set->n].dtype = OCT_DT_BF16;
    }
    return OCT_OK;
}

static bool close_enough(double got, double want, const test_case *c)
{
    if (isnan(got) || isnan(want))
        return isnan(got) && isnan(want);
    if (isinf(got) || isinf(want))
        return got == want;
    return fabs(got - want) <= c->atol + c->rtol * fabs(want);
}

static oct_status compare(oct_ctx *ctx, const test_case *c, size_t i, const oct_tensor *got,
                          const oct_array *want)
{
    char a[OCT_SHAPE_STR_BYTES], b[OCT_SHAPE_STR_BYTES];
    if (got->desc.dtype != want->dtype)
        return oct_fail(ctx, OCT_ERR_BUG, "output %zu: is %s, expected %s", i,
                        oct_dtype_str(got->desc.dtype), oct_dtype_str(want->dtype));
    if (!oct_shape_equal(&got->desc.shape, &want->shape))
        return oct_fail(ctx, OCT_ERR_BUG, "output %zu: shape %s, expected %s", i,
                        oct_shape_str(&got->desc.shape, a, sizeof a),
                        oct_shape_str(&want->shape, b, sizeof b));
    for (size_t k = 0; k < want->n_elems; k++) {
        const double x = oct_elem_f64(got->data, want->dtype, k);
        const double y = oct_elem_f64(want->data, want->dtype, k);
        if (close_enough(x, y, c))
            continue;
        char have[OCT_NUM_TEXT_BYTES], expected[OCT_NUM_TEXT_BYTES];
        return oct_fail(ctx, OCT_ERR_BUG, "output %zu: element %zu is %s, expected %s", i, k,
                        oct_f64_text(x, have), oct_f64_text(y, expected));
    }
    return OCT_OK;
}

static oct_status run_set(suite *s, oct_engine *e, const test_case *c, const array_set *in,
                          const array_set *want)
{
    oct_ctx *ctx = s->ctx;
    oct_tensor x[MAX_VALUES], y[MAX_VALUES];
    const oct_io *io;
    oct_worker *w = NULL;
    const size_t n_in = oct_engine_inputs(e, &io), n_out = oct_engine_outputs(e, &io);
    if (n_in != in->n || n_out != want->n)
        return oct_fail(ctx, OCT_ERR_BUG, "%zu inputs and %zu outputs, expected %zu and %zu", n_in,
                        n_out, in->n, want->n);
    for (size_t i = 0; i < n_in; i++) {
        x[i].desc = oct_tensor_desc_make(in->a[i].dtype, in->a[i].shape, OCT_LAYOUT_ROW);
        x[i].data = in->a[i].data;
    }
    const int n_runs = s->be->vt->host_memory ? 1 : 3;
    OCT_TRY(oct_worker_new(e, ctx, &w));
    oct_status st = OCT_OK;
    for (int run = 0; run < n_runs && st == OCT_OK; run++) {
        st = oct_worker_run(w, ctx, x, n_in, y, n_out, NULL);
        for (size_t i = 0; i < n_out && st == OCT_OK; i++)
            st = compare(ctx, c, i, &y[i], &want->a[i]);
    }
    oct_worker_free(w, ctx);
    return st;
}

static oct_status run_engine(suite *s, oct_engine *e, const test_case *c)
{
    char folder[4096];
    array_set in = {.n = 0}, want = {.n = 0};
    oct_status st = OCT_OK;
    int k = 0;
    for (; st == OCT_OK; k++) {
        snprintf(folder, sizeof folder, "%s/%s/set%d", s->dir, c->name, k);
        if (!oct_path_is_dir(folder))
            break;
        st = read_set(s->ctx, folder, "in", &in);
        if (st == OCT_OK)
            st = read_set(s->ctx, folder, "out", &want);
        if (st == OCT_OK)
            st = run_set(s, e, c, &in, &want);
        free_set(s->ctx, &in);
        free_set(s->ctx, &want);
    }
    if (st == OCT_OK && k == 0)
        st = oct_fail(s->ctx, OCT_ERR_NOT_FOUND, "%s: no data", folder);
    return st;
}

static oct_status run_model(suite *s, const oct_model *m, const test_case *c)
{
    oct_engine *e = NULL;
    const oct_engine_options opt = {
        .opened = s->be, .threads = 1, .precision = OCT_PRECISION_F32 | OCT_PRECISION_S8};
    oct_status st = oct_engine_new(s->ctx, m, &opt, &e);
    if (st == OCT_OK)
        st = run_engine(s, e, c);
    oct_engine_free(e, s->ctx);
    return st;
}

/* The same from an engine file, so that every operator's attributes are written and read. */
static oct_status run_file(suite *s, const oct_model *m, const test_case *c)
{
    char path[4096];
    oct_engine_file *file = NULL;
    const oct_engine_info info = {.precision = OCT_PRECISION_F32,
                                  .model_name = c->name,
                                  .quantization_json = "{}",
                                  .preprocess_json = "",
                                  .built_with = "run_node_tests"};
    snprintf(path, sizeof path, "%s/%s/%s.engine", s->dir, c->name, s->backend);
    OCT_TRY(oct_engine_file_save(s->ctx, oct_model_graph(m), &info, path, true));
    oct_status st = oct_engine_file_load(s->ctx, path, &file);
    if (st == OCT_OK)
        st = run_model(s, oct_engine_file_model(file), c);
    oct_engine_file_free(file);
    remove(path);
    return st;
}

static oct_status run_case(suite *s, const test_case *c)
{
    char path[4096];
    oct_model *m = NULL;
    snprintf(path, sizeof path, "%s/%s/unstorable.txt", s->dir, c->name);
    if (oct_path_exists(path))
        return oct_fail(s->ctx, OCT_ERR_UNSUPPORTED, "values of types octet does not have");
    snprintf(path, sizeof path, "%s/%s/model.onnx", s->dir, c->name);
    oct_status st = oct_model_load(s->ctx, path, NULL, &m);
    if (st == OCT_OK)
        st = (s->through_file ? run_file : run_model)(s, m, c);
    oct_model_free(m);
    return st;
}

/* ---- the suite ------------------------------------------------------------------------ */

/* Marks the case's operators; false when one is not listed. */
static bool count_operators(suite *s, const test_case *c, int verdict)
{
    char list[2048], *rest = list;
    bool listed = true;
    snprintf(list, sizeof list, "%s", c->operators);
    for (char *name; (name = strsep(&rest, ","));) {
        operator_count *o = find_operator(s, name, true);
        if (!o)
            continue;
        listed = listed && (o->listed || s->all_listed);
        o->passed += verdict == 'p';
        o->failed += verdict == 'f';
        o->skipped += verdict == 's';
    }
    return listed;
}

static void judge(suite *s, const test_case *c)
{
    skip_line *skip = find_skip(s, c->name);
    if (!count_operators(s, c, 0)) {
        s->outside++;
        if (skip) {
            printf("FAILED  %s: in the skip list, but its operators are not listed\n", c->name);
            skip->used = true;
            s->failed++;
        }
        return;
    }
    oct_error_clear(s->ctx);
    const oct_status st = run_case(s, c);
    if (skip) {
        skip->used = true;
        if (st == OCT_OK) {
            printf("FAILED  %s: passes, but is in the skip list\n", c->name);
            s->failed++;
            return;
        }
        printf("skipped %s: %s\n", c->name, skip->reason);
        s->skipped++;
        count_operators(s, c, 's');
    } else if (st == OCT_OK) {
        s->passed++;
        count_operators(s, c, 'p');
    } else {
        printf("FAILED  %s: %s\n", c->name, oct_error_text(s->ctx));
        fflush(stdout);
        s->failed++;
        count_operators(s, c, 'f');
    }
}

static void judge_all(suite *s, char *text)
{
    for (char *line; (line = next_line(&text));) {
        test_case c = {.name = strsep(&line, "\t")};
        const char *rtol = strsep(&line, "\t"), *atol = strsep(&line, "\t");
        c.operators = line;
        if (!line || !oct_parse_f64(rtol, strlen(rtol), &c.rtol) ||
            !oct_parse_f64(atol, strlen(atol), &c.atol)) {
            fprintf(stderr, "cases.txt: malformed line\n");
            exit(2);
        }
        judge(s, &c);
    }
}

static void report(suite *s)
{
    int covered = 0, listed = 0;
    printf("\noperator: passed, skipped, failed\n");
    for (size_t i = 0; i < s->n_op; i++) {
        const operator_count *o = &s->op[i];
        if (!o->listed && !s->all_listed)
            continue;
        listed++;
        covered += o->passed > 0;
        printf("  %-32s %4d %4d %4d\n", o->name, o->passed, o->skipped, o->failed);
    }
    for (size_t i = 0; i < s->n_skip; i++)
        if (!s->skip[i].used) {
            printf("FAILED  %s: in the skip list, but there is no such case\n", s->skip[i].name);
            s->failed++;
        }
    printf("%s: %d operators, %d of them with passing tests; %d tests passed, %d skipped, %d "
           "failed; %d use operators that are not listed\n",
           s->backend, listed, covered, s->passed, s->skipped, s->failed, s->outside);
}

/* NAME, or NAME+file to go through engine files. */
static void open_backend(suite *s)
{
    char name[32];
    snprintf(name, sizeof name, "%s", s->backend);
    char *plus = strchr(name, '+');
    s->through_file = plus && strcmp(plus, "+file") == 0;
    if (plus)
        *plus = 0;
    const fake_device_options fake = {.kernels = "cpu", .packs_weights = true};
    const oct_status st = strcmp(name, "fake") == 0 ? fake_device_open(s->ctx, &fake, &s->be)
                                                    : oct_backend_open(s->ctx, name, &s->be);
    if (st == OCT_OK)
        return;
    printf("%s: backend %s: %s\n", st == OCT_ERR_DEVICE ? "SKIPPED" : "FAILED", s->backend,
           oct_error_text(s->ctx));
    exit(st == OCT_ERR_DEVICE ? 77 : 2);
}

int main(int argc, char **argv)
{
    static suite s;
    char path[4096];
    if (argc != 5) {
        fprintf(stderr, "usage: run_node_tests DIR BACKEND[+file] SKIPS OPERATORS\n");
        return 2;
    }
    if (oct_ctx_new(NULL, &s.ctx) != OCT_OK)
        return 2;
    s.dir = argv[1];
    s.backend = argv[2];
    open_backend(&s);
    s.all_listed = strcmp(argv[4], "-") == 0;
    char *skips = strcmp(argv[3], "-") ? read_text(s.ctx, argv[3]) : NULL;
    char *ops = s.all_listed ? NULL : read_text(s.ctx, argv[4]);
    if (skips)
        read_skips(&s, skips);
    if (ops)
        read_operators(&s, ops);
    snprintf(path, sizeof path, "%s/cases.txt", s.dir);
    char *text = read_text(s.ctx, path);
    judge_all(&s, text);
    report(&s);
    oct_free(s.ctx, text);
    oct_free(s.ctx, ops);
    oct_free(s.ctx, skips);
    oct_free(s.ctx, s.skip);
    oct_backend_close(s.be, s.ctx);
    oct_ctx_free(s.ctx);
    return s.failed || s.passed == 0 ? 1 : 0;
}
