#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Top-1 over the CIFAR-10 test photos on the CPU and on the GPU, in FP32 and INT8.

    gpu_cifar10.py OCTET DATA [--devices cpu,cuda] [--method mse]

INT8 engines are built from statistics that the CPU gathered; with "own scales" from each device's own.
Exit 1 if a device's top-1 differs from the first one's by more than 0.1 points, 77 without data.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

MODELS = ("resnet20_cifar10", "mobilenet_cifar10")
LIMIT = 0.1


def octet(*args):
    done = subprocess.run([str(a) for a in args], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, args))}\n{done.stderr}")


def top1(program, device, model, engines, data, tmp):
    """In percent: of the model in FP32, then of each engine."""
    octet(program, "evaluate", model, *engines, data / "cifar10/test", "--preset", "cifar10",
          "--device", device, "-q", f"--json={tmp / 'e.json'}", "--force")
    sides = json.loads((tmp / "e.json").read_text(encoding="utf-8"))["sides"]
    return [100 * s["top1"] for s in sides]


def measure(a, name, devices, tmp):
    model = a.data / "models" / f"{name}.onnx"
    engines = []
    for device in devices:
        stats, engine = tmp / f"{device}.h5", tmp / f"{device}.engine"
        octet(a.octet, "calibrate", model, a.data / "cifar10/calibration", "--preset", "cifar10",
              "--device", device, "-o", stats, "--force", "-q")
        octet(a.octet, "build", model, "--stats", stats, "--method", a.method, "-o", engine,
              "--force", "-q")
        engines.append(engine)
    rows, base = [], None
    for i, device in enumerate(devices):
        fp32, shared, own = top1(a.octet, device, model, [engines[0], engines[i]], a.data, tmp)
        rows.append((device, fp32, shared, own))
        base = base or rows[0]
    worst = max(abs(v - b) for r in rows for v, b in zip(r[1:], base[1:]))
    for device, fp32, shared, own in rows:
        print(f"{name:20} {device:7} {fp32:8.3f} {shared:8.3f} {own:16.3f}", flush=True)
    return worst


def main():
    p = argparse.ArgumentParser()
    p.add_argument("octet")
    p.add_argument("data", type=pathlib.Path)
    p.add_argument("--devices", default="cpu,cuda")
    p.add_argument("--method", default="mse")
    a = p.parse_args()
    if not (a.data / "cifar10/test").exists():
        print(f"SKIPPED: no {a.data}/cifar10/test")
        return 1 if os.environ.get("CI") == "true" else 77
    print(f"{'model':20} {'device':7} {'FP32':>8} {'INT8':>8} {'INT8, own scales':>16}  top-1, %")
    worst = 0.0
    for name in MODELS:
        with tempfile.TemporaryDirectory() as tmp:
            worst = max(worst, measure(a, name, a.devices.split(","), pathlib.Path(tmp)))
    good = worst <= LIMIT + 1e-9
    print(f"{'ok' if good else 'FAILED'}: devices differ by at most {worst:.3f} points (limit {LIMIT})")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
