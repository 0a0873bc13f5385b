# SPDX-License-Identifier: MIT
"""A folder of runs as the commands leave it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn.report import Stopwatch
from fixedpoint_nn.training.pictures import picture as figure_in

PATHS = ("input", "fc1.out", "fc2.out")


def _point(word: int) -> dict[str, object]:
    score = 0.9 - 0.8 * 2.0 ** (2 - word)
    return {
        "axis": "word",
        "value": str(word),
        "method": "ptq",
        "metric": score,
        "low": score - 0.01,
        "high": score + 0.01,
        "loss": 90 - 100 * score,
        "changed": 10,
        "predictions": 1000,
        "saturated": 4,
        "wrapped": 0,
        "weight_bits": 1000 * word,
        "bit_operations": 1000 * word**2,
        "bram_blocks": word,
        "seconds": 0.1,
    }


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder as the commands leave it, with a value of every kind that is shown."""
    folder = tmp_path / "runs"
    for command, results in {
        "train": {
            "network": "fashion_mlp",
            "epochs": 3,
            "seed": 0,
            "seconds": 4.2,
            "result": {"accuracy": 0.9},
        },
        "sweep": {
            "network": "fashion_mlp",
            "metric": "accuracy",
            "more_is_better": True,
            "float_score": 0.91,
            "points": [_point(word) for word in (2, 4, 8, 16)],
            "mixed": {
                "metric": "accuracy",
                "front": [
                    {"bit_operations": 9, "weight_bits": 3, "score": 0.8, "loss": 10.0, "words": "fc1:2"}
                ],
                "tried": 40,
                "hypervolume": 0.9,
                "uniform_hypervolume": 0.8,
            },
        },
        "emit": {
            "network": "fashion_mlp",
            "engine": {"lanes": 8, "weight_width": 8},
            "cycles": 12344,
            "size": {"family": "Xilinx 7", "luts": 1500, "flip_flops": 2000, "dsps": 8, "block_rams": 3},
            "vectors": 4,
            "layers": [
                {
                    "layer": "fc1.out",
                    "format": "UQ(2, 6)",
                    "channels": 16,
                    "cycles": 2500,
                    "mac_cycles": 2400,
                },
                {"layer": "fc2.out", "format": "Q(4, 4)", "channels": 10, "cycles": 500, "mac_cycles": 450},
            ],
            "images": [{"name": "weights", "words": 512, "bits": 64}],
            "ledger": [
                {
                    "path": path,
                    "format": "Q(2, 6)",
                    "values": 100,
                    "saturated": 1,
                    "wrapped": 0,
                    "rounded": 99,
                    "headroom_bits": -1,
                    "first": [0, 3],
                }
                for path in PATHS
            ],
            "tables": [
                {
                    "path": "tanh.table",
                    "function": "tanh",
                    "input": "Q(3, 5)",
                    "output": "Q(1, 7)",
                    "entries": 256,
                    "max_error_lsb": 0.5,
                    "monotonic": True,
                    "symmetric": None,
                }
            ],
            "latency": {
                "cycles": 3086,
                "clock_mhz": 100,
                "clock_of": "the clock of a board",
                "repeats": 9,
                "milliseconds": {"engine": 0.03086, "NumPy": 1.5},
            },
        },
        "verify": {
            "network": "fashion_mlp",
            "passed": True,
            "text": "PASS: 4 vectors, 40 words, 12345 cycles",
            "simulator": "Icarus Verilog 12.0",
        },
        "generate": {"network": "fashion_mlp", "verilog": ["élodie", "<b>"], "model": ["élodie", "<b>"]},
    }.items():
        (folder / command).mkdir(parents=True)
        for picture in ("accuracy", "noise", "pareto") if command == "sweep" else ():
            with figure_in(folder / command / f"{picture}.svg") as figure:
                figure.add_subplot().imshow(np.eye(3))
        Stopwatch(command, ["fashion_mlp", "--out", "a folder"]).record(folder / command, results).save()
    return folder
