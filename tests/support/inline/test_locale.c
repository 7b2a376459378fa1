/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiled into every test program: OCT_TEST_LOCALE=de_DE.UTF-8 puts the whole test under a
 * locale with a decimal comma, as an embedding program might.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((constructor)) static void enter_test_locale(void)
{
    const char *name = getenv("OCT_TEST_LOCALE");
    if (name && name[0] && !setlocale(LC_ALL, name)) {
        fprintf(stderr, "OCT_TEST_LOCALE=%s: no such locale\n", name);
        exit(1);
    }
}
