/* SPDX-License-Identifier: Apache-2.0
 *
 * First the attribute fields of each group of ops. Names are ONNX's newest; fields that only
 * say which *meaning* an older opset had (op.h) carry names that start with "octet_" and
 * are never read from a model: the importer sets them.
 *
 * Then one row an op: attribute struct, fields, how many inputs and outputs, what kind of
 * op. Source: the ONNX operator specification and ONNX Runtime's contrib operators. Conv,
 * ConvTranspose, Gemm and MatMul of our own passes may carry more inputs and a second output
 * than the row says: those of the epilogue (kernels/backend.h).
 */
#include "kernels/op_schema.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#define S64(type, fld, name, def)                                \
    {                                                            \
        name, OCT_ATTR_S64, offsetof(type, fld), 0, 0, def, NULL \
    }
#define BOOL(type, fld, name, def)                                \
    {                                                             \
        name, OCT_ATTR_BOOL, offsetof(type, fld), 0, 0, def, NULL \
    }
#define F32(type, fld, name, def)                                \
    {                                                            \
        name, OCT_ATTR_F32, offsetof(type, fld), 0, 0, def, NULL \
    }
#define DTYPE(type, fld, name)                                   \
    {                                                            \
        name, OCT_ATTR_DTYPE, offsetof(type, fld), 0, 0, 0, NULL \
    }
/* ENUM, BOOL_OF, S64_OF by their choices */
#define OF(kind, type, fld, name, list, def)                        \
    {                                                               \
        name, OCT_ATTR_##kind, offsetof(type, fld), 0, 0, def, list \
    }
#define S64S(type, fld, count, name, cap)                                             \
    {                                                                                 \
        name, OCT_ATTR_S64S, offsetof(type, fld), offsetof(type, count), cap, 0, NULL \
    }
#define LIST(kind, type, fld, count, name)                                            \
    {                                                                                 \
        name, OCT_ATTR_##kind, offsetof(type, fld), offsetof(type, count), 0, 0, NULL \
    }
#define STRING(type, fld, name)                                   \
    {                                                             \
        name, OCT_ATTR_STRING, offsetof(type, fld), 0, 0, 0, NULL \
    }
