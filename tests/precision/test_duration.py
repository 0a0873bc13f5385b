# SPDX-License-Identifier: MIT
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn.precision import Training, sweep
from fixedpoint_nn.training.batches import Samples
from tests.precision.test_sweep import problem


def test_a_sweep_says_how_long_its_points_will_take_before_the_first_one(tmp_path: Path) -> None:
    net, (x, y) = problem()
    x, y = np.tile(x, (5, 1)), np.tile(y, 5)
    said: list[float] = []
    options: dict[str, Any] = {"store": tmp_path / "s.sqlite", "progress": False, "announce": said.append}
    sweep(net, (x, y), (3, 5, 8, 12), **options)
    (first,) = said
    assert first > 0
    sweep(net, (x, y), (3, 5, 8, 12), **options)
    assert len(said) == 1, "nothing is left to compute"
    training = Training(Samples(x, y, 20), epochs=50)
    sweep(net, (x, y), (3,), methods=("ptq", "qat"), training=training, **options)
    assert said[1] > 5 * first
