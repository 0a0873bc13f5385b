# SPDX-License-Identifier: MIT
"""A class name means one thing in the whole package; the exceptions are listed with their reasons."""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "fixedpoint_nn"
LAYER = "a public layer, and the operation by which a faster evaluator computes it"
FILED = "a layer whose name stands in saved files, and a class of the evaluators or the compiler"
PLANS = "a part of the loop plan and the same part of the network plan"
ALLOWED = {
    "Add": f"{LAYER}; also an instruction of the engine",
    "Maximum": LAYER,
    "Multiply": LAYER,
    "Step": "a public layer, and a C structure of numerics/native/network.h",
    "Tensor": "the public number, and a C structure of numerics/native/network.h",
    "Cut": FILED,
    "Lookup": FILED,
    "Scaling": FILED,
    "Loop": "an instruction of the engine, and what the compiler's intermediate form holds before it",
    "Method": "documented names: how `Recipe` chooses integer bits, and how `train_quantized` trains",
    "Node": "a public part of `Graph`; a value on a gradient tape; an operation of a trace",
    "NoPlan": PLANS,
    "Plan": f"the documented quantizers of a network; {PLANS}",
    "Planner": PLANS,
    "Dot": "a product in the compiler's expressions, and in the loop plan",
    "Operands": "of a kernel in the compiler, and of a compiled matrix product",
    "Products": "the products of an accumulator, and of the loop plan",
    "Rows": "the rows of a compiled loop, and of a deferred product",
}


def test_no_two_modules_define_public_classes_of_one_name() -> None:
    defined = _classes()
    several = {name: where for name, where in defined.items() if len(where) > 1 and name not in ALLOWED}
    assert several == {}, "name each class by what it is in its room"


def test_every_exception_is_still_one() -> None:
    defined = _classes()
    assert {name for name in ALLOWED if len(defined.get(name, [])) < 2} == set()


@cache
def _classes() -> dict[str, list[str]]:
    """The modules that define each public class at their top level."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(PACKAGE)))
    return found
