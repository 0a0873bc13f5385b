# SPDX-License-Identifier: MIT
"""Removal of temporary folders that killed processes left behind, recognised by their released locks.

The lock is the kernel's (flock of the folder itself), so it is released when the process ends in any way. A folder is
created as `name+...`, locked, and then renamed to `name-...`: so an unlocked folder of that name has no owner.
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
WEEK = 7 * 24 * HOUR  # for systems without such locks: longer than any run


def hold(folder: Path) -> int | None:
    """Lock a folder until `let_go`; returns a handle, None if the system has no such lock.

    Raises BlockingIOError if another process uses it.
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
    """Release the lock of a folder, if there is a handle."""
    if handle is not None:
        os.close(handle)


def made_as(above: Path, name: str) -> Iterator[Path]:
    """The folders `above/name-...` and `above/name+...`, but none of a longer name."""
    ours = re.compile(re.escape(name) + ENDING)
    with suppress(OSError):
        for entry in os.scandir(above):
            if ours.fullmatch(entry.name):
                yield Path(entry.path)


def remove(above: Path, name: str, needed: Callable[[Path], bool] = lambda folder: False) -> None:
    """Remove unlocked folders `above/name-...`, and unlocked `above/name+...` older than an hour.

    Folders for which `needed` is true stay.
    """
    for folder in made_as(above, name):
        with suppress(OSError):  # another process removed it, or uses it
            _remove_unless_held(folder, folder.name[len(name)] == BEGUN, needed)


def _remove_unless_held(folder: Path, begun: bool, needed: Callable[[Path], bool]) -> None:
    """Remove the folder if it is ours, no process holds it, and it is not `needed`."""
    about = folder.lstat()
    if hasattr(os, "geteuid") and about.st_uid != os.geteuid():
        return
    age = time.time() - about.st_mtime
    if begun and age < HOUR:  # about to be locked
        return
    handle = hold(folder)
    try:
        if (handle is not None or age > WEEK) and not needed(folder):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        let_go(handle)
