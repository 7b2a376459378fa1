#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Models read, raised to opset 13 and 19 and written by octet pass onnx.checker and give ONNX
Runtime's old results, in one file and with external data.

export_oracle.py PROGRAM DATA
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort

TOLERANCE = 1e-5


def run(path):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    rng = np.random.RandomState(1)
    feed = {}
    for i in session.get_inputs():
        shape = [d if isinstance(d, int) else 2 for d in i.shape]
        feed[i.name] = rng.standard_normal(shape).astype(
            np.float16 if "float16" in i.type else np.float32)
    return session.run(None, feed)


def compare(program, model, opset, external, folder):
    out = pathlib.Path(folder) / "out.onnx"
    command = [program, str(model), str(out), str(opset)] + (["external"] if external else [])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return done.stderr.strip()
    onnx.checker.check_model(str(out))
    written = onnx.load(str(out))
    if [p.value for p in written.metadata_props if p.key == "octet.test"] != [str(opset)]:
        return "metadata is missing"
    version = next(o.version for o in written.opset_import if o.domain in ("", "ai.onnx"))
    if version < opset:
        return f"opset {version}"
    for a, b in zip(run(model), run(out)):
        error = np.abs(a.astype(np.float64) - b).max() / max(1e-9, np.abs(a).max())
        if not error <= TOLERANCE:
            return f"error {error:.2g}"
    return ""


def main(program, data):
    models = sorted((pathlib.Path(data) / "models").glob("*.onnx"))
    if not models:
        print("SKIPPED: no models in", data)
        return 77
    bad = 0
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            for opset in (0, 13, 19):
                for external in (False, True):
                    why = compare(program, model, opset, external, folder)
                    bad += bool(why)
                    print("FAILED" if why else "ok", model.stem, "opset", opset,
                          "external" if external else "one file", why)
    return bad > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
