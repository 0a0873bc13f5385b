# SPDX-License-Identifier: MIT
"""The tape of a `Tensor` as a graph in Graphviz's DOT language."""

from __future__ import annotations

from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array


def _value(array: Array | None) -> str:
    if array is None:
        return "-"
    return f"{array.item():.4g}" if array.size == 1 else "x".join(map(str, array.shape))


def to_dot(result: Tensor, names: dict[str, Tensor] | None = None) -> str:
    """The DOT text of all values that led to `result`, with their gradients and operations.

    Call `result.backward(keep=True)` first, so that intermediate values keep their gradients.
    """
    known = {id(tensor): name for name, tensor in (names or {}).items()}
    lines = ["digraph tape {", "  rankdir=LR;", "  node [shape=record, fontname=Helvetica];"]
    number: dict[int, int] = {}
    stack = [result]
    edges = []
    while stack:
        node = stack.pop()
        if id(node) in number:
            continue
        number[id(node)] = len(number)
        stack.extend(node.parents)
        edges.append(node)
    for node in edges:
        here = number[id(node)]
        label = [known[id(node)]] if id(node) in known else []
        label += [f"value {_value(node.data)}", f"grad {_value(node.grad)}"]
        lines.append(f'  v{here} [label="{" | ".join(label)}"];')
        if node.operation:
            lines.append(f'  o{here} [label="{node.operation}", shape=circle];')
            lines.append(f"  o{here} -> v{here};")
            lines += [f"  v{number[id(parent)]} -> o{here};" for parent in node.parents]
    return "\n".join([*lines, "}"]) + "\n"
