# SPDX-License-Identifier: MIT
"""The intermediate representation: items in the order of execution.

Lowering makes `Compute`, `WriteBack` and `LoopItem`; later passes (`legalise`, `select`, `flatten`) replace them by
items closer to the engine, until kernels, labels and jumps are left. Every pass takes a program and returns a new one;
items are immutable.
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
    """The declaration of a buffer or register, from here on; `layer` needs it."""

    value: Buffer | Register
    layer: str = ""


@dataclass(frozen=True, eq=False)
class Compute:
    """target = expression, pixel by pixel in rows of channels.

    `declares`: the target's buffer is declared here. `search`: the argmax is computed, too, and the words are written
    only with `write`. `noise`: the words are samples of this table.
    """

    name: str
    layer: str  # for error messages
    path: Path  # of the traced value
    expression: Expression
    target: Target
    declares: bool = False
    search: bool = False
    write: bool = True
    noise: NoiseTable | None = None

    def views(self) -> Iterator[View]:
        """The views that it reads."""
        for part in self.expression.parts:
            for term in part:
                yield from term.views()


@dataclass(frozen=True, eq=False)
class WriteBack:
    """The new state of a loop is written back to the old one, in place if the old one is not read afterwards.

    `must_copy`: the new state is an argument of the body, so it cannot be computed in place.
    """

    name: str
    layer: str
    new: View
    old: View
    must_copy: bool


@dataclass(frozen=True, eq=False)
class Label:
    """A jump target: the next item."""

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
    """register = register - 1; jump to `begin` unless it is then 0."""

    register: Register
    begin: Label


@dataclass(frozen=True, eq=False)
class LoadRegister:
    """register = the first word of a view, shifted left."""

    register: Register
    word: View
    shift: int


@dataclass(frozen=True, eq=False)
class StoreArgmax:
    """The first word of a view = the argmax of the last search."""

    word: View
    path: Path


@dataclass(frozen=True, eq=False)
class JumpIfEqual:
    """Jump to `target` if register == value."""

    register: Register
    value: int
    target: Label


@dataclass(frozen=True, eq=False)
class LoopItem:
    """The body, `count` times; the `moving` registers start at 0 and advance by their strides after each iteration."""

    counter: Register
    count: int
    moving: tuple[Register, ...]
    body: tuple[Item, ...]


Flat = Kernel | Declare | Label | SetRegister | Advance | Repeat | LoadRegister | StoreArgmax | JumpIfEqual
Item = Flat | Compute | WriteBack | LoopItem


@dataclass(frozen=True, eq=False)
class EngineProgram:
    """The program between the passes from lowering to selection."""

    lanes: int
    items: tuple[Item, ...]
    constants: tuple[Buffer, ...]
    input: View
    output: View
    drain: int = 1  # words drained per clock
    words: int = 1  # activation words read per clock


def computations(items: Sequence[Item]) -> Iterator[Compute]:
    """All computations, including those in loops."""
    for item in items:
        if isinstance(item, Compute):
            yield item
        elif isinstance(item, LoopItem):
            yield from computations(item.body)
