/* SPDX-License-Identifier: Apache-2.0
 *
 * octet: the public C API of liboctet.
 *
 *     octet_ctx *ctx;
 *     if (octet_ctx_new(NULL, &ctx) != OCTET_OK)
 *         return 1;
 *     octet_model *model;
 *     if (octet_model_open(ctx, "model.onnx", NULL, &model) != OCTET_OK)
 *         fprintf(stderr, "%s\n", octet_error_text(ctx));
 *
 * Conventions
 * - Every function that can fail on its input returns octet_status; the reason is text in
 *   the context (octet_error_text). Outputs are untouched on failure. The library never
 *   prints, exits or aborts because of an input.
 * - Handles are opaque. `octet_x_open/new` makes one, `octet_x_close/free` ends it; NULL is
 *   allowed there. Objects end before their context.
 * - Option structs begin with `struct_size`; set it with OCTET_INIT(options) and change the
 *   fields you care about. Zero always means "default", so later versions can add fields.
 *   NULL options mean all defaults.
 * - One context serves one thread at a time. Use one per thread; they share nothing.
 * - Strings are UTF-8. Pointers returned as `const` belong to the object they came from.
 * - Functions of a minor version are never removed or changed; symbols start with octet_.
 */
#ifndef OCTET_OCTET_H
#define OCTET_OCTET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define OCTET_API __attribute__((visibility("default")))
#define OCTET_MUST_CHECK __attribute__((warn_unused_result))
#else
#define OCTET_API
#define OCTET_MUST_CHECK
#endif

/* Clears an option struct and sets its size: `OCTET_INIT(opt);` */
#define OCTET_INIT(options) octet_init_options(&(options), sizeof(options))
static inline void octet_init_options(void *options, size_t bytes)
{
    unsigned char *p = (unsigned char *)options;
    size_t i;
    for (i = 0; i < bytes; i++)
        p[i] = 0;
    *(size_t *)options = bytes;
}

/* ---- version ---------------------------------------------------------------------------- */

#define OCTET_VERSION_MAJOR 0
#define OCTET_VERSION_MINOR 1
#define OCTET_VERSION_PATCH 0

/* "0.1.0": the library that is running, which may be newer than this header. */
OCTET_API const char *octet_version(void);

/* ---- status ----------------------------------------------------------------------------- */

typedef enum octet_status {
    OCTET_OK = 0,
    OCTET_ERR_NOMEM = -1,       /* out of memory */
    OCTET_ERR_IO = -2,          /* reading or writing failed, disk full */
    OCTET_ERR_FORMAT = -3,      /* malformed file */
    OCTET_ERR_VERSION = -4,     /* file of a version this library does not read */
    OCTET_ERR_UNSUPPORTED = -5, /* operator, attribute or model not supported */
    OCTET_ERR_SHAPE = -6,       /* tensor shapes do not agree */
    OCTET_ERR_RANGE = -7,       /* value out of range */
    OCTET_ERR_STALE = -8,       /* file belongs to another model */
    OCTET_ERR_DEVICE = -9,      /* GPU error */
    OCTET_ERR_USAGE = -10,      /* wrong argument or configuration */
    OCTET_ERR_NOT_FOUND = -11,  /* input missing */
    OCTET_ERR_LIMIT = -12,      /* a limit was exceeded */
    OCTET_ERR_GATE = -13,       /* quality gate failed */
    OCTET_ERR_CANCELLED = -14,  /* the cancel callback said so */
    OCTET_ERR_BUG = -15         /* internal error: please report */
} octet_status;

/* Constant text, e.g. "malformed file". Never NULL. */
OCTET_API const char *octet_status_str(octet_status st);

/* ---- context ---------------------------------------------------------------------------- */

typedef struct octet_ctx octet_ctx;

typedef enum octet_log_level {
    OCTET_LOG_ERROR,
    OCTET_LOG_WARN,
    OCTET_LOG_INFO,
    OCTET_LOG_DEBUG
} octet_log_level;

/* All callbacks may be called from several threads at once. */
typedef struct octet_ctx_options {
    size_t struct_size;
    void *user; /* handed to the callbacks below */
    /* Allocator, both or none (malloc). `alloc` returns a block aligned to 64 bytes, or NULL;
     * `free` gets the same size again. */
    void *(*alloc)(void *user, size_t bytes);
    void (*free)(void *user, void *p, size_t bytes);
    /* Log sink; NULL = silent. Messages above `log_level` are dropped. */
    void (*log)(void *user, octet_log_level level, const char *text);
    octet_log_level log_level;
    /* Polled between images and layers; not 0 = stop with OCTET_ERR_CANCELLED. */
    int (*cancelled)(void *user);
    size_t memory_limit_bytes; /* allocations beyond it fail; 0 = no limit */
} octet_ctx_options;

