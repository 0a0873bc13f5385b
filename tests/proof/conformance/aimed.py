# SPDX-License-Identifier: MIT
"""Sections of the conformance programs that aim at an arithmetic: ends, ties, codes, neighbours, noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np

from fixedpoint_nn.hardware.emulator.result import Result
from fixedpoint_nn.hardware.isa.instructions import Address, Increment, Loop, Run, Set, Store
from tests.proof.conformance.counted import COUNTED, clipped
from tests.proof.conformance.memories import (
    CLOSE,
    ENDS,
    ENDS_AT,
    FAR,
    LOST,
    PLAIN,
    RAMP,
    SHIFTED,
    TIES,
    TOP,
    TOPS,
    WIDE,
    WINDOW,
)
from tests.proof.conformance.sections import Section


def _ends(section: Section) -> None:
    """Sums at both ends of the accumulator, with biases at both ends, and shifts from 0 to all bits."""
    draw, lanes = section.draw, section.config.lanes
    modelled = bool(section.config.model_width)
    whole = {
        "overflow": 0,
        "out_bits": 8,
        "modelled": modelled,
        "argmax": False,
        "table": False,
        "noise": False,
    }
    for number in range(8):
        run = Run(
            activation=Address(ENDS_AT),
            weight=Address(0),
            parameter=Address(SHIFTED) if number == 0 else section.address(draw.between(0, 2900)),
            output=section.address(WINDOW["address"] + number * WINDOW["stride"]),
            counts=(ENDS, 1, 1, 2, 1, 1),
            strides=(1, 0, 0, 0, 0, 0),
            per_tile=True,
            last_channels=lanes,
            **section.back_end() | {"leak": 0, "write": True} | (whole if number == 0 else {}),
        )
        section.holds(run)
    section.run()


def _kept(results: Sequence[Result]) -> bool:
    return not any(result.accumulator_overflow for result in results)


def _alone(section: Section) -> None:
    """The last lane loses bits, but that is told only if it has a channel."""
    run = Run(
        activation=Address(ENDS_AT),
        weight=Address(ENDS),
        parameter=Address(PLAIN),
        output=Address(section.window.address),
        counts=(20, 1, 1, 1, 1, 1),
        strides=(1, 0, 0, 0, 0, 0),
        modelled=bool(section.config.model_width),
        out_bits=8,
    )
    if not section.holds(run, good=_kept):
        raise ValueError("the first lane loses bits")


def _top(section: Section) -> None:
    """A sum of quantised products that its accumulator just holds: 2047 + 16 * 1920 = 2**15 - 1; nothing is lost."""
    if not section.config.product_bits:
        return
    run = Run(
        activation=Address(ENDS_AT),
        weight=Address(TOP),
        parameter=Address(PLAIN),
        output=Address(section.window.address),
        counts=(TOPS, 1, 1, 1, 1, 1),
        strides=(1, 0, 0, 0, 0, 0),
        modelled=bool(section.config.model_width),
        out_bits=8,
    )
    if not section.holds(run, good=_kept):
        raise ValueError("the highest sum loses bits")


def _clips(section: Section, lane: int) -> None:
    """One lane loses bits, and no other."""
    section.add(clipped(section, lane))


def _largest(section: Section) -> None:
    """The largest of words that differ by little, on both sides of 0."""
    draw, port = section.draw, section.window
    for number in range(12):
        section.add_one(
            lambda number=number: Run(
                activation=Address(CLOSE + draw.between(0, 100)),
                weight=Address(draw.between(100, 1400)),
                parameter=Address(PLAIN),
                output=Address(port.address + number % 8 * port.stride),
                counts=(draw.between(2, 9), 1, 1, 1, *draw.of((8, 1), (4, 2), (2, 4))),
                strides=(
                    draw.of(1, 1, 3),
                    0,
                    0,
                    0,
                    draw.of(8, 8, 5, section.config.lanes * 4),
                    draw.between(8, 99),
                ),
                last_channels=draw.between(1, min(3, section.config.lanes)),
                maximum=True,
                vector=draw.one_in(3),
                out_bits=8,
                overflow=0,
                **(section.bounds(1, 1, 8, 1, wild=True) if draw.one_in(2) else {}),
            )
        )


def _small(section: Section) -> None:
    """Sums of one or two products as they are, so that every bit of a quantised product shows."""
    draw, port, modelled = section.draw, section.window, bool(section.config.model_width)
    for number in range(12):
        section.add_one(
            lambda number=number: Run(
                activation=Address(draw.of(RAMP + 90, CLOSE, draw.between(0, 4000))),
                weight=Address(draw.between(100, 1400)),
                parameter=Address(PLAIN),
                output=Address(port.address + number % 8 * port.stride),
                counts=(draw.between(1, 2), 1, draw.of(1, 1, 6, 8), 1, 24, 1),
                strides=(1, 0, 5, 0, draw.between(1, 3), 0),
                leak=draw.of(0, 1),
                out_bits=8,
                overflow=0,
                modelled=modelled,
            )
        )


def _again_and_again(section: Section, run: Run, moves: str, step: int) -> None:
    """One run for each block of the window, with one of its addresses moved on by `step`."""
    port, (counter, place, output) = section.window, (5, 3, 6)
    address = getattr(run, moves)
    run = replace(run, **{moves: replace(address, register=place)}, output=Address(port.address, output))
    start = section.here + 3
    section.add(
        Set(counter, port.words // port.run),
        Set(place, 0),
        Set(output, 0),
        run,
        Increment(place, step),
        Increment(output, port.stride),
        Loop(counter, start),
    )


def _ties(section: Section, rounding: int, first: int = TIES) -> None:
    """Biases in the middle between two words and beside it, at every shift, both signs and both parities."""
    lanes, run = section.config.lanes, section.window.run
    _again_and_again(
        section,
        Run(
            bounded=True,
            weight=Address(0),
            parameter=Address(first),
            counts=(1, 1, 1, run // lanes, 1, 1),
            last_channels=lanes,
            rounding=rounding,
            overflow=rounding % 4,
            out_bits=8,
            leak=(0, 0, 0, 0, 3, 9, 5)[rounding],
        ),
        "parameter",
        run,
    )


def _codes(section: Section, bits: int, signed: bool, overflow: int) -> None:
    """Every word in order into a format of so many bits."""
    draw, run = section.draw, section.window.run
    first = 0 if bits == 1 else 64 * (overflow % 2)
    ones = np.flatnonzero((section.images.weights[:, 0] == 1) & (np.arange(4096) < 4000))
    _again_and_again(
        section,
        Run(
            activation=Address(RAMP + first),
            weight=Address(int(ones[draw.between(0, len(ones) - 1)])),
            parameter=Address(PLAIN),
            counts=(1, 1, 1, 1, run, 1),
            strides=(0, 0, 0, 0, 1, 0),
            overflow=overflow,
            out_bits=bits,
            out_signed=signed,
            relu_after=bits == 4,
            table=bits == 8 and overflow > 1,
        ),
        "activation",
        run,
    )


def _pairs(section: Section, step: int) -> None:
    """The larger of every word and its neighbour, of whose two places the first counts: they have unlike weights."""
    weights = section.images.weights[:, 0]
    rows = np.flatnonzero(
        (weights[:-3] == 1) & (weights[1:-2] == 1) & (weights[2:-1] != 1) & (weights[3:] != 1)
    )
    _again_and_again(
        section,
        Run(
            activation=Address(RAMP if step > 0 else RAMP + 64),
            weight=Address(int(rows[0])),
            parameter=Address(PLAIN),
            counts=(2, 2, 1, 1, section.window.run, 1),
            strides=(step, 0, 0, 0, 1, 0),
            maximum=True,
            overflow=0,
            out_bits=8,
        ),
        "activation",
        section.window.run,
    )


def _pairs_searched(section: Section) -> None:
    """The first largest of a word and its neighbour, twice: in order, and the other way round."""
    counter, place, output, port = 5, 3, 6, section.window
    ones = np.flatnonzero(section.images.weights[:, 0] == 1)
    section.add(Set(counter, port.run - 1), Set(place, 0), Set(output, 0))
    body = section.here
    for block, step in enumerate((1, -1)):
        section.add(
            Run(
                activation=Address(RAMP + (1 if step < 0 else 0), place),
                weight=Address(int(ones[block])),
                parameter=Address(PLAIN + 1),
                counts=(1, 1, 1, 1, 2, 2),
                strides=(0, 0, 0, 0, step, 0),
                overflow=0,
                out_bits=8,
                argmax=True,
                write=False,
            ),
            Store(Address(port.address + 2 * block * port.stride, output)),
            Store(Address(port.address + (2 * block + 1) * port.stride, output), True),
        )
    section.add(Increment(place, 11), Increment(output, 1), Loop(counter, body))


def _noise(section: Section) -> None:
    """Noise of every width, formats wider than a word for small numbers, and one for what a word just does not hold."""
    draw = section.draw
    for number, bits in enumerate((1, 4, 16, 20, 33, 63, 8, 9, 12, 12)):
        noise, wide = bits <= section.config.address_width, bits == 33
        plain = PLAIN + draw.between(0, 40)
        section.add(
            Run(
                bounded=True,
                parameter=Address(WIDE if wide else plain),
                output=section.address(WINDOW["address"] + number % 8 * WINDOW["stride"]),
                counts=(1, 1, 1, 3, 1, 1),
                last_channels=2,
                out_bits=bits,
                out_signed=draw.one_in(2),
                table=not wide,
                table_base=draw.between(0, 4095) >> bits << bits if noise else 0,
                noise=noise,
                argmax=True,
            )
        )
        section.searched = True
        if draw.one_in(2):
            section.store()


def _nothing(section: Section) -> None:
    """Halt at once."""


AIMED: dict[str, Callable[[Section], None]] = {
    **COUNTED,
    "ends": _ends,
    "alone": _alone,
    "top": _top,
    "largest": _largest,
    "small": _small,
    "noise": _noise,
    "nothing": _nothing,
    "pairs up": partial(_pairs, step=1),
    "pairs down": partial(_pairs, step=-1),
    "pairs searched": _pairs_searched,
}


for _rounding in range(7):
    AIMED[f"ties {_rounding}"] = partial(_ties, rounding=_rounding)
    if _rounding in (1, 4, 6):
        AIMED[f"ties {_rounding} again"] = partial(_ties, rounding=_rounding, first=TIES + 192)
for _lane in range(2):
    AIMED[f"clips {_lane}"] = partial(_clips, lane=_lane)
for _part in range(2):  # only what is lost tells these from a half
    AIMED[f"lost {_part}"] = partial(_ties, rounding=3, first=LOST + 192 * _part)
AIMED["far"] = partial(_ties, rounding=3, first=FAR)
for _bits, _overflow in (*product((2, 3), range(4)), (9, 2)):
    AIMED[f"formats {_bits} {_overflow}"] = partial(_codes, bits=_bits, signed=True, overflow=_overflow)
for _bits, _signed, _overflow in product((8, 7, 4, 1), (True, False), range(4)):
    if _bits in (4, 7) or _signed:
        AIMED[f"codes {_bits} {_signed} {_overflow}"] = partial(
            _codes, bits=_bits, signed=_signed, overflow=_overflow
        )
