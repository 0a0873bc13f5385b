# SPDX-License-Identifier: MIT
"""Tables that are given by their values."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn import UQ, FixedArray, Q, QFormat, Quantizer
from fixedpoint_nn.numerics.table import Certificate, Table
from fixedpoint_nn.numerics.value_table import ValueTable

SQUARE = ValueTable.of("square", lambda code: code * code, Q(4, 0), UQ(7, 0))


def test_each_integer_finds_its_value() -> None:
    x = FixedArray.from_ints(np.arange(-8, 8), Q(4, 0))
    y = x.lookup("square", SQUARE)
    assert y.ints.tolist() == [code * code for code in range(-8, 8)]
    assert y.format == UQ(7, 0)
    assert SQUARE.on_floats(np.array([-3.0, 2.0])).tolist() == [9.0, 4.0]


def test_entries_stand_in_the_order_of_addresses() -> None:
    assert SQUARE.ints.tolist() == [0, 1, 4, 9, 16, 25, 36, 49, 64, 49, 36, 25, 16, 9, 4, 1]


def test_unsigned_codes_start_at_zero() -> None:
    table = ValueTable("half", UQ(2, 0), Quantizer(UQ(2, 1)), (0, 1, 2, 3))
    assert table.ints.tolist() == [0, 1, 2, 3]
    assert table.certificate().monotonic
    assert not SQUARE.certificate().monotonic


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError) as count:
        ValueTable("f", Q(2, 0), Quantizer(Q(4, 0)), (1, 2, 3))
    assert str(count.value) == "a table over Q(2, 0) has 4 values, not 3"
    with pytest.raises(ValueError) as outside:
        ValueTable("f", Q(2, 0), Quantizer(Q(4, 0)), (1, 2, 3, 8))
    assert str(outside.value) == "the table's value 8 is outside of its output, Q(4, 0)"
    with pytest.raises(ValueError) as large:
        ValueTable("f", Q(21, 0), Quantizer(Q(4, 0)), ())
    assert str(large.value) == (
        "a table over Q(21, 0) would have 2**21 entries; cast its input to 20 bits or fewer"
    )


@pytest.mark.parametrize("source", [Q(3, 1), UQ(3, 0), Q(1, 0)])
def test_a_table_of_a_function_holds_its_value_of_every_code(source: QFormat) -> None:
    table = ValueTable.of("twice", lambda code: 2 * code + 1, source, Q(8, 0), "label")
    codes = list(range(source.int_min, source.int_max + 1))
    assert table.values == tuple(2 * code + 1 for code in codes)
    assert [int(table.ints[code]) for code in codes] == [2 * code + 1 for code in codes]
    assert table.output.name == "label"


@pytest.mark.parametrize(
    ("values", "monotonic"),
    [
        ((3, 2, 2, 0), True), ((0, 1, 1, 7), True), ((1, 1, 1, 1), True), ((0, 1, 0, 1), False), ((3, 2, 3, 2), False),
        ((0, 1, 2, 1), False), ((7, 6, 5, 6), False),
    ],
)  # fmt: skip
def test_a_certificate_says_whether_the_values_rise_or_fall(values: tuple[int, ...], monotonic: bool) -> None:
    table = ValueTable("f", UQ(2, 0), Quantizer(UQ(3, 0)), values)
    assert table.certificate() == Certificate(0.0, monotonic, None)


def test_values_reach_to_both_ends_of_their_output_and_are_real_numbers_in_its_steps() -> None:
    table = ValueTable("f", Q(1, 1), Quantizer(Q(2, 2)), (-8, 7, 3, -1))
    assert table.on_floats(np.array([-1.0, -0.5, 0.0, 0.5])).tolist() == [-2.0, 1.75, 0.75, -0.25]
    with pytest.raises(ValueError, match="read-only"):
        table.ints[0] = 1
    for values in ((-9, 7, 3, -1), (-8, 8, 3, -1)):
        with pytest.raises(ValueError, match=r"is outside of its output, Q\(2, 2\)$"):
            ValueTable("f", Q(1, 1), Quantizer(Q(2, 2)), values)


def test_a_table_has_2_to_the_20_entries_at_most() -> None:
    with pytest.raises(ValueError, match=r"^a table over Q\(20, 0\) has 1048576 values, not 0$"):
        ValueTable("f", Q(20, 0), Quantizer(Q(4, 0)), ())
    assert Table("step", UQ(20, 0), Quantizer(Q(2, 0))).input_format == UQ(20, 0)


def test_a_slope_is_the_mean_of_the_steps_to_both_neighbours_and_at_an_end_of_the_one_there_is():
    table = ValueTable(
        "f", Q(2, 1), Quantizer(Q(6, 2)), (-3, 5, 5, 9, 1, 0, 0, 7)
    )  # inputs -2, -1.5, ..., 1.5
    inputs = np.arange(-4, 4) / 2
    steps = np.diff(np.array(table.values) / 4) / 0.5
    expected = [steps[0], *(steps[1:] + steps[:-1]) / 2, steps[-1]]
    assert np.array_equal(table.slopes_on_floats(inputs), expected)
    assert np.array_equal(
        table.slopes_on_floats(inputs.reshape(2, 4)[:, ::-1]), np.reshape(expected, (2, 4))[:, ::-1]
    )
