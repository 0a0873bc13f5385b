# SPDX-License-Identifier: MIT
"""The engine as docs/engine.md states it, one Python integer at a time: slow and obvious.

Steps are six nested loops, rounding is a choice between two neighbours of a fraction (tests/support/oracle.py), and
every cycle follows from the table of the section "Timing". The emulator works on whole arrays and must agree with it.
"""

from __future__ import annotations

from fractions import Fraction

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import Run
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.rounding import Rounding
from tests.support.oracle import fitted, rounded

# The codes as docs/engine.md lists them.
ROUNDINGS = (
    *(Rounding.FLOOR, Rounding.TOWARD_ZERO, Rounding.HALF_UP, Rounding.HALF_DOWN, Rounding.HALF_AWAY),
    *(Rounding.HALF_TOWARD_ZERO, Rounding.HALF_EVEN),
)
OVERFLOWS = (Overflow.WRAP, Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC, Overflow.ZERO)


class ScalarEngine:
    """Runs `Run` instructions one after the other, as a program of nothing but them and a Halt."""

    def __init__(self, config: EngineConfig, images: Images, seed: int = 1) -> None:
        self.config = config
        self.weights: list[list[int]] = images.weights.tolist()
        self.parameters: list[list[int]] = images.parameters.tolist()
        self.latency = 15 + 3 * (config.multiplier_width > 0) + (config.words > 1)
        self.tables: list[int] = images.tables.tolist()
        self.memory: dict[int, int] = dict(enumerate(images.activations.tolist()))
        self.noise = [seed >> bit & 1 for bit in range(32)] if seed & 0xFFFFFFFF else [1] * 32
        self.writes: list[tuple[int, int, int]] = []  # cycle, address, word
        self.sums: list[int] = []  # of the last run, channel by channel, as they leave the lanes
        self.mac_cycles = self.saturations = self.argmax = self.best = 0
        self.accumulator_overflow = False
        self.decoded = 2  # the cycle in which the last word was decoded; the first one is decoded in cycle 3
        self.handed_over = 0  # the cycle in which the last run was
        self.last_step = 0  # of the last run
        self.readable = 0  # from this cycle on a step can read all results

    # ---- one run -----------------------------------------------------------------------------------------------

    def run(self, run: Run) -> None:
        """Steps, tiles, words and cycles of one run."""
        self.decoded = max(self.decoded + 1, self.handed_over + 1) + run.words - 1
        self.handed_over = max(self.decoded + 1, self.last_step)
        step = self.handed_over + 2
        if run.barrier:
            step = max(step, self.readable - run.early)
        channel_count, kx_count, ky_count, tile_count, x_count, y_count = run.counts
        drain = self.config.drain
        whole = self.config.lanes >> run.groups if run.joined else self.config.lanes
        output, weight, parameter = run.output.base, run.weight.base, run.parameter.base * drain
        found: list[int] = []
        self.sums = []
        last_of_tile, channels_of_tile = None, 0
        for y in range(y_count):
            for x in range(x_count):
                for tile in range(tile_count):
                    before, channels_of_tile = channels_of_tile, whole
                    if tile == tile_count - 1:
                        channels_of_tile = run.last_channels
                    total, held, taps = [0] * channels_of_tile, [0] * channels_of_tile, 0
                    for ky in range(ky_count):
                        for kx in range(kx_count):
                            for channel in range(channel_count):
                                index = (channel, kx, ky, tile, x, y)
                                at = run.activation.base + sum(
                                    i * s for i, s in zip(index, run.strides, strict=True)
                                )
                                self._step(run, index, at, weight, taps, total, held)
                                taps += 1
                                weight += not run.paired
                    self.mac_cycles += taps // 2 if run.paired else taps
                    # When: one step a cycle, the tile's last one not before the tiles before it have left the lanes.
                    # Two lanes with one multiplier and operands of their own: two cycles for each product.
                    turn = self.config.pack == 2 and run.vector
                    taps += turn * (taps // 2 if run.paired else taps)
                    if last_of_tile is None:
                        last_of_tile = max(step + taps - 1, self.readable + turn)
                    else:
                        last_of_tile = last_of_tile + max(taps, turn - (-before // drain))
                    for lane in range(channels_of_tile):
                        self.sums.append(self._leaving(run, total[lane]))
                        word = self._word(run, self.sums[-1], self.parameters[parameter + lane])
                        found.append(word)
                        if run.write:
                            self.memory[output] = word
                            self.writes.append((last_of_tile + self.latency + lane // drain, output, word))
                        output += 1
                    parameter += -(-channels_of_tile // drain) * drain  # a tile begins a row
                    if run.per_tile:
                        parameter, weight = run.parameter.base * drain, run.weight.base
                output += run.output_gap
                parameter, weight = run.parameter.base * drain, run.weight.base
        assert last_of_tile is not None
        self.last_step, self.readable = (
            last_of_tile,
            last_of_tile + self.latency - (-channels_of_tile // drain),
        )
        if run.argmax:
            self.best = max(found)
            self.argmax = found.index(self.best)

    def halt(self) -> int:
        """The cycle in which the Halt behind all runs is decoded."""
        return max(self.decoded + 1, self.readable)

    # ---- one step ----------------------------------------------------------------------------------------------

    def _step(
        self,
        run: Run,
        index: tuple[int, ...],
        at: int,
        weight: int,
        step: int,
        total: list[int],
        held: list[int],
    ) -> None:
        """`held` is what a lane keeps from step to step: the first of two operands, or the largest one."""
        if run.joined:
            size = self.config.lanes >> run.groups
            for lane in range(len(total)):
                total[lane] = total[lane] if step else 0
                for group in range(1 << run.groups):
                    if not self._padded(run, index, group):
                        total[lane] += self.memory[at + group] * self.weights[weight][group * size + lane]
            return
        for lane in range(len(total)):
            place = (lane << run.groups) // self.config.lanes << run.skip
            padded = self._padded(run, index, place)
            word = self._operand(run, at + place, lane, padded)
            if run.paired and step % 2 == 0:
                held[lane] = word
            elif run.paired:
                total[lane] = self._added(run, total[lane] if step > 1 else 0, held[lane] * word)
            elif run.maximum:
                if step == 0 or word > held[lane]:
                    held[lane], total[lane] = word, word * self.weights[weight][lane]
            else:
                product = 0 if padded else word * self.weights[weight][lane]
                total[lane] = self._added(run, total[lane] if step else 0, product)

    def _padded(self, run: Run, index: tuple[int, ...], place: int) -> bool:
        """Is the word that stands `place` words behind the first one of a step padding?"""
        channel, kx, ky, tile, x, y = index
        if channel == run.counts[0] - 1 and run.unused and place >= (1 << run.groups) - run.unused:
            return True
        at_x = run.x_origin + (tile if run.spread else x) * run.x_step + kx + (place if run.spread else 0)
        at_y = run.y_origin + y * run.y_step + ky
        return run.bounded and not (0 <= at_x < run.x_limit and 0 <= at_y < run.y_limit)

    def _operand(self, run: Run, at: int, lane: int, padded: bool) -> int:
        if padded:
            return -(1 << self.config.activation_width - 1) if run.maximum else 0
        place = at - at % self.config.lanes + lane if run.vector else at
        return self.memory[place]

    def _added(self, run: Run, total: int, product: int) -> int:
        c = self.config
        if not run.modelled:
            return total + product
        if c.product_bits:
            scaled = rounded(Fraction(product, 1 << c.product_shift), ROUNDINGS[c.product_rounding])
            format = QFormat(c.product_bits, 0, bool(c.product_signed))
            product = fitted(scaled, format, OVERFLOWS[c.product_overflow])
        total += product
        if c.model_width and c.model_saturate:
            clipped = fitted(total, QFormat(c.model_width, 0), OVERFLOWS[c.model_saturate])
            self.accumulator_overflow |= clipped != total
            return clipped
        return total

    # ---- one word ----------------------------------------------------------------------------------------------

    def _leaving(self, run: Run, total: int) -> int:
        """The sum as it leaves the lanes; a modelled one that wraps does so here: wrapping commutes with addition."""
        if run.modelled and self.config.model_width and not self.config.model_saturate:
            wrapped = fitted(total, QFormat(self.config.model_width, 0), Overflow.WRAP)
            self.accumulator_overflow |= wrapped != total
            return wrapped
        return total

    def _word(self, run: Run, total: int, parameter: list[int]) -> int:
        shift, bias, *multiplier = parameter
        value, rounding = total + bias, ROUNDINGS[run.rounding]
        if self.config.multiplier_width:
            value *= multiplier[0]
            if run.twice and shift >= 32:
                value, shift = rounded(Fraction(value, 1 << 31), Rounding.HALF_UP), shift - 31
            elif run.twice:
                rounding = Rounding.HALF_UP
        if run.relu_before and value < 0:
            value = 0
        distance = shift + (run.leak if value < 0 else 0)
        exact = rounded(Fraction(value, 1 << distance), rounding)
        word = fitted(exact, QFormat(run.out_bits, 0, run.out_signed), OVERFLOWS[run.overflow])
        self.saturations += word != exact
        if run.relu_after and word < 0:
            word = 0
        if run.table:
            code = self._drawn(run.out_bits) if run.noise else word % (1 << run.out_bits)
            word = self.tables[run.table_base + code]
        return word

    def _drawn(self, bits: int) -> int:
        """The lowest bits of the noise register, which then makes 16 steps."""
        code = sum(bit << place for place, bit in enumerate(self.noise[:bits]))
        for _ in range(16):
            s = self.noise
            self.noise = [*s[1:], s[0] ^ s[1] ^ s[2] ^ s[22]]
        return code
