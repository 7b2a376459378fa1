/* SPDX-License-Identifier: Apache-2.0
 *
 * What each file is for and how to feed it to other programs. Names are relative to the folder,
 * so that the text does not depend on where it lies.
 */
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tools/auto.h"

#define MAX_COMMANDS 4

/* ---- shapes of inputs with open sides ---------------------------------------------------- */

static bool is_open(const oct_input_spec *in)
{
    for (int d = 0; d < in->shape.n_dims; d++)
        if (in->shape.dim[d] < 0)
            return true;
    return false;
}

/* "1x3x32x32": open sides are 1, the batch is `batch`. Pictures have no other open sides once they are
 * prepared, so their height and width come from the preprocessing. */
static void shape_text(const oct_auto *a, int i, int64_t batch, const char *separator,
                       oct_strbuf *b)
{
    const oct_shape *s = &a->input[i].shape;
    for (int d = 0; d < s->n_dims; d++) {
        const int64_t known = a->fed[i].n_dims == s->n_dims ? a->fed[i].dim[d] : 1;
        const int64_t open = d == 0 ? batch : known;
        oct_strbuf_addf(b, "%s%lld", d > 0 ? separator : "",
                        (long long)(s->dim[d] >= 0 ? s->dim[d] : open));
    }
}

static const struct {
    const char *name;
    int64_t batch;
} profile[] = {{"min", 1}, {"opt", 8}, {"max", 32}};
#define N_PROFILE (sizeof profile / sizeof profile[0])

/* " --minShapes=x:1x3x32x32 --optShapes=..." */
static void trtexec_shapes(const oct_auto *a, oct_strbuf *b)
{
    for (size_t p = 0; p < N_PROFILE; p++) {
        bool any = false;
        for (int i = 0; i < a->n_inputs; i++) {
            if (!is_open(&a->input[i]))
                continue;
            if (!any)
                oct_strbuf_addf(b, " \\\n  --%sShapes=", profile[p].name);
            oct_strbuf_addf(b, "%s%s:", any ? "," : "", a->input[i].name);
            shape_text(a, i, profile[p].batch, "x", b);
            any = true;
        }
    }
}

/* " --trt-min-shapes 'x:[1,3,32,32]' ..." */
static void polygraphy_shapes(const oct_auto *a, oct_strbuf *b)
{
    for (size_t p = 0; p < N_PROFILE; p++) {
        bool any = false;
        for (int i = 0; i < a->n_inputs; i++) {
            if (!is_open(&a->input[i]))
                continue;
            if (!any)
                oct_strbuf_addf(b, " \\\n  --trt-%s-shapes", profile[p].name);
            oct_strbuf_addf(b, " '%s:[", a->input[i].name);
            shape_text(a, i, profile[p].batch, ",", b);
            oct_strbuf_add(b, "]'");
            any = true;
        }
    }
}

/* " -shape 'x[1,3,32,32]'" */
static void openvino_shapes(const oct_auto *a, oct_strbuf *b)
{
    bool any = false;
    for (int i = 0; i < a->n_inputs; i++) {
        if (!is_open(&a->input[i]))
            continue;
        oct_strbuf_addf(b, "%s%s[", any ? "," : " -shape '", a->input[i].name);
        shape_text(a, i, 1, ",", b);
        oct_strbuf_add(b, "]");
        any = true;
    }
    oct_strbuf_add(b, any ? "'" : "");
}

/* ---- lines to type ----------------------------------------------------------------------- */

/* Each writes one command, after a comment that says for whom; `model` is the float model's file name. */
typedef void (*command_fn)(const oct_auto *a, const char *model, oct_strbuf *b);

static void trt_11(const oct_auto *a, const char *model, oct_strbuf *b)
{
    oct_strbuf_add(b, "# TensorRT 11: explicit Q/DQ is its only INT8\n"
                      "trtexec --onnx=" OCT_AUTO_TRT " --saveEngine=model.plan");
    trtexec_shapes(a, b);
}

