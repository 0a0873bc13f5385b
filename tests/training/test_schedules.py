# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from fixedpoint_nn.training.schedules import SCHEDULES, constant, cosine, linear, steps, warmup


def test_constant_stays_one() -> None:
    assert [constant()(done) for done in (0, 0.5, 1)] == [1, 1, 1]


def test_linear_goes_straight_to_its_end() -> None:
    assert [linear(0.2)(done) for done in (0, 0.5, 1)] == pytest.approx([1, 0.6, 0.2])


def test_cosine_is_flat_at_both_ends_and_halfway_in_the_middle() -> None:
    schedule = cosine(0.1)
    assert [schedule(done) for done in (0, 0.5, 1)] == pytest.approx([1, 0.55, 0.1])
    assert schedule(0.01) > 0.999
    assert schedule(0.99) < 0.101


def test_steps_fall_at_their_places() -> None:
    schedule = steps((0.5, 0.75), 0.1)
    assert [schedule(done) for done in (0.49, 0.5, 0.74, 0.75, 1)] == pytest.approx([1, 0.1, 0.1, 0.01, 0.01])


def test_warm_up_rises_then_hands_over() -> None:
    schedule = warmup(0.2, linear(0.0))
    assert [schedule(done) for done in (0, 0.1, 0.2, 0.6, 1)] == pytest.approx([0, 0.5, 1, 0.5, 0])


@pytest.mark.parametrize("share", [0.0, 1.0, 2.0])
def test_a_warm_up_of_nothing_or_everything_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=f"a warm-up of {share} of the training is not between 0 and 1"):
        warmup(share, constant())


def test_every_named_schedule_starts_or_ends_where_its_name_says() -> None:
    ends = {name: (make()(0.0), round(make()(1.0), 9)) for name, make in SCHEDULES.items()}
    assert ends == {
        "constant": (1, 1), "linear": (1, 0), "cosine": (1, 0), "steps": (1, 0.01), "warmup": (0, 0),
    }  # fmt: skip
