# SPDX-License-Identifier: MIT
"""A shell that ends external programs when this process is gone, however it went.

`kill -9` leaves a process no time to end what it has started, and a compiler has children of its own. So every program
runs in a session of its own, and a shell beside this process knows their numbers from a pipe: `+ 123` when one starts,
`- 123` when it has ended. The pipe closes with this process, and the shell kills the sessions that are left. A program
is started by a shell, too, which says its number and then becomes the program: so there is no instant at which it runs
unknown. Windows has no such shell; there a program runs as it is.
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
    """The shell, and the end of the pipe that keeps it waiting."""

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
        """Let the guard go, and wait until it has ended."""
        os.close(self.pipe)
        self.shell.wait()


def guarded(command: Sequence[str], reads: str = os.devnull) -> tuple[Sequence[str], int]:
    """The command that says its number and becomes this one, and the pipe that has to be its stdin until then."""
    return (SHELL, "-c", BECOME, SHELL, reads, *command), _here().pipe


def ended(number: int) -> None:
    """The program of this number is gone, and another one may get the number."""
    with _lock:
        if _guard is not None:
            with suppress(BrokenPipeError):
                os.write(_guard.pipe, f"- {number}\n".encode())


def end_with_make() -> None:
    """If `make` has started this process, end it (and so its programs) with `make`, which may be killed, too."""
    if "MAKELEVEL" in os.environ and AVAILABLE:
        Thread(target=_end_without, args=(os.getppid(),), daemon=True).start()


def _end_without(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _here() -> Guard:
    """The guard of this process; another one if somebody has killed it."""
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
    """A child that was forked has no programs yet, and must not keep the guard of its parent waiting."""
    global _guard, _lock
    _lock = Lock()
    if _guard is not None:
        atexit.unregister(_guard.close)
        os.close(_guard.pipe)
        _guard.shell.returncode = 0  # it is the parent's child, not ours
        _guard = None


if AVAILABLE:
    os.register_at_fork(after_in_child=_forget)
