# SPDX-License-Identifier: MIT
"""Verification of a pack: run it on the Verilog, compare every word, and locate the first difference."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from fixedpoint_nn.files import scratch
from fixedpoint_nn.files.scratch import PlaceError
from fixedpoint_nn.hardware.emulator.result import EmulationError
from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.isa.port import input_of
from fixedpoint_nn.hardware.isa.weight_window import Outside
from fixedpoint_nn.hardware.pack import manifest, memory_files
from fixedpoint_nn.hardware.pack.manifest import PackError
from fixedpoint_nn.hardware.pack.reader import Pack, load_pack
from fixedpoint_nn.hardware.pack.writer import STATUS, VECTORS
from fixedpoint_nn.hardware.sim import waves
from fixedpoint_nn.hardware.sim.build import compiled
from fixedpoint_nn.hardware.sim.run import (
    Job,
    SimulationError,
    SimulationOutcome,
    SimulatorError,
    run_once,
    simulate,
)
from fixedpoint_nn.hardware.sim.toolchain import ToolError
from fixedpoint_nn.hardware.verify.first_difference import ExtraWrites, FirstDifference, first_divergence
from fixedpoint_nn.hardware.verify.streamed import cycles_by_arrival
from fixedpoint_nn.hardware.verify.verdict import Verdict
from fixedpoint_nn.numerics.arrays import Ints


def verify(
    directory: str | Path,
    simulator: str = "iverilog",
    *,
    trace: bool = False,
    vcd: str | Path | None = None,
    vectors: int | None = None,
    progress: bool = False,
    pauses: int | None = None,
    rtl: str | Path | None = None,
) -> Verdict:
    """Run the pack's vectors on the Verilog, and compare outputs, cycles and status with the expected ones.

    With `trace` every word that the engine writes is compared. `vcd` is a file for the waveforms of the first failing
    vector, else of the first one, with a GTKWave save file beside it. `vectors` limits their number. With `pauses`, a
    seed, streamed weights arrive after random pauses, and cycles must match the arrivals. `rtl` is a folder with a
    changed copy of the Verilog, to be verified instead of the engine as it is.
    """

    def run() -> Verdict:
        pack = load_pack(directory)
        _same_in_both_forms(pack)
        if pauses is not None and pack.memory is None:
            raise PackError(f"{pack.directory} has all of its weights in the engine; leave the pauses out")
        changed = None if rtl is None else Path(rtl).absolute()
        return _verify(pack, simulator, trace, vcd, vectors, progress, pauses, changed)

    return Verdict.of(Path(directory), run)


def _same_in_both_forms(pack: Pack) -> None:
    """Raise unless .mem files, which the simulator reads, and .coe files, from which the pack was read, are equal."""
    wanted = {kind: words for kind, (_, words) in pack.images.words(pack.config).items()}
    bits = pack.config.activation_width
    for kind, ints in zip(VECTORS, (pack.vectors, pack.expected), strict=True):
        wanted[kind] = bit_packing.unsigned(ints.reshape(-1).tolist(), bits)
    wanted["status"] = [] if pack.status is None else pack.status.reshape(-1).tolist()
    for kind in wanted:
        name = manifest.file_name(kind, ".mem")
        entry = pack.manifest["files"].get(name)
        words = (
            []
            if entry is None
            else memory_files.read_mem((pack.directory / name).read_text(), entry["bits"], name)
        )
        if words != wanted[kind]:
            raise PackError(f"{pack.directory / name} and its .coe hold different words; emit the pack again")


def _verify(
    pack: Pack,
    simulator: str,
    trace: bool,
    vcd: str | Path | None,
    vectors: int | None,
    progress: bool,
    pauses: int | None,
    rtl: Path | None,
) -> Verdict:
    """Simulate the vectors, and compare words, cycles, status and with `trace` every write."""
    inputs, expected = pack.vectors[:vectors], pack.expected[:vectors]
    if len(inputs) == 0:
        raise PackError(f"{pack.directory} holds no vectors; emit it with at least one input")
    if vectors is not None and vectors > len(inputs):
        raise PackError(f"{pack.directory} holds {len(inputs)} vectors, not {vectors}; ask for no more")
    predicted = pack.cycles[: len(inputs)]
    if len(predicted) != len(inputs):
        raise PackError(
            f"{pack.directory} predicts cycles of {len(predicted)} vectors and holds {len(inputs)}; "
            f"emit it again"
        )
    limit = (4 if pauses is None else 100) * max(predicted) + 1000
    cycles = sum(predicted)
    memory = pack.memory if pauses is None else pauses
    job = Job(
        pack.config,
        pack.mem_files(),
        pack.input,
        pack.output,
        simulator,
        pack.seed,
        limit,
        cycles,
        memory,
        rtl,
        pack.halves,
    )
    label = f"{pack.name} on {simulator}" if progress else ""
    try:
        verdict = _compared(pack, job, inputs, expected, predicted, label, trace)
    except SimulationError as error:
        verdict = Verdict.because(error)
    if vcd is not None and verdict.ran:
        vector = 0 if verdict.passed else _named_vector(verdict.text)
        try:
            waves.record(replace(job, seed=job.seed + vector), inputs[vector : vector + 1], Path(vcd))
        except (SimulationError, ToolError, PlaceError, OSError) as error:
            text = f"{verdict.text}\n      NO WAVEFORMS: {error}"
            return replace(verdict, passed=False, text=text, ran=not verdict.passed)
    return verdict


def _named_vector(text: str) -> int:
    """The number of the vector that a sentence names; 0 if it names none."""
    found = re.search(r"\bvector (\d+)", text)
    return int(found[1]) if found else 0


def _compared(
    pack: Pack, job: Job, inputs: Ints, expected: Ints, predicted: list[int], label: str, trace: bool
) -> Verdict:
    """Run the vectors; compare output words, traced writes and cycles."""
    try:
        outcome = simulate(job, inputs, label, trace)
    except SimulatorError:
        raise
    except SimulationError as error:
        raise SimulationError(f"{error}{_undefined(pack, job, inputs, str(error))}") from None
    bits = pack.config.activation_width
    stalls = pack.stalls
    if isinstance(job.memory, int):
        predicted, stalls = cycles_by_arrival(pack, outcome.arrivals)
    if len(outcome.words) != len(inputs):
        raise SimulationError(f"{len(outcome.words)} vectors came back and {len(inputs)} were run")
    for vector, (words, wanted) in enumerate(zip(outcome.words, expected, strict=True)):
        texts = [
            f"{word:0{bit_packing.digits(bits)}x}" for word in bit_packing.unsigned(wanted.tolist(), bits)
        ]
        if words != texts:
            element = next(
                (n for n, (a, b) in enumerate(zip(words, texts, strict=False)) if a != b), len(words)
            )
            return Verdict(False, _diverged(pack, job, inputs, vector, element, words, wanted))
        if trace:
            found = _compare_trace(pack, job, inputs, vector, outcome)
            if found:
                return Verdict(False, found)
        if outcome.cycles[vector] != predicted[vector]:
            return Verdict(
                False,
                f"FAIL: vector {vector} took {outcome.cycles[vector]} cycles and {predicted[vector]} "
                f"were predicted",
            )
        if stalls is not None and outcome.stalls[vector] != stalls[vector]:
            return Verdict(
                False,
                f"FAIL: vector {vector} waited {outcome.stalls[vector]} cycles for its weights and {stalls[vector]} "
                f"were predicted",
            )
        found = _compare_status(pack, vector, outcome, predicted[vector])
        if found:
            return Verdict(False, found)
    words_compared = sum(len(words) for words in outcome.words)
    if words_compared != expected.size:
        raise SimulationError(f"{words_compared} words were compared and {expected.size} were expected")
    traced = f" ({sum(map(len, outcome.traces))} writes traced)" if trace else ""
    cycles = sum(outcome.cycles)
    waited = "" if stalls is None else f", {sum(outcome.stalls)} of them waiting for weights"
    text = f"PASS: {len(inputs)} vectors, {words_compared} words, {cycles} cycles{waited}{traced}"
    return Verdict(True, text, len(inputs), words_compared, cycles)


def _compare_status(pack: Pack, vector: int, outcome: SimulationOutcome, cycles: int) -> str:
    """A sentence about a status register, other than `cycles`, that differs from the pack's; empty if none does."""
    if pack.status is None:
        return ""
    for name, wanted in zip(STATUS, pack.status[vector].tolist(), strict=True):
        wanted = cycles if name == "cycles" else wanted
        got = int(getattr(outcome, name)[vector])
        if got != wanted:
            return f"FAIL: vector {vector}, status register {name}: expected {wanted}, got {got}"
    return ""