/* Names the struct's size beside its fields, for the rows below. */
#define FIELDS(type, list)                     \
    enum { list##_bytes = (int)sizeof(type) }; \
    static const oct_attr_field list##_fields[]

static const char *const AUTO_PAD[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", NULL};
static const char *const NONE_TANH[] = {"none", "tanh", NULL};
static const char *const PAD_MODE[] = {"constant", "reflect", "edge", "wrap", NULL};
static const char *const REDUCTION[] = {"none", "add", "mul", "max", "min", NULL};
static const char *const DCR_CRD[] = {"DCR", "CRD", NULL};
static const char *const SAMPLING[] = {"nearest", "linear", "cubic", NULL};
static const char *const NEAREST[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil",
                                      NULL};
static const char *const ASPECT[] = {"stretch", "not_larger", "not_smaller", NULL};
static const char *const GRID_PADDING[] = {"zeros", "border", "reflection", NULL};
static const char *const AVG_MAX[] = {"avg", "max", NULL};
static const char *const ROI_COORD[] = {"output_half_pixel", "half_pixel", NULL};
static const char *const DIRECTION[] = {"forward", "reverse", "bidirectional", NULL};
static const char *const RESIZE_COORD[] = {
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",   "align_corners",
    "asymmetric", "tf_crop_and_resize",   "tf_half_pixel_for_nn", NULL,
};

typedef oct_attr_window window;
#define WINDOW_FIELDS                                                     \
    S64S(window, kernel, n_kernel, "kernel_shape", OCT_MAX_SPATIAL),      \
        S64S(window, stride, n_stride, "strides", OCT_MAX_SPATIAL),       \
        S64S(window, pad, n_pad, "pads", 2 * OCT_MAX_SPATIAL),            \
        S64S(window, dilation, n_dilation, "dilations", OCT_MAX_SPATIAL), \
        OF(ENUM, window, auto_pad, "auto_pad", AUTO_PAD, OCT_PAD_NOTSET)
#define POOL_FIELDS WINDOW_FIELDS, BOOL(window, ceil_mode, "ceil_mode", 0)
#define GROUP_FIELD S64(window, group, "group", 1)

FIELDS(window, conv) = {WINDOW_FIELDS, GROUP_FIELD};
FIELDS(window, conv_transpose) = {
    WINDOW_FIELDS,
    GROUP_FIELD,
    S64S(window, output_padding, n_output_padding, "output_padding", OCT_MAX_SPATIAL),
    S64S(window, output_shape, n_output_shape, "output_shape", OCT_MAX_SPATIAL),
};
FIELDS(window, fused_conv) = {
    WINDOW_FIELDS,
    GROUP_FIELD,
    STRING(window, activation, "activation"),
    LIST(F32S, window, activation_params, n_activation_params, "activation_params"),
};
FIELDS(window, average_pool) = {POOL_FIELDS,
                                BOOL(window, count_include_pad, "count_include_pad", 0)};
FIELDS(window, max_pool) = {POOL_FIELDS, S64(window, storage_order, "storage_order", 0)};
FIELDS(window, lp_pool) = {POOL_FIELDS, S64(window, p, "p", 2)};
FIELDS(window, qlinear_average_pool) = {
    POOL_FIELDS,
    BOOL(window, count_include_pad, "count_include_pad", 0),
    BOOL(window, channels_last, "channels_last", 0),
};
FIELDS(oct_attr_qpool, qpool) = {BOOL(oct_attr_qpool, channels_last, "channels_last", 0)};

FIELDS(oct_attr_gemm, gemm) = {
    F32(oct_attr_gemm, alpha, "alpha", 1),
    F32(oct_attr_gemm, beta, "beta", 1),
    BOOL(oct_attr_gemm, trans_a, "transA", 0),
    BOOL(oct_attr_gemm, trans_b, "transB", 0),
};
FIELDS(oct_attr_einsum, einsum) = {STRING(oct_attr_einsum, equation, "equation")};

#define EPSILON F32(oct_attr_norm, epsilon, "epsilon", 1e-5)
FIELDS(oct_attr_norm, batch_norm) = {
    EPSILON,
    BOOL(oct_attr_norm, training_mode, "training_mode", 0),
    S64(oct_attr_norm, spatial, "octet_spatial", 1),
};
FIELDS(oct_attr_norm, epsilon_only) = {EPSILON};
FIELDS(oct_attr_norm, axis_epsilon) = {EPSILON, S64(oct_attr_norm, axis, "axis", -1)};
FIELDS(oct_attr_norm, group_norm) = {
    EPSILON,
    S64(oct_attr_norm, num_groups, "num_groups", 0),
    BOOL(oct_attr_norm, per_group_scale, "octet_per_group_scale", 0),
};
FIELDS(oct_attr_norm, lrn) = {
    S64(oct_attr_norm, size, "size", 0),
    F32(oct_attr_norm, alpha, "alpha", 1e-4),
    F32(oct_attr_norm, beta, "beta", 0.75),
    F32(oct_attr_norm, bias, "bias", 1),
};
FIELDS(oct_attr_norm, lp_norm) = {
    S64(oct_attr_norm, axis, "axis", -1),
    S64(oct_attr_norm, p, "p", 2),
};
FIELDS(oct_attr_norm, p_only) = {S64(oct_attr_norm, p, "p", 2)};

FIELDS(oct_attr_act, alpha_hundredth) = {F32(oct_attr_act, alpha, "alpha", 0.01)};
FIELDS(oct_attr_act, alpha_one) = {F32(oct_attr_act, alpha, "alpha", 1)};
FIELDS(oct_attr_act, selu) = {
    F32(oct_attr_act, alpha, "alpha", 1.67326319217681884765625),
    F32(oct_attr_act, beta, "gamma", 1.05070102214813232421875),
};
FIELDS(oct_attr_act, hard_sigmoid) = {
    F32(oct_attr_act, alpha, "alpha", 0.2),
    F32(oct_attr_act, beta, "beta", 0.5),
};
FIELDS(oct_attr_act,
       gelu) = {OF(BOOL_OF, oct_attr_act, approximate_tanh, "approximate", NONE_TANH, 0)};
FIELDS(oct_attr_act, shrink) = {
    F32(oct_attr_act, alpha, "lambd", 0.5),
    F32(oct_attr_act, beta, "bias", 0),
};

typedef oct_attr_axis axis_attr;
FIELDS(axis_attr, softmax) = {
    S64(axis_attr, axis, "axis", -1),
    BOOL(axis_attr, flatten_2d, "octet_flatten_2d", 0),
};
FIELDS(axis_attr, flatten) = {S64(axis_attr, axis, "axis", 1)};
FIELDS(axis_attr, axis_zero) = {S64(axis_attr, axis, "axis", 0)};
FIELDS(axis_attr, axis_last) = {S64(axis_attr, axis, "axis", -1)};
FIELDS(axis_attr, arg) = {
    S64(axis_attr, axis, "axis", 0),
    BOOL(axis_attr, keepdims, "keepdims", 1),
    BOOL(axis_attr, select_last_index, "select_last_index", 0),
};
FIELDS(axis_attr, top_k) = {
    S64(axis_attr, axis, "axis", -1),
    BOOL(axis_attr, largest, "largest", 1),
    BOOL(axis_attr, sorted, "sorted", 1),
};
FIELDS(axis_attr, split) = {
    S64(axis_attr, axis, "axis", 0),
    S64(axis_attr, num_outputs, "num_outputs", 0),
};
/* has_axis is set by the importer when the model gives an axis. */
FIELDS(axis_attr, compress) = {
    S64(axis_attr, axis, "axis", 0),
    BOOL(axis_attr, has_axis, "octet_has_axis", 0),
};

FIELDS(oct_attr_is_inf, is_inf) = {
    BOOL(oct_attr_is_inf, detect_negative, "detect_negative", 1),
    BOOL(oct_attr_is_inf, detect_positive, "detect_positive", 1),
};
FIELDS(oct_attr_mod, mod) = {BOOL(oct_attr_mod, fmod, "fmod", 0)};
FIELDS(oct_attr_reduce, reduce) = {
    BOOL(oct_attr_reduce, keepdims, "keepdims", 1),
    BOOL(oct_attr_reduce, noop_with_empty_axes, "noop_with_empty_axes", 0),
};
FIELDS(oct_attr_cum_sum, cum_sum) = {
    BOOL(oct_attr_cum_sum, exclusive, "exclusive", 0),
    BOOL(oct_attr_cum_sum, reverse, "reverse", 0),
};
FIELDS(oct_attr_cast, cast) = {
    DTYPE(oct_attr_cast, to, "to"),
    BOOL(oct_attr_cast, saturate, "saturate", 1),
};
FIELDS(oct_attr_cast, cast_like) = {BOOL(oct_attr_cast, saturate, "saturate", 1)};
FIELDS(oct_attr_fill, fill) = {{"value", OCT_ATTR_FILL, 0, 0, 0, 0, NULL}};
FIELDS(oct_attr_shape, shape) = {
    S64(oct_attr_shape, start, "start", 0),
    S64(oct_attr_shape, end, "end", (double)INT64_MAX),
};
FIELDS(oct_attr_eye, eye) = {DTYPE(oct_attr_eye, dtype, "dtype"), S64(oct_attr_eye, k, "k", 0)};
FIELDS(oct_attr_reshape, reshape) = {BOOL(oct_attr_reshape, allow_zero, "allowzero", 0)};
FIELDS(oct_attr_transpose,
       transpose) = {S64S(oct_attr_transpose, perm, n_perm, "perm", OCT_MAX_DIMS)};
FIELDS(oct_attr_pad, pad) = {OF(ENUM, oct_attr_pad, mode, "mode", PAD_MODE, OCT_PAD_MODE_CONSTANT)};
FIELDS(oct_attr_gather_nd, gather_nd) = {S64(oct_attr_gather_nd, batch_dims, "batch_dims", 0)};
FIELDS(oct_attr_scatter, scatter_elements) = {
    S64(oct_attr_scatter, axis, "axis", 0),
    OF(ENUM, oct_attr_scatter, reduction, "reduction", REDUCTION, OCT_SCATTER_NONE),
};
FIELDS(oct_attr_scatter, scatter_nd) = {
    OF(ENUM, oct_attr_scatter, reduction, "reduction", REDUCTION, OCT_SCATTER_NONE),
};
FIELDS(oct_attr_depth_space, depth_to_space) = {
    S64(oct_attr_depth_space, block_size, "blocksize", 0),
    OF(BOOL_OF, oct_attr_depth_space, crd, "mode", DCR_CRD, 0),
};
FIELDS(oct_attr_depth_space, space_to_depth) = {
    S64(oct_attr_depth_space, block_size, "blocksize", 0),
    OF(BOOL_OF, oct_attr_depth_space, crd, "mode", DCR_CRD, 0),
};
FIELDS(oct_attr_reverse_sequence, reverse_sequence) = {
    S64(oct_attr_reverse_sequence, batch_axis, "batch_axis", 1),
    S64(oct_attr_reverse_sequence, time_axis, "time_axis", 0),
};
FIELDS(oct_attr_trilu, trilu) = {BOOL(oct_attr_trilu, upper, "upper", 1)};

typedef oct_attr_resize resize;
FIELDS(resize, resize) = {
    OF(ENUM, resize, mode, "mode", SAMPLING, OCT_RESIZE_NEAREST),
    OF(ENUM, resize, coord, "coordinate_transformation_mode", RESIZE_COORD, OCT_COORD_HALF_PIXEL),
    OF(ENUM, resize, nearest, "nearest_mode", NEAREST, OCT_NEAREST_ROUND_PREFER_FLOOR),
    OF(ENUM, resize, aspect, "keep_aspect_ratio_policy", ASPECT, OCT_ASPECT_STRETCH),
    F32(resize, cubic_coeff_a, "cubic_coeff_a", -0.75),
    F32(resize, extrapolation_value, "extrapolation_value", 0),
    BOOL(resize, exclude_outside, "exclude_outside", 0),
    BOOL(resize, antialias, "antialias", 0),
    S64S(resize, axis, n_axes, "axes", OCT_MAX_DIMS),
};
FIELDS(oct_attr_grid_sample, grid_sample) = {
    OF(ENUM, oct_attr_grid_sample, mode, "mode", SAMPLING, OCT_RESIZE_LINEAR),
    OF(S64_OF, oct_attr_grid_sample, padding, "padding_mode", GRID_PADDING, 0),
    BOOL(oct_attr_grid_sample, align_corners, "align_corners", 0),
};
FIELDS(oct_attr_roi_align, roi_align) = {
    OF(BOOL_OF, oct_attr_roi_align, max_mode, "mode", AVG_MAX, 0),
    OF(BOOL_OF, oct_attr_roi_align, half_pixel, "coordinate_transformation_mode", ROI_COORD, 1),
    S64(oct_attr_roi_align, output_height, "output_height", 1),
    S64(oct_attr_roi_align, output_width, "output_width", 1),
    S64(oct_attr_roi_align, sampling_ratio, "sampling_ratio", 0),
    F32(oct_attr_roi_align, spatial_scale, "spatial_scale", 1),
};
FIELDS(oct_attr_nms, nms) = {BOOL(oct_attr_nms, center_point_box, "center_point_box", 0)};

typedef oct_attr_rnn rnn_attr;
#define RNN_FIELDS                                                          \
    S64(rnn_attr, hidden_size, "hidden_size", 0),                           \
        OF(S64_OF, rnn_attr, direction, "direction", DIRECTION, 0),         \
        S64(rnn_attr, layout, "layout", 0), F32(rnn_attr, clip, "clip", 0), \
        LIST(STRINGS, rnn_attr, activations, n_activations, "activations"), \
        LIST(F32S, rnn_attr, alpha, n_alpha, "activation_alpha"),           \
        LIST(F32S, rnn_attr, beta, n_beta, "activation_beta")
FIELDS(rnn_attr, rnn) = {RNN_FIELDS};
FIELDS(rnn_attr, lstm) = {RNN_FIELDS, BOOL(rnn_attr, input_forget, "input_forget", 0)};
FIELDS(rnn_attr, gru) = {RNN_FIELDS, BOOL(rnn_attr, linear_before_reset, "linear_before_reset", 0)};

#define GRAPH(i, name)                                                          \
    {                                                                           \
        name, OCT_ATTR_GRAPH, offsetof(oct_attr_control, sub[i]), 0, 0, 0, NULL \
    }
#define CAPTURED S64(oct_attr_control, n_captured, "octet_captured", 0)
FIELDS(oct_attr_control, if_branches) = {GRAPH(0, "then_branch"), GRAPH(1, "else_branch"),
                                         CAPTURED};
FIELDS(oct_attr_control, loop_body) = {GRAPH(0, "body"), CAPTURED};

#define QUANTIZE_FIELDS                                                                           \
    S64(oct_attr_quantize, axis, "axis", 1), S64(oct_attr_quantize, block_size, "block_size", 0), \
        DTYPE(oct_attr_quantize, output_dtype, "output_dtype")
FIELDS(oct_attr_quantize, quantize) = {QUANTIZE_FIELDS,
                                       BOOL(oct_attr_quantize, saturate, "saturate", 1)};
FIELDS(oct_attr_quantize, dequantize) = {QUANTIZE_FIELDS};

#define U OCT_OPF_UNARY
#define B OCT_OPF_BINARY
#define M OCT_OPF_MOVER
#define S OCT_OPF_SPATIAL
#define A OCT_OPF_SHAPE_ARITH
#define D OCT_OPF_DATA_SHAPE
#define C OCT_OPF_CONTROL
#define ANY INT_MAX

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))
#define F(list) list##_bytes, list##_fields, N(list##_fields)
#define NO_FIELDS 0, NULL, 0

