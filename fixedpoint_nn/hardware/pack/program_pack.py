# SPDX-License-Identifier: MIT
"""Packs of hand-written programs, whose expected outputs come from the emulator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn.hardware.emulator.result import Result
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import Run, decode
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.hardware.isa.weight_window import WeightMemory
from fixedpoint_nn.hardware.pack.writer import STATUS, PackContents, write_pack
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.mode_codes import overflow_of, rounding_of
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class Assembled:
    """A hand-written program with its images and its ports."""

    config: EngineConfig
    images: Images
    input: Port
    output: Port
    titles: Mapping[int, str]  # the name of the part that begins at a program address
    memory: WeightMemory | None = None  # of streamed weights, if any

    def run(self, vector: Ints, seed: int) -> tuple[Ints, Result]:
        """(output words, emulator result) for one vector, from freshly loaded memories."""
        twin = Twin(self.config, self.images, self.input, vector, self.memory)
        result = twin.run(seed)
        return twin.memory[self.output.addresses()], result

    def results(self, vector: Ints, seed: int) -> tuple[Ints, Ints]:
        """(output words, status registers) for one vector."""
        words, result = self.run(vector, seed)
        return words, status_of(result)


def status_of(result: Result) -> Ints:
    """The status registers as an array."""
    return np.array([int(getattr(result, name)) for name in STATUS])


def emit_program(
    directory: str | Path,
    program: Assembled,
    vectors: Ints,
    origins: Sequence[str],
    name: str,
    *,
    seed: int = 1,
    radix: int = 16,
    mif: bool = False,
) -> Path:
    """Write a pack of vectors (vectors, words); vector n starts the noise generator from seed + n.

    A vector's result must not depend on earlier vectors: the program may read only its images, its input, and what it
    has written itself.
    """
    done = [program.run(vector, seed + number) for number, vector in enumerate(vectors)]
    status = np.stack([status_of(result) for _, result in done])
    contents = PackContents(
        name=name,
        config=program.config,
        images=program.images,
        input=program.input,
        output=program.output,
        vectors=vectors.reshape(-1, *program.input.shape),
        expected=np.stack([words for words, _ in done]).reshape(-1, *program.output.shape),
        origins=origins,
        cycles=status[:, STATUS.index("cycles")].tolist(),
        mac_cycles=status[:, STATUS.index("mac_cycles")].tolist(),
        listing=_listing(program),
        runs=_runs(program),
        seed=seed,
        status=status,
        memory=program.memory,
        stalls=[result.stalls for _, result in done],
    )
    return write_pack(Path(directory), contents, radix, mif)


def _listing(program: Assembled) -> str:
    lines = []
    for place, instruction in decode(program.images.program):
        if place in program.titles:
            lines.append(f"        ; {program.titles[place]}")
        lines.append(f"{place:6d}  {instruction}")
    return "\n".join(lines) + "\n"


def _runs(program: Assembled) -> list[dict[str, Any]]:
    """The manifest's entries of the runs, named by titles; their words are plain integers."""
    runs, title = [], ""
    width = program.config.activation_width
    for place, instruction in decode(program.images.program):
        title = program.titles.get(place, title)
        if not isinstance(instruction, Run):
            continue
        format = QFormat(instruction.out_bits, 0, instruction.out_signed)
        rounding, overflow = rounding_of(instruction.rounding), overflow_of(instruction.overflow)
        runs.append(
            {
                "place": place,
                "layer": title,
                "format": repr(QFormat(width, 0) if instruction.table else format),
                "channels": instruction.pixel_channels(program.config.lanes),
                "quantizer": str(Quantizer(format, rounding, overflow)),
            }
        )
    return runs
