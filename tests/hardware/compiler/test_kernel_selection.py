# SPDX-License-Identifier: MIT
"""Weights, biases, shifts and bounds of a run, against fractions and sums of single products."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.expression import Dot, Expression, Multiplier, Product, Scale, Term
from fixedpoint_nn.hardware.compiler.kernel import Kernel, Target
from fixedpoint_nn.hardware.compiler.kernel_selection import (
    bound_of,
    build,
    exact_scaling,
    is_broadcast,
    is_rows,
    modelled_scaling,
    rows,
)
from fixedpoint_nn.hardware.compiler.strided_view import Atom, Buffer, Register, View
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding
from tests.support.kernels import row

X = Buffer("x", 400)
NO_BIAS = np.zeros(2, np.int64)


def dot(weights: Any, frac: int, format: QFormat = Q(4, 4)) -> Dot:
    made = np.array(weights, np.int64)
    return Dot(row(X, len(made), format=format), made, frac)


def product(a: QFormat, b: QFormat, frac: int = 8, channels: int = 2) -> Product:
    return Product(row(X, channels, format=a), row(X, channels, 40, format=b), frac)


# ---- scalings ----------------------------------------------------------------------------------------------


def test_shifted_weights_and_biases_are_worth_what_they_were_and_as_small_as_can_be() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        fracs = [int(f) for f in rng.integers(0, 9, 2)]
        bias_frac, out_frac = (int(f) for f in rng.integers(0, 9, 2))
        frac = max(*fracs, bias_frac)
        weights = [rng.integers(-9, 10, (3, 4)) << rng.integers(0, 5, (1, 4)) for _ in fracs]
        bias = rng.integers(-9, 10, 4) << rng.integers(0, 9, 4)
        terms = [dot(w, f) for w, f in zip(weights, fracs, strict=True)]
        found = exact_scaling(terms, weights, bias, bias_frac, frac, out_frac)
        for channel in range(4):
            shift = int(found.shift[channel])
            unit = Fraction(2) ** out_frac
            for given, made, of in zip(
                [*weights, bias[None]], [*found.weights, found.bias[None]], [*fracs, bias_frac], strict=True
            ):
                for before, after in zip(given[:, channel].tolist(), made[:, channel].tolist(), strict=True):
                    assert Fraction(after, 2**shift) == Fraction(before) / 2**of * unit
            everything = [int(n) for w in (*found.weights, found.bias[None]) for n in w[:, channel]]
            assert shift >= 0
            if not any(everything):
                assert shift == max(frac - out_frac, 0)
            else:
                assert shift == 0 or any(n & 1 for n in everything), "all of them could be halved"
        assert found.bound == bound_of(terms, found.weights)
        assert found.product_shift == 0


def test_a_shift_of_63_bits_is_the_longest() -> None:
    one = [np.array([[1, 1]])]
    assert exact_scaling([dot(*one, 63)], one, NO_BIAS, 63, 63, 0).shift.tolist() == [63, 63]
    with pytest.raises(LoweringError) as caught:
        exact_scaling([dot(*one, 64)], one, NO_BIAS, 64, 64, 0)
    assert str(caught.value) == "needs a right shift of 64 bits, and 63 is the most; use fewer fraction bits"


def test_a_result_far_finer_than_its_sum_is_refused() -> None:
    one = [np.array([[1, 1]])]
    assert exact_scaling([dot(*one, 0)], one, NO_BIAS, 0, 0, 61).weights[0].tolist() == [[1 << 61] * 2]
    for bits in (62, 63, 64, 70):
        with pytest.raises(LoweringError) as caught:
            exact_scaling([dot(*one, 0)], one, NO_BIAS, 0, 0, bits)
        assert str(caught.value) == f"has a result with {bits} fraction bits more than its sum; use fewer"


MODEL = Accumulator(Q(8, 6), Overflow.WRAP)
PRODUCTS = replace(MODEL, product=Quantizer(Q(6, 6)))


def test_a_modelled_accumulator_counts_at_its_own_binary_point() -> None:
    weights = [np.array([[1, -2]]), np.array([[3, 4]])]
    terms = [dot(weights[0], 4), dot(weights[1], 6)]
    found = modelled_scaling(terms, weights, np.array([5, 6]), 5, MODEL, 2)
    assert [w.tolist() for w in found.weights] == [[[4, -8]], [[3, 4]]]
    assert (found.bias.tolist(), found.shift.tolist(), found.product_shift) == ([10, 12], [4, 4], 0)
    assert found.bound == (-(1 << 13), (1 << 13) - 1)


def test_quantised_products_keep_the_bits_that_they_lose_later() -> None:
    weights = [np.array([[1, -2]])]
    for frac, product_shift, after in ((4, 0, [[4, -8]]), (6, 0, [[1, -2]]), (9, 3, [[1, -2]])):
        found = modelled_scaling([dot(weights[0], frac)], weights, NO_BIAS, 0, PRODUCTS, 6)
        assert (found.product_shift, found.weights[0].tolist()) == (product_shift, after)
        assert found.shift.tolist() == [0, 0]


def refusal(**change: Any) -> str:
    """What is said of a modelled accumulator with something that the engine has not."""
    weights = [np.array([[1, -2]])] * 2
    given: dict[str, Any] = {
        "terms": [dot(weights[0], 4), dot(weights[1], 4)], "weights": weights, "bias": np.array([1, 0]), "bias_frac": 4,
        "accumulator": MODEL, "out_frac": 4,
    }  # fmt: skip
    with pytest.raises(LoweringError) as caught:
        modelled_scaling(**given | change)
    return str(caught.value)


def test_what_a_modelled_accumulator_cannot_count_is_refused() -> None:
    assert refusal(accumulator=replace(MODEL, product=Quantizer(Q(6, 5)))) == (
        "has an accumulator Q(8, 6) and products Q(6, 5) with different fraction bits, and the engine's have equal "
        "ones; make them equal"
    )
    w = np.array([[1, -2]])
    for fracs in ((7, 8), (8, 7), (5, 8)):
        terms = [dot(w, frac) for frac in fracs]
        assert refusal(accumulator=PRODUCTS, terms=terms) == (
            "has products of x and of h with different fraction bits; give both weights the same"
        )
    assert refusal(accumulator=Accumulator(UQ(8, 6), Overflow.WRAP)) == (
        "has the unsigned accumulator UQ(8, 6), and the engine's is signed; use a signed format"
    )
    assert refusal(bias_frac=7) == (
        "has a modelled accumulator with 6 fraction bits, fewer than its bias (7) or its result (4); give it as many"
    )
    assert refusal(out_frac=7) == (
        "has a modelled accumulator with 6 fraction bits, fewer than its bias (4) or its result (7); give it as many"
    )
    assert refusal(bias=NO_BIAS, bias_frac=9, out_frac=7) == (
        "has a modelled accumulator with 6 fraction bits, fewer than its bias (6) or its result (7); give it as many"
    )


def test_products_that_differ_below_the_accumulators_point_are_no_obstacle() -> None:
    weights = [np.array([[1, -2]])] * 2
    terms = [dot(weights[0], 4), dot(weights[1], 6)]
    found = modelled_scaling(terms, weights, NO_BIAS, 9, PRODUCTS, 6)
    assert [w.tolist() for w in found.weights] == [[[4, -8]], [[1, -2]]]
    modelled_scaling([dot(weights[0], 8), dot(weights[1], 8)], weights, NO_BIAS, 9, PRODUCTS, 6)
    exact = replace(MODEL, format=Q(8, 9))
    modelled_scaling([dot(weights[0], 7), dot(weights[1], 9)], weights, NO_BIAS, 9, exact, 6)


# ---- bounds ------------------------------------------------------------------------------------------------

FORMATS = (Q(1, 0), Q(4, 0), UQ(1, 0), UQ(3, 0))


def reachable(terms: list[Term], weights: list[np.ndarray], channels: int) -> tuple[int, int]:
    """The lowest and highest sum of any choice of the terms' products, over all channels."""
    low, high = [0] * channels, [0] * channels
    for term, w in zip(terms, weights, strict=True):
        f = term.view.format
        for channel in range(channels):
            if isinstance(term, Product):
                g = term.other.format
                pairs = [[x * y for x in (f.int_min, f.int_max) for y in (g.int_min, g.int_max)]]
            else:
                pairs = [[int(n) * f.int_min, int(n) * f.int_max] for n in w[:, channel]]
            low[channel] += sum(min(0, *pair) for pair in pairs)
            high[channel] += sum(max(0, *pair) for pair in pairs)
    return min(low), max(high)