static const oct_op_schema ROWS[OCT_OP_COUNT] = {
    [OCT_OP_CONV] = {F(conv), 2, 3, 1, 1, S},
    [OCT_OP_CONV_TRANSPOSE] = {F(conv_transpose), 2, 3, 1, 1, S},
    [OCT_OP_FUSED_CONV] = {F(fused_conv), 2, 4, 1, 1, S},
    [OCT_OP_AVERAGE_POOL] = {F(average_pool), 1, 1, 1, 1, S},
    [OCT_OP_MAX_POOL] = {F(max_pool), 1, 1, 1, 2, S},
    [OCT_OP_LP_POOL] = {F(lp_pool), 1, 1, 1, 1, S},
    [OCT_OP_GLOBAL_AVERAGE_POOL] = {NO_FIELDS, 1, 1, 1, 1, S},
    [OCT_OP_GLOBAL_MAX_POOL] = {NO_FIELDS, 1, 1, 1, 1, S},
    [OCT_OP_GLOBAL_LP_POOL] = {F(p_only), 1, 1, 1, 1, S},

    [OCT_OP_GEMM] = {F(gemm), 2, 3, 1, 1, 0},
    [OCT_OP_MATMUL] = {NO_FIELDS, 2, 2, 1, 1, 0},
    [OCT_OP_EINSUM] = {F(einsum), 1, ANY, 1, 1, 0},

    [OCT_OP_BATCH_NORM] = {F(batch_norm), 5, 5, 1, 3, S},
    [OCT_OP_INSTANCE_NORM] = {F(epsilon_only), 3, 3, 1, 1, S},
    [OCT_OP_LAYER_NORM] = {F(axis_epsilon), 2, 3, 1, 3, 0},
    [OCT_OP_GROUP_NORM] = {F(group_norm), 3, 3, 1, 1, S},
    [OCT_OP_RMS_NORM] = {F(axis_epsilon), 2, 2, 1, 1, 0},
    [OCT_OP_LRN] = {F(lrn), 1, 1, 1, 1, S},
    [OCT_OP_LP_NORM] = {F(lp_norm), 1, 1, 1, 1, 0},
    [OCT_OP_MEAN_VARIANCE_NORM] = {NO_FIELDS, 1, 2, 1, 1, 0},

    [OCT_OP_RELU] = {NO_FIELDS, 1, 1, 1, 1, U},
    [OCT_OP_LEAKY_RELU] = {F(alpha_hundredth), 1, 1, 1, 1, U},
    [OCT_OP_PRELU] = {NO_FIELDS, 2, 2, 1, 1, B},
    [OCT_OP_ELU] = {F(alpha_one), 1, 1, 1, 1, U},
    [OCT_OP_SELU] = {F(selu), 1, 1, 1, 1, U},
    [OCT_OP_CELU] = {F(alpha_one), 1, 1, 1, 1, U},
    [OCT_OP_CLIP] = {NO_FIELDS, 1, 3, 1, 1, U},
    [OCT_OP_SIGMOID] = {NO_FIELDS, 1, 1, 1, 1, U},
    [OCT_OP_HARD_SIGMOID] = {F(hard_sigmoid), 1, 1, 1, 1, U},
    [OCT_OP_HARD_SWISH] = {NO_FIELDS, 1, 1, 1, 1, U},
    [OCT_OP_SWISH] = {F(alpha_one), 1, 1, 1, 1, U},
    [OCT_OP_MISH] = {NO_FIELDS, 1, 1, 1, 1, U},
    [OCT_OP_GELU] = {F(gelu), 1, 1, 1, 1, U},
    [OCT_OP_MS_GELU] = {NO_FIELDS, 1, 1, 1, 1, U},
    [OCT_OP_ERF] = {NO_FIELDS, 1, 1, 1, 1, U},
    [OCT_OP_TANH] = {NO_FIELDS, 1, 1, 1, 1, U},
    [OCT_OP_SOFTPLUS] = {NO_FIELDS, 1, 1, 1, 1, U},
    [OCT_OP_SOFTSIGN] = {NO_FIELDS, 1, 1, 1, 1, U},
    [OCT_OP_THRESHOLDED_RELU] = {F(alpha_one), 1, 1, 1, 1, U},
    [OCT_OP_SHRINK] = {F(shrink), 1, 1, 1, 1, U},
    [OCT_OP_SOFTMAX] = {F(softmax), 1, 1, 1, 1, 0},
    [OCT_OP_LOG_SOFTMAX] = {F(softmax), 1, 1, 1, 1, 0},
    [OCT_OP_HARDMAX] = {F(softmax), 1, 1, 1, 1, 0},

    [OCT_OP_ABS] = {NO_FIELDS, 1, 1, 1, 1, U | A},
    [OCT_OP_NEG] = {NO_FIELDS, 1, 1, 1, 1, U | A},
    [OCT_OP_SIGN] = {NO_FIELDS, 1, 1, 1, 1, U | A},
    [OCT_OP_CEIL] = {NO_FIELDS, 1, 1, 1, 1, U | A},
    [OCT_OP_FLOOR] = {NO_FIELDS, 1, 1, 1, 1, U | A},
    [OCT_OP_ROUND] = {NO_FIELDS, 1, 1, 1, 1, U | A},
    [OCT_OP_SQRT] = {NO_FIELDS, 1, 1, 1, 1, U | A},
    [OCT_OP_RECIPROCAL] = {NO_FIELDS, 1, 1, 1, 1, U},
    [OCT_OP_EXP] = {NO_FIELDS, 1, 1, 1, 1, U},
    [OCT_OP_LOG] = {NO_FIELDS, 1, 1, 1, 1, U},
    [OCT_OP_SIN] = {NO_FIELDS, 1, 1, 1, 1, U},
    [OCT_OP_COS] = {NO_FIELDS, 1, 1, 1, 1, U},
    [OCT_OP_TAN] = {NO_FIELDS, 1, 1, 1, 1, U},
    [OCT_OP_ATAN] = {NO_FIELDS, 1, 1, 1, 1, U},
    [OCT_OP_NOT] = {NO_FIELDS, 1, 1, 1, 1, U | A},
    [OCT_OP_IS_NAN] = {NO_FIELDS, 1, 1, 1, 1, U},
    [OCT_OP_IS_INF] = {F(is_inf), 1, 1, 1, 1, U},

    [OCT_OP_ADD] = {NO_FIELDS, 2, 2, 1, 1, B | A},
    [OCT_OP_SUB] = {NO_FIELDS, 2, 2, 1, 1, B | A},
    [OCT_OP_MUL] = {NO_FIELDS, 2, 2, 1, 1, B | A},
    [OCT_OP_DIV] = {NO_FIELDS, 2, 2, 1, 1, B | A},
    [OCT_OP_POW] = {NO_FIELDS, 2, 2, 1, 1, B | A},
    [OCT_OP_MOD] = {F(mod), 2, 2, 1, 1, B | A},
    [OCT_OP_MIN] = {NO_FIELDS, 1, ANY, 1, 1, B | A},
    [OCT_OP_MAX] = {NO_FIELDS, 1, ANY, 1, 1, B | A},
    [OCT_OP_SUM] = {NO_FIELDS, 1, ANY, 1, 1, B | A},
    [OCT_OP_MEAN] = {NO_FIELDS, 1, ANY, 1, 1, B},
    [OCT_OP_EQUAL] = {NO_FIELDS, 2, 2, 1, 1, B | A},
    [OCT_OP_GREATER] = {NO_FIELDS, 2, 2, 1, 1, B | A},
    [OCT_OP_GREATER_OR_EQUAL] = {NO_FIELDS, 2, 2, 1, 1, B | A},
    [OCT_OP_LESS] = {NO_FIELDS, 2, 2, 1, 1, B | A},
    [OCT_OP_LESS_OR_EQUAL] = {NO_FIELDS, 2, 2, 1, 1, B | A},
    [OCT_OP_AND] = {NO_FIELDS, 2, 2, 1, 1, B | A},
    [OCT_OP_OR] = {NO_FIELDS, 2, 2, 1, 1, B | A},
    [OCT_OP_XOR] = {NO_FIELDS, 2, 2, 1, 1, B | A},
    [OCT_OP_WHERE] = {NO_FIELDS, 3, 3, 1, 1, B | A},

    [OCT_OP_REDUCE_SUM] = {F(reduce), 1, 2, 1, 1, A | D},
    [OCT_OP_REDUCE_MEAN] = {F(reduce), 1, 2, 1, 1, D},
    [OCT_OP_REDUCE_MAX] = {F(reduce), 1, 2, 1, 1, A | D},
    [OCT_OP_REDUCE_MIN] = {F(reduce), 1, 2, 1, 1, A | D},
    [OCT_OP_REDUCE_PROD] = {F(reduce), 1, 2, 1, 1, A | D},
    [OCT_OP_REDUCE_L1] = {F(reduce), 1, 2, 1, 1, D},
    [OCT_OP_REDUCE_L2] = {F(reduce), 1, 2, 1, 1, D},
    [OCT_OP_REDUCE_SUM_SQUARE] = {F(reduce), 1, 2, 1, 1, D},
    [OCT_OP_REDUCE_LOG_SUM] = {F(reduce), 1, 2, 1, 1, D},
    [OCT_OP_REDUCE_LOG_SUM_EXP] = {F(reduce), 1, 2, 1, 1, D},
    [OCT_OP_ARG_MAX] = {F(arg), 1, 1, 1, 1, A},
    [OCT_OP_ARG_MIN] = {F(arg), 1, 1, 1, 1, A},
    [OCT_OP_TOP_K] = {F(top_k), 2, 2, 2, 2, A | D},
    [OCT_OP_CUM_SUM] = {F(cum_sum), 2, 2, 1, 1, A},

    [OCT_OP_CAST] = {F(cast), 1, 1, 1, 1, U | A},
    [OCT_OP_CAST_LIKE] = {F(cast_like), 2, 2, 1, 1, A},
    [OCT_OP_IDENTITY] = {NO_FIELDS, 1, 1, 1, 1, U | M | A},
    [OCT_OP_DROPOUT] = {NO_FIELDS, 1, 3, 1, 2, M},
    [OCT_OP_CONSTANT_OF_SHAPE] = {F(fill), 1, 1, 1, 1, A | D},
    [OCT_OP_SHAPE] = {F(shape), 1, 1, 1, 1, A},
    [OCT_OP_SIZE] = {NO_FIELDS, 1, 1, 1, 1, A},
    [OCT_OP_RANGE] = {NO_FIELDS, 3, 3, 1, 1, A | D},
    [OCT_OP_EYE_LIKE] = {F(eye), 1, 1, 1, 1, 0},

    [OCT_OP_RESHAPE] = {F(reshape), 2, 2, 1, 1, M | A | D},
    [OCT_OP_FLATTEN] = {F(flatten), 1, 1, 1, 1, M | A},
    [OCT_OP_SQUEEZE] = {NO_FIELDS, 1, 2, 1, 1, M | A | D},
    [OCT_OP_UNSQUEEZE] = {NO_FIELDS, 2, 2, 1, 1, M | A | D},
    [OCT_OP_TRANSPOSE] = {F(transpose), 1, 1, 1, 1, M | A},
    [OCT_OP_CONCAT] = {F(axis_zero), 1, ANY, 1, 1, M | A},
    [OCT_OP_SPLIT] = {F(split), 1, 2, 1, ANY, M | A | D},
    [OCT_OP_SLICE] = {NO_FIELDS, 3, 5, 1, 1, M | A | D},
    [OCT_OP_PAD] = {F(pad), 2, 4, 1, 1, A | D},
    [OCT_OP_EXPAND] = {NO_FIELDS, 2, 2, 1, 1, M | A | D},
    [OCT_OP_TILE] = {NO_FIELDS, 2, 2, 1, 1, M | A | D},
    [OCT_OP_GATHER] = {F(axis_zero), 2, 2, 1, 1, M | A},
    [OCT_OP_GATHER_ELEMENTS] = {F(axis_zero), 2, 2, 1, 1, M | A},
    [OCT_OP_GATHER_ND] = {F(gather_nd), 2, 2, 1, 1, M | A},
    [OCT_OP_SCATTER_ELEMENTS] = {F(scatter_elements), 3, 3, 1, 1, A},
    [OCT_OP_SCATTER_ND] = {F(scatter_nd), 3, 3, 1, 1, A},
    [OCT_OP_ONE_HOT] = {F(axis_last), 3, 3, 1, 1, D},
    [OCT_OP_NON_ZERO] = {NO_FIELDS, 1, 1, 1, 1, A | D},
    [OCT_OP_DEPTH_TO_SPACE] = {F(depth_to_space), 1, 1, 1, 1, M | S},
    [OCT_OP_SPACE_TO_DEPTH] = {F(space_to_depth), 1, 1, 1, 1, M | S},
    [OCT_OP_REVERSE_SEQUENCE] = {F(reverse_sequence), 2, 2, 1, 1, M},
    [OCT_OP_TRILU] = {F(trilu), 1, 2, 1, 1, 0},
    [OCT_OP_COMPRESS] = {F(compress), 2, 2, 1, 1, M | D},

    [OCT_OP_RESIZE] = {F(resize), 1, 4, 1, 1, S | D},
    [OCT_OP_GRID_SAMPLE] = {F(grid_sample), 2, 2, 1, 1, S},
    [OCT_OP_ROI_ALIGN] = {F(roi_align), 3, 3, 1, 1, S},
    [OCT_OP_NON_MAX_SUPPRESSION] = {F(nms), 2, 5, 1, 1, D},

    [OCT_OP_LSTM] = {F(lstm), 3, 8, 1, 3, 0},
    [OCT_OP_GRU] = {F(gru), 3, 6, 1, 2, 0},
    [OCT_OP_RNN] = {F(rnn), 3, 6, 1, 2, 0},
    [OCT_OP_IF] = {F(if_branches), 1, ANY, 1, ANY, C | D},
    [OCT_OP_LOOP] = {F(loop_body), 2, ANY, 1, ANY, C | D},

    [OCT_OP_QUANTIZE_LINEAR] = {F(quantize), 2, 3, 1, 1, 0},
    [OCT_OP_DEQUANTIZE_LINEAR] = {F(dequantize), 2, 3, 1, 1, 0},
    [OCT_OP_DYNAMIC_QUANTIZE_LINEAR] = {NO_FIELDS, 1, 1, 3, 3, 0},
    [OCT_OP_QLINEAR_CONV] = {F(conv), 8, 9, 1, 1, S},
    [OCT_OP_QLINEAR_MATMUL] = {NO_FIELDS, 8, 8, 1, 1, 0},
    [OCT_OP_CONV_INTEGER] = {F(conv), 2, 4, 1, 1, S},
    [OCT_OP_MATMUL_INTEGER] = {NO_FIELDS, 2, 4, 1, 1, 0},
    [OCT_OP_QLINEAR_ADD] = {NO_FIELDS, 7, 8, 1, 1, 0},
    [OCT_OP_QLINEAR_MUL] = {NO_FIELDS, 7, 8, 1, 1, 0},
    [OCT_OP_QLINEAR_CONCAT] = {F(axis_zero), 5, ANY, 1, 1, 0},
    [OCT_OP_QLINEAR_SIGMOID] = {NO_FIELDS, 4, 5, 1, 1, 0},
    [OCT_OP_QLINEAR_LEAKY_RELU] = {F(alpha_hundredth), 4, 5, 1, 1, 0},
    [OCT_OP_QLINEAR_AVERAGE_POOL] = {F(qlinear_average_pool), 4, 5, 1, 1, S},
    [OCT_OP_QLINEAR_GLOBAL_AVERAGE_POOL] = {F(qpool), 4, 5, 1, 1, S},
    [OCT_OP_QGEMM] = {F(gemm), 6, 9, 1, 1, 0},

    [OCT_OP_REORDER] = {NO_FIELDS, 1, 1, 1, 1, M},
    [OCT_OP_TABLE] = {NO_FIELDS, 2, 2, 1, 1, U},
};

