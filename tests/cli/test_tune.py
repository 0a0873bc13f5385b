# SPDX-License-Identifier: MIT
"""`tune`: a search that can be reached, goes on, and ends in a command that repeats its best trial."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.cli import main
from fixedpoint_nn.network import serialization
from fixedpoint_nn.zoo import moons
from fixedpoint_nn.zoo.search import usual_space

pytest.importorskip("optuna", reason="Optuna is in the `search` extra")
Capture = pytest.CaptureFixture[str]


def tune(*arguments: object) -> int:
    return main(["tune", *map(str, arguments)])


def test_the_best_settings_are_a_command_that_train_takes(tmp_path: Path, capsys: Capture) -> None:
    assert tune("moons", "--trials", 3, "--epochs", 2, "--out", tmp_path, "--json") == 0
    results = json.loads(capsys.readouterr().out)
    assert set(results["settings"]) == {"learning_rate", "batch", "hidden", "l2", "schedule"}
    assert results["loss"] == min(trial["loss"] for trial in results["trials"])
    for name in ("trials.svg", "settings.svg"):
        assert (tmp_path / name).read_text().startswith("<?xml")
    out = tmp_path / "best.safetensors"
    assert main([*shlex.split(results["command"])[1:], "--out", str(out), "-q"]) == 0
    assert serialization.load_metadata(out)["settings"] == results["settings"]
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "page.html")]) == 0


def test_a_search_goes_on_where_it_was_and_starts_anew_when_told(tmp_path: Path, capsys: Capture) -> None:
    def tried(*further: object) -> list[Any]:
        capsys.readouterr()
        assert tune("moons", "--epochs", 1, "--out", tmp_path, "--json", *further) == 0
        return list(json.loads(capsys.readouterr().out)["trials"])

    first = tried("--trials", 1)
    assert tried("--trials", 2)[:1] == first
    assert len(tried("--trials", 1, "--fresh")) == 1


def test_progress_and_result_are_told(tmp_path: Path, capsys: Capture) -> None:
    assert tune("moons", "--trials", 2, "--epochs", 1, "--out", tmp_path) == 0
    captured = capsys.readouterr()
    first, second = captured.err.splitlines()
    number = r"\d+\.\d{4}"
    assert re.fullmatch(rf"1 trial, 0 given up early: loss {number}, best {number}", first)
    assert re.fullmatch(rf"2 trials, 0 given up early: loss {number}, best {number}", second)
    assert re.match(
        rf"moons: loss {number} on held-back data, the best of 2 trials \(0 given up", captured.out
    )
    assert captured.out.splitlines()[-1].startswith(
        "train with these settings: fixedpoint-nn train moons --epochs 1 --learning-rate "
    )


def test_minutes_end_a_search(tmp_path: Path, capsys: Capture) -> None:
    assert tune("moons", "--minutes", 0.005, "--epochs", 1, "--out", tmp_path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["tried"] >= 1
    assert tune("moons", "--out", tmp_path) == 2
    assert capsys.readouterr().err == "fixedpoint-nn: tune needs an end: --trials N, or --minutes M\n"


def test_an_interrupt_tells_how_many_trials_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    from dataclasses import replace

    judged: list[int] = []

    def figures(net: Any, x: Any, y: Any) -> dict[str, float]:
        judged.append(1)
        if len(judged) == 3:
            raise KeyboardInterrupt
        return {"loss": 1.0}

    monkeypatch.setattr(moons, "ENTRY", replace(moons.ENTRY, figures=figures))
    assert tune("moons", "--trials", 9, "--epochs", 1, "--out", tmp_path, "-q") == 130
    assert capsys.readouterr().err.strip() == (
        f"fixedpoint-nn: interrupted; 2 trials are kept in {tmp_path / 'tune.sqlite'}; go on with: "
        f"fixedpoint-nn tune moons --trials 9 --epochs 1 --out {tmp_path}"
    )


def test_a_network_of_ones_own_is_searched_on_its_own_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).standard_normal((60, 2)).astype(np.float32)
    np.savez("s.npz", x=x, y=x[:, :1] * 2)
    serialization.save(moons.build(0), "mine.safetensors")
    assert tune("mine.safetensors", "--data", "s.npz", "--trials", 2, "--epochs", 1, "--json") == 0
    results = json.loads(capsys.readouterr().out)
    assert results["network"] == "mine"
    assert set(results["settings"]) == {"learning_rate", "batch", "l2", "schedule"}
    assert results["command"].startswith(
        "fixedpoint-nn train mine.safetensors --data s.npz --epochs 1 --learning-rate"
    )
    assert Path("runs/mine/tune/tune.sqlite").exists()


def test_the_space_lies_around_the_recipe() -> None:
    space: Any = usual_space(moons.ENTRY)
    assert space["learning_rate"].low < moons.ENTRY.recipe.optimiser().rate < space["learning_rate"].high
    assert space["batch"].options == (10, 20, 40)
    assert space["hidden"].options == ("8,8", "16,16", "32,32")


def test_without_optuna_the_way_to_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert tune("moons", "--trials", 1, "--out", tmp_path) == 1
    assert capsys.readouterr().err == (
        "fixedpoint-nn: a search needs Optuna; install it with `pip install fixedpoint_nn[search]`\n"
    )
