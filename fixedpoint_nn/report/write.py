# SPDX-License-Identifier: MIT
"""Writing the report from the records in a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from fixedpoint_nn.report.networks import Subject, by_network
from fixedpoint_nn.report.page import NetworkPart, Page, ReportSection, ReportTable
from fixedpoint_nn.report.record import Record, records_below
from fixedpoint_nn.report.sections import BUILDERS, verdict

SUBTITLE = (
    "From a float network to hardware: what was run, what came out, and the command that gives it again."
)
ORDER = ("verify", "generate", "train", "sweep", "emit")  # the most important first


def write_report(folder: str | os.PathLike[str], out: str | os.PathLike[str]) -> Page:
    """Write one self-contained HTML file about all runs below `folder`; returns the page as data."""
    records = records_below(Path(folder))
    if not records:
        raise ValueError(
            f"there is no run to report in {folder}; run fixedpoint-nn sweep, emit or verify with --out "
            "below it first"
        )
    page = page_of(records, str(folder), str(out))
    page.save(out)
    return page


def page_of(records: Sequence[Record], folder: str, out: str) -> Page:
    """The page of these records."""
    known = [record for record in records if record.command in BUILDERS]
    for record in known:
        record.demand_complete()
    ordered = sorted(known, key=lambda record: ORDER.index(record.command))
    networks = by_network(ordered)
    parts = [
        NetworkPart(
            subject.title,
            subject.note,
            [section for record in group for section in BUILDERS[record.command](record)],
        )
        for subject, group in networks.items()
    ]
    verdicts = [
        verdict(record, of=subject.title if len(networks) > 1 else "")
        for subject, group in networks.items()
        for record in group
        if record.command == "verify"
    ]
    machines = dict.fromkeys(
        ", ".join(f"{name} {value}" for name, value in record.machine.items()) for record in records
    )
    return Page(
        title=", ".join(dict.fromkeys(subject.name for subject in networks)) or "Report",
        subtitle=SUBTITLE,
        notice=_notice([*networks]),
        verdicts=verdicts,
        parts=parts,
        closing=_runs(records, folder, out),
        footer=[*machines],
    )


def _notice(subjects: Sequence[Subject]) -> str:
    """A sentence about the page's network, or that there are several different ones."""
    if len(subjects) == 1:
        return subjects[0].note
    if not subjects:
        return "No run of this folder is of a network."
    titles = "; ".join(subject.title for subject in subjects)
    return (
        f"This page is about {len(subjects)} networks, each in a part of its own: {titles}. "
        "What is measured of one says nothing about another."
    )


def _to_the_second(started: str) -> str:
    return re.sub(r"\.\d+", "", started)


def _runs(records: Sequence[Record], folder: str, out: str) -> ReportSection:
    rows = [(_to_the_second(record.started), record.seconds, record.line) for record in records]
    grid = ReportTable(("started", "seconds", "command"), rows)
    return ReportSection(
        "What was run",
        "Every command whose results stand on this page, the oldest first.",
        grids=[grid],
        line=f"fixedpoint-nn report {folder} --out {out}",
    )
