# SPDX-License-Identifier: MIT
"""Heartbeats: every worker process touches a file periodically, and one that stops is killed.

A process that dies is noticed at once, but one that hangs (stopped, or waiting for a lost disk) is not.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EVERY = 1.0  # seconds between two heartbeats
SILENCE = 60.0  # seconds after which a worker is given up
SUFFIX = ".beat"


def beat(directory: Path, every: float | None = None) -> None:
    """Touch this process's file periodically, as long as the folder exists."""
    mark = directory / f"{os.getpid()}{SUFFIX}"
    while directory.exists():
        try:
            mark.touch()
        except OSError:
            return
        time.sleep(EVERY if every is None else every)


def silent(directory: Path, now: float) -> list[int]:
    """The ids of the processes whose last heartbeat is too old."""
    found = []
    for mark in directory.glob(f"*{SUFFIX}"):
        try:
            if now - mark.stat().st_mtime > SILENCE:
                found.append(int(mark.stem))
        except OSError:  # it was just removed
            continue
    return found


@contextmanager
def watching(directory: Path) -> Iterator[threading.Thread]:
    """A context with a thread, to be started, that kills silent workers; earlier heartbeats are removed."""
    for mark in directory.glob(f"*{SUFFIX}"):
        mark.unlink(missing_ok=True)
    over = threading.Event()

    def watch() -> None:
        while not over.wait(EVERY):
            own = {child.pid: child for child in multiprocessing.active_children()}
            for process in silent(directory, time.time()):
                (directory / f"{process}{SUFFIX}").unlink(missing_ok=True)
                if process in own:
                    own[process].kill()

    thread = threading.Thread(target=watch, daemon=True)
    try:
        yield thread
    finally:
        over.set()
