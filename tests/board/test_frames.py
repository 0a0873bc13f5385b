# SPDX-License-Identifier: MIT
"""The bytes of the wire protocol."""

from __future__ import annotations

import pytest

from fixedpoint_nn.board import frames
from fixedpoint_nn.board.frames import Command


def test_the_checksum_is_the_one_of_the_catalogue_of_crcs() -> None:
    assert frames.checksum(b"123456789") == 0x29B1  # CRC-16/IBM-3740


def test_a_message_with_its_checksum_behind_it_has_the_checksum_zero() -> None:
    request = frames.request(3, Command.WRITE, 0x123456, 2, b"\x01\x02\x03\x04")
    assert frames.checksum(request[1:10]) == 0
    assert frames.checksum(request[10:]) == 0


def test_a_request_names_tag_command_address_and_count_lowest_byte_first() -> None:
    head = frames.request(7, Command.READ, 0x123456, 0x0102)
    assert head[:8] == bytes([0xA5, 7, 5, 0x56, 0x34, 0x12, 0x02, 0x01])
    assert len(head) == 10


def test_a_start_carries_its_seed_in_place_of_the_address() -> None:
    assert frames.start_request(1, 0x89ABCDEF)[:8] == bytes([0xA5, 1, 4, 0xEF, 0xCD, 0xAB, 0x89, 0])


def test_an_answer_is_read_back_and_none_with_a_changed_bit_is() -> None:
    frame = frames.answer(9, 0, b"\x11\x22\x33")
    assert frames.parse_answer(frame) == frames.Answer(9, 0, b"\x11\x22\x33")
    for bit in range(8 * len(frame)):
        changed = bytearray(frame)
        changed[bit // 8] ^= 1 << bit % 8
        assert frames.parse_answer(bytes(changed)) is None


@pytest.mark.parametrize("length", [0, 1, 255, 256, 1024])
def test_the_head_of_an_answer_says_how_much_follows(length: int) -> None:
    frame = frames.answer(0, 0, bytes(length))
    assert frames.content_length(frame[: frames.HEAD_BYTES]) == length