def _compare_trace(pack: Pack, job: Job, inputs: Ints, vector: int, outcome: SimulationOutcome) -> str:
    """A sentence about the first write of this vector that differs; empty if there is none."""
    found = _divergence(pack, job, inputs, vector, outcome, vector)
    return f"FAIL: vector {vector}, {found}" if found is not None else ""


def _diverged(
    pack: Pack, job: Job, inputs: Ints, vector: int, element: int, words: list[str], wanted: Ints
) -> str:
    """Run the vector again with a trace; a sentence about the first word that differs."""
    got = words[element] if element < len(words) else "nothing"
    bits = pack.config.activation_width
    head = f"FAIL: vector {vector}, output element {element}: "
    head += f"expected {wanted[element]}, got {_number(got, bits)}"
    found = _traced_divergence(pack, job, inputs, vector)
    if found is None:
        return f"{head}; the Verilog did what the images say, so the images or the expected words are wrong"
    return f"{head}\n      first divergence: vector {vector}, {found}"


def _traced_divergence(
    pack: Pack, job: Job, inputs: Ints, vector: int
) -> FirstDifference | ExtraWrites | None:
    """Run one vector again with a trace, and compare every write."""
    first = vector if job.halves is None else vector - vector % 2  # from the first place of the input on
    with scratch.folder() as folder:
        again = replace(job, seed=job.seed + first)
        outcome, _, _ = run_once(
            compiled(job.config, job.simulator, rtl=job.rtl),
            again,
            folder,
            inputs[first : vector + 1],
            0,
            True,
        )
    return _divergence(pack, job, inputs, vector, outcome, vector - first)


