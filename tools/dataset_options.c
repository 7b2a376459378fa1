/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/dataset_options.h"

#include <string.h>

#include "base/file.h"
#include "base/json_read.h"
#include "datasets/presets.h"

#define GROUP "Data set"
#define MAX_CONFIG_BYTES ((size_t)1 << 20)

const oct_opt oct_dataset_opts[] = {
    {.name = "preset",
     .arg = "NAME",
     .type = OCT_OPT_TEXT,
     .group = GROUP,
     .help = "preprocessing by name, see octet presets"},
    {.name = "config",
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .group = GROUP,
     .help = "preprocessing from a JSON file, over --preset if both are given"},
    {.name = "size",
     .arg = "HxW",
     .type = OCT_OPT_TEXT,
     .group = GROUP,
     .help = "network input size where the model leaves it free"},
    {.name = "exif",
     .arg = "on|off",
     .type = OCT_OPT_CHOICE,
     .choices = "on|off",
     .group = GROUP,
     .help = "turn pictures as their EXIF orientation says, instead of what the preset does"},
    {.name = "image-input",
     .arg = "NAME",
     .type = OCT_OPT_TEXT,
     .group = GROUP,
     .help = "model input that takes the pictures, if several can"},
    {.name = "set-input",
     .arg = "NAME=VALUE",
     .type = OCT_OPT_TEXT,
     .repeat = true,
     .group = GROUP,
     .help = "constant for another model input: a number or a .npy file"},
    {.name = "limit",
     .letter = 'n',
     .arg = "N",
     .type = OCT_OPT_S64,
     .min = 1,
     .max = 1e12,
     .group = GROUP,
     .help = "use at most N samples"},
    {.name = "subset",
     .arg = "HOW",
     .type = OCT_OPT_TEXT,
     .group = GROUP,
     .help = "which samples with --limit: first, even, random:SEED or stratified (default: "
             "stratified if there are class labels, else even)"},
    {.name = "labels",
     .arg = "WHERE",
     .type = OCT_OPT_TEXT,
     .group = GROUP,
     .help = "folder, FILE, ilsvrc:GT,map=FILE, coco:FILE or none (default: class folders)"},
    {.name = "label-offset",
     .arg = "N",
     .type = OCT_OPT_S64,
     .fallback = "0",
     .min = -1000000,
     .max = 1000000,
     .group = GROUP,
     .help = "added to every class, e.g. 1 for a background class"},
    {.name = "on-error",
     .arg = "fail|skip:PCT",
     .type = OCT_OPT_TEXT,
     .fallback = "skip:1",
     .group = GROUP,
     .help = "unreadable files: stop, or list them and go on up to PCT percent"},
    {.name = "allow-truncated",
     .type = OCT_OPT_FLAG,
     .group = GROUP,
     .help = "accept pictures whose data ends early"},
    {.name = "max-pixels",
     .arg = "N",
     .type = OCT_OPT_S64,
     .fallback = "64000000",
     .min = 1,
     .max = 2e9,
     .group = GROUP,
     .help = "refuse larger pictures"},
    {.name = "max-side",
     .arg = "N",
     .type = OCT_OPT_S64,
     .fallback = "16384",
     .min = 1,
     .max = 65500,
     .group = GROUP,
     .help = "refuse wider or taller pictures"},
    {0}};

/* "224" or "240x320". */
static oct_status parse_size(oct_cli *cli, const char *text, int *h, int *w)
{
    const char *x = strchr(text, 'x');
    const size_t n = x != NULL ? (size_t)(x - text) : strlen(text);
    int64_t a, b;
    bool ok = oct_parse_s64(text, n, &a);
    b = ok ? a : 0;
    if (x != NULL)
        ok = ok && oct_parse_s64(x + 1, strlen(x + 1), &b);
    if (!ok || a < 1 || b < 1 || a > 16384 || b > 16384)
        return oct_cli_usage(cli, "--size %s: expected S or HEIGHTxWIDTH, 1 to 16384", text);
    *h = (int)a;
    *w = (int)b;
    return OCT_OK;
}

