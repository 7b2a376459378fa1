#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# All GPU tests and benchmarks on a machine with a GPU in one go; one table at the end.
#
#   tests/bench/gpu_all.sh                     builds build/gpu from these sources first
#   BIN=DIR tests/bench/gpu_all.sh             programs built elsewhere (octet, run_node_tests, test_*)
#
# ONLY    parts to run, of these (default all):
#   kernels    every kernel against `ref`              node    the ONNX operator tests
#   sanitize   memcheck and racecheck over the kernels (gpu_sanitize.py)
#   models     MODELS against ONNX Runtime, f32, f16   exports EXPORTS likewise, all topologies
#   scales     calibration on both devices (gpu_scales.py)
#   flat       memory by the number of images          cifar10 top-1 on both devices
#   bench      BENCH: latency and throughput
# MODELS  folder of ONNX models            (default ../shared/data/models)
# DATA    folder with imagenet100/, cifar10/ (default ../shared/data)
# BENCH   folder of ONNX models to measure (default MODELS)
# EXPORTS names of export_models.py        COUNTS  512,1024,2048,4096 images of `flat`
# BATCHES 1,128     PRECISIONS "fp32 tf32 fp16"     SECONDS_EACH 1
# LIMIT   seconds for `sanitize` (600)     JOBS    processes at a time (all cores)
# OUT     where logs and results.json go   (default build/gpu_all)
#
# Needs python3 with numpy, onnx, onnxruntime and Pillow for all but kernels, sanitize and bench, and
# torch and torchvision for exports and flat; a part whose needs are missing is skipped, saying so.
# Exit 77 without a GPU, 1 when something failed.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
root=$PWD
BIN=${BIN:-} MODELS=${MODELS:-$root/../shared/data/models} DATA=${DATA:-$root/../shared/data}
BENCH=${BENCH:-$MODELS} BATCHES=${BATCHES:-1,128} PRECISIONS=${PRECISIONS:-fp32 tf32 fp16}
ALL="kernels sanitize node models exports scales flat cifar10 bench"
SECONDS_EACH=${SECONDS_EACH:-1} ONLY=${ONLY:-$ALL} OUT=${OUT:-$root/build/gpu_all}
PYTHON=${PYTHON:-python3} JOBS=${JOBS:-$(nproc)} LIMIT=${LIMIT:-600}
COUNTS=${COUNTS:-512,1024,2048,4096}
EXPORTS=${EXPORTS:-resnet50 mobilenet_v2 mobilenet_v3_large efficientnet_b0 densenet121 inception_v3
    shufflenet_v2 regnet_y_400mf convnext_tiny vit_b_16 swin_t yolov5s yolov8n unet deeplabv3}
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

sanitize() {
    local verdict tool rest
    "$PYTHON" tests/bench/gpu_sanitize.py "$BIN" "$OUT/sanitize" --jobs "$JOBS" --limit "$LIMIT" \
        >"$OUT/sanitize.log" 2>&1
    [ $? -eq 77 ] && row sanitize all skipped "$(grep SKIPPED "$OUT/sanitize.log")"
    while read -r verdict tool name rest; do
        case $verdict in ok | FAILED) row sanitize "$tool $name" "$verdict" "${rest:0:200}" ;; esac
    done <"$OUT/sanitize.log"
    tail -1 "$OUT/sanitize.log"
}

# part, folder of models
against_oracle() {
    local verdict name backend ratio rest
    timeout 600 "$PYTHON" tests/conformance/models.py "$BIN/octet" "$2" "$DATA" --jobs "$JOBS" \
        --backends cuda,cuda:fp16 --largest-only >"$OUT/$1.log" 2>&1
    case $? in
    77) row "$1" all skipped "$(grep SKIPPED "$OUT/$1.log" | head -1)" ;;
    0 | 1) ;;
    *) row "$1" all FAILED "$(tail -1 "$OUT/$1.log" | cut -c1-150)" ;;
    esac
    while read -r verdict name backend _ _ ratio rest; do
        [ "$verdict" = ok ] || [ "$verdict" = FAILED ] || continue
        row "$1" "$name $backend" "$verdict" "$ratio $rest"
    done <"$OUT/$1.log"
}

models() {
    against_oracle models "$MODELS"
}

# Makes those of "$@" that $OUT/exports has not; a topology that torch cannot make is named.
export_models() {
    mkdir -p "$OUT/exports"
    printf '%s\n' "$@" | OMP_NUM_THREADS=2 xargs -P $(((JOBS + 1) / 2)) -n 1 \
        "$PYTHON" tests/conformance/export_models.py "$OUT/exports" >"$OUT/export.log" 2>&1
}

exports() {
    local name
    export_models $EXPORTS
    for name in $EXPORTS; do
        [ -f "$OUT/exports/$name.onnx" ] || row exports "$name" skipped "$(tail -1 "$OUT/export.log" | cut -c1-120)"
    done
    against_oracle exports "$OUT/exports"
}

# A script's own table goes to the log and to stdout, its last line to the table.
by_script() { # part, case, command ...
    local part=$1 name=$2 code
    shift 2
    timeout 600 "$@" >"$OUT/$part.$name.log" 2>&1
    code=$?
    cat "$OUT/$part.$name.log"
    case $code in
    0) row "$part" "$name" ok "$(tail -1 "$OUT/$part.$name.log")" ;;
    77) row "$part" "$name" skipped "$(tail -1 "$OUT/$part.$name.log")" ;;
    *) row "$part" "$name" FAILED "$(tail -1 "$OUT/$part.$name.log" | cut -c1-150)" ;;
    esac
}

scales() {
    by_script scales cpu,cuda "$PYTHON" tests/bench/gpu_scales.py "$BIN/octet" "$DATA" --show \
        --jobs "$JOBS"
}

flat() {
    export_models resnet50
    by_script flat resnet50 "$PYTHON" tests/bench/gpu_calibration.py "$BIN/octet" \
        "$OUT/exports/resnet50.onnx" "$DATA/imagenet100" --images "64,$COUNTS"
}

cifar10() {
    by_script cifar10 top-1 "$PYTHON" tests/bench/gpu_cifar10.py "$BIN/octet" "$DATA"
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

for part in $ALL; do
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
