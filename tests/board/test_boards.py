# SPDX-License-Identifier: MIT
"""Boards as data: those that are shipped, one's own, and files that describe none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixedpoint_nn.board import BoardError
from fixedpoint_nn.board.boards import find_board, names

SHIPPED = Path(__file__).resolve().parents[2] / "fixedpoint_nn" / "board" / "supported"


def _mine(folder: Path, **changes: object) -> Path:
    about = json.loads((SHIPPED / "ulx3s.json").read_text())
    about |= changes
    path = folder / "mine.json"
    path.write_text(json.dumps({key: value for key, value in about.items() if value is not None}))
    return path


def test_five_boards_are_shipped() -> None:
    assert names() == ["arty-a7", "colorlight-i5", "icebreaker", "tangnano20k", "ulx3s"]
    assert {find_board(name).family for name in names()} == {"ecp5", "ice40", "gowin", "xc7"}


def test_a_board_of_ones_own_is_one_file(tmp_path: Path) -> None:
    board = find_board(str(_mine(tmp_path, title="mine", divide=2)))
    assert (board.name, board.title, board.mhz) == ("mine", "mine", 12.5)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rx": None}, "{path} lacks 'rx'; copy the file of a board that is like it, and change that"),
        ({"family": "max10"}, "{path} has family = 'max10'; use ecp5, ice40, gowin, xc7"),
        ({"divide": 3}, "{path} has divide = 3; use 1, 2, 4, 8, 16"),
        ({"baud": 25_000_000}, "{path} has baud = 25000000; 4 to 65,535 clocks must make a bit"),
        ({"leds": ["B2"]}, "{path} has leds = ['B2']; name the pins of two, for busy and done"),
        ({"clock": {"pin": "G2"}}, '{path} has clock = {{\'pin\': \'G2\'}}; use {{"pin": "G2", "mhz": 25}}'),
    ],
)
def test_a_file_that_describes_no_board_is_refused_by_its_key(
    tmp_path: Path, changes: dict[str, object], sentence: str
) -> None:
    path = _mine(tmp_path, **changes)
    with pytest.raises(BoardError) as error:
        find_board(str(path))
    assert str(error.value) == sentence.format(path=path)


def test_a_key_that_no_board_has_is_named(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="has 'colour', which no board has; its keys are title, family"):
        find_board(str(_mine(tmp_path, colour="red")))


def test_a_board_that_is_not_known_is_refused_with_those_that_are() -> None:
    with pytest.raises(BoardError) as error:
        find_board("ulx4s")
    assert str(error.value) == (
        "there is no board 'ulx4s'; did you mean 'ulx3s'? A board of your own is a file: --board mine.json"
    )
    with pytest.raises(BoardError) as error:
        find_board("basys")
    assert str(error.value) == (
        "there is no board 'basys'; use arty-a7, colorlight-i5, icebreaker, tangnano20k, ulx3s. A board of your own is "
        "a file: --board mine.json"
    )
    with pytest.raises(BoardError) as error:
        find_board("/nowhere/mine.json")
    assert str(error.value) == (
        "/nowhere/mine.json cannot be read (No such file or directory); give the file of a board"
    )
