# SPDX-License-Identifier: MIT
"""Runs tests on a mutant, each in a process of its own: a fork that imports the mutant instead of the module."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from types import ModuleType

_MEMORY = 8 << 30  # bytes of address space that a mutant may fill


class Verdict(Enum):
    """What the tests said of a mutant."""

    KILLED = "killed"
    TIMEOUT = "timeout"
    SURVIVED = "survived"


@dataclass(frozen=True)
class Case:
    """A module with other source (or None: its own), and the tests that are to run."""

    name: str
    module: str
    source: str | None
    tests: tuple[str, ...]
    seconds: float  # after which it counts as an endless loop


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
        exec(compile(self.source, str(module.__file__), "exec"), module.__dict__)


def prepare() -> None:
    """Import what every test needs, but nothing of the package."""
    import hypothesis
    import numpy
    import pytest

    assert numpy and pytest
    hypothesis.settings.register_profile("mutation", derandomize=True, database=None, deadline=None)
    hypothesis.settings.load_profile("mutation")
    package = [name for name in sys.modules if name.split(".")[0] == "fixedpoint_nn"]
    assert not package, f"{package} were imported before the mutants, which would not be seen"


def judged(cases: Iterable[Case], jobs: int) -> Iterator[tuple[Case, Verdict, float]]:
    """Each case with its verdict and its seconds, as they come; `jobs` of them run at a time."""
    waiting, running = iter(cases), {}
    exhausted = False
    while running or not exhausted:
        while len(running) < jobs and not exhausted:
            case = next(waiting, None)
            if case is None:
                exhausted = True
            else:
                running[_start(case)] = (case, time.monotonic())
        for pid, (case, began) in list(running.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            seconds = time.monotonic() - began
            if done:
                del running[pid]
                yield case, _verdict(case, os.waitstatus_to_exitcode(status)), seconds
            elif seconds > case.seconds:
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                del running[pid]
                yield case, Verdict.TIMEOUT, seconds
        time.sleep(0.01)


def _verdict(case: Case, code: int) -> Verdict:
    if code in (0, 1, 2, 3) or code < 0:  # passed; failed; did not import; crashed
        return Verdict.SURVIVED if code == 0 else Verdict.KILLED
    raise SystemExit(f"pytest did not run {', '.join(case.tests)} for {case.name}: exit status {code}")


def _start(case: Case) -> int:
    """Fork a process that runs the tests; its exit status is pytest's."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        _child(lambda: _run(case.module, case.source, case.tests))
    os.setpgid(pid, pid)
    return pid


def _child(run: Callable[[], int]) -> None:
    code = 3
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        code = run()
    finally:
        os._exit(code)


def _run(module: str, source: str | None, tests: Sequence[str]) -> int:
    import pytest

    if source is not None:
        sys.meta_path.insert(0, _Replacement(module, source))
    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests]))
