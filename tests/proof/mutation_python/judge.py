# SPDX-License-Identifier: MIT
"""Runs tests on a mutant in a process of its own: a fork that imports the mutant instead of the module.

It takes seconds, and sees what runs at import, too; `quick.py` is the way for the thousands.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tests.proof.mutation_python.quick import MEMORY, Verdict, limit

_IMPORTS = 10.0  # seconds that imports and collection may take at most
_WHOLE = 900.0  # seconds after which a mutant that waits for something is ended


@dataclass(frozen=True)
class Case:
    """A module with other source, and the tests that are to run, in their order, which take `seconds`."""

    name: str
    module: str
    source: str
    tests: tuple[str, ...]
    seconds: float


class _Replacement(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports `module` from `source`."""

    def __init__(self, module: str, source: str) -> None:
        self.module, self.source = module, source

    def find_spec(
        self, name: str, path: object, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self.module:
            return None
        own = importlib.machinery.PathFinder.find_spec(name, path)  # type: ignore[arg-type]
        assert own is not None and own.origin is not None
        return importlib.util.spec_from_file_location(name, own.origin, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.source, str(module.__file__), "exec", dont_inherit=True), module.__dict__)


class _Chosen:
    """A plugin of pytest that runs the chosen tests alone, in their order, and says which one fails."""

    def __init__(self, tests: Sequence[str], pipe: int) -> None:
        self.tests, self.pipe = tests, pipe

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        by_name = {item.nodeid: item for item in items}
        items[:] = [by_name[test] for test in self.tests if test in by_name]

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            os.write(self.pipe, report.nodeid.encode())
            os._exit(1)


def judged(cases: Iterable[Case], jobs: int) -> Iterator[tuple[Case, Verdict, str]]:
    """Each case with its verdict and the test that noticed, as they come; `jobs` of them run at a time."""
    waiting, running = iter(cases), {}
    exhausted = False
    while running or not exhausted:
        while len(running) < jobs and not exhausted:
            case = next(waiting, None)
            if case is None:
                exhausted = True
            else:
                pid, pipe = _start(case)
                running[pid] = (case, pipe, time.monotonic())
        for pid, (case, pipe, began) in list(running.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if not done and time.monotonic() - began > _WHOLE:
                os.killpg(pid, signal.SIGKILL)
                done, status = os.waitpid(pid, 0)
            if done:
                del running[pid]
                with os.fdopen(pipe) as said:
                    yield case, _verdict(case, os.waitstatus_to_exitcode(status)), said.read()
        time.sleep(0.01)


def _verdict(case: Case, code: int) -> Verdict:
    if code in (-signal.SIGPROF, -signal.SIGKILL):
        return Verdict.TIMEOUT
    if code in (0, 1, 2, 3, 4) or code < 0:  # passed; failed; two kinds of not importing; crashed
        return Verdict.SURVIVED if code == 0 else Verdict.KILLED
    raise SystemExit(f"pytest ran no test for {case.name}: exit status {code}")


def _start(case: Case) -> tuple[int, int]:
    """Fork a process that runs the tests; its exit status is pytest's."""
    sys.stdout.flush()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    code = 3
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        signal.setitimer(signal.ITIMER_PROF, _IMPORTS + limit(case.seconds))
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        code = _run(case, writing)
    finally:
        os._exit(code)


def _run(case: Case, pipe: int) -> int:
    import pytest

    sys.meta_path.insert(0, _Replacement(case.module, case.source))
    files = list(dict.fromkeys(test.split("::")[0] for test in case.tests))
    return int(
        pytest.main(["-q", "-s", "-p", "no:cacheprovider", *files], plugins=[_Chosen(case.tests, pipe)])
    )
