# SPDX-License-Identifier: MIT
"""What is mutated, each with its judges: the engines of the conformance packs, one with a window, the AXI wrapper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from fixedpoint_nn.hardware.isa.config import EngineConfig
from tests.proof import hosted, streamed, wrapper
from tests.proof.conformance import programs
from tests.proof.equivalence import Facts, Prover
from tests.proof.facts import facts
from tests.proof.judges import JUDGES, Judge, golden_pack, judge
from tests.proof.machine import Machine, flattened
from tests.proof.mutants import Mutant, applied, build, elaborate


class Subject(Protocol):
    """A design that is mutated: how many mutants there are, of which modules, and who judges them."""

    @property
    def name(self) -> str: ...

    @property
    def mutants(self) -> int: ...

    @property
    def modules(self) -> str:
        """A selection of yosys; empty: all."""
        ...

    def design(self) -> list[str]:
        """Commands of yosys that elaborate it."""
        ...

    def judges(self, folder: Path, kinds: Sequence[str] = JUDGES) -> list[Judge]:
        """In the order in which they are asked."""
        ...

    def build(self, mutants: Sequence[Mutant], folder: Path) -> list[str]:
        """The command of a simulator that takes +mutant=."""
        ...

    def equal(self, mutants: Sequence[Mutant], workers: int) -> set[int]:
        """Numbers of the mutants that are the design itself, for every legal program and every host."""
        ...

    def seed_judges(self, folder: Path) -> list[Judge]:
        """More judges for mutants of the noise generator."""
        ...


@dataclass(frozen=True)
class OfPack:
    """The engine of a conformance pack."""

    name: str
    mutants: int
    quick: int | None = None  # vectors that judge first, if the rest takes long
    modules: str = ""

    def design(self) -> list[str]:
        return elaborate(golden_pack(self.name).config)

    def judges(self, folder: Path, kinds: Sequence[str] = JUDGES) -> list[Judge]:
        pack = golden_pack(self.name)
        first, asked = judge(pack, pack.config, folder / "quick", self.quick), []
        if "quick" in kinds:
            asked.append(first)
        if "harsh" in kinds:
            asked.append(first.harsh())
        if "whole" in kinds and self.quick is not None:
            asked.append(judge(pack, pack.config, folder / "whole").asked("+load=reversed"))
        if "more" in kinds:
            more = judge(golden_pack(f"{self.name}_more"), pack.config, folder / "more")
            asked += [more, more.harsh(interrupt=47)]
        return asked

    def build(self, mutants: Sequence[Mutant], folder: Path) -> list[str]:
        return build(golden_pack(self.name).config, mutants, folder)

    def equal(self, mutants: Sequence[Mutant], workers: int) -> set[int]:
        return proven_equal(golden_pack(self.name).config, mutants, workers)

    def seed_judges(self, folder: Path) -> list[Judge]:
        """A vector of noise, if the pack has one, from every seed of one bit; its own seeds follow each other."""
        pack = golden_pack(self.name)
        program, vectors, origins = programs.assembled(self.name)
        if "noise" not in origins:
            return []
        vector, judges = vectors[origins.index("noise")], []
        for bit in range(32):
            words, status = program.results(vector, 1 << bit)
            about = {**pack.manifest, "seed": 1 << bit, "cycles": [int(status[0])]}
            one = replace(
                pack, manifest=about, vectors=vector[None], expected=words[None], status=status[None]
            )
            judges.append(judge(one, pack.config, folder / f"seed {bit}"))
        return judges


@dataclass(frozen=True)
class OfModules:
    """Some modules of an engine, with judges of their own."""

    mutants: int
    name: str
    modules: str
    config: EngineConfig
    judging: Callable[[Path], list[Judge]]
    known: Facts | None = None  # what holds of the states that a program reaches, if not all that is known

    def design(self) -> list[str]:
        return elaborate(self.config)

    def judges(self, folder: Path, kinds: Sequence[str] = JUDGES) -> list[Judge]:
        return self.judging(folder) if kinds else []

    def build(self, mutants: Sequence[Mutant], folder: Path) -> list[str]:
        return build(self.config, mutants, folder)

    def equal(self, mutants: Sequence[Mutant], workers: int) -> set[int]:
        return proven_equal(self.config, mutants, workers, self.known)

    def seed_judges(self, folder: Path) -> list[Judge]:
        return []


def of_streams(mutants: int) -> OfModules:
    """An engine whose weights come from outside, and whose lanes share multipliers."""
    modules = "*weight_window *loop_nest engine"
    return OfModules(mutants, "streamed", modules, streamed.CONFIG, streamed.judges)


def of_hosts(mutants: int) -> OfModules:
    """An engine whose host writes while it is busy: what puts a word into the clocks that the engine leaves."""
    shared = (
        "engine/w:host_turn engine/w:memory_write engine/w:memory_address engine/w:memory_data %u %u %u %ci2"
    )
    return OfModules(mutants, "hosted", shared, hosted.CONFIG, hosted.judges, Facts())


@dataclass(frozen=True)
class OfWrapper:
    """The AXI wrapper around a stand-in for the engine."""

    mutants: int
    name: str = "axi_engine"
    modules: str = "axi_engine *axi_lite_port"

    def design(self) -> list[str]:
        return wrapper.elaborate()

    def judges(self, folder: Path, kinds: Sequence[str] = JUDGES) -> list[Judge]:
        return wrapper.judges() if kinds else []

    def build(self, mutants: Sequence[Mutant], folder: Path) -> list[str]:
        return wrapper.build(mutants, folder)

    def equal(self, mutants: Sequence[Mutant], workers: int) -> set[int]:
        """The engine may answer anything."""
        original = flattened(wrapper.elaborate(), "axi_engine")
        machine = Machine(flattened([*wrapper.elaborate(), *applied(mutants)], "axi_engine"), original)
        return _equal(Prover(machine, wrapper.FACTS), mutants, workers)

    def seed_judges(self, folder: Path) -> list[Judge]:
        return []


def proven_equal(
    config: EngineConfig, mutants: Sequence[Mutant], workers: int, known: Facts | None = None
) -> set[int]:
    """Numbers of the mutants that are the engine itself, for every legal program and every host."""
    machine = Machine(flattened([*elaborate(config), *applied(mutants)]), flattened(elaborate(config)))
    return _equal(Prover(machine, facts(config) if known is None else known), mutants, workers)


def _equal(prover: Prover, mutants: Sequence[Mutant], workers: int) -> set[int]:
    if broken := prover.broken(workers):
        raise RuntimeError(f"facts that the proofs rest on do not hold: {', '.join(broken)}")
    return prover.equal([mutant.number for mutant in mutants], workers)
