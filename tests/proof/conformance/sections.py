# SPDX-License-Identifier: MIT
"""Random sections of a conformance program: registers, loops and runs with every field, checked on the twin.

A section reads what the images hold and what its vector brings, and writes into the window alone, so that it
gives the same whatever has run before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.hardware.emulator.activation_memory import ActivationMemory
from fixedpoint_nn.hardware.emulator.result import EmulationError, Result
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import (
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
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.numerics.arrays import Ints


class RandomSource:
    """Random numbers for a program."""

    def __init__(self, seed: Sequence[int]) -> None:
        self.rng = np.random.default_rng(seed)

    def between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def one_in(self, n: int) -> bool:
        return self.between(1, n) == 1

    def of(self, *choices: Any) -> Any:
        return choices[self.between(0, len(choices) - 1)]

    def words(self, bits: int, shape: Any) -> Ints:
        """Full-range words, and among them the ends of the range, small ones and zeros."""
        low, high = -(1 << bits - 1), (1 << bits - 1) - 1
        full = self.rng.integers(low, high + 1, shape)
        ends = self.rng.choice(np.array([low, low + 1, -1, 0, 1, high - 1, high]), shape)
        small = full >> self.rng.integers(0, bits, shape)
        kind = self.rng.integers(0, 4, shape)
        return np.asarray(np.where(kind == 0, ends, np.where(kind == 1, small, full)))


class RecordingMemory(ActivationMemory):
    """An activation memory that records which of its words were read."""

    def __init__(self, memory: ActivationMemory) -> None:
        super().__init__(memory.depth)
        self.words, self.defined = memory.words, memory.defined
        self.was_read = np.zeros(memory.depth, bool)

    def gather(self, addresses: Ints, place: int, cycles: Ints | None = None) -> Ints:
        words = super().gather(addresses, place, cycles)
        self.was_read[addresses] = True
        return words


class CheckedTwin(Twin):
    """The twin, stricter: it refuses what is not a matter of this program alone."""

    def __init__(
        self, config: EngineConfig, images: Images, port: Port, vector: Ints, allowed: NDArray[np.bool_]
    ) -> None:
        super().__init__(config, replace(images, program=[]), port, vector)
        self._allowed = allowed
        self.activations: RecordingMemory = RecordingMemory(self.activations)

    def execute(self, place: int, code: Sequence[Instruction], seed: int) -> Result:
        """Run these instructions from the program address `place` on, as if started there."""
        program = {0: JumpEqual(0, 0, place)}
        for instruction in code:
            program[place] = instruction
            place += instruction.words
        self._program = program
        return self.run(seed)

    def _run(self, place: int, run: Run, issue: Any, result: Result) -> None:
        self.activations.was_read[:] = False
        channels = run.pixel_channels(self.config.lanes)
        shifts = self._parameters(run, place, run.counts[3], channels)[:, 0]
        if shifts.max() + run.leak > 63:
            raise EmulationError(f"word {place} shifts by {shifts.max() + run.leak}")
        super()._run(place, run, issue, result)

    def _totals(self, run: Run, place: int, pixel: Ints, weight: Ints | None, issue: Any) -> Any:
        found = super()._totals(run, place, pixel, weight, issue)
        exact = (
            super()._totals(replace(run, modelled=False), place, pixel, weight, issue)
            if run.modelled
            else found
        )
        end = 1 << self.config.accumulator_width - 1
        if exact[0].min() < -end or exact[0].max() >= end:
            raise EmulationError(f"word {place} adds up more than the accumulator holds")
        return found

    def _write(self, place: int, addresses: Ints, values: Ints, cycles: Ints, result: Result) -> None:
        within = addresses[addresses < len(self._allowed)]
        if len(within) < len(addresses) or not self._allowed[within].all():
            raise EmulationError(f"word {place} writes outside of the window")
        if self.activations.was_read[addresses].any() and isinstance(self._program[place], Run):
            raise EmulationError(f"word {place} reads what it writes itself")
        super()._write(place, addresses, values, cycles, result)


@dataclass
class Section:
    """Instructions from a program address on, tried with each of its vectors."""

    draw: RandomSource
    config: EngineConfig
    images: Images
    window: Port
    vectors: Ints
    place: int
    code: list[Instruction] = field(default_factory=list)
    searched: bool = False  # there is a largest word

    def __post_init__(self) -> None:
        self.allowed = np.zeros(self.config.activation_depth, bool)
        self.allowed[self.window.addresses()] = True
        self.known: dict[int, int | None] = {}  # registers; None: another value in each vector
        self.mask = (1 << self.config.address_width) - 1

    @property
    def here(self) -> int:
        return self.place + sum(instruction.words for instruction in self.code)

    # ---- trying --------------------------------------------------------------------------------------------

    def holds(
        self, *more: Instruction, good: Callable[[Sequence[Result]], bool] = lambda results: True
    ) -> bool:
        """Can the code go on like this, with every vector? Then the registers' values are known."""
        registers, results = [], []
        for vector in self.vectors:
            twin = CheckedTwin(self.config, self.images, self.window, vector, self.allowed)
            try:
                results.append(twin.execute(self.place, [*self.code, *more, Halt()], 1))
            except (EmulationError, ValueError, IndexError):
                return False
            registers.append(twin.registers)
        if not good(results):
            return False
        self.code += more
        for register in registers[0]:
            values = {found[register] for found in registers}
            self.known[register] = values.pop() if len(values) == 1 else None
        return True

    def add(self, *more: Instruction) -> None:
        if not self.holds(*more):
            raise AssemblyError(f"a section cannot go on with {more[0]}")

    def add_one(
        self,
        make: Callable[[], Instruction],
        good: Callable[[Sequence[Result]], bool] = lambda results: True,
    ) -> None:
        """The first of what `make` gives that can stand here and gives good results."""
        if not any(self.holds(make(), good=good) for _ in range(200)):
            raise AssemblyError(f"a section cannot go on with anything like {make()}")

    # ---- addresses -----------------------------------------------------------------------------------------

    def address(self, wanted: int) -> Address:
        """This address, as a base and a register whose value is known, or without one."""
        known = [number for number, value in self.known.items() if value is not None]
        above = self.draw.between(0, 4095) << 12 if self.draw.one_in(3) else 0
        if not known or self.draw.one_in(3):
            return Address(wanted | above & ~self.mask)
        register = self.draw.of(*known)
        return Address((wanted - (self.known[register] or 0) & self.mask) | above & ~self.mask, register)

    def anywhere(self) -> Address:
        """Any activation word; the register may differ from vector to vector."""
        base = self.draw.between(0, self.config.activation_depth - 1)
        return Address(base, self.draw.of(0, *self.known) if self.draw.one_in(2) else 0)

    def target(self, pixels: int, channels: int) -> tuple[int, int] | None:
        """A first address and a gap, so that the results stay in the window; None if they do not fit."""
        port = self.window
        blocks = port.words // port.run
        block = self.draw.between(0, blocks - 1)
        if channels > port.run:
            return None
        ways = []
        for gap in (0, 1, 2, 3):
            if pixels * (channels + gap) - gap <= port.run:
                ways.append(("on", gap))
        if pixels <= blocks:
            ways += [("up", 0), ("down", 0), ("up", 0), ("down", 0)]
        if not ways or self.draw.one_in(8):
            ways = [("over", 0)]
        way, gap = self.draw.of(*ways)
        if way == "on":
            room = port.run - (pixels * (channels + gap) - gap)
            return port.address + block * port.stride + self.draw.between(0, room), gap
        inside = self.draw.between(0, port.run - channels)
        if way == "over":
            return port.address + block * port.stride + inside, -channels
        first = self.draw.between(0, blocks - pixels)
        if way == "up":
            return port.address + first * port.stride + inside, port.stride - channels
        last = first + pixels - 1
        return port.address + last * port.stride + inside, -port.stride - channels

    # ---- instructions --------------------------------------------------------------------------------------

    def set_register(self) -> None:
        draw = self.draw
        register = draw.between(1, 7)
        kind = draw.between(0, 3)
        if kind == 0 and register in self.known:
            self.holds(Increment(register, draw.between(-(1 << 23), (1 << 23) - 1)))
        elif kind == 1:
            shift = draw.between(0, self.config.address_width - 1) if draw.one_in(2) else draw.between(0, 31)
            self.holds(Load(register, self.anywhere(), shift))
        else:
            self.holds(Set(register, draw.between(0, (1 << 24) - 1)))

    def store(self) -> None:
        place = int(self.draw.of(*self.window.addresses().tolist()))
        self.holds(Store(self.address(place), self.searched and self.draw.one_in(2)))

    def jump(self) -> None:
        """Jumps that are taken, over something that would be noticed, and such that are not."""
        draw = self.draw
        register = draw.of(0, *(number for number, value in self.known.items() if value is not None))
        value = self.known.get(register, 0) or 0
        trap = draw.of(Halt(), Set(draw.between(1, 7), draw.between(0, 4095)), self.random_run() or Halt())
        if draw.one_in(2):
            other = value ^ 1 << draw.between(0, self.config.address_width - 1)
            self.holds(JumpEqual(register, other, draw.between(0, 4095)))
        else:
            high = draw.between(0, 4095) << 12 & ~self.mask
            target = self.here + JumpEqual.words + trap.words
            self.holds(JumpEqual(register, value | high, target), trap)

    def loop(self) -> None:
        """A run again and again, with another input and output each time."""
        draw, port = self.draw, self.window
        counter, source, output = (int(n) for n in draw.rng.choice(np.arange(1, 8), 3, replace=False))
        times = draw.between(1, 5)
        run = self.random_run(pixels=1, most=4)
        if run is None:
            return
        start = draw.between(0, self.mask)
        step = draw.of(port.stride, 4)
        first = port.address + draw.between(0, port.run - 4 - (4 * times if step == 4 else 0))
        run = replace(run, output=Address(first - start & self.mask, output), output_gap=0)
        run = replace(run, activation=Address(run.activation.base, source))
        body = self.here + 3
        self.holds(
            Set(counter, times),
            Set(source, draw.between(0, self.mask)),
            Set(output, start),
            run,
            Increment(output, step),
            Increment(source, draw.between(-300, 300)),
            Loop(counter, body),
        )

    def run(self) -> bool:
        """One more random run, without a barrier if it can do without."""
        for _ in range(20):
            run = self.random_run()
            if run is None:
                continue
            if not run.argmax and self.holds(replace(run, barrier=False)):
                return True
            earlier = [self.draw.between(1, 63) for _ in range(3 if self.config.words > 1 else 0)]
            if any(self.holds(replace(run, barrier=True, early=early)) for early in sorted(earlier)[::-1]):
                self.searched |= run.argmax
                return True
            if self.holds(replace(run, barrier=True)):
                self.searched |= run.argmax
                return True
        return False

    # ---- runs ----------------------------------------------------------------------------------------------

    def back_end(self) -> dict[str, Any]:
        draw, width = self.draw, self.config.activation_width
        signed = draw.one_in(2)
        chosen: dict[str, Any] = {
            "rounding": draw.between(0, 6),
            "overflow": draw.between(0, 3),
            "relu_before": draw.one_in(5),
            "relu_after": draw.one_in(5),
            "leak": draw.of(0, 0, 0, draw.between(0, 4), draw.between(0, 63)),
            "out_signed": signed,
            "out_bits": draw.between(1, width if signed else width - 1),
            "argmax": draw.one_in(3),
            "write": not draw.one_in(8),
            "modelled": bool(self.config.model_width or self.config.product_bits) and not draw.one_in(3),
        }
        if self.config.multiplier_width:
            chosen["twice"] = draw.one_in(3)
        if draw.one_in(3):
            high = (self.config.table_depth >> chosen["out_bits"]) - 1
            base = draw.between(0, high) << chosen["out_bits"]
            chosen |= {"table": True, "table_base": base, "noise": draw.one_in(3)}
        return chosen

    def bounds(self, kx: int, ky: int, width: int, height: int, wild: bool = False) -> dict[str, Any]:
        """An image anywhere, whose edges the taps cross."""
        chosen: dict[str, Any] = {"bounded": True}
        for axis, taps, pixels in (("x", kx, width), ("y", ky, height)):
            step = self.draw.of(0, 1, 1, 2, self.draw.between(0, 255))
            if wild:
                step = self.draw.of(1, 2, self.draw.between(0, 255))
            reach = step * (pixels - 1) + taps
            lowest, highest = -4096, 4095
            anywhere = self.draw.between(lowest, highest)
            origin = self.draw.of(-1, -2, 0, -reach // 2, anywhere, lowest, highest)
            if wild:  # the edge is always within reach
                origin = self.draw.of(anywhere, max(lowest, 1 - self.draw.between(1, reach)))
            limit = self.draw.between(0, reach) + max(origin, 0)
            if origin >= 0 and not wild:
                limit = self.draw.of(limit, limit, self.draw.between(0, 8191), 8191)
            chosen |= {f"{axis}_origin": origin, f"{axis}_step": step}
            chosen[f"{axis}_limit"] = max(0, min(limit, 8191, 8192 + min(origin, 0)))
        return chosen

    def groups(self, chosen: dict[str, Any], stride: int) -> tuple[int, dict[str, Any]]:
        """Groups of lanes for a run over single words, joined or not, and the stride of its innermost loop."""
        draw, most = self.draw, self.config.words.bit_length() - 1
        size = draw.between(1, most)
        spread = bool(chosen.get("bounded")) and draw.one_in(2)
        if chosen.get("maximum") or chosen["modelled"] or draw.one_in(2):
            return stride, {"groups": size, "skip": size < most and draw.one_in(2), "spread": spread}
        unused = draw.of(0, draw.between(0, (1 << size) - 1))
        return draw.of(1 << size, stride), {
            "groups": size,
            "joined": True,
            "unused": unused,
            "spread": spread,
        }

    def random_run(self, pixels: int = 6, most: int = 99) -> Run | None:
        """A run whose results fit into the window, or None."""
        draw, config = self.draw, self.config
        lanes, chosen = config.lanes, self.back_end()
        far = draw.of(1, 1, 2, 5, 37, draw.between(-3000, 3000))
        strides = [far if draw.one_in(2) else draw.between(-9, 9) for _ in range(6)]
        tiles = draw.of(1, 1, 2, 3, draw.between(1, 6))
        width = draw.between(1, pixels)
        height = draw.between(1, max(1, pixels // width))
        kind = draw.between(0, 5)
        kx, ky = (draw.of(1, draw.between(1, 4), draw.between(1, 9)) for _ in range(2))
        channel = draw.between(1, 9)
        if kind == 0:  # dense
            kx = ky = 1
            channel = draw.between(1, 60)
        elif kind == 1:  # convolution
            chosen |= self.bounds(kx, ky, width, height)
        elif kind == 2:  # pooling
            chosen |= {"maximum": True, "modelled": False, "vector": draw.one_in(2)}
            if draw.one_in(2):
                chosen |= self.bounds(kx, ky, width, height)
        elif kind == 3:  # element by element
            chosen |= {"vector": True}
            strides[3] = draw.of(lanes, strides[3])
        elif kind == 4:  # products of two operands
            chosen |= {"vector": True, "paired": True}
            channel = 2 * draw.between(1, 4)
            if draw.one_in(3):
                chosen |= self.bounds(kx, ky, width, height)
        else:  # few taps: the drain is the slower one
            kx = ky = 1
            channel = draw.of(1, 1, 2)
        chosen["per_tile"] = draw.one_in(2)
        counts = (channel, kx, ky, tiles, width, height)
        if config.words > 1 and not chosen.get("vector") and not draw.one_in(4):
            strides[0], grouped = self.groups(chosen, strides[0])
            chosen |= grouped
        whole = lanes >> chosen["groups"] if chosen.get("joined") else lanes
        last = draw.between(1, whole)
        channels = (tiles - 1) * whole + last
        if channels > most:
            return None
        place = self.target(width * height, channels)
        if place is None:
            return None
        taps = channel * kx * ky
        rows = taps * (1 if chosen["per_tile"] else tiles)
        words = min(channels, lanes) if chosen["per_tile"] else channels
        if rows > config.weight_depth or words > config.parameter_depth:
            return None
        return Run(
            activation=self.anywhere(),
            weight=self.address(draw.between(0, config.weight_depth - rows)),
            parameter=self.address(draw.between(0, config.parameter_depth - words)),
            output=self.address(place[0]),
            output_gap=place[1],
            counts=counts,
            strides=tuple(strides),
            last_channels=last,
            barrier=True,
            **chosen,
        )
