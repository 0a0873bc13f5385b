# SPDX-License-Identifier: MIT
"""The engine in Python: bit-true and cycle-true to engine.v; it raises where that would show an X.

It reads instructions and memory images only, so its results depend on nothing but the images.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.hardware.emulator.activation_memory import ActivationMemory
from fixedpoint_nn.hardware.emulator.datapath import factors, requantized_sums, totals
from fixedpoint_nn.hardware.emulator.loop_nest import walked
from fixedpoint_nn.hardware.emulator.result import EmulationError, Result, Write
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import (
    INSTRUCTIONS,
    OPCODE,
    Address,
    AssemblyError,
    Halt,
    Increment,
    Instruction,
    JumpEqual,
    Load,
    Loop,
    Run,
    Set,
    Store,
)
from fixedpoint_nn.hardware.isa.issue import Issue, step_cycles
from fixedpoint_nn.hardware.isa.lfsr import Noise
from fixedpoint_nn.hardware.isa.timing import Timing
from fixedpoint_nn.hardware.isa.weight_window import Outside, RowClock, WeightMemory, rows_of
from fixedpoint_nn.numerics.arrays import Ints

_BLOCK = 1 << 21  # products held at once


class Emulator:
    """One engine with its memories and, if it has a weight window, the memory outside that fills it."""

    def __init__(self, config: EngineConfig, images: Images, outside: Outside | None = None) -> None:
        self.config, self.images = config, images
        self.outside: Outside = WeightMemory() if outside is None else outside
        self.activations = ActivationMemory(config.activation_depth)
        self.write(0, images.activations)
        self._mask = (1 << config.address_width) - 1
        self._program = dict(self._decoded(images.program))
        self.registers: dict[int, int] = {}

    @staticmethod
    def _decoded(words: list[int]) -> Iterator[tuple[int, Instruction]]:
        place = 0
        while place < len(words):
            kind = INSTRUCTIONS[words[place] >> OPCODE.start & 7]
            size = kind.length(words[place])
            yield place, kind.decode(words[place : place + size])
            place += size

    # ---- the host's side -----------------------------------------------------------------------------------

    @property
    def memory(self) -> Ints:
        """The words of the activation memory, (activation_depth,)."""
        return self.activations.words

    def write(self, address: int, values: Ints) -> None:
        """Write consecutive activation words from `address` on, as a host does before a start."""
        self.activations.write(address, values)

    def read(self, address: int, count: int = 1) -> Ints:
        """A copy of `count` activation words from `address` on, as a host reads them after `done`."""
        return self.activations.read(address, count)

    # ---- the sequencer -------------------------------------------------------------------------------------

    def run(self, seed: int = 1, *, writes: bool = False, limit: int = 10_000_000) -> Result:
        """Run the program from word 0 to Halt; raises EmulationError after `limit` instructions.

        `seed` starts the noise generator; with `writes` the result has every write.
        """
        config = self.config
        rows = RowClock(config.weight_window, self.outside) if config.weight_window else None
        result, place = Result(), 0
        timing = Timing(config.lanes, config.drain, config.latency, config.pack, rows)
        self._noise, self._keep = Noise(seed), writes
        self.activations.ready[:] = 0
        self.registers = {}
        self._streamed = 0  # rows of streamed weights read so far
        for _ in range(limit):
            instruction = self._program.get(place)
            if instruction is None:
                raise EmulationError(f"the program runs to word {place}, where no instruction begins")
            following = place + instruction.words
            match instruction:
                case Run():
                    issue = self._issue(place, instruction, timing)
                    self._run(place, instruction, issue, result)
                case Set(register, value):
                    self.registers[register] = value & self._mask
                    timing.words()
                case Increment(register, value):
                    self.registers[register] = self._register(register, place) + value & self._mask
                    timing.words()
                case Loop(register, target):
                    left = self._register(register, place) - 1 & self._mask
                    self.registers[register] = left
                    following = target if left else following
                    timing.words(jump=left != 0)
                case JumpEqual(register, value, target):
                    equal = self._register(register, place) == value & self._mask
                    following = target if equal else following
                    timing.words(2, jump=equal)
                case Load(register, address, shift):
                    timing.load(shift)
                    self.registers[register] = self._loaded(address, place) << shift & self._mask
                case Store(address, best_value):
                    timing.store()
                    word = self._stored(result.best if best_value else result.argmax)
                    where = self._address(address, place)
                    self._write(place, np.array([where]), np.array([word]), np.array([timing.decode]), result)
                case Halt():
                    timing.halt()
                    result.cycles = timing.cycles
                    self._all_streamed()
                    result.stalls = rows.stalls if rows is not None else 0
                    return result
            place = following
        raise EmulationError(f"the program has not halted after {limit} instructions")

    @staticmethod
    def _issue(place: int, run: Run, timing: Timing) -> Issue:
        try:
            return timing.run(run)
        except AssemblyError as error:
            raise EmulationError(f"word {place}: {error}") from None

    def _all_streamed(self) -> None:
        if self._streamed != len(self.images.stream):
            raise EmulationError(
                f"the program reads {self._streamed} rows of the stream of weights, and there are "
                f"{len(self.images.stream)}; "
                "the next sample would begin at the wrong one"
            )

    def _register(self, register: int, place: int) -> int:
        if register == 0:
            return 0
        if register not in self.registers:
            raise EmulationError(f"word {place} reads register {register}, which nothing has set")
        return self.registers[register]

    def _address(self, address: Address, place: int) -> int:
        return address.base + self._register(address.register, place) & self._mask

    def _loaded(self, address: Address, place: int) -> int:
        return int(self.activations.gather(np.array([self._address(address, place)]), place)[0])

    def _stored(self, value: int) -> int:
        bits = self.config.activation_width
        return (value + (1 << bits - 1) & ((1 << bits) - 1)) - (1 << bits - 1)

    def _write(self, place: int, addresses: Ints, values: Ints, cycles: Ints, result: Result) -> None:
        self.activations.scatter(
            addresses, values, cycles + 1, place
        )  # a step of the same cycle reads the old word
        if self._keep:
            result.writes.append(Write(place, addresses, values, cycles))

    # ---- a run ---------------------------------------------------------------------------------------------

    def _run(self, place: int, run: Run, issue: Issue, result: Result) -> None:
        """Execute a run in blocks of pixels: totals, requantising, table, and the writes of its results."""
        self._check_engine(run, place)
        lanes, mask = run.tile_channels(self.config.lanes), self._mask
        tiles, width, height = run.counts[3:]
        taps = run.taps
        pixels, channels = width * height, run.pixel_channels(self.config.lanes)
        result.mac_cycles += pixels * tiles * run.fired
        weight = self._weights(run, place, taps)
        parameters = self._parameters(run, place, tiles, channels)
        block = max(1, _BLOCK // (tiles * taps * self.config.lanes))
        written, words = [], []
        for begin in range(0, pixels, block):
            pixel = np.arange(begin, min(begin + block, pixels))
            sums, lost = self._totals(run, place, pixel, weight, issue)
            shape = (len(pixel), tiles, lanes)
            flat = np.broadcast_to(sums, shape).reshape(len(pixel), -1)[:, :channels]
            lost = np.broadcast_to(lost, shape).reshape(len(pixel), -1)[:, :channels]
            fitted, misfits = requantized_sums(run, flat, parameters)
            words.append(self._looked_up(run, fitted) if run.table else fitted)
            result.saturations += misfits
            result.accumulator_overflow |= bool(lost.any())
            step = channels + run.output_gap
            first = self._address(run.output, place) + pixel * step
            written.append((first[:, None] + np.arange(channels)) & mask)
        values, addresses = np.concatenate(words), np.concatenate(written)
        if run.argmax:
            result.argmax = int(values.argmax())
            result.best = int(values.max())
        if run.write:
            tile = np.arange(channels) // lanes
            last = issue.tile(np.arange(pixels)[:, None], tile)
            cycles = last + np.arange(channels) % lanes // self.config.drain + self.config.latency
            self._write(place, addresses.ravel(), values.ravel(), cycles.ravel(), result)

    def _check_engine(self, run: Run, place: int) -> None:
        """The engine can do what the run asks for."""
        config, most = self.config, run.tile_channels(self.config.lanes)
        if run.step_words > config.words:
            raise EmulationError(
                f"word {place} reads {run.step_words} words in a step, and the engine reads {config.words}"
            )
        if (run.early or run.short) and config.words == 1:
            name = "early" if run.early else "short"
            raise EmulationError(
                f"word {place} is a run with {name}, which an engine that reads one word per clock has not"
            )
        if run.relu_after and run.out_signed and run.out_bits > config.activation_width:
            raise EmulationError(
                f"word {place} asks for a ReLU of words in a signed format of {run.out_bits} bits, "
                f"whose sign a word of {config.activation_width} bits does not hold"
            )
        if run.last_channels > most:
            raise EmulationError(
                f"word {place} has {run.last_channels} channels in its last tile; there are {most} lanes for them"
            )

    def _weights(self, run: Run, place: int, taps: int) -> Ints | None:
        """The weights of a run, (tiles, taps, lanes); None if the image is too short and only padding is read."""
        base, tiles = self._address(run.weight, place), 1 if run.per_tile else run.counts[3]
        if run.streamed:
            return self._next_rows(run, place).reshape(tiles, taps, -1)
        rows = self.images.weights[base : base + tiles * taps]
        if len(rows) == tiles * taps:
            return rows.reshape(tiles, taps, -1)
        if not run.paired and not (run.bounded and not run.maximum):
            raise EmulationError(
                f"word {place} needs more weights than the {len(self.images.weights)} rows that there are"
            )
        return None

    def _next_rows(self, run: Run, place: int) -> Ints:
        """The next rows of streamed weights, as many as the run reads."""
        begin, self._streamed = self._streamed, self._streamed + rows_of(run)
        if self._streamed > len(self.images.stream):
            raise EmulationError(
                f"word {place} needs rows {begin} to {self._streamed - 1} of the stream of weights; "
                f"there are {len(self.images.stream)}"
            )
        return self.images.stream[begin : self._streamed]

    def _parameters(self, run: Run, place: int, tiles: int, channels: int) -> Ints:
        """(shift, bias) for each result of a pixel, and the multiplier if the engine has one."""
        base = self._address(run.parameter, place) * self.config.drain
        lanes = run.tile_channels(self.config.lanes)
        count = min(channels, lanes) if run.per_tile else channels
        columns = 3 if self.config.multiplier_width else 2
        channel = np.arange(count)  # a tile begins a row
        at = base + channel // lanes * max(lanes, self.config.drain) + channel % lanes
        if at[-1] >= len(self.images.parameters):
            raise EmulationError(
                f"word {place} needs parameters {base} to {int(at[-1])}; "
                f"there are {len(self.images.parameters)}"
            )
        words = self.images.with_multipliers()[at, :columns]
        return np.tile(words, (tiles, 1))[:channels] if run.per_tile else words

    def _totals(
        self, run: Run, place: int, pixel: Ints, weight: Ints | None, issue: Issue
    ) -> tuple[Ints, NDArray[np.bool_]]:
        """(sums, overflow flags), each (pixels, tiles, lanes), for some pixels of a run."""
        walk, padded = walked(run, pixel)
        moving, taps = walk.shape[1:3]
        addresses = self._address(run.activation, place) + walk & self._mask
        cycles = step_cycles(issue, pixel, np.arange(moving), taps)
        words = self._operands(run, place, addresses, padded, cycles)  # (pixels, moving, taps, lanes or 1)
        return totals(self.config, run, *factors(self.config, run, words, weight))

    def _operands(
        self, run: Run, place: int, addresses: Ints, padded: NDArray[np.bool_], cycles: Ints
    ) -> Ints:
        """The activations that the steps read, (pixels, tiles, steps, lanes or 1)."""
        lanes, tiles = self.config.lanes, run.counts[3]
        lowest = -(1 << self.config.activation_width - 1)
        if run.vector:
            addresses = addresses // lanes * lanes + np.arange(lanes)
        groups = addresses.shape[3]  # of lanes that read the same word
        used = np.full((1, addresses.shape[1], 1, groups), True)
        if addresses.shape[1] == tiles and not run.joined:
            used[:, -1, :, -(-run.last_channels * groups // lanes) :] = False
        wanted = np.broadcast_to(~padded & used, addresses.shape)
        safe = addresses[wanted]
        words = np.full(addresses.shape, lowest if run.maximum else 0, np.int64)
        if safe.size:
            due = np.broadcast_to(cycles[..., None], addresses.shape)[wanted]
            words[wanted] = self.activations.gather(safe & self._mask, place, due)
        return words if groups in (1, lanes) else np.repeat(words, lanes // groups, axis=3)

    def _looked_up(self, run: Run, words: Ints) -> Ints:
        """The table entries at the low bits of each word, or with `noise` at draws of the noise generator."""
        if run.noise:
            words = np.array([self._noise.draw() for _ in range(words.size)]).reshape(words.shape)
        index = run.table_base | words & ((1 << run.out_bits) - 1)
        tables = self.images.tables
        if index.max() >= len(tables):
            raise EmulationError(
                f"a table at {run.table_base} is read at {index.max()}; there are {len(tables)} words"
            )
        return np.asarray(tables[index])
