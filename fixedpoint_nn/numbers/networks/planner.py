# SPDX-License-Identifier: MIT
"""Planning: from a traced network to its plan, or `NoNetworkPlan`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.networks.plan import (
    Convolve,
    Finish,
    Image,
    ImageLookup,
    ImageSum,
    NetworkPlan,
    Operation,
    WindowAverage,
    WindowMaximum,
)
from fixedpoint_nn.numbers.sliding_windows import Padding, Pair, output_size
from fixedpoint_nn.numbers.traced.program import VERBS, Program, TracedNode
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import FLOAT32_EXACT, INT64_EXACT, BoundedInts
from fixedpoint_nn.numerics.overflow import Overflow, limits
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer

NO_PADDING: Padding = ((0, 0), (0, 0))
WIDEST_SHIFT = 60
_CLIPS = (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC)


class NoNetworkPlan(Exception):
    """Raised for a network that plans cannot express; it then runs verb by verb."""


@dataclass
class _Value:
    """A value of the program: an image in memory, or an operation that can still be fused with the next."""

    shape: tuple[int, ...]  # of one sample
    format: QFormat
    low: int
    high: int
    waiting: Operation | None = None
    image: Image | None = None
    size: tuple[int, int, int] = (0, 0, 0)  # of the image that it becomes

    @property
    def open(self) -> bool:
        """Whether something can be added before the rounding."""
        return self.waiting is not None and self.image is None and _finish_of(self.waiting) == Finish()


@dataclass(frozen=True)
class _Windows:
    """Windows over an image, not used yet."""

    a: Image
    kernel: Pair
    stride: Pair
    padding: Padding
    shape: tuple[int, ...]
    format: QFormat


_Operand = _Value | _Windows | FixedArray


def _finish_of(operation: Operation) -> Finish | None:
    return None if isinstance(operation, WindowMaximum | ImageLookup) else operation.finish


class NetworkPlanner:
    """Walks the program, and collects values and operations."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.operations: list[Operation] = []
        self.values: list[_Operand] = []
        self.count = 0

    def plan(self) -> NetworkPlan:
        """The plan of the whole network."""
        rules = _rules()
        if len(self.program.inputs) != 1 or len(self.program.outputs) != 1:
            raise NoNetworkPlan("several inputs or outputs")
        source: Image | None = None
        for node in self.program.nodes:
            if node.op == "input":
                height, width, channels = _as_image(node.shape[1:])
                f = node.format
                source = self._new(height, width, channels, f.int_min, f.int_max)
                self.values.append(_Value(node.shape[1:], f, f.int_min, f.int_max, None, source))
            elif node.op == "constant":
                assert node.value is not None
                self.values.append(node.value)
            elif node.op in rules:
                operands = [self.values[place] for place in node.inputs]
                if all(isinstance(operand, FixedArray) for operand in operands):
                    self.values.append(VERBS[node.op](*operands, **node.attributes))
                else:
                    self.values.append(rules[node.op](self, node, operands))
            else:
                raise NoNetworkPlan(node.op)
        result = self.values[self.program.outputs[0]]
        if source is None or not isinstance(result, _Value):
            raise NoNetworkPlan("a result that is none of the input's")
        if max(-result.low, result.high) > FLOAT32_EXACT:
            raise NoNetworkPlan("a result that float32 does not hold")
        if result.image is None and isinstance(result.waiting, Convolve):
            self.operations.append(result.waiting)
            left = None
        else:
            left = self._image(result)
        return NetworkPlan(
            source, tuple(self.operations), left, result.shape, result.format, result.low, result.high
        )

    # ---- values --------------------------------------------------------------------------------------------

    def _new(self, height: int, width: int, channels: int, low: int, high: int) -> Image:
        if low < -(1 << 15) or high >= 1 << 16 or (low < 0 and high >= 1 << 15):
            raise NoNetworkPlan("integers of more than 16 bits in memory")
        self.count += 1
        return Image(self.count - 1, height, width, channels, low, high)

    def _image(self, value: _Operand) -> Image:
        """The value as an image in memory."""
        if not isinstance(value, _Value):
            raise NoNetworkPlan("windows or constants as a value")
        if value.image is None:
            assert value.waiting is not None
            value.image = self._new(*value.size, value.low, value.high)
            self.operations.append(replace(value.waiting, out=value.image))
        return value.image

    # ---- movement ------------------------------------------------------------------------------------------

    def reshape(self, node: TracedNode, operands: Sequence[_Operand]) -> _Operand:
        """The elements in another shape; for windows, taps and channels as one axis."""
        (value,) = operands
        shape = node.shape[1:]
        if isinstance(value, _Windows):
            flat = (*value.shape[:2], prod(value.shape[2:]))
            if shape != flat:
                raise NoNetworkPlan("windows in another shape")
            return replace(value, shape=shape)
        if not isinstance(value, _Value):
            raise NoNetworkPlan("a constant in another shape")
        self._image(value)
        return replace(value, shape=shape)

    def windows(self, node: TracedNode, operands: Sequence[_Operand]) -> _Operand:
        """Windows, to be fused with the next operation."""
        image, about = self._image(operands[0]), node.attributes
        padding = about["padding"]
        value = operands[0]
        assert isinstance(value, _Value)
        if about["groups"] != 1 or value.shape != image.shape:
            raise NoNetworkPlan("windows in groups, or of something else than an image")
        if about["lowest"] and padding != NO_PADDING and value.format.signed:
            raise NoNetworkPlan("edges that are not zero")
        return _Windows(image, about["kernel"], about["stride"], padding, node.shape[1:], node.format)

    # ---- sums ----------------------------------------------------------------------------------------------

    def dot(self, node: TracedNode, operands: Sequence[_Operand]) -> _Operand:
        """Windows, or feature vectors, times a constant matrix."""
        source, weights = operands[0], operands[1]
        if len(operands) != 2 or node.attributes["accumulator"] is not None:
            raise NoNetworkPlan("a modelled accumulator")
        if not isinstance(weights, FixedArray) or weights.ndim != 2:
            raise NoNetworkPlan("a product with something else than a constant matrix")
        if isinstance(source, _Windows):
            if len(source.shape) != 3:
                raise NoNetworkPlan("windows that are not rows")
            where = source.a, source.kernel, source.stride, source.padding
        else:
            image = self._image(source)
            where = (*_covering(image, source.shape), (1, 1), NO_PADDING)
        return self._product(node, where, weights._bounded)

    def _product(
        self, node: TracedNode, where: tuple[Image, Pair, Pair, Padding], weights: BoundedInts
    ) -> _Value:
        a, kernel, stride, padding = where
        columns = weights.columns
        if columns.norm > INT64_EXACT >> 17:
            raise NoNetworkPlan("weights that are too wide")
        bound = a.high * columns.one_sided if a.low >= 0 else max(-a.low, a.high) * columns.norm
        waiting = Convolve(a, kernel, stride, padding, weights)
        height = output_size(a.height, kernel[0], stride[0], padding[0])
        width = output_size(a.width, kernel[1], stride[1], padding[1])
        size = (height, width, weights.shape[1])
        return _Value(node.shape[1:], node.format, -bound, bound, waiting, size=size)

    def add(self, node: TracedNode, operands: Sequence[_Operand]) -> _Operand:
        """A bias added before the rounding, or the sum of two images."""
        for one, other in (operands, operands[::-1]):
            if isinstance(other, FixedArray):
                if isinstance(one, _Value) and one.open and isinstance(one.waiting, Convolve):
                    return self._with_bias(node, one, one.waiting, other)
                raise NoNetworkPlan("a constant that is no bias")
        a, b = operands
        x, y = self._image(a), self._image(b)
        assert isinstance(a, _Value) and isinstance(b, _Value)
        if a.shape != b.shape or x.shape != y.shape or a.shape != node.shape[1:]:
            raise NoNetworkPlan("values that are repeated")
        x_shift, y_shift = (node.format.frac_bits - value.format.frac_bits for value in (a, b))
        if max(x_shift, y_shift) > WIDEST_SHIFT:
            raise NoNetworkPlan("a shift that is too wide")
        low, high = (x.low << x_shift) + (y.low << y_shift), (x.high << x_shift) + (y.high << y_shift)
        waiting = ImageSum(x, x_shift, y, y_shift)
        return _Value(node.shape[1:], node.format, low, high, waiting, size=x.shape)

    def _with_bias(self, node: TracedNode, value: _Value, product: Convolve, bias: FixedArray) -> _Value:
        columns = product.weights.shape[1]
        if bias.size not in (1, columns) or bias.ndim > 1 or value.shape[-1] != columns:
            raise NoNetworkPlan("a bias of another shape")
        up, moved = (node.format.frac_bits - f.frac_bits for f in (value.format, bias.format))
        product = _scaled_up(product, up)
        ints = _shifted(np.broadcast_to(bias.ints.reshape(-1), (columns,)), moved)
        largest = int(np.abs(ints).max())
        low, high = (value.low << up) - largest, (value.high << up) + largest
        total = ints if product.bias is None else product.bias + ints
        return replace(value, format=node.format, low=low, high=high, waiting=replace(product, bias=total))

    def sum(self, node: TracedNode, operands: Sequence[_Operand]) -> _Operand:
        """The sum over the taps of windows, or over all pixels of an image."""
        return self._over_windows(node, operands[0], WindowAverage)

    def max(self, node: TracedNode, operands: Sequence[_Operand]) -> _Operand:
        """The maximum over the taps of windows, or over all pixels of an image."""
        return self._over_windows(node, operands[0], WindowMaximum)

    def _over_windows(self, node: TracedNode, source: _Operand, kind: Callable[..., Any]) -> _Value:
        axis, keepdims = node.attributes["axis"], node.attributes["keepdims"]
        if isinstance(source, _Windows):
            if axis != 3 or keepdims or len(source.shape) != 4:
                raise NoNetworkPlan("a reduction of something else than windows")
            a, kernel, stride, padding = source.a, source.kernel, source.stride, source.padding
        else:
            a, padding, stride = self._image(source), NO_PADDING, (1, 1)
            kernel = (a.height, a.width)
            rows = (a.height * a.width, a.channels)
            if axis != 1 or keepdims or source.shape != rows:
                raise NoNetworkPlan("a reduction of something else than pixels")
        height = output_size(a.height, kernel[0], stride[0], padding[0])
        width = output_size(a.width, kernel[1], stride[1], padding[1])
        terms = kernel[0] * kernel[1] if kind is WindowAverage else 1
        low, high = a.low * terms, a.high * terms
        if padding != NO_PADDING:
            low, high = min(low, 0), max(high, 0)
        waiting = kind(a, kernel, stride, padding)
        return _Value(node.shape[1:], node.format, low, high, waiting, size=(height, width, a.channels))

    def mul(self, node: TracedNode, operands: Sequence[_Operand]) -> _Operand:
        """A sum over windows, times a scalar constant."""
        for one, other in (operands, operands[::-1]):
            if isinstance(one, _Value) and isinstance(other, FixedArray) and other.size == 1:
                if not one.open or not isinstance(one.waiting, WindowAverage) or one.waiting.factor != 1:
                    break
                factor = int(other.ints.reshape(-1)[0])
                ends = sorted((one.low * factor, one.high * factor))
                waiting = replace(one.waiting, factor=factor)
                return replace(one, format=node.format, low=ends[0], high=ends[1], waiting=waiting)
        raise NoNetworkPlan("a product of two values")

    # ---- one value -----------------------------------------------------------------------------------------

    def relu(self, node: TracedNode, operands: Sequence[_Operand]) -> _Operand:
        """ReLU before the rounding."""
        value = self._open(operands[0])
        assert value.waiting is not None
        waiting = replace(value.waiting, finish=Finish(relu=True))  # type: ignore[arg-type]
        low, high = max(value.low, 0), max(value.high, 0)
        return replace(value, format=node.format, low=low, high=high, waiting=waiting)

    def cast(self, node: TracedNode, operands: Sequence[_Operand]) -> _Operand:
        """The value rounded and fitted, in the same pass as the sum."""
        quantizer = node.attributes["quantizer"]
        if not isinstance(quantizer, Quantizer):
            raise NoNetworkPlan("a cast of each channel by itself")
        given = operands[0]
        value = given if isinstance(given, _Value) and _only_relu(given) else self._open(given)
        shift = value.format.frac_bits - quantizer.format.frac_bits
        if abs(shift) > WIDEST_SHIFT:
            raise NoNetworkPlan("a shift that is too wide")
        waiting: Any = value.waiting
        if shift < 0:
            waiting, shift = _shifted_left(waiting, -shift), 0
            up = quantizer.format.frac_bits - value.format.frac_bits
            value = replace(value, low=value.low << up, high=value.high << up)
        fits, low, high = _outcome(value.low, value.high, shift, quantizer)
        waiting = replace(waiting, finish=Finish(waiting.finish.relu, shift, quantizer, fits))
        return replace(value, format=quantizer.format, low=low, high=high, waiting=waiting)

    def _open(self, value: _Operand) -> _Value:
        """The value as an operation that can take a ReLU or a cast; an image becomes a sum of itself."""
        if isinstance(value, _Value) and value.open:
            return value
        image = self._image(value)
        assert isinstance(value, _Value)
        return replace(value, waiting=ImageSum(image), image=None, size=image.shape)

    def scaled(self, node: TracedNode, operands: Sequence[_Operand]) -> _Operand:
        """The value with its binary point moved."""
        (value,) = operands
        if not isinstance(value, _Value):
            raise NoNetworkPlan("windows at another binary point")
        self._image(value)
        return replace(value, format=node.format)

    def lookup(self, node: TracedNode, operands: Sequence[_Operand]) -> _Operand:
        """The table's entries at the value."""
        image, table = self._image(operands[0]), node.attributes["table"]
        entries = table.ints
        value = operands[0]
        assert isinstance(value, _Value)
        return _Value(
            value.shape,
            node.format,
            int(entries.min()),
            int(entries.max()),
            ImageLookup(image, table),
            size=image.shape,
        )


