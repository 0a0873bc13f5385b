# SPDX-License-Identifier: MIT
"""Atomic exchange of two folders, if the system supports it: Linux's renameat2, macOS's renamex_np."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # Linux
RENAME_SWAP = 2  # macOS
CANNOT = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EXDEV, errno.EPERM)  # by system or file system


def exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two folders; returns False, without any change, if that is not supported."""
    call = _call()
    if call is None or call(os.fsencode(one), os.fsencode(other)) == 0:
        return call is not None
    number = ctypes.get_errno()
    if number in CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))


@cache
def _call() -> Any:
    """The system's function of two paths, if any."""
    system = platform.system()
    if system not in ("Linux", "Darwin"):
        return None
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if system == "Linux":
            function = library.renameat2
            function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
            return lambda one, other: function(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE)
        function = library.renamex_np
        function.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint)
        return lambda one, other: function(one, other, RENAME_SWAP)
    except (OSError, AttributeError):  # an old C library
        return None
