#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# labels: slow
"""The predicted spread of a scale against the real one.

Ten random splits of cifar10/calibration into two halves of 260 images: 20 random halves. The two
halves of a split share no image, so the mean of (ln a - ln b)^2 / 2 over the splits is the
variance of ln amax at 260 images; the prediction is the mean SE of the halves.
"""
import json
import random

import numpy as np

from common import DATA, SCRATCH, calibrate, check, need, octet

METHODS = ["mse", "percentile:99.99", "minmax", "entropy"]
MODELS = ["resnet20_cifar10", "mobilenet_cifar10"]
need(*(DATA / f"models/{m}.onnx" for m in MODELS), DATA / "cifar10/calibration")
images = sorted((DATA / "cifar10/calibration").rglob("*.jp*g"))


def half(model, files):
    (SCRATCH / "list.txt").write_text("".join(f"{f.resolve()}\n" for f in files))
    calibrate(DATA / f"models/{model}.onnx", SCRATCH / "list.txt", SCRATCH / "h.h5",
              "--preset", "cifar10", "--labels", "none")
    text = octet("scales", SCRATCH / "h.h5", "--method", ",".join(METHODS), "--spread", "--json",
                 "-q")
    return {(t["name"], m): (np.log(r["amax"]), r["spread_percent"] / 200)
            for t in json.loads(text)["tensors"] for m, r in t["methods"].items()}


def judge(model, method, splits):
    keys = [k for k in splits[0][0] if k[1] == method]
    inside, ratios = 0, []
    for key in keys:
        real = np.sqrt(np.mean([(a[key][0] - b[key][0]) ** 2 / 2 for a, b in splits]))
        said = np.mean([h[key][1] for s in splits for h in s])
        if real < 1e-4 and said < 1e-4:
            inside += 1
            continue
        ratios.append(said / max(real, 1e-12))
        inside += 0.5 <= ratios[-1] <= 2
    part, median = 100 * inside / len(keys), np.median(ratios)
    check(part >= 90 and 2 / 3 <= median <= 1.5,
          f"{model}, {method}: predicted/true spread median {median:.2f}, within a factor of 2 for "
          f"{part:.1f} % of {len(keys)} tensors ({sum(r < 0.5 for r in ratios)} too small, "
          f"{sum(r > 2 for r in ratios)} too large)")


for model in MODELS:
    rng = random.Random(5)
    files = list(images)
    splits = []
    for _ in range(10):
        rng.shuffle(files)
        splits.append((half(model, files[:260]), half(model, files[260:])))
    for method in METHODS:
        judge(model, method, splits)
