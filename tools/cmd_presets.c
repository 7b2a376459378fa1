/* SPDX-License-Identifier: Apache-2.0
 *
 * octet presets: the preprocessing presets, and what one of them (or a configuration file) comes
 * to in full.
 */
#include <string.h>

#include "datasets/presets.h"
#include "tools/cli.h"
#include "tools/dataset_options.h"

static oct_status print_list_json(oct_cli *cli)
{
    oct_strbuf b;
    oct_json j;
    oct_strbuf_init(&b, cli->ctx);
    oct_json_init(&j, &b, true);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "schema", "octet.presets/1");
    oct_json_key(&j, "presets");
    oct_json_begin_array(&j);
    for (int i = 0; i < oct_preset_count(); i++) {
        const oct_preset *p = oct_preset_at(i);
        oct_json_begin_object(&j);
        oct_json_kv_string(&j, "name", p->name);
        oct_json_kv_string(&j, "summary", p->summary);
        oct_json_kv_string(&j, "reproduces", p->program);
        oct_json_end_object(&j);
    }
    oct_json_end_array(&j);
    oct_json_end_object(&j);
    const oct_status st = oct_cli_emit_json(cli, &b);
    oct_strbuf_deinit(&b);
    return st;
}

static oct_status run_list(oct_cli *cli)
{
    oct_table *t;
    OCT_TRY(print_list_json(cli));
    if (!oct_cli_wants_text(cli))
        return OCT_OK;
    OCT_TRY(oct_table_new(cli->ctx, "preset|for|reproduces", &t));
    for (int i = 0; i < oct_preset_count(); i++) {
        const oct_preset *p = oct_preset_at(i);
        oct_table_str(t, p->name);
        oct_table_str(t, p->summary);
        oct_table_str(t, p->program);
    }
    const oct_status st = oct_cli_print_table(cli, t);
    oct_table_free(t);
    return st;
}

static const oct_pos show_positions[] = {
    {.name = "PRESET", .help = "its name; or leave it out and give --config", .optional = true},
    {0}};

static const oct_opt show_options[] = {
    {.name = "config",
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .help = "show what a configuration file comes to"},
    {.name = "preset",
     .arg = "NAME",
     .type = OCT_OPT_TEXT,
     .help = "preset that --config starts from"},
    {.name = "size", .arg = "HxW", .type = OCT_OPT_TEXT, .help = "network input size"},
    {.name = "exif",
     .arg = "on|off",
     .type = OCT_OPT_CHOICE,
     .choices = "on|off",
     .help = "turn pictures as their EXIF orientation says"},
    {0}};

static oct_status show_spec(oct_cli *cli, const oct_preprocess *p, const char *program)
{
    char *text;
    oct_strbuf b;
    OCT_TRY(oct_preprocess_to_json(cli->ctx, p, &text));
    oct_strbuf_init(&b, cli->ctx);
    oct_strbuf_add(&b, text);
    oct_status st = oct_strbuf_status(&b);
    if (st == OCT_OK)
        st = oct_cli_emit_json(cli, &b);
    if (st == OCT_OK && oct_cli_wants_text(cli)) {
        if (program != NULL)
            st = oct_cli_printf(cli, "reproduces: %s\n", program);
        if (st == OCT_OK)
            st = oct_cli_printf(cli, "%s\n", text);
    }
    oct_strbuf_deinit(&b);
    oct_free(cli->ctx, text);
    return st;
}

/* `octet presets show NAME` without --config. */
static oct_status named_spec(oct_cli *cli, const char *name, oct_preprocess *out)
{
    const oct_preset *p = oct_preset_find(name);
    oct_image_input in = {.channels = p != NULL && p->channels != 0 ? p->channels : 3};
    OCT_TRY(oct_dataset_read_size(cli, &in));
    if (p != NULL && p->default_side == 0 && in.height == 0) {
        in.height = in.width = 224;
        oct_log(cli->ctx, OCT_LOG_WARN, "preset %s has no size of its own; shown for 224x224",
                name);
    }
    OCT_TRY(oct_preset_apply(cli->ctx, name, &in, out));
    if (oct_cli_given(cli, "exif"))
        out->exif = strcmp(oct_cli_str(cli, "exif"), "on") == 0;
    return OCT_OK;
}

static oct_status run_show(oct_cli *cli)
{
    oct_image_input in = {.channels = 3};
    oct_preprocess spec;
    bool given;
    if (cli->n_pos > 0 && oct_cli_given(cli, "config"))
        return oct_cli_usage(cli, "with --config the preset is given as --preset");
    if (cli->n_pos == 0 && !oct_cli_given(cli, "config"))
        return oct_cli_usage(cli, "which one? Give a preset's name or --config FILE");
    if (cli->n_pos > 0) {
        OCT_TRY(named_spec(cli, cli->pos[0], &spec));
    } else {
        OCT_TRY(oct_dataset_config_channels(cli, &in.channels));
        OCT_TRY(oct_dataset_read_spec(cli, in, &spec, &given));
    }
    const oct_preset *p = oct_preset_find(spec.preset);
    return show_spec(cli, &spec, p != NULL ? p->program : NULL);
}

static const oct_cmd list_cmd = {
    .name = "list",
    .summary = "names and what they reproduce",
    .examples = "  octet presets list\n",
    .run = run_list,
    .quiet_ok = true,
};

static const oct_cmd show_cmd = {
    .name = "show",
    .summary = "every setting of one, as it is applied and recorded",
    .examples = "  octet presets show imagenet --size 299\n"
                "  octet presets show --config my.json --size 224\n",
    .pos = show_positions,
    .opts = show_options,
    .run = run_show,
    .quiet_ok = true,
};

static const oct_cmd *const sub[] = {&list_cmd, &show_cmd, NULL};

const oct_cmd oct_cmd_presets = {
    .name = "presets",
    .summary = "preprocessing presets, and what each one does in full",
    .examples = "  octet presets list              names and what they reproduce\n"
                "  octet presets show imagenet     every setting\n",
    .sub = sub,
    .rank = 85,
};
