#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""compute-sanitizer over the kernel tests, in parallel, in minutes.

    gpu_sanitize.py BIN OUT [--tools memcheck,racecheck] [--jobs N] [--limit SECONDS] [--only TEST ...]

Each program is first asked, without a tool, which cases matter (tests/kernels/kcase_select.c: every
kernel with every operator, activation, type combination, epilogue and layout that the whole suite
reaches it with, at a small and at a larger size); these then run under the tool, in shards. The
histogram test leaves out its largest size. Prints one line per tool and program; logs go to OUT.
Exit 0 if all are clean, 77 without compute-sanitizer, 1 otherwise.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

FIRST = ("test_cuda_simt", "test_conv_q8", "test_cuda_mma", "test_cuda_hist")  # the slowest
NOT_ON_GPU = ("test_shared_ops",)
CASES_A_SHARD = 80  # a process first patches every kernel, for seconds
CLEAN = {"memcheck": re.compile(r"ERROR SUMMARY: 0 errors"),
         "racecheck": re.compile(r"RACECHECK SUMMARY: 0 hazards displayed")}
FINDING = re.compile(r"=+ +(Error|Warning|Invalid|Race|Potential|Out-of|Program hit|Uninit|Unused).*"
                     r"|\[ +FAILED.*|.*: ref [-0-9n].*|.*SUMMARY: [1-9].*")


def environment(program, **more):
    env = dict(os.environ, OCT_TEST_BACKEND="cuda", OCT_TEST_NEEDS_DEVICE="1",
               CUDA_MODULE_LOADING="LAZY", **more)
    if not program.name.startswith("test_cuda_"):
        env["OCT_TEST_MAY_DECLINE"] = "1"  # what the GPU declines runs on the host
    return env


def run(command, env, log, limit):
    """Exit status; 124 past the limit."""
    if limit <= 1:
        return 124
    with open(log, "w", encoding="utf-8") as f:
        try:
            return subprocess.run(command, env=env, stdout=f, stderr=subprocess.STDOUT,
                                  timeout=limit, check=False).returncode
        except subprocess.TimeoutExpired:
            return 124


def survey(program, out, limit):
    """(file with the chosen cases or None, how many they are, what was said)."""
    chosen, log = out / f"cases.{program.name}.txt", out / f"survey.{program.name}.log"
    if program.name == "test_cuda_hist":
        return None, 0, "all but the largest size"
    code = run([str(program)], environment(program, OCT_KCASE_SURVEY=str(chosen)), log, limit)
    said = re.findall(r"survey: (.*)", log.read_text(encoding="utf-8", errors="replace"))
    if code != 0 or not said:
        return None, -1, f"survey failed with {code}, see {log.name}"
    return chosen, len(chosen.read_text(encoding="utf-8").split()), said[-1]


def sanitize(tool, program, chosen, shard, n, out, limit):
    log = out / f"{tool}.{program.name}.{shard}.log"
    more = {"OCT_KCASE_SMALL": "1"}
    if chosen is not None:
        more.update(OCT_KCASE_ONLY=str(chosen), OCT_KCASE_SHARD=f"{shard}/{n}")
    start = time.monotonic()
    code = run(["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", "--print-limit", "20",
                str(program)], environment(program, **more), log, limit)
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    runs = sum(int(r) for r in re.findall(r"(\d+) candidate runs", text))
    finding = FINDING.search(text)
    clean = code == 0 and CLEAN[tool].search(text) and "FAILED" not in text
    why = "" if clean else ("not finished in time" if code == 124 else
                            finding.group(0).strip() if finding else f"exit {code}")
    with log.open("a", encoding="utf-8") as f:
        f.write(f"\n{time.monotonic() - start:.1f} s, {runs} candidate runs\n")
    return tool, program.name, bool(clean), runs, why, time.monotonic() - start, log.name


def main():
    p = argparse.ArgumentParser()
    p.add_argument("bin", type=pathlib.Path)
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--tools", default="memcheck,racecheck")
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("--limit", type=float, default=600, help="seconds for everything")
    p.add_argument("--only", nargs="*", default=[])
    a = p.parse_args()
    if shutil.which("compute-sanitizer") is None:
        print("SKIPPED: no compute-sanitizer")
        return 77
    a.out.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    found = sorted(q.name for q in a.bin.glob("test_*") if q.name not in NOT_ON_GPU)
    names = [n for n in FIRST if n in found] + [n for n in found if n not in FIRST]
    programs = [a.bin.resolve() / n for n in names if not a.only or n in a.only]
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        surveys = dict(zip(programs, pool.map(lambda q: survey(q, a.out, a.limit), programs)))
        took = time.monotonic() - start
        jobs = []
        for tool in reversed(a.tools.split(",")):  # the slower one first
            for q in programs:
                chosen, n, _ = surveys[q]
                shards = max(1, -(-n // CASES_A_SHARD))
                jobs += [(tool, q, chosen, i, shards) for i in range(shards) if n >= 0]
        print(f"surveyed: {took:.0f} s", flush=True)
        done = list(pool.map(lambda j: sanitize(*j, a.out, a.limit - (time.monotonic() - start)),
                             jobs))
    bad = 0
    for tool in a.tools.split(","):
        for q in programs:
            mine = [d for d in done if d[:2] == (tool, q.name)]
            dirty = [d for d in mine if not d[2]]
            detail = (f"{sum(d[3] for d in mine)} candidate runs in {len(mine)} processes, "
                      f"{sum(d[5] for d in mine):.0f} s of them, longest "
                      f"{max((d[5] for d in mine), default=0):.0f}; {surveys[q][2]}")
            if dirty or not mine:
                bad += 1
                detail = f"{len(dirty)} of {len(mine)}: " + (
                    f"{dirty[0][6]}: {dirty[0][4]}" if dirty else surveys[q][2])
            print(f"{'FAILED' if dirty or not mine else 'ok':7}{tool:10} {q.name:18} {detail}")
    print(f"{len(jobs)} processes, {a.jobs} at a time: survey {took:.0f} s, all "
          f"{time.monotonic() - start:.0f} s; {bad} of them not clean")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
