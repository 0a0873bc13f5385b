# SPDX-License-Identifier: MIT
"""Expressions are values: what each operation on them means is computed here in whole numbers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.expression import (
    Dot,
    Expression,
    Product,
    Scale,
    aligned,
    constant,
    load,
    times,
)
from fixedpoint_nn.hardware.compiler.strided_view import Atom, Buffer, View, dense_axes
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.qformat import Q
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.table import Table

MEMORY = np.random.default_rng(3).integers(-8, 8, 200)


def view(*shape: int, offset: int = 0, frac: int = 2) -> View:
    strides = [int(n) for n in np.cumprod([1, *shape[:0:-1]])[::-1]]
    return View(Buffer("memory", 200), offset, dense_axes(shape, strides), Q(4, frac))


def stored(v: View) -> np.ndarray:
    total = np.array([v.offset])
    for axis in v.axes:
        for atom in axis:
            total = (total[:, None] + np.arange(atom.size) * atom.stride).reshape(-1)
    return MEMORY[total].reshape(v.shape)


def value_of(term: Dot | Scale | Product) -> np.ndarray:
    """The term's values, exactly."""
    unit = Fraction(1) / Fraction(2) ** term.frac
    if isinstance(term, Dot):
        return (stored(term.view) @ term.weights).astype(object) * unit
    if isinstance(term, Scale):
        over = 0
        for step in np.ndindex(*(atom.size for atom in term.over)):
            moved = sum(i * atom.stride for i, atom in zip(step, term.over, strict=True))
            shifted = View(term.view.buffer, term.view.offset + moved, term.view.axes, term.view.format)
            tap = int(np.ravel_multi_index(step, [a.size for a in term.over])) if term.over else 0
            over = over + stored(shifted) * term.weights[min(tap, len(term.weights) - 1)]
        return np.asarray(over).astype(object) * unit
    return (stored(term.view) * stored(term.other)).astype(object) * unit


def values(e: Expression) -> np.ndarray:
    parts = []
    width = e.channels // len(e.parts)
    for number, part in enumerate(e.parts):
        total: Any = 0
        for term in part:
            total = total + value_of(term)
        if e.bias is not None:
            total = total + e.bias[number * width : (number + 1) * width].astype(object) * (
                Fraction(1) / Fraction(2) ** e.bias_frac
            )
        parts.append(total)
    return np.concatenate(parts, axis=-1)


X, Y = load(view(1, 3, 4)), load(view(1, 3, 4, offset=50, frac=3))
DOT = Expression((1, 3, 4), Q(10, 4), ((Dot(view(1, 3, 5), np.arange(20).reshape(5, 4) - 9, 4),),))
TWICE = Expression((1, 3, 4), Q(10, 4), ((Product(view(1, 3, 4), view(1, 3, 4, offset=30), 4),),))
SUM = Expression(
    (1, 3, 4), Q(10, 2), ((Scale(view(1, 3, 4), np.ones((2, 4), np.int64), 2, (Atom(2, 12),)),),)
)
ONES = constant(np.array([1, -2, 3, 0]), 5, (1, 3, 4), Q(4, 5))
EVERY = {"stored": X, "dot": DOT, "product": TWICE, "sum": SUM}


@pytest.mark.parametrize("name", EVERY)
def test_an_expression_over_other_views_has_their_pixels_and_its_own_channels(name: str) -> None:
    changed = EVERY[name].over_views(lambda v: v.index((slice(None), slice(1, 3))))
    assert changed.shape == (1, 2, 4)
    assert np.array_equal(values(changed), values(EVERY[name])[:, 1:3])


