/* SPDX-License-Identifier: Apache-2.0
 *
 * --help and man pages from the option tables.
 */
#include <string.h>

#include "base/build_info.h"
#include "tools/cli_internal.h"

#define WIDTH 88
#define HELP_COLUMN 28

static const char exit_codes[] =
    "0 ok, 1 quality gate failed, 2 wrong usage, 3 input missing, 4 corrupt or hostile input, "
    "5 unsupported, 6 out of memory or over a limit, 7 GPU error, 8 I/O error or disk full, "
    "9 internal error, 130/143 stopped by a signal (checkpoints are kept)";

static const char *heading_of(const oct_opt *opt)
{
    return opt->group ? opt->group : "Options";
}

/* Words of `s` from column `at`, broken before WIDTH and indented to `indent`. */
static void wrap(oct_strbuf *b, const char *s, int at, int indent)
{
    while (*s) {
        const int n = (int)strcspn(s, " ");
        if (at > indent && at + 1 + n > WIDTH) {
            oct_strbuf_addf(b, "\n%*s", indent, "");
            at = indent;
        } else if (at > indent) {
            oct_strbuf_add(b, " ");
            at++;
        }
        oct_strbuf_add_n(b, s, (size_t)n);
        at += n;
        s += n;
        s += strspn(s, " ");
    }
    oct_strbuf_add(b, "\n");
}

/* "    --top N" or "-o, --out FILE"; returns its width. */
static int add_option_name(oct_strbuf *b, const oct_opt *opt)
{
    const size_t start = b->len;
    if (opt->letter)
        oct_strbuf_addf(b, "-%c, ", opt->letter);
    else
        oct_strbuf_add(b, "    ");
    oct_strbuf_addf(b, "--%s", opt->name);
    if (opt->arg)
        oct_strbuf_addf(b, opt->optional_arg ? "[=%s]" : " %s", opt->arg);
    return (int)(b->len - start);
}

/* Help, choices, default, "repeatable" as one sentence. */
static void add_option_text(oct_strbuf *b, const oct_opt *opt)
{
    oct_strbuf_add(b, opt->help);
    for (const char *p = opt->choices, *sep = ": "; p; sep = ", ") {
        const size_t n = strcspn(p, "|");
        oct_strbuf_add(b, sep);
        oct_strbuf_add_n(b, p, n);
        p = p[n] ? p + n + 1 : NULL;
    }
    if (opt->fallback)
        oct_strbuf_addf(b, " (default: %s)", opt->fallback);
    if (opt->required)
        oct_strbuf_add(b, " (required)");
    if (opt->repeat)
        oct_strbuf_add(b, " (may be repeated)");
}

static void help_option(oct_strbuf *b, const oct_opt *opt)
{
    oct_strbuf text;
    oct_strbuf_init(&text, b->ctx);
    add_option_text(&text, opt);
    oct_strbuf_add(b, "  ");
    int at = 2 + add_option_name(b, opt);
    if (at + 2 > HELP_COLUMN) {
        oct_strbuf_add(b, "\n");
        at = 0;
    }
    oct_strbuf_addf(b, "%*s", HELP_COLUMN - at, "");
    wrap(b, text.text ? text.text : "", HELP_COLUMN, HELP_COLUMN);
    oct_strbuf_deinit(&text);
}

/* Is option `i` the first one under its heading? */
static bool opens_heading(const oct_cmd *cmd, int i)
{
    const char *heading = heading_of(cli_opt_at(cmd, i));
    for (int k = 0; k < i; k++) {
        if (strcmp(heading_of(cli_opt_at(cmd, k)), heading) == 0)
            return false;
    }
    return true;
}

typedef void (*option_fn)(oct_strbuf *b, const oct_opt *opt);

/* Options under their headings, headings in order of first appearance. */
static void for_each_heading(const oct_cmd *cmd, oct_strbuf *b, const char *heading_fmt,
                             option_fn fn)
{
    const oct_opt *opt, *other;
    for (int i = 0; (opt = cli_opt_at(cmd, i)); i++) {
        if (!opens_heading(cmd, i))
            continue;
        const char *heading = heading_of(opt);
        oct_strbuf_add(b, heading_fmt);
        oct_strbuf_add(b, heading);
        oct_strbuf_add(b, heading_fmt[0] == '\n' ? ":\n" : "\n");
        for (int k = i; (other = cli_opt_at(cmd, k)); k++) {
            if (strcmp(heading_of(other), heading) == 0)
                fn(b, other);
        }
    }
}

