/* SPDX-License-Identifier: Apache-2.0
 *
 * Field numbers from onnx.proto.
 */
#include "tests/support/tiny_onnx.h"

#include <string.h>

#include "tests/support/cmocka_all.h"

static void put_int(oct_tiny_onnx *b, int field, unsigned v)
{
    b->data[b->n++] = (unsigned char)(field << 3);
    for (; v >= 0x80; v >>= 7)
        b->data[b->n++] = (unsigned char)(v | 0x80);
    b->data[b->n++] = (unsigned char)v;
}

static void put_bytes(oct_tiny_onnx *b, int field, const void *p, size_t n)
{
    assert_true(n < 128 * 128);
    b->data[b->n++] = (unsigned char)(field << 3 | 2);
    if (n >= 0x80)
        b->data[b->n++] = (unsigned char)(n | 0x80);
    b->data[b->n++] = (unsigned char)(n >= 0x80 ? n >> 7 : n);
    memcpy(b->data + b->n, p, n);
    b->n += n;
}

static void put_text(oct_tiny_onnx *b, int field, const char *s)
{
    put_bytes(b, field, s, strlen(s));
}

static void put_sub(oct_tiny_onnx *b, int field, const oct_tiny_onnx *sub)
{
    put_bytes(b, field, sub->data, sub->n);
}

static oct_tiny_onnx value_info(const char *name)
{
    oct_tiny_onnx dim_n = {.n = 0}, dim_4 = {.n = 0}, shape = {.n = 0}, tensor = {.n = 0},
                  type = {.n = 0};
    oct_tiny_onnx info = {.n = 0};
    put_text(&dim_n, 2, "N");
    put_int(&dim_4, 1, 4);
    put_sub(&shape, 1, &dim_n);
    put_sub(&shape, 1, &dim_4);
    put_int(&tensor, 1, 1);
    put_sub(&tensor, 2, &shape);
    put_sub(&type, 1, &tensor);
    put_text(&info, 1, name);
    put_sub(&info, 2, &type);
    return info;
}

/* Graph and opset around `node`; `constant` may be NULL. */
static oct_tiny_onnx model_around(const oct_tiny_onnx *node, const oct_tiny_onnx *constant)
{
    oct_tiny_onnx graph = {.n = 0}, opset = {.n = 0}, model = {.n = 0};
    const oct_tiny_onnx x = value_info("x"), y = value_info("y");
    put_sub(&graph, 1, node);
    put_text(&graph, 2, "g");
    if (constant)
        put_sub(&graph, 5, constant);
    put_sub(&graph, 11, &x);
    put_sub(&graph, 12, &y);
    put_int(&opset, 2, 17);
    put_int(&model, 1, 8);
    put_sub(&model, 7, &graph);
    put_sub(&model, 8, &opset);
    return model;
}

oct_tiny_onnx oct_tiny_onnx_unary(const char *op)
{
    oct_tiny_onnx node = {.n = 0};
    put_text(&node, 1, "x");
    put_text(&node, 2, "y");
    put_text(&node, 3, "the_node");
    put_text(&node, 4, op);
    return model_around(&node, NULL);
}

oct_tiny_onnx oct_tiny_onnx_matmul(const float w[16])
{
    oct_tiny_onnx node = {.n = 0}, constant = {.n = 0};
    put_text(&node, 1, "x");
    put_text(&node, 1, "w");
    put_text(&node, 2, "y");
    put_text(&node, 3, "the_node");
    put_text(&node, 4, "MatMul");
    put_int(&constant, 1, 4);
    put_int(&constant, 1, 4);
    put_int(&constant, 2, 1);
    put_text(&constant, 8, "w");
    put_bytes(&constant, 9, w, 16 * sizeof *w);
    return model_around(&node, &constant);
}
