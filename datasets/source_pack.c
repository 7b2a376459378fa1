/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/source.h"

oct_status oct_source_open_pack(oct_ctx *ctx, const oct_source_request *r, oct_source **out)
{
    (void)out;
    return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "%s: packs are not supported yet", r->opt->path);
}
