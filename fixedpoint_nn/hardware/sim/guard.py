# SPDX-License-Identifier: MIT
"""A guard shell that kills external programs when this process ends in any way.

A process killed by `kill -9` cannot end its children, and a compiler has children of its own. So every program runs in
its own session, and a guard shell learns the session ids from a pipe: `+ 123` when one starts, `- 123` when it has
ended. When this process ends, the pipe closes, and the guard kills the remaining sessions. A program is itself started
by a shell, which reports its id and then `exec`s the program, so that it never runs unregistered. On Windows there is
no such shell, and programs run unguarded.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from threading import Lock, Thread

SHELL = "/bin/sh"
AVAILABLE = os.name == "posix"
WATCH = """
trap '' HUP INT QUIT TERM
left=' '
while read -r sign number; do
    case $sign in
        +) left="$left$number " ;;
        -) left="${left%% $number *} ${left#* $number }" ;;
    esac
done
for number in $left; do kill -s KILL -- "-$number"; done
"""
BECOME = 'echo "+ $$" >&0 && input=$1 && shift && exec "$@" <"$input"'  # stdin is the pipe until then

_lock = Lock()
_guard: Guard | None = None


class Guard:
    """The guard shell, and the write end of its pipe."""

    def __init__(self) -> None:
        reading, self.pipe = os.pipe()
        try:
            self.shell = subprocess.Popen(
                [SHELL, "-c", WATCH],
                cwd="/",
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except BaseException:
            os.close(self.pipe)
            raise
        finally:
            os.close(reading)

    def close(self) -> None:
        """Close the pipe, and wait for the guard to end."""
        os.close(self.pipe)
        self.shell.wait()


def guarded(command: Sequence[str], reads: str = os.devnull) -> tuple[Sequence[str], int]:
    """(command that registers and then becomes this command, file descriptor of the pipe for its stdin)."""
    return (SHELL, "-c", BECOME, SHELL, reads, *command), _here().pipe


def ended(number: int) -> None:
    """Unregister a process id whose program has ended."""
    with _lock:
        if _guard is not None:
            with suppress(BrokenPipeError):
                os.write(_guard.pipe, f"- {number}\n".encode())


def end_with_make() -> None:
    """If `make` started this process, end it when `make` ends."""
    if "MAKELEVEL" in os.environ and AVAILABLE:
        Thread(target=_end_without, args=(os.getppid(),), daemon=True).start()


def _end_without(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _here() -> Guard:
    """The guard of this process; a new one if it was killed."""
    global _guard
    with _lock:
        if _guard is not None and _guard.shell.poll() is not None:
            atexit.unregister(_guard.close)
            os.close(_guard.pipe)
            _guard = None
        if _guard is None:
            _guard = Guard()
            atexit.register(_guard.close)
        return _guard


def _forget() -> None:
    """In a forked child: drop the parent's guard, so that the child does not keep its pipe open."""
    global _guard, _lock
    _lock = Lock()
    if _guard is not None:
        atexit.unregister(_guard.close)
        os.close(_guard.pipe)
        _guard.shell.returncode = 0  # it is the parent's child, not ours
        _guard = None


if AVAILABLE:
    os.register_at_fork(after_in_child=_forget)
