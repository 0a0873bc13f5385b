# SPDX-License-Identifier: MIT
"""What trackers are told; their own packages are used where they are installed, else a stand-in of the same calls."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fixedpoint_nn.precision import Sweep, sweep
from fixedpoint_nn.precision.trackers import figures, place, to_mlflow, to_tensorboard, to_wandb
from tests.precision.test_sweep import problem


@pytest.fixture(scope="module")
def found() -> Sweep:
    net, data = problem()
    return sweep(net, data, (3, 8), axes=("word", "rounding"), store=":memory:", progress=False)


def test_figures_are_the_numbers_of_a_points_line(found: Sweep) -> None:
    point = found[0]
    told = figures(point)
    assert told["word/ptq/metric"] == point.metric
    assert told["word/ptq/weight_bits"] == point.cost.weight_bits
    assert not any(name.endswith(("/axis", "/value", "/method")) for name in told)
    assert place(point, 17) == 3
    assert place(found.on("rounding")[0], 17) == 17


def test_mlflow_is_told_every_point(found: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[dict[str, float], int]] = []
    stand_in = SimpleNamespace(log_metrics=lambda metrics, step: told.append((metrics, step)))
    monkeypatch.setitem(sys.modules, "mlflow", stand_in)
    tell = to_mlflow()
    for point in found:
        tell(point)
    assert told[:2] == [(figures(found[0]), 3), (figures(found[1]), 8)]
    assert [step for _, step in told[2:]] == list(range(2, len(found)))


def test_tensorboard_is_told_every_number(
    found: Sweep, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[tuple[str, float, int]] = []

    class SummaryWriter:
        def __init__(self, folder: str) -> None:
            assert folder == str(tmp_path)

        def add_scalar(self, name: str, value: float, step: int) -> None:
            told.append((name, value, step))

        def flush(self) -> None:
            pass

    monkeypatch.setitem(sys.modules, "tensorboardX", SimpleNamespace(SummaryWriter=SummaryWriter))
    to_tensorboard(tmp_path)(found[1])
    assert {name: value for name, value, _ in told} == figures(found[1])
    assert {step for *_, step in told} == {8}


def test_wandb_is_told_every_point(found: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(log=told.append))
    to_wandb()(found[0])
    to_wandb(SimpleNamespace(log=told.append))(found[1])
    assert told[0] == {**figures(found[0]), "word/value": 3}
    assert told[1] == {**figures(found[1]), "word/value": 8}


def test_a_tracker_that_is_not_installed_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ImportError) as refused:
        to_mlflow()
    assert str(refused.value) == "MLflow needs mlflow: pip install 'fixedpoint_nn[trackers]'"


def test_real_tensorboard_logs_are_written(found: Sweep, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    to_tensorboard(tmp_path)(found[0])
    assert list(tmp_path.glob("events.out.tfevents.*"))


def test_a_parquet_file_has_the_lines_of_the_csv(found: Sweep, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    found.to_parquet(tmp_path / "sweep.parquet")
    assert parquet.read_table(tmp_path / "sweep.parquet").to_pylist() == found.rows()
    found.to_parquet(tmp_path / "layers.parquet", layers=True)
    assert parquet.read_table(tmp_path / "layers.parquet").to_pylist() == found.layers()


def test_without_pyarrow_there_is_a_sentence(
    found: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError) as refused:
        found.to_parquet(tmp_path / "sweep.parquet")
    assert str(refused.value) == (
        "a Parquet file needs pyarrow: pip install 'fixedpoint_nn[tables]'; to_csv() does without"
    )
