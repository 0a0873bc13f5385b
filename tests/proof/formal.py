# SPDX-License-Identifier: MIT
"""Proofs for all inputs and all time: requantiser, loop nest, back end, control; and that they notice mistakes.

*Requantiser.* Its combinational form (registers made wires) equals the specification, for all inputs. The pipeline,
from any state and with any words before and after, shows four clocks later what its combinational form says of the
same word, as long as the settings stand still. So the pipeline equals the specification, for all time.

*Loop nest, back end.* The module and what it must do run side by side. Relations between their registers hold after a
reset; and if they hold in one clock, of any two states whatever, they hold in the next, and what is claimed of the
outputs holds too. So they hold always.

*Control.* ABC finds the invariants by itself (property directed reachability): the claims hold for every program, all
data and any length, because the memories may answer anything.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any

from tqdm import tqdm

from tests.proof.claims import Claim, Control, claims, controls
from tests.proof.solver import Answer, ask


def prove(claim: Claim) -> Answer:
    return ask(claim.netlist, claim.output, claim.script)


def refute(control: Control) -> Answer:
    """The same question about a module with a mistake."""
    return ask(control.claim.netlist, control.claim.output, control.claim.script, control.changed())


def report(workers: int) -> tuple[list[str], bool]:
    """A line for every claim and for every mistake, and whether all claims hold and all mistakes are noticed.

    Each is also said as soon as it is answered, so that a run that is stopped has not been for nothing.
    """
    questions: list[tuple[Claim | Control, Callable[[Any], Answer]]] = [(claim, prove) for claim in claims()]
    questions += [(control, refute) for control in controls()]
    with ThreadPoolExecutor(workers) as pool:
        answers = [pool.submit(answer, question) for question, answer in questions]
        asked = {future: question for future, (question, _) in zip(answers, questions, strict=True)}
        with tqdm(total=len(questions), desc="questions", unit="question") as bar:
            for future in as_completed(answers):
                bar.write(_line(asked[future], future), sys.stderr)
                bar.update()
    lines = [_line(question, future) for (question, _), future in zip(questions, answers, strict=True)]
    return lines, all(_is_right(question, future) for future, question in asked.items())


def _is_right(question: Claim | Control, future: Future[Answer]) -> bool:
    """Whether a claim holds, or a mistake is noticed."""
    return future.exception() is None and future.result().holds is isinstance(question, Claim)


def _line(question: Claim | Control, future: Future[Answer]) -> str:
    if error := future.exception():
        return f"{question.what}: {type(error).__name__}: {error}"
    answer = future.result()
    if isinstance(question, Claim):
        verdict = "proven" if answer.holds else "REFUTED"
        return f"{question.what:72} {question.form:22} {verdict:8} {answer.seconds:5.0f} s"
    verdict = "not noticed: NO PROOF" if answer.holds else "refuted"
    return f"mistake: {question.what:63} {question.source:22} {verdict:8} {answer.seconds:5.0f} s"
