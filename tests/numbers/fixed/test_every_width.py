# SPDX-License-Identifier: MIT
"""Each verb of `FixedArray` in every container, at the ends of each format, against Python's integers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.fixed.operands import aligned, exact_integers, wider
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.bounded_ints import BoundedInts
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from tests.support import oracle

# The ends of each format are odd, or one beside what a float32, a float64 or half of an int64 holds.
FORMATS = [
    Q(4, 4),
    UQ(3, 5),
    Q(20, 4),
    Q(25, 0),
    UQ(20, 5),
    Q(50, 3),
    Q(48, 6),
    UQ(50, 4),
    Q(60, 0),
]


def ends(format: QFormat, shape: tuple[int, ...] = (2, 3)) -> FixedArray:
    """Both ends of the format, what lies beside them, and small numbers."""
    middle = 3 if format.int_min == 0 else -3
    ints = [format.int_min, format.int_max, format.int_max - 1, middle, 0, format.int_min + 1]
    return FixedArray.from_ints(np.array(ints).reshape(shape), format)


def ones(shape: tuple[int, ...], format: QFormat) -> FixedArray:
    """Ones of any shape; one without elements is cut out of a larger one."""
    whole = FixedArray.from_ints(np.ones([n or 1 for n in shape], np.int64), format)
    return whole[tuple(slice(n) for n in shape)] if 0 in shape else whole


def values(x: FixedArray) -> np.ndarray:
    flat = [oracle.value(int(n), x.format) for n in x.ints.reshape(-1)]
    return np.array([*flat, None], object)[:-1].reshape(x.shape)


def check(result: FixedArray, exact: Any) -> None:
    exact = np.asarray(exact, object)
    assert result.shape == exact.shape
    assert values(result).tolist() == exact.tolist()
    assert result.size == 0 or max(abs(int(n)) for n in result.ints.reshape(-1)) <= result._bounded.bound


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_one_operand(format: QFormat) -> None:
    x = ends(format)
    exact = values(x)
    check(x.relu(), np.maximum(exact, Fraction(0)))
    check(-x, -exact)
    check(+x, exact)
    check(abs(x), abs(exact))
    check(x.scaled(3), exact * 8)
    check(x.max(), exact.max())
    check(x.min(), exact.min())
    for axis in (0, 1, -1, -2):
        check(x.max(axis), exact.max(axis))
        check(x.min(axis), exact.min(axis))
        check(x.sum(axis), exact.sum(axis))
        check(x.argmax(axis), np.argmax(x.ints, axis))
    check(x.sum(axis=(0, 1)), exact.sum())
    check(x.sum(axis=1, keepdims=True), exact.sum(axis=1, keepdims=True))
    check(x.max(axis=0, keepdims=True), exact.max(axis=0, keepdims=True))
    check(x.min(axis=-1, keepdims=True), exact.min(axis=-1, keepdims=True))
    for n in x.ints.reshape(-1):
        one = FixedArray.from_ints(n, format)
        assert bool(one) is bool(n != 0)
        assert float(one) == float(oracle.value(int(n), format))
        if oracle.value(int(n), format).denominator == 1:
            assert int(one) == oracle.value(int(n), format)
        else:
            with pytest.raises(ValueError, match=r"is not a whole number; cast it first"):
                int(one)


PAIRS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "<": lambda x, y: x < y,
    "<=": lambda x, y: x <= y,
    ">": lambda x, y: x > y,
    ">=": lambda x, y: x >= y,
    "==": lambda x, y: x == y,
    "!=": lambda x, y: x != y,
}


@pytest.mark.parametrize("name", PAIRS)
def test_two_operands(name: str) -> None:
    for a in FORMATS:
        for b in FORMATS:
            frac = max(a.frac_bits, b.frac_bits)
            if max(a.int_bits, b.int_bits) + frac > 61 and name in "+-":
                continue
            x, y = ends(a), ends(b)[::-1]
            result, exact = PAIRS[name](x, y), PAIRS[name](values(x), values(y))
            if isinstance(result, FixedArray):
                check(result, exact)
            else:
                assert result.tolist() == exact.tolist()
            near = FixedArray.from_ints(x.ints + (x.ints == 0), a)
            again = PAIRS[name](x, near)
            exact = PAIRS[name](values(x), values(near))
            assert name in "+-" or again.tolist() == exact.tolist()


def test_larger_smaller_and_products() -> None:
    for a in FORMATS:
        for b in FORMATS:
            x, y = ends(a), ends(b)[::-1]
            if max(a.int_bits, b.int_bits) + max(a.frac_bits, b.frac_bits) <= 61:
                check(x.maximum(y), np.maximum(values(x), values(y)))
                check(x.minimum(y), np.minimum(values(x), values(y)))
            if a.bits + b.bits <= 63:
                check(x * y, values(x) * values(y))
            if a.bits + b.bits <= 60:
                check(x @ y.reshape(3, 2), values(x) @ values(y).reshape(3, 2))
                check(x.matmul(y.reshape(3, 2)), values(x) @ values(y).reshape(3, 2))
                check(
                    x.dot(y.reshape(3, 2), initial=x[:, :2]),
                    values(x[:, :2]) + values(x) @ values(y).reshape(3, 2),
                )


def test_whole_numbers_are_operands() -> None:
    x = ends(Q(8, 4))
    exact = values(x)
    for n in (0, 1, -1, 7, -8, 1 << 30, np.int8(-128), np.uint8(255)):
        check(x + n, exact + int(n))
        check(n + x, exact + int(n))
        check(x - n, exact - int(n))
        check(n - x, int(n) - exact)
        check(x * n, exact * int(n))
        check(x.maximum(n), np.maximum(exact, Fraction(int(n))))
        check(x.minimum(n), np.minimum(exact, Fraction(int(n))))
    for ints, format in (
        (np.array([1, 5]), UQ(3, 0)),
        (np.array([0, 0]), UQ(1, 0)),
        (np.array([-1, -1]), Q(1, 0)),
        (np.array([-4, 4]), Q(4, 0)),
        (np.array([-5, -4]), Q(4, 0)),
        (np.array([3, 4], np.uint8), UQ(3, 0)),
    ):
        made = exact_integers(ints)
        assert made is not None
        assert made[1] == format
        assert made[0].ints().tolist() == ints.tolist()
    assert exact_integers("one") is None


def test_sums_that_need_a_wider_container_are_exact() -> None:
    for bits in (8, 24, 25, 30, 52, 53, 54, 60):
        for terms in (1, 2, 3, 4, 7):
            x = FixedArray.from_ints(np.full((2, terms), (1 << bits - 1) - 1), Q(bits, 0))
            check(x.sum(axis=1), [Fraction((1 << bits - 1) - 1) * terms] * 2)
            x = FixedArray.from_ints(np.full((terms, 2), -(1 << bits - 1)), Q(bits, 0))
            check(x.sum(axis=0), [Fraction(-(1 << bits - 1)) * terms] * 2)


def test_containers_grow_only_where_results_need_it() -> None:
    small = BoundedInts.of(np.array([1, 2]))
    assert wider(small, 1 << 24).dtype == np.float32
    assert wider(small, (1 << 24) + 1).dtype == np.float64
    assert wider(small, (1 << 53) + 1).dtype == np.float64 or wider(small, (1 << 53) + 1).dtype == np.int64
    wide = BoundedInts.of(np.array([1 << 60]))
    assert wider(wide, 1).dtype == np.int64
    arrays, bound, format = aligned([(small, Q(4, 0)), (small, Q(2, 3))])
    assert (bound, format) == (16, Q(4, 3))
    assert [array.tolist() for array in arrays] == [[8, 16], [1, 2]]


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0,), (2, 0, 3)])
def test_nothing_is_neither_summed_nor_chosen_from(shape: tuple[int, ...]) -> None:
    x = ones(shape, Q(4, 4))
    message = rf"^an array of shape \({', '.join(map(str, shape))},?\) has nothing to choose from or to add$"
    for verb in (x.sum, x.max, x.min):
        for axis in (None, *range(-len(shape), len(shape))):
            with pytest.raises(ValueError, match=message):
                verb(axis)
    assert x.relu().shape == (-x).shape == (x + x).shape == (x * x).shape == x.cast(Quantizer(Q(2, 2))).shape


@pytest.mark.parametrize("axis", [2, -3])
def test_an_axis_that_is_not_there_is_refused(axis: int) -> None:
    x = ends(Q(8, 0))
    for verb in (x.sum, x.max, x.min, x.argmax):
        with pytest.raises(
            np.exceptions.AxisError, match=rf"^axis {axis} is out of bounds for array of dimension 2$"
        ):
            verb(axis)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ((0, 3), (3, 2), "shapes (0, 3) and (3, 2) have no product: there is nothing to add"),
        ((2, 3), (3, 0), "shapes (2, 3) and (3, 0) have no product: there is nothing to add"),
        ((2, 0), (0, 2), "shapes (2, 0) and (0, 2) have no product: there is nothing to add"),
        (
            (2, 3),
            (2, 3),
            "shapes (2, 3) and (2, 3) have no product: rows of (3,) values meet columns of (2,)",
        ),
        ((), (2, 3), "shapes () and (2, 3) have no product: both need an axis"),
        ((2, 3), (), "shapes (2, 3) and () have no product: both need an axis"),
        (
            (3,),
            (1, 1, 3, 2),
            "shapes (3,) and (1, 1, 3, 2) have no product: weights have at most 3 axes, (groups, taps, outputs)",
        ),
        (
            (3,),
            (2, 3, 1),
            "shapes (3,) and (2, 3, 1) have no product: rows of (3,) values meet columns of (2, 3)",
        ),
    ],
)
@pytest.mark.parametrize("modelled", [False, True])
def test_operands_that_have_no_product(a, b, message, modelled) -> None:  # type: ignore[no-untyped-def]
    x, w = (ones(shape, Q(4, 0)) for shape in (a, b))
    with pytest.raises((ValueError, IndexError)) as caught:
        x.dot(w, Accumulator(Q(20, 0)) if modelled else None)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("a", "b"), [((2, 3), (2, 3)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 0), (0, 2)), ((1, 2, 3), (1, 2, 3))]
)
def test_batches_that_are_no_matrices(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    x, w = (ones(shape, Q(4, 0)) for shape in (a, b))
    with pytest.raises(ValueError) as caught:
        x.matmul(w)
    assert str(caught.value) == f"shapes {a} and {b} are no matrices that can be multiplied"


def test_batches_of_matrices_are_multiplied() -> None:
    rng = np.random.default_rng(6)
    for a, b in (((2, 3, 4), (2, 4, 5)), ((1, 3, 4), (2, 4, 1)), ((5, 1, 1), (1, 2)), ((3, 3), (3, 3))):
        x, w = (FixedArray.from_ints(rng.integers(-8, 8, shape), Q(4, 0)) for shape in (a, b))
        check(x.matmul(w), np.matmul(values(x), values(w)))
