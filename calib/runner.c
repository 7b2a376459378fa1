/* SPDX-License-Identifier: Apache-2.0 */
#include "calib/runner.h"

#include <stdio.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/build_info.h"
#include "base/checked.h"
#include "base/parallel.h"
#include "base/strbuf.h"
#include "calib/cache_tools.h"
#include "calib/runner_device.h"
#include "calib/runner_internal.h"
#include "kernels/cpu/cpu.h"

/* ---- one image --------------------------------------------------------------------------- */

/* Row `row` of a batch of n rows as a batch of one. */
static oct_status slice_row(oct_ctx *ctx, const oct_tensor *t, int64_t row, int64_t n,
                            oct_tensor *out)
{
    *out = *t;
    if (n == 1)
        return OCT_OK;
    size_t bytes;
    if (t->desc.shape.n_dims < 1 || t->desc.shape.dim[0] != n ||
        !oct_tensor_desc_bytes(&t->desc, &bytes))
        return oct_fail(ctx, OCT_ERR_SHAPE,
                        "an input of a batch of %lld images does not have that many rows",
                        (long long)n);
    oct_shape one = t->desc.shape;
    one.dim[0] = 1;
    out->desc = oct_tensor_desc_make(t->desc.dtype, one, t->desc.layout);
    out->data = (char *)t->data + bytes / (size_t)n * (size_t)row;
    return OCT_OK;
}

typedef struct worker_state {
    oct_worker *worker;
    oct_ctx *steady; /* an image is run to its end */
    oct_tensor *in, *out;
    size_t n_in, n_out;
    image_observer observer;
} worker_state;

static oct_status run_image(worker_state *w, const oct_batch *b, int k)
{
    runner *r = w->observer.r;
    const int64_t rows =
        b->n_samples > 1 || (b->n_inputs > 0 && b->input[0].desc.shape.n_dims > 0 &&
                             b->input[0].desc.shape.dim[0] > 1)
            ? b->input[0].desc.shape.dim[0]
            : 1;
    if ((size_t)b->n_inputs != w->n_in)
        return oct_fail(w->steady, OCT_ERR_USAGE, "the model has %zu inputs, the data %d", w->n_in,
                        b->n_inputs);
    for (size_t i = 0; i < w->n_in; i++)
        OCT_TRY(slice_row(w->steady, &b->input[i], k, rows, &w->in[i]));
    w->observer.sample = &b->sample[k];
    w->observer.fold = oct_fold_of(&b->sample[k].id);
    w->observer.base.fn = r->pass == 1 ? oct_runner_count : oct_runner_count_exact;
    return oct_worker_run(w->worker, w->steady, w->in, w->n_in, w->out, w->n_out,
                          &w->observer.base);
}

/* ---- booking ----------------------------------------------------------------------------- */

void oct_runner_fail(runner *r, oct_ctx *from, oct_status st, int64_t index)
{
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    if (r->failure.status == OCT_OK || index < r->failure.index) {
        r->failure.status = st;
        r->failure.index = index;
        snprintf(r->failure.text, sizeof r->failure.text, "%s", oct_error_text(from));
    }
    pthread_mutex_unlock(&r->lock);
    oct_error_clear(from);
}

bool oct_runner_failed(runner *r)
{
    pthread_mutex_lock(&r->lock);
    const bool failed = r->failure.status != OCT_OK;
    pthread_mutex_unlock(&r->lock);
    return failed;
}

/* Whether the resumed statistics hold this image; each of equal ones is met once. */
static bool is_held(runner *r, const oct_sha256 *id)
{
    size_t lo = 0, hi = r->n_held;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (oct_sha256_cmp(&r->held[mid], id) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < r->n_held && oct_sha256_cmp(&r->held[lo], id) == 0; lo++) {
        if (!r->met[lo]) {
            r->met[lo] = true;
            return true;
        }
    }
    return false;
}

bool oct_runner_wants(runner *r, const oct_sample *s)
{
    pthread_mutex_lock(&r->lock);
    bool run = true;
    const uint32_t n = r->opt->n_shards;
    r->n_seen += r->pass == 1;
    if (n > 1 && (uint64_t)s->index % n != r->opt->shard) {
        r->report->n_other_shards += r->pass == 1;
        run = false;
    } else if (r->pass == 1 && r->n_held > 0 && is_held(r, &s->id)) {
        r->report->n_resumed++;
        run = false;
    }
    pthread_mutex_unlock(&r->lock);
    return run;
}

