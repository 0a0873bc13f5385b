# SPDX-License-Identifier: MIT
"""Sections of the conformance programs that aim at counters: positions, loops, places, and counts of all their bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from fixedpoint_nn.hardware.isa.instructions import Address, JumpEqual, Loop, Run, Set, Store
from tests.proof.conformance.memories import (
    CLIPPING,
    CLIPS,
    ENDS_AT,
    FULL,
    PLAIN,
    RAMP,
    SHIFTED,
    SMALL_WEIGHTS,
    WINDOW,
)
from tests.proof.conformance.sections import RandomSource, Section


def _search(section: Section, places: Sequence[tuple[int, int]], stored: bool = True) -> None:
    """The largest word stands at a place of many bits: one pixel inside the image, all others are padding.

    `places` are pairs of the place and of how many words follow it. A Store keeps the low bits of a place, the status
    registers all bits of the last one.
    """
    draw = section.draw
    for place, more in places:
        section.add_one(
            lambda place=place, more=more: Run(
                activation=Address(draw.between(0, 4095)),
                weight=Address(draw.between(100, 1400)),
                parameter=Address(PLAIN),
                counts=(1, 1, 1, 1, place + 1 + more, 1),
                strides=(0, 0, 0, 0, draw.between(1, 99), 0),
                bounded=True,
                x_origin=-place,
                x_limit=1,
                y_limit=1,
                out_bits=8,
                argmax=True,
                write=False,
            ),
            lambda results, place=place: all(result.argmax == place for result in results),
        )
        if stored:
            section.add(Store(Address(section.window.address + 2 * (place % 12))))
            section.add(Store(Address(section.window.address + 2 * (place % 12) + 1), True))


def _tables(section: Section) -> None:
    """Codes of one bit, of negative words too: a bit of the table's index that comes from above it is noticed."""
    draw, run = section.draw, section.window.run
    ones = np.flatnonzero(section.images.weights[:4000, 0] == 1)
    section.add(
        Run(
            activation=Address(RAMP + 120),
            weight=Address(int(ones[draw.between(0, len(ones) - 1)])),
            parameter=Address(PLAIN),
            output=Address(section.window.address),
            counts=(1, 1, 1, 1, run, 1),
            strides=(0, 0, 0, 0, 1, 0),
            overflow=0,
            out_bits=1,
            table=True,
        )
    )


def _rows(section: Section) -> None:
    """Sums of whole rows: every lane has its own words."""
    lanes = section.config.lanes
    section.add_one(
        lambda: Run(
            activation=Address(section.draw.between(0, 4095)),
            weight=Address(section.draw.between(100, 1400)),
            parameter=Address(PLAIN),
            output=Address(section.window.address),
            counts=(3, 1, 1, 2, 3, 1),
            strides=(3 * lanes, 0, 0, lanes, 5 * lanes, 0),
            last_channels=lanes,
            vector=True,
            overflow=0,
            out_bits=8,
        )
    )


def _bounds(section: Section) -> None:
    """Images anywhere among the positions, whose edges the taps cross; each run has a block of results."""
    draw, port = section.draw, section.window
    for number in range(20):
        width, height = draw.of((4, 6), (2, 12), (1, 24), (3, 8))
        section.add_one(
            lambda number=number, width=width, height=height: Run(
                activation=Address(draw.between(0, 4095)),
                weight=Address(draw.between(100, 1400)),
                parameter=Address(PLAIN + draw.between(0, 40)),
                output=Address(port.address + number % 8 * port.stride),
                counts=(1, draw.of(1, 2), draw.of(1, 2), 1, width, height),
                strides=(0, 1, 2, 0, draw.between(1, 3), draw.between(1, 99)),
                per_tile=True,
                out_bits=8,
                overflow=0,
                table=draw.one_in(3),
                table_base=draw.between(0, 15) << 8,
                argmax=draw.one_in(2),
                **section.bounds(2, 2, width, height, wild=True),
            )
        )


