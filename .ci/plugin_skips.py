"""Pytest plugin: every skipped test is named with its reason, and with CI=true only written-down reasons pass.

The reasons stand in skips.txt beside this file, one a line; a reason that holds one of the lines is known. Works under
pytest-xdist: the workers' reports arrive in the one process that counts.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

LIST = Path(__file__).with_name("skips.txt")


def known_reasons(text: str) -> tuple[str, ...]:
    """The lines that are neither empty nor comments."""
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def reason_of(report: Any) -> str:
    """Why a test or module was skipped, in one line."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return " ".join(text.removeprefix("Skipped: ").split())


class Skips:
    """What was skipped in this run."""

    def __init__(self) -> None:
        self.known = known_reasons(LIST.read_text(encoding="utf-8"))
        self.strict = os.environ.get("CI", "").lower() in {"true", "1"}
        self.skipped: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped[report.nodeid] = reason_of(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.skipped[report.nodeid] = reason_of(report)

    def unknown(self) -> dict[str, str]:
        """Those skipped for a reason that is not on the list."""
        return {
            test: reason
            for test, reason in self.skipped.items()
            if not any(line.lower() in reason.lower() for line in self.known)
        }

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.strict and self.unknown() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self.skipped:
            return
        unknown = self.unknown()
        terminalreporter.section("skipped")
        for test, reason in sorted(self.skipped.items()):
            mark = "NOT ON THE LIST " if test in unknown else ""
            terminalreporter.line(f"{mark}{test}: {reason}")
        if unknown and self.strict:
            terminalreporter.line(f"{len(unknown)} skipped for a reason that is not in {LIST.name}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    """Counts in one process: the workers of pytest-xdist have a workerinput and only send reports."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Skips(), "skips")
