# SPDX-License-Identifier: MIT
"""Float models come in as float networks: every operator beside the interpreter, within the margin of 32-bit sums."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="the interpreter is in the `tflite` extra")
pytest.importorskip("onnx", reason="float models are read by the `onnx` extra")

from fixedpoint_nn import FixedArray, RtlModel, calibrate, from_tflite, quantize
from fixedpoint_nn.interchange.comparison import compare
from fixedpoint_nn.interchange.tflite import UnsupportedModel
from fixedpoint_nn.interchange.tflite.float_operators import FLOAT_OPERATORS
from fixedpoint_nn.network.quantized import Quantized
from tests.support.tflite_models import ModelBuilder, options

IMAGE = (1, 6, 5, 4)
RNG = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*values: Any) -> np.ndarray:
    return np.array(values, np.int32)


Case = tuple[str, Sequence[Any], tuple[int, ...], Any]
STRIDES = {"strideH": 2, "strideW": 1}
ONE = {"strideH": 1, "strideW": 1}
POOL = {"filterHeight": 3, "filterWidth": 2, **STRIDES}

# Operator, inputs (None is the computed one), shape of the result, options.
CASES: list[Case] = [
    ("ADD", [None, floats(4)], IMAGE, options("Add", fusedActivationFunction=1)),
    ("SUB", [None, floats(1, 1, 4)], IMAGE, options("Sub", fusedActivationFunction=2)),
    ("MUL", [floats(1, 6, 5, 1), None], IMAGE, options("Mul", fusedActivationFunction=3)),
    ("POW", [None, np.float32(2)], IMAGE, options("Pow")),
    ("DIV", [None, floats(4)], IMAGE, options("Div")),
    ("MAXIMUM", [None, np.float32(0.3)], IMAGE, options("MaximumMinimum")),
    ("MINIMUM", [None, floats(4)], IMAGE, options("MaximumMinimum")),
    ("SQUARED_DIFFERENCE", [None, floats(4)], IMAGE, options("SquaredDifference")),
    ("CONV_2D", [None, floats(3, 3, 3, 4), floats(3)], (1, 3, 5, 3), options("Conv2D", padding=0, **STRIDES)),
    ("CONV_2D", [None, floats(4, 2, 2, 2), floats(4)], (1, 5, 4, 4), options("Conv2D", padding=1, **ONE)),
    (
        "CONV_2D",
        [None, floats(3, 3, 2, 4), floats(3)],
        IMAGE[:3] + (3,),
        options("Conv2D", padding=0, dilationHFactor=2, dilationWFactor=2, fusedActivationFunction=1, **ONE),
    ),
    (
        "DEPTHWISE_CONV_2D",
        [None, floats(1, 3, 3, 8), floats(8)],
        (1, 3, 5, 8),
        options("DepthwiseConv2D", padding=0, depthMultiplier=2, **STRIDES),
    ),
    (
        "TRANSPOSE_CONV",
        [ints(1, 12, 10, 3), floats(3, 3, 3, 4), None],
        (1, 12, 10, 3),
        options("TransposeConv", padding=0, strideH=2, strideW=2),
    ),
    (
        "TRANSPOSE_CONV",
        [ints(1, 13, 11, 3), floats(3, 3, 3, 4), None, floats(3)],
        (1, 13, 11, 3),
        options("TransposeConv", padding=1, strideH=2, strideW=2),
    ),
    ("AVERAGE_POOL_2D", [None], (1, 3, 5, 4), options("Pool2D", padding=0, **POOL)),
    ("MAX_POOL_2D", [None], (1, 2, 4, 4), options("Pool2D", padding=1, **POOL)),
    ("MAX_POOL_2D", [None], (1, 3, 5, 4), options("Pool2D", padding=0, fusedActivationFunction=1, **POOL)),
    ("FULLY_CONNECTED", [None, floats(3, 120), floats(3)], (1, 3), options("FullyConnected")),
    ("FULLY_CONNECTED", [None, floats(3, 4)], (1, 6, 5, 3), options("FullyConnected", keepNumDims=True)),
    ("FULLY_CONNECTED", [None, floats(3, 4)], (30, 3), options("FullyConnected")),
    ("FULLY_CONNECTED", [None, floats(3, 20)], (6, 3), options("FullyConnected")),
    ("TILE", [None, ints(1, 2, 1, 3)], (1, 12, 5, 12), options("Tile")),
    ("REVERSE_V2", [None, ints(2)], IMAGE, options("ReverseV2")),
    ("BATCH_MATMUL", [None, floats(1, 6, 3, 4)], (1, 6, 5, 3), options("BatchMatMul", adjY=True)),
    ("MEAN", [None, ints(1, 2)], (1, 4), options("Reducer", keepDims=False)),
    ("MEAN", [None, ints(-1)], (1, 6, 5, 1), options("Reducer", keepDims=True)),
    ("SUM", [None, ints(2)], (1, 6, 4), options("Reducer")),
    ("REDUCE_MAX", [None, ints(1, 2)], (1, 1, 1, 4), options("Reducer", keepDims=True)),
    ("REDUCE_MIN", [None, ints(3)], (1, 6, 5), options("Reducer")),
    ("PAD", [None, np.array([[0, 0], [1, 2], [0, 1], [0, 3]], np.int32)], (1, 9, 6, 7), options("Pad")),
    (
        "PADV2",
        [None, np.array([[0, 0], [1, 0], [2, 0], [0, 0]], np.int32), np.float32(-1.5)],
        (1, 7, 7, 4),
        options("PadV2"),
    ),
    (
        "MIRROR_PAD",
        [None, np.array([[0, 0], [2, 1], [1, 2], [0, 0]], np.int32)],
        (1, 9, 8, 4),
        options("MirrorPad", mode=0),
    ),
    ("RESHAPE", [None, ints(1, 30, 4)], (1, 30, 4), options("Reshape", newShape=[1, 30, 4])),
    ("EXPAND_DIMS", [None, ints(2)], (1, 6, 1, 5, 4), options("ExpandDims")),
    ("TRANSPOSE", [None, ints(0, 3, 1, 2)], (1, 4, 6, 5), options("Transpose")),
    ("SLICE", [None, ints(0, 1, 0, 2), ints(1, 3, -1, 1)], (1, 3, 5, 1), options("Slice")),
    (
        "STRIDED_SLICE",
        [None, ints(0, -2, 0, 3), ints(0, -6, 0, -9), ints(1, -1, 2, -2)],
        (1, 4, 3, 2),
        options("StridedSlice", beginMask=5, endMask=13),
    ),
    (
        "STRIDED_SLICE",
        [None, ints(0, 2, 0, -1), ints(1, 3, 5, 0), ints(1, 1, 1, 1)],
        (1, 5),
        options("StridedSlice", shrinkAxisMask=10),
    ),
    ("CONCATENATION", [None, floats(1, 6, 5, 2)], (1, 6, 5, 6), options("Concatenation", axis=-1)),
    ("CONCATENATION", [None, None], (1, 12, 5, 4), options("Concatenation", axis=1)),
    ("PACK", [None, None], (1, 6, 2, 5, 4), options("Pack", axis=2, valuesCount=2)),
    ("GATHER", [None, ints(3, 0, 0)], (1, 6, 5, 3), options("Gather", axis=3)),
    ("SOFTMAX", [None], IMAGE, options("Softmax", beta=0.7)),
    ("LOG_SOFTMAX", [None], IMAGE, options("LogSoftmax")),
    ("LEAKY_RELU", [None], IMAGE, options("LeakyRelu", alpha=0.3)),
    ("PRELU", [None, floats(1, 1, 4)], IMAGE, None),
    ("GELU", [None], IMAGE, options("Gelu", approximate=True)),
    ("GELU", [None], IMAGE, options("Gelu", approximate=False)),
    ("L2_NORMALIZATION", [None], IMAGE, options("L2Norm")),
    ("DEPTH_TO_SPACE", [None], (1, 12, 10, 1), options("DepthToSpace", blockSize=2)),
    (
        "RESIZE_NEAREST_NEIGHBOR",
        [None, ints(9, 10)],
        (1, 9, 10, 4),
        options("ResizeNearestNeighbor", halfPixelCenters=True),
    ),
    ("RESIZE_NEAREST_NEIGHBOR", [None, ints(4, 10)], (1, 4, 10, 4), options("ResizeNearestNeighbor")),
    (
        "RESIZE_BILINEAR",
        [None, ints(12, 10)],
        (1, 12, 10, 4),
        options("ResizeBilinear", halfPixelCenters=True),
    ),
    ("RESIZE_BILINEAR", [None, ints(11, 9)], (1, 11, 9, 4), options("ResizeBilinear", alignCorners=True)),
    ("RESIZE_BILINEAR", [None, ints(12, 15)], (1, 12, 15, 4), options("ResizeBilinear")),
    *(
        (name, [None], IMAGE, None)
        for name in ("ABS", "EXP", "HARD_SWISH", "LOGISTIC", "NEG", "RELU", "RELU6", "RELU_0_TO_1")
    ),
    *((name, [None], IMAGE, None) for name in ("RELU_N1_TO_1", "SQUARE", "TANH")),
]
POSITIVE = ("LOG", "SQRT", "RSQRT")
CASES += [(name, [None], IMAGE, None) for name in POSITIVE]
COMPARISONS = ("GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")
ELSEWHERE = {
    "ELU",
    "SPLIT",
    "SPLIT_V",
    "UNPACK",
    "SQUEEZE",
    "SPACE_TO_DEPTH",
    "SELECT",
    "SELECT_V2",
    *COMPARISONS,
}
ELSEWHERE |= {"LOGICAL_AND", "LOGICAL_OR", "LOGICAL_NOT", "UNIDIRECTIONAL_SEQUENCE_LSTM"}


def one(case: Case) -> bytes:
    """A model of one operator."""
    kind, inputs, shape, made = case
    model = ModelBuilder()
    x = model.input(IMAGE, "float32")
    places = [x if data is None else model.constant(np.asarray(data)) for data in inputs]
    return model.finish([model.operator(kind, places, shape, made, dtype="float32")])


def checked(blob: bytes, x: np.ndarray, path: Path) -> Any:
    path.write_bytes(blob)
    found = compare(path, x)
    assert found.equal, found
    assert not found.exact
    return found


@pytest.mark.parametrize("case", CASES, ids=[f"{case[0]}-{number}" for number, case in enumerate(CASES)])
def test_an_operator_computes_what_the_interpreter_computes(case: Case, tmp_path: Path) -> None:
    x = floats(3, *IMAGE[1:])
    x = np.abs(x) + 0.1 if case[0] in POSITIVE else x
    checked(one(case), x, tmp_path / "model.tflite")


def test_elu_which_the_reference_kernels_lack() -> None:
    x = floats(3, *IMAGE[1:])
    y = from_tflite(one(("ELU", [None], IMAGE, None)))(x)
    assert np.allclose(y, np.where(x > 0, x, np.expm1(x)), rtol=0, atol=1e-6)


def test_every_operator_has_a_case() -> None:
    assert {case[0] for case in CASES} | ELSEWHERE == set(FLOAT_OPERATORS)


@pytest.mark.parametrize("kind", COMPARISONS)
def test_a_comparison_chooses(kind: str, tmp_path: Path) -> None:
    model = ModelBuilder()
    x = model.input(IMAGE, "float32")
    low, high = model.constant(np.float32(-0.25)), model.constant(floats(4))

    def truth(operator: str, *inputs: int) -> int:
        made: int = model.operator(operator, list(inputs), IMAGE, None, "bool")
        return made

    one, two = truth(kind, x, high), truth("LESS", x, low)
    both = truth("LOGICAL_OR", truth("LOGICAL_AND", one, truth("LOGICAL_NOT", two)), two)
    y = model.operator("SELECT_V2", [both, x, high], IMAGE, None, "float32")
    turned = model.operator("NEG", [y], IMAGE, None, "float32")
    z = model.operator("SELECT", [two, turned, y], IMAGE, None, "float32")
    checked(model.finish([z]), floats(3, *IMAGE[1:]), tmp_path / "model.tflite")


@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("peepholes", [False, True])
def test_an_lstm_in_one_operator(coupled: bool, peepholes: bool, tmp_path: Path) -> None:
    model, n, ins = ModelBuilder(), 4, 3
    x = model.input((1, 5, ins), "float32")

    def gates(used: bool, *shape: int) -> list[int]:
        return [
            -1 if coupled and gate == 0 or not used else model.constant(floats(*shape)) for gate in range(4)
        ]

    seen = gates(peepholes, n)[:3]
    states = [model.tensor((1, n), "float32", variable=True) for _ in range(2)]
    takes = [
        x,
        *gates(True, n, ins),
        *gates(True, n, n),
        *seen,
        *gates(True, n),
        -1,
        -1,
        *states,
        -1,
        -1,
        -1,
        -1,
    ]
    made = options("UnidirectionalSequenceLSTM", fusedActivationFunction=4)
    y = model.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", takes, (1, 5, n), made, "float32")
    checked(model.finish([y]), floats(3, 5, ins), tmp_path / "model.tflite")


def test_parts_of_a_value_come_apart_and_together(tmp_path: Path) -> None:
    model = ModelBuilder()
    x = model.input(IMAGE, "float32")
    axis, last = model.constant(np.array([3], np.int32)), model.constant(ints(1))
    left, right = model.operator_of_several(
        "SPLIT", [axis, x], [(1, 6, 5, 2)] * 2, options("Split", numSplits=2), dtype="float32"
    )
    sizes = model.constant(ints(1, -1, 2))
    _, middle, _ = model.operator_of_several(
        "SPLIT_V",
        [left, sizes, last],
        [(1, 1, 5, 2), (1, 3, 5, 2), (1, 2, 5, 2)],
        options("SplitV", numSplits=3),
        dtype="float32",
    )
    rows = model.operator_of_several(
        "UNPACK", [middle], [(1, 5, 2)] * 3, options("Unpack", num=3, axis=1), dtype="float32"
    )
    deep = model.operator(
        "SPACE_TO_DEPTH", [model.operator("SLICE", [right, *(model.constant(ints(*v)) for v in
        ((0, 0, 0, 0), (1, 6, 4, 2)))], (1, 6, 4, 2), options("Slice"), dtype="float32")],
        (1, 3, 2, 8), options("SpaceToDepth", blockSize=2), dtype="float32",
    )  # fmt: skip
    single = model.operator(
        "MEAN", [deep, last], (1, 1, 2, 8), options("Reducer", keepDims=True), dtype="float32"
    )
    flat = model.operator(
        "SQUEEZE", [single], (1, 2, 8), options("Squeeze", squeezeDims=[1]), dtype="float32"
    )
    found = checked(model.finish([rows[2], flat]), floats(3, *IMAGE[1:]), tmp_path / "model.tflite")
    assert {(3, 5, 2), (3, 2, 8)} <= {pair.ours.shape for pair in found.pairs}


def test_constants_of_sixteen_bits_and_codes_are_floats(tmp_path: Path) -> None:
    model = ModelBuilder()
    x = model.input(IMAGE, "float32")
    half = model.constant(floats(4).astype(np.float16))
    codes = model.constant(
        RNG.integers(-128, 128, (3, 4)).astype(np.int8), scale=[0.1, 0.2, 0.3], zero=0, axis=0
    )
    bias = model.operator("DEQUANTIZE", [half], (4,), dtype="float32")
    weights = model.operator("DEQUANTIZE", [codes], (3, 4), dtype="float32")
    total = model.operator("ADD", [x, bias], IMAGE, options("Add"), dtype="float32")
    y = model.operator(
        "FULLY_CONNECTED",
        [total, weights],
        (1, 6, 5, 3),
        options("FullyConnected", keepNumDims=True),
        dtype="float32",
    )
    checked(model.finish([y]), floats(2, *IMAGE[1:]), tmp_path / "model.tflite")


def test_a_float_model_is_quantised_and_runs_on_the_engine() -> None:
    model = ModelBuilder()
    x = model.input((1, 4, 4, 2), "float32")
    weights, bias = model.constant(floats(3, 3, 3, 2) / 3), model.constant(floats(3))
    made = options("Conv2D", padding=0, strideH=2, strideW=2, fusedActivationFunction=3)
    c = model.operator("CONV_2D", [x, weights, bias], (1, 2, 2, 3), made, dtype="float32")
    dense = model.constant(floats(2, 12))
    y = model.operator("FULLY_CONNECTED", [c, dense], (1, 2), options("FullyConnected"), dtype="float32")
    net = from_tflite(model.finish([y]))
    samples = floats(20, 4, 4, 2)
    fixed = quantize(net, calibrate(net, samples, word=8))
    assert isinstance(fixed, Quantized)
    given = FixedArray.from_float(samples[:3], fixed.input)
    assert np.array_equal(RtlModel(fixed)(given).ints, fixed(given).ints)


def test_all_that_cannot_be_converted_is_named() -> None:
    model = ModelBuilder()
    x = model.input(IMAGE, "float32")
    a = model.operator("SIN", [x], IMAGE, dtype="float32", name="wave")
    b = model.operator(
        "ADD", [a, a], IMAGE, options("Add", fusedActivationFunction=5), dtype="float32", name="sign"
    )
    codes = model.constant(RNG.integers(-128, 128, (3, 4)).astype(np.int8), scale=0.1, name="codes")
    y = model.operator(
        "FULLY_CONNECTED", [b, codes], (1, 6, 5, 3), options("FullyConnected", keepNumDims=True), dtype="float32",
        name="hybrid",
    )  # fmt: skip
    with pytest.raises(UnsupportedModel) as refused:
        from_tflite(model.finish([y]))
    assert refused.value.refusals == (
        "SIN 'wave' is an operator that is not supported",
        "ADD 'sign' has the fused activation SIGN_BIT",
        "FULLY_CONNECTED 'hybrid' has the int8 input 'codes' beside floats, which TFLite then rounds; read the float "
        "network by quantised=False or `fixedpoint-nn import --floats`",
    )