def _steps(section: Section) -> None:
    """From pixel to pixel by steps of every single bit, of which the third's first tap is the last one inside."""
    draw, port = section.draw, section.window
    for bit in range(9):
        step, down = (1 << bit, 128 >> bit) if bit < 8 else (255, 255)
        section.add_one(
            lambda bit=bit, step=step, down=down: Run(
                activation=Address(draw.between(0, 4095)),
                weight=Address(draw.between(100, 1400)),
                parameter=Address(PLAIN + draw.between(0, 40)),
                output=Address(port.address + bit % 8 * port.stride),
                counts=(1, 2, 2, 1, 3, 3),
                strides=(0, 1, 2, 0, 3, 11),
                bounded=True,
                x_origin=-1,
                y_origin=-1,
                x_step=step,
                y_step=down,
                x_limit=2 * step,
                y_limit=2 * down,
                out_bits=8,
                overflow=0,
            )
        )


def _modelled(section: Section) -> None:
    """Runs of all kinds that ask for the modelled accumulator, which an engine without one takes for the exact one."""

    def run() -> Run:
        while True:
            found = section.random_run()
            if found is not None and not found.maximum and not found.joined:
                return replace(found, modelled=True)

    for _ in range(6):
        section.add_one(run)


def _jumps(section: Section) -> None:
    """A register that differs from a jump's value in one bit: the jump is not taken."""
    for bit in range(section.config.address_width):
        value = section.draw.between(0, 4095) & ~(1 << bit)
        section.add(Set(2, value | 1 << bit), JumpEqual(2, value, 0))


def _loops(section: Section) -> None:
    """A counter that differs from the last round's in one bit: the loop goes on."""
    for bit in range(1, section.config.address_width):
        section.add(Set(2, 1 | 1 << bit), Loop(2, section.here + Set.words))


def _edged(edge: int, counts: tuple[int, ...], run: Run) -> Run:
    """The run, with this many taps inside the image, of columns or else of rows."""
    if not edge:
        return run
    return (
        replace(run, x_limit=run.x_origin + edge)
        if counts[1] > 1
        else replace(run, y_limit=run.y_origin + edge)
    )


def _wide(section: Section) -> None:
    """Windows of 256 columns and of 256 rows, and images of 4,096 columns and rows, whose largest word is searched."""
    draw = section.draw
    small, at = SMALL_WEIGHTS, section.window.address
    for counts, rows, edge in (  # some with an edge among the taps
        ((1, 256, 1, 1, 1, 1), 256, 117),
        ((1, 1, 203, 1, 1, 1), 203, 91),
        ((2501, 1, 1, 1, 1, 1), 2501, 0),
        ((3, 171, 3, 1, 1, 1), 1539, 149),
        ((5, 1, 1, 3477, 1, 1), 5, 0),
    ):
        section.add_one(
            lambda counts=counts, rows=rows, edge=edge: _edged(
                edge,
                counts,
                Run(
                    activation=Address(draw.between(0, 4095)),
                    weight=Address(small + draw.between(0, 4096 - small - rows)),
                    parameter=Address(PLAIN),
                    output=Address(at + draw.between(0, 7) * WINDOW["stride"]),
                    counts=counts,
                    strides=(1, 3, 5, 0, 0, 0),
                    last_channels=section.config.lanes,
                    per_tile=counts[3] > 1,
                    output_gap=0,
                    write=counts[3] == 1,
                    argmax=True,
                    bounded=True,
                    x_step=0,
                    y_step=0,
                    x_origin=draw.between(0, 4000),
                    y_origin=draw.between(0, 4000),
                    x_limit=8191,
                    y_limit=8191,
                    overflow=0,
                    out_bits=8,
                ),
            )
        )
    section.add(Set(4, 4095), Loop(4, section.here + 1))
    # Counts that end at an even number of all bits: a counter that takes another way does not end there.
    for counts in (
        (1, 1, 1, 1, 4096, 1),
        (1, 1, 1, 1, 1, 4095),
        (2, 1, 1, 1, 4095, 1),
        (2, 1, 1, 1, 1, 4095),
    ):
        run = Run(
            activation=Address(draw.between(0, 4095)),
            weight=Address(draw.between(100, 2000)),
            parameter=Address(PLAIN + draw.between(0, 40)),
            counts=counts,
            strides=(0, 0, 0, 0, draw.between(1, 99) * 2 + 1, draw.between(1, 99) * 2 + 1),
            out_bits=8,
            argmax=True,
            write=False,
        )
        if counts[0] == 2 and counts[5] > 1:  # large sums; of those below 0 the sign alone is left
            run = replace(run, weight=Address(0), parameter=Address(SHIFTED), leak=51, overflow=0)
        section.add(run)
        section.add(Store(Address(at + 5 + 3 * draw.between(0, 5)), draw.one_in(2)))


