/* SPDX-License-Identifier: Apache-2.0
 *
 * Doubts about labels and preprocessing, said aloud.
 */
#include <math.h>
#include <stdio.h>

#include "tools/evaluate_result.h"

#define TEXT_BYTES 640

static const char *text_of(const oct_doubt *d, char buf[TEXT_BYTES])
{
    char ref[OCT_NUM_TEXT_BYTES], alt[OCT_NUM_TEXT_BYTES];
    oct_fixed_text(100 * (double)d->n_ref / (double)d->n, 1, ref);
    oct_fixed_text(100 * (double)d->n_alt / (double)d->n, 1, alt);
    snprintf(buf, TEXT_BYTES,
             "the reference would be right on %s %% instead of %s %% of %llu images with %s: %s",
             alt, ref, (unsigned long long)d->n, d->text, d->remedy);
    return buf;
}

static void say(oct_cli *cli, const oct_evaluation *e, const oct_doubts *d)
{
    char text[TEXT_BYTES];
    for (size_t i = 0; i < d->n; i++)
        oct_log(cli->ctx, OCT_LOG_WARN, "preprocessing or label map? %s",
                text_of(&d->item[i], text));
    if (d->n == 0 && oct_evaluation_is_suspect(e))
        oct_log(cli->ctx, OCT_LOG_WARN,
                "the reference is right on %llu of %llu images, which %zu classes give by chance: "
                "preprocessing or label map? (--preset, --labels, --label-offset)",
                (unsigned long long)e->side[0].n_top1, (unsigned long long)e->n_labelled,
                e->n_classes);
    if (e->detection && e->side[0].coco.ap50 >= 0 && e->side[0].coco.ap50 < 0.01)
        oct_log(cli->ctx, OCT_LOG_WARN,
                "the reference finds next to nothing (AP50 below 0.01): preprocessing, --detector "
                "or annotations?");
}

oct_status oct_doubts_find(oct_cli *cli, oct_side *ref, const oct_dataset_args *args,
                           const oct_eval_options *opt, const oct_evaluation *e, oct_doubts *out)
{
    oct_dataset_options data = args->options;
    data.preprocess = args->has_spec ? &args->spec : NULL;
    *out = (oct_doubts){.n = 0};
    OCT_TRY(oct_doubts_labels(cli->ctx, e, out));
    if (out->n == 0) /* wrong labels would hide what pictures do */
        OCT_TRY(oct_doubts_pictures(cli->ctx, ref, &data, opt, e, out));
    say(cli, e, out);
    return OCT_OK;
}

oct_status oct_doubts_report(const oct_doubts *d, oct_report *r)
{
    char text[TEXT_BYTES];
    const char **notes = oct_report_texts(r, r->n_notes + d->n);
    if (notes == NULL)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < r->n_notes; i++)
        notes[i] = r->notes[i];
    r->notes = notes;
    for (size_t i = 0; i < d->n; i++) {
        notes[r->n_notes] =
            oct_report_textf(r, "preprocessing or label map? %s", text_of(&d->item[i], text));
        if (notes[r->n_notes++] == NULL)
            return OCT_ERR_NOMEM;
    }
    return OCT_OK;
}
