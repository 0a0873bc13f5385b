# SPDX-License-Identifier: MIT
"""Judges mutants in forks of a process that has imported and collected everything; most need a few milliseconds.

What runs at import cannot be changed so: those mutants come back as `UNTRIED`, for `judge.py`, and it judges again
what survives of statements that importing and collecting have run, because what they gave is kept.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import groupby, pairwise
from pathlib import Path
from typing import IO, Any

from tests.proof.mutation_python.mutants import Mutant
from tests.proof.mutation_python.patch import LiveFunctions
from tests.proof.mutation_python.reach import REACH, KnownReach, Reach

MEMORY = 6 << 30  # bytes of address space that a mutant may fill
_WHOLE = 900.0  # seconds after which a mutant that waits for something is ended


class Verdict(Enum):
    """What the tests said of a mutant."""

    KILLED = "killed"
    TIMEOUT = "timeout"
    SURVIVED = "survived"
    UNTRIED = "untried"


@dataclass(frozen=True)
class Answer:
    """A mutant's verdict; the test that noticed; the tests that an import may ask, with their seconds."""

    verdict: Verdict
    test: str
    tests: tuple[str, ...]
    seconds: float


def limit(seconds: float) -> int:
    """The seconds of CPU after which a test that takes `seconds` counts as an endless loop."""
    return int(4 + 15 * seconds)


