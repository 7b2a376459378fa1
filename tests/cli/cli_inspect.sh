# SPDX-License-Identifier: Apache-2.0
# octet inspect: real models, unsupported operators all at once, JSON, dump, plan, bad files.
corpus=$(dirname "$script")/../fuzz/corpus/onnx

run 0 inspect "$corpus/conv_net.onnx"
says out "ONNX model, IR"
says out "?x3x4x4"
says out "GlobalAveragePool"
last "octet: OK"
run 0 inspect "$corpus/conv_net.onnx" --json
python3 - out <<'PY' || die "wrong JSON"
import json, sys
d = json.load(open(sys.argv[1]))
assert d["kind"] == "onnx" and d["opset"] == 17 and d["unsupported"] == []
assert d["inputs"] == [{"name": "x", "type": "f32", "shape": [-1, 3, 4, 4]}]
conv = next(o for o in d["operators"] if o["op"] == "Conv")
assert conv["macs"] == 2 * 4 * 4 * 3 * 3 * 3 and d["macs"] == conv["macs"] + 2 * 3
assert d["flops"] == 2 * d["macs"] and d["nodes"] == 6
PY
run 0 inspect "$corpus/functions.onnx" --dump
says out "%n/t:f32[s0x3x4x4] = LeakyRelu(%x) {alpha=0.3}"
run 0 inspect "$corpus/conv_net.onnx" --plan
says out "kernel"

run 5 inspect "$corpus/unsupported.onnx"
says out "Not supported:"
says out "Foo"
last "octet: FAILED"
run 5 inspect "$corpus/unsupported.onnx" --json=list.json
python3 -c 'import json; d = json.load(open("list.json")); assert [u["op"] for u in d["unsupported"]] == ["Foo"]' ||
    die "wrong list"

run 4 inspect "$corpus/cycle.onnx"
last "cyclic graph"
run 3 inspect none.onnx
last "no such file"
run 2 inspect .
head -c 200 "$corpus/types.onnx" >short.onnx
run 4 inspect short.onnx
last "byte"

need "$data/models"
for model in "$data"/models/*.onnx; do
    run 0 inspect "$model"
done
for model in "$data"/bad-onnx/*.onnx; do
    code=0
    "$octet" inspect "$model" >out 2>err </dev/null || code=$?
    case $code in 0 | 4 | 5) ;; *) die "$model: exit code $code" ;; esac
    [ "$code" -eq 0 ] || last "$(basename "$model")"
done
