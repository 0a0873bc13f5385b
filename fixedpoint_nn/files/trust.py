# SPDX-License-Identifier: MIT
"""Can somebody else change what lies in a folder?

A folder of ours is not enough: who owns a folder above it, or may write to one, can rename ours and put another in its
place. So the whole path is walked, from the root down and through every link: each folder on it belongs to root or to
us, and is writable by nobody else; or it is sticky (as /tmp), and what we take from it belongs to root or to us.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

MOST_LINKS = 40  # on one path; Linux's own limit
OTHERS = stat.S_IWGRP | stat.S_IWOTH


def weakness(folder: Path, shared: bool = False) -> str:
    """Why somebody else could change what lies in `folder`; nothing if only this user and root can.

    `shared`: the folder itself may be one such as /tmp, in which everyone has entries of their own.
    """
    if not hasattr(os, "geteuid"):  # Windows keeps a user's folders apart by itself
        return "" if folder.is_dir() else f"{folder} is no folder"
    try:
        place, fault = _walked(Path.cwd() / folder)
        return fault or _of_the_last(place, shared)
    except OSError as error:
        return f"{error.filename or folder} cannot be used ({error.strerror})"


def make_private(folder: Path) -> None:
    """The folder and those above it, as far as they are missing, for this user alone."""
    for place in reversed((folder, *folder.parents)):
        if not place.exists():
            place.mkdir(mode=0o700, exist_ok=True)


def _walked(path: Path) -> tuple[Path, str]:
    """The folder to which an absolute path leads, link after link; and the first weakness on the way."""
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
    """Could another user put something else in the place of this entry (a folder or a link)?"""
    around, about = folder.lstat(), entry.lstat()
    if not _trusted(around.st_uid):
        return f"{folder} belongs to another user (uid {around.st_uid})"
    if not around.st_mode & OTHERS:
        return ""
    if not around.st_mode & stat.S_ISVTX:
        return f"others can write to {folder}"
    return "" if _trusted(about.st_uid) else f"{entry} belongs to another user (uid {about.st_uid})"


def _of_the_last(folder: Path, shared: bool) -> str:
    """Could another user put a file into it, or take one away; and can this user?"""
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