def _divergence(
    pack: Pack, job: Job, inputs: Ints, vector: int, outcome: SimulationOutcome, place: int
) -> FirstDifference | ExtraWrites | None:
    """The first write of a vector that differs from the twin's; its trace is number `place` of the outcome's."""
    port, choice = input_of(pack.input, job.halves, place)
    return first_divergence(
        pack.config,
        pack.images,
        port,
        pack.manifest["runs"],
        inputs[vector],
        outcome.traces[place],
        job.seed + vector,
        _outside(job, outcome, place),
        choice,
    )


def _outside(job: Job, outcome: SimulationOutcome, vector: int) -> Outside | None:
    """The memory of streamed weights, or the cycles in which its rows arrived."""
    return np.array(outcome.arrivals[vector]) if isinstance(job.memory, int) else job.memory


def _undefined(pack: Pack, job: Job, inputs: Ints, sentence: str) -> str:
    """A sentence about the origin of an X."""
    if " is X " not in sentence:
        return ""
    vector = _named_vector(sentence)
    try:
        found = _traced_divergence(pack, job, inputs, vector)
    except EmulationError as error:
        return f"\n      the engine's twin in Python says: {error}"
    return f"\n      first divergence: vector {vector}, {found}" if found is not None else ""


def _number(word: str, bits: int) -> str:
    return (
        str(bit_packing.signed([int(word, 16)], bits)[0])
        if all(c in "0123456789abcdef" for c in word)
        else word
    )
