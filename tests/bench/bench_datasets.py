#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same pipeline as bench_datasets in other programs, from memory, one thread, best of 7.

Usage: bench_datasets.py BENCH-PROGRAM FOLDER      (venv with Pillow, NumPy and, if there, OpenCV)
"""
import io
import pathlib
import subprocess
import sys
import time

import numpy as np
from PIL import Image

MEAN, STD = np.float32((0.485, 0.456, 0.406)), np.float32((0.229, 0.224, 0.225))


def normalise(pixels):
    return np.ascontiguousarray(((pixels.astype(np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1))


def pillow(data):
    """torchvision's PIL path: Resize(256), CenterCrop(224), ToTensor, Normalize."""
    im = Image.open(io.BytesIO(data)).convert("RGB")
    w, h = im.size
    im = im.resize((256, int(256 * h / w)) if w <= h else (int(256 * w / h), 256), Image.BILINEAR)
    left, top = int(round((im.width - 224) / 2)), int(round((im.height - 224) / 2))
    return normalise(np.asarray(im.crop((left, top, left + 224, top + 224))))


def opencv(data):
    im = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    h, w = im.shape[:2]
    im = cv2.resize(im, (256, int(256 * h / w)) if w <= h else (int(256 * w / h), 256))
    top, left = (im.shape[0] - 224) // 2, (im.shape[1] - 224) // 2
    return normalise(im[top:top + 224, left:left + 224, ::-1])


def rate(function, files):
    best = 1e9
    for _ in range(7):
        start = time.thread_time()
        for data in files:
            function(data)
        best = min(best, time.thread_time() - start)
    return len(files) / best


def main(program, folder):
    print(subprocess.run([program, folder], capture_output=True, text=True, check=True).stdout, end="")
    files = [f.read_bytes() for f in sorted(pathlib.Path(folder).glob("*.JPEG"))]
    print(f"torchvision's PIL path  {rate(pillow, files):8.1f} images/s per core")
    if cv2 is not None:
        cv2.setNumThreads(1)
        print(f"OpenCV                  {rate(opencv, files):8.1f} images/s per core")
    else:
        print("OpenCV is not installed")


if __name__ == "__main__":
    try:
        import cv2
    except ImportError:
        cv2 = None
    main(sys.argv[1], sys.argv[2])
