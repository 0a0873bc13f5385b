# SPDX-License-Identifier: MIT
"""The emulator with a sample loaded, which can record the sums of one run for diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.hardware.emulator.emulator import Emulator
from fixedpoint_nn.hardware.emulator.result import Result
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import Run
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.hardware.isa.weight_window import Outside
from fixedpoint_nn.numerics.arrays import Ints


class Twin(Emulator):
    """The emulator with a sample in its activation memory; records the sums of the run `wanted`.

    `choice` is what the host writes besides: the word that says where the sample stands (`input_of`).
    """

    def __init__(
        self,
        config: EngineConfig,
        images: Images,
        port: Port,
        vector: Ints,
        outside: Outside | None = None,
        choice: Mapping[int, int] | None = None,
    ) -> None:
        super().__init__(config, images, outside)
        sample = zip(port.addresses().tolist(), vector.tolist(), strict=True)
        for address, value in (*sample, *(choice or {}).items()):
            self.write(address, np.array([value], np.int64))
        self.wanted = (-1, -1)  # the run to record: its program address, and earlier executions of it
        self.found: tuple[Run, Ints, Ints] | None = (
            None  # the run, sums (pixels, channels), parameters (channels, 2)
        )
        self._passed: dict[int, int] = {}
        self._blocks: list[Ints] | None = None

    def _run(self, place: int, run: Run, issue: Any, result: Result) -> None:
        number = self._passed.get(place, 0)
        self._blocks = [] if (place, number) == self.wanted else None
        super()._run(place, run, issue, result)
        self._passed[place] = number + 1
        if self._blocks:
            tiles, lanes = run.counts[3], run.tile_channels(self.config.lanes)
            channels = run.pixel_channels(self.config.lanes)
            sums = np.concatenate(self._blocks).reshape(-1, tiles * lanes)[:, :channels]
            self.found = run, sums, self._parameters(run, place, tiles, channels)

    def _totals(
        self, run: Run, place: int, pixel: Ints, weight: Ints | None, issue: Any
    ) -> tuple[Ints, NDArray[np.bool_]]:
        sums, lost = super()._totals(run, place, pixel, weight, issue)
        if self._blocks is not None:
            shape = (len(pixel), run.counts[3], run.tile_channels(self.config.lanes))
            self._blocks.append(np.broadcast_to(sums, shape))
        return sums, lost
