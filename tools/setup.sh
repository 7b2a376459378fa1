#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what building and testing octet needs, through the system's package manager
# (Debian 12 and 13, Ubuntu 22.04 and 24.04). Does nothing, and needs no network, when all of it
# is there. Options: --check only says what is missing (exit 1), --build leaves out what only the
# tests need, --exports adds the PyTorch that makes the exported models of the full test suite.
set -euo pipefail

build=(cmake ninja-build gcc g++ pkg-config libpng-dev libjpeg-dev libhdf5-dev libprotobuf-c-dev
       protobuf-c-compiler libjansson-dev libxxhash-dev libssl-dev libdnnl-dev)
tests=(libcmocka-dev python3 python3-venv clang clang-format locales ccache)
exports=() # python3-torch with --exports

mode=install
for arg in "$@"; do
    case $arg in
    --check) mode=check ;;
    --build) tests=() ;;
    --exports) exports=(python3-torch python3-torchvision) ;;
    -h | --help) sed -n '3,7s/^# //p' "$0"; exit 0 ;;
    *) echo "setup: unknown option $arg (see --help)" >&2; exit 2 ;;
    esac
done

if ! command -v dpkg-query >/dev/null; then
    echo "setup: no dpkg here; install the equivalents of: ${build[*]} ${tests[*]}" >&2
    exit 1
fi

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

missing=()
for package in "${build[@]}" "${tests[@]}" "${exports[@]}"; do
    installed "$package" || missing+=("$package")
done
# pkgconf took over from pkg-config and provides it under its own name.
if [[ " ${missing[*]} " == *" pkg-config "* ]] && command -v pkg-config >/dev/null; then
    missing=("${missing[@]/pkg-config/}")
fi
read -ra missing <<<"${missing[*]}"

if [ ${#missing[@]} -eq 0 ]; then
    echo "setup: nothing to install"
    exit 0
fi
echo "setup: missing: ${missing[*]}"
[ $mode = install ] || exit 1

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "setup: needs root or sudo" >&2; exit 1; }
    as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get -q update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -q install -y --no-install-recommends "${missing[@]}"
# The sanitizers' runtime is only recommended by clang, and its name carries the version.
if [[ " ${missing[*]} " == *" clang "* ]]; then
    version=$(clang -dumpversion | cut -d. -f1)
    "${as_root[@]}" apt-get -q install -y --no-install-recommends "libclang-rt-$version-dev" ||
        echo "setup: no libclang-rt-$version-dev; clang's sanitizers may not link"
fi
echo "setup: done"
