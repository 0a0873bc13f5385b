# SPDX-License-Identifier: MIT
"""Mistakes in the Python model, one at a time: the comparison with the engine must name their layer first.

The engine runs the golden vectors once and writes down every word that it stores. The model then runs them
with one thing wrong in one instruction; the first word that differs must be one of that instruction's.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from tqdm import tqdm

from fixedpoint_nn import Accumulator, Overflow, Q, Quantizer, emit, layers
from fixedpoint_nn.hardware.emulator.result import EmulationError
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.isa.instructions import OVERFLOWS, ROUNDINGS, Run, decode
from fixedpoint_nn.hardware.pack.reader import Pack, load_pack
from fixedpoint_nn.hardware.sim.run import Job, SimulationOutcome, simulate
from fixedpoint_nn.hardware.verify import first_difference
from fixedpoint_nn.hardware.verify.first_difference import first_divergence
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.fixed.array import FixedArray
from tests.proof.judges import GOLDEN

PACKS = ("moons", "bigram", "nplm")
KINDS = ("rounding", "overflow", "shift", "table entry", "accumulate order", "address")


@dataclass(frozen=True)
class Mistake:
    """One thing wrong in the instruction at `place`."""

    kind: str
    place: int
    value: int = 0

    def __str__(self) -> str:
        return f"{self.kind} of the instruction at {self.place} ({self.value})"


@dataclass(frozen=True)
class Finding:
    """What the comparison said: the layer that it named, or nothing."""

    mistake: Mistake
    layer: str
    named: str

    @property
    def verdict(self) -> str:
        return "no effect" if not self.named else "named" if self.named == self.layer else "another layer"


def mistakes(pack: Pack) -> Iterator[Mistake]:
    """Every rounding and overflow but the right one; shift, table entry, order and address off by one."""
    for place, run in decode(pack.images.program):
        if not isinstance(run, Run):
            continue
        yield from (
            Mistake("rounding", place, code) for code in range(len(ROUNDINGS)) if code != run.rounding
        )
        yield from (
            Mistake("overflow", place, code) for code in range(len(OVERFLOWS)) if code != run.overflow
        )
        yield from (Mistake("shift", place, step) for step in (1, -1))
        if run.table:
            yield from (Mistake("table entry", place, entry) for entry in range(1 << run.out_bits))
        if run.modelled and pack.config.model_saturate:
            yield Mistake("accumulate order", place)
        yield from (Mistake("address", place, step) for step in (1, -1))


def wrong_twin(mistake: Mistake) -> type[Twin]:
    """The model with that mistake."""

    class WrongTwin(Twin):
        def _run(self, place: int, run: Run, issue: Any, result: Any) -> None:
            self.wrong = place == mistake.place
            if self.wrong and mistake.kind in ("rounding", "overflow"):
                run = replace(run, **{mistake.kind: mistake.value})
            if self.wrong and mistake.kind == "address":
                there = replace(run.activation, base=run.activation.base + mistake.value)
                run = replace(run, activation=there)
            super()._run(place, run, issue, result)

        def _parameters(self, run: Run, place: int, tiles: int, channels: int) -> np.ndarray:  # type: ignore[type-arg]
            right = super()._parameters(run, place, tiles, channels)
            off = mistake.value if self.wrong and mistake.kind == "shift" else 0
            return np.stack([np.clip(right[:, 0] + off, 0, 63 - run.leak), right[:, 1]], axis=1)

        def _looked_up(self, run: Run, words: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
            right = super()._looked_up(run, words)
            if not (self.wrong and mistake.kind == "table entry"):
                return right
            return np.where(words & (1 << run.out_bits) - 1 == mistake.value, right ^ 1, right)

        def _totals(self, run: Run, *rest: Any) -> Any:
            if not (self.wrong and mistake.kind == "accumulate order"):
                return super()._totals(run, *rest)
            from fixedpoint_nn.hardware.emulator import datapath

            right = datapath._fitted
            with patch.object(
                datapath, "_fitted", lambda config, products: right(config, products[:, :, ::-1])
            ):
                return super()._totals(run, *rest)

    return WrongTwin


class Comparison:
    """A pack, and what the engine wrote for each of its vectors."""

    def __init__(self, pack: Pack, simulator: str, vectors: int | None = None) -> None:
        self.pack = pack
        self.inputs = pack.vectors[:vectors]
        self.layers = {run["place"]: run["layer"] for run in pack.manifest["runs"]}
        job = Job(
            pack.config, pack.mem_files(), pack.input, pack.output, simulator, pack.seed, 4 * max(pack.cycles)
        )
        self.outcome: SimulationOutcome = simulate(job, self.inputs, trace=True)

    def find(self, mistake: Mistake) -> Finding:
        """Compare vector after vector with the wrong model, until one differs."""
        layer = self.layers[mistake.place]
        with patch.object(first_difference, "Twin", wrong_twin(mistake)):
            for number, vector in enumerate(self.inputs):
                try:
                    found = first_divergence(
                        self.pack.config,
                        self.pack.images,
                        self.pack.input,
                        self.pack.manifest["runs"],
                        vector,
                        self.outcome.traces[number],
                        self.pack.seed + number,
                    )
                except (
                    EmulationError
                ) as error:  # the wrong model itself meets a word that nothing has written
                    word = int(str(error).split()[1])
                    return Finding(mistake, layer, self.layers.get(word, str(error)))
                if found is not None:
                    return Finding(mistake, layer, found.layer)
        return Finding(mistake, layer, "")


def saturating(folder: Path) -> Pack:
    """Two layers whose accumulators saturate at every step, so that the order of the terms shows."""
    rng = np.random.default_rng(5)
    word, accumulator = Q(2, 6), Accumulator(Q(4, 12), Overflow.SATURATE)

    def dense(name: str, inputs: int, outputs: int) -> layers.Dense:
        weight = FixedArray.from_ints(rng.integers(-128, 128, (inputs, outputs)), word)
        bias = FixedArray.from_ints(rng.integers(-128, 128, outputs), word)
        return layers.Dense(weight, bias, out=Quantizer(word, name=name), accumulator=accumulator)

    net = layers.Sequential(first=dense("first.out", 16, 12), second=dense("second.out", 12, 9))
    x = FixedArray.from_ints(rng.integers(-128, 128, (16, 16)), word)
    return load_pack(emit(Quantized(net, Quantizer(word)), x, folder / "saturating", name="saturating"))


def table_of(findings: list[Finding]) -> list[str]:
    """A line for each kind of mistake."""
    lines = [f"{'mistake':18} {'made':>6} {'named first':>12} {'no effect':>10} {'another layer':>14}"]
    for kind in KINDS:
        counts = Counter(finding.verdict for finding in findings if finding.mistake.kind == kind)
        numbers = [counts["named"], counts["no effect"], counts["another layer"]]
        lines.append(f"{kind:18} {sum(numbers):6} {numbers[0]:12} {numbers[1]:10} {numbers[2]:14}")
    return lines


def holds(findings: list[Finding]) -> bool:
    """No mistake was blamed on another layer, and every kind was found."""
    named = {finding.mistake.kind for finding in findings if finding.verdict == "named"}
    return named == set(KINDS) and all(finding.verdict != "another layer" for finding in findings)


def report(workers: int) -> tuple[list[str], bool]:
    findings = []
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-") as folder:
        packs = [*(load_pack(GOLDEN / name) for name in PACKS), saturating(Path(folder))]
        for pack in packs:
            comparison = Comparison(pack, "verilator")
            every = list(mistakes(pack))
            # A table has many entries: a fixed share of them.
            entries = [mistake for mistake in every if mistake.kind == "table entry"]
            chosen = [mistake for mistake in every if mistake.kind != "table entry"] + entries[::16]
            findings += [comparison.find(mistake) for mistake in tqdm(chosen, desc=pack.name, leave=False)]
    blamed = [
        f"  {finding.mistake}: {finding.named} instead of {finding.layer}"
        for finding in findings
        if finding.verdict == "another layer"
    ]
    return table_of(findings) + blamed, holds(findings)
