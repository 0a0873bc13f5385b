# SPDX-License-Identifier: MIT
"""Rounded after training, without labels: what `calibrate` loses with each effort, and the time that it takes."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.precision_cells import loss_of
from fixedpoint_nn import calibrate, quantize, zoo
from fixedpoint_nn.precision.content import code_version, digest
from fixedpoint_nn.precision.store import ResultStore

SAMPLES = 3000  # training samples, without their labels
EFFORTS = ("fast", "best")
AIMS = {"fashion_mlp": 0.6, "lenet": 0.3, "resnet8": 2.0}  # points at 4 bits, with the best effort
BITS = 4


def rows(network: str, store: ResultStore, bits: int = BITS) -> list[dict[str, Any]]:
    """One line for each effort, on the held-out data."""
    entry, net = zoo.entry(network), zoo.load(network)
    x, y = entry.examples(entry.held_out)
    samples = zoo.samples(network, SAMPLES, "train")
    found = []
    for effort in EFFORTS:
        key = digest("after training", code_version(), network, bits, effort, SAMPLES, net)
        known = store.get(key)
        if known is None:
            wall, cpu = time.perf_counter(), time.process_time()
            plan = calibrate(net, samples, word=bits, effort=effort)
            seconds = [round(time.perf_counter() - wall, 1), round(time.process_time() - cpu, 1)]
            lost = loss_of(network, entry.figures(quantize(net, plan), x, y), entry.figures(net, x, y))
            known = {"lost": round(lost, 3), "seconds": seconds[0], "cpu_seconds": seconds[1]}
            store.put(key, known)
        aim = AIMS.get(network) if effort == "best" and bits == BITS else None
        found.append({"network": network, "bits": bits, "effort": effort, **known, "aim": aim})
    return found


def line(row: dict[str, Any]) -> str:
    """The row as text."""
    aim = row["aim"]
    verdict = "" if aim is None else f"; aim {aim:g}: {'reached' if row['lost'] <= aim else 'MISSED'}"
    return (
        f"{row['network']:12} {row['bits']} bits  effort {row['effort']:5} lost {row['lost']:+.2f} "
        f"({row['cpu_seconds']:.1f} s of one core, {row['seconds']:.1f} s passed{verdict})"
    )
