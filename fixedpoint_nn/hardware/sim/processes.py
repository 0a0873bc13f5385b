# SPDX-License-Identifier: MIT
"""External programs (simulators, compilers, synthesis), side by side; none outlives the call that started it.

A program ends with all of its children when it takes too long, when the call is interrupted, and when this process is
killed and can end nothing itself (`guard.py`).
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

from fixedpoint_nn.files import scratch
from fixedpoint_nn.hardware.sim import guard

Process = subprocess.Popen[str]


class Processes:
    """Runs programs, in as many threads as there are; `stop` ends them all, and no further one starts."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: set[Process] = set()
        self._stopped = False

    def execute(
        self, command: Sequence[str], folder: Path | None = None, timeout: float | None = None
    ) -> tuple[str, int]:
        """What a program that runs in `folder` printed, and its exit status; an OSError if it does not start.

        After `timeout` seconds it is ended, and subprocess.TimeoutExpired raised.
        """
        with self._lock:
            if self._stopped:
                return "stopped before it began", -1
            process = _start(command, folder)
            self._running.add(process)
        try:
            text, _ = process.communicate(timeout=timeout)
        except BaseException:
            _kill(process)
            process.communicate()
            raise
        finally:
            with self._lock:
                self._running.discard(process)
            if guard.AVAILABLE:
                guard.ended(process.pid)
        return text, process.returncode

    def stop(self) -> None:
        """Kill the processes that are running, and start no more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                _kill(process)


@contextmanager
def conversation(command: Sequence[str], folder: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A program that is talked to by the pipes `stdin` and `stdout`, without buffers; the end of the block ends it."""
    _demand(command)
    if guard.AVAILABLE:
        reading, writing = os.pipe()
        guarded, pipe = guard.guarded(command, f"/dev/fd/{reading}")
        try:
            process = _popen(guarded, folder, pipe, text=False, bufsize=0, pass_fds=(reading,))
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        process.stdin = os.fdopen(writing, "wb", buffering=0)
    else:
        process = _popen(command, folder, subprocess.PIPE, text=False, bufsize=0)
    try:
        with process:
            try:
                yield process
            finally:
                _kill(process)
    finally:
        if guard.AVAILABLE:
            guard.ended(process.pid)


def _start(command: Sequence[str], folder: Path | None) -> Process:
    _demand(command)
    guarded, stdin = guard.guarded(command) if guard.AVAILABLE else (command, subprocess.DEVNULL)
    process: Process = _popen(guarded, folder, stdin, text=True, errors="replace")
    return process


def _demand(command: Sequence[str]) -> None:
    """An OSError if there is no such program: the guard's shell would say so in words of its own."""
    if shutil.which(command[0]) is None:
        reason = errno.EACCES if os.path.exists(command[0]) else errno.ENOENT
        raise OSError(reason, os.strerror(reason), command[0])


def _popen(command: Sequence[str], folder: Path | None, stdin: int, **more: Any) -> Any:
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "TMPDIR": str(_temporary(folder))},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=guard.AVAILABLE,
        **more,
    )


def _temporary(folder: Path | None) -> Path:
    """Where a program puts temporary files of its own: Icarus hands their names to a shell, without quotation marks."""
    return folder if folder is not None and scratch.is_plain(folder) else scratch.place(plain=True)


def _kill(process: subprocess.Popen[Any]) -> None:
    """The program and all that it has started, also where itself has ended: nobody has waited for it yet."""
    if process.returncode is not None:
        return
    if not guard.AVAILABLE:
        process.kill()
        return
    with suppress(ProcessLookupError, PermissionError):  # macOS's answer for a group that has ended
        os.killpg(process.pid, signal.SIGKILL)
