# SPDX-License-Identifier: MIT
"""The training loop: reproducible, interruptible, and honest about what it kept."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.layers import BatchNorm, Dropout, Flatten, ReLU, Sequential
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.tree import parameters
from fixedpoint_nn.numbers import reused_memory
from fixedpoint_nn.training import (
    SGD,
    Adam,
    Diverged,
    History,
    Momentum,
    Samples,
    TextWindows,
    cross_entropy,
    fit,
)
from fixedpoint_nn.training.checkpoint import Checkpoint, Stored, stored
from fixedpoint_nn.training.loop import Forecast
from fixedpoint_nn.training.metrics import classification

X = np.random.default_rng(0).standard_normal((96, 4)).astype(np.float32)
Y = (X @ np.array([1.0, -2.0, 0.5, 1.0]) > 0).astype(np.int64)


def small(seed: int = 0) -> Sequential:
    init = Initialiser(seed)
    return Sequential(
        fc1=init.dense(4, 8), norm=init.batch_norm(8), relu=ReLU(), drop=Dropout(0.1), fc2=init.dense(8, 2)
    )


def run(net: Any, epochs: int = 4, **options: Any) -> History:
    options = {"optimiser": Adam(0.01), "progress": False, **options}
    return fit(net, Samples(X, Y, 32), epochs=epochs, **options)


def weights(net: Any) -> dict[str, np.ndarray[Any, Any]]:
    return {path: p.data.copy() for path, p in parameters(net, trained_only=False).items()}


def equal(a: Any, b: Any) -> bool:
    return all(np.array_equal(value, weights(b)[path]) for path, value in weights(a).items())


def test_training_lowers_the_loss_and_learns() -> None:
    net = small()
    history = run(net, 30, evaluate=lambda now: classification(now, X, Y))
    assert history.curves["train_loss"][-1] < 0.5 * history.curves["train_loss"][0]
    assert history.last()["accuracy"] > 0.93
    assert len(history) == 30


def test_a_batch_uses_the_memory_of_the_one_before() -> None:
    net = Sequential(fc1=Initialiser(0).dense(4, 600), relu=ReLU(), fc2=Initialiser(1).dense(600, 2))
    blocks: list[int] = []

    def loss(z: Any, y: Any) -> Any:
        pool = reused_memory._thread.pool
        assert pool is not None
        blocks.append(sum(map(len, pool.blocks.values())))
        return cross_entropy(z, y)

    run(net, 2, loss=loss)
    assert len(blocks) == 6 and blocks[0] > 0
    assert blocks[1:] == [blocks[1]] * 5  # from the first backward pass on nothing is added
    assert reused_memory._thread.pool is None


def test_the_same_seed_gives_the_same_weights_bit_for_bit() -> None:
    first, again, other = small(), small(), small()
    run(first, seed=5)
    run(again, seed=5)
    run(other, seed=6)
    assert equal(first, again)
    assert not equal(first, other)


def test_running_statistics_move_and_constants_get_no_gradient() -> None:
    net = small()
    run(net, 1)
    norm = net["norm"]
    assert isinstance(norm, BatchNorm)
    assert (norm.mean.data != 0).all()
    assert norm.mean.grad is None


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("optimiser", [Adam, Momentum, SGD])
def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(optimiser: Any, tmp_path: Path) -> None:
    straight, broken = small(), small()
    measure = {"evaluate": lambda net: classification(net, X, Y), "keep_best": True}
    whole = run(straight, 5, optimiser=optimiser(0.01), **measure)
    calls = []

    def evaluate(net: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 4:
            raise Interrupted
        return classification(net, X, Y)

    file = tmp_path / "run.safetensors"
    options: dict[str, Any] = {"evaluate": evaluate, "keep_best": True, "checkpoint": file}
    with pytest.raises(Interrupted):
        run(broken, 5, optimiser=optimiser(0.01), **options)
    fresh = small()
    resumed = run(fresh, 5, optimiser=optimiser(0.01), **options)
    assert len(calls) == 6, "three epochs before, the broken one, and the last two"
    assert resumed == whole
    assert equal(straight, fresh)


def test_a_network_with_a_single_number_as_a_parameter_can_be_interrupted(tmp_path: Path) -> None:
    """The reciprocal of a pooling has no axes, on disk neither."""
    init = Initialiser(0)
    net = Sequential(pool=init.avg_pool(2), flatten=Flatten(), fc=init.dense(4, 2))
    images = Samples(np.ones((4, 4, 4, 1), np.float32), np.array([0, 1, 0, 1]))
    for epochs in (1, 2):
        assert len(fit(net, images, epochs=epochs, checkpoint=tmp_path / "c", progress=False)) == epochs


def test_a_training_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    net = small()
    run(net, 3, checkpoint=tmp_path / "run.safetensors")
    before = weights(net)
    history = run(net, 3, checkpoint=tmp_path / "run.safetensors")
    assert len(history) == 3
    assert all(np.array_equal(before[path], value) for path, value in weights(net).items())


@pytest.mark.parametrize("change", [{"seed": 1}, {"optimiser": SGD(0.01)}])
def test_a_checkpoint_of_another_training_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "run.safetensors"
    run(small(), 1, checkpoint=file)
    with pytest.raises(ValueError, match=re.escape(f"{file} belongs to another training")):
        run(small(), 2, checkpoint=file, **change)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.safetensors"
    file.write_bytes(b"not at all")
    with pytest.raises(ValueError, match=re.escape(f"{file} is no checkpoint of a training")):
        run(small(), 1, checkpoint=file)


def losses(*values: float) -> Any:
    rest = iter(values)
    return lambda net: {"loss": next(rest)}


def test_early_stopping_waits_and_returns_to_the_best_weights() -> None:
    net, copy = small(), small()
    history = run(net, 10, patience=2, evaluate=losses(3, 1, 2, 2, 0))
    assert (len(history), history.best_epoch, history.stopped_early) == (4, 1, True)
    assert history.best()["loss"] == 1
    # The schedule is constant, so two epochs alone are the same first two epochs.
    run(copy, 2)
    assert equal(net, copy)


def test_accuracy_is_watched_upwards() -> None:
    figures = iter([0.5, 0.9, 0.7])
    measure = {"evaluate": lambda net: {"accuracy": next(figures)}, "watch": "accuracy"}
    history = run(small(), 3, keep_best=True, **measure)
    assert history.best_epoch == 1


def test_early_stopping_survives_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "run.safetensors"
    run(small(), 3, patience=2, evaluate=losses(3, 1, 2), checkpoint=file)
    history = run(small(), 10, patience=2, evaluate=losses(2, 0), checkpoint=file)
    assert (len(history), history.best_epoch, history.stopped_early) == (4, 1, True)
    again = run(small(), 10, patience=2, evaluate=losses(), checkpoint=file)
    assert len(again) == 4, "a training that stopped early has nothing left to do"


def test_a_loss_that_is_no_number_stops_the_training() -> None:
    with np.errstate(all="ignore"), pytest.raises(Diverged, match="lower the rate or clip gradients"):
        run(small(), 20, optimiser=SGD(1e30))


def test_a_watched_figure_that_is_not_measured_is_named() -> None:
    with pytest.raises(KeyError, match="watch='accuracy' is not among the figures train_loss"):
        run(small(), 1, keep_best=True, watch="accuracy")


def test_progress_is_shown_on_request_only(capsys: pytest.CaptureFixture[str]) -> None:
    run(small(), 2)
    shown = capsys.readouterr()
    assert shown.out + shown.err == ""
    run(small(), 2, progress=True, title="small")
    shown = capsys.readouterr()
    assert "small 2/2: train_loss" in shown.out + shown.err


def test_clipping_and_schedule_reach_the_optimiser() -> None:
    plain, clipped, slow = small(), small(), small()
    before = weights(plain)
    run(plain, 1, optimiser=SGD(0.1))
    run(clipped, 1, optimiser=SGD(0.1), clip=1e-9)
    run(slow, 1, optimiser=SGD(0.1), schedule=lambda done: 1e-9)

    def moved(net: Any) -> float:
        return float(np.abs(weights(net)["fc1.weight"] - before["fc1.weight"]).max())

    assert moved(plain) > 1e-3
    assert moved(clipped) < 1e-6
    assert moved(slow) < 1e-6


def test_a_training_says_once_how_long_it_takes_and_leaves_its_first_batch_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = iter([10.0, 10.2, 10.4, 10.6, 10.8])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    said: list[float] = []
    forecast = Forecast(1000, said.append)
    for _ in range(6):
        forecast.after_batch()
    assert [round(seconds, 6) for seconds in said] == [200]


def test_a_checkpoint_keeps_settings_and_refuses_other_ones(tmp_path: Path) -> None:
    file = tmp_path / "run.safetensors"
    run(small(), 2, checkpoint=file, settings={"learning_rate": 0.1, "hidden": [8]})
    assert stored(file) == Stored({"learning_rate": 0.1, "hidden": [8]}, 0, 2)
    sentence = (
        f"{file} belongs to a training with learning_rate 0.1, not 0.2; go on as it began, "
        "or delete it to start anew"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        run(small(), 3, checkpoint=file, settings={"learning_rate": 0.2, "hidden": [8]})
    file.write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"is no checkpoint of a training: .*; delete it to start anew"):
        stored(file)


class Stopped:
    """A source that is interrupted in the middle of an epoch; its text windows draw for every batch."""

    def __init__(self, source: Any, epoch: int, batch: int) -> None:
        self.source, self.left, self.batch = source, epoch, batch

    def __len__(self) -> int:
        return len(self.source)

    def epoch(self, rng: Any) -> Any:
        self.left -= 1
        for number, batch in enumerate(self.source.epoch(rng)):
            if self.left == 0 and number == self.batch:
                raise KeyboardInterrupt
            yield batch


@pytest.mark.parametrize("epoch", [1, 2])
@pytest.mark.parametrize("kind", ["images", "text"])
def test_a_training_that_is_interrupted_within_an_epoch_goes_on_to_the_same_weights(
    kind: str, epoch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    if kind == "images":
        x, y = rng.random((60, 6)).astype(np.float32), rng.integers(0, 3, 60)
        source: Any = Samples(
            x, y, 8, augment=lambda x, rng: x + rng.normal(0, 0.1, x.shape).astype(np.float32)
        )
    else:
        source = TextWindows(rng.integers(0, 5, 300), length=6, size=4, steps=8)

    def net() -> Any:
        init = Initialiser(1)
        if kind == "text":
            return Sequential(e=init.embedding(5, 4), drop=Dropout(0.3), head=init.dense(4, 5))
        return Sequential(
            fc1=init.dense(6, 8),
            norm=init.batch_norm(8),
            relu=ReLU(),
            drop=Dropout(0.3),
            fc2=init.dense(8, 3),
        )

    def train(net: Any, source: Any, **options: Any) -> History:
        return fit(net, source, epochs=3, optimiser=Momentum(0.05), seed=7, progress=False, **options)

    whole, again = net(), net()
    curves = train(whole, source).curves
    monkeypatch.setattr(Checkpoint, "is_due", lambda self: True)
    file = tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(again, Stopped(source, epoch, 5), checkpoint=file)
    assert str(stored(file)) == ("5 batches" if epoch == 1 else "1 epoch and 5 batches")
    resumed = net()
    assert train(resumed, source, checkpoint=file).curves == curves
    for path, values in parameters(whole, trained_only=False).items():
        assert np.array_equal(values.data, parameters(resumed, trained_only=False)[path].data), path


def test_a_checkpoint_within_an_epoch_waits_a_minute_and_longer_if_it_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    checkpoint = Checkpoint(tmp_path / "c", {}, SGD())
    due = []
    for now[0] in (59.0, 60.0):
        due.append(checkpoint.is_due())
    checkpoint._last, checkpoint._took = 60.0, 2.0
    for now[0] in (130.0, 160.0):
        due.append(checkpoint.is_due())
    assert due == [False, True, False, True]
