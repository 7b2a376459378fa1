#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ONNX's own operator tests (the `onnx` wheel's backend node tests) on one backend.

onnx_node.py OUT RUNNER BACKEND SKIPS OPERATORS: makes the cases in OUT when they are not there
for this version of the wheel, then runs RUNNER (run_node_tests) over them.
"""
import sys
import warnings

import cases
import onnx


def collect():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases
        yield from collect_testcases(None)


def main(out, runner, backend, skips, scope):
    stamp = f"onnx {onnx.__version__}\n"
    if not cases.up_to_date(out, stamp):
        writer = cases.Writer(out)
        for case in collect():
            writer.add(case.name, case.model, case.data_sets, case.rtol, case.atol)
        writer.close(stamp)
    return cases.run(runner, out, backend, skips, scope)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
