# SPDX-License-Identifier: MIT
"""Building the kernel of an expression: loops, weight rows, shifts and biases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.expression import Dot, Expression, Product, Scale, Term, aligned, times
from fixedpoint_nn.hardware.compiler.grouping import rows, with_ways
from fixedpoint_nn.hardware.compiler.kernel import Kernel, Path, Target
from fixedpoint_nn.hardware.compiler.strided_view import Atom, Axis, Register, View, merge
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.arrays import Array, Ints
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding

MAX_SHIFT = 63


def conversion(expression: Expression) -> Quantizer:
    """The quantizer at the end of the run: the expression's, or an exact one into its format."""
    return expression.quantizer or Quantizer(expression.format, Rounding.FLOOR, Overflow.WRAP)


def pixel_atoms(axes: Sequence[Axis]) -> list[Atom]:
    """The loops over pixels, as few as possible."""
    return merge([atom for axis in axes for atom in axis])


def is_broadcast(view: View) -> bool:
    """Whether all lanes read one word: a single or repeated channel."""
    atoms = merge(view.axes[-1])
    return not atoms or (len(atoms) == 1 and atoms[0].stride == 0)


def is_rows(view: View, over: Sequence[Atom], lanes: int, start: int, register: Register | None) -> bool:
    """Whether channels are contiguous from the start of a row, for all iterations of the loops and the register."""
    atoms = merge(view.axes[-1])
    if len(atoms) != 1 or atoms[0].stride != 1 or start % lanes:
        return False
    walked = [*pixel_atoms(view.axes[:-1]), *merge(over)]
    strides = [atom.stride for atom in walked] + ([register.stride] if register else [])
    return all(stride % lanes == 0 for stride in strides)


@dataclass(frozen=True)
class LoweredScaling:
    """Weights and biases aligned to the accumulator, and the shift of each channel."""

    weights: list[Array]
    bias: Array
    shift: Array
    bound: tuple[int, int]
    product_shift: int = 0


def exact_scaling(
    terms: Sequence[Term], weights: Sequence[Array], bias: Array, bias_frac: int, frac: int, out_frac: int
) -> LoweredScaling:
    """The scaling to `frac` fraction bits, with common powers of two of each channel removed.

    A channel whose weights and bias are multiples of 2**s is exact with both divided by 2**s and a shift of s bits
    less, so weights of channels with different ranges need few bits in memory.
    """
    scaled = [aligned(w, term.frac, frac) for term, w in zip(terms, weights, strict=True)]
    bias = aligned(bias, bias_frac, frac)
    common = np.bitwise_or.reduce([*(np.bitwise_or.reduce(w, axis=0) for w in scaled), bias])
    limit = frac - out_frac  # the most, or the shift would be negative
    factor = np.clip(_trailing_zeros(common), 0, max(limit, 0))
    shift = limit - factor
    if limit < 0:
        up = np.int64(1) << np.int64(-limit) if -limit < 62 else 0
        if not up:
            raise LoweringError(f"has a result with {-limit} fraction bits more than its sum; use fewer")
        scaled, bias, shift = [times(w, up) for w in scaled], times(bias, up), np.zeros_like(factor)
    scaled = [w >> factor for w in scaled]
    bias = bias >> factor
    if shift.max() > MAX_SHIFT:
        raise LoweringError(
            f"needs a right shift of {shift.max()} bits, and {MAX_SHIFT} is the most; use fewer fraction bits"
        )
    return LoweredScaling(scaled, bias, shift, bound_of(terms, scaled))


