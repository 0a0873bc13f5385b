# SPDX-License-Identifier: MIT
"""The command line: what each command does, its exit status, and every sentence that it refuses with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fixedpoint_nn import zoo
from fixedpoint_nn.cli import main
from fixedpoint_nn.cli.program import COMMANDS, build_parser, sentence
from fixedpoint_nn.cli.sweep_pictures import compromise
from fixedpoint_nn.network import serialization
from fixedpoint_nn.precision import Plan
from fixedpoint_nn.precision.cost import Cost
from fixedpoint_nn.report.record import Record

ROOT = Path(__file__).resolve().parents[2]
Capture = pytest.CaptureFixture[str]
NAMES = (
    "zoo", "import", "compare", "train", "tune", "sweep", "emit", "verify", "generate", "board", "export", "report",
    "demo", "doctor", "completion",
)  # fmt: skip


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def refused(capsys: Capture, *arguments: object) -> str:
    """The one line on stderr of a command that fails."""
    try:
        status = run(*arguments)
    except SystemExit as end:
        status = int(end.code or 0)
    assert status != 0
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "pack"
    options = ("--word", 8, "--vectors", 3, "--corners", 2, "--lanes", 4)
    assert run("emit", "moons", *options, "--out", folder) == 0
    return folder


# ---- help -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_help_ends_in_an_example(name: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as end:
        run(name, "--help")
    assert end.value.code == 0
    example = capsys.readouterr().out.strip().splitlines()[-1].strip()
    assert example.startswith(f"fixedpoint-nn {name}")


@pytest.mark.parametrize("name", [*NAMES, "board build", "board run", "board load", "board demo"])
def test_help_fits_a_terminal_of_eighty_columns(
    name: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        run(*name.split(), "--help")
    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > 80] == []


def test_the_commands_are_those_of_the_documentation() -> None:
    assert tuple(COMMANDS) == NAMES


def test_the_help_of_the_program_says_what_the_help_of_each_command_says() -> None:
    (group,) = [action for action in build_parser()._actions if isinstance(action.choices, dict)]
    assert group.choices is not None
    for name, summary in COMMANDS.items():
        assert group.choices[name].description == summary[0].upper() + summary[1:] + "."


@pytest.mark.parametrize(
    "arguments", [("--help",), ("zoo", "--json"), ("train", "--help"), ("verify", "--help")]
)
def test_what_needs_no_picture_and_no_cluster_does_not_wait_for_them(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys; from fixedpoint_nn.cli import main\n"
        f"try: main({list(arguments)!r})\nexcept SystemExit: pass\n"
        "slow = {'matplotlib', 'optuna', 'distributed', 'jinja2'} & set(sys.modules)\n"
        "print(sorted(slow), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr == "[]\n"


def test_python_m_is_the_same_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fixedpoint_nn", "--version"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0
    assert done.stdout.startswith("fixedpoint-nn ")


# ---- what they do ---------------------------------------------------------------------------------------


def test_zoo_lists_every_network(capsys: Capture) -> None:
    assert run("zoo", "--json") == 0
    found = json.loads(capsys.readouterr().out)["networks"]
    assert [network["name"] for network in found] == list(zoo.names())
    assert next(n["parameters"] for n in found if n["name"] == "moons") == 337
    assert run("zoo") == 0
    text = capsys.readouterr().out
    assert "micrograd" in text
    assert text.splitlines()[-1] == "each is trained by `fixedpoint-nn train NETWORK --seed 0`"
    assert [line for line in text.splitlines() if len(line) > 80] == []


def test_train_writes_a_network_that_the_other_commands_take(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "moons.safetensors"
    assert run("train", "moons", "--epochs", 2, "--seed", 5, "--out", out, "--json") == 0
    story = json.loads(capsys.readouterr().out)
    assert (story["epochs"], story["seed"]) == (2, 5)
    assert out.with_suffix(".png").exists()
    assert run("sweep", out, "--words", "4,8", "--out", tmp_path / "sweep", "--json") == 0
    points = json.loads(capsys.readouterr().out)["points"]
    assert [point["value"] for point in points] == ["4", "8"]


def test_a_sweep_that_is_run_again_computes_nothing(tmp_path: Path, capsys: Capture) -> None:
    command = ("sweep", "moons", "--words", "3:5", "--out", tmp_path)
    assert run(*command) == 0
    assert "3 of 3 points were computed now" in capsys.readouterr().out
    assert run(*command) == 0
    assert "0 of 3 points were computed now" in capsys.readouterr().out
    for name in ("sweep.sqlite", "sweep.csv", "layers.csv", "accuracy.svg", "noise.svg", "run-sweep.json"):
        assert (tmp_path / name).exists()


def test_a_network_that_writes_is_swept_and_drawn(tmp_path: Path, capsys: Capture) -> None:
    assert run("sweep", "names_lstm", "--words", 6, "--limit", 12, "--out", tmp_path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["metric"] == "nll"
    assert {path.name for path in tmp_path.glob("*.svg")} == {
        "accuracy.svg", "noise.svg", "scatter.svg", "weights.svg",
    }  # fmt: skip


def test_an_interrupted_sweep_says_what_is_kept_and_the_command_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    module = import_module("fixedpoint_nn.precision.sweep")
    evaluate, calls = module.evaluate, []

    def interrupted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return evaluate(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, "evaluate", interrupted)
        assert run("sweep", "moons", "--words", "3:6", "--limit", 50, "--out", tmp_path / "s", "-q") == 130
    said = capsys.readouterr().err.strip()
    line = f"fixedpoint-nn sweep moons --words 3,4,5,6 --limit 50 --out {tmp_path / 's'}"
    assert said == (
        f"fixedpoint-nn: interrupted; the points that had ended are in {tmp_path / 's' / 'sweep.sqlite'}; "
        f"go on with: {line}"
    )
    assert main(line.split()[1:]) == 0
    assert "2 of 4 points were computed now" in capsys.readouterr().out


def test_a_sweep_of_two_axes_and_both_methods_is_drawn_side_by_side(tmp_path: Path, capsys: Capture) -> None:
    both = ("--axis", "word", "--axis", "overflow", "--method", "ptq", "--method", "qat")
    assert run("sweep", "moons", "--words", "4", *both, "--out", tmp_path) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert [row[: head.index("accuracy")].split() for row in rows[:4]] == [
        ["word", "4", "ptq"], ["word", "4", "qat"], ["overflow", "wrap", "ptq"], ["overflow", "wrap", "qat"],
    ]  # fmt: skip
    assert len({row.index(".") for row in rows[:11]}) == 1  # in columns
    assert Record.load(tmp_path / "run-sweep.json").line == " ".join(
        ["fixedpoint-nn", "sweep", "moons", "--words", "4", *both[4:], *both[:4], "--out", str(tmp_path)]
    )
    drawn = {path.name: path.read_text() for path in tmp_path.glob("*.svg")}
    assert set(drawn) == {
        "accuracy.svg", "accuracy-overflow.svg", "noise.svg", "noise-overflow.svg", "weights.svg", "scatter.svg",
    }  # fmt: skip
    for text in ("rounded after training", "trained for it"):
        assert text in drawn["accuracy.svg"]
        assert text in drawn["accuracy-overflow.svg"]
    assert "moons, word length 4" in drawn["weights.svg"]


@pytest.mark.parametrize(
    ("losses", "chosen"), [((9.0, 0.5, 0.1), 1), ((9.0, 0.6, 0.7), 1), ((0.0, 0.0, 0.0), 0)]
)
def test_weights_are_drawn_of_the_cheapest_point_that_loses_little(
    losses: tuple[float, ...], chosen: int
) -> None:
    points = [
        SimpleNamespace(loss=loss, cost=Cost(weight_bits=i, bit_operations=i, bram_blocks=1))
        for i, loss in enumerate(losses)
    ]
    assert compromise(points) is points[chosen]  # type: ignore[arg-type]
    assert compromise([]) is None


def test_a_mixed_sweep_leaves_a_plan_that_emit_takes(tmp_path: Path, capsys: Capture) -> None:
    assert run("sweep", "moons", "--words", "8", "--mixed", "--limit", 60, "--out", tmp_path) == 0
    assert "hypervolume" in capsys.readouterr().out
    plan = sorted(tmp_path.glob("mixed-*.json"))[-1]
    assert Plan.load(plan)
    pack = tmp_path / "pack"
    assert run("emit", "moons", "--plan", plan, "--vectors", 2, "--corners", 0, "--out", pack) == 0
    assert (pack / "plan.json").read_text() == Plan.load(plan).to_json()


def test_emit_and_verify_end_in_pass(pack: Path, capsys: Capture) -> None:
    assert run("verify", pack, "--trace") == 0
    assert capsys.readouterr().out.startswith("PASS: 5 vectors, 5 words, ")
    assert run("verify", pack, "--json", "--vectors", 2) == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True


def test_verify_fails_with_status_1_and_keeps_the_verdict(
    pack: Path, tmp_path: Path, capsys: Capture
) -> None:
    copy = Path(shutil.copytree(pack, tmp_path / "pack"))
    (copy / "images/weights.mem").write_text("0\n")
    assert run("verify", copy) == 1
    assert capsys.readouterr().out.startswith("FAIL: ")
    assert json.loads((copy / "run-verify.json").read_text())["results"]["passed"] is False


def test_verify_leaves_a_folder_that_is_no_pack_as_it_is(tmp_path: Path, capsys: Capture) -> None:
    assert run("verify", tmp_path) == 1
    assert capsys.readouterr().out == (
        f"FAIL: {tmp_path} holds no manifest.json; is it a pack that `emit` wrote?\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_verify_writes_waveforms(pack: Path, tmp_path: Path) -> None:
    assert run("verify", pack, "--vcd", tmp_path / "waves.vcd", "--vectors", 1) == 0
    assert (tmp_path / "waves.vcd").read_text().startswith("$date")
    assert (tmp_path / "waves.gtkw").exists()


def test_generate_writes_names_and_is_repeatable(capsys: Capture) -> None:
    command = ("generate", "names_lstm", "--count", 3, "--seed", 7, "--json")
    found = []
    for further in ((), (), ("--word", 8), ("--word", 8)):
        assert run(*command, *further) == 0
        found.append(json.loads(capsys.readouterr().out)["model"])
    assert found[0] == found[1] and len(found[0]) == 3
    assert found[2] == found[3] and len(found[2]) == 3


def test_the_verilog_writes_the_same_names(tmp_path: Path, capsys: Capture) -> None:
    options = ("--count", 1, "--word", 6, "--rtl", "--out", tmp_path)
    assert run("generate", "names_lstm", *options) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    heading = ["written", "by", "the", "Verilog", "written", "by", "the", "Python", "model"]
    assert lines[0].split() == heading
    assert lines[1].split()[0] == lines[1].split()[1]
    assert lines[-1].startswith("PASS: equal in every one of")
    assert json.loads((tmp_path / "run-generate.json").read_text())["results"]["equal"] is True


def test_report_shows_what_was_run(pack: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run("verify", pack) == 0
    assert run("report", pack, "--out", tmp_path / "report.html") == 0
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "PASS: 5 vectors" in html
    assert "fixedpoint-nn emit moons --word 8" in html


# ---- what they refuse -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("emit", "lenett", "--word", 8, "--out", "x"),
            "fixedpoint-nn: 'lenett' is neither a network of the zoo nor a file; did you mean 'lenet'? "
            "(`fixedpoint-nn zoo` lists the networks)",
        ),
        (
            ("train", "mons"),
            "fixedpoint-nn: 'mons' is neither a network of the zoo nor a file; did you mean 'moons'? "
            "(`fixedpoint-nn zoo` lists the networks)",
        ),
        (
            ("train", "moons", "--epochs", 0),
            "fixedpoint-nn: argument --epochs: '0' is not a whole number of 1 or more; "
            "`fixedpoint-nn train --help` shows an example",
        ),
        (
            ("train", "moons", "--seed", "x"),
            "fixedpoint-nn: argument --seed: 'x' is not a whole number; "
            "`fixedpoint-nn train --help` shows an example",
        ),
        (
            ("sweep", "moons", "--words", "16:2", "--out", "x"),
            "fixedpoint-nn: argument --words: the range '16:2' is empty; write the smaller word first, "
            "like 2:16; "
            "`fixedpoint-nn sweep --help` shows an example",
        ),
        (
            ("sweep", "moons", "--words", "1:4", "--out", "x"),
            "fixedpoint-nn: argument --words: '1' is not a word length of 2 to 32 bits; "
            "`fixedpoint-nn sweep --help` shows an example",
        ),
        (
            ("emit", "moons", "--word", "33", "--out", "x"),
            "fixedpoint-nn: argument --word: '33' is not a word length of 2 to 32 bits; "
            "`fixedpoint-nn emit --help` shows an example",
        ),
        (
            ("sweep", "moons", "--out", "x"),
            "fixedpoint-nn: the following arguments are required: --words; "
            "`fixedpoint-nn sweep --help` shows an example",
        ),
        (
            ("emit", "moons", "--out", "x"),
            "fixedpoint-nn: one of the arguments --word --plan is required; "
            "`fixedpoint-nn emit --help` shows an example",
        ),
        (
            ("emit", "moons", "--word", 8, "--plan", "p.json", "--out", "x"),
            "fixedpoint-nn: argument --plan: not allowed with argument --word; "
            "`fixedpoint-nn emit --help` shows an example",
        ),
        (
            ("emit", "moons", "--plan", "/nowhere/plan.json", "--out", "x"),
            "fixedpoint-nn: there is no plan /nowhere/plan.json",
        ),
        (
            ("verify", "/nowhere"),
            "fixedpoint-nn: argument DIR: there is no folder '/nowhere'; "
            "`fixedpoint-nn verify --help` shows an example",
        ),
        (
            ("generate", "moons"),
            "fixedpoint-nn: 'moons' does not write text; those that do are names_lstm, makemore_lstm, "
            "shakespeare_lstm, and networks with the parts embedding, lstm, head",
        ),
        (
            ("generate", "names_lstm", "--temperature", -1),
            "fixedpoint-nn: argument --temperature: '-1' is not a number of 0 or more; "
            "`fixedpoint-nn generate --help` shows an example",
        ),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_what_is_refused_is_one_sentence(arguments: tuple[Any, ...], text: str, capsys: Capture) -> None:
    assert refused(capsys, *arguments) == text


def test_a_file_of_another_kind_is_refused(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "text.safetensors"
    path.write_text("hello")
    assert f"{path} is damaged or not a safetensors file" in refused(
        capsys, "emit", path, "--word", 8, "--out", tmp_path / "x"
    )


def test_a_network_that_does_not_say_whose_data_it_needs_is_refused(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "mine.safetensors"
    serialization.save(zoo.build("moons"), path)
    assert refused(capsys, "emit", path, "--word", 8, "--out", tmp_path / "x") == (
        f"fixedpoint-nn: {path} is no network of the zoo, so its samples are unknown; give them by "
        "--data samples.npz, which np.savez(path, x=x, y=y) writes"
    )


def test_a_folder_that_is_no_pack_is_not_overwritten(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    text = refused_last(capsys, "emit", "moons", "--word", 8, "--vectors", 1, "--out", tmp_path)
    assert text == f"fixedpoint-nn: {tmp_path} exists and is no pack; choose another folder, or remove it"
    assert (tmp_path / "mine.txt").read_text() == "precious"


def refused_last(capsys: Capture, *arguments: object) -> str:
    """The same for a command that has shown progress before."""
    assert run(*arguments) == 1
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_an_empty_folder_cannot_be_reported(tmp_path: Path, capsys: Capture) -> None:
    assert refused(capsys, "report", tmp_path, "--out", tmp_path / "report.html") == (
        f"fixedpoint-nn: there is no run to report in {tmp_path}; run fixedpoint-nn sweep, emit or verify "
        "with --out below it first"
    )


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").write_text("")
    text = refused(capsys, "sweep", "moons", "--words", 4, "--out", tmp_path / "file" / "below")
    assert text == (
        f"fixedpoint-nn: {tmp_path / 'file' / 'below'}: Not a directory; choose a place that can be read "
        "and written"
    )


def test_an_error_is_one_line_whatever_its_message_was() -> None:
    assert sentence(KeyError("there is no network 'x'")) == "there is no network 'x'"
    assert sentence(ValueError("a\n   b")) == "a b"
    assert sentence(RuntimeError()) == "RuntimeError without a message"
    assert sentence(MemoryError()).startswith("the memory is full; use fewer vectors")


# ---- signals and pipes ----------------------------------------------------------------------------------


def _started(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "fixedpoint_nn", *arguments],
        cwd=cwd,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_control_c_ends_a_training_with_status_130_and_nothing_half_written(tmp_path: Path) -> None:
    process = _started("train", "names_lstm", "--epochs", "50", "--out", "net.safetensors", cwd=tmp_path)
    assert process.stderr is not None
    read = process.stderr.readline()  # the bar: it has begun
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, read + rest
    assert rest.strip().splitlines()[-1] == (
        "fixedpoint-nn: interrupted; nothing was left behind, because there was no checkpoint yet"
    )
    assert not (tmp_path / "net.safetensors").exists()


def test_a_reader_that_leaves_early_is_no_error_to_see(tmp_path: Path) -> None:
    process = _started("zoo", cwd=tmp_path)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 1
    assert "Traceback" not in error
