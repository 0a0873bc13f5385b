# SPDX-License-Identifier: MIT
"""Temporary folders, in a place where nobody else can exchange them."""

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
ROOM = 1 << 16  # bytes that still fit where what was written before has fitted
PLAIN = re.compile(r"[A-Za-z0-9_./+-]+")  # letters that make, a shell and a simulator leave alone
_log = logging.getLogger(__name__)


class PlaceError(RuntimeError):
    """There is no place for temporary files; the message is one sentence."""


def place(plain: bool = False) -> Path:
    """Where temporary files go: TMPDIR, else /tmp or /var/tmp. `plain`: a place with only plain letters in its path."""
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
    """Has the path only letters that make, a shell and a simulator leave alone?"""
    return PLAIN.fullmatch(str(path)) is not None


@contextmanager
def folder(plain: bool = False) -> Iterator[Path]:
    """A new folder for temporary files that goes at the end of the block."""
    above = place(plain)
    try:
        with folder_in(above, NAME) as made:
            yield made
    except OSError as error:
        if error.errno in FULL and _is_about(error, above / NAME):
            raise PlaceError(no_room_in(above)) from error
        raise


def _is_about(error: OSError, start: Path) -> bool:
    """Names it a file whose path starts so, or none at all?"""
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if name is not None]
    return not names or any(name.startswith(str(start)) for name in names)


@contextmanager
def folder_in(
    above: Path, name: str, needed: Callable[[Path], bool] = lambda folder: False
) -> Iterator[Path]:
    """A new folder `above/name-...`; unless the block renames it, it goes at the end of the block.

    A process that is killed leaves its folders: those that nobody holds any more go first, unless they are `needed`.
    """
    abandoned.remove(above, name, needed)
    made, owner = Path(tempfile.mkdtemp(prefix=name + abandoned.BEGUN, dir=above)), os.getpid()
    held, hold = above / f"{name}{abandoned.HELD}{made.name[len(name) + 1 :]}", abandoned.hold(made)
    try:
        held = made.rename(held)  # only now, so that a folder with this name is one that has been held
        yield held
    finally:
        if os.getpid() == owner:  # and not a child of it
            for path in (made, held):
                shutil.rmtree(path, ignore_errors=True)
        abandoned.let_go(hold)


def demand_room(inside: Path) -> None:
    """A PlaceError if the disk is full: not every program notices that what it wrote was not kept."""
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
    """The sentence about a place that is full."""
    return f"there is no room for temporary files in {above}; make room there, or set TMPDIR to another place"


@cache
def of_this_process() -> Path:
    """A folder with a name that nobody can know beforehand; it goes with the process."""
    until_the_end = ExitStack()
    atexit.register(until_the_end.close)
    return until_the_end.enter_context(folder())


@cache
def warn_once(sentence: str) -> None:
    """One line on stderr, unless the program has set up its logging otherwise."""
    _log.warning(sentence)


def unless_weak(usual: Path, holds: str, variable: str) -> Path:
    """The folder `usual`, made if it is missing; where others could change it, one of this process, with a warning.

    `holds` says what it is for, `variable` names the environment variable that chooses another one.
    """
    with suppress(OSError):  # then the folder's weakness says why
        make_private(usual)
    fault = weakness(usual)
    return instead_of(usual, fault, holds, variable) if fault else usual


def instead_of(usual: str | Path, fault: str, holds: str, variable: str) -> Path:
    """The folder of this process, with a warning that says why."""
    instead = of_this_process()
    warn_once(
        f"{usual} is not used for {holds}, because {fault}: they go to {instead} and are lost when this process ends; "
        f"set {variable} to a place that only you can change"
    )
    return instead
