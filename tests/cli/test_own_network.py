# SPDX-License-Identifier: MIT
"""A network and samples of one's own go the whole way on the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import calibrate, load_pack
from fixedpoint_nn.cli import main, samples_file
from fixedpoint_nn.cli.errors import CommandError
from fixedpoint_nn.layers import Dropout, ReLU, Sequential
from fixedpoint_nn.network import serialization
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.precision import Plan, quantize
from fixedpoint_nn.report.record import Record
from fixedpoint_nn.training.metrics import outputs
from fixedpoint_nn.zoo.writer import writer
from tests.support.commands import Capture, found, refused, run


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """mine.safetensors (6 inputs, 3 outputs), with targets.npz and classes.npz, in the working folder."""
    monkeypatch.chdir(tmp_path)
    init, rng = Initialiser(0), np.random.default_rng(0)
    net = Sequential(fc1=init.dense(6, 8), relu=ReLU(), drop=Dropout(0.1), fc2=init.dense(8, 3))
    serialization.save(net, "mine.safetensors")
    x = rng.standard_normal((120, 6)).astype(np.float32)
    y = x[:, :3] - x[:, 3:]
    np.savez("targets.npz", x=x, y=y)
    np.savez("classes.npz", x=x, y=y.argmax(-1))
    return net, x, y


def test_a_regression_is_swept_by_mean_squares(own: Any, capsys: Capture) -> None:
    net, x, y = own
    results = found(
        capsys, "sweep", "mine.safetensors", "--data", "targets.npz", "--words", "4,8", "--out", "s"
    )
    assert (results["network"], results["metric"], results["more_is_better"]) == ("mine", "mse", False)
    assert abs(results["float_score"] - np.mean((outputs(net, x) - y) ** 2)) < 1e-6
    assert run("sweep", "mine.safetensors", "--data", "targets.npz", "--words", "4", "--out", "s") == 0
    assert "% worse" in capsys.readouterr().out


def test_a_network_is_trained_swept_emitted_verified_and_reported(own: Any, capsys: Capture) -> None:
    data = ("--data", "classes.npz")
    story = found(
        capsys, "train", "mine.safetensors", *data, "--epochs", 20, "--learning-rate", 0.05, "--dropout", 0,
        "--out", "runs/t.safetensors",
    )  # fmt: skip
    assert (story["network"], story["data"], story["weights_from"]) == (
        "mine",
        "classes.npz",
        "mine.safetensors",
    )
    assert set(story["result"]) == {"loss", "accuracy"}
    assert story["result"]["accuracy"] > 0.7
    assert story["command"].startswith("fixedpoint-nn train mine.safetensors --data classes.npz --epochs 20 ")
    swept = found(
        capsys, "sweep", "runs/t.safetensors", *data, "--words", "8", "--metric", "nll", "--out", "runs/s"
    )
    assert (swept["network"], swept["metric"]) == ("t", "nll")
    assert (
        run(
            "emit",
            "runs/t.safetensors",
            *data,
            "--word",
            8,
            "--vectors",
            2,
            "--corners",
            1,
            "--out",
            "runs/p",
        )
        == 0
    )
    assert run("verify", "runs/p") == 0
    assert run("report", "runs", "--out", "page.html") == 0
    page = Path("page.html").read_text(encoding="utf-8")
    assert "PASS: 3 vectors" in page
    assert "sweep runs/t.safetensors --data classes.npz --metric nll --words 8" in page


def test_the_pack_holds_the_samples_that_were_given(own: Any) -> None:
    net, x, _ = own
    np.savez("inputs.npz", x=x)
    options = ("--word", 8, "--vectors", 3, "--corners", 0, "--out", "p")
    assert run("emit", "mine.safetensors", "--data", "inputs.npz", *options) == 0
    fixed = quantize(net, Plan.load("p/plan.json"))
    assert np.array_equal(load_pack("p").expected, fixed(x[:3]).ints.reshape(3, -1))


def test_qat_is_judged_on_samples_that_it_is_not_trained_with(own: Any, capsys: Capture) -> None:
    results = found(
        capsys, "sweep", "mine.safetensors", "--data", "targets.npz", "--words", "4", "--method", "ptq",
        "--method", "qat", "--out", "s",
    )  # fmt: skip
    assert [point["predictions"] for point in results["points"]] == [12, 12]


def test_a_metric_is_taken_from_the_working_folder(own: Any, capsys: Capture) -> None:
    net, x, y = own
    Path("my_metrics_of_test.py").write_text(
        "import numpy as np\ndef worst(outputs, labels):\n    return np.abs(outputs - labels).max()\n"
    )
    command = (
        "sweep", "mine.safetensors", "--data", "targets.npz", "--words", "8", "--metric", "my_metrics_of_test:worst",
        "--lower-is-better", "--out", "s",
    )  # fmt: skip
    results = found(capsys, *command)
    assert (results["metric"], results["more_is_better"]) == ("worst", False)
    assert abs(results["float_score"] - np.abs(outputs(net, x) - y).max()) < 1e-6
    line = json.loads(Path("s/run-sweep.json").read_text())["line"]
    assert "--metric my_metrics_of_test:worst --lower-is-better" in line
    assert refused(capsys, "sweep", "moons", "--words", 4, "--lower-is-better", "--out", "x") == (
        "--lower-is-better belongs to a --metric module:function; give that too"
    )


def test_a_network_that_was_trained_on_own_samples_does_not_fall_back_to_those_of_the_zoo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).standard_normal((40, 2)).astype(np.float32)
    np.savez("s.npz", x=x, y=(x[:, 0] > 0).astype(int))
    assert run("train", "moons", "--data", "s.npz", "--epochs", 1, "--out", "moons.safetensors", "-q") == 0
    assert refused(capsys, "sweep", "moons.safetensors", "--words", 4, "--out", "s") == (
        "moons.safetensors is no network of the zoo, so its samples are unknown; give them by --data samples.npz, "
        "which np.savez(path, x=x, y=y) writes"
    )


def test_training_goes_on_from_the_weights_of_a_file_of_the_zoo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    first = found(capsys, "train", "moons", "--epochs", 20, "--out", "moons.safetensors")
    second = found(capsys, "train", "moons.safetensors", "--epochs", 1, "--out", "more.safetensors")
    fresh = found(capsys, "train", "moons", "--epochs", 1, "--out", "fresh.safetensors")
    assert second["network"] == "moons"
    assert second["result"]["loss"] < 1.5 * first["result"]["loss"] < fresh["result"]["loss"]


def test_an_own_network_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    net = writer(0, 4, 3, 5)
    serialization.save(net, "w.safetensors", {"symbols": ".abc"})
    ids = np.random.default_rng(0).integers(0, 4, (20, 6))
    np.savez("ids.npz", x=ids)
    options = ("--count", 3, "--word", 8, "--temperature", 1)
    results = found(capsys, "generate", "w.safetensors", "--data", "ids.npz", *options)
    assert len(results["model"]) == 3
    assert set("".join(results["model"])) <= set("abc")
    assert found(capsys, "generate", "w.safetensors", "--count", 2)["word"] is None
    np.savez("text.npz", x=ids, symbols=np.array(list("wxyz")))
    (text,) = found(capsys, "generate", "w.safetensors", "--data", "text.npz", "--count", 30, "--word", 8)[
        "model"
    ]
    assert len(text) == 30
    assert set(text) <= set("wxyz")
    serialization.save(net, "silent.safetensors")
    assert refused(capsys, "generate", "silent.safetensors") == (
        "silent.safetensors does not say which symbols its ids are; save it with metadata {'symbols': TEXT}, the "
        "symbol of each id in order, or give them as `symbols` in --data"
    )
    serialization.save(net, "w.safetensors", {"symbols": ".ab"})
    assert refused(capsys, "generate", "w.safetensors") == (
        "w.safetensors has 4 ids, and there are 3 symbols; each id needs one"
    )


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"inputs": np.ones((3, 2))}, "{} holds inputs, and no x; save samples by np.savez(path, x=x, y=y)"),
        (
            {"x": np.ones(3)},
            "x of {} is float64 of shape (3,); it needs numbers, with one row for each sample",
        ),
        (
            {"x": np.full((3, 6), np.nan)},
            "x of {} holds NaN or infinity; leave those samples out",
        ),
        (
            {"x": np.ones((3, 6)), "y": np.ones(2)},
            "{} holds 3 inputs and labels of shape (2,); each needs one",
        ),
        ({"x": np.ones((3, 6))}, "{} holds no labels; save them too: np.savez(path, x=x, y=y)"),
    ],
)
def test_samples_that_are_none_are_one_sentence(
    arrays: Any, sentence: str, own: Any, capsys: Capture
) -> None:
    np.savez("bad.npz", **arrays)
    said = refused(capsys, "sweep", "mine.safetensors", "--data", "bad.npz", "--words", 4, "--out", "s")
    assert said == sentence.format("bad.npz")
    assert not Path("s").exists()


def test_a_file_that_is_no_npz_is_one_sentence(own: Any, capsys: Capture) -> None:
    command = ("emit", "mine.safetensors", "--word", 8, "--out", "p", "--data")
    assert refused(capsys, *command, "none.npz") == "there is no file none.npz with samples"
    Path("text.npz").write_text("hello")
    assert refused(capsys, *command, "text.npz").startswith("text.npz holds no samples that can be read (")
    np.save("one.npy", np.ones((3, 6)))
    assert (
        refused(capsys, *command, "one.npy")
        == "one.npy is one array; save samples by np.savez(path, x=x, y=y)"
    )
    np.savez("objects.npz", x=np.array([{}, []], dtype=object))
    assert "allow_pickle=False" in refused(capsys, *command, "objects.npz")
    assert refused(capsys, "emit", ".", "--word", 8, "--out", "p") == (
        ". is a folder; give a network of the zoo or a file of one (`fixedpoint-nn zoo` lists the networks)"
    )


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_samples_are_one_sentence_or_whole(save: Any, tmp_path: Path) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "s.npz"
    save(path, x=rng.standard_normal((30, 6)), y=rng.integers(0, 3, 30), symbols=np.array(list("abc")))
    blob, refusals = path.read_bytes(), 0
    for number in range(200):
        damaged = bytearray(blob)
        for _ in range(int(rng.integers(1, 5))):
            damaged[rng.integers(len(damaged))] = rng.integers(256)
        path.write_bytes(damaged[: rng.integers(len(damaged))] if number % 3 == 0 else damaged)
        try:
            samples_file.load(path)
        except CommandError as error:
            refusals += 1
            assert str(path) in str(error)
            assert "\n" not in str(error)
    assert refusals > 100


def test_a_quantised_file_is_emitted_as_it_is(own: Any, capsys: Capture) -> None:
    net, x, _ = own
    fixed = quantize(net, calibrate(net, x, word=6))
    serialization.save(fixed, "fixed.safetensors")
    command = (
        "emit",
        "fixed.safetensors",
        "--data",
        "targets.npz",
        "--vectors",
        3,
        "--corners",
        0,
        "--out",
        "p",
    )
    results = found(capsys, *command)
    assert "NumPy, float" not in results["latency"]["milliseconds"]
    assert np.array_equal(load_pack("p").expected, fixed(x[:3]).ints.reshape(3, -1))
    assert main([*map(str, command), "--word", "8"]) == 2
    assert capsys.readouterr().err == (
        "fixedpoint-nn: fixed.safetensors is quantised already; leave --word and --plan out\n"
    )
    assert refused(
        capsys, "sweep", "fixed.safetensors", "--data", "targets.npz", "--words", 4, "--out", "s"
    ) == ("fixed.safetensors is quantised already; give the float network that it was made from")


def test_the_latency_is_stated_for_the_clock_of_a_board(own: Any, capsys: Capture) -> None:
    emit = ("emit", "mine.safetensors", "--data", "classes.npz", "--word", 8, "--vectors", 1, "--corners", 0)
    stated = {}
    for number, option in enumerate([(), ("--board", "icebreaker"), ("--clock-mhz", 33.5)]):
        latency = found(capsys, *emit, *option, "--out", f"clock{number}")["latency"]
        stated[latency["clock_mhz"]] = latency["clock_of"]
        cycles, engine = latency["cycles"], f"engine, {latency['clock_mhz']:g} MHz"
        assert latency["milliseconds"][engine] == cycles / latency["clock_mhz"] / 1000
    assert stated == {25.0: "the clock of ulx3s", 12.0: "the clock of icebreaker", 33.5: "as stated"}
    assert refused(capsys, *emit, "--board", "icebraker", "--out", "c").startswith(
        "there is no board 'icebraker'; did you mean 'icebreaker'?"
    )
    assert run("report", ".", "--out", "page.html") == 0
    page = Path("page.html").read_text("utf-8")
    assert "at 25 MHz (the clock of ulx3s)" in page and "at 33.5 MHz (as stated)" in page
    old = Record.load(Path("clock0/run-emit.json"))  # as of a version that did not say whose clock it was
    latency = {key: value for key, value in old.results["latency"].items() if key != "clock_of"}
    replace(old, results={**old.results, "latency": latency}).save()
    assert run("report", ".", "--out", "page.html") == 0
    assert "at 25 MHz (as stated)" in Path("page.html").read_text("utf-8")
