# SPDX-License-Identifier: MIT
"""A traced network has the shapes, the formats and the values of the bit-accurate one."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.traced import Program, Traced, trace
from fixedpoint_nn.numerics.qformat import Q, QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from tests.support.battery import CASES, quantized_case


@pytest.mark.parametrize("name", CASES)
def test_every_layer_traces_to_its_own_shapes_formats_and_values(name):
    *_, net, format = quantized_case(name)
    case = CASES[name]
    x = FixedArray.from_float(case.floats(), Quantizer(format))
    real = net(x)
    program = trace(net, case.shape, format)
    node = program.nodes[program.outputs[0]]
    assert (node.shape[1:], node.format) == (real.shape[1:], real.format)
    seen = {}
    (replayed,) = program(x, watch=lambda path, value: seen.setdefault(path, value))
    assert np.array_equal(replayed.ints, real.ints)
    assert replayed.format == real.format
    for path, value in seen.items():
        inner = program
        for place in path[:-1:2]:
            inner = inner.nodes[place].body
        node = inner.nodes[path[-1]]
        assert (node.shape[1:], node.format) == (value.shape[1:], value.format), (name, path, node.op)


def test_constants_on_the_left_defer_to_the_traced_value():
    program = Program()
    x = Traced.argument(program, (1, 3), Q(3, 4))
    weight = FixedArray.from_ints(np.ones((2, 1), np.int64), Q(2, 0))
    for result in (weight + x, weight * x, weight - x, weight @ x, 1 - x, 2 * x):
        assert isinstance(result, Traced)
    assert (1 - x).format == (1 - FixedArray.from_ints(np.zeros((1, 3), np.int64), Q(3, 4))).format


def test_a_constant_is_recorded_once():
    program = Program()
    x = Traced.argument(program, (1, 2), Q(3, 4))
    one = FixedArray.from_ints(np.ones(2, np.int64), Q(2, 0))
    _ = (x + one) * one
    assert sum(node.op == "constant" for node in program.nodes) == 1


def test_the_body_of_a_loop_is_recorded_once_whatever_its_length():
    *_, net, format = quantized_case("LSTM, last step")
    lengths = {len(trace(net, (steps, 3), format).nodes) for steps in (1, 5, 50)}
    assert len(lengths) == 1


def test_a_state_that_changes_its_format_is_refused():
    x = Traced.argument(Program(), (1, 4, 2), Q(3, 4))
    with pytest.raises(
        ValueError, match=r"state 0 of the loop is \(1, 2\) Q\(3, 4\) before a step and \(1, 2\) Q\(4, 4\)"
    ):
        x.scan(lambda now, state: (now, now + state), x[:, 0])


def test_a_value_from_outside_of_a_loop_is_refused_inside():
    x = Traced.argument(Program(), (1, 4, 2), Q(3, 4))
    with pytest.raises(ValueError, match="pass it as a state of `scan`"):
        x.scan(lambda now, state: (now + x[:, 0], state), x[:, 0])


def test_floats_are_refused():
    x = Traced.argument(Program(), (1, 2), Q(3, 4))
    with pytest.raises(TypeError, match="a traced network holds FixedArrays, not float; quantize it first"):
        _ = x + 0.5


def test_a_program_prints_one_line_per_operation():
    text = str(trace(lambda x: (x + 1).cast(Quantizer(QFormat(2, 2), name="here")), (2,), Q(3, 4)))
    assert text.splitlines()[-1].startswith("return %")
    assert "# here" in text
    assert "add(%0, %1): (1, 2)" in text


def test_a_loop_is_replayed_and_printed_with_its_body() -> None:
    def net(x):  # type: ignore[no-untyped-def]
        def step(now, state):  # type: ignore[no-untyped-def]
            new = (now + state).cast(Quantizer(Q(4, 2)))
            return new + now, new

        ys, last = x.scan(step, x.zeros(3, like=Quantizer(Q(4, 2))))
        return ys, last

    program = Program()
    x = Traced.argument(program, (1, 4, 3), Q(4, 2))
    program.outputs = [value.place for value in net(x)]
    ints = np.random.default_rng(0).integers(-32, 32, (2, 4, 3))
    numbers = FixedArray.from_ints(ints, Q(4, 2))
    seen = {}
    for watch in (None, lambda path, value: seen.setdefault(path, value)):
        for got, expected in zip(program(numbers, watch=watch), net(numbers), strict=True):
            assert got.format == expected.format
            assert np.array_equal(got.ints, expected.ints)
    (scan,) = (place for place, node in enumerate(program.nodes) if node.op == "scan")
    assert {path[1] for path in seen if len(path) > 1} == {0, 1, 2, 3}
    assert {path[0] for path in seen if len(path) > 1} == {scan}
    assert scan not in {path[0] for path in seen if len(path) == 1}
    body = program.nodes[scan].body
    assert body is not None
    lines = str(program).splitlines()
    inner = [line for line in lines if line.startswith("    ")]
    assert [line.removeprefix("    ") for line in inner] == str(body).splitlines()
    assert lines[lines.index(inner[0]) - 1].startswith(f"%{scan} = scan(")
    assert lines[-1] == "return " + ", ".join(f"%{place}" for place in program.outputs)
    assert "=None" not in str(program)
    assert "quantizer=ap_fixed<6,4,AP_RND_CONV,AP_SAT>" in str(program)
    assert repr(x) == "Traced(%0, (1, 4, 3), Q(4, 2))"
    assert (len(x), x.ndim) == (1, 3)
    assert x.reshape(-1, 12).shape == (1, 12)
    assert x.reshape(1, 2, -1).shape == (1, 2, 6)


def test_verbs_that_only_choose_are_recorded_and_the_batch_stays_first() -> None:
    program = Program()
    x = Traced.argument(program, (1, 4, 3), Q(4, 2))
    table = FixedArray.from_ints(np.arange(10).reshape(5, 2), Q(5, 0))
    ids = Traced.argument(program, (1, 2), QFormat(2, 0, False))
    for value, op, shape in (
        (x.argmax(), "argmax", (1, 4)),
        (x.argmax(1), "argmax", (1, 3)),
        (ids.taken_from(table), "take", (1, 2, 2)),
        (x.take(ids, 1), "take", (1, 1, 2, 3)),
        (x.reshape(1, -1), "reshape", (1, 12)),
        (x.max(), "max", ()),
        (x.sum(), "sum", ()),
    ):
        node = program.nodes[value.place]
        assert (node.op, node.shape) == (op, shape)
    assert [part.shape for part in x.split(2, 1)] == [(1, 2, 3)] * 2
    with pytest.raises(ValueError) as moved:
        x.T  # noqa: B018
    assert str(moved.value) == "the axes (2, 1, 0) move the batch; it stays first"
    with pytest.raises(TypeError) as taken:
        x.take(np.array([1, 0]), 1)
    assert str(taken.value) == (
        "rows are taken by a value of the network, not by a ndarray of indices; use slices"
    )
