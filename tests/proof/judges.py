# SPDX-License-Identifier: MIT
"""The golden packs as judges of a changed engine: one simulator with room for all of them."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.pack.reader import Pack, load_pack
from fixedpoint_nn.hardware.pack.writer import STATUS_BITS
from fixedpoint_nn.hardware.sim.run import write_images, write_vectors
from tests.proof.conformance import programs

GOLDEN = Path(__file__).parents[2] / "golden_vectors"
# The pack itself, as much of it as is quick, and in the harsh mode; all of it; and others of the same engine.
JUDGES = ("quick", "harsh", "whole", "more")
# As a board's host sees the engine: images by its ports, registers in any state at power-up, a host that
# writes while the engine is busy, and every vector once ended by reset before it is run.
HOST = ("+load=port", "+disturb=1", "+interrupt=40")
HARSH = (*HOST, "+verilator+rand+reset+2", "+verilator+seed+7")


@dataclass(frozen=True)
class Judge:
    """One pack, its images in the words of the common engine: how long it runs, and the bench's arguments."""

    name: str
    cycles: int
    arguments: tuple[str, ...]

    def harsh(self, interrupt: int = 40) -> Judge:
        """The same under harder circumstances; so many clocks, at least, until the first reset."""
        return self.asked(*(f"+interrupt={interrupt}" if "interrupt" in way else way for way in HARSH))

    def asked(self, *more: str) -> Judge:
        """The same with more arguments for the bench."""
        return replace(self, name=f"{self.name} {' '.join(more)}", arguments=(*self.arguments, *more))


@cache
def golden_pack(name: str) -> Pack:
    """The committed pack, or a conformance pack that is assembled here and now."""
    if name not in programs.PACKS | programs.PACKS_OF_MORE or name in programs.COMMITTED:
        return load_pack(GOLDEN / name)
    folder = Path(tempfile.mkdtemp(prefix="fixedpoint_nn-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return load_pack(programs.write_program(name, folder / name))


def golden_packs(names: Sequence[str]) -> list[Pack]:
    return [golden_pack(name) for name in names]


def common_engine(packs: Sequence[Pack]) -> EngineConfig:
    """The smallest engine that runs them all: every parameter at its largest."""
    values = {f.name: max(getattr(pack.config, f.name) for pack in packs) for f in fields(EngineConfig)}
    lanes = {pack.config.lanes for pack in packs}
    if len(lanes) != 1:
        raise ValueError(
            f"judges of {sorted(lanes)} lanes do not share an engine; choose packs of one lane count"
        )
    return EngineConfig(**values)


def judge(pack: Pack, config: EngineConfig, folder: Path, vectors: int | None = None) -> Judge:
    """Write the pack's files for the common engine; the quickest judge is asked first."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs, expected = pack.vectors[:vectors], pack.expected[:vectors]
    arguments = [*pack.input.plusargs("input"), *pack.output.plusargs("output"), f"+vectors={len(inputs)}"]
    for name, image in write_images(folder, config, pack.images).items():
        arguments += [f"+{name}_words={image.words}"] + ([f"+{name}={image.path}"] if image.words else [])
    for name, ints in (("inputs", inputs), ("expected", expected)):
        write_vectors(folder / f"{name}.mem", ints, config.activation_width)
        arguments.append(f"+{name}={folder / name}.mem")
    if pack.status is not None:
        write_vectors(folder / "status.mem", pack.status[:vectors], STATUS_BITS + 1)
        arguments.append(f"+status={folder / 'status'}.mem")
    arguments.append(f"+seed={pack.seed}")
    cycles = pack.cycles[: len(inputs)]
    arguments.append(f"+limit={2 * max(cycles) + 1000}")
    # A mutant may stop the very counter that the limit is compared with.
    arguments.append(f"+hang={4 * sum(cycles) + 8 * (inputs.size + expected.size) + 100_000}")
    return Judge(pack.name, sum(cycles), tuple(arguments))
