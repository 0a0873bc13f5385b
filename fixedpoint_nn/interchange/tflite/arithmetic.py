# SPDX-License-Identifier: MIT
"""ADD, SUB and MUL of two values, or a value and a constant, with broadcasting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.centred import Scaled
from fixedpoint_nn.interchange.affine.constants import Unsuited, exact, fixed_constant, integer_format
from fixedpoint_nn.interchange.affine.joining import RescaledProduct, RescaledSquare, RescaledSum
from fixedpoint_nn.interchange.affine.multiplier import multiplied, quantized_multiplier
from fixedpoint_nn.interchange.affine.rescale import Lookup
from fixedpoint_nn.interchange.affine.rescaling import fitted, rescaled_twice
from fixedpoint_nn.interchange.tflite.codes import eight_bits
from fixedpoint_nn.interchange.tflite.model import TfliteTensor
from fixedpoint_nn.interchange.tflite.step import Made, TfliteStep, TfliteValue
from fixedpoint_nn.layers.structure import Layer, Sequential
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.value_table import ValueTable

LEFT_SHIFTS = {"int8": 20, "uint8": 20, "int16": 15}
SQUARE_SHIFT = 7


def add(step: TfliteStep) -> Made:
    """Convert ADD: operands times 2**20 (for 16 bits 2**15), rescaled to twice the larger scale, added, rescaled."""
    return _sum(step, 1)


def subtract(step: TfliteStep) -> Made:
    """Convert SUB: ADD with the second operand negated."""
    return _sum(step, -1)


def _sum(step: TfliteStep, sign: int) -> Made:
    """Convert ADD or SUB (`sign` -1): both operands scaled to twice the larger scale, added, and rescaled."""
    pair, output = _operands(step), step.output()
    dtype = step.same_type(pair.first.tensor, pair.second_tensor, output)
    up = LEFT_SHIFTS[dtype]
    if dtype == "int16" and step.options["PotScaleInt16"] and pair.powers_of_two(output):
        return _add_by_shifts(step, pair, output, sign)
    codes = step.activation_range()
    twice, left, left_range, right, right_range, fixed = _aligned(step, pair, up)
    signs = (sign, 1) if pair.swapped else (1, sign)
    sums = _added(_signed(left_range, signs[0]), _signed(right_range, signs[1]))
    real = twice / (float(1 << up) * output.scale)
    _less_than_one(real, "sum")
    rescale = rescaled_twice(real, sums, codes, step.name)
    return Made(RescaledSum(rescale, left, right, fixed, signs), pair.takes, codes)


def _aligned(step: TfliteStep, pair: OperandPair, up: int) -> tuple[Any, ...]:
    """Both operands times 2**up, as multiples of twice the larger scale.

    (that scale, layer and range of the first, layer and range of the second, constant in place of its layer).
    """
    scales = pair.first.tensor.scale, pair.second_tensor.scale
    twice = 2 * max(scales)
    reals = scales[0] / twice, scales[1] / twice
    left = _addend(step, pair.first, reals[0], up, "left")
    if pair.second is not None:
        return twice, *left, *_addend(step, pair.second, reals[1], up, "right"), None
    m, shift = quantized_multiplier(reals[1])
    scaled = np.vectorize(lambda code: multiplied(int(code) << up, m, shift), otypes=[np.int64])
    ints = scaled(pair.integers())
    return twice, *left, None, (min(int(ints.min()), 0), max(int(ints.max()), 0)), fixed_constant(ints)


def squared_difference(step: TfliteStep) -> Made:
    """Convert SQUARED_DIFFERENCE: operands times 2**7, rescaled to twice the larger scale; the square, rescaled."""
    pair, output = _operands(step), step.output()
    eight_bits(step, pair.first, ("int8",))
    step.same_type(pair.first.tensor, pair.second_tensor, output)
    twice, left, left_range, right, right_range, fixed = _aligned(step, pair, SQUARE_SHIFT)
    low, high = _added(left_range, _signed(right_range, -1))
    squares = 0, max(-low, high) ** 2
    real = twice * twice / float(np.float32(1 << 2 * SQUARE_SHIFT) * np.float32(output.scale))
    _less_than_one(real, "square")
    rescale = rescaled_twice(real, squares, output.centred, step.name)
    layer = RescaledSquare(rescale, left, right, fixed, exact(*squares, f"{step.name}.square"))
    return Made(layer, pair.takes, output.centred)


def _less_than_one(real: float, what: str) -> None:
    if not 0 < real < 1:
        raise Unsuited(f"scales its {what} by {real:.4g}, and TFLite by less than 1")


def _add_by_shifts(step: TfliteStep, pair: OperandPair, output: TfliteTensor, sign: int) -> Made:
    """ADD of 16-bit values whose scales are powers of two: one is shifted right, then they are added."""
    if pair.second is None or pair.first.shape != pair.second.shape:
        raise Unsuited("adds 16-bit values of different shapes by shifts")
    shifts = [
        int(np.frexp(output.scale)[1] - np.frexp(tensor.scale)[1])
        for tensor in (pair.first.tensor, pair.second_tensor)
    ]
    if min(shifts) != 0 or max(shifts) > 15:
        raise Unsuited(
            f"adds 16-bit values shifted by {shifts[0]} and {shifts[1]}, and one of them must stay"
        )
    whole_range = output.codes
    left, right = (
        fitted(shift, whole_range, f"{step.name}.{side}") for shift, side in zip(shifts, ("left", "right"))
    )
    codes = step.activation_range()
    return Made(RescaledSum(fitted(0, codes, step.name), left, right, None, (1, sign)), pair.takes, codes)


def _signed(ends: tuple[int, int], sign: int) -> tuple[int, int]:
    return ends if sign > 0 else (-ends[1], -ends[0])


def _added(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    return a[0] + b[0], a[1] + b[1]


def mul(step: TfliteStep) -> Made:
    """Convert MUL: the exact product, rescaled."""
    pair, output = _operands(step), step.output()
    step.same_type(pair.first.tensor, pair.second_tensor, output)
    codes = step.activation_range()
    second = pair.second.range if pair.second else pair.constant_range()
    corners = [a * b for a in pair.first.range for b in second]
    sums = min(corners), max(corners)
    scale = (
        np.float32(pair.first.tensor.scale) * np.float32(pair.second_tensor.scale) / np.float32(output.scale)
    )
    rescale = rescaled_twice(float(scale), sums, codes, step.name)
    fixed = None if pair.second else fixed_constant(pair.integers())
    return Made(RescaledProduct(rescale, exact(*sums, f"{step.name}.product"), fixed), pair.takes, codes)


@dataclass(frozen=True)
class OperandPair:
    """Two operands; the second may be a constant."""

    first: TfliteValue
    second: TfliteValue | None
    second_tensor: TfliteTensor
    swapped: bool = False  # the operator's first operand is `second`

    @property
    def takes(self) -> tuple[TfliteValue, ...]:
        """The computed operands."""
        return (self.first,) if self.second is None else (self.first, self.second)

    def integers(self) -> Ints:
        """The constant's centred integers."""
        assert self.second_tensor.data is not None
        return self.second_tensor.data.astype(np.int64) - self.second_tensor.zero

    def constant_range(self) -> tuple[int, int]:
        """(lowest, highest) centred integer of the constant, 0 included."""
        ints = self.integers()
        return min(int(ints.min()), 0), max(int(ints.max()), 0)

    def powers_of_two(self, output: TfliteTensor) -> bool:
        """Whether all scales are powers of two."""
        return all(
            np.frexp(scale)[0] == 0.5
            for scale in (self.first.tensor.scale, self.second_tensor.scale, output.scale)
        )


