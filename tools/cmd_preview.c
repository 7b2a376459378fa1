/* SPDX-License-Identifier: Apache-2.0
 *
 * octet preview: what the network will see, as PNG files and numbers, with warnings where range
 * or channel order look wrong.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "datasets/preview_stats.h"
#include "tools/picture_input.h"

#define DEFAULT_LIMIT 256

static const oct_pos positions[] = {
    {.name = "IMAGES", .help = "folder, list or pack (see octet calibrate)"}, {0}};

static const oct_opt options[] = {{.name = "output",
                                   .letter = 'o',
                                   .arg = "DIR",
                                   .type = OCT_OPT_DIR,
                                   .help = "write pictures of the network's input here"},
                                  {.name = "count",
                                   .arg = "N",
                                   .type = OCT_OPT_S64,
                                   .fallback = "8",
                                   .min = 0,
                                   .max = 10000,
                                   .help = "how many pictures to write"},
                                  {0}};

static const oct_opt *const shared[] = {oct_picture_input_opts, oct_dataset_opts, NULL};

typedef struct preview {
    oct_cli *cli;
    oct_preview_stats stats;
    oct_image picture;
    const char *dir; /* NULL: no pictures */
    int64_t n_written, max_written;
} preview;

/* "007_c1_cat.png": number and name, without what file systems dislike. */
static oct_status write_picture(preview *p, const float *x, const oct_sample *sample)
{
    oct_cli *cli = p->cli;
    char name[96];
    const int n = snprintf(name, sizeof name, "%03lld_", (long long)p->n_written);
    const char *from = sample->name;
    size_t k = (size_t)n;
    for (; *from != '\0' && k + 5 < sizeof name; from++, k++) {
        const unsigned char c = (unsigned char)*from;
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '.';
        name[k] = plain ? (char)c : '_';
    }
    memcpy(name + k, ".png", 5);
    OCT_TRY(oct_preview_picture(cli->ctx, &p->stats.spec, x, &p->picture));
    char *path = oct_path_join(cli->ctx, p->dir, name);
    if (path == NULL)
        return OCT_ERR_NOMEM;
    const oct_status st = oct_image_write_png(cli->ctx, path, &p->picture, cli->force);
    oct_free(cli->ctx, path);
    p->n_written++;
    return st;
}

static oct_status look_at_batch(preview *p, const oct_batch *b)
{
    size_t n_bytes;
    if (!oct_tensor_desc_bytes(&b->input[0].desc, &n_bytes))
        return OCT_ERR_BUG;
    const size_t row = n_bytes / sizeof(float) / (size_t)b->input[0].desc.shape.dim[0];
    for (int i = 0; i < b->n_samples; i++) {
        const float *x = (const float *)b->input[0].data + (size_t)i * row;
        oct_preview_stats_add(&p->stats, x, &b->sample[i]);
        if (p->dir != NULL && p->n_written < p->max_written)
            OCT_TRY(write_picture(p, x, &b->sample[i]));
    }
    return OCT_OK;
}

static oct_status look_at_all(preview *p, oct_batch_source *s)
{
    const oct_batch *b = NULL;
    oct_progress *progress = oct_progress_begin(p->cli, "preview", "images", s->vt->n_samples(s));
    oct_status st = s->vt->next(s, p->cli->ctx, &b);
    while (st == OCT_OK && b != NULL) {
        st = look_at_batch(p, b);
        oct_progress_add(progress, b->n_samples);
        s->vt->release(s, b);
        if (st == OCT_OK)
            st = s->vt->next(s, p->cli->ctx, &b);
    }
    oct_progress_end(progress);
    return st;
}

static const char *channel_name(const oct_preprocess *p, int c)
{
    static const char *const names[3][3] = {
        {"red", "green", "blue"}, {"blue", "green", "red"}, {"grey", "", ""}};
    return names[p->color][c];
}

static oct_status print_table(preview *p)
{
    oct_table *t;
    OCT_TRY(oct_table_new(p->cli->ctx, "channel|>min|>mean|>deviation|>max", &t));
    for (int c = 0; c < oct_preprocess_channels(&p->stats.spec); c++) {
        const oct_preview_summary m = oct_preview_stats_channel(&p->stats, c);
        oct_table_strf(t, "%d %s", c, channel_name(&p->stats.spec, c));
        oct_table_fixed(t, m.min, 4);
        oct_table_fixed(t, m.mean, 4);
        oct_table_fixed(t, m.std, 4);
        oct_table_fixed(t, m.max, 4);
    }
    const oct_status st = oct_cli_print_table(p->cli, t);
    oct_table_free(t);
    return st;
}

static void add_channels(preview *p, oct_json *j)
{
    oct_json_key(j, "channels");
    oct_json_begin_array(j);
    for (int c = 0; c < oct_preprocess_channels(&p->stats.spec); c++) {
        const oct_preview_summary m = oct_preview_stats_channel(&p->stats, c);
        oct_json_begin_object(j);
        oct_json_kv_string(j, "name", channel_name(&p->stats.spec, c));
        oct_json_kv_f64(j, "min", m.min);
        oct_json_kv_f64(j, "mean", m.mean);
        oct_json_kv_f64(j, "deviation", m.std);
        oct_json_kv_f64(j, "max", m.max);
        oct_json_end_object(j);
    }
    oct_json_end_array(j);
}

