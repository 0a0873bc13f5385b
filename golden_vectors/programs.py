# SPDX-License-Identifier: MIT
"""The conformance packs: programs that go wherever the engine can go, straight from the instruction set.

Each vector chooses a section of the program by its first word: random sections with registers, loops and runs of
all kinds (sections.py), and sections that aim at something (aimed.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.hardware.assembled import Assembled, emit_program
from fixedpoint_nn.hardware.engine import EngineConfig
from fixedpoint_nn.hardware.isa import Address, Halt, Instruction, JumpEqual, Load, encode
from golden_vectors.aimed import AIMED
from golden_vectors.memories import memories, window
from golden_vectors.sections import Dice, Section

Ints = NDArray[np.int64]


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
    bias_width=24,
    activation_depth=4096,
    weight_depth=4096,
    parameter_depth=4096,
    table_depth=4096,
    program_depth=4096,
)
MODELLED = replace(SMALL, weight_width=8, lanes=2)
SECTIONS = (
    *("long", "jumps", "ends", "noise", "unknown", "nothing", "search", "bounds", "largest", "small"),
    *("ties", "codes", "alone", "wide"),
)

PACKS = {
    # The seeds of the vectors pass the largest one, so that all bits of a seed change; vector 13, of noise, has 0.
    "conformance": Conformance(
        SMALL, dice=1, seed=(1 << 32) - 13, random=8, rounds=3, aimed=SECTIONS
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
        seed=(1 << 32) - 13,
        random=8,
        rounds=3,
        aimed=SECTIONS,
    ),
    "conformance_wrapping": Conformance(
        replace(MODELLED, model_width=14), dice=3, seed=(1 << 32) - 13, random=8, rounds=3, aimed=SECTIONS
    ),
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
    aimed = [title for kind in pack.aimed for title in AIMED if re.fullmatch(rf"{kind}( .*)?", title)]
    aimed += [title for title in pack.aimed if title == "unknown"]
    names = ["ends", "small", "noise", *(f"random {n}" for n in range(pack.random))]
    names += [title for title in aimed if title not in names]
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
    once = [n for n, title in enumerate(names) if n > 2 and not title.startswith("random")]
    once.sort(key=lambda number: names[number].startswith("long"))
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
