# SPDX-License-Identifier: MIT
"""Folders that a killed process left behind: found, because nobody holds their lock any more, and removed.

The lock is the kernel's (flock of the folder itself): it goes with the process, whatever ended it. A folder is made
as `name+...`, held, and only then called `name-...`: so one with that name that nobody holds is nobody's.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

BEGUN, HELD, ENDING = "+", "-", r"[+-][a-z0-9_]{8}"
HOUR = 3600
WEEK = 7 * 24 * HOUR  # longer than any run, for systems without such locks


def hold(folder: Path) -> int | None:
    """Say that this process uses the folder, until `let_go`; None where the system has no such lock.

    A BlockingIOError says that another process uses it.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return handle


def let_go(handle: int | None) -> None:
    """Close the handle of a folder, if there is one."""
    if handle is not None:
        os.close(handle)


def made_as(above: Path, name: str) -> Iterator[Path]:
    """The folders `above/name-...` and `above/name+...`, and none of another name that begins in the same way."""
    ours = re.compile(re.escape(name) + ENDING)
    with suppress(OSError):
        for entry in os.scandir(above):
            if ours.fullmatch(entry.name):
                yield Path(entry.path)


def remove(above: Path, name: str, needed: Callable[[Path], bool] = lambda folder: False) -> None:
    """Remove the folders `above/name-...` that nobody holds, and `above/name+...` that nobody has held for an hour.

    Those that are `needed` stay.
    """
    for folder in made_as(above, name):
        with suppress(OSError):  # another process was faster, or uses it
            _remove_unless_held(folder, folder.name[len(name)] == BEGUN, needed)


def _remove_unless_held(folder: Path, begun: bool, needed: Callable[[Path], bool]) -> None:
    about = folder.lstat()
    if hasattr(os, "geteuid") and about.st_uid != os.geteuid():
        return
    age = time.time() - about.st_mtime
    if begun and age < HOUR:  # about to be held
        return
    handle = hold(folder)
    try:
        if (handle is not None or age > WEEK) and not needed(folder):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        let_go(handle)
