/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/ref/ref_loop.h"

#include <assert.h>
#include <string.h>

#include "base/parallel.h"

#define PIECE_ELEMS 8192  /* a row longer than this is handed out in pieces */
#define GRAIN_ELEMS 16384 /* least work per thread */

void oct_ref_loop_init(oct_ref_loop *l, const oct_shape *shape)
{
    assert(shape->n_dims >= 0);
    memset(l, 0, sizeof *l);
    l->n_dims = shape->n_dims;
    for (int i = 0; i < shape->n_dims; i++)
        l->dim[i] = shape->dim[i];
}

void oct_ref_loop_add(oct_ref_loop *l, const oct_tensor_desc *d)
{
    assert(l->n_operands < OCT_REF_LOOP_OPERANDS && d->shape.n_dims <= l->n_dims);
    int64_t *stride = l->stride[l->n_operands++];
    const int shift = l->n_dims - d->shape.n_dims;
    for (int i = 0; i < l->n_dims; i++) {
        const bool own = i >= shift && d->shape.dim[i - shift] != 1;
        stride[i] = own ? d->stride[i - shift] : 0;
    }
}

void oct_ref_loop_dim(oct_ref_loop *l, int64_t size, int64_t stride0, int64_t stride1)
{
    assert(l->n_dims < OCT_REF_LOOP_DIMS);
    l->n_operands = 2;
    l->dim[l->n_dims] = size;
    l->stride[0][l->n_dims] = stride0;
    l->stride[1][l->n_dims] = stride1;
    l->n_dims++;
}

static int64_t magnitude(int64_t v)
{
    return v < 0 ? -v : v;
}

static void swap_dims(oct_ref_loop *l, int i, int j)
{
    const int64_t dim = l->dim[i];
    l->dim[i] = l->dim[j];
    l->dim[j] = dim;
    for (int k = 0; k < l->n_operands; k++) {
        const int64_t s = l->stride[k][i];
        l->stride[k][i] = l->stride[k][j];
        l->stride[k][j] = s;
    }
}

static void move_dim(oct_ref_loop *l, int to, int from)
{
    l->dim[to] = l->dim[from];
    for (int k = 0; k < l->n_operands; k++)
        l->stride[k][to] = l->stride[k][from];
}

static void drop_ones(oct_ref_loop *l)
{
    int n = 0;
    for (int i = 0; i < l->n_dims; i++)
        if (l->dim[i] != 1)
            move_dim(l, n++, i);
    l->n_dims = n;
}

static bool mergeable(const oct_ref_loop *l, int outer, int inner)
{
    for (int k = 0; k < l->n_operands; k++)
        if (l->stride[k][outer] != l->stride[k][inner] * l->dim[inner])
            return false;
    return true;
}

static void merge_contiguous(oct_ref_loop *l)
{
    int n = 0;
    for (int i = 1; i < l->n_dims; i++) {
        if (mergeable(l, n, i)) {
            const int64_t size = l->dim[n] * l->dim[i];
            move_dim(l, n, i);
            l->dim[n] = size;
        } else {
            move_dim(l, ++n, i);
        }
    }
    l->n_dims = n + 1;
}

void oct_ref_loop_optimize(oct_ref_loop *l)
{
    drop_ones(l);
    for (int i = 1; i < l->n_dims; i++) /* insertion sort: stable, at most 16 dims */
        for (int j = i; j > 0; j--) {
            if (magnitude(l->stride[0][j - 1]) >= magnitude(l->stride[0][j]))
                break;
            swap_dims(l, j - 1, j);
        }
    if (l->n_dims == 0) { /* one element */
        l->n_dims = 1;
        l->dim[0] = 1;
        for (int k = 0; k < l->n_operands; k++)
            l->stride[k][0] = 1;
        return;
    }
    for (int i = 0; i < l->n_dims; i++)
        if (l->dim[i] == 0) /* nothing to visit; products of other dims need not fit */
            return;
    merge_contiguous(l);
}

typedef struct loop_job {
    const oct_ref_loop *l;
    oct_ref_row_fn fn;
    void *user;
    int64_t pieces; /* of each row */
    int64_t piece_elems;
    int64_t step[OCT_REF_LOOP_OPERANDS];
} loop_job;

typedef struct loop_cursor {
    int64_t at[OCT_REF_LOOP_DIMS];
    int64_t offset[OCT_REF_LOOP_OPERANDS];
} loop_cursor;

static void cursor_set(loop_cursor *c, const oct_ref_loop *l, int64_t row)
{
    memset(c, 0, sizeof *c);
    for (int i = l->n_dims - 2; i >= 0; i--) {
        c->at[i] = row % l->dim[i];
        row /= l->dim[i];
        for (int k = 0; k < l->n_operands; k++)
            c->offset[k] += c->at[i] * l->stride[k][i];
    }
}

static void cursor_next(loop_cursor *c, const oct_ref_loop *l)
{
    for (int i = l->n_dims - 2; i >= 0; i--) {
        const bool wrap = ++c->at[i] == l->dim[i];
        const int64_t steps = wrap ? 1 - l->dim[i] : 1;
        for (int k = 0; k < l->n_operands; k++)
            c->offset[k] += steps * l->stride[k][i];
        if (!wrap)
            return;
        c->at[i] = 0;
    }
}

static void run_range(void *user, size_t lo, size_t hi, int worker)
{
    (void)worker;
    const loop_job *j = user;
    const oct_ref_loop *l = j->l;
    const int64_t n = l->dim[l->n_dims - 1];
    int64_t row = (int64_t)lo / j->pieces, piece = (int64_t)lo % j->pieces;
    loop_cursor c;
    cursor_set(&c, l, row);
    for (size_t item = lo; item < hi; item++) {
        const int64_t first = piece * j->piece_elems;
        const int64_t left = n - first;
        int64_t offset[OCT_REF_LOOP_OPERANDS];
        for (int k = 0; k < l->n_operands; k++)
            offset[k] = c.offset[k] + first * j->step[k];
        j->fn(j->user, offset, j->step, left < j->piece_elems ? left : j->piece_elems);
        if (++piece == j->pieces) {
            piece = 0;
            cursor_next(&c, l);
        }
    }
}

void oct_ref_loop_run(const oct_ref_loop *l, int threads, oct_ref_row_fn fn, void *user)
{
    const int row_dim = l->n_dims - 1;
    int64_t rows = 1;
    for (int i = 0; i < l->n_dims; i++) {
        if (l->dim[i] == 0)
            return;
        rows *= i < row_dim ? l->dim[i] : 1;
    }
    loop_job j = {.l = l, .fn = fn, .user = user};
    for (int k = 0; k < l->n_operands; k++)
        j.step[k] = l->stride[k][row_dim];
    const int64_t n = l->dim[row_dim];
    j.piece_elems = n < PIECE_ELEMS ? n : PIECE_ELEMS;
    j.pieces = (n + j.piece_elems - 1) / j.piece_elems;
    const size_t grain = (size_t)(GRAIN_ELEMS / j.piece_elems) + 1;
    oct_parallel_for(threads, (size_t)(rows * j.pieces), grain, run_range, &j);
}
