/* SPDX-License-Identifier: Apache-2.0
 *
 * octet pack: pictures decoded once, into an HDF5 pack for octet or a .npy array for other
 * runtimes.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "datasets/npy.h"
#include "datasets/pack.h"
#include "datasets/presets.h"
#include "tools/picture_input.h"

#define BATCH 8

static const oct_pos positions[] = {{.name = "IMAGES", .help = "folder, list or pack"}, {0}};

static const oct_opt options[] = {
    {.name = "output",
     .letter = 'o',
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .required = true,
     .help = "the pack (.h5) or array (.npy) to write"},
    {.name = "stage",
     .arg = "pixels|tensor",
     .type = OCT_OPT_CHOICE,
     .choices = "pixels|tensor",
     .fallback = "pixels",
     .help = "what a pack holds: 8-bit pixels after resize and crop, or the f32 network input"},
    {.name = "format",
     .arg = "h5|npy",
     .type = OCT_OPT_CHOICE,
     .choices = "h5|npy",
     .help = "default: npy if the output's name ends in .npy, else h5; npy holds the f32 input"},
    {0}};

static const oct_opt *const shared[] = {oct_picture_input_opts, oct_dataset_opts, NULL};

/* Where rows go: one of the two. */
typedef struct packer {
    oct_cli *cli;
    const char *path;
    bool npy, pixels;
    oct_pack_writer *pack;
    oct_atomic_file *file; /* npy */
    uint8_t *head;
    size_t n_head;
    oct_shape shape;
    int64_t n_rows;
} packer;

/* The header again with the rows that there are: skipped ones were counted in the first. Blanks
 * before the line end keep its length. */
static oct_status finish_npy(packer *p)
{
    uint8_t *head;
    size_t n;
    if (p->shape.dim[0] != p->n_rows) {
        p->shape.dim[0] = p->n_rows;
        OCT_TRY(oct_npy_make_header(p->cli->ctx, OCT_DT_F32, &p->shape, &head, &n));
        memset(p->head + 10, ' ', p->n_head - 10);
        memcpy(p->head + 10, head + 10, n - 11);
        p->head[p->n_head - 1] = '\n';
        oct_free(p->cli->ctx, head);
        if (pwrite(oct_atomic_fd(p->file), p->head, p->n_head, 0) != (ssize_t)p->n_head)
            return oct_fail(p->cli->ctx, OCT_ERR_IO, "%s: %s", p->path, strerror(errno));
    }
    oct_atomic_file *f = p->file;
    p->file = NULL;
    return oct_atomic_commit(f);
}

static oct_status begin(packer *p, const oct_batch_source *s, const oct_input_spec *row_input,
                        const char *preprocess)
{
    oct_ctx *ctx = p->cli->ctx;
    oct_dataset_info info;
    oct_dataset_get_info(s, &info);
    p->shape = row_input->shape;
    if (p->npy) {
        p->shape.dim[0] = s->vt->n_samples(s);
        OCT_TRY(oct_npy_make_header(ctx, OCT_DT_F32, &p->shape, &p->head, &p->n_head));
        OCT_TRY(oct_atomic_open(ctx, p->path, p->cli->force, &p->file));
        return oct_atomic_write(p->file, p->head, p->n_head);
    }
    oct_pack_layout layout = {.pixels = p->pixels,
                              .preprocess_json = preprocess,
                              .row = {.n_dims = 3},
                              .class_name = info.class_name,
                              .n_classes = info.n_classes};
    memcpy(layout.row.dim, p->shape.dim + 1, 3 * sizeof(int64_t));
    return oct_pack_create(ctx, p->path, p->cli->force, &layout, &p->pack);
}

static oct_status put_batch(packer *p, const oct_batch *b)
{
    size_t n_bytes;
    if (!oct_tensor_desc_bytes(&b->input[0].desc, &n_bytes))
        return OCT_ERR_BUG;
    const size_t row = n_bytes / (size_t)b->input[0].desc.shape.dim[0];
    const uint8_t *data = b->input[0].data;
    p->n_rows += b->n_samples;
    if (p->npy)
        return oct_atomic_write(p->file, data, row * (size_t)b->n_samples);
    for (int i = 0; i < b->n_samples; i++)
        OCT_TRY(oct_pack_append(p->pack, data + (size_t)i * row, &b->sample[i]));
    return OCT_OK;
}

static oct_status put_all(packer *p, oct_batch_source *s)
{
    const oct_batch *b = NULL;
    oct_progress *progress = oct_progress_begin(p->cli, "pack", "images", s->vt->n_samples(s));
    oct_status st = s->vt->next(s, p->cli->ctx, &b);
    while (st == OCT_OK && b != NULL) {
        st = put_batch(p, b);
        oct_progress_add(progress, b->n_samples);
        s->vt->release(s, b);
        if (st == OCT_OK)
            st = s->vt->next(s, p->cli->ctx, &b);
    }
    oct_progress_end(progress);
    return st;
}

