#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# labels: slow
"""Byte-identical statistics and caches: threads, order, shards, interrupt and resume, overlap."""
import random
import signal
import subprocess
import time

from common import DATA, MODELS, PROGRAM, SCRATCH, calibrate, check, need, octet

need(DATA / "models/resnet20_cifar10.onnx", DATA / "imagenet100")
rng = random.Random(2)


def images_of(folder, n):
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in (".jpg", ".jpeg"))
    return rng.sample(files, n)


def listed(files, name):
    path = SCRATCH / name
    path.write_text("".join(f"{f.resolve()}\n" for f in files))
    return path


def one_model(model, files, options, shard_counts):
    options = [*options, "--labels", "none"]
    a = listed(files, "a.txt")
    want, cache = SCRATCH / "want.h5", SCRATCH / "want.cache"
    calibrate(model, a, want, "-j", 1, "--cache", cache, "--method", "entropy", *options)
    bytes_of = want.read_bytes()

    b = listed(sorted(files, reverse=True), "b.txt")
    calibrate(model, b, SCRATCH / "b.h5", "-j", 3, "--cache", SCRATCH / "b.cache", "--method",
              "entropy", *options)
    check((SCRATCH / "b.h5").read_bytes() == bytes_of, f"{model.name}: other order, 3 threads")
    check((SCRATCH / "b.cache").read_bytes() == cache.read_bytes(), f"{model.name}: same cache")

    for n in shard_counts:
        parts = [SCRATCH / f"p{i}.h5" for i in range(1, n + 1)]
        for i, part in enumerate(parts, 1):
            calibrate(model, a, part, "--shard", f"{i}/{n}", *options)
        rng.shuffle(parts)
        octet("merge", *parts, "-o", SCRATCH / "m.h5", "--force", "-q")
        check((SCRATCH / "m.h5").read_bytes() == bytes_of, f"{model.name}: {n} shards merged")
        octet("merge", parts[0], parts[0], "-o", SCRATCH / "twice.h5", "--force", code=4)

    out = SCRATCH / "r.h5"
    out.unlink(missing_ok=True)
    command = [PROGRAM, "calibrate", model, a, "-o", out, "--checkpoint", "2", "-j", "1", *options]
    run = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    while not out.exists() and run.poll() is None:
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    code = run.wait()
    octet("verify", out, "--model", model, "-q")
    octet("calibrate", model, a, "-o", out, "--resume", "-q", *options)
    check(out.read_bytes() == bytes_of, f"{model.name}: interrupted (exit {code}) and resumed")


one_model(DATA / "models/resnet20_cifar10.onnx", images_of(DATA / "cifar10/calibration", 40),
          ["--preset", "cifar10"], [3, 8])
one_model(DATA / "models/mobilenet_cifar10.onnx", images_of(DATA / "cifar10/calibration", 40),
          ["--preset", "cifar10"], [3])
for name in ("resnet50", "vit_b_16", "swin_t"):
    if not (MODELS / f"{name}.onnx").exists():
        print(f"skipped: {name} (made by conformance.exported)")
        continue
    one_model(MODELS / f"{name}.onnx", images_of(DATA / "imagenet100", 6),
              ["--preset", "imagenet"], [3])
