#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speed of whole networks against ONNX Runtime: same file, same threads, alternating, in one run.

    OCT_VENV/bin/python tests/bench/bench_fp32.py build/release/octet MODEL.onnx... [-j 2] [--seconds 3]

For each model and round octet and ONNX Runtime take turns; the ratio of their best medians is printed
(above 1: octet is faster), and, with several cores, two octet workers of one thread against one
worker of two. Models are yours, or tests/models' exports; inputs are random.
"""
import argparse
import json
import subprocess
import sys
import time

import numpy as np
import onnxruntime as ort


def octet(program, model, seconds, *extra):
    run = subprocess.run([program, "bench", model, "--seconds", str(seconds), "--json", *extra],
                         capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{program} bench {model}: {run.stderr.strip()}")
    return json.loads(run.stdout)


def feed_of(session, rng):
    feed = {}
    for arg in session.get_inputs():
        shape = [d if isinstance(d, int) and d > 0 else 1 for d in arg.shape]
        feed[arg.name] = rng.standard_normal(shape).astype(np.float32)
    return feed


def reference(session, feed, seconds):
    times, end = [], time.monotonic() + seconds
    for _ in range(2):
        session.run(None, feed)
    while time.monotonic() < end or len(times) < 3:
        start = time.perf_counter()
        session.run(None, feed)
        times.append(1e3 * (time.perf_counter() - start))
    return float(np.median(times))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("models", nargs="+")
    p.add_argument("-j", type=int, default=2)
    p.add_argument("--seconds", type=float, default=3)
    p.add_argument("--rounds", type=int, default=3)
    a = p.parse_args()
    rng = np.random.default_rng(1)
    print(f"{'model':<40} {'octet ms':>9} {'ORT ms':>9} {'ratio':>6} {'2x1 : 1x2':>10}")
    for model in a.models:
        options = ort.SessionOptions()
        options.intra_op_num_threads = a.j
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        feed = feed_of(session, rng)
        ours, theirs, workers = [], [], []
        for _ in range(a.rounds):
            one = octet(a.program, model, a.seconds, "-j", str(a.j))
            ours.append(one["p50_ms"])
            theirs.append(reference(session, feed, a.seconds))
            if a.j == 2:
                two = octet(a.program, model, a.seconds, "--workers", "2")
                workers.append(two["images_per_s"] / one["images_per_s"])
        split = f"{max(workers):10.2f}" if workers else " " * 10
        print(f"{model[-40:]:<40} {min(ours):9.2f} {min(theirs):9.2f} "
              f"{min(theirs) / min(ours):6.2f} {split}")


if __name__ == "__main__":
    main()
