# SPDX-License-Identifier: MIT
"""The intermediate form of a program: kernels, and control around them.

Lowering writes loops as `Loop`; the pass `flatten` turns them into labels and jumps. Every pass takes a program and
returns a new one.
"""

from __future__ import annotations

from dataclasses import dataclass

from fixedpoint_nn.hardware.compiler.kernel import Kernel, Path
from fixedpoint_nn.hardware.compiler.strided_view import Register, View


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


Flat = Kernel | Label | SetRegister | Advance | Repeat | LoadRegister | StoreArgmax | JumpIfEqual
Item = Flat | Loop
