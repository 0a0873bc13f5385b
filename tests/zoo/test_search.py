# SPDX-License-Identifier: MIT
"""Hyperparameter search: inside its space, resumable, and blind for the data that results are reported on."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn.data import Examples
from fixedpoint_nn.training.batches import Samples, TextWindows, WordBatches
from fixedpoint_nn.zoo import moons
from fixedpoint_nn.zoo.scene_batches import SceneBatches
from fixedpoint_nn.zoo.search import Categorical, Integer, Real, hold_back, search

pytest.importorskip("optuna", reason="Optuna is in the `search` extra")

SPACE = {
    "rate": Real(1e-3, 0.3, log=True),
    "momentum": Real(0.5, 0.95),
    "batch": Integer(10, 40, 10),
    "build.activation": Categorical("relu", "tanh"),
}


def test_a_search_stays_in_its_space_finds_and_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "moons.db"
    first = search("moons", SPACE, 6, file, epochs=3)
    assert len(first.trials) == 6
    for settings, _ in first.trials:
        assert set(settings) == set(SPACE)
        assert 1e-3 <= settings["rate"] <= 0.3
        assert settings["batch"] in (10, 20, 30, 40)
        assert settings["build.activation"] in ("relu", "tanh")
    assert first.loss == min(loss for _, loss in first.trials) < max(loss for _, loss in first.trials)
    assert (first.best, first.loss) in first.trials
    assert search("moons", SPACE, 6, file, epochs=3) == first, "enough trials are enough"
    more = search("moons", SPACE, 8, file, epochs=3)
    assert more.trials[:6] == first.trials
    assert len(more.trials) <= 8
    assert more.loss <= first.loss


def test_the_same_seed_tries_the_same_settings(tmp_path: Path) -> None:
    first, again, other = (
        search("moons", SPACE, 3, tmp_path / f"{number}.db", epochs=2, seed=seed)
        for number, seed in enumerate((1, 1, 2))
    )
    assert first == again != other


@pytest.mark.slow
def test_two_processes_share_one_search(tmp_path: Path) -> None:
    found = search("moons", SPACE, 8, tmp_path / "moons.db", epochs=5, jobs=2)
    assert 8 <= len(found.trials) <= 9


def test_an_interrupted_trial_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def figures(net: object, x: object, y: object) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return {"loss": 1.0 / len(calls)}

    monkeypatch.setattr(moons, "ENTRY", replace(moons.ENTRY, figures=figures))
    with pytest.raises(KeyboardInterrupt):
        search("moons", SPACE, 4, tmp_path / "moons.db", epochs=1)
    assert len(search("moons", SPACE, 4, tmp_path / "moons.db", epochs=1).trials) == 4
    assert len(calls) == 5


def test_a_setting_that_the_network_does_not_have_is_a_sentence(tmp_path: Path) -> None:
    sentence = (
        "moons has no setting 'beta1'; it has batch, build.activation, build.hidden, clip, hidden, l2, "
        "learning_rate, momentum, optimiser, rate, schedule"
    )
    with pytest.raises(KeyError, match=re.escape(sentence)):
        search("moons", {"beta1": Real(0, 1)}, 1, tmp_path / "moons.db")


def test_what_is_held_back_is_not_trained_on() -> None:
    x = np.arange(100)
    samples, (held_x, held_y) = hold_back(Samples(x, x))
    assert sorted([*samples.x, *held_x]) == list(x)
    assert (held_x == held_y).all()
    assert len(held_x) == 10
    words, (inputs, targets) = hold_back(WordBatches([np.array([i, i]) for i in range(1, 51)]))
    assert len(words.words) == 45
    assert {int(word[0]) for word in words.words} | set(inputs[:, 1]) == set(range(1, 51))
    assert (targets[:, :2] == inputs[:, 1:]).all()
    text, (inputs, targets) = hold_back(TextWindows(x, length=4, size=2, steps=1), limit=90)
    assert text.ids.max() == 80
    assert inputs.min() == 81
    assert (targets == inputs + 1).all()
    garments = Examples(np.zeros((50, 28, 28, 1), np.float32), np.arange(50))
    garments.x[:, 4:24, 4:24] = 1
    scenes, (_, boxes) = hold_back(SceneBatches(garments), limit=40)
    assert scenes.garments.y.tolist() == list(range(36))
    assert set(boxes[..., 4].astype(int).ravel()) == {-1, 36, 37, 38, 39}


def test_a_search_needs_an_end_and_jobs_need_a_network_of_the_zoo(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^a search needs an end: a number of trials, or of minutes$"):
        search("moons", SPACE, None, tmp_path / "moons.db")
    with pytest.raises(
        ValueError, match=r"^2 jobs can search networks of the zoo only; search moons with one job$"
    ):
        search(moons.ENTRY, SPACE, 2, tmp_path / "moons.db", jobs=2)


def test_settings_of_training_can_be_searched_by_their_names(tmp_path: Path) -> None:
    space = {
        "hidden": Categorical("4,4", "6,6"),
        "optimiser": Categorical("sgd"),
        "schedule": Categorical("linear"),
    }
    found = search("moons", space, 2, tmp_path / "moons.db", epochs=1)
    assert found.settings.as_json() == {
        "hidden": [int(part) for part in found.best["hidden"].split(",")],
        "optimiser": "sgd",
        "schedule": "linear",
    }
