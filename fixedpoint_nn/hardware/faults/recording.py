# SPDX-License-Identifier: MIT
"""A run of the engine's twin on many inputs, kept step by step, so that it can go on from any of them."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.hardware.emulator.emulator import EmulationError, Emulator, Result
from fixedpoint_nn.hardware.faults.batch_emulator import Batch, Step
from fixedpoint_nn.hardware.faults.fault import Flip, flipped
from fixedpoint_nn.hardware.faults.replay import Columns, can_follow
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import AssemblyError, Run
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.hardware.isa.timing import Issue
from fixedpoint_nn.numerics.arrays import Ints

Flags = NDArray[np.bool_]
WORDS = 1 << 22  # of the memories that run on at once
_KEPT = 1 << 25  # of the memories that a recording keeps


class _Clock(Emulator):
    """Counts the cycles of a program, and computes nothing."""

    def _run(self, place: int, run: Run, issue: Issue, result: Result) -> None:
        pass

    def _gather(self, addresses: Ints, place: int) -> Ints:
        return np.zeros(addresses.shape, np.int64)


class Recorded:
    """What the engine answers to some inputs, with every step on the way."""

    def __init__(
        self, config: EngineConfig, images: Images, source: Port, result: Port, inputs: Ints
    ) -> None:
        self.config, self.images, self.source, self.result, self.inputs = (
            config,
            images,
            source,
            result,
            inputs,
        )
        self.batch = self._batch(images)
        self.cycles = self.batch.run().cycles
        self.outputs = self.batch.get(result)
        self.steps: list[Step] = []
        # Else every flip runs from the start.
        self.followed = not self.batch.stores
        if self.followed:
            words = self.batch.runs * self.batch.memory.size
            self.batch = self._batch(images)
            self.batch.record, self.batch.every = True, 1 + words // _KEPT
            self.batch.run()
            self.batch.record = False
            self.steps = self.batch.steps
            self.followed = can_follow(self.batch, self.steps)
        self.readers = self._readers()

    @cached_property
    def columns(self) -> Columns:
        """The recorded runs, to be executed again."""
        return Columns(self.batch, self.steps)

    @property
    def straight(self) -> bool:
        """Is every run executed once, so that following a flip is quick?"""
        return self.followed and len({step.place for step in self.steps}) == len(self.steps)

    def _batch(self, images: Images) -> Batch:
        batch = Batch(self.config, images, len(self.inputs))
        batch.put(self.source, self.inputs)
        return batch

    def _readers(self) -> dict[tuple[str, int], list[int]]:
        """The recorded steps that read each word of the weights, parameters and tables."""
        readers: dict[tuple[str, int], list[int]] = defaultdict(list)
        for number, step in enumerate(self.steps):
            run, tiles = step.run, step.run.counts[3]
            channels = step.words.shape[2]
            rows = int(np.prod(run.counts[:3])) * (1 if run.per_tile else tiles)
            ranges = {
                "parameters": (run.parameter, min(channels, self.config.lanes) if run.per_tile else channels)
            }
            if not run.paired:
                ranges["weights"] = (run.weight, rows)
            for kind, (address, count) in ranges.items():
                base = step.start(address)
                for word in range(base, base + count):
                    readers[kind, word].append(number)
            if run.table:
                for word in range(run.table_base, run.table_base + (1 << run.out_bits)):
                    readers["tables", word].append(number)
        return readers

    def from_start(self, flip: Flip) -> Flags | None:
        """Run everything with the changed image; None if the engine's twin refuses to.

        Other cycles show a flip too, as `verify` compares them.
        """
        images, limit = flipped(self.images, self.config, flip), 20 * self.batch.runs + 1000
        try:
            if flip.kind == "program" and _Clock(self.config, images).run(limit=limit).cycles != self.cycles:
                return np.ones(len(self.inputs), bool)
            batch = self._batch(images)
            cycles = batch.run(limit=limit).cycles
            changed = (batch.get(self.result) != self.outputs).any(axis=1)
        except (EmulationError, AssemblyError, IndexError, ValueError, OverflowError):
            return None
        return np.asarray(changed | (cycles != self.cycles))

    def _is_loaded(self, row: int) -> bool:
        lanes = self.config.lanes
        return not self.batch.loads.isdisjoint(range(row * lanes, (row + 1) * lanes))

    def _after(self, number: int) -> Ints:
        """The memory after a step, before the next one."""
        last = number + 1 == len(self.steps)
        memory = self.batch.memory if last else self.steps[number + 1].memory
        assert memory is not None  # of a program that runs straight on
        return memory

    def _run_on(self, number: int, memory: Ints, samples: Ints) -> Flags:
        """Do the outputs change if the run goes on from this step with these memories?"""
        if not len(samples):
            return np.zeros(0, bool)
        after = self.columns.run(number, memory, samples)
        return np.asarray((self.outputs[samples] != after[self.result.addresses()].T).any(axis=1))
