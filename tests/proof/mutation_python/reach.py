# SPDX-License-Identifier: MIT
"""Which tests reach which line, and how long each takes: a mutant needs only those that reach its lines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from time import process_time
from typing import Any

from tests.proof.mutation_python.rooms import ROOT

REACH = ROOT / "build" / "mutation_python_reach.jsonl"


@dataclass(frozen=True)
class Reach:
    """Tests are numbers; the tests of a line are the bits of an integer."""

    names: list[str]
    seconds: list[float]
    lines: dict[str, dict[int, int]]  # of a file
    _known: dict[tuple[str, range | None], list[int]] = field(default_factory=dict)

    @staticmethod
    def measured(
        names: Sequence[str], numbers: Sequence[int], files: Iterable[str], run: Callable[[int], None]
    ) -> dict[str, Any]:
        """Run tests once; per name its seconds and the lines of the files that it reaches."""
        import coverage

        cover = coverage.Coverage(data_file=None, config_file=False, include=list(files))
        cover.start()
        found: dict[str, Any] = {}
        for number in numbers:
            cover.switch_context(names[number])
            began = process_time()
            run(number)
            found[names[number]] = {"seconds": process_time() - began, "lines": {}}
        cover.stop()
        data = cover.get_data()
        for file in data.measured_files():
            for line, contexts in data.contexts_by_lineno(file).items():
                for name in contexts:
                    if name:
                        found[name]["lines"].setdefault(file, []).append(line)
        return found

    def tests_of(self, file: str, lines: range | None, budget: float, first: Sequence[int] = ()) -> list[int]:
        """The tests that reach one of the lines, as many as `budget` seconds allow.

        Without lines they are those that reach any line of the file, and all tests of the module, which may look at
        what its import has made.

        Those of `first` that do are asked before all others, whatever they take.
        """
        if (file, lines) not in self._known:
            of_file, found = self.lines.get(file, {}), 0
            for line in of_file if lines is None else lines:
                found |= of_file.get(line, 0)
            tests = [
                number
                for number, name in enumerate(self.names)
                if found >> number & 1 or (lines is None and is_own(name, Path(file)))
            ]
            self._known[file, lines] = self._in_order(tests, Path(file))
        reaching = dict.fromkeys(self._known[file, lines])
        chosen = {number: None for number in first if number in reaching}
        spent = sum(self.seconds[number] for number in chosen)
        for number in reaching:
            if number not in chosen and (spent + self.seconds[number] <= budget or not chosen):
                spent += self.seconds[number]
                chosen[number] = None
        return list(chosen)

    def _in_order(self, tests: list[int], module: Path) -> list[int]:
        """Those of the module's own file first, then of its room, then all others.

        Of each of these one case of every test function is asked before the second one of any: a function of a
        thousand cases says little more by the second than by the first. The quickest come first.
        """
        cases: Counter[tuple[int, str]] = Counter()
        keys: dict[int, tuple[int, int, float]] = {}
        for number in sorted(tests, key=lambda number: self.seconds[number]):
            path, function = self.names[number].split("::")[0], self.names[number].split("[")[0]
            own, room = is_own(path, module), f"/{module.parent.name}/" in path
            rank = 0 if own else 1 if room else 2
            keys[number] = rank, cases[rank, function], self.seconds[number]
            cases[rank, function] += 1
        return sorted(keys, key=lambda number: keys[number])


def is_own(name: str, module: Path) -> bool:
    """Is a test, or its file, that of the module, or that of the defaults of its room?"""
    file = name.split("::")[0]
    if Path(file).name == "test_defaults.py":
        return f"/{Path(file).parent.name}/" in module.as_posix()
    return Path(file).name == f"test_{module.stem}.py"


class KnownReach:
    """What earlier runs have measured, by the content of a test's file and of the files that the test reaches."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digests: dict[str, str] = {}
        self._tests: dict[str, Any] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                self._tests |= json.loads(line)

    def has(self, name: str) -> bool:
        """Is the test measured, and are it and the files that it reaches what they were?"""
        known = self._tests.get(name)
        return known is not None and known["of"] == self._state(name, known["lines"])

    def add(self, measured: dict[str, Any]) -> None:
        """Keep what was measured now; files are named from the root, so that another checkout can use it."""
        for name, what in measured.items():
            lines = {Path(file).relative_to(ROOT).as_posix(): of for file, of in what["lines"].items()}
            known = {"of": self._state(name, lines), "seconds": what["seconds"], "lines": lines}
            self._tests[name] = known
        self._path.parent.mkdir(exist_ok=True)
        with self._path.open("a") as file:
            print(json.dumps({name: self._tests[name] for name in measured}), file=file)

    def reach(self, names: Sequence[str]) -> Reach:
        """Of tests that are all known."""
        lines: dict[str, dict[int, int]] = {}
        for number, name in enumerate(names):
            for file, reached in self._tests[name]["lines"].items():
                of_file = lines.setdefault(str(ROOT / file), {})
                for line in reached:
                    of_file[line] = of_file.get(line, 0) | 1 << number
        return Reach(list(names), [self._tests[name]["seconds"] for name in names], lines)

    def _state(self, name: str, reached: Iterable[str]) -> str:
        return _digest("".join(map(self._digest, [name.split("::")[0], *sorted(reached)])).encode())

    def _digest(self, file: str) -> str:
        if file not in self._digests:
            self._digests[file] = _digest((ROOT / file).read_bytes())
        return self._digests[file]


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]
