/* SPDX-License-Identifier: Apache-2.0
 *
 * What a subcommand of the `octet` program is made of. A subcommand is one file
 * tools/cmd_<name>.c that exports `const oct_cmd oct_cmd_<name>`; CMake collects them. Its
 * option table is the only description there is: parsing, --help, man pages and shell
 * completion come from it. A minimal example is in tools/README.md.
 *
 * The contract with the user (DESIGN 9): stdout carries the result only (a table, or JSON
 * with --json); stderr carries log and progress and ends with "octet: OK ..." or
 * "octet: FAILED ..."; the exit code follows from the status.
 */
#ifndef OCT_TOOLS_CLI_H
#define OCT_TOOLS_CLI_H

#include "base/ctx.h"
#include "base/json.h"
#include "base/table.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- describing a subcommand ----------------------------------------------------------- */

typedef enum oct_opt_type {
    OCT_OPT_FLAG,   /* no argument */
    OCT_OPT_TEXT,   /* any text */
    OCT_OPT_FILE,   /* path of a file (completion offers files) */
    OCT_OPT_DIR,    /* path of a folder */
    OCT_OPT_S64,    /* whole number */
    OCT_OPT_F64,    /* decimal number, finite */
    OCT_OPT_BYTES,  /* size: 4096, 512K, 2G */
    OCT_OPT_CHOICE, /* one of `choices` */
    OCT_OPT_COUNT,
} oct_opt_type;

/* One option. Tables end with an entry whose name is NULL. */
typedef struct oct_opt {
    const char *name; /* long name without the dashes */
    const char *arg;  /* name of the argument in help: "FILE"; NULL for flags */
    const char *help; /* one sentence, no full stop needed */
    const char
        *fallback; /* default value as text; NULL = none. What accessors return if not given */
    const char *choices; /* OCT_OPT_CHOICE: "auto|bar|plain" */
    const char *group;   /* heading in help; NULL = "Options" */
    double min, max;     /* numbers: allowed range when min < max */
    oct_opt_type type;
    char letter; /* short name, 0 = none */
    bool repeat; /* may be given several times; otherwise twice is an error */
    bool required;
    bool optional_arg; /* --json or --json=FILE: the value needs the "=" */
} oct_opt;

/* One positional argument. Tables end with an entry whose name is NULL. */
typedef struct oct_pos {
    const char *name; /* "MODEL" */
    const char *help;
    bool optional; /* may be absent (only trailing ones) */
    bool repeat;   /* takes one or more (zero or more if optional); at most one per command */
} oct_pos;

typedef struct oct_cli oct_cli;

typedef struct oct_cmd {
    const char *name;     /* "inspect" */
    const char *summary;  /* one line, lower case, no full stop */
    const char *examples; /* shown first in help; lines "  octet inspect m.onnx" and what they do */
    const char *details;  /* paragraphs after the options; NULL = none */
    const oct_pos *pos;   /* NULL = none */
    const oct_opt *opts;  /* own options; NULL = none */
    const oct_opt *const *shared;     /* NULL-terminated list of option tables used by several
                                     commands, e.g. preprocessing; NULL = none */
    oct_status (*run)(oct_cli *cli);  /* NULL when there are `sub` commands */
    const struct oct_cmd *const *sub; /* NULL-terminated: "octet cache show"; NULL = none */
    int rank; /* place in `octet --help`: auto 10, inspect 20, run 25, bench 26, calibrate 30, ... */
    bool quiet_ok; /* no "octet: OK" line (completion, help-like commands) */
} oct_cmd;

/* Generated from the files tools/cmd_*.c; NULL-terminated. */
extern const oct_cmd *const oct_cmd_table[];

/* Options that every subcommand has: -h -V -q -v -j --device --seed --force --json --progress
 * --color --memory-limit. */
extern const oct_opt oct_global_opts[];

/* ---- running ---------------------------------------------------------------------------- */

