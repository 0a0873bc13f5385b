# SPDX-License-Identifier: MIT
"""A process that is killed at one step after the other of what it does to the file system."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

STEPS = {
    "open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.scandir", "os.listdir", "os.chmod", "os.utime",
    "fcntl.flock", "shutil.rmtree", "tempfile.mkdtemp", "exchanged",
}  # fmt: skip


def killed_at(step: int, act: Callable[[], object]) -> bool:
    """Whether a child that calls `act` was killed just before its step of this number; else it has done all of it."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert status in (0, signal.SIGKILL), status
        return status == signal.SIGKILL
    seen = 0

    def hook(event: str, _: object) -> None:
        nonlocal seen
        if event in STEPS:
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)

    status = 1
    try:
        sys.addaudithook(hook)
        act()
        status = 0
    finally:
        os._exit(status)
