/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators and their attributes, in one canonical form: that of the newest opset octet
 * reads. The importer translates older forms (attributes that became inputs are turned
 * into constant inputs, changed defaults are filled in, Constant nodes become
 * constants, Upsample becomes Resize), so shape inference, passes and kernels never
 * ask which opset a model came from. The few changes of *meaning* are fields here
 * (oct_attr_axis.flatten_2d, oct_attr_norm.per_group_scale, ...).
 *
 * The attribute table (kernels/op_schema.c) says for each struct which ONNX attribute fills
 * which field, with its default: importing, dumping, comparing, hashing and storing
 * attributes all read that table.
 *
 * Plain values except `const char *` and arrays, which live as long as the graph's arena.
 */
#ifndef OCT_KERNELS_OP_H
#define OCT_KERNELS_OP_H

#include "base/status.h"
#include "base/tensor.h"
#include "kernels/op_list.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum oct_op {
#define X(id, name, domain, attr) OCT_OP_##id,
    OCT_OP_MAP(X)
#undef X
        OCT_OP_COUNT,
} oct_op;

#define OCT_MAX_SPATIAL 3

typedef enum oct_auto_pad {
    OCT_PAD_NOTSET,
    OCT_PAD_SAME_UPPER,
    OCT_PAD_SAME_LOWER,
    OCT_PAD_VALID,
} oct_auto_pad;

/* Activations that an op can apply to its result before storing it. */
typedef enum oct_act {
    OCT_ACT_NONE,
    OCT_ACT_RELU,
    OCT_ACT_CLIP,       /* min(max(x, a), b) */
    OCT_ACT_LEAKY_RELU, /* a = slope */
    OCT_ACT_SIGMOID,
    OCT_ACT_TANH,
    OCT_ACT_ELU,          /* a = alpha */
    OCT_ACT_HARD_SIGMOID, /* clip(a * x + b, 0, 1) */
    OCT_ACT_HARD_SWISH,
    OCT_ACT_SWISH, /* x * sigmoid(a * x) */
    OCT_ACT_GELU,  /* exact, erf */
    OCT_ACT_GELU_TANH,
    OCT_ACT_MISH,
    OCT_ACT_SOFTPLUS,
    OCT_ACT_COUNT,
} oct_act;

/* Sliding windows: convolutions and pools. Each array holds n_<array> entries as given by
 * the model, 0 when absent (pads: all begins, then all ends); kernels/window.h resolves
 * defaults and auto_pad once shapes are known. */
typedef struct oct_attr_window {
    int n_kernel, n_stride, n_dilation, n_pad, n_output_padding, n_output_shape;
    int64_t kernel[OCT_MAX_SPATIAL];
    int64_t stride[OCT_MAX_SPATIAL];
    int64_t dilation[OCT_MAX_SPATIAL];
    int64_t pad[2 * OCT_MAX_SPATIAL];
    int64_t output_padding[OCT_MAX_SPATIAL]; /* ConvTranspose */
    int64_t output_shape[OCT_MAX_SPATIAL];   /* ConvTranspose */
    int64_t group;
    oct_auto_pad auto_pad;
    bool ceil_mode, count_include_pad;
    int64_t storage_order;  /* MaxPool indices */
    int64_t p;              /* LpPool */
    bool channels_last;     /* com.microsoft pools; must be false */
    const char *activation; /* FusedConv; NULL if none */
    const float *activation_params;
    int n_activation_params;
} oct_attr_window;

typedef struct oct_attr_gemm {
    float alpha, beta;
    bool trans_a, trans_b;
} oct_attr_gemm;

typedef struct oct_attr_einsum {
    const char *equation;
} oct_attr_einsum;

