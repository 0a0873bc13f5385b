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

from concurrent.futures import ThreadPoolExecutor

from tqdm import tqdm

from tests.proof.claims import Claim, Control, claims, controls
from tests.proof.solver import Answer, ask


def prove(claim: Claim) -> Answer:
    return ask(claim.netlist, claim.output, claim.script)


def refute(control: Control) -> Answer:
    """The same question about a module with a mistake."""
    return ask(control.claim.netlist, control.claim.output, control.claim.script, control.changed())


def report(workers: int) -> tuple[list[str], bool]:
    """A line for every claim and for every mistake, and whether all claims hold and all mistakes are noticed."""
    asked, mistaken = claims(), controls()
    with ThreadPoolExecutor(workers) as pool:
        answers = [pool.submit(prove, claim) for claim in asked]
        refutations = [pool.submit(refute, control) for control in mistaken]
        with tqdm(total=len(asked) + len(mistaken), desc="questions", unit="question") as bar:
            for future in answers + refutations:
                future.add_done_callback(lambda _: bar.update())
            failures = [error for future in answers + refutations if (error := future.exception())]
    lines = [f"{type(error).__name__}: {error}" for error in failures]
    holds = not failures
    for claim, future in zip(asked, answers, strict=True):
        if not future.exception():
            answer = future.result()
            holds &= answer.holds
            verdict = "proven" if answer.holds else "REFUTED"
            lines.append(f"{claim.what:72} {claim.form:22} {verdict:8} {answer.seconds:5.0f} s")
    for control, future in zip(mistaken, refutations, strict=True):
        if not future.exception():
            answer = future.result()
            holds &= not answer.holds
            verdict = "not noticed: NO PROOF" if answer.holds else "refuted"
            lines.append(
                f"mistake: {control.what:63} {control.source:22} {verdict:8} {answer.seconds:5.0f} s"
            )
    return lines, holds
