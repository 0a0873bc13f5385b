# SPDX-License-Identifier: MIT
"""The cache of compiled simulators, in a folder that only this user can write to.

A cached simulator is an executable, so no other user may be able to write it or exchange a parent folder
(`files/trust.py`). If the usual folder does not guarantee that, a private one is made for this process, with a warning.
Each simulator has a checksum; one that does not match is rebuilt. Beyond the size limit the least recently used ones
are removed.
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
RECENT = 3600  # seconds after its last use in which a simulator is not pruned, as it may be about to run
PROGRAM, CHECKSUM = "sim", "sha256"
HOLDS = "compiled simulators"


def cache_folder() -> Path:
    """The folder in `FIXEDPOINT_NN_CACHE`, the user's cache, or a private folder of this process."""
    try:
        return scratch.unless_weak(usual_folder(), HOLDS, VARIABLE)
    except RuntimeError:
        return scratch.instead_of("a cache at home", "this user has no home folder", HOLDS, VARIABLE)


def usual_folder() -> Path:
    """The default cache folder; raises RuntimeError for a user without a home."""
    chosen, cache_home = os.environ.get(VARIABLE), os.environ.get("XDG_CACHE_HOME")
    return Path.cwd() / (chosen or Path(cache_home or Path.home() / ".cache") / "fixedpoint_nn")


def cached(key: str, name: str = PROGRAM) -> Path | None:
    """The simulator (or the file `name`) of this key; None unless it exists and matches its checksum."""
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
    """Move the folder `built` into the cache; of several processes the first one wins. Returns the cached file."""
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
    """A context with an empty folder inside the cache, for `keep`."""
    return scratch.folder_in(_simulators(), "making")


def prune() -> None:
    """Remove the least recently used simulators until the rest is within the limit."""
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
    """Remove a folder atomically, so that no other process sees a part of it."""
    with suppress(OSError), scratch.folder_in(folder.parent, "removing") as gone:
        folder.rename(gone / "folder")


def limit_in_bytes() -> int:
    """The limit of the cache in bytes."""
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