/* BatchNorm, InstanceNorm, LayerNorm, GroupNorm, RMSNorm, LRN, LpNorm, GlobalLpPool */
typedef struct oct_attr_norm {
    float epsilon;
    int64_t axis;            /* LayerNorm, RMSNorm, LpNorm */
    int64_t num_groups;      /* GroupNorm */
    int64_t p;               /* LpNorm, GlobalLpPool */
    int64_t size;            /* LRN window */
    float alpha, beta, bias; /* LRN */
    bool training_mode;      /* BatchNorm; refused */
    bool per_group_scale;    /* GroupNorm of opset 18: scale and bias per group */
    int64_t spatial;         /* BatchNorm before opset 9; 0 is refused */
} oct_attr_norm;

/* Per-element functions with parameters. Selu: beta = gamma. Shrink: alpha = lambd, beta = bias. */
typedef struct oct_attr_act {
    float alpha, beta;
    bool approximate_tanh; /* Gelu */
} oct_attr_act;

/* Softmax family, Concat, Split, Gather, GatherElements, Flatten, ArgMax/Min, TopK, OneHot,
 * Compress, QLinearConcat */
typedef struct oct_attr_axis {
    int64_t axis;
    bool has_axis;          /* Compress: false = flatten first */
    bool flatten_2d;        /* Softmax family before opset 13: over all axes from `axis` on */
    bool keepdims;          /* ArgMax, ArgMin */
    bool select_last_index; /* ArgMax, ArgMin */
    bool largest, sorted;   /* TopK */
    int64_t num_outputs;    /* Split; 0 = absent */
} oct_attr_axis;

typedef struct oct_attr_reduce {
    bool keepdims;
    bool noop_with_empty_axes;
} oct_attr_reduce; /* axes are input 1; MeanVarianceNormalization's too */

typedef struct oct_attr_cum_sum {
    bool exclusive, reverse;
} oct_attr_cum_sum;

typedef struct oct_attr_is_inf {
    bool detect_negative, detect_positive;
} oct_attr_is_inf;

typedef struct oct_attr_mod {
    bool fmod;
} oct_attr_mod;

typedef struct oct_attr_cast {
    oct_dtype to; /* NONE for CastLike */
    bool saturate;
} oct_attr_cast;

typedef struct oct_attr_fill {
    oct_dtype dtype;  /* f32 by default */
    uint8_t value[8]; /* one element of that type */
} oct_attr_fill;

typedef struct oct_attr_shape {
    int64_t start, end; /* end = INT64_MAX if absent */
} oct_attr_shape;

typedef struct oct_attr_eye {
    oct_dtype dtype; /* NONE = that of the input */
    int64_t k;
} oct_attr_eye;

typedef struct oct_attr_reshape {
    bool allow_zero;
} oct_attr_reshape;

typedef struct oct_attr_transpose {
    int n_perm; /* 0 = reverse all */
    int64_t perm[OCT_MAX_DIMS];
} oct_attr_transpose;

typedef enum oct_pad_mode {
    OCT_PAD_MODE_CONSTANT,
    OCT_PAD_MODE_REFLECT,
    OCT_PAD_MODE_EDGE,
    OCT_PAD_MODE_WRAP,
} oct_pad_mode;

/* Pad: inputs data, pads, [constant_value], [axes] */
typedef struct oct_attr_pad {
    oct_pad_mode mode;
} oct_attr_pad;

typedef struct oct_attr_gather_nd {
    int64_t batch_dims;
} oct_attr_gather_nd;

typedef enum oct_scatter_reduction {
    OCT_SCATTER_NONE,
    OCT_SCATTER_ADD,
    OCT_SCATTER_MUL,
    OCT_SCATTER_MAX,
    OCT_SCATTER_MIN,
} oct_scatter_reduction;

typedef struct oct_attr_scatter {
    int64_t axis; /* ScatterElements */
    oct_scatter_reduction reduction;
} oct_attr_scatter;

typedef struct oct_attr_depth_space {
    int64_t block_size;
    bool crd; /* mode: column-row-depth; SpaceToDepth has it since opset 28 */
} oct_attr_depth_space;

typedef struct oct_attr_reverse_sequence {
    int64_t batch_axis, time_axis;
} oct_attr_reverse_sequence;

