#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# labels: slow
"""Peak memory does not grow with the number of images, checkpoints included."""
import os
import subprocess
import sys

from common import DATA, PROGRAM, SCRATCH, check, need

MODEL = DATA / "models/resnet20_cifar10.onnx"
need(MODEL, DATA / "cifar10/test")
images = sorted((DATA / "cifar10/test").rglob("*.jp*g"))


def peak_mib(n):
    files = (images * (n // len(images) + 1))[:n]
    (SCRATCH / "list.txt").write_text("".join(f"{f.resolve()}\n" for f in files))
    run = subprocess.Popen([str(PROGRAM), "calibrate", str(MODEL), str(SCRATCH / "list.txt"), "-o",
                            str(SCRATCH / "m.h5"), "--force", "-q", "--preset", "cifar10",
                            "--labels", "none", "-j", "2"], stdout=subprocess.DEVNULL)
    _, code, usage = os.wait4(run.pid, 0)
    if code != 0:
        sys.exit(f"octet calibrate: {code}")
    return usage.ru_maxrss / 1024


few, many = peak_mib(64), peak_mib(6400)
check(many - few <= 16, f"resnet20: peak memory {few:.1f} MiB at 64 images, {many:.1f} MiB at 6,400 "
      "with a checkpoint every 256")