@pytest.mark.parametrize("first", FORMATS)
@pytest.mark.parametrize("second", FORMATS)
def test_the_bound_of_a_sum_is_what_the_formats_can_reach(first: QFormat, second: QFormat) -> None:
    rng = np.random.default_rng(1)
    for size in (1, 4, 50):
        a, b = (rng.integers(-size, size + 1, (3, 2)) for _ in range(2))
        for w in (a, abs(a), -abs(a), a * 0):
            assert bound_of([dot(w, 0, first)], [w]) == reachable([dot(w, 0, first)], [w], 2)
            both: list[Term] = [dot(w, 0, first), dot(b, 0, second)]
            assert bound_of(both, [w, b]) == reachable(both, [w, b], 2)
    empty = [np.zeros(0)] * 2
    one: list[Term] = [product(first, second)]
    assert bound_of(one, empty[:1]) == reachable(one, empty[:1], 2)
    two: list[Term] = [product(first, second), product(second, second)]
    assert bound_of(two, empty) == reachable(two, empty, 2)


# ---- operands ----------------------------------------------------------------------------------------------


def view(*axes: tuple[Atom, ...], offset: int = 0) -> View:
    return View(X, offset, ((), *axes), Q(4, 4))


def test_one_word_for_all_lanes_is_a_channel_alone_or_a_repeated_one() -> None:
    assert is_broadcast(view((Atom(3, 8),), ()))
    assert is_broadcast(view((Atom(3, 8),), (Atom(4, 0),)))
    assert not is_broadcast(view((Atom(3, 8),), (Atom(4, 1),)))
    assert not is_broadcast(view((Atom(2, 0), Atom(4, 1))))


