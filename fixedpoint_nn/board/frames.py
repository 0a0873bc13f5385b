# SPDX-License-Identifier: MIT
"""The wire protocol of reference_rtl/board/host_link.v: requests, answers and their checksums as bytes.

    request   A5  tag command address[3] count[2]  crc[2]     WRITE and LOAD: then `count` words, and their crc[2]
    answer    5A  tag result  length[2]  `length` bytes  crc[2]

Numbers are sent lowest byte first, checksums highest byte first. An answer has its request's tag, so that a late answer
is recognised.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from enum import IntEnum

VERSION = 2
REQUEST, ANSWER = 0xA5, 0x5A
HEAD_BYTES = 5  # of an answer: its mark, tag, result and length
CHECKSUM_BYTES = 2


class Command(IntEnum):
    """The requests of a host."""

    IDENTIFY = 1  # version, parameters, clock, content
    STATUS = 2  # busy, done, overflow; cycles, mac_cycles, saturations, argmax
    RESET = 3  # aborts a run
    START = 4  # the seed replaces address and count
    READ = 5  # words of the activation memory
    WRITE = 6
    LOAD_PROGRAM = 8  # one memory word per word of the load port
    LOAD_WEIGHTS = 9
    LOAD_PARAMETERS = 10
    LOAD_TABLES = 11


class ResultCode(IntEnum):
    """The result codes of answers."""

    DONE = 0
    DAMAGED = 1  # a checksum is wrong
    CUT_SHORT = 2  # the line was silent in the middle
    BUSY = 3  # the engine is running, and did not take this
    UNKNOWN = 4  # no such command, or no words


def checksum(message: bytes) -> int:
    """CRC-16 with the polynomial x^16 + x^12 + x^5 + 1, initially FFFF; a message followed by its checksum has 0."""
    return binascii.crc_hqx(message, 0xFFFF)


def _sealed(message: bytes) -> bytes:
    return message + checksum(message).to_bytes(CHECKSUM_BYTES, "big")


def request(tag: int, command: Command, address: int = 0, count: int = 0, words: bytes = b"") -> bytes:
    """The bytes of a request; `words` are those of WRITE and LOAD."""
    head = bytes([tag, command]) + address.to_bytes(3, "little") + count.to_bytes(2, "little")
    return bytes([REQUEST]) + _sealed(head) + (_sealed(words) if words else b"")


def start_request(tag: int, seed: int) -> bytes:
    """The request that starts the program with a 32-bit seed."""
    return bytes([REQUEST]) + _sealed(bytes([tag, Command.START]) + seed.to_bytes(4, "little") + b"\0")


@dataclass(frozen=True)
class Answer:
    """A parsed answer."""

    tag: int
    result: int
    content: bytes


def answer(tag: int, result: int, content: bytes = b"") -> bytes:
    """The bytes of an answer, as the chip sends them."""
    return bytes([ANSWER]) + _sealed(bytes([tag, result]) + len(content).to_bytes(2, "little") + content)


def parse_answer(frame: bytes) -> Answer | None:
    """Parse a whole frame, from its mark to its checksum; None if it is damaged."""
    if frame[:1] != bytes([ANSWER]) or checksum(frame[1:]) != 0:
        return None
    return Answer(frame[1], frame[2], frame[HEAD_BYTES:-CHECKSUM_BYTES])


def content_length(head: bytes) -> int:
    """The number of content bytes between the head of an answer and its checksum."""
    return int.from_bytes(head[3:HEAD_BYTES], "little")
