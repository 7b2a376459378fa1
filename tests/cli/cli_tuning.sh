# SPDX-License-Identifier: Apache-2.0
# octet build --tune --timing-cache: the same cache makes the same engine, and is told when it is of no use.
model=$(dirname "$script")/../fuzz/corpus/onnx/conv_net.onnx

run 2 build "$model" --timing-cache times.txt -o a.engine
last "--timing-cache is for --tune"
run 2 bench "$model" --timing-cache times.txt
last "--timing-cache is for --tune"

printf '' >times.txt # so that there is a file even where nothing has a choice of kernels
run 0 build "$model" --tune --timing-cache times.txt -o a.engine -j 1
run 0 build "$model" --tune --timing-cache times.txt -o b.engine -j 1
says err "timed 0 kernels"
cmp a.engine b.engine || die "two builds with one cache differ"
run 0 run "$model" --input random:1 --tune --timing-cache times.txt -o y.npy -j 1
run 0 bench "$model" --tune --timing-cache times.txt --runs 2 --profile -j 1
says out "tuned us"
run 0 inspect a.engine
run 0 inspect a.engine --json
python3 - out times.txt <<'PY' || die "the engine does not show what the cache chose"
import json, sys
d = json.load(open(sys.argv[1]))
times = open(sys.argv[2]).read()
assert d["tuned"] == len(d["tactics"])
assert bool(d["tactics"]) == bool(times) and (not times or d["tuned_on"] in times)
for t in d["tactics"]:
    assert t["us"] > 0 and t["node"] and "%d %s\n" % (round(t["us"] * 1000), t["kernel"]) in times
PY

if [ -s times.txt ]; then
    run 0 inspect times.txt
    says out "kernel"
    run 0 inspect times.txt --json
    python3 - out <<'PY' || die "wrong JSON"
import json, sys
d = json.load(open(sys.argv[1]))
assert d["kind"] == "timing cache" and all(t["us"] > 0 for t in d["times"])
PY
    run 0 verify times.txt
    says out "timing cache"
fi
head -c 40 times.txt >short.txt
if [ -s short.txt ]; then
    cp short.txt kept.txt
    run 4 build "$model" --tune --timing-cache short.txt -o c.engine
    last "short.txt is damaged"
    run 4 verify short.txt
    cmp short.txt kept.txt || die "a damaged cache was changed"
    sed -e 's/^octet timing cache 1/octet timing cache 9/' times.txt >newer.txt
    run 4 build "$model" --tune --timing-cache newer.txt -o c.engine
    last "of another version"
fi
run 4 build "$model" --tune --timing-cache "$model" -o c.engine
last "is no timing cache"
[ ! -e c.engine ] || die "an engine was written"
