/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the cli_*.c files; subcommands use tools/cli.h only.
 */
#ifndef OCT_TOOLS_CLI_INTERNAL_H
#define OCT_TOOLS_CLI_INTERNAL_H

#include <pthread.h>
#include <stdio.h>

#include "tools/cli.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One option as given; `text` is NULL for flags and for --json without "=". */
typedef struct cli_value {
    const oct_opt *opt;
    const char *text;
} cli_value;

/* A parsed command line. Points into argv. */
typedef struct cli_parsed {
    const oct_cmd *cmd;
    char program[96]; /* "octet cache show" */
    cli_value *value; /* in the order given */
    const char **pos;
    int n_values, n_pos;
    char error[512]; /* "" = fine */
} cli_parsed;

enum cli_progress_mode {
    CLI_PROGRESS_NONE,
    CLI_PROGRESS_BAR,
    CLI_PROGRESS_PLAIN,
    CLI_PROGRESS_JSON
};

struct oct_cli_state {
    const cli_parsed *parsed;
    pthread_mutex_t lock; /* stderr: log lines and the progress bar */
    oct_progress *active; /* progress on the screen, or NULL */
    enum cli_progress_mode progress_mode;
    bool color;
    bool stdout_closed; /* the reader of our pipe has gone */
    char summary[512];
};

/* Parses argv[first ..] for `cmd`; never fails hard, see `error`. Arrays come from malloc(). */
void cli_parse(const oct_cmd *cmd, int argc, char **argv, int first, cli_parsed *out);
void cli_parsed_free(cli_parsed *p);
/* After --help had its chance: missing arguments and required options. */
void cli_check_complete(cli_parsed *p);
const cli_value *cli_find_value(const cli_parsed *p, const char *name, int nth);
/* Checks `text` against type, choices and range; writes the complaint into `error`. */
bool cli_check_value(const oct_opt *opt, const char *text, char *error, size_t cap);

/* Option tables of `cmd` one after the other: own, shared, global. `i` from 0; NULL at the end. */
const oct_opt *cli_opt_at(const oct_cmd *cmd, int i);
const oct_opt *cli_find_opt(const oct_cmd *cmd, const char *name, size_t len);
bool cli_parse_bytes(const char *text, size_t *out);

/* The candidate nearest to `word` within 2 edits, or NULL. */
typedef struct cli_nearest {
    const char *word;
    size_t len;
    const char *best;
    int best_cost;
} cli_nearest;
void cli_nearest_try(cli_nearest *n, const char *candidate);

const oct_cmd *cli_find_cmd(const oct_cmd *const *table, const char *name);
/* Commands by rank then name into `out` (room for `cap`); returns how many. */
int cli_sorted_cmds(const oct_cmd *const *table, const oct_cmd **out, int cap);

void cli_help_program(const oct_cmd *const *table, oct_strbuf *b);
void cli_help_cmd(const oct_cmd *cmd, const char *program, oct_strbuf *b);
void cli_man_program(const oct_cmd *const *table, oct_strbuf *b);
void cli_man_cmd(const oct_cmd *cmd, const char *program, oct_strbuf *b);
/* Completion script for "bash", "zsh" or "fish"; false for another shell. */
bool cli_completion(const oct_cmd *const *table, const char *shell, oct_strbuf *b);

/* Clears the bar before a log line and draws it again after it; the lock is held. */
void cli_progress_hide(struct oct_cli_state *s);
void cli_progress_show(struct oct_cli_state *s);
/* One line on stderr, with the lock taken and the bar out of the way. */
void cli_stderr_line(struct oct_cli_state *s, const char *color, const char *prefix,
                     const char *text);

#define CLI_MAX_CMDS 64

#ifdef __cplusplus
}
#endif

#endif /* OCT_TOOLS_CLI_INTERNAL_H */
