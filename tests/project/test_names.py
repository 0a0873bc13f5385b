# SPDX-License-Identifier: MIT
"""A class name means one thing in the whole package."""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "fixedpoint_nn"


def test_no_two_modules_define_public_classes_of_one_name() -> None:
    defined = _classes()
    several = {name: where for name, where in defined.items() if len(where) > 1}
    assert several == {}, "name each class by what it is in its room"


@cache
def _classes() -> dict[str, list[str]]:
    """The modules that define each public class at their top level."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(PACKAGE)))
    return found
