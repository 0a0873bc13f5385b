# SPDX-License-Identifier: MIT
"""The four overflows, in every container."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn.numerics.overflow import Overflow, fit, limits, wrap
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from tests.support import oracle

PAGE = Path(__file__).resolve().parents[2] / "docs" / "numerics.md"


FORMATS = [Q(4, 0), UQ(4, 0), Q(1, 0), UQ(1, 0), Q(24, 0), UQ(24, 0), Q(40, 0)]
EXACT = {np.float32: 24, np.float64: 53, np.int64: 63, object: 63}  # bits of limits that each one holds


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize(("dtype", "format"), [(d, f) for d in EXACT for f in FORMATS if f.bits <= EXACT[d]])
def test_every_container_gives_the_same(overflow: Overflow, dtype: type, format: QFormat) -> None:
    edges = [format.int_min, format.int_max, 0, 2 * format.int_max + 1, 3 * format.int_max]
    ints = sorted({e + d for e in edges for d in range(-3, 4)} | {-e for e in edges})
    ints = [n for n in ints if abs(n) <= 2**24 or dtype is not np.float32]
    expected = [oracle.fitted(n, format, overflow) for n in ints]
    assert [int(n) for n in fit(np.array(ints, dtype), format, overflow)] == expected


@pytest.mark.parametrize("format", [Q(63, 0), UQ(63, 0), Q(62, 0)])
@pytest.mark.parametrize("overflow", Overflow)
def test_the_widest_formats_fit_too(overflow: Overflow, format: QFormat) -> None:
    ints = [-(2**63), -(2**62) - 1, -(2**62), -1, 0, 2**61, 2**62 - 1, 2**62, 2**63 - 1]
    expected = [oracle.fitted(n, format, overflow) for n in ints]
    assert fit(np.array(ints, np.int64), format, overflow).tolist() == expected


def test_wrap_keeps_the_lowest_bits() -> None:
    ints = np.arange(-40, 40)
    assert np.array_equal(wrap(ints, UQ(3, 0)), ints % 8)
    assert np.array_equal(wrap(ints, Q(3, 0)), (ints + 4) % 8 - 4)


def test_symmetric_limits_leave_out_the_lowest_integer() -> None:
    assert limits(Q(4, 0), Overflow.SATURATE) == (-8, 7)
    assert limits(Q(4, 0), Overflow.SATURATE_SYMMETRIC) == (-7, 7)
    assert limits(UQ(4, 0), Overflow.SATURATE_SYMMETRIC) == (0, 15)


@pytest.mark.parametrize("overflow", Overflow)
def test_the_page_shows_what_happens(overflow: Overflow) -> None:
    row = re.search(rf"^\| `{overflow.name}` \|(.*)\|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert row
    cells = [cell.strip() for cell in row[1].split("|")]
    assert cells[0] == f"`{overflow.value}`"
    assert [int(cell) for cell in cells[2:]] == fit(np.array([8, -9]), Q(4, 0), overflow).tolist()


def test_repr_makes_the_overflow_again() -> None:
    assert all(eval(repr(overflow)) is overflow for overflow in Overflow)


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("dtype", EXACT)
def test_nothing_fits_everywhere(overflow: Overflow, dtype: type) -> None:
    assert fit(np.zeros((0, 3), dtype), Q(4, 0), overflow).shape == (0, 3)