/* OCTET_ERR_NOMEM, or OCTET_ERR_USAGE for options of an unknown size. */
OCTET_API OCTET_MUST_CHECK octet_status octet_ctx_new(const octet_ctx_options *options,
                                                      octet_ctx **out);
OCTET_API void octet_ctx_free(octet_ctx *ctx);

/* Why the last call on this context failed: object, value, expectation. "" if none failed
 * since octet_error_clear(). The first message stays until it is cleared. */
OCTET_API const char *octet_error_text(const octet_ctx *ctx);
OCTET_API octet_status octet_error_status(const octet_ctx *ctx);
OCTET_API void octet_error_clear(octet_ctx *ctx);

/* Bytes in live blocks of this context, and the most there ever were. */
OCTET_API size_t octet_memory_now(const octet_ctx *ctx);
OCTET_API size_t octet_memory_peak(const octet_ctx *ctx);

/* Cores this process may use (affinity, then cgroup quota): the default of `n_threads`. */
OCTET_API int octet_cpu_count(void);

/* ---- tensors ---------------------------------------------------------------------------- */

#define OCTET_MAX_DIMS 8

typedef enum octet_dtype {
    OCTET_DTYPE_NONE = 0,
    OCTET_DTYPE_F32 = 1,
    OCTET_DTYPE_F16 = 2,
    OCTET_DTYPE_BF16 = 3,
    OCTET_DTYPE_F64 = 4,
    OCTET_DTYPE_S8 = 5,
    OCTET_DTYPE_U8 = 6,
    OCTET_DTYPE_S16 = 7,
    OCTET_DTYPE_U16 = 8,
    OCTET_DTYPE_S32 = 9,
    OCTET_DTYPE_U32 = 10,
    OCTET_DTYPE_S64 = 11,
    OCTET_DTYPE_U64 = 12,
    OCTET_DTYPE_BOOL = 13
} octet_dtype;

/* Dense, row-major (last dimension innermost). Owns nothing. */
typedef struct octet_tensor {
    octet_dtype dtype;
    int n_dims; /* 0 = scalar */
    int64_t dim[OCTET_MAX_DIMS];
    void *data;
} octet_tensor;

OCTET_API size_t octet_dtype_bytes(octet_dtype dt);    /* 0 for NONE and unknown codes */
OCTET_API const char *octet_dtype_str(octet_dtype dt); /* "f32"; never NULL */
/* Bytes of the elements; 0 when the shape is invalid or the product overflows. */
OCTET_API size_t octet_tensor_bytes(const octet_tensor *t);

/* ---- models (engine/api_model.c) -------------------------------------------------------- */

/* A model ready to run: an ONNX file (FP32, or with Q/DQ) or an engine file of `octet build`.
 * One thread at a time, the thread that owns its context. */
typedef struct octet_model octet_model;

typedef struct octet_model_options {
    size_t struct_size;
    const char *device; /* "cpu", "ref" (portable reference), "cuda", "cuda:N"; NULL = "cpu" */
    int n_threads;      /* 0 = octet_cpu_count() */
    int no_int8;        /* run Q/DQ models as float simulation instead of lowering them to INT8 */
    int allow_external_symlinks; /* follow links of ONNX external data files */
    size_t max_model_bytes;      /* budget for file and parsing; 0 = 16 GiB */
    size_t max_arena_bytes;      /* refuse input shapes that need more for activations; 0 = none */
} octet_model_options;

/* OCTET_ERR_NOT_FOUND, OCTET_ERR_FORMAT (message with offset), OCTET_ERR_UNSUPPORTED (all
 * unsupported operators in one message), OCTET_ERR_LIMIT, OCTET_ERR_NOMEM, OCTET_ERR_USAGE. */
OCTET_API OCTET_MUST_CHECK octet_status octet_model_open(octet_ctx *ctx, const char *path,
                                                         const octet_model_options *options,
                                                         octet_model **out);
/* ONNX bytes in memory (copied); external data is refused. */
OCTET_API OCTET_MUST_CHECK octet_status octet_model_parse(octet_ctx *ctx, const void *data,
                                                          size_t n_bytes,
                                                          const octet_model_options *options,
                                                          octet_model **out);
OCTET_API void octet_model_close(octet_model *model); /* NULL is allowed */

/* What a model's input or output is. `dim` is -1 where any size goes (batch, resolution);
 * n_dims is -1 when even the rank is open. `name` lives as long as the model. */
