/* SPDX-License-Identifier: Apache-2.0
 *
 * The words after "octet cache", and what other commands share with them.
 */
#ifndef OCT_TOOLS_CACHE_CMDS_H
#define OCT_TOOLS_CACHE_CMDS_H

#include "calib/cache_tools.h"
#include "tools/cli.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const oct_cmd oct_cache_show, oct_cache_convert, oct_cache_diff_cmd, oct_cache_lint_cmd,
    oct_cache_retarget_cmd, oct_cache_rename_cmd, oct_cache_merge_cmd;

/* --trt-version, --algorithm and --to: how a cache is written. */
extern const oct_opt oct_cache_write_opts[];

/* Version of TensorRT that --trt-version names, else of an installed one, else the default; `*said` (may be NULL) is
 * where it came from. The command needs this option only. */
OCT_MUST_CHECK oct_status oct_cache_trt_version(oct_cli *cli, unsigned *version, const char **said);

/* Reads those options. `*format` is --to, else by the name of `path`, else `fallback`. */
OCT_MUST_CHECK oct_status oct_cache_write_choice(oct_cli *cli, const char *path,
                                                 oct_cache_format fallback,
                                                 oct_cache_format *format,
                                                 oct_cache_write_options *opt);

/* Writes `r` to `path` as chosen and says what a TensorRT header was aimed at. */
OCT_MUST_CHECK oct_status oct_cache_write_file(oct_cli *cli, const oct_ranges *r, const char *path,
                                               oct_cache_format format,
                                               const oct_cache_write_options *opt);

#ifdef __cplusplus
}
#endif

#endif /* OCT_TOOLS_CACHE_CMDS_H */