oct_status oct_runner_save(runner *r, oct_ctx *ctx)
{
    const oct_status st = oct_stats_write(ctx, r->stats, r->opt->checkpoint, true);
#ifdef __GLIBC__
    /* Each thread that writes a checkpoint leaves the buffers' pages in a heap of its own:
     * 46 MB more after 25 checkpoints of resnet20, measured. */
    malloc_trim(0);
#endif
    return st;
}

bool oct_runner_book(runner *r, oct_ctx *ctx, const oct_sample *s, oct_status *st)
{
    pthread_mutex_lock(&r->lock);
    if (r->pass == 1) {
        *st = oct_stats_add_image(r->stats, &s->id);
        r->report->n_counted++;
        r->n_unsaved++;
    }
    const uint64_t n_done = ++r->n_done;
    const bool due = r->pass == 1 && r->opt->checkpoint != NULL && r->opt->checkpoint_every > 0 &&
                     r->n_unsaved >= r->opt->checkpoint_every;
    if (due)
        r->n_unsaved = 0;
    pthread_mutex_unlock(&r->lock);
    if (r->opt->progress != NULL)
        r->opt->progress(r->opt->user, n_done);
    return due;
}

static oct_status do_image(worker_state *w, oct_ctx *ctx, const oct_batch *b, int k)
{
    runner *r = w->observer.r;
    if (!oct_runner_wants(r, &b->sample[k]))
        return OCT_OK;
    bool due = false;
    pthread_rwlock_rdlock(&r->quiet);
    oct_status st = run_image(w, b, k);
    if (st == OCT_OK)
        due = oct_runner_book(r, ctx, &b->sample[k], &st);
    if (st != OCT_OK)
        oct_runner_fail(r, w->steady, st, b->sample[k].index);
    pthread_rwlock_unlock(&r->quiet);
    if (due) {
        pthread_rwlock_wrlock(&r->quiet); /* no image is under way now */
        if (!oct_runner_failed(r) && (st = oct_runner_save(r, ctx)) != OCT_OK)
            oct_runner_fail(r, ctx, st, b->sample[k].index);
        pthread_rwlock_unlock(&r->quiet);
    }
    return st;
}

/* ---- workers ----------------------------------------------------------------------------- */

bool oct_runner_should_stop(runner *r, oct_ctx *ctx)
{
    const bool cancelled = oct_check_cancel(ctx) != OCT_OK;
    if (cancelled)
        oct_error_clear(ctx);
    pthread_mutex_lock(&r->lock);
    r->cancelled = r->cancelled || cancelled;
    const bool stop = r->stop || r->cancelled;
    pthread_mutex_unlock(&r->lock);
    return stop;
}

static void work_loop(worker_state *w, oct_ctx *ctx)
{
    runner *r = w->observer.r;
    const oct_batch_source_vtable *vt = r->source->vt;
    while (!oct_runner_should_stop(r, ctx)) {
        const oct_batch *b = NULL;
        oct_status st = vt->next(r->source, ctx, &b);
        if (st == OCT_ERR_CANCELLED) {
            oct_error_clear(ctx);
            continue; /* oct_runner_should_stop() sees it too */
        }
        if (st != OCT_OK)
            oct_runner_fail(r, ctx, st, INT64_MAX);
        if (st != OCT_OK || b == NULL)
            break;
        for (int k = 0; st == OCT_OK && k < b->n_samples; k++)
            st = do_image(w, ctx, b, k);
        vt->release(r->source, b);
    }
}

static oct_status init_worker(worker_state *w, oct_ctx *ctx, runner *r)
{
    const oct_io *list;
    w->observer.r = r;
    w->observer.base.skip_derived = false; /* their channel means are wanted */
    w->n_in = oct_engine_inputs(r->engine, &list);
    w->n_out = oct_engine_outputs(r->engine, &list);
    OCT_TRY(oct_ctx_fork_steady(ctx, &w->steady));
    w->in = oct_zalloc_array(ctx, w->n_in, sizeof *w->in);
    w->out = oct_zalloc_array(ctx, w->n_out, sizeof *w->out);
    w->observer.convert = oct_alloc_array(ctx, CONVERT_ELEMS, sizeof(float));
    if (w->in == NULL || w->out == NULL || w->observer.convert == NULL)
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_hist_scratch_new(ctx, &w->observer.scratch));
    return oct_worker_new(r->engine, ctx, &w->worker);
}

