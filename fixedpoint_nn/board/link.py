# SPDX-License-Identifier: MIT
"""`Link`: requests and answers over a line that may lose, corrupt or truncate bytes."""

from __future__ import annotations

import time
from collections.abc import Callable

from fixedpoint_nn.board import frames
from fixedpoint_nn.board.errors import BoardError, EngineBusy, NoAnswer
from fixedpoint_nn.board.frames import Command, ResultCode
from fixedpoint_nn.board.ports import ByteStream

CHUNK = 1024  # bytes of words in one request or answer
ANSWER_SECONDS = 1.0  # of silence until a timeout; the chip aborts a request after 0.1
QUIET_SECONDS = 0.05  # of silence after which a disturbed line counts as quiet
ATTEMPTS = 3  # to resynchronise
REFUSALS = {
    ResultCode.DAMAGED: "the request arrived damaged, and what it wrote is undefined; call again",
    ResultCode.CUT_SHORT: "a part of the request was lost, and what it wrote is undefined; call again",
    ResultCode.BUSY: "the engine is running; wait for it, or reset it",
    ResultCode.UNKNOWN: "it knows no such request; build the board again with this version",
}


class Link:
    """Sends requests to the chip; after a failure the next request first resynchronises."""

    def __init__(self, port: ByteStream, seconds: float) -> None:
        self.port, self.seconds = port, seconds
        self._tag, self._disturbed = 0, True

    def _ask(self, command: Command, address: int = 0, count: int = 0, words: bytes = b"") -> bytes:
        return self._send(command, lambda tag: frames.request(tag, command, address, count, words))

    def _send(self, command: Command, message: Callable[[int], bytes]) -> bytes:
        """Send a request, and return the content of its answer; after a failure the next call resynchronises."""
        if self._disturbed:
            self._recover(command)
        self._disturbed = True
        answer = self._exchange(command, message)
        self._disturbed = False
        if answer.result != ResultCode.DONE:
            error = EngineBusy if answer.result == ResultCode.BUSY else BoardError
            raise error(f"{self.port.name} refused {command.name}: {REFUSALS[ResultCode(answer.result)]}")
        return answer.content

    def _recover(self, wanted: Command) -> None:
        """Resynchronise: repeat a query, as the chip may take the first one for the rest of a truncated request."""
        failure: BoardError | None = None
        for _ in range(ATTEMPTS):
            self._let_the_line_fall_silent()
            try:
                answer = self._exchange(wanted, lambda tag: frames.request(tag, Command.STATUS))
            except BoardError as error:
                failure = error
                continue
            if answer.result == ResultCode.DONE:
                return
        raise failure or self._damaged(wanted)

    def _exchange(self, command: Command, message: Callable[[int], bytes]) -> frames.Answer:
        self._tag = (self._tag + 1) % 256
        self.port.write(message(self._tag))
        return self._answer(command)

    def _answer(self, command: Command) -> frames.Answer:
        """The answer with the request's tag, or to a damaged request; noise and late answers are skipped."""
        while True:
            mark = self._exactly(1, command)
            if mark[0] != frames.ANSWER:
                continue
            head = mark + self._exactly(frames.HEAD_BYTES - 1, command)
            length = frames.content_length(head)
            if length > CHUNK:
                raise self._damaged(command)
            rest = self._exactly(length + frames.CHECKSUM_BYTES, command)
            answer = frames.parse_answer(head + rest)
            if answer is None or answer.result not in set(ResultCode):
                raise self._damaged(command)
            if answer.tag == self._tag or answer.result in (ResultCode.DAMAGED, ResultCode.CUT_SHORT):
                return answer

    def _damaged(self, command: Command) -> BoardError:
        return BoardError(f"the answer of {self.port.name} to {command.name} is damaged; call again")

    def _exactly(self, count: int, command: Command) -> bytes:
        found = b""
        while len(found) < count:
            part = self.port.read(count - len(found), self.seconds)
            if not part:
                raise NoAnswer(
                    f"{self.port.name} did not answer {command.name} within {self.seconds:g} s; is the board on, and "
                    f"built with this design? Call again"
                )
            found += part
        return found

    def _let_the_line_fall_silent(self) -> None:
        end = time.monotonic() + self.seconds
        while self.port.read(CHUNK, QUIET_SECONDS):
            if time.monotonic() > end:
                raise BoardError(f"{self.port.name} sends without being asked; is this the board's port?")
