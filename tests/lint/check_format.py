#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a C file is not as clang-format leaves it; --fix (tools/format.sh) rewrites them.

Only clang-format 14 decides (other versions differ in details): with another one the test is
skipped aloud. The first line must be the SPDX line and files end with one newline.
"""
import pathlib
import re
import subprocess
import sys

FOLDERS = "base kernels engine datasets calib quant accuracy reports tools include tests".split()


def sources(root):
    for folder in FOLDERS:
        for f in sorted((root / folder).rglob("*")):
            if f.suffix in {".c", ".h", ".cu", ".cuh"}:
                yield f


def check_heads(root, files):
    return [f"{f.relative_to(root)}: no SPDX line first" for f in files
            if "SPDX-License-Identifier: Apache-2.0" not in f.read_text(errors="replace").split("\n")[0]]


def main(root, tool, fix):
    files = list(sources(root))
    bad = check_heads(root, files)
    try:
        version = subprocess.run([tool, "--version"], capture_output=True, text=True).stdout
    except OSError:
        version = "none"
    major = re.search(r"version (\d+)", version)
    skip = not major or major.group(1) != "14"
    if not skip and files:
        args = ["-i"] if fix else ["--dry-run"]
        run = subprocess.run([tool, "--style=file", *args, *map(str, files)],
                             capture_output=True, text=True, cwd=root)
        names = re.findall(r"^(\S+?):\d+:\d+: warning", run.stderr, re.M)
        bad += [f"{pathlib.Path(n).relative_to(root)}: not formatted" for n in dict.fromkeys(names)]
    print("\n".join(bad))
    if bad:
        print("ERROR: run tools/format.sh")
        return 1
    if skip:
        print(f"SKIPPED: needs clang-format 14, have: {version.strip() or 'none'}")
        return 77
    return 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), sys.argv[2], "--fix" in sys.argv))
