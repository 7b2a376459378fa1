/* SPDX-License-Identifier: Apache-2.0
 *
 * Every operator octet knows, once. X(ENUM, "OnnxName", DOMAIN, ATTR) where DOMAIN is
 * ONNX (ai.onnx), MS (com.microsoft) or OCT (made by our own passes, never read from a
 * file) and ATTR names the attribute struct of kernels/op.h (oct_attr_<attr>), none for no
 * attributes. Codes written to files are the names, not the enum's numbers.
 */
#ifndef OCT_KERNELS_OP_LIST_H
#define OCT_KERNELS_OP_LIST_H

#define OCT_OP_MAP(X)                                                         \
    /* convolution, pooling */                                                \
    X(CONV, "Conv", ONNX, window)                                             \
    X(CONV_TRANSPOSE, "ConvTranspose", ONNX, window)                          \
    X(FUSED_CONV, "FusedConv", MS, window)                                    \
    X(AVERAGE_POOL, "AveragePool", ONNX, window)                              \
    X(MAX_POOL, "MaxPool", ONNX, window)                                      \
    X(LP_POOL, "LpPool", ONNX, window)                                        \
    X(GLOBAL_AVERAGE_POOL, "GlobalAveragePool", ONNX, none)                   \
    X(GLOBAL_MAX_POOL, "GlobalMaxPool", ONNX, none)                           \
    X(GLOBAL_LP_POOL, "GlobalLpPool", ONNX, norm)                             \
    /* matrix products */                                                     \
    X(GEMM, "Gemm", ONNX, gemm)                                               \
    X(MATMUL, "MatMul", ONNX, none)                                           \
    X(EINSUM, "Einsum", ONNX, einsum)                                         \
    /* normalization */                                                       \
    X(BATCH_NORM, "BatchNormalization", ONNX, norm)                           \
    X(INSTANCE_NORM, "InstanceNormalization", ONNX, norm)                     \
    X(LAYER_NORM, "LayerNormalization", ONNX, norm)                           \
    X(GROUP_NORM, "GroupNormalization", ONNX, norm)                           \
    X(RMS_NORM, "RMSNormalization", ONNX, norm)                               \
    X(LRN, "LRN", ONNX, norm)                                                 \
    X(LP_NORM, "LpNormalization", ONNX, norm)                                 \
    X(MEAN_VARIANCE_NORM, "MeanVarianceNormalization", ONNX, none)            \
    /* activations */                                                         \
    X(RELU, "Relu", ONNX, none)                                               \
    X(LEAKY_RELU, "LeakyRelu", ONNX, act)                                     \
    X(PRELU, "PRelu", ONNX, none)                                             \
    X(ELU, "Elu", ONNX, act)                                                  \
    X(SELU, "Selu", ONNX, act)                                                \
    X(CELU, "Celu", ONNX, act)                                                \
    X(CLIP, "Clip", ONNX, none)                                               \
    X(SIGMOID, "Sigmoid", ONNX, none)                                         \
    X(HARD_SIGMOID, "HardSigmoid", ONNX, act)                                 \
    X(HARD_SWISH, "HardSwish", ONNX, none)                                    \
    X(SWISH, "Swish", ONNX, act)                                              \
    X(MISH, "Mish", ONNX, none)                                               \
    X(GELU, "Gelu", ONNX, act)                                                \
    X(MS_GELU, "Gelu", MS, none)                                              \
    X(ERF, "Erf", ONNX, none)                                                 \
    X(TANH, "Tanh", ONNX, none)                                               \
    X(SOFTPLUS, "Softplus", ONNX, none)                                       \
    X(SOFTSIGN, "Softsign", ONNX, none)                                       \
    X(THRESHOLDED_RELU, "ThresholdedRelu", ONNX, act)                         \
    X(SHRINK, "Shrink", ONNX, act)                                            \
    X(SOFTMAX, "Softmax", ONNX, axis)                                         \
    X(LOG_SOFTMAX, "LogSoftmax", ONNX, axis)                                  \
    X(HARDMAX, "Hardmax", ONNX, axis)                                         \
    /* unary arithmetic */                                                    \
    X(ABS, "Abs", ONNX, none)                                                 \
    X(NEG, "Neg", ONNX, none)                                                 \
    X(SIGN, "Sign", ONNX, none)                                               \
    X(CEIL, "Ceil", ONNX, none)                                               \
    X(FLOOR, "Floor", ONNX, none)                                             \
    X(ROUND, "Round", ONNX, none)                                             \
    X(SQRT, "Sqrt", ONNX, none)                                               \
    X(RECIPROCAL, "Reciprocal", ONNX, none)                                   \
    X(EXP, "Exp", ONNX, none)                                                 \
    X(LOG, "Log", ONNX, none)                                                 \
    X(SIN, "Sin", ONNX, none)                                                 \
    X(COS, "Cos", ONNX, none)                                                 \
    X(TAN, "Tan", ONNX, none)                                                 \
    X(ATAN, "Atan", ONNX, none)                                               \
    X(NOT, "Not", ONNX, none)                                                 \
    X(IS_NAN, "IsNaN", ONNX, none)                                            \
    X(IS_INF, "IsInf", ONNX, is_inf)                                          \
    /* binary and variadic arithmetic, with broadcasting */                   \
    X(ADD, "Add", ONNX, none)                                                 \
    X(SUB, "Sub", ONNX, none)                                                 \
    X(MUL, "Mul", ONNX, none)                                                 \
    X(DIV, "Div", ONNX, none)                                                 \
    X(POW, "Pow", ONNX, none)                                                 \
    X(MOD, "Mod", ONNX, mod)                                                  \
    X(MIN, "Min", ONNX, none)                                                 \
    X(MAX, "Max", ONNX, none)                                                 \
    X(SUM, "Sum", ONNX, none)                                                 \
    X(MEAN, "Mean", ONNX, none)                                               \
    X(EQUAL, "Equal", ONNX, none)                                             \
    X(GREATER, "Greater", ONNX, none)                                         \
    X(GREATER_OR_EQUAL, "GreaterOrEqual", ONNX, none)                         \
    X(LESS, "Less", ONNX, none)                                               \
    X(LESS_OR_EQUAL, "LessOrEqual", ONNX, none)                               \
    X(AND, "And", ONNX, none)                                                 \
    X(OR, "Or", ONNX, none)                                                   \
    X(XOR, "Xor", ONNX, none)                                                 \
    X(WHERE, "Where", ONNX, none)                                             \
    /* reductions; axes are input 1 (the attribute form is turned into it) */ \
    X(REDUCE_SUM, "ReduceSum", ONNX, reduce)                                  \
    X(REDUCE_MEAN, "ReduceMean", ONNX, reduce)                                \
    X(REDUCE_MAX, "ReduceMax", ONNX, reduce)                                  \
    X(REDUCE_MIN, "ReduceMin", ONNX, reduce)                                  \
    X(REDUCE_PROD, "ReduceProd", ONNX, reduce)                                \
    X(REDUCE_L1, "ReduceL1", ONNX, reduce)                                    \
    X(REDUCE_L2, "ReduceL2", ONNX, reduce)                                    \
    X(REDUCE_SUM_SQUARE, "ReduceSumSquare", ONNX, reduce)                     \
    X(REDUCE_LOG_SUM, "ReduceLogSum", ONNX, reduce)                           \
    X(REDUCE_LOG_SUM_EXP, "ReduceLogSumExp", ONNX, reduce)                    \
    X(ARG_MAX, "ArgMax", ONNX, axis)                                          \
    X(ARG_MIN, "ArgMin", ONNX, axis)                                          \
    X(TOP_K, "TopK", ONNX, axis)                                              \
    X(CUM_SUM, "CumSum", ONNX, cum_sum)                                       \
    /* types and constants */                                                 \
    X(CAST, "Cast", ONNX, cast)                                               \
    X(CAST_LIKE, "CastLike", ONNX, cast)                                      \
    X(IDENTITY, "Identity", ONNX, none)                                       \
    X(DROPOUT, "Dropout", ONNX, none)                                         \
    X(CONSTANT_OF_SHAPE, "ConstantOfShape", ONNX, fill)                       \
    X(SHAPE, "Shape", ONNX, shape)                                            \
    X(SIZE, "Size", ONNX, none)                                               \
    X(RANGE, "Range", ONNX, none)                                             \
    X(EYE_LIKE, "EyeLike", ONNX, eye)                                         \
    /* data movers */                                                         \
    X(RESHAPE, "Reshape", ONNX, reshape)                                      \
    X(FLATTEN, "Flatten", ONNX, axis)                                         \
    X(SQUEEZE, "Squeeze", ONNX, none)                                         \
    X(UNSQUEEZE, "Unsqueeze", ONNX, none)                                     \
    X(TRANSPOSE, "Transpose", ONNX, transpose)                                \
    X(CONCAT, "Concat", ONNX, axis)                                           \
    X(SPLIT, "Split", ONNX, axis)                                             \
    X(SLICE, "Slice", ONNX, none)                                             \
    X(PAD, "Pad", ONNX, pad)                                                  \
    X(EXPAND, "Expand", ONNX, none)                                           \
    X(TILE, "Tile", ONNX, none)                                               \
    X(GATHER, "Gather", ONNX, axis)                                           \
    X(GATHER_ELEMENTS, "GatherElements", ONNX, axis)                          \
    X(GATHER_ND, "GatherND", ONNX, gather_nd)                                 \
    X(SCATTER_ELEMENTS, "ScatterElements", ONNX, scatter)                     \
    X(SCATTER_ND, "ScatterND", ONNX, scatter)                                 \
    X(ONE_HOT, "OneHot", ONNX, axis)                                          \
    X(NON_ZERO, "NonZero", ONNX, none)                                        \
    X(DEPTH_TO_SPACE, "DepthToSpace", ONNX, depth_space)                      \
    X(SPACE_TO_DEPTH, "SpaceToDepth", ONNX, depth_space)                      \
    X(REVERSE_SEQUENCE, "ReverseSequence", ONNX, reverse_sequence)            \
    X(TRILU, "Trilu", ONNX, trilu)                                            \
    X(COMPRESS, "Compress", ONNX, axis)                                       \
    /* spatial sampling and detection */                                      \
    X(RESIZE, "Resize", ONNX, resize)                                         \
    X(GRID_SAMPLE, "GridSample", ONNX, grid_sample)                           \
    X(ROI_ALIGN, "RoiAlign", ONNX, roi_align)                                 \
    X(NON_MAX_SUPPRESSION, "NonMaxSuppression", ONNX, nms)                    \
    /* recurrence and control flow */                                         \
    X(LSTM, "LSTM", ONNX, rnn)                                                \
    X(GRU, "GRU", ONNX, rnn)                                                  \
    X(RNN, "RNN", ONNX, rnn)                                                  \
    X(IF, "If", ONNX, control)                                                \
    X(LOOP, "Loop", ONNX, control)                                            \
    /* quantization */                                                        \
    X(QUANTIZE_LINEAR, "QuantizeLinear", ONNX, quantize)                      \
    X(DEQUANTIZE_LINEAR, "DequantizeLinear", ONNX, quantize)                  \
    X(DYNAMIC_QUANTIZE_LINEAR, "DynamicQuantizeLinear", ONNX, none)           \
    X(QLINEAR_CONV, "QLinearConv", ONNX, window)                              \
    X(QLINEAR_MATMUL, "QLinearMatMul", ONNX, none)                            \
    X(CONV_INTEGER, "ConvInteger", ONNX, window)                              \
    X(MATMUL_INTEGER, "MatMulInteger", ONNX, none)                            \
    X(QLINEAR_ADD, "QLinearAdd", MS, none)                                    \
    X(QLINEAR_MUL, "QLinearMul", MS, none)                                    \
    X(QLINEAR_CONCAT, "QLinearConcat", MS, axis)                              \
    X(QLINEAR_SIGMOID, "QLinearSigmoid", MS, none)                            \
    X(QLINEAR_LEAKY_RELU, "QLinearLeakyRelu", MS, act)                        \
    X(QLINEAR_AVERAGE_POOL, "QLinearAveragePool", MS, window)                 \
    X(QLINEAR_GLOBAL_AVERAGE_POOL, "QLinearGlobalAveragePool", MS, qpool)     \
    X(QGEMM, "QGemm", MS, gemm)                                               \
    /* ours: a change of layout between ops; a unary function of an 8-bit */  \
    /* value: out byte = in[1][in byte read as u8] (256 entries, whatever */  \
    /* the signedness of either side) */                                      \
    X(REORDER, "Reorder", OCT, none)                                          \
    X(TABLE, "Table", OCT, none)

#endif /* OCT_KERNELS_OP_LIST_H */
