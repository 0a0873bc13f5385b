# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from fixedpoint_nn.training.methods import METHODS, JoinedMethods, LearnedSteps, Stage, joined
from fixedpoint_nn.training.methods.progressive import ProgressiveBits


def test_a_name_gives_its_method_and_several_are_joined() -> None:
    assert joined("lsq") == LearnedSteps()
    both = joined("stochastic + lsq")
    assert isinstance(both, JoinedMethods)
    assert both.methods == (METHODS["lsq"], METHODS["stochastic"])
    assert joined(LearnedSteps(weights=False)).weights is False  # type: ignore[attr-defined]


def test_an_unknown_method_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="'lsqq' is not known; did you mean 'lsq'\\?"):
        joined("lsqq")
    with pytest.raises(ValueError, match="use one of straight-through, lsq, pact"):
        joined("magic")
    with pytest.raises(TypeError, match="a method is a name or a Method, not 3"):
        joined(3)  # type: ignore[arg-type]


def test_progressive_stages_add_up_and_end_with_the_plan() -> None:
    for epochs in range(1, 30):
        stages = ProgressiveBits().stages(epochs)
        assert sum(stage.epochs for stage in stages) == epochs
        assert all(stage.epochs > 0 for stage in stages)
        assert stages[-1].extra == 0
    assert ProgressiveBits().stages(12) == (Stage(2, 4), Stage(2, 2), Stage(2, 1), Stage(6, 0))
