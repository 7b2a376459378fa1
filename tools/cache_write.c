/* SPDX-License-Identifier: Apache-2.0
 *
 * Options and last steps of every command that writes a calibration cache.
 */
#include <dlfcn.h>
#include <string.h>

#include "tools/cache_cmds.h"

const oct_opt oct_cache_write_opts[] = {
    {.name = "to",
     .arg = "FORMAT",
     .type = OCT_OPT_CHOICE,
     .choices = "trt|ort|ort-txt|ncnn|json",
     .group = "Cache",
     .help = "format of the cache; default by its file name"},
    {.name = "trt-version",
     .arg = "V",
     .type = OCT_OPT_TEXT,
     .group = "Cache",
     .help = "TensorRT that will load it (8.6.1, 10.16.1); default the installed one, "
             "else 10.16.1"},
    {.name = "algorithm",
     .arg = "NAME",
     .type = OCT_OPT_CHOICE,
     .choices = "EntropyCalibration2|EntropyCalibration|MinMaxCalibration|LegacyCalibration",
     .group = "Cache",
     .help = "calibrator named in a TensorRT header; default EntropyCalibration2, which "
             "trtexec, DeepStream and DLA ask for"},
    {0}};

/* Version of an installed libnvinfer, in the digits of a cache header; 0 if there is none. */
static unsigned installed_tensorrt(void)
{
    static const char *const names[] = {"libnvinfer.so.10", "libnvinfer.so.8", "libnvinfer.so"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        void *lib = dlopen(names[i], RTLD_LAZY | RTLD_LOCAL);
        if (lib == NULL)
            continue;
        int (*version)(void);
        *(void **)&version = dlsym(lib, "getInferLibVersion");
        const int v = version != NULL ? version() : 0;
        dlclose(lib);
        if (v >= 1000)
            return (unsigned)v;
    }
    return 0;
}

oct_status oct_cache_trt_version(oct_cli *cli, unsigned *version, const char **said)
{
    const char *text = oct_cli_str(cli, "trt-version");
    const char *source = "as asked";
    *version = 0;
    if (text != NULL)
        OCT_TRY(oct_trt_version_parse(cli->ctx, text, version));
    if (*version == 0) {
        *version = installed_tensorrt();
        source = "the installed one";
    }
    if (*version == 0) {
        *version = OCT_TRT_VERSION_DEFAULT;
        source = "none is installed here";
    }
    if (said != NULL)
        *said = source;
    return OCT_OK;
}

oct_status oct_cache_write_choice(oct_cli *cli, const char *path, oct_cache_format fallback,
                                  oct_cache_format *format, oct_cache_write_options *opt)
{
    *opt = (oct_cache_write_options){.trt_algorithm = oct_cli_str(cli, "algorithm")};
    *format = path != NULL ? oct_cache_format_of_path(path) : OCT_CACHE_AUTO;
    if (oct_cli_given(cli, "to"))
        OCT_TRY(oct_cache_format_parse(cli->ctx, oct_cli_str(cli, "to"), format));
    else if (*format == OCT_CACHE_AUTO)
        *format = fallback;
    if (*format == OCT_CACHE_AUTO)
        return oct_cli_usage(cli, "'%s' does not say which cache format; use --to", path);
    if (oct_cli_given(cli, "trt-version"))
        OCT_TRY(
            oct_trt_version_parse(cli->ctx, oct_cli_str(cli, "trt-version"), &opt->trt_version));
    return OCT_OK;
}

oct_status oct_cache_write_file(oct_cli *cli, const oct_ranges *r, const char *path,
                                oct_cache_format format, const oct_cache_write_options *opt)
{
    oct_cache_write_options o = *opt;
    const char *source = "as asked";
    if (format == OCT_CACHE_TRT && o.trt_version == 0)
        OCT_TRY(oct_cache_trt_version(cli, &o.trt_version, &source));
    OCT_TRY(oct_ranges_write(cli->ctx, r, format, &o, path, cli->force));
    if (format == OCT_CACHE_TRT)
        oct_log(cli->ctx, OCT_LOG_INFO,
                "%s is for TensorRT %u (%s); for another: octet cache retarget %s --trt-version V "
                "-o F",
                path, o.trt_version, source, path);
    else
        oct_log(cli->ctx, OCT_LOG_INFO, "wrote %s (%s)", path, oct_cache_format_str(format));
    return OCT_OK;
}
