# SPDX-License-Identifier: MIT
"""`train`: where its file goes, which settings it takes, and how an interrupted training goes on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import zoo
from fixedpoint_nn.cli import main
from fixedpoint_nn.network import serialization, tree
from fixedpoint_nn.training.checkpoint import stored

Capture = pytest.CaptureFixture[str]
SETTINGS = (
    "--learning-rate", "0.1", "--batch", "10", "--hidden", "8,6", "--l2", "0.001", "--optimiser", "adam",
    "--schedule", "linear",
)  # fmt: skip


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def refused(capsys: Capture, *arguments: object) -> str:
    try:
        status = run(*arguments)
    except SystemExit as end:
        status = int(end.code or 0)
    assert status != 0
    return capsys.readouterr().err.strip().splitlines()[-1].removeprefix("fixedpoint-nn: ")


def weights(path: Path) -> dict[str, Any]:
    return {name: value.data for name, value in tree.parameters(serialization.load(path)).items()}


def same(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


# ---- where the file goes --------------------------------------------------------------------------------


def test_a_folder_gets_the_network_under_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("train", "moons", "--epochs", 1, "--out", ".", "-q") == 0
    assert capsys.readouterr().err == ""
    assert {path.name for path in tmp_path.iterdir()} == {"moons.safetensors", "moons.png", "run-train.json"}


@pytest.mark.parametrize("name", ["net.png", "net", "net.safetensor"])
def test_a_file_of_another_kind_is_refused_before_the_training(
    name: str, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / name
    assert refused(capsys, "train", "moons", "--out", out) == (
        f"--out {out} is neither a folder that is there nor a file that ends in .safetensors; "
        f"write {out}.safetensors"
    )
    assert list(tmp_path.iterdir()) == []


# ---- settings -------------------------------------------------------------------------------------------


def test_settings_are_used_and_kept(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "net.safetensors"
    assert run("train", "moons", "--epochs", 2, *SETTINGS, "--out", out, "--json") == 0
    story = json.loads(capsys.readouterr().out)
    assert story["settings"] == {
        "learning_rate": 0.1, "batch": 10, "hidden": [8, 6], "l2": 0.001, "optimiser": "adam", "schedule": "linear",
    }  # fmt: skip
    assert serialization.load(out)["fc2"].weight.shape == (8, 6)
    assert serialization.load_metadata(out)["settings"] == story["settings"]
    record = json.loads((tmp_path / "run-train.json").read_text())
    assert " ".join(SETTINGS) in record["line"]
    other = tmp_path / "again.safetensors"
    assert main([*story["command"].split()[1:], "--out", str(other), "-q"]) == 0
    assert same(out, other), "the command of the file repeats it"


@pytest.mark.parametrize(
    ("network", "option", "value", "sentence"),
    [
        (
            "bigram", "--hidden", "8",
            "bigram takes no hidden; leave --hidden out (it takes --learning-rate, --batch, --l2, --optimiser, "
            "--schedule)",
        ),
        (
            "moons", "--dropout", "0.1",
            "moons takes no dropout; leave --dropout out (it takes --learning-rate, --batch, --hidden, --l2, "
            "--optimiser, --schedule)",
        ),
        ("moons", "--hidden", "8", "hidden 8 does not fit moons; give 2 numbers, such as --hidden 16,16"),
        ("nplm", "--hidden", "8,8", "hidden 8,8 does not fit nplm; give one number"),
        (
            "moons", "--learning-rate", "0",
            "argument --learning-rate: '0' is not a number above 0; `fixedpoint-nn train --help` shows an example",
        ),
        (
            "moons", "--dropout", "1",
            "argument --dropout: '1' is not a probability of 0 to below 1; "
            "`fixedpoint-nn train --help` shows an example",
        ),
        (
            "moons", "--metric", "mse",
            "moons has metrics of its own; --metric belongs to --data samples.npz",
        ),
    ],
)  # fmt: skip
def test_what_a_network_does_not_take_is_a_sentence(
    network: str, option: str, value: str, sentence: str, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "net.safetensors"
    assert refused(capsys, "train", network, option, value, "--out", out) == sentence
    assert list(tmp_path.iterdir()) == []


# ---- interrupts -----------------------------------------------------------------------------------------


@pytest.fixture
def half_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> tuple[Path, str]:
    """A training that was interrupted after two of four epochs, and the last line that it said."""
    out, moons, judged = tmp_path / "net.safetensors", zoo.entry("moons"), []

    def figures(net: Any, x: Any, y: Any) -> dict[str, float]:
        judged.append(1)
        if len(judged) == 3:
            raise KeyboardInterrupt
        return moons.figures(net, x, y)

    with monkeypatch.context() as patch:
        from dataclasses import replace

        from fixedpoint_nn.zoo import moons as module

        patch.setattr(module, "ENTRY", replace(moons, figures=figures))
        assert run("train", "moons", "--epochs", 4, "--seed", 3, *SETTINGS, "--out", out) == 130
    return out, capsys.readouterr().err.strip().splitlines()[-1]


def test_an_interrupt_says_what_is_kept_and_the_command_that_goes_on(
    half_done: tuple[Path, str], tmp_path: Path
) -> None:
    out, said = half_done
    checkpoint = zoo.checkpoint_of(out)
    command = said.split("go on with: ")[1]
    assert said == f"fixedpoint-nn: interrupted; 2 epochs are kept in {checkpoint}; go on with: {command}"
    assert main([*command.split()[1:], "-q"]) == 0
    whole = tmp_path / "whole.safetensors"
    assert run("train", "moons", "--epochs", 4, "--seed", 3, *SETTINGS, "--out", whole, "-q") == 0
    assert same(out, whole)
    assert not checkpoint.exists()


def test_resume_alone_goes_on_with_what_the_training_began_with(
    half_done: tuple[Path, str], tmp_path: Path
) -> None:
    out, _ = half_done
    kept = stored(zoo.checkpoint_of(out))
    settings = kept.settings
    assert (settings["network"], settings["epochs"], settings["hidden"], kept.seed, kept.epochs) == (
        "moons",
        4,
        [8, 6],
        3,
        2,
    )
    assert run("train", "moons", "--resume", "--out", out, "-q") == 0
    whole = tmp_path / "whole.safetensors"
    assert run("train", "moons", "--epochs", 4, "--seed", 3, *SETTINGS, "--out", whole, "-q") == 0
    assert same(out, whole)


def test_a_resumed_training_is_not_silently_another_one(half_done: tuple[Path, str], capsys: Capture) -> None:
    out, _ = half_done
    assert refused(capsys, "train", "moons", "--resume", "--learning-rate", 0.2, "--out", out) == (
        "the interrupted training began with learning_rate 0.1, not 0.2; leave --learning-rate out to go on with "
        "it, or start anew with --fresh"
    )
    with pytest.raises(
        ValueError, match=re.escape("belongs to a training with learning_rate 0.1, not None; go on")
    ):
        zoo.train_to_file("moons", out, 4, 3, resume=True, progress=False)


def test_an_interrupted_training_is_not_lost_by_forgetting_resume(
    half_done: tuple[Path, str], capsys: Capture
) -> None:
    out, _ = half_done
    checkpoint = zoo.checkpoint_of(out)
    assert refused(capsys, "train", "moons", "--out", out) == (
        f"{checkpoint} holds an interrupted training (2 epochs done); go on with --resume, or start anew with --fresh"
    )
    assert checkpoint.exists()
    assert run("train", "moons", "--epochs", 1, "--fresh", "--out", out, "-q") == 0
    assert serialization.load(out)["fc2"].weight.shape == (16, 16)


# ---- how long it takes ----------------------------------------------------------------------------------


def test_long_training_says_how_long_before_it_begins(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "net.safetensors"
    moons = zoo.entry("moons")
    slow = __import__("dataclasses").replace(moons, source=lambda: Slow(moons.source()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fixedpoint_nn.zoo.moons.ENTRY", slow)
        assert run("train", "moons", "--epochs", 300, "--out", out) == 130
    lines = [
        line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if "this training" in line
    ]
    (line,) = lines
    assert re.search(r"this training: about (5|6|7|8)(\.\d)? min; interrupt at any time, go on with: ", line)
    assert line.endswith(f"fixedpoint-nn train moons --epochs 300 --seed 0 --out {out} --resume")


class Slow:
    """Ten batches in 1.2 seconds; the second epoch is interrupted."""

    def __init__(self, source: Any) -> None:
        self.source, self.epochs = source, 0

    def __len__(self) -> int:
        return len(self.source)

    def epoch(self, rng: Any) -> Any:
        import time

        self.epochs += 1
        if self.epochs == 2:
            raise KeyboardInterrupt
        for batch in self.source.epoch(rng):
            time.sleep(0.12)
            yield batch