def _rules() -> dict[str, Callable[[NetworkPlanner, TracedNode, Sequence[_Operand]], _Operand]]:
    names = (
        "reshape", "windows", "dot", "add", "sum", "max", "mul", "relu", "cast", "scaled", "lookup",
    )  # fmt: skip
    return {name: getattr(NetworkPlanner, name) for name in names}


def _only_relu(value: _Value) -> bool:
    """Whether the pending operation has a ReLU but no cast yet."""
    return (
        value.waiting is not None and value.image is None and _finish_of(value.waiting) == Finish(relu=True)
    )


def _as_image(shape: tuple[int, ...]) -> tuple[int, int, int]:
    if not 1 <= len(shape) <= 3:
        raise NoNetworkPlan("samples that are no images")
    height, width, channels = (1, 1, 1, *shape)[-3:]
    return height, width, channels


def _covering(image: Image, shape: tuple[int, ...]) -> tuple[Image, Pair]:
    """(image, window that covers one row of a value of this shape)."""
    if len(shape) == 1:
        return image, (image.height, image.width)
    if shape == image.shape or shape == (image.height * image.width, image.channels):
        return image, (1, 1)
    raise NoNetworkPlan("rows that are neither pixels nor the whole image")


def _shifted(ints: Any, shift: int) -> Array:
    """Integers times 2**shift, in int64."""
    if not 0 <= shift <= WIDEST_SHIFT or int(np.abs(ints).max()) << shift > INT64_EXACT >> 2:
        raise NoNetworkPlan("constants that are too wide")
    moved: Array = np.asarray(ints, np.int64) << np.int64(shift)
    return moved