static void add_synopsis(oct_strbuf *b, const oct_cmd *cmd, const char *program)
{
    oct_strbuf_addf(b, "%s", program);
    if (cmd->sub)
        oct_strbuf_add(b, " COMMAND");
    for (const oct_pos *p = cmd->pos; p && p->name; p++)
        oct_strbuf_addf(b, " %s%s%s%s", p->optional ? "[" : "", p->name, p->repeat ? "..." : "",
                        p->optional ? "]" : "");
    for (int i = 0; cli_opt_at(cmd, i); i++) {
        const oct_opt *opt = cli_opt_at(cmd, i);
        if (opt->required)
            oct_strbuf_addf(b, " --%s %s", opt->name, opt->arg);
    }
    oct_strbuf_add(b, " [options]\n");
}

static void list_commands(const oct_cmd *const *table, oct_strbuf *b)
{
    const oct_cmd *sorted[CLI_MAX_CMDS];
    const int n = cli_sorted_cmds(table, sorted, CLI_MAX_CMDS);
    for (int i = 0; i < n; i++) {
        oct_strbuf_addf(b, "  %-14s", sorted[i]->name);
        wrap(b, sorted[i]->summary, 16, 16);
    }
}

void cli_help_program(const oct_cmd *const *table, oct_strbuf *b)
{
    oct_strbuf_add(b, "octet " OCT_VERSION
                      " - INT8 calibration and quantization for neural networks\n\n"
                      "Examples:\n"
                      "  octet inspect model.onnx\n"
                      "  octet calibrate model.onnx photos/ --preset imagenet -o stats.h5\n"
                      "  octet scales stats.h5 --method entropy --cache model.cache\n\n"
                      "Commands:\n");
    list_commands(table, b);
    oct_strbuf_add(b, "\n'octet COMMAND --help' explains one of them. Exit codes:\n  ");
    wrap(b, exit_codes, 2, 2);
}

void cli_help_cmd(const oct_cmd *cmd, const char *program, oct_strbuf *b)
{
    oct_strbuf_addf(b, "%s - %s\n\n", program, cmd->summary);
    if (cmd->examples)
        oct_strbuf_addf(b, "Examples:\n%s\n", cmd->examples);
    oct_strbuf_add(b, "Usage: ");
    add_synopsis(b, cmd, program);
    if (cmd->pos && cmd->pos->name)
        oct_strbuf_add(b, "\nArguments:\n");
    for (const oct_pos *p = cmd->pos; p && p->name; p++) {
        const int n = (int)strlen(p->name);
        oct_strbuf_addf(b, "  %s%*s", p->name, n + 4 > HELP_COLUMN ? 2 : HELP_COLUMN - 2 - n, "");
        wrap(b, p->help, HELP_COLUMN, HELP_COLUMN);
    }
    if (cmd->sub) {
        oct_strbuf_add(b, "\nCommands:\n");
        list_commands(cmd->sub, b);
    }
    for_each_heading(cmd, b, "\n", help_option);
    if (cmd->details)
        oct_strbuf_addf(b, "\n%s", cmd->details);
    if (cmd->details && b->len && b->text[b->len - 1] != '\n')
        oct_strbuf_add(b, "\n");
}

/* ---- man pages --------------------------------------------------------------------------- */

/* Text with roff's special characters made harmless; `at_line_start` guards '.' and '\''. */
static void roff(oct_strbuf *b, const char *s)
{
    bool line_start = true;
    for (; *s; s++) {
        if (line_start && (*s == '.' || *s == '\''))
            oct_strbuf_add(b, "\\&");
        line_start = *s == '\n';
        if (*s == '\\')
            oct_strbuf_add(b, "\\e");
        else if (*s == '-')
            oct_strbuf_add(b, "\\-");
        else
            oct_strbuf_add_n(b, s, 1);
    }
}