static oct_status commit(packer *p)
{
    if (p->n_rows == 0)
        return oct_fail(p->cli->ctx, OCT_ERR_NOT_FOUND, "no readable picture");
    if (p->npy)
        return finish_npy(p);
    oct_pack_writer *w = p->pack;
    p->pack = NULL;
    return oct_pack_commit(w);
}

/* Pixels come out of the same loader: the specification without normalisation, u8, channels
 * last, is the pixel stage. */
static void to_pixel_stage(oct_preprocess *spec, oct_input_spec *input)
{
    const int64_t c = oct_preprocess_channels(spec);
    spec->scale = 1;
    for (int k = 0; k < 3; k++) {
        spec->mean[k] = 0;
        spec->std[k] = 1;
    }
    if (spec->color == OCT_COLOR_BGR)
        spec->color = OCT_COLOR_RGB;
    spec->channels_last = true;
    input->dtype = OCT_DT_U8;
    input->shape = (oct_shape){{-1, spec->height, spec->width, c}, 4};
}

static oct_status run_source(packer *p, oct_dataset_args *args, oct_input_spec *input)
{
    oct_cli *cli = p->cli;
    oct_batch_source *s = NULL;
    char *json = NULL;
    oct_status st = OCT_OK;
    if (p->pixels) {
        st = oct_preprocess_to_json(cli->ctx, &args->spec, &json);
        to_pixel_stage(&args->spec, input);
    }
    if (st == OCT_OK)
        st = oct_dataset_args_open(args, &s);
    if (st == OCT_OK)
        st = begin(p, s, input, json != NULL ? json : s->vt->preprocess_json(s));
    if (st == OCT_OK)
        st = put_all(p, s);
    if (s != NULL && st == OCT_OK)
        oct_dataset_report(cli, s);
    if (st == OCT_OK)
        st = commit(p);
    if (s != NULL)
        s->vt->close(s);
    oct_free(cli->ctx, json);
    return st;
}

static oct_status run_input(packer *p, oct_input_spec *input)
{
    oct_dataset_args args;
    oct_status st = oct_dataset_args_init(&args, p->cli, p->cli->pos[0], input, 1);
    args.options.image_input = NULL;
    args.options.batch = BATCH;
    if (st == OCT_OK && !args.has_spec && !oct_path_is_pack(p->cli->pos[0])) {
        char fitting[256];
        const oct_image_input in = oct_image_input_of(&input->shape);
        st = oct_cli_usage(p->cli, "give --preset or --config; presets that fit: %s",
                           oct_presets_fitting(&in, fitting, sizeof fitting));
    }
    if (st == OCT_OK)
        st = run_source(p, &args, input);
    oct_pack_abort(p->pack);
    oct_atomic_abort(p->file);
    oct_free(p->cli->ctx, p->head);
    oct_dataset_args_deinit(&args);
    return st;
}

static oct_status run(oct_cli *cli)
{
    oct_picture_input input;
    packer p = {.cli = cli, .path = oct_cli_str(cli, "output")};
    const char *format = oct_cli_str(cli, "format");
    const bool from_pack = oct_path_is_pack(cli->pos[0]);
    p.npy = strcmp(format != NULL ? format : oct_path_ext(p.path),
                   format != NULL ? "npy" : ".npy") == 0;
    p.pixels = !p.npy && strcmp(oct_cli_str(cli, "stage"), "pixels") == 0;
    if (p.pixels && from_pack)
        return oct_cli_usage(cli, "a pack is repacked with --stage tensor or as .npy only");
    if (p.npy && oct_cli_given(cli, "stage") && strcmp(oct_cli_str(cli, "stage"), "pixels") == 0)
        return oct_cli_usage(cli, "--stage pixels needs an .h5 pack; .npy holds the network input");
    if (oct_cli_given(cli, "set-input"))
        return oct_cli_usage(cli, "--set-input has no meaning here: only pictures are packed");
    OCT_TRY(oct_path_check_output(cli->ctx, p.path, cli->force));
    oct_status st = oct_picture_input_open(&input, cli, from_pack ? cli->pos[0] : NULL);
    if (st == OCT_OK)
        st = run_input(&p, &input.spec);
    oct_picture_input_close(&input);
    if (st == OCT_OK)
        oct_cli_summary(cli, "packed %lld pictures into %s", (long long)p.n_rows, p.path);
    return st;
}

const oct_cmd oct_cmd_pack = {
    .name = "pack",
    .summary = "decode pictures once, into one file",
    .examples =
        "  octet pack photos/ --preset imagenet -o photos.h5        for octet, 8-bit pixels\n"
        "  octet pack photos/ --model m.onnx --preset yolo -o x.npy for another runtime\n",
    .details = "A pack holds each picture's identity, label and geometry besides its data, so that "
               "statistics from a pack and from its folder are the same bytes.",
    .pos = positions,
    .opts = options,
    .shared = shared,
    .run = run,
    .rank = 81,
};
