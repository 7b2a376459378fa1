/* SPDX-License-Identifier: Apache-2.0
 *
 * Checking a cache: its header, every entry, and whether it belongs to a model.
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "calib/cache_tools.h"
#include "calib/ranges_internal.h"

struct oct_lint {
    oct_ctx *ctx;
    oct_arena *arena;
    oct_lint_item *item;
    size_t n, cap;
    size_t n_level[OCT_LINT_COUNT];
};

void oct_lint_free(oct_lint *l)
{
    if (l == NULL)
        return;
    oct_arena_free(l->arena);
    oct_free(l->ctx, l->item);
    oct_free(l->ctx, l);
}

size_t oct_lint_items(const oct_lint *l, const oct_lint_item **list)
{
    *list = l->item;
    return l->n;
}

size_t oct_lint_count(const oct_lint *l, oct_lint_level level)
{
    return l->n_level[level];
}

static oct_status report(oct_lint *l, oct_lint_level level, uint32_t line, const char *name,
                         const char *text)
{
    if (l->n == l->cap) {
        const size_t cap = l->cap == 0 ? 64 : l->cap * 2;
        oct_lint_item *item = oct_realloc(l->ctx, l->item, cap * sizeof *item);
        if (item == NULL)
            return OCT_ERR_NOMEM;
        l->item = item;
        l->cap = cap;
    }
    const oct_lint_item it = {level, line, oct_arena_strdup(l->arena, name),
                              oct_arena_strdup(l->arena, text)};
    if (it.name == NULL || it.text == NULL)
        return OCT_ERR_NOMEM;
    l->item[l->n++] = it;
    l->n_level[level]++;
    return OCT_OK;
}

static oct_status lint_header(oct_lint *l, const oct_ranges *r)
{
    static const char *const algorithms[] = {"EntropyCalibration2", "EntropyCalibration",
                                             "MinMaxCalibration", "LegacyCalibration"};
    if (oct_ranges_format(r) != OCT_CACHE_TRT)
        return OCT_OK;
    const char *header = oct_ranges_header(r);
    if (header[0] == '\0')
        return report(l, OCT_LINT_ERROR, 1, "",
                      "no header TRT-<version>-<algorithm>: TensorRT ignores the cache");
    size_t digits = strspn(header + 4, "0123456789");
    const char *name = header + 4 + digits;
    if (digits == 0 || *name != '-')
        return report(l, OCT_LINT_ERROR, 1, "", "header is not TRT-<version>-<algorithm>");
    name++;
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        if (strcmp(name, algorithms[i]) != 0)
            continue;
        if (i == 0)
            return OCT_OK;
        return report(l, OCT_LINT_INFO, 1, "",
                      "only a calibrator of the same algorithm loads this; trtexec, DeepStream and "
                      "DLA ask for EntropyCalibration2 ('octet cache retarget' changes it)");
    }
    return report(l, OCT_LINT_WARNING, 1, "", "the header names no algorithm that TensorRT has");
}

static oct_status lint_entry(oct_lint *l, const oct_ranges *r, const oct_range *e)
{
    char why[OCT_RANGE_FLAGS_BYTES];
    const char *shown = e->flags & OCT_RANGE_UNPARSED && e->text != NULL ? e->text : e->name;
    if ((e->flags & OCT_RANGE_UNUSABLE) && !(e->flags & OCT_RANGE_WEIGHTS))
        OCT_TRY(report(l, OCT_LINT_ERROR, e->line, shown, oct_range_flags_str(e->flags, why)));
    else if (e->flags & OCT_RANGE_REPEATED)
        OCT_TRY(report(l, OCT_LINT_WARNING, e->line, shown, "repeated"));
    if (oct_ranges_format(r) != OCT_CACHE_TRT || (e->flags & OCT_RANGE_UNPARSED))
        return OCT_OK;
    if (strstr(e->name, ": ") != NULL)
        return report(l, OCT_LINT_WARNING, e->line, e->name,
                      "ModelOpt and ONNX Runtime cannot read a name with \": \"");
    if (strchr(e->name, ':') != NULL)
        return report(l, OCT_LINT_INFO, e->line, e->name,
                      "ONNX Runtime cuts this name at its first ':'");
    return OCT_OK;
}

static oct_status lint_model(oct_lint *l, const oct_ranges *r, const oct_model_names *model)
{
    for (size_t i = 0; i < model->n_needed; i++)
        if (oct_ranges_find(r, model->needed[i]) == NULL)
            OCT_TRY(report(l, OCT_LINT_WARNING, 0, model->needed[i],
                           "tensor of the model without a scale: its layers will not run in INT8"));
    for (size_t i = 0; i < oct_ranges_count(r); i++) {
        const oct_range *e = oct_ranges_at(r, i);
        if ((e->flags & (OCT_RANGE_UNPARSED | OCT_RANGE_WEIGHTS | OCT_RANGE_REPEATED)) == 0 &&
            oct_ranges_find(model->all, e->name) == NULL)
            OCT_TRY(report(l, OCT_LINT_WARNING, e->line, e->name, "no such tensor in the model"));
    }
    return OCT_OK;
}

static oct_status lint_all(oct_lint *l, const oct_ranges *r, const oct_model_names *model)
{
    OCT_TRY(lint_header(l, r));
    for (size_t i = 0; i < oct_ranges_count(r); i++)
        OCT_TRY(lint_entry(l, r, oct_ranges_at(r, i)));
    if (oct_ranges_count(r) == 0)
        OCT_TRY(report(l, OCT_LINT_ERROR, 0, "", "no scales at all"));
    /* ncnn names layers, not tensors */
    if (model != NULL && oct_ranges_format(r) != OCT_CACHE_NCNN)
        OCT_TRY(lint_model(l, r, model));
    return OCT_OK;
}

oct_status oct_cache_lint(oct_ctx *ctx, const oct_ranges *r, const oct_model_names *model,
                          oct_lint **out)
{
    oct_lint *l = oct_zalloc(ctx, sizeof *l);
    if (l == NULL)
        return OCT_ERR_NOMEM;
    l->ctx = ctx;
    oct_status st = oct_arena_new(ctx, &l->arena);
    if (st == OCT_OK)
        st = lint_all(l, r, model);
    if (st != OCT_OK) {
        oct_lint_free(l);
        return st;
    }
    *out = l;
    return OCT_OK;
}
