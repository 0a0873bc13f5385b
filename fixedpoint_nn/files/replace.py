# SPDX-License-Identifier: MIT
"""A folder takes the place of another one; whoever looks, at any instant, finds the old one or the new one, whole.

Where the system exchanges two names in one step (`exchange.py`), that is all. Elsewhere the old folder has to go before
the new one can come, and a process can be killed in between. The scratch folder beside the place is the journal then:
it holds the new folder as `new` until that is in its place, and the old one as `old` once it has left. So whoever finds
the place empty, and both in a scratch folder, does what is left to do (`heal`), reader or writer. No step needs a lock:
who takes the old folder away has a whole new one in its scratch folder, which leaves that only for the place.
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
LONGEST = 50  # letters, which may be four bytes each, of the 255 that a name may have
OCCUPIED = (
    (errno.ENOTEMPTY, errno.EEXIST, errno.EACCES) if os.name == "nt" else (errno.ENOTEMPTY, errno.EEXIST)
)


@contextmanager
def replaced(place: Path) -> Iterator[Path]:
    """An empty folder for the block to fill; at the end it takes the place of `place`, or, after an error, goes.

    A link stays, and the folder that it leads to is replaced.
    """
    place = Path(os.path.realpath(place))
    heal(place)
    with scratch.folder_in(place.parent, _name(place), lambda left: _is_needed(left, place)) as journal:
        new = journal / NEW
        new.mkdir()
        yield new
        if place.exists():  # the old folder goes only when the new one is on the disk
            _synchronise(new)
        _take_over(journal, place)


def _synchronise(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb+" if os.name == "nt" else "rb") as file:
                os.fsync(file.fileno())


def heal(place: Path) -> None:
    """Finish a replacement whose writer was killed in the middle."""
    place = Path(os.path.realpath(place))
    if place.exists():
        return
    for journal in abandoned.made_as(place.parent, _name(place)):
        if _is_needed(journal, place):
            with suppress(OSError):  # another process was faster
                (journal / NEW).rename(place)


def _name(place: Path) -> str:
    """Of its journals: short enough that something can follow, and another one for each place."""
    name = place.name
    return (
        f".{name}"
        if len(name) <= LONGEST
        else f".{name[:LONGEST]}{sha256(os.fsencode(name)).hexdigest()[:8]}"
    )


def _is_needed(journal: Path, place: Path) -> bool:
    """Has its writer been stopped between the two renames?"""
    return (journal / OLD).exists() and (journal / NEW).exists() and not place.exists()


def _take_over(journal: Path, place: Path) -> None:
    """Whatever other processes do there; what was there ends in the journal."""
    new, old = journal / NEW, journal / OLD
    while new.exists():  # else somebody has healed what we were about to do
        with suppress(FileNotFoundError):  # somebody was faster, in one way or the other
            if _taken(new, place) or exchange(new, place):
                return
            shutil.rmtree(old, ignore_errors=True)
            place.rename(old)
            try:
                _taken(new, place)
            except BaseException:
                if not place.exists():
                    old.rename(place)
                raise


def _taken(new: Path, place: Path) -> bool:
    """Take the place, if nothing is there."""
    try:
        new.rename(place)
    except OSError as error:
        if error.errno not in OCCUPIED:
            raise
        return False
    return True