oct_status oct_dataset_read_size(oct_cli *cli, oct_image_input *in)
{
    const char *text = oct_cli_str(cli, "size");
    int h, w;
    if (text == NULL)
        return OCT_OK;
    OCT_TRY(parse_size(cli, text, &h, &w));
    if ((in->height != 0 && in->height != h) || (in->width != 0 && in->width != w))
        return oct_cli_usage(cli, "--size %s, but the model takes %d x %d (height x width)", text,
                             in->height, in->width);
    in->height = h;
    in->width = w;
    return OCT_OK;
}

static oct_status read_config(oct_cli *cli, const oct_image_input *in, const oct_preprocess *base,
                              oct_preprocess *out)
{
    const char *path = oct_cli_str(cli, "config"), *preset = oct_cli_str(cli, "preset");
    uint8_t *text;
    size_t n;
    OCT_TRY(oct_file_read(cli->ctx, path, MAX_CONFIG_BYTES, &text, &n));
    oct_status st = oct_preprocess_from_json(cli->ctx, path, (const char *)text, n, in, base, out);
    oct_free(cli->ctx, text);
    if (st == OCT_OK && preset != NULL && strcmp(out->preset, preset) != 0)
        st = oct_cli_usage(cli, "--preset %s, but %s says preset %s", preset, path, out->preset);
    return st;
}

oct_status oct_dataset_read_spec(oct_cli *cli, oct_image_input in, oct_preprocess *out, bool *given)
{
    const char *preset = oct_cli_str(cli, "preset");
    oct_preprocess base;
    *given = preset != NULL || oct_cli_given(cli, "config");
    if (!*given)
        return OCT_OK;
    OCT_TRY(oct_dataset_read_size(cli, &in));
    if (preset != NULL && !oct_cli_given(cli, "config"))
        OCT_TRY(oct_preset_apply(cli->ctx, preset, &in, out));
    if (oct_cli_given(cli, "config")) {
        if (preset != NULL && oct_preset_find(preset) == NULL)
            return oct_preset_apply(cli->ctx, preset, &in, &base); /* the message lists presets */
        memset(&base, 0, sizeof base);
        if (preset != NULL)
            memcpy(base.preset, preset, strlen(preset) + 1);
        OCT_TRY(read_config(cli, &in, &base, out));
    }
    if (oct_cli_given(cli, "exif"))
        out->exif = strcmp(oct_cli_str(cli, "exif"), "on") == 0;
    return OCT_OK;
}

static oct_status read_on_error(oct_cli *cli, oct_dataset_options *o)
{
    const char *text = oct_cli_str(cli, "on-error");
    o->skip_bad = false;
    if (strcmp(text, "fail") == 0)
        return OCT_OK;
    o->skip_bad = true;
    o->max_skip_percent = 1;
    if (strcmp(text, "skip") == 0)
        return OCT_OK;
    if (strncmp(text, "skip:", 5) != 0 ||
        !oct_parse_f64(text + 5, strlen(text + 5), &o->max_skip_percent) ||
        !(o->max_skip_percent >= 0 && o->max_skip_percent <= 100))
        return oct_cli_usage(cli, "--on-error %s: expected fail or skip:PERCENT", text);
    return OCT_OK;
}

static oct_status read_set_inputs(oct_dataset_args *a)
{
    oct_cli *cli = a->cli;
    const int n = oct_cli_count(cli, "set-input");
    size_t total = 1;
    for (int i = 0; i < n; i++)
        total += strlen(oct_cli_str_at(cli, "set-input", i)) + 1;
    a->set = oct_zalloc_array(cli->ctx, (size_t)n + 1, sizeof *a->set);
    a->set_text = oct_alloc(cli->ctx, total);
    if (a->set == NULL || a->set_text == NULL)
        return OCT_ERR_NOMEM;
    char *at = a->set_text;
    for (int i = 0; i < n; i++) {
        const char *text = oct_cli_str_at(cli, "set-input", i);
        const size_t len = strlen(text) + 1;
        const char *equals = strrchr(text, '=');
        if (equals == NULL || equals == text)
            return oct_cli_usage(cli, "--set-input %s: expected NAME=VALUE", text);
        memcpy(at, text, len);
        at[equals - text] = '\0';
        a->set[i] = (oct_set_input){at, at + (equals - text) + 1};
        at += len;
    }
    a->options.set = a->set;
    a->options.n_set = n;
    return OCT_OK;
}