@pytest.mark.parametrize("name", EVERY)
def test_a_term_is_cut_scaled_and_multiplied(name: str) -> None:
    e = EVERY[name]
    (term,) = e.terms
    exact = values(e)
    assert (term.channels, e.channels) == (4, 4)
    assert len(term.pixels) == 2
    assert np.array_equal(values(e.scaled(3, Q(9, 1))), exact * 8)
    assert np.array_equal(values(e.scaled(-1, Q(9, 1))), exact * Fraction(1, 2))
    assert e.scaled(3, Q(9, 1)).format == Q(9, 1)
    for chosen in (slice(1, 3), slice(0, 1), slice(2, None)):
        own = e.columns(chosen, (1, 3, len(range(4)[chosen])))
        assert own.shape == (1, 3, len(range(4)[chosen]))
        if name == "sum" or own.shape[-1] > 0:
            assert np.array_equal(values(own), exact[..., chosen])
    factor = np.array([3, -1, 0, 2])
    if isinstance(term, Product):
        with pytest.raises(
            LoweringError,
            match="scales a product of two values, which has no weights; cast the product first",
        ):
            e.times(factor, 1, e.shape, e.format)
    else:
        assert np.array_equal(values(e.times(factor, 1, e.shape, e.format)), exact * factor * Fraction(1, 2))
        assert np.array_equal(values(e.times(np.int64(5), 2, e.shape, e.format)), exact * 5 * Fraction(1, 4))
    assert e.frac == term.frac
    assert len(term.views()) == (2 if isinstance(term, Product) else 1)
    moved = term.over_views(lambda v: View(v.buffer, v.offset + 7, v.axes, v.format))
    assert [v.offset - w.offset for v, w in zip(moved.views(), term.views(), strict=True)] == [7] * len(
        term.views()
    )


@pytest.mark.parametrize("one", [*EVERY, "constant"])
@pytest.mark.parametrize("other", [*EVERY, "constant"])
def test_sums_are_those_of_the_values(one: str, other: str) -> None:
    a, b = ({**EVERY, "constant": ONES}[name] for name in (one, other))
    total = a.plus(b, (1, 3, 4), Q(12, 6))
    assert total.format == Q(12, 6)
    assert np.array_equal(
        np.broadcast_to(values(total), (1, 3, 4)), np.broadcast_to(values(a) + values(b), (1, 3, 4))
    )
    fracs = [term.frac for e in (a, b) for term in e.terms] + [5 for e in (a, b) if e is ONES]
    assert total.frac == max(fracs)
    if ONES in (a, b) and a is not b:
        again = total.plus(ONES, (1, 3, 4), Q(12, 6))
        assert np.array_equal(values(again), values(total) + values(ONES))
        assert np.array_equal(
            values(again.times(np.int64(3), 1, (1, 3, 4), Q(12, 6)))
            if "product" not in (one, other)
            else values(again) * Fraction(3, 2),
            values(again) * Fraction(3, 2),
        )
        assert np.array_equal(values(again.scaled(2, Q(12, 6))), values(again) * 4)
        assert np.array_equal(values(again.columns(slice(1, 3), (1, 3, 2))), values(again)[..., 1:3])


def test_biases_meet_at_the_finer_binary_point() -> None:
    coarse, fine = (
        constant(np.array([3]), 1, (1, 4), Q(4, 1)),
        constant(np.array([1, 2, 3, 4]), 4, (1, 4), Q(4, 4)),
    )
    for a, b in ((coarse, fine), (fine, coarse)):
        total = a.plus(b, (1, 4), Q(8, 4))
        assert (total.bias.tolist(), total.bias_frac) == ([25, 26, 27, 28], 4)
    alone = coarse.plus(coarse, (), Q(8, 1))
    assert (alone.bias.tolist(), alone.bias_frac) == ([6], 1)
    none = X.plus(Y, (1, 3, 4), Q(8, 3))
    assert (none.bias, none.bias_frac) == (None, 0)


