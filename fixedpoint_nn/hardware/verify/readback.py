# SPDX-License-Identifier: MIT
"""Readback verification: a program on the Verilog engine reads its memories, which are compared with the images."""

from __future__ import annotations

from pathlib import Path

from fixedpoint_nn.files import scratch
from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.pack.reader import Pack, load_pack
from fixedpoint_nn.hardware.sim.run import Job, SimulationError, simulate, write_images
from fixedpoint_nn.hardware.verify.readback_program import Readback, readback_program
from fixedpoint_nn.hardware.verify.readback_section import ReadbackSection
from fixedpoint_nn.hardware.verify.verdict import Verdict

CYCLES = 2_000_000  # after which a vector counts as hung; the longest takes a tenth of it


def verify_readback(directory: str | Path, simulator: str = "iverilog", *, progress: bool = False) -> Verdict:
    """Read weights, parameters, tables and the activation image back through the engine, and compare every bit.

    The pack's own program is not checked, because the program memory holds the readback program.
    """

    def run() -> Verdict:
        pack = load_pack(directory)
        return _compared(pack, readback_program(pack.config, pack.images), simulator, progress)

    return Verdict.of(Path(directory), run)


def _compared(pack: Pack, readback: Readback, simulator: str, progress: bool) -> Verdict:
    """Run every section of the readback, and compare its words with the images."""
    words = cycles = vectors = 0
    seen: dict[str, int] = {}
    for section in readback.sections:
        label = f"{pack.name}: {section.memory} on {simulator}" if progress else ""
        with scratch.folder() as folder:
            images = write_images(folder, readback.config, section.images)
            job = Job(readback.config, images, section.input, section.output, simulator, limit=CYCLES)
            outcome = simulate(job, section.vectors, label)
        found = _first_difference(section, outcome.words, readback.config.activation_width)
        if found:
            return Verdict(False, f"FAIL: {found}")
        seen[section.memory] = seen.get(section.memory, 0) + section.expected.size
        words, cycles = words + section.expected.size, cycles + sum(outcome.cycles)
        vectors += len(section.vectors)
    parts = ", ".join(f"{count} of {memory}" for memory, count in seen.items())
    text = f"PASS: {words} words read back ({parts}), {cycles} cycles"
    if readback.in_part:
        text += f"; {len(readback.in_part)} parameter words are seen in part"
    return Verdict(True, text, vectors, words, cycles)


def _first_difference(section: ReadbackSection, words: list[list[str]], bits: int) -> str:
    """A sentence about the first memory word that differs from its image; empty if all are equal."""
    if len(words) != len(section.expected):
        raise SimulationError(f"{len(words)} vectors came back and {len(section.expected)} were run")
    width = bit_packing.digits(bits)
    for vector, (got, wanted) in enumerate(zip(words, section.expected, strict=True)):
        texts = [f"{word:0{width}x}" for word in bit_packing.unsigned(wanted.tolist(), bits)]
        if len(got) != len(texts):
            raise SimulationError(f"vector {vector} gave {len(got)} words and {len(texts)} were expected")
        for element, (is_, should) in enumerate(zip(got, texts, strict=True)):
            if is_ != should:
                return (
                    f"{section.memory}, {section.name(vector, element)}: the engine reads back {is_}, and the image "
                    f"gives {should} (hexadecimal)"
                )
    return ""
