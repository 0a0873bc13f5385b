# SPDX-License-Identifier: MIT
"""What a program on the engine is made of: kernels, and control around them."""

from __future__ import annotations

from dataclasses import dataclass

from fixedpoint_nn.hardware.compiler.kernel import Kernel, Path
from fixedpoint_nn.hardware.compiler.strided_view import Register, View


@dataclass(frozen=True, eq=False)
class Start:
    """register = value."""

    register: Register
    value: int


@dataclass(frozen=True, eq=False)
class Step:
    """register = register + its stride."""

    register: Register


@dataclass(eq=False)
class Repeat:
    """The items since `begin` run once for each count of the register."""

    register: Register
    begin: int


@dataclass(frozen=True, eq=False)
class Fetch:
    """register = the word at a view's start, shifted left."""

    register: Register
    word: View
    shift: int


@dataclass(frozen=True, eq=False)
class Keep:
    """The index of the last search's largest word goes to a view's start."""

    word: View
    path: Path


@dataclass(frozen=True, eq=False)
class Leave:
    """Jump to the item `target` (an index into the items) if the register equals the value."""

    register: Register
    value: int
    target: list[int]


Item = Kernel | Start | Step | Repeat | Fetch | Keep | Leave