static void trt_10(const oct_auto *a, const char *model, oct_strbuf *b)
{
    oct_strbuf_add(b, "# TensorRT 8.5 to 10\ntrtexec --onnx=" OCT_AUTO_TRT
                      " --int8 --fp16 --saveEngine=model.plan");
    trtexec_shapes(a, b);
}

static void trt_cache(const oct_auto *a, const char *model, oct_strbuf *b)
{
    oct_strbuf_addf(b,
                    "# TensorRT up to 10, with the float model\n"
                    "trtexec --onnx=%s --int8 --fp16 --calib=" OCT_AUTO_CACHE
                    " --saveEngine=model.plan",
                    model);
    trtexec_shapes(a, b);
}

static void polygraphy(const oct_auto *a, const char *model, oct_strbuf *b)
{
    oct_strbuf_addf(b,
                    "# Polygraphy, TensorRT up to 10\n"
                    "polygraphy convert %s --int8 --fp16 --calibration-cache " OCT_AUTO_CACHE
                    " -o model.plan",
                    model);
    polygraphy_shapes(a, b);
}

static void deepstream(const oct_auto *a, const char *model, oct_strbuf *b)
{
    oct_strbuf_addf(b,
                    "# DeepStream's nvinfer, TensorRT up to 10: in [property]\n"
                    "onnx-file=%s\nint8-calib-file=" OCT_AUTO_CACHE "\nnetwork-mode=1",
                    model);
}

static void retarget(const oct_auto *a, const char *model, oct_strbuf *b)
{
    oct_strbuf_add(b, "# another TensorRT wants another first line\noctet cache "
                      "retarget " OCT_AUTO_CACHE " --trt-version 8.6.1 -o other.cache");
}

static void onnx_runtime(const oct_auto *a, const char *model, oct_strbuf *b)
{
    oct_strbuf_add(b, "# ONNX Runtime, in Python\nimport onnxruntime\n"
                      "session = onnxruntime.InferenceSession(\"" OCT_AUTO_ORT "\")");
}

static void openvino(const oct_auto *a, const char *model, oct_strbuf *b)
{
    oct_strbuf_add(b, "# OpenVINO\nbenchmark_app -m " OCT_AUTO_ORT);
    openvino_shapes(a, b);
}

static void bench(const oct_auto *a, const char *model, oct_strbuf *b)
{
    oct_strbuf_add(b, "octet bench " OCT_AUTO_INT8 " --profile");
}

static void deployed(const oct_auto *a, const char *model, oct_strbuf *b)
{
    oct_strbuf_add(b, "# how does a deployed engine do? its outputs, one row a picture\n"
                      "octet evaluate " OCT_AUTO_FP32 " outputs:deployed.npy IMAGES");
}

static void other_scales(const oct_auto *a, const char *model, oct_strbuf *b)
{
    oct_strbuf_add(b,
                   "octet scales " OCT_AUTO_STATISTICS " --method entropy --cache entropy.cache");
}

static const struct {
    const char *file, *purpose;
    command_fn command[MAX_COMMANDS + 1];
} guide[] = {
    {OCT_AUTO_TRT, "INT8 model with explicit Q/DQ pairs for TensorRT 8.5 to 11", {trt_11, trt_10}},
    {OCT_AUTO_CACHE,
     "calibration cache for the float model: implicit INT8 of TensorRT up to 10",
     {trt_cache, polygraphy, deepstream, retarget}},
    {OCT_AUTO_ORT,
     "INT8 model with explicit Q/DQ pairs for ONNX Runtime and OpenVINO",
     {onnx_runtime, openvino}},
    {OCT_AUTO_INT8, "octet's INT8 engine, for this machine and others with a CPU", {bench}},
    {OCT_AUTO_FP32, "octet's FP32 engine: what the INT8 one was judged against", {deployed}},
    {OCT_AUTO_STATISTICS,
     "histograms of all activations: other scales and caches without another run",
     {other_scales}},
    {OCT_AUTO_SCALES, "every tensor's scale by every method", {NULL}},
    {OCT_AUTO_CHOICE, "which method was chosen and why", {NULL}},
    {OCT_AUTO_IMAGES, "which picture calibrated, chose or judged, by its hash", {NULL}},
};
#define N_GUIDE (sizeof guide / sizeof guide[0])

