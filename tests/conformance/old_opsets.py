#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Single-operator models in the forms of old opsets, against ONNX Runtime on random inputs.

The onnx wheel's node tests only know each operator's newest form. Every case here is a form that
the importer translates: attributes that became inputs, changed defaults, renamed operators. Also
com.microsoft's operators, which the wheel does not test at all.

old_opsets.py OUT RUNNER BACKEND
"""
import sys

import cases
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper

RTOL, ATOL = 1e-4, 1e-5
TYPES = {"float32": T.FLOAT, "float16": T.FLOAT16, "float64": T.DOUBLE, "int64": T.INT64,
         "int32": T.INT32, "int8": T.INT8, "uint8": T.UINT8, "bool": T.BOOL}
rng = np.random.RandomState(20240607)


def f32(*shape, lo=-2.0, hi=2.0):
    return rng.uniform(lo, hi, shape).astype(np.float32)


def i64(*values):
    return np.array(values, np.int64)


def model(op, opset, inputs, constants, outputs, n_checked, attrs, domain="", absent=()):
    """One node; `constants` (name -> array) become initializers after the `inputs`."""
    names = list(inputs) + list(constants)
    for at in absent:
        names.insert(at, "")
    node = helper.make_node(op, names, outputs, domain=domain, name="node", **attrs)
    graph = helper.make_graph(
        [node], "g",
        [helper.make_tensor_value_info(k, TYPES[v.dtype.name], v.shape) for k, v in inputs.items()],
        [helper.make_value_info(o, onnx.TypeProto()) for o in outputs[:n_checked]],
        [onnx.numpy_helper.from_array(v, k) for k, v in constants.items()])
    imports = [helper.make_opsetid("", opset)]
    if domain:
        imports.append(helper.make_opsetid(domain, 1))
    m = helper.make_model(graph, opset_imports=imports, producer_name="octet-tests")
    m.ir_version = 4 if opset < 11 else 7
    return m


class Suite:
    def __init__(self, writer):
        self.writer = writer
        self.names = set()
        self.refused = []

    def add(self, op, opset, inputs, constants=None, n_out=1, domain="", absent=(), rtol=RTOL,
            atol=ATOL, tag="", n_checked=None, **attrs):
        if not isinstance(inputs, dict):
            inputs = {"x": inputs}
        outputs = [f"y{i}" for i in range(n_out)]
        m = model(op, opset, inputs, constants or {}, outputs, n_checked, attrs, domain, absent)
        stem = f"{op}_{opset}{'_' + tag if tag else ''}"
        name = stem
        while name in self.names:
            name = f"{stem}_{len(self.names)}"
        self.names.add(name)
        try:
            options = ort.SessionOptions()
            options.log_severity_level = 4
            session = ort.InferenceSession(m.SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
            want = session.run(None, inputs)
        except Exception as e:  # noqa: BLE001 - ONNX Runtime raises several kinds
            self.refused.append(f"{name}: {str(e).splitlines()[0][:120]}")
            return
        for value, got in zip(m.graph.output, want):  # octet reads no untyped outputs
            value.CopyFrom(helper.make_tensor_value_info(value.name, TYPES[got.dtype.name],
                                                         got.shape))
        self.writer.add(name, m, [(list(inputs.values()), want)], rtol, atol)


def activations(s):
    x = f32(2, 3, 4, 5)
    for op in ("Softmax", "LogSoftmax", "Hardmax"):
        s.add(op, 7, x)  # axis 1, flattened to 2-D
        s.add(op, 11, x, axis=2, tag="axis2")
        s.add(op, 11, x, axis=-1, tag="last")
        s.add(op, 13, x, axis=1, tag="axis1")
        s.add(op, 13, x)
    for opset in (7, 10):
        s.add("Clip", opset, x, min=-0.5, max=1.0)
        s.add("Clip", opset, x, max=0.25, tag="max")
        s.add("Clip", opset, x, tag="none")
    s.add("Clip", 11, x, {"lo": np.float32(-1)}, tag="lo")
    s.add("Clip", 12, x, {"hi": np.float32(0.5)}, absent=(1,), tag="hi")
    s.add("PRelu", 7, x, {"slope": f32(3, 1, 1)})
    s.add("PRelu", 9, x, {"slope": f32(1)}, tag="scalar")
    for op, attrs in (("LeakyRelu", {"alpha": 0.3}), ("Elu", {"alpha": 1.5}), ("Selu", {}),
                      ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}), ("Sigmoid", {}), ("Tanh", {}),
                      ("Softplus", {}), ("Softsign", {}), ("Relu", {})):
        s.add(op, 7, x, **attrs)
    s.add("ThresholdedRelu", 10, x, alpha=0.7)
    s.add("Celu", 12, x, alpha=0.8)
    s.add("HardSwish", 14, x)
    s.add("Gelu", 1, x, domain="com.microsoft")


def arithmetic(s):
    a, b = f32(2, 3, 4), f32(3, 1, lo=0.5)
    for op in ("Add", "Sub", "Mul", "Div"):
        s.add(op, 7, {"a": a, "b": b})
    s.add("Pow", 7, {"a": np.abs(a), "b": b})
    s.add("Pow", 12, {"a": np.abs(a), "b": np.array(2, np.int64)}, tag="int")
    for op in ("Min", "Max", "Sum", "Mean"):
        s.add(op, 8, {"a": a, "b": b, "c": f32(1)})
    for op in ("Less", "Greater", "Equal"):
        dtype = np.int32 if op == "Equal" else np.float32
        s.add(op, 7, {"a": (a * 2).astype(dtype), "b": (b * 2).astype(dtype)})
    for op in ("And", "Or", "Xor"):
        s.add(op, 7, {"a": a > 0, "b": b > 1})
    s.add("Not", 7, a > 0)
    s.add("Where", 9, {"c": a > 0, "a": a, "b": b})
    s.add("Mod", 10, {"a": i64(-7, 7, 5), "b": i64(3, -3, 4)})
    s.add("Mod", 10, {"a": a, "b": b}, fmod=1, tag="fmod")
    for op in ("Abs", "Neg", "Ceil", "Floor", "Exp", "Sin", "Cos", "Reciprocal", "Tan", "Atan"):
        s.add(op, 7, a)
    for op in ("Log", "Sqrt"):
        s.add(op, 7, np.abs(a) + 0.1)
    for op, opset in (("Sign", 9), ("Erf", 9), ("Round", 11), ("IsNaN", 9), ("IsInf", 10)):
        s.add(op, opset, a)
    s.add("Cast", 7, a, to=T.INT32)
    s.add("Cast", 9, a, to=T.FLOAT16, tag="f16")
    s.add("Identity", 7, a)
    s.add("CumSum", 11, a, {"axis": np.array(1, np.int64)}, exclusive=1, reverse=1)


def reductions(s):
    x = f32(2, 3, 4, 5, lo=0.1)
    for op in ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"):
        s.add(f"Reduce{op}", 7, x, axes=[1, 3], keepdims=0)
        s.add(f"Reduce{op}", 11, x, axes=[-1], tag="negative")
        s.add(f"Reduce{op}", 12, x, keepdims=0, tag="all")
        if op == "Sum":
            s.add("ReduceSum", 13, x, {"axes": i64(2)}, tag="input")
            s.add("ReduceSum", 13, x, {"axes": i64()}, noop_with_empty_axes=1, tag="noop")
        else:
            s.add(f"Reduce{op}", 13, x, axes=[0, 2], tag="attr")
            s.add(f"Reduce{op}", 18, x, {"axes": i64(0, 2)}, tag="input")
    for op in ("ArgMax", "ArgMin"):
        s.add(op, 7, x, axis=2, keepdims=0)
        s.add(op, 11, x, axis=-1, tag="negative")
        s.add(op, 12, np.floor(x * 2), axis=1, select_last_index=1, tag="last")
    s.add("TopK", 7, x, n_out=2, k=3, axis=1)
    s.add("TopK", 9, x, n_out=2, k=2, tag="default")
    s.add("TopK", 10, x, {"k": i64(2)}, n_out=2, axis=2)
    s.add("TopK", 11, x, {"k": i64(2)}, n_out=2, axis=-1, largest=0)


def movers(s):
    x = f32(2, 3, 4, 5)
    s.add("Slice", 7, x, starts=[0, 1], ends=[2, -1], axes=[0, 3])
    s.add("Slice", 9, x, starts=[1, 1], ends=[9, 3], tag="no_axes")
    s.add("Slice", 10, x, {"s": i64(-1, 0), "e": i64(-9, 4), "a": i64(1, 3), "t": i64(-1, 2)})
    s.add("Slice", 11, x, {"s": i64(-1), "e": i64(np.iinfo(np.int64).min), "a": i64(-1),
                           "t": i64(-2)}, tag="reverse")
    for mode in ("constant", "reflect", "edge"):
        s.add("Pad", 7, x, pads=[0, 0, 1, 2, 0, 0, 2, 1], mode=mode, tag=mode)
        s.add("Pad", 11, x, {"p": i64(0, 0, 1, 2, 0, 0, 2, 1)}, mode=mode, tag=mode)
    s.add("Pad", 10, x, pads=[0, 1, 0, 0, 0, 0, 1, 2], value=1.5, tag="value")
    s.add("Pad", 10, x, pads=[0, 1, -1, 0, 0, 0, 1, -2], tag="negative")
    s.add("Pad", 12, x, {"p": i64(0, 1, 0, 0, 0, 0, 1, 2), "v": np.float32(3)}, tag="value")
    s.add("Pad", 18, x, {"p": i64(1, 2), "v": np.float32(3), "a": i64(-2)}, tag="axes")
    s.add("Pad", 19, x, {"p": i64(0, 0, 1, 2, 0, 0, 2, 1)}, mode="wrap", tag="wrap")
    y = f32(1, 3, 1, 5)
    s.add("Squeeze", 7, y, axes=[0, 2])
    s.add("Squeeze", 11, y, axes=[-2], tag="negative")
    s.add("Squeeze", 9, y, tag="all")
    s.add("Squeeze", 13, y, {"a": i64(0)})
    s.add("Unsqueeze", 7, x, axes=[0, 4])
    s.add("Unsqueeze", 11, x, axes=[-1], tag="negative")
    s.add("Unsqueeze", 13, x, {"a": i64(1)})
    s.add("Reshape", 7, x, {"s": i64(0, -1, 10)})
    s.add("Reshape", 14, x, {"s": i64(6, 20)}, allowzero=1)
    s.add("Flatten", 7, x)
    s.add("Flatten", 9, x, axis=0, tag="axis0")
    s.add("Flatten", 11, x, axis=-1, tag="last")
    s.add("Transpose", 7, x)
    s.add("Transpose", 7, x, perm=[0, 2, 3, 1], tag="nhwc")
    s.add("Concat", 7, {"a": x, "b": x + 1}, axis=1)
    s.add("Concat", 11, {"a": x, "b": x + 1}, axis=-2, tag="negative")
    s.add("Split", 7, x, n_out=3, axis=1)
    s.add("Split", 11, x, n_out=2, axis=-1, split=[2, 3], tag="sizes")
    s.add("Split", 13, x, {"s": i64(1, 3)}, n_out=2, axis=2)
    s.add("Split", 18, x, n_out=3, axis=3, num_outputs=3)
    s.add("Expand", 8, f32(3, 1), {"s": i64(2, 1, 4)})
    s.add("Tile", 7, x, {"r": i64(1, 2, 1, 3)})
    s.add("Gather", 7, x, {"i": np.array([[0, 2], [1, 0]], np.int64)}, axis=1)
    s.add("Gather", 11, x, {"i": np.array(-1, np.int32)}, axis=-1, tag="scalar")
    s.add("GatherElements", 11, x, {"i": rng.randint(-3, 3, (2, 2, 4, 5))}, axis=1)
    s.add("GatherND", 11, x, {"i": np.array([[0, 1], [1, -1]], np.int64)})
    s.add("GatherND", 12, x, {"i": np.array([[1], [2]], np.int64)}, batch_dims=1, tag="batch")
    s.add("Scatter", 9, x, {"i": np.array([[[[0, 2]]]], np.int64), "u": f32(1, 1, 1, 2)}, axis=3)
    s.add("ScatterElements", 11, x, {"i": np.array([[[[0, 2]]]], np.int64), "u": f32(1, 1, 1, 2)},
          axis=3)
    s.add("ScatterND", 11, x, {"i": np.array([[0, 1], [1, 2]], np.int64), "u": f32(2, 4, 5)})
    s.add("OneHot", 9, i64(0, 2, 5), {"d": i64(4), "v": f32(2)}, axis=0)
    s.add("OneHot", 11, i64(0, -1, 5), {"d": i64(4), "v": f32(2)})
    s.add("DepthToSpace", 7, f32(1, 8, 2, 3), blocksize=2)
    s.add("DepthToSpace", 11, f32(1, 8, 2, 3), blocksize=2, mode="CRD")
    s.add("SpaceToDepth", 7, f32(1, 2, 4, 6), blocksize=2)
    s.add("NonZero", 9, np.floor(x))
    s.add("Compress", 9, x, {"c": np.array([True, False, True])}, axis=1)
    s.add("Compress", 9, x, {"c": np.array([True, False, True])}, tag="flat")
    s.add("ReverseSequence", 10, x, {"l": i64(1, 2, 2)}, time_axis=0, batch_axis=1)
    s.add("Trilu", 14, x, {"k": np.array(1, np.int64)}, upper=0)
    s.add("Shape", 7, x)
    s.add("Shape", 15, x, start=1, end=-1)
    s.add("Size", 7, x)
    s.add("ConstantOfShape", 9, i64(2, 3), value=onnx.numpy_helper.from_array(i64(7)))
    s.add("EyeLike", 9, x[0, 0], k=1)
    s.add("Range", 11, {"a": np.array(1, np.float32), "b": np.array(4, np.float32),
                        "c": np.array(0.5, np.float32)})


def networks(s):
    x = f32(2, 4, 9, 8)
    w, bias = f32(6, 4, 3, 3), f32(6)
    s.add("Conv", 7, x, {"w": w, "b": bias}, pads=[1, 1, 1, 1], strides=[2, 1])
    s.add("Conv", 11, x, {"w": f32(8, 2, 3, 3)}, group=2, auto_pad="SAME_LOWER", strides=[2, 2])
    s.add("ConvTranspose", 7, x, {"w": f32(4, 3, 3, 3), "b": f32(3)}, strides=[2, 2],
          pads=[1, 1, 1, 1], output_padding=[1, 0])
    s.add("ConvTranspose", 11, x, {"w": f32(4, 3, 3, 3)}, strides=[2, 2], output_shape=[18, 16])
    for opset, attrs in ((7, {}), (10, {"ceil_mode": 1}), (11, {"count_include_pad": 1})):
        s.add("AveragePool", opset, x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1],
              **attrs)
    s.add("MaxPool", 7, x, kernel_shape=[2, 3], strides=[2, 2], auto_pad="SAME_UPPER")
    s.add("MaxPool", 8, x, n_out=2, kernel_shape=[2, 2], strides=[2, 2], tag="indices")
    s.add("MaxPool", 10, x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, dilations=[1, 2])
    s.add("LpPool", 7, x, kernel_shape=[2, 2], strides=[2, 2], p=2)
    s.add("GlobalLpPool", 7, x, p=3)
    for op in ("GlobalAveragePool", "GlobalMaxPool"):
        s.add(op, 7, x)
    stats = {"s": f32(4), "b": f32(4), "m": f32(4), "v": f32(4, lo=0.5)}
    for opset in (7, 9, 14):
        s.add("BatchNormalization", opset, x, stats, epsilon=1e-3)
    s.add("InstanceNormalization", 7, x, {"s": f32(4), "b": f32(4)})
    s.add("LRN", 7, x, size=3, alpha=2e-3, beta=0.6, bias=1.5)
    s.add("LpNormalization", 7, x, axis=1, p=2)
    s.add("MeanVarianceNormalization", 9, x, axes=[0, 2, 3])
    s.add("LayerNormalization", 17, x, {"s": f32(8), "b": f32(8)}, axis=-1)
    s.add("GroupNormalization", 18, x, {"s": f32(2), "b": f32(2)}, num_groups=2)
    s.add("Gemm", 7, f32(3, 4), {"b": f32(4, 5), "c": f32(5)}, alpha=0.5, beta=2.0)
    s.add("Gemm", 9, f32(4, 3), {"b": f32(5, 4), "c": f32(3, 1)}, transA=1, transB=1)
    s.add("Gemm", 11, f32(3, 4), {"b": f32(4, 5)}, tag="no_c")
    s.add("MatMul", 7, f32(2, 3, 4), {"b": f32(4, 5)})
    s.add("Dropout", 7, x, ratio=0.3)
    for opset in (7, 10):  # what is in the mask, and of which type, is not defined before 12
        s.add("Dropout", opset, x, n_out=2, n_checked=1, ratio=0.3, tag="mask")
    s.add("Dropout", 12, x, n_out=2)
    s.add("Upsample", 7, x, scales=[1.0, 1.0, 2.0, 3.0], mode="nearest")
    s.add("Upsample", 7, x, scales=[1.0, 1.0, 2.0, 2.0], mode="linear", tag="linear")
    s.add("Upsample", 9, x, {"s": np.array([1, 1, 1.5, 2], np.float32)}, mode="nearest")
    s.add("Resize", 10, x, {"s": np.array([1, 1, 2, 0.5], np.float32)}, mode="nearest")
    s.add("Resize", 10, x, {"s": np.array([1, 1, 2, 1.5], np.float32)}, mode="linear", tag="linear")
    empty = np.array([], np.float32)
    for mode in ("nearest", "linear", "cubic"):
        s.add("Resize", 11, x, {"r": empty, "s": np.array([1, 1, 2, 2], np.float32)}, mode=mode,
              tag=mode)
        s.add("Resize", 13, x, {"r": empty, "s": empty, "z": i64(2, 4, 12, 5)}, mode=mode,
              coordinate_transformation_mode="align_corners", tag=mode)
    s.add("RoiAlign", 10, x, {"r": np.array([[0, 0, 6, 5], [1, 1, 3, 4]], np.float32),
                              "i": i64(0, 1)}, output_height=3, output_width=2, spatial_scale=1.0,
          sampling_ratio=2)
    s.add("QuantizeLinear", 10, f32(20, lo=-9, hi=9), {"s": np.float32(0.05), "z": np.uint8(120)})
    s.add("DequantizeLinear", 10, rng.randint(0, 255, 20).astype(np.uint8),
          {"s": np.float32(0.05), "z": np.uint8(120)})
    s.add("QuantizeLinear", 13, x, {"s": f32(4, lo=0.01), "z": np.zeros(4, np.int8)}, axis=1)


def quantized(s):
    """com.microsoft's operators, which the onnx wheel has no tests for. ONNX Runtime rounds some of
    them through other intermediate steps: one unit of the last place is allowed (atol=1)."""
    ms = {"domain": "com.microsoft", "atol": 1, "rtol": 0}
    for dtype, zero in ((np.uint8, 128), (np.int8, 0)):
        def q(*shape, dtype=dtype):
            info = np.iinfo(dtype)
            return rng.randint(info.min, info.max + 1, shape).astype(dtype)

        a, b, tag = q(1, 4, 6, 6), q(1, 4, 6, 6), dtype.__name__
        scale = [np.float32(v) for v in (0.02, 0.03, 0.05)]
        z = dtype(zero)
        for op in ("QLinearAdd", "QLinearMul"):
            s.add(op, 13, {"a": a}, {"as": scale[0], "az": z, "b": b, "bs": scale[1], "bz": z,
                                     "ys": scale[2], "yz": z}, tag=tag, **ms)
        s.add("QLinearConcat", 13, {}, {"ys": scale[2], "yz": z, "a": a, "as": scale[0], "az": z,
                                        "b": b, "bs": scale[1], "bz": z}, axis=1, tag=tag, **ms)
        one = {"as": scale[0], "az": z, "ys": scale[1], "yz": z}
        s.add("QLinearSigmoid", 13, a, {**one, "ys": np.float32(1 / 256)}, tag=tag, **ms)
        s.add("QLinearLeakyRelu", 13, a, one, alpha=0.2, tag=tag, **ms)
        s.add("QLinearAveragePool", 13, a, one, kernel_shape=[3, 3], strides=[2, 2],
              pads=[1, 1, 1, 1], tag=tag, **ms)
        s.add("QLinearGlobalAveragePool", 13, a, one, channels_last=0, tag=tag, **ms)
        s.add("QuantizeLinear", 13, f32(2, 3, lo=-4, hi=4), {"s": scale[1], "z": z}, tag=tag, **ms)
        s.add("DequantizeLinear", 13, a, {"s": scale[1], "z": z}, tag=tag, domain="com.microsoft")
    x, w = q(3, 5, dtype=np.uint8), q(4, 5, dtype=np.int8)
    s.add("QGemm", 13, x, {"as": scale[0], "az": np.uint8(120), "w": w, "ws": f32(4, lo=0.01),
                           "wz": np.zeros(4, np.int8), "c": rng.randint(-99, 99, 4).astype(np.int32),
                           "ys": np.float32(2), "yz": np.uint8(128)}, transB=1, **ms)
    s.add("FusedConv", 13, f32(1, 3, 7, 7), {"w": f32(4, 3, 3, 3), "b": f32(4)}, activation="Relu",
          domain="com.microsoft")
    s.add("FusedConv", 13, f32(1, 3, 7, 7), {"w": f32(4, 3, 3, 3), "b": f32(4)},
          activation="LeakyRelu", activation_params=[0.1], domain="com.microsoft", tag="leaky")


def main(out, runner, backend):
    with open(__file__, "rb") as f:
        stamp = f"onnxruntime {ort.__version__} {hash_of(f.read())}\n"
    if not cases.up_to_date(out, stamp):
        writer = cases.Writer(out)
        suite = Suite(writer)
        for group in (activations, arithmetic, reductions, movers, networks, quantized):
            group(suite)
        print("\n".join(f"ONNX Runtime refuses {r}" for r in suite.refused))
        if len(suite.refused) > 5:
            print("FAILED  too many forms that ONNX Runtime refuses: the tests are wrong")
            return 1
        writer.close(stamp)
    return cases.run(runner, out, backend, None, None)


def hash_of(data):
    import hashlib
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
