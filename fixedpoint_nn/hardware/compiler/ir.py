# SPDX-License-Identifier: MIT
"""The intermediate form of a program: its items in the order of execution.

Lowering writes `Compute`, `WriteBack` and `Loop`; later passes (`legalise`, `select`, `flatten`) turn each of them into
something closer to the engine, until kernels, labels and jumps are left. Every pass takes a program and returns a new
one; nothing in it is ever changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fixedpoint_nn.hardware.compiler.expression import Expression
from fixedpoint_nn.hardware.compiler.gumbel_table import NoiseTable
from fixedpoint_nn.hardware.compiler.kernel import Kernel, Path, Target
from fixedpoint_nn.hardware.compiler.strided_view import Buffer, Register, View


@dataclass(frozen=True, eq=False)
class Declare:
    """A buffer or a register exists from here on; `layer` is what needs it."""

    value: Buffer | Register
    layer: str = ""


@dataclass(frozen=True, eq=False)
class Compute:
    """target = expression, pixel by pixel in rows of channels.

    `declares`: the target's buffer begins here. `search`: the index of the largest word is searched as well, and the
    words are written only if `write` says so. `noise`: the words are drawn from this table.
    """

    name: str
    layer: str  # for refusals
    path: Path  # of the traced value that this is
    expression: Expression
    target: Target
    declares: bool = False
    search: bool = False
    write: bool = True
    noise: NoiseTable | None = None

    def views(self) -> Iterator[View]:
        """What it reads."""
        for part in self.expression.parts:
            for term in part:
                yield from term.views()


@dataclass(frozen=True, eq=False)
class WriteBack:
    """A loop's new state becomes its old one, in place if nothing reads the old one any more.

    `must_copy`: the new state is an argument of the body, so it cannot be computed elsewhere.
    """

    name: str
    layer: str
    new: View
    old: View
    must_copy: bool


@dataclass(frozen=True, eq=False)
class Label:
    """A place that can be jumped to: the item after it."""

    name: str


@dataclass(frozen=True, eq=False)
class SetRegister:
    """register = value."""

    register: Register
    value: int


@dataclass(frozen=True, eq=False)
class Advance:
    """register = register + its stride."""

    register: Register


@dataclass(frozen=True, eq=False)
class Repeat:
    """register = register - 1; if it is not zero, jump to `begin`."""

    register: Register
    begin: Label


@dataclass(frozen=True, eq=False)
class LoadRegister:
    """register = the word at a view's start, shifted left."""

    register: Register
    word: View
    shift: int


@dataclass(frozen=True, eq=False)
class StoreArgmax:
    """The index of the last search's largest word goes to a view's start."""

    word: View
    path: Path


@dataclass(frozen=True, eq=False)
class JumpIfEqual:
    """Jump to `target` if the register equals the value."""

    register: Register
    value: int
    target: Label


@dataclass(frozen=True, eq=False)
class Loop:
    """The body, `count` times; the `moving` registers start at 0 and advance by their strides after each round."""

    counter: Register
    count: int
    moving: tuple[Register, ...]
    body: tuple[Item, ...]


Flat = Kernel | Declare | Label | SetRegister | Advance | Repeat | LoadRegister | StoreArgmax | JumpIfEqual
Item = Flat | Compute | WriteBack | Loop


@dataclass(frozen=True, eq=False)
class EngineProgram:
    """What every pass from lowering to selection takes and returns."""

    lanes: int
    items: tuple[Item, ...]
    constants: tuple[Buffer, ...]
    input: View
    output: View
    drain: int = 1  # words that leave a tile in one clock
    words: int = 1  # activation words that are read in one clock


def computations(items: Sequence[Item]) -> Iterator[Compute]:
    """All computations, those in loops too."""
    for item in items:
        if isinstance(item, Compute):
            yield item
        elif isinstance(item, Loop):
            yield from computations(item.body)
