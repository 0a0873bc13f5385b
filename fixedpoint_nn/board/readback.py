# SPDX-License-Identifier: MIT
"""Readback on a board: whether the engine's memories hold every bit of a pack's images.

The host reads the activation image. Parameters, weights and tables are readable only through the engine's datapath:
the programs of `hardware/verify/readback_program.py` are loaded in turn, with the few words that they need after the
images, and their expected output follows from the image alone. Afterwards the program and the activation image are
loaded again. The program memory cannot be read; the golden vectors exercise it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fixedpoint_nn.board.driver import Driver
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.pack.reader import Pack
from fixedpoint_nn.hardware.verify.readback_program import readback_program
from fixedpoint_nn.hardware.verify.readback_section import ReadbackSection
from fixedpoint_nn.hardware.verify.verdict import Verdict
from fixedpoint_nn.numerics.arrays import Ints

MEMORIES = ("parameters", "weights", "tables")


def read_back(engine: Driver, pack: Pack, progress: Callable[[str], None] = lambda line: None) -> Verdict:
    """Compare every word of activations, parameters, weights and tables with the pack's images."""
    engine.identity.refuse(pack.config, f"the pack {pack.name}")
    readback = readback_program(engine.config, pack.images)
    engine.identity.refuse(readback.config, f"the readback of {pack.name}")
    image = pack.images.activations
    found = _difference("activations", "word {}", image, engine.read(0, len(image))) if len(image) else ""
    counts = {"activations": len(image)} if len(image) else {}
    cycles = 0
    try:
        for memory in MEMORIES:
            for section in (s for s in readback.sections if s.memory == memory and not found):
                progress(f"reading back {memory}")
                found, taken = _run(engine, pack.images, section)
                counts[memory] = counts.get(memory, 0) + section.expected.size
                cycles += taken
    finally:
        engine.load_words("program", 0, pack.images.program)
        engine.write(0, image)
    if found:
        return Verdict(False, f"FAIL: {found}")
    words = sum(counts.values())
    parts = ", ".join(f"{count} of {memory}" for memory, count in counts.items())
    text = f"PASS: {words} words read back ({parts}), {cycles} cycles"
    if readback.in_part:
        text += f"; {len(readback.in_part)} parameter words are seen in part"
    return Verdict(True, text, words=words, cycles=cycles)


def _run(engine: Driver, images: Images, section: ReadbackSection) -> tuple[str, int]:
    """(first difference found by a section, or empty; cycles)."""
    built, wanted = images.words(engine.config), section.images.words(engine.config)
    engine.load_words("program", 0, section.images.program)
    for memory in MEMORIES:  # only the words after the images
        own = len(built[memory][1])
        engine.load_words(memory, own, wanted[memory][1][own:])
    cycles = 0
    for number, vector in enumerate(section.vectors):
        engine.write_value(section.input, vector)
        engine.start()
        cycles += engine.wait().cycles
        got, expected = engine.read_value(section.output), section.expected[number]
        if not np.array_equal(got, expected):
            element = int(np.flatnonzero(got != expected)[0])
            place = section.name(number, element)
            return _sentence(section.memory, place, int(got[element]), int(expected[element])), cycles
    return "", cycles


def _difference(memory: str, name: str, expected: Ints, got: Ints) -> str:
    places = np.flatnonzero(got != expected)
    if not len(places):
        return ""
    first = int(places[0])
    return _sentence(memory, name.format(first), int(got[first]), int(expected[first]))


def _sentence(memory: str, place: str, got: int, expected: int) -> str:
    return f"{memory}, {place}: the engine reads back {got}, and the image gives {expected}"
