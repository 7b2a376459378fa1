# SPDX-License-Identifier: Apache-2.0
# octet auto from outside: the embedded sample, going on, what it refuses.
sample=$(dirname "$script")/../../datasets/sample
need "$sample/digits_plain.onnx"
mkdir digits
for d in 0 1 2 3 4 5 6 7 8 9; do
    mkdir digits/$d
    cp $(ls "$sample"/mnist/test/$d/*.png | head -n 8) digits/$d/
done
args="$sample/digits_plain.onnx digits --preset mnist"

# One folder is divided; everything that README.txt names is there.
run 0 auto $args -o res --no-bench
last "octet: OK the report is res/report.html"
says err "divided by their ids"
says out "verdict: INT8"
says out "trtexec --onnx=model.trt.qdq.onnx --saveEngine=model.plan"
says out "polygraphy convert digits_plain.onnx --int8"
for f in README.txt auto.json images.txt choice.json statistics.h5 scales.json calibration.cache \
    model.trt.qdq.onnx model.ort.qdq.onnx model.fp32.engine model.int8.engine bench.json \
    report.json report.html; do
    [ -s "res/$f" ] || die "no res/$f"
done
[ ! -e res/work ] || die "checkpoints are left"
head -n 1 res/calibration.cache | grep -q '^TRT-' || die "odd cache"
grep -q "$PWD" res/*.json res/*.txt res/*.html && die "a path of this machine in the results"

# Again: nothing is done twice. Without a file, only what needs it is.
cp -r res first
run 0 auto $args -o res --no-bench
[ "$(grep -c 'done before' err)" = 6 ] || die "stages were repeated"
rm res/model.int8.engine res/report.html
printf 'x' >>res/calibration.cache
run 0 auto $args -o res --no-bench
diff -r first res >/dev/null || die "mending gave other bytes"
says err "2 of 6, calibrate and choose a method: done before"

# Threads and the place do not matter.
run 0 auto $args -o elsewhere --no-bench -j1
diff -r first elsewhere >/dev/null || die "other bytes with one thread"

# Other options need another folder or --force; --json is the report.
run 2 auto $args -o res --no-bench --methods minmax
last "other pictures or options"
run 0 auto $args -o res --no-bench --methods minmax --force --json
python3 -c 'import json; r = json.load(open("res/report.json"))
assert r["calibration"]["method"] == "minmax" and r["command"] == "auto"' || die "odd report"

# Refusals, before anything is written.
run 2 auto $args -o new --methods nonsense
run 2 auto "$sample/digits_plain.onnx" digits -o new
says err "--preset"
run 3 auto "$sample/digits_plain.onnx" nowhere --preset mnist -o new
run 2 auto $args --test digits -o new
last "pictures that judge cannot calibrate"
[ ! -e new ] || die "a refused run left a folder"
mkdir taken
echo mine >taken/report.html
run 2 auto $args -o taken
last "taken/report.html: exists; use --force to replace it"
[ "$(cat taken/report.html)" = mine ] || die "overwritten"
run 1 auto $args -o gated --no-bench --min-sqnr 99
last "1 of 1 gates not passed"
exec 9<res
flock -n 9 || die "cannot lock"
run 2 auto $args -o res --no-bench --methods minmax
last "another octet auto works there"
exec 9<&-

# Tuned engines are the same with the same times.
run 2 auto $args -o new --timing-cache times.txt
last "--timing-cache is for --tune"
for d in tuned1 tuned2; do
    run 0 auto $args -o $d --no-bench --tune --timing-cache times.txt
done
diff -r tuned1 tuned2 >/dev/null || die "one timing cache, two results"
