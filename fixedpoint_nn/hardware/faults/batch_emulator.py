# SPDX-License-Identifier: MIT
"""The engine in Python on many samples at once: `Emulator` with a column of the memory for each sample.

For programs whose jumps do not depend on the data, without noise. Addresses may: a register that was loaded
holds one value for each sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.hardware.emulator.datapath import requantized, totals
from fixedpoint_nn.hardware.emulator.emulator import (
    EmulationError,
    Emulator,
    Result,
    factors,
    walked,
)
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import Address, Run, Store
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.hardware.isa.timing import LATENCY, Issue
from fixedpoint_nn.numerics.arrays import Ints

_BLOCK = 1 << 21  # words gathered at once
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Step:
    """One run as it was executed, with what is needed to execute it from here again."""

    place: int
    run: Run
    issue: Issue
    registers: dict[int, Any]  # a number, or one for each sample
    memory: Ints | None  # before it, (words, samples); None if it is not kept
    sums: Ints  # (samples, pixels, channels)
    words: Ints  # before the table
    addresses: Ints  # of the results, (pixels, channels)

    def start(self, address: Address) -> int:
        """Where the run begins to read; its register holds the same for every sample."""
        return address.base + (int(self.registers[address.register]) if address.register else 0)


class Batch(Emulator):
    """One engine for each sample; `steps` are recorded if `record` is set before `run`."""

    def __init__(self, config: EngineConfig, images: Images, samples: int) -> None:
        super().__init__(config, images)
        self.samples = samples
        self.memory = np.repeat(self.memory[:, None].astype(np.int32), samples, axis=1)
        self.record, self.every = (
            False,
            1,
        )  # the memory is kept before every so many runs, and before each new one
        self.steps: list[Step] = []
        self.constants = np.zeros((len(images.activations), samples), bool)  # which of them a run reads
        self.loads: set[int] = set()  # addresses whose words became registers
        self.stores = any(isinstance(instruction, Store) for instruction in self._program.values())
        self.runs = 0

    def put(self, port: Port, inputs: Ints) -> None:
        """The host writes (samples, words)."""
        self.memory[port.addresses()] = inputs.T
        self.defined[port.addresses()] = True

    def get(self, port: Port) -> Ints:
        """What the host reads, (samples, words)."""
        addresses = port.addresses()
        if not self.defined[addresses].all():
            missing = addresses[~self.defined[addresses]]
            raise EmulationError(f"the output at {int(missing[0])} was never written")
        return np.asarray(self.memory[addresses].T)

    # ---- registers and memory ------------------------------------------------------------------------------

    def _loaded(self, address: Address, place: int) -> Any:
        where = self._address(address, place)
        self.loads |= set(np.atleast_1d(where).tolist())
        if np.ndim(where):
            raise EmulationError(f"word {place} loads from an address that was loaded; run sample by sample")
        words = self._gather(np.array([where]), place)[0].astype(np.int64)
        return int(words[0]) if (words == words[0]).all() else words

    def _scatter(self, place: int, addresses: Ints, values: Ints, cycles: Ints, result: Result) -> None:
        if np.max(addresses) >= self.config.activation_depth:
            raise EmulationError(
                f"word {place} writes activation {int(np.max(addresses))}; "
                f"there are {self.config.activation_depth}"
            )
        self.memory[addresses] = values
        self.defined[addresses] = True
        self._ready[addresses] = cycles

    def operands(self, run: Run, place: int, addresses: Ints, padded: Flags, cycles: Ints) -> Ints:
        """What the lanes load, (samples, pixels, tiles, taps, lanes); one word for all if not `vector`.

        The addresses are (1 or samples, pixels, tiles, taps).
        """
        lanes, tiles, depth = self.config.lanes, run.counts[3], self.config.activation_depth
        wanted = ~padded[None, ..., None]
        if run.vector:
            addresses = (addresses // lanes * lanes)[..., None] + np.arange(lanes)
            used = np.full((1, 1, addresses.shape[2], 1, lanes), True)
            if addresses.shape[2] == tiles:
                used[:, :, -1, :, run.last_channels :] = False
            wanted = wanted & used
        else:
            addresses = addresses[..., None]
        wanted = np.broadcast_to(wanted, addresses.shape)
        safe = np.where(wanted, addresses, 0)
        if safe.size and int(safe.max()) >= depth:
            raise EmulationError(f"word {place} reads activation {int(safe.max())}; there are {depth}")
        if (wanted & ~self.defined[safe]).any():
            raise EmulationError(f"word {place} reads an activation that nothing has written")
        if (wanted & (self._ready[safe] > cycles[None, ..., None])).any():
            raise EmulationError(f"word {place} reads an activation before it is written; it needs a barrier")
        if self.record:
            self._note(safe, wanted)
        if len(addresses) == 1:
            words = np.moveaxis(self.memory[safe[0]], -1, 0)
        else:
            words = self.memory[safe, np.arange(self.samples).reshape(-1, *[1] * (safe.ndim - 1))]
        lowest = -(1 << self.config.activation_width - 1)
        return np.where(wanted, words, lowest if run.maximum else 0).astype(np.int64)

    def _note(self, addresses: Ints, wanted: Flags) -> None:
        """Remember which constants each sample reads."""
        where = np.nonzero(wanted & (addresses < len(self.constants)))
        self.constants[addresses[where], where[0] if len(addresses) > 1 else slice(None)] = True

    # ---- a run ---------------------------------------------------------------------------------------------

    def reads(self, run: Run, place: int, pixel: Ints, issue: Issue) -> tuple[Ints, Flags, Ints]:
        """Addresses, padding and cycles of the taps: (1 or samples, pixels, tiles, taps), then without samples."""
        walk, padded = walked(run, pixel)
        base = np.atleast_1d(np.asarray(self._address(run.activation, place)))
        cycles = self._steps(issue, pixel, np.arange(walk.shape[1]))[..., None] + np.arange(walk.shape[2])
        return base[:, None, None, None] + walk & self._mask, padded, cycles

    def _run(self, place: int, run: Run, issue: Issue, result: Result) -> None:
        constant = (run.weight, run.parameter, run.output)
        if run.noise or any(np.ndim(self._address(address, place)) for address in constant):
            raise EmulationError(
                f"word {place} draws noise, or loads where its weights or results are; run sample by sample"
            )
        self.runs += 1
        lanes, tiles, taps = self.config.lanes, run.counts[3], int(np.prod(run.counts[:3]))
        pixels, channels = run.counts[4] * run.counts[5], (tiles - 1) * lanes + run.last_channels
        result.mac_cycles += pixels * tiles * (taps // 2 if run.paired else taps)
        weight, parameters = self._weights(run, place, taps), self._parameters(run, place, tiles, channels)
        number = len(self.steps)
        keep = number % self.every == 0 or all(step.place != place for step in self.steps)
        before = self.memory.copy() if self.record and keep else None
        wide = run.vector or run.maximum or run.modelled or bool(run.strides[3])
        block = max(1, _BLOCK // (taps * self.samples * (tiles * lanes if wide else 1)))
        kept: list[tuple[Ints, Ints]] = []
        for begin in range(0, pixels, block):
            pixel = np.arange(begin, min(begin + block, pixels))
            read = self.operands(run, place, *self.reads(run, place, pixel, issue))
            merged = read.reshape(-1, *read.shape[2:])
            sums, _ = totals(self.config, run, *factors(self.config, run, merged, weight))
            flat = np.broadcast_to(sums, (len(merged), tiles, lanes)).reshape(len(merged), -1)[:, :channels]
            fitted, misfits = requantized(run, flat, parameters)
            result.saturations += misfits
            shape = (self.samples, len(pixel), channels)
            kept.append((flat.reshape(shape), fitted.reshape(shape)))
        sums, words = (np.concatenate(parts, axis=1) for parts in zip(*kept, strict=True))
        values = self._looked_up(run, words) if run.table else words
        first = self._address(run.output, place) + np.arange(pixels) * (channels + run.output_gap)
        addresses = first[:, None] + np.arange(channels) & self._mask
        if self.record:
            registers = dict(self.registers)
            self.steps.append(Step(place, run, issue, registers, before, sums, words, addresses))
        if run.argmax:
            everything = values.reshape(self.samples, -1)
            result.argmax, result.best = everything.argmax(axis=1), everything.max(axis=1)
        if run.write:
            last = issue.tile(np.arange(pixels)[:, None], np.arange(channels) // lanes)
            cycles = last + np.arange(channels) % lanes + LATENCY
            rows = np.moveaxis(values, 0, -1).reshape(-1, self.samples)
            self._scatter(place, addresses.ravel(), rows, cycles.ravel(), result)
