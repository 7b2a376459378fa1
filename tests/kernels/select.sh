#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kcase_select.c: the shards of a survey's choice run every chosen case, once, and no other.
#   select.sh TEST_PROGRAM
set -uo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cases() { # in a log: how many ran
    sed -n 's/.*: \([0-9]*\) cases (.*/\1/p' "$1" | awk "{n += \$1} END {print n + 0}"
}
fail() {
    echo "$1"
    exit 1
}
"$1" >"$tmp/all" 2>&1 || fail "whole: $(tail -3 "$tmp/all")"
OCT_KCASE_SURVEY=$tmp/chosen "$1" >"$tmp/survey" 2>&1 || fail "survey: $(tail -3 "$tmp/survey")"
chosen=$(wc -l <"$tmp/chosen")
ran=0
for shard in 0 1 2; do
    OCT_KCASE_ONLY=$tmp/chosen OCT_KCASE_SHARD=$shard/3 "$1" >"$tmp/$shard" 2>&1 ||
        fail "shard $shard: $(tail -3 "$tmp/$shard")"
    ran=$((ran + $(cases "$tmp/$shard")))
done
[ "$(cases "$tmp/survey")" = 0 ] || fail "a survey ran cases"
[ "$chosen" -gt 0 ] && [ "$chosen" -lt "$(cases "$tmp/all")" ] || fail "chose $chosen"
[ "$ran" = "$chosen" ] || fail "chose $chosen, ran $ran"
! OCT_KCASE_SHARD=3/3 "$1" >/dev/null 2>&1 || fail "shard 3 of 3 was accepted"
echo "$chosen of $(cases "$tmp/all") cases in 3 shards"
