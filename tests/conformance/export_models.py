#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes ONNX exports of well-known architectures with seeded random weights.

usage: export_models.py OUT_DIR [NAME[@SIZE] ...]   (Debian: python3-torch, python3-torchvision)

Batch normalization gets the statistics of one random batch, so that activations neither
vanish nor explode. CNNs are exported twice: batch normalization folded, and as it is (_bn).
The YOLO and U-Net modules are written here from the published structure.
"""
import inspect
import math
import pathlib
import sys

try:
    import torch
    import torchvision
    from torch import nn
except ImportError as e:
    print(f"SKIPPED: {e}")
    sys.exit(77)

OPSET = 16


# ---- building blocks of the YOLO family ----------------------------------------------------

class ConvAct(nn.Sequential):
    def __init__(self, c1, c2, k=1, s=1):
        super().__init__(nn.Conv2d(c1, c2, k, s, k // 2, bias=False),
                         nn.BatchNorm2d(c2, eps=1e-3), nn.SiLU())


class Bottleneck(nn.Module):
    def __init__(self, c, shortcut, k=(1, 3)):
        super().__init__()
        self.a, self.b, self.add = ConvAct(c, c, k[0]), ConvAct(c, c, k[1]), shortcut

    def forward(self, x):
        y = self.b(self.a(x))
        return x + y if self.add else y


class C3(nn.Module):
    def __init__(self, c1, c2, n=1, shortcut=True):
        super().__init__()
        c = c2 // 2
        self.a, self.b, self.out = ConvAct(c1, c), ConvAct(c1, c), ConvAct(2 * c, c2)
        self.m = nn.Sequential(*(Bottleneck(c, shortcut) for _ in range(n)))

    def forward(self, x):
        return self.out(torch.cat((self.m(self.a(x)), self.b(x)), 1))


class C2f(nn.Module):
    def __init__(self, c1, c2, n=1, shortcut=False):
        super().__init__()
        self.c = c2 // 2
        self.a, self.out = ConvAct(c1, 2 * self.c), ConvAct((2 + n) * self.c, c2)
        self.m = nn.ModuleList(Bottleneck(self.c, shortcut, (3, 3)) for _ in range(n))

    def forward(self, x):
        y = list(self.a(x).split((self.c, self.c), 1))
        for m in self.m:
            y.append(m(y[-1]))
        return self.out(torch.cat(y, 1))


class Sppf(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.a, self.out = ConvAct(c, c // 2), ConvAct(c * 2, c)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x):
        x = self.a(x)
        y = self.pool(x)
        z = self.pool(y)
        return self.out(torch.cat((x, y, z, self.pool(z)), 1))


def grid(h, w, offset):
    ys, xs = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    return torch.stack((xs, ys), -1).float() + offset


class YoloV5(nn.Module):
    """YOLOv5s: depth 1/3, width 1/2, anchors, three scales."""

    ANCHORS = ((10, 13, 16, 30, 33, 23), (30, 61, 62, 45, 59, 119), (116, 90, 156, 198, 373, 326))

    def __init__(self, n_classes=80):
        super().__init__()
        self.no = n_classes + 5
        self.stem = nn.Sequential(ConvAct(3, 32, 6, 2), ConvAct(32, 64, 3, 2), C3(64, 64, 1),
                                  ConvAct(64, 128, 3, 2), C3(128, 128, 2))
        self.stem[0][0].padding = (2, 2)
        self.p4 = nn.Sequential(ConvAct(128, 256, 3, 2), C3(256, 256, 3))
        self.p5 = nn.Sequential(ConvAct(256, 512, 3, 2), C3(512, 512, 1), Sppf(512))
        self.l5, self.u4 = ConvAct(512, 256), C3(512, 256, 1, False)
        self.l4, self.u3 = ConvAct(256, 128), C3(256, 128, 1, False)
        self.d4, self.o4 = ConvAct(128, 128, 3, 2), C3(256, 256, 1, False)
        self.d5, self.o5 = ConvAct(256, 256, 3, 2), C3(512, 512, 1, False)
        self.head = nn.ModuleList(nn.Conv2d(c, 3 * self.no, 1) for c in (128, 256, 512))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")

    def decode(self, x, i, stride):
        b, _, h, w = x.shape
        h, w = int(h), int(w)
        x = x.view(b, 3, self.no, h, w).permute(0, 1, 3, 4, 2).contiguous().sigmoid()
        xy, wh, conf = x.split((2, 2, self.no - 4), 4)
        anchor = torch.tensor(self.ANCHORS[i]).float().view(1, 3, 1, 1, 2)
        xy = (xy * 2 + grid(h, w, -0.5)) * stride
        wh = (wh * 2) ** 2 * anchor
        return torch.cat((xy, wh, conf), 4).view(b, 3 * h * w, self.no)

    def forward(self, x):
        p3 = self.stem(x)
        p4 = self.p4(p3)
        l5 = self.l5(self.p5(p4))
        l4 = self.l4(self.u4(torch.cat((self.up(l5), p4), 1)))
        o3 = self.u3(torch.cat((self.up(l4), p3), 1))
        o4 = self.o4(torch.cat((self.d4(o3), l4), 1))
        o5 = self.o5(torch.cat((self.d5(o4), l5), 1))
        maps = [head(y) for head, y in zip(self.head, (o3, o4, o5))]
        return torch.cat([self.decode(y, i, 8 << i) for i, y in enumerate(maps)], 1)


class YoloV8(nn.Module):
    """YOLOv8n: depth 1/3, width 1/4, anchor-free with distribution focal boxes."""

    BINS = 16

    def __init__(self, n_classes=80):
        super().__init__()
        self.nc = n_classes
        self.stem = nn.Sequential(ConvAct(3, 16, 3, 2), ConvAct(16, 32, 3, 2), C2f(32, 32, 1, True),
                                  ConvAct(32, 64, 3, 2), C2f(64, 64, 2, True))
        self.p4 = nn.Sequential(ConvAct(64, 128, 3, 2), C2f(128, 128, 2, True))
        self.p5 = nn.Sequential(ConvAct(128, 256, 3, 2), C2f(256, 256, 1, True), Sppf(256))
        self.u4, self.u3 = C2f(384, 128, 1), C2f(192, 64, 1)
        self.d4, self.o4 = ConvAct(64, 64, 3, 2), C2f(192, 128, 1)
        self.d5, self.o5 = ConvAct(128, 128, 3, 2), C2f(384, 256, 1)
        ch, box, cls = (64, 128, 256), max(16, 64 // 4, 4 * self.BINS), max(64, min(n_classes, 100))
        self.box = nn.ModuleList(nn.Sequential(ConvAct(c, box, 3), ConvAct(box, box, 3),
                                               nn.Conv2d(box, 4 * self.BINS, 1)) for c in ch)
        self.cls = nn.ModuleList(nn.Sequential(ConvAct(c, cls, 3), ConvAct(cls, cls, 3),
                                               nn.Conv2d(cls, n_classes, 1)) for c in ch)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.register_buffer("bins", torch.arange(self.BINS).float().view(1, self.BINS, 1, 1))

    def forward(self, x):
        p3 = self.stem(x)
        p4 = self.p4(p3)
        p5 = self.p5(p4)
        u4 = self.u4(torch.cat((self.up(p5), p4), 1))
        o3 = self.u3(torch.cat((self.up(u4), p3), 1))
        o4 = self.o4(torch.cat((self.d4(o3), u4), 1))
        o5 = self.o5(torch.cat((self.d5(o4), p5), 1))
        maps = [torch.cat((b(y), c(y)), 1) for b, c, y in zip(self.box, self.cls, (o3, o4, o5))]
        b = x.shape[0]
        flat = torch.cat([m.view(b, 4 * self.BINS + self.nc, -1) for m in maps], 2)
        box, cls = flat.split((4 * self.BINS, self.nc), 1)
        points = torch.cat([grid(int(m.shape[2]), int(m.shape[3]), 0.5).view(-1, 2) for m in maps])
        stride = torch.cat([torch.full((int(m.shape[2]) * int(m.shape[3]),), 8.0 * 2 ** i)
                            for i, m in enumerate(maps)])
        dist = box.view(b, 4, self.BINS, -1).transpose(2, 1).softmax(1)
        dist = (dist * self.bins).sum(1)
        lt, rb = dist.chunk(2, 1)
        lo, hi = points.T.unsqueeze(0) - lt, points.T.unsqueeze(0) + rb
        return torch.cat((torch.cat(((lo + hi) / 2, hi - lo), 1) * stride, cls.sigmoid()), 1)


class UNet(nn.Module):
    """Four levels, transposed convolutions upwards."""

    def __init__(self, base=16):
        super().__init__()
        c = [base << i for i in range(5)]
        self.down = nn.ModuleList(self.pair(a, b) for a, b in zip([3, *c], c))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in zip(c, c[1:]))
        self.merge = nn.ModuleList(self.pair(2 * a, a) for a in c[:-1])
        self.out = nn.Conv2d(base, 4, 1)

    @staticmethod
    def pair(a, b):
        return nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(),
                             nn.Conv2d(b, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())

    def forward(self, x):
        skip = []
        for i, block in enumerate(self.down):
            x = block(x if i == 0 else nn.functional.max_pool2d(x, 2))
            skip.append(x)
        for i in reversed(range(4)):
            x = self.merge[i](torch.cat((self.up[i](x), skip[i]), 1))
        return self.out(x)


class DeepLab(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torchvision.models.segmentation.deeplabv3_resnet50(
            weights=None, weights_backbone=None)

    def forward(self, x):
        return self.net(x)["out"]


# ---- the list ------------------------------------------------------------------------------

def tv(name, **kw):
    return lambda: getattr(torchvision.models, name)(weights=None, **kw)


# name: (constructor, input size, has batch normalization)
MODELS = {
    "resnet50": (tv("resnet50"), 224, True),
    "mobilenet_v2": (tv("mobilenet_v2"), 224, True),
    "mobilenet_v3_large": (tv("mobilenet_v3_large"), 224, True),
    "efficientnet_b0": (tv("efficientnet_b0"), 224, True),
    "densenet121": (tv("densenet121"), 224, True),
    "inception_v3": (tv("inception_v3", init_weights=False, aux_logits=False), 299, True),
    "shufflenet_v2": (tv("shufflenet_v2_x1_0"), 224, True),
    "regnet_y_400mf": (tv("regnet_y_400mf"), 224, True),
    "convnext_tiny": (tv("convnext_tiny"), 224, False),
    "vit_b_16": (tv("vit_b_16"), 224, False),
    "swin_t": (tv("swin_t"), 224, False),
    "yolov5s": (YoloV5, 320, True),
    "yolov8n": (YoloV8, 320, True),
    "unet": (UNet, 128, True),
    "deeplabv3": (DeepLab, 224, True),
}


def randomize(model, size):
    """Varied scales everywhere; statistics of one batch in every BatchNorm."""
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.normal_(m.bias, 0, 0.2)
            m.momentum = 1.0
        elif isinstance(m, nn.LayerNorm):
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.normal_(m.bias, 0, 0.2)
        elif isinstance(m, nn.Linear) and m.weight.shape[0] == 1000:
            nn.init.normal_(m.weight, 0, 1 / math.sqrt(m.weight.shape[1]))
        elif type(m).__name__ == "CNBlock":
            nn.init.uniform_(m.layer_scale, 0.1, 0.5)
    if hasattr(model, "heads"):  # ViT starts its head at zero
        nn.init.normal_(model.heads.head.weight, 0, 0.05)
    if isinstance(model, YoloV5):  # boxes grow with the square of the head's outputs: an untrained
        for m in model.head:       # head of full gain makes 1e-4 of input noise of 1e-7
            nn.init.normal_(m.weight, 0, 0.05 / math.sqrt(m.weight.shape[1]))
    dropouts = [m for m in model.modules() if isinstance(m, nn.Dropout)]
    for m in dropouts:
        m.p = 0.0
    if any(isinstance(m, nn.BatchNorm2d) for m in model.modules()):
        model.train()
        with torch.no_grad():
            model(torch.randn(4, 3, size, size))
    return model.eval()


def export(model, size, path, fold):
    # Newer releases default to another exporter, which needs packages that Debian has not.
    legacy = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    mode = torch.onnx.TrainingMode.EVAL if fold else torch.onnx.TrainingMode.PRESERVE
    torch.onnx.export(model, torch.randn(2, 3, size, size), str(path), opset_version=OPSET,
                      input_names=["image"], output_names=["output"], training=mode,
                      dynamic_axes={"image": {0: "batch"}, "output": {0: "batch"}},
                      do_constant_folding=True, **legacy)
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB", flush=True)


def main():
    # torchvision's Swin calls it in training mode with probability 0.
    nn.functional.dropout = lambda x, *args, **kwargs: x
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or MODELS:
        architecture, _, side = name.partition("@")
        make, size, has_bn = MODELS[architecture]
        size = int(side or size)
        variants = [(f"{name}.onnx", True)] + ([(f"{name}_bn.onnx", False)] if has_bn else [])
        if all((out / file).exists() for file, _ in variants):
            continue
        torch.manual_seed(20261122)
        model = randomize(make(), size)
        for file, fold in variants:
            export(model, size, out / file, fold)


if __name__ == "__main__":
    main()
