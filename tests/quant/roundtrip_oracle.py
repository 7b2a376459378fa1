#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Q/DQ files of `octet quantize` in ONNX Runtime and in our INT8 engine, and ONNX Runtime's own quantized
models in our engine, on the two CIFAR-10 networks.

  - every export passes onnx.checker; stripped of its pairs it equals the original to 1e-5 (target trt)
  - target ort: ONNX Runtime's optimized model holds a QLinearConv for every Conv
  - so it does with corrected biases, for both targets; no initializer is left over from the correction
  - the same file in both runtimes: at least 99 % of the predictions agree, SQNR at least 25 dB
  - ONNX Runtime's QDQ (s8, u8) and QOperator models: the same bounds
  - INT8 against FP32, an engine file's too: at least 95 % (one hundred photos, min-max)
Usage: roundtrip_oracle.py VENV_PYTHON OCTET
"""
import os
import subprocess
import sys

if len(sys.argv) == 3:
    if not sys.argv[1]:
        print("skipped: no oracle venv (tools/test.sh makes one)")
        sys.exit(1 if os.environ.get("CI") == "true" else 77)
    os.execv(sys.argv[1], [sys.argv[1], __file__, "run", sys.argv[2], ""])

import collections
import pathlib
import struct
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from PIL import Image

OCTET = sys.argv[2]
DATA = pathlib.Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
MEAN = np.array([0.4914, 0.4822, 0.4465], np.float32)
STD = np.array([0.2470, 0.2435, 0.2616], np.float32)
N_TEST = 100
MIN_AGREE, MIN_SQNR = 0.99, 25.0
LOSSY_AGREE = 0.95  # INT8 against FP32 on a hundred photos, min-max thresholds
failures = []


def photos(folder, step):
    files = sorted((DATA / "cifar10" / folder).glob("*/*"))[::step]
    return np.stack([((np.asarray(Image.open(f).convert("RGB"), np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)
                     for f in files]).astype(np.float32)


def octet(*args):
    r = subprocess.run([OCTET, *map(str, args), "--force", "-q"], capture_output=True, text=True)
    if r.returncode:
        raise SystemExit(f"octet {args[0]} failed: {r.stderr[-500:]}")


def run_octet(model, x, work, *args):
    np.save(work / "x.npy", x)
    octet("run", model, "-i", work / "x.npy", "-o", work / "y.npy", *args)
    return np.load(work / "y.npy")


def session(path, optimized=None, level=None):
    so = ort.SessionOptions()
    so.log_severity_level = 4
    if optimized:
        so.optimized_model_filepath = str(optimized)
    if level is not None:
        so.graph_optimization_level = level
    return ort.InferenceSession(str(path), so, providers=["CPUExecutionProvider"])


def run_ort(path, x, **kw):
    s = session(path, **kw)
    return s.run(None, {s.get_inputs()[0].name: x})[0]


def compare(what, a, b, least=MIN_AGREE):
    agree = float((a.argmax(1) == b.argmax(1)).mean())
    noise = float(((a - b) ** 2).sum())
    sqnr = 10 * np.log10(float((a ** 2).sum()) / noise) if noise else float("inf")
    ok = agree >= least and sqnr >= MIN_SQNR
    print(f"  {what:44s} agreement {agree:.4f}  SQNR {sqnr:5.1f} dB  {'' if ok else 'TOO LOW'}")
    if not ok:
        failures.append(what)


def minmax_cache(model, x, path):
    """A TensorRT cache of exact maxima, from ONNX Runtime's own activations."""
    m = onnx.load(str(model))
    del m.graph.output[:]
    for n in m.graph.node:
        m.graph.output.extend(onnx.helper.make_tensor_value_info(o, onnx.TensorProto.FLOAT, None) for o in n.output)
    so = ort.SessionOptions()
    so.log_severity_level = 4
    so.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    s = ort.InferenceSession(m.SerializeToString(), so)
    inp = s.get_inputs()[0].name
    values = [(inp, x)] + list(zip([o.name for o in s.get_outputs()], s.run(None, {inp: x})))
    with open(path, "w") as f:
        f.write("TRT-101601-EntropyCalibration2\n")
        for name, v in values:
            if v.dtype == np.float32:
                scale = np.float32(max(float(np.abs(v).max()), 1e-6)) / np.float32(127)
                f.write(f"{name}: {struct.unpack('>I', struct.pack('>f', scale))[0]:08x}\n")


class Reader(CalibrationDataReader):
    def __init__(self, name, x):
        self.items = iter([{name: x[i:i + 1]} for i in range(len(x))])

    def get_next(self):
        return next(self.items, None)


