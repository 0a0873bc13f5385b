# SPDX-License-Identifier: MIT
"""Temporary folders, where no other user can exchange them."""

from __future__ import annotations

import atexit
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path

from fixedpoint_nn.files import abandoned
from fixedpoint_nn.files.trust import make_private, weakness
from fixedpoint_nn.files.whole import FULL

NAME = "fixedpoint_nn_run"
ROOM = 1 << 16  # bytes that must still fit
PLAIN = re.compile(r"[A-Za-z0-9_./+-]+")  # characters without a meaning to make, shells and simulators
_log = logging.getLogger(__name__)


class PlaceError(RuntimeError):
    """Raised if there is no usable place for temporary files."""


def place(plain: bool = False) -> Path:
    """The folder for temporary files: TMPDIR, else /tmp or /var/tmp; with `plain`, one whose path is `is_plain`."""
    usual, *others = dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp"))
    fault = weakness(Path(usual), shared=True)
    if not fault and (not plain or is_plain(usual)):
        return Path(usual)
    for other in others:
        if not weakness(Path(other), shared=True):
            if fault:
                warn_once(f"temporary files go to {other} and not to {usual}, because {fault}")
            return Path(other)
    why = fault or f"{usual} has letters in its path that simulators do not take"
    way = (
        "a folder with a plain name that only you can change"
        if plain
        else "a folder that only you can change"
    )
    raise PlaceError(f"{why}, and neither /tmp nor /var/tmp can be used; set TMPDIR to {way}")


def is_plain(path: str | Path) -> bool:
    """Whether the path has only characters without a meaning to make, shells and simulators."""
    return PLAIN.fullmatch(str(path)) is not None


@contextmanager
def folder(plain: bool = False) -> Iterator[Path]:
    """A context with a new temporary folder, removed at its end."""
    above = place(plain)
    try:
        with folder_in(above, NAME) as made:
            yield made
    except OSError as error:
        if error.errno in FULL and _is_about(error, above / NAME):
            raise PlaceError(no_room_in(above)) from error
        raise


def _is_about(error: OSError, start: Path) -> bool:
    """Whether the error is about a path that begins with `start`, or about none."""
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if name is not None]
    return not names or any(name.startswith(str(start)) for name in names)


@contextmanager
def folder_in(
    above: Path, name: str, needed: Callable[[Path], bool] = lambda folder: False
) -> Iterator[Path]:
    """A context with a new folder `above/name-...`, removed at its end unless it was renamed.

    Folders left by killed processes are removed first, unless they are `needed`.
    """
    abandoned.remove(above, name, needed)
    made, owner = Path(tempfile.mkdtemp(prefix=name + abandoned.BEGUN, dir=above)), os.getpid()
    held, hold = above / f"{name}{abandoned.HELD}{made.name[len(name) + 1 :]}", abandoned.hold(made)
    try:
        held = made.rename(held)  # only now, so that a folder of this name was always locked
        yield held
    finally:
        if os.getpid() == owner:  # not in a forked child
            for path in (made, held):
                shutil.rmtree(path, ignore_errors=True)
        abandoned.let_go(hold)


def demand_room(inside: Path) -> None:
    """Raise PlaceError if the disk is full, which not every program notices."""
    try:
        with tempfile.TemporaryFile(dir=inside) as file:
            file.write(bytes(ROOM))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno in FULL:
            raise PlaceError(no_room_in(inside.parent)) from error
        raise


def no_room_in(above: Path) -> str:
    """The message for a full disk."""
    return f"there is no room for temporary files in {above}; make room there, or set TMPDIR to another place"


@cache
def of_this_process() -> Path:
    """A folder with an unpredictable name, removed when the process ends."""
    until_the_end = ExitStack()
    atexit.register(until_the_end.close)
    return until_the_end.enter_context(folder())


@cache
def warn_once(sentence: str) -> None:
    """Log a warning once; on stderr, unless logging is configured otherwise."""
    _log.warning(sentence)


def unless_weak(usual: Path, holds: str, variable: str) -> Path:
    """The folder `usual`, created if missing; if others can change it, a folder of this process, with a warning.

    `holds` is its purpose, `variable` the environment variable that selects another folder, both for the message.
    """
    with suppress(OSError):  # the weakness then has the reason
        make_private(usual)
    fault = weakness(usual)
    return instead_of(usual, fault, holds, variable) if fault else usual


def instead_of(usual: str | Path, fault: str, holds: str, variable: str) -> Path:
    """The folder of this process, with a warning about `fault`."""
    instead = of_this_process()
    warn_once(
        f"{usual} is not used for {holds}, because {fault}: they go to {instead} and are lost when this process ends; "
        f"set {variable} to a place that only you can change"
    )
    return instead