const oct_op_schema *oct_op_schema_get(oct_op op)
{
    assert((unsigned)op < OCT_OP_COUNT);
    return &ROWS[op];
}

static int64_t default_s64(double v)
{
    return v >= (double)INT64_MAX ? INT64_MAX : (int64_t)v; /* 2^63 stands for INT64_MAX */
}

static void set_default(const oct_attr_field *f, uint8_t *at)
{
    switch (f->kind) {
    case OCT_ATTR_S64:
    case OCT_ATTR_S64_OF:
        memcpy(at, &(int64_t){default_s64(f->default_value)}, sizeof(int64_t));
        break;
    case OCT_ATTR_BOOL:
    case OCT_ATTR_BOOL_OF:
        memcpy(at, &(bool){f->default_value != 0}, sizeof(bool));
        break;
    case OCT_ATTR_F32:
        memcpy(at, &(float){(float)f->default_value}, sizeof(float));
        break;
    case OCT_ATTR_ENUM:
        memcpy(at, &(int){(int)f->default_value}, sizeof(int));
        break;
    case OCT_ATTR_FILL:
        memcpy(at, &(oct_attr_fill){.dtype = OCT_DT_F32}, sizeof(oct_attr_fill));
        break;
    default: /* types, strings, arrays and graphs: absent is zero */
        break;
    }
}

void oct_op_attr_defaults(oct_op op, void *attr)
{
    const oct_op_schema *s = oct_op_schema_get(op);
    if (s->attr_bytes == 0)
        return;
    memset(attr, 0, s->attr_bytes);
    for (int i = 0; i < s->n_fields; i++)
        set_default(&s->field[i], (uint8_t *)attr + s->field[i].offset);
}
