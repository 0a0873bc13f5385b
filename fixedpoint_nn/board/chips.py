# SPDX-License-Identifier: MIT
"""Resource budgets: of a chip, of a board, or given as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from fixedpoint_nn.board import boards
from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.board.families import FAMILIES, Family

# The board with each chip.
CHIPS_OF_BOARDS = {
    "xc7a35t": "arty-a7",
    "lfe5u-25f": "colorlight-i5",
    "lfe5u-85f": "ulx3s",
    "ice40up5k": "icebreaker",
    "gw2ar-18": "tangnano20k",
}


@dataclass(frozen=True)
class Budget:
    """The available LUTs, multipliers and block memories, and the clock in MHz."""

    name: str
    part: str
    family: str  # a key of FAMILIES
    block_memories: int  # in the family's blocks
    multipliers: int
    luts: int  # 0: unknown, and not checked
    mhz: float
    clock: str  # where the clock comes from
    large_memories: int = 0  # of the iCE40

    @property
    def chip(self) -> Family:
        """The chip's family."""
        return FAMILIES[self.family]


# arty-a7 is sold with this chip, too.
LARGER_ARTY = Budget("xc7a100t", "xc7a100t", "xc7", 270, 240, 63400, 50.0, "the clock of arty-a7")


def chips() -> dict[str, Budget]:
    """The known chips, by name."""
    found = {name: _of_board(boards.find_board(board), name) for name, board in CHIPS_OF_BOARDS.items()}
    return dict(sorted((found | {LARGER_ARTY.name: LARGER_ARTY}).items()))


def find_budget(name: str) -> Budget:
    """The budget of a chip by its name, or of a board by its name or file."""
    if name.lower() in (known := chips()):
        return known[name.lower()]
    if name.endswith(boards.SUFFIX) or name in boards.names():
        return _of_board(boards.find_board(name))
    every = [*known, *boards.names()]
    near = get_close_matches(name.lower(), every, 1)
    hint = f"did you mean {near[0]!r}? The" if near else "the"
    raise BoardError(
        f"there is no chip or board {name!r}; {hint} chips are {', '.join(known)}, "
        f"and the boards {', '.join(boards.names())}; a board of your own is a file"
    )


def stated(multipliers: int, blocks: int, mhz: float, luts: int = 0) -> Budget:
    """A budget from numbers: DSPs, 36 kbit blocks and LUTs of a Xilinx 7, and the clock in MHz."""
    return Budget("budget", "budget", "xc7", 2 * blocks, multipliers, luts, mhz, "as stated")


def _of_board(board: boards.Board, name: str = "") -> Budget:
    """The budget of a board: its whole chip, at the board's clock."""
    return Budget(
        name or board.name,
        board.part,
        board.family,
        board.block_memories,
        board.multipliers,
        board.luts,
        board.mhz,
        f"the clock of {board.name}",
        board.large_memories,
    )
