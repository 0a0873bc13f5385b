# SPDX-License-Identifier: MIT
"""The kernels' conversion of floats equals NumPy's and exact fractions, at every level, in every mode."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import UQ, Overflow, Q, QFormat, Quantizer, Rounding
from fixedpoint_nn.numerics import conversion
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import CompactInts
from fixedpoint_nn.numerics.conversion import ConversionStats, quantize_floats
from fixedpoint_nn.numerics.native.library import VARIABLE, Kernels, available
from fixedpoint_nn.numerics.native.quantize import KINDS, MOST_FRACTION_BITS, quantized, self_test

LEVELS = available()
pytestmark = pytest.mark.skipif(not LEVELS, reason="the package was built without a C compiler")
INT64 = np.dtype(np.int64)


@pytest.fixture(params=LEVELS, ids=lambda kernels: kernels.name)
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return request.param  # type: ignore[no-any-return]


def odd_floats(count: int, dtype: Any) -> Array:
    """Ties, their neighbours, zeros, the smallest floats, and some that no format here holds."""
    ties = np.arange(-40, 41) / 32
    near = np.concatenate([ties, np.nextafter(ties, -9), np.nextafter(ties, 9)])
    rest = [0.0, -0.0, 5e-324, -5e-324, 1e-40, -1e-40, 1e9, -1e9, 31.96875, -32.0, 31.999, -32.01]
    chosen = np.random.default_rng(0).choice(np.concatenate([near, rest]), count)
    return chosen.astype(dtype)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("overflow", [Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC])
def test_it_is_the_exact_rounding_of_every_float(
    kernels: Kernels, rounding: Rounding, overflow: Overflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "numpy")
    for dtype, format in ((np.float64, Q(6, 4)), (np.float32, UQ(5, 4)), (np.float64, Q(1, 0))):
        x = odd_floats(1001, dtype)
        found = quantized(x, format, rounding, overflow, INT64, kernels)
        assert found is not None
        wanted = Quantizer(format, rounding, overflow).from_floats(x)
        assert np.array_equal(found[0], wanted) and found[0].dtype == INT64
        assert found[1] == format.magnitude


def test_half_up_is_the_floor_of_the_exact_fraction_plus_a_half(kernels: Kernels) -> None:
    x = odd_floats(700, np.float64)
    x = x[np.abs(x) < 31]
    found = quantized(x, Q(6, 4), Rounding.HALF_UP, Overflow.WRAP, INT64, kernels)
    assert found is not None
    wanted = [floor(Fraction(v) * 16 + Fraction(1, 2)) for v in x.tolist()]
    assert found[0].tolist() == wanted and found[1] == max(map(abs, wanted))


@pytest.mark.parametrize("dtype", KINDS, ids=str)
def test_integers_of_every_kind(kernels: Kernels, dtype: np.dtype[Any]) -> None:
    format = QFormat(7, 0, dtype.kind != "u")
    x = np.linspace(-90, 90, 777) if format.signed else np.linspace(0, 150, 777)
    found = quantized(x, format, Rounding.HALF_EVEN, Overflow.SATURATE, dtype, kernels)
    assert found is not None and found[0].dtype == dtype
    assert np.array_equal(found[0], np.clip(np.rint(x), format.min, format.max))
    assert not np.signbit(found[0][found[0] == 0]).any()


def test_what_the_kernels_cannot_do_is_for_numpy(kernels: Kernels) -> None:
    def tried(x: Array, format: QFormat = Q(4, 4), overflow: Overflow = Overflow.SATURATE) -> Any:
        return quantized(x, format, Rounding.FLOOR, overflow, INT64, kernels)

    x = np.linspace(-7, 7, 300)
    assert tried(x) is not None and tried(x.astype(np.float32)) is not None
    assert tried(x, Q(40, 0)) is not None and tried(x, Q(54, 0)) is not None
    assert tried(x, Q(-90, MOST_FRACTION_BITS)) is not None
    assert tried(x, overflow=Overflow.WRAP) is not None
    assert tried(x * 2, overflow=Overflow.WRAP) is None and tried(x * 2, overflow=Overflow.ZERO) is None
    assert tried(x, Q(9, -1)) is None and tried(x, Q(-90, MOST_FRACTION_BITS + 1)) is None
    assert tried(x, Q(55, 0)) is None
    assert tried(x.astype(np.float16)) is None and tried(x[::2]) is None
    for wrong in (np.nan, np.inf, -np.inf):
        assert tried(np.append(x, wrong)) is None
    assert quantized(x, Q(4, 4), Rounding.FLOOR, Overflow.SATURATE, np.dtype(np.int32), kernels) is None


def test_large_arrays_take_this_way_and_small_or_counted_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[np.dtype[Any]] = []

    def way(x: Array, format: QFormat, *modes: Any) -> tuple[Array, int]:
        asked.append(modes[-1])
        return np.full(x.shape, 3, modes[-1]), 5

    monkeypatch.setattr(conversion, "FASTER", [lambda *_: None, way])
    q, enough = Quantizer(Q(4, 4)), conversion._WORTH_WORDS
    x = np.zeros((2, enough // 2))
    assert (q.from_floats(x) == 3).all() and asked == [INT64]
    found = q.to_bounded(x)
    assert isinstance(found, CompactInts) and found.words.shape == x.shape and found.bound == 5
    assert asked == [INT64, np.dtype(np.int8)]
    assert not isinstance(Quantizer(Q(4, 14)).to_bounded(x), CompactInts)
    assert asked[2:] == [np.dtype(np.float32)]
    assert not q.from_floats(x[:, 1:]).any()
    stats = ConversionStats(False)
    quantize_floats(x, q.format, q.rounding, q.overflow, stats)
    assert len(asked) == 3 and stats.low == 0


def test_errors_are_those_of_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.zeros(conversion._WORTH_WORDS)
    x[77] = np.nan
    with pytest.raises(ValueError, match="77"):
        Quantizer(Q(4, 4)).from_floats(x)


def test_the_self_test_notices_what_is_wrong() -> None:
    class Wrong:
        def quantize(self, described: Any, x: Array, out: Array) -> None:
            LEVELS[-1].quantize(described, x, out)
            out[-1] += 1

    assert [self_test(level) for level in LEVELS] == [""] * len(LEVELS)
    assert self_test(Wrong()) == f"floats to integers, {next(iter(Rounding)).name}"  # type: ignore[arg-type]
