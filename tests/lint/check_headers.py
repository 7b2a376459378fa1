#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles every header alone, as C11 and (but for private ones) as C++17."""
import concurrent.futures
import pathlib
import subprocess
import sys

FOLDERS = "base kernels engine datasets calib quant accuracy reports tools include tests".split()


def compile_alone(job):
    root, header, compiler, flags = job
    cmd = [compiler, *flags, "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function",
           "-Wno-unused-parameter", "-"]
    text = f'#include "{header}"\n#include "{header}"\n'
    run = subprocess.run(cmd, input=text, capture_output=True, text=True, cwd=root)
    return f"{header} ({flags[1]}):\n{run.stderr}" if run.returncode else ""


def main(root, gen, cc, cxx, includes):
    dirs = [f"-I{d}" for d in [root, root / "include", gen]] + [f"-isystem{d}" for d in includes]
    common = dirs + ["-D_GNU_SOURCE", "-DH5_USE_18_API"]
    jobs = []
    for folder in FOLDERS:
        for f in sorted((root / folder).rglob("*.h")):
            rel = f.relative_to(root).as_posix()
            jobs.append((root, rel, cc, ["-xc", "-std=c11", *common]))
            if cxx != "none" and not rel.endswith("_internal.h") and not rel.startswith("tests/"):
                jobs.append((root, rel, cxx, ["-xc++", "-std=c++17", *common]))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        bad = [text for text in pool.map(compile_alone, jobs) if text]
    print("\n".join(bad) or f"{len(jobs)} header compilations")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3], sys.argv[4],
                  [d for d in sys.argv[5:] if not d.startswith("$")]))
