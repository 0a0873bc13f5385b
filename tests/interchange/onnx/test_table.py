# SPDX-License-Identifier: MIT
"""The page lists every operator that the code converts, with what it becomes and what of it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="ONNX is in the `onnx` extra")

from fixedpoint_nn.interchange.onnx.definitions import DEFINED
from fixedpoint_nn.interchange.onnx.integers.table import INTEGERS
from fixedpoint_nn.interchange.onnx.step import OPERATORS
from fixedpoint_nn.interchange.onnx.table import operator_table

PAGE = Path(__file__).resolve().parents[3] / "docs" / "interchange.md"


def without_counts(table: str) -> list[list[str]]:
    return [row.split("|")[1:4] for row in table.splitlines() if row.startswith("| ")]


def test_the_table_of_operators_is_the_codes() -> None:
    """The counts of node tests, which take longer, are compared in the slow suite."""
    table = operator_table({})
    page = PAGE.read_text("utf-8")[PAGE.read_text("utf-8").index(table.splitlines()[0]) :]
    rows = len({*OPERATORS, *INTEGERS, *DEFINED}) + 2  # the heading, and Constant
    assert without_counts(page)[:rows] == without_counts(table)
    assert len(without_counts(table)) == rows
