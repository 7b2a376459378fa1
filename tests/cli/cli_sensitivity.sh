# SPDX-License-Identifier: Apache-2.0
# Plans from outside: a bad threshold is found, a killed search goes on to the same bytes, quantize and
# build take the plan.
need "$data/models/resnet20_cifar10.onnx"
model=$data/models/resnet20_cifar10.onnx images=$data/cifar10/calibration
run 0 calibrate "$model" "$images" --preset cifar10 --limit 32 -o s.h5 --cache good.cache --method minmax

# one threshold a hundredth of what it should be: the node that reads the tensor must stay float
python3 - good.cache bad.cache <<'PY'
import struct, sys
lines = open(sys.argv[1]).read().splitlines()
at = next(i for i, line in enumerate(lines) if line.startswith("/8/Relu_output_0: "))
name, value = lines[at].rsplit(": ", 1)
scale = struct.unpack("!f", bytes.fromhex(value.zfill(8)))[0] / 100
lines[at] = f"{name}: {struct.pack('!f', scale).hex()}"
open(sys.argv[2], "w").write("\n".join(lines) + "\n")
PY
find_plan() { # CODE OUT OPTIONS...
    local code=$1 out=$2
    shift 2
    run "$code" sensitivity "$model" "$images" --cache bad.cache --preset cifar10 --limit 40 \
        --rank-images 16 --min-sqnr 18 -o "$out" "$@"
}
run 2 sensitivity "$model" "$images" --cache bad.cache --preset cifar10 -o x.json
says err "--max-drop"
find_plan 0 plan.json
says out "floating point"
[ ! -e plan.json.checkpoint ] || die "the checkpoint of a finished search is still there"
find_plan 2 plan.json # never over a file
says err "--force"
python3 - <<'PY' || die "the plan does not do what it says"
import json
p = json.load(open("plan.json"))
assert p["schema"] == "octet.plan/1" and p["images"] == 40 and p["rank_images"] == 16
assert 1 <= len(p["keep"]) <= 3, p["keep"]
assert p["int8"]["sqnr_db"] < 18 <= p["plan"]["sqnr_db"]
alone = [1e9 if r["outputs_equal"] else r["sqnr_db"] for r in p["ranking"]]
assert alone == sorted(alone) and p["ranking"][0]["kept"]
assert sorted(r["node"] for r in p["ranking"] if r["kept"]) == sorted(p["keep"])
PY

# killed after its second checkpoint, gone on with: the same bytes
"$octet" sensitivity "$model" "$images" --cache bad.cache --preset cifar10 --limit 40 --rank-images 16 \
    --min-sqnr 18 -o killed.json >out 2>err </dev/null &
pid=$!
while kill -0 $pid 2>/dev/null; do
    count=$(grep -c '"id"' killed.json.checkpoint 2>/dev/null)
    [ "${count:-0}" -lt 8 ] || break
    sleep 0.02
done
kill -KILL $pid 2>/dev/null
wait $pid 2>/dev/null
if [ -e killed.json.checkpoint ]; then
    find_plan 2 killed.json
    says err "--resume"
    run 4 sensitivity "$model" "$images" --cache bad.cache --preset cifar10 --limit 39 --rank-images 16 \
        --min-sqnr 18 -o killed.json --resume
    says err "another search"
    find_plan 0 killed.json --resume -j1
fi
cmp plan.json killed.json || die "a resumed search gives another plan"

# the plan is what it is for
run 0 build "$model" --cache bad.cache --plan plan.json -o planned.engine
says out "kept by the plan"
run 0 quantize "$model" --cache bad.cache --plan plan.json -o planned.onnx
says out "kept by the plan"
run 0 build "$model" --cache bad.cache -o all.engine
run 1 evaluate "$model" all.engine "$images" --preset cifar10 --limit 40 --min-sqnr 18
run 0 evaluate "$model" planned.engine "$images" --preset cifar10 --limit 40 --min-sqnr 18
run 1 sensitivity "$model" "$images" --cache bad.cache --preset cifar10 --limit 4 --rank-images 2 \
    --min-agreement 100 --gate confident -o never.json
says err "no plan passes"
