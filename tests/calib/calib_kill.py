#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# labels: slow
"""kill -9 at random moments: the file is old or new, verifies, and resumes to the same bytes."""
import os
import random
import signal
import subprocess
import time

from common import DATA, PROGRAM, SCRATCH, calibrate, check, need, octet

KILLS = int(os.environ.get("OCT_KILLS", "200"))
MODEL, IMAGES = DATA / "models/resnet20_cifar10.onnx", DATA / "cifar10/calibration"
need(MODEL, IMAGES)
OPTIONS = ["--preset", "cifar10", "--limit", "160", "--subset", "even", "--checkpoint", "8"]
out = SCRATCH / "s.h5"

start = time.monotonic()
calibrate(MODEL, IMAGES, SCRATCH / "want.h5", *OPTIONS)
whole = time.monotonic() - start
want = (SCRATCH / "want.h5").read_bytes()

rng = random.Random(11)
killed = absent = finished = partial = 0
while killed < KILLS:
    run = subprocess.Popen([PROGRAM, "calibrate", MODEL, IMAGES, "-o", out, "--resume", "-q",
                            *OPTIONS], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        code = run.wait(rng.uniform(0, 0.8 * whole))
        if code != 0:
            check(False, f"a resumed run exits with {code}: {run.stderr.read().decode()}")
        finished += 1
        if out.read_bytes() != want:
            check(False, "a resumed run ended with other bytes")
        out.unlink()
        continue
    except subprocess.TimeoutExpired:
        run.send_signal(signal.SIGKILL)
        run.wait()
        killed += 1
    if not out.exists():
        absent += 1
        continue
    partial += 1
    octet("verify", out, "--model", MODEL, "-q")
    for litter in SCRATCH.glob("*.tmp*"):
        litter.unlink()
octet("calibrate", MODEL, IMAGES, "-o", out, "--resume", "-q", *OPTIONS)
check(out.read_bytes() == want, f"{killed} kills: no file yet {absent} times, a whole one {partial} "
                                f"times; {finished} runs in between finished with the same bytes")
