/* SPDX-License-Identifier: Apache-2.0
 *
 * NumPy arrays: .npy reading (versions 1 to 3, C or Fortran order, either byte order) and
 * writing (version 1, C order, little-endian). Files are untrusted: the header is parsed
 * with bounds, the element count is checked against the bytes that are there before
 * anything is allocated.
 * Format: numpy/lib/format.py, "NPY format".
 * Thread-safety: functions share nothing.
 */
#ifndef OCT_DATASETS_NPY_H
#define OCT_DATASETS_NPY_H

#include "base/ctx.h"
#include "base/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An array in memory: dense, row-major, native byte order. */
typedef struct oct_array {
    oct_dtype dtype;
    oct_shape shape;
    size_t n_elems;
    void *data; /* oct_alloc()ed; owned */
} oct_array;

void oct_array_deinit(oct_ctx *ctx, oct_array *a); /* zeroed structs are fine */

typedef struct oct_npy_header {
    oct_dtype dtype;
    bool fortran_order; /* first axis innermost in the file */
    bool swap_bytes;    /* the file's byte order is not ours */
    oct_shape shape;
    size_t n_elems;
    size_t data_offset; /* bytes from the start of the file */
} oct_npy_header;

/* `name` is for messages. `n_bytes` may be more than the header or (OCT_ERR_FORMAT) less.
 * OCT_ERR_FORMAT: malformed; OCT_ERR_UNSUPPORTED: object, string, complex or record types,
 * rank above OCT_MAX_DIMS; OCT_ERR_RANGE: the dims overflow. */
OCT_MUST_CHECK oct_status oct_npy_parse_header(oct_ctx *ctx, const char *name, const uint8_t *bytes,
                                               size_t n_bytes, oct_npy_header *out);

/* The longest header that oct_npy_parse_header() accepts, magic included. */
#define OCT_NPY_MAX_HEADER_BYTES (64 * 1024)

/* A whole array from memory or a file; release with oct_array_deinit(). Trailing bytes are
 * an error, as missing ones are. `max_bytes` of the file, 0 = no limit. */
OCT_MUST_CHECK oct_status oct_npy_decode(oct_ctx *ctx, const char *name, const uint8_t *bytes,
                                         size_t n_bytes, oct_array *out);
OCT_MUST_CHECK oct_status oct_npy_read(oct_ctx *ctx, const char *path, size_t max_bytes,
                                       oct_array *out);

/* Converts `n` elements starting at `src` (file order and byte order as `h` says, C order
 * only) into native elements at `dst`; used by readers that stream rows. */
void oct_npy_copy_elems(const oct_npy_header *h, const uint8_t *src, size_t n, void *dst);

/* Header bytes of a version 1 file, oct_alloc()ed; a multiple of 64 bytes. OCT_ERR_UNSUPPORTED
 * for bf16, which NumPy has no name for. */
OCT_MUST_CHECK oct_status oct_npy_make_header(oct_ctx *ctx, oct_dtype dtype, const oct_shape *shape,
                                              uint8_t **bytes, size_t *n_bytes);

/* Writes a dense row-major array atomically; an existing file only with `force`. */
OCT_MUST_CHECK oct_status oct_npy_write(oct_ctx *ctx, const char *path, oct_dtype dtype,
                                        const oct_shape *shape, const void *data, bool force);

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_NPY_H */
