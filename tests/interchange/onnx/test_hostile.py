# SPDX-License-Identifier: MIT
"""Damaged and hostile files are refused in one sentence, in little memory and time."""

from __future__ import annotations

import re
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from fixedpoint_nn import from_onnx
from fixedpoint_nn.interchange.onnx.model import OnnxError
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from tests.interchange.onnx.models import model, node
from tests.interchange.onnx.test_slice import small_cnn


@pytest.fixture
def bounded() -> Iterator[None]:
    """No refusal takes long, or much memory."""
    tracemalloc.start()
    start = time.process_time()
    yield
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100 << 20
    assert time.process_time() - start < 20


def external(location: str, dims: list[int], **more: str) -> bytes:
    proto = onnx.load_model_from_string(small_cnn())
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.dims[:] = dims
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=value)
    return bytes(proto.SerializeToString())


def changed(edit: Any) -> bytes:
    proto = onnx.load_model_from_string(small_cnn())
    edit(proto)
    return bytes(proto.SerializeToString())


def promise(proto: Any) -> None:
    proto.graph.initializer[0].dims[:] = [1 << 20, 1 << 20, 3, 3]


def circle(proto: Any) -> None:
    proto.graph.node[0].input[0] = "d"


def dangling(proto: Any) -> None:
    proto.graph.node[0].input[0] = "nobody"


def doubled(proto: Any) -> None:
    proto.graph.node[1].output[0] = "a"


def negative(proto: Any) -> None:
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = -2


def no_output(proto: Any) -> None:
    proto.graph.output[0].name = "nothing"


def mistyped(proto: Any) -> None:
    proto.graph.node[0].attribute[0].CopyFrom(helper.make_attribute("pads", "wide"))


def old(proto: Any) -> None:
    proto.opset_import[0].version = 3


DAMAGED = {
    "nothing": (b"", "the model of 0 bytes is no ONNX model: it holds no graph, or says no operator set"),
    "text": (b"hello, world", "the model of 12 bytes is damaged or no ONNX model: "),
    "a promise of terabytes": (
        changed(promise),
        "is damaged: constant 'conv.w' of shape [1048576, 1048576, 3, 3] is broken: ",
    ),
    "a circle": (
        changed(circle),
        "is damaged: node '/conv1/Conv' depends on its own result; a graph has no cycles",
    ),
    "a value of nobody": (
        changed(dangling),
        "is damaged: node '/conv1/Conv' takes 'nobody', which no node computes",
    ),
    "a value of two": (changed(doubled), "is damaged: two nodes compute the value 'a'"),
    "a negative axis": (changed(negative), "is damaged: 'image' has an axis of -2 elements"),
    "an output of nobody": (
        changed(no_output),
        "is damaged: its output 'nothing' is computed by none of its nodes",
    ),
    "an attribute of another type": (
        changed(mistyped),
        "is damaged: attribute pads of node '/conv1/Conv' is of the type STRING, and the specification says INTS",
    ),
    "an old operator set": (
        changed(old),
        "is damaged: its operators are those of opset 3; export it with opset 7 or later",
    ),
    "external data of bytes": (
        external("weights.bin", [4, 2, 3, 3]),
        "is damaged: constant 'conv.w' is in the file 'weights.bin'; give the model's path, not its bytes",
    ),
}


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_refused_in_one_sentence(name: str) -> None:
    blob, sentence = DAMAGED[name]
    with pytest.raises(OnnxError, match=re.escape(sentence)) as error:
        from_onnx(blob)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("location", "more", "sentence"),
    [
        ("../secret.bin", {}, "is in '../secret.bin', outside of the model's folder"),
        ("/etc/passwd", {}, "is in '/etc/passwd', outside of the model's folder"),
        ("link.bin", {}, "is in 'link.bin', outside of the model's folder"),
        ("gone.bin", {}, "is in the file 'gone.bin', which is not there"),
        ("short.bin", {}, "of shape [4, 2, 3, 3] is not in the 10 bytes from 0 of 'short.bin'"),
        ("short.bin", {"offset": "-5"}, "is not in the 15 bytes from -5 of 'short.bin'"),
        ("short.bin", {"length": "288"}, "is not in the 288 bytes from 0 of 'short.bin'"),
        ("short.bin", {"length": "x"}, "has no readable offset and length"),
    ],
)
def test_external_data_stay_inside_of_the_folder(
    tmp_path: Path, location: str, more: dict[str, str], sentence: str
) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(288))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "short.bin").write_bytes(bytes(10))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "net.onnx").write_bytes(external(location, [4, 2, 3, 3], **more))
    with pytest.raises(OnnxError, match=re.escape(sentence)):
        from_onnx(folder / "net.onnx")


def test_external_data_beside_the_model_are_read(tmp_path: Path) -> None:
    weights = np.arange(72, dtype=np.float32)
    (tmp_path / "weights.bin").write_bytes(bytes(16) + weights.tobytes())
    (tmp_path / "net.onnx").write_bytes(external("weights.bin", [4, 2, 3, 3], offset="16", length="288"))
    net = from_onnx(tmp_path / "net.onnx")
    filed = weights.reshape(4, 2, 3, 3).transpose(2, 3, 1, 0).reshape(18, 4)
    assert np.array_equal(net.parts["conv1/Conv"].layer.weight.data, filed)