static void man_option(oct_strbuf *b, const oct_opt *opt)
{
    oct_strbuf text;
    oct_strbuf_init(&text, b->ctx);
    add_option_text(&text, opt);
    oct_strbuf_add(b, ".TP\n");
    if (opt->letter)
        oct_strbuf_addf(b, "\\fB\\-%c\\fR, ", opt->letter);
    oct_strbuf_add(b, "\\fB\\-\\-");
    roff(b, opt->name);
    oct_strbuf_add(b, "\\fR");
    if (opt->arg)
        oct_strbuf_addf(b, opt->optional_arg ? "[=\\fI%s\\fR]" : " \\fI%s\\fR", opt->arg);
    oct_strbuf_add(b, "\n");
    roff(b, text.text ? text.text : "");
    oct_strbuf_add(b, "\n");
    oct_strbuf_deinit(&text);
}

static void man_head(oct_strbuf *b, const char *program, const char *summary)
{
    oct_strbuf_add(b, ".TH \"");
    for (const char *p = program; *p; p++)
        oct_strbuf_addf(b, "%c", *p == ' ' ? '-' : *p >= 'a' && *p <= 'z' ? *p - 32 : *p);
    oct_strbuf_add(b, "\" 1 \"\" \"octet " OCT_VERSION "\" \"octet manual\"\n.SH NAME\n");
    for (const char *p = program; *p; p++)
        oct_strbuf_addf(b, "%s", *p == ' ' ? "\\-" : (char[]){*p, 0});
    oct_strbuf_addf(b, " \\- ");
    roff(b, summary);
    oct_strbuf_add(b, "\n");
}

static void man_examples(oct_strbuf *b, const char *examples)
{
    oct_strbuf_add(b, ".SH EXAMPLES\n.nf\n");
    roff(b, examples);
    oct_strbuf_add(b, ".fi\n");
}

static void man_exit_status(oct_strbuf *b)
{
    oct_strbuf_add(b, ".SH EXIT STATUS\n");
    roff(b, exit_codes);
    oct_strbuf_add(b, "\n");
}

void cli_man_cmd(const oct_cmd *cmd, const char *program, oct_strbuf *b)
{
    man_head(b, program, cmd->summary);
    oct_strbuf_add(b, ".SH SYNOPSIS\n");
    add_synopsis(b, cmd, program);
    if (cmd->examples)
        man_examples(b, cmd->examples);
    if (cmd->pos && cmd->pos->name)
        oct_strbuf_add(b, ".SH ARGUMENTS\n");
    for (const oct_pos *p = cmd->pos; p && p->name; p++) {
        oct_strbuf_addf(b, ".TP\n\\fI%s\\fR\n", p->name);
        roff(b, p->help);
        oct_strbuf_add(b, "\n");
    }
    for (const oct_cmd *const *t = cmd->sub; t && *t; t++) {
        oct_strbuf_addf(b, "%s.TP\n\\fB%s\\fR\n", t == cmd->sub ? ".SH COMMANDS\n" : "",
                        (*t)->name);
        roff(b, (*t)->summary);
        oct_strbuf_add(b, "\n");
    }
    oct_strbuf_add(b, ".SH OPTIONS\n");
    for_each_heading(cmd, b, ".SS ", man_option);
    if (cmd->details) {
        oct_strbuf_add(b, ".SH NOTES\n.nf\n");
        roff(b, cmd->details);
        oct_strbuf_add(b, "\n.fi\n");
    }
    man_exit_status(b);
}

void cli_man_program(const oct_cmd *const *table, oct_strbuf *b)
{
    const oct_cmd *sorted[CLI_MAX_CMDS];
    const int n = cli_sorted_cmds(table, sorted, CLI_MAX_CMDS);
    man_head(b, "octet", "INT8 calibration and quantization for neural networks");
    oct_strbuf_add(b, ".SH SYNOPSIS\n\\fBoctet\\fR \\fICOMMAND\\fR [arguments] [options]\n"
                      ".SH COMMANDS\n");
    for (int i = 0; i < n; i++) {
        oct_strbuf_addf(b, ".TP\n\\fBoctet\\-%s\\fR(1)\n", sorted[i]->name);
        roff(b, sorted[i]->summary);
        oct_strbuf_add(b, "\n");
    }
    man_exit_status(b);
}
