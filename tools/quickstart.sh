#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From a fresh clone to a report: installs what is missing, builds, and runs `octet auto` on the sample in
# datasets/sample (handwritten digits, so nothing is downloaded). Opens nothing. Run from anywhere:
#
#     tools/quickstart.sh [--no-setup] [-o DIR]
#
# Results go to build/quickstart, or to DIR.
set -euo pipefail
cd "$(dirname "$0")/.."

setup=true out=build/quickstart
while [ $# -gt 0 ]; do
    case $1 in
    --no-setup) setup=false ;;
    -o) out=$2; shift ;;
    -h | --help) sed -n '3,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "quickstart: unknown option $1 (see --help)" >&2; exit 2 ;;
    esac
    shift
done

if $setup; then tools/setup.sh --build; fi
cmake -S . -B build/release -G Ninja -DCMAKE_BUILD_TYPE=Release -DOCT_TESTS=OFF >/dev/null
ninja -C build/release octet_program

sample=datasets/sample
build/release/octet auto $sample/digits_depthwise.onnx $sample/mnist/calibration --preset mnist \
    --test $sample/mnist/test -o "$out"

echo
grep '^verdict: ' "$out/README.txt"
echo "report:  $(cd "$out" && pwd)/report.html"
