# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from fixedpoint_nn.precision import heartbeat
from fixedpoint_nn.precision.cluster import run_all


def once(common: Any, value: int) -> dict[str, Any]:
    """The first worker that meets the value 2 stops for ever, as one whose disk is gone; the next one computes it."""
    mark = Path(common) / "met"
    if value == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    return {"value": value, "process": os.getpid()}


def killed_once(common: Any, value: int) -> dict[str, Any]:
    mark = Path(common) / "met"
    if value == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"value": value}


def test_the_point_of_a_worker_that_falls_silent_is_given_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "SILENCE", 4.0)
    tasks = {str(i): (i,) for i in range(5)}
    found = dict(run_all(once, str(tmp_path), tasks, jobs=2))
    assert {key: result["value"] for key, result in found.items()} == {str(i): i for i in range(5)}


def test_the_point_of_a_worker_that_dies_is_given_to_another(tmp_path: Path) -> None:
    tasks = {str(i): (i,) for i in range(5)}
    found = dict(run_all(killed_once, str(tmp_path), tasks, jobs=2))
    assert {key: result["value"] for key, result in found.items()} == {str(i): i for i in range(5)}


def test_an_old_sign_of_life_is_silence(tmp_path: Path) -> None:
    (tmp_path / "17.beat").touch()
    assert heartbeat.silent(tmp_path, time.time()) == []
    assert heartbeat.silent(tmp_path, time.time() + heartbeat.SILENCE + 1) == [17]
