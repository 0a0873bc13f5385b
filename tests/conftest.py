# SPDX-License-Identifier: MIT
"""Rules for every run of the tests: real data on request, and no skip that nobody sees."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixedpoint_nn.data import DataError

FORBID_SKIPS = (
    "FIXEDPOINT_NN_FORBID_SKIPS"  # .ci/run sets it: there everything is installed, so nothing may skip
)


@pytest.fixture(scope="session")
def real() -> Callable[[Callable[..., Any]], Any]:
    """`real(data.names)` is a real data set, or a skip that says which file is missing."""

    def load(loader: Callable[..., Any], *arguments: object) -> Any:
        try:
            return loader(*arguments)
        except DataError as error:
            pytest.skip(str(error))

    return load


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without the marker `peers` their files are not even imported: what is left out so is no skip."""
    left_out = "not peers" in config.option.markexpr and collection_path.name.startswith("test_peers_")
    return True if left_out else None


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get(FORBID_SKIPS) and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    skipped = len(terminalreporter.stats.get("skipped", ()))
    if skipped and os.environ.get(FORBID_SKIPS):
        terminalreporter.write_line(
            f"FAILED: {skipped} skipped, and {FORBID_SKIPS} allows none; see the reasons above."
        )
