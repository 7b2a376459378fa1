#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`octet evaluate` on real photos against ONNX Runtime.

  - resnet20_cifar10, all 4,000 test photos: FP32 top-1 is ONNX Runtime's own count, 0.88575
  - outputs: of ONNX Runtime as a side give the model's figures; equal JSON for 1 and 2 threads
  - an INT8 engine loses at most one point; gates exit 0 and 1
  - FastestDet on coco48: ONNX Runtime's outputs as a side give octet's AP to 1e-4, as do pycocotools on boxes decoded
    here; an INT8 engine file runs
  - wrong labels are called suspect; without labels no accuracy is claimed
Usage: evaluate_oracle.py VENV_PYTHON OCTET
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
import subprocess
import tempfile

import numpy as np
import onnxruntime as ort
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

OCTET = sys.argv[2]
DATA = pathlib.Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
CIFAR, MODEL = DATA / "cifar10", DATA / "models" / "resnet20_cifar10.onnx"
MEAN = np.array([0.4914, 0.4822, 0.4465], np.float32)
STD = np.array([0.2470, 0.2435, 0.2616], np.float32)
failures = []


def check(what, ok):
    print(f"  {what}: {'ok' if ok else 'FAILED'}")
    if not ok:
        failures.append(what)


def octet(*args, expect=0):
    r = subprocess.run([OCTET, *map(str, args), "--force", "--progress=none"], capture_output=True, text=True)
    if r.returncode != expect:
        raise SystemExit(f"octet {args[0]} gave {r.returncode}, expected {expect}: {r.stderr[-500:]}")
    return r


def evaluate(*args, **kw):
    r = octet("evaluate", *args, "--json", **kw)
    return json.loads(r.stdout), r.stderr


def session(path):
    so = ort.SessionOptions()
    so.log_severity_level = 4
    return ort.InferenceSession(str(path), so, providers=["CPUExecutionProvider"])


