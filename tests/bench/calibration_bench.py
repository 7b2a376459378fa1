#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calibration speed against ONNX Runtime on the same cores in one run.

usage: calibration_bench.py PROGRAM MODEL IMAGES [N] [N_STATIC] [ROUNDS]

Prints, of the best of ROUNDS alternating rounds over N photos: wall and CPU time of ONNX Runtime's
FP32 inference alone (decoded beforehand), of `octet calibrate --method entropy` (decoding
included), their ratios, octet's peak memory; and of quantize_static(Entropy) over N_STATIC photos,
scaled to N (it keeps every activation in memory: about 0.1 GB a photo). Also the time of all four
calibrators on one core. MODEL takes ImageNet photos (1x3x224x224).
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, quantize_static
from PIL import Image

program, model, folder = sys.argv[1:4]
n, n_static, rounds = (int(a) for a in (sys.argv[4:] + ["100", "8", "3"][len(sys.argv) - 4:]))
cores = len(os.sched_getaffinity(0))
files = sorted(f for f in pathlib.Path(folder).rglob("*") if f.suffix.lower() in (".jpg", ".jpeg"))
while len(files) < n:
    files += files
files = files[:n]
MEAN, STD = np.array([.485, .456, .406]), np.array([.229, .224, .225])


def load(path):
    image = Image.open(path).convert("RGB")
    w, h = image.size
    s = 256 / min(w, h)
    image = image.resize((round(w * s), round(h * s)), Image.BILINEAR)
    w, h = image.size
    image = image.crop(((w - 224) // 2, (h - 224) // 2, (w - 224) // 2 + 224, (h - 224) // 2 + 224))
    x = (np.asarray(image, np.float64) / 255 - MEAN) / STD
    return x.transpose(2, 0, 1)[None].astype(np.float32)


def timed(work):
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def child(*args):
    """Wall seconds, CPU seconds, peak MiB of a run of the program."""
    wall = time.perf_counter()
    run = subprocess.Popen([program, *map(str, args)], stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE)
    text = run.stderr.read()
    _, code, usage = os.wait4(run.pid, 0)
    if code != 0:
        sys.exit(f"octet {' '.join(map(str, args))}: {text.decode()}")
    return time.perf_counter() - wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


options = ort.SessionOptions()
options.intra_op_num_threads = cores
session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
pictures = [load(f) for f in dict.fromkeys(files)]
pictures = (pictures * n)[:n]
for x in pictures[:3]:
    session.run(None, {name: x})

with tempfile.TemporaryDirectory() as scratch:
    listing = pathlib.Path(scratch) / "list.txt"
    listing.write_text("".join(f"{f.resolve()}\n" for f in files))
    stats = pathlib.Path(scratch) / "s.h5"
    infer, ours = [], []
    for _ in range(rounds):
        infer.append(timed(lambda: [session.run(None, {name: x}) for x in pictures]))
        ours.append(child("calibrate", model, listing, "--preset", "imagenet", "--labels", "none",
                          "--method", "entropy", "-o", stats, "--force", "-q", "-j", cores,
                          "--checkpoint", 0))
    all_methods = min(child("scales", stats, "--method", "mse,entropy,percentile,minmax", "-j", 1,
                            "-q")[1] for _ in range(rounds))
    only_reading = min(child("verify", stats, "-q")[1] for _ in range(rounds))

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.rows = iter(pictures[:n_static])

        def get_next(self):
            x = next(self.rows, None)
            return None if x is None else {name: x}

    static = timed(lambda: quantize_static(model, str(pathlib.Path(scratch) / "q.onnx"), Reader(),
                                           calibrate_method=CalibrationMethod.Entropy))

wall_i, wall_o = min(t[0] for t in infer), min(t[0] for t in ours)
cpu_i, cpu_o = min(t[1] for t in infer), min(t[1] for t in ours)
print(json.dumps({
    "cores": cores, "photos": n, "load": os.getloadavg()[0],
    "ort_inference_s": {"wall": wall_i, "cpu": cpu_i},
    "octet_calibrate_s": {"wall": wall_o, "cpu": cpu_o},
    "wall_ratio": wall_o / wall_i, "cpu_ratio": cpu_o / cpu_i,
    "octet_peak_mib": max(t[2] for t in ours),
    "quantize_static_photos": n_static,
    "quantize_static_s_scaled": static[0] * n / n_static,
    "ratio_to_quantize_static": wall_o / (static[0] * n / n_static),
    "cpu_ratio_to_quantize_static": cpu_o / (static[1] * n / n_static),
    "all_calibrators_s": all_methods - only_reading,
}, indent=2))
