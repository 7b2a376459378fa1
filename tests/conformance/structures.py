#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How models are put together, against ONNX Runtime: local functions, control flow and what it
captures, constants in all forms, initializers of all types, nodes out of order.

structures.py OUT RUNNER BACKEND
"""
import hashlib
import sys

import cases
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

F, I, B = T.FLOAT, T.INT64, T.BOOL
info = h.make_tensor_value_info
rng = np.random.RandomState(7)
CASES = {}


def case(fn):
    CASES[fn.__name__] = fn
    return fn


def x_of(*shape):
    return rng.uniform(-2, 2, shape).astype(np.float32)


def tensor(name, value, dtype):
    return nh.from_array(np.array(value, dtype), name)


def model(nodes, ins, outs, inits=(), functions=(), opset=17, domains=()):
    graph = h.make_graph(nodes, "g", ins, [info(o, t, None) for o, t in outs], list(inits))
    imports = [h.make_opsetid("", opset)] + [h.make_opsetid(d, 1) for d in domains]
    m = h.make_model(graph, opset_imports=imports, functions=list(functions),
                     producer_name="octet-tests")
    m.ir_version = 8
    return m


def sub(name, nodes, ins, outs, inits=()):
    return h.make_graph(nodes, name, ins, [info(o, t, None) for o, t in outs], list(inits))


def ref(node, name, kind):
    a = onnx.AttributeProto(name=name, ref_attr_name=name, type=kind)
    node.attribute.append(a)
    return node


@case
def functions_nested_with_attribute_references():
    op, my = h.make_opsetid("", 17), h.make_opsetid("my", 1)
    scale = h.make_function("my", "Scale", ["a"], ["o"], [
        ref(h.make_node("Constant", [], ["k"]), "value_float", onnx.AttributeProto.FLOAT),
        h.make_node("Mul", ["a", "k"], ["o"])], [op], attributes=["value_float"])
    leaky = h.make_function("my", "Leaky", ["a", "unused"], ["o", "same"], [
        ref(h.make_node("LeakyRelu", ["a"], ["t"]), "alpha", onnx.AttributeProto.FLOAT),
        h.make_node("Scale", ["t"], ["o"], domain="my", value_float=3.0),
        h.make_node("Identity", ["a"], ["same"])], [op, my], attributes=["alpha"])
    nodes = [h.make_node("Leaky", ["x", ""], ["m", "x2"], domain="my", alpha=0.3),
             h.make_node("Leaky", ["m", ""], ["n", "ignored"], domain="my", alpha=0.1),
             h.make_node("Add", ["n", "x2"], ["y"])]
    return model(nodes, [info("x", F, [2, 3])], [("y", F)], functions=[scale, leaky],
                 domains=["my"]), [x_of(2, 3)]


@case
def function_with_a_branch_that_reads_its_argument():
    op = h.make_opsetid("", 17)
    then = sub("t", [h.make_node("Neg", ["a"], ["r"])], [], [("r", F)])
    other = sub("e", [h.make_node("Exp", ["a"], ["r"])], [], [("r", F)])
    f = h.make_function("my", "Pick", ["a"], ["o"], [
        h.make_node("Constant", [], ["zero"], value_float=0.0),
        h.make_node("ReduceSum", ["a"], ["s"], keepdims=0),
        h.make_node("Greater", ["s", "zero"], ["c"]),
        h.make_node("If", ["c"], ["o"], then_branch=then, else_branch=other)], [op])
    nodes = [h.make_node("Pick", ["x"], ["p"], domain="my"),
             h.make_node("Pick", ["p"], ["y"], domain="my")]
    return model(nodes, [info("x", F, [4])], [("y", F)], functions=[f],
                 domains=["my"]), [np.float32([1, 2, -1, 0.5])]


@case
def if_inside_a_loop_captures_through_both():
    then = sub("t", [h.make_node("Add", ["acc", "x"], ["r"])], [], [("r", F)])
    other = sub("e", [h.make_node("Mul", ["acc", "half"], ["r"])], [], [("r", F)],
                [tensor("half", 0.5, np.float32)])
    body = sub("b", [
        h.make_node("Mod", ["it", "two"], ["odd"]),
        h.make_node("Cast", ["odd"], ["is_odd"], to=B),
        h.make_node("If", ["is_odd"], ["next"], then_branch=then, else_branch=other),
        h.make_node("Identity", ["cin"], ["cout"]),
        h.make_node("Identity", ["next"], ["seen"])],
        [info("it", I, []), info("cin", B, []), info("acc", F, None)],
        [("cout", B), ("next", F), ("seen", F)])
    nodes = [h.make_node("Loop", ["n", "", "x"], ["last", "all"], body=body)]
    return model(nodes, [info("x", F, [3])], [("last", F), ("all", F)],
                 [tensor("n", 5, np.int64), tensor("two", 2, np.int64)]), [x_of(3)]


@case
def loop_that_stops_by_its_condition():
    body = sub("b", [
        h.make_node("Add", ["v", "v"], ["w"]),
        h.make_node("ReduceMax", ["w"], ["top"], keepdims=0),
        h.make_node("Less", ["top", "limit"], ["go"])],
        [info("it", I, []), info("cin", B, []), info("v", F, None)], [("go", B), ("w", F)])
    nodes = [h.make_node("Loop", ["", "yes", "x"], ["y"], body=body)]
    return model(nodes, [info("x", F, [2])], [("y", F)],
                 [tensor("yes", True, np.bool_), tensor("limit", 50, np.float32)]), \
        [np.float32([1, 3])]


@case
def branches_of_different_shapes():
    then = sub("t", [h.make_node("Concat", ["x", "x"], ["r"], axis=0)], [], [("r", F)])
    other = sub("e", [h.make_node("Identity", ["x"], ["r"])], [], [("r", F)])
    nodes = [h.make_node("If", ["c"], ["r"], then_branch=then, else_branch=other),
             h.make_node("Relu", ["r"], ["y"])]
    return model(nodes, [info("c", B, []), info("x", F, [2, 2])], [("y", F)]), \
        [np.array(True), x_of(2, 2)]


@case
def integers_of_a_shape_that_data_decides():
    """As in the heads of detectors: rows picked at run time, then a quantized Conv and Gemm."""
    weight = rng.randint(-9, 9, (4, 2, 3, 3)).astype(np.int8)
    matrix = rng.randint(-9, 9, (36, 5)).astype(np.int8)
    nodes = [h.make_node("NonZero", ["pick"], ["at"]),
             h.make_node("Squeeze", ["at", "zero"], ["rows"]),
             h.make_node("Gather", ["x", "rows"], ["some"], axis=0),
             h.make_node("QuantizeLinear", ["some", "one", "z"], ["q"]),
             h.make_node("DequantizeLinear", ["q", "one", "z"], ["d"]),
             h.make_node("DequantizeLinear", ["w", "one", "z"], ["dw"]),
             h.make_node("Conv", ["d", "dw"], ["c"]),
             h.make_node("Flatten", ["c"], ["f"]),
             h.make_node("QuantizeLinear", ["f", "four", "z"], ["fq"]),
             h.make_node("DequantizeLinear", ["fq", "four", "z"], ["fd"]),
             h.make_node("DequantizeLinear", ["m", "one", "z"], ["dm"]),
             h.make_node("Gemm", ["fd", "dm"], ["y"])]
    inits = [tensor("zero", [0], np.int64), tensor("one", 1, np.float32),
             tensor("four", 4, np.float32), tensor("z", 0, np.int8), nh.from_array(weight, "w"),
             nh.from_array(matrix, "m")]
    x = rng.randint(-20, 20, (6, 2, 5, 5)).astype(np.float32)
    return model(nodes, [info("pick", F, [6]), info("x", F, [6, 2, 5, 5])], [("y", F)], inits), \
        [np.float32([0, 1, 1, 0, 1, 0]), x]


@case
def constants_in_every_form():
    nodes = [h.make_node("Constant", [], ["a"], value=tensor("", [1, 2], np.float32)),
             h.make_node("Constant", [], ["b"], value_float=0.5),
             h.make_node("Constant", [], ["c"], value_floats=[3.0, 4.0]),
             h.make_node("Constant", [], ["d"], value_ints=[2]),
             h.make_node("Constant", [], ["e"], value_int=1),
             h.make_node("Add", ["x", "a"], ["s"]),
             h.make_node("Mul", ["s", "b"], ["t"]),
             h.make_node("Sub", ["t", "c"], ["u"]),
             h.make_node("Reshape", ["u", "d"], ["v"]),
             h.make_node("Gather", ["v", "e"], ["y"])]
    return model(nodes, [info("x", F, [1, 2])], [("y", F)]), [x_of(1, 2)]


@case
def initializers_of_every_type_typed_and_raw():
    kinds = [(T.FLOAT, [1.5, -2]), (T.DOUBLE, [2.25, 3]), (T.FLOAT16, [0.5, -1]),
             (T.INT8, [-3, 4]), (T.UINT8, [200, 1]), (T.INT32, [70000, -1]), (T.INT64, [-5, 1]),
             (T.BOOL, [1, 0])]
    inits, nodes, outs = [], [], []
    for raw in (0, 1):
        for kind, values in kinds:
            name = f"i{kind}_{raw}"
            array = np.array(values).astype(h.tensor_dtype_to_np_dtype(kind))
            inits.append(nh.from_array(array, name) if raw else
                         h.make_tensor(name, kind, [2], array.tolist()))
            nodes += [h.make_node("Cast", [name], ["c" + name], to=F),
                      h.make_node("Add", ["c" + name, "x"], ["y" + name])]
            outs.append(("y" + name, F))
    return model(nodes, [info("x", F, [2])], outs, inits), [x_of(2)]


@case
def nodes_out_of_order_and_an_output_that_is_an_input():
    nodes = [h.make_node("Relu", ["b"], ["y"]), h.make_node("Neg", ["a"], ["b"]),
             h.make_node("Abs", ["x"], ["a"])]
    return model(nodes, [info("x", F, [3])], [("y", F), ("a", F)]), [x_of(3)]


@case
def shape_arithmetic_with_an_open_batch_and_size():
    nodes = [h.make_node("Shape", ["x"], ["s"]),
             h.make_node("Slice", ["s", "z", "two"], ["lead"]),
             h.make_node("Slice", ["s", "two", "four"], ["hw"]),
             h.make_node("Mul", ["hw", "double"], ["hw2"]),
             h.make_node("Concat", ["lead", "hw2"], ["size"], axis=0),
             h.make_node("Resize", ["x", "", "", "size"], ["r"], mode="nearest"),
             h.make_node("Shape", ["r"], ["rs"]),
             h.make_node("Gather", ["rs", "z"], ["n"]),
             h.make_node("Concat", ["n", "minus"], ["flat"], axis=0),
             h.make_node("Reshape", ["r", "flat"], ["y"])]
    inits = [tensor("z", [0], np.int64), tensor("two", [2], np.int64),
             tensor("four", [4], np.int64), tensor("double", [2, 2], np.int64),
             tensor("minus", [-1], np.int64)]
    return model(nodes, [info("x", F, ["n", 2, "h", "w"])], [("y", F)], inits), [x_of(3, 2, 4, 5)]


def make(out, stamp):
    writer = cases.Writer(out)
    for name, fn in CASES.items():
        m, inputs = fn()
        options = ort.SessionOptions()
        options.log_severity_level = 4
        session = ort.InferenceSession(m.SerializeToString(), options,
                                       providers=["CPUExecutionProvider"])
        names = [i.name for i in session.get_inputs()]
        want = session.run(None, dict(zip(names, inputs)))
        writer.add(name, m, [(inputs, want)], 1e-5, 1e-6)
    writer.close(stamp)


def main(out, runner, backend):
    with open(__file__, "rb") as f:
        stamp = f"onnxruntime {ort.__version__} {hashlib.sha256(f.read()).hexdigest()}\n"
    if not cases.up_to_date(out, stamp):
        make(out, stamp)
    return cases.run(runner, out, backend, None, None)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
