# SPDX-License-Identifier: Apache-2.0
# run.sh SCRIPT PROGRAM DATA: sources SCRIPT in an empty scratch folder with these helpers:
#
#   $octet, $data    the program, the folder of shared test data (may be absent)
#   run CODE ARGS... runs the program; fails unless it exits with CODE. Output: files out, err
#   says FILE TEXT   fails unless FILE (out, err, ...) contains TEXT
#   last TEXT        fails unless the last line of stderr contains TEXT
#   need FILE        skips the test aloud when FILE is not there
#   die TEXT         fails
set -uo pipefail
script=$1 octet=$2 data=$3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
unset NO_COLOR

die() {
    echo "FAILED: $*"
    for f in out err; do [ ! -s $f ] || { echo "--- $f"; head -c 3000 $f; }; done
    exit 1
}
run() {
    local want=$1 got=0
    shift
    "$octet" "$@" >out 2>err </dev/null || got=$?
    [ "$got" -eq "$want" ] || die "octet $* exits with $got, expected $want"
}
says() { grep -qF -- "$2" "$1" || die "$1 does not say '$2'"; }
last() { tail -n 1 err | grep -qF -- "$1" || die "the last line of stderr does not say '$1'"; }
need() { [ -e "$1" ] || { echo "SKIPPED: $1 is not there"; exit 77; }; }

# shellcheck source=/dev/null
. "$script"
echo OK