BIG = np.array([1 << 20, 1 << 20])
PROMISES = {
    "a constant of terabytes": (
        [node("ConstantOfShape", "big", "c"), node("Add", "x c", "y")],
        "it makes a constant of",
    ),
    "a range without end": (
        [node("Range", "zero end one", "c"), node("Add", "x c", "y")],
        "it makes a constant of",
    ),
    "two constants broadcast": (
        [node("Add", "column row", "c"), node("Add", "x c", "y")],
        "it makes a constant of",
    ),
    "a constant repeated": (
        [node("Expand", "column big", "c"), node("Add", "x c", "y")],
        "it makes a constant of",
    ),
    "padding without end": (
        [node("Conv", "x w", "y", pads=[1 << 40] * 4)],
        "its pads [1099511627776, 1099511627776, 1099511627776, 1099511627776] are not two small sizes",
    ),
    "a kernel without end": (
        [node("MaxPool", "x", "y", kernel_shape=[1 << 40, 1 << 40], pads=[0] * 4)],
        "its kernel_shape [1099511627776, 1099511627776] are not 2 small positive numbers",
    ),
    "an image without end": (
        [node("Resize", "x _ huge", "y", mode="nearest")],
        "elements along axis 2",
    ),
    "parts without end": (
        [node("Split", "x", "y", axis=2, num_outputs=1 << 40)],
        "it splits 4 elements into 1099511627776 parts",
    ),
    "results of gigabytes": (
        [node("Conv", "x w", "y", pads=[30000] * 4)],
        "elements for each sample, and 33,554,432 is the most",
    ),
}


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("name", PROMISES)
def test_a_model_that_promises_gigabytes_is_refused_before_it_gets_them(name: str) -> None:
    nodes, sentence = PROMISES[name]
    constants = {
        "big": BIG,
        "zero": np.array(0),
        "end": np.array(1 << 50),
        "one": np.array(1),
        "w": np.ones((1, 1, 1, 1), np.float32),
        "column": np.ones((1 << 16, 1), np.float32),
        "row": np.ones((1, 1 << 16), np.float32),
        "huge": np.array([1, 1, 1e9, 1e9], np.float32),
    }
    used = {key for part in nodes for key in part.input}
    blob = model(nodes, {"x": ["N", 1, 4, 4]}, ["y"], {k: v for k, v in constants.items() if k in used})
    with pytest.raises(UnsupportedModel, match=re.escape(sentence)):
        from_onnx(blob)


def test_deep_nesting_is_refused_in_one_sentence() -> None:
    """Graphs in attributes of graphs: the decoder stops before Python's stack does."""
    inner = b""
    for _ in range(5000):  # AttributeProto.g of a NodeProto of a GraphProto, as bytes
        graph = b"\x0a" + _length(inner) + inner if inner else b""
        attribute = b"\x32" + _length(graph) + graph
        inner = b"\x2a" + _length(attribute) + attribute
    graph = b"\x0a" + _length(inner) + inner
    blob = b"\x3a" + _length(graph) + graph + b"\x42\x04\x0a\x00\x10\x11"
    with pytest.raises(OnnxError, match=r"is damaged or no ONNX model"):
        from_onnx(blob)


def with_functions(*functions: onnx.FunctionProto) -> bytes:
    proto = onnx.load_model_from_string(model([node("Relu", "x", "t")], {"x": ["N", 3]}, ["y"]))
    proto.functions.extend(functions)
    proto.graph.node.append(helper.make_node(functions[-1].name, ["t"], ["y"], domain="own"))
    proto.opset_import.append(helper.make_opsetid("own", 1))
    return bytes(proto.SerializeToString())


def function(name: str, called: str, domain: str = "own") -> onnx.FunctionProto:
    """f(a) = g(g(a))."""
    calls = [helper.make_node(called, [a], [b], domain=domain) for a, b in (("a", "t"), ("t", "b"))]
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, ["a"], ["b"], calls, sets)


def test_local_functions_are_put_in_where_they_are_called() -> None:
    net = from_onnx(with_functions(function("Twice", "Relu", ""), function("Again", "Twice")))
    assert [type(part.layer).__name__ for part in net.parts.values()] == ["ReLU"] * 5


def test_functions_without_end_are_refused() -> None:
    with pytest.raises(OnnxError, match=r"is damaged: its function 'Twice' calls itself$"):
        from_onnx(with_functions(function("Twice", "Again"), function("Again", "Twice")))
    with pytest.raises(OnnxError, match=r"is damaged: its function 'Again' calls itself$"):
        from_onnx(with_functions(function("Again", "Again")))
    doubling = [function(f"F{i}", f"F{i - 1}" if i else "Relu", "own" if i else "") for i in range(50)]
    with pytest.raises(
        OnnxError, match=r"its functions make 1,125,899,906,842,625 nodes of it, and 200,000 is the most$"
    ):
        from_onnx(with_functions(*doubling))


def _length(blob: bytes) -> bytes:
    size, digits = len(blob), bytearray()
    while True:
        digits.append(size & 127 | (128 if size > 127 else 0))
        size >>= 7
        if not size:
            return bytes(digits)


def test_a_chain_of_thousands_of_nodes_with_one_name_is_read() -> None:
    nodes = [node("Relu", f"v{i}" if i else "x", f"v{i + 1}", "same") for i in range(5000)]
    assert len(from_onnx(model(nodes, {"x": ["N", 3]}, ["v5000"])).parts) == 5000


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_flipped_and_missing_bytes_never_raise_anything_else(data: st.DataObject) -> None:
    blob = bytearray(small_cnn())
    if data.draw(st.booleans()):
        del blob[data.draw(st.integers(0, len(blob) - 1)) :]
    for _ in range(data.draw(st.integers(1, 4)) if blob else 0):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    try:
        from_onnx(bytes(blob))
    except (OnnxError, UnsupportedModel) as error:
        assert "\n" not in str(error)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"^there is no file .*net\.onnx$"):
        from_onnx(tmp_path / "net.onnx")
