/* SPDX-License-Identifier: Apache-2.0
 *
 * The program around a subcommand: context, signals, the last line, the exit code.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/build_info.h"
#include "base/parallel.h"
#include "tools/cli_internal.h"

#if OCT_HAVE_OPENMP
#include <omp.h>
#endif

/* ---- signals ---------------------------------------------------------------------------- */

static volatile sig_atomic_t
    caught_signal; /* the first SIGINT or SIGTERM; handlers need a global */

static void on_signal(int number)
{
    static const char note[] = "\noctet: stopping at the next safe point; again to stop at once\n";
    if (caught_signal)
        _exit(128 + number);
    caught_signal = number;
    if (write(STDERR_FILENO, note, sizeof note - 1) < 0)
        return;
}

static bool cancel_requested(void *user)
{
    (void)user;
    return caught_signal != 0;
}

static void install_signals(void)
{
    struct sigaction a = {.sa_handler = on_signal}, old;
    sigemptyset(&a.sa_mask);
    /* under nohup, or in a shell's background job, SIGINT comes ignored: leave it so */
    if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    a.sa_handler = SIG_IGN; /* a closed pipe must not end a run that also writes files */
    sigaction(SIGPIPE, &a, NULL);
}

/* ---- stderr ----------------------------------------------------------------------------- */

void cli_stderr_line(struct oct_cli_state *s, const char *color, const char *prefix,
                     const char *text)
{
    char clean[4096];
    const bool colored = s->color && color[0];
    oct_printable(text, clean, sizeof clean);
    pthread_mutex_lock(&s->lock);
    cli_progress_hide(s);
    fprintf(stderr, "%soctet: %s%s%s\n", colored ? color : "", prefix, colored ? "\x1b[0m" : "",
            clean);
    cli_progress_show(s);
    pthread_mutex_unlock(&s->lock);
}

static void write_log(void *user, oct_log_level level, const char *text)
{
    static const char *const prefix[] = {"error: ", "warning: ", "", "debug: "};
    static const char *const color[] = {"\x1b[31m", "\x1b[33m", "", "\x1b[2m"};
    cli_stderr_line(user, color[level], prefix[level], text);
}

static bool use_color(const cli_parsed *p)
{
    const cli_value *v = cli_find_value(p, "color", 0);
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    if (v && strcmp(v->text, "auto") != 0)
        return strcmp(v->text, "always") == 0;
    return isatty(STDERR_FILENO) && !(no_color && no_color[0]) && !(term && !strcmp(term, "dumb"));
}

static enum cli_progress_mode progress_mode(const cli_parsed *p, bool quiet)
{
    const cli_value *v = cli_find_value(p, "progress", 0);
    const char *how = v ? v->text : "auto";
    if (strcmp(how, "json") == 0)
        return CLI_PROGRESS_JSON;
    if (quiet || strcmp(how, "none") == 0)
        return CLI_PROGRESS_NONE;
    if (strcmp(how, "plain") == 0)
        return CLI_PROGRESS_PLAIN;
    return strcmp(how, "bar") == 0 || isatty(STDERR_FILENO) ? CLI_PROGRESS_BAR : CLI_PROGRESS_PLAIN;
}

/* ---- running ---------------------------------------------------------------------------- */

static int exit_code_of(oct_status st)
{
    if (st == OCT_ERR_CANCELLED && caught_signal)
        return 128 + caught_signal;
    return oct_status_exit_code(st);
}

/* Further lines of a message come before, so that the verdict is the last line. */
static void report_failure(struct oct_cli_state *s, oct_status st, const char *text)
{
    const char *newline = strchr(text, '\n');
    char first[1024], line[1024];
    for (const char *p = newline; p; p = strchr(p, '\n')) {
        p++;
        snprintf(line, sizeof line, "%.*s", (int)strcspn(p, "\n"), p);
        cli_stderr_line(s, "", "", line);
    }
    snprintf(first, sizeof first, "%.*s", (int)strcspn(text, "\n"), text);
    cli_stderr_line(s, "\x1b[31m", "FAILED ", first[0] ? first : oct_status_str(st));
}

