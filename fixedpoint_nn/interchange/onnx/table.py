# SPDX-License-Identifier: MIT
"""The table of operators in the documentation: the layers of each, and its limits."""

from __future__ import annotations

from collections.abc import Mapping

from fixedpoint_nn.interchange.onnx import operators  # noqa: F401 - fills the table
from fixedpoint_nn.interchange.onnx.definitions import DEFINED
from fixedpoint_nn.interchange.onnx.integers import operators as integers  # noqa: F401 - fills its table
from fixedpoint_nn.interchange.onnx.integers.table import INTEGERS
from fixedpoint_nn.interchange.onnx.step import OPERATORS


def operator_table(tests: Mapping[str, tuple[int, int]]) -> str:
    """The table as Markdown; `tests` has (passed, refused) of ONNX's node tests for each operator."""
    lines = ["| operator | becomes | refused | node tests: passed | refused |", "|---|---|---|---|---|"]
    rows = {name: (entry.becomes, entry.limits) for name, entry in OPERATORS.items()}
    rows |= {name: (entry.becomes, entry.limits) for name, entry in INTEGERS.items() if name not in rows}
    rows |= {name: ("the operators that define it", limits) for name, limits in DEFINED.items()}
    rows["Constant"] = (
        "a parameter; what is computed from constants alone is computed at once",
        "as an output",
    )
    for name in sorted(rows):
        passed, refused = tests.get(name, (0, 0))
        becomes, limits = rows[name]
        lines.append(f"| {name} | {becomes} | {limits or '–'} | {passed} | {refused} |")
    return "\n".join(lines)
