/* SPDX-License-Identifier: Apache-2.0
 *
 * octet: the public C API.
 */
#ifndef OCTET_OCTET_H
#define OCTET_OCTET_H

#endif /* OCTET_OCTET_H */
