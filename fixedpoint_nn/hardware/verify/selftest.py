# SPDX-License-Identifier: MIT
"""A board's self-test as a script of loads, writes, starts and comparisons: golden vectors and readback.

`python -m fixedpoint_nn.hardware.verify.selftest PACK` writes `selftest.mem` and `pack.vh` into the pack; docs/board.md
has the Verilog that executes the script beside the engine. Each step is a word {kind[34:32], argument[31:0]}:

    END       end of the test
    ADDRESS   set the address of the next LOAD, WRITE or COMPARE, each of which increments it
    PUSH      32 bits of a memory word, lowest first, for the whole width of the load port
    LOAD      write the pushed word to memory 0 program, 1 weights, 2 parameters or 3 tables
    WRITE     write a word to the activation memory
    START     run the program with this seed of the noise generator, until `done`
    COMPARE   compare a word of the activation memory with this one

    First the activation image is compared, then the golden vectors run. Then each readback program
    (readback_program.py) replaces the program and reads one of the other images, which the bitstream holds; only the
    few spare words after them are loaded. At the end the pack's program and activation image are loaded again, and
    the engine is ready.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.port import input_of
from fixedpoint_nn.hardware.pack import manifest, memory_files
from fixedpoint_nn.hardware.pack.manifest import PackError
from fixedpoint_nn.hardware.pack.reader import IMAGES, Pack, load_pack
from fixedpoint_nn.hardware.verify.readback_program import readback_program
from fixedpoint_nn.hardware.verify.readback_section import ReadbackSection

LOADED = ("program", "weights", "parameters", "tables")  # by their select codes at the load port
CHUNK, STEP_BITS = 32, 35
SCRIPT, HEADER = "selftest.mem", "pack.vh"
PARAMETERS = {
    "program": "PROGRAM_IMAGE",
    "weights": "WEIGHT_IMAGE",
    "parameters": "PARAMETER_IMAGE",
    "tables": "TABLE_IMAGE",
    "activations": "ACTIVATION_IMAGE",
}


class Kind(IntEnum):
    """The kinds of steps of a script."""

    END, ADDRESS, PUSH, LOAD, WRITE, START, COMPARE = range(7)


Step = tuple[Kind, int]


@dataclass(frozen=True)
class SelfTest:
    """A self-test script, and the engine with room for the pack and its readback."""

    config: EngineConfig
    steps: tuple[Step, ...]

    def words(self) -> list[int]:
        """The steps as words of STEP_BITS bits."""
        return [int(kind) << CHUNK | argument for kind, argument in self.steps]


def load_width(config: EngineConfig) -> int:
    """The bits of the engine's load port: as wide as the widest memory, and at least 32."""
    return config.load_width


def selftest(pack: Pack) -> SelfTest:
    """The self-test of a pack whose images are in the engine's memories at power-up."""
    readback = readback_program(pack.config, pack.images)
    return SelfTest(readback.config, tuple(_steps(pack, readback.config, readback.sections)))


def _steps(pack: Pack, config: EngineConfig, sections: Sequence[ReadbackSection]) -> Iterator[Step]:
    """The steps of a board's self-test: the golden vectors, then the readback of each memory."""
    bits, image = config.activation_width, pack.images.activations.tolist()
    yield from _each(Kind.COMPARE, range(len(image)), image, bits)
    for number, (vector, expected) in enumerate(zip(pack.vectors, pack.expected, strict=True)):
        port, choice = input_of(pack.input, pack.halves, number)
        words = [*vector.tolist(), *choice.values()]
        yield from _each(Kind.WRITE, [*port.addresses().tolist(), *choice], words, bits)
        yield Kind.START, (pack.seed + number) & 0xFFFFFFFF
        yield from _each(Kind.COMPARE, pack.output.addresses().tolist(), expected.tolist(), bits)
    for section in sections:
        if section.memory == "activations":
            continue  # the host reads them itself
        yield from _loads(config, section.images, pack.images)
        for vector, expected in zip(section.vectors, section.expected, strict=True):
            yield from _each(Kind.WRITE, section.input.addresses().tolist(), vector.tolist(), bits)
            yield Kind.START, 1
            yield from _each(Kind.COMPARE, section.output.addresses().tolist(), expected.tolist(), bits)
    yield from _loads(config, pack.images, pack.images)
    yield from _each(Kind.WRITE, range(len(image)), image, bits)
    yield Kind.END, 0


def _each(kind: Kind, addresses: Iterable[int], values: Iterable[int], bits: int) -> Iterator[Step]:
    """One step per activation word, and an ADDRESS step wherever addresses are not consecutive."""
    due = None
    for address, word in zip(addresses, bit_packing.unsigned(values, bits), strict=True):
        if address != due:
            yield Kind.ADDRESS, address
        yield kind, word
        due = address + 1


def _loads(config: EngineConfig, images: Images, there: Images) -> Iterator[Step]:
    """Steps that load the whole program, and of the other memories the words after the existing images."""
    chunks = -(-load_width(config) // CHUNK)
    present = there.words(config)
    for memory, (name, (_, words)) in enumerate((name, images.words(config)[name]) for name in LOADED):
        first = 0 if name == "program" else len(present[name][1])
        if words[first:]:
            yield Kind.ADDRESS, first
        for word in words[first:]:
            for chunk in range(chunks):
                yield Kind.PUSH, word >> CHUNK * chunk & 0xFFFFFFFF
            yield Kind.LOAD, memory


def write_selftest(directory: str | Path) -> tuple[Path, Path]:
    """Write script and header of the pack in `directory` beside its manifest; returns their paths."""
    pack = load_pack(directory)
    test = selftest(pack)
    values: dict[str, int | str] = dict(test.config.verilog())
    for kind in IMAGES:  # a memory without an image starts empty
        name = manifest.file_name(kind, ".mem")
        if (pack.directory / name).exists():
            values[PARAMETERS[kind]] = f'"{name}"'
    lines = [
        "`define ENGINE_PARAMETERS " + ", ".join(f".{name}({value})" for name, value in values.items()),
        f"`define ACTIVATION_WIDTH {test.config.activation_width}",
        f"`define LOAD_WIDTH {load_width(test.config)}",
        f"`define SCRIPT_STEPS {len(test.steps)}",
    ]
    script, header = pack.directory / SCRIPT, pack.directory / HEADER
    script.write_text(memory_files.write_mem(test.words(), STEP_BITS))
    header.write_text("\n".join(lines) + "\n")
    return script, header


def main(folders: Sequence[str]) -> int:
    """Write the self-tests of these packs; returns the exit status."""
    if not folders:
        print("name a pack: python -m fixedpoint_nn.hardware.verify.selftest PACK", file=sys.stderr)
        return 2
    for folder in folders:
        try:
            script, header = write_selftest(folder)
        except (PackError, OSError) as error:
            print(error, file=sys.stderr)
            return 1
        print(f"{script} ({len(script.read_text().splitlines())} steps), {header}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
