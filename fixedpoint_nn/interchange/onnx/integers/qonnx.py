# SPDX-License-Identifier: MIT
"""The quantisers of QONNX: Quant, BipolarQuant, Trunc and MultiThreshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.onnx.integers.chain import Chain, Plus, Times, applied
from fixedpoint_nn.interchange.onnx.integers.constants import ScaledConstant
from fixedpoint_nn.interchange.onnx.integers.elementwise import numbers
from fixedpoint_nn.interchange.onnx.integers.meaning import Codes, Reals, reals
from fixedpoint_nn.interchange.onnx.integers.rounding import Rounder, Rounds, rounded
from fixedpoint_nn.interchange.onnx.integers.step import IntegerStep
from fixedpoint_nn.interchange.onnx.integers.table import operator
from fixedpoint_nn.interchange.onnx.step import OnnxStep
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.arrays import Array

DOMAINS = ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas")
MOST_BITS = 16  # of computed codes
MOST_CONSTANT_BITS = 32

ROUNDINGS: dict[str, Rounder] = {
    "ROUND": np.rint,
    "HALF_EVEN": np.rint,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda y: np.sign(y) * np.ceil(np.abs(y)),
    "DOWN": np.trunc,
    "ROUND_TO_ZERO": np.trunc,
    "HALF_UP": lambda y: np.sign(y) * np.floor(np.abs(y) + 0.5),
    "HALF_DOWN": lambda y: np.sign(y) * np.ceil(np.abs(y) - 0.5),
}


def rounder(step: OnnxStep, default: str) -> Rounder:
    """The rounding function of the attribute rounding_mode."""
    mode = str(step.attribute("rounding_mode", default)).upper()
    if mode not in ROUNDINGS:
        raise Refused(f"its rounding_mode is {mode!r}, and {', '.join(ROUNDINGS)} are supported")
    return ROUNDINGS[mode]


def single(step: OnnxStep, index: int, what: str) -> float:
    """A scalar constant."""
    array = np.unique(np.asarray(step.constant(index, what), np.float64))
    if array.size != 1 or not np.isfinite(array).all():
        raise Refused(f"its {what} is not one number")
    return float(array[0])


def integer_scalar(step: OnnxStep, index: int, what: str, most: int) -> int:
    """A scalar integer constant."""
    number = single(step, index, what)
    if number != int(number) or abs(number) > most:
        raise Refused(f"its {what} is {number:g}, and whole numbers up to {most} are supported")
    return int(number)


def range_of_bits(step: OnnxStep, bits: int) -> tuple[int, int]:
    """(lowest, highest) integer of `bits` bits."""
    signed, narrow = bool(step.attribute("signed", 1)), bool(step.attribute("narrow", 0))
    if bits < 1:
        raise Refused(f"its bit width is {bits}")
    if signed:
        return -(1 << (bits - 1)) + narrow, (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1 - narrow


def ones(y: Any) -> Any:
    """1 for y >= 0, else -1."""
    return np.where(y >= 0, 1, -1).astype(y.dtype)


def quant_rounds(step: OnnxStep, scales: tuple[float, ...], most: int = MOST_BITS) -> Rounds:
    """The rounding of a Quant; a negative scale becomes a positive one with negated codes."""
    bits = integer_scalar(step, 3, "bit width", 1 << 10)
    if bits > most:
        raise Refused(f"its bit width is {bits}, and values of up to {most} bits are rounded")
    zero = integer_scalar(step, 2, "zero point", 1 << MOST_CONSTANT_BITS)
    low, high = range_of_bits(step, bits)
    how = rounder(step, "ROUND")
    if bits == 1 and low < 0:
        low, high, how = -1, 1, ones
    if not all(scales) or not np.isfinite(scales).all():
        raise Refused("its scale is zero, or no number")
    if scales[0] < 0:
        if max(scales) > 0:
            raise Refused("its channels have scales of both signs")
        up = how
        return Rounds(tuple(-s for s in scales), -zero, -high, -low, lambda y: -up(-y), True)
    return Rounds(scales, zero, low, high, how, True)


@operator("Quant", "a rescaling that is proven for every sum", "more than 16 bits; scales that are computed")
def quant(step: IntegerStep) -> OnnxValue:
    """Convert Quant of real numbers."""
    v = step.value(0, kind="")
    kind = reals(v)
    rounds = quant_rounds(step, numbers(step, 1, v))
    alike = kind.linear and rounds.scales == (kind.scale,) and rounds.how is np.rint
    if alike and rounds.centred[0] <= kind.low and kind.high <= rounds.centred[1]:
        return v  # these are codes of this scale already
    return worth(rounded(step, v, rounds), Times(rounds.scales))


def worth(v: OnnxValue, *chain: Any) -> OnnxValue:
    """Centred codes as real numbers."""
    kind: Any = v.kind
    meant: Any = Reals(kind.low, kind.high, tuple(chain), zero=kind.zero)
    return replace(v, kind=meant)


def quantised(step: OnnxStep) -> ScaledConstant:
    """Convert Quant of a constant."""
    array = np.asarray(step.constant(0, "weights"), np.float32)
    scales = np.asarray(step.constant(1, "scales"), np.float32)
    zeros = np.asarray(step.constant(2, "zero points"), np.float32)
    bits = integer_scalar(step, 3, "bit width", 1 << 10)
    if bits > MOST_CONSTANT_BITS:
        raise Refused(
            f"its bit width is {bits}, and constants of up to {MOST_CONSTANT_BITS} bits are supported"
        )
    low, high = range_of_bits(step, bits)
    how = rounder(step, "ROUND")
    if not (np.isfinite(scales).all() and scales.all()):
        raise Refused("its scale is zero, or no number")
    if bits == 1 and low < 0:
        low, high, how = -1, 1, ones
    y = array / scales + zeros
    if np.broadcast_shapes(y.shape, array.shape) != array.shape:
        raise Refused(
            f"its scales of shape {list(scales.shape)} broadcast a constant {list(array.shape)} to a larger shape"
        )
    codes = np.clip(how(y), low, high)
    return ScaledConstant.of((codes - zeros).astype(np.int64), scales)


@operator("BipolarQuant", "a comparison that is proven for every sum", "scales that are computed")
def bipolar_quant(step: IntegerStep) -> OnnxValue:
    """Convert BipolarQuant of real numbers."""
    v = step.value(0, kind="")
    scales = numbers(step, 1, v)
    if min(scales) <= 0:
        raise Refused("its scale is not positive")
    return worth(rounded(step, v, Rounds(tuple(1.0 for _ in scales[:1]), 0, -1, 1, ones)), Times(scales))


def bipolar(step: OnnxStep) -> ScaledConstant:
    """Convert BipolarQuant of a constant."""
    array = np.asarray(step.constant(0, "weights"), np.float32)
    return ScaledConstant.of(ones(array).astype(np.int64), step.constant(1, "scales"))


@dataclass(frozen=True)
class Truncs(Rounds):
    """round(y / scale + zero), divided by a power of two and rounded by `how`."""

    power: float = 1.0
    added: float = 0.0  # the zero point before the division

    def of(self, y: Any) -> Any:
        """Centred codes of y / scale."""
        codes = self.how(np.rint(y + y.dtype.type(self.added)) / y.dtype.type(self.power))
        return np.clip(codes - self.zero, *self.centred)


@operator("Trunc", "a rescaling that is proven for every sum", "scales that are computed")
def trunc(step: IntegerStep) -> OnnxValue:
    """Convert Trunc of real numbers: with an output scale (six inputs), or by the bit widths."""
    v = step.value(0, kind="")
    kind = reals(v)
    scale, zero = single(step, 1, "scale"), integer_scalar(step, 2, "zero point", 1 << MOST_BITS)
    bits = integer_scalar(step, 3, "bit width", 1 << 10)
    how = rounder(step, "FLOOR")
    if scale <= 0:
        raise Refused("its scale is not positive")
    newer = len(step.operands) > 5
    if newer:
        after, out_bits = (
            single(step, 4, "output scale"),
            integer_scalar(step, 5, "output bit width", MOST_BITS),
        )
        power = 2.0 ** float(np.round(np.log2(after / scale)))
        low, high = range_of_bits(step, out_bits)
    else:
        out_bits = integer_scalar(step, 4, "output bit width", MOST_BITS)
        power, after = 2.0 ** (bits - out_bits), scale
        low, high = -(1 << 40), 1 << 40  # nothing is clipped
    after_zero = zero / power if newer else zero
    if after_zero != int(after_zero):
        raise Refused(f"its zero point {zero} is no multiple of {power:g}")
    rounds = Truncs((scale,), int(after_zero), low, high, how, True, power, zero)
    if not newer:
        ends = rounds.steps(kind, np.float64)(np.array([[kind.low, kind.high]]))[0] + rounds.zero
        rounds = replace(rounds, low=int(min(ends)), high=int(max(ends)))
    made = rounded(step, v, rounds)
    return worth(made, Times((after,)))


@dataclass(frozen=True)
class Counts(Rounds):
    """The number of thresholds of its channel that a real number has reached; `thresholds` (channels, steps) ascend."""

    thresholds: Any = None

    @property
    def rows(self) -> int:
        """The number of channels with different thresholds."""
        return len(self.thresholds)

    @property
    def links(self) -> Chain:
        """No operations precede the counting."""
        return ()

    def steps(self, reals: Reals, dtype: Any) -> Callable[[Any], Any]:
        """The function from integers (channels, n) to counts."""
        rows = np.asarray(self.thresholds, dtype)

        def function(n: Any) -> Any:
            y = applied(reals.chain, n, dtype)
            channels = max(len(rows), len(y))
            y, each = (
                np.broadcast_to(y, (channels, y.shape[-1])),
                np.broadcast_to(rows, (channels, rows.shape[-1])),
            )
            return (
                np.stack(
                    [np.searchsorted(row, values, side="right") for row, values in zip(each, y, strict=True)]
                )
                + self.low
            )

        return function

    def fused(self, reals: Reals) -> None:
        """None: there is no fused form."""
        return


@operator(
    "MultiThreshold", "a rescaling or comparisons, proven for every sum", "thresholds that are computed"
)
def multi_threshold(step: IntegerStep) -> OnnxValue:
    """Convert MultiThreshold of real numbers."""
    v = step.value(0, kind="")
    kind = reals(v)
    step.attribute("out_dtype")
    scale, bias = float(step.attribute("out_scale", 1.0)), float(step.attribute("out_bias", 0.0))
    layout = str(step.attribute("data_layout", ""))
    thresholds: Array = np.asarray(step.constant(1, "thresholds"), np.float32)
    rank = len(v.dims)
    axis = layout.index("C") if "C" in layout else min(1, rank - 1)
    if thresholds.ndim != 2 or thresholds.shape[0] not in (1, v.dims[axis]) or np.isnan(thresholds).any():
        raise Refused(f"its thresholds of shape {list(thresholds.shape)} are not one row for each channel")
    if thresholds.shape[0] > 1 and v.axes[-1] != axis:
        if isinstance(kind, Codes) or kind.linear:
            v = step.builder.last(v, axis)
        else:
            raise Refused("its channels are not those of the product before it")
    if scale <= 0:
        raise Refused(f"its out_scale is {scale:g}, and positive ones are supported")
    offset = bias / scale
    low = int(offset) if offset == int(offset) else 0
    rows = np.sort(thresholds, axis=1)
    count = thresholds.shape[1]
    rounds = Counts((1.0,), 0, low, low + count, thresholds=rows)
    made = rounded(step, v, rounds)
    more: Chain = (Plus((bias,)),) if low != offset else ()
    return worth(made, Times((scale,)), *more)
