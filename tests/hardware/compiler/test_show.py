# SPDX-License-Identifier: MIT
"""What is printed after a pass is what there is, with the layers' names."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.cli import main
from fixedpoint_nn.hardware import LoweringError, Refusal
from fixedpoint_nn.hardware.compiler import pipeline
from fixedpoint_nn.hardware.compiler.allocation import Allocation
from fixedpoint_nn.hardware.compiler.expression import Dot, Expression, Multiplier, Product, Scale
from fixedpoint_nn.hardware.compiler.ir import (
    Advance,
    Compute,
    Declare,
    Item,
    JumpIfEqual,
    Label,
    LoadRegister,
    LoopItem,
    Repeat,
    SetRegister,
    StoreArgmax,
    WriteBack,
)
from fixedpoint_nn.hardware.compiler.kernel import Placement, Target
from fixedpoint_nn.hardware.compiler.pipeline import CompiledNetwork, lower
from fixedpoint_nn.hardware.compiler.show import PASSES, Names, _allocated, _encoded
from fixedpoint_nn.hardware.compiler.strided_view import ALL_PADDING, ZERO_REGISTER, Atom, Buffer, Register
from fixedpoint_nn.hardware.isa.instructions import Halt, Increment
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.table import Table
from tests.support.battery import IMAGE, quantized_case
from tests.support.kernels import WORD, kernel, row
from tests.support.random_networks import random_network


@pytest.fixture(scope="module")
def compiled() -> CompiledNetwork:
    case = random_network("text", 2)
    return lower(case.fixed.net, case.batch.shape[1:], case.fixed.input.format, case.lanes)


@pytest.mark.parametrize("name", PASSES)
def test_every_pass_is_shown_with_its_layers(name: str, compiled: CompiledNetwork) -> None:
    text = compiled.stages.show(name)
    assert text.startswith(f"; after {name}: {PASSES[name]}\n")
    layers = {kernel.name for kernel in compiled.kernels} - {""}
    shown = {layer for layer in layers if layer in text}
    assert shown == layers or (name == "trace" and shown)


def test_what_is_shown_after_encoding_is_the_program(compiled: CompiledNetwork) -> None:
    lines = [
        line for line in compiled.stages.show("encode").splitlines() if not line.lstrip().startswith(";")
    ]
    assert [line.split(maxsplit=1)[1] for line in lines] == [str(i) for i in compiled.instructions]
    assert [int(line.split()[0]) for line in lines][-1] == len(compiled.images.program) - 1


def test_groups_and_streamed_weights_are_shown_from_their_pass_on() -> None:
    *_, net, format = quantized_case("Conv2D same")
    stages = lower(net, IMAGE, format, 8, words=4, window=64).stages
    for name, groups, streamed in (("flatten", False, False), ("group", True, False), ("stream", True, True)):
        text = stages.show(name)
        assert ("groups of lanes" in text.partition("\n")[2]) is groups
        assert ("streamed weights" in text) is streamed
    assert "streamed weights" in stages.show("barriers")


def test_an_unknown_pass_is_one_sentence(compiled: CompiledNetwork) -> None:
    with pytest.raises(LoweringError) as caught:
        compiled.stages.show("choose")
    assert str(caught.value) == (
        "There is no pass 'choose'; the passes are trace, lower, legalise, select, flatten, group, stream, "
        "barriers, allocate, encode."
    )
    assert Refusal is LoweringError


def test_the_command_shows_a_pass_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emit", "moons", "--word", "8", "--show", "barriers"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "; after barriers: which kernels wait for earlier results"
    assert "wait run act2.out: sum of 16 x 16 channels" in out
    assert main(["emit", "moons", "--word", "8"]) == 2
    assert "emit takes either --out, the folder of the pack, or --show" in capsys.readouterr().err


def test_every_buffer_has_a_name_of_its_own_and_an_initial_state_the_name_of_its_state() -> None:
    *_, net, format = quantized_case("LSTM, last step")
    stages = lower(net, (5, 3), format).stages
    for name in ("lower", "legalise", "select", "allocate"):
        declared = re.findall(r"^ *(?:buffer|\d+ ) (\S+), \d+ words", stages.show(name), re.MULTILINE)
        assert len(set(declared)) == len(declared) > 1
    initial = [line for line in stages.show("lower").splitlines() if " (initial)" in line]
    assert len(initial) == 2
    assert all("= nothing + bias" in line for line in initial)


def test_the_example_of_the_compilers_readme_is_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(pipeline.__file__).parent / "README.md").read_text()
    command, *lines = re.findall(r"^    (.*)$", text, re.MULTILINE)
    assert main(command.removeprefix("$ fixedpoint-nn ").split()) == 0
    assert capsys.readouterr().out.splitlines() == lines


X, Y, MOVING, COUNTER = Buffer("x", 8), Buffer("", 16), Register(8), Register()
PART = Buffer("part", 4, X, 2, MOVING)
BEGIN = Label("begin")
TANH = Table("tanh", WORD, Quantizer(WORD))


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (WriteBack("h", "", row(X, 4, 1), row(Y, 4, 2), False), "write back h: buffer+2 = x+1"),
        (Declare(X), "buffer x, 8 words"),
        (Declare(Y), "buffer buffer, 16 words"),
        (Declare(MOVING), "register r1"),
        (SetRegister(MOVING, 5), "set r1 = 5"),
        (Advance(MOVING), "advance r1 by 8"),
        (Repeat(COUNTER, BEGIN), "repeat from begin while r1 counts"),
        (LoadRegister(MOVING, row(PART, 1, 3), 2), "load r1 = x[2]@r1+3 << 2"),
        (StoreArgmax(row(X, 1, 3), ()), "store the largest word's index at x+3"),
        (JumpIfEqual(MOVING, 4, BEGIN), "jump to begin if r1 == 4"),
        (JumpIfEqual(ZERO_REGISTER, 0, BEGIN), "jump to begin"),
    ],
)
def test_an_item_is_shown_in_words(item: Item, text: str) -> None:
    assert Names().item(item) == text


def test_things_of_one_name_are_numbered_from_the_second_on() -> None:
    names = Names()
    assert [names.of(thing) for thing in (X, Buffer("x", 4), X, Buffer("x", 4), MOVING, COUNTER, BEGIN)] == [
        "x", "x#2", "x", "x#3", "r1", "r2", "begin",
    ]  # fmt: skip
    assert names.of(ZERO_REGISTER) == "zero"


ONES, TWOS = np.ones((1, 4), np.int64), np.full((1, 4), 2)
DOT = Dot(row(X, 3, 1), np.ones((3, 4), np.int64), 4)
CAST = Quantizer(WORD)


def computed(*terms: Any, parts: Any = None, item: Any = None, **more: Any) -> str:
    expression = Expression((1, 2, 4), WORD, parts or (terms,), **more)
    given = {
        "name": "fc",
        "layer": "",
        "path": (),
        "expression": expression,
        "target": Target(Y, 7, 4),
        **(item or {}),
    }
    return Names().item(Compute(**given))


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("compute fc[2, 4] = x+1 @ weights[3, 4] -> buffer+7", computed(DOT)),
        ("compute a copy[2, 4] = x+0 -> buffer+7", computed(Scale(row(X, 4), ONES, 4), item={"name": ""})),
        ("compute fc[2, 4] = x+0 * constants -> buffer+7", computed(Scale(row(X, 4), TWOS, 4))),
        ("compute fc[2, 4] = x+0 * x+4 -> buffer+7", computed(Product(row(X, 4), row(X, 4, 4), 8))),
        (
            "compute fc[2, 4] = sum of 6 from x+0 -> buffer+7",
            computed(Scale(row(X, 4), ONES, 4, (Atom(2, 8), Atom(3, 4)))),
        ),
        (
            "compute fc[2, 4] = largest of 2 from x+0 -> buffer+7",
            computed(Scale(row(X, 4), ONES, 4, (Atom(2, 8),), True)),
        ),
        (
            "compute fc[2, 4] = nothing + bias -> buffer+7",
            computed(Scale(replace(row(X, 4), window=ALL_PADDING), ONES, 4), bias=np.ones(4, np.int64)),
        ),
        (
            "compute fc[2, 4] = x+1 @ weights[3, 4] + x+1 @ weights[3, 4] | x+0 -> buffer+7",
            computed(parts=((DOT, DOT), (Scale(row(X, 4), ONES, 4),))),
        ),
        (
            "compute out[2, 4] = x+1 @ weights[3, 4], a multiplier for each channel, ReLU, leaky ReLU with a slope of "
            "2**-3, ap_fixed<8,4,AP_RND_CONV,AP_SAT>, ReLU, table tanh, search "
            "-> nowhere",
            computed(
                DOT, multiplier=Multiplier(4, ONES, ONES), relu_before=True, leak=3, relu_after=True, table=TANH,
                quantizer=Quantizer(WORD, name="out"), item={"search": True, "write": False},
            ),
        ),
        ("compute fc[2, 4] = x+1 @ weights[3, 4], table tanh -> buffer+7", computed(DOT, item={"noise": TANH})),
    ],
    ids=lambda _: "",  # not what is shown: a test keeps its name when that changes
)  # fmt: skip
def test_a_computation_is_shown_as_its_formula(text: str, made: str) -> None:
    assert made == text


def ran(**more: Any) -> str:
    return Names().item(kernel(row(X, 4, 1), Target(Y, 7, 4), name="fc", **more))


def test_a_run_is_shown_with_what_it_reads_and_writes() -> None:
    cast = "ap_fixed<8,4,AP_RND_CONV,AP_SAT>"
    assert ran() == f"run fc: sum of 1 x 4 channels, reads x+1, writes buffer+7, {cast}"
    taps = {"taps": [Atom(3, 8), Atom(2, 1)], "pixels": [Atom(5, 4), Atom(2, 1)]}
    assert ran(**taps) == (
        f"run fc: sum of 6 x 4 channels, 10 pixels, reads x+1 by 3*8/2*1, writes buffer+7, {cast}"
    )
    assert "2 pixels, " in ran(pixels=[Atom(2, 4)])
    assert "pixels" not in ran(pixels=[Atom(1, 4)])
    two = [row(X, 4), row(X, 4, 4)]
    assert ran(operands=two, maximum=True) == (
        f"run fc: largest of 2 x 4 channels, reads x+0 and x+4, writes buffer+7, {cast}"
    )
    assert ran(factors=two[1:]) == (
        f"run fc: products of 1 x 4 channels, reads x+1 and x+4, writes buffer+7, {cast}"
    )
    factors = np.array([[0, 0, 1], [0, 0, -100]])
    assert ran(parameters=factors, twice=True, argmax=True, write=False, table=TANH) == (
        "run fc: sum of 1 x 4 channels, reads x+1, writes nowhere, multipliers of 8 bits, rounded twice, "
        f"{cast}, table tanh, search"
    )
    assert ", multipliers of 8 bits, ap_fixed" in ran(parameters=factors)


def test_loops_are_indented_and_barriers_stand_in_front() -> None:
    a, b = (kernel(row(X, 4), Target(Y, 0, 4), name=name, barrier=name == "b") for name in "ab")
    items = [Declare(X), BEGIN, a, b, LoopItem(COUNTER, 3, (MOVING,), (Advance(MOVING), b))]
    plain = list(Names().items(items))
    assert plain[:2] == ["buffer x, 8 words", "begin:"]
    assert [line[:10] for line in plain[2:4]] == ["run a: sum", "run b: sum"]
    assert plain[4:6] == ["loop 3 times, counted by r2, r1 by 8", "    advance r1 by 8"]
    assert plain[6].startswith("    run b: sum")
    shown = list(Names().items(items, barriers=True))
    assert shown[0] == "begin:"
    assert [line[:10] for line in shown[1:3]] == ["    run a:", "wait run b"]
    assert shown[4:] == ["        advance r1 by 8", f"    {shown[2]}"]


def test_memory_is_shown_from_the_lowest_address_on() -> None:
    one, two = (kernel(row(X, 4), Target(Y, 0, 4), name=name) for name in ("one", ""))
    constant = Buffer("constant", 4, constants=(1,))
    at = Placement({X: 8, Y: 8, constant: 0}, {one: 5}, {one: 1, two: 2}, {two: 16}, {MOVING: 2, COUNTER: 1})
    made = Allocation(
        at, np.zeros((6, 4), np.int64), np.zeros((3, 3), np.int64), np.zeros(32, np.int64), ONES, 40
    )
    assert list(_allocated(Names(), [Declare(X), one, two], made)) == [
        "40 words of activations; 6 rows of weights, ",
        "3 parameter words, 32 table words",
        "register 1: r1",
        "register 2: r2",
        "     0  constant, 4 words, constant",
        "     8  buffer, 16 words",
        "     8  x, 8 words",
        "        one: weights from row 5, parameters from 1",
        "        a copy: parameters from 2, table from 16",
    ]


def test_instructions_are_shown_at_their_addresses_under_their_runs() -> None:
    made = kernel(row(X, 4), Target(Y, 0, 4))
    add = Increment(1, 5)
    code = [made.run(Placement({X: 0, Y: 8}, {}, {made: 0}, {}, {})), add, Halt()]
    items: list[Any] = [Declare(X), made, Advance(MOVING)]
    words = code[0].words
    assert list(_encoded(items, code, [0, 0, words])) == [
        "        ; a copy", f"     0  {code[0]}", f"{words:6d}  {add}", f"{words + add.words:6d}  {Halt()}",
    ]  # fmt: skip


def test_what_is_no_item_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^int is no item of a program$"):
        Names().item(3)  # type: ignore[arg-type]
