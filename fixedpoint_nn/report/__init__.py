# SPDX-License-Identifier: MIT
"""The report: one self-contained page about everything that was run in a folder."""

from fixedpoint_nn.report.record import Record, Stopwatch
from fixedpoint_nn.report.write import write_report

__all__ = ["Record", "Stopwatch", "write_report"]
