/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/cli.h"

int main(int argc, char **argv)
{
    return oct_cli_main(argc, argv, oct_cmd_table);
}
