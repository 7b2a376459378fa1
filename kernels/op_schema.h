/* SPDX-License-Identifier: Apache-2.0
 *
 * The attribute table: how each op's attribute struct is filled, printed, compared,
 * hashed and stored. Data, not code: to add an attribute, add a field to its struct in op.h
 * and a row in op_schema.c.
 */
#ifndef OCT_KERNELS_OP_SCHEMA_H
#define OCT_KERNELS_OP_SCHEMA_H

#include "kernels/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum oct_attr_kind {
    OCT_ATTR_S64,     /* int64_t */
    OCT_ATTR_BOOL,    /* bool, from an ONNX int */
    OCT_ATTR_F32,     /* float */
    OCT_ATTR_ENUM,    /* int-sized enum, from an ONNX string, `choices` in enum order */
    OCT_ATTR_BOOL_OF, /* bool, from an ONNX string: index in `choices` */
    OCT_ATTR_S64_OF,  /* int64_t, from an ONNX string: index in `choices` */
    OCT_ATTR_DTYPE,   /* oct_dtype, from an ONNX element type int */
    OCT_ATTR_STRING,  /* const char * in the arena */
    OCT_ATTR_S64S,    /* fixed array of `cap` int64_t, count in the int at `count_offset` */
    OCT_ATTR_F32S,    /* const float * in the arena, count in the int at `count_offset` */
    OCT_ATTR_STRINGS, /* const char *const * in the arena, count likewise */
    OCT_ATTR_FILL,  /* dtype + value[8], from a one-element ONNX tensor; offset of oct_attr_fill */
    OCT_ATTR_GRAPH, /* uint32_t subgraph index */
} oct_attr_kind;

typedef struct oct_attr_field {
    const char *name; /* ONNX attribute name in its newest form */
    oct_attr_kind kind;
    size_t offset, count_offset;
    int cap;                    /* S64S */
    double default_value;       /* scalars; arrays and strings start absent */
    const char *const *choices; /* NULL-terminated; ENUM, BOOL_OF, S64_OF */
} oct_attr_field;

#define OCT_OPF_UNARY 1u  /* one function applied to each element; shape kept */
#define OCT_OPF_BINARY 2u /* element-wise with broadcasting (binary, variadic, Where) */
#define OCT_OPF_MOVER \
    4u                          /* copies elements unchanged; all outputs' values come from input 0
                                   (Concat: from all inputs) */
#define OCT_OPF_SPATIAL 8u      /* channels in axis 1, spatial axes after it */
#define OCT_OPF_SHAPE_ARITH 16u /* run on the host for integers when folding shape arithmetic */
#define OCT_OPF_DATA_SHAPE 32u  /* output shape depends on element values of its inputs */
#define OCT_OPF_CONTROL 64u     /* has subgraphs; run by the executor, not by a backend */

typedef struct oct_op_schema {
    size_t attr_bytes;           /* 0 = no attributes */
    const oct_attr_field *field; /* fields this op has (others of a shared struct stay default) */
    int n_fields;
    int min_in, max_in; /* canonical (newest) form; INT_MAX for variadic ops */
    int min_out, max_out;
    uint32_t flags; /* OCT_OPF_* */
} oct_op_schema;

const oct_op_schema *oct_op_schema_get(oct_op op); /* never NULL */

/* Fills `attr` (schema->attr_bytes, already allocated) with the op's defaults. */
void oct_op_attr_defaults(oct_op op, void *attr);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_OP_SCHEMA_H */
