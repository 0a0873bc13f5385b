# SPDX-License-Identifier: MIT
"""What the computations of a program mean, word by word: slow, over a dictionary of words, without any engine."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from fixedpoint_nn.hardware.compiler.expression import Dot, Expression, Product, Scale, Term
from fixedpoint_nn.hardware.compiler.ir import EngineProgram, computations
from fixedpoint_nn.hardware.compiler.kernel_selection import conversion
from fixedpoint_nn.hardware.compiler.strided_view import Atom, Buffer, View
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.qformat import QFormat

Memory = dict[tuple[Buffer, int], int]
WIDE = 50  # bits of the exact sums


def offsets(atoms: Sequence[Atom]) -> list[int]:
    """The offsets of a walk, the outermost loop first."""
    return [
        sum(i * atom.stride for i, atom in zip(indices, atoms, strict=True))
        for indices in product(*(range(atom.size) for atom in atoms))
    ]


def words(view: View, memory: Memory, more: int = 0) -> np.ndarray:
    """The value of a view, `more` words further on, as pixels by channels."""
    root, start = view.place
    pixels = offsets([atom for axis in view.axes[:-1] for atom in axis])
    return np.array(
        [[memory[root, start + more + p + c] for c in offsets(view.axes[-1])] for p in pixels], object
    )


def _value(term: Term, memory: Memory) -> np.ndarray:
    if isinstance(term, Dot):
        return words(term.view, memory) @ term.weights.astype(object)
    if isinstance(term, Product):
        return words(term.view, memory) * words(term.other, memory)
    parts = [
        words(term.view, memory, o) * w
        for o, w in zip(offsets(term.over), term.weights.tolist(), strict=True)
    ]
    result: np.ndarray = np.maximum.reduce(parts) if term.maximum else sum(parts[1:], parts[0])
    return result


def computed(expression: Expression, memory: Memory) -> np.ndarray:
    """The integers of a result, pixels by channels."""
    frac = max(expression.frac, conversion(expression).format.frac_bits)
    groups = []
    for part in expression.parts:
        values = [_value(term, memory) << frac - term.frac for term in part]
        largest = isinstance(part[0], Scale) and part[0].maximum
        groups.append(np.maximum.reduce(values) if largest else sum(values[1:], values[0]))
    total: Any = np.concatenate(groups, axis=1)
    if expression.bias is not None:
        total = total + (expression.bias.astype(object) << frac - expression.bias_frac)
    exact = FixedArray.from_ints(total.astype(np.int64), QFormat(WIDE - frac, frac))
    return exact.cast(conversion(expression)).ints


def results(program: EngineProgram, x: Sequence[int]) -> list[np.ndarray]:
    """What each computation gives, one after the other, for these words of the input; loops are left out."""
    memory: Memory = {}
    root, start = program.input.place
    for number, word in enumerate(x):
        memory[root, start + number] = int(word)
    for buffer in program.constants:
        for number, word in enumerate(buffer.constants or ()):
            memory[buffer.root, buffer.place + number] = word
    found = []
    for item in computations(program.items):
        values = computed(item.expression, memory)
        root, start = item.target.place
        for pixel, row in enumerate(values.tolist()):
            for channel, word in enumerate(row):
                memory[root, start + pixel * item.target.stride + channel] = word
        found.append(values)
    return found
