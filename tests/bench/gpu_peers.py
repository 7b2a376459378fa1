#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""PyTorch's speed on this machine's GPU: what octet's figures are set beside.

    gpu_peers.py [--models resnet50,yolov8n@640] [--batches 1,128] [--precisions fp16] [--json FILE]

Names are torchvision's, or those of tests/conformance/export_models.py with the side of the picture.

Random weights and inputs, channels-last, eval mode, one CUDA graph per case, inputs on the
device. Each figure is the median of at least 15 timed groups of replays after warming up. Prints a
table of images per second and the copy bandwidth and matrix rates that bound everything.
"""
import argparse
import json
import pathlib
import statistics
import sys

import torch
import torchvision

PRECISIONS = ("fp32", "tf32", "fp16")


def seconds(fn, groups=15, target=0.02):
    """Median seconds of one call of fn, timed by events in groups of about `target` seconds."""
    fn()
    torch.cuda.synchronize()
    start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)

    def group(n):
        start.record()
        for _ in range(n):
            fn()
        stop.record()
        stop.synchronize()
        return start.elapsed_time(stop) / 1000 / n

    n = max(1, int(target / max(group(3), 1e-6)))
    group(n)
    return statistics.median(group(n) for _ in range(groups))


def set_tf32(on):
    torch.backends.cuda.matmul.allow_tf32 = on
    torch.backends.cudnn.allow_tf32 = on


def graphed(model, x):
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side), torch.no_grad():
        for _ in range(3):
            model(x)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph), torch.no_grad():
        model(x)
    return graph


def make_model(name):
    """The model and the side of its input."""
    name, _, side = name.partition("@")
    if not side:
        return torchvision.models.get_model(name, weights=None), 224
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "conformance"))
    import export_models
    return export_models.MODELS[name][0](), int(side)


def rate(name, precision, batch):
    torch.manual_seed(1)
    torch.backends.cudnn.benchmark = True
    set_tf32(precision == "tf32")
    dtype = torch.float16 if precision == "fp16" else torch.float32
    model, side = make_model(name)
    model = model.eval().cuda().to(dtype)
    torch.set_default_device("cuda")  # for what forward() makes
    model = model.to(memory_format=torch.channels_last)
    x = torch.randn(batch, 3, side, side, device="cuda", dtype=dtype)
    x = x.to(memory_format=torch.channels_last)
    graph = graphed(model, x)
    torch.set_default_device("cpu")
    return batch / seconds(graph.replay)


def ceilings():
    a = torch.randn(1 << 30, device="cuda", dtype=torch.float32).view(torch.uint8)
    b = torch.empty_like(a)
    result = {"copy_GB_s": 2 * a.numel() / seconds(lambda: b.copy_(a)) / 1e9}
    del a, b
    n = 8192
    for name, dtype, tf32 in (("fp32", torch.float32, False), ("tf32", torch.float32, True),
                              ("fp16", torch.float16, False)):
        set_tf32(tf32)
        x = torch.randn(n, n, device="cuda", dtype=dtype)
        y = torch.randn(n, n, device="cuda", dtype=dtype)
        result[f"gemm_{name}_TFLOP_s"] = 2 * n**3 / seconds(lambda: x @ y) / 1e12
    x = torch.randint(-128, 128, (n, n), device="cuda", dtype=torch.int8)
    result["gemm_int8_TOP_s"] = 2 * n**3 / seconds(lambda: torch._int_mm(x, x.t())) / 1e12
    return result


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--models", default="resnet50,mobilenet_v2,efficientnet_b0,vit_b_16")
    p.add_argument("--batches", default="1,128")
    p.add_argument("--precisions", default=",".join(PRECISIONS))
    p.add_argument("--json")
    args = p.parse_args()
    precisions = args.precisions.split(",")
    out = {"device": torch.cuda.get_device_name(0), "torch": torch.__version__,
           "ceilings": ceilings(), "images_per_s": {}}
    for k, v in out["ceilings"].items():
        print(f"{k:22} {v:10.1f}")
    print(f"{'model':18} {'batch':>5} " + " ".join(f"{p:>9}" for p in precisions), flush=True)
    for name in args.models.split(","):
        for batch in map(int, args.batches.split(",")):
            row = {}
            for precision in precisions:
                row[precision] = rate(name, precision, batch)
                torch.cuda.empty_cache()
            out["images_per_s"][f"{name}/{batch}"] = row
            print(f"{name:18} {batch:5} " + " ".join(f"{row[p]:9.0f}" for p in precisions),
                  flush=True)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump(out, f, indent=1, sort_keys=True)


if __name__ == "__main__":
    main()
