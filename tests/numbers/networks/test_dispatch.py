# SPDX-License-Identifier: MIT
"""Which samples a plan takes, by which kernels, what is counted meanwhile, and what its result says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Overflow, Q, Quantizer, Rounding
from fixedpoint_nn.layers import Dense, ReLU, Sequential
from fixedpoint_nn.numbers.networks.dispatch import (
    _by_threads,
    _enters,
    _known,
    planned_result,
)
from fixedpoint_nn.numbers.threads import VARIABLE
from fixedpoint_nn.numerics.bounded_ints import BoundedInts
from fixedpoint_nn.numerics.native import library
from fixedpoint_nn.numerics.overflow_stats import OverflowStats, OverflowTotals
from fixedpoint_nn.numerics.qformat import UQ, QFormat

INPUT = Quantizer(Q(2, 6))
KERNELS = ["numpy", *(["c"] if library.available() else [])]


def network(out: Quantizer | None = None, *weights: int) -> Any:
    """Two outputs of four inputs."""
    matrix = np.reshape(weights or [9, -7, 5, 3, -8, 2, 1, 6], (4, 2))
    return Sequential(fc=Dense(FixedArray.from_ints(matrix, Q(12, 2)), None, out))


def samples(count: int = 3, format: QFormat = INPUT.format) -> FixedArray:
    values = np.random.default_rng(count).integers(format.int_min, format.int_max + 1, (count, 4))
    return FixedArray.from_ints(values, format)


def refused(x: Any) -> FixedArray:
    raise AssertionError("these samples need no rounding")


def result(net: Any, x: Any, input: Quantizer = INPUT) -> FixedArray | None:
    return planned_result(net, input, x, refused)


@pytest.fixture(params=KERNELS)
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(library.VARIABLE, request.param)
    return str(request.param)


@pytest.mark.parametrize(
    ("out", "bound", "signed"),
    [
        (None, 128 * 23, True),
        (Quantizer(Q(4, 4), Rounding.FLOOR), 128, True),
        (Quantizer(UQ(4, 4), Rounding.FLOOR), 184, False),
        (Quantizer(Q(6, 4), Rounding.FLOOR), 184, True),
    ],
)
def test_a_result_knows_its_bound_and_its_sign(
    kernels: str, out: Quantizer | None, bound: int, signed: bool
) -> None:
    net, x = network(out), samples()
    y, expected = result(net, x), net(x)
    assert y is not None
    assert y.format == expected.format and np.array_equal(y.ints, expected.ints)
    assert type(y._bounded) is BoundedInts
    assert (y._bounded.bound, y._bounded.signed) == (bound, signed)


def test_the_bound_of_a_result_is_that_of_its_larger_end(kernels: str) -> None:
    for weight, out, bound in ((1, Quantizer(Q(9, 6)), 32), (-1, Quantizer(Q(9, 6)), 32)):
        net = network(out, weight, 0, 0, 0, 0, 0, 0, 0)
        y = result(net, samples())
        assert y is not None and y._bounded.bound == bound
    low = network(Quantizer(Q(1, 0), Rounding.FLOOR), 1, 0, 0, 0, 0, 0, 0, 0)
    y = result(low, samples())
    assert y is not None and (y._bounded.bound, y._bounded.signed) == (1, True)


def test_statistics_are_for_the_verbs_and_totals_for_the_kernels(kernels: str) -> None:
    saturating = network(Quantizer(Q(2, 2), Rounding.FLOOR, name="out"))
    zeroing = network(Quantizer(Q(2, 2), Rounding.FLOOR, Overflow.ZERO, name="out"))
    for net, counted in ((saturating, True), (zeroing, False), (network(), True)):
        x = samples(50)
        assert result(net, x) is not None
        with OverflowStats() as stats:
            assert result(net, x) is None
        assert not list(stats)
        with OverflowTotals() as totals:
            y = result(net, x)
        assert (y is not None) is (kernels == "c" and counted)
        if y is not None and net is saturating:
            with OverflowStats(count_rounded=False) as stats:
                expected = net(x)
            assert np.array_equal(y.ints, expected.ints)
            assert (totals["out"].values, totals["out"].saturated) == (100, stats["out"].saturated)


def test_sums_that_no_form_holds_are_left_to_the_verbs(kernels: str) -> None:
    """float32 holds no sum of 32 bits, and the kernels no weight of 17."""
    wide = network(Quantizer(Q(8, 0)), *[8000] * 8)
    x = samples(3, Q(2, 14))
    assert (result(wide, x, Quantizer(Q(2, 14))) is not None) is (kernels == "c")
    weight = FixedArray.from_ints(np.full((4, 2), 1 << 15), Q(18, 0))
    heavy = Sequential(fc=Dense(weight, None, Quantizer(Q(8, 0))))
    assert (result(heavy, samples()) is not None) is (kernels == "numpy")


@pytest.mark.parametrize(
    ("dtype", "format", "overflow", "enters"),
    [
        ("f4", Q(3, 5), Overflow.SATURATE, True),
        ("f4", Q(3, 5), Overflow.SATURATE_SYMMETRIC, True),
        ("f4", Q(3, 5), Overflow.WRAP, False),
        ("f4", Q(3, 5), Overflow.ZERO, False),
        ("f8", Q(3, 5), Overflow.SATURATE, False),
        ("i8", Q(3, 5), Overflow.SATURATE, False),
        ("f4", Q(8, 0), Overflow.SATURATE, True),
        ("f4", Q(9, -1), Overflow.SATURATE, False),
        ("f4", Q(-92, 100), Overflow.SATURATE, True),
        ("f4", Q(-93, 101), Overflow.SATURATE, False),
    ],
)
def test_the_kernels_round_floats_of_single_precision(
    dtype: str, format: QFormat, overflow: Overflow, enters: bool
) -> None:
    assert _enters(np.zeros((1, 4), dtype), Quantizer(format, overflow=overflow)) is enters


def test_floats_are_rounded_by_the_kernels_or_beforehand(kernels: str) -> None:
    net, asked = network(Quantizer(Q(4, 4))), []

    def rounded(x: Any) -> FixedArray:
        asked.append(x)
        return FixedArray.from_float(x, INPUT)

    for dtype in ("f4", "f8"):
        x = np.random.default_rng(0).normal(0, 1, (7, 4)).astype(dtype)
        y = planned_result(net, INPUT, x, rounded)
        assert y is not None and np.array_equal(y.ints, net(FixedArray.from_float(x, INPUT)).ints)
        assert len(asked) == (kernels == "numpy" or dtype == "f8")
        asked.clear()
    x = np.full((2, 4), np.nan, np.float32)
    with pytest.raises(ValueError, match="nan cannot be quantised"):
        planned_result(net, INPUT, x, rounded)
    assert len(asked) == 1


def test_every_shape_and_every_input_has_its_own_plan(kernels: str) -> None:
    net = Sequential(relu=ReLU(Quantizer(UQ(2, 3))))
    other = Quantizer(Q(2, 6), Rounding.FLOOR)
    for shape, input in (((4,), INPUT), ((5,), INPUT), ((2, 3, 4), INPUT), ((4,), other), ((4,), INPUT)):
        x = FixedArray.from_ints(np.arange(-5, int(np.prod(shape)) - 5).reshape(1, *shape), input.format)
        y = result(net, x, input)
        assert y is not None and np.array_equal(y.ints, net(x).ints)
    plans = _known.of(net)
    assert plans is not None
    assert list(plans) == [((4,), INPUT), ((5,), INPUT), ((2, 3, 4), INPUT), ((4,), other)]


@dataclass(frozen=True)
class Wrong:
    """A network that cannot be traced."""

    error: type[Exception]

    def __call__(self, x: Any) -> Any:
        raise self.error("it is wrong")


def test_a_network_that_cannot_be_traced_has_no_plan(kernels: str) -> None:
    for error in (TypeError, ValueError):
        assert result(Wrong(error), samples()) is None
    with pytest.raises(KeyError):
        result(Wrong(KeyError), samples())
    assert result(Sequential(), FixedArray.from_ints(np.zeros((1, 2, 2, 2, 2), np.int64), Q(2, 6))) is None


# ---- threads ---------------------------------------------------------------------------------------------------------


class Counting:
    """A network that doubles, in blocks of ten samples, and remembers how many it was given."""

    block = 10

    def __init__(self, fails: bool = False) -> None:
        self.given: list[tuple[int, bool, Any]] = []
        self.fails = fails

    def run(self, x: np.ndarray, floats: bool, totals: Any = None) -> np.ndarray | None:
        self.given.append((len(x), floats, totals))
        return None if self.fails and x[0] == 0 else 2 * x


@pytest.mark.parametrize(
    ("count", "batch", "parts"),
    [
        ("1", 95, [95]), ("2", 95, [10] * 9 + [5]), ("2", 161, [20] * 8 + [1]), ("3", 20, [10, 10]), ("9", 10, [10]),
    ],
)  # fmt: skip
def test_a_batch_is_shared_by_threads_in_whole_blocks(
    count: str, batch: int, parts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, count)
    for floats in (True, False):
        net: Any = Counting()
        y = _by_threads(net, np.arange(batch), floats, None)
        assert y is not None and np.array_equal(y, 2 * np.arange(batch))
        assert sorted(net.given, reverse=True) == [(part, floats, None) for part in parts]
        totals: Any = object()
        assert _by_threads(net, np.arange(batch), floats, totals) is not None
        assert net.given[-1] == (batch, floats, totals)
        failing: Any = Counting(fails=True)
        assert _by_threads(failing, np.arange(batch), floats, None) is None
