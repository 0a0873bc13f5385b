# SPDX-License-Identifier: MIT
"""Points that cannot be, or that fail, and who is told of the others."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from fixedpoint_nn.precision import Absent, Point, sweep
from fixedpoint_nn.precision.attempt import attempt, reason_of
from tests.precision.test_sweep import problem


def test_words_that_some_layer_cannot_have_are_left_out_with_a_reason(tmp_path: Path) -> None:
    net, data = problem()
    told: list[float] = []
    found = sweep(net, data, (8, 16, 32), store=tmp_path / "s.sqlite", progress=False, announce=told.append)
    assert [point.value for point in found] == ["8", "16"]
    (absent,) = found.absent
    assert (absent.value, absent.method, absent.failed) == ("32", "ptq", False)
    assert "bits, and 63 is the most" in absent.reason
    assert str(absent) == f"word 32 ptq: left out: {absent.reason}"
    assert len(told) == 1
    again = sweep(net, data, (8, 16, 32), store=tmp_path / "s.sqlite", progress=False)
    assert again.computed == 0
    assert again.absent == found.absent


def test_a_sweep_of_nothing_that_is_possible_is_a_sentence() -> None:
    net, data = problem()
    with pytest.raises(
        ValueError, match=r"^no point of this sweep is possible; word 32 ptq: left out: the sum"
    ):
        sweep(net, data, (32,), store=":memory:", progress=False)


def test_a_point_that_fails_ends_no_other_and_is_tried_again_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_module("fixedpoint_nn.precision.sweep")
    monkeypatch.setattr(import_module("fixedpoint_nn.precision.problem"), "code_version", lambda: "the same")
    real, store = module.evaluate, tmp_path / "s.sqlite"
    net, data = problem()

    def fails(problem: Any, plan: str, trained: bool) -> dict[str, Any]:
        if "ap_fixed<5," in plan:
            raise OSError("the disk\nis full")
        return dict(real(problem, plan, trained))

    monkeypatch.setattr(module, "evaluate", fails)
    found = sweep(net, data, (4, 5, 6), store=store, progress=False)
    assert [point.value for point in found] == ["4", "6"]
    assert found.absent == (Absent("word", "5", "ptq", "OSError: the disk is full", failed=True),)
    monkeypatch.setattr(module, "evaluate", real)
    still = sweep(net, data, (4, 5, 6), store=store, progress=False)
    assert (len(still), still.computed, len(still.absent)) == (2, 0, 1)
    again = sweep(net, data, (4, 5, 6), store=store, progress=False, resume_errored=True)
    assert ([point.value for point in again], again.computed, again.absent) == (["4", "5", "6"], 1, ())
    assert sweep(net, data, (4, 5, 6), store=store, progress=False).computed == 0


def test_each_new_point_is_told_as_it_ends(tmp_path: Path) -> None:
    net, data = problem()
    told: list[Point] = []
    found = sweep(net, data, (3, 8), store=tmp_path / "s.sqlite", progress=False, on_point=told.append)
    assert told == list(found)
    sweep(net, data, (3, 8, 9), store=tmp_path / "s.sqlite", progress=False, on_point=told.append)
    assert [point.value for point in told] == ["3", "8", "9"]


def test_an_interrupt_is_no_failure_of_a_point() -> None:
    def interrupted(_: Any) -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt(interrupted, None)
    assert reason_of({"metric": 1}) == reason_of(None) == ""
