# SPDX-License-Identifier: MIT
"""Verdicts on disk: a run that was interrupted goes on, and only what has changed is judged again."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

from tests.proof.mutation_python.quick import Verdict
from tests.proof.mutation_python.rooms import PACKAGE, ROOT

RESULTS = ROOT / "build" / "mutation_python.jsonl"


class Results:
    """A line per mutant.

    A mutant that a test noticed is not judged again while its module and that test are the same; one that survived
    is not while the package and all tests that were asked are the same, and it was given as many seconds.
    """

    def __init__(self, path: Path, judges: Sequence[str], anew: bool) -> None:
        self._digests: dict[str, str] = {}
        self._everything = _digest(
            one.read_bytes() for folder in (PACKAGE, *judges) for one in sorted((ROOT / folder).rglob("*.py"))
        )
        self._known: dict[str, tuple[str, str, str, float]] = {}
        path.parent.mkdir(exist_ok=True)
        if not anew and path.exists():
            for line in path.read_text().splitlines():
                name, verdict, test, digest, budget = json.loads(line)
                self._known[name] = (verdict, test, digest, budget)
        self._file = path.open("w" if anew else "a")

    def known(self, name: str, module: Path, budget: float) -> Verdict | None:
        """The verdict of before, if it still holds."""
        verdict, test, digest, spent = self._known.get(name, ("", "", "", 0.0))
        holds = verdict and digest == self._state(module, test) and (test or spent >= budget)
        return Verdict(verdict) if holds else None

    def add(self, name: str, module: Path, verdict: Verdict, test: str, budget: float) -> None:
        """Write a verdict down."""
        line = json.dumps([name, verdict.value, test, self._state(module, test), budget])
        print(line, file=self._file, flush=True)

    def _state(self, module: Path, test: str) -> str:
        if not test:
            return self._everything
        key = f"{module} {test}"
        if key not in self._digests:
            self._digests[key] = _digest([module.read_bytes(), source_of(test).encode()])
        return self._digests[key]


def source_of(test: str) -> str:
    """A test's function, and all of its file but the other tests."""
    path, function = ROOT / test.split("::")[0], test.split("::")[-1].split("[")[0]
    return _source_of(path.read_text(), function) if path.exists() else ""


@cache
def _source_of(file: str, function: str) -> str:
    chosen = [one for one in _statements(file) if not _is_test(one) or getattr(one, "name", "") == function]
    return ast.unparse(ast.Module(chosen, []))


@cache
def _statements(file: str) -> list[ast.stmt]:
    return ast.parse(file).body


def _is_test(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name.startswith("test_")


def _digest(contents: Iterable[bytes]) -> str:
    return sha256(b"".join(sha256(one).digest() for one in contents)).hexdigest()[:16]
