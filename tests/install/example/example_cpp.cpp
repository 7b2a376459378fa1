// SPDX-License-Identifier: Apache-2.0
// The header works from C++ too.
#include <octet/octet.h>

#include <cstring>

int main()
{
    octet_ctx_options opt;
    OCTET_INIT(opt);
    octet_ctx *ctx = nullptr;
    if (octet_ctx_new(&opt, &ctx) != OCTET_OK)
        return 1;
    octet_ctx_free(ctx);
    return std::strlen(octet_version()) > 4 ? 0 : 1;
}
