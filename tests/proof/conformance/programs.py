# SPDX-License-Identifier: MIT
"""The conformance packs: programs that go wherever the engine can go, straight from the instruction set.

Each vector chooses a section of the program by its first word: random sections with registers, loops and runs of
all kinds (sections.py), and sections that aim at something (aimed.py, counted.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.instructions import Address, Halt, Instruction, JumpEqual, Load, encode
from fixedpoint_nn.hardware.pack.program_pack import Assembled, emit_program
from fixedpoint_nn.numerics.arrays import Ints
from tests.proof.conformance.aimed import AIMED
from tests.proof.conformance.memories import memories, window
from tests.proof.conformance.sections import RandomSource, Section

SECTIONS = (
    *(
        "long",
        "jumps",
        "loops",
        "ends",
        "noise",
        "unknown",
        "nothing",
        "search",
        "tables",
        "rows",
        "bounds",
        "largest",
        "small",
    ),
    *("ties", "lost", "codes", "pairs", "alone", "clips", "wide"),
)


@dataclass(frozen=True)
class Conformance:
    """One pack: its engine, its random seed, and its random sections."""

    config: EngineConfig
    seed: int
    random: tuple[int, ...] = tuple(range(6))
    aimed: tuple[str, ...] = SECTIONS  # kinds of sections that aim at something; they are for few lanes

    def of(self, title: str) -> RandomSource:
        """The section's own random source, so that no section changes with another."""
        return RandomSource([self.seed, *title.encode()])


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
ROUNDS = 3  # of the random sections, each with another vector
QUANTISED = {"product_bits": 12, "product_shift": 2, "product_rounding": 6, "product_overflow": 1}
PACKS = {
    "conformance": Conformance(SMALL, 1),
    "conformance_saturating": Conformance(
        replace(MODELLED, model_width=16, model_saturate=1, **QUANTISED), 2, (*range(6), 113)
    ),
    "conformance_wrapping": Conformance(replace(MODELLED, model_width=14), 3),
    "conformance_drain": Conformance(replace(SMALL, drain=4), 4),
    "conformance_groups": Conformance(replace(SMALL, words=4, drain=2), 5),
    "conformance_packed": Conformance(replace(SMALL, pack=2, words=2), 6),
    "conformance_multiplied": Conformance(replace(SMALL, multiplier_width=12), 7),
    "conformance_16": Conformance(replace(SMALL, lanes=16, drain=4, words=4), 8, tuple(range(30)), aimed=()),
    "conformance_64": Conformance(replace(SMALL, lanes=64, drain=8, words=8), 9, tuple(range(30)), aimed=()),
}
# More of each, for what the mutants of an engine show; they are assembled when that is asked.
MORE = ("formats", "far", "steps", "modelled", "misfits", "top")
PACKS_OF_MORE = {
    f"{name}_more": replace(
        pack,
        seed=pack.seed + 100,
        random=tuple(range(20 if pack.aimed else 30)),
        aimed=MORE if pack.aimed else (),
    )
    for name, pack in PACKS.items()
}
# One pack of a kind is enough to be read; the other one is assembled where it is needed.
COMMITTED = ("conformance", "conformance_saturating", "conformance_wrapping")


def _random(section: Section) -> None:
    draw = section.draw
    for _ in range(draw.between(2, 5)):
        section.set_register()
    for _ in range(draw.between(4, 6)):
        section.run()
        for step in (section.set_register, section.store, section.jump):
            if draw.one_in(3):
                step()
    if draw.one_in(2):
        section.loop()
    section.store()


@lru_cache(maxsize=8)
def assembled(name: str) -> tuple[Assembled, Ints, tuple[str, ...]]:
    """The pack's program, its vectors, and the section that each of them runs."""
    pack = (PACKS | PACKS_OF_MORE)[name]
    config, draw, port = pack.config, RandomSource([pack.seed]), window()
    images = memories(config, draw)
    aimed = [title for kind in pack.aimed for title in AIMED if re.fullmatch(rf"{kind}( .*)?", title)]
    aimed += [title for title in pack.aimed if title == "unknown"]
    often = [title for title in ("ends", "small", "noise") if title in aimed]
    names = [*often, *(f"random {n}" for n in pack.random)]
    names += [title for title in aimed if title not in names]
    numbers = [int(n) for n in draw.rng.permutation(np.arange(-128, 128))[: len(names)]]
    sources = {title: pack.of(title) for title in names}
    shape = (ROUNDS, port.words)
    rounds = np.stack([sources[title].words(config.activation_width, shape) for title in names], axis=1)
    rounds[:, :, 0] = numbers
    sections = [section for section in names if section != "unknown"]
    place = Load.words + JumpEqual.words * len(sections) + Halt.words
    code: list[Instruction] = [Load(1, Address(port.address))]
    titles, bodies = {0: "the vector's section"}, []
    for index, title in enumerate(names):
        if title == "unknown":
            continue
        section = Section(sources[title], config, images, port, rounds[:, index], place)
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
    once = [n for n, title in enumerate(names) if n >= len(often) and not title.startswith("random")]
    once.sort(key=lambda number: names[number].startswith("long"))
    order = [(turn, number) for turn in range(ROUNDS) for number in range(len(names)) if number not in once]
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
    # The seeds of the vectors pass the largest one, so that all their bits change; the second vector of noise has 0.
    noise = [number for number, title in enumerate(origins) if title == "noise"]
    return emit_program(target, program, vectors, origins, name, seed=(1 << 32) - (noise or [0, 1])[1])
