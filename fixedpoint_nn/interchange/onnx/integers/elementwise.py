# SPDX-License-Identifier: MIT
"""Element-wise operators: each is appended to the chain of its operand, until a quantiser rounds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.affine.constants import fixed_constant
from fixedpoint_nn.interchange.affine.rescale import Fitted
from fixedpoint_nn.interchange.affine.rescaling import landing
from fixedpoint_nn.interchange.onnx.builder import beside
from fixedpoint_nn.interchange.onnx.integers.chain import (
    Chain,
    Curve,
    Leaning,
    Link,
    Over,
    Plus,
    Times,
    Within,
    applied,
    channels,
)
from fixedpoint_nn.interchange.onnx.integers.constants import scaled
from fixedpoint_nn.interchange.onnx.integers.joining import product_of_two, sum_of_two
from fixedpoint_nn.interchange.onnx.integers.meaning import Codes, Reals, meaning, reals
from fixedpoint_nn.interchange.onnx.integers.quotient import quotient_of_two
from fixedpoint_nn.interchange.onnx.integers.step import IntegerStep
from fixedpoint_nn.interchange.onnx.integers.table import operator
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numbers.functions import FUNCTIONS
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.quantizer import Quantizer


def linked(v: OnnxValue, *links: Link) -> OnnxValue:
    """The value with further operations appended to its chain."""
    kind = reals(v)
    chain: Chain = (*kind.chain, *links)
    count = {len(n) for link in chain for n in vars(link).values() if isinstance(n, tuple)} - {1}
    if len(count) > 1:
        raise Refused(f"it mixes constants for {' and '.join(map(str, sorted(count)))} channels")
    longer: Any = replace(kind, chain=chain, zero=None)
    return replace(v, kind=longer)


def numbers(step: IntegerStep, index: int, v: OnnxValue) -> tuple[float, ...]:
    """A constant operand as one number, or one per channel."""
    array = np.asarray(step.constant(index, "operands"), np.float32)
    if not np.isfinite(array).all():
        raise Refused(
            "its constant holds infinity or nan, which no scale rounds; mask with a large finite number, or keep what "
            "joins the mask out of the quantised operators"
        )
    if np.broadcast_shapes(array.shape, v.dims) != v.dims:
        raise Refused(
            f"its constant of shape {list(array.shape)} broadcasts its input {list(v.dims)} to a larger shape"
        )
    found = beside(array, v)
    if found.size == 1:
        return (float(found.reshape(())),)
    if found.ndim != 1 or found.shape != (v.sample[-1],):
        raise Refused(
            f"its constant has the shape {list(array.shape)}: one number, one for each channel, or "
            "codes of one scale, is supported"
        )
    return tuple(found.tolist())


def _either(step: IntegerStep, make: Callable[[tuple[float, ...]], Link]) -> OnnxValue:
    """The value with the operation of a constant appended, for operands in any order."""
    place = 0 if isinstance(step.operands[0], OnnxValue) else 1
    v = step.value(place, kind="")
    return linked(v, make(numbers(step, 1 - place, v)))


def _both(step: IntegerStep) -> bool:
    """Are both operands values? A constant of codes that differ from place to place becomes one."""
    one, two = step.operands[:2]
    if isinstance(one, OnnxValue) and isinstance(two, np.ndarray):
        two = _of_each_place(step, one, two)
    elif isinstance(two, OnnxValue) and isinstance(one, np.ndarray):
        one = _of_each_place(step, two, one)
    step.operands = [one, two, *step.operands[2:]]
    return all(isinstance(operand, OnnxValue) for operand in step.operands[:2])


def _of_each_place(step: IntegerStep, v: OnnxValue, array: Any) -> Any:
    """A constant such as an embedding of positions as a value of every sample; others as they are."""
    parts = scaled(array)
    if parts is None or np.broadcast_shapes(array.shape, v.dims) != v.dims:
        return array
    ints, scales = beside(parts[0], v), np.unique(parts[1])
    if ints.ndim < 2 or len(scales) != 1 or not np.isfinite(scales).all():
        return array
    return repeated(step, v, ints, Reals(*ends(ints), (Times((float(scales[0]),)),), zero=0))


def repeated(step: IntegerStep, v: OnnxValue, ints: Any, kind: Any) -> OnnxValue:
    """Constant integers, which broadcast to a sample of v, as a value of every sample."""
    spread = fixed_constant(np.broadcast_to(ints, v.sample))
    node = step.builder.add(f"{step.name}_constant", layers.Repeated(spread), v.node)
    return replace(v, node=node, kind=kind, flat=None)


def ends(ints: Any) -> tuple[int, int]:
    """(lowest, highest) of these integers."""
    return int(ints.min()), int(ints.max())


def added(step: IntegerStep) -> OnnxValue:
    """The sum of two values, or of a value and a constant."""
    return sum_of_two(step, 1) if _both(step) else _either(step, Plus)


@operator("Sub")
def subtract(step: IntegerStep) -> OnnxValue:
    """Convert Sub."""
    if _both(step):
        return sum_of_two(step, -1)
    if isinstance(step.operands[0], OnnxValue):
        v = step.value(0, kind="")
        return linked(v, Plus(tuple(-x for x in numbers(step, 1, v))))
    v = step.value(1, kind="")
    return linked(v, Times((-1.0,)), Plus(numbers(step, 0, v)))


@operator("Mul")
def multiply(step: IntegerStep) -> OnnxValue:
    """Convert Mul."""
    return product_of_two(step) if _both(step) else _either(step, Times)


@operator("Div")
def divide(step: IntegerStep) -> OnnxValue:
    """Convert Div."""
    if _both(step):
        return quotient_of_two(step)
    if isinstance(step.operands[1], OnnxValue):
        v = step.value(1, kind="")
        return linked(v, Curve("reciprocal", _reciprocal, 0), Times(numbers(step, 0, v)))
    v = step.value(0, kind="")
    by = numbers(step, 1, v)
    if not all(by):
        raise Refused("it divides by zero")
    return linked(v, Over(by))


@operator("Neg")
def negate(step: IntegerStep) -> OnnxValue:
    """Convert Neg."""
    return linked(step.value(0, kind=""), Times((-1.0,)))


@operator("Relu")
def relu(step: IntegerStep) -> OnnxValue:
    """Convert Relu."""
    return linked(step.value(0, kind=""), Within(0.0))


@operator("Clip")
def clip(step: IntegerStep) -> OnnxValue:
    """Convert Clip."""
    if step.opset < 11:
        low, high = step.attribute("min"), step.attribute("max")
    else:
        ends = [step.optional(1, "lower limit"), step.optional(2, "upper limit")]
        low, high = (None if end is None or not end.size else end.item() for end in ends)
    v = step.value(0, kind="")
    kind = meaning(v)
    if isinstance(kind, Codes):
        return limited(step, v, kind, low, high)
    return linked(v, Within(-np.inf if low is None else low, np.inf if high is None else high))


def limited(step: IntegerStep, v: OnnxValue, kind: Codes, low: Any, high: Any) -> OnnxValue:
    """Codes clipped to low..high."""
    least = kind.low if low is None else max(int(low) - kind.zero, kind.low)
    most = kind.high if high is None else min(int(high) - kind.zero, kind.high)
    if least > most:
        raise Refused(f"it clips to [{low}, {high}]")
    if (least, most) == (kind.low, kind.high):
        return v
    format, clamp = landing(least, most, step.name)
    fitted = Fitted(0, Quantizer(format, overflow=Overflow.SATURATE, name=step.name), clamp)
    narrow: Any = replace(kind, low=least, high=most)
    return replace(v, node=step.builder.add(step.name, fitted, v.node), kind=narrow, flat=None)


@operator("LeakyRelu")
def leaky_relu(step: IntegerStep) -> OnnxValue:
    """Convert LeakyRelu."""
    return linked(step.value(0, kind=""), Leaning((float(step.attribute("alpha", 0.01)),)))


@operator("PRelu")
def prelu(step: IntegerStep) -> OnnxValue:
    """Convert PRelu."""
    v = step.value(0, kind="")
    return linked(v, Leaning(numbers(step, 1, v)))


@operator("BatchNormalization")
def batch_normalization(step: IntegerStep) -> OnnxValue:
    """Convert BatchNormalization, as one product and one sum for each channel."""
    step.must_be("training_mode", 0)
    step.must_be("spatial", 1)
    step.attribute("momentum")
    v = step.value(0, kind="")
    if len(v.dims) < 2 or v.axes[-1] != 1:
        raise Refused("its channels are not those of the product before it")
    gain, shift, mean, variance = (
        np.asarray(step.constant(i + 1, name), np.float32)
        for i, name in enumerate(("scale", "bias", "mean", "variance"))
    )
    if any(part.shape != (v.dims[1],) for part in (gain, shift, mean, variance)):
        raise Refused(f"its parameters are not one for each of the {v.dims[1]} channels")
    factor = gain / np.sqrt(variance + np.float32(step.attribute("epsilon", 1e-5)))
    if not (np.isfinite(factor).all() and factor.all()):
        raise Refused("one of its channels is multiplied by zero, infinity or nan")
    return linked(v, Times(tuple(factor.tolist())), Plus(tuple((shift - mean * factor).tolist())))


def _sigmoid(y: Any) -> Any:
    return 1 / (1 + np.exp(-y.astype(np.float64)))


@operator("Sigmoid")
def sigmoid(step: IntegerStep) -> OnnxValue:
    """Convert Sigmoid."""
    return linked(step.value(0, kind=""), Curve("sigmoid", _sigmoid))


@operator("Tanh")
def tanh(step: IntegerStep) -> OnnxValue:
    """Convert Tanh."""
    return linked(step.value(0, kind=""), Curve("tanh", np.tanh))


@operator("HardSigmoid")
def hard_sigmoid(step: IntegerStep) -> OnnxValue:
    """Convert HardSigmoid."""
    alpha, beta = float(step.attribute("alpha", 0.2)), float(step.attribute("beta", 0.5))
    return linked(step.value(0, kind=""), Times((alpha,)), Plus((beta,)), Within(0.0, 1.0))


@operator("HardSwish")
def hard_swish(step: IntegerStep) -> OnnxValue:
    """Convert HardSwish."""
    curve = Curve("hard swish", lambda y: y * np.clip(y / y.dtype.type(6) + y.dtype.type(0.5), 0, 1), 0)
    return linked(step.value(0, kind=""), curve)


@operator("Elu")
def elu(step: IntegerStep) -> OnnxValue:
    """Convert Elu."""
    alpha = float(step.attribute("alpha", 1.0))
    curve = Curve(
        f"elu {alpha}",
        lambda y: np.where(y > 0, y, alpha * np.expm1(np.minimum(y, 0))),
        1 if alpha >= 0 else 0,
    )
    return linked(step.value(0, kind=""), curve)


def _curve(name: str, function: Callable[[Any], Any], rises: int = 1) -> None:
    """Register a function without attributes; `rises` is 1, or 0 if it is not monotonic."""

    @operator(name)
    def convert(step: IntegerStep) -> OnnxValue:
        return linked(step.value(0, kind=""), Curve(name.lower(), function, rises))


def _erf(y: Any) -> Any:
    return FUNCTIONS["erf"].value(y.astype(np.float64))


def _reciprocal(y: Any) -> Any:
    return 1 / y


_curve("Erf", _erf)
_curve("Exp", np.exp)
_curve("Sqrt", lambda y: np.sqrt(np.maximum(y, 0)))
_curve("Softplus", lambda y: np.logaddexp(y.astype(np.float64), 0))
_curve("Reciprocal", _reciprocal, 0)
_curve("Abs", np.abs, 0)
_curve("Softsign", lambda y: y / (1 + np.abs(y)))
_curve("Mish", lambda y: y * np.tanh(np.logaddexp(y.astype(np.float64), 0)), 0)


@operator("Pow")
def power(step: IntegerStep) -> OnnxValue:
    """Convert Pow with a constant exponent: a square that nothing rounds is a product, everything else a curve."""
    exponent = step.constant(1, "exponents")
    if np.size(exponent) != 1:
        raise Refused("it has several exponents, and one is supported")
    number, v = float(np.ravel(exponent)[0]), step.value(0, kind="")
    kind = reals(v)
    if not number.is_integer() and (applied(kind.chain, [[kind.low, kind.high]], np.float64) < 0).any():
        raise Refused(f"it raises negative numbers to the power {number:g}")
    if number == 2 and step.rounding is None:
        step.operands = [v, v]
        return product_of_two(step)
    return linked(v, Curve("power", lambda y: y ** y.dtype.type(number), 0))


@operator("Gelu")
def gelu(step: IntegerStep) -> OnnxValue:
    """Convert Gelu, and its approximation by tanh."""
    step.must_be("approximate", "none", "tanh")
    if step.attribute("approximate", "none") == "none":
        curve = Curve("gelu", lambda y: y * (1 + _erf(y / np.sqrt(2))) / 2, 0)
    else:
        curve = Curve("gelu by tanh", _gelu_by_tanh, 0)
    return linked(step.value(0, kind=""), curve)


def _gelu_by_tanh(y: Any) -> Any:
    y = y.astype(np.float64)
    return y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3))) / 2


@operator("Cast")
def cast(step: IntegerStep) -> OnnxValue:
    """Convert Cast of integers to floats, and between kinds of float."""
    from fixedpoint_nn.interchange.onnx.file import package

    step.must_be("saturate", 1)
    step.attribute("round_mode")
    v, to = step.value(0, kind=""), package().TensorProto.DataType.Name(step.needed("to"))
    kind = meaning(v)
    if to != "FLOAT":
        raise Refused(f"it casts to {to}, and integers are cast to FLOAT only")
    if isinstance(kind, Reals):
        return v
    more: Chain = (Plus((float(kind.zero),)),) if kind.zero else ()
    meant: Any = Reals(kind.low, kind.high, (Times((1.0,)), *more))
    return replace(v, kind=meant)


def one_for_all(v: OnnxValue) -> bool:
    """Whether elements may move between channels: only if the chain is the same for all channels."""
    kind: Any = v.kind
    return isinstance(kind, Codes) or channels(kind.chain) == 1
