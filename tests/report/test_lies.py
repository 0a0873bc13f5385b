# SPDX-License-Identifier: MIT
"""Records that lie: the page is made, or one sentence says what is wrong with which file."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from fixedpoint_nn.report import write_report
from fixedpoint_nn.report.record import RecordError
from tests.support.damage import changed

COMMANDS = ("train", "sweep", "emit", "verify", "generate")


@pytest.mark.parametrize("count", [20, pytest.param(600, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:Glyph")
def test_a_record_that_lies_is_shown_or_refused(count: int, runs: Path, tmp_path: Path) -> None:
    out, refused = tmp_path / "report.html", 0
    for number in range(count):
        rng = random.Random(number)
        path = runs / COMMANDS[number % 5] / f"run-{COMMANDS[number % 5]}.json"
        before = path.read_text(encoding="utf-8")
        content = json.loads(before)
        del content["sha256"]
        content["results"] = changed(content["results"], rng)
        path.write_text(json.dumps(content), encoding="utf-8")
        try:
            write_report(runs, out)
        except RecordError as error:
            refused += 1
            assert str(error).startswith(f"{path} "), number
            assert "\n" not in str(error)
            assert len(str(error)) < 1000
        path.write_text(before, encoding="utf-8")
    assert 0 < refused < count


@pytest.mark.parametrize(
    ("command", "key", "value", "sentence"),
    [
        ("verify", "passed", ..., "results has no 'passed'"),
        ("verify", "passed", "yes", 'results.passed is "yes", not true or false'),
        ("verify", "text", " ", 'results.text is " ", not a text that is not empty'),
        ("emit", "images", [{"name": "weights", "words": 5}], "results.images[0] has no 'bits'"),
        ("emit", "cycles", -1, "results.cycles is -1, not a whole number from 0 on"),
        ("sweep", "points", [], "results.points is [], not a list of 1 at least"),
        ("sweep", "float_score", 1e300, "results.float_score is 1e+300, not a number up to 1e+30"),
        ("train", "epochs", 1 << 300, "results.epochs is a number of 301 bits, not a whole number from 0 to "
         "9223372036854775807"),
        ("generate", "model", {"a": 1}, "results.model is an object of 1, not a list"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_record_is_said(
    command: str, key: str, value: object, sentence: str, runs: Path, tmp_path: Path
) -> None:
    path = runs / command / f"run-{command}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["sha256"], content["results"][key]
    content["results"] |= {} if value is ... else {key: value}
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(RecordError) as caught:
        write_report(runs, tmp_path / "report.html")
    assert str(caught.value) == (
        f"{path} lacks what the report needs ({sentence}); run the command again: {content['line']}"
    )
    assert not (tmp_path / "report.html").exists()


def test_a_flipped_bit_of_a_record_is_noticed(runs: Path, tmp_path: Path) -> None:
    path = runs / "train" / "run-train.json"
    path.write_text(path.read_text().replace('"accuracy": 0.9', '"accuracy": 0.8'))
    with pytest.raises(RecordError) as caught:
        write_report(runs, tmp_path / "report.html")
    assert str(caught.value) == (
        f"{path} is not the record of a run (its checksum does not match); delete it and run the command again"
    )
