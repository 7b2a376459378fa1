#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kcase_select.c: the shards of a choice among the surveyed runs make these, once, and no others.
#   select.sh TEST_PROGRAM
set -uo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
sum() { # of the numbers before these words in a log
    sed -n "s/.* \([0-9]*\) $2.*/\1/p" "$1" | awk '{n += $1} END {print n + 0}'
}
fail() {
    echo "$1"
    exit 1
}
"$1" >"$tmp/all" 2>&1 || fail "whole: $(tail -3 "$tmp/all")"
OCT_KCASE_SURVEY=$tmp/runs "$1" >"$tmp/survey" 2>&1 || fail "survey: $(tail -3 "$tmp/survey")"
[ "$(sum "$tmp/survey" 'cases (')" = 0 ] || fail "a survey ran cases"
[ "$(awk '{print $1}' "$tmp/runs" | uniq | wc -l)" = "$(sum "$tmp/all" 'cases (')" ] || fail "cases missed"
awk 'NR % 3 == 0' "$tmp/runs" >"$tmp/chosen"
chosen=$(awk '{print $1}' "$tmp/chosen" | uniq | wc -l)
ran=0 runs=0
for shard in 0 1 2; do
    OCT_KCASE_ONLY=$tmp/chosen OCT_KCASE_SHARD=$shard/3 "$1" >"$tmp/$shard" 2>&1 ||
        fail "shard $shard: $(tail -3 "$tmp/$shard")"
    ran=$((ran + $(sum "$tmp/$shard" 'cases (')))
    runs=$((runs + $(sum "$tmp/$shard" 'candidate runs')))
done
[ "$ran" = "$chosen" ] || fail "chose $chosen cases, $ran ran"
# with 1 and with 3 threads
[ "$runs" = $((2 * $(wc -l <"$tmp/chosen"))) ] || fail "chose $(wc -l <"$tmp/chosen") runs, made $runs"
! OCT_KCASE_SHARD=3/3 "$1" >/dev/null 2>&1 || fail "shard 3 of 3 was accepted"
echo "$chosen cases, $runs runs in 3 shards"