@pytest.mark.parametrize(
    ("axes", "over", "start", "stride", "expected"),
    [
        ([(Atom(5, 1),)], (), 0, None, True),
        ([(Atom(5, 1),)], (), 4, None, True),
        ([(Atom(5, 1),)], (), 2, None, False),
        ([(Atom(5, 2),)], (), 0, None, False),
        ([(Atom(2, 9), Atom(5, 1))], (), 0, None, False),
        ([()], (), 0, None, False),
        ([(Atom(3, 8),), (Atom(5, 1),)], (), 0, None, True),
        ([(Atom(3, 5),), (Atom(5, 1),)], (), 0, None, False),
        ([(Atom(2, 5),), (Atom(3, 16),), (Atom(5, 1),)], (), 0, None, False),
        ([(Atom(5, 1),)], (Atom(2, 8),), 0, None, True),
        ([(Atom(5, 1),)], (Atom(2, 6),), 0, None, False),
        ([(Atom(5, 1),)], (), 0, 8, True),
        ([(Atom(5, 1),)], (), 0, 6, False),
    ],
)
def test_rows_stand_side_by_side_wherever_loops_and_registers_go(
    axes: list[tuple[Atom, ...]], over: tuple[Atom, ...], start: int, stride: int | None, expected: bool
) -> None:
    register = None if stride is None else Register(stride)
    assert is_rows(view(*axes), over, 4, start, register) is expected


def test_rows_of_weights_are_read_tile_by_tile() -> None:
    weights = np.arange(1, 11).reshape(2, 5)
    assert rows(weights, 4).tolist() == [[1, 2, 3, 4], [6, 7, 8, 9], [5, 0, 0, 0], [10, 0, 0, 0]]
    assert rows(weights[:, :4], 4).tolist() == [[1, 2, 3, 4], [6, 7, 8, 9]]


# ---- kernels -----------------------------------------------------------------------------------------------

HERE = Target(Buffer("y", 200), 0, 8)


def built(terms: list[Term], columns: slice = slice(None), lanes: int = 4, **more: Any) -> Kernel:
    """The run of these terms, rounded to Q(6, 2) unless `more` says otherwise."""
    plain: dict[str, Any] = {"quantizer": Quantizer(Q(6, 2))}
    expression = Expression((1, terms[0].channels), Q(6, 2), (tuple(terms),), **plain | more)
    return build("fc", (3,), expression, terms, columns, HERE, lanes)


