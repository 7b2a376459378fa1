#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every model of ../shared/data/models through `octet quantize` and `octet build`, judged by ONNX Runtime.

Thresholds are exact maxima of ONNX Runtime's own activations on a few photos, then for each model
  - both targets: onnx.checker (full), ONNX Runtime runs the file, our INT8 engine gives nearly the same
  - ONNX Runtime's INT8 result is close to FP32 (else the export asks for something wrong)
  - the trt export stripped of its pairs equals the original to 1e-5 of the largest output
  - an engine file built from the same cache gives nearly what the export gives
"Nearly" is a signal-to-noise ratio over all outputs together; each output is listed. The yardstick of a
file is ONNX Runtime without optimizations, which computes the pairs as they are written; with them its own
result moves by more than ours does, because a last-digit difference before a Q becomes a whole step.
Usage: models_oracle.py VENV_PYTHON OCTET [MODEL...]
"""
import os
import subprocess
import sys

if len(sys.argv) >= 3 and sys.argv[1] != "run":
    if not sys.argv[1]:
        print("skipped: no oracle venv (tools/test.sh makes one)")
        sys.exit(1 if os.environ.get("CI") == "true" else 77)
    os.execv(sys.argv[1], [sys.argv[1], __file__, "run", *sys.argv[2:]])

import pathlib
import struct
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from PIL import Image

OCTET = sys.argv[2]
DATA = pathlib.Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
N_CALIBRATE, N_TEST = 6, 4
STRIP_GAP = 1e-5
failures = []


def normal(folder, size, scale, mean, std=1.0, bgr=False, grey=False):
    """Photos of `folder`, `size` = (height, width), (x * scale - mean) / std, channels first."""
    return dict(folder=folder, size=size, scale=scale, mean=mean, std=std, bgr=bgr, grey=grey)


CIFAR = ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616])
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
# name: preprocessing, least SQNR in dB of (our INT8 to ONNX Runtime's, ONNX Runtime's INT8 to FP32)
MODELS = {
    "FastestDet": (normal("coco48", (352, 352), 1 / 255, 0.0, bgr=True), 20, 10),
    "SqueezeNet_fp16": (normal("imagenet100", (224, 224), 1, [103.939, 116.779, 123.68], bgr=True), 25, 10),
    "cifar10_resnet20": (normal("cifar10/calibration", (32, 32), 1 / 255, *IMAGENET), 25, 10),
    "mlperf_resnet8_cifar10": (normal("cifar10/calibration", (32, 32), 1, 0.0), 25, 10),
    "mlperf_vww_mobilenetv1_025_96": (normal("coco48", (96, 96), 1 / 255, 0.0), 25, 10),
    "mnist_cntk_opset8": (normal("cifar10/calibration", (28, 28), 1, 0.0, grey=True), 25, 10),
    "mobilenet_cifar10": (normal("cifar10/calibration", (32, 32), 1 / 255, *CIFAR), 25, 10),
    "mobilenetv1_025_128_imagenet": (normal("imagenet100", (128, 128), 1 / 127.5, 1.0), 25, 10),
    "resnet20_cifar10": (normal("cifar10/calibration", (32, 32), 1 / 255, *CIFAR), 25, 10),
    "ultraface_rfb_320": (normal("coco48", (240, 320), 1 / 128, 127 / 128), 25, 10),
    "ultraface_rfb_320_folded": (normal("coco48", (240, 320), 1 / 128, 127 / 128), 25, 10),
    "yunet_n_320_320": (normal("coco48", (320, 320), 1, 0.0, bgr=True), 25, 10),
}


def photos(p, n):
    files = sorted(f for f in (DATA / p["folder"]).rglob("*") if f.suffix.lower() in (".jpg", ".jpeg", ".png"))
    out = []
    for f in files[::max(len(files) // n, 1)][:n]:
        im = Image.open(f).convert("L" if p["grey"] else "RGB").resize(p["size"][::-1], Image.BILINEAR)
        x = np.asarray(im, np.float32)
        x = x[:, :, None] if p["grey"] else x[:, :, ::-1] if p["bgr"] else x
        out.append(((x * p["scale"] - np.float32(p["mean"])) / np.float32(p["std"])).transpose(2, 0, 1))
    return np.stack(out).astype(np.float32)


def octet(*args):
    r = subprocess.run([OCTET, *map(str, args), "--force", "-q"], capture_output=True, text=True)
    if r.returncode:
        raise RuntimeError(f"octet {args[0]} failed ({r.returncode}): {r.stderr[-400:].strip()}")


def run_octet(model, x, names, work):
    """Outputs of one image after the other, joined per output name."""
    rows = []
    for i in range(len(x)):
        np.save(work / "x.npy", x[i:i + 1])
        octet("run", model, "-i", work / "x.npy", "-o", work / "y.npy")
        files = ["y.npy"] if len(names) == 1 else [f"y.{k}.npy" for k in range(len(names))]
        rows.append([np.load(work / f).astype(np.float32) for f in files])
    return [np.stack(c) for c in zip(*rows)]


def session(model, level=ort.GraphOptimizationLevel.ORT_ENABLE_ALL):
    so = ort.SessionOptions()
    so.log_severity_level = 4
    so.graph_optimization_level = level
    return ort.InferenceSession(model if isinstance(model, bytes) else str(model), so, providers=["CPUExecutionProvider"])


def run_ort(model, x, level=ort.GraphOptimizationLevel.ORT_ENABLE_ALL):
    s = session(model, level)
    rows = [[y.astype(np.float32) for y in s.run(None, {s.get_inputs()[0].name: x[i:i + 1]})] for i in range(len(x))]
    return [np.stack(c) for c in zip(*rows)]


def write_cache(model, x, path):
    """A TensorRT cache of exact maxima, from ONNX Runtime's activations."""
    m = onnx.load(str(model))
    known = {o.name for o in m.graph.output}
    for n in m.graph.node:
        m.graph.output.extend(onnx.ValueInfoProto(name=o) for o in n.output if o and o not in known)
    s = session(m.SerializeToString(), ort.GraphOptimizationLevel.ORT_DISABLE_ALL)
    inp = s.get_inputs()[0].name
    amax = {inp: float(np.abs(x).max())}
    for i in range(len(x)):
        for o, v in zip(s.get_outputs(), s.run(None, {inp: x[i:i + 1]})):
            if v.dtype in (np.float32, np.float16) and v.size:
                amax[o.name] = max(amax.get(o.name, 0.0), float(np.abs(v.astype(np.float32)).max()))
    with open(path, "w") as f:
        f.write("TRT-101601-EntropyCalibration2\n")
        for name, v in amax.items():
            scale = np.float32(max(v, 1e-6)) / np.float32(127)
            f.write(f"{name}: {struct.unpack('>I', struct.pack('>f', scale))[0]:08x}\n")