def modelled_scaling(
    terms: Sequence[Term],
    weights: Sequence[Array],
    bias: Array,
    bias_frac: int,
    accumulator: Accumulator,
    out_frac: int,
) -> LoweredScaling:
    """The scaling for a modelled accumulator."""
    point, scaled = accumulator.format.frac_bits, []
    for term, w in zip(terms, weights, strict=True):
        if accumulator.product is None:
            scaled.append(aligned(w, term.frac, point))
            continue
        if accumulator.product.format.frac_bits != point:
            raise LoweringError(
                f"has an accumulator {accumulator.format} and products {accumulator.product.format} with "
                "different fraction bits, and the engine's have equal ones; make them equal"
            )
        scaled.append(aligned(w, term.frac, max(term.frac, point)))
    product_shift = 0 if accumulator.product is None else max(0, *(term.frac - point for term in terms))
    if accumulator.product is not None and any(max(term.frac - point, 0) != product_shift for term in terms):
        raise LoweringError(
            "has products of x and of h with different fraction bits; give both weights the same"
        )
    if not accumulator.format.signed:
        raise LoweringError(
            f"has the unsigned accumulator {accumulator.format}, and the engine's is signed; use a "
            "signed format"
        )
    if (frac := bias_frac if bias.any() else point) > point or out_frac > point:
        raise LoweringError(
            f"has a modelled accumulator with {point} fraction bits, fewer than its bias ({frac}) or its "
            f"result ({out_frac}); give it as many"
        )
    shift = np.full(len(bias), point - out_frac, np.int64)
    bias = aligned(bias, bias_frac, point) if bias.any() else bias
    bound = (accumulator.format.int_min, accumulator.format.int_max)
    return LoweredScaling(scaled, bias, shift, bound, product_shift)


def _trailing_zeros(values: Ints) -> Ints:
    """The number of trailing zeros of each integer; 0 for 0."""
    low = (values & -values).astype(np.uint64).astype(np.float64)
    return np.log2(np.maximum(low, 1)).astype(np.int64)


def bound_of(terms: Sequence[Term], weights: Sequence[Array]) -> tuple[int, int]:
    """(sum of all negative, sum of all positive) products that the formats allow."""
    low, high = 0, 0
    lows, highs = [0], [0]
    for term, w in zip(terms, weights, strict=True):
        f = term.view.format
        if isinstance(term, Product):
            g = term.other.format
            corners = [x * y for x in (f.int_min, f.int_max) for y in (g.int_min, g.int_max)]
            count = prod(atom.size for atom in term.over)
            low, high = low + count * min(*corners, 0), high + count * max(*corners, 0)
            continue
        up, down = np.maximum(w, 0).sum(axis=0).astype(object), np.minimum(w, 0).sum(axis=0).astype(object)
        least, most = min(f.int_min, 0), max(f.int_max, 0)
        lows = _add(lows, up * least + down * most)
        highs = _add(highs, up * most + down * least)
    return low + min(lows), high + max(highs)


def _add(sums: Sequence[int], more: Array) -> list[int]:
    return [a + int(b) for a, b in zip(list(sums) * (len(more) if len(sums) == 1 else 1), more, strict=True)]


