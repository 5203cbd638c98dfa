"""No test leaves classes allowed to the next, and a run ends with which tests were skipped, and why."""

import os
from collections import Counter

import pytest

from runs.names import CLASSES


@pytest.fixture(scope="module", autouse=True)
def classes_allowed_in_a_module():
    """Take back what a module has allowed to be imported: commands that are shown would name it."""
    before = os.environ.get(CLASSES)
    yield
    _put_back(before)


@pytest.fixture(autouse=True)
def classes_allowed_in_a_test():
    """Take back what a test has allowed to be imported."""
    before = os.environ.get(CLASSES)
    yield
    _put_back(before)


def _put_back(before):
    os.environ.pop(CLASSES, None)
    if before is not None:
        os.environ[CLASSES] = before


def reasons(skipped):
    """How many tests were skipped for each reason, most first."""
    found = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    return [f"{count:4d}  {reason}" for reason, count in found.most_common()]


def pytest_terminal_summary(terminalreporter):
    """List the reasons of the skipped tests; pytest by itself gives only their number."""
    lines = reasons(terminalreporter.stats.get("skipped", []))
    if lines:
        terminalreporter.section("skipped tests, and why")
        terminalreporter.write_line("\n".join(lines))
