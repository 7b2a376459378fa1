#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the two sample networks and writes them as ONNX.

Usage: train_sample.py TRAIN.npz OUT-DIR      (needs PyTorch; made with Debian 12's 1.13)

digits_plain.onnx       convolutions with biases, ReLU, max pooling, two dense layers
digits_depthwise.onnx   depthwise-separable convolutions, batch normalisation left unfolded,
                        ReLU6 (Clip 0..6), global average pooling
Both take [N, 1, 28, 28], grey / 255 (preset mnist).
"""
import pathlib
import sys

import numpy as np
import torch
from torch import nn

EPOCHS, BATCH, SEED = 10, 64, 7


def plain():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 24, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(24, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(32 * 7 * 7, 48), nn.ReLU(), nn.Linear(48, 10))


def conv_bn(n_in, n_out, size, stride=1, groups=1):
    return [nn.Conv2d(n_in, n_out, size, stride, size // 2, groups=groups, bias=False),
            nn.BatchNorm2d(n_out), nn.ReLU6()]


def separable(n_in, n_out, stride):
    return conv_bn(n_in, n_in, 3, stride, n_in) + conv_bn(n_in, n_out, 1)


def depthwise():
    return nn.Sequential(
        *conv_bn(1, 16, 3), *separable(16, 32, 2), *separable(32, 48, 1), *separable(48, 64, 2),
        *separable(64, 96, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(96, 10))


def shifted(x):
    """Each picture moved by up to two pixels: 3,800 digits are few."""
    dy, dx = torch.randint(-2, 3, (2,)).tolist()
    return torch.roll(x, (dy, dx), (2, 3))


def train(net, x, y):
    n_steps = EPOCHS * (len(x) // BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=n_steps)
    net.train()
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for k in range(len(x) // BATCH):
            part = order[k * BATCH:(k + 1) * BATCH]
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(net(shifted(x[part])), y[part], label_smoothing=0.05)
            loss.backward()
            optimiser.step()
            schedule.step()
    return net.eval()


def main(data, out):
    data = np.load(data)
    x = torch.from_numpy(data["x"]).float().unsqueeze(1) / 255
    y = torch.from_numpy(data["y"]).long()
    for name, make in (("digits_plain", plain), ("digits_depthwise", depthwise)):
        torch.manual_seed(SEED)
        net = train(make(), x, y)
        torch.onnx.export(net, x[:1], pathlib.Path(out) / f"{name}.onnx", opset_version=13,
                          input_names=["input"], output_names=["logits"],
                          dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}},
                          training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
