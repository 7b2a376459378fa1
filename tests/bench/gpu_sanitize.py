#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""compute-sanitizer over the kernel tests, in parallel, in minutes.

    gpu_sanitize.py BIN OUT [--tools memcheck,racecheck] [--jobs N] [--limit SECONDS] [--only TEST ...]

Each program first lists, without a tool, what it would run and which kernels that would start
(tests/kernels/kcase_select.c). Chosen are, over all programs, runs that together show every kernel (a
device function with its template arguments) with every operator and kind of attributes,
activation, combination of types, kind of epilogue and layout, strided or not, that it meets in any run,
cheap ones first; and for every kernel the run with most work below a limit, so that its
loops and pipelines turn. They are run under each tool, in shards. The histogram test leaves out its
larger sizes. Prints one line per tool and program; logs go to OUT.
Exit 0 if all are clean, 77 without compute-sanitizer, 1 otherwise.
"""
import argparse
import concurrent.futures
import heapq
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import time

FIRST = ("test_cuda_simt", "test_conv_q8", "test_cuda_mma", "test_cuda_hist")  # the slowest
NOT_ON_GPU = ("test_shared_ops",)
WHOLE = ("test_cuda_hist",)  # not on kcase.h, long; shortened by OCT_KCASE_SMALL
RUNS_A_SHARD = 60
WORK_LIMIT = 2e6    # products or elements of the larger run of a kernel
WORK_OF_A_RUN = 5e6 # that takes as long as starting it
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
    """([(run, work, kernels, traits)], what went wrong); None for the runs: not on kcase.h."""
    listed, log = out / f"runs.{program.name}.txt", out / f"survey.{program.name}.log"
    if program.name in WHOLE:
        return None, None
    listed.unlink(missing_ok=True)
    code = run([str(program)], environment(program, OCT_KCASE_SURVEY=str(listed)), log, limit)
    if code != 0:
        return [], f"survey ended with {code}, see {log.name}"
    if not listed.exists():
        return None, None
    runs = []
    for line in listed.read_text(encoding="ascii").splitlines():
        head, kinds = line.split(" /")
        number, offer, candidate, work, *kernels = head.split()
        kinds = kinds.split()
        runs.append(((program, f"{number} {offer} {candidate}"), float(work), kernels,
                     {(k, t) for k in kernels for t in kinds}))
    return runs, None


def cover(runs):
    """Indices of cheap runs that show all traits, most new ones for the cost first."""
    shown, chosen = set(), set()
    cost = [1 + work / WORK_OF_A_RUN for _, work, _, _ in runs]
    heap = [(-len(traits) / cost[i], i) for i, (_, _, _, traits) in enumerate(runs)]
    heapq.heapify(heap)
    while heap:
        _, i = heapq.heappop(heap)
        gain = -len(runs[i][3] - shown) / cost[i]
        if gain == 0:
            continue
        if heap and gain > heap[0][0]:
            heapq.heappush(heap, (gain, i))
            continue
        chosen.add(i)
        shown |= runs[i][3]
    return chosen, len(shown)


def choose(runs):
    """({program: its chosen runs}, what to say)."""
    chosen, n_traits = cover(runs)
    missed = set().union(*(r[3] for r in runs)) - set().union(*(runs[i][3] for i in chosen))
    if missed:
        sys.exit(f"{len(missed)} traits are in no chosen run")
    largest = {}
    for i, (_, work, kernels, _) in enumerate(runs):
        for k in kernels:
            if work <= WORK_LIMIT and work > largest.get(k, (0, 0))[0]:
                largest[k] = (work, i)
    small = len(chosen)
    chosen |= {i for _, i in largest.values()}
    by_program = {}
    for i in sorted(chosen):
        by_program.setdefault(runs[i][0][0], []).append(runs[i][0][1])
    n_kernels = len({k for r in runs for k in r[2]})
    return by_program, (
        f"{n_kernels} kernels with {n_traits} traits: {small} of {len(runs)} runs show them all, "
        f"{len(chosen)} with larger ones of {len(largest)} kernels; most work in a run "
        f"{max((runs[i][1] for i in chosen), default=0):.3g}, left out "
        f"{max((r[1] for i, r in enumerate(runs) if i not in chosen), default=0):.3g}")


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
        chosen, said = choose([r for q in programs for r in surveys[q][0] or []])
        print(f"survey, {time.monotonic() - start:.0f} s: {said}", flush=True)
        jobs = []
        for tool in reversed(a.tools.split(",")):  # the slower one first
            for q in programs:
                runs = chosen.get(q, [])
                shards = max(1, round(len(runs) / RUNS_A_SHARD))
                file = a.out / f"chosen.{q.name}.txt"
                file.write_text("".join(f"{r}\n" for r in runs), encoding="ascii")
                if runs or surveys[q][0] is None:
                    jobs += [(tool, q, file if runs else None, i, shards) for i in range(shards)]
        done = list(pool.map(lambda j: sanitize(*j, a.out, a.limit - (time.monotonic() - start)),
                             jobs))
    bad = 0
    for tool in a.tools.split(","):
        for q in programs:
            mine = [d for d in done if d[:2] == (tool, q.name)]
            dirty = [d for d in mine if not d[2]]
            good = not dirty and not surveys[q][1]
            detail = (f"{sum(d[3] for d in mine)} candidate runs in {len(mine)} processes, longest "
                      f"{max((d[5] for d in mine), default=0):.0f} s")
            if surveys[q][1]:
                detail = surveys[q][1]
            elif dirty:
                detail = f"{len(dirty)} of {len(mine)}: {dirty[0][6]}: {dirty[0][4]}"
            elif not mine:
                detail = "its kernels are run by other programs"
            bad += not good
            print(f"{'ok' if good else 'FAILED':7}{tool:10} {q.name:18} {detail}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{len(jobs)} processes, {a.jobs} at a time, all in {time.monotonic() - start:.0f} s (processors "
          f"{used.ru_utime + used.ru_stime:.0f} s); {said}; {bad} not clean")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
