# SPDX-License-Identifier: MIT
"""The report: one self-contained HTML page about all runs in a folder."""

from typing import Any

from fixedpoint_nn.report.record import Record, Stopwatch

__all__ = ["Record", "Stopwatch", "write_report"]


def __getattr__(name: str) -> Any:
    """Import the page on demand, because it needs matplotlib, which is slow to import, and records do not."""
    if name == "write_report":
        from fixedpoint_nn.report.write import write_report

        return write_report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
