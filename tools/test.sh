#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Set-up, build and the whole test suite. Run from anywhere:
#
#     tools/test.sh [--quick] [--no-setup] [--build-dir DIR] [-- CTEST-ARGUMENTS...]
#
# --quick leaves out slow tests and those that compare with other programs. Those oracles come
# from PyPI into build/venv; without network they are skipped aloud, with CI=true that fails.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

quick=false setup=true dir=build/test
while [ $# -gt 0 ]; do
    case $1 in
    --quick) quick=true ;;
    --no-setup) setup=false ;;
    --build-dir) dir=$2; shift ;;
    --) shift; break ;;
    -h | --help) sed -n '3,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "test: unknown option $1 (see --help)" >&2; exit 2 ;;
    esac
    shift
done

if $setup; then
    if $quick; then tools/setup.sh; else tools/setup.sh --exports; fi
fi

# The venv is made once per version of the requirements; OCT_VENV names another one.
make_venv() {
    local venv=build/venv stamp
    stamp=$(sha256sum tests/requirements.txt | cut -c1-16)
    if [ "$(cat $venv/.octet-stamp 2>/dev/null)" != "$stamp" ]; then
        rm -rf $venv
        mkdir -p build
        local python=python3
        [ ! -x /usr/bin/python3 ] || python=/usr/bin/python3
        "$python" -m venv $venv || return 1
        $venv/bin/pip -q install -r tests/requirements.txt || return 1
        echo "$stamp" >$venv/.octet-stamp
    fi
    OCT_VENV=$root/$venv
}
if ! $quick && [ -z "${OCT_VENV:-}" ] && ! make_venv; then
    echo "test: WARNING: no oracles from PyPI; the tests that need them are skipped"
    [ "${CI:-}" != true ] || { echo "test: CI=true: that is a failure"; exit 1; }
fi
export OCT_VENV=${OCT_VENV:-}

jobs=$(nproc)
cmake -S . -B "$dir" -G Ninja -DCMAKE_BUILD_TYPE="${OCT_BUILD_TYPE:-Release}" -DOCT_WERROR=ON \
    -DOCT_VENV="$OCT_VENV"
ninja -C "$dir" -j "$jobs"

select=(-LE bench)
! $quick || select=(-LE 'slow|bench|gpu|oracle')
cd "$dir"
exec ctest -j "$jobs" --output-on-failure "${select[@]}" "$@"
