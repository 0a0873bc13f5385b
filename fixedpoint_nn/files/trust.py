# SPDX-License-Identifier: MIT
"""Whether another user can change what is in a folder.

To own the folder is not enough: the owner of a parent folder, or anyone who can write to one, can rename it and put
another in its place. So the whole path is checked, from the root down and through every link: each folder must belong
to root or this user and be writable by no one else; or be sticky (as /tmp), with the next entry owned by root or this
user.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

MOST_LINKS = 40  # on one path, as in Linux
OTHERS = stat.S_IWGRP | stat.S_IWOTH


def weakness(folder: Path, shared: bool = False) -> str:
    """The reason why another user could change the contents of `folder`; empty if only this user and root can.

    With `shared` the folder itself may be sticky and writable by all, such as /tmp.
    """
    if not hasattr(os, "geteuid"):  # Windows separates users' folders itself
        return "" if folder.is_dir() else f"{folder} is no folder"
    try:
        place, fault = _walked(Path.cwd() / folder)
        return fault or _of_the_last(place, shared)
    except OSError as error:
        return f"{error.filename or folder} cannot be used ({error.strerror})"


def make_private(folder: Path) -> None:
    """Create the folder and its missing parents, accessible by this user only."""
    for place in reversed((folder, *folder.parents)):
        if not place.exists():
            place.mkdir(mode=0o700, exist_ok=True)


def _walked(path: Path) -> tuple[Path, str]:
    """(folder that an absolute path resolves to, first weakness on the way)."""
    here, names, links = Path("/"), list(reversed(path.parts[1:])), 0
    while names:
        name = names.pop()
        if name == "..":
            here = here.parent
            continue
        entry = here / name
        fault = _of_an_entry(here, entry)
        if fault:
            return entry, fault
        if not entry.is_symlink():
            here = entry
            continue
        links += 1
        if links > MOST_LINKS:
            return entry, f"{entry} leads through more than {MOST_LINKS} links"
        target = Path(os.readlink(entry))
        if target.is_absolute():
            here, target = Path("/"), target.relative_to(target.anchor)
        names += reversed(target.parts)
    return here, ""


def _of_an_entry(folder: Path, entry: Path) -> str:
    """The reason why another user could replace this entry (a folder or a link); empty if none can."""
    around, about = folder.lstat(), entry.lstat()
    if not _trusted(around.st_uid):
        return f"{folder} belongs to another user (uid {around.st_uid})"
    if not around.st_mode & OTHERS:
        return ""
    if not around.st_mode & stat.S_ISVTX:
        return f"others can write to {folder}"
    return "" if _trusted(about.st_uid) else f"{entry} belongs to another user (uid {about.st_uid})"


def _of_the_last(folder: Path, shared: bool) -> str:
    """The reason why another user could add or remove files, or this user cannot; empty if all is well."""
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode):
        return f"{folder} is no folder"
    if about.st_uid != os.geteuid() and not (shared and _trusted(about.st_uid)):
        return f"{folder} belongs to another user (uid {about.st_uid})"
    if about.st_mode & OTHERS and not (shared and about.st_mode & stat.S_ISVTX):
        return f"others can write to {folder}"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"{folder} cannot be written to"


def _trusted(user: int) -> bool:
    return user in (0, os.geteuid())