static oct_status work(void *user, oct_ctx *ctx, int index)
{
    runner *r = user;
    worker_state w = {0};
    const oct_status st = init_worker(&w, ctx, r);
    if (st == OCT_OK)
        work_loop(&w, ctx);
    else
        oct_runner_fail(r, ctx, st, -1);
    oct_worker_free(w.worker, ctx);
    oct_free(ctx, w.in);
    oct_free(ctx, w.out);
    oct_free(ctx, w.observer.convert);
    oct_hist_scratch_free(ctx, w.observer.scratch);
    oct_channel_sums_deinit(ctx, &w.observer.sums);
    oct_ctx_join(ctx, w.steady);
    return OCT_OK; /* failures are in the record, ordered by image */
}

/* ---- passes ------------------------------------------------------------------------------ */

static int n_workers(const runner *r)
{
    return r->opt->workers > 0 ? r->opt->workers : oct_cpu_count();
}

static oct_status run_pass(runner *r, int pass)
{
    const int workers = n_workers(r);
    r->pass = pass;
    r->n_done = 0;
    if (r->opt->pass != NULL)
        r->opt->pass(r->opt->user, pass);
    OCT_TRY(oct_runner_on_device(r) ? oct_runner_device_pass(r)
                                    : oct_run_workers(r->ctx, workers, 1, work, r));
    if (r->failure.status != OCT_OK)
        return oct_fail(r->ctx, r->failure.status, "%s", r->failure.text);
    if (!r->cancelled)
        return OCT_OK;
    if (pass == 1 && r->opt->checkpoint != NULL) {
        oct_ctx *steady;
        OCT_TRY(oct_ctx_fork_steady(r->ctx, &steady));
        const oct_status st = oct_runner_save(r, steady);
        oct_ctx_join(r->ctx, steady);
        OCT_TRY(st);
    }
    return oct_fail(r->ctx, OCT_ERR_CANCELLED, "cancelled after %llu images%s",
                    (unsigned long long)oct_stats_n_images(r->stats),
                    r->opt->checkpoint != NULL ? "; the checkpoint is kept, --resume goes on" : "");
}

static oct_status check_resumed(runner *r)
{
    for (size_t i = 0; i < r->n_held; i++) {
        if (r->met[i])
            continue;
        char hex[OCT_SHA256_HEX_BYTES];
        return oct_fail(r->ctx, OCT_ERR_STALE,
                        "the statistics to resume hold image %.12s, which is not among the %llu "
                        "images given",
                        oct_sha256_hex(&r->held[i], hex), (unsigned long long)r->n_seen);
    }
    return OCT_OK;
}

static oct_status run_passes(runner *r)
{
    OCT_TRY(run_pass(r, 1));
    OCT_TRY(check_resumed(r));
    if (oct_stats_n_images(r->stats) == 0)
        return oct_fail(r->ctx, OCT_ERR_NOT_FOUND, "no image could be calibrated on");
    if (r->opt->exact_range) {
        OCT_TRY(oct_runner_alloc_exact(r->ctx, r->stats));
        OCT_TRY(r->source->vt->rewind(r->source, r->ctx));
        OCT_TRY(run_pass(r, 2));
        OCT_TRY(oct_runner_share_exact(r->ctx, r->stats));
    }
    oct_stats_set_complete(r->stats, true);
    return OCT_OK;
}

/* ---- setting up -------------------------------------------------------------------------- */

static oct_status new_engine(runner *r, const oct_model *model)
{
    oct_model_names names;
    OCT_TRY(oct_model_names_of(r->ctx, model, &names));
    const oct_engine_options opt = {
        .backend = r->opt->backend,
        .opened = r->opt->opened,
        .threads = 1,
        .plan_threads = n_workers(r),
        .precision = OCT_PRECISION_F32,
        .observe = names.needed,
        .n_observe = names.n_needed,
    };
    const oct_status st = oct_engine_new(r->ctx, model, &opt, &r->engine);
    oct_model_names_free(r->ctx, &names);
    return st;
}

static oct_status add_tensors(runner *r)
{
    static const oct_stat_kind kind_of[] = {[OCT_DERIVED_NONE] = OCT_STAT_SCANNED,
                                            [OCT_DERIVED_RELU] = OCT_STAT_RELU,
                                            [OCT_DERIVED_SAME] = OCT_STAT_SAME};
    const oct_observed *list;
    const size_t n = oct_engine_observed(r->engine, &list);
    if (n == 0)
        return oct_fail(r->ctx, OCT_ERR_UNSUPPORTED, "the model has no float values to calibrate");
    for (size_t i = 0; i < n; i++) {
        if (list[i].derived != OCT_DERIVED_NONE && list[i].source >= i)
            return oct_fail(r->ctx, OCT_ERR_BUG, "'%s' is derived from a later value",
                            list[i].name);
        OCT_TRY(oct_stats_add_tensor(r->stats, list[i].name, kind_of[list[i].derived],
                                     list[i].source, NULL));
    }
    return OCT_OK;
}

