#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""FP32 accuracy of the sample networks by ONNX Runtime on the sample's test digits.

Usage: check_sample.py datasets/sample      (needs onnxruntime, NumPy, Pillow)
"""
import pathlib
import sys

import numpy as np
import onnxruntime
from PIL import Image


def main(sample):
    files = sorted((pathlib.Path(sample) / "mnist" / "test").rglob("*.png"))
    x = np.stack([np.asarray(Image.open(f).convert("L"), np.float32)[None] / 255 for f in files])
    y = np.array([int(f.parent.name) for f in files])
    for model in sorted(pathlib.Path(sample).glob("*.onnx")):
        session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        logits = session.run(None, {"input": x})[0]
        print(f"{model.name}: {np.mean(logits.argmax(1) == y):.4f} of {len(y)}")


if __name__ == "__main__":
    main(sys.argv[1])
