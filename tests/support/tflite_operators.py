# SPDX-License-Identifier: MIT
"""Random models of one operator each, with all of its options; drawn by Hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.support.tflite_dilation import dilated
from tests.support.tflite_models import TYPES, ModelBuilder, options
from tests.support.tflite_products import MAKERS as PRODUCTS
from tests.support.tflite_rearranging import MAKERS as REARRANGING
from tests.support.tflite_rearranging import common

SAMPLES = 6
Draw = Callable[[Any], Any]


@dataclass
class Drawn:
    """Draws what a model needs; `bits` is 8 or 16."""

    draw: Draw
    bits: int
    rng: np.random.Generator
    model: ModelBuilder
    unsigned: bool = False

    @property
    def dtype(self) -> str:
        return f"uint{self.bits}" if self.unsigned else f"int{self.bits}"

    @property
    def lowest(self) -> int:
        return int(np.iinfo(self.dtype).min)

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def choice(self, *values: Any) -> Any:
        return self.draw(st.sampled_from(values))

    def scale(self, low: float = 1e-4, high: float = 2.0) -> float:
        """A scale of any size, sometimes a power of two."""
        if self.draw(st.integers(0, 5)) == 0:
            return float(2.0 ** self.integer(int(np.ceil(np.log2(low))), int(np.log2(high))))
        return float(np.float32(np.exp(self.draw(st.floats(np.log(low), np.log(high))))))

    def zero(self) -> int:
        if self.bits == 16:
            return 0
        code = self.choice(0, 128, 255) if self.draw(st.booleans()) else self.integer(0, 255)
        return code + self.lowest

    def codes(self, shape: tuple[int, ...], dtype: str | None = None) -> np.ndarray:
        """Integers of the whole type, its ends often among them."""
        about = np.iinfo(dtype or self.dtype)
        x = self.rng.integers(about.min, about.max + 1, shape)
        ends = self.rng.random(shape) < 0.1
        return np.where(ends, self.rng.choice([about.min, about.max, 0], shape), x).astype(about.dtype)

    def input(self, shape: tuple[int, ...], **about: Any) -> int:
        about = {"scale": self.scale(), "zero": self.zero(), **about}
        return self.model.input((1, *shape), self.dtype, **about)

    def image(self) -> tuple[int, int, int]:
        return self.integer(1, 7), self.integer(1, 7), self.integer(1, 4)

    def fused(self) -> int:
        return self.choice(0, 1, 2, 3)

    def out(self, scale: float) -> dict[str, Any]:
        """An output of about this scale."""
        spread = float(np.exp(self.draw(st.floats(-1.5, 1.5))))
        return {"scale": float(np.float32(scale * spread)), "zero": self.zero(), "dtype": self.dtype}


@st.composite
def models(draw: Draw, operator: str, bits: int, unsigned: bool = False) -> tuple[bytes, np.ndarray]:
    """A model of one operator, and inputs for it."""
    seed = draw(st.integers(0, 2**32 - 1))
    d = Drawn(draw, bits, np.random.default_rng(seed), ModelBuilder(), unsigned)
    output = MAKERS[operator](d)
    shape = d.model.tensors[d.model.inputs[0]].shape[1:]
    return d.model.finish([output]), d.codes((SAMPLES, *shape))


def size_of(image: int, kernel: int, stride: int, dilation: int, padding: int) -> int:
    reach = (kernel - 1) * dilation + 1
    return -(-image // stride) if padding == 0 else (image - reach) // stride + 1


def _weights(d: Drawn, shape: tuple[int, ...], outputs: int, axis: int, per_channel: bool) -> tuple[int, Any]:
    if d.unsigned:
        scale = d.scale(1e-3, 0.1)
        return d.model.constant(d.codes(shape), scale=scale, zero=d.zero()), [scale]
    low = d.choice(-127, -8, -1)
    ints = d.rng.integers(low, -low + 1, shape).astype(np.int8)
    scales = [d.scale(1e-3, 0.1) for _ in range(outputs)] if per_channel else [d.scale(1e-3, 0.1)]
    zero = 0
    return d.model.constant(ints, scale=scales, zero=zero, axis=axis), scales


def _bias(d: Drawn, outputs: int, scales: Any, x: int, most: int, kinds: tuple[str, ...]) -> list[int]:
    kind = d.choice(*kinds)
    if kind == "none":
        return d.choice([], [-1])
    ints = d.rng.integers(-most, most + 1, outputs).astype(kind)
    return [d.model.constant(ints, scale=[s * _scale(d, x) for s in scales])]


def _bias_type(d: Drawn, bias: list[int]) -> int:
    """What the options say of the sums of 16-bit activations."""
    kind = d.model.tensors[bias[0]].type if bias and bias[0] >= 0 else TYPES["int64"]
    return TYPES["int32"] if d.bits == 16 and kind == TYPES["int32"] else 0


def _scale(d: Drawn, tensor: int) -> float:
    return float(d.model.tensors[tensor].quantization.scale[0])


def _geometry(d: Drawn, image: tuple[int, int, int]) -> tuple[Any, ...]:
    padding = d.choice(0, 1)
    stride = d.integer(1, 3), d.integer(1, 3)
    dilation = (1, 1) if d.draw(st.booleans()) else (d.integer(1, 3), d.integer(1, 3))
    kernel = []
    for size, between in zip(image, dilation):
        most = 4 if padding == 0 else min(4, (size - 1) // between + 1)
        kernel.append(d.integer(1, most))
    sizes = [size_of(*about, padding) for about in zip(image, kernel, stride, dilation)]
    return padding, stride, dilation, kernel, sizes


def conv_2d(d: Drawn) -> int:
    image = d.image()
    groups = d.choice(1, 1, image[2])
    outputs = groups * d.integer(1, 4)
    padding, stride, dilation, kernel, sizes = _geometry(d, image)
    x = d.input(image)
    shape = (outputs, *kernel, image[2] // groups)
    w, scales = _weights(d, shape, outputs, 0, d.draw(st.booleans()))
    bias = _bias(d, outputs, scales, x, d.choice(3, 3000), ("int32",) if d.bits == 8 else ("int32", "int64"))
    taps = kernel[0] * kernel[1] * shape[3]
    return d.model.operator(
        "CONV_2D",
        [x, w, *bias],
        (1, *sizes, outputs),
        options(
            "Conv2D",
            padding=padding,
            strideH=stride[0],
            strideW=stride[1],
            dilationHFactor=dilation[0],
            dilationWFactor=dilation[1],
            fusedActivationFunction=d.fused(),
            quantizedBiasType=_bias_type(d, bias),
        ),
        **d.out(_scale(d, x) * max(scales) * 60 * np.sqrt(taps)),
    )


def depthwise_conv_2d(d: Drawn) -> int:
    image = d.image()
    multiplier = d.integer(1, 3)
    outputs = image[2] * multiplier
    padding, stride, dilation, kernel, sizes = _geometry(d, image)
    x = d.input(image)
    w, scales = _weights(d, (1, *kernel, outputs), outputs, 3, d.draw(st.booleans()))
    bias = _bias(d, outputs, scales, x, d.choice(3, 3000), ("int32",) if d.bits == 8 else ("int64",))
    return d.model.operator(
        "DEPTHWISE_CONV_2D",
        [x, w, *bias],
        (1, *sizes, outputs),
        options(
            "DepthwiseConv2D",
            padding=padding,
            strideH=stride[0],
            strideW=stride[1],
            dilationHFactor=dilation[0],
            dilationWFactor=dilation[1],
            depthMultiplier=multiplier,
            fusedActivationFunction=d.fused(),
        ),
        **d.out(_scale(d, x) * max(scales) * 60 * np.sqrt(kernel[0] * kernel[1])),
    )


def fully_connected(d: Drawn) -> int:
    inputs, outputs = d.integer(1, 20), d.integer(1, 6)
    before = d.choice((), (), (2,), (2, 3))
    keep = d.draw(st.booleans()) if before else False
    columns = inputs * int(np.prod(before)) if before and not keep else inputs
    x = d.input((*before, inputs))
    w, scales = _weights(d, (outputs, columns), outputs, 0, d.draw(st.booleans()))
    bias = _bias(
        d,
        outputs,
        scales,
        x,
        d.choice(3, 3000),
        ("none", "int32") if d.bits == 8 else ("none", "int32", "int64"),
    )
    return d.model.operator(
        "FULLY_CONNECTED",
        [x, w, *bias],
        (1, *before, outputs) if keep else (1, outputs),
        options(
            "FullyConnected",
            keepNumDims=keep,
            fusedActivationFunction=d.fused(),
            quantizedBiasType=_bias_type(d, bias),
        ),
        **d.out(_scale(d, x) * max(scales) * 60 * np.sqrt(columns)),
    )


def _pool(d: Drawn, kind: str) -> int:
    image = d.image()
    padding, stride, _, kernel, _ = _geometry(d, image)
    sizes = [size_of(*about, 1, padding) for about in zip(image, kernel, stride)]
    x = d.input(image)
    about = d.model.tensors[x].quantization
    return d.model.operator(
        kind,
        [x],
        (1, *sizes, image[2]),
        options(
            "Pool2D",
            padding=padding,
            strideH=stride[0],
            strideW=stride[1],
            filterHeight=kernel[0],
            filterWidth=kernel[1],
            fusedActivationFunction=d.fused(),
        ),
        dtype=d.dtype,
        scale=about.scale[0],
        zero=about.zeroPoint[0],
    )


def _reduced(d: Drawn, kind: str) -> int:
    image = d.image()
    axes = d.choice([1, 2], [2, 1], [1], [2], [3], [-1], [1, 2, 3], [2, 3], [-2])
    keep = d.draw(st.booleans())
    x = d.input(image)
    chosen = {axis % 4 for axis in axes}
    shape = [
        1 if axis in chosen else size for axis, size in enumerate((1, *image)) if keep or axis not in chosen
    ]
    places = d.model.constant(np.array(axes, np.int32))
    terms = int(np.prod([(1, *image)[axis] for axis in chosen])) if kind == "SUM" else 1
    same = kind.startswith("REDUCE") or d.choice(True, False, False)
    out = common(d, x) if same else d.out(_scale(d, x) * terms**0.5)
    return d.model.operator(kind, [x, places], shape, options("Reducer", keepDims=keep), **out)


def _second(d: Drawn, x: int, shape: tuple[int, ...]) -> int:
    """A second operand: the first one rescaled, or a constant of a shape that broadcasts."""
    spread = float(np.exp(d.draw(st.floats(-5, 5))))  # a larger one overflows in 32 bits
    scale, zero = float(np.float32(_scale(d, x) * spread)), d.zero()
    if d.draw(st.booleans()):
        return d.model.operator(
            "QUANTIZE", [x], (1, *shape), options("Quantize"), d.dtype, scale=scale, zero=zero
        )
    sizes = d.choice((1, *shape), shape[-1:], (1, 1, 1, shape[-1]), (1,), (1, shape[0], 1, 1))
    return d.model.constant(d.codes(sizes), scale=scale, zero=zero)


def _binary(d: Drawn, kind: str) -> int:
    image = d.image()
    if kind in ("ADD", "SUB") and d.bits == 16 and d.draw(st.booleans()):
        return _add_by_shifts(d, image, kind)
    x = d.input(image)
    second = _second(d, x, image)
    pair = [x, second] if d.draw(st.booleans()) else [second, x]
    a, b = _scale(d, x), _scale(d, second)
    if kind == "SQUARED_DIFFERENCE":
        about, scale = options("SquaredDifference"), 60 * max(a, b) ** 2
    elif kind != "MUL":
        about = options(kind.capitalize(), fusedActivationFunction=d.fused(), potScaleInt16=False)
        scale = max(a, b)
    else:
        about, scale = options("Mul", fusedActivationFunction=d.fused()), 60 * a * b
    return d.model.operator(kind, pair, (1, *image), about, **d.out(scale))


def _add_by_shifts(d: Drawn, image: tuple[int, ...], kind: str) -> int:
    """16-bit values whose scales are powers of two, one of them that of the output."""
    far, scale = d.integer(0, 13), 2.0 ** d.integer(-14, 0)
    x = d.input(image, scale=scale)
    other = d.model.operator("QUANTIZE", [x], (1, *image), dtype="int16", scale=scale * 2.0**-far)
    pair = [x, other] if d.draw(st.booleans()) else [other, x]
    about = options(kind.capitalize(), fusedActivationFunction=d.fused(), potScaleInt16=True)
    return d.model.operator(kind, pair, (1, *image), about, "int16", scale=scale)


def pad(d: Drawn) -> int:
    rank = d.integer(2, 4)
    shape = d.image()[: rank - 1]
    x = d.input(shape)
    edges = np.array([(0, 0), *((d.integer(0, 2), d.integer(0, 2)) for _ in shape)])
    about = d.model.tensors[x].quantization
    padded = [size + int(edge.sum()) for size, edge in zip((1, *shape), edges)]
    places = d.model.constant(edges.astype(d.choice(np.int32, np.int64)))
    return d.model.operator(
        "PAD", [x, places], padded, options("Pad"), d.dtype, scale=about.scale[0], zero=about.zeroPoint[0]
    )


def reshape(d: Drawn) -> int:
    image = d.image()
    x = d.input(image)
    about = d.model.tensors[x].quantization
    shape = d.choice((1, int(np.prod(image))), (1, image[0] * image[1], image[2]), (1, *image[::-1]))
    inputs = [x]
    if d.draw(st.booleans()):
        inputs.append(d.model.constant(np.array(shape, np.int32)))
    made = options("Reshape", newShape=list(shape))
    return d.model.operator(
        "RESHAPE",
        inputs,
        shape,
        made,
        d.dtype,
        scale=about.scale[0] * d.choice(1, 2),
        zero=about.zeroPoint[0],
    )


def squeeze(d: Drawn) -> int:
    x = d.input((d.integer(1, 4), 1, d.integer(1, 4)))
    about = d.model.tensors[x].quantization
    size = d.model.tensors[x].shape
    shape = (1, size[1], size[3])
    made = options("Squeeze", squeezeDims=[2])
    return d.model.operator(
        "SQUEEZE", [x], shape, made, d.dtype, scale=about.scale[0], zero=about.zeroPoint[0]
    )


def expand_dims(d: Drawn) -> int:
    x = d.input((d.integer(1, 4), d.integer(1, 4)))
    about = d.model.tensors[x].quantization
    axis = d.integer(1, 3)
    shape = list(d.model.tensors[x].shape)
    shape.insert(axis, 1)
    place = d.model.constant(np.array([axis], np.int32))
    return d.model.operator(
        "EXPAND_DIMS", [x, place], shape, None, d.dtype, scale=about.scale[0], zero=about.zeroPoint[0]
    )


def slice_(d: Drawn) -> int:
    image = d.image()
    x = d.input(image)
    about = d.model.tensors[x].quantization
    begins = [0, *(d.integer(0, size - 1) for size in image)]
    counts = [1, *(d.integer(1, size - begin) for size, begin in zip(image, begins[1:]))]
    places = [d.model.constant(np.array(values, np.int32)) for values in (begins, counts)]
    return d.model.operator(
        "SLICE", [x, *places], counts, None, d.dtype, scale=about.scale[0], zero=about.zeroPoint[0]
    )


def strided_slice(d: Drawn) -> int:
    image = d.image()
    x = d.input(image)
    about = d.model.tensors[x].quantization
    begins, ends, strides, shape = [0], [1], [1], [1]
    masks = {"begin": 0, "end": 0, "shrink": 0}
    for axis, size in enumerate(image, 1):
        kind = d.choice("all", "part", "place", "back")
        begin = d.integer(0, size - 1)
        if kind == "place" and len(shape) == axis - masks["shrink"].bit_count():
            masks["shrink"] |= 1 << axis
            begins.append(begin - d.choice(0, size))
            ends.append(begin + 1)
            strides.append(1)
            continue
        end, stride = d.integer(begin + 1, size), d.integer(1, 3)
        if kind == "back":
            begin, end, stride = size - 1, 0, -d.integer(1, 2)
            masks["end"] |= 1 << axis
        elif kind != "part":
            masks["begin"] |= 1 << axis
            masks["end"] |= 1 << axis
        begins.append(begin)
        ends.append(end)
        strides.append(stride)
        first = None if masks["begin"] >> axis & 1 else begin
        last = None if masks["end"] >> axis & 1 else end
        shape.append(len(range(size)[slice(first, last, stride)]))
    places = [d.model.constant(np.array(values, np.int32)) for values in (begins, ends, strides)]
    made = options(
        "StridedSlice",
        beginMask=masks["begin"],
        endMask=masks["end"],
        shrinkAxisMask=masks["shrink"],
        ellipsisMask=0,
        newAxisMask=0,
    )
    return d.model.operator(
        "STRIDED_SLICE", [x, *places], shape, made, d.dtype, scale=about.scale[0], zero=about.zeroPoint[0]
    )


def concatenation(d: Drawn) -> int:
    image = d.image()
    x = d.input(image)
    about = d.model.tensors[x].quantization
    common = {"dtype": d.dtype, "scale": about.scale[0], "zero": about.zeroPoint[0]}
    other = d.model.operator("RELU", [x], (1, *image), **common)
    axis = d.choice(3, -1, 1, 2)
    parts = d.choice([x, other], [other, x, x], [x])
    shape = [1, *image]
    shape[axis] *= len(parts)
    return d.model.operator("CONCATENATION", parts, shape, options("Concatenation", axis=axis), **common)


def _unary(d: Drawn, kind: str) -> int:
    image = d.image()
    most = 0.05 if kind == "EXP" else 0.3
    x = d.input(image, scale=d.scale(1e-5, 1e-3) if kind == "EXP" and d.bits == 16 else d.scale(1e-3, most))
    out = d.out(_scale(d, x))
    if kind == "LOGISTIC":
        out["scale"] = 1 / 256 if d.bits == 8 else 1 / 32768
    if kind == "LOGISTIC" and d.unsigned:
        out["zero"] = 0
    if kind == "TANH" and d.unsigned:
        out["zero"] = 128
    if kind == "TANH":
        out["scale"] = d.choice(1 / 128, 0.01) if d.bits == 8 else 1 / 32768
    made = options("LeakyRelu", alpha=d.choice(0.01, 0.1, 0.5, 1.0)) if kind == "LEAKY_RELU" else None
    if kind == "GELU":
        made = options("Gelu", approximate=d.choice(True, False))
    if kind == "RSQRT":  # of a value without a sign
        about = {"scale": d.scale(1e-3, 0.3), "zero": -128 if d.bits == 8 else 0}
        x = d.model.operator("RELU", [x], (1, *image), None, d.dtype, **about)
    if kind == "QUANTIZE":
        out["dtype"] = d.choice("int8", "int16")
        out["zero"] = 0 if out["dtype"] == "int16" else d.integer(-128, 127)
    return d.model.operator(kind, [x], (1, *image), made, **out)


def softmax(d: Drawn) -> int:
    image = d.choice((), (2,), (2, 3)) + (d.integer(1, 12),)
    x = d.input(image, scale=d.scale(1e-3, 1.0))
    scale, zero = (1 / 256, d.lowest) if d.bits == 8 else (1 / 32768, 0)
    beta = d.choice(1.0, 1.0, 0.5, 3.0)
    return d.model.operator(
        "SOFTMAX", [x], (1, *image), options("Softmax", beta=beta), d.dtype, scale=scale, zero=zero
    )


def l2_normalization(d: Drawn) -> int:
    image = d.choice((), (2,), (2, 3)) + (d.integer(1, 12),)
    out = {"dtype": d.dtype, "scale": 1 / 128, "zero": 128 if d.unsigned else 0}
    return d.model.operator("L2_NORMALIZATION", [d.input(image)], (1, *image), options("L2Norm"), **out)


def lstm(d: Drawn) -> int:
    time, inputs, n = d.integer(1, 5), d.integer(1, 5), d.integer(1, 5)
    outputs = d.integer(1, 4) if d.draw(st.booleans()) else None  # of a projection
    size = outputs or n
    model, coupled = d.model, d.draw(st.integers(0, 2)) == 0
    x = d.input((time, inputs), scale=d.scale(0.005, 0.1))
    state = {"scale": d.choice(1 / 128, d.scale(0.004, 0.02)), "zero": d.choice(0, d.integer(-60, 60))}

    def of_gates(gates: tuple[int, ...], shape: tuple[int, ...], dtype: str, scale: Any) -> list[int]:
        most = {"int8": 127, "int16": 32767, "int32": 3000}[dtype]
        return [
            -1
            if gate == 0 and coupled
            else model.constant(d.rng.integers(-most, most + 1, shape).astype(dtype), scale=scale())
            for gate in gates
        ]

    small = lambda: d.scale(1e-3, 0.05)  # noqa: E731
    every = (0, 1, 2, 3)
    from_input = of_gates(every, (n, inputs), "int8", small)
    from_state = of_gates(every, (n, size), "int8", small)
    from_cell = [-1] * 3
    if size <= n and d.draw(st.booleans()):
        from_cell = of_gates((0, 1, 3), (n,), "int16", lambda: d.scale(1e-5, 1e-3))
    bias = of_gates(every, (n,), "int32", lambda: 1e-4)
    projection = [-1, -1]
    if outputs:
        projection[0] = model.constant(d.rng.integers(-127, 128, (outputs, n)).astype(np.int8), scale=small())
        if d.draw(st.booleans()):
            projection[1] = model.constant(d.rng.integers(-300, 301, outputs).astype(np.int32), scale=1e-4)
    h = model.tensor((1, size), "int8", variable=True, **state)
    c = model.tensor((1, n), "int16", scale=2.0 ** d.choice(-15, -11, -9), variable=True)
    between = [model.tensor((), "int16", scale=2.0**-12) for _ in range(4)]
    hidden = {"scale": d.choice(state["scale"], d.scale(0.004, 0.02)), "zero": d.choice(state["zero"], 0, 25)}
    between.append(model.tensor((), "int8", **hidden))
    made = options(
        "UnidirectionalSequenceLSTM",
        fusedActivationFunction=4,
        cellClip=d.choice(0.0, 0.0, 0.3, 2.0),
        projClip=d.choice(0.0, 0.0, 0.9) if abs(state["zero"]) * state["scale"] < 0.85 else 0.0,
        timeMajor=False,
    )
    takes = [x, *from_input, *from_state, *from_cell, *bias, *projection, h, c, -1, -1, -1, -1]
    return model.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", takes, (1, time, size), made, intermediates=between, **state
    )


MAKERS: dict[str, Callable[[Drawn], int]] = {
    **PRODUCTS,
    **REARRANGING,
    "SPACE_TO_BATCH_ND": dilated,
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "FULLY_CONNECTED": fully_connected,
    "AVERAGE_POOL_2D": lambda d: _pool(d, "AVERAGE_POOL_2D"),
    "MAX_POOL_2D": lambda d: _pool(d, "MAX_POOL_2D"),
    **{
        kind: (lambda d, kind=kind: _reduced(d, kind)) for kind in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN")
    },
    "SQUARED_DIFFERENCE": lambda d: _binary(d, "SQUARED_DIFFERENCE"),
    "ADD": lambda d: _binary(d, "ADD"),
    "SUB": lambda d: _binary(d, "SUB"),
    "MUL": lambda d: _binary(d, "MUL"),
    "PAD": pad,
    "RESHAPE": reshape,
    "SQUEEZE": squeeze,
    "SLICE": slice_,
    "STRIDED_SLICE": strided_slice,
    "EXPAND_DIMS": expand_dims,
    "CONCATENATION": concatenation,
    "SOFTMAX": softmax,
    "L2_NORMALIZATION": l2_normalization,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm,
    **{
        kind: (lambda d, kind=kind: _unary(d, kind))
        for kind in (
            "RELU",
            "RELU6",
            "RELU_N1_TO_1",
            "RELU_0_TO_1",
            "LOGISTIC",
            "TANH",
            "QUANTIZE",
            "HARD_SWISH",
            "LEAKY_RELU",
            "ABS",
            "ELU",
            "EXP",
            "GELU",
            "LOG",
            "RSQRT",
        )
    },
}
