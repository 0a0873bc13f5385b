# SPDX-License-Identifier: MIT
"""Atomic writes: files are written beside their place, then renamed.

So a full disk, an error or a killed process leaves the old file.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

FULL = (
    errno.ENOSPC,
    errno.EFBIG,
    getattr(errno, "EDQUOT", errno.ENOSPC),
)  # of a full disk, or a limit
STALE = 3600  # seconds without a write after which a file was left by a killed process


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write text (as UTF-8) or bytes to a file, atomically.

    Bytes of paths that are not UTF-8 are escaped as in JSON.
    """
    with whole(path) as beside:
        beside.write_bytes(content.encode(errors="backslashreplace") if isinstance(content, str) else content)


@contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A context with a path beside `path` to write to; at its end that file replaces `path`.

    A symbolic link stays, and the file that it refers to is replaced; a device or pipe is written directly.
    """
    target = Path(os.path.realpath(path))
    takes_over = target.is_file() or not target.exists()
    beside = target.with_name(f"{_start(target)}{token_hex(4)}{target.suffix}") if takes_over else target
    _remove_stale(target)
    try:
        yield beside
        if takes_over:
            _take_over(beside, target)
    except OSError as error:
        ours = error.filename is None or str(beside) in (error.filename, error.filename2)
        if error.errno is not None and ours:  # the temporary name would not help the user
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        if takes_over:
            beside.unlink(missing_ok=True)


def _take_over(beside: Path, target: Path) -> None:
    with beside.open("rb+") as file:
        os.fsync(file.fileno())
    with suppress(FileNotFoundError):
        beside.chmod(target.stat().st_mode & 0o7777)
    beside.replace(target)


def _start(target: Path) -> str:
    return f".{target.name[:50]}.part-"


def _remove_stale(target: Path) -> None:
    with suppress(OSError):
        for entry in os.scandir(target.parent):
            if entry.name.startswith(_start(target)):
                with suppress(OSError):
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE:
                        os.unlink(entry.path)
