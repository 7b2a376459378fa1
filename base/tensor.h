/* SPDX-License-Identifier: Apache-2.0
 *
 * Element types, shapes, layouts and affine quantization parameters: the vocabulary
 * that engine, kernels, calib and quant share. Plain values, no ownership.
 *
 * Shapes and axes are always in ONNX-logical order. A layout says how the elements
 * lie in memory:
 *
 *     OCT_LAYOUT_ROW            n, c, h, w      last logical axis innermost
 *     OCT_LAYOUT_CHANNELS_LAST  n, h, w, c      logical axis 1 innermost (rank >= 3)
 *
 * A dimension is >= 0 when known. Unknown dimensions are symbols: negative numbers at
 * or below OCT_DIM_SYMBOL_MAX, two of them equal only if they are the same unknown.
 * Integer shape arithmetic carries symbols in s64 tensors unchanged (they are far
 * outside any real dimension).
 */
#ifndef OCT_BASE_TENSOR_H
#define OCT_BASE_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_MAX_DIMS 8

/* name, code (stable: written to files), bytes per element, text */
#define OCT_DTYPE_MAP(X)  \
    X(NONE, 0, 0, "none") \
    X(F32, 1, 4, "f32")   \
    X(F16, 2, 2, "f16")   \
    X(BF16, 3, 2, "bf16") \
    X(F64, 4, 8, "f64")   \
    X(S8, 5, 1, "s8")     \
    X(U8, 6, 1, "u8")     \
    X(S16, 7, 2, "s16")   \
    X(U16, 8, 2, "u16")   \
    X(S32, 9, 4, "s32")   \
    X(U32, 10, 4, "u32")  \
    X(S64, 11, 8, "s64")  \
    X(U64, 12, 8, "u64")  \
    X(BOOL, 13, 1, "bool")

typedef enum oct_dtype {
#define X(name, code, bytes, text) OCT_DT_##name = code,
    OCT_DTYPE_MAP(X)
#undef X
        OCT_DT_COUNT,
} oct_dtype;

size_t oct_dtype_bytes(oct_dtype dt);     /* 0 for NONE */
const char *oct_dtype_str(oct_dtype dt);  /* never NULL */
oct_dtype oct_dtype_parse(const char *s); /* OCT_DT_NONE if unknown */
bool oct_dtype_is_float(oct_dtype dt);    /* f16, bf16, f32, f64 */
bool oct_dtype_is_int(oct_dtype dt);      /* s8 .. u64; not bool */

typedef enum oct_layout {
    OCT_LAYOUT_ROW,
    OCT_LAYOUT_CHANNELS_LAST,
    OCT_LAYOUT_COUNT,
} oct_layout;

#define OCT_DIM_SYMBOL_MAX (INT64_MIN / 2)           /* dims at or below are symbols */
#define OCT_DIM_SYMBOL(k) (INT64_MIN + (int64_t)(k)) /* symbol number k >= 0 */

static inline bool oct_dim_is_symbol(int64_t d)
{
    return d <= OCT_DIM_SYMBOL_MAX;
}

typedef struct oct_shape {
    int64_t dim[OCT_MAX_DIMS];
    int n_dims; /* 0 = scalar; -1 = rank unknown */
} oct_shape;

bool oct_shape_is_known(const oct_shape *s); /* rank known and every dim >= 0 */
bool oct_shape_equal(const oct_shape *a, const oct_shape *b);
/* Product of the dims in `*n`; false on overflow of size_t or an unknown dim. */
bool oct_shape_elems(const oct_shape *s, size_t *n);
/* "1x3x224x224"; "scalar"; symbols as "?". Truncates to `cap`; returns `buf`. */
#define OCT_SHAPE_STR_BYTES 192
const char *oct_shape_str(const oct_shape *s, char *buf, size_t cap);

/* real = scale * (q - zero_point). The only sign convention in the project.
 * scale > 0 and finite; zero_point lies inside the range of the dtype. */
typedef struct oct_qparams {
    float scale;
    int32_t zero_point;
} oct_qparams;

/* What a tensor is, without its elements. `stride` counts elements per step along each
 * logical axis; a dense tensor's strides follow from shape and layout. */
typedef struct oct_tensor_desc {
    oct_dtype dtype; /* OCT_DT_NONE = absent optional input */
    oct_layout layout;
    oct_shape shape;
    int64_t stride[OCT_MAX_DIMS];
} oct_tensor_desc;

/* A tensor: description and where its elements are. Owns nothing. */
typedef struct oct_tensor {
    oct_tensor_desc desc;
    void *data;
} oct_tensor;

/* Dense description; strides from shape and layout. Unknown dims give stride 0. */
oct_tensor_desc oct_tensor_desc_make(oct_dtype dt, oct_shape shape, oct_layout layout);
bool oct_tensor_desc_is_dense(const oct_tensor_desc *d);
/* Bytes of a dense tensor of this description; false on overflow or unknown dims. */
bool oct_tensor_desc_bytes(const oct_tensor_desc *d, size_t *bytes);

#ifdef __cplusplus
}
#endif

#endif /* OCT_BASE_TENSOR_H */
