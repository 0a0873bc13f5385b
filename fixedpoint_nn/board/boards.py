# SPDX-License-Identifier: MIT
"""Boards as data: one JSON file each, in this package or elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.board.families import FAMILIES, Family

SHIPPED = "supported"
SUFFIX = ".json"
DIVISORS = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Board:
    """A board: its chip with its resources, and the pins of a design."""

    name: str
    title: str
    family: str  # a key of FAMILIES
    part: str
    place: list[str]  # nextpnr's options for the chip
    clock: dict[str, Any]  # {"pin": ..., "mhz": ...}
    rx: str  # the pin that receives from the host
    tx: str
    leds: list[str]  # two: busy, done
    leds_light_at: int  # 0 or 1
    io: str  # the I/O standard of the pins, if the family has one
    baud: int
    block_memories: int  # of the chip, in the family's blocks
    multipliers: int
    write: str  # the command that writes the bitstream into the board
    pack: list[str] | None = None  # the packer's options for the chip
    divide: int = 1  # the pin's clock is divided by this power of two
    large_memories: int = 0  # of the iCE40: single-port memories without contents, 16,384 words of 16 bits
    luts: int = 0  # of the family's number of inputs; 0: unknown, and not checked

    @property
    def mhz(self) -> float:
        """The engine's clock in MHz."""
        return float(self.clock["mhz"]) / self.divide

    @property
    def hertz(self) -> int:
        """The engine's clock in Hz."""
        return round(self.mhz * 1e6)

    @property
    def chip(self) -> Family:
        """The chip's family."""
        return FAMILIES[self.family]


def names() -> list[str]:
    """The names of the boards in the package."""
    folder = files("fixedpoint_nn.board") / SHIPPED
    return sorted(
        entry.name.removesuffix(SUFFIX) for entry in folder.iterdir() if entry.name.endswith(SUFFIX)
    )


def find_board(name: str) -> Board:
    """A board by its name, or by the path of its JSON file; raises a sentence for an unknown one."""
    if name.endswith(SUFFIX):
        path = Path(name)
        try:
            return parse(path.read_text("utf-8"), path.stem, str(path))
        except OSError as error:
            raise BoardError(f"{path} cannot be read ({error.strerror}); give the file of a board") from None
    if name not in names():
        near = get_close_matches(name, names(), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"use {', '.join(names())}."
        raise BoardError(
            f"there is no board {name!r}; {hint} A board of your own is a file: --board mine.json"
        )
    return parse((files("fixedpoint_nn.board") / SHIPPED / f"{name}{SUFFIX}").read_text("utf-8"), name, name)


def parse(text: str, name: str, place: str) -> Board:
    """The board in a JSON text; raises ValueError that names what is missing or wrong."""
    try:
        about = json.loads(text)
    except ValueError as error:
        raise BoardError(f"{place} is no JSON: {error}") from None
    if not isinstance(about, dict):
        raise BoardError(
            f"{place} describes no board: it must be an object like those of the boards that are shipped"
        )
    known = {field.name: field for field in fields(Board) if field.name != "name"}
    for key in about:
        if key not in known:
            raise BoardError(f"{place} has {key!r}, which no board has; its keys are {', '.join(known)}")
    for key, field in known.items():
        if key not in about and field.default is MISSING:
            raise BoardError(
                f"{place} lacks {key!r}; copy the file of a board that is like it, and change that"
            )
    board = Board(name=name, **about)
    for key, holds, way_out in RULES:
        if not holds(board):
            raise BoardError(f"{place} has {key} = {getattr(board, key)!r}; {way_out}")
    return board


RULES: tuple[tuple[str, Callable[[Board], bool], str], ...] = (
    ("family", lambda board: board.family in FAMILIES, f"use {', '.join(FAMILIES)}"),
    ("clock", lambda board: {"pin", "mhz"} <= set(board.clock), 'use {"pin": "G2", "mhz": 25}'),
    ("leds", lambda board: len(board.leds) == 2, "name the pins of two, for busy and done"),
    ("leds_light_at", lambda board: board.leds_light_at in (0, 1), "use 0 or 1"),
    ("divide", lambda board: board.divide in DIVISORS, f"use {', '.join(map(str, DIVISORS))}"),
    (
        "baud",
        lambda board: board.baud > 0 and 4 <= board.hertz / board.baud <= 65535,
        "4 to 65,535 clocks must make a bit",
    ),
)
