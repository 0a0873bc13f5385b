# SPDX-License-Identifier: MIT
"""Packs of programs that no network was lowered to: what must come out is what the engine's Python twin says."""

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
from fixedpoint_nn.hardware.isa.modes import overflow_of, rounding_of
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.hardware.isa.weight_window import WeightMemory
from fixedpoint_nn.hardware.pack.writer import STATUS, Contents, write
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class Assembled:
    """A program with its images, and where its vectors are written and its results read."""

    config: EngineConfig
    images: Images
    input: Port
    output: Port
    titles: Mapping[int, str]  # what begins at a program address
    memory: WeightMemory | None = None  # that weights come from, if they do

    def run(self, vector: Ints, seed: int) -> tuple[Ints, Result]:
        """The output words, and what the engine's twin tells, from memories as the images fill them."""
        twin = Twin(self.config, self.images, self.input, vector, self.memory)
        result = twin.run(seed)
        return twin.memory[self.output.addresses()], result

    def results(self, vector: Ints, seed: int) -> tuple[Ints, Ints]:
        """The output words, and the status registers."""
        words, result = self.run(vector, seed)
        return words, status_of(result)


def status_of(result: Result) -> Ints:
    """The status registers of a run."""
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

    The program must give the same however many vectors have run before: what it reads is what its images
    hold, what the vector brings, or what it has written itself.
    """
    done = [program.run(vector, seed + number) for number, vector in enumerate(vectors)]
    status = np.stack([status_of(result) for _, result in done])
    contents = Contents(
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
    return write(Path(directory), contents, radix, mif)


def _listing(program: Assembled) -> str:
    lines = []
    for place, instruction in decode(program.images.program):
        if place in program.titles:
            lines.append(f"        ; {program.titles[place]}")
        lines.append(f"{place:6d}  {instruction}")
    return "\n".join(lines) + "\n"


def _runs(program: Assembled) -> list[dict[str, Any]]:
    """Every run, by the title that it stands under; its integers have no binary point."""
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
