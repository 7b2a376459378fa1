/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/source.h"

#include "datasets/presets.h"

oct_status oct_source_init(oct_source *s, oct_ctx *ctx, const oct_source_vtable *vt, int n_inputs)
{
    s->vt = vt;
    s->ctx = ctx;
    s->n_inputs = n_inputs;
    s->info.kind = vt->kind;
    s->row = oct_zalloc_array(ctx, (size_t)n_inputs, sizeof *s->row);
    if (s->row == NULL)
        return OCT_ERR_NOMEM;
    for (int k = 0; k < n_inputs; k++)
        s->row[k].n_dims = -1;
    return OCT_OK;
}

void oct_source_deinit(oct_source *s)
{
    oct_free(s->ctx, s->label);
    oct_free(s->ctx, s->preprocess_json);
    oct_free(s->ctx, s->row);
}

static oct_status check_against_input(oct_ctx *ctx, const oct_input_spec *input,
                                      const oct_preprocess *p)
{
    const oct_image_input in = oct_image_input_of(&input->shape);
    char shape[OCT_SHAPE_STR_BYTES];
    if (in.channels == oct_preprocess_channels(p) && in.channels_last == p->channels_last &&
        (in.height == 0 || in.height == p->height) && (in.width == 0 || in.width == p->width))
        return OCT_OK;
    return oct_fail(ctx, OCT_ERR_USAGE,
                    "input '%s' is %s, but the preprocessing makes %d x %d pictures of %d channels",
                    input->name, oct_shape_str(&input->shape, shape, sizeof shape), p->width,
                    p->height, oct_preprocess_channels(p));
}

static oct_status need_preprocessing(oct_ctx *ctx, const oct_input_spec *input)
{
    char fitting[256];
    const oct_image_input in = oct_image_input_of(&input->shape);
    return oct_fail(ctx, OCT_ERR_USAGE,
                    "how pictures are preprocessed is never guessed: give --preset or --config; "
                    "presets that fit input '%s': %s",
                    input->name, oct_presets_fitting(&in, fitting, sizeof fitting));
}

oct_status oct_source_make_preprocessor(oct_source *s, const oct_source_request *r,
                                        const oct_preprocess *spec, oct_preprocessor **out)
{
    const oct_dataset_options *opt = r->opt;
    if (r->image_input < 0)
        return oct_fail(s->ctx, OCT_ERR_USAGE,
                        "%s: none of the model's inputs takes pictures (rank 4 with 1 or 3 "
                        "channels); give the tensors as .npy or .npz",
                        opt->path);
    const oct_input_spec *input = &opt->input[r->image_input];
    if (spec == NULL)
        return need_preprocessing(s->ctx, input);
    OCT_TRY(check_against_input(s->ctx, input, spec));
    OCT_TRY(oct_preprocess_to_json(s->ctx, spec, &s->preprocess_json));
    const int64_t c = oct_preprocess_channels(spec), h = spec->height, w = spec->width;
    s->row[r->image_input] =
        spec->channels_last ? (oct_shape){{h, w, c}, 3} : (oct_shape){{c, h, w}, 3};
    return oct_preprocessor_new(s->ctx, spec, input->dtype, &opt->limits, opt->allow_truncated,
                                out);
}