def _scaled_up(product: Convolve, shift: int) -> Convolve:
    """The sum with its weights and bias times 2**shift."""
    if shift == 0:
        return product
    if product.weights.bound << shift > INT64_EXACT >> 17:
        raise NoNetworkPlan("weights that are too wide")
    bias = None if product.bias is None else _shifted(product.bias, shift)
    return replace(product, weights=product.weights.shifted(shift), bias=bias)


def _shifted_left(operation: Operation | None, shift: int) -> Operation:
    """The operation with its sum times 2**shift."""
    match operation:
        case Convolve():
            return _scaled_up(operation, shift)
        case WindowAverage():
            return replace(operation, factor=operation.factor << shift)
        case ImageSum():
            b_shift = operation.b_shift + (shift if operation.b is not None else 0)
            return replace(operation, a_shift=operation.a_shift + shift, b_shift=b_shift)
        case _:
            raise NoNetworkPlan("a left shift of something else than a sum")


def _outcome(low: int, high: int, shift: int, quantizer: Quantizer) -> tuple[bool, int, int]:
    """(whether everything fits after the shift, lowest, highest integer then)."""
    lo, hi = limits(quantizer.format, quantizer.overflow)
    low, high = low >> shift, -(-high >> shift)
    if lo <= low and high <= hi:
        return True, low, high
    if quantizer.overflow in _CLIPS:
        return False, min(max(low, lo), hi), max(min(high, hi), lo)
    return False, quantizer.format.int_min, quantizer.format.int_max


def plan_of(program: Program) -> NetworkPlan | None:
    """The plan of a network, or None."""
    try:
        return NetworkPlanner(program).plan()
    except NoNetworkPlan:
        return None