def test_a_dot_product_is_a_run_of_its_weights() -> None:
    made = built([dot([[1, 2, 3], [4, 5, 7]], 4)], bias=np.array([8, 0, 4]), bias_frac=5)
    assert made.weights is not None and made.weights.tolist() == [[1, 2, 3, 0], [4, 5, 7, 0]]
    assert made.parameters.tolist() == [[2, 4, 1], [2, 0, 1], [2, 2, 1]]
    assert (made.taps, made.pixels, made.channels) == ([Atom(2, 1)], [], 3)
    assert (made.tile_stride, made.vector, made.maximum, made.per_tile) == (0, False, False, False)
    assert (made.name, made.path, made.twice, made.leak) == ("fc", (3,), False, 0)


def test_without_a_bias_its_fraction_bits_say_nothing() -> None:
    for bias in (None, np.array([0, 0])):
        made = built([dot([[1, 3]], 4)], bias=bias, bias_frac=9)
        assert made.parameters.tolist() == [[2, 0, 1], [2, 0, 1]]
    product_of = [product(Q(4, 4), Q(4, 4))]
    made = built(list(product_of), bias=np.array([0, 0]), bias_frac=9)
    assert made.parameters.tolist() == [[6, 0, 1], [6, 0, 1]]


def test_an_expression_that_is_not_rounded_is_copied_into_its_format() -> None:
    made = built([dot([[1, 2]], 4)], quantizer=None)
    assert made.quantizer == Quantizer(Q(6, 2), Rounding.FLOOR, Overflow.WRAP)
    assert built([dot([[1, 2]], 4)], quantizer=Quantizer(Q(6, 2), name="head")).name == "head"


def test_channels_that_are_alike_share_one_row() -> None:
    made = built([dot([[2] * 6, [3] * 6], 4)], bias=np.array([8] * 6), bias_frac=4)
    assert made.per_tile
    assert made.parameters.tolist() == [[2, 8, 1]] * 4
    assert made.weights is not None and made.weights.tolist() == [[2] * 4, [3] * 4]
    few = built([dot([[2, 2]], 4)])
    assert few.per_tile and few.parameters.tolist() == [[1, 0, 1]] * 2
    assert few.weights is not None and few.weights.tolist() == [[1, 1, 0, 0]]
    assert not built([dot([[2, 3]], 4)]).per_tile
    assert not built([dot([[2, 2]], 4)], bias=np.array([4, 5]), bias_frac=4).per_tile
    assert built([product(Q(4, 4), Q(4, 4))]).per_tile


def test_products_of_values_have_no_weights() -> None:
    pair = built([product(Q(4, 4), Q(4, 4))] * 2)
    assert (len(pair.operands), len(pair.factors), pair.taps) == (2, 2, [])
    made = built([product(Q(4, 4), Q(4, 4))], bias=np.array([1, 2]), bias_frac=4)
    assert made.weights is None
    assert made.parameters.tolist() == [[6, 16, 1], [6, 32, 1]]
    assert (made.vector, made.tile_stride, made.bound) == (True, 4, (-127 * 128, 128 * 128))
    assert [view.offset for view in made.operands + made.factors] == [0, 40]


def test_products_that_no_weight_aligns_are_refused() -> None:
    with pytest.raises(LoweringError) as caught:
        built([product(Q(4, 4), Q(4, 4)), product(Q(4, 4), Q(4, 3), 7)])
    assert str(caught.value) == (
        "adds products of different fraction bits, which no weight can align; give them equal ones"
    )
    with pytest.raises(LoweringError) as caught:
        built([product(Q(4, 4), Q(4, 4))], quantizer=Quantizer(Q(4, 9)))
    assert str(caught.value) == "casts a product with 8 fraction bits to 9; use no more than the product has"
    assert built([product(Q(4, 4), Q(4, 4))], quantizer=Quantizer(Q(4, 8))).parameters[0].tolist() == [
        0,
        0,
        1,
    ]


def test_a_multiplier_has_a_factor_and_a_shift_for_each_channel() -> None:
    by = Multiplier(6, np.array([5, -6, 7]), np.array([3, 4, 5]), twice=True)
    made = built([dot([[1, 3]], 4)], slice(1, 3), multiplier=by)
    assert made.parameters.tolist() == [[4, 0, -6], [5, 0, 7]]
    assert made.weights is not None and made.weights.tolist() == [[4, 12, 0, 0]]
    assert made.twice and made.multiplied
    coarse = built([dot([[1, 3]], 9)], slice(0, 2), multiplier=replace(by, twice=False))
    assert coarse.parameters.tolist() == [[6, 0, 5], [7, 0, -6]]
    assert not coarse.twice and coarse.multiplied


