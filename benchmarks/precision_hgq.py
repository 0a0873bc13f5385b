# SPDX-License-Identifier: MIT
"""Learned widths beside HGQ2's, on the same data, from the same float weights, for the same processor time."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import precision_widths
from fixedpoint_nn import zoo
from fixedpoint_nn.precision.mixed import MOST_HARM
from fixedpoint_nn.precision.pareto import front, hypervolume
from fixedpoint_nn.zoo.hold_back import hold_back

NETWORK, LAYERS = "fashion_mlp", ("fc1", "fc2", "fc3")
PEER = Path(__file__).with_name("hgq2_peer.py")
MOST_PRICE = 15.0e6  # EBOPs of the network with words of 8 bits
Points = list[tuple[float, float]]


def compare(python: str, out: Path, epochs: int | None = None) -> dict[str, Any]:
    """Both fronts, EBOPs against points lost on the test data; `python` is an interpreter that has HGQ2.

    With `epochs` ours trains for so many, and each candidate for one more; theirs gets as much processor time.
    """
    learned, seconds = precision_widths.learn(NETWORK, (epochs, 1) if epochs else None)
    ours = [(float(c.price), float(c.loss)) for c in learned.front]
    entry, net = zoo.entry(NETWORK), zoo.load(NETWORK)
    exact = entry.figures(net, *entry.examples(entry.held_out))["accuracy"]
    theirs, report = hgq2(python, seconds, out)
    lost = [(price, 100 * (exact - test)) for price, _, test in theirs]
    return {"ours": row(ours, seconds), "HGQ2": row(lost, report["cpu"])}


def hgq2(python: str, seconds: float, out: Path) -> tuple[list[list[float]], dict[str, Any]]:
    """HGQ2's front, chosen on the held-back data as ours is, and what its training tells of itself."""
    entry, net = zoo.entry(NETWORK), zoo.load(NETWORK)
    source, held = hold_back(entry.source())
    arrays = {f"w{i}": net[name].weight.data for i, name in enumerate(LAYERS)}
    arrays |= {f"b{i}": net[name].bias.data for i, name in enumerate(LAYERS)}
    arrays |= {"x": _flat(source.x), "y": source.y}
    for part, (x, y) in (("held", held), ("test", entry.examples(entry.held_out))):
        arrays |= {f"{part}_x": _flat(x), f"{part}_y": y}
    data, found = out / "hgq2.npz", out / "hgq2.json"
    np.savez(data, **arrays)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([python, PEER, data, str(seconds), found], check=True, env=environment)
    report = json.loads(found.read_text("utf-8"))
    chosen = front(report["candidates"], lambda c: c[0], lambda c: 1 - c[1])
    return list(chosen), report


def row(points: Points, seconds: float) -> dict[str, Any]:
    """A front with its share of the box that it dominates."""
    kept = sorted(front(points, lambda p: p[0], lambda p: p[1]))
    return {"hypervolume": hypervolume(kept, MOST_PRICE, MOST_HARM), "front": kept, "cpu": seconds}


def lines(found: dict[str, Any]) -> list[str]:
    """The comparison as text."""
    return [
        f"{NETWORK} {name:5} hypervolume {row['hypervolume']:.3f} ({row['cpu']:.0f} s of the processor)   "
        + "  ".join(f"{price / 1e6:.2f}M:{lost:+.2f}" for price, lost in row["front"])
        for name, row in found.items()
    ]


def _flat(x: Any) -> Any:
    return x.reshape(len(x), -1)
