# SPDX-License-Identifier: MIT
"""The mutator of the Python core: which mutants it makes, that tests judge them, and that its lists are in order."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.proof.mutation_python.__main__ import wilson
from tests.proof.mutation_python.mutants import mutants
from tests.proof.mutation_python.patch import LiveFunctions
from tests.proof.mutation_python.quick import Verdict
from tests.proof.mutation_python.reach import Reach
from tests.proof.mutation_python.results import Results, source_of
from tests.proof.mutation_python.rooms import JUDGES, ROOMS, ROOT, modules
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


@pytest.mark.slow
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


def test_what_costs_time_alone_is_left_alone() -> None:
    source = """
@lru_cache(maxsize=64)
def flat(x: Array) -> Array:
    return x.reshape(2, -1).astype(int, copy=False)
"""
    names = [mutant.name.removeprefix("m:flat:") for mutant in mutants("m", source)]
    assert sorted(names) == [
        "-1 -> 1",
        "2 -> 3 in x.reshape(2, -1)",
        "return x.reshape(2, -1).astype(int, copy=False) -> None",
    ]


LIVE = """
from functools import lru_cache
LIMIT = 3
@lru_cache
def least(x, low=0):
    return max(x, low)
def outer(x):
    def inner(y):
        return y * 2
    return inner(x) + 1
class Box:
    @property
    def height(self):
        return 5
    def __init__(self):
        self.of = lambda x: x - 1
"""


@pytest.mark.parametrize(
    ("match", "call", "before", "after"),
    [
        ("least:return max(x, low) -> None", lambda m: m.least(4), 4, None),
        ("outer.inner:y * 2 -> y + 2", lambda m: m.outer(5), 11, 8),
        ("outer:inner(x) + 1 -> inner(x) - 1", lambda m: m.outer(5), 11, 9),
        ("Box.height:return 5 -> None", lambda m: m.Box().height, 5, None),
        ("Box.__init__:x - 1 -> x + 1", lambda m: m.Box().of(1), 0, 2),
        ("module:3 -> 4 in LIMIT = 3", lambda m: m.LIMIT, 3, None),
        ("least:0 -> 1 in x, low=0", lambda m: m.least(-1), 0, None),
    ],
)
def test_a_mutant_takes_the_place_of_functions_that_are_imported(
    match, call, before, after, tmp_path
) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "live.py"
    path.write_text(LIVE)
    spec = importlib.util.spec_from_file_location("live", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert call(module) == before
    (mutant,) = [mutant for mutant in mutants("m", LIVE) if mutant.name == f"m:{match}"]
    original = compile(LIVE, str(path), "exec", dont_inherit=True)
    patched = LiveFunctions([str(path)]).patch(original, mutant.code(str(path)))
    at_import_alone = match.startswith("module") or "low=0" in match
    assert patched is not at_import_alone
    assert call(module) == (before if at_import_alone else after)


def test_tests_are_asked_that_reach_the_line_those_of_the_module_first() -> None:
    names = [
        "tests/layers/test_x.py::test_far",
        "tests/numerics/test_y.py::test_near[1]",
        "tests/numerics/test_y.py::test_near[2]",
        "tests/numerics/test_y.py::test_other",
        "tests/numerics/test_rounding.py::test_own",
        "tests/numerics/test_rounding.py::test_elsewhere",
    ]
    reach = Reach(
        names, [0.01, 0.02, 0.03, 0.04, 0.05, 0.01], {"numerics/rounding.py": {7: 0b011111, 8: 0b100000}}
    )
    asked = [names[test].split("::")[1] for test in reach.tests_of("numerics/rounding.py", range(6, 8), 9.0)]
    assert asked == ["test_own", "test_near[1]", "test_other", "test_near[2]", "test_far"]
    assert len(reach.tests_of("numerics/rounding.py", None, 9.0)) == 6
    assert reach.tests_of("numerics/rounding.py", range(9, 12), 9.0) == []
    few = reach.tests_of("numerics/rounding.py", range(6, 8), 0.08)
    assert [names[test].split("::")[1] for test in few] == ["test_own", "test_near[1]", "test_far"]
    first = reach.tests_of("numerics/rounding.py", range(6, 8), 0.05, [2, 5])
    assert [names[test].split("::")[1] for test in first] == ["test_near[2]", "test_near[1]"], (
        "5 does not reach it"
    )


def test_a_verdict_holds_while_its_module_and_its_test_are_what_they_were(tmp_path: Path) -> None:
    module, test = ROOT / "fixedpoint_nn/numerics/rounding.py", "tests/numerics/test_rounding.py::test_any"
    path = tmp_path / "results"
    results = Results(path, JUDGES, anew=False)
    results.add("one", module, Verdict.KILLED, test, 1.0)
    results.add("two", module, Verdict.SURVIVED, "", 1.0)
    results = Results(path, JUDGES, anew=False)
    assert results.known("one", module, 20.0) is Verdict.KILLED
    assert results.known("two", module, 0.5) is Verdict.SURVIVED
    assert results.known("two", module, 20.0) is None, "more tests are asked in 20 s than in one"
    assert results.known("one", module.with_name("overflow.py"), 1.0) is None
    assert results.known("three", module, 1.0) is None
    assert Results(path, JUDGES, anew=True).known("one", module, 1.0) is None


def test_a_verdict_holds_though_other_tests_of_the_file_change(tmp_path: Path) -> None:
    path = tmp_path / "test_it.py"
    first = "A = 1\ndef helper(): return A\ndef test_one(): assert helper()\n"
    path.write_text(first + "def test_two(): pass\n")
    one, two = source_of(f"{path}::test_one[3]"), source_of(f"{path}::test_two")
    path.write_text(first + "def test_two(): assert 2\ndef test_three(): pass\n")
    assert source_of(f"{path}::test_one[3]") == one
    assert source_of(f"{path}::test_two") != two
    path.write_text(first.replace("A = 1", "A = 2"))
    assert source_of(f"{path}::test_one[3]") != one
    assert source_of(f"{tmp_path / 'gone.py'}::test_one") == ""


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


def test_the_interval_of_a_sample_is_wilsons() -> None:
    assert [round(end, 4) for end in wilson(97, 100)] == [0.9155, 0.9897]
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(10, 10)[1] == pytest.approx(1.0)


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
    assert done.stdout.splitlines()[-1].startswith("all: 2 of 2 killed (100.0%"), done.stdout
