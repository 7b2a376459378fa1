#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares decoding, resizing and normalising with the programs that the presets name.

Usage: datasets_oracle.py DUMP-PROGRAM DATA-DIR      (in a venv with Pillow, OpenCV, NumPy)

Decoded pixels must be equal, pixels after resizing within 1 LSB (Pillow: equal), final floats
within 1e-5 where the pixels agree. Prints the maxima. Skips (77) without data or packages.
"""
import json
import math
import pathlib
import subprocess
import sys
import tempfile

try:
    import cv2
    import numpy as np
    from PIL import Image, ImageOps
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)

FAILURES = []
SHORT_RATIO = {"imagenet": 256 / 224, "imagenet-v2": 232 / 224, "tf-inception": 1 / 0.875}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NORM = {
    "imagenet": (MEAN, STD), "imagenet-v2": (MEAN, STD), "tf-inception": ((0.5,) * 3, (0.5,) * 3),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)), "mnist": ((0.0,), (1.0,)),
}


class Dump:
    """The helper program, one job at a time."""

    def __init__(self, program, folder):
        self.out = str(pathlib.Path(folder) / "out.npy")
        self.p = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, kind, file, *fields):
        self.p.stdin.write("\t".join([kind, str(file), self.out, *map(str, fields)]) + "\n")
        self.p.stdin.flush()
        answer = self.p.stdout.readline().strip()
        if answer != "ok":
            return None, answer
        return np.load(self.out), ""


def expect(ok, text):
    if not ok:
        FAILURES.append(text)
        print("FAILED", text)


# ---- the programs, as their documentation and sources define them ---------------------------

def pillow_open(path, gray=False, exif=False):
    im = Image.open(path)
    if exif:
        im = ImageOps.exif_transpose(im)
    return im.convert("L" if gray else "RGB")


def resize_rows_first(im, size, kernel):
    """The order of passes in every Pillow before 13 (13 sometimes does columns first)."""
    return im.resize((size[0], im.height), kernel).resize(size, kernel)


def torchvision_pixels(path, short, side):
    """Resize(short), CenterCrop(side) of torchvision.transforms on a PIL image."""
    im = pillow_open(path)
    w, h = im.size
    if min(w, h) != short:
        new = (short, int(short * h / w)) if w <= h else (int(short * w / h), short)
        im = im.resize(new, Image.BILINEAR)
    w, h = im.size
    top, left = int(round((h - side) / 2.0)), int(round((w - side) / 2.0))
    return np.asarray(im.crop((left, top, left + side, top + side)))


def stretched_pixels(path, side, gray):
    im = pillow_open(path, gray)
    return np.asarray(im if im.size == (side, side) else im.resize((side, side), Image.BILINEAR))


def caffe_pixels(path, short, side):
    im = cv2.imread(str(path), cv2.IMREAD_COLOR)
    h, w = im.shape[:2]
    new = (short, max(1, int(short * h / w))) if w <= h else (max(1, int(short * w / h)), short)
    if new != (w, h):
        im = cv2.resize(im, new, interpolation=cv2.INTER_LINEAR)
    h, w = im.shape[:2]
    top, left = (h - side) // 2, (w - side) // 2
    return im[top:top + side, left:left + side]


def letterbox_pixels(path, side):
    """ultralytics.data.augment.LetterBox(auto=False, scaleup=True, center=True)."""
    im = cv2.imread(str(path), cv2.IMREAD_COLOR)
    h, w = im.shape[:2]
    r = min(side / h, side / w)
    new = max(1, round(w * r)), max(1, round(h * r))
    dw, dh = (side - new[0]) / 2, (side - new[1]) / 2
    if (w, h) != new:
        im = cv2.resize(im, new, interpolation=cv2.INTER_LINEAR)
    top, bottom = round(dh - 0.1), round(dh + 0.1)
    left, right = round(dw - 0.1), round(dw + 0.1)
    im = cv2.copyMakeBorder(im, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(114,) * 3)
    return im[..., ::-1]


def caffe_floats(pixels):
    bgr = pixels[..., ::-1].astype(np.float32) - np.float32((103.939, 116.779, 123.68))
    return bgr.transpose(2, 0, 1)


def normalise(pixels, mean, std):
    """ToTensor and Normalize: float32 arithmetic, as PyTorch does it."""
    x = pixels.reshape(*pixels.shape[:2], -1).astype(np.float32) / np.float32(255)
    x = (x - np.float32(mean)) / np.float32(std)
    return x.transpose(2, 0, 1)


# ---- checks ----------------------------------------------------------------------------------

def check_decoding(dump, files):
    worst, n, refused = 0, 0, []
    for f in files:
        for gray in (False, True):
            for rules in ("pillow", "opencv"):
                ours, why = dump("decode", f, rules, "gray" if gray else "color",
                                 "exif" if rules == "opencv" else "plain")
                try:
                    if rules == "pillow":
                        want = np.asarray(pillow_open(f, gray))
                    else:
                        want = cv2.imread(str(f), cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR)
                        want = want if want is None or gray else want[..., ::-1]
                except Exception:
                    want = None
                if ours is None or want is None:
                    refused.append((f.name, rules, ours is None, want is None, why))
                    continue
                d = np.abs(ours.reshape(want.shape).astype(int) - want).max() \
                    if ours.size == want.size else 999
                # OpenCV's CMYK-to-grey has weights of its own; no preset takes that way
                limit = 1 if f.name == "cmyk.jpg" and rules == "opencv" and gray else 0
                expect(d <= limit, f"decode {f.name} {rules} {'gray' if gray else 'color'}: {d} LSB")
                worst, n = max(worst, d - limit), n + 1
    return worst, n, refused


def check_pixels(dump, name, files, config, sides, reference, limit):
    worst, n, share = 0, 0, 0.0
    for f in files:
        for side in sides:
            ours, why = dump("pixels", f, json.dumps(config), side, side)
            want = reference(f, side)
            expect(ours is not None, f"{name} {f.name}: {why}")
            if ours is None:
                continue
            d = np.abs(ours.reshape(want.shape).astype(int) - want)
            expect(d.max() <= limit, f"{name} {f.name} side {side}: {d.max()} LSB")
            worst, n, share = max(worst, d.max()), n + 1, max(share, (d > 0).mean())
    print(f"pixels  {name:14} {n:4} pictures, max difference {worst} LSB"
          f" (at most {100 * share:.3f} % of a picture's bytes)")


def check_floats(dump, name, files, sides, reference, to_floats):
    """Floats must agree wherever the pixels before them do."""
    worst, n = 0.0, 0
    for f in files:
        for side in sides:
            config = json.dumps({"preset": name})
            pixels, why = dump("pixels", f, config, side, side)
            floats, why2 = dump("tensor", f, config, side, side)
            expect(pixels is not None and floats is not None, f"{name} {f.name}: {why}{why2}")
            want = reference(f, side)
            same = to_floats(pixels) == to_floats(want)
            d = np.abs(floats - to_floats(want))[same].max()
            expect(same.mean() > 0.9 and d <= 1e-5, f"floats {name} {f.name}: {d:g}")
            worst, n = max(worst, float(d)), n + 1
    print(f"floats  {name:14} {n:4} pictures, max difference {worst:.3g}")


def check_kernels(dump, files):
    """Every resize kernel, growing and shrinking, against its program."""
    cases = {
        "pillow-bilinear": (lambda im, s: resize_rows_first(im, s, Image.BILINEAR), False, 0),
        "pillow-bicubic": (lambda im, s: resize_rows_first(im, s, Image.BICUBIC), False, 0),
        "nearest": (lambda im, s: im.resize(s, Image.NEAREST), False, 0),
        "opencv-linear": (lambda im, s: cv2.resize(im, s, interpolation=cv2.INTER_LINEAR), True, 1),
        "opencv-area": (lambda im, s: cv2.resize(im, s, interpolation=cv2.INTER_AREA), True, 1),
    }
    for kernel, (resize, is_cv, limit) in cases.items():
        worst, n = 0, 0
        for f in files:
            for h, w in ((224, 224), (97, 161), (640, 480), (33, 900), (250, 187)):
                cfg = {"decoder": "opencv" if is_cv else "pillow",
                       "resize": {"mode": "exact", "kernel": kernel}}
                ours, why = dump("pixels", f, json.dumps(cfg), h, w)
                im = cv2.imread(str(f), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)[..., ::-1] \
                    if is_cv else pillow_open(f)
                want = np.asarray(resize(np.ascontiguousarray(im) if is_cv else im, (w, h)))
                expect(ours is not None, f"{kernel} {f.name}: {why}")
                d = np.abs(ours.astype(int) - want).max()
                expect(d <= limit, f"{kernel} {f.name} {w}x{h}: {d} LSB")
                worst, n = max(worst, d), n + 1
        print(f"kernel  {kernel:16} {n:4} resizes, max difference {worst} LSB")


def make_cmyk(folder, source):
    """CMYK and YCCK files do not occur in the data: make them, with all subsamplings beside."""
    im = Image.open(source).convert("RGB")
    made = []
    for name, mode, options in (("cmyk", "CMYK", {}), ("prog", "RGB", {"progressive": True}),
                                ("s444", "RGB", {"subsampling": 0}), ("s422", "RGB", {"subsampling": 1}),
                                ("s411", "RGB", {"subsampling": "4:1:1"}), ("gray", "L", {}),
                                ("restart", "RGB", {"restart_marker_blocks": 3})):
        path = pathlib.Path(folder) / f"{name}.jpg"
        im.convert(mode).save(path, quality=90, **options)
        made.append(path)
    for k in range(1, 9):
        path = pathlib.Path(folder) / f"exif{k}.jpg"
        exif = Image.Exif()
        exif[0x0112] = k
        im.save(path, quality=90, exif=exif)
        made.append(path)
    return made


def main(program, data):
    data = pathlib.Path(data)
    if not (data / "imagenet100").is_dir():
        print("skipped: no", data)
        sys.exit(77)
    photos = sorted((data / "imagenet100").glob("*.JPEG"))
    coco = sorted((data / "coco48" / "images").glob("*"))
    odd = sorted((data / "odd-images").rglob("*.*"))
    exif = sorted((data / "odd-images" / "exif").glob("*"))
    cifar = sorted((data / "cifar10" / "test").rglob("*.jp*g"))[:200]
    print(f"Pillow {Image.__version__}, OpenCV {cv2.__version__}, NumPy {np.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        dump = Dump(program, folder)
        made = make_cmyk(folder, photos[0])
        worst, n, refused = check_decoding(dump, photos[:30] + coco[:10] + odd + made)
        print(f"decoded {n} times, max difference {worst} LSB")
        ours_only = sorted({(r[0], r[4]) for r in refused if r[2] and not r[3]})
        theirs_only = sorted({(r[0], r[1]) for r in refused if r[3] and not r[2]})
        both = sorted({r[0] for r in refused if r[2] and r[3]})
        print(f"refused by both: {' '.join(both)}")
        print("refused by us alone:", *(f"\n    {n}: {w}" for n, w in ours_only))
        print("refused by the reference alone:", *(f"\n    {n} ({r})" for n, r in theirs_only))
        check_kernels(dump, photos[:6] + coco[:3] + made[:1])
        for name, ratio in SHORT_RATIO.items():
            def pixels(f, s, r=ratio):
                return torchvision_pixels(f, math.floor(s * r + 1e-9), s)
            check_pixels(dump, name, photos + coco + exif, {"preset": name}, (224,), pixels, 1)
            check_floats(dump, name, photos[:20] + exif, (224,), pixels,
                         lambda p, n=name: normalise(p, *NORM[n]))
        check_pixels(dump, "cifar10", cifar, {"preset": "cifar10"}, (32,),
                     lambda f, s: stretched_pixels(f, s, False), 0)
        check_floats(dump, "cifar10", cifar, (32,), lambda f, s: stretched_pixels(f, s, False),
                     lambda p: normalise(p, *NORM["cifar10"]))
        check_pixels(dump, "mnist", photos[:20], {"preset": "mnist"}, (28,),
                     lambda f, s: stretched_pixels(f, s, True), 1)
        check_pixels(dump, "caffe-bgr", photos + coco + exif, {"preset": "caffe-bgr"}, (224,),
                     lambda f, s: caffe_pixels(f, 256, s)[..., ::-1], 1)
        check_floats(dump, "caffe-bgr", photos[:20] + exif, (224,),
                     lambda f, s: caffe_pixels(f, 256, s)[..., ::-1], caffe_floats)
        check_pixels(dump, "yolo", photos + coco + exif, {"preset": "yolo"}, (640, 416),
                     letterbox_pixels, 1)
        check_floats(dump, "yolo", coco + exif, (640,), letterbox_pixels,
                     lambda p: normalise(p, (0, 0, 0), (1, 1, 1)))
    print(f"{len(FAILURES)} failures")
    return 1 if FAILURES else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
