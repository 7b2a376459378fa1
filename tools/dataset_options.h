/* SPDX-License-Identifier: Apache-2.0
 *
 * The options of every subcommand that reads a data set (calibrate, evaluate, auto, pack,
 * preview), and the way from them to a batch source:
 *
 *     oct_dataset_args a;
 *     st = oct_dataset_args_init(&a, cli, images, inputs, n_inputs);   // parses the options
 *     a.options.batch = 8;                                             // what the command decides
 *     if (st == OCT_OK)
 *         st = oct_dataset_args_open(&a, &source);
 *     ...
 *     oct_dataset_report(cli, source);        // what was left out, on stderr
 *     oct_dataset_args_deinit(&a);
 */
#ifndef OCT_TOOLS_DATASET_OPTIONS_H
#define OCT_TOOLS_DATASET_OPTIONS_H

#include "datasets/dataset.h"
#include "engine/model.h"
#include "tools/cli.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --preset --config --size --exif --image-input --set-input --limit --subset --labels
 * --label-offset --on-error --allow-truncated --max-pixels --max-side */
extern const oct_opt oct_dataset_opts[];

#define OCT_MAX_MODEL_INPUTS 64
/* Inputs of a model as a data set has to feed them. OCT_ERR_UNSUPPORTED: none, or too many. */
OCT_MUST_CHECK oct_status oct_model_input_specs(oct_ctx *ctx, const oct_model *m,
                                                oct_input_spec spec[OCT_MAX_MODEL_INPUTS], int *n);

typedef struct oct_dataset_args {
    oct_cli *cli;
    oct_dataset_options options; /* text is borrowed from `cli` and from here */
    oct_preprocess spec;
    bool has_spec; /* --preset or --config was given, or _use() called */
    oct_set_input *set;
    char *set_text;
} oct_dataset_args;

/* Parses the options for `path`. `input` is borrowed until deinit. Deinit whatever the
 * outcome. options.n_threads is -j; batch is 0. */
OCT_MUST_CHECK oct_status oct_dataset_args_init(oct_dataset_args *a, oct_cli *cli, const char *path,
                                                const oct_input_spec *input, int n_inputs);
void oct_dataset_args_deinit(oct_dataset_args *a);

/* Preprocessing that an earlier step recorded (canonical JSON in the artefact `from`): taken if
 * neither --preset nor --config is given; OCT_ERR_USAGE if they say something else. "" is no
 * preprocessing and changes nothing. */
OCT_MUST_CHECK oct_status oct_dataset_args_use(oct_dataset_args *a, const char *from,
                                               const char *json);

OCT_MUST_CHECK oct_status oct_dataset_args_open(oct_dataset_args *a, oct_batch_source **out);

/* Log lines: what was not read (each file, with the reason) and what was passed over. */
void oct_dataset_report(oct_cli *cli, const oct_batch_source *s);

/* --preset, --config, --size and --exif for an input like `in`; `*given` is false, and `out` left
 * alone, if there is neither preset nor configuration. The command needs these options only. */
OCT_MUST_CHECK oct_status oct_dataset_read_spec(oct_cli *cli, oct_image_input in,
                                                oct_preprocess *out, bool *given);
/* --size into the free sides of `in`; OCT_ERR_USAGE if it contradicts fixed ones. */
OCT_MUST_CHECK oct_status oct_dataset_read_size(oct_cli *cli, oct_image_input *in);
/* Channels that --config asks for, through its preset or colour; left alone if it does not. */
OCT_MUST_CHECK oct_status oct_dataset_config_channels(oct_cli *cli, int *channels);

/* For commands without a model: an input of shape [N, C, H, W] named "input" that follows from
 * --preset or --config and --size. `out->name` is static. */
OCT_MUST_CHECK oct_status oct_dataset_free_input(oct_cli *cli, oct_input_spec *out);

#ifdef __cplusplus
}
#endif

#endif /* OCT_TOOLS_DATASET_OPTIONS_H */