def onnx_runtime(files):
    x = np.stack([((np.asarray(Image.open(f).convert("RGB"), np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)
                  for f in files]).astype(np.float32)
    s = session(MODEL)
    return s.run(None, {s.get_inputs()[0].name: x})[0]


def classification(work):
    test = CIFAR / "test"
    classes = sorted(d.name for d in test.iterdir())
    files = sorted(test.glob("*/*"), key=lambda f: str(f.relative_to(test)))
    label = np.array([classes.index(f.parent.name) for f in files])
    y = onnx_runtime(files)
    np.save(work / "ort.npy", y)
    octet("calibrate", MODEL, CIFAR / "calibration", "--preset", "cifar10", "-o", work / "s.h5")
    # one that differs enough from FP32 for the gates below to have something to say
    octet("build", MODEL, "--stats", work / "s.h5", "--activations", "s8", "--bias-correction", "off", "-o",
          work / "m.engine")
    sides = [MODEL, work / "m.engine", f"outputs:{work / 'ort.npy'}"]
    got, _ = evaluate(*sides, test, "--preset", "cifar10", "--max-drop", 1, "--min-agreement", 90)
    f32, int8, recorded = got["sides"]
    want = int((y.argmax(1) == label).sum())
    five = int((np.argsort(-y, 1, kind="stable")[:, :5] == label[:, None]).any(1).sum())
    print(f"  top-1 FP32 {f32['top1']:.5f}  ONNX Runtime {want / len(files):.5f}  INT8 {int8['top1']:.5f}")
    check("FP32 top-1 and top-5 are ONNX Runtime's", (f32["n_top1"], f32["n_top5"]) == (want, five))
    check("FP32 top-1 is 0.88575", f32["top1"] == 0.88575)
    check("outputs: gives the model's figures",
          (recorded["n_top1"], recorded["n_top5"]) == (f32["n_top1"], f32["n_top5"])
          and got["comparisons"][1]["agreement"] == 1 and got["comparisons"][1]["max_error"] < 1e-4)
    check("INT8 within one point", abs(int8["top1"] - f32["top1"]) <= 0.01)
    check("gates passed", all(g["verdict"] == "passed" for g in got["gates"]))

    some = [*sides[:2], test, "--preset", "cifar10", "--limit", 500]
    one, _ = evaluate(*some, "-j1")
    two, _ = evaluate(*some, "-j2")
    check("threads do not change the result", one == two)
    bad, _ = evaluate(*some, "--min-sqnr", 90, expect=1)
    check("a failing gate exits 1", bad["gates"][0]["verdict"] == "failed")
    r = octet("evaluate", *some, "--max-drop", 0.2, "--gate=confident", expect=1)
    check("too few images do not decide", "not decided by 500 images, about" in r.stdout)
    blind, _ = evaluate(*some, "--labels", "none")
    check("no accuracy without labels", blind["labelled"] == 0 and "top1" not in blind["sides"][0]
          and "agreement" in blind["comparisons"][0])
    wrong = work / "labels.txt"
    wrong.write_text("".join(f"{f.relative_to(test)} {(l + 3) % 10}\n" for f, l in zip(files, label)))
    lost, log = evaluate(*some, "--labels", wrong)
    check("wrong labels are suspect", lost["suspect"] and "preprocessing or label map?" in log)
    octet("evaluate", *sides, CIFAR / "calibration", "--preset", "cifar10", expect=4)


def boxes_of(y, width, height, image_id, category_id):
    """FastestDet's head [5 + C, H, W] to COCO results: per-class NMS at 0.65, the best 300, clipped."""
    h, w = y.shape[1:]
    gy, gx = np.mgrid[:h, :w]
    score = (y[0] ** 0.6 * y[5:].max(0) ** 0.4).ravel()
    cls = y[5:].argmax(0).ravel()
    cx, cy = ((np.tanh(y[1]) + gx) / w).ravel(), ((np.tanh(y[2]) + gy) / h).ravel()
    bw, bh = (1 / (1 + np.exp(-y[3]))).ravel(), (1 / (1 + np.exp(-y[4]))).ravel()
    box = np.stack([cx - bw / 2, cy - bh / 2, cx + bw / 2, cy + bh / 2], 1) * [width, height, width, height]
    kept = []
    for i in np.argsort(-score, kind="stable"):
        if score[i] < 0.001 or len(kept) == 300:
            break
        if all(cls[k] != cls[i] or iou(box[k], box[i]) <= 0.65 for k in kept):
            kept.append(i)
    box = np.clip(box, 0, [width, height, width, height])  # to the picture, after NMS
    return [{"image_id": image_id, "category_id": category_id[int(cls[i])], "score": float(score[i]),
             "bbox": [*map(float, box[i][:2]), *map(float, box[i][2:] - box[i][:2])]} for i in kept]


def iou(a, b):
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0
    area = lambda r: (r[2] - r[0]) * (r[3] - r[1])
    return w * h / (area(a) + area(b) - w * h)


def detection(work):
    images, truth, model = DATA / "coco48" / "images", DATA / "coco48" / "instances.json", DATA / "models" / "FastestDet.onnx"
    config = work / "bgr.json"
    config.write_text('{"color": "BGR"}')
    how = ["--preset", "deepstream", "--config", config]
    octet("pack", images, "--model", model, *how, "-o", work / "x.npy", "--format", "npy")
    x = np.load(work / "x.npy")
    s = session(model)
    y = np.concatenate([s.run(None, {s.get_inputs()[0].name: x[i:i + 1]})[0] for i in range(len(x))])
    np.save(work / "y.npy", y)
    octet("calibrate", model, images, *how, "-o", work / "d.h5")
    octet("build", model, "--stats", work / "d.h5", "-o", work / "d.engine")
    got, _ = evaluate(model, f"outputs:{work / 'y.npy'}", work / "d.engine", images, *how, "--labels", f"coco:{truth}")
    f32, recorded, int8 = got["sides"]

    coco = COCO(str(truth))
    by_name = {i["file_name"]: i for i in coco.dataset["images"]}
    ids = sorted(c["id"] for c in coco.dataset["categories"])
    found = []
    for name, row in zip(sorted(str(f.relative_to(images)) for f in images.rglob("*.jpg")), y):
        i = by_name[name]
        found += boxes_of(row.astype(np.float64), i["width"], i["height"], i["id"], ids)
    e = COCOeval(coco, coco.loadRes(found), "bbox")
    e.evaluate(), e.accumulate(), e.summarize()
    print(f"  AP FP32 {f32['ap']:.5f}  outputs: {recorded['ap']:.5f}  pycocotools {e.stats[0]:.5f}  INT8 {int8['ap']:.5f}")
    for i, key in enumerate(["ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"]):
        check(f"{key} of outputs: is the model's", abs(f32[key] - recorded[key]) < 1e-4)
        check(f"{key} is pycocotools'", abs(f32[key] - e.stats[i]) < 1e-4)
    check("INT8 within five points of AP", abs(int8["ap"] - f32["ap"]) < 0.05)


def main():
    if not MODEL.exists():
        print("skipped: ../shared/data is not here")
        return 77
    with tempfile.TemporaryDirectory() as tmp:
        classification(pathlib.Path(tmp))
        detection(pathlib.Path(tmp))
    print("failed: " + ", ".join(failures) if failures else "all as expected")
    return 1 if failures else 0


sys.exit(main())
