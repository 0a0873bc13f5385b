# SPDX-License-Identifier: MIT
"""The cost of a plan: bits of weights, bit operations, block memories."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from fixedpoint_nn.layers.fields import PARAMETER, TABLE
from fixedpoint_nn.numbers.functions import FUNCTIONS
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer
from fixedpoint_nn.precision.observe import STRUCTURE, Observations
from fixedpoint_nn.precision.plan import Plan

LANES = 8
WIDEST_PRODUCT = 32  # bits counted for an operand that no cast has rounded
BLOCK_SHAPES = (
    (72, 512),
    (36, 1024),
    (18, 2048),
    (9, 4096),
    (4, 8192),
    (2, 16384),
    (1, 32768),
)  # of a RAMB36


@dataclass(frozen=True)
class Cost:
    """Bits of all parameters; bit operations of one sample; RAMB36 blocks for parameters and activations."""

    weight_bits: int
    bit_operations: int
    bram_blocks: int


def word_bits(plan: Plan, path: str) -> int:
    """The bits of one stored number at this place; for a per-channel matrix, the width of its words."""
    entry = plan.get(path)
    if isinstance(entry, ChannelQuantizer):
        return entry.quantizer.format.bits
    return WIDEST_PRODUCT if entry is None or isinstance(entry, Accumulator) else entry.format.bits


def cost(seen: Observations, plan: Plan) -> Cost:
    """The cost of a plan for the observed network."""
    sizes = {
        leaf.path: leaf.value.data.size
        for leaf in seen.leaves
        if leaf.kind == PARAMETER and leaf.value is not None
    }
    weight_bits = sum(size * word_bits(plan, path) for path, size in sizes.items())
    return Cost(weight_bits, bit_operations(seen, plan), memory_blocks(seen, plan))


def bit_operations(seen: Observations, plan: Plan) -> int:
    """The sum, over all multiplications of one sample, of the product of the operands' widths in bits."""
    flow, total = seen.flow, 0
    tables = {leaf.address: leaf.path for leaf in seen.leaves if leaf.kind == TABLE}

    def width(number: int) -> int:
        number = flow.source(number)
        node = flow.nodes[number]
        if node.label and plan.get(node.label) is not None:
            return word_bits(plan, node.label)
        if node.operation in FUNCTIONS:
            return word_bits(plan, tables.get(flow.nodes[node.parents[0]].label, ""))
        return max((width(parent) for parent in node.parents), default=1)

    # An initial state of zeros has no width; the matrix has real states in the other time steps.
    products = [
        node
        for node in flow.nodes.values()
        if node.operation in ("@", "*", "matmul") and len(node.parents) > 1
    ]
    widest: dict[str, int] = {}
    for node in products:
        matrix = flow.nodes[node.parents[1]].label
        widest[matrix] = max(widest.get(matrix, 1), width(node.parents[0]))
    for node in products:
        x, w = node.parents[:2]
        terms = flow.nodes[w].shape[-2] if node.operation != "*" and len(flow.nodes[w].shape) > 1 else 1
        matrix = flow.nodes[w].label
        total += prod(node.shape) * terms * (widest[matrix] if matrix else width(x)) * width(w)
    return total // STRUCTURE


def memory_blocks(seen: Observations, plan: Plan) -> int:
    """The RAMB36 blocks of an engine of 8 lanes: rows of weights, biases, tables, and the two largest activations."""
    weights = [leaf for leaf in seen.leaves if leaf.kind == PARAMETER and seen.flow.is_matrix(leaf.path)]
    others = [
        leaf
        for leaf in seen.leaves
        if leaf.kind == PARAMETER and leaf.value is not None and leaf not in weights
    ]
    width = max([word_bits(plan, leaf.path) for leaf in weights], default=1)
    words = sum(prod(leaf.value.shape[:-1]) * -(-leaf.value.shape[-1] // LANES) for leaf in weights)
    blocks = ramb36(words, width * LANES)
    for leaf in others:
        blocks += ramb36(leaf.value.data.size, word_bits(plan, leaf.path))
    for leaf in seen.leaves:
        if leaf.kind == TABLE:
            blocks += ramb36(1 << word_bits(plan, leaf.address), word_bits(plan, leaf.path))
    casts = [path for path in seen.ranges if plan.get(path) is not None]
    sizes = sorted(prod(seen.flow.nodes[seen.flow.places(path)[0]].shape) // STRUCTURE for path in casts)
    return blocks + ramb36(sum(sizes[-2:]), max((word_bits(plan, path) for path in casts), default=1))


def ramb36(words: int, width: int) -> int:
    """The smallest number of 36 Kbit blocks for a memory of `words` x `width` bits."""
    if words <= 0 or width <= 0:
        return 0
    return min(-(-width // wide) * -(-words // deep) for wide, deep in BLOCK_SHAPES)
