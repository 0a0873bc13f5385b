# SPDX-License-Identifier: MIT
"""What a command has started, directly or not: every process has the environment of the one that started it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

import pytest

MARK = "FIXEDPOINT_NN_TEST_MARK"
by_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at processes by /proc")
Started = subprocess.Popen[str]


def start(command: Sequence[str | Path], **environment: object) -> tuple[Started, str]:
    """A command whose processes are known by the mark that is returned too."""
    mark = f"{MARK}={uuid4()}"
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=Path(__file__).parents[2],
        env={
            **os.environ,
            **{name: str(value) for name, value in environment.items()},
            MARK: mark.partition("=")[2],
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return process, mark


def running(mark: str) -> dict[int, str]:
    """The processes of a mark that are alive, and the name of each."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                status = (folder / "stat").read_text()
                if status.rpartition(")")[2].split()[0] not in "ZX":
                    found[int(folder.name)] = (folder / "comm").read_text().strip()
        except OSError:
            continue
    return found


def wait_until(mark: str, *names: str) -> None:
    """Until a process of each of these names runs."""
    wait_for(lambda: set(names) <= set(running(mark).values()), f"{names} do not run")


def wait_for_the_end(mark: str) -> None:
    """Until none runs."""
    wait_for(lambda: not running(mark), "something goes on")


def wait_for(done: Callable[[], bool], otherwise: str) -> None:
    """Until something is so; an AssertionError that says `otherwise` after a minute."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if done():
            return
        time.sleep(0.02)
    raise AssertionError(otherwise)
