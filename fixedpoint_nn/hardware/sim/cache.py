# SPDX-License-Identifier: MIT
"""Compiled simulators, kept from run to run in a folder that nobody else can write to.

A cached simulator is a program that will be run, so its folder must be ours: a real folder, owned by this user,
writable by nobody else. Where the usual place is not, a private one is made for this process alone. Each simulator
stands beside its checksum; one that does not match is built again. When there are too many, the least recently used
leave.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

VARIABLE, SIZE_VARIABLE = "FIXEDPOINT_NN_CACHE", "FIXEDPOINT_NN_CACHE_MB"
USUAL_MEGABYTES = 1000
RECENT = 3600  # seconds in which a simulator that was used is never pruned: it may be about to run
PROGRAM, CHECKSUM = "sim", "sha256"


def cache_folder() -> Path:
    """The folder that `FIXEDPOINT_NN_CACHE` names, the user's cache, or a private one of this process."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        place = Path(chosen)
    else:
        place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fixedpoint_nn"
    with suppress(OSError):
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
    return place if is_ours(place) else _private()


@cache
def _private() -> Path:
    """A new folder with a name that nobody can know beforehand; it goes with the process."""
    folder = Path(tempfile.mkdtemp(prefix="fixedpoint_nn-"))
    owner = os.getpid()

    def clean() -> None:
        if os.getpid() == owner:  # and not a child of it
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(clean)
    return folder


def is_ours(folder: Path) -> bool:
    """Is this a real folder of this user, in which nobody else can put a file, and which this user can write to?"""
    try:
        about = folder.lstat()
    except OSError:
        return False
    if not stat.S_ISDIR(about.st_mode) or not os.access(folder, os.W_OK):
        return False
    if not hasattr(os, "geteuid"):  # Windows keeps a user's folders apart by itself
        return True
    return about.st_uid == os.geteuid() and not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def cached(key: str) -> Path | None:
    """The simulator of this key, if there is one and it is what was put there."""
    folder = _simulators() / key
    program = folder / PROGRAM
    try:
        whole = is_ours(folder) and (folder / CHECKSUM).read_text() == _checksum(program)
    except OSError:
        return None
    if not whole:
        remove(folder)
        return None
    with suppress(OSError):
        os.utime(folder)
    return program


def keep(key: str, scratch: Path) -> Path:
    """Put the folder `scratch`, with its `sim`, into the cache; of several processes the first one wins."""
    folder = _simulators() / key
    (scratch / CHECKSUM).write_text(_checksum(scratch / PROGRAM))
    scratch.chmod(0o700)
    try:
        scratch.rename(folder)
    except OSError:  # another process was faster
        if cached(key) is None:
            raise
    prune()
    return folder / PROGRAM


def new_folder() -> Path:
    """An empty folder inside the cache, from which `keep` can take over."""
    return Path(tempfile.mkdtemp(dir=_simulators(), prefix="new-"))


def prune() -> None:
    """Remove the least recently used simulators until the others are within the limit."""
    limit = _limit()
    found = []
    for folder in _simulators().iterdir():
        with suppress(OSError):
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            found.append((folder.stat().st_mtime, size, folder))
    total = sum(size for _, size, _ in found)
    for used, size, folder in sorted(found):
        if total <= limit or time.time() - used < RECENT:
            break
        remove(folder)
        total -= size


def remove(folder: Path) -> None:
    """Take a folder away in one step, so that no other process sees a part of it."""
    with suppress(OSError):
        gone = Path(tempfile.mkdtemp(dir=folder.parent, prefix="old-"))
        with suppress(OSError):
            folder.rename(gone / "folder")
        shutil.rmtree(gone, ignore_errors=True)


def size_in_bytes() -> int:
    """What the cached simulators take."""
    return sum(path.stat().st_size for path in _simulators().rglob("*") if path.is_file())


def _limit() -> int:
    text = os.environ.get(SIZE_VARIABLE, str(USUAL_MEGABYTES))
    try:
        megabytes = float(text)
    except ValueError:
        raise ValueError(
            f"{SIZE_VARIABLE}={text!r} is no number of megabytes; use one, such as 500"
        ) from None
    return int(megabytes * 1e6)


def _simulators() -> Path:
    folder = cache_folder() / "simulators"
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder if is_ours(folder) else _private()


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