def test_groups_are_scaled_by_their_own_channels() -> None:
    parts = (
        (Dot(view(1, 3, 5), np.ones((5, 2), np.int64), 2),),
        (Dot(view(1, 3, 5, offset=20), np.ones((5, 2), np.int64), 2),),
    )
    grouped = Expression((1, 3, 4), Q(10, 2), parts, np.array([1, 2, 3, 4]), 2)
    factor = np.array([1, -2, 3, -4])
    assert np.array_equal(values(grouped.times(factor, 0, (1, 3, 4), Q(12, 2))), values(grouped) * factor)
    assert np.array_equal(values(grouped.times(np.int64(-3), 0, (1, 3, 4), Q(12, 2))), values(grouped) * -3)
    for a, b in ((grouped, ONES), (ONES, grouped)):
        assert np.array_equal(values(a.plus(b, (1, 3, 4), Q(12, 5))), values(grouped) + values(ONES))
    assert np.array_equal(values(grouped.plus(grouped, (1, 3, 4), Q(12, 5))), values(grouped) * 2)
    for a, b in ((grouped, X), (X, grouped)):
        with pytest.raises(
            LoweringError,
            match="adds a grouped convolution and another sum, which is no single run; cast one of them first",
        ):
            a.plus(b, (1, 3, 4), Q(12, 5))


def test_one_run_has_one_modelled_accumulator() -> None:
    accumulator = Accumulator(Q(20, 4))
    modelled = Expression(DOT.shape, DOT.format, DOT.parts, accumulator=accumulator)
    assert modelled.plus(ONES, (1, 3, 4), Q(12, 6)).accumulator is accumulator
    assert ONES.plus(modelled, (1, 3, 4), Q(12, 6)).accumulator is accumulator
    assert X.plus(modelled, (1, 3, 4), Q(12, 6)).accumulator is accumulator
    empty = Expression(ONES.shape, ONES.format, ONES.parts, ONES.bias, 5, accumulator)
    assert modelled.plus(empty, (1, 3, 4), Q(12, 6)).accumulator is accumulator
    with pytest.raises(
        LoweringError, match="adds two modelled accumulators, which is no single run; cast one of them first"
    ):
        modelled.plus(modelled, (1, 3, 4), Q(12, 6))


@pytest.mark.parametrize(
    "step",
    [
        {"relu_before": True},
        {"leak": 3},
        {"quantizer": Quantizer(Q(4, 4))},
        {"relu_after": True},
        {"table": Table("tanh", Q(4, 4), Quantizer(Q(1, 7)))},
    ],
    ids=lambda step: next(iter(step)),
)
def test_whatever_is_done_to_a_sum_ends_it(step: dict[str, Any]) -> None:
    assert X.is_sum
    done = Expression(X.shape, X.format, X.parts, **step)
    assert not done.is_sum
    assert not done.linear


def test_what_is_linear_can_be_scaled_by_constants() -> None:
    largest = Expression(
        SUM.shape,
        SUM.format,
        ((Scale(view(1, 3, 4), np.ones((2, 4), np.int64), 2, (Atom(2, 12),), maximum=True),),),
    )
    assert [e.linear for e in (X, DOT, SUM, ONES, TWICE, largest)] == [True, True, True, True, False, False]
    assert not X.plus(TWICE, (1, 3, 4), Q(12, 6)).linear
    assert not TWICE.plus(X, (1, 3, 4), Q(12, 6)).linear


def test_constants_are_aligned_as_far_as_63_bits_reach() -> None:
    assert aligned(np.array([3, -1]), 2, 5).tolist() == [24, -8]
    assert aligned(np.array([1]), 0, 61).tolist() == [1 << 61]
    for ints, frac, to, bits in (
        ([1], 0, 62, 62), ([1], 0, 70, 70), ([1], 3, 70, 67), ([2], 0, 61, 63), ([-2], 0, 61, 63),
    ):  # fmt: skip
        with pytest.raises(
            LoweringError,
            match=f"needs constants of {bits} bits to align the binary points of a sum; use closer fraction bits",
        ):
            aligned(np.array(ints), frac, to)
    assert times(np.array([-(1 << 30), 5]), np.array([1 << 31])).tolist() == [-(1 << 61), 5 << 31]
    assert times(np.zeros(0, np.int64), np.int64(1) << 62).size == 0
    for a, b in ((1 << 31, 1 << 31), (-(1 << 31), 1 << 31), (1 << 31, -(1 << 31))):
        with pytest.raises(LoweringError, match="needs constants of 63 bits"):
            times(np.array([a, 0]), np.array([b, 1]))
