# SPDX-License-Identifier: MIT
"""Inlining of a model's local functions, with limits on recursion and size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fixedpoint_nn.interchange.onnx.model import OnnxError

MOST_NODES = 200_000


def inlined(proto: Any) -> Any:
    """The model with its local functions inlined."""
    if not proto.functions:
        return proto
    bodies = {(function.domain, function.name): list(_nodes(function.node)) for function in proto.functions}
    sizes: dict[tuple[str, str], int] = {}
    for key in bodies:
        _measure(key, bodies, sizes)
    total = sum(sizes.get((node.domain, node.op_type), 1) for node in _nodes(proto.graph.node))
    if total > MOST_NODES:
        raise OnnxError(f"its functions make {total:,} nodes of it, and {MOST_NODES:,} is the most")
    from onnx import inliner

    try:
        return inliner.inline_local_functions(proto)
    except Exception as error:  # the class belongs to the C++ library
        raise OnnxError(f"its functions are broken: {' '.join(str(error).split())[:200]}") from None


def _nodes(nodes: Any) -> Iterator[Any]:
    """All nodes, including those of subgraphs in attributes."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                waiting.extend(graph.node)


def _measure(
    key: tuple[str, str], bodies: dict[tuple[str, str], Any], sizes: dict[tuple[str, str], int]
) -> None:
    """Compute the number of nodes that a call expands to, callees first."""
    stack, open_ = [key], set()
    while stack:
        here = stack[-1]
        if here in sizes:
            stack.pop()
            continue
        calls = [(node.domain, node.op_type) for node in bodies[here]]
        missing = [call for call in calls if call in bodies and call not in sizes]
        if not missing:
            sizes[here] = sum(sizes.get(call, 1) for call in calls)
            open_.discard(here)
            stack.pop()
            continue
        open_.add(here)
        for call in missing:
            if call in open_:
                raise OnnxError(f"its function {call[1]!r} calls itself")
            stack.append(call)
