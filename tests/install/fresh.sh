#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# fresh.sh [--first]: runs the two commands that README.md gives for a fresh machine, as they stand there, in a copy of
# the tree with an empty home and environment. --first runs the first one only. What passes through: proxies, pip's
# index, a compiler cache, OCT_VENV and CI.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/octet" "$scratch/home"

cd "$root"
if git rev-parse --git-dir >/dev/null 2>&1; then
    git ls-files -z --cached --others --exclude-standard
else
    find . -path ./build -prune -o -type f -print0
fi | tar --null -T - -cf - | tar -xf - -C "$scratch/octet"
[ ! -d "$root/../shared" ] || ln -s "$(cd "$root/../shared" && pwd)" "$scratch/shared"

# The lines of the fenced block behind the mark.
mapfile -t commands < <(awk '/<!-- two commands -->/ {on = 1} on && /^```/ && ++fences == 2 {exit}
                             on && /^[a-z]/' README.md)
[ ${#commands[@]} -eq 2 ] || { echo "fresh: README.md has ${#commands[@]} commands, expected 2"; exit 1; }
[ "${1:-}" != --first ] || commands=("${commands[0]}")

pass=()
for name in CI OCT_VENV CCACHE_DIR http_proxy https_proxy no_proxy $(compgen -e | grep '^PIP_'); do
    [ -z "${!name:-}" ] || pass+=("$name=${!name}")
done
[ -n "${CCACHE_DIR:-}" ] || [ ! -d ~/.cache/ccache ] || pass+=("CCACHE_DIR=$HOME/.cache/ccache")

cd "$scratch/octet"
for command in "${commands[@]}"; do
    command=${command%%#*}
    echo "fresh: $command"
    env -i HOME="$scratch/home" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        LANG=C.UTF-8 "${pass[@]}" bash -c "$command"
done
[ -s build/quickstart/report.html ] || { echo "fresh: no report"; exit 1; }
echo "fresh: OK"
