# SPDX-License-Identifier: MIT
"""The smallest engine holds every word, weight, bias and sum of a program, and is not a bit larger."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.engine_sizing import smallest_engine
from fixedpoint_nn.hardware.compiler.kernel import Kernel, Target
from fixedpoint_nn.hardware.compiler.strided_view import Buffer
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import OVERFLOWS, ROUNDINGS
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding
from fixedpoint_nn.numerics.table import Table
from tests.support.kernels import kernel, row


def layer(name: str = "fc1", **more: Any) -> Kernel:
    plain: dict[str, Any] = {
        "quantizer": Quantizer(Q(1, 1)),
        "bound": (-1, 1),
        "weights": np.ones((1, 4), int),
    }
    return kernel(row(Buffer("x", 8), 4), Target(Buffer("y", 4), 0, 4), name=name, **plain | more)


def images(
    weights: Any = ((1, -2),),
    parameters: Any = ((0, 0),),
    tables: Any = (),
    activations: Any = (),
    program: int = 0,
) -> Images:
    made = (np.array(x, np.int64) for x in (weights, parameters, tables, activations))
    return Images([0] * program, *made)


def sized(
    *kernels: Kernel,
    of: Images | None = None,
    source: QFormat = Q(1, 1),
    depth: int = 0,
    lanes: int = 4,
    drain: int = 1,
) -> EngineConfig:
    return smallest_engine(lanes, drain, of or images(), kernels, source, depth)


def test_a_tiny_program_has_the_smallest_engine_that_there_is() -> None:
    assert sized(layer()) == EngineConfig(
        lanes=4, activation_width=2, weight_width=2, accumulator_width=8, bias_width=2, activation_depth=8,
        weight_depth=2, parameter_depth=2, table_depth=2, program_depth=2,
    )  # fmt: skip
    assert sized() == sized(layer())


@pytest.mark.parametrize(
    ("what", "width"),
    [
        ({"source": Q(4, 5)}, 9),
        ({"source": UQ(4, 5)}, 10),
        ({"of": images(activations=[0, 255])}, 9),
        ({"of": images(activations=[-256])}, 9),
        ({"of": images(activations=[-257])}, 10),
        ({"kernel": {"quantizer": Quantizer(Q(3, 4))}}, 7),
        ({"kernel": {"quantizer": Quantizer(UQ(3, 4))}}, 8),
        (
            {
                "kernel": {
                    "quantizer": Quantizer(Q(2, 4)),
                    "table": Table("tanh", Q(2, 4), Quantizer(Q(1, 9))),
                }
            },
            10,
        ),
        (
            {
                "kernel": {
                    "quantizer": Quantizer(Q(2, 6)),
                    "table": Table("tanh", Q(2, 6), Quantizer(Q(1, 1))),
                }
            },
            8,
        ),
    ],
)
def test_words_hold_the_input_every_result_every_address_of_a_table_and_all_constants(
    what: dict[str, Any], width: int
) -> None:
    made = layer(**what.pop("kernel", {}))
    assert sized(made, **what).activation_width == width


@pytest.mark.parametrize(
    ("given", "name", "expected"),
    [
        (images(weights=[[127, -128]]), "weight_width", 8),
        (images(weights=[[128, 0]]), "weight_width", 9),
        (images(parameters=[[50, -4]]), "bias_width", 3),
        (images(parameters=[[50, 4]]), "bias_width", 4),
        (images(parameters=[[50, 0]]), "multiplier_width", 0),
        (images(parameters=[[50, 0, 1]]), "multiplier_width", 2),
        (images(parameters=[[50, 0, 100]]), "multiplier_width", 8),
        (images(weights=[[1, 1]] * 5), "weight_depth", 5),
        (images(parameters=[[0, 0]] * 5), "parameter_depth", 5),
        (images(tables=[0] * 16), "table_depth", 16),
        (images(program=7), "program_depth", 7),
    ],
)
def test_widths_and_depths_are_those_of_the_images(given: Images, name: str, expected: int) -> None:
    assert getattr(sized(layer(), of=given), name) == expected


def test_parameters_stand_in_rows_of_what_drains_at_once() -> None:
    many = images(parameters=[[0, 0]] * 9)
    assert [sized(layer(), of=many, drain=drain).parameter_depth for drain in (1, 2, 4)] == [9, 5, 3]


def test_the_memory_has_two_rows_at_least() -> None:
    assert sized(depth=12).activation_depth == 12
    assert sized(depth=4).activation_depth == 8
    assert sized(lanes=8).activation_depth == 16


@pytest.mark.parametrize(
    ("bound", "width"),
    [((-128, 127), 8), ((-129, 0), 9), ((0, 128), 9), ((-5, 1 << 20), 22), ((7, 1 << 20), 22)],
)
def test_the_accumulator_holds_the_bound_of_every_sum(bound: tuple[int, int], width: int) -> None:
    assert sized(layer(), layer(bound=bound)).accumulator_width == width


def test_the_accumulator_holds_one_product_of_words_and_one_with_a_weight() -> None:
    assert sized(layer(), source=Q(5, 5)).accumulator_width == 20
    assert sized(layer(), of=images(weights=[[1 << 13, 0]]), source=Q(5, 5)).accumulator_width == 25


def test_words_of_31_bits_are_the_widest_because_their_products_fill_a_sum() -> None:
    assert sized(layer(quantizer=Quantizer(Q(16, 15)))).activation_width == 31
    with pytest.raises(LoweringError) as caught:
        sized(layer("fc2", quantizer=Quantizer(Q(16, 16))))
    assert str(caught.value) == (
        "Layer 'fc2' does not fit the engine: its result Q(16, 16) needs words of 32 bits, and 31 is the most; "
        "cast it to 31 bits or fewer."
    )
    with pytest.raises(LoweringError) as caught:
        sized(layer("fc2", quantizer=Quantizer(Q(16, 17))))
    assert str(caught.value) == (
        "Layer 'fc2' does not fit the engine: its result Q(16, 17) needs words of 33 bits, and 31 is the most; "
        "cast it to 31 bits or fewer."
    )
    with pytest.raises(LoweringError) as caught:
        sized(layer("fc2", quantizer=Quantizer(UQ(16, 16))))
    assert str(caught.value) == (
        "Layer 'fc2' does not fit the engine: its result UQ(16, 16) needs words of 33 bits, and 31 is the most; "
        "cast it to 30 bits or fewer."
    )


def test_weights_of_32_bits_are_the_widest() -> None:
    assert sized(layer(weights=np.array([[(1 << 31) - 1, -(1 << 31)]])))
    with pytest.raises(LoweringError) as caught:
        sized(layer(weights=np.array([[1 << 32]])))
    assert str(caught.value) == (
        "Layer 'fc1' does not fit the engine: its weights, aligned, need 34 bits, and 32 is the most; give its "
        "operands fraction bits that differ by 2 less."
    )
    assert sized(layer(weights=None)), "products have none"


def test_a_sum_of_63_bits_is_the_widest_and_the_layer_with_the_widest_is_named() -> None:
    assert sized(layer(bound=(-(1 << 62), (1 << 62) - 1))).accumulator_width == 63
    with pytest.raises(LoweringError, match="need 64 bits, and 63 is the most; take 1 bit from its input"):
        sized(layer(bound=(-(1 << 63), 0)))
    with pytest.raises(LoweringError) as caught:
        sized(layer("fc1"), layer("fc2", bound=(-(1 << 64), 0)), layer("fc3", bound=(0, 5)))
    assert str(caught.value) == (
        "Layer 'fc2' does not fit the engine: its sums need 65 bits, and 63 is the most; take 2 bits from its input "
        "or its weights."
    )


def test_what_no_engine_is_is_refused_by_its_rule() -> None:
    with pytest.raises(
        LoweringError, match=r"^The network does not fit any engine: bias_width = 64 is no engine; "
    ):
        sized(layer(), of=images(parameters=[[0, 0], [0, (1 << 62)], [0, -(1 << 63)]]))


MODEL = Accumulator(Q(10, 10), Overflow.SATURATE)
PRODUCT = Quantizer(UQ(4, 6), Rounding.HALF_EVEN, Overflow.SATURATE)
QUANTISED = Accumulator(Q(10, 10), Overflow.WRAP, PRODUCT)


def test_a_modelled_accumulator_is_the_whole_engines() -> None:
    plain = sized(layer())
    one = layer("fc2", accumulator=MODEL, bound=(-(1 << 19), (1 << 19) - 1))
    found = sized(layer(), one, replace(one, name="fc3"))
    assert found == replace(plain, accumulator_width=20, model_width=20, model_saturate=1)
    for code, overflow in enumerate(Overflow):
        assert sized(replace(one, accumulator=replace(MODEL, overflow=overflow))).model_saturate == code
    other = layer("fc2", accumulator=QUANTISED, product_shift=3, bound=(-(1 << 19), (1 << 19) - 1))
    assert sized(other) == replace(
        plain, accumulator_width=20, model_width=20, model_saturate=0, product_bits=10, product_shift=3,
        product_signed=0, product_rounding=ROUNDINGS.index("HALF_EVEN"), product_overflow=OVERFLOWS.index("SATURATE"),
    )  # fmt: skip


@pytest.mark.parametrize(
    "second",
    [
        {"accumulator": replace(MODEL, overflow=Overflow.WRAP)},
        {"accumulator": replace(MODEL, format=Q(11, 10))},
        {"accumulator": replace(MODEL, product=Quantizer(Q(4, 10)))},
    ],
)
def test_two_modelled_accumulators_are_refused(second: dict[str, Any]) -> None:
    bound = (-(1 << 19), (1 << 19) - 1)
    first = layer("fc1", accumulator=MODEL, bound=bound)
    with pytest.raises(LoweringError) as caught:
        sized(first, replace(first, name="fc2"), layer("fc3", bound=bound, **second))
    assert str(caught.value) == (
        "Layer 'fc3' does not fit the engine: its modelled accumulator differs from that of 'fc1', and one engine has "
        "one; give both the same width, overflow and products."
    )
