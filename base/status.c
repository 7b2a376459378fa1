/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

const char *oct_status_str(oct_status st)
{
    switch (st) {
#define X(name, code, exit_code, text) \
    case OCT_##name:                   \
        return text;
        OCT_STATUS_MAP(X)
#undef X
    }
    return "unknown status";
}

int oct_status_exit_code(oct_status st)
{
    switch (st) {
#define X(name, code, exit_code, text) \
    case OCT_##name:                   \
        return exit_code;
        OCT_STATUS_MAP(X)
#undef X
    }
    return 9;
}
