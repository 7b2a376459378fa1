/* SPDX-License-Identifier: Apache-2.0
 *
 * Progress on stderr (declared in tools/cli.h).
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "tools/cli_internal.h"

#define NS_PER_S INT64_C(1000000000)
#define BAR_CELLS 24

struct oct_progress {
    oct_ctx *ctx;
    struct oct_cli_state *state;
    const char *task, *unit;
    int64_t total, start_ns;
    atomic_int_least64_t done, next_draw_ns;
};

/* Time between drawings, by mode. */
static const int64_t interval_ns[] = {
    [CLI_PROGRESS_NONE] = INT64_MAX / 4,
    [CLI_PROGRESS_BAR] = NS_PER_S / 10,
    [CLI_PROGRESS_PLAIN] = 5 * NS_PER_S,
    [CLI_PROGRESS_JSON] = NS_PER_S / 2,
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* Counts, rate and time left. */
typedef struct snapshot {
    int64_t done;
    double rate;   /* per second, 0 = not known yet */
    int64_t eta_s; /* -1 = not known */
} snapshot;

static snapshot take_snapshot(oct_progress *p)
{
    snapshot s = {.done = atomic_load(&p->done), .eta_s = -1};
    const double seconds = (double)(now_ns() - p->start_ns) * 1e-9;
    if (s.done > 0 && seconds > 1e-3)
        s.rate = (double)s.done / seconds;
    if (p->total >= 0 && s.rate > 0)
        s.eta_s = (int64_t)((double)(p->total > s.done ? p->total - s.done : 0) / s.rate + 0.5);
    return s;
}

/* "calibrate 12/512 images, 34.2/s, 0:15 left" */
static void describe(const oct_progress *p, const snapshot *s, char *buf, size_t cap)
{
    char rate[OCT_NUM_TEXT_BYTES], total[32] = "", left[48] = "";
    if (p->total >= 0)
        snprintf(total, sizeof total, "/%" PRId64, p->total);
    if (s->eta_s >= 0)
        snprintf(left, sizeof left, ", %" PRId64 ":%02d left", s->eta_s / 60, (int)(s->eta_s % 60));
    snprintf(buf, cap, "%s %" PRId64 "%s %s, %s/s%s", p->task, s->done, total, p->unit,
             oct_fixed_text(s->rate, s->rate < 10 ? 2 : 1, rate), left);
}

static void draw_bar(oct_progress *p, const snapshot *s)
{
    char text[256], bar[BAR_CELLS + 4] = "";
    struct winsize w = {0};
    describe(p, s, text, sizeof text);
    if (p->total > 0) {
        const int full = (int)(s->done >= p->total ? BAR_CELLS : s->done * BAR_CELLS / p->total);
        for (int i = 0; i < BAR_CELLS; i++)
            bar[i + 1] = i < full ? '#' : '.';
        bar[0] = '[';
        bar[BAR_CELLS + 1] = ']';
        bar[BAR_CELLS + 2] = ' ';
    }
    const int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : 80;
    const int room = columns - 1 - (int)strlen(bar);
    if (room >= 20)
        fprintf(stderr, "\r%s%.*s\x1b[K", bar, room, text);
    else
        fprintf(stderr, "\r%.*s\x1b[K", columns - 1, text);
    fflush(stderr);
}

static void draw_json(oct_progress *p, const snapshot *s)
{
    oct_strbuf b;
    oct_json j;
    oct_strbuf_init(&b, p->ctx);
    oct_json_init(&j, &b, false);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "event", "progress");
    oct_json_kv_string(&j, "task", p->task);
    oct_json_kv_s64(&j, "done", s->done);
    oct_json_key(&j, "total");
    if (p->total >= 0)
        oct_json_s64(&j, p->total);
    else
        oct_json_null(&j);
    oct_json_kv_string(&j, "unit", p->unit);
    oct_json_kv_f32(&j, "rate", (float)s->rate);
    oct_json_key(&j, "eta_s");
    if (s->eta_s >= 0)
        oct_json_s64(&j, s->eta_s);
    else
        oct_json_null(&j);
    oct_json_end_object(&j);
    if (oct_strbuf_status(&b) == OCT_OK)
        fprintf(stderr, "%s\n", b.text);
    oct_strbuf_deinit(&b);
}

/* The lock is held. */
static void draw(oct_progress *p)
{
    char text[256];
    const snapshot s = take_snapshot(p);
    switch (p->state->progress_mode) {
    case CLI_PROGRESS_BAR:
        draw_bar(p, &s);
        break;
    case CLI_PROGRESS_PLAIN:
        describe(p, &s, text, sizeof text);
        fprintf(stderr, "octet: %s\n", text);
        break;
    case CLI_PROGRESS_JSON:
        draw_json(p, &s);
        break;
    case CLI_PROGRESS_NONE:
        break;
    }
}

void cli_progress_hide(struct oct_cli_state *s)
{
    if (s->active && s->progress_mode == CLI_PROGRESS_BAR)
        fputs("\r\x1b[K", stderr);
}

void cli_progress_show(struct oct_cli_state *s)
{
    if (s->active && s->progress_mode == CLI_PROGRESS_BAR)
        draw(s->active);
}

oct_progress *oct_progress_begin(oct_cli *cli, const char *task, const char *unit, int64_t total)
{
    oct_progress *p = malloc(sizeof *p); /* drawn from any thread: not on the error-recording ctx */
    if (!p)
        return NULL;
    p->ctx = cli->ctx;
    p->state = cli->state;
    p->task = task;
    p->unit = unit;
    p->total = total;
    p->start_ns = now_ns();
    atomic_init(&p->done, 0);
    atomic_init(&p->next_draw_ns, p->start_ns + interval_ns[cli->state->progress_mode]);
    pthread_mutex_lock(&p->state->lock);
    p->state->active = p;
    if (p->state->progress_mode != CLI_PROGRESS_PLAIN)
        draw(p);
    pthread_mutex_unlock(&p->state->lock);
    return p;
}

static void maybe_draw(oct_progress *p)
{
    int_least64_t due = atomic_load(&p->next_draw_ns);
    const int64_t now = now_ns();
    /* one thread wins the right to draw */
    if (now < due || !atomic_compare_exchange_strong(&p->next_draw_ns, &due,
                                                     now + interval_ns[p->state->progress_mode]))
        return;
    pthread_mutex_lock(&p->state->lock);
    draw(p);
    pthread_mutex_unlock(&p->state->lock);
}

void oct_progress_set(oct_progress *p, int64_t done)
{
    if (!p)
        return;
    int_least64_t old = atomic_load(&p->done);
    while (old < done && !atomic_compare_exchange_weak(&p->done, &old, done))
        ;
    maybe_draw(p);
}

void oct_progress_add(oct_progress *p, int64_t n)
{
    if (!p)
        return;
    atomic_fetch_add(&p->done, n);
    maybe_draw(p);
}

void oct_progress_end(oct_progress *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->state->lock);
    draw(p);
    if (p->state->progress_mode == CLI_PROGRESS_BAR)
        fputc('\n', stderr);
    p->state->active = NULL;
    pthread_mutex_unlock(&p->state->lock);
    free(p);
}
