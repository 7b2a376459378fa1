#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""INT8 accuracy on the CIFAR-10 test photos: 500 of them, or all 4,000 with OCT_CIFAR10_ALL=1.

Calibrated by `octet calibrate` on the 520 calibration photos; for four networks
  - the table of all methods: top-1 of an engine file (`octet build --stats --method`) beside FP32
  - method mse within 0.3 points of FP32 (1.0 on the 500, where one photo is 0.2)
  - the same mse export (trt and ort) in ONNX Runtime and in our engine: agreement and top-1
  - ONNX Runtime's own QDQ s8, QDQ u8 and QOperator u8 models in both: agreement and top-1
Agreement must be 99.5 % (99 on the 500), top-1 within 0.25 points (0.6 on the 500). ONNX Runtime runs
without its optimizer, which moves results by more than the difference that is measured here.
Usage: cifar10_oracle.py VENV_PYTHON OCTET
"""
import os
import subprocess
import sys

if len(sys.argv) == 3:
    if not sys.argv[1]:
        print("skipped: no oracle venv (tools/test.sh makes one)")
        sys.exit(1 if os.environ.get("CI") == "true" else 77)
    os.execv(sys.argv[1], [sys.argv[1], __file__, "run", sys.argv[2], "-"])

import json
import pathlib
import tempfile

import numpy as np
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from PIL import Image

OCTET = sys.argv[2]
DATA = pathlib.Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
ALL = os.environ.get("OCT_CIFAR10_ALL") == "1"
STEP = 1 if ALL else 8
BATCH = 500
MIN_AGREE = 0.995 if ALL else 0.99
MAX_TOP1_GAP = 0.25 if ALL else 0.6  # points, between runtimes
MAX_LOSS = 0.3 if ALL else 1.0  # points, INT8 against FP32
METHODS = ("minmax", "percentile", "entropy", "mse")
CIFAR = ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616])
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
# name: preset, changes to it, mean and std of x / 255 (None: 0..255)
MODELS = {
    "resnet20_cifar10": ("cifar10", {"mean": CIFAR[0], "std": CIFAR[1]}, CIFAR),
    "mobilenet_cifar10": ("cifar10", {"mean": CIFAR[0], "std": CIFAR[1]}, CIFAR),
    "cifar10_resnet20": ("cifar10", {"mean": IMAGENET[0], "std": IMAGENET[1]}, IMAGENET),
    "mlperf_resnet8_cifar10": ("none", {}, None),
}
failures = []


def octet(*args):
    r = subprocess.run([OCTET, *map(str, args), "--force", "-q"], capture_output=True, text=True)
    if r.returncode:
        raise SystemExit(f"octet {args[0]} failed: {r.stderr[-500:]}")


def photos(folder, step=1):
    files = sorted((DATA / "cifar10" / folder).glob("*/*"))[::step]
    classes = sorted({f.parent.name for f in files})
    x = np.stack([np.asarray(Image.open(f).convert("RGB"), np.uint8).transpose(2, 0, 1) for f in files])
    return x, np.array([classes.index(f.parent.name) for f in files])


def prepare(x, norm):
    if norm is None:
        return x.astype(np.float32)
    mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in norm)
    return (x.astype(np.float32) / np.float32(255) - mean) / std


def classes_octet(model, x, work):
    out = []
    for i in range(0, len(x), BATCH):
        np.save(work / "x.npy", x[i:i + BATCH])
        octet("run", model, "-i", work / "x.npy", "-o", work / "y.npy")
        out.append(np.load(work / "y.npy").argmax(1))
    return np.concatenate(out)


def classes_ort(model, x, level=ort.GraphOptimizationLevel.ORT_DISABLE_ALL):
    so = ort.SessionOptions()
    so.log_severity_level = 4
    so.graph_optimization_level = level
    s = ort.InferenceSession(str(model), so, providers=["CPUExecutionProvider"])
    name = s.get_inputs()[0].name
    return np.concatenate([s.run(None, {name: x[i:i + BATCH]})[0].argmax(1) for i in range(0, len(x), BATCH)])


def compare(what, theirs, ours, label):
    agree = float((theirs == ours).mean())
    a, b = (100 * float((v == label).mean()) for v in (theirs, ours))
    ok = agree >= MIN_AGREE and abs(a - b) <= MAX_TOP1_GAP
    print(f"  {what:34s} ONNX Runtime {a:.3f}  octet INT8 {b:.3f}  agreement {100 * agree:.3f} %{'' if ok else '  BAD'}",
          flush=True)
    if not ok:
        failures.append(what)


class Reader(CalibrationDataReader):
    def __init__(self, name, x):
        self.items = iter([{name: x[i:i + 1]} for i in range(len(x))])

    def get_next(self):
        return next(self.items, None)


def foreign(name, path, x, label, cal, work):
    inp = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).get_inputs()[0].name
    for what, fmt, act in [("QDQ s8", QuantFormat.QDQ, QuantType.QInt8), ("QDQ u8", QuantFormat.QDQ, QuantType.QUInt8),
                           ("QOperator u8", QuantFormat.QOperator, QuantType.QUInt8)]:
        q = work / "foreign.onnx"
        quantize_static(str(path), str(q), Reader(inp, cal), quant_format=fmt, per_channel=fmt == QuantFormat.QDQ,
                        activation_type=act, weight_type=QuantType.QInt8,
                        extra_options={"ActivationSymmetric": act == QuantType.QInt8})
        compare(f"ONNX Runtime's {what}", classes_ort(q, x), classes_octet(q, x, work), label)


def check_model(name, images, label, cal, work):
    preset, changes, norm = MODELS[name]
    path = DATA / "models" / f"{name}.onnx"
    (work / "c.json").write_text(json.dumps(changes))
    octet("calibrate", path, DATA / "cifar10" / "calibration", "--preset", preset, "--config", work / "c.json", "-o",
          work / "s.h5")
    x = prepare(images, norm)
    f32 = 100 * float((classes_ort(path, x) == label).mean())
    row = {}
    for m in METHODS:
        octet("build", path, "--stats", work / "s.h5", "--method", m, "-o", work / "m.engine")
        row[m] = 100 * float((classes_octet(work / "m.engine", x, work) == label).mean())
    print(f"{name}: FP32 {f32:.3f}  " + "  ".join(f"{m} {v:.3f} ({v - f32:+.3f})" for m, v in row.items()), flush=True)
    if f32 - row["mse"] > MAX_LOSS:
        failures.append(f"{name}: mse loses {f32 - row['mse']:.2f} points")
    for target in ("trt", "ort"):
        q = work / "q.onnx"
        octet("quantize", path, "--stats", work / "s.h5", "--method", "mse", "--target", target, "-o", q)
        compare(f"{name} {target}", classes_ort(q, x), classes_octet(q, x, work), label)
    if name.endswith("_cifar10") and not name.startswith("mlperf"):  # the quantizer wants opset 13
        foreign(name, path, x, label, prepare(cal, norm), work)


def main():
    if not (DATA / "cifar10").exists():
        print("skipped: ../shared/data is not here")
        return 77
    images, label = photos("test", STEP)
    cal, _ = photos("calibration", 8)
    print(f"{len(images)} photos")
    for name in sys.argv[4:] or MODELS:
        with tempfile.TemporaryDirectory() as tmp:
            check_model(name, images, label, cal, pathlib.Path(tmp))
    print("failed: " + ", ".join(failures) if failures else "all within bounds")
    return 1 if failures else 0


sys.exit(main())
