# SPDX-License-Identifier: MIT
"""The output words of one vector while the simulation is still running."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

from fixedpoint_nn.files import scratch
from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.sim.build import compiled
from fixedpoint_nn.hardware.sim.processes import Processes
from fixedpoint_nn.hardware.sim.run import Job, SimulationError, SimulationOutcome, completed
from fixedpoint_nn.numerics.arrays import Ints

SECONDS = 0.02  # between two looks at the bench's file


def live(job: Job, inputs: Ints) -> Generator[int, None, SimulationOutcome]:
    """Each output word of one vector (1, words) as soon as the engine has written it; returns the outcome.

    For programs that write every output word once, in order. Whoever stops listening ends the simulation. At the end
    the words are compared with those in the engine's memory; SimulationError if they differ.
    """
    command, running = compiled(job.config, job.simulator, cycles=job.cycles), Processes()
    places: list[int] = job.output.addresses().tolist()
    heard: list[tuple[int, int]] = []
    with scratch.folder() as folder, ThreadPoolExecutor(1) as pool:
        future = pool.submit(completed, command, job, folder, inputs, 0, True, running, ["+live=1"])
        try:
            for address, word in _writes(folder / "trace-0", future):
                if address in places:
                    heard.append((address, _number(word, len(heard), job.config.activation_width)))
                    yield heard[-1][1]
            outcome = future.result()
        finally:
            running.stop()
    (row,) = outcome.ints(job.config.activation_width)
    if heard != list(zip(places, row.tolist(), strict=True)):
        raise SimulationError(
            f"the engine's writes (address, word) were {heard}, its memory holds {row.tolist()}"
        )
    return outcome


def _writes(path: Path, future: Future[SimulationOutcome]) -> Iterator[tuple[int, str]]:
    """(address, word) of each line of the bench's trace; at the end those that were not seen in time."""
    seen = read = 0
    while not wait([future], timeout=SECONDS).done:
        if path.exists():
            with path.open() as file:
                file.seek(read)
                lines = file.read()
            whole = lines[: lines.rfind("\n") + 1]
            read += len(whole)
            for line in whole.splitlines():
                _, _, place, word = line.split()
                seen += 1
                yield int(place), word
    for _, address, word in future.result().traces[0][seen:]:
        yield address, word


def _number(word: str, element: int, bits: int) -> int:
    if not re.fullmatch(r"[0-9a-f]+", word):
        raise SimulationError(f"output word {element} of vector 0 is {word}, which is undefined")
    (value,) = bit_packing.signed([int(word, 16)], bits)
    return int(value)
