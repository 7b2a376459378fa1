/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/cli_internal.h"

static const oct_pos positions[] = {{.name = "SHELL", .help = "bash, zsh or fish"}, {0}};

static oct_status run(oct_cli *cli)
{
    oct_strbuf b;
    oct_status st;
    oct_strbuf_init(&b, cli->ctx);
    if (cli_completion(oct_cmd_table, cli->pos[0], &b))
        st = oct_cli_print_buf(cli, &b);
    else
        st = oct_cli_usage(cli, "no completion for '%s', only for bash, zsh and fish", cli->pos[0]);
    oct_strbuf_deinit(&b);
    return st;
}

const oct_cmd oct_cmd_completion = {
    .name = "completion",
    .summary = "print a shell completion script",
    .examples = "  source <(octet completion bash)                     this shell only\n"
                "  octet completion zsh > ~/.zfunc/_octet              every zsh\n"
                "  octet completion fish > ~/.config/fish/completions/octet.fish\n",
    .pos = positions,
    .run = run,
    .rank = 96,
    .quiet_ok = true,
};
