#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""oct_coco_evaluate equals pycocotools to 1e-6 on generated detections, and on ../shared/data/coco48.

Cases: crowds, all sizes, more than 100 detections a cell, equal scores, empty images, categories
without ground truth, no detections at all. Usage: coco_eval_oracle.py VENV_PYTHON DRIVER
"""
import os
import subprocess
import sys

if len(sys.argv) == 3:
    if not sys.argv[1]:
        print("skipped: no oracle venv (tools/test.sh makes one)")
        sys.exit(1 if os.environ.get("CI") == "true" else 77)
    os.execv(sys.argv[1], [sys.argv[1], __file__, "run", sys.argv[2], ""])

import contextlib
import io
import json
import pathlib

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

DRIVER = sys.argv[2]
TOLERANCE = 1e-6


def generate(rng, n_images, n_categories, n_gt, n_det, ties):
    gt, det = [], []
    for i in range(n_gt):
        w, h = np.exp(rng.uniform(np.log(4), np.log(300), 2))
        x, y = rng.uniform(0, 400, 2)
        gt.append(dict(id=i + 1, image_id=int(rng.integers(n_images)), category_id=int(rng.integers(n_categories)),
                       bbox=[x, y, w, h], area=w * h * rng.uniform(0.4, 1.0), iscrowd=int(rng.random() < 0.08)))
    for _ in range(n_det):
        if gt and rng.random() < 0.7:
            g = gt[int(rng.integers(len(gt)))]
            box = np.array(g["bbox"]) * rng.normal(1, 0.08, 4)
            image, category = g["image_id"], g["category_id"]
        else:
            box = np.concatenate([rng.uniform(0, 400, 2), rng.uniform(5, 200, 2)])
            image, category = int(rng.integers(n_images)), int(rng.integers(n_categories))
        score = rng.random()
        det.append(dict(image_id=image, category_id=category, bbox=[float(v) for v in box],
                        score=round(score, 1) if ties else score))
    return gt, det


def reference(n_images, n_categories, gt, det):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = dict(images=[dict(id=i) for i in range(n_images)], annotations=gt,
                            categories=[dict(id=i) for i in range(n_categories)])
        coco.createIndex()
        if det:
            dt = coco.loadRes(det)
        else:
            dt = COCO()
            dt.dataset = dict(coco.dataset, annotations=[])
            dt.createIndex()
        e = COCOeval(coco, dt, "bbox")
        e.evaluate()
        e.accumulate()
        e.summarize()
    return np.array(e.stats)


def ours(n_images, n_categories, gt, det):
    lines = [f"coco {n_images} {n_categories} {len(gt)} {len(det)}"]
    for g in gt:
        lines.append(" ".join([str(g["image_id"]), str(g["category_id"])] + [repr(float(v)) for v in g["bbox"]] +
                              [repr(float(g["area"])), str(g["iscrowd"])]))
    for d in det:
        lines.append(" ".join([str(d["image_id"]), str(d["category_id"])] + [repr(float(v)) for v in d["bbox"]] +
                              [repr(float(d["score"]))]))
    out = subprocess.run([DRIVER], input="\n".join(lines), text=True, capture_output=True, check=True).stdout
    v = np.array([float(x) for x in out.split()])
    assert v[12] == 0 and v[13] == 0, "a side bootstrapped against itself must differ by 0"
    return v[:12]


def coco48():
    """Real boxes, detections made from them by jitter."""
    path = pathlib.Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "coco48" / "instances.json"
    if not path.exists():
        print("coco48: not here, left out")
        return None
    d = json.loads(path.read_text())
    images = {im["id"]: i for i, im in enumerate(sorted(d["images"], key=lambda im: im["id"]))}
    cats = {c["id"]: i for i, c in enumerate(sorted(d["categories"], key=lambda c: c["id"]))}
    gt = [dict(id=i + 1, image_id=images[a["image_id"]], category_id=cats[a["category_id"]], bbox=a["bbox"],
               area=a["area"], iscrowd=a.get("iscrowd", 0)) for i, a in enumerate(d["annotations"])]
    rng = np.random.default_rng(48)
    det = [dict(image_id=g["image_id"], category_id=g["category_id"],
                bbox=[float(v) for v in np.array(g["bbox"]) * rng.normal(1, 0.1, 4)], score=float(rng.random()))
           for g in gt for _ in range(3)]
    return len(images), len(cats), gt, det


def main():
    rng = np.random.default_rng(7)
    cases = {}
    for name, n_images, n_categories, n_gt, n_det, ties in [
            ("small", 5, 3, 20, 60, False), ("ties", 10, 4, 80, 400, True), ("crowded", 2, 1, 60, 700, False),
            ("sparse", 40, 20, 15, 100, False), ("no detections", 5, 2, 10, 0, False), ("large", 200, 30, 1500, 9000, True)]:
        cases[name] = (n_images, n_categories, *generate(rng, n_images, n_categories, n_gt, n_det, ties))
    real = coco48()
    if real:
        cases["coco48"] = real
    worst = 0.0
    for name, case in cases.items():
        a, b = reference(*case), ours(*case)
        gap = float(np.abs(a - b).max())
        worst = max(worst, gap)
        print(f"{name:14s} AP {a[0]:.4f} ours {b[0]:.4f}  largest gap of 12 numbers {gap:.2e}")
    print(f"worst {worst:.2e}, allowed {TOLERANCE}")
    return 0 if worst <= TOLERANCE else 1


sys.exit(main())
