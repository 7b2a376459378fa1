/* SPDX-License-Identifier: Apache-2.0
 *
 * octet cache: the toolbox for calibration caches.
 */
#include "tools/cache_cmds.h"

static const oct_cmd *const words[] = {
    &oct_cache_show,         &oct_cache_convert,    &oct_cache_diff_cmd,  &oct_cache_lint_cmd,
    &oct_cache_retarget_cmd, &oct_cache_rename_cmd, &oct_cache_merge_cmd, NULL};

const oct_cmd oct_cmd_cache = {
    .name = "cache",
    .summary = "show, convert, compare, check and mend calibration caches",
    .examples = "  octet cache show calibration.cache\n"
                "  octet cache lint calibration.cache model.onnx\n"
                "  octet cache retarget old.cache --trt-version 10.16.1 -o new.cache\n",
    .sub = words,
    .rank = 60,
};
