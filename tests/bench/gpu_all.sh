#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# All GPU tests and benchmarks on a machine with a GPU in one go; one table at the end.
#
#   tests/bench/gpu_all.sh                     builds build/gpu from these sources first
#   BIN=DIR tests/bench/gpu_all.sh             programs built elsewhere (octet, run_node_tests, test_*)
#
# MODELS  folder of ONNX models            (default ../shared/data/models)
# DATA    folder with imagenet100/         (default ../shared/data)
# BENCH   folder of ONNX models to measure (default MODELS)
# BATCHES 1,128     PRECISIONS "fp32 tf32 fp16"     SECONDS_EACH 1     ONLY "kernels node models bench"
# OUT     where logs and results.json go   (default build/gpu_all)
#
# Needs python3 with numpy, onnx, onnxruntime and Pillow for `node` and `models`; a part whose
# needs are missing is skipped, saying so. Exit 77 without a GPU, 1 when something failed.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
root=$PWD
BIN=${BIN:-} MODELS=${MODELS:-$root/../shared/data/models} DATA=${DATA:-$root/../shared/data}
BENCH=${BENCH:-$MODELS} BATCHES=${BATCHES:-1,128} PRECISIONS=${PRECISIONS:-fp32 tf32 fp16}
SECONDS_EACH=${SECONDS_EACH:-1} ONLY=${ONLY:-kernels node models bench} OUT=${OUT:-$root/build/gpu_all}
PYTHON=${PYTHON:-python3}
mkdir -p "$OUT"

build() {
    cmake -S . -B build/gpu -G Ninja -DCMAKE_BUILD_TYPE=Release -DOCT_CUDA=ON &&
        ninja -C build/gpu || exit 2
    BIN=$OUT/bin
    mkdir -p "$BIN"
    cp build/gpu/octet build/gpu/tests/conformance/run_node_tests \
        build/gpu/tests/kernels/test_* "$BIN" 2>/dev/null
}
[ -n "$BIN" ] || build

rows=()
row() { # part, case, verdict, detail
    rows+=("$(printf '%-8s %-34s %-7s %s' "$1" "$2" "$3" "$4")")
    [ "$3" = FAILED ] && failed=1
    return 0
}
failed=0
wants() { [[ " $ONLY " == *" $1 "* ]]; }

"$BIN/octet" doctor 2>/dev/null | grep -E '^(gpu|octet) ' || true
if ! "$BIN/octet" doctor 2>/dev/null | grep -q '^gpu .*device '; then
    echo "SKIPPED: no GPU"
    exit 77
fi
commit=${COMMIT:-$(git rev-parse --short HEAD 2>/dev/null || echo unknown)}
clocks=$(nvidia-smi --query-gpu=name,clocks.sm,clocks.mem,driver_version --format=csv,noheader 2>/dev/null)

kernels() {
    local t name code
    for t in "$BIN"/test_*; do
        name=$(basename "$t")
        [ -x "$t" ] || continue
        [[ $name == test_cuda_* ]] || export OCT_TEST_MAY_DECLINE=1
        OCT_TEST_BACKEND=cuda timeout 120 "$t" >"$OUT/$name.log" 2>&1
        code=$?
        unset OCT_TEST_MAY_DECLINE
        case $code in
        0) row kernels "$name" ok "$(grep -c 'candidate runs' "$OUT/$name.log") groups, $(grep -c '^declined' "$OUT/$name.log") declined" ;;
        77) row kernels "$name" skipped "$(grep SKIPPED "$OUT/$name.log" | head -1)" ;;
        *) row kernels "$name" FAILED "$(grep -aE 'ref [-0-9n]|: run|prepare|no candidate|\[ *FAILED|outside|second' "$OUT/$name.log" | head -1 | cut -c1-150)" ;;
        esac
    done
}

node() {
    timeout 300 "$PYTHON" tests/conformance/onnx_node.py "$OUT/onnx_node" "$BIN/run_node_tests" cuda \
        tests/conformance/onnx_node_skips.txt tests/conformance/operators.txt >"$OUT/node.log" 2>&1
    case $? in
    0) row node onnx_node ok "$(tail -1 "$OUT/node.log")" ;;
    77) row node onnx_node skipped "$(grep SKIPPED "$OUT/node.log" | head -1)" ;;
    *) row node onnx_node FAILED "$(tail -1 "$OUT/node.log" | cut -c1-150)" ;;
    esac
}

models() {
    local code
    timeout 300 "$PYTHON" tests/conformance/models.py "$BIN/octet" "$MODELS" "$DATA" \
        --backends cuda,cuda:fp16 --largest-only >"$OUT/models.log" 2>&1
    code=$?
    [ $code -eq 77 ] && row models all skipped "$(grep SKIPPED "$OUT/models.log" | head -1)"
    while read -r verdict name backend _ _ ratio rest; do
        [ "$verdict" = ok ] || [ "$verdict" = FAILED ] || continue
        row models "$name $backend" "$verdict" "$ratio $rest"
    done <"$OUT/models.log"
}

bench() {
    local m p name log
    for m in "$BENCH"/*.onnx "$BENCH"/*.engine; do
        [ -f "$m" ] || continue
        for p in $PRECISIONS; do
            [[ $m == *.engine ]] && [ "$p" != "${PRECISIONS%% *}" ] && continue
            name=$(basename "$m")
            log=$OUT/bench.${name%.*}.$p
            if timeout 120 "$BIN/octet" bench "$m" --device cuda --precision "$p" --batch "$BATCHES" \
                --seconds "$SECONDS_EACH" ${TUNE:+--tune} --json="$log.json" --force -q >"$log.log" 2>&1; then
                row bench "$name $p" ok "$("$PYTHON" - "$log.json" <<'PY'
import json, sys
d = json.load(open(sys.argv[1]))
for r in d.get("batches", [d]):
    w = r.get("without_transfers", {})
    print(f"b{r['images_per_run']}: {r['p50_ms']:.3f} ms, alone {w.get('p50_ms', 0):.4f} ms "
          f"{w.get('images_per_s', 0):.0f}/s", end="; ")
PY
                )"
            else
                row bench "$name $p" FAILED "$(tail -1 "$log.log" | cut -c1-150)"
            fi
        done
    done
}

for part in kernels node models bench; do
    wants $part && $part
done

"$PYTHON" - "$OUT" "$commit" "$clocks" <<'PY' || true
import glob, json, os, sys
out, commit, clocks = sys.argv[1:4]
result = {"schema": "octet.gpu-all/1", "commit": commit, "device": clocks, "bench": {}}
for f in sorted(glob.glob(out + "/bench.*.json")):
    result["bench"][os.path.basename(f)[6:-5]] = json.load(open(f))
json.dump(result, open(out + "/results.json", "w"), indent=1)
PY
echo "octet $commit on $clocks"
printf '%-8s %-34s %-7s %s\n' part case verdict detail
printf '%s\n' "${rows[@]}"
exit $failed
