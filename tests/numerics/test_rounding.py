# SPDX-License-Identifier: MIT
"""One predicate table for all roundings: NumPy has three lines of it, docs/numerics.md shows all of it."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn.numerics.rounding import INCREMENT_IF, Remainder, Rounding, round_floats, shift_right
from tests.support import oracle

EIGHTHS = np.arange(-40, 41) / 8
PAGE = Path(__file__).resolve().parents[2] / "docs" / "numerics.md"


def by_predicate(x: np.ndarray, rounding: Rounding) -> np.ndarray:
    floor = np.floor(x)
    rest = x - floor
    return floor + INCREMENT_IF[rounding](Remainder(rest > 0, rest > 0.5, rest == 0.5, x < 0, floor % 2 == 1))


@pytest.mark.parametrize("rounding", Rounding)
def test_every_rounding_is_the_floor_plus_its_predicate(rounding: Rounding) -> None:
    expected = [oracle.rounded(Fraction(float(v)), rounding) for v in EIGHTHS]
    assert by_predicate(EIGHTHS, rounding).tolist() == expected
    assert round_floats(EIGHTHS, rounding).tolist() == expected
    assert shift_right((EIGHTHS * 8).astype(np.int64), 3, rounding).tolist() == expected


def test_there_is_a_predicate_for_every_rounding() -> None:
    assert set(INCREMENT_IF) == set(Rounding)


@pytest.mark.parametrize("rounding", Rounding)
def test_the_page_shows_what_happens(rounding: Rounding) -> None:
    row = re.search(rf"^\| `{rounding.name}` \|(.*)\|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert row
    cells = [cell.strip() for cell in row[1].split("|")]
    assert cells[0] == f"`{rounding.value}`"
    x = np.array([-1.5, -0.5, 0.5, 1.5, -0.25, 0.75])
    assert [int(cell) for cell in cells[2:]] == round_floats(x, rounding).tolist()


@pytest.mark.parametrize("rounding", Rounding)
def test_infinities_stay_and_the_result_can_be_written_in_place(rounding: Rounding) -> None:
    x = np.array([np.inf, -np.inf, 2.75])
    assert round_floats(x, rounding, x) is x
    assert x[:2].tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("shift", [61, 62, 63, 64, 65, 200])
def test_shifts_beyond_the_width_round_too(rounding: Rounding, shift: int) -> None:
    ints = [-(2**63), -(2**63) + 1, -(2**62), -1, 0, 1, 2**62, 2**63 - 1]
    expected = [oracle.rounded(Fraction(n, 2**shift), rounding) for n in ints]
    assert shift_right(np.array(ints, np.int64), shift, rounding).tolist() == expected
    if shift < 100:
        assert shift_right(np.array(ints, object), shift, rounding).tolist() == expected


def test_repr_makes_the_rounding_again() -> None:
    assert all(eval(repr(rounding)) is rounding for rounding in Rounding)


@pytest.mark.parametrize("rounding", Rounding)
def test_infinities_and_whole_numbers_stay(rounding: Rounding) -> None:
    x = np.array([np.inf, -np.inf, 2.0**53, -(2.0**1000), 3.0, -4.0, 0.0])
    assert round_floats(x, rounding).tolist() == x.tolist()
