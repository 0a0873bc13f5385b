# SPDX-License-Identifier: MIT
"""Tables by a formula of NumPy's tanh: every entry of every table that has one, with room for another tanh."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fixedpoint_nn import Overflow, Q, Quantizer, Table
from fixedpoint_nn.numerics.qformat import UQ, QFormat
from fixedpoint_nn.numerics.tanh_formula import SLACK, TanhFormula, tanh_formula


def codes_of(format: QFormat) -> np.ndarray:
    return np.arange(format.int_min, format.int_max + 1)


def by_hand(formula: TanhFormula, codes: np.ndarray, wrong: float = 0.0) -> np.ndarray:
    """The formula in float64, with every value off by `wrong` of the largest."""
    outer, added = float(formula.outer), float(formula.added)
    values = np.tanh(codes * float(formula.inner)) * outer + added
    rounded = np.rint(values + wrong * (outer + abs(added)))
    return np.clip(rounded, float(formula.low), float(formula.high))


def tables() -> list[Table]:
    return [
        Table(function, source, Quantizer(output, overflow=overflow))
        for source in (Q(4, 6), Q(3, 4), Q(2, 1), UQ(3, 5), Q(5, 7), Q(-1, 6))
        for function, output, overflow in (
            ("tanh", Q(1, 7), Overflow.SATURATE),
            ("tanh", Q(1, 4), Overflow.SATURATE_SYMMETRIC),
            ("tanh", Q(3, 5), Overflow.WRAP),
            ("sigmoid", UQ(0, 8), Overflow.SATURATE),
            ("sigmoid", Q(1, 3), Overflow.SATURATE),
            ("sigmoid", UQ(2, 6), Overflow.WRAP),
        )
    ]


WITH_FORMULA = [table for table in tables() if tanh_formula(table) is not None]


def test_most_tables_have_a_formula() -> None:
    assert len(WITH_FORMULA) > 0.7 * len(tables())


@pytest.mark.parametrize("table", WITH_FORMULA, ids=str)
def test_a_formula_gives_every_entry_though_each_value_be_a_little_off(table: Table) -> None:
    formula, codes = tanh_formula(table), codes_of(table.input_format)
    assert formula is not None
    entries = table.lookup(codes)
    single = np.clip(np.rint(formula.values(codes.astype(np.float32))), formula.low, formula.high)
    assert single.dtype == np.float32 and np.array_equal(single, entries)
    for wrong in (-SLACK * 0.9, 0.0, SLACK * 0.9):
        assert np.array_equal(by_hand(formula, codes, wrong), entries)
    assert {constant.dtype for constant in vars(formula).values()} == {np.dtype(np.float32)}
    assert {constant.shape for constant in vars(formula).values()} == {()}


def test_a_formula_that_is_a_little_off_is_refused() -> None:
    table = Table("sigmoid", Q(4, 6), Quantizer(UQ(0, 8)))
    formula, codes = tanh_formula(table), codes_of(Q(4, 6)).astype(np.float32)
    assert formula is not None
    entries = table.lookup(codes_of(Q(4, 6)))
    assert formula.gives(entries, codes)
    values = formula.values(codes).astype(np.float64)
    ties = np.floor(values) + 0.5
    distances = np.where(ties < 255, ties - values, 1)  # above, values are saturated
    nearest = float(distances[np.argmin(np.abs(distances))])
    assert abs(nearest) > SLACK * 256
    for share, kept in ((0.0, True), (1.0, False)):
        moved = replace(formula, added=np.array(formula.added + share * nearest, np.float32))
        assert moved.gives(entries, codes) is kept
    assert not formula.gives(entries + (codes == 7), codes)


@pytest.mark.parametrize(
    ("function", "source", "output"),
    [
        ("exp", Q(2, 4), UQ(8, 4)),
        ("gelu", Q(3, 4), Q(3, 4)),
        ("tanh", Q(4, 9), Q(1, 7)),
        ("tanh", Q(4, 8), Q(1, 20)),
    ],
)
def test_other_functions_and_tables_of_many_codes_or_long_entries_have_none(
    function: str, source: QFormat, output: QFormat
) -> None:
    assert tanh_formula(Table(function, source, Quantizer(output))) is None


def test_twelve_bits_of_address_are_few_enough() -> None:
    assert tanh_formula(Table("tanh", Q(4, 8), Quantizer(Q(1, 4)))) is not None
    assert tanh_formula(Table("tanh", Q(4, 9), Quantizer(Q(1, 4)))) is None
    longer = tanh_formula(Table("tanh", Q(4, 8), Quantizer(Q(1, 4))))
    assert longer is not None
    finer = Table("tanh", Q(4, 9), Quantizer(Q(1, 4)))  # it would have the same one, at half the step
    codes = codes_of(finer.input_format)
    assert np.array_equal(by_hand(replace(longer, inner=longer.inner / 2), codes), finer.lookup(codes))


@pytest.mark.parametrize("table", WITH_FORMULA, ids=str)
def test_codes_beyond_the_ends_of_a_table_get_the_entries_of_its_ends(table: Table) -> None:
    formula, source = tanh_formula(table), table.input_format
    assert formula is not None
    beyond = np.concatenate([source.int_min - np.arange(1, 999), source.int_max + np.arange(1, 999)])
    ends = table.lookup(np.clip(beyond, source.int_min, source.int_max))
    for wrong in (-SLACK * 0.9, SLACK * 0.9):
        assert np.array_equal(by_hand(formula, beyond, wrong), ends)
