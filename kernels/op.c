/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/op.h"

#include <string.h>

typedef enum domain {
    DOMAIN_ONNX,
    DOMAIN_MS,
    DOMAIN_OCT,
} domain;

typedef struct op_name {
    const char *name;
    domain domain;
} op_name;

static const op_name OPS[OCT_OP_COUNT] = {
#define X(id, name, dom, attr) [OCT_OP_##id] = {name, DOMAIN_##dom},
    OCT_OP_MAP(X)
#undef X
};

static const char *const DOMAINS[] = {
    [DOMAIN_ONNX] = "",
    [DOMAIN_MS] = "com.microsoft",
    [DOMAIN_OCT] = "octet",
};

const char *oct_op_name(oct_op op)
{
    return (unsigned)op < OCT_OP_COUNT ? OPS[op].name : "?";
}

const char *oct_op_domain(oct_op op)
{
    return (unsigned)op < OCT_OP_COUNT ? DOMAINS[OPS[op].domain] : "?";
}

oct_op oct_op_find(const char *dom, const char *name)
{
    if (strcmp(dom, "ai.onnx") == 0)
        dom = "";
    for (int op = 0; op < OCT_OP_COUNT; op++) {
        if (strcmp(OPS[op].name, name) == 0 && strcmp(DOMAINS[OPS[op].domain], dom) == 0)
            return (oct_op)op;
    }
    return OCT_OP_COUNT;
}
