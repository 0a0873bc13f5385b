# SPDX-License-Identifier: MIT
"""From the records in a folder to the page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fixedpoint_nn.report.page import Grid, Page, Section
from fixedpoint_nn.report.record import Record, records_below
from fixedpoint_nn.report.sections import BUILDERS, verdict

SUBTITLE = (
    "From a float network to hardware: what was run, what came out, and the command that gives it again."
)
ORDER = ("verify", "generate", "train", "sweep", "emit")  # what a reader asks first stands first


def write_report(folder: str | os.PathLike[str], out: str | os.PathLike[str]) -> Page:
    """One self-contained HTML file about every run below `folder`; the page as data."""
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
    known = [record for record in records if record.command in BUILDERS]
    ordered = sorted(known, key=lambda record: ORDER.index(record.command))
    sections = [section for record in ordered for section in _built(record)]
    networks = dict.fromkeys(
        str(record.results["network"]) for record in known if record.results.get("network")
    )
    machine = records[-1].machine
    return Page(
        title=", ".join(networks) or "Report",
        subtitle=SUBTITLE,
        verdicts=[verdict(record) for record in ordered if record.command == "verify"],
        sections=[*sections, _runs(records, folder, out)],
        footer=[", ".join(f"{name} {value}" for name, value in machine.items())],
    )


def _built(record: Record) -> list[Section]:
    try:
        return BUILDERS[record.command](record)
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(
            f"{record.folder}/run-{record.command}.json lacks what the report needs ({error!r}); run the "
            f"command again: {record.line}"
        ) from error


def _runs(records: Sequence[Record], folder: str, out: str) -> Section:
    rows = [(record.started, record.seconds, record.line) for record in records]
    grid = Grid(("started", "seconds", "command"), rows)
    return Section(
        "What was run",
        "Every command whose results stand on this page, the oldest first.",
        grids=[grid],
        line=f"fixedpoint-nn report {folder} --out {out}",
    )
