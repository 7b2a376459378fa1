/* SPDX-License-Identifier: Apache-2.0
 *
 * Command line -> cli_parsed. Long options are never abbreviated (a script must not change
 * its meaning when an option is added); a mistyped one gets "did you mean".
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "tools/cli_internal.h"

const oct_opt oct_global_opts[] = {
    {.name = "help", .letter = 'h', .help = "show this help", .group = "Common options"},
    {.name = "version", .letter = 'V', .help = "show the version", .group = "Common options"},
    {.name = "quiet", .letter = 'q', .help = "show errors only", .group = "Common options"},
    {.name = "verbose", .letter = 'v', .help = "show details", .group = "Common options"},
    {.name = "threads",
     .letter = 'j',
     .arg = "N",
     .type = OCT_OPT_S64,
     .min = 1,
     .max = 1024,
     .help = "use N threads (default: the cores that affinity and cgroup quota allow)",
     .group = "Common options"},
    {.name = "device",
     .arg = "DEVICE",
     .type = OCT_OPT_TEXT,
     .fallback = "auto",
     .help = "auto, cpu, cuda or cuda:N",
     .group = "Common options"},
    {.name = "seed",
     .arg = "N",
     .type = OCT_OPT_S64,
     .fallback = "0",
     .min = 0,
     .max = 9e15,
     .help = "seed of everything random",
     .group = "Common options"},
    {.name = "force", .help = "replace existing output files", .group = "Common options"},
    {.name = "json",
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .optional_arg = true,
     .help = "write the result as JSON, to stdout or to FILE",
     .group = "Common options"},
    {.name = "progress",
     .arg = "HOW",
     .type = OCT_OPT_CHOICE,
     .fallback = "auto",
     .choices = "auto|bar|plain|json|none",
     .help = "progress on stderr: a bar on a terminal, lines elsewhere",
     .group = "Common options"},
    {.name = "color",
     .arg = "WHEN",
     .type = OCT_OPT_CHOICE,
     .fallback = "auto",
     .choices = "auto|always|never",
     .help = "colours on stderr (NO_COLOR is honoured)",
     .group = "Common options"},
    {.name = "memory-limit",
     .arg = "SIZE",
     .type = OCT_OPT_BYTES,
     .help = "fail with exit code 6 rather than use more memory than SIZE (512M, 4G)",
     .group = "Common options"},
    {0},
};

/* ---- option tables --------------------------------------------------------------------- */

static const oct_opt *take(const oct_opt *table, int *i)
{
    for (; table && table->name; table++) {
        if ((*i)-- == 0)
            return table;
    }
    return NULL;
}

const oct_opt *cli_opt_at(const oct_cmd *cmd, int i)
{
    const oct_opt *opt = take(cmd->opts, &i);
    for (const oct_opt *const *t = cmd->shared; !opt && t && *t; t++)
        opt = take(*t, &i);
    return opt ? opt : take(oct_global_opts, &i);
}

const oct_opt *cli_find_opt(const oct_cmd *cmd, const char *name, size_t len)
{
    const oct_opt *opt;
    for (int i = 0; (opt = cli_opt_at(cmd, i)); i++) {
        if (strlen(opt->name) == len && memcmp(opt->name, name, len) == 0)
            return opt;
    }
    return NULL;
}

static const oct_opt *find_letter(const oct_cmd *cmd, char letter)
{
    const oct_opt *opt;
    for (int i = 0; (opt = cli_opt_at(cmd, i)); i++) {
        if (opt->letter == letter)
            return opt;
    }
    return NULL;
}

const oct_cmd *cli_find_cmd(const oct_cmd *const *table, const char *name)
{
    for (; *table; table++) {
        if (strcmp((*table)->name, name) == 0)
            return *table;
    }
    return NULL;
}

static int cmd_order(const void *a, const void *b)
{
    const oct_cmd *x = *(const oct_cmd *const *)a, *y = *(const oct_cmd *const *)b;
    return x->rank != y->rank ? (x->rank > y->rank) - (x->rank < y->rank)
                              : strcmp(x->name, y->name);
}

int cli_sorted_cmds(const oct_cmd *const *table, const oct_cmd **out, int cap)
{
    int n = 0;
    for (; *table && n < cap; table++)
        out[n++] = *table;
    qsort(out, (size_t)n, sizeof *out, cmd_order);
    return n;
}

/* ---- "did you mean" -------------------------------------------------------------------- */

#define MAX_WORD 32

