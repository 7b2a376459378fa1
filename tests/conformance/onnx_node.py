#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ONNX's own operator tests (the `onnx` wheel's backend node tests) on one backend.

onnx_node.py OUT RUNNER BACKEND SKIPS OPERATORS [symbolic]: makes the cases in OUT when they are not
there for this version of the wheel, then runs RUNNER (run_node_tests) over them.

With `symbolic` every dimension of every input is made unknown (each a symbol of its own) and the
outputs' shapes are left out: what the models then compute must not change.
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


def forget_shapes(model):
    """Inputs keep their rank only, outputs and inner values nothing."""
    for i, value in enumerate(model.graph.input):
        if value.type.HasField("tensor_type") and value.type.tensor_type.HasField("shape"):
            for k, dim in enumerate(value.type.tensor_type.shape.dim):
                dim.dim_param = f"d{i}_{k}"
    for value in model.graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]


def main(out, runner, backend, skips, scope, mode=""):
    stamp = f"onnx {onnx.__version__} {mode}\n"
    if not cases.up_to_date(out, stamp):
        writer = cases.Writer(out)
        for case in collect():
            if mode == "symbolic":
                forget_shapes(case.model)
            writer.add(case.name, case.model, case.data_sets, case.rtol, case.atol)
        writer.close(stamp)
    return cases.run(runner, out, backend, skips, scope)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