static oct_status read_limits(oct_cli *cli, oct_dataset_options *o)
{
    const oct_decode_limits defaults = OCT_DECODE_LIMITS_DEFAULT;
    o->limits = defaults;
    o->limits.max_pixels = oct_cli_s64(cli, "max-pixels");
    o->limits.max_side = (int)oct_cli_s64(cli, "max-side");
    o->allow_truncated = oct_cli_flag(cli, "allow-truncated");
    o->subset.limit = oct_cli_s64(cli, "limit");
    o->subset.seed = cli->seed;
    if (oct_cli_given(cli, "subset"))
        return oct_subset_parse(cli->ctx, oct_cli_str(cli, "subset"), &o->subset);
    return OCT_OK;
}

oct_status oct_model_input_specs(oct_ctx *ctx, const oct_model *m,
                                 oct_input_spec spec[OCT_MAX_MODEL_INPUTS], int *n)
{
    const oct_graph *g = oct_model_graph(m);
    uint32_t n_in;
    const oct_value_id *in = oct_graph_inputs(g, &n_in);
    if (n_in == 0 || n_in > OCT_MAX_MODEL_INPUTS)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "the model has %u inputs, expected 1 to %d", n_in,
                        OCT_MAX_MODEL_INPUTS);
    for (uint32_t i = 0; i < n_in; i++) {
        const oct_value *v = oct_graph_value(g, in[i]);
        spec[i] = (oct_input_spec){v->name, v->dtype, v->shape};
    }
    *n = (int)n_in;
    return OCT_OK;
}

oct_status oct_dataset_args_init(oct_dataset_args *a, oct_cli *cli, const char *path,
                                 const oct_input_spec *input, int n_inputs)
{
    int k = -1;
    *a = (oct_dataset_args){.cli = cli};
    oct_dataset_options *o = &a->options;
    o->path = path;
    o->input = input;
    o->n_inputs = n_inputs;
    o->n_threads = cli->n_threads;
    o->image_input = oct_cli_str(cli, "image-input");
    o->labels = oct_cli_str(cli, "labels");
    o->label_offset = (int)oct_cli_s64(cli, "label-offset");
    OCT_TRY(read_on_error(cli, o));
    OCT_TRY(read_limits(cli, o));
    OCT_TRY(read_set_inputs(a));
    if (!oct_cli_given(cli, "preset") && !oct_cli_given(cli, "config"))
        return OCT_OK;
    OCT_TRY(oct_dataset_image_input(cli->ctx, input, n_inputs, o->image_input, &k));
    if (k < 0)
        return oct_cli_usage(cli,
                             "--preset and --config: none of the model's inputs takes pictures");
    return oct_dataset_read_spec(cli, oct_image_input_of(&input[k].shape), &a->spec, &a->has_spec);
}

void oct_dataset_args_deinit(oct_dataset_args *a)
{
    oct_free(a->cli->ctx, a->set);
    oct_free(a->cli->ctx, a->set_text);
    a->set = NULL;
    a->set_text = NULL;
}

static oct_status parse_recorded(oct_dataset_args *a, const char *from, const char *json,
                                 oct_preprocess *out)
{
    oct_cli *cli = a->cli;
    int k = -1;
    OCT_TRY(oct_dataset_image_input(cli->ctx, a->options.input, a->options.n_inputs,
                                    a->options.image_input, &k));
    if (k < 0)
        return oct_fail(cli->ctx, OCT_ERR_STALE,
                        "%s was made with pictures, but no input of this model takes them", from);
    const oct_image_input in = oct_image_input_of(&a->options.input[k].shape);
    return oct_preprocess_from_json(cli->ctx, from, json, strlen(json), &in, NULL, out);
}

