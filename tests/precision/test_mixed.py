# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import data, layers, zoo
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.precision import Recipe, calibrate
from fixedpoint_nn.precision.mixed import Search, search, smallest_plan
from fixedpoint_nn.precision.pareto import front, hypervolume
from fixedpoint_nn.precision.store import ResultStore
from fixedpoint_nn.training.metrics import outputs


def problem() -> tuple[Any, Any]:
    make, rng = Initialiser(1, np.float32), np.random.default_rng(1)
    net = layers.Sequential(
        fc1=make.dense(12, 16),
        relu1=layers.ReLU(),
        fc2=make.dense(16, 16),
        relu2=layers.ReLU(),
        fc3=make.dense(16, 5),
    )
    x = rng.random((300, 12), np.float32)
    return net, (x, outputs(net, x).argmax(-1))


def test_a_front_keeps_what_nothing_else_beats() -> None:
    points = [(3, 1), (1, 5), (2, 5), (2, 2), (4, 1), (5, 0)]
    assert front(points, lambda p: p[0], lambda p: p[1]) == [(1, 5), (2, 2), (3, 1), (5, 0)]


def test_the_hypervolume_is_the_dominated_share_of_the_box() -> None:
    assert hypervolume([(0, 0)], 10, 10) == 1
    assert hypervolume([(5, 5)], 10, 10) == 0.25
    assert hypervolume([(2, 5), (5, 2), (6, 6), (20, 0)], 10, 10) == (8 * 5 + 5 * 3) / 100
    assert hypervolume([(5, -3)], 10, 10) == 0.5


def test_the_mixed_front_lies_above_the_uniform_one() -> None:
    net, (x, y) = problem()
    found = search(net, (x, y), progress=False, base=Recipe(7))
    assert found.hypervolume > found.uniform_hypervolume + 0.01
    for uniform in found.uniform:
        assert any(c.price <= uniform.price and c.loss <= uniform.loss for c in found.front)
    assert len({len(set(candidate.words.values())) for candidate in found.front}) > 1
    assert (
        found.tried == len({c.plan for c in found.front} | {c.plan for c in found.uniform})
        or found.tried > 20
    )


def test_a_front_is_reported_on_data_that_it_was_not_chosen_on() -> None:
    net, (x, y) = problem()
    found = search(
        net, (x[:150], y[:150]), (x[150:], y[150:]), samples=x[:150], progress=False, base=Recipe(5)
    )
    searching = Search(net, (x[150:], y[150:]), x[:150], Recipe(5))
    for candidate in found.front:
        assert candidate.metric == searching._metric(candidate.plan, searching.problem)


def test_the_smallest_plan_for_a_loss_is_one_call() -> None:
    net, (x, y) = problem()
    chosen = smallest_plan(net, (x, y), loss=2.0, progress=False)
    assert chosen.loss <= 2.0
    cheapest_uniform = min(
        c.price for word in range(2, 9) if (c := Search(net, (x, y)).uniform(word)).loss <= 2.0
    )
    assert chosen.price < cheapest_uniform


def test_a_loss_that_no_plan_reaches_is_answered_with_a_sentence() -> None:
    net, (x, y) = problem()
    sentence = (
        r"no plan of up to 3 bits loses at most 0.1; the best one loses \d+\.\d\d: "
        r"start from a longer word, base=Recipe\(7\)"
    )
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        smallest_plan(net, (x, y), loss=0.1, base=Recipe(3), progress=False)


def test_sensitivity_names_the_place_that_needs_its_bits() -> None:
    net, (x, y) = problem()
    net["fc2"].weight.data[:] *= 0.01  # hardly a difference, whatever its bits
    net["fc2"].bias.data[:] = np.linspace(0.5, 2, 16)
    y = outputs(net, x).argmax(-1)
    searching = Search(net, (x, y))
    assert searching.places == ("input", "fc1.weight", "relu1.out", "fc2.weight", "relu2.out", "fc3.weight")
    harm = searching.sensitivity((2, 6))
    assert harm["fc2.weight"][2] < harm["fc3.weight"][2]
    assert all(losses[6] <= losses[2] + 2 for losses in harm.values())


def test_a_search_that_is_run_again_judges_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, (x, y) = problem()
    options: dict[str, Any] = {"base": Recipe(5), "progress": False}
    here = search(net, (x, y), (x[:30], y[:30]), **options)
    module = import_module("fixedpoint_nn.precision.mixed")
    judge, left = module.judge, [7]

    def killed(*arguments: Any) -> Any:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return judge(*arguments)

    options["store"] = tmp_path / "s.sqlite"
    monkeypatch.setattr(module, "judge", killed)
    with pytest.raises(KeyboardInterrupt):
        search(net, (x, y), (x[:30], y[:30]), **options)
    with ResultStore(options["store"]) as store:
        assert len(store) == 7
    judged: list[Any] = []
    monkeypatch.setattr(module, "judge", lambda *a: judged.append(a) or judge(*a))
    assert search(net, (x, y), (x[:30], y[:30]), **options) == here
    with ResultStore(options["store"]) as store:
        assert len(store) == 7 + len(judged)
    monkeypatch.setattr(module, "judge", lambda *_: pytest.fail("judged again"))
    assert search(net, (x, y), (x[:30], y[:30]), **options) == here
    assert smallest_plan(net, (x, y), 100.0, **options).loss <= 100


def test_the_same_plan_is_judged_once() -> None:
    net, (x, y) = problem()
    searching = Search(net, (x, y))
    assert searching.judged({"fc1.weight": 4}) is searching.judged({"fc1.weight": 4})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fashion_mlp", "lenet"])
def test_on_real_networks_the_mixed_front_lies_above_the_uniform_one(name: str, real: Any) -> None:
    real(data.fashion_mnist)
    net, entry = zoo.load(name), zoo.entry(name)
    (x, y), (xt, yt) = entry.examples("train"), entry.examples("test")
    size = 2000 if name == "fashion_mlp" else 500
    found = search(net, (x[-size:], y[-size:]), (xt[:2000], yt[:2000]), samples=x[:500], progress=False)
    print(f"{name}: hypervolume {found.hypervolume:.3f} mixed, {found.uniform_hypervolume:.3f} uniform")
    assert found.hypervolume > found.uniform_hypervolume
    chosen = smallest_plan(net, (x[-size:], y[-size:]), 0.5, samples=x[:500], progress=False)
    assert chosen.loss <= 0.5
    assert re.match(r"\{", chosen.plan.to_json())
    assert chosen.price < calibrated_price(net, x)


def calibrated_price(net: Any, x: Any) -> int:
    from fixedpoint_nn.precision import observe
    from fixedpoint_nn.precision.cost import bit_operations

    return bit_operations(observe(net, x[:50]), calibrate(net, x[:50], 8))
