# SPDX-License-Identifier: MIT
"""--json, -q and -v: one mechanism for every command, and the fields that the documentation promises."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.cli import main
from fixedpoint_nn.cli.program import COMMANDS, build_parser

Capture = pytest.CaptureFixture[str]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "command_line.md"
FIELDS = PAGE.read_text("utf-8").split("## The fields of --json")[1]
CALLS: dict[str, list[tuple[object, ...]]] = {
    "zoo": [()],
    "import": [("model.onnx", "--check"), ("refused.onnx", "--check")],
    "compare": [("model.onnx", "--data", "samples.npz")],
    "train": [("moons", "--epochs", 1, "--out", "t.safetensors")],
    "tune": [("moons", "--trials", 1, "--epochs", 1, "--out", "tune")],
    "sweep": [("moons", "--words", 4, "--limit", 20, "--out", "sweep")],
    "emit": [
        ("moons", "--word", 8, "--vectors", 1, "--corners", 0, "--out", "pack"),
        ("moons", "--word", 8, "--show", "lower"),
    ],
    "verify": [("pack",)],
    "generate": [("names_lstm", "--count", 1), ("names_lstm", "--show", "select")],
    "board": [("run", "pack", "--port", "sim", "--vectors", 1)],
    "export": [("pack", "--out", "design")],
    "report": [(".", "--out", "page.html")],
    "doctor": [()],
    "completion": [("bash",)],
}


def documented(name: str) -> list[set[str]]:
    """The fields of a command, each variant's in its own set; what only an option adds is left out."""
    (row,) = re.findall(rf"^\| `{name}` \| (.*) \|$", FIELDS, re.MULTILINE)
    variants = re.split("; (?:with `--show`|of a refused model): ", row)
    return [set(re.findall(r"`(\w+)`", re.split(r"; (?:with|of)|: a list", part)[0])) for part in variants]


def onnx_files(folder: Path) -> None:
    """model.onnx with samples.npz, and refused.onnx."""
    from tests.interchange.onnx.models import model, node

    rng = np.random.default_rng(0)
    weights = {"w": rng.standard_normal((6, 3)).astype(np.float32)}
    (folder / "model.onnx").write_bytes(model([node("Gemm", "x w", "y")], {"x": ["n", 6]}, ["y"], weights))
    (folder / "refused.onnx").write_bytes(model([node("Det", "x", "y")], {"x": ["n", 6, 6]}, ["y"]))
    np.savez(folder / "samples.npz", x=rng.standard_normal((9, 6)).astype(np.float32))


@pytest.fixture(autouse=True)
def quick_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the proof of which corners no input can reach: it takes long, and nothing here is about it."""
    monkeypatch.setattr("fixedpoint_nn.hardware.vectors.reachability.unreachable", lambda *_: {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("json")


@pytest.mark.parametrize("name", CALLS)
def test_json_is_one_object_with_the_documented_fields_and_stderr_is_silent(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    if name == "tune":
        pytest.importorskip("optuna", reason="Optuna is in the `search` extra")
    if name in ("import", "compare"):
        pytest.importorskip("onnxruntime", reason="the runtime is in the `onnx` extra")
        onnx_files(folder)
    monkeypatch.chdir(folder)
    for call, fields in zip(CALLS[name], documented(name), strict=True):
        assert main([name, *map(str, call), "--json"]) == (call[:1] == ("refused.onnx",))
        captured = capsys.readouterr()
        result = json.loads(captured.out)
        assert set(result) == fields
        assert captured.err == ""


def test_the_story_of_the_demo_leaves_stdout_to_the_object(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def walk(arguments: Any) -> dict[str, Any]:
        print("[1/6] What is here")
        (fields,) = documented("demo")
        return {**dict.fromkeys(fields, "x"), "passed": True, "seconds": 1.0}

    monkeypatch.setattr("fixedpoint_nn.cli.demo.run_steps", walk)
    for options, out, err in (
        (["--json"], "", ""),
        (["--json", "-v"], "", "[1/6]"),
        (["-q"], "PASS in 1 s", ""),
    ):
        assert main(["demo", *options]) == 0
        captured = capsys.readouterr()
        assert captured.out.strip().startswith(out or "{")
        assert captured.err.startswith(err)
        if "--json" in options:
            assert json.loads(captured.out)["passed"] is True


def test_an_interrupted_demo_does_not_claim_that_nothing_was_left(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def walk(arguments: Any) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr("fixedpoint_nn.cli.demo.run_steps", walk)
    assert main(["demo", "--out", "d"]) == 130
    assert capsys.readouterr().err.strip() == (
        "fixedpoint-nn: interrupted; what had ended is kept in d; the same command goes on"
    )


def test_every_command_is_documented_and_called() -> None:
    assert set(CALLS) | {"demo"} == set(COMMANDS)
    for name in COMMANDS:
        assert documented(name)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_the_common_options(name: str) -> None:
    (group,) = [action for action in build_parser()._actions if isinstance(action.choices, dict)]
    assert group.choices is not None
    options = group.choices[name]._option_string_actions
    assert {"-q", "--quiet", "-v", "--verbose", "--json", "-h", "--help"} <= set(options)


def test_quiet_leaves_results_and_verbose_adds_details(tmp_path: Path, capsys: Capture) -> None:
    emit = ("emit", "moons", "--word", "8", "--vectors", "1", "--corners", "0", "--out", str(tmp_path / "p"))
    said = {}
    for option in ("-q", "--json", "", "-v"):
        assert main([*emit, *([option] if option else [])]) == 0
        captured = capsys.readouterr()
        said[option] = captured.err.splitlines()
        assert captured.out.strip()
    assert said["-q"] == said["--json"] == []
    assert said[""] == [
        "lowering moons for 8 lanes",
        "searching for corner vectors",
        f"writing {tmp_path / 'p'}",
        "measuring ledger and latency",
    ]
    assert said["-v"] == [
        "moons: moons, samples of the zoo",
        "formats of 8 bits from 200 samples",
        *said[""],
    ]


def test_errors_are_said_even_when_quiet_and_shown_in_full_when_verbose(capsys: Capture) -> None:
    def err(*options: str) -> str:
        assert main(["sweep", "nowhere.safetensors", "--words", "4", "--out", "x", *options]) == 2
        return capsys.readouterr().err

    sentence = err("-q")
    assert sentence.startswith(
        "fixedpoint-nn: 'nowhere.safetensors' is neither a network of the zoo nor a file"
    )
    assert len(sentence.splitlines()) == 1
    assert "Traceback" in err("-v")
    assert err("-v").splitlines()[-1] + "\n" == sentence


def test_numbers_and_paths_become_json_and_nothing_else_does(capsys: Capture) -> None:
    from argparse import Namespace

    import numpy as np

    from fixedpoint_nn.cli.results import show

    given: dict[str, Any] = {"a": np.float32(0.5), "b": np.arange(2), "c": Path("x")}
    show(Namespace(json=True), given, "")
    assert json.loads(capsys.readouterr().out) == {"a": 0.5, "b": [0, 1], "c": "x"}
    with pytest.raises(TypeError, match=r"^a object is no result that JSON can hold$"):
        show(Namespace(json=True), {"a": object()}, "")
