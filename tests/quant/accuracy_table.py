#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""INT8 beside FP32, by `octet` alone: every method, biases corrected and not, s8 and mixed activations, over photos.

usage: accuracy_table.py OCTET [MODEL...]

CIFAR-10 networks: calibrated on the 520 calibration photos, judged on 500 test photos (all 4,000
with OCT_CIFAR10_ALL=1): top-1, its difference to FP32 with McNemar's p, agreement, output SQNR. The method
that `octet auto` takes, which sees neither labels nor test photos, is marked. ImageNet networks: calibrated on
the COCO photos, judged on the 100 ImageNet photos.
`within` says whether the loss is at most 0.3 points, whatever the chance. Fails if the default method, or the one
that auto takes, loses more in the default variant, which is mixed; on 500 photos, where one photo is 0.2 points, only
beyond 1.0 point and beyond what chance explains (p < 0.05). Or if an ImageNet network agrees on fewer than 75 of 100.
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
MAX_LOSS = 0.3
VARIANTS = {"biases as they are, s8": ("--activations", "s8", "--bias-correction", "off"),
            "corrected, s8": ("--activations", "s8"),
            "corrected, mixed (default on a CPU)": ("--activations", "mixed")}
DEFAULT = 2
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
    """An engine a method, variant by variant."""
    made = []
    for number, options in enumerate(VARIANTS.values()):
        for method in METHODS:
            made.append(work / f"{method}-{number}.engine")
            octet("build", model, "--stats", stats, "--method", method, *options, "-o", made[-1], "--force", "-q")
    return made


def judge(model, stats, images, work, *options):
    """FP32's top-1, and for each method what was measured of each variant."""
    octet("evaluate", model, *engines(model, stats, work), images, "--config", work / "c.json", *options,
          "-q", f"--json={work / 'e.json'}", "--force")
    result = json.loads((work / "e.json").read_text())
    measured = [{**c, "top1": s["top1"]} for s, c in zip(result["sides"][1:], result["comparisons"])]
    return result["sides"][0]["top1"], {m: measured[i::len(METHODS)] for i, m in enumerate(METHODS)}


def choose(model, work):
    """The method that `octet auto` takes."""
    octet("auto", model, DATA / "cifar10/calibration", "--config", work / "c.json", "--test",
          DATA / "cifar10/test", "--test-limit", 10, "--no-bench", "-o", work / "auto", "-q")
    return json.loads((work / "auto/choice.json").read_text())["chosen"].split(":")[0]


def show(name, method, fp32, variants, notes):
    def side(c):
        return (f"{100 * c['top1']:7.3f} {100 * c['top1_difference']:+7.3f} {c['mcnemar_p']:5.2f} "
                f"{100 * c['agreement']:6.2f} {c['sqnr_db']:6.2f}")
    print(f"{name:28s} {method:10s} {100 * fp32:7.3f} | {' | '.join(map(side, variants))} | {' '.join(notes)}",
          flush=True)


def loss_of(comparison):
    return -100 * comparison["top1_difference"]


def cifar(name, work):
    model = DATA / f"models/{name}.onnx"
    (work / "c.json").write_text(json.dumps(CIFAR[name]))
    best = choose(model, work)
    octet("calibrate", model, DATA / "cifar10/calibration", "--config", work / "c.json", "-o",
          work / "s.h5", "-q", "--force")
    limit = [] if ALL else ["--limit", 500, "--subset", "stratified"]
    fp32, measured = judge(model, work / "s.h5", DATA / "cifar10/test", work, *limit)
    for m in METHODS:
        c = measured[m][DEFAULT]
        within = loss_of(c) <= MAX_LOSS + 1e-9
        bad = m in ("mse", best) and not within and (
            ALL or (loss_of(c) > 1.0 + 1e-9 and c["mcnemar_p"] < 0.05))
        notes = ["yes" if within else "no ", *(["default"] if m == "mse" else []),
                 *(["auto"] if m == best else []), *(["BAD"] if bad else [])]
        show(name, m, fp32, measured[m], notes)
        if bad:
            failures.append(f"{name} {m}")


def imagenet(name, work):
    offset, config = IMAGENET[name]
    model = DATA / f"models/{name}.onnx"
    (work / "c.json").write_text(json.dumps(config))
    octet("calibrate", model, DATA / "coco48", "--labels", "none", "--config", work / "c.json", "-o",
          work / "s.h5", "-q", "--force")
    fp32, measured = judge(model, work / "s.h5", DATA / "imagenet100", work, "--labels",
                           DATA / "imagenet100/labels.txt", "--label-offset", offset)
    for m in METHODS:
        bad = m == "mse" and measured[m][DEFAULT]["agreement"] < 0.75
        show(name, m, fp32, measured[m], ["BAD"] if bad else [])
        if bad:
            failures.append(f"{name} {m}")


def main():
    if not (DATA / "cifar10").exists():
        print("skipped: ../shared/data is not here")
        return 77
    columns = f"{'INT8 %':>7s} {'points':>7s} {'p':>5s} {'same %':>6s} {'SQNR':>6s}"
    print(f"{'':47s} | " + " | ".join(f"{v:35s}" for v in VARIANTS))
    print(f"{'model':28s} {'method':10s} {'FP32 %':>7s} | {' | '.join([columns] * len(VARIANTS))} | within {MAX_LOSS}")
    for table, work_on in ((CIFAR, cifar), (IMAGENET, imagenet)):
        for name in table:
            if ONLY and name not in ONLY:
                continue
            with tempfile.TemporaryDirectory() as tmp:
                work_on(name, pathlib.Path(tmp))
    print("failed: " + ", ".join(failures) if failures else "all within bounds")
    return 1 if failures else 0


sys.exit(main())
