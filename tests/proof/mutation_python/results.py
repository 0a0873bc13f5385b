# SPDX-License-Identifier: MIT
"""Verdicts on disk: a run that was interrupted goes on, and only what has changed is judged again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from tests.proof.mutation_python.quick import Verdict
from tests.proof.mutation_python.rooms import JUDGES, PACKAGE, ROOT

RESULTS = ROOT / "build" / "mutation_python.jsonl"


class Results:
    """A line per mutant.

    A mutant that a test noticed is not judged again while its module and that test's file are the same;
    one that survived is not while the package and all tests are the same.
    """

    def __init__(self, path: Path, anew: bool) -> None:
        self._digests: dict[Path, str] = {}
        self._everything = self._of(
            path for folder in (PACKAGE, *JUDGES) for path in sorted((ROOT / folder).rglob("*.py"))
        )
        self._known: dict[str, tuple[str, str, str]] = {}
        path.parent.mkdir(exist_ok=True)
        if not anew and path.exists():
            for line in path.read_text().splitlines():
                name, verdict, test, digest = json.loads(line)
                self._known[name] = (verdict, test, digest)
        self._file = path.open("w" if anew else "a")

    def known(self, name: str, module: Path) -> Verdict | None:
        """The verdict of before, if it still holds."""
        verdict, test, digest = self._known.get(name, ("", "", ""))
        return Verdict(verdict) if verdict and digest == self._digest(module, test) else None

    def add(self, name: str, module: Path, verdict: Verdict, test: str) -> None:
        """Write a verdict down."""
        print(
            json.dumps([name, verdict.value, test, self._digest(module, test)]), file=self._file, flush=True
        )

    def _digest(self, module: Path, test: str) -> str:
        return self._of([module, ROOT / test.split("::")[0]]) if test else self._everything

    def _of(self, files: Iterable[Path]) -> str:
        for file in (files := list(files)):
            if file not in self._digests:
                self._digests[file] = sha256(file.read_bytes()).hexdigest() if file.exists() else ""
        return sha256("".join(self._digests[file] for file in files).encode()).hexdigest()[:16]
