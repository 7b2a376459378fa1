#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when the library prints, exits, reads floats by locale, or allocates past the context.

The rules are DESIGN 3: the library never prints, exits or aborts on input, has no
locale-dependent float text, and takes all memory through oct_ctx. A line that must break
one says why in a comment `lint: allow <name>: reason`.
"""
import pathlib
import re
import sys

LIBRARY = ["base", "kernels", "engine", "datasets", "calib", "quant", "accuracy", "reports"]
FORBIDDEN = {
    "prints": "printf vprintf puts putchar perror fputs fputc",
    "ends the program": "exit _exit abort quick_exit raise",
    "obeys the locale": "strtod strtof strtold atof setlocale sscanf fscanf scanf",
    "is not bounded": "strcpy strcat sprintf vsprintf gets alloca",
    "is not a fixed sequence": "rand srand random drand48",
    "bypasses oct_ctx": "malloc calloc realloc aligned_alloc posix_memalign strdup strndup asprintf",
}
# The one place behind each rule.
ALLOWED_IN = {
    "base/ctx.c": {"aligned_alloc", "posix_memalign", "malloc"},
    "base/json_read.c": {"malloc"},
}
CALL = {name: why for why, names in FORBIDDEN.items() for name in names.split()}
PATTERN = re.compile(r"(?<![\w.>])(" + "|".join(CALL) + r")\s*\(")
FLOAT_FORMAT = re.compile(r'"[^"\n]*%[-+ #0-9.*l]*[fFgGeE][^"\n]*"')
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


def blank(match):
    """Comments become blanks of the same line count, so that line numbers hold."""
    return re.sub(r"[^\n]", " ", match.group())


def check(rel, text):
    raw = text.split("\n")
    code = COMMENT.sub(blank, text)
    for number, line in enumerate(code.split("\n"), 1):
        near = " ".join(raw[max(0, number - 3):number])
        bare = re.sub(r'"(\\.|[^"\\])*"', '""', line)
        for name in PATTERN.findall(bare):
            if name in ALLOWED_IN.get(rel, ()) or f"lint: allow {name}" in near:
                continue
            yield f"{rel}:{number}: {name}() {CALL[name]}"
        if FLOAT_FORMAT.search(line.replace("%%", "")) and "lint: allow float" not in near:
            yield f"{rel}:{number}: float printf format obeys the locale; use base/strbuf.h"


def main(root):
    bad = []
    for layer in LIBRARY:
        for f in sorted((root / layer).rglob("*.[ch]")):
            bad += check(f.relative_to(root).as_posix(), f.read_text(errors="replace"))
    print("\n".join(bad) or "no forbidden calls")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