static bool is_device(const char *text)
{
    const char *number = text + 5;
    if (strncmp(text, "cuda:", 5) == 0)
        return *number && strlen(number) <= 3 && strspn(number, "0123456789") == strlen(number);
    return !strcmp(text, "auto") || !strcmp(text, "cpu") || !strcmp(text, "cuda");
}

static void fill_cli(oct_cli *cli, const cli_parsed *p, struct oct_cli_state *s, oct_ctx *ctx)
{
    *cli = (oct_cli){.ctx = ctx,
                     .cmd = p->cmd,
                     .program = p->program,
                     .n_pos = p->n_pos,
                     .pos = p->pos,
                     .state = s};
    const int64_t threads = oct_cli_s64(cli, "threads");
    cli->n_threads = threads > 0 ? (int)threads : oct_cpu_count();
    cli->force = oct_cli_flag(cli, "force");
    cli->quiet = oct_cli_flag(cli, "quiet");
    cli->json = oct_cli_given(cli, "json");
    cli->json_path = oct_cli_str(cli, "json");
    cli->device = oct_cli_str(cli, "device");
    cli->seed = (uint64_t)oct_cli_s64(cli, "seed");
#if OCT_HAVE_OPENMP
    omp_set_num_threads(cli->n_threads); /* what oneDNN uses when nobody says otherwise */
#endif
}

static oct_status run_command(const cli_parsed *p, struct oct_cli_state *s, oct_ctx *ctx)
{
    oct_cli cli;
    fill_cli(&cli, p, s, ctx);
    if (!is_device(cli.device))
        return oct_cli_usage(&cli, "--device: '%s' is not auto, cpu, cuda or cuda:N", cli.device);
    return p->cmd->run(&cli);
}

static int run_parsed(const cli_parsed *p)
{
    struct oct_cli_state s = {.parsed = p, .lock = PTHREAD_MUTEX_INITIALIZER};
    const bool quiet = cli_find_value(p, "quiet", 0), verbose = cli_find_value(p, "verbose", 0);
    const cli_value *limit = cli_find_value(p, "memory-limit", 0);
    oct_ctx *ctx;
    s.color = use_color(p);
    s.progress_mode = progress_mode(p, quiet);
    const oct_log_sink log = {&s, write_log,
                              quiet     ? OCT_LOG_ERROR
                              : verbose ? OCT_LOG_DEBUG
                                        : OCT_LOG_INFO};
    const oct_cancel cancel = {NULL, cancel_requested};
    oct_ctx_options opt = {.log = &log, .cancel = &cancel};
    if (limit && !cli_parse_bytes(limit->text, &opt.memory_limit_bytes))
        return 2;
    oct_status st = oct_ctx_new(&opt, &ctx);
    if (st != OCT_OK) {
        report_failure(&s, st, "");
        return exit_code_of(st);
    }
    install_signals();
    st = run_command(p, &s, ctx);
    if (st != OCT_OK)
        report_failure(&s, st, oct_error_text(ctx));
    else if (!quiet && !p->cmd->quiet_ok)
        cli_stderr_line(&s, "\x1b[32m", s.summary[0] ? "OK " : "OK", s.summary);
    oct_ctx_free(ctx);
    return exit_code_of(st);
}

/* ---- help, version, man pages ----------------------------------------------------------- */

typedef void (*text_fn)(const oct_cmd *const *table, const cli_parsed *p, oct_strbuf *b);

static int print_text(text_fn fn, const oct_cmd *const *table, const cli_parsed *p)
{
    oct_ctx *ctx;
    oct_strbuf b;
    oct_status st = oct_ctx_new(NULL, &ctx);
    if (st != OCT_OK)
        return exit_code_of(st);
    oct_strbuf_init(&b, ctx);
    fn(table, p, &b);
    st = oct_strbuf_status(&b);
    if (st == OCT_OK && (fwrite(b.text, 1, b.len, stdout) != b.len || fflush(stdout) != 0))
        st = OCT_ERR_IO;
    oct_strbuf_deinit(&b);
    oct_ctx_free(ctx);
    return exit_code_of(st);
}

