# SPDX-License-Identifier: MIT
"""The name of the part of a network that is running."""

from __future__ import annotations

import pytest

from fixedpoint_nn.numbers.places import here, inside


def test_parts_inside_of_parts_are_named_by_their_path() -> None:
    assert here() == ""
    with inside("encoder"):
        assert here() == "encoder"
        with inside("conv1"):
            assert here() == "encoder.conv1"
        assert here() == "encoder"
    assert here() == ""


def test_a_part_that_fails_is_left_too() -> None:
    with pytest.raises(ValueError, match="no"), inside("encoder"):
        raise ValueError("no")
    assert here() == ""
