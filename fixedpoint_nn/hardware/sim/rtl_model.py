# SPDX-License-Identifier: MIT
"""`RtlModel`: the Verilog engine as a callable model."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from numpy.typing import ArrayLike

from fixedpoint_nn.files import scratch
from fixedpoint_nn.hardware.compiler.pipeline import MULTIPLIER_BITS, CompiledNetwork, lower
from fixedpoint_nn.hardware.isa.weight_window import WeightMemory
from fixedpoint_nn.hardware.sim.run import Job, SimulationOutcome, simulate, write_images
from fixedpoint_nn.hardware.vectors.whole_runs import whole_runs
from fixedpoint_nn.network.one_port import OnePort, one_port, several, shapes_of
from fixedpoint_nn.network.quantized import Quantized, fixed_samples
from fixedpoint_nn.numbers.fixed.array import FixedArray


class RtlModel:
    """A quantised network on the Verilog engine in a simulator, "iverilog" or "verilator"; called with a batch.

    The engine is chosen as by `emit`. With a `weight_window` of that many rows, weights are streamed from
    `weight_memory`: at its fixed rate, or, if it is an integer, after random pauses with that seed. A run computes
    `batch` samples; the last run is filled up with the first ones. With `ahead` the input of a run is
    written while the run before it computes.

    >>> np.array_equal(RtlModel(fixed)(x).ints, fixed(x).ints)  # doctest: +SKIP
    True
    """

    def __init__(
        self,
        fixed: Quantized,
        lanes: int = 8,
        simulator: str = "iverilog",
        progress: bool = False,
        drain: int = 1,
        multiplier: int = MULTIPLIER_BITS,
        words: int = 1,
        pack: int = 1,
        weight_window: int = 0,
        weight_memory: WeightMemory | int | None = None,
        batch: int = 1,
        ahead: bool = False,
    ) -> None:
        if not isinstance(fixed, Quantized):
            raise TypeError(
                f"the engine runs a quantised network, not a {type(fixed).__name__}; quantize(net, plan) makes one"
            )
        self.fixed = fixed
        self.lanes = lanes
        self.drain = drain
        self.multiplier = multiplier
        self.words = words
        self.pack = pack
        self.weight_window = weight_window
        self.weight_memory = weight_memory
        self.batch = batch
        self.ahead = ahead
        self.simulator = simulator
        self.progress = progress
        self.outcome = SimulationOutcome()
        self._lowered = lru_cache(maxsize=8)(self._lower)

    def _lower(self, *shapes: tuple[int, ...]) -> tuple[CompiledNetwork, OnePort | None]:
        """(program for samples of these shapes, how several inputs are joined to one, or None)."""
        port = one_port(self.fixed, shapes) if several(self.fixed) else None
        fixed = self.fixed if port is None else port.fixed
        (shape,) = shapes if port is None else [port.row_shape(shapes)]
        lowered = lower(
            fixed.net,
            shape,
            fixed.input.format,
            self.lanes,
            drain=self.drain,
            multiplier=self.multiplier,
            words=self.words,
            pack=self.pack,
            window=self.weight_window,
            batch=self.batch,
            ahead=self.ahead,
        )
        return lowered, port

    def lowered(self, *shapes: tuple[int, ...]) -> CompiledNetwork:
        """The program and images for samples of this shape, or of these shapes for several inputs."""
        return self._lowered(*shapes)[0]

    def __call__(self, *xs: ArrayLike | FixedArray) -> Any:
        """The engine's outputs for a batch; `outcome` then has cycles and status registers."""
        if not several(self.fixed):
            (x,) = xs
            samples = fixed_samples(self.fixed, x)
            return self._run(self.lowered(samples.shape[1:]), samples)
        lowered, port = self._lowered(*shapes_of(xs))
        assert port is not None
        return port.apart(self._run(lowered, port.row(xs)))

    def _run(self, lowered: CompiledNetwork, samples: FixedArray) -> FixedArray:
        whole = whole_runs(samples, self.batch)
        with scratch.folder() as folder:
            images = write_images(folder, lowered.config, lowered.images)
            job = Job(lowered.config, images, lowered.input, lowered.output, self.simulator)
            job = replace(job, memory=self.weight_memory, halves=lowered.halves)
            label = self.simulator if self.progress else ""
            self.outcome = simulate(job, whole.ints.reshape(len(whole) // self.batch, -1), label)
        ints = self.outcome.ints(lowered.config.activation_width)
        shape = lowered.output.shape if self.batch == 1 else lowered.output.shape[1:]
        return FixedArray.from_ints(ints.reshape(-1, *shape)[: len(samples)], lowered.output.format)
