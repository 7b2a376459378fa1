#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`octet auto` killed with SIGKILL at random moments and run again ends with the same bytes.

Usage: auto_kill.py OCTET ROUNDS. Each round kills one run up to four times, then lets it finish.
"""
import filecmp
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

OCTET, ROUNDS = sys.argv[1], int(sys.argv[2])
SAMPLE = pathlib.Path(__file__).resolve().parents[2] / "datasets" / "sample"
COMMAND = [OCTET, "auto", SAMPLE / "digits_depthwise.onnx", SAMPLE / "mnist" / "calibration", "--preset", "mnist",
           "--test", SAMPLE / "mnist" / "test", "--test-limit", "300", "--no-bench", "-q", "-o"]


def run(out, kill_after=None):
    """Whether it finished."""
    p = subprocess.Popen([*COMMAND, out], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        _, err = p.communicate(timeout=kill_after)
    except subprocess.TimeoutExpired:
        p.send_signal(signal.SIGKILL)
        p.communicate()
        return False
    if p.returncode != 0:
        raise SystemExit(f"exit code {p.returncode}: {err}")
    return True


def differences(a, b):
    names = {f.name for f in a.iterdir()} | {f.name for f in b.iterdir()}
    return sorted(n for n in names if not (a / n).is_file() or not (b / n).is_file() or not filecmp.cmp(a / n, b / n, False))


def main():
    rng = random.Random(7)
    kills = 0
    with tempfile.TemporaryDirectory() as tmp:
        whole = pathlib.Path(tmp) / "whole"
        start = time.monotonic()
        run(whole)
        seconds = time.monotonic() - start
        for i in range(ROUNDS):
            out = pathlib.Path(tmp) / "killed"
            for _ in range(4):
                if run(out, rng.uniform(0.01, seconds)):
                    break
                kills += 1
            run(out)
            bad = differences(whole, out)
            if bad:
                raise SystemExit(f"round {i}: these files differ after kills: {bad}")
            shutil.rmtree(out)
    print(f"{ROUNDS} runs, killed {kills} times, ended with the same bytes")
    if kills == 0:
        raise SystemExit("nothing was killed")


main()
