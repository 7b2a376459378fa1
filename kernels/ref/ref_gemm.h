/* SPDX-License-Identifier: Apache-2.0
 *
 * The one matrix product of the reference kernels: convolutions and MatMul differ only in
 * how they pack columns and where results go.
 *
 *     acc[r][c] = sum over k of a[r][k] * b[k][c]     k = 0, 1, 2, ... one after the other
 *
 * Columns are packed OCT_REF_COLS at a time into a panel; for each block of OCT_REF_ROWS rows
 * the accumulators are handed to `store`. The order of every sum is fixed, so bits depend
 * neither on threads nor on which other columns are computed.
 */
#ifndef OCT_KERNELS_REF_REF_GEMM_H
#define OCT_KERNELS_REF_REF_GEMM_H

#include "base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_REF_COLS 8
#define OCT_REF_ROWS 4

typedef struct oct_ref_block {
    int64_t product, row, col; /* first row and column */
    int n_rows, n_cols;        /* at most OCT_REF_ROWS, OCT_REF_COLS */
} oct_ref_block;

typedef struct oct_ref_gemm {
    int64_t n_products, m, n, k;
    /* Products p, p + 1, ... of a run of `n_same` (at least 1; divides n_products) see the same
     * columns one after the other: what `pack` put into `extra` for the first one still holds. */
    int64_t n_same;
    bool integer; /* s16 operands and s32 sums, else f32 */
    int threads;
    const void *user;
    /* a[r][k] of a product: rows of k elements (f32 or s16), one behind the other. */
    const void *(*rows)(const void *user, int64_t product);
    /* Packs columns [b->col, b->col + b->n_cols): f32 as panel[k][OCT_REF_COLS], s16 as
     * panel[OCT_REF_COLS][k]. Columns beyond n_cols may hold anything finite. `extra`: scratch
     * of extra_bytes for its own use. */
    void (*pack)(const void *user, const oct_ref_block *b, void *panel, void *extra);
    /* acc: f32 or s32 [n_rows][OCT_REF_COLS] */
    void (*store)(const void *user, const oct_ref_block *b, const void *acc);
    size_t extra_bytes;
    void *panels; /* oct_ref_gemm_panel_bytes() of scratch */
} oct_ref_gemm;

size_t oct_ref_gemm_panel_bytes(int64_t k, bool integer, size_t extra_bytes, int threads);
void oct_ref_gemm_run(const oct_ref_gemm *g);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_REF_REF_GEMM_H */
