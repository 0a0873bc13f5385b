# SPDX-License-Identifier: MIT
"""Temporary folders, in a place where nobody else can exchange them."""

from __future__ import annotations

import atexit
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from fixedpoint_nn.files.trust import make_private, weakness

PREFIX = "fixedpoint_nn-"
PLAIN = re.compile(r"[A-Za-z0-9_./+-]+")  # letters that make, a shell and a simulator leave alone
_log = logging.getLogger(__name__)


class PlaceError(RuntimeError):
    """There is no place for temporary files; the message is one sentence."""


def place(plain: bool = False) -> Path:
    """Where temporary files go: TMPDIR, else /tmp or /var/tmp. `plain`: a place with only plain letters in its path."""
    usual, *others = dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp"))
    fault = weakness(Path(usual), shared=True)
    if not fault and not (plain and not PLAIN.fullmatch(usual)):
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


@contextmanager
def folder(plain: bool = False) -> Iterator[Path]:
    """A new folder that goes at the end of the block."""
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=place(plain)) as name:
        yield Path(name)


@cache
def of_this_process() -> Path:
    """A folder with a name that nobody can know beforehand; it goes with the process."""
    made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place()))
    owner = os.getpid()

    def clean() -> None:
        if os.getpid() == owner:  # and not a child of it
            shutil.rmtree(made, ignore_errors=True)

    atexit.register(clean)
    return made


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
