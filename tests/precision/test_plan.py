# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fixedpoint_nn import Q, Quantizer
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer
from fixedpoint_nn.precision import Plan, PlanError

PLAN = Plan(
    {
        "input": Quantizer(Q(2, 6)),
        "fc.weight": ChannelQuantizer(Quantizer(Q(1, 7)), (0, -2, -1)),
        "fc.accumulator": Accumulator(Q(4, 20), Overflow.SATURATE, Quantizer(Q(2, 10))),
        "fc.out": None,
    }
)


def test_each_entry_is_one_line_of_json_that_a_person_can_edit() -> None:
    assert PLAN.to_json() == (
        "{\n"
        '  "input": "ap_fixed<8,2,AP_RND_CONV,AP_SAT>",\n'
        '  "fc.weight": {"quantizer": "ap_fixed<8,1,AP_RND_CONV,AP_SAT>", "channel_frac_bits": [7, 9, 8]},\n'
        '  "fc.accumulator": {"accumulator": "ap_fixed<24,4,AP_RND_CONV,AP_SAT>", '
        '"product": "ap_fixed<12,2,AP_RND_CONV,AP_SAT>"},\n'
        '  "fc.out": null\n'
        "}\n"
    )


def test_a_plan_comes_back_from_json_and_from_a_file(tmp_path: Path) -> None:
    assert Plan.from_json(PLAN.to_json()) == PLAN
    PLAN.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == PLAN
    assert hash(Plan.load(tmp_path / "plan.json")) == hash(PLAN)


def test_each_entry_carries_its_path_as_the_name_that_ledgers_show() -> None:
    assert [entry.name for entry in PLAN.values() if entry is not None] == [
        "input",
        "fc.weight",
        "fc.accumulator",
    ]


def test_a_changed_plan_leaves_the_old_one_alone() -> None:
    other = PLAN.changed({"fc.out": Quantizer(Q(4, 4))})
    assert PLAN["fc.out"] is None
    assert other.format("fc.out") == Q(4, 4)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[1]", "a plan is a JSON object of paths and quantizers, not a list of 1"),
        (
            "{",
            "the plan is not JSON: "
            "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        ('{"a": null, "a": null}', "the plan has 'a' twice; keep one of them"),
        (
            '{"a": 8}',
            "'a' of the plan is 8; write a quantizer such as \"ap_fixed<8,2,AP_RND_CONV,AP_SAT>\", "
            "or null to keep every bit",
        ),
        (
            '{"a": "8 bits"}',
            "'a' of the plan is impossible: '8 bits' is not a quantizer; "
            "write it like 'ap_fixed<16,4,AP_RND_CONV,AP_SAT>' or 'Q4.12'",
        ),
        (
            '{"a": "ap_fixed<99,4>"}',
            "'a' of the plan is impossible: a format has 1 to 63 bits, but Q(4, 95) would have 99",
        ),
        (
            '{"a": {"quantizer": "Q1.7", "channel_frac_bits": 7}}',
            "'a' of the plan is impossible: channel_frac_bits is a list of integers, not 7",
        ),
    ],
)
def test_what_is_no_plan_is_answered_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(PlanError, match=f"^{re.escape(sentence)}$"):
        Plan.from_json(text)


def test_a_file_that_is_no_plan_is_named(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    with pytest.raises(FileNotFoundError, match=f"^there is no plan {re.escape(str(path))}$"):
        Plan.load(path)
    path.write_text(json.dumps([]))
    sentence = f"{path}: a plan is a JSON object of paths and quantizers, not []"
    with pytest.raises(PlanError, match=f"^{re.escape(sentence)}$"):
        Plan.load(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlanError, match=r"is not a text file, so it is not a plan$"):
        Plan.load(path)
    path.write_text("[" * 100_000)
    with pytest.raises(PlanError, match=r"the plan is not JSON that can be read: it is nested too deeply$"):
        Plan.load(path)
