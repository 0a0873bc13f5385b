# SPDX-License-Identifier: MIT
"""Running external programs (simulators, compilers, synthesis) so that none outlives the call that started it.

A program and its children are killed on a timeout, when the call is interrupted, and when this process is killed
(`guard.py`).
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
    """Runs programs, from any number of threads; `stop` kills them all and prevents further ones."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: set[Process] = set()
        self._stopped = False

    def execute(
        self, command: Sequence[str], folder: Path | None = None, timeout: float | None = None
    ) -> tuple[str, int]:
        """Run a command in `folder`; returns (output, exit status).

        Raises OSError if it does not start, and subprocess.TimeoutExpired after `timeout` seconds.
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
        """Kill the running processes, and start no more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                _kill(process)


@contextmanager
def conversation(command: Sequence[str], folder: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A context with a running program and its unbuffered pipes `stdin` and `stdout`; its end kills the program."""
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
    """Raise OSError if there is no such program, instead of the shell's own message."""
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
    """The folder for a program's temporary files, without blanks: Icarus passes their names to a shell unquoted."""
    return folder if folder is not None and scratch.is_plain(folder) else scratch.place(plain=True)


def _kill(process: subprocess.Popen[Any]) -> None:
    """Kill the program's process group, even if the program itself has ended."""
    if process.returncode is not None:
        return
    if not guard.AVAILABLE:
        process.kill()
        return
    with suppress(ProcessLookupError, PermissionError):  # macOS's answer for a group that has ended
        os.killpg(process.pid, signal.SIGKILL)
