# SPDX-License-Identifier: MIT
"""Write the golden packs again: `python -m tests.proof.conformance [NAME ...]`.

A network's pack keeps the plan that it was quantised by (`plan.json`); where there is one, it is used again,
so that the same pack comes out on every machine. Without one, the network is calibrated on its training data.
The conformance packs hold no network: `tests/proof/conformance/programs.py` assembles them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn import zoo
from fixedpoint_nn.hardware.emit import emit
from fixedpoint_nn.hardware.pack.reader import load_pack
from fixedpoint_nn.hardware.textgen import SamplingConfig, emit_writer
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.precision import Plan, calibrate, quantize
from tests.proof.conformance import programs

HERE = Path(__file__).resolve().parents[3] / "golden_vectors"
PLAN = "plan.json"
CALIBRATION, WORD = 500, 8


@dataclass(frozen=True)
class Golden:
    """How many real samples and vectors for cover points a pack holds; or how the network writes."""

    network: str
    samples: int = 0
    corners: int = 0
    writing: SamplingConfig | None = None


NETWORKS = {
    "moons": Golden("moons", 16, 16),
    "bigram": Golden("bigram", 4, 29),
    "nplm": Golden("nplm", 8, 16),
    "names_lstm": Golden("names_lstm", 2, 10),
    "names_writer": Golden("names_lstm", writing=SamplingConfig(40, 0.75)),
    "makemore_lstm": Golden("makemore_lstm", 2, 10),
    "shakespeare_lstm": Golden("shakespeare_lstm", 1, 1),
    "mnist_lstm": Golden("mnist_lstm", 2, 12),
    "mnist_gru": Golden("mnist_gru", 2, 12),
    "mnist_rnn": Golden("mnist_rnn", 4, 12),
    "fashion_mlp": Golden("fashion_mlp", 4, 16),
    "lenet": Golden("lenet", 2, 16),
    "resnet8": Golden("resnet8", 1, 30),
}
PACKS = (*NETWORKS, *programs.COMMITTED)


def quantized(name: str, folder: Path) -> tuple[Quantized, Plan]:
    """The network by the plan of its pack, or by a new one."""
    net = zoo.load(NETWORKS[name].network)
    path = folder / PLAN
    if path.exists():
        plan = Plan.load(path)
    else:
        plan = calibrate(net, zoo.samples(NETWORKS[name].network, CALIBRATION, "train"), word=WORD)
    return quantize(net, plan), plan


def inputs(name: str, fixed: Quantized, folder: Path) -> Any:
    """The samples that the pack holds already, or the first real ones."""
    golden = NETWORKS[name]
    if not (folder / "manifest.json").exists():
        return zoo.samples(golden.network, golden.samples)
    pack = load_pack(folder)
    real = pack.vectors[: pack.manifest["origins"].count("sample")]
    return FixedArray.from_ints(real.reshape(-1, *pack.input.shape).astype(np.int64), fixed.input.format)


def write(name: str, target: Path, source: Path, say: Callable[[str], None] = print) -> Path:
    """The pack `name`, written to `target`, with the plan and samples of `source` if it has them."""
    if name in programs.PACKS:
        return programs.write_program(name, target)
    golden = NETWORKS[name]
    fixed, plan = quantized(name, source)
    if golden.writing is not None:
        emit_writer(fixed, golden.writing, target, name=name, seeds=2, progress=say)
    else:
        samples = inputs(name, fixed, source)
        emit(fixed, samples, target, name=name, corner_vectors=golden.corners, progress=say)
    plan.save(target / PLAN)
    return target


def main(names: list[str]) -> int:
    unknown = sorted(set(names) - set(PACKS))
    if unknown:
        print(f"There is no golden pack {unknown[0]!r}; there are {', '.join(PACKS)}.", file=sys.stderr)
        return 1
    for name in names or PACKS:
        folder = write(name, HERE / name, HERE / name)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(f"{name}: {size / 1e6:.2f} MB, {sum(load_pack(folder).cycles)} cycles")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
