#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""INT8 beside FP32, by `octet` alone: every method, over labelled photos.

usage: accuracy_table.py OCTET [MODEL...]

CIFAR-10 networks: calibrated on the 520 calibration photos, judged on 500 test photos (all 4,000
with OCT_CIFAR10_ALL=1): top-1, its difference to FP32, the output SQNR on both sets. The method that
wins by SQNR on calibration photos which its own statistics have not seen is marked: what a choice
without labels and test photos takes. ImageNet networks: calibrated on the COCO photos, judged on
the 100 ImageNet photos: agreement with FP32 and top-1.
Fails if the default method, or the one so chosen, loses more than 0.3 points (1.0 on 500 photos, where
one photo is 0.2) and the loss is beyond what chance explains (McNemar p < 0.05), or if an ImageNet
network agrees on fewer than 75 of 100.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

OCTET, ONLY = sys.argv[1], sys.argv[2:]
DATA = pathlib.Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
ALL = os.environ.get("OCT_CIFAR10_ALL") == "1"
MAX_LOSS = 0.3 if ALL else 1.0
METHODS = ("mse", "entropy", "percentile", "minmax")
IMAGENET_NORM = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
CIFAR = {
    "resnet20_cifar10": {"preset": "cifar10"},
    "mobilenet_cifar10": {"preset": "cifar10"},
    "mlperf_resnet8_cifar10": {"preset": "none"},
    "cifar10_resnet20": {"preset": "cifar10", **IMAGENET_NORM},
}
IMAGENET = {
    "mobilenetv1_025_128_imagenet": (1, {"preset": "tf-inception", "size": [128, 128],
                                         "resize": {"mode": "short", "size": 146,
                                                    "kernel": "pillow-bilinear"}}),
    "SqueezeNet_fp16": (0, {"preset": "caffe-bgr"}),
}
failures = []


def octet(*args):
    run = subprocess.run([OCTET, *map(str, args)], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"octet {' '.join(map(str, args))}: {run.stderr[-500:]}")


def engines(model, stats, work):
    made = []
    for method in METHODS:
        made.append(work / f"{method}.engine")
        octet("build", model, "--stats", stats, "--method", method, "-o", made[-1], "--force", "-q")
    return made


def judge(model, made, images, work, *options):
    """Reference side and a comparison a method."""
    octet("evaluate", model, *made, images, "--config", work / "c.json", *options, "-q",
          f"--json={work / 'e.json'}", "--force")
    result = json.loads((work / "e.json").read_text())
    return result["sides"], dict(zip(METHODS, result["comparisons"]))


def choose(model, work):
    """The method whose outputs are nearest to FP32's on photos its statistics have not seen."""
    photos = sorted((DATA / "cifar10/calibration").resolve().glob("*/*"))
    seen, unseen = work / "seen.txt", work / "unseen.txt"
    seen.write_text("".join(f"{p}\n" for i, p in enumerate(photos) if i % 4))
    unseen.write_text("".join(f"{p}\n" for p in photos[::4]))
    octet("calibrate", model, seen, "--labels", "none", "--config", work / "c.json", "-o",
          work / "part.h5", "-q", "--force")
    compared = judge(model, engines(model, work / "part.h5", work), unseen, work, "--labels",
                     "none")[1]
    return max(METHODS, key=lambda m: compared[m]["sqnr_db"]), compared


def cifar(name, work):
    model = DATA / f"models/{name}.onnx"
    (work / "c.json").write_text(json.dumps(CIFAR[name]))
    best, held_back = choose(model, work)
    octet("calibrate", model, DATA / "cifar10/calibration", "--config", work / "c.json", "-o",
          work / "s.h5", "-q", "--force")
    limit = [] if ALL else ["--limit", 500, "--subset", "stratified"]
    sides, compared = judge(model, engines(model, work / "s.h5", work), DATA / "cifar10/test", work,
                            *limit)
    for m, side in zip(METHODS, sides[1:]):
        c = compared[m]
        loss = -100 * c["top1_difference"]
        bad = m in ("mse", best) and loss > MAX_LOSS + 1e-9 and c["mcnemar_p"] < 0.05
        print(f"{name:30s} {m:11s} {100 * sides[0]['top1']:7.3f} {100 * side['top1']:7.3f} {-loss:+7.3f} "
              f"{c['mcnemar_p']:6.2f} {100 * c['agreement']:7.2f} {c['sqnr_db']:6.2f} "
              f"{held_back[m]['sqnr_db']:6.2f}{'  chosen' if m == best else ''}{'  BAD' if bad else ''}",
              flush=True)
        if bad:
            failures.append(f"{name} {m}")


def imagenet(name, work):
    offset, config = IMAGENET[name]
    model = DATA / f"models/{name}.onnx"
    (work / "c.json").write_text(json.dumps(config))
    octet("calibrate", model, DATA / "coco48", "--labels", "none", "--config", work / "c.json", "-o",
          work / "s.h5", "-q", "--force")
    sides, compared = judge(model, engines(model, work / "s.h5", work), DATA / "imagenet100", work,
                            "--labels", DATA / "imagenet100/labels.txt", "--label-offset", offset)
    for m, side in zip(METHODS, sides[1:]):
        c = compared[m]
        bad = m == "mse" and c["agreement"] < 0.75
        print(f"{name:30s} {m:11s} {100 * sides[0]['top1']:7.3f} {100 * side['top1']:7.3f} "
              f"{100 * c['top1_difference']:+7.3f} {c['mcnemar_p']:6.2f} {100 * c['agreement']:7.2f} "
              f"{c['sqnr_db']:6.2f}{'  BAD' if bad else ''}", flush=True)
        if bad:
            failures.append(f"{name} {m}")


def main():
    if not (DATA / "cifar10").exists():
        print("skipped: ../shared/data is not here")
        return 77
    print(f"{'model':30s} {'method':11s} {'FP32 %':>7s} {'INT8 %':>7s} {'points':>7s} {'p':>6s} {'same %':>7s} "
          f"{'SQNR':>6s} {'unseen calibration photos, dB':s}")
    for table, work_on in ((CIFAR, cifar), (IMAGENET, imagenet)):
        for name in table:
            if ONLY and name not in ONLY:
                continue
            with tempfile.TemporaryDirectory() as tmp:
                work_on(name, pathlib.Path(tmp))
    print("failed: " + ", ".join(failures) if failures else "all within bounds")
    return 1 if failures else 0


sys.exit(main())
