/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/ref/ref_gemm.h"

#include "base/parallel.h"

#define COLS OCT_REF_COLS
#define ROWS OCT_REF_ROWS

typedef float f32_block[ROWS][COLS];
typedef int32_t s32_block[ROWS][COLS];

/* Four rows at once. The inner loops have constant length: they become vector registers. */
static void rows4_f32(int64_t n_k, const float *a, const float *panel, f32_block out)
{
    const float *a0 = a, *a1 = a + n_k, *a2 = a + 2 * n_k, *a3 = a + 3 * n_k;
    float c0[COLS] = {0}, c1[COLS] = {0}, c2[COLS] = {0}, c3[COLS] = {0};
    for (int64_t k = 0; k < n_k; k++) {
        const float *b = panel + k * COLS;
        for (int j = 0; j < COLS; j++)
            c0[j] += a0[k] * b[j];
        for (int j = 0; j < COLS; j++)
            c1[j] += a1[k] * b[j];
        for (int j = 0; j < COLS; j++)
            c2[j] += a2[k] * b[j];
        for (int j = 0; j < COLS; j++)
            c3[j] += a3[k] * b[j];
    }
    for (int j = 0; j < COLS; j++) {
        out[0][j] = c0[j];
        out[1][j] = c1[j];
        out[2][j] = c2[j];
        out[3][j] = c3[j];
    }
}

static void row_f32(int64_t n_k, const float *a, const float *panel, float *out)
{
    float c[COLS] = {0};
    for (int64_t k = 0; k < n_k; k++) {
        for (int j = 0; j < COLS; j++)
            c[j] += a[k] * panel[k * COLS + j];
    }
    for (int j = 0; j < COLS; j++)
        out[j] = c[j];
}

static void block_f32(int64_t n_k, int n_rows, const float *a, const float *panel, f32_block out)
{
    if (n_rows == ROWS) {
        rows4_f32(n_k, a, panel, out);
        return;
    }
    for (int r = 0; r < n_rows; r++)
        row_f32(n_k, a + r * n_k, panel, out[r]);
}

/* Exact, so the order does not matter and the compiler may use widening dot products. */
static int32_t dot_s16(const int16_t *a, const int16_t *b, int64_t n)
{
    int32_t sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += (int32_t)a[k] * (int32_t)b[k];
    return sum;
}

static void block_s16(int64_t n_k, int n_rows, int n_cols, const int16_t *a, const int16_t *panel,
                      s32_block out)
{
    for (int r = 0; r < n_rows; r++) {
        for (int j = 0; j < n_cols; j++)
            out[r][j] = dot_s16(a + r * n_k, panel + j * n_k, n_k);
    }
}

static size_t align_up(size_t n)
{
    return (n + OCT_ALIGN - 1) / OCT_ALIGN * OCT_ALIGN;
}

static size_t panel_bytes(int64_t k, bool integer)
{
    return align_up((size_t)k * COLS * (integer ? sizeof(int16_t) : sizeof(float)));
}

size_t oct_ref_gemm_panel_bytes(int64_t k, bool integer, size_t extra_bytes, int threads)
{
    return (panel_bytes(k, integer) + align_up(extra_bytes)) * (size_t)threads;
}

static void run_panel(const oct_ref_gemm *g, int64_t product, int64_t col, uint8_t *panel)
{
    const int64_t left = g->n - col;
    oct_ref_block b = {.product = product, .col = col, .n_cols = (int)(left < COLS ? left : COLS)};
    const uint8_t *a = g->rows(g->user, product);
    const size_t row_bytes = (size_t)g->k * (g->integer ? sizeof(int16_t) : sizeof(float));
    g->pack(g->user, &b, panel, panel + panel_bytes(g->k, g->integer));
    for (; b.row < g->m; b.row += ROWS) {
        f32_block f;
        s32_block s;
        b.n_rows = (int)(g->m - b.row < ROWS ? g->m - b.row : ROWS);
        const void *rows = a + (size_t)b.row * row_bytes;
        if (g->integer)
            block_s16(g->k, b.n_rows, b.n_cols, rows, (const int16_t *)panel, s);
        else
            block_f32(g->k, b.n_rows, rows, (const float *)panel, f);
        g->store(g->user, &b, g->integer ? (const void *)s : (const void *)f);
    }
}

/* Items: (run of products, panel). */
static void run_range(void *user, size_t lo, size_t hi, int worker)
{
    const oct_ref_gemm *g = user;
    const int64_t panels = (g->n + COLS - 1) / COLS;
    uint8_t *panel = (uint8_t *)g->panels +
                     oct_ref_gemm_panel_bytes(g->k, g->integer, g->extra_bytes, 1) * (size_t)worker;
    for (int64_t i = (int64_t)lo; i < (int64_t)hi; i++) {
        for (int64_t same = 0; same < g->n_same; same++)
            run_panel(g, i / panels * g->n_same + same, i % panels * COLS, panel);
    }
}

void oct_ref_gemm_run(const oct_ref_gemm *g)
{
    const int64_t panels = (g->n + COLS - 1) / COLS;
    oct_ref_gemm copy = *g;
    if (g->m > 0)
        oct_parallel_for(g->threads, (size_t)(g->n_products / g->n_same * panels), 1, run_range,
                         &copy);
}
