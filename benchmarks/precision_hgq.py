# SPDX-License-Identifier: MIT
"""Learned widths beside HGQ2's, on the same data, from the same float weights, for the same processor time."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import precision_widths
from fixedpoint_nn import zoo
from fixedpoint_nn.layers import AvgPool2D, Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU
from fixedpoint_nn.network import serialization
from fixedpoint_nn.network.tree import layers_by_path
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.precision.mixed import MOST_HARM
from fixedpoint_nn.precision.pareto import front, hypervolume
from fixedpoint_nn.training.batches import Samples
from fixedpoint_nn.zoo.entry import Entry
from fixedpoint_nn.zoo.hold_back import hold_back
from fixedpoint_nn.zoo.images import mnist

MNIST_MLP, MNIST_EPOCHS = "mnist_mlp", 10
NETWORKS = ("fashion_mlp", MNIST_MLP, "lenet")
PEER = Path(__file__).with_name("hgq2_peer.py")
MOST_WORD = 8  # the box ends at the EBOPs of the network with words of so many bits
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Task:
    """A network with its float weights, and the data that it is trained and judged on."""

    entry: Entry
    net: Any

    @classmethod
    def of(cls, name: str, out: Path) -> Task:
        """A network of the zoo, or `fashion_mlp` trained for MNIST, whose float weights are kept in the folder `out`.

        Both see the images as they are, neither shifted nor mirrored.
        """
        if name != MNIST_MLP:
            given = zoo.entry(name)
            plain = replace(given, source=lambda: replace(given.source(), augment=None))
            return cls(plain, zoo.load(name))
        entry = replace(
            zoo.entry("fashion_mlp"), name=name, source=lambda: Samples(*mnist("train")), examples=mnist
        )
        weights = out / f"{name}.safetensors"
        if not weights.exists():
            serialization.save(zoo.train(entry, MNIST_EPOCHS, progress=False)[0], weights)
        return cls(entry, serialization.load(weights))


def compare(name: str, python: str, out: Path, epochs: int | None = None) -> dict[str, Any]:
    """Both fronts, EBOPs against points lost on the test data; `python` is an interpreter that has HGQ2.

    With `epochs` ours trains for so many, and each candidate for one more; theirs gets as much processor time.
    """
    task = Task.of(name, out)
    learned, seconds = precision_widths.learn(task.entry, task.net, (epochs, 1) if epochs else None)
    ours = [(float(c.price), float(c.loss)) for c in learned.front]
    exact = task.entry.figures(task.net, *task.entry.examples("test"))["accuracy"]
    most = learned.start_price * (MOST_WORD / precision_widths.WORD) ** 2
    theirs, report = hgq2(task, python, most, seconds, out)
    lost = [(price, 100 * (exact - test)) for price, _, test in theirs]
    return {
        "network": name,
        "float": exact,
        "box": most,
        "ours": row(ours, seconds, most),
        "HGQ2": row(lost, report["cpu"], most),
    }


def hgq2(
    task: Task, python: str, most: float, seconds: float, out: Path
) -> tuple[list[list[float]], dict[str, Any]]:
    """HGQ2's front, chosen on the held-back data as ours is, and what its training tells of itself."""
    source, held = hold_back(task.entry.source())
    kinds, arrays = [], {}
    for number, (kind, weight, bias) in enumerate(described(task.net)):
        kinds.append(kind)
        if weight is not None:
            arrays |= {f"w{number}": weight, f"b{number}": bias}
    for part, (x, y) in (
        ("train", (source.x, source.y)),
        ("held", held),
        ("test", task.entry.examples("test")),
    ):
        arrays |= {f"{part}_x": x, f"{part}_y": y}
    data, found = out / "hgq2.npz", out / "hgq2.json"
    np.savez(data, kinds=kinds, **arrays)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([python, PEER, data, str(most), str(seconds), found], check=True, env=environment)
    report = json.loads(found.read_text("utf-8"))
    chosen = front(report["candidates"], lambda c: c[0], lambda c: 1 - c[1])
    return list(chosen), report


def described(net: Any) -> Iterator[tuple[str, Array | None, Array | None]]:
    """(kind, weight, bias) of each layer in turn, in Keras' axes; dropout is left out, and other layers are refused."""
    for path, layer in layers_by_path(net):
        match layer:
            case Dense(bias=Tensor()):
                yield "dense", layer.weight.data, layer.bias.data
            case Conv2D(stride=(1, 1), padding="same", groups=1, bias=Tensor()):
                shape = (*layer.kernel, layer.channels, layer.weight.shape[-1])
                yield "conv", layer.weight.data.reshape(shape), layer.bias.data
            case ReLU() | Flatten():
                yield type(layer).__name__.lower(), None, None
            case MaxPool2D(kernel=(2, 2), stride=(2, 2)) | AvgPool2D(kernel=(2, 2), stride=(2, 2)):
                yield "max" if isinstance(layer, MaxPool2D) else "mean", None, None
            case Dropout():
                continue
            case _ if path:
                raise ValueError(f"{path} ({type(layer).__name__}) is no layer that both train")


def row(points: Points, seconds: float, most: float) -> dict[str, Any]:
    """A front with its share of the box that it dominates."""
    kept = sorted(front(points, lambda p: p[0], lambda p: p[1]))
    return {"hypervolume": hypervolume(kept, most, MOST_HARM), "front": kept, "cpu": seconds}


def lines(found: dict[str, Any]) -> list[str]:
    """The comparison as text."""
    return [
        f"{found['network']} {name:5} hypervolume {found[name]['hypervolume']:.3f} "
        f"({found[name]['cpu']:.0f} s of the processor)   "
        + "  ".join(f"{price / 1e6:.2f}M:{lost:+.2f}" for price, lost in found[name]["front"])
        for name in ("ours", "HGQ2")
    ]
