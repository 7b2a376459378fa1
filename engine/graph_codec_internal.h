/* SPDX-License-Identifier: Apache-2.0
 *
 * Marks that graph_encode.c writes and graph_decode.c reads.
 */
#ifndef OCT_ENGINE_GRAPH_CODEC_INTERNAL_H
#define OCT_ENGINE_GRAPH_CODEC_INTERNAL_H

#define OCT_CODE_NO_STRING 0xffffffffu /* length of a NULL string */
#define OCT_CODE_CONSTANT 1u           /* value flags */
#define OCT_CODE_FROM_MODEL 2u
#define OCT_CODE_MAX_SUBS 64 /* nesting of subgraphs */

#endif /* OCT_ENGINE_GRAPH_CODEC_INTERNAL_H */
