# SPDX-License-Identifier: MIT
"""Running memory images and vectors on the simulated engine, on all cores.

A compiled simulator depends on the engine's parameters and the Verilog, not on the network, and is cached.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fixedpoint_nn.files import scratch
from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.port import Halves, Port
from fixedpoint_nn.hardware.isa.weight_window import WeightMemory
from fixedpoint_nn.hardware.pack import memory_files
from fixedpoint_nn.hardware.pack.memory_files import MemoryImage
from fixedpoint_nn.hardware.sim.build import compiled, last_line
from fixedpoint_nn.hardware.sim.processes import Processes
from fixedpoint_nn.hardware.sim.toolchain import ToolError
from fixedpoint_nn.numerics.arrays import Ints


class SimulationError(RuntimeError):
    """Raised for a simulation that did not end properly."""


class SimulatorError(SimulationError, ToolError):
    """Raised if the simulator itself failed, so that nothing is known about the engine."""


@dataclass(frozen=True)
class Job:
    """An engine with its images and ports, to be simulated."""

    config: EngineConfig
    images: Mapping[str, MemoryImage]
    input: Port
    output: Port
    simulator: str = "iverilog"
    seed: int = 1
    limit: int = 2_000_000_000  # cycles after which a vector counts as hung
    cycles: int = 0  # expected for all vectors, 0 if unknown
    memory: WeightMemory | int | None = (
        None  # of streamed weights: at a fixed rate, or the seed of random pauses
    )
    rtl: Path | None = None  # a changed copy of the Verilog
    halves: Halves | None = None  # the input of the next vector is written while one is computed


@dataclass(frozen=True)
class SimulationOutcome:
    """The engine's results for each vector: output words as text (they may be X) and status registers."""

    words: list[list[str]] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)
    mac_cycles: list[int] = field(default_factory=list)
    saturations: list[int] = field(default_factory=list)
    accumulator_overflow: list[bool] = field(default_factory=list)
    argmax: list[int] = field(default_factory=list)
    stalls: list[int] = field(default_factory=list)
    arrivals: list[list[int]] = field(
        default_factory=list
    )  # the cycle in which each streamed row was accepted, with random pauses
    traces: list[list[tuple[int, int, str]]] = field(
        default_factory=list
    )  # cycle, address, word of every write

    def ints(self, bits: int) -> Ints:
        """The output words as integers (vectors, words); an X raises SimulationError."""
        rows = []
        for vector, words in enumerate(self.words):
            for element, word in enumerate(words):
                if not re.fullmatch(r"[0-9a-f]+", word):
                    raise SimulationError(
                        f"output word {element} of vector {vector} is {word}, which is undefined"
                    )
            rows.append(bit_packing.signed((int(word, 16) for word in words), bits))
        return np.array(rows, np.int64)


def write_images(folder: Path, config: EngineConfig, images: Images) -> dict[str, MemoryImage]:
    """Write the .mem files of these images; returns them by memory."""
    written = {}
    for name, (bits, words) in images.words(config).items():
        path = folder / f"{name}.mem"
        if words:
            path.write_text(memory_files.write_mem(words, bits))
        written[name] = MemoryImage(path, len(words))
    return written


def write_vectors(path: Path, ints: Ints, bits: int) -> None:
    """Write the input words of all vectors for the test bench."""
    path.write_text(memory_files.write_mem(bit_packing.unsigned(ints.reshape(-1).tolist(), bits), bits))


def simulate(job: Job, inputs: Ints, progress: str = "", trace: bool = False) -> SimulationOutcome:
    """Run input vectors (vectors, words), split over all cores; `progress` is the label of a progress bar."""
    command = compiled(job.config, job.simulator, cycles=job.cycles, rtl=job.rtl)
    workers = max(1, min(os.cpu_count() or 1, len(inputs)))
    together = 1 if job.halves is None else 2  # the first vector of a chunk is in the first place
    chunks = _chunks(len(inputs), workers if not progress else workers * 4, together)
    outcome, running = SimulationOutcome(), Processes()
    with (
        scratch.folder() as folder,
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=len(inputs), desc=progress, disable=not progress, unit="vector") as bar,
    ):
        waiting = [
            pool.submit(completed, command, job, folder, inputs[start:stop], start, trace, running)
            for start, stop in chunks
        ]
        try:
            for (start, stop), future in zip(chunks, waiting, strict=True):
                part = _result(future)
                for mine, its in zip(vars(outcome).values(), vars(part).values(), strict=True):
                    mine.extend(its)
                bar.update(stop - start)
        except BaseException:  # also Ctrl-C in a notebook, which does not reach the simulators
            for future in waiting:
                future.cancel()
            running.stop()
            raise
    return outcome


def _result(future: Future[SimulationOutcome]) -> SimulationOutcome:
    """The future's result, awaited in slices, because a signal just before a wait does not interrupt it."""
    while not wait([future], timeout=0.5).done:
        pass
    return future.result()


