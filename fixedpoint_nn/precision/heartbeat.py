# SPDX-License-Identifier: MIT
"""Signs of life: every worker process marks the time in a file, and one that falls silent is ended.

A process that dies is noticed at once. One that hangs (stopped, or waiting for a disk that is gone) is not: nothing
would tell it from one that computes.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EVERY = 1.0  # seconds between two signs
SILENCE = 60.0  # seconds after which a worker is given up
SUFFIX = ".beat"


def beat(directory: Path, every: float | None = None) -> None:
    """Mark the time again and again, while the folder is there."""
    mark = directory / f"{os.getpid()}{SUFFIX}"
    while directory.exists():
        try:
            mark.touch()
        except OSError:
            return
        time.sleep(EVERY if every is None else every)


def silent(directory: Path, now: float) -> list[int]:
    """The processes whose last sign is too old."""
    found = []
    for mark in directory.glob(f"*{SUFFIX}"):
        try:
            if now - mark.stat().st_mtime > SILENCE:
                found.append(int(mark.stem))
        except OSError:  # it has just been taken away
            continue
    return found


@contextmanager
def watching(directory: Path) -> Iterator[threading.Thread]:
    """A thread, to be started, that ends silent workers until the block ends; their marks of before are forgotten."""
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