def quick_answers(
    found: Sequence[tuple[Path, Mutant, float]], folders: Sequence[str], files: Sequence[Path], jobs: int
) -> Iterator[tuple[Mutant, Answer]]:
    """The answer for each mutant of a file, which may take so many seconds, as they come."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _serve(found, folders, [str(file) for file in files], jobs, os.fdopen(writing, "w"))
    os.close(writing)
    with os.fdopen(reading) as lines:
        for line in lines:
            answer = json.loads(line)
            if "error" in answer:
                raise SystemExit(answer["error"])
            mutant = found[answer["mutant"]][1]
            yield (
                mutant,
                Answer(Verdict(answer["verdict"]), answer["test"], tuple(answer["tests"]), answer["seconds"]),
            )
    os.waitpid(pid, 0)


def _serve(
    found: Sequence[tuple[Path, Mutant, float]],
    folders: Sequence[str],
    files: Sequence[str],
    jobs: int,
    out: IO[str],
) -> None:
    """The process that collects the tests and forks for each mutant; it never returns."""
    import coverage
    import pytest

    code = 1
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        imports = coverage.Coverage(data_file=None, config_file=False, include=files)
        server = _Server(found, files, jobs, out, imports)
        imports.start()
        code = int(pytest.main(["-q", "-s", "-p", "no:cacheprovider", *folders], plugins=[server]))
        if not server.collected:
            print(json.dumps({"error": f"pytest could not collect {', '.join(folders)}"}), file=out)
    except BaseException as error:  # whatever it is, the other end must hear of it
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=out)
    finally:
        out.flush()
        os._exit(code)


@dataclass
class _Server:
    """A plugin of pytest that runs mutants instead of the tests."""

    found: Sequence[tuple[Path, Mutant, float]]
    files: Sequence[str]
    jobs: int
    out: IO[str]
    imports: Any  # the coverage of importing and collecting
    collected: bool = False
    _items: list[Any] = field(default_factory=list)
    _at_failure: Any = None

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
        """Tell who watches of a test that fails, before its report is written: that takes longer than most tests."""
        import pytest

        failed = call.excinfo is not None and not issubclass(call.excinfo.type, pytest.skip.Exception)
        if failed and self._at_failure is not None:
            self._at_failure(item.nodeid)

    def pytest_runtestloop(self, session: Any) -> bool:
        """All of it."""
        self.imports.stop()
        seen = self.imports.get_data()
        self._at_import = {file: frozenset(seen.lines(file) or ()) for file in seen.measured_files()}
        self.collected, self._items = True, session.items
        self._names = [item.nodeid for item in self._items]
        try:
            reach = self._measure()
            if reach is not None:
                self._judge(reach)
        except Exception as error:
            self._say(error=f"{type(error).__name__}: {error}")
        return True

    def _say(self, **what: object) -> None:
        print(json.dumps(what), file=self.out, flush=True)

    def _run(self, number: int, following: int | None) -> None:
        item = self._items[number]
        after = None if following is None else self._items[following]
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)

    def _measure(self) -> Reach | None:
        """What is not known from before, in a fork, so that the mutants find all as it was before any test."""
        known = KnownReach(REACH)
        missing = [number for number, name in enumerate(self._names) if not known.has(name)]
        following = dict(pairwise(missing))
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            with os.fdopen(writing, "w") as out:
                for _, of_file in groupby(missing, lambda number: self._names[number].split("::")[0]):
                    failed: list[str] = []
                    self._at_failure = failed.append
                    measured = Reach.measured(
                        self._names,
                        list(of_file),
                        self.files,
                        lambda number: self._run(number, following.get(number)),
                    )
                    print(json.dumps({"failed": failed, "reach": measured}), file=out, flush=True)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as lines:
            for line in lines:
                answer = json.loads(line)
                if answer["failed"]:
                    self._say(error=f"{answer['failed'][0]} fails without a mutant; mend it first")
                    os.kill(pid, signal.SIGKILL)
                    return None
                known.add(answer["reach"])
        os.waitpid(pid, 0)
        return known.reach(self._names)

    def _judge(self, reach: Reach) -> None:
        functions = LiveFunctions(self.files)
        originals = {
            file: compile(Path(file).read_text(), file, "exec", dont_inherit=True) for file in self.files
        }
        killers: dict[str, deque[int]] = defaultdict(
            lambda: deque(maxlen=4)
        )  # of a function, and of a module
        gc.disable()
        gc.freeze()  # so that forks do not copy what the collector only looks at
        waiting, running = iter(enumerate(self.found)), {}
        exhausted = False
        while running or not exhausted:
            while len(running) < self.jobs and not exhausted:
                following = next(waiting, None)
                if following is None:
                    exhausted = True
                    break
                number, (path, mutant, budget) = following
                place = ":".join(mutant.name.split(":")[:2])
                mutated = mutant.code(str(path))
                before = [*killers[place], *killers[place.split(":")[0]]]
                tests = reach.tests_of(str(path), mutant.lines, budget, before)
                pid, pipe = self._start(functions, originals[str(path)], mutated, tests, reach)
                running[pid] = (number, place, tests, pipe, time.monotonic())
            for pid, (number, place, tests, pipe, began) in list(running.items()):
                done, status = os.waitpid(pid, os.WNOHANG)
                if not done and time.monotonic() - began > _WHOLE:
                    os.killpg(pid, signal.SIGKILL)
                    done, status = os.waitpid(pid, 0)
                if not done:
                    continue
                del running[pid]
                with os.fdopen(pipe) as words:
                    said = words.read()
                if os.waitstatus_to_exitcode(status) in (3, _BROKEN):
                    self._say(error=f"{self.found[number][1].name}: {said}")
                    return
                last = ([None] + [int(word) for word in said.split()])[-1]
                verdict = _verdict(os.waitstatus_to_exitcode(status))
                path, mutant, budget = self.found[number]
                ran_at_import = bool(self._at_import.get(str(path), frozenset()) & set(mutant.lines))
                # What ran at import, or while tests were collected, is noticed by tests that do not reach its lines.
                untried = verdict is Verdict.UNTRIED or ran_at_import
                tests = reach.tests_of(str(path), None, budget) if untried else []
                if verdict in (Verdict.KILLED, Verdict.TIMEOUT) and last is not None:
                    for recent in killers[place], killers[place.split(":")[0]]:
                        if last in recent:
                            recent.remove(last)
                        recent.appendleft(last)
                self._say(
                    mutant=number,
                    verdict=verdict.value,
                    test="" if last is None or verdict is Verdict.SURVIVED else self._names[last],
                    tests=[]
                    if verdict in (Verdict.KILLED, Verdict.TIMEOUT)
                    else [self._names[test] for test in tests],
                    seconds=sum(reach.seconds[test] for test in tests),
                )
            time.sleep(0.002)

    def _start(
        self, functions: LiveFunctions, original: Any, mutated: Any, tests: list[int], reach: Reach
    ) -> tuple[int, int]:
        """Fork a process that patches itself and runs the tests, and says the number of each as it begins."""
        reading, writing = os.pipe()
        pid = os.fork()
        if pid:
            os.close(writing)
            return pid, reading
        code = 3
        try:
            os.setpgid(0, 0)
            os.close(reading)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            if not functions.patch(original, mutated):
                os._exit(_NO_PATCH)
            self._at_failure = lambda _: os._exit(1)
            code = _BROKEN
            for test, following in zip(tests, [*tests[1:], None]):
                os.write(writing, f"{test} ".encode())
                signal.setitimer(signal.ITIMER_PROF, limit(reach.seconds[test]))
                self._run(test, following)
            code = 0
        except BaseException:
            os.write(writing, traceback.format_exc().encode())
        finally:
            os._exit(code)


_NO_PATCH, _BROKEN = 77, 78


def _verdict(code: int) -> Verdict:
    if code == -signal.SIGPROF or code == -signal.SIGKILL:
        return Verdict.TIMEOUT
    return {0: Verdict.SURVIVED, _NO_PATCH: Verdict.UNTRIED}.get(code, Verdict.KILLED)


def prepare() -> None:
    """Import what every test needs, but nothing of the package."""
    import hypothesis
    import numpy
    import pytest

    assert numpy and pytest
    hypothesis.settings.register_profile(
        "mutation",
        derandomize=True,
        database=None,
        deadline=None,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
        report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutation")
    package = [name for name in sys.modules if name.split(".")[0] == "fixedpoint_nn"]
    assert not package, f"{package} were imported before the mutants, which would not be seen"
