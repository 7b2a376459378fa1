/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "tools/inspect.h"

static const oct_inspect_kind *const KINDS[] = {&oct_inspect_engine, &oct_inspect_timing,
                                                &oct_inspect_onnx, NULL};

static const oct_pos positions[] = {
    {"FILE", "an ONNX model, an engine file or a timing cache", false, false},
    {NULL, NULL, false, false},
};

static const oct_opt options[] = {
    {.name = "dump", .help = "print the graph as octet sees it, one line a node"},
    {.name = "plan",
     .help = "print the operators as they will run: what is fused, precision, kernel (engine "
             "files: always)"},
    {.name = NULL},
};

static oct_status run(oct_cli *cli)
{
    const char *path = cli->pos[0];
    if (!oct_path_exists(path))
        return oct_fail(cli->ctx, OCT_ERR_NOT_FOUND, "%s: no such file", path);
    if (oct_path_is_dir(path))
        return oct_fail(cli->ctx, OCT_ERR_USAGE, "%s: is a folder, expected a file", path);
    int i = 0;
    while (KINDS[i + 1] && KINDS[i]->is && !KINDS[i]->is(path))
        i++;
    return KINDS[i]->show(cli, path);
}

const oct_cmd oct_cmd_inspect = {
    .name = "inspect",
    .summary = "show what is in a model, an engine file or a timing cache",
    .examples = "  octet inspect m.onnx              inputs, outputs, operators, unsupported ones\n"
                "  octet inspect m.onnx --json       the same for programs\n"
                "  octet inspect m.onnx --dump       the graph, one line a node\n"
                "  octet inspect m.onnx --plan       what runs, fused, on which kernel\n"
                "  octet inspect m.engine            every fused operator, its precision, kernel\n"
                "  octet inspect times.txt           what --timing-cache holds\n",
    .details =
        "Models with operators that octet does not know are shown too, with all of these\n"
        "operators listed; the exit code is 5 then. Multiply-accumulates (MACs) are for one\n"
        "image: a batch dimension that is open counts as 1.\n",
    .pos = positions,
    .opts = options,
    .run = run,
    .rank = 20,
};
