# SPDX-License-Identifier: MIT
"""Compiled simulators, kept from run to run in a folder that nobody else can write to.

A cached simulator is a program that will be run, so nobody else may be able to put one there, or to exchange a folder
above it (`files/trust.py`). Where the usual place is not so, a private one is made for this process alone, with a
warning. Each simulator stands beside its checksum; one that does not match is built again. When there are too many, the
least recently used leave.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from fixedpoint_nn.files import scratch
from fixedpoint_nn.files.trust import weakness

VARIABLE, SIZE_VARIABLE = "FIXEDPOINT_NN_CACHE", "FIXEDPOINT_NN_CACHE_MB"
USUAL_MEGABYTES = 1000
RECENT = 3600  # seconds in which a simulator that was used is never pruned: it may be about to run
PROGRAM, CHECKSUM = "sim", "sha256"
HOLDS = "compiled simulators"


def cache_folder() -> Path:
    """The folder that `FIXEDPOINT_NN_CACHE` names, the user's cache, or a private one of this process."""
    try:
        return scratch.unless_weak(usual_folder(), HOLDS, VARIABLE)
    except RuntimeError:
        return scratch.instead_of("a cache at home", "this user has no home folder", HOLDS, VARIABLE)


def usual_folder() -> Path:
    """Where the cache is, if nobody else can change it; a RuntimeError for a user without a home."""
    chosen, cache_home = os.environ.get(VARIABLE), os.environ.get("XDG_CACHE_HOME")
    return Path.cwd() / (chosen or Path(cache_home or Path.home() / ".cache") / "fixedpoint_nn")


def cached(key: str, name: str = PROGRAM) -> Path | None:
    """The simulator of this key (or another file), if there is one and it is what was put there."""
    folder = _simulators() / key
    program = folder / name
    if not folder.exists():
        return None
    try:
        whole = not weakness(folder) and (folder / CHECKSUM).read_text() == _checksum(program)
    except OSError:
        return None
    if not whole:
        remove(folder)
        return None
    with suppress(OSError):
        os.utime(folder)
    return program


def keep(key: str, built: Path, name: str = PROGRAM) -> Path:
    """Put the folder `built`, with its `sim`, into the cache; of several processes the first one wins."""
    folder = _simulators() / key
    (built / CHECKSUM).write_text(_checksum(built / name))
    built.chmod(0o700)
    try:
        built.rename(folder)
    except OSError:  # another process was faster
        if cached(key, name) is None:
            raise
    prune()
    return folder / name


def new_folder() -> AbstractContextManager[Path]:
    """An empty folder inside the cache, from which `keep` can take over."""
    return scratch.folder_in(_simulators(), "making")


def prune() -> None:
    """Remove the least recently used simulators until the others are within the limit."""
    limit = limit_in_bytes()
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
    with suppress(OSError), scratch.folder_in(folder.parent, "removing") as gone:
        folder.rename(gone / "folder")


def size_in_bytes() -> int:
    """What the cached simulators take."""
    return sum(path.stat().st_size for path in _simulators().rglob("*") if path.is_file())


def limit_in_bytes() -> int:
    """What the simulators may take; more is pruned."""
    text = os.environ.get(SIZE_VARIABLE, str(USUAL_MEGABYTES))
    try:
        megabytes = float(text)
    except ValueError:
        raise ValueError(
            f"{SIZE_VARIABLE}={text!r} is no number of megabytes; use one, such as 500"
        ) from None
    return int(megabytes * 1e6)


def _simulators() -> Path:
    return scratch.unless_weak(cache_folder() / "simulators", HOLDS, VARIABLE)


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
