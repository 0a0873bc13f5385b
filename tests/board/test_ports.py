# SPDX-License-Identifier: MIT
"""A real serial port, as far as a pseudo-terminal is one."""

from __future__ import annotations

import os
import tty

import pytest

from fixedpoint_nn.board import BoardError, SerialPort


@pytest.fixture
def ends() -> tuple[int, int]:
    """The board's end of a line, and the host's."""
    board, host = os.openpty()
    tty.setraw(host)
    return board, host


def test_bytes_go_both_ways_unchanged(ends: tuple[int, int]) -> None:
    board, host = ends
    port = SerialPort(os.ttyname(host))
    everything = bytes(range(256))
    port.write(everything)
    assert os.read(board, 1000) == everything
    os.write(board, everything)
    heard = b""
    while len(heard) < 256:
        heard += port.read(256, 5.0)
    assert heard == everything
    assert port.read(10, 0.01) == b""
    port.close()
    os.close(board)
    os.close(host)


def test_a_pulled_cable_is_a_sentence_and_the_next_call_opens_the_port_again(ends: tuple[int, int]) -> None:
    board, host = ends
    name = os.ttyname(host)
    port = SerialPort(name)
    os.close(board)
    os.close(host)
    with pytest.raises(BoardError) as error:
        port.read(1, 1.0)
    text = str(error.value)
    assert text.startswith(f"the line to {name} broke off (")
    assert text.endswith("); plug the cable in and call again") and "\n" not in text
    with pytest.raises(BoardError, match="cannot be opened"):
        port.write(b"x")
