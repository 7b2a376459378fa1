#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`octet auto` on real photos against ONNX Runtime and pycocotools.

  - resnet20 and mobilenet: 520 photos calibrate, 4,000 judge; FP32 top-1 is ONNX Runtime's to 0.1 points
  - mobilenetv1_025 on imagenet100: 0.50 with --drop-class 0, and without it the program proposes that
  - FastestDet on coco48: AP of both engines, FP32's equals ONNX Runtime's outputs through `outputs:` to 1e-4
  - the files: Q/DQ models run in ONNX Runtime, statistics are those of one `octet calibrate`, the engine is that of `octet build`
  - one folder is divided, never used for both; what is in two folders only judges; labels do not change the choice
  - wrong colour order, range and label order are called by their names
  - evaluate: the memory of 4,000 images is that of 400
Usage: auto_oracle.py VENV_PYTHON OCTET
"""
import os
import sys

if len(sys.argv) == 3:
    if not sys.argv[1]:
        print("skipped: no oracle venv (tools/test.sh makes one)")
        sys.exit(1 if os.environ.get("CI") == "true" else 77)
    os.execv(sys.argv[1], [sys.argv[1], __file__, "run", sys.argv[2], ""])

import json
import pathlib
import shutil
import subprocess
import tempfile

import numpy as np
import onnxruntime as ort

OCTET = sys.argv[2]
DATA = pathlib.Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
CIFAR, MODELS = DATA / "cifar10", DATA / "models"
# the table in ../shared/data/README.md: ONNX Runtime on these very files
TABLE = {"resnet20_cifar10": 0.88575, "mobilenet_cifar10": 0.84775}
failures = []


def check(what, ok):
    print(f"  {what}: {'ok' if ok else 'FAILED'}")
    if not ok:
        failures.append(what)


def octet(*args, expect=0):
    r = subprocess.run([OCTET, *map(str, args), "--progress=none"], capture_output=True, text=True)
    if r.returncode != expect:
        raise SystemExit(f"octet {' '.join(map(str, args))} gave {r.returncode}, expected {expect}: {r.stderr[-800:]}")
    return r


def auto(out, *args, expect=0):
    r = octet("auto", *args, "--no-bench", "-o", out, expect=expect)
    return json.loads((out / "report.json").read_text()), r


def session(path):
    so = ort.SessionOptions()
    so.log_severity_level = 4
    return ort.InferenceSession(str(path), so, providers=["CPUExecutionProvider"])


def parts(out):
    got = {}
    for line in (out / "images.txt").read_text().splitlines()[1:]:
        got.setdefault(line.split()[0], []).append(line.split()[1])
    return got


def same(a, b):
    return a.read_bytes() == b.read_bytes()


def cifar(work):
    for name, table in TABLE.items():
        out, model = work / name, MODELS / f"{name}.onnx"
        report, log = auto(out, model, CIFAR / "calibration", "--preset", "cifar10", "--test", CIFAR / "test")
        f32, int8 = report["sides"]
        chosen = json.loads((out / "choice.json").read_text())
        print(f"  {name}: top-1 FP32 {f32['top1']:.5f} (table {table}) INT8 {int8['top1']:.5f} by {chosen['chosen']}")
        check("FP32 top-1 is the table's to 0.1 points", abs(f32["top1"] - table) <= 0.001)
        check("INT8 within one point", abs(int8["top1"] - f32["top1"]) <= 0.01)
        check("4,000 judged", report["images"] == 4000 and report["labelled"] == 4000)
        p = parts(out)
        check("520 calibrate, 64 of them choose", len(p["calibrate"]) + len(p["choose"]) == 520 and len(p["choose"]) == 64)
        first, best = chosen["methods"][0], max(chosen["methods"], key=lambda m: m["output_sqnr_db"])
        sure = best["output_sqnr_db"] - first["output_sqnr_db"] > 1.645 * best["lead_error_db"]
        check("the best method is chosen where its lead is beyond chance, else the default",
              chosen["chosen"] == (best if sure else first)["method"])
        check("no doubt about right preprocessing", "label map?" not in log.stderr)
    out, model = work / "resnet20_cifar10", MODELS / "resnet20_cifar10.onnx"
    octet("calibrate", model, CIFAR / "calibration", "--preset", "cifar10", "-o", work / "s.h5")
    check("statistics.h5 is that of octet calibrate", same(out / "statistics.h5", work / "s.h5"))
    method = json.loads((out / "choice.json").read_text())["chosen"]
    octet("build", model, "--stats", work / "s.h5", "--method", method, "-o", work / "m.engine")
    check("model.int8.engine is that of octet build", same(out / "model.int8.engine", work / "m.engine"))
    for target in ["trt", "ort"]:
        octet("quantize", model, "--stats", work / "s.h5", "--method", method, "--target", target, "-o", work / "q.onnx", "--force")
        check(f"model.{target}.qdq.onnx is that of octet quantize", same(out / f"model.{target}.qdq.onnx", work / "q.onnx"))
    again = octet("auto", model, CIFAR / "calibration", "--preset", "cifar10", "--test", CIFAR / "test", "--no-bench", "-o", out)
    check("a finished run is not repeated", again.stderr.count("done before") == 6)
    check("its verdict is told again", again.stdout == (out / "README.txt").read_text())
    octet("auto", model, CIFAR / "calibration", "--preset", "cifar10", "--test", CIFAR / "test", "--no-bench", "-o", out,
          "--methods", "minmax", expect=2)


def rules(work):
    model = MODELS / "resnet20_cifar10.onnx"
    how = ["--preset", "cifar10"]
    some = work / "some"
    for i, d in enumerate(sorted((CIFAR / "test").iterdir())):
        (some / d.name).mkdir(parents=True)
        for f in sorted(d.iterdir())[:20 + i]:
            shutil.copy(f, some / d.name)
    report, _ = auto(work / "divided", model, some, *how)
    p = parts(work / "divided")
    check("one folder is divided", not set(p["test"]) & set(p["calibrate"] + p["choose"]) and report["images"] == len(p["test"])
          and sum(map(len, p.values())) == sum(20 + i for i in range(10)) and 0.1 < len(p["test"]) / 245 < 0.9)
    blind, _ = auto(work / "blind", model, some, *how, "--labels", "none")
    check("labels do not choose", same(work / "blind" / "choice.json", work / "divided" / "choice.json")
          and same(work / "blind" / "model.int8.engine", work / "divided" / "model.int8.engine"))
    check("without labels no accuracy", blind["labelled"] == 0 and "top1" not in blind["sides"][0]
          and "agreement" in blind["comparisons"][0])
    both = work / "both"
    shutil.copytree(CIFAR / "calibration" / "cat", both / "calibration")
    shared = sorted((some / "cat").iterdir())[:5]
    for f in shared:
        shutil.copy(f, both / "calibration" / f"copy-{f.name}")
    _, log = auto(work / "overlap", model, both / "calibration", *how, "--test", some)
    check("what is in both only judges", "5 pictures are in both" in log.stderr
          and len(parts(work / "overlap")["calibrate"]) + len(parts(work / "overlap")["choose"]) == 52)
    octet("auto", model, some, *how, "--test", some, "-o", work / "equal", expect=2)
    _, log = auto(work / "gate", model, some, *how, "--min-sqnr", 90, expect=1)
    check("a failing gate exits 1, the second time too", "1 of 1 gates not passed" in log.stderr
          and auto(work / "gate", model, some, *how, "--min-sqnr", 90, expect=1))
    # thresholds the network shipped with are not needed: engine by ONNX Runtime too
    x = np.random.default_rng(1).standard_normal((2, 3, 32, 32)).astype(np.float32)
    ref = session(model).run(None, {session(model).get_inputs()[0].name: x})[0]
    for target in ["trt", "ort"]:
        s = session(work / "divided" / f"model.{target}.qdq.onnx")
        y = s.run(None, {s.get_inputs()[0].name: x})[0]
        check(f"ONNX Runtime runs model.{target}.qdq.onnx", 10 * np.log10((ref**2).sum() / ((y - ref)**2).sum()) > 15)


def doubts(work):
    model = MODELS / "resnet20_cifar10.onnx"
    test = [model, model, CIFAR / "test", "--preset", "cifar10", "-n", 1000]
    bgr = work / "bgr.json"
    bgr.write_text('{"color": "BGR"}')
    said = lambda r, text: "preprocessing or label map?" in r.stderr and text in r.stderr
    check("wrong colour order is named", said(octet("evaluate", *test, "--config", bgr), "RGB order instead of BGR"))
    check("wrong range is named", said(octet("evaluate", *test[:3], "--preset", "none", "-n", 1000), "values 0..1"))
    kept = work / "kept"  # nine classes, so that a label may be one too large
    for number, d in enumerate(sorted((CIFAR / "test").iterdir())[:9]):
        (kept / d.name).mkdir(parents=True)
        for f in sorted(d.iterdir())[:100]:
            shutil.copy(f, kept / d.name / f"{number}-{f.name}")
    for what, text, label in [("shifted labels are", "labels smaller by one", lambda c: c + 1),
                              ("another label order is", "classes in another order", lambda c: (3 * c + 5) % 10)]:
        listed = work / "labels.txt"
        listed.write_text("".join(f"{f.relative_to(kept)} {label(int(f.name[0]))}\n" for f in kept.glob("*/*")))
        check(f"{what} named", said(octet("evaluate", model, model, kept, "--preset", "cifar10", "--labels", listed), text))
    r = octet("evaluate", *test)
    check("right ones raise nothing", "label map?" not in r.stderr)


def imagenet(work):
    model, images = MODELS / "mobilenetv1_025_128_imagenet.onnx", DATA / "imagenet100"
    config = work / "m.json"
    config.write_text(json.dumps({"resize": {"mode": "short", "size": 146, "kernel": "pillow-bilinear"}, "crop_rounding": "round-floor", "color": "RGB",
                                  "scale": 1 / 127.5, "mean": [1, 1, 1], "std": [1, 1, 1]}))
    labelled = ["--config", config, "--labels", images / "labels.txt"]
    calib = work / "half"
    calib.mkdir()
    for f in sorted((DATA / "coco48" / "images").glob("*.jpg")):
        shutil.copy(f, calib)
    report, log = auto(work / "imagenet", model, calib, "--test", images, *labelled, "--drop-class", 0)
    f32, int8 = report["sides"]
    print(f"  mobilenetv1_025: top-1 FP32 {f32['top1']:.2f} (table 0.50), top-5 {f32['top5']:.2f} (0.74), INT8 {int8['top1']:.2f}")
    check("top-1 and top-5 are the table's", abs(f32["top1"] - 0.50) <= 0.001 and abs(f32["top5"] - 0.74) <= 0.001)
    r = octet("evaluate", model, model, images, *labelled)
    check("without --drop-class it is proposed", "--drop-class 0" in r.stderr)


def detection(work):
    images, truth, model = DATA / "coco48" / "images", DATA / "coco48" / "instances.json", MODELS / "FastestDet.onnx"
    config = work / "bgr.json"
    config.write_text('{"color": "BGR"}')
    how = ["--preset", "deepstream", "--config", config]
    boxes = ["--labels", f"coco:{truth}"]
    report, _ = auto(work / "det", model, DATA / "imagenet100", *how, "--test", images, *boxes)
    f32, int8 = report["sides"]
    octet("pack", images, "--model", model, *how, "-o", work / "x.npy", "--format", "npy")
    x = np.load(work / "x.npy")
    s = session(model)
    y = np.concatenate([s.run(None, {s.get_inputs()[0].name: x[i:i + 1]})[0] for i in range(len(x))])
    (work / "y.json").write_text(json.dumps(y.tolist()))
    got = json.loads(octet("evaluate", model, f"outputs:{work / 'y.json'}", images, *how, *boxes, "--json").stdout)["sides"]
    print(f"  FastestDet: AP FP32 {f32['ap']:.5f} ONNX Runtime {got[1]['ap']:.5f} INT8 {int8['ap']:.5f}")
    for key in ["ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"]:
        check(f"{key} is that of ONNX Runtime's outputs to 1e-4", abs(f32[key] - got[1][key]) < 1e-4)
    check("INT8 within five points of AP", abs(int8["ap"] - f32["ap"]) < 0.05)
    divided, _ = auto(work / "det-one", model, images, *how, *boxes)
    check("annotated pictures are divided too", 0 < divided["images"] < 48 and not np.isnan(divided["sides"][0]["ap"]))


def peak_kb(*args):
    r = subprocess.run(["/usr/bin/time", "-f", "%M", OCTET, *map(str, args), "--progress=none", "-q", "-j2"],
                       capture_output=True, text=True)
    return int(r.stderr.strip().splitlines()[-1])


def memory(work):
    if not os.path.exists("/usr/bin/time"):
        print("  memory: skipped, no /usr/bin/time")
        return
    model, engine = MODELS / "resnet20_cifar10.onnx", work / "resnet20_cifar10" / "model.int8.engine"
    peak = {n: peak_kb("evaluate", model, engine, CIFAR / "test", "--preset", "cifar10", "-n", n) for n in (400, 4000)}
    print(f"  evaluate: peak of 400 images {peak[400]} KB, of 4,000 {peak[4000]} KB")
    check("flat memory", peak[4000] - peak[400] < 16 * 1024)


PARTS = [cifar, rules, doubts, imagenet, detection, memory]


def main():
    if not CIFAR.exists():
        print("skipped: ../shared/data is not here")
        return 77
    with tempfile.TemporaryDirectory() as tmp:
        for part in PARTS:
            print(part.__name__)
            part(pathlib.Path(tmp))
    print("failed: " + ", ".join(failures) if failures else "all as expected")
    return 1 if failures else 0


sys.exit(main())