/* What can change a value: backend, instruction set or chip, versions. */
static void engine_text(const runner *r, char *text, size_t cap)
{
    oct_backend *be = oct_engine_backend(r->engine);
    if (be->vt->describe != NULL)
        snprintf(text, cap, "%s %s, octet %s", be->vt->name, be->vt->describe(be), OCT_VERSION);
    else
        snprintf(text, cap, "%s %s, octet %s, oneDNN %s", be->vt->name, oct_cpu_isa_text(),
                 OCT_VERSION, OCT_BUILD_ONEDNN);
}

static oct_status new_stats(runner *r, const oct_model *model)
{
    char engine[256];
    engine_text(r, engine, sizeof engine);
    const oct_stats_origin origin = {
        .model = oct_model_get_info(model)->hash,
        .preprocess = r->source->vt->preprocess_json(r->source),
        .engine = engine,
    };
    OCT_TRY(oct_stats_new(r->ctx, &origin, &r->stats));
    OCT_TRY(add_tensors(r));
    return oct_runner_want_means(r, model);
}

/* Statistics to go on from: merged into the empty ones, which checks that they belong. */
static oct_status take_resumed(runner *r, oct_stats *resume)
{
    OCT_TRY(oct_stats_merge(r->ctx, r->stats, resume, false));
    r->n_held = (size_t)oct_stats_n_images(resume);
    r->held = oct_alloc_array(r->ctx, r->n_held, sizeof *r->held);
    r->met = oct_zalloc_array(r->ctx, r->n_held, sizeof *r->met);
    if (r->held == NULL || r->met == NULL)
        return OCT_ERR_NOMEM;
    if (r->n_held > 0)
        memcpy(r->held, oct_stats_images(resume), r->n_held * sizeof *r->held);
    return OCT_OK;
}

static oct_status check_options(oct_ctx *ctx, const oct_calib_options *opt)
{
    if (opt->n_shards > 1 && opt->shard >= opt->n_shards)
        return oct_fail(ctx, OCT_ERR_USAGE, "shard %u of %u", opt->shard + 1, opt->n_shards);
    if (opt->n_shards > 1 && opt->exact_range)
        return oct_fail(ctx, OCT_ERR_USAGE,
                        "--exact-range needs all images in one run: the exact "
                        "range is known only after the last one");
    return OCT_OK;
}

static oct_status set_up(runner *r, const oct_model *model)
{
    OCT_TRY(new_engine(r, model));
    OCT_TRY(new_stats(r, model));
    if (r->opt->resume != NULL)
        OCT_TRY(take_resumed(r, r->opt->resume));
    const size_t n = oct_stats_n_tensors(r->stats);
    r->tensor_lock = oct_alloc_array(r->ctx, n, sizeof *r->tensor_lock);
    if (r->tensor_lock == NULL)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        pthread_mutex_init(&r->tensor_lock[i], NULL);
    return OCT_OK;
}

static void init_locks(runner *r)
{
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
#ifdef __GLIBC__
    /* a checkpoint must not wait for ever while images keep coming */
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
    pthread_rwlock_init(&r->quiet, &attr);
    pthread_rwlockattr_destroy(&attr);
    pthread_mutex_init(&r->lock, NULL);
}

static void tear_down(runner *r)
{
    if (r->tensor_lock != NULL)
        for (size_t i = 0; i < oct_stats_n_tensors(r->stats); i++)
            pthread_mutex_destroy(&r->tensor_lock[i]);
    oct_free(r->ctx, r->tensor_lock);
    oct_free(r->ctx, r->held);
    oct_free(r->ctx, r->met);
    oct_engine_free(r->engine, r->ctx);
    oct_stats_free(r->opt->resume);
    pthread_rwlock_destroy(&r->quiet);
    pthread_mutex_destroy(&r->lock);
}

oct_status oct_calibrate_run(oct_ctx *ctx, const oct_model *model, oct_batch_source *source,
                             const oct_calib_options *opt, oct_stats **out,
                             oct_calib_report *report)
{
    oct_calib_report unused;
    runner r = {
        .ctx = ctx, .opt = opt, .source = source, .report = report != NULL ? report : &unused};
    memset(r.report, 0, sizeof *r.report);
    init_locks(&r);
    oct_status st = check_options(ctx, opt);
    if (st == OCT_OK)
        st = set_up(&r, model);
    if (st == OCT_OK)
        st = run_passes(&r);
    tear_down(&r);
    if (st != OCT_OK) {
        oct_stats_free(r.stats);
        return st;
    }
    *out = r.stats;
    return OCT_OK;
}
