/* SPDX-License-Identifier: Apache-2.0
 *
 * What `octet run` and `octet bench` share: an engine made from the options that they
 * have in common, and inputs from files or random numbers.
 */
#ifndef OCT_TOOLS_ENGINE_IO_H
#define OCT_TOOLS_ENGINE_IO_H

#include "datasets/npy.h"
#include "engine/session.h"
#include "tools/any_model.h"
#include "tools/cli.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --shape, --precision, --reference, --tune, --timing-cache, --no-fusion */
extern const oct_opt oct_engine_opts[];

typedef struct oct_engine_io {
    oct_any_model model;
    oct_engine *engine;
    const oct_io *in, *out;
    size_t n_in, n_out;
    oct_array *input; /* n_in, as far as given */
} oct_engine_io;

/* Loads `path`, an ONNX model or an engine file, and makes an engine of `threads` threads. Deinit whatever the outcome. */
OCT_MUST_CHECK oct_status oct_engine_io_init(oct_engine_io *io, oct_cli *cli, const char *path,
                                             int threads);
void oct_engine_io_deinit(oct_engine_io *io, oct_cli *cli);
/* Inputs have no values again. */
void oct_engine_io_clear(oct_engine_io *io, oct_cli *cli);

/* Sets the next input, or the one named in "NAME=VALUE": VALUE is a .npy file or "random:SEED". */
OCT_MUST_CHECK oct_status oct_engine_io_set(oct_engine_io *io, oct_cli *cli, const char *text);
/* Random numbers for inputs that have none; open dimensions as --shape says, else 1. `batch` > 0
 * replaces an open axis 0. */
OCT_MUST_CHECK oct_status oct_engine_io_fill(oct_engine_io *io, oct_cli *cli, uint64_t seed,
                                             int64_t batch);
/* Shape of input `i` as oct_engine_io_fill() takes it; of `io` only `in` and `n_in` are read. */
OCT_MUST_CHECK oct_status oct_engine_io_shape(const oct_engine_io *io, oct_cli *cli, size_t i,
                                              int64_t batch, oct_shape *s);
/* OCT_ERR_USAGE naming the first input that has no value. */
OCT_MUST_CHECK oct_status oct_engine_io_check(oct_engine_io *io, oct_cli *cli);
/* Writes an engine file of `m`: INT8 if it is quantized, with the provenance of
 * its scales (JSON, "{}" = none), the preprocessing of its calibration ("" = none) and timed tactics. */
typedef struct oct_engine_origin {
    bool int8, half; /* half: f16 where the GPU has kernels, but for keep_f32 */
    const char *quantization, *preprocess;
    const oct_tactic *tactic;
    size_t n_tactics;
    const char *tuned_on; /* oct_engine_info */
    const char *const *keep_f32;
    size_t n_keep_f32;
} oct_engine_origin;
OCT_MUST_CHECK oct_status oct_engine_write(oct_ctx *ctx, const oct_model *m,
                                           const oct_engine_origin *o, const char *path,
                                           bool force);

/* Inputs as the worker wants them; `t` has n_in entries. */
void oct_engine_io_tensors(const oct_engine_io *io, oct_tensor *t);

#ifdef __cplusplus
}
#endif

#endif /* OCT_TOOLS_ENGINE_IO_H */
