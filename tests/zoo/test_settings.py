# SPDX-License-Identifier: MIT
"""Settings take the place of a recipe's values, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest

from fixedpoint_nn import zoo
from fixedpoint_nn.layers import Dropout
from fixedpoint_nn.training.optimisers import SGD, AdamW
from fixedpoint_nn.zoo import Settings
from fixedpoint_nn.zoo.settings import supported_settings


def test_no_settings_change_nothing() -> None:
    entry = zoo.entry("moons")
    assert Settings().applied(entry) is entry
    assert Settings().options() == []


def test_each_setting_reaches_its_place() -> None:
    entry = Settings(0.5, 7, (12, 10), 0.25, 0.3, schedule="constant").applied(zoo.entry("fashion_mlp"))
    optimiser, net = entry.recipe.optimiser(), entry.build(0)
    assert (optimiser.rate, optimiser.l2) == (0.5, 0.25)
    assert entry.recipe.schedule(0.9) == 1
    assert entry.source().size == 7  # type: ignore[attr-defined]
    assert net["fc2"].weight.shape == (12, 10)
    assert net["drop1"] == Dropout(0.3)


def test_another_optimiser_has_its_own_usual_rate_and_the_recipes_l2() -> None:
    entry = zoo.entry("fashion_mlp")
    assert Settings(optimiser="sgd").applied(entry).recipe.optimiser() == SGD(l2=1e-5)
    names = zoo.entry("names_lstm")
    same = Settings(optimiser="adamw", learning_rate=0.5).applied(names).recipe.optimiser()
    assert same == AdamW(0.5, decay=0.1), "the recipe's own one keeps its settings"


def test_each_training_has_an_optimiser_of_its_own() -> None:
    recipe = Settings(learning_rate=0.5).applied(zoo.entry("moons")).recipe
    assert recipe.optimiser().state is not recipe.optimiser().state


@pytest.mark.parametrize("name", [name for name in zoo.names() if name != "resnet50"])
def test_every_network_can_be_built_with_all_that_it_takes(name: str) -> None:
    entry = zoo.entry(name)
    names = supported_settings(entry)
    given: dict[str, Any] = {
        "learning_rate": 0.1,
        "batch": 4,
        "l2": 0.0,
        "optimiser": "sgd",
        "schedule": "linear",
    }
    if "dropout" in names:
        given["dropout"] = 0.5
    if "hidden" in names:
        given["hidden"] = (8, 8) if name in ("moons", "fashion_mlp") else (8,)
    assert set(given) == set(names)
    Settings(**given).applied(entry).build(0)


def test_json_gives_the_settings_back() -> None:
    settings = Settings(0.1, hidden=(8, 8), schedule="cosine")
    assert Settings.from_json({**settings.as_json(), "network": "moons"}) == settings
    assert settings.options() == ["--learning-rate", "0.1", "--hidden", "8,8", "--schedule", "cosine"]


def test_unknown_names_are_one_sentence() -> None:
    with pytest.raises(
        ValueError, match=r"^optimiser 'adamm' is not known; use one of sgd, momentum, nesterov, "
    ):
        Settings(optimiser="adamm")
    with pytest.raises(
        ValueError, match=r"^schedule 'step' is not known; use one of constant, linear, cosine, "
    ):
        Settings(schedule="step")
