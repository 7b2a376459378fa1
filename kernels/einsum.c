/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/einsum.h"

#include <ctype.h>
#include <string.h>

/* Labels: characters, and for "..." ELLIPSIS + position counted from its right end. */
#define ELLIPSIS 128
#define N_LABELS (ELLIPSIS + OCT_MAX_DIMS)

typedef struct term {
    int n;
    uint8_t label[OCT_MAX_DIMS * 2];
} term;

typedef struct parser {
    oct_ctx *ctx;
    const char *at;
    int widest_ellipsis;
} parser;

static oct_status bad(parser *p, const char *why)
{
    return oct_fail(p->ctx, OCT_ERR_SHAPE, "equation at \"%.16s\": %s", p->at, why);
}

static oct_status push(parser *p, term *t, int label)
{
    if (t->n >= OCT_MAX_DIMS)
        return bad(p, "too many dimensions");
    t->label[t->n++] = (uint8_t)label;
    return OCT_OK;
}

static bool at_term_end(const char *s)
{
    return *s == '\0' || *s == ',' || (s[0] == '-' && s[1] == '>');
}

/* How many letters a term has, and whether an ellipsis. */
static int count_letters(const char *s, bool *ellipsis)
{
    int n = 0;
    *ellipsis = false;
    for (; !at_term_end(s); s++) {
        *ellipsis |= *s == '.';
        n += isalpha((unsigned char)*s) != 0;
    }
    return n;
}

/* `wide`: dimensions that "..." stands for. */
static oct_status parse_term(parser *p, int wide, term *t)
{
    bool seen = false;
    t->n = 0;
    for (; !at_term_end(p->at); p->at++) {
        if (*p->at == ' ')
            continue;
        if (isalpha((unsigned char)*p->at)) {
            OCT_TRY(push(p, t, *p->at));
        } else if (strncmp(p->at, "...", 3) == 0 && !seen) {
            seen = true;
            for (int k = wide; k > 0; k--)
                OCT_TRY(push(p, t, ELLIPSIS + k - 1));
            p->at += 2;
        } else {
            return bad(p, "expected letters, one \"...\", \",\" or \"->\"");
        }
    }
    return OCT_OK;
}

static oct_status parse_inputs(parser *p, const int *n_dims, int n_in, term *in)
{
    for (int i = 0; i < n_in; i++) {
        bool ellipsis;
        const int letters = count_letters(p->at, &ellipsis);
        const int wide = n_dims[i] - letters;
        if (wide < 0 || (wide > 0 && !ellipsis))
            return oct_fail(p->ctx, OCT_ERR_SHAPE,
                            "equation: term %d has %d labels, input has rank %d", i, letters,
                            n_dims[i]);
        if (wide > p->widest_ellipsis)
            p->widest_ellipsis = wide;
        OCT_TRY(parse_term(p, wide, &in[i]));
        if (i + 1 < n_in && *p->at++ != ',')
            return oct_fail(p->ctx, OCT_ERR_SHAPE, "equation: fewer terms than the %d inputs",
                            n_in);
    }
    return *p->at == ',' ? bad(p, "more terms than inputs") : OCT_OK;
}

/* The output that an equation without "->" has. */
static oct_status implicit_output(parser *p, const term *in, int n_in, term *out)
{
    int count[N_LABELS] = {0};
    for (int i = 0; i < n_in; i++) {
        for (int k = 0; k < in[i].n; k++)
            count[in[i].label[k]]++;
    }
    out->n = 0;
    for (int k = p->widest_ellipsis; k > 0; k--)
        OCT_TRY(push(p, out, ELLIPSIS + k - 1));
    for (int c = 0; c < ELLIPSIS; c++) {
        if (count[c] == 1)
            OCT_TRY(push(p, out, c));
    }
    return OCT_OK;
}

/* Numbers the labels: output first. */
static oct_status number_labels(parser *p, const term *in, int n_in, const term *out, oct_einsum *e)
{
    int8_t index[N_LABELS];
    memset(index, -1, sizeof index);
    for (int k = 0; k < out->n; k++) {
        if (index[out->label[k]] >= 0)
            return bad(p, "a label occurs twice in the output");
        index[out->label[k]] = (int8_t)e->n_indices++;
    }
    uint64_t used = 0;
    for (int i = 0; i < n_in; i++) {
        e->n_dims[i] = in[i].n;
        for (int k = 0; k < in[i].n; k++) {
            int8_t *at = &index[in[i].label[k]];
            if (*at < 0) {
                if (e->n_indices >= OCT_EINSUM_MAX_INDICES)
                    return oct_fail(p->ctx, OCT_ERR_UNSUPPORTED, "equation: over %d labels",
                                    OCT_EINSUM_MAX_INDICES);
                *at = (int8_t)e->n_indices++;
            }
            e->index[i][k] = *at;
            used |= (uint64_t)1 << *at;
        }
    }
    for (int k = 0; k < out->n; k++) {
        if (!(used >> k & 1))
            return bad(p, "an output label is in no input");
    }
    return OCT_OK;
}

oct_status oct_einsum_parse(oct_ctx *ctx, const char *equation, const int *n_dims, int n_in,
                            oct_einsum *out)
{
    parser p = {ctx, equation ? equation : "", 0};
    term in[OCT_EINSUM_MAX_INPUTS], result;
    oct_einsum e = {.n_in = n_in};
    if (n_in > OCT_EINSUM_MAX_INPUTS)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "%d inputs, at most %d", n_in,
                        OCT_EINSUM_MAX_INPUTS);
    OCT_TRY(parse_inputs(&p, n_dims, n_in, in));
    if (*p.at == '-') {
        p.at += 2;
        OCT_TRY(parse_term(&p, p.widest_ellipsis, &result));
        if (*p.at != '\0')
            return bad(&p, "more than one output");
    } else {
        OCT_TRY(implicit_output(&p, in, n_in, &result));
    }
    OCT_TRY(number_labels(&p, in, n_in, &result, &e));
    e.n_out_dims = result.n;
    *out = e;
    return OCT_OK;
}