static void add_warnings(oct_json *j, const char *text)
{
    oct_json_key(j, "warnings");
    oct_json_begin_array(j);
    for (const char *end; text != NULL && (end = strchr(text, '\n')) != NULL; text = end + 1)
        oct_json_string_n(j, text, (size_t)(end - text));
    oct_json_end_array(j);
}

static oct_status print_json(preview *p, const char *preprocess, const char *warnings)
{
    oct_strbuf b;
    oct_json j;
    oct_strbuf_init(&b, p->cli->ctx);
    oct_json_init(&j, &b, true);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "schema", "octet.preview/1");
    oct_json_kv_s64(&j, "images", p->stats.n_images);
    oct_json_kv_string(&j, "preprocess", preprocess);
    add_channels(p, &j);
    add_warnings(&j, warnings);
    oct_json_end_object(&j);
    const oct_status st = oct_cli_emit_json(p->cli, &b);
    oct_strbuf_deinit(&b);
    return st;
}

static oct_status report(preview *p, const oct_batch_source *s)
{
    oct_strbuf warnings;
    const char *json = s->vt->preprocess_json(s);
    oct_strbuf_init(&warnings, p->cli->ctx);
    const int n = oct_preview_stats_check(&p->stats, &warnings);
    oct_status st = oct_strbuf_status(&warnings);
    if (st == OCT_OK)
        st = print_json(p, json, warnings.text);
    if (st == OCT_OK && oct_cli_wants_text(p->cli)) {
        st = oct_cli_printf(p->cli, "preprocessing: %s\n", json);
        if (st == OCT_OK)
            st = print_table(p);
        if (st == OCT_OK && n > 0)
            st = oct_cli_printf(p->cli, "\n%s", warnings.text);
    }
    for (const char *line = warnings.text, *end; line != NULL && (end = strchr(line, '\n')) != NULL;
         line = end + 1)
        oct_log(p->cli->ctx, OCT_LOG_WARN, "%.*s", (int)(end - line), line);
    oct_strbuf_deinit(&warnings);
    oct_cli_summary(p->cli, "%lld pictures looked at, %lld written%s%s, %d warning%s",
                    (long long)p->stats.n_images, (long long)p->n_written, p->dir ? " to " : "",
                    p->dir ? p->dir : "", n, n == 1 ? "" : "s");
    return st;
}

/* The specification behind an open source, packs included. */
static oct_status spec_of(oct_cli *cli, const oct_batch_source *s, const oct_input_spec *input,
                          oct_preprocess *out)
{
    const char *json = s->vt->preprocess_json(s);
    const oct_image_input in = oct_image_input_of(&input->shape);
    return oct_preprocess_from_json(cli->ctx, "preprocessing", json, strlen(json), &in, NULL, out);
}

static oct_status run_source(preview *p, oct_batch_source *s, const oct_input_spec *input)
{
    oct_preprocess spec;
    OCT_TRY(spec_of(p->cli, s, input, &spec));
    oct_preview_stats_init(&p->stats, &spec);
    OCT_TRY(look_at_all(p, s));
    oct_dataset_report(p->cli, s);
    if (p->stats.n_images == 0)
        return oct_fail(p->cli->ctx, OCT_ERR_NOT_FOUND, "no readable picture");
    return report(p, s);
}

static oct_status run_input(preview *p, const oct_input_spec *input)
{
    oct_cli *cli = p->cli;
    oct_dataset_args args;
    oct_batch_source *s = NULL;
    oct_status st = oct_dataset_args_init(&args, cli, cli->pos[0], input, 1);
    args.options.image_input = NULL;
    if (args.options.subset.limit == 0)
        args.options.subset.limit = DEFAULT_LIMIT;
    if (st == OCT_OK)
        st = oct_dataset_args_open(&args, &s);
    if (st == OCT_OK)
        st = run_source(p, s, input);
    if (s != NULL)
        s->vt->close(s);
    oct_dataset_args_deinit(&args);
    return st;
}

static oct_status run(oct_cli *cli)
{
    oct_picture_input input;
    preview p = {.cli = cli, .dir = oct_cli_str(cli, "output")};
    p.max_written = oct_cli_s64(cli, "count");
    if (oct_cli_given(cli, "set-input"))
        return oct_cli_usage(cli, "--set-input has no meaning here: only pictures are shown");
    oct_status st = p.dir != NULL ? oct_path_make_dir(cli->ctx, p.dir) : OCT_OK;
    if (st != OCT_OK)
        return st;
    st = oct_picture_input_open(&input, cli, oct_path_is_pack(cli->pos[0]) ? cli->pos[0] : NULL);
    if (st == OCT_OK)
        st = run_input(&p, &input.spec);
    oct_picture_input_close(&input);
    oct_image_deinit(cli->ctx, &p.picture);
    return st;
}

const oct_cmd oct_cmd_preview = {
    .name = "preview",
    .summary = "show what the network will see, and warn if it looks wrong",
    .examples = "  octet preview photos/ --preset imagenet -o seen/\n"
                "  octet preview photos/ --model m.onnx --config my.json\n",
    .details = "Pictures are written as the network sees them, normalisation undone. The table has "
               "the numbers as the network gets them. By default 256 pictures are looked at "
               "(--limit).",
    .pos = positions,
    .opts = options,
    .shared = shared,
    .run = run,
    .rank = 80,
};