typedef struct octet_value_info {
    const char *name;
    octet_dtype dtype;
    int n_dims;
    int64_t dim[OCTET_MAX_DIMS];
} octet_value_info;

OCTET_API size_t octet_model_n_inputs(const octet_model *model);
OCTET_API size_t octet_model_n_outputs(const octet_model *model);
/* `i` below the count; in the model's order. OCTET_ERR_RANGE otherwise. */
OCTET_API OCTET_MUST_CHECK octet_status octet_model_input(const octet_model *model, size_t i,
                                                          octet_value_info *out);
OCTET_API OCTET_MUST_CHECK octet_status octet_model_output(const octet_model *model, size_t i,
                                                           octet_value_info *out);

/* Runs once. `in`: one tensor per input in the model's order, borrowed for the call. `out`: one
 * per output; they describe memory of the model that is valid until its next run or close.
 * OCTET_ERR_SHAPE when a tensor does not fit the declared input. */
OCTET_API OCTET_MUST_CHECK octet_status octet_model_run(octet_model *model, const octet_tensor *in,
                                                        size_t n_in, octet_tensor *out,
                                                        size_t n_out);

/* Makes what these input shapes need (plan, memory, packed weights) ahead of the first run. Only
 * n_dims and dim of `in` are read. */
OCTET_API OCTET_MUST_CHECK octet_status octet_model_prepare(octet_model *model,
                                                            const octet_tensor *in, size_t n_in);

/* ---- statistics and calibration (calib/api_stats.c) ------------------------------------- */

/* What calibration learned about every tensor of a model (statistics.h5 of `octet calibrate`).
 * One thread at a time, the thread that owns its context. */
typedef struct octet_stats octet_stats;

/* The caller's data: fills `inputs`, one tensor per model input in the model's order; axis 0
 * counts samples and is the same for all of them. The data is copied before the call returns.
 * Returns 1 for a batch, 0 at the end, below 0 to give up (OCTET_ERR_IO). Calls come one at a
 * time, from any thread. The same batches in any order and cut give the same statistics. */
typedef int (*octet_next_batch)(void *user, octet_tensor *inputs, size_t n_inputs);

typedef struct octet_calibrate_options {
    size_t struct_size;
    int n_threads;       /* samples run side by side, one thread each; 0 = octet_cpu_count() */
    int reference;       /* portable reference kernels instead of the fast ones */
    int per_channel;     /* also ranges of every channel */
    int allow_nonfinite; /* count NaN and infinities apart instead of failing with
                            OCTET_ERR_RANGE */
} octet_calibrate_options;

/* Runs the FP32 ONNX model at `model_path` over all batches and counts every value of every
 * named float tensor. OCTET_ERR_NOT_FOUND when there is no batch; otherwise as
 * octet_model_open() and octet_model_run(). */
OCTET_API OCTET_MUST_CHECK octet_status octet_calibrate(octet_ctx *ctx, const char *model_path,
                                                        octet_next_batch next, void *user,
                                                        const octet_calibrate_options *options,
                                                        octet_stats **out);
OCTET_API OCTET_MUST_CHECK octet_status octet_stats_read(octet_ctx *ctx, const char *path,
                                                         octet_stats **out);
/* OCTET_ERR_USAGE if `path` exists, unless `force`. */
OCTET_API OCTET_MUST_CHECK octet_status octet_stats_write(octet_stats *stats, const char *path,
                                                          int force);
/* Adds `src` to `dst`. OCTET_ERR_STALE when they are of different models or share samples. */
OCTET_API OCTET_MUST_CHECK octet_status octet_stats_merge(octet_stats *dst, octet_stats *src,
                                                          int allow_overlap);
OCTET_API uint64_t octet_stats_n_samples(const octet_stats *stats);
OCTET_API size_t octet_stats_n_tensors(const octet_stats *stats);
OCTET_API void octet_stats_free(octet_stats *stats); /* NULL is allowed */

/* ---- scales and calibration caches (calib/api_scales.c) --------------------------------- */

/* Tensor name -> scale (real = scale * q, q in [-128, 127]; amax = 127 * scale). */
typedef struct octet_scales octet_scales;

typedef enum octet_cache_format {
    OCTET_CACHE_AUTO = 0, /* reading: by content; writing: by the file's name */
    OCTET_CACHE_TRT = 1,  /* TensorRT calibration cache */
    OCTET_CACHE_ORT = 2,  /* ONNX Runtime TensorRT EP, flatbuffers */
    OCTET_CACHE_ORT_TEXT = 3,
    OCTET_CACHE_NCNN = 4,
    OCTET_CACHE_JSON = 5
} octet_cache_format;

