#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our calibrators and NVIDIA ModelOpt's torch calibrator on identical histograms.

The functions are taken from the published wheel (PyPI: nvidia-modelopt, 2 MB) without torch:
the few calls of torch in them are answered by numpy; only fake_tensor_quant, which is a CUDA
extension there, is written here from its documented formula.
"""
import ast
import subprocess
import sys
import zipfile
from collections import Counter
from types import SimpleNamespace

import numpy as np
from scipy.stats import entropy

from common import DUMP, SCRATCH, check

WHEEL = "nvidia-modelopt==0.47.0"
got = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", SCRATCH,
                      WHEEL], capture_output=True, check=False)
if got.returncode != 0:
    print(f"SKIPPED: cannot download {WHEEL}: {got.stderr.decode()[-200:]}")
    sys.exit(77)


class Array(np.ndarray):
    """What torch's tensors are asked for there."""

    def float(self):
        return self.astype(np.float32).view(Array)

    def cpu(self):
        return self


def as_array(x):
    return np.asarray(x).view(Array)


def fake_tensor_quant(x, amax, num_bits, unsigned):
    top = 2.0 ** (num_bits - 1 + int(unsigned)) - 1
    scale = top / amax
    return np.clip(np.rint(x * scale), -top, top) / scale


def theirs():
    with zipfile.ZipFile(next(SCRATCH.glob("*.whl"))) as z:
        text = z.read("modelopt/torch/quantization/calib/histogram.py").decode()
    wanted = [n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)
              and n.name.startswith("_compute_amax")]
    torch = SimpleNamespace(tensor=float, from_numpy=as_array,
                            cuda=SimpleNamespace(is_available=lambda: False))
    space = {"np": np, "Counter": Counter, "entropy": entropy, "torch": torch,
             "fake_tensor_quant": fake_tensor_quant}
    exec(compile(ast.Module(wanted, []), "modelopt", "exec"), space)  # pylint: disable=exec-used
    return space


def histograms():
    rng = np.random.default_rng(3)
    n = 200000
    yield "normal", rng.normal(size=n)
    yield "half normal", np.abs(rng.normal(size=n))
    yield "laplace", rng.laplace(size=n)
    yield "uniform", rng.uniform(-1, 1, n)
    yield "relu, 90 % zeros", np.maximum(rng.normal(size=n) - 1.28, 0)
    yield "log-normal", rng.lognormal(size=n)
    yield "silu", (lambda x: x / (1 + np.exp(-x)))(rng.normal(size=n) * 3)
    yield "sparse", np.where(rng.random(n) < 0.999, 0, rng.gamma(2, 1, n))


ours_is = theirs()
cases = [(name, np.histogram(np.abs(x[x != 0]), 2048, (0, np.abs(x).max()))[0].astype(np.int64))
         for name, x in histograms()]
edges = np.arange(2049, dtype=np.float64)
rows = []
for name, count in cases:
    m = ours_is["_compute_amax_entropy"](count.copy(), edges, 8, False)
    # they compare with the bin itself; ours interpolates inside it
    p = [ours_is["_compute_amax_percentile"](count, edges, q) for q in (99.9, 99.99)]
    mse = float(ours_is["_compute_amax_mse"](count.astype(np.float64), edges, 8, False))
    rows.append((name, int(m), p, mse))
with open(SCRATCH / "in", "wb") as f:
    for (_, count), row in zip(cases, rows):
        f.write(count.astype("<u8").tobytes() + np.float64(row[3]).tobytes())
lines = subprocess.run([DUMP, SCRATCH / "in"], capture_output=True, check=True,
                       text=True).stdout.split("\n")

print(f"{'histogram':<18}{'m theirs':>9}{'ours':>6}{'p99.9 theirs':>14}{'ours':>9}"
      f"{'p99.99 theirs':>15}{'ours':>9}{'mse theirs':>12}{'ours':>9}{'error ours/theirs':>19}")
failures = []
for row, line in zip(rows, lines):
    name, m, p, mse = row
    our_m, p1, p2, our_mse, error, their_error = (float(v) for v in line.split())
    print(f"{name:<18}{m:>9}{our_m:>6.0f}{p[0]:>14.0f}{p1:>9.2f}{p[1]:>15.0f}{p2:>9.2f}"
          f"{mse:>12.1f}{our_mse:>9.2f}{error / their_error:>19.4f}")
    if our_m != m:
        failures.append(f"{name}: m {our_m:.0f} is not {m}")
    if abs(p1 - p[0]) > 1.001 or abs(p2 - p[1]) > 1.001:
        failures.append(f"{name}: a percentile differs by more than a bin")
    if error > their_error * (1 + 1e-6):
        failures.append(f"{name}: our mse has the higher expected error")
print("percentile: theirs is the lower edge of the bin that holds it, ours lies inside the bin\n"
      "mse: theirs chooses among bin centres from 128 up, ours among 512 candidates from "
      "amax/64,\n     refined; the expected errors are of uniform density in each bin")
for text in failures:
    print(text)
check(not failures, "same m, percentiles within a bin, no higher error")
