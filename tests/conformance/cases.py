# SPDX-License-Identifier: Apache-2.0
"""The case format that run_node_tests.c reads, shared by the scripts that make cases.

    DIR/cases.txt              one line a case: name, rtol, atol, operators (tab-separated)
    DIR/<name>/model.onnx
    DIR/<name>/set<k>/in<i>.npy, out<i>.npy     bfloat16 as uint16 in in<i>.bf16.npy

A value that cannot be written so (strings, sequences, 8-bit floats, ...) puts a line into
DIR/<name>/unstorable.txt; such a case must be in the skip list.
"""
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import onnx

PLAIN = {"float32", "float64", "float16", "int8", "uint8", "int16", "uint16", "int32", "uint32",
         "int64", "uint64", "bool"}


def graph_operators(graph, found):
    for node in graph.node:
        found.add(node.op_type if node.domain in ("", "ai.onnx") else
                  f"{node.domain}.{node.op_type}")
        for attr in node.attribute:
            if attr.HasField("g"):
                graph_operators(attr.g, found)
            for g in attr.graphs:
                graph_operators(g, found)


def operators(model):
    found = set()
    graph_operators(model.graph, found)
    for function in model.functions:
        found.discard(f"{function.domain}.{function.name}")
        graph_operators(function, found)
    return sorted(found)


def write_array(value, stem):
    """Writes one value; returns why it cannot be, or ""."""
    if value is None:
        return "optional value"
    if isinstance(value, onnx.TensorProto):
        value = onnx.numpy_helper.to_array(value)
    if not isinstance(value, (np.ndarray, np.generic)):
        return f"{type(value).__name__} value"
    array = np.asarray(value)
    if array.dtype.name == "bfloat16":
        np.save(f"{stem}.bf16.npy", array.view(np.uint16))
        return ""
    if array.dtype.name not in PLAIN:
        return f"{array.dtype.name} elements"
    np.save(f"{stem}.npy", array)
    return ""


class Writer:
    """Collects cases in a fresh folder; close() writes the list last, as the sign of success."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)
        self.lines = []

    def add(self, name, model, data_sets, rtol, atol):
        folder = self.root / name
        folder.mkdir()
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        problems = []
        for k, (inputs, outputs) in enumerate(data_sets):
            one = folder / f"set{k}"
            one.mkdir()
            for kind, values in (("in", inputs), ("out", outputs)):
                problems += [write_array(v, one / f"{kind}{i}") for i, v in enumerate(values)]
        problems = sorted(set(p for p in problems if p))
        if problems:
            (folder / "unstorable.txt").write_text("\n".join(problems) + "\n")
        self.lines.append(f"{name}\t{rtol!r}\t{atol!r}\t{','.join(operators(model))}\n")

    def close(self, stamp):
        (self.root / "cases.txt").write_text("".join(sorted(self.lines)))
        (self.root / "stamp.txt").write_text(stamp)


def up_to_date(root, stamp):
    file = pathlib.Path(root) / "stamp.txt"
    return file.exists() and file.read_text() == stamp


def run(runner, root, backend, skips, scope):
    """Hands the cases to the C runner; its status is ours."""
    command = [runner, str(root), backend, skips or "-", scope or "-"]
    return subprocess.run(command, stdout=sys.stdout, stderr=sys.stderr, check=False).returncode
