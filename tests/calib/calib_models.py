#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# labels: slow
"""Whole models: scales are written, lint is clean, every tensor is covered."""
from common import DATA, MODELS, SCRATCH, calibrate, check, need, octet, read_trt

need(DATA / "models/resnet20_cifar10.onnx", DATA / "imagenet100", DATA / "coco48")
config = SCRATCH / "fastestdet.json"
config.write_text('{"preset": "deepstream", "color": "BGR"}')
CASES = [
    (DATA / "models/resnet20_cifar10.onnx", DATA / "cifar10/calibration", ["--preset", "cifar10"]),
    (DATA / "models/mobilenet_cifar10.onnx", DATA / "cifar10/calibration",
     ["--preset", "cifar10"]),
    (DATA / "models/FastestDet.onnx", DATA / "coco48",
     ["--config", config, "--labels", "none", "--size", "352x352"]),
    (MODELS / "resnet50.onnx", DATA / "imagenet100", ["--preset", "imagenet", "--labels", "none"]),
]
for model, images, options in CASES:
    if not model.exists():
        print(f"skipped: {model} (made by conformance.exported)")
        continue
    stats, cache = SCRATCH / "s.h5", SCRATCH / "s.cache"
    calibrate(model, images, stats, "--cache", cache, *options)
    octet("cache", "lint", cache, model, "--strict", "-q")
    octet("verify", stats, "--model", model, "-q")
    check(all(0 < b < 0x7f800000 for b in read_trt(cache).values()),
          f"{model.name}: {len(read_trt(cache))} scales, all positive and finite, lint clean")
