#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calibration on the CPU and on the GPU side by side: the same images, then tensor by tensor.

    gpu_scales.py OCTET DATA [--only MODEL ...] [--limit N] [--devices cpu,cuda] [--other OCTET]
                  [--show] [--json FILE]

minmax: amax of the two differ by at most 1e-5 of it; entropy: the chosen candidates are at most one of
the 2,048 bins apart for 99 % of the tensors of all models. --other runs the second device with another
program (two CPU builds show what rounding alone does). Exit 0 if both hold, 77 without data.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile

# model: images and preprocessing (data/README.md)
MODELS = {
    "resnet20_cifar10": ("cifar10/calibration", {"preset": "cifar10"}),
    "mobilenet_cifar10": ("cifar10/calibration", {"preset": "cifar10"}),
    "cifar10_resnet20": ("cifar10/calibration", {"preset": "cifar10", "mean": [.485, .456, .406],
                                                 "std": [.229, .224, .225]}),
    "mlperf_resnet8_cifar10": ("cifar10/calibration", {"preset": "none"}),
    "mobilenetv1_025_128_imagenet": ("imagenet100", {"preset": "tf-inception", "size": [128, 128]}),
    "SqueezeNet_fp16": ("imagenet100", {"preset": "caffe-bgr"}),
    "mlperf_vww_mobilenetv1_025_96": ("imagenet100", {"preset": "deepstream"}),
    "FastestDet": ("imagenet100", {"preset": "deepstream"}),
    "yunet_n_320_320": ("imagenet100", {"preset": "deepstream"}),
    "ultraface_rfb_320": ("imagenet100", {"preset": "deepstream"}),
}
AMAX_LIMIT, BINS_APART, SHARE = 1e-5, 1, 0.99


def calibrate(octet, device, model, images, options, out, limit):
    config = out.with_suffix(".config.json")
    config.write_text(json.dumps(options), encoding="utf-8")
    more = ["--limit", str(limit)] if limit else []
    for command in (
            [octet, "calibrate", model, images, "-o", out, "--device", device, "--force", "-q",
             "--config", config, *more],
            [octet, "scales", out, "--method", "minmax,entropy,mse", f"--json={out}.json", "--force",
             "-q"]):
        done = subprocess.run([str(c) for c in command], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    scales = json.loads(pathlib.Path(f"{out}.json").read_text(encoding="utf-8"))
    return scales["images"], {t["name"]: t["methods"] for t in scales["tensors"]}


def compare(a, b):
    """(worst relative difference of minmax and mse, [(bins apart, name, m, m)] of entropy, tensors of
    which every figure is the same)."""
    worst = {"minmax": 0.0, "mse": 0.0}
    apart = []
    for name, x in a.items():
        y = b[name]
        for method in worst:
            p, q = x[method]["amax"], y[method]["amax"]
            worst[method] = max(worst[method], abs(p - q) / max(abs(p), 1e-30))
        m, n = x["entropy"].get("candidate", 0), y["entropy"].get("candidate", 0)
        apart.append((abs(m - n), name, m, n))
    return worst, apart, sum(x == b[name] for name, x in a.items())


def main():
    p = argparse.ArgumentParser()
    p.add_argument("octet")
    p.add_argument("data", type=pathlib.Path)
    p.add_argument("--only", nargs="*", default=[])
    p.add_argument("--limit", type=int, default=0, help="images of each model; 0: all")
    p.add_argument("--devices", default="cpu,cuda")
    p.add_argument("--other")
    p.add_argument("--show", action="store_true", help="tensors that differ by more than one bin")
    p.add_argument("--jobs", type=int, default=1, help="models at a time")
    p.add_argument("--keep", type=pathlib.Path, help="folder for the statistics")
    p.add_argument("--json", type=pathlib.Path)
    a = p.parse_args()
    first, second = a.devices.split(",")
    known = [m for m in MODELS if (not a.only or m in a.only) and
             (a.data / "models" / f"{m}.onnx").exists() and (a.data / MODELS[m][0]).exists()]
    if not known:
        print(f"SKIPPED: no models and images in {a.data}")
        return 1 if os.environ.get("CI") == "true" else 77
    print(f"{'model':30} {'images':>6} {'tensors':>7} {'minmax':>9} {'mse':>9} {'alike':>6} "
          f"{'entropy: <= 1 bin':>18}")
    total = near = 0
    good = True
    result = {}
    with tempfile.TemporaryDirectory() as tmp:
        keep = a.keep or pathlib.Path(tmp)
        keep.mkdir(parents=True, exist_ok=True)

        def both(m):
            images, options = MODELS[m]
            model = a.data / "models" / f"{m}.onnx"
            n, x = calibrate(a.octet, first, model, a.data / images, options,
                             keep / f"{m}.first.h5", a.limit)
            _, y = calibrate(a.other or a.octet, second, model, a.data / images, options,
                             keep / f"{m}.second.h5", a.limit)
            return n, *compare(x, y)

        pool = concurrent.futures.ThreadPoolExecutor(max(1, min(4, a.jobs)))
        for m, (n, worst, apart, equal) in zip(known, pool.map(both, known)):
            hit = sum(d[0] <= BINS_APART for d in apart)
            total, near = total + len(apart), near + hit
            good = good and worst["minmax"] <= AMAX_LIMIT
            result[m] = {"images": n, "tensors": len(apart), "near": hit,
                         "alike": equal, **worst}
            print(f"{m:30} {n:6} {len(apart):7} {worst['minmax']:9.1e} {worst['mse']:9.1e} "
                  f"{equal:6} {hit:10} of {len(apart)}", flush=True)
            for d, name, c, e in sorted(apart, reverse=True):
                if a.show and d > BINS_APART:
                    print(f"    {name}: {c} and {e}")
    share = near / total
    good = good and share >= SHARE
    print(f"{'ok' if good else 'FAILED'}: entropy within {BINS_APART} bin for {near} of {total} "
          f"tensors, {100 * share:.2f} % (at least {100 * SHARE:.0f})")
    if a.json:
        a.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
