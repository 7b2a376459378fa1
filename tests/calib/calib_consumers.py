#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our caches through re-implementations of their consumers' parsers, bit for bit.

trtexec splits at the last ':' and reads 8 characters; ONNX Runtime's TensorRT provider splits at
the first ':'; ModelOpt wants exactly one ": " and an even number of digits; ncnn reads words.
"""
import json
import struct

import numpy as np
from onnxruntime.quantization.CalTableFlatBuffers import TrtTable

from common import SCRATCH, check, octet

rng = np.random.default_rng(1)
amax = [np.float32(v) for v in np.exp(rng.uniform(-12, 12, 200))]
plain = [f"layer{i}/out_{i}" for i in range(200)]


def write_json(names):
    tensors = [{"name": n, "amax": float(a)} for n, a in zip(names, amax)]
    (SCRATCH / "in.json").write_text(
        json.dumps({"format": "octet-ranges", "version": 1, "tensors": tensors}))


def convert(out):
    octet("cache", "convert", SCRATCH / "in.json", "-o", SCRATCH / out, "--force", "-q")
    return (SCRATCH / out).read_bytes()


def scale_of(text):
    return struct.unpack(">f", bytes.fromhex(text))[0]


def trtexec(data):
    out = {}
    for line in data.decode().split("\n")[1:]:
        at = line.rfind(":")
        if at >= 0:
            out[line[:at]] = struct.unpack("<f", struct.pack("<I", int(line[at + 2:at + 10], 16)))[0]
    return out


def onnxruntime_native(data):
    """Its decoder always adds the implicit bit, so subnormals and zero would come out wrong."""
    out = {}
    for line in data.decode().split("\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            v = int(value, 16)
            mantissa = 1.0 + (v & 0x7fffff) / 2.0 ** 23
            out[name] = mantissa * 2.0 ** ((v >> 23 & 0xff) - 127) * (-1 if v >> 31 else 1)
    return out


def modelopt(data):
    out = {}
    for line in data.decode().split("\n")[1:]:
        if line:
            name, value = line.split(": ")
            out[name] = scale_of(value)
    return out


def flat(data):
    table = TrtTable.TrtTable.GetRootAs(data, 0)
    entries = (table.Dict(i) for i in range(table.DictLength()))
    return {e.Key().decode(): float(np.float32(float(e.Value()))) for e in entries}


def ort_text(data):
    pairs = (line.rsplit(" ", 1) for line in data.decode().split("\n") if line)
    return {n: float(np.float32(float(v))) for n, v in pairs}


def ncnn(data):
    words = (line.split() for line in data.decode().split("\n") if line)
    return {w[0]: float(np.float32(float(w[1]))) for w in words}


def same(got, want, text):
    check(got == want, f"{text}: {len(want)} values, bit for bit")


scale = [a / np.float32(127) for a in amax]
write_json(plain)
want = {n: float(s) for n, s in zip(plain, scale)}
for reader in (trtexec, onnxruntime_native, modelopt):
    same(reader(convert("t.cache")), want, f"TensorRT cache, {reader.__name__}")
want = {n: float(a) for n, a in zip(plain, amax)}
same(flat(convert("t.flatbuffers")), want, "ONNX Runtime flatbuffers")
same(ort_text(convert("t.txt")), want, "ONNX Runtime text")
want = {n: float(np.float32(127.0 / float(a))) for n, a in zip(plain, amax)}
same(ncnn(convert("t.table")), want, "ncnn table")

# names with colons: trtexec gets them right; for the others we warn
odd = [f"conv:{i}" if i % 2 else f"a: b {i}" for i in range(200)]
write_json(odd)
want = {n: float(s) for n, s in zip(odd, scale)}
same(trtexec(convert("odd.cache")), want, "TensorRT cache, names with colons, trtexec")
same(flat(convert("odd.flatbuffers")), {n: float(a) for n, a in zip(odd, amax)},
     "ONNX Runtime flatbuffers, names with colons")
