# SPDX-License-Identifier: MIT
"""The command in the story of shipped weights trains the same weights again, bit for bit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import zoo
from fixedpoint_nn.network import serialization, tree


def retrained(name: str, file: Path, threads: str) -> Any:
    """The network that the shipped weights' own command makes, in a process of its own."""
    story = zoo.metadata(name)
    program, *arguments = story["command"].split()
    assert program == "fixedpoint-nn"
    command = [sys.executable, "-m", "fixedpoint_nn", *arguments, "--out", str(file)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return serialization.load(file)


def different(first: Any, second: Any) -> list[str]:
    ours, theirs = tree.parameters(first, trained_only=False), tree.parameters(second, trained_only=False)
    assert list(ours) == list(theirs)
    return [path for path, p in ours.items() if not np.array_equal(p.data, theirs[path].data)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["moons", "names_lstm"])
def test_the_command_trains_the_same_bits_again(name: str, tmp_path: Path) -> None:
    first = retrained(name, tmp_path / "first.safetensors", threads="1")
    again = retrained(name, tmp_path / "again.safetensors", threads="2")
    assert different(first, again) == []
    now, then = serialization.load_metadata(tmp_path / "first.safetensors"), zoo.metadata(name)
    if now["arithmetic"] == then["arithmetic"]:  # a machine that rounds like the one of then
        assert different(first, zoo.load(name)) == []
        assert now["result"] == then["result"]
    bar = zoo.entry(name).bar
    assert bar is not None
    assert bar.reached(now["result"][bar.figure])
