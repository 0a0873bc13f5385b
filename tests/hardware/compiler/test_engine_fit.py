# SPDX-License-Identifier: MIT
"""A network that an engine is too small for is refused: the layer that needs the most, and what would fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.engine_fit import WORDS, fitted
from fixedpoint_nn.hardware.compiler.kernel import Kernel, Target
from fixedpoint_nn.hardware.compiler.strided_view import Buffer
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.numerics.qformat import UQ, Q
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.table import Table
from tests.support.kernels import WORD, kernel, row

ENGINE = EngineConfig(multiplier_width=8)


def layer(name: str, words: int = 4, **more: Any) -> Kernel:
    return kernel(row(Buffer("x", 8), 4), Target(Buffer(name, words), 0, 4), name=name, **more)


def parameters(*rows: tuple[int, int, int]) -> np.ndarray:
    return np.array(rows, np.int64)


def table(frac: int) -> Table:
    return Table("tanh", Q(4, frac), Quantizer(WORD))


def of(format: Any) -> Quantizer:
    return Quantizer(format)


# For each memory and width, what makes a layer need more of it than another layer does.
NEEDS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("activation_depth", {"words": 16}, {"words": 12}),
    ("weight_depth", {"weights": np.ones((2, 4), int)}, {"weights": np.ones((1, 4), int) * 9}),
    ("weight_depth", {"weights": np.ones((1, 4), int)}, {"weights": None}),
    ("parameter_depth", {"parameters": parameters((0, 0, 1), (0, 0, 1))}, {"parameters": parameters((9, 9, 9))}),
    ("table_depth", {"table": table(2)}, {"table": table(1)}),
    ("table_depth", {"table": table(-3)}, {"table": None}),
    ("activation_width", {"quantizer": of(Q(4, 5))}, {"quantizer": of(Q(4, 4))}),
    ("activation_width", {"quantizer": of(UQ(4, 4))}, {"quantizer": of(Q(4, 4))}),
    ("weight_width", {"weights": np.array([[1, -9, 2, 3]])}, {"weights": np.array([[8, 1, 8, 8]])}),
    ("weight_width", {"weights": np.array([[1, 0, 0, 0]])}, {"weights": None}),
    ("bias_width", {"parameters": parameters((0, -9, 1))}, {"parameters": parameters((10, 8, 10))}),
    ("multiplier_width", {"parameters": parameters((0, 1, -9))}, {"parameters": parameters((10, 10, 8))}),
    ("accumulator_width", {"bound": (-9, 0)}, {"bound": (-8, 8)}),
    ("accumulator_width", {"bound": (-1, 9)}, {"bound": (-8, 2)}),
]  # fmt: skip


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(("name", "much", "less"), NEEDS)
def test_the_layer_that_needs_the_most_is_named(
    name: str, much: dict[str, Any], less: dict[str, Any], first: bool
) -> None:
    kernels = [layer("fc1", **(much if first else less)), layer("fc2", **(less if first else much))]
    there, more = getattr(ENGINE, name), 8 if name == "activation_depth" else 1
    needed = replace(ENGINE, **{name: there + more})
    with pytest.raises(LoweringError) as caught:
        fitted(needed, ENGINE, kernels)
    remedy = ", or a layer with fewer channels"
    if name in ("activation_width", "weight_width", "bias_width", "accumulator_width"):
        remedy = ", or a plan with narrower formats"
    if name == "table_depth":
        remedy = ", or a table with fewer input bits"
    assert str(caught.value) == (
        f"Layer {'fc1' if first else 'fc2'!r} does not fit the engine: the network needs {there + more} "
        f"{WORDS[name]} and there are {there}; an engine with {name}={there + more} would fit{remedy}."
    )


def test_a_program_that_is_too_long_is_the_first_layers() -> None:
    needed = replace(ENGINE, program_depth=ENGINE.program_depth + 1)
    kernels = [layer("fc1"), layer("fc2", words=99, bound=(-(1 << 20), 1 << 20))]
    with pytest.raises(
        LoweringError, match="Layer 'fc1' does not fit the engine: the network needs 1025 program"
    ):
        fitted(needed, ENGINE, kernels)


def test_an_engine_that_is_just_large_enough_gets_the_networks_modelled_accumulator_alone() -> None:
    modelled = {"model_width": 20, "model_saturate": 1, "product_bits": 9, "product_shift": 2}
    needed = replace(ENGINE, weight_depth=7, program_depth=9, **modelled)
    assert fitted(needed, replace(ENGINE, weight_depth=7, program_depth=9), []) == needed
    assert fitted(needed, ENGINE, []) == replace(ENGINE, **modelled)
    assert fitted(ENGINE, replace(ENGINE, **modelled), []) == ENGINE, "and one that it had is gone"
