# SPDX-License-Identifier: MIT
"""Kernels: runs of the engine before allocation of addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from fixedpoint_nn.hardware.compiler.aligned_table import AlignedTable
from fixedpoint_nn.hardware.compiler.gumbel_table import NoiseTable
from fixedpoint_nn.hardware.compiler.strided_view import ZERO_REGISTER, Atom, Buffer, Register, View, Window
from fixedpoint_nn.hardware.isa.instructions import OVERFLOWS, ROUNDINGS, Address, Run
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.table import Table

Path = tuple[int, ...]


@dataclass(frozen=True)
class Target:
    """The place of results: pixels are `stride` words apart, rows of pixels `row` words, if that is not 0.

    With `rows_first` the first row of all samples' images stands before their second ones.
    """

    buffer: Buffer
    offset: int
    stride: int
    row: int = 0
    rows_first: bool = False

    @property
    def place(self) -> tuple[Buffer, int]:
        """(root buffer, offset in it)."""
        return self.buffer.root, self.buffer.place + self.offset


@dataclass(frozen=True, eq=False)
class Kernel:
    """One run: reads `operands` with one loop nest, writes `channels` words per pixel to `target`."""

    name: str
    path: Path  # of the traced value it writes
    operands: list[View]  # one per term; of products the first factors
    factors: list[View]  # of products the second factors
    taps: list[Atom]  # loops of one sum, outermost first
    pixels: list[Atom]
    channels: int
    tile_stride: int
    vector: bool
    maximum: bool
    accumulator: Accumulator | None  # the modelled one; None is exact
    product_shift: int  # of its quantised products
    weights: Ints | None  # (rows, lanes)
    parameters: Ints  # (channels, 3): shift, bias, multiplier
    per_tile: bool
    quantizer: Quantizer
    relu_before: bool
    relu_after: bool
    leak: int
    twice: bool
    table: Table | AlignedTable | NoiseTable | None
    target: Target
    bound: tuple[int, int]  # the range of every partial sum
    window: Window | None = None
    argmax: bool = False
    noise: bool = False
    write: bool = True
    barrier: bool = True
    early: int = 0
    may_be_short: bool = False  # whether the engine supports short instructions
    groups: int = 0  # of lanes, as a power of two
    joined: bool = False
    unused: int = 0
    skip: bool = False
    spread: bool = False
    streamed: bool = False  # whether its weights are streamed
    lanes: int = field(default=8, repr=False)
    ways: tuple[Kernel, ...] = field(
        default=(), repr=False
    )  # alternatives with other groups of lanes, still without weights
    taps_by_channels: Ints | None = field(default=None, repr=False)  # the weights for all alternatives

    @property
    def paired(self) -> bool:
        """Whether it multiplies values by values."""
        return bool(self.factors)

    @property
    def multiplied(self) -> bool:
        """Whether it needs the requantiser's multiplier."""
        return bool((self.parameters[:, 2] != 1).any()) or self.twice

    @property
    def tiles(self) -> int:
        """The number of tiles per pixel."""
        return -(-self.channels // self.tile_channels)

    @property
    def short(self) -> bool:
        """Whether its instruction is a short one."""
        return self.may_be_short and self.window is None and all(atom.size == 1 for atom in self.pixels)

    @property
    def tile_channels(self) -> int:
        """The number of sums of a full tile."""
        return self.lanes >> self.groups if self.joined else self.lanes

    @property
    def step_words(self) -> int:
        """The span in words of a step's reads."""
        return self.lanes if self.vector else 1 << self.groups + self.skip

    @property
    def tile_steps(self) -> int:
        """The number of steps of a tile."""
        taps = prod(atom.size for atom in self.taps)
        return taps * len(self.operands) * (1 + self.paired)

    @property
    def steps(self) -> int:
        """The number of steps of the run."""
        pixels = prod(atom.size for atom in self.pixels)
        return self.tile_steps * self.tiles * pixels

    @property
    def writes(self) -> tuple[Buffer, int, int]:
        """(root buffer, lowest offset, highest offset) of the words it writes."""
        root, start = self.target.place
        pixels = prod(atom.size for atom in self.pixels)
        return root, start, start + (pixels - 1) * self.target.stride + self.channels - 1

    def run(self, at: Placement) -> Run:
        """The `Run` instruction for a placement."""
        counts, strides = self._loops(at)
        window = self.window
        f = self.quantizer.format
        bounds: dict[str, Any] = {}
        if window is not None:
            bounds = {
                "bounded": True,
                "x_origin": window.x_origin,
                "y_origin": window.y_origin,
                "x_step": window.x_step,
                "y_step": window.y_step,
                "x_limit": window.x_limit,
                "y_limit": window.y_limit,
            }
        return Run(
            activation=at.address(self.operands[0].buffer, self.operands[0].offset),
            weight=Address(at.weight_rows.get(self, 0)),
            parameter=Address(at.parameter_rows[self]),
            output=at.address(self.target.buffer, self.target.offset),
            counts=counts,
            strides=strides,
            last_channels=self.channels - (self.tiles - 1) * self.tile_channels,
            output_gap=0 if self.short else self.target.stride - self.channels,
            barrier=self.barrier,
            early=self.early,
            groups=self.groups,
            joined=self.joined,
            unused=self.unused,
            skip=self.skip,
            spread=self.spread,
            vector=self.vector,
            paired=self.paired,
            maximum=self.maximum,
            per_tile=self.per_tile,
            modelled=self.accumulator is not None,
            relu_before=self.relu_before,
            relu_after=self.relu_after,
            leak=self.leak,
            twice=self.twice,
            table=self.table is not None,
            table_base=at.table_bases.get(self, 0),
            noise=self.noise,
            argmax=self.argmax,
            write=self.write,
            rounding=ROUNDINGS.index(self.quantizer.rounding.name),
            overflow=OVERFLOWS.index(self.quantizer.overflow.name),
            out_bits=f.bits,
            out_signed=f.signed,
            short=self.short,
            streamed=self.streamed,
            **bounds,
        )

    def _loops(self, at: Placement) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(counts, strides) of the engine's six loops, innermost first."""
        inner: list[Atom] = list(self.taps)
        if len(self.operands) > 1:
            inner.insert(0, Atom(len(self.operands), at.distance(self.operands[0], self.operands[1])))
        if self.paired:
            inner.append(Atom(2, at.distance(self.operands[0], self.factors[0])))
        loops = place_taps(inner)
        pixels = place_pixels(self.pixels)
        tile = Atom(self.tiles, self.tile_stride)
        nest = [*loops, tile, *([ONE, ONE] if self.short else pixels)]
        return tuple(atom.size for atom in nest), tuple(atom.stride for atom in nest)


@dataclass(frozen=True)
class Placement:
    """The result of allocation: addresses of buffers, weight rows, parameters, tables, and registers."""

    addresses: Mapping[Buffer, int]  # of root buffers in the activation memory
    weight_rows: Mapping[Kernel, int]
    parameter_rows: Mapping[Kernel, int]
    table_bases: Mapping[Kernel, int]
    registers: Mapping[Register, int]

    def address(self, buffer: Buffer, offset: int) -> Address:
        """The address of a word, with the loop register if the buffer moves."""
        register = buffer.register
        # A window may begin before its buffer, even before word 0: addresses wrap.
        base = (self.addresses[buffer.root] + buffer.place + offset) % (1 << 24)
        return Address(base, self.number(register) if register else 0)

    def number(self, register: Register) -> int:
        """The number of the engine's register."""
        return 0 if register is ZERO_REGISTER else self.registers[register]

    def word(self, view: View) -> Address:
        """The address of a view's first word."""
        return self.address(view.buffer, view.offset)

    def distance(self, a: View, b: View) -> int:
        """The distance from a to b in words."""
        (root_a, at_a), (root_b, at_b) = a.place, b.place
        if root_a is root_b:
            return at_b - at_a
        return self.addresses[root_b] + at_b - self.addresses[root_a] - at_a


ONE = Atom(1, 0)


def place_taps(atoms: list[Atom]) -> list[Atom]:
    """The loops (channel, kx, ky) for at most three atoms, given outermost first."""
    named = {atom.label: atom for atom in atoms if atom.label}
    plain = [atom for atom in atoms if not atom.label]
    if named:
        (channel,) = plain or [ONE]
        return [channel, named.get("kx", ONE), named.get("ky", ONE)]
    loops = plain[::-1]
    if len(loops) == 1 and loops[0].size > 1 << 16:
        loops = _split(loops[0], 1 << 16, 256)
    elif len(loops) == 2 and loops[-1].size > 256:
        loops[-1:] = _split(loops[-1], 256, 256)
    return [*loops, ONE, ONE, ONE][:3]


def in_two_loops(count: int) -> bool:
    """Whether the two outer loops of a sum, of at most 256 iterations each, can cover `count` taps."""
    return all(atom.size <= 256 for atom in _split(Atom(count, 1), 256, 256))


def place_pixels(atoms: list[Atom]) -> list[Atom]:
    """The loops (x, y) for at most two atoms."""
    named = {atom.label: atom for atom in atoms if atom.label}
    if named:
        return [named.get("x", ONE), named.get("y", ONE)]
    loops = atoms[::-1]
    if len(loops) == 1 and loops[0].size > 4096:
        loops = _split(loops[0], 4096, 4096)
    return [*loops, ONE, ONE][:2]


def _split(atom: Atom, most: int, outer: int) -> list[Atom]:
    """A loop of at most `most` iterations in one of at most `outer`; the atom itself if it cannot be split."""
    for inner in range(most, 0, -1):
        if atom.size % inner == 0 and atom.size // inner <= outer:
            return [Atom(inner, atom.stride), Atom(atom.size // inner, atom.stride * inner)]
    return [atom]
