# SPDX-License-Identifier: MIT
"""Programs that run side by side, and end together: none outlives the call that started it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from threading import Lock


class Processes:
    """Runs programs, in as many threads as there are; `stop` ends them all, and no further one starts."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def execute(self, command: Sequence[str]) -> tuple[str, int]:
        """What a program printed, and its exit status; an OSError if it does not start."""
        with self._lock:
            if self._stopped:
                return "stopped before it began", -1
            process = subprocess.Popen(
                command,
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
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()