def build(
    name: str,
    path: Path,
    expression: Expression,
    terms: Sequence[Term],
    columns: slice,
    target: Target,
    lanes: int,
    words: int = 1,
    drain: int = 1,
) -> Kernel:
    """The kernel for one part of an expression with legalised terms."""
    quantizer = conversion(expression)
    channels = terms[0].channels
    taps, pixels, operands, factors, broadcast = _walks(terms, lanes)
    weights = [np.ones((1, channels), np.int64) if isinstance(t, Product) else t.weights for t in terms]
    weights = [np.broadcast_to(w, (w.shape[0], channels)) for w in weights]
    bias = np.zeros(channels, np.int64)
    bias_frac = 0
    if expression.bias is not None:
        bias, bias_frac = np.asarray(expression.bias[columns], np.int64), expression.bias_frac
    multiplier = expression.multiplier
    out_frac = quantizer.format.frac_bits if multiplier is None else multiplier.frac
    accumulator = expression.accumulator if isinstance(terms[0], Dot) else None
    if accumulator is not None:
        scaling = modelled_scaling(terms, weights, bias, bias_frac, accumulator, out_frac)
    else:
        frac = max([term.frac for term in terms] + ([bias_frac] if bias.any() else []))
        frac = frac if multiplier is None else max(frac, multiplier.frac)
        if isinstance(terms[0], Product):
            scaling = _product_scaling(terms, bias, bias_frac, frac, out_frac)
        else:
            scaling = exact_scaling(terms, weights, bias, bias_frac if bias.any() else frac, frac, out_frac)
    shift, multipliers = scaling.shift, np.ones(channels, np.int64)
    if multiplier is not None:
        own = multiplier.columns(columns)
        shift, multipliers = shift + own.shifts, own.factors
    if shift.max() + expression.leak > MAX_SHIFT:
        raise LoweringError(
            f"needs a right shift of {shift.max() + expression.leak} bits, and {MAX_SHIFT} is the most"
        )
    stacked = np.concatenate(scaling.weights, axis=0) if scaling.weights else None
    parameters = np.stack([shift, scaling.bias, multipliers], axis=1)
    alike = bool((parameters == parameters[:1]).all())
    per_tile = alike and (stacked is None or bool((stacked == stacked[:, :1]).all()))
    image = None
    if per_tile:
        parameters = np.repeat(parameters[:1], min(lanes, channels), axis=0)
        image = (
            None if stacked is None else rows(np.repeat(stacked[:, :1], min(lanes, channels), axis=1), lanes)
        )
    elif stacked is not None:
        image = rows(stacked, lanes)
    first = terms[0]
    kernel = Kernel(
        name=quantizer.name or name,
        path=path,
        operands=operands,
        factors=factors,
        taps=taps,
        pixels=pixels,
        channels=channels,
        tile_stride=0 if broadcast else lanes,
        vector=not broadcast,
        maximum=isinstance(first, Scale) and first.maximum,
        accumulator=accumulator,
        product_shift=scaling.product_shift,
        weights=image,
        parameters=parameters,
        per_tile=per_tile,
        quantizer=quantizer,
        relu_before=expression.relu_before,
        relu_after=expression.relu_after,
        leak=expression.leak,
        twice=multiplier is not None and multiplier.twice,
        table=expression.table,
        target=target,
        bound=scaling.bound,
        window=first.view.window,
        lanes=lanes,
    )
    if stacked is None or not isinstance(first, Dot):
        return kernel
    return with_ways(kernel, stacked[:, :1] if per_tile else stacked, words, drain)


def _product_scaling(
    terms: Sequence[Term], bias: Array, bias_frac: int, frac: int, out_frac: int
) -> LoweredScaling:
    if any(term.frac != frac for term in terms):
        raise LoweringError(
            "adds products of different fraction bits, which no weight can align; give them equal ones"
        )
    if frac < out_frac:
        raise LoweringError(
            f"casts a product with {frac} fraction bits to {out_frac}; use no more than the product has"
        )
    total = aligned(bias, bias_frac, frac) if bias.any() else bias
    return LoweredScaling(
        [], total, np.full(len(bias), frac - out_frac, np.int64), bound_of(terms, [np.zeros(0)] * len(terms))
    )


def _walks(terms: Sequence[Term], lanes: int) -> tuple[list[Atom], list[Atom], list[View], list[View], bool]:
    """(taps, pixels, first operands, second operands, whether all lanes read one word)."""
    first = terms[0]
    pixels = pixel_atoms(first.pixels)
    factors: list[View] = []
    if isinstance(first, Dot):
        taps = merge(first.view.axes[-1])
        if len(terms) > 1:  # adjacent operands are read as one
            taps = [Atom(sum(prod(a.size for a in t.view.axes[-1]) for t in terms), 1)]
        operands, broadcast = [first.view], True
    elif isinstance(first, Scale):
        taps, operands = merge(first.over), [term.view for term in terms]
        broadcast = is_broadcast(first.view)
    else:
        taps, operands, broadcast = merge(first.over), [term.view for term in terms], False
        factors = [term.other for term in terms if isinstance(term, Product)]
    loops = len(taps) + (len(operands) > 1) + bool(factors)
    labelled = any(atom.label for atom in [*taps, *pixels])
    plain = sum(not atom.label for atom in taps)
    if loops > 3 or len(pixels) > 2 or (labelled and (plain > 1 or any(not atom.label for atom in pixels))):
        raise LoweringError(
            "walks through memory in more loops than the engine has; flatten or pad less at once"
        )
    return taps, pixels, operands, factors, broadcast
