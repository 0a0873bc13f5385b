# SPDX-License-Identifier: MIT
"""A simulated board as a process behind a pseudo-terminal.

`uart_engine_tb.v` asks for a byte every ten bits of simulated time. While the board is idle the answer is delayed, so
that it uses no processor time: simulated time stands still until a byte comes, or a short time has passed.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.board.ports import SerialPort
from fixedpoint_nn.files.closing import Closing
from fixedpoint_nn.hardware.sim.processes import conversation

PATIENCE = 0.02  # seconds by which the answer to an idle board is delayed


class BoardProcess(Closing):
    """Runs `command` in `folder`, and calls `closing` at the end; `path` is the board's serial port until `close`."""

    def __init__(self, command: Sequence[str], folder: Path, closing: Callable[[], None]) -> None:
        if not hasattr(os, "openpty"):
            raise BoardError("a simulated board needs a pseudo-terminal, which this system does not have")
        import tty

        self._command, self._folder, self._closing = command, folder, closing
        self._closed = False
        self._running = ExitStack()
        self.said = ""  # output of the simulator, besides the protocol
        self._chip, self._host = os.openpty()
        tty.setraw(self._host)  # kept open, so that a line without a reader is no error
        self.path = os.ttyname(self._host)
        self._power_up()

    def power_cycle(self) -> None:
        """Restart the board: the memories have their built-in contents, and a request or run is dropped."""
        self._power_down()
        self._power_up()

    def close(self) -> None:
        """End the simulation; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._power_down()
            os.close(self._chip)
            os.close(self._host)
            self._closing()

    def _power_up(self) -> None:
        self._process = self._running.enter_context(conversation(self._command, self._folder))
        self._line = threading.Thread(target=self._carry, args=(self._process,), daemon=True)
        self._line.start()

    def _power_down(self) -> None:
        self._process.kill()
        self._line.join()  # before the pipes are closed, or it might read from reused file descriptors
        self._running.close()

    def _carry(self, process: subprocess.Popen[bytes]) -> None:
        """Transfer bytes between the pseudo-terminal and the bench, by the protocol in the bench's header."""
        assert process.stdin is not None and process.stdout is not None
        questions, answers = process.stdout.fileno(), process.stdin.fileno()
        waiting, text, said = b"", b"", b""
        with contextlib.suppress(OSError):
            while chunk := os.read(questions, 4096):
                text += chunk
                while text:
                    mark, text = text[:1], text[1:]
                    if mark == b"=":
                        while len(text) < 2:
                            text += os.read(questions, 4096) or b"--"
                        os.write(self._chip, bytes([int(text[:2], 16)]))
                        text = text[2:]
                    elif mark in b"-b":
                        if (
                            not waiting
                            and select.select([self._chip], [], [], PATIENCE if mark == b"-" else 0)[0]
                        ):
                            waiting = os.read(self._chip, 4096)
                        os.write(answers, b"%02x" % waiting[0] if waiting else b"--")
                        waiting = waiting[1:]
                    else:
                        said = (said + mark)[-2000:]
                        self.said = said.decode(errors="replace")


class SimulatedPort(SerialPort):
    """The serial port of a board that is simulated while the port is open."""

    def __init__(self, board: BoardProcess) -> None:
        self.board = board
        super().__init__(board.path)
        self.name = "the simulated board"

    def close(self) -> None:
        """Close the port, and end the simulation."""
        super().close()
        self.board.close()
