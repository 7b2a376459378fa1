/* SPDX-License-Identifier: Apache-2.0
 *
 * Lets the Python oracles call the metrics: reads one request from stdin, prints numbers.
 *
 *     coco N_IMAGES N_CATEGORIES N_GT N_DET, then the boxes -> the twelve COCO numbers
 *     wilson K N | mcnemar B C | paired BOTH ONLY_REF ONLY_CAND NEITHER
 */
#include <stdio.h>
#include <string.h>

#include "accuracy/coco_eval.h"
#include "accuracy/stats.h"

static int fail(const char *what)
{
    fprintf(stderr, "metrics_driver: %s\n", what);
    return 1;
}

static int read_gt(oct_gt_box *g)
{
    int crowd = 0;
    const int n = scanf("%u %u %lf %lf %lf %lf %lf %d", &g->image, &g->category, &g->box[0],
                        &g->box[1], &g->box[2], &g->box[3], &g->area, &crowd);
    g->crowd = crowd != 0;
    return n == 8;
}

static int read_det(oct_det_box *d)
{
    return scanf("%u %u %lf %lf %lf %lf %lf", &d->image, &d->category, &d->box[0], &d->box[1],
                 &d->box[2], &d->box[3], &d->score) == 7;
}

static int run_coco(oct_ctx *ctx)
{
    oct_coco_input in = {0};
    if (scanf("%u %u %zu %zu", &in.n_images, &in.n_categories, &in.n_gt, &in.n_det) != 4)
        return fail("bad coco header");
    oct_gt_box *gt = oct_zalloc_array(ctx, in.n_gt, sizeof *gt);
    oct_det_box *det = oct_zalloc_array(ctx, in.n_det, sizeof *det);
    for (size_t i = 0; i < in.n_gt; i++)
        if (!read_gt(&gt[i]))
            return fail("bad ground truth");
    for (size_t i = 0; i < in.n_det; i++)
        if (!read_det(&det[i]))
            return fail("bad detection");
    in.gt = gt;
    in.det = det;
    oct_coco_result r;
    oct_interval same;
    if (oct_coco_evaluate(ctx, &in, &r) != OCT_OK ||
        oct_coco_bootstrap(ctx, &in, &in, 20, 1, &same) != OCT_OK)
        return fail(oct_error_text(ctx));
    const double v[] = {r.ap,  r.ap50, r.ap75,  r.ap_small, r.ap_medium, r.ap_large,
                        r.ar1, r.ar10, r.ar100, r.ar_small, r.ar_medium, r.ar_large};
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++)
        printf("%.17g ", v[i]);
    printf("%.17g %.17g\n", same.lo, same.hi);
    oct_free(ctx, gt);
    oct_free(ctx, det);
    return 0;
}

static int run_stats(const char *what)
{
    unsigned long long a, b, c, d;
    if (strcmp(what, "wilson") == 0 && scanf("%llu %llu", &a, &b) == 2) {
        const oct_interval i = oct_wilson(a, b);
        return printf("%.17g %.17g\n", i.lo, i.hi) < 0;
    }
    if (strcmp(what, "mcnemar") == 0 && scanf("%llu %llu", &a, &b) == 2)
        return printf("%.17g\n", oct_mcnemar(a, b)) < 0;
    if (strcmp(what, "paired") == 0 && scanf("%llu %llu %llu %llu", &a, &b, &c, &d) == 4) {
        const oct_interval i = oct_paired_difference(&(oct_paired_counts){a, b, c, d});
        return printf("%.17g %.17g\n", i.lo, i.hi) < 0;
    }
    return fail("unknown request");
}

int main(void)
{
    char what[16];
    oct_ctx *ctx = NULL;
    if (oct_ctx_new(NULL, &ctx) != OCT_OK)
        return 1;
    int rc = 0;
    while (rc == 0 && scanf("%15s", what) == 1)
        rc = strcmp(what, "coco") == 0 ? run_coco(ctx) : run_stats(what);
    oct_ctx_free(ctx);
    return rc;
}