/* What run() gets. Fields are read-only. */
struct oct_cli {
    oct_ctx *ctx; /* logs to stderr, cancelled by SIGINT/SIGTERM, bounded by --memory-limit */
    const oct_cmd *cmd;
    const char *program; /* "octet cache show" */
    int n_pos;
    const char *const *pos; /* positional arguments in order, repeats included */
    int n_threads;          /* -j, default oct_cpu_count() */
    bool force, quiet;
    bool json;             /* --json was given */
    const char *json_path; /* --json=FILE; NULL = stdout */
    const char *device;    /* "auto", "cpu", "cuda", "cuda:1" */
    uint64_t seed;
    struct oct_cli_state *state; /* private */
};

/* ---- cli_device.c ---- */

/* The backend that --device means: "ref" with `reference`, else "cpu", "cuda" or "cuda:N". "auto"
 * takes the first GPU, and the CPU where there is none, saying so once. */
const char *oct_cli_backend(oct_cli *cli, bool reference);
bool oct_cli_on_gpu(oct_cli *cli, bool reference);

/* Values by long name. The option must be in the command's tables and, for _s64/_f64/_bytes,
 * of that type (asserted). Without the option the fallback's value; _str: NULL without
 * fallback; numbers: 0. Strings live as long as `cli`. */
bool oct_cli_given(const oct_cli *cli, const char *name);
bool oct_cli_flag(const oct_cli *cli, const char *name);
const char *oct_cli_str(const oct_cli *cli, const char *name);
int64_t oct_cli_s64(const oct_cli *cli, const char *name);
double oct_cli_f64(const oct_cli *cli, const char *name);
size_t oct_cli_bytes(const oct_cli *cli, const char *name);
/* Repeated options: how often given, and the i-th value. */
int oct_cli_count(const oct_cli *cli, const char *name);
const char *oct_cli_str_at(const oct_cli *cli, const char *name, int i);

/* A usage error with "try 'octet inspect --help'". Returns OCT_ERR_USAGE. */
oct_status oct_cli_usage(oct_cli *cli, const char *fmt, ...) OCT_PRINTF(2, 3);

/* Text after "octet: OK " in the last line of stderr, e.g. "wrote stats.h5 (512 images)". */
void oct_cli_summary(oct_cli *cli, const char *fmt, ...) OCT_PRINTF(2, 3);

/* ---- stdout ----------------------------------------------------------------------------- */

/* True when a table for people should go to stdout (no --json, or --json=FILE). */
bool oct_cli_wants_text(const oct_cli *cli);
/* Writes to stdout. A closed pipe is no error (the rest is dropped); a full disk is. */
OCT_MUST_CHECK oct_status oct_cli_print(oct_cli *cli, const char *text);
OCT_MUST_CHECK oct_status oct_cli_printf(oct_cli *cli, const char *fmt, ...) OCT_PRINTF(2, 3);
OCT_MUST_CHECK oct_status oct_cli_print_buf(oct_cli *cli, const oct_strbuf *b);
/* Puts a finished JSON text where --json says (stdout, or FILE atomically); nothing without
 * --json. A newline is added. */
OCT_MUST_CHECK oct_status oct_cli_emit_json(oct_cli *cli, const oct_strbuf *b);

/* A table (base/table.h). */
OCT_MUST_CHECK oct_status oct_cli_print_table(oct_cli *cli, const oct_table *t);

/* ---- progress on stderr ----------------------------------------------------------------- */

/* One task at a time. Updates may come from any thread and are cheap: drawing is limited to
 * some times a second. Bar on a terminal, lines elsewhere, JSON lines with --progress=json:
 * {"event":"progress","task":"calibrate","done":12,"total":512,"unit":"images",...}. */
typedef struct oct_progress oct_progress;
/* `total` < 0 = not known. `task` and `unit` must outlive it. NULL when memory is short:
 * the other functions accept NULL. */
oct_progress *oct_progress_begin(oct_cli *cli, const char *task, const char *unit, int64_t total);
void oct_progress_set(oct_progress *p, int64_t done); /* never moves backwards */
void oct_progress_add(oct_progress *p, int64_t n);
void oct_progress_end(oct_progress *p); /* draws the last state and frees */

/* ---- the program ------------------------------------------------------------------------ */

/* Whole program: parses, runs, reports; returns the exit code. `table` as oct_cmd_table. */
int oct_cli_main(int argc, char **argv, const oct_cmd *const *table);

#ifdef __cplusplus
}
#endif

#endif /* OCT_TOOLS_CLI_H */
