# SPDX-License-Identifier: MIT
"""docs/tflite.md lists the operators that the code converts, and the tests draw every one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixedpoint_nn.interchange.tflite.listing import REMARKS, table
from fixedpoint_nn.interchange.tflite.operators import OPERATORS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "tflite.md"


def test_the_table_of_operators_is_the_codes() -> None:
    assert table() in PAGE.read_text("utf-8")


def test_remarks_are_about_operators_that_exist() -> None:
    assert set(REMARKS) <= set(OPERATORS)


def test_every_operator_is_compared_with_the_interpreter() -> None:
    pytest.importorskip("ai_edge_litert", reason="the interpreter is in the `tflite` extra")
    from tests.support.tflite_operators import MAKERS

    # SVDF has a state (test_states.py), SPACE_TO_BATCH_ND becomes part of a convolution, and DEQUANTIZE is several
    # operators (test_float_islands.py).
    assert set(MAKERS) - {"SPACE_TO_BATCH_ND"} | {"SVDF", "DEQUANTIZE"} == set(OPERATORS)