def sqnr(a, b):
    noise = float(((a - b) ** 2).sum())
    return 10 * np.log10(float((a ** 2).sum()) / noise) if noise else float("inf")


def together(ys):
    """All outputs as one vector, each divided by its own deviation, so that none drowns the others."""
    return lambda zs: np.concatenate([z.ravel() / max(float(y.std()), 1e-9) for y, z in zip(ys, zs)])


def compare(what, names, a, b, least):
    join = together(a)
    db = sqnr(join(a), join(b))
    each = ", ".join(f"{n} {sqnr(p, q):.0f}" for n, p, q in zip(names, a, b)) if len(names) > 1 else ""
    top = f"top-1 {np.mean([p.argmax() == q.argmax() for p, q in zip(a[0], b[0])]):.2f}" if len(names) == 1 else ""
    ok = db >= least
    print(f"  {what:42s} SQNR {db:5.1f} dB {top} {each}{'' if ok else '  TOO LOW'}")
    if not ok:
        failures.append(what)


def check_model(name, work):
    prep, least_same, least_fp32 = MODELS[name]
    path = DATA / "models" / f"{name}.onnx"
    half = session(path).get_inputs()[0].type == "tensor(float16)"
    dtype = np.float16 if half else np.float32
    x = photos(prep, N_CALIBRATE).astype(dtype)
    write_cache(path, x, work / "c.cache")
    x = x[:N_TEST]
    names = [o.name for o in session(path).get_outputs()]
    f32 = run_ort(path, x)
    for target in ("trt", "ort"):
        q = work / f"{target}.onnx"
        octet("quantize", path, "--cache", work / "c.cache", "--target", target, "-o", q)
        m = onnx.load(str(q))
        onnx.checker.check_model(m, full_check=True)
        pairs = sum(n.op_type == "QuantizeLinear" for n in m.graph.node)
        theirs, ours = run_ort(q, x), run_octet(q, x, names, work)
        plain = run_ort(q, x, ort.GraphOptimizationLevel.ORT_DISABLE_ALL)
        print(f"  {target}: opset {m.opset_import[0].version}, {pairs} QuantizeLinear")
        if not pairs:
            failures.append(f"{name} {target}: no pairs")
        compare(f"{name} {target}: ONNX Runtime to FP32", names, f32, theirs, least_fp32)
        compare(f"{name} {target}: octet INT8 to the same", names, plain, ours, least_same)
        print(f"    (ONNX Runtime's own optimizer: SQNR {sqnr(together(plain)(plain), together(plain)(theirs)):.1f} dB)")
    octet("quantize", work / "trt.onnx", "--strip", "--cache", work / "back.cache", "-o", work / "back.onnx")
    back = run_ort(work / "back.onnx", x)
    gap = max(float(np.abs(a - b).max()) / max(float(np.abs(a).max()), 1e-30) for a, b in zip(f32, back))
    print(f"  stripped: largest gap {gap:.1e} of the largest output")
    if gap > STRIP_GAP:
        failures.append(f"{name}: strip changes the model")
    octet("build", path, "--cache", work / "c.cache", "-o", work / "m.engine")
    compare(f"{name} engine file to FP32", names, f32, run_octet(work / "m.engine", x, names, work), least_fp32)


def main():
    if not (DATA / "models").exists():
        print("skipped: ../shared/data is not here")
        return 77
    for name in sys.argv[3:] or MODELS:
        print(name, flush=True)
        with tempfile.TemporaryDirectory() as tmp:
            try:
                check_model(name, pathlib.Path(tmp))
            except Exception as e:  # the other models still have something to say
                print(f"  FAILED {type(e).__name__}: {e}")
                failures.append(name)
    print("failed: " + ", ".join(failures) if failures else "all within bounds")
    return 1 if failures else 0


sys.exit(main())