typedef struct oct_attr_trilu {
    bool upper;
} oct_attr_trilu;

typedef enum oct_resize_method {
    OCT_RESIZE_NEAREST,
    OCT_RESIZE_LINEAR,
    OCT_RESIZE_CUBIC,
} oct_resize_method;

typedef enum oct_resize_coord {
    OCT_COORD_HALF_PIXEL,
    OCT_COORD_HALF_PIXEL_SYMMETRIC,
    OCT_COORD_PYTORCH_HALF_PIXEL,
    OCT_COORD_ALIGN_CORNERS,
    OCT_COORD_ASYMMETRIC,
    OCT_COORD_TF_CROP_AND_RESIZE,
    OCT_COORD_TF_HALF_PIXEL_FOR_NN,
} oct_resize_coord;

typedef enum oct_resize_nearest {
    OCT_NEAREST_ROUND_PREFER_FLOOR,
    OCT_NEAREST_ROUND_PREFER_CEIL,
    OCT_NEAREST_FLOOR,
    OCT_NEAREST_CEIL,
} oct_resize_nearest;

typedef enum oct_resize_aspect {
    OCT_ASPECT_STRETCH,
    OCT_ASPECT_NOT_LARGER,
    OCT_ASPECT_NOT_SMALLER,
} oct_resize_aspect;

/* Resize: inputs x, [roi], [scales], [sizes]. Upsample and Resize-10 come in as Resize with
 * asymmetric coordinates and floor. */
typedef struct oct_attr_resize {
    oct_resize_method mode;
    oct_resize_coord coord;
    oct_resize_nearest nearest;
    oct_resize_aspect aspect;
    float cubic_coeff_a, extrapolation_value;
    bool exclude_outside, antialias;
    int n_axes; /* 0 = all */
    int64_t axis[OCT_MAX_DIMS];
} oct_attr_resize;

typedef struct oct_attr_grid_sample {
    oct_resize_method mode; /* nearest, linear, cubic */
    int64_t padding;        /* 0 zeros, 1 border, 2 reflection */
    bool align_corners;
} oct_attr_grid_sample;

typedef struct oct_attr_roi_align {
    bool max_mode;
    bool half_pixel; /* false before opset 16 */
    int64_t output_height, output_width, sampling_ratio;
    float spatial_scale;
} oct_attr_roi_align;

typedef struct oct_attr_nms {
    bool center_point_box;
} oct_attr_nms;

typedef struct oct_attr_rnn {
    int64_t hidden_size;
    int64_t direction; /* 0 forward, 1 reverse, 2 bidirectional */
    int64_t layout;    /* 0: [seq, batch, x]; 1: [batch, seq, x] */
    bool input_forget, linear_before_reset;
    float clip;                     /* <= 0: none */
    int n_activations;              /* 0 = defaults */
    const char *const *activations; /* names as in ONNX */
    int n_alpha, n_beta;
    const float *alpha, *beta;
} oct_attr_rnn;

/* If: sub[0] = then, sub[1] = else. Loop: sub[0] = body. Indices into the graph's list of
 * subgraphs; captured outer values are extra inputs of the node (engine/graph.h). */
typedef struct oct_attr_control {
    uint32_t sub[2];
    int64_t n_captured; /* how many of the node's last inputs are captured values */
} oct_attr_control;

typedef struct oct_attr_quantize {
    int64_t axis;
    int64_t block_size;     /* only 0 is supported */
    oct_dtype output_dtype; /* NONE = that of the zero point, u8 without one */
    bool saturate;
} oct_attr_quantize;

typedef struct oct_attr_qpool {
    bool channels_last; /* must be false */
} oct_attr_qpool;

const char *oct_op_name(oct_op op);   /* ONNX name, e.g. "Conv" */
const char *oct_op_domain(oct_op op); /* "", "com.microsoft" or "octet" */
/* OCT_OP_COUNT if unknown. Domains "" and "ai.onnx" are the same. */
oct_op oct_op_find(const char *domain, const char *name);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_OP_H */
