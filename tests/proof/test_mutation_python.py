# SPDX-License-Identifier: MIT
"""The mutator of the Python core: which mutants it makes, that tests judge them, and that its lists are in order."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter

import pytest

from tests.proof.mutation_python.mutants import mutants
from tests.proof.mutation_python.rooms import ROOMS, ROOT, judges_of, modules
from tests.proof.mutation_python.survivors import read_survivors, reason_of

SOURCE = """
def clip(x: int | None, low: int = 0) -> int:
    if x is None or x < low:
        return low
    return -x + 1 if x << 1 & 3 else low
"""


def test_each_operator_constant_condition_and_result_is_changed_once() -> None:
    names = [mutant.name.removeprefix("m:clip:") for mutant in mutants("m", SOURCE)]
    assert sorted(names) == sorted([
        "0 -> 1 in x: int | None, low: int=0",
        "if x is None or x < low -> if not (x is None or x < low)",
        "x is None or x < low -> x is None and x < low",
        "x is None -> x is not None",
        "x < low -> x <= low",
        "x < low -> x > low",
        "return low -> None",
        "return -x + 1 if x << 1 & 3 else low -> None",
        "if x << 1 & 3 -> if not (x << 1 & 3)",
        "-x + 1 -> -x - 1",
        "-x -> x",
        "1 -> 2 in -x + 1",
        "x << 1 & 3 -> x << 1 | 3",
        "3 -> 4 in x << 1 & 3",
        "x << 1 -> x >> 1",
        "1 -> 2 in x << 1",
    ])  # fmt: skip


def test_mutants_are_python_that_differs_from_the_source_and_have_names_of_their_own() -> None:
    for room in ROOMS:
        for path in modules(room):
            made = list(mutants(path.stem, path.read_text()))
            assert not [name for name, count in Counter(m.name for m in made).items() if count > 1]
            some = made[:: max(1, len(made) // 3)]
            for mutant in some:
                compile(mutant.source, path.name, "exec")
                assert mutant.source != ast.unparse(ast.parse(path.read_text()))


def test_types_messages_and_protocols_are_left_alone() -> None:
    source = """
from typing import TYPE_CHECKING, Protocol
if TYPE_CHECKING:
    LIMIT = 1
class Verb(Protocol):
    def sum(self, axis: int = 1) -> int | None: ...
def fail(x: int | str) -> None:
    raise ValueError(f"{x + 1} is {'not' if x else 'no'} number")
"""
    assert list(mutants("m", source)) == []


def test_every_module_with_mutants_has_tests() -> None:
    for room in ("numerics", "numbers"):
        for path in modules(room):
            if any(mutants(path.stem, path.read_text())):
                assert all((ROOT / test).exists() for test in judges_of(path))


def test_every_survivor_in_the_list_is_a_mutant_with_a_reason() -> None:
    names = [
        mutant.name
        for room in ROOMS
        for path in modules(room)
        for mutant in mutants(
            path.relative_to(ROOT / "fixedpoint_nn").with_suffix("").as_posix(), path.read_text()
        )
    ]
    known = read_survivors()
    assert known
    for pattern, reason in known.items():
        assert any(reason_of(name, {pattern: reason})[0] for name in names), pattern


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.proof.mutation_python", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=500,
    )  # fmt: skip


def test_a_room_that_is_not_mutated_is_one_sentence() -> None:
    done = run("layers")
    assert done.returncode == 1
    assert done.stderr == "'layers' is no room that is mutated; use numerics, numbers, compiler\n"


@pytest.mark.slow
def test_a_floor_that_is_none_is_killed() -> None:
    done = run("numerics", "--module", "rounding.py", "--match", "return floor")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("2 of 2 killed (100.0%)"), done.stdout