/* Edits (insert, delete, replace, swap neighbours) from a to b; both at most MAX_WORD long. */
static int edit_distance(const char *a, int n, const char *b, int m)
{
    int d[MAX_WORD + 1][MAX_WORD + 1];
    for (int i = 0; i <= n; i++)
        d[i][0] = i;
    for (int j = 0; j <= m; j++)
        d[0][j] = j;
    for (int i = 1; i <= n; i++) {
        for (int j = 1; j <= m; j++) {
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = d[i - 1][j] + 1 < best ? d[i - 1][j] + 1 : best;
            best = d[i][j - 1] + 1 < best ? d[i][j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = d[i - 2][j - 2] + 1 < best ? d[i - 2][j - 2] + 1 : best;
            d[i][j] = best;
        }
    }
    return d[n][m];
}

void cli_nearest_try(cli_nearest *n, const char *candidate)
{
    const size_t len = strlen(candidate);
    if (n->len > MAX_WORD || len > MAX_WORD || n->len == 0)
        return;
    int cost = edit_distance(n->word, (int)n->len, candidate, (int)len);
    if (n->len >= 3 && len > n->len && strncmp(n->word, candidate, n->len) == 0)
        cost = 1; /* a beginning of the right word */
    const int allowed = n->len <= 3 ? 1 : 2;
    if (cost <= allowed && (!n->best || cost < n->best_cost)) {
        n->best = candidate;
        n->best_cost = cost;
    }
}

/* ---- values ---------------------------------------------------------------------------- */

bool cli_parse_bytes(const char *text, size_t *out)
{
    static const char units[] = "KMGT";
    const size_t digits = strspn(text, "0123456789");
    const char *unit = text + digits;
    uint64_t v;
    size_t bytes;
    if (!oct_parse_u64(text, digits, &v) || v > SIZE_MAX)
        return false;
    bytes = (size_t)v;
    if (*unit && strchr(units, *unit)) {
        const unsigned shift = 10 * (unsigned)(strchr(units, *unit) - units + 1);
        if (!oct_mul_size(bytes, (size_t)1 << shift, &bytes))
            return false;
        unit++;
    }
    if (strcmp(unit, "") != 0 && strcmp(unit, "B") != 0 && strcmp(unit, "iB") != 0)
        return false;
    *out = bytes;
    return true;
}

static bool is_choice(const char *choices, const char *text)
{
    const size_t n = strlen(text);
    for (const char *p = choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL) {
        if (strcspn(p, "|") == n && memcmp(p, text, n) == 0)
            return true;
    }
    return false;
}

static bool check_number(const oct_opt *opt, const char *text, char *error, size_t cap)
{
    char lo[OCT_NUM_TEXT_BYTES], hi[OCT_NUM_TEXT_BYTES];
    int64_t whole = 0;
    double v = 0;
    const bool is_whole = opt->type == OCT_OPT_S64;
    const bool ok = is_whole ? oct_parse_s64(text, strlen(text), &whole)
                             : oct_parse_f64(text, strlen(text), &v) && isfinite(v);
    if (is_whole)
        v = (double)whole;
    if (!ok)
        snprintf(error, cap, "--%s: '%s' is not a %s number", opt->name, text,
                 is_whole ? "whole" : "decimal");
    else if (opt->min < opt->max && !(v >= opt->min && v <= opt->max))
        snprintf(error, cap, "--%s: %s is out of range [%s, %s]", opt->name, text,
                 oct_f64_text(opt->min, lo), oct_f64_text(opt->max, hi));
    else
        return true;
    return false;
}

bool cli_check_value(const oct_opt *opt, const char *text, char *error, size_t cap)
{
    size_t bytes;
    switch (opt->type) {
    case OCT_OPT_S64:
    case OCT_OPT_F64:
        return check_number(opt, text, error, cap);
    case OCT_OPT_BYTES:
        if (cli_parse_bytes(text, &bytes))
            return true;
        snprintf(error, cap, "--%s: '%s' is not a size (4096, 512K, 2G)", opt->name, text);
        return false;
    case OCT_OPT_CHOICE:
        if (is_choice(opt->choices, text))
            return true;
        snprintf(error, cap, "--%s: '%s' is not one of %s", opt->name, text, opt->choices);
        return false;
    case OCT_OPT_FILE:
    case OCT_OPT_DIR:
        if (text[0] != '\0')
            return true;
        snprintf(error, cap, "--%s: the path is empty", opt->name);
        return false;
    default:
        return true;
    }
}

/* ---- parsing --------------------------------------------------------------------------- */

const cli_value *cli_find_value(const cli_parsed *p, const char *name, int nth)
{
    for (int i = 0; i < p->n_values; i++) {
        if (strcmp(p->value[i].opt->name, name) == 0 && nth-- == 0)
            return &p->value[i];
    }
    return NULL;
}

static void add_value(cli_parsed *p, const oct_opt *opt, const char *text)
{
    if (text && !cli_check_value(opt, text, p->error, sizeof p->error))
        return;
    if (!opt->repeat && opt->type != OCT_OPT_FLAG && cli_find_value(p, opt->name, 0)) {
        snprintf(p->error, sizeof p->error, "--%s is given twice", opt->name);
        return;
    }
    p->value[p->n_values++] = (cli_value){opt, text};
}

static void unknown_long(cli_parsed *p, const char *arg, size_t len)
{
    cli_nearest near = {.word = arg, .len = len};
    const oct_opt *opt;
    for (int i = 0; (opt = cli_opt_at(p->cmd, i)); i++)
        cli_nearest_try(&near, opt->name);
    const int n = len > 64 ? 64 : (int)len;
    if (near.best)
        snprintf(p->error, sizeof p->error, "unknown option --%.*s; did you mean --%s?", n, arg,
                 near.best);
    else
        snprintf(p->error, sizeof p->error, "unknown option --%.*s", n, arg);
}

/* Takes the option's argument from `attached` or from the next word; returns words used. */
static int take_argument(cli_parsed *p, const oct_opt *opt, const char *attached, const char *next)
{
    if (opt->type == OCT_OPT_FLAG) {
        if (attached)
            snprintf(p->error, sizeof p->error, "--%s takes no value", opt->name);
        else
            add_value(p, opt, NULL);
        return 0;
    }
    if (attached || opt->optional_arg) {
        add_value(p, opt, attached);
        return 0;
    }
    if (!next) {
        snprintf(p->error, sizeof p->error, "--%s needs a value: %s", opt->name, opt->arg);
        return 0;
    }
    add_value(p, opt, next);
    return 1;
}

static int parse_long(cli_parsed *p, const char *arg, const char *next)
{
    const size_t len = strcspn(arg, "=");
    const oct_opt *opt = cli_find_opt(p->cmd, arg, len);
    if (!opt) {
        unknown_long(p, arg, len);
        return 0;
    }
    return take_argument(p, opt, arg[len] == '=' ? arg + len + 1 : NULL, next);
}

static int parse_letters(cli_parsed *p, const char *arg, const char *next)
{
    for (; *arg && !p->error[0]; arg++) {
        const oct_opt *opt = find_letter(p->cmd, *arg);
        if (!opt) {
            snprintf(p->error, sizeof p->error, "unknown option -%c", *arg);
            return 0;
        }
        if (opt->type != OCT_OPT_FLAG)
            return take_argument(p, opt, arg[1] ? arg + 1 : NULL, next);
        add_value(p, opt, NULL);
    }
    return 0;
}

void cli_parse(const oct_cmd *cmd, int argc, char **argv, int first, cli_parsed *out)
{
    bool options = true;
    out->cmd = cmd;
    /* a bundle such as -qv yields more values than words, at most one per letter */
    size_t letters = 1;
    for (int i = first; i < argc; i++)
        letters += argv[i][0] == '-' ? strlen(argv[i]) : 0;
    out->value = calloc(letters, sizeof *out->value);
    out->pos = calloc((size_t)argc + 1, sizeof *out->pos);
    if (!out->value || !out->pos) {
        snprintf(out->error, sizeof out->error, "out of memory");
        return;
    }
    for (int i = first; i < argc && !out->error[0]; i++) {
        const char *arg = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (options && strcmp(arg, "--") == 0)
            options = false;
        else if (options && strncmp(arg, "--", 2) == 0)
            i += parse_long(out, arg + 2, next);
        else if (options && arg[0] == '-' && arg[1])
            i += parse_letters(out, arg + 1, next);
        else
            out->pos[out->n_pos++] = arg;
    }
}

void cli_parsed_free(cli_parsed *p)
{
    free(p->value);
    free(p->pos);
}

void cli_check_complete(cli_parsed *p)
{
    const oct_opt *opt;
    const oct_pos *pos = p->cmd->pos;
    bool more = false;
    int n = 0;
    for (; pos && pos->name; pos++, n++) {
        more |= pos->repeat;
        if (!pos->optional && n >= p->n_pos) {
            snprintf(p->error, sizeof p->error, "missing argument %s", pos->name);
            return;
        }
    }
    if (p->n_pos > n && !more) {
        snprintf(p->error, sizeof p->error, "unexpected argument '%s'", p->pos[n]);
        return;
    }
    for (int i = 0; (opt = cli_opt_at(p->cmd, i)); i++) {
        if (opt->required && !cli_find_value(p, opt->name, 0)) {
            snprintf(p->error, sizeof p->error, "missing option --%s %s", opt->name, opt->arg);
            return;
        }
    }
}
