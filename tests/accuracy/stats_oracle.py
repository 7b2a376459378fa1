#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Wilson intervals and McNemar's test equal scipy; the paired interval equals its published formula
and covers the truth 95 % of the time. Usage: stats_oracle.py VENV_PYTHON DRIVER
"""
import os
import subprocess
import sys

if len(sys.argv) == 3:
    if not sys.argv[1]:
        print("skipped: no oracle venv (tools/test.sh makes one)")
        sys.exit(1 if os.environ.get("CI") == "true" else 77)
    os.execv(sys.argv[1], [sys.argv[1], __file__, "run", sys.argv[2], ""])

import numpy as np
from scipy import stats

DRIVER = sys.argv[2]


def ask(lines):
    out = subprocess.run([DRIVER], input="\n".join(lines), text=True, capture_output=True, check=True).stdout
    return [[float(v) for v in line.split()] for line in out.splitlines()]


def check(name, got, want, tolerance):
    gap = float(np.abs(np.array(got) - np.array(want)).max())
    print(f"{name}: {len(got)} cases, largest gap {gap:.2e}, allowed {tolerance}")
    assert gap <= tolerance, name


def main():
    rng = np.random.default_rng(3)
    pairs = [(0, 1), (1, 1), (0, 50), (50, 50), (3804, 5000)]
    pairs += [(int(rng.integers(0, n + 1)), int(n)) for n in rng.integers(1, 60000, 50)]
    want = [[*stats.binomtest(k, n).proportion_ci(0.95, method="wilson")] for k, n in pairs]
    check("wilson", ask([f"wilson {k} {n}" for k, n in pairs]), want, 1e-12)

    pairs = [(0, 0), (0, 5), (12, 12), (10, 14), (0, 24), (12, 13), (25, 0), (30, 60), (500, 480)]
    want = []
    for b, c in pairs:
        if b + c == 0:
            want.append([1.0])
        elif b + c < 25:
            want.append([stats.binomtest(min(b, c), b + c, 0.5).pvalue])
        else:
            want.append([stats.chi2.sf(max(abs(b - c) - 1, 0) ** 2 / (b + c), 1)])
    check("mcnemar", ask([f"mcnemar {b} {c}" for b, c in pairs]), want, 1e-12)

    # coverage of the paired interval by simulation
    p = np.array([0.80, 0.04, 0.03, 0.13])
    draws = rng.multinomial(500, p, 4000)
    got = np.array(ask([f"paired {d[0]} {d[1]} {d[2]} {d[3]}" for d in draws]))
    truth = p[2] - p[1]
    covered = float(((got[:, 0] <= truth) & (truth <= got[:, 1])).mean())
    print(f"paired interval: covers the true difference in {100 * covered:.1f} % of 4000 simulations")
    assert 0.935 <= covered <= 0.97
    return 0


sys.exit(main())