def _operands(step: TfliteStep) -> OperandPair:
    """The operands, a computed one first."""
    tensors = step.tensor(0), step.tensor(1)
    values = [place for place in (0, 1) if tensors[place].data is None]
    if not values:
        raise Unsuited("combines two constants")
    shapes = tensors[0].shape, tensors[1].shape
    try:
        joined = np.broadcast_shapes(*shapes)
    except ValueError:
        joined = ()
    if joined != step.output().shape:
        raise Unsuited(f"combines the shapes {shapes[0]} and {shapes[1]}, and declares {step.output().shape}")
    first = step.value(values[0])
    if len(values) == 2:
        second = step.value(1)
        if len(first.tensor.shape) != len(second.tensor.shape):
            raise Unsuited(
                f"combines the shapes {first.tensor.shape} and {second.tensor.shape}, of different numbers of axes"
            )
        return OperandPair(first, second, second.tensor)
    other = step.constant(1 - values[0])
    if len(other.scales) != 1 or len(other.zeros) > 1 or not other.scale > 0 or other.data is None:
        raise Unsuited(f"has the constant {other.name!r} with {len(other.scales)} scales, and one is needed")
    if (
        other.data.size == 0
        or len(other.shape) > len(first.tensor.shape)
        or not other.codes[0] <= other.zero <= other.codes[1]
    ):
        raise Unsuited(f"has the constant {other.name!r} of shape {other.shape}")
    if len(other.shape) == len(first.tensor.shape) and other.shape[0] != 1:
        raise Unsuited(
            f"has the constant {other.name!r} of shape {other.shape}, and the first axis is a batch of 1"
        )
    return OperandPair(first, None, other, swapped=values[0] == 1)


def _addend(
    step: TfliteStep, x: TfliteValue, real: float, up: int, side: str
) -> tuple[Layer, tuple[int, int]]:
    """(layer of x * 2**up * real, rounded twice; its range); a table for 8 bits."""
    m, shift = quantized_multiplier(real)
    ends = multiplied(x.low << up, m, shift), multiplied(x.high << up, m, shift)
    name = f"{step.name}.{side}"
    if x.tensor.dtype != "int16":
        table = ValueTable.of(
            "addend",
            lambda code: multiplied(min(max(code, x.low), x.high) << up, m, shift),
            x.format,
            integer_format(*ends),
            name,
        )
        return Lookup(table), ends
    format = integer_format(*ends)  # which holds every result, so nothing is clipped
    shifted = rescaled_twice(real, (x.low << up, x.high << up), (format.int_min, format.int_max), name)
    scaled: Any = Sequential(shifted=Scaled(up), rescale=shifted)
    return scaled, ends