static void text_version(const oct_cmd *const *table, const cli_parsed *p, oct_strbuf *b)
{
    (void)table;
    (void)p;
    oct_strbuf_add(b, "octet " OCT_VERSION "\n");
}

static void text_help(const oct_cmd *const *table, const cli_parsed *p, oct_strbuf *b)
{
    if (p->cmd)
        cli_help_cmd(p->cmd, p->program, b);
    else
        cli_help_program(table, b);
}

static void text_man(const oct_cmd *const *table, const cli_parsed *p, oct_strbuf *b)
{
    if (p->cmd)
        cli_man_cmd(p->cmd, p->program, b);
    else
        cli_man_program(table, b);
}

/* ---- finding the subcommand ------------------------------------------------------------- */

static int fail_usage(const cli_parsed *p)
{
    char clean[1024];
    fprintf(stderr, "octet: FAILED %s (try '%s --help')\n",
            oct_printable(p->error, clean, sizeof clean), p->program);
    return oct_status_exit_code(OCT_ERR_USAGE);
}

/* Follows words through `table` and its sub-tables; returns the index of the first other word. */
static int find_command(const oct_cmd *const *table, int argc, char **argv, int i, cli_parsed *p)
{
    for (; table && i < argc && argv[i][0] != '-'; i++) {
        const oct_cmd *cmd = cli_find_cmd(table, argv[i]);
        if (!cmd) {
            cli_nearest near = {.word = argv[i], .len = strlen(argv[i])};
            for (const oct_cmd *const *t = table; *t; t++)
                cli_nearest_try(&near, (*t)->name);
            snprintf(p->error, sizeof p->error, "unknown command '%.64s'%s%s%s", argv[i],
                     near.best ? "; did you mean '" : "", near.best ? near.best : "",
                     near.best ? "'?" : "");
            return i;
        }
        const size_t n = strlen(p->program);
        snprintf(p->program + n, sizeof p->program - n, " %s", cmd->name);
        p->cmd = cmd;
        table = cmd->sub;
    }
    return i;
}

static bool is_word(const char *arg, const char *a, const char *b)
{
    return arg && (strcmp(arg, a) == 0 || strcmp(arg, b) == 0);
}

static int dispatch(int argc, char **argv, const oct_cmd *const *table, cli_parsed *p)
{
    const char *first = argc > 1 ? argv[1] : NULL;
    text_fn text = NULL;
    int at = 1;
    if (is_word(first, "--version", "-V"))
        return print_text(text_version, table, p);
    if (is_word(first, "--help", "-h") || is_word(first, "help", "--man")) {
        text = strcmp(first, "--man") == 0 ? text_man : text_help;
        at = 2;
    }
    at = find_command(table, argc, argv, at, p);
    if (p->error[0])
        return fail_usage(p);
    if (text)
        return print_text(text, table, p);
    if (!p->cmd) {
        snprintf(p->error, sizeof p->error, first ? "%s comes before the command" : "no command",
                 first);
        return fail_usage(p);
    }
    cli_parse(p->cmd, argc, argv, at, p);
    if (p->n_values && cli_find_value(p, "help", 0))
        return print_text(text_help, table, p);
    if (p->n_values && cli_find_value(p, "version", 0))
        return print_text(text_version, table, p);
    if (!p->error[0] && !p->cmd->run)
        snprintf(p->error, sizeof p->error, "%s needs a second word", p->program);
    if (!p->error[0])
        cli_check_complete(p);
    return p->error[0] ? fail_usage(p) : run_parsed(p);
}

int oct_cli_main(int argc, char **argv, const oct_cmd *const *table)
{
    cli_parsed p = {.program = "octet"};
    const int code = dispatch(argc, argv, table, &p);
    cli_parsed_free(&p);
    return code;
}
