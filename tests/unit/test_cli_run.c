/* SPDX-License-Identifier: Apache-2.0
 *
 * The program as a process: signals, progress lines, the last line of stderr. Each case
 * runs oct_cli_main() in a child with its stderr in a pipe.
 */
#include "tools/cli.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/json_read.h"
#include "base/parallel.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/failing_alloc.h"

static void nap(void)
{
    const struct timespec t = {0, 5 * 1000 * 1000};
    nanosleep(&t, NULL);
}

/* Says that it is there, then works until it is cancelled. */
static oct_status run_polite(oct_cli *cli)
{
    oct_log(cli->ctx, OCT_LOG_INFO, "ready");
    for (;;) {
        OCT_TRY(oct_check_cancel(cli->ctx));
        nap();
    }
}

static oct_status run_deaf(oct_cli *cli)
{
    oct_log(cli->ctx, OCT_LOG_INFO, "ready");
    for (int i = 0; i < 4000; i++) /* 20 s: a signal ends it long before */
        nap();
    return OCT_OK;
}

static void add_items(void *user, size_t lo, size_t hi, int worker)
{
    for (size_t i = lo; i < hi; i++)
        oct_progress_add(user, 1);
}

static oct_status run_busy(oct_cli *cli)
{
    oct_progress *p = oct_progress_begin(cli, "counting", "items", 1000);
    oct_progress_set(p, 100);
    oct_progress_set(p, 50); /* never backwards */
    oct_parallel_for(2, 900, 1, add_items, p);
    oct_log(cli->ctx, OCT_LOG_WARN, "odd \x1b[2J name");
    oct_progress_end(p);
    oct_progress_add(NULL, 1);
    oct_cli_summary(cli, "counted %d", 1000);
    return OCT_OK;
}

static oct_status run_lines(oct_cli *cli)
{
    return oct_fail(cli->ctx, OCT_ERR_UNSUPPORTED, "2 nodes\n  a: Foo\n  b: Bar");
}

static oct_status run_hungry(oct_cli *cli)
{
    void *p = oct_alloc(cli->ctx, 64 << 20);
    oct_free(cli->ctx, p);
    return p ? OCT_OK : OCT_ERR_NOMEM;
}

static const oct_cmd polite = {.name = "polite", .summary = "s", .run = run_polite};
static const oct_cmd deaf = {.name = "deaf", .summary = "s", .run = run_deaf};
static const oct_cmd busy = {.name = "busy", .summary = "s", .run = run_busy};
static const oct_cmd lines = {.name = "lines", .summary = "s", .run = run_lines};
static const oct_cmd hungry = {.name = "hungry", .summary = "s", .run = run_hungry};
static const oct_cmd *const table[] = {&polite, &deaf, &busy, &lines, &hungry, NULL};

typedef struct child {
    pid_t pid;
    int fd;
    char text[8192]; /* of stderr, so far */
    size_t len;
} child;

static void start(child *c, const char *line)
{
    char copy[256], *argv[16];
    int argc = 0, fds[2];
    memset(c, 0, sizeof *c);
    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    c->pid = fork();
    assert_true(c->pid >= 0);
    c->fd = fds[0];
    if (c->pid > 0) {
        close(fds[1]);
        return;
    }
    signal(SIGINT, SIG_DFL); /* under nohup it would be ignored, and then stays so */
    dup2(fds[1], 2);
    snprintf(copy, sizeof copy, "octet %s", line);
    for (char *save = NULL, *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    argv[argc] = NULL;
    _exit(oct_cli_main(argc, argv, table));
}

static bool read_more(child *c)
{
    const ssize_t n = read(c->fd, c->text + c->len, sizeof c->text - 1 - c->len);
    if (n > 0)
        c->len += (size_t)n;
    return n > 0;
}

static void wait_for(child *c, const char *text)
{
    while (!strstr(c->text, text))
        assert_true(read_more(c));
}

static int finish(child *c)
{
    int status;
    while (read_more(c))
        ;
    close(c->fd);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static const char *last_line(child *c)
{
    assert_true(c->len > 0 && c->text[c->len - 1] == '\n');
    c->text[c->len - 1] = '\0';
    const char *newline = strrchr(c->text, '\n');
    return newline ? newline + 1 : c->text;
}

static void the_first_signal_stops_at_a_safe_point(void **state)
{
    static const int signals[] = {SIGINT, SIGTERM};
    for (int i = 0; i < 2; i++) {
        child c;
        start(&c, "polite");
        wait_for(&c, "ready");
        kill(c.pid, signals[i]);
        assert_int_equal(finish(&c), 128 + signals[i]);
        assert_string_equal(last_line(&c), "octet: FAILED cancelled");
    }
}

static void the_second_signal_stops_at_once(void **state)
{
    child c;
    start(&c, "deaf");
    wait_for(&c, "ready");
    kill(c.pid, SIGINT);
    wait_for(&c, "stopping");
    kill(c.pid, SIGINT);
    assert_int_equal(finish(&c), 130);
}

static void progress_lines_are_json_and_never_go_backwards(void **state)
{
    oct_ctx *ctx = oct_test_ctx();
    int64_t before = 0, n = 0;
    child c;
    start(&c, "busy --progress=json");
    assert_int_equal(finish(&c), 0);
    assert_string_equal(last_line(&c), "octet: OK counted 1000");
    for (char *save = NULL, *line = strtok_r(c.text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        json_t *root;
        int64_t done = -1;
        if (line[0] != '{')
            continue;
        assert_int_equal(oct_json_read_text(ctx, "line", line, strlen(line), &root), OCT_OK);
        const oct_json_at at = {ctx, "line", ""};
        assert_int_equal(oct_json_get_s64(&at, root, "done", &done), OCT_OK);
        assert_true(done >= before);
        before = done;
        n++;
        oct_json_read_free(root);
    }
    assert_int_equal(before, 1000);
    assert_true(n >= 2);
    oct_ctx_free(ctx);
}

static void the_log_cannot_drive_the_terminal(void **state)
{
    child c;
    start(&c, "busy --progress=bar --color=never");
    assert_int_equal(finish(&c), 0);
    assert_non_null(strstr(c.text, "octet: warning: odd \\x1b[2J name"));
    assert_non_null(strstr(c.text, "[########################] counting 1000/1000 items"));
    start(&c, "busy -q");
    assert_int_equal(finish(&c), 0);
    assert_int_equal(c.len, 0);
}

static void the_verdict_stays_last_after_many_lines(void **state)
{
    child c;
    start(&c, "lines");
    assert_int_equal(finish(&c), 5);
    assert_string_equal(c.text, "octet:   a: Foo\noctet:   b: Bar\noctet: FAILED 2 nodes\n");
}

static void the_memory_limit_is_exit_code_6(void **state)
{
    child c;
    start(&c, "hungry --memory-limit 1M");
    assert_int_equal(finish(&c), 6);
    assert_non_null(strstr(last_line(&c), "memory limit of 1048576 bytes"));
    start(&c, "hungry --memory-limit 1G");
    assert_int_equal(finish(&c), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_signal_stops_at_a_safe_point),
        cmocka_unit_test(the_second_signal_stops_at_once),
        cmocka_unit_test(progress_lines_are_json_and_never_go_backwards),
        cmocka_unit_test(the_log_cannot_drive_the_terminal),
        cmocka_unit_test(the_verdict_stays_last_after_many_lines),
        cmocka_unit_test(the_memory_limit_is_exit_code_6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