def _long_taps(section: Section) -> None:
    """Counts of 16 bits: as many padded steps."""
    draw = section.draw
    section.add(Set(1, 0))  # so that the cycles are odd
    for channels, kx, ky in ((0x9C40, 1, 1), (0x63C1, 1, 1), (1, 256, 129)):
        section.add(
            Run(
                bounded=True,
                weight=Address(0),
                parameter=Address(PLAIN),
                output=Address(section.window.address + draw.between(0, 20)),
                counts=(channels, kx, ky, 1, 1, 1),
                last_channels=2,
            )
        )
    section.add(_tiles(draw, 0x2C95))


def _long_tiles(section: Section, words: int, clocks: int = 0) -> None:
    """Very many tiles, and no word of them fits; so many clocks more after the last, or a sum that loses bits."""
    lanes = section.config.lanes
    tiles = min(65536, words // lanes)
    run = replace(
        _tiles(section.draw, tiles),
        counts=(min(lanes, 4), 1, 1, tiles, max(1, words // (tiles * lanes)), 1),
        parameter=Address(FULL),
        last_channels=lanes,
    )
    section.add(run, Store(Address(section.window.address)), *[Set(1, 0)] * clocks)
    if clocks and section.config.model_width:
        section.add(clipped(section, 0))


def _more_tiles(section: Section) -> None:
    """2**17 + 2 words that do not fit, of two pixels: the count ends while its bit 17 is set."""
    run = _tiles(section.draw, (1 << 16) // section.config.lanes + 1)
    run = replace(run, counts=(1, 1, 1, run.counts[3], 2, 1), parameter=Address(FULL), last_channels=1)
    section.add(run, Store(Address(section.window.address)))


def _misfits(section: Section, words: int) -> None:
    """So many words that do not fit, a power of two: the count ends when its highest bit has just come."""
    lanes = section.config.lanes
    run = replace(_tiles(section.draw, words // lanes), parameter=Address(FULL), last_channels=lanes)
    section.add(run, Store(Address(section.window.address)))


def clipped(section: Section, lane: int) -> Run:
    """A run of which one lane's sum loses bits, and no other's."""
    return Run(
        activation=Address(ENDS_AT),
        weight=Address(CLIPPING + lane * CLIPS),
        parameter=Address(PLAIN),
        output=Address(section.window.address),
        counts=(CLIPS - lane, 1, 1, 1, 1, 1),  # an odd number of clocks, and an even one
        strides=(1, 0, 0, 0, 0, 0),
        last_channels=section.config.lanes,
        modelled=True,
        out_bits=8,
    )


def _tiles(draw: RandomSource, count: int) -> Run:
    return Run(
        activation=Address(draw.between(0, 4095)),
        weight=Address(draw.between(100, 1400)),
        parameter=Address(draw.between(0, 2900)),
        counts=(1, 1, 1, count, 1, 1),
        strides=(0, 0, 0, 1, 0, 0),
        per_tile=True,
        out_bits=5,
        write=False,
    )


COUNTED: dict[str, Callable[[Section], None]] = {
    "search": partial(_search, places=((0xA5A, 3), (0x5A5, 3), (0xFFE, 1), (0x3C7, 1))),
    "search 1": partial(_search, places=((0xA5A, 2),), stored=False),
    "search 2": partial(_search, places=((0xC36, 1),), stored=False),
    "tables": _tables,
    "rows": _rows,
    "steps": _steps,
    "modelled": _modelled,
    "jumps": _jumps,
    "loops": _loops,
    "bounds": _bounds,
    "wide": _wide,
    "long taps": _long_taps,
    "long tiles": partial(_long_tiles, words=1 << 18),
    "long tiles again": partial(_long_tiles, words=(1 << 17) - 4, clocks=1),
    "long tiles and more": _more_tiles,
}
for _power in range(8, 15):
    COUNTED[f"misfits {_power}"] = partial(_misfits, words=1 << _power)