oct_status oct_dataset_args_use(oct_dataset_args *a, const char *from, const char *json)
{
    oct_preprocess recorded;
    char *mine = NULL, *theirs = NULL;
    if (json[0] == '\0')
        return OCT_OK;
    OCT_TRY(parse_recorded(a, from, json, &recorded));
    if (!a->has_spec) {
        a->spec = recorded;
        a->has_spec = true;
        return OCT_OK;
    }
    oct_status st = oct_preprocess_to_json(a->cli->ctx, &a->spec, &mine);
    if (st == OCT_OK)
        st = oct_preprocess_to_json(a->cli->ctx, &recorded, &theirs);
    if (st == OCT_OK && strcmp(mine, theirs) != 0)
        st = oct_cli_usage(a->cli,
                           "--preset/--config contradict %s, which was made with %s; leave them "
                           "out to use that",
                           from, theirs);
    oct_free(a->cli->ctx, mine);
    oct_free(a->cli->ctx, theirs);
    return st;
}

oct_status oct_dataset_args_open(oct_dataset_args *a, oct_batch_source **out)
{
    a->options.preprocess = a->has_spec ? &a->spec : NULL;
    return oct_dataset_open(a->cli->ctx, &a->options, out);
}

void oct_dataset_report(oct_cli *cli, const oct_batch_source *s)
{
    const oct_skip *skip;
    oct_dataset_info info;
    const size_t n = s->vt->skipped(s, &skip);
    char name[256], reason[512];
    oct_dataset_get_info(s, &info);
    for (size_t i = 0; i < n; i++)
        oct_log(cli->ctx, OCT_LOG_WARN, "skipped %s: %s",
                oct_printable(skip[i].name, name, sizeof name),
                oct_printable(skip[i].reason, reason, sizeof reason));
    if (n > 0)
        oct_log(cli->ctx, OCT_LOG_WARN, "%zu of %lld samples skipped", n,
                (long long)s->vt->n_samples(s));
    if (info.n_special + info.n_loops > 0)
        oct_log(cli->ctx, OCT_LOG_WARN,
                "passed over %lld entries that are no regular files and %lld links that lead back",
                (long long)info.n_special, (long long)info.n_loops);
    if (info.n_other > 0)
        oct_log(cli->ctx, OCT_LOG_INFO, "%lld other files passed over", (long long)info.n_other);
}

oct_status oct_dataset_config_channels(oct_cli *cli, int *channels)
{
    const char *path = oct_cli_str(cli, "config"), *color = NULL, *preset = NULL;
    json_t *root;
    const oct_json_at at = {cli->ctx, path, ""};
    if (path == NULL)
        return OCT_OK;
    OCT_TRY(oct_json_read_file(cli->ctx, path, MAX_CONFIG_BYTES, &root));
    oct_status st = oct_json_opt_string(&at, root, "color", &color);
    if (st == OCT_OK)
        st = oct_json_opt_string(&at, root, "preset", &preset);
    const oct_preset *p = preset != NULL ? oct_preset_find(preset) : NULL;
    if (p != NULL && p->channels != 0)
        *channels = p->channels;
    if (color != NULL)
        *channels = strcmp(color, "GRAY") == 0 ? 1 : 3;
    oct_json_read_free(root);
    return st;
}

oct_status oct_dataset_free_input(oct_cli *cli, oct_input_spec *out)
{
    const char *name = oct_cli_str(cli, "preset");
    const oct_preset *p = name != NULL ? oct_preset_find(name) : NULL;
    oct_image_input in = {.channels = p != NULL && p->channels != 0 ? p->channels : 3};
    oct_preprocess spec;
    bool given;
    OCT_TRY(oct_dataset_config_channels(cli, &in.channels));
    OCT_TRY(oct_dataset_read_spec(cli, in, &spec, &given));
    if (!given) {
        char fitting[256];
        return oct_cli_usage(cli,
                             "how pictures are preprocessed is never guessed: give --preset "
                             "or --config (presets: %s)",
                             oct_presets_fitting(&in, fitting, sizeof fitting));
    }
    *out = (oct_input_spec){.name = "input", .dtype = OCT_DT_F32};
    out->shape = (oct_shape){{-1, in.channels, spec.height, spec.width}, 4};
    return OCT_OK;
}
