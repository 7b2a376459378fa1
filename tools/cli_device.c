/* SPDX-License-Identifier: Apache-2.0
 *
 * --device: the one place that decides between the CPU and a GPU.
 */
#include <string.h>

#include "kernels/backend.h"
#include "tools/cli.h"

/* Whether a GPU can be used; says what it is or why not. */
static bool find_gpu(oct_ctx *ctx)
{
    oct_backend *be = NULL;
    oct_device_info info = {.name = ""};
    oct_status st = oct_backend_open(ctx, "cuda", &be);
    if (st == OCT_OK && be->vt->device_info)
        st = be->vt->device_info(be, ctx, &info);
    oct_backend_close(be, ctx);
    if (st == OCT_OK) {
        oct_log(ctx, OCT_LOG_INFO, "device cuda:0, %s (--device cpu to leave it alone)", info.name);
        return true;
    }
#if defined(OCT_HAVE_CUDA)
    const oct_log_level level = OCT_LOG_INFO;
#else
    const oct_log_level level = OCT_LOG_DEBUG; /* this build never has one */
#endif
    oct_log(ctx, level, "no GPU, using the CPU: %s", oct_error_text(ctx));
    oct_error_clear(ctx);
    return false;
}

const char *oct_cli_backend(oct_cli *cli, bool reference)
{
    if (reference)
        return "ref";
    if (strcmp(cli->device, "auto") == 0)
        cli->device = find_gpu(cli->ctx) ? "cuda" : "cpu";
    return cli->device;
}

bool oct_cli_on_gpu(oct_cli *cli, bool reference)
{
    return strncmp(oct_cli_backend(cli, reference), "cuda", 4) == 0;
}
