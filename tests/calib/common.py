# SPDX-License-Identifier: Apache-2.0
"""What the calibration tests share: arguments, running the program, small models."""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper

PROGRAM, DUMP, DATA, MODELS = (pathlib.Path(a) for a in sys.argv[1:5])
scratch_holder = tempfile.TemporaryDirectory()
SCRATCH = pathlib.Path(scratch_holder.name)


def need(*paths):
    """Skips the test when data is absent."""
    for p in paths:
        if not pathlib.Path(p).exists():
            print(f"SKIPPED: {p} is not there")
            sys.exit(77)


def octet(*args, code=0):
    """Runs the program, checks its exit code, returns what it printed."""
    done = subprocess.run([str(PROGRAM), *map(str, args)], capture_output=True, text=True,
                          check=False)
    if done.returncode != code:
        sys.exit(f"octet {' '.join(map(str, args))} exits with {done.returncode}, expected "
                 f"{code}\n{done.stderr}")
    return done.stdout


def calibrate(model, images, out, *args):
    octet("calibrate", model, images, "-o", out, "--force", "-q", *args)


def scales(stats, *methods):
    """{tensor: {method: {...}}} of a statistics file."""
    text = octet("scales", stats, "--method", ",".join(methods), "--json", "-q")
    return {t["name"]: t["methods"] for t in json.loads(text)["tensors"]}


def read_trt(path):
    """{name: bits} of a cache, header checked."""
    lines = pathlib.Path(path).read_text().split("\n")
    assert lines[0].startswith("TRT-"), lines[0]
    return {n: int(h, 16) for n, h in (line.rsplit(": ", 1) for line in lines[1:] if line)}


def one_op_model(op, shape, path, **attrs):
    """x -> op -> y."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", *shape])
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"], **attrs)], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def check(ok, text):
    print(("ok    " if ok else "WRONG ") + text)
    if not ok:
        sys.exit(1)


def bits(value):
    return int(np.float32(value).view(np.uint32))