def _chunks(count: int, parts: int, together: int) -> list[tuple[int, int]]:
    size = max(1, -(-count // (parts * together))) * together
    return [(start, min(start + size, count)) for start in range(0, count, size)]


def completed(
    command: Sequence[str],
    job: Job,
    folder: Path,
    inputs: Ints,
    first: int,
    trace: bool,
    running: Processes,
    extra: Sequence[str] = (),
) -> SimulationOutcome:
    """Run one simulation of some of the vectors; raise unless it ends with the bench's PASS."""
    outcome, text, status = run_once(command, job, folder, inputs, first, trace, extra, running)
    words = len(inputs) * job.output.words
    # A simulator that is killed, or stops early, may still exit with 0: the sentence and its counts are
    # demanded.
    wanted = f"PASS: {len(inputs)} vectors, {words} words, {sum(outcome.cycles)} cycles"
    if status or wanted not in text.splitlines():
        scratch.demand_room(folder)  # files may be incomplete
        error = SimulationError if _verdict(text) else SimulatorError
        raise error(explain(text, status, job.simulator, first))
    return outcome


def run_once(
    command: Sequence[str],
    job: Job,
    folder: Path,
    inputs: Ints,
    first: int,
    trace: bool,
    extra: Sequence[str] = (),
    running: Processes | None = None,
) -> tuple[SimulationOutcome, str, int]:
    """Run one simulation; returns (results so far, output text, exit status), however it ends.

    It runs in `folder` with plain file names, so that no character of a path can disturb it.
    """
    names = ("input", "results", "trace", "arrivals")
    vectors, results, writes, arrivals = (folder / f"{name}-{first}" for name in names)
    write_vectors(vectors, inputs, job.config.activation_width)
    plusargs = [*job.input.plusargs("input"), *job.output.plusargs("output")]
    for name, image in job.images.items():
        plusargs.append(f"+{name}_words={image.words}")
        if image.words:
            link = folder / f"{name}-{first}"
            _link(image.path.absolute(), link)
            plusargs.append(f"+{name}={link.name}")
    plusargs += [
        f"+inputs={vectors.name}",
        f"+vectors={len(inputs)}",
        f"+results={results.name}",
        f"+seed={job.seed + first}",
        f"+limit={job.limit}",
        *([f"+trace={writes.name}"] if trace else []),
        *_memory(job.memory),
        *_ahead(job.halves),
        *([f"+arrivals={arrivals.name}"] if isinstance(job.memory, int) else []),
        *extra,
    ]
    try:
        text, status = (running or Processes()).execute([*command, *plusargs], folder)
    except OSError as error:
        raise ToolError(f"{command[0]} does not run: {error.strerror}; install the simulator again") from None
    outcome = read_results(results)
    if trace:
        outcome.traces.extend([] for _ in range(len(inputs)))
        for line in _lines(writes):
            vector, cycle, address, word = line.split()
            outcome.traces[int(vector)].append((int(cycle), int(address), word))
        writes.unlink(missing_ok=True)
    if isinstance(job.memory, int):
        outcome.arrivals.extend([] for _ in range(len(inputs)))
        for line in _lines(arrivals):
            number, taken = map(int, line.split())
            if number < len(inputs):  # the memory would wait with the rows of the next vector
                outcome.arrivals[number].append(taken)
        arrivals.unlink(missing_ok=True)
    return outcome, text, status


def _memory(memory: WeightMemory | int | None) -> list[str]:
    """The plusargs of the bench's memory of streamed weights."""
    if memory is None:
        return []
    if isinstance(memory, int):
        return [f"+stream_random={memory}"]
    return [f"+stream_clocks={memory.clocks}", f"+stream_latency={memory.latency}"]


def _ahead(halves: Halves | None) -> list[str]:
    """The plusargs for a host that writes ahead."""
    return [] if halves is None else [f"+second_input={halves.second.address}", f"+half={halves.word}"]


def _link(source: Path, link: Path) -> None:
    """Link a file under another name; copy it if the system has no links."""
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(source)
    except OSError:
        shutil.copyfile(source, link)


def explain(text: str, status: int, simulator: str, first: int = 0) -> str:
    """The message for a failed simulation: the bench's own sentence, if there is one."""
    sentence = _verdict(text)
    if sentence:
        return re.sub(r"vector (\d+)", lambda match: f"vector {int(match[1]) + first}", sentence)
    if status < 0:
        return f"{simulator} was killed by signal {-status} before it had finished"
    return f"{simulator} ended with status {status} and without a PASS: {last_line(text)}"


def _verdict(text: str) -> str:
    """The bench's sentence about an error; empty if there is none."""
    found = re.search(r"FAIL: (.*)", text)
    return found[1] if found else ""


def read_results(path: Path) -> SimulationOutcome:
    """The results in the bench's file."""
    outcome = SimulationOutcome()
    for line in _lines(path):
        if line.startswith("#"):
            numbers = line[1:].split()
            if len(numbers) < 7:  # a killed simulator wrote part of it
                break
            _, cycles, macs, saturations, overflow, argmax, stalls = numbers
            outcome.words.append([])
            outcome.cycles.append(int(cycles))
            outcome.mac_cycles.append(int(macs))
            outcome.saturations.append(int(saturations))
            outcome.accumulator_overflow.append(overflow == "1")
            outcome.argmax.append(int(argmax) if argmax.isdigit() else -1)
            outcome.stalls.append(int(stalls))
        elif outcome.words:
            outcome.words[-1].append(line.strip())
    return outcome


def _lines(path: Path) -> Iterator[str]:
    if path.exists():
        with path.open() as file:
            yield from file