def test_a_leak_shifts_further_than_the_result() -> None:
    terms: list[Term] = [dot([[1, 3]], 62)]
    assert built(terms, leak=3).parameters[0].tolist() == [60, 0, 1]
    with pytest.raises(LoweringError) as caught:
        built(terms, leak=4)
    assert str(caught.value) == "needs a right shift of 64 bits, and 63 is the most"


def test_a_modelled_accumulator_is_of_dot_products_alone() -> None:
    made = built([dot([[1, 3]], 4)], accumulator=MODEL)
    assert (made.accumulator, made.bound, made.parameters[0].tolist()) == (
        MODEL,
        (-(1 << 13), (1 << 13) - 1),
        [4, 0, 1],
    )
    scale = Scale(view((Atom(2, 1),)), np.array([[1, 3]]), 4)
    assert built([scale], accumulator=MODEL).accumulator is None


def test_values_scaled_are_rows_and_may_be_the_largest_of_several() -> None:
    scale = Scale(view((Atom(2, 1),)), np.array([[1, 3]]), 4)
    assert (built([scale]).vector, built([scale]).tile_stride, built([scale]).maximum) == (True, 4, False)
    largest = [replace(scale, maximum=True), replace(scale, maximum=True)]
    made = built(list(largest))
    assert made.maximum and len(made.operands) == 2
    one = Scale(view((Atom(2, 0),)), np.array([[1, 3]]), 4, (Atom(3, 8),))
    assert (built([one]).vector, built([one]).tile_stride, built([one]).taps) == (False, 0, [Atom(3, 8)])


def test_dot_products_side_by_side_are_one_long_one() -> None:
    terms: list[Term] = [dot([[1, 3]] * 2, 4), dot([[2, 5]] * 3, 4)]
    made = built(terms)
    assert (made.taps, len(made.operands)) == ([Atom(5, 1)], 1)
    assert made.weights is not None and made.weights[:, 0].tolist() == [1, 1, 2, 2, 2]


FAR = (Atom(2, 100), Atom(2, 30), Atom(2, 7))


@pytest.mark.parametrize(
    ("over", "pixels", "terms", "fits"),
    [
        (FAR, [], 1, True),
        (FAR, [], 2, False),
        (FAR[:2], [], 2, True),
        ((*FAR, Atom(2, 3)), [], 1, False),
        ((), [(Atom(2, 100),), (Atom(2, 30),)], 1, True),
        ((), [(Atom(2, 100),), (Atom(2, 30),), (Atom(2, 8),)], 1, False),
        ((Atom(2, 8, "ky"), Atom(2, 4, "kx")), [(Atom(2, 100, "y"),), (Atom(2, 30, "x"),)], 1, True),
        ((Atom(2, 8, "ky"), Atom(2, 3)), [(Atom(2, 100, "y"),), (Atom(2, 30, "x"),)], 1, True),
        ((Atom(2, 8, "ky"), Atom(2, 3), Atom(2, 50)), [(Atom(2, 100, "y"),), (Atom(2, 30, "x"),)], 1, False),
        ((Atom(2, 8, "ky"),), [(Atom(2, 100, "y"),), (Atom(2, 30),)], 1, False),
        ((Atom(2, 8, "ky"),), [(Atom(2, 100),)], 1, False),
    ],
)
def test_the_engine_has_three_loops_over_taps_and_two_over_pixels(
    over: tuple[Atom, ...], pixels: list[tuple[Atom, ...]], terms: int, fits: bool
) -> None:
    taps = int(np.prod([atom.size for atom in over], dtype=int))
    scale = Scale(view(*pixels, (Atom(2, 0),)), np.ones((taps, 2), np.int64), 4, over)
    if fits:
        assert built([scale] * terms).taps == list(over)
        return
    with pytest.raises(LoweringError) as caught:
        built([scale] * terms)
    assert str(caught.value) == (
        "walks through memory in more loops than the engine has; flatten or pad less at once"
    )
