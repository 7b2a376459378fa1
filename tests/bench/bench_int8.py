#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""INT8 speed of whole networks: octet FP32 and INT8, ONNX Runtime FP32 and INT8, OpenVINO INT8.

    OCT_VENV/bin/python tests/bench/bench_int8.py build/release/octet MODEL.onnx... [-j 2] [--json F]
    OCT_VENV/bin/python tests/bench/bench_int8.py build/release/octet --export DIR      (ResNet-50, MobileNetV2)

Each FP32 model is calibrated on a few random images, built into an octet INT8 engine, and written
as Q/DQ model by `octet quantize --target ort` and by ONNX Runtime's quantize_static (u8
activations, s8 weights per channel). The others run both files; the faster one counts. All take
turns for some rounds in one run, on the same threads; the smallest median of each is kept, and
its shortest run, which other work on the machine disturbs less. Ratios above 1: octet INT8 is
faster. `load` is the time to read and prepare the engine file.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

try:
    import openvino
except ImportError:
    openvino = None

ort.set_default_logger_severity(4)
HERE = pathlib.Path(__file__).resolve().parent
EXPORTER = HERE.parent / "conformance" / "export_models.py"
EXPORTS = ["resnet50", "mobilenet_v2"]


def command(*args):
    run = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{' '.join(map(str, args))}: {run.stderr.strip()}")
    return run.stdout


class Reader(CalibrationDataReader):
    def __init__(self, name, images):
        self.items = iter([{name: images[i:i + 1]} for i in range(len(images))])

    def get_next(self):
        return next(self.items, None)


class Octet:
    """A process of its own per turn."""

    def __init__(self, program, model, threads):
        self.args = [program, "bench", model, "-j", threads, "--json", "-q"]
        self.load = []

    def turn(self, seconds):
        result = json.loads(command(*self.args, "--seconds", seconds))
        self.load.append(1e3 * result["load_s"])
        return result["p50_ms"], result["best_ms"]


def medians(run, seconds):
    times, end = [], time.monotonic() + seconds
    for _ in range(3):
        run()
    while time.monotonic() < end or len(times) < 5:
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return float(np.median(times)), min(times)


class OnnxRuntime:
    def __init__(self, model, threads, image):
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = ort.InferenceSession(str(model), options,
                                            providers=["CPUExecutionProvider"])
        self.feed = {self.session.get_inputs()[0].name: image}

    def turn(self, seconds):
        return medians(lambda: self.session.run(None, self.feed), seconds)


class OpenVino:
    def __init__(self, model, threads, image):
        config = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
                  "INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.Core().compile_model(str(model), "CPU", config)
        self.request, self.image = compiled.create_infer_request(), image

    def turn(self, seconds):
        return medians(lambda: self.request.infer([self.image]), seconds)


def quantized(program, model, images, folder):
    """octet's engine, and Q/DQ models by octet and by ONNX Runtime."""
    np.save(folder / "images.npy", images)
    stats, engine = folder / f"{model.stem}.h5", folder / f"{model.stem}.engine"
    ours, theirs = folder / f"{model.stem}.ours.onnx", folder / f"{model.stem}.theirs.onnx"
    command(program, "calibrate", model, folder / "images.npy", "-o", stats, "--force", "-q")
    command(program, "build", model, "--stats", stats, "--precision", "int8", "-o", engine,
            "--force", "-q")
    command(program, "quantize", model, "--stats", stats, "--target", "ort", "-o", ours,
            "--force", "-q")
    name = ort.InferenceSession(str(model)).get_inputs()[0].name
    quantize_static(str(model), str(theirs), Reader(name, images), quant_format=QuantFormat.QDQ,
                    per_channel=True, activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8)
    return engine, [ours, theirs]


def images_for(model):
    shape = ort.InferenceSession(str(model)).get_inputs()[0].shape
    shape = [d if isinstance(d, int) and d > 0 else 1 for d in shape]
    return np.random.default_rng(1).standard_normal([4] + shape[1:]).astype(np.float32)


def sides_of(args, model, folder):
    images = images_for(model)
    engine, files = quantized(args.program, model, images, folder)
    image = images[:1].copy()
    sides = {"octet FP32": Octet(args.program, model, args.j),
             "octet INT8": Octet(args.program, engine, args.j),
             "ORT FP32": OnnxRuntime(model, args.j, image)}
    for i, file in enumerate(files):
        sides[f"ORT INT8 {i}"] = OnnxRuntime(file, args.j, image)
        if openvino:
            sides[f"OpenVINO INT8 {i}"] = OpenVino(file, args.j, image)
    return sides


def measure(args, model, folder):
    sides, best = sides_of(args, model, folder), {}
    for _ in range(args.rounds):
        for name, side in sides.items():
            key, turn = name.rstrip(" 01"), side.turn(args.seconds)
            best[key] = tuple(map(min, zip(best.get(key, turn), turn)))
    ours = best["octet INT8"]
    sides_json = {k: {"p50_ms": v[0], "best_ms": v[1], "octet_int8_p50": v[0] / ours[0],
                      "octet_int8_best": v[1] / ours[1]} for k, v in best.items()}
    return {"model": model.stem, "threads": args.j, "sides": sides_json,
            "engine_load_ms": min(sides["octet INT8"].load)}


def show(result):
    print(f"{result['model']}, {result['threads']} threads"
          f"{'median ms':>20} {'ratio':>6} {'best ms':>9} {'ratio':>6}")
    for name, v in result["sides"].items():
        print(f"    {name:<26}{v['p50_ms']:13.2f} {v['octet_int8_p50']:6.2f} "
              f"{v['best_ms']:9.2f} {v['octet_int8_best']:6.2f}")
    print(f"    engine load {result['engine_load_ms']:27.1f}", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("program")
    p.add_argument("models", nargs="*", type=pathlib.Path)
    p.add_argument("--export", type=pathlib.Path, help="make ResNet-50 and MobileNetV2 here")
    p.add_argument("-j", type=int, default=2)
    p.add_argument("--seconds", type=float, default=1.5, help="of one turn")
    p.add_argument("--rounds", type=int, default=4)
    p.add_argument("--json", type=pathlib.Path)
    args = p.parse_args()
    if args.export:
        wanted = [args.export / f"{name}.onnx" for name in EXPORTS]
        if not all(m.exists() for m in wanted):  # Debian's Python has the exporter's torch
            args.export.mkdir(parents=True, exist_ok=True)
            command("/usr/bin/python3", EXPORTER, args.export, *EXPORTS)
        args.models += wanted
    if not args.models:
        p.error("no models: name some, or --export DIR")
    if not openvino:
        print("OpenVINO is not installed: left out")
    results = []
    for model in args.models:
        with tempfile.TemporaryDirectory() as folder:
            results.append(measure(args, model, pathlib.Path(folder)))
        show(results[-1])
    if args.json:
        args.json.write_text(json.dumps({"schema": "octet.bench-int8/1", "results": results},
                                        indent=2) + "\n")


if __name__ == "__main__":
    main()
