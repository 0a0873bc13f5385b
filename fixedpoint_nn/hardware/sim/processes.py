# SPDX-License-Identifier: MIT
"""Programs that run side by side, and end together: none outlives the call that started it.

On Linux the kernel ends them, too, when this process is killed and can end nothing itself (`kill -9`).
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

PR_SET_PDEATHSIG = 1  # of Linux's prctl


def _end_with_parent() -> Callable[[], None] | None:
    """For `preexec_fn`: the child asks Linux's kernel to be killed when its parent dies. Elsewhere: nothing."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return None
    parent = os.getpid()

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has died meanwhile
            os._exit(1)

    return ask


class Processes:
    """Runs programs, in as many threads as there are; `stop` ends them all, and no further one starts."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def execute(self, command: Sequence[str], folder: Path | None = None) -> tuple[str, int]:
        """What a program that runs in `folder` printed, and its exit status; an OSError if it does not start."""
        with self._lock:
            if self._stopped:
                return "stopped before it began", -1
            process = subprocess.Popen(
                command,
                cwd=folder,
                preexec_fn=_end_with_parent(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
            self._running.add(process)
        try:
            with process:
                text, _ = process.communicate()
        except BaseException:
            process.kill()
            raise
        finally:
            with self._lock:
                self._running.discard(process)
        return text, process.returncode

    def stop(self) -> None:
        """Kill the processes that are running, and start no more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()
