# SPDX-License-Identifier: Apache-2.0
# Calibration commands from outside: exit codes, what is refused, what is kept.
need "$data/models/resnet20_cifar10.onnx"
model=$data/models/resnet20_cifar10.onnx images=$data/cifar10/calibration
few="--preset cifar10 --limit 24 --subset even"

# never without preprocessing, never over an existing file
run 2 calibrate "$model" "$images" -o s.h5
# shellcheck disable=SC2086
run 0 calibrate "$model" "$images" $few -o s.h5 --cache s.cache
last "octet: OK wrote s.h5"
says out "cannot tell"
run 2 calibrate "$model" "$images" --preset cifar10 -o s.h5
says err "--force"
run 3 calibrate "$model" nowhere --preset cifar10 -o t.h5
run 2 calibrate "$model" "$images" --preset cifar10 -o t.h5 --shard 3/2
run 2 calibrate "$model" "$images" --preset cifar10 -o t.h5 --method kl

# resuming a finished run changes nothing
cp s.h5 before.h5
# shellcheck disable=SC2086
run 0 calibrate "$model" "$images" $few -o s.h5 --resume
cmp s.h5 before.h5 || die "resuming a finished run changed it"
run 4 calibrate "$model" "$images" --preset cifar10 --limit 8 --subset even -o s.h5 --resume

# statistics
run 0 scales s.h5 --method mse,entropy,percentile:99.9,minmax
run 0 scales s.h5 --json=scales.json --plot p.svg --spread
python3 -m json.tool scales.json >/dev/null 2>&1 || die "--json is no JSON"
grep -q "<svg" p.svg || die "no SVG"
run 2 scales s.h5 --method mse,minmax --cache two.cache
run 0 verify s.h5 --model "$model"
run 4 merge s.h5 s.h5 -o m.h5
says err "--allow-overlap"
run 0 merge s.h5 s.h5 -o m.h5 --allow-overlap

# statistics hold channel means and correct biases; a cache holds none and says so
run 0 build "$model" --stats s.h5 -o corrected.engine
run 0 inspect corrected.engine
says out '"bias_correction":true'
run 0 build "$model" --stats s.h5 --bias-correction off -o plain.engine
run 0 inspect plain.engine
says out '"bias_correction":false'
run 2 build "$model" --cache s.cache --bias-correction on -o no.engine
says err "a cache holds no channel means"
run 0 quantize "$model" --cache s.cache -o cached.onnx
says err "biases are not corrected"
last "octet: OK wrote cached.onnx"

# u8 where nothing is negative; TensorRT has no u8
run 0 build "$model" --stats s.h5 --activations mixed -o mixed.engine
run 0 inspect mixed.engine
says out " u8 "
run 0 build "$model" --stats s.h5 --activations s8 -o s8.engine
run 0 inspect s8.engine
grep -q " u8 " out && die "u8 in spite of --activations s8"
run 0 build "$model" --stats s.h5 --device cpu -o auto.engine
cmp auto.engine mixed.engine || die "auto is not mixed on a CPU"
run 2 quantize "$model" --stats s.h5 --activations mixed -o mixed.onnx
says err "TensorRT reads s8"
run 0 quantize "$model" --stats s.h5 --activations mixed --target octet -o mixed.onnx

# damage
head -c 100000 s.h5 >cut.h5
run 4 verify cut.h5
run 4 scales cut.h5
says err "truncated"

# caches
run 0 cache lint s.cache "$model" --strict
run 0 cache convert s.cache -o s.flatbuffers
run 0 cache diff s.cache s.flatbuffers --max-ratio 1.0001
run 0 cache retarget s.cache --trt-version 8.6.1 -o r.cache
head -n 1 r.cache | grep -qx "TRT-8601-EntropyCalibration2" || die "retarget"
tail -n +2 s.cache | cmp - <(tail -n +2 r.cache) || die "retarget changed more than the header"
printf 'TRT-8601-EntropyCalibration2\nx: 0\nno entry\n' >bad.cache
run 0 cache show bad.cache
says out "not understood"
run 1 cache lint bad.cache
run 4 verify bad.cache
says err "line 2"