def own_exports(model, x, work, f32):
    cache = work / "minmax.cache"
    minmax_cache(model, photos("calibration", 8), cache)
    for target in ("trt", "ort"):
        for stored in ([], ["--weights-int8"]):
            q = work / f"{target}.onnx"
            octet("quantize", model, "--cache", cache, "--target", target, "-o", q, *stored)
            onnx.checker.check_model(onnx.load(str(q)), full_check=True)
            label = f"{target} {' '.join(stored)}"
            theirs = run_ort(q, x, optimized=work / "opt.onnx")
            compare(f"{label}: octet INT8 vs ONNX Runtime", theirs, run_octet(q, x, work))
            compare(f"{label}: ONNX Runtime vs FP32", f32, theirs, LOSSY_AGREE)
            if target == "ort":
                count = collections.Counter(n.op_type for n in onnx.load(str(work / "opt.onnx")).graph.node)
                want = sum(n.op_type == "Conv" for n in onnx.load(str(q)).graph.node)
                print(f"  {label}: {count['QLinearConv']} QLinearConv for {want} Conv")
                if count["QLinearConv"] != want:
                    failures.append(f"{label}: not every Conv fuses")
    octet("quantize", model, "--cache", cache, "-o", work / "trt.onnx")
    octet("quantize", work / "trt.onnx", "--strip", "--cache", work / "back.cache", "-o", work / "back.onnx")
    gap = float(np.abs(run_ort(work / "back.onnx", x) - f32).max())
    print(f"  stripped again: largest gap to the original {gap:.1e}")
    if gap > 1e-5:
        failures.append("strip changes the model")
    octet("build", model, "--cache", cache, "-o", work / "m.engine")
    compare("engine file vs FP32", f32, run_octet(work / "m.engine", x, work), LOSSY_AGREE)


def corrected_biases(model, x, work, f32):
    """Statistics hold channel means: biases change, nearer to FP32, and --strip puts them back."""
    octet("calibrate", model, DATA / "cifar10/calibration", "--preset", "cifar10", "-o", work / "s.h5")
    original = {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load(str(model)).graph.initializer}
    for target in ("trt", "ort"):
        error = {}
        for when in ("off", "on"):
            q = work / f"bias-{when}.onnx"
            octet("quantize", model, "--stats", work / "s.h5", "--target", target, "--bias-correction", when, "-o", q)
            onnx.checker.check_model(onnx.load(str(q)), full_check=True)
            y = run_ort(q, x, level=ort.GraphOptimizationLevel.ORT_DISABLE_ALL)  # the pairs as they are written
            error[when] = float(((y - f32) ** 2).mean())
            compare(f"{target}, biases {when}: octet vs ONNX Runtime", y, run_octet(q, x, work))
        noted = {p.key for p in onnx.load(str(q)).metadata_props}
        octet("quantize", q, "--strip", "-o", work / "back.onnx")
        back = onnx.load(str(work / "back.onnx"))
        gap = float(np.abs(run_ort(work / "back.onnx", x) - f32).max())
        left = {i.name for i in back.graph.initializer if i.name.endswith(("_corrected", "_corrected_bias"))}
        print(f"  {target}: squared error {error['off']:.2e}, corrected {error['on']:.2e}; stripped again: gap {gap:.1e}")
        if gap > 1e-5 or left or "octet.bias_correction" not in noted or len(back.metadata_props) >= len(noted):
            failures.append(f"{target}: corrected biases are not taken back")
        if error["on"] > 1.05 * error["off"]:
            failures.append(f"{target}: corrected biases are worse")
        if target == "trt" and any(not np.array_equal(onnx.numpy_helper.to_array(i), original[i.name])
                                   for i in back.graph.initializer):
            failures.append("strip does not give the original constants back")


def foreign_models(model, x, work):
    cal = photos("calibration", 16)
    name = session(model).get_inputs()[0].name
    for label, fmt, act in [("QDQ s8", QuantFormat.QDQ, QuantType.QInt8), ("QDQ u8", QuantFormat.QDQ, QuantType.QUInt8),
                            ("QOperator u8", QuantFormat.QOperator, QuantType.QUInt8)]:
        q = work / "foreign.onnx"
        quantize_static(str(model), str(q), Reader(name, cal), quant_format=fmt, per_channel=fmt == QuantFormat.QDQ,
                        activation_type=act, weight_type=QuantType.QInt8,
                        extra_options={"ActivationSymmetric": act == QuantType.QInt8})
        compare(f"ONNX Runtime's {label} in octet INT8", run_ort(q, x), run_octet(q, x, work))


def main():
    if not (DATA / "models").exists():
        print("skipped: ../shared/data is not here")
        return 77
    x = photos("test", 4000 // N_TEST)
    for model in ("resnet20_cifar10", "mobilenet_cifar10"):
        print(model)
        with tempfile.TemporaryDirectory() as tmp:
            work = pathlib.Path(tmp)
            path = DATA / "models" / f"{model}.onnx"
            f32 = run_ort(path, x)
            own_exports(path, x, work, f32)
            corrected_biases(path, x, work, f32)
            foreign_models(path, x, work)
    print("failed: " + ", ".join(failures) if failures else "all within bounds")
    return 1 if failures else 0


sys.exit(main())
