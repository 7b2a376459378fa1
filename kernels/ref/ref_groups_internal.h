/* SPDX-License-Identifier: Apache-2.0
 *
 * The groups of reference kernels: X(group) for each kernels/ref/ref_<group>.c, which exports
 * `const oct_ref_entry oct_ref_<group>[]`, ended by an entry without a function. To add an
 * op, add its entry to a group; to add a group, add a line here.
 */
#ifndef OCT_KERNELS_REF_REF_GROUPS_INTERNAL_H
#define OCT_KERNELS_REF_REF_GROUPS_INTERNAL_H

#include "kernels/ref/ref.h"

#define OCT_REF_GROUPS(X) \
    X(conv)               \
    X(matmul)             \
    X(einsum)             \
    X(pool)               \
    X(norm)               \
    X(layer_norm)         \
    X(quantize)           \
    X(qoperator)          \
    X(resize)             \
    X(sample)             \
    X(nms)                \
    X(rnn)                \
    X(softmax)            \
    X(unary)              \
    X(binary)             \
    X(select)             \
    X(cast)               \
    X(move)               \
    X(pad)                \
    X(gather)             \
    X(scatter)            \
    X(source)             \
    X(reduce)             \
    X(order)

#define X(group) extern const oct_ref_entry oct_ref_##group[];
OCT_REF_GROUPS(X)
#undef X

#endif /* OCT_KERNELS_REF_REF_GROUPS_INTERNAL_H */
