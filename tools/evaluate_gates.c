/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "tools/evaluate_result.h"

#define SLACK 1e-9 /* points: a drop of exactly the limit passes */

static const char *const option[OCT_GATE_COUNT] = {"max-drop", "min-agreement", "min-sqnr"};
static const char *const verdict[] = {"passed", "failed", "undecided"};

const oct_opt oct_judge_opts[] = {
    {.name = "max-drop",
     .arg = "P",
     .type = OCT_OPT_F64,
     .min = 0,
     .max = 100,
     .group = "Gates",
     .help = "fail if top-1 (with boxes: AP) falls by more than P points"},
    {.name = "min-agreement",
     .arg = "P",
     .type = OCT_OPT_F64,
     .min = 0,
     .max = 100,
     .group = "Gates",
     .help = "fail if fewer than P % of the images get the reference's class"},
    {.name = "min-sqnr",
     .arg = "DB",
     .type = OCT_OPT_F64,
     .group = "Gates",
     .help = "fail if the outputs' signal to quantization noise ratio is below DB"},
    {.name = "gate",
     .arg = "HOW",
     .type = OCT_OPT_CHOICE,
     .choices = "point|confident",
     .fallback = "point",
     .group = "Gates",
     .help = "judge the estimate, or the bound of its 95 % interval; an interval that spans the "
             "gate does not pass"},
    {.name = "detector",
     .arg = "HEAD",
     .type = OCT_OPT_TEXT,
     .fallback = "auto",
     .help =
         "with --labels coco:FILE: what the outputs are: auto, yolov5, yolov8, fastestdet, nms"},
    {.name = "drop-class",
     .arg = "N",
     .type = OCT_OPT_S64,
     .min = 0,
     .max = 1000000,
     .help = "leave class N out of the scores; later classes move down (0 for networks with a "
             "background class, whose labels have none)"},
    {0}};

oct_status oct_judge_read(oct_cli *cli, oct_eval_options *opt, oct_coco **coco)
{
    const char *labels = oct_cli_str(cli, "labels");
    *coco = NULL;
    *opt = (oct_eval_options){.workers = cli->n_threads,
                              .seed = cli->seed,
                              .drops_class = oct_cli_given(cli, "drop-class"),
                              .dropped_class = (int32_t)oct_cli_s64(cli, "drop-class")};
    OCT_TRY(oct_detector_parse(cli->ctx, oct_cli_str(cli, "detector"), &opt->detect.detector));
    if (labels == NULL || strncmp(labels, "coco:", 5) != 0)
        return OCT_OK;
    OCT_TRY(oct_coco_open(cli->ctx, labels + 5, coco));
    opt->coco = *coco;
    return OCT_OK;
}

const char *oct_gate_option(oct_gate_kind k)
{
    return option[k];
}

const char *oct_gate_verdict_str(oct_gate_verdict v)
{
    return verdict[v];
}

/* value and interval in the limit's unit; more is better, `least` is the bound. */
static void decide(oct_gate *g, double least, bool confident)
{
    if (!confident || g->kind == OCT_GATE_MIN_SQNR)
        g->verdict = g->value >= least - SLACK ? OCT_GATE_PASSED : OCT_GATE_FAILED;
    else if (g->interval.lo >= least - SLACK)
        g->verdict = OCT_GATE_PASSED;
    else
        g->verdict = g->interval.hi < least ? OCT_GATE_FAILED : OCT_GATE_UNDECIDED;
}

static oct_status gate_drop(oct_cli *cli, const oct_evaluation *e, const oct_eval_pair *p,
                            bool confident, oct_gate *g)
{
    if (!e->detection && e->n_labelled == 0)
        return oct_cli_usage(cli, "--max-drop needs labels; --min-agreement and --min-sqnr do not");
    if (e->detection) {
        g->value = 100 * (e->side[g->candidate + 1].coco.ap - e->side[0].coco.ap);
        g->interval = (oct_interval){100 * p->ap_difference.lo, 100 * p->ap_difference.hi};
    } else {
        const oct_interval d = oct_paired_difference(&p->paired);
        g->value = 100 * oct_paired_delta(&p->paired);
        g->interval = (oct_interval){100 * d.lo, 100 * d.hi};
    }
    decide(g, -g->limit, confident);
    if (g->verdict == OCT_GATE_UNDECIDED && !e->detection) {
        g->needed = oct_paired_samples_needed(&p->paired, -g->limit / 100);
        g->needed = g->needed == UINT64_MAX ? 0 : g->needed;
    }
    return OCT_OK;
}

/* Samples until the Wilson interval leaves the limit, its width falling with the root of n. */
static uint64_t agreement_needed(const oct_gate *g, size_t n)
{
    const double gap = fabs(g->value - g->limit);
    const double half = (g->interval.hi - g->interval.lo) / 2;
    const double need = gap > 0 ? ceil((double)n * (half / gap) * (half / gap)) : 0;
    return need > (double)n && need < 1e15 ? (uint64_t)need : 0;
}

static oct_status gate_agreement(oct_cli *cli, const oct_evaluation *e, const oct_eval_pair *p,
                                 bool confident, oct_gate *g)
{
    if (e->n_classes == 0)
        return oct_cli_usage(cli, "--min-agreement needs classifiers; --min-sqnr does not");
    const oct_interval i = oct_wilson(p->n_agree, e->n);
    g->value = 100 * (double)p->n_agree / (double)e->n;
    g->interval = (oct_interval){100 * i.lo, 100 * i.hi};
    decide(g, g->limit, confident);
    if (g->verdict == OCT_GATE_UNDECIDED)
        g->needed = agreement_needed(g, e->n);
    return OCT_OK;
}

static oct_status gate_sqnr(oct_cli *cli, const oct_eval_pair *p, oct_gate *g)
{
    if (!p->has_distance)
        return oct_cli_usage(cli, "--min-sqnr needs sides whose outputs have the same shapes");
    g->value = p->sqnr_db;
    g->interval = (oct_interval){p->sqnr_db, p->sqnr_db};
    decide(g, g->limit, false);
    return OCT_OK;
}

oct_status oct_evaluation_gates(oct_cli *cli, oct_evaluation_view *v)
{
    const bool confident = strcmp(oct_cli_str(cli, "gate"), "confident") == 0;
    const oct_evaluation *e = v->e;
    v->n_gates = 0;
    for (size_t c = 0; c + 1 < e->n_sides; c++) {
        for (int k = 0; k < OCT_GATE_COUNT; k++) {
            if (!oct_cli_given(cli, option[k]))
                continue;
            oct_gate *g = &v->gate[v->n_gates++];
            *g = (oct_gate){
                .kind = (oct_gate_kind)k, .candidate = c, .limit = oct_cli_f64(cli, option[k])};
            if (k == OCT_GATE_MAX_DROP)
                OCT_TRY(gate_drop(cli, e, &e->pair[c], confident, g));
            else if (k == OCT_GATE_MIN_AGREEMENT)
                OCT_TRY(gate_agreement(cli, e, &e->pair[c], confident, g));
            else
                OCT_TRY(gate_sqnr(cli, &e->pair[c], g));
        }
    }
    return OCT_OK;
}
