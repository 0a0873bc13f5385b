# SPDX-License-Identifier: MIT
"""Text from the bit-accurate model, from the Verilog, and as a pack: equal characters for equal seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn.files import scratch
from fixedpoint_nn.hardware.emit import emit_lowered
from fixedpoint_nn.hardware.isa.lfsr import Noise
from fixedpoint_nn.hardware.sim.live import live
from fixedpoint_nn.hardware.sim.run import Job, simulate, write_images
from fixedpoint_nn.hardware.textgen.compile import lower_writer
from fixedpoint_nn.hardware.textgen.network import END, SamplingConfig, TextNetwork
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.arrays import Ints


def write(fixed: Quantized, how: SamplingConfig, seed: int = 1, first: int = END) -> Ints:
    """The ids (length,) that the bit-accurate model generates, equal to the engine's with the same seed."""
    network = TextNetwork(fixed)
    table, source = network.noise(how), Noise(seed)
    format = fixed.input.format
    token = FixedArray.from_ints(np.array([first]), format)
    states: Sequence[Any] = network.states(token)
    written = []
    for _ in range(how.length):
        logits, *states = network.step(token, *states)
        if table is not None:
            drawn = FixedArray.from_ints(table.draw(source, network.symbols)[None], table.output.format)
            logits = logits + drawn
        token = FixedArray.from_ints(logits.argmax().ints.reshape(1), format)
        written.append(int(token.ints[0]))
        if how.restart and written[-1] == END:
            states = network.states(token)
    return np.array(written, np.int64)


def emit_writer(
    fixed: Quantized,
    how: SamplingConfig,
    directory: str | Path,
    *,
    name: str = "writer",
    first: int = END,
    seeds: int = 1,
    lanes: int = 8,
    drain: int = 1,
    seed: int = 1,
    radix: int = 16,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Write the pack of a text generator, with `seeds` vectors, each with the next seed; returns its folder."""
    if progress is not None:
        progress(f"lowering {name} for {lanes} lanes")
    lowered = lower_writer(fixed, how, lanes, drain)
    format = fixed.input.format
    vectors = FixedArray.from_ints(np.full((seeds, 1), first), format)
    texts = np.stack([write(fixed, how, seed + number, first) for number in range(seeds)])
    expected = FixedArray.from_ints(texts, format)
    return emit_lowered(directory, lowered, vectors, expected, ["seed"] * seeds, name, radix=radix, seed=seed)


class RtlWriter:
    """Text generation on the simulated Verilog: `RtlWriter(fixed, how)(seed)` equals `write(fixed, how, seed)`."""

    def __init__(
        self,
        fixed: Quantized,
        how: SamplingConfig,
        lanes: int = 8,
        simulator: str = "iverilog",
        drain: int = 1,
    ) -> None:
        self.lowered = lower_writer(fixed, how, lanes, drain)
        self.simulator = simulator

    def __call__(self, seed: int = 1, first: int = END, texts: int = 1) -> Ints:
        """The ids (texts, length) for the seeds seed, seed + 1, ..."""
        with self._job(seed) as job:
            self.outcome = simulate(job, np.full((texts, 1), first, np.int64))
        return self.outcome.ints(job.config.activation_width)

    def stream(self, seed: int = 1, first: int = END) -> Iterator[int]:
        """The ids of one text, each as soon as the engine has written it, while the simulation goes on."""
        with self._job(seed) as job:
            self.outcome = yield from live(job, np.array([[first]]))

    @contextmanager
    def _job(self, seed: int) -> Iterator[Job]:
        lowered = self.lowered
        with scratch.folder() as folder:
            images = write_images(folder, lowered.config, lowered.images)
            yield Job(lowered.config, images, lowered.input, lowered.output, self.simulator, seed)