/* ---- into the report --------------------------------------------------------------------- */

static int64_t bytes_of(const oct_auto *a, const char *file)
{
    struct stat st;
    char *path = oct_auto_path(a, file);
    const bool ok = path != NULL && stat(path, &st) == 0;
    oct_free(a->ctx, path);
    return ok ? (int64_t)st.st_size : -1;
}

static oct_status fill(const oct_auto *a, size_t i, const char *model, oct_report *r,
                       oct_report_artefact *out)
{
    oct_strbuf b;
    char hex[OCT_SHA256_HEX_BYTES];
    const oct_sha256 *hash = oct_auto_hash(a, guide[i].file);
    out->file = guide[i].file;
    out->purpose = guide[i].purpose;
    out->bytes = bytes_of(a, guide[i].file);
    out->sha256 = hash != NULL ? oct_report_text(r, oct_sha256_hex(hash, hex)) : NULL;
    out->commands = oct_report_texts(r, MAX_COMMANDS);
    if (out->commands == NULL)
        return OCT_ERR_NOMEM;
    oct_strbuf_init(&b, a->ctx);
    for (int k = 0; guide[i].command[k] != NULL; k++) {
        oct_strbuf_clear(&b);
        guide[i].command[k](a, model, &b);
        if (oct_strbuf_status(&b) == OCT_OK)
            out->commands[out->n_commands++] = oct_report_text(r, b.text);
    }
    const oct_status st = oct_strbuf_status(&b);
    oct_strbuf_deinit(&b);
    return st;
}

oct_status oct_auto_guide(const oct_auto *a, oct_report *r)
{
    char model[1024];
    oct_printable(oct_path_name(a->model_path), model, sizeof model);
    r->artefacts = oct_report_array(r, OCT_REPORT_ARTEFACT, N_GUIDE);
    if (r->artefacts == NULL)
        return OCT_ERR_NOMEM;
    r->n_artefacts = N_GUIDE;
    for (size_t i = 0; i < N_GUIDE; i++)
        OCT_TRY(fill(a, i, model, r, &r->artefacts[i]));
    return OCT_OK;
}

/* ---- README.txt -------------------------------------------------------------------------- */

static void indent(oct_strbuf *b, const char *text)
{
    for (const char *at = text; *at != '\0';) {
        const char *end = strchr(at, '\n');
        const size_t n = end != NULL ? (size_t)(end - at) : strlen(at);
        oct_strbuf_add(b, "    ");
        oct_strbuf_add_n(b, at, n);
        oct_strbuf_add(b, "\n");
        at += n + (end != NULL);
    }
}

oct_status oct_auto_readme(const oct_auto *a, const oct_report *r, oct_strbuf *b)
{
    OCT_TRY(oct_report_terminal(a->ctx, r, b));
    oct_strbuf_add(b, "\nThe report is " OCT_AUTO_REPORT_HTML ", its numbers " OCT_AUTO_REPORT_JSON
                      ". The other files, and lines to type in this folder:\n");
    for (size_t i = 0; i < r->n_artefacts; i++) {
        const oct_report_artefact *f = &r->artefacts[i];
        oct_strbuf_addf(b, "\n%s\n  %s\n", f->file, f->purpose);
        for (size_t k = 0; k < f->n_commands; k++)
            indent(b, f->commands[k]);
    }
    return oct_strbuf_status(b);
}
