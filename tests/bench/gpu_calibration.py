#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calibration on the GPU: wall time, host and GPU memory by the number of images.

    gpu_calibration.py OCTET MODEL.onnx PHOTOS [--images 64,512] [--distinct 512] [--device cuda]
                       [--json FILE]

PHOTOS is a folder of a few photos; they are re-encoded, each a little differently, into --distinct
JPEG files of ImageNet's size (500x375); more images than that are further names of these files.
"after loading" is the time from the first to the last progress report, which the program writes
itself. "host" is the peak of the process; "of it anonymous" what it allocated at the highest (the
rest are pages of files: libraries, the driver's memory, pictures).
Exit 1 if either memory grows by more than 5 % from the second number of images to the last.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from PIL import Image


def make_images(photos, out, n):
    files = sorted(p for p in pathlib.Path(photos).rglob("*") if p.suffix.lower() in
                   (".jpg", ".jpeg", ".png"))
    pictures = [Image.open(f).convert("RGB").resize((500, 375)) for f in files[:16]]
    for i in range(n):
        picture = pictures[i % len(pictures)]
        shift = i // len(pictures)
        moved = picture.transform(picture.size, Image.AFFINE, (1, 0, shift, 0, 1, shift),
                                  resample=Image.BILINEAR)
        moved.save(out / f"{i:05}.jpg", quality=92)


def link_images(made, out, n):
    files = sorted(made.iterdir())
    out.mkdir()
    for i in range(n):
        os.link(files[i % len(files)], out / f"{i:05}.jpg")


class GpuMemory(threading.Thread):
    """The largest use of the GPU's memory while it runs, in MiB."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak, self.done = 0, threading.Event()

    def run(self):
        while shutil.which("nvidia-smi") and not self.done.wait(0.05):
            text = subprocess.run(["nvidia-smi", "--query-gpu=memory.used",
                                   "--format=csv,noheader,nounits"],
                                  capture_output=True, text=True, check=False).stdout
            values = [int(v) for v in text.split() if v.isdigit()]
            self.peak = max([self.peak, *values])


class HostMemory(threading.Thread):
    """The largest anonymous memory of a process, in MiB."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak, self.done = pid, 0.0, threading.Event()

    def run(self):
        while not self.done.wait(0.02):
            try:
                text = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
            except OSError:
                return
            for line in text.splitlines():
                if line.startswith("RssAnon:"):
                    self.peak = max(self.peak, int(line.split()[1]) / 1024)


def progress_span(lines):
    """Seconds between the first and the last progress report."""
    times = [t for t, line in lines if '"done"' in line]
    return times[-1] - times[0] if len(times) > 1 else 0.0


def measure(args, folder, out):
    command = [args.octet, "calibrate", args.model, str(folder), "--preset", "imagenet", "-o",
               str(out), "--device", args.device, "--progress=json", "--force"]
    memory = GpuMemory()
    memory.start()
    start = time.monotonic()
    lines = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          text=True) as p:
        host = HostMemory(p.pid)
        host.start()
        for line in p.stderr:
            lines.append((time.monotonic() - start, line))
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = status
    wall = time.monotonic() - start
    memory.done.set()
    host.done.set()
    if status != 0:
        sys.exit("".join(line for _, line in lines[-5:]) or f"calibrate failed: {status}")
    return {"wall_s": wall, "after_loading_s": progress_span(lines),
            "host_peak_MiB": usage.ru_maxrss / 1024, "host_anonymous_MiB": host.peak,
            "gpu_peak_MiB": memory.peak}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("octet")
    p.add_argument("model")
    p.add_argument("photos")
    p.add_argument("--images", default="64,512")
    p.add_argument("--distinct", type=int, default=512)
    p.add_argument("--device", default="cuda")
    p.add_argument("--json")
    args = p.parse_args()
    counts = [int(n) for n in args.images.split(",")]
    results = {}
    with tempfile.TemporaryDirectory() as tmp:
        made = pathlib.Path(tmp) / "made"
        made.mkdir()
        make_images(args.photos, made, min(args.distinct, max(counts)))
        for n in counts:
            folder = pathlib.Path(tmp) / str(n)
            link_images(made, folder, n)
            if not results:
                measure(args, folder, pathlib.Path(tmp) / "warm.h5")
            results[n] = measure(args, folder, pathlib.Path(tmp) / "out.h5")
    print(f"{'images':>7} {'wall s':>8} {'after loading s':>16} {'host MiB':>9} "
          f"{'of it anonymous':>16} {'GPU MiB':>8}")
    for n, r in results.items():
        print(f"{n:7} {r['wall_s']:8.2f} {r['after_loading_s']:16.2f} {r['host_peak_MiB']:9.0f} "
              f"{r['host_anonymous_MiB']:16.0f} {r['gpu_peak_MiB']:8}")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(results, indent=1), encoding="utf-8")
    base, last = results[counts[min(1, len(counts) - 1)]], results[counts[-1]]
    grown = [f"{what}: {base[what]:.0f} to {last[what]:.0f}"
             for what in ("host_peak_MiB", "gpu_peak_MiB") if last[what] > 1.05 * base[what]]
    print("FAILED: grows with the images: " + ", ".join(grown) if grown else
          f"ok: memory is flat from {counts[min(1, len(counts) - 1)]} to {counts[-1]} images")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
