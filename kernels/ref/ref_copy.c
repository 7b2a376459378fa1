/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/ref/ref_copy.h"

#include <assert.h>
#include <string.h>

#define TILE 16    /* 16 x 4 bytes: one cache line of f32 */
#define TILE_MIN 4 /* shorter source rows are not worth tiling for */

typedef struct copy_job {
    char *dst;
    const char *src;
    size_t elem_bytes;
    int64_t tile;            /* columns of the tile, contiguous in dst */
    int64_t tile_src_stride; /* from one column to the next in src */
} copy_job;

#define COPY_LOOPS(T)                                                                \
    static void row_##T(T *y, int64_t sy, const T *x, int64_t sx, int64_t n)         \
    {                                                                                \
        for (int64_t i = 0; i < n; i++)                                              \
            y[i * sy] = x[i * sx];                                                   \
    }                                                                                \
    static void tile_##T(const copy_job *j, T *y, int64_t sy, const T *x, int64_t n) \
    {                                                                                \
        const int64_t columns = j->tile, sx = j->tile_src_stride;                    \
        for (int64_t i = 0; i < n; i++)                                              \
            for (int64_t k = 0; k < columns; k++)                                    \
                y[i * sy + k] = x[i + k * sx];                                       \
    }
COPY_LOOPS(uint8_t)
COPY_LOOPS(uint16_t)
COPY_LOOPS(uint32_t)
COPY_LOOPS(uint64_t)

static void copy_row(void *user, const int64_t *offset, const int64_t *step, int64_t n)
{
    const copy_job *j = user;
    const int64_t bytes = (int64_t)j->elem_bytes;
    char *y = j->dst + offset[0] * bytes;
    const char *x = j->src + offset[1] * bytes;
    if (step[0] == 1 && step[1] == 1)
        memcpy(y, x, (size_t)n * j->elem_bytes);
    else if (bytes == 1)
        row_uint8_t((uint8_t *)y, step[0], (const uint8_t *)x, step[1], n);
    else if (bytes == 2)
        row_uint16_t((uint16_t *)y, step[0], (const uint16_t *)x, step[1], n);
    else if (bytes == 4)
        row_uint32_t((uint32_t *)y, step[0], (const uint32_t *)x, step[1], n);
    else
        row_uint64_t((uint64_t *)y, step[0], (const uint64_t *)x, step[1], n);
}

/* One row of tiles: `n` source elements in a row, each the first of `tile` columns. */
static void copy_tiles(void *user, const int64_t *offset, const int64_t *step, int64_t n)
{
    const copy_job *j = user;
    const int64_t bytes = (int64_t)j->elem_bytes;
    char *y = j->dst + offset[0] * bytes;
    const char *x = j->src + offset[1] * bytes;
    if (bytes == 1)
        tile_uint8_t(j, (uint8_t *)y, step[0], (const uint8_t *)x, n);
    else if (bytes == 2)
        tile_uint16_t(j, (uint16_t *)y, step[0], (const uint16_t *)x, n);
    else if (bytes == 4)
        tile_uint32_t(j, (uint32_t *)y, step[0], (const uint32_t *)x, n);
    else
        tile_uint64_t(j, (uint64_t *)y, step[0], (const uint64_t *)x, n);
}

/* The dimension along which src is contiguous while dst is not, or -1. */
static int source_row_dim(const oct_ref_loop *l)
{
    const int inner = l->n_dims - 1;
    if (l->stride[0][inner] != 1 || l->stride[1][inner] == 1 || l->dim[inner] < TILE_MIN)
        return -1;
    for (int i = 0; i < inner; i++)
        if (l->stride[1][i] == 1 && l->dim[i] >= TILE_MIN)
            return i;
    return -1;
}

/* The nest without its innermost dimension, which the tiles take over, and with `row` last. */
static oct_ref_loop tiled_nest(const oct_ref_loop *l, int row, int64_t n_tiles)
{
    const int inner = l->n_dims - 1;
    oct_ref_loop t = {.n_operands = 2};
    for (int i = 0; i < inner; i++)
        if (i != row)
            oct_ref_loop_dim(&t, l->dim[i], l->stride[0][i], l->stride[1][i]);
    oct_ref_loop_dim(&t, n_tiles, TILE, TILE * l->stride[1][inner]);
    oct_ref_loop_dim(&t, l->dim[row], l->stride[0][row], l->stride[1][row]);
    return t;
}

static void copy_transposed(const oct_ref_loop *l, int row, copy_job *j, int threads)
{
    const int inner = l->n_dims - 1;
    const int64_t n_tiles = l->dim[inner] / TILE, rest = l->dim[inner] % TILE;
    j->tile = TILE;
    j->tile_src_stride = l->stride[1][inner];
    oct_ref_loop t = tiled_nest(l, row, n_tiles);
    oct_ref_loop_run(&t, threads, copy_tiles, j);
    if (rest == 0)
        return;
    j->tile = rest;
    j->dst += n_tiles * TILE * (int64_t)j->elem_bytes;
    j->src += n_tiles * TILE * l->stride[1][inner] * (int64_t)j->elem_bytes;
    t = tiled_nest(l, row, 1);
    oct_ref_loop_run(&t, threads, copy_tiles, j);
}

void oct_ref_copy(oct_ref_loop *l, void *dst, const void *src, size_t elem_bytes, int threads)
{
    assert(l->n_operands == 2);
    oct_ref_loop_optimize(l);
    if (dst == src && memcmp(l->stride[0], l->stride[1], sizeof l->stride[0]) == 0)
        return;
    copy_job j = {.dst = dst, .src = src, .elem_bytes = elem_bytes};
    const int row = source_row_dim(l);
    if (row >= 0)
        copy_transposed(l, row, &j, threads);
    else
        oct_ref_loop_run(l, threads, copy_row, &j);
}

void oct_ref_copy_tensor(const oct_tensor_desc *dst_desc, void *dst,
                         const oct_tensor_desc *src_desc, const void *src, int threads)
{
    oct_ref_loop l;
    oct_ref_loop_init(&l, &dst_desc->shape);
    oct_ref_loop_add(&l, dst_desc);
    oct_ref_loop_add(&l, src_desc);
    oct_ref_copy(&l, dst, src, oct_dtype_bytes(dst_desc->dtype), threads);
}

void oct_ref_fill(void *dst, size_t n, const void *value, size_t elem_bytes)
{
    char *y = dst;
    if (n == 0)
        return;
    memcpy(y, value, elem_bytes);
    for (size_t done = 1; done < n;) { /* doubles what is there */
        const size_t more = done < n - done ? done : n - done;
        memcpy(y + done * elem_bytes, y, more * elem_bytes);
        done += more;
    }
}
