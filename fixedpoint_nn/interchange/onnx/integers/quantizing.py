# SPDX-License-Identifier: MIT
"""QuantizeLinear and DequantizeLinear: between real numbers and codes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.centred import Shifted
from fixedpoint_nn.interchange.affine.constants import exact
from fixedpoint_nn.interchange.onnx.file import package
from fixedpoint_nn.interchange.onnx.integers.chain import Times, channels
from fixedpoint_nn.interchange.onnx.integers.constants import ScaledConstant, along
from fixedpoint_nn.interchange.onnx.integers.meaning import Codes, Reals, codes, reals
from fixedpoint_nn.interchange.onnx.integers.rounding import Rounds, rounded
from fixedpoint_nn.interchange.onnx.integers.step import IntegerStep
from fixedpoint_nn.interchange.onnx.integers.table import operator
from fixedpoint_nn.interchange.onnx.step import OnnxStep, axis_of
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused

RANGES = {
    "INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-(1 << 15), (1 << 15) - 1), "UINT16": (0, (1 << 16) - 1),
    "INT4": (-8, 7), "UINT4": (0, 15), "INT2": (-2, 1), "UINT2": (0, 3), "INT32": (-(1 << 31), (1 << 31) - 1),
}  # fmt: skip
NUMPY = {kind.lower(): ends for kind, ends in RANGES.items()}


def range_of_type(array: Any, what: str) -> tuple[int, int]:
    """(lowest, highest) number of an array's integer type."""
    ends = NUMPY.get(np.asarray(array).dtype.name)
    if ends is None:
        raise Refused(
            f"its {what} is {np.asarray(array).dtype.name}, and integers of 2 to 16 bits are supported"
        )
    return ends


@operator("QuantizeLinear", "a rescaling that is proven for every sum", "floats of 8 bits; blocks")
def quantize_linear(step: IntegerStep) -> OnnxValue:
    """Convert QuantizeLinear of real numbers."""
    v = step.value(0, kind="")
    kind = reals(v)
    rounds, axis = quantize_attributes(step)
    if len(rounds.scales) > 1:
        axis = axis_of(axis, len(v.dims))
        if len(rounds.scales) != v.dims[axis]:
            raise Refused(f"it has {len(rounds.scales)} scales, and axis {axis} has {v.dims[axis]} elements")
        if axis != v.axes[-1] and channels(kind.chain) > 1:
            raise Refused("its channels are not those of the product before it")
        v = step.builder.last(v, axis)
    alike = kind.zero == rounds.zero and kind.linear and rounds.scales == (kind.scale,)
    if alike and rounds.centred[0] <= kind.low and kind.high <= rounds.centred[1]:
        same: Any = Codes(kind.low, kind.high, rounds.zero)
        return replace(v, kind=same)
    return rounded(step, v, rounds)


def quantize_attributes(step: OnnxStep) -> tuple[Rounds, int]:
    """(rounding, axis) of a QuantizeLinear."""
    step.must_be("saturate", 1)
    step.must_be("block_size", 0)
    axis = int(step.attribute("axis", 1))
    kinds = package().TensorProto
    said = int(step.attribute("output_dtype", 0))
    precise = int(step.attribute("precision", 0))
    if precise not in (0, kinds.FLOAT):
        raise Refused(f"its precision is {kinds.DataType.Name(precise)}, and only FLOAT is supported")
    scales = np.asarray(step.constant(1, "scales"), np.float32)
    zeros = step.optional(2, "zero points")
    if zeros is None:
        name = kinds.DataType.Name(said) if said else "UINT8"
        if name not in RANGES:
            raise Refused(f"its output_dtype is {name}, and integers of 2 to 16 bits are supported")
        low, high = RANGES[name]
        zeros = np.zeros(1, np.int64)
    else:
        low, high = range_of_type(zeros, "zero point")
    found = np.unique(np.asarray(zeros, np.int64))
    if len(found) != 1:
        raise Refused("its channels have different zero points; values that are computed have one")
    if scales.ndim > 1 or not (np.isfinite(scales).all() and (scales > 0).all()):
        raise Refused("its scales are not one positive number, or one for each channel")
    flat = np.unique(scales) if len(np.unique(scales)) == 1 else scales.reshape(-1)
    return Rounds(tuple(flat.tolist()), int(found[0]), low, high), axis


@operator("DequantizeLinear", "nothing, or an addition of the zero point", "floats of 8 bits; blocks")
def dequantize_linear(step: IntegerStep) -> OnnxValue:
    """Convert DequantizeLinear of codes."""
    step.must_be("block_size", 0)
    step.attribute("output_dtype")
    axis = int(step.attribute("axis", 1))
    v = step.value(0, kind="")
    codes(v)
    scales = np.asarray(step.constant(1, "scales"), np.float32)
    zeros = step.optional(2, "zero points")
    found = np.unique(np.zeros(1, np.int64) if zeros is None else np.asarray(zeros, np.int64))
    if len(found) != 1:
        raise Refused("its channels have different zero points; values that are computed have one")
    if scales.ndim > 1 or not (np.isfinite(scales).all() and (scales > 0).all()):
        raise Refused("its scales are not one positive number, or one for each channel")
    v = centred(step, v, int(found[0]))
    if len(np.unique(scales)) > 1:
        axis = axis_of(axis, len(v.dims))
        if scales.shape != (v.dims[axis],):
            raise Refused(f"it has {scales.size} scales, and axis {axis} has {v.dims[axis]} elements")
        v = step.builder.last(v, axis)
    else:
        scales = np.unique(scales)
    kind = codes(v)
    meant: Any = Reals(kind.low, kind.high, (Times(tuple(scales.tolist())),), zero=int(found[0]))
    return replace(v, kind=meant)


def centred(step: IntegerStep, v: OnnxValue, zero: int) -> OnnxValue:
    """The codes minus this zero point."""
    kind = codes(v)
    if kind.zero == zero:
        return v
    by = kind.zero - zero
    low, high = kind.low + by, kind.high + by
    name = f"{v.node}_centred"
    node = step.builder.add(name, Shifted(by, exact(low, high, name)), v.node)
    moved: Any = Codes(low, high, zero)
    return replace(v, node=node, kind=moved, flat=None)


def dequantized(step: OnnxStep) -> ScaledConstant:
    """Convert DequantizeLinear of a constant."""
    array = np.asarray(step.constant(0, "codes"))
    axis, block = int(step.attribute("axis", 1)), int(step.attribute("block_size", 0))
    scales, zeros = np.asarray(step.constant(1, "scales"), np.float32), step.optional(2, "zero points")
    if array.dtype.name not in (*NUMPY, "int64"):
        raise Refused(f"its codes are {array.dtype.name}, and integers are supported")
    ints = array.astype(np.int64)

    def spread(parameter: Any, what: str) -> Any:
        parameter = np.asarray(parameter)
        if not block or parameter.size == 1:
            return along(parameter, axis, array.shape, what)
        whole = np.repeat(parameter, block, axis)
        return whole[tuple(slice(0, size) for size in array.shape)]

    if zeros is not None:
        ints = ints - spread(np.asarray(zeros).astype(np.int64), "zero points")
    return ScaledConstant.of(ints, spread(scales, "scales"))
