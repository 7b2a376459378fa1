/* SPDX-License-Identifier: Apache-2.0
 *
 * An ONNX model of one node as protobuf bytes, so that a unit test needs no file.
 */
#ifndef OCT_TESTS_TINY_ONNX_H
#define OCT_TESTS_TINY_ONNX_H

#include <stddef.h>

typedef struct oct_tiny_onnx {
    unsigned char data[512];
    size_t n;
} oct_tiny_onnx;

/* y = op(x), x and y: float [N, 4], opset 17; the node is named "the_node". */
oct_tiny_onnx oct_tiny_onnx_unary(const char *op);
/* y = MatMul(x, w), x and y: float [N, 4], w: 4 x 4 row-major, opset 17. */
oct_tiny_onnx oct_tiny_onnx_matmul(const float w[16]);

#endif /* OCT_TESTS_TINY_ONNX_H */
