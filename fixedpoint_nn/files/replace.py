# SPDX-License-Identifier: MIT
"""Atomic replacement of a folder: a reader finds the whole old folder or the whole new one.

If the system can exchange two names in one step (`exchange.py`), that suffices. Otherwise the old folder must be
renamed before the new one, and a process can be killed in between. Then the scratch folder beside the place is a
journal: it holds the new folder as `new` until it is in place, and the old one as `old` after its removal. A reader or
writer that finds the place empty and both in a scratch folder completes the replacement (`heal`). No step needs a
lock: a process that removes the old folder has a whole new one in its scratch folder, which leaves that only for the
place.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from fixedpoint_nn.files import abandoned, scratch
from fixedpoint_nn.files.exchange import exchange

NEW, OLD = "new", "old"
LONGEST = 50  # characters of up to four bytes each; a name may have 255 bytes
OCCUPIED = (
    (errno.ENOTEMPTY, errno.EEXIST, errno.EACCES) if os.name == "nt" else (errno.ENOTEMPTY, errno.EEXIST)
)


@contextmanager
def replaced(place: Path) -> Iterator[Path]:
    """A context with an empty folder to fill; at its end the folder replaces `place`, or is removed after an error.

    A symbolic link stays, and the folder that it refers to is replaced.
    """
    place = Path(os.path.realpath(place))
    heal(place)
    with scratch.folder_in(place.parent, _name(place), lambda left: _is_needed(left, place)) as journal:
        new = journal / NEW
        new.mkdir()
        yield new
        if place.exists():  # the old folder is removed only when the new one is on the disk
            _synchronise(new)
        _take_over(journal, place)


def _synchronise(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb+" if os.name == "nt" else "rb") as file:
                os.fsync(file.fileno())


def heal(place: Path) -> None:
    """Complete a replacement whose writer was killed."""
    place = Path(os.path.realpath(place))
    if place.exists():
        return
    for journal in abandoned.made_as(place.parent, _name(place)):
        if _is_needed(journal, place):
            with suppress(OSError):  # another process did it
                (journal / NEW).rename(place)


def _name(place: Path) -> str:
    """The name prefix of a place's journals: short, and unique for each place."""
    name = place.name
    return (
        f".{name}"
        if len(name) <= LONGEST
        else f".{name[:LONGEST]}{sha256(os.fsencode(name)).hexdigest()[:8]}"
    )


def _is_needed(journal: Path, place: Path) -> bool:
    """Whether its writer was killed between the two renames."""
    return (journal / OLD).exists() and (journal / NEW).exists() and not place.exists()


def _take_over(journal: Path, place: Path) -> None:
    """Put the new folder in place in spite of concurrent processes; the old one ends in the journal."""
    new, old = journal / NEW, journal / OLD
    while new.exists():  # else another process has completed it
        with suppress(FileNotFoundError):  # another process was faster
            if _renamed_if_free(new, place) or exchange(new, place):
                return
            shutil.rmtree(old, ignore_errors=True)
            place.rename(old)
            try:
                _renamed_if_free(new, place)
            except BaseException:
                if not place.exists():
                    old.rename(place)
                raise


def _renamed_if_free(new: Path, place: Path) -> bool:
    """Rename `new` to `place` if nothing is there; returns whether it was."""
    try:
        new.rename(place)
    except OSError as error:
        if error.errno not in OCCUPIED:
            raise
        return False
    return True