typedef struct octet_cache_options {
    size_t struct_size;
    const char *trt_version;   /* "8.6.1", "10.16.1" or "8601"; NULL = 10.16.1 */
    const char *trt_algorithm; /* NULL = "EntropyCalibration2", which every reader loads */
    int force;                 /* replace an existing file */
} octet_cache_options;

/* Scales of all tensors by `method`: "mse" (NULL), "entropy", "minmax", "percentile[:P]". */
OCTET_API OCTET_MUST_CHECK octet_status octet_stats_scales(octet_stats *stats, const char *method,
                                                           octet_scales **out);
OCTET_API OCTET_MUST_CHECK octet_status octet_scales_new(octet_ctx *ctx, octet_scales **out);
/* Adds a tensor; OCTET_ERR_RANGE unless `scale` is positive and finite, or the name is there. */
OCTET_API OCTET_MUST_CHECK octet_status octet_scales_add(octet_scales *scales, const char *name,
                                                         float scale);
/* Reads a cache. Entries that cannot be used (zero, infinite, damaged) are OCTET_ERR_RANGE with
 * line and text; `octet cache lint` shows all of them. */
OCTET_API OCTET_MUST_CHECK octet_status octet_scales_read(octet_ctx *ctx, const char *path,
                                                          octet_cache_format format,
                                                          octet_scales **out);
OCTET_API OCTET_MUST_CHECK octet_status octet_scales_write(const octet_scales *scales,
                                                           const char *path,
                                                           octet_cache_format format,
                                                           const octet_cache_options *options);
OCTET_API size_t octet_scales_count(const octet_scales *scales);
/* Entry `i` below the count; `name` lives as long as `scales`. OCTET_ERR_RANGE otherwise. */
OCTET_API OCTET_MUST_CHECK octet_status octet_scales_at(const octet_scales *scales, size_t i,
                                                        const char **name, float *scale);
/* OCTET_ERR_NOT_FOUND when there is no such tensor. */
OCTET_API OCTET_MUST_CHECK octet_status octet_scales_find(const octet_scales *scales,
                                                          const char *name, float *scale);
OCTET_API void octet_scales_free(octet_scales *scales); /* NULL is allowed */

/* ---- quantization and engine files (quant/api_quant.c) ---------------------------------- */

typedef enum octet_target {
    OCTET_TARGET_OCTET = 0, /* our engine */
    OCTET_TARGET_TRT = 1,   /* TensorRT 10 and 11 */
    OCTET_TARGET_ORT = 2    /* ONNX Runtime, OpenVINO */
} octet_target;

typedef struct octet_quantize_options {
    size_t struct_size;
    octet_target target; /* octet_quantize(); octet_build() always makes ours */
    int mse_weights;     /* weight scales of least squared error instead of max-abs */
    int per_tensor_weights;
    int allow_missing;          /* nodes whose input has no scale stay in floating point */
    int skip_first, skip_last;  /* first / last weighted op stays in floating point */
    const char *const *include; /* only these nodes: name, "op:Conv" or "re:REGEX" */
    size_t n_include;
    const char *const *exclude;
    size_t n_exclude;
    int weights_int8;  /* octet_quantize(): store INT8 weights */
    int external_data; /* octet_quantize(): large tensors into PATH.data */
    int force;         /* replace an existing file */
    /* Statistics whose channel means correct biases for what rounding the weights moves: those that the
     * scales come from; borrowed. NULL: biases stay as they are. */
    const octet_stats *stats;
    /* Values that are never negative become u8, one bit more for them; graph inputs too where `stats` saw none
     * below 0. Not for OCTET_TARGET_TRT, which reads s8 only. */
    int unsigned_activations;
} octet_quantize_options;

/* Reads the ONNX file `model_path` and writes it with Q/DQ pairs to `out_path`. OCTET_ERR_RANGE
 * when a needed tensor has no scale (unless allow_missing). */
OCTET_API OCTET_MUST_CHECK octet_status octet_quantize(octet_ctx *ctx, const char *model_path,
                                                       const octet_scales *scales,
                                                       const octet_quantize_options *options,
                                                       const char *out_path);
/* Writes an engine file, to be opened with octet_model_open(): INT8 from `scales`, or, with NULL
 * scales, what the model says (FP32, or its own Q/DQ). */
OCTET_API OCTET_MUST_CHECK octet_status octet_build(octet_ctx *ctx, const char *model_path,
                                                    const octet_scales *scales,
                                                    const octet_quantize_options *options,
                                                    const char *out_path);

#ifdef __cplusplus
}
#endif

#endif /* OCTET_OCTET_H */
