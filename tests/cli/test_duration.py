# SPDX-License-Identifier: MIT
from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn import zoo
from fixedpoint_nn.cli import emit
from fixedpoint_nn.cli.duration import about, announcing
from fixedpoint_nn.cli.progress import configure
from fixedpoint_nn.precision import calibrate, quantize


@pytest.fixture(autouse=True)
def talking() -> None:
    configure(argparse.Namespace(quiet=False, verbose=False, json=False))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "about 1 s"), (42, "about 42 s"), (89, "about 89 s"), (90, "about 1.5 min"), (120, "about 2 min"),
        (294, "about 4.9 min"), (720, "about 12 min"), (36_000, "about 10 h"), (9000, "about 2.5 h"),
        (200_000, "about 2.3 days"),
    ],
)  # fmt: skip
def test_a_duration_has_one_unit_and_as_many_digits_as_it_deserves(seconds: float, text: str) -> None:
    assert about(seconds) == text


def test_only_long_work_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    announce = announcing("this training", "fixedpoint-nn train resnet50 --resume")
    announce(5)
    assert capsys.readouterr().err == ""
    announce(36_000)
    assert capsys.readouterr().err == (
        "this training: about 10 h; interrupt at any time, go on with: fixedpoint-nn train resnet50 --resume\n"
    )


def test_a_large_pack_is_announced_with_a_way_to_make_it_shorter(tmp_path: Path) -> None:
    net, x = zoo.load("moons"), zoo.samples("moons", 2)
    fixed, said = quantize(net, calibrate(net, x)), []
    emit.announce(fixed, x, 8, 337, said.append)
    assert said == []
    emit.announce(fixed, x, 8, 25_000_000, said.append)
    emit.announce(fixed, np.asarray(x), 0, 25_000_000, said.append)
    assert said == [
        "this pack: about 3.3 min; interrupt at any time, nothing half-written is left; --corners 0 leaves out "
        "the search for corner vectors",
        "this pack: about 3.3 min; interrupt at any time, nothing half-written is left",
    ]
