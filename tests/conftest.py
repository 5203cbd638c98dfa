"""At the end of a run: which tests were skipped, and why."""

from collections import Counter


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
