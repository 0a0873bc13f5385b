# SPDX-License-Identifier: MIT
"""Every node test that the package `onnx` ships for the operators that are read, by its own runner.

`python -m tests.interchange.onnx.node_tests` writes what came out into docs/interchange.md.
"""

from __future__ import annotations

import re
import unittest
import warnings
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from fixedpoint_nn.interchange.onnx.definitions import DEFINED
from fixedpoint_nn.interchange.onnx.integers import operators  # noqa: F401 - fills the table
from fixedpoint_nn.interchange.onnx.integers.table import INTEGERS
from fixedpoint_nn.interchange.onnx.step import OPERATORS
from fixedpoint_nn.interchange.onnx.table import operator_table

PAGE = Path(__file__).resolve().parents[3] / "docs" / "interchange.md"
BEGIN, END = (
    "<!-- onnx operators: written by tests/interchange/onnx/node_tests.py -->",
    "<!-- end of onnx operators -->",
)
# Their expected values were rounded to 16 bits after every operation, and some of them are a bit off for that; floats
# of 16 bits are read as 32 bits.
ROUNDED_BETWEEN = "test_swiglu_float16", "test_swiglu_float16_expanded"


@cache
def cases() -> dict[str, str]:
    """The names of the tests whose nodes are all among the operators, each with the operator that it tests."""
    from onnx.backend.test.loader import load_model_tests

    known = {*OPERATORS, *INTEGERS, *DEFINED, "Constant"}
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's own generators overflow on purpose
        loaded = load_model_tests(kind="node")
    for case in loaded:
        kinds = [node.op_type for node in case.model.graph.node]
        if kinds and set(kinds) <= known and case.name not in ROUNDED_BETWEEN:
            found[case.name] = kinds[-1]
    return found


@cache
def outcomes() -> dict[str, tuple[str, str]]:
    """By test: passed, refused or failed, and why."""
    import onnx.backend.test

    from tests.interchange.onnx.backend import OurBackend

    runner = onnx.backend.test.BackendTest(OurBackend, __name__)
    for name in cases():
        runner.include(f"^{re.escape(name)}_cpu$")
    suite = unittest.TestSuite(
        test
        for kind in runner.test_cases.values()
        for test in unittest.defaultTestLoader.loadTestsFromTestCase(kind)
        if _name(test) in cases()
    )
    result = unittest.TestResult()
    ran = {_name(test) for test in suite}
    suite.run(result)
    found = dict.fromkeys(ran, ("passed", ""))
    found |= {_name(test): ("refused", reason) for test, reason in result.skipped}
    found |= {_name(test): ("failed", text) for test, text in [*result.failures, *result.errors]}
    return found


def _name(test: Any) -> str:
    return str(test.id()).rpartition(".")[2].removesuffix("_cpu")


def section() -> str:
    """What the documentation says between the marks."""
    by_operator: dict[str, Counter[str]] = {}
    for name, (outcome, _) in outcomes().items():
        by_operator.setdefault(cases()[name], Counter())[outcome] += 1
    total = sum(by_operator.values(), Counter[str]())
    counts = {name: (found["passed"], found["refused"]) for name, found in by_operator.items()}
    return (
        f"{BEGIN}\n\n"
        f"Of the {total.total()} node tests that the package `onnx` ships for these operators, {total['passed']} pass, "
        f"{total['refused']} are refused with a reason, and {total['failed']} fail. Two more, "
        f"`{'` and `'.join(ROUNDED_BETWEEN)}`, are left out: their values are rounded to 16 bits after every "
        "operation, and here floats of 16 bits become 32 bits.\n\n"
        f"{operator_table(counts)}\n\n{END}"
    )


def with_section(page: str) -> str:
    """The page with its part between the marks written again."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + section() + after


if __name__ == "__main__":
    PAGE.write_text(with_section(PAGE.read_text("utf-8")), "utf-8")
