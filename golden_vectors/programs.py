# SPDX-License-Identifier: MIT
"""The conformance packs: programs that go wherever the engine can go, straight from the instruction set.

Each vector chooses a section of the program by its first word: random sections with registers, loops and runs of
all kinds, and sections that aim at the ends: counts of many bits, sums at both ends of the accumulator,
every rounding with every overflow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.hardware.assembled import Assembled, emit_program
from fixedpoint_nn.hardware.engine import EngineConfig, Images
from fixedpoint_nn.hardware.isa import Address, Halt, Instruction, JumpEqual, Load, Run, Set, Store, encode
from fixedpoint_nn.hardware.port import Port
from fixedpoint_nn.qformat import QFormat
from golden_vectors.sections import Dice, Section

Ints = NDArray[np.int64]

# The window: blocks of words all over the memory. The rest holds constants, which no section changes.
WINDOW = {"blocks": 8, "run": 24, "stride": 556, "address": 16}
ENDS = 65  # constants from the memory's word 208 on, and as many rows of weights, whose sums are the ends
ENDS_AT = 208
PLAIN = 3000  # parameters from here on: no shift, a small bias that is not negative


@dataclass(frozen=True)
class Conformance:
    """One pack: its engine, its seeds, how many random sections, and how often each section is run."""

    config: EngineConfig
    dice: int
    seed: int
    random: int
    rounds: int
    aimed: tuple[str, ...] = ()


SMALL = EngineConfig(
    lanes=4,
    activation_width=8,
    weight_width=7,
    accumulator_width=20,
    bias_width=18,
    activation_depth=4096,
    weight_depth=4096,
    parameter_depth=4096,
    table_depth=4096,
    program_depth=4096,
)
MODELLED = replace(SMALL, weight_width=8, program_depth=2048, lanes=2)

PACKS = {
    # The seeds of the vectors pass the largest one, so that all bits of a seed change; vector 37, of noise, has 0.
    "conformance": Conformance(
        SMALL,
        dice=1,
        seed=(1 << 32) - 37,
        random=16,
        rounds=3,
        aimed=("ends", "modes", "noise", "unknown", "nothing", "wide", "long"),
    ),
    "conformance_saturating": Conformance(
        replace(
            MODELLED,
            model_width=16,
            model_saturate=1,
            product_bits=12,
            product_shift=2,
            product_rounding=6,
            product_overflow=1,
        ),
        dice=2,
        seed=1000,
        random=9,
        rounds=3,
        aimed=("ends",),
    ),
    "conformance_wrapping": Conformance(
        replace(MODELLED, model_width=14), dice=3, seed=2000, random=9, rounds=3, aimed=("ends",)
    ),
}


def window() -> Port:
    words = WINDOW["blocks"] * WINDOW["run"]
    return Port((words,), QFormat(8, 0), WINDOW["address"], WINDOW["run"], WINDOW["stride"])


def memories(config: EngineConfig, dice: Dice) -> Images:
    """Every word of every memory, so that no address reads what nobody wrote."""
    lanes, bits = config.lanes, config.weight_width
    weights = dice.words(bits, (config.weight_depth, lanes))
    shifts = dice.rng.integers(0, 20, config.parameter_depth)
    far = dice.rng.integers(0, 64, config.parameter_depth)
    shifts = np.where(dice.rng.integers(0, 12, config.parameter_depth) == 0, far, shifts)
    biases = dice.words(config.bias_width, config.parameter_depth)
    weights[2048:3072] = dice.rng.integers(-1, 2, (1024, lanes))  # for sums of many taps
    plain = slice(PLAIN, PLAIN + 64)
    shifts[plain], biases[plain] = 0, dice.rng.integers(0, 100, 64)
    activations = dice.words(config.activation_width, config.activation_depth)
    low, most = -(1 << bits - 1), 1 << config.accumulator_width - 1
    words = np.full(ENDS, -128)
    rows = np.full((ENDS, lanes), low)
    # 127 * w and -128 * w in all taps but the last two, which bring what is missing to the end.
    for lane in range(lanes):
        rows[:, lane] = _row_to(most - 1 if lane % 2 == 0 else -most, words, low)
    activations[ENDS_AT : ENDS_AT + ENDS] = words
    weights[:ENDS] = rows
    return Images(
        [],
        weights,
        np.stack([shifts, biases], 1),
        dice.words(config.activation_width, config.table_depth),
        activations,
    )


def _row_to(end: int, words: Ints, low: int) -> Ints:
    """Weights whose products with the words add up to `end`, as near as they come."""
    weights, left = np.zeros(len(words), np.int64), end
    for place, word in enumerate(words.tolist()):
        weights[place] = min(-low - 1, max(low, int(left / word)))
        left -= int(weights[place]) * word
    return weights


# ---- sections that aim at something -------------------------------------------------------------------------


def _ends(section: Section) -> None:
    """Sums at both ends of the accumulator, with biases at both ends, and shifts from 0 to all bits."""
    dice, lanes = section.dice, section.config.lanes
    for number in range(8):
        run = Run(
            activation=Address(ENDS_AT),
            weight=Address(0),
            parameter=section.address(dice.between(0, 2900)),
            output=section.address(WINDOW["address"] + number * WINDOW["stride"]),
            counts=(ENDS, 1, 1, 2, 1, 1),
            strides=(1, 0, 0, 0, 0, 0),
            per_tile=True,
            last_channels=lanes,
            **section.back_end() | {"leak": 0, "write": True},
        )
        section.holds(run)
    section.run()


def _modes(section: Section) -> None:
    """Every rounding with every overflow, on words of the vector with small shifts: ties, both signs, both parities."""
    dice = section.dice
    for rounding in range(7):
        for overflow in range(4):
            for _ in range(20):
                run = section.random_run(pixels=8, most=8)
                if run is None:
                    continue
                settings = {"rounding": rounding, "overflow": overflow, "write": True, "noise": False}
                run = replace(run, **settings, table=dice.one_in(6) and run.table)
                if section.holds(run):
                    break


def _noise(section: Section) -> None:
    """Noise of every width, and formats wider than a word for small numbers."""
    dice = section.dice
    for bits in (1, 4, 9, 12, 8, 16, 20, 33, 63):
        noise = bits <= section.config.address_width
        section.add(
            Run(
                bounded=True,
                parameter=Address(PLAIN + dice.between(0, 40)),
                output=section.address(WINDOW["address"] + dice.between(0, 7) * WINDOW["stride"]),
                counts=(1, 1, 1, 3, 1, 1),
                last_channels=2,
                out_bits=bits,
                out_signed=dice.one_in(2),
                table=True,
                table_base=dice.between(0, 4095) >> bits << bits if noise else 0,
                noise=noise,
                argmax=True,
            )
        )
        section.searched = True
        if dice.one_in(2):
            section.store()


def _nothing(section: Section) -> None:
    """Halt at once."""


def _wide(section: Section) -> None:
    """Windows of 256 columns and of 256 rows, and images of 4,096 columns and rows, whose largest word is searched."""
    dice = section.dice
    small, at = 2048, section.window.address
    for counts, rows in (((1, 256, 1, 1, 1, 1), 256), ((1, 1, 256, 1, 1, 1), 256), ((900, 1, 1, 1, 1, 1), 900)):
        section.add_one(
            lambda counts=counts, rows=rows: Run(
                activation=Address(dice.between(0, 4095)),
                weight=Address(small + dice.between(0, 1024 - rows)),
                parameter=Address(PLAIN),
                output=Address(at + dice.between(0, 7) * WINDOW["stride"]),
                counts=counts,
                strides=(1, 3, 5, 0, 0, 0),
                last_channels=4,
                overflow=0,
                out_bits=8,
            )
        )
    for counts in ((1, 1, 1, 1, 4096, 1), (1, 1, 1, 1, 1, 4096), (1, 1, 1, 1, 2731, 1), (1, 1, 1, 1, 1, 2730)):
        section.add(
            Run(
                activation=Address(dice.between(0, 4095)),
                weight=Address(dice.between(100, 2000)),
                parameter=Address(PLAIN + dice.between(0, 40)),
                counts=counts,
                strides=(0, 0, 0, 0, dice.between(1, 99) * 2 + 1, dice.between(1, 99) * 2 + 1),
                out_bits=8,
                argmax=True,
                write=False,
            )
        )
        section.add(Store(Address(at + 5 + 3 * dice.between(0, 5)), dice.one_in(2)))


def _long(section: Section) -> None:
    """Counts of 16 bits: as many padded steps, and as many tiles."""
    dice = section.dice
    for channels, kx, ky in ((0x9C40, 1, 1), (0x63C1, 1, 1), (1, 256, 129)):
        section.add(
            Run(
                bounded=True,
                weight=Address(0),
                parameter=Address(PLAIN),
                output=Address(section.window.address + dice.between(0, 20)),
                counts=(channels, kx, ky, 1, 1, 1),
                last_channels=2,
            )
        )
    section.add(
        Run(
            activation=Address(dice.between(0, 4095)),
            weight=Address(dice.between(100, 2000)),
            parameter=Address(dice.between(0, 2900)),
            counts=(1, 1, 1, 65536, 1, 1),
            strides=(0, 0, 0, 1, 0, 0),
            per_tile=True,
            out_bits=8,
            write=False,
        )
    )


AIMED: dict[str, Callable[[Section], None]] = {
    "ends": _ends,
    "modes": _modes,
    "noise": _noise,
    "nothing": _nothing,
    "wide": _wide,
    "long": _long,
}


def _random(section: Section) -> None:
    dice = section.dice
    for _ in range(dice.between(2, 5)):
        section.set_register()
    for _ in range(dice.between(4, 6)):
        section.run()
        for step in (section.set_register, section.store, section.jump):
            if dice.one_in(3):
                step()
    if dice.one_in(2):
        section.loop()
    section.store()


@lru_cache(maxsize=8)
def assembled(name: str) -> tuple[Assembled, Ints, tuple[str, ...]]:
    """The pack's program, its vectors, and the section that each of them runs."""
    pack = PACKS[name]
    config, dice, port = pack.config, Dice([pack.dice]), window()
    images = memories(config, dice)
    names = [*(f"random {n}" for n in range(pack.random)), *pack.aimed]
    numbers = [int(n) for n in dice.rng.permutation(np.arange(-128, 128))[: len(names)]]
    rounds = np.stack([dice.words(config.activation_width, (len(names), port.words)) for _ in range(pack.rounds)])
    rounds[:, :, 0] = numbers
    sections = [section for section in names if section != "unknown"]
    place = Load.words + JumpEqual.words * len(sections) + Halt.words
    code: list[Instruction] = [Load(1, Address(port.address))]
    titles, bodies = {0: "the vector's section"}, []
    for index, title in enumerate(names):
        if title == "unknown":
            continue
        section = Section(dice, config, images, port, rounds[:, index], place)
        titles[place] = title
        AIMED.get(title, _random)(section)
        section.add(Halt())
        number = numbers[index] & (1 << config.address_width) - 1
        code.append(JumpEqual(1, number, place))
        bodies += section.code
        place = section.here
    code += [Halt(), *bodies]
    words = encode(code)
    if len(words) > config.program_depth:
        raise ValueError(f"{name} has {len(words)} words of program and room for {config.program_depth}")
    images = replace(images, program=words)
    once = [number for number, title in enumerate(names) if title in ("wide", "long", "unknown", "nothing")]
    order = [(turn, number) for turn in range(pack.rounds) for number in range(len(names)) if number not in once]
    order += [(0, number) for number in once]
    vectors = np.stack([rounds[turn, number] for turn, number in order])
    return (
        Assembled(config, images, port, port, titles),
        vectors,
        tuple(names[number] for _, number in order),
    )


def write_program(name: str, target: Path) -> Path:
    """The pack `name`, written to `target`."""
    program, vectors, origins = assembled(name)
    return emit_program(target, program, vectors, origins, name, seed=PACKS[name].seed)
