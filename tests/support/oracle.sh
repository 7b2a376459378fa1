#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# oracle.sh PYTHON SCRIPT ARGUMENTS...: runs SCRIPT in the oracle venv; without a venv the test is
# skipped (77), but fails where CI=true, so that CI cannot pass without having compared.
python=$1
shift
if [ -z "$python" ]; then
    echo "SKIPPED: needs the oracle venv (tools/test.sh makes build/venv; it needs network once)"
    [ "$CI" != true ] || { echo "CI=true: an oracle test may not be skipped"; exit 1; }
    exit 77
fi
exec "$python" "$@"
