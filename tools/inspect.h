/* SPDX-License-Identifier: Apache-2.0
 *
 * octet inspect: one row a kind of file. To add a kind, write inspect_<kind>.c with a row and
 * name it in the table of cmd_inspect.c. The first row whose is() accepts the file shows it; the last
 * one takes whatever is left and explains what is wrong with it.
 */
#ifndef OCT_TOOLS_INSPECT_H
#define OCT_TOOLS_INSPECT_H

#include "tools/cli.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_inspect_kind {
    const char *name;
    bool (*is)(const char *path); /* looks at the first bytes; NULL = anything */
    oct_status (*show)(oct_cli *cli, const char *path); /* to stdout, or JSON with --json */
} oct_inspect_kind;

extern const oct_inspect_kind oct_inspect_engine, oct_inspect_timing, oct_inspect_onnx;

#ifdef __cplusplus
}
#endif

#endif /* OCT_TOOLS_INSPECT_H */
