#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whole models against ONNX Runtime on real images: max|a-b| <= 1e-4 * max|b| per output.

usage: models.py OCTET MODEL_DIR DATA_DIR [--only NAME ...] [--backends cpu,ref,cuda,cuda:fp16]

fp16 engines may be off by 2 % of max|b|: ten bits of mantissa over tens of layers.

Run by ctest as conformance.models with the oracle venv's Python. Exits 77 (skipped, saying so)
where oracle or data are absent, 1 there when CI=true.
"""
import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile


def skip(why):
    print(f"SKIPPED: {why}")
    sys.exit(1 if os.environ.get("CI") == "true" else 77)


try:
    import numpy as np
    import onnx
    import onnxruntime as ort
    from PIL import Image
except ImportError as e:
    skip(f"no oracle: {e}")

ort.set_default_logger_severity(3)
TOLERANCE = 1e-4
HALF_ENGINE_TOLERANCE = 2e-2
# `ref` on f16 tensors is as far off: 3.2e-2 (a photo, tests/support/fake_device.h).
# YOLOv5's boxes grow with the square of what its head says: ONNX Runtime itself on float16 tensors
# (convert_float_to_float16) is 1.3e-2 and 2.1e-2 off.
HALF_ENGINE_LIMITS = {"FastestDet": 6e-2, "yolov5s": 4e-2, "yolov5s_bn": 4e-2}
HALF_TOLERANCE = 2.0 ** -10  # a float16 output is rounded once by either side
# (mean, divisor) per model; the others get ImageNet's usual numbers.
SCALES = {
    "mlperf_resnet8_cifar10": (0.0, 1.0),
    "mobilenetv1_025_128_imagenet": (127.5, 127.5),
    "mlperf_vww_mobilenetv1_025_96": (0.0, 255.0),
    "FastestDet": (0.0, 255.0),
    "yunet_n_320_320": (0.0, 1.0),
    "ultraface_rfb_320": (127.0, 128.0),
    "ultraface_rfb_320_folded": (127.0, 128.0),
    "SqueezeNet_fp16": (117.0, 1.0),
    "mnist_cntk_opset8": (0.0, 1.0),
}
# A face detector without faces gives sigmoids near 1e-4, where ONNX Runtime's own
# approximation is off by 1e-7 of full scale: it gets a photo with faces of all sizes.
PHOTO = {"yunet_n_320_320": "coco48/images/000000000241.jpg"}
DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


def concrete(shape, batch):
    """Open dimensions: the batch first, then a size that CNNs like."""
    dims = [d if isinstance(d, int) and d > 0 else None for d in shape]
    return [d if d is not None else (batch if i == 0 else 224) for i, d in enumerate(dims)]


def picture(path, shape, name):
    last = shape[-1] in (1, 3) and shape[1] not in (1, 3)
    c = shape[3] if last else shape[1]
    h, w = (shape[1], shape[2]) if last else (shape[2], shape[3])
    img = Image.open(path).convert("L" if c == 1 else "RGB").resize((w, h), Image.BILINEAR)
    x = np.asarray(img, np.float32).reshape(h, w, c)
    mean, div = SCALES.get(name, (117.0, 58.0))
    x = (x - mean) / div
    return x if last else x.transpose(2, 0, 1)


def f32_twin(model):
    """The same model in float32: what a half-precision model is meant to compute."""
    for t in model.graph.initializer:
        if t.data_type == onnx.TensorProto.FLOAT16:
            t.CopyFrom(onnx.numpy_helper.from_array(
                onnx.numpy_helper.to_array(t).astype(np.float32), t.name))
    for v in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        if v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16:
            v.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    return model


def open_oracle(model, jobs):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if jobs > 1:
        options.intra_op_num_threads = max(1, (os.cpu_count() or 1) // jobs)
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_oracle(session, path, feeds, half):
    if half:
        twin = open_oracle(f32_twin(onnx.load(path)).SerializeToString(), 1)
        return twin.run(None, {k: v.astype(np.float32) for k, v in feeds.items()})
    return session.run(None, feeds)


def run_octet(octet, path, feeds, n_out, backend, tmp, extra=()):
    cmd = [octet, "run", str(path), "-q", "--force", "-o", f"{tmp}/y.npy", *extra]
    device, _, precision = backend.partition(":")
    if device == "ref":
        cmd.append("--reference")
    else:
        cmd += ["--device", device]
    if precision:
        cmd += ["--precision", precision]
    for i, (name, x) in enumerate(feeds.items()):
        np.save(f"{tmp}/x{i}.npy", np.ascontiguousarray(x))
        cmd += ["--input", f"{name}={tmp}/x{i}.npy"]
    done = subprocess.run(cmd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        return None, done.stderr.strip().splitlines()[-1:]
    names = [f"{tmp}/y.npy"] if n_out == 1 else [f"{tmp}/y.{i}.npy" for i in range(n_out)]
    return [np.load(n) for n in names], None


def worst(ours, theirs):
    """Largest |a-b| / max|b| over outputs; inf when shapes or NaNs differ."""
    ratio = 0.0
    for a, b in zip(ours, theirs):
        if a.shape != b.shape:
            return float("inf")
        if b.size == 0:
            continue
        a, b = a.astype(np.float64), b.astype(np.float64)
        if not np.array_equal(np.isnan(a), np.isnan(b)):
            return float("inf")
        scale = np.nanmax(np.abs(b))
        diff = np.nanmax(np.abs(a - b))
        ratio = max(ratio, diff / scale if scale > 0 else (0.0 if diff == 0 else float("inf")))
    return ratio


def check(octet, path, info, images, backends, batch):
    name = path.stem
    half = any(i.type == "tensor(float16)" for i in info.get_inputs())
    feeds = {}
    for i in info.get_inputs():
        shape = concrete(i.shape, batch)
        x = np.stack([picture(images[k % len(images)], shape, name) for k in range(shape[0])])
        feeds[i.name] = x.astype(DTYPES[i.type])
    want = run_oracle(info, path, feeds, half)
    bad, lines = [], []
    for backend in backends:
        with tempfile.TemporaryDirectory() as tmp:
            got, error = run_octet(octet, path, feeds, len(want), backend, tmp)
        ratio = float("inf") if got is None else worst(got, want)
        limit = (HALF_ENGINE_LIMITS.get(name, HALF_ENGINE_TOLERANCE)
                 if backend.endswith("fp16") else
                 HALF_TOLERANCE if half else TOLERANCE)
        verdict = "ok" if ratio <= limit else "FAILED"
        lines.append(f"{verdict:7}{name:34}{backend:10}batch {next(iter(feeds.values())).shape[0]}  "
                     f"{ratio:.2e}  {' '.join(error or [])}")
        if ratio > limit:
            bad.append(f"{name} on {backend}")
    print("\n".join(lines), flush=True)
    return bad


def batches(session, n):
    """1, and where the model leaves the batch open also n."""
    return (1,) if isinstance(session.get_inputs()[0].shape[0], int) else (1, n)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("octet")
    p.add_argument("models", type=pathlib.Path)
    p.add_argument("data", type=pathlib.Path)
    p.add_argument("--only", nargs="*", default=[])
    p.add_argument("--backends", default="cpu,ref")
    p.add_argument("--export", help="script that makes MODEL_DIR with Debian's torch first")
    p.add_argument("--images-used", type=int, default=3)
    p.add_argument("--jobs", type=int, default=1, help="models at a time")
    p.add_argument("--largest-only", action="store_true", help="the larger batch, not 1 as well")
    a = p.parse_args()
    if a.export:
        made = subprocess.run(["/usr/bin/python3", a.export, str(a.models), *a.only])
        if made.returncode != 0:
            skip("python3-torch and python3-torchvision are not installed")
    models = sorted(m for m in a.models.glob("*.onnx") if not a.only or m.stem in a.only)
    images = sorted((a.data / "imagenet100").glob("*.JPEG"))[:a.images_used]
    if not models or not images:
        skip(f"no models in {a.models} or no images in {a.data}/imagenet100")

    def check_model(m):
        photos = [a.data / PHOTO[m.stem]] if m.stem in PHOTO else images
        session = open_oracle(str(m), a.jobs)
        return [line for batch in batches(session, a.images_used)[-1 if a.largest_only else 0:]
                for line in check(a.octet, m, session, photos, a.backends.split(","), batch)]

    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        bad = sum(pool.map(check_model, models), [])
    print(f"{len(models)} models, {len(bad)} disagreements")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
