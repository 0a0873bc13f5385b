# SPDX-License-Identifier: MIT
"""What `--word` says of the widths that the engine takes is so."""

from __future__ import annotations

import pytest

from fixedpoint_nn import calibrate, quantize, zoo
from fixedpoint_nn.cli import main
from fixedpoint_nn.cli.arguments import LSTM_WORD, OTHER_WORD
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.pipeline import lower


def lowered(name: str, word: int) -> None:
    net, samples = zoo.load(name), zoo.samples(name, 20, "train")
    plan = calibrate(net, samples, word=word)
    form = plan.format("input")
    assert form is not None
    lower(quantize(net, plan).net, samples.shape[1:], form)


def test_the_longest_word_of_an_lstm_is_taken_and_the_next_one_is_refused() -> None:
    lowered("names_lstm", LSTM_WORD)
    with pytest.raises(LoweringError, match="needs words of 32 bits"):
        lowered("names_lstm", LSTM_WORD + 1)


@pytest.mark.parametrize("name", ["moons", "nplm"])
def test_other_networks_take_longer_words(name: str) -> None:
    lowered(name, OTHER_WORD)


@pytest.mark.parametrize("command", ["emit", "import"])
def test_the_help_of_word_says_which_lengths_the_engine_takes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert f"of which the engine takes up to {LSTM_WORD} with an LSTM and up to {OTHER_WORD} in the" in told
