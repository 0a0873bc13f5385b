# SPDX-License-Identifier: MIT
"""`RtlModel`: the Verilog engine, called like any model."""

from __future__ import annotations

from functools import lru_cache

from numpy.typing import ArrayLike

from fixedpoint_nn.files import scratch
from fixedpoint_nn.hardware.compiler.pipeline import MULTIPLIER_BITS, CompiledNetwork, lower
from fixedpoint_nn.hardware.sim.run import Job, Outcome, simulate, write_images
from fixedpoint_nn.network.quantized import Quantized, taken
from fixedpoint_nn.numbers.fixed.array import FixedArray


class RtlModel:
    """A quantised network on the engine's Verilog, in a simulator.

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
        self.simulator = simulator
        self.progress = progress
        self.outcome = Outcome()
        self._lowered = lru_cache(maxsize=8)(self._lower)

    def _lower(self, shape: tuple[int, ...]) -> CompiledNetwork:
        return lower(
            self.fixed.net,
            shape,
            self.fixed.input.format,
            self.lanes,
            drain=self.drain,
            multiplier=self.multiplier,
            words=self.words,
            pack=self.pack,
        )

    def lowered(self, shape: tuple[int, ...]) -> CompiledNetwork:
        """The program and the images for samples of this shape."""
        return self._lowered(shape)

    def __call__(self, x: ArrayLike | FixedArray) -> FixedArray:
        """The engine's outputs; `outcome` then holds its cycles and status registers."""
        samples = taken(self.fixed, x)
        lowered = self.lowered(samples.shape[1:])
        with scratch.folder() as folder:
            images = write_images(folder, lowered.config, lowered.images)
            job = Job(lowered.config, images, lowered.input, lowered.output, self.simulator)
            label = self.simulator if self.progress else ""
            self.outcome = simulate(job, samples.ints.reshape(len(samples), -1), label)
        ints = self.outcome.ints(lowered.config.activation_width)
        return FixedArray.from_ints(ints.reshape(len(samples), *lowered.output.shape), lowered.output.format)
