"""The table of faults: what tests did to the program, and whether it kept its word.

A test marked `fault("a full disk")` is a try of that fault, or as many as it counts
with the fixture `tries`. `make faults` runs all of them and prints a table, one row a
fault; pytest's own status is 1 if anything was not as promised.
"""

import contextlib
import os
import pathlib
import platform
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from benchmarks.results_page import markers_of, write_between

FAULT = "fault"
COMMAND = "make faults"
UNREPORTED = "tests that broke off or left a mess"
HEADINGS = ("fault", "tries", "as promised", "lost")


class Row(NamedTuple):
    """One fault, or one test of it: tries, those that ended as promised, losses."""

    fault: str
    tries: int
    as_promised: int
    lost: int


class Tries:
    """Counts what a test tries, and what is lost by it.

    A try that fails counts as a loss, unless the test has shown before that there is
    none.
    """

    def __init__(self) -> None:
        self._as_promised = 0
        self._at_stake = 1  # tries that a failure now would be one of
        self._is_safe = False

    def add(self, count: int = 1) -> None:
        """Counts tries that have been seen to end as promised."""
        self._as_promised += count
        self._is_safe = False

    @contextlib.contextmanager
    def nothing_lost(self, count: int = 1) -> Iterator[None]:
        """Within it a test checks that `count` tries, not counted yet, lost nothing."""
        self._at_stake, self._is_safe = count, False
        yield
        self._at_stake, self._is_safe = 1, True

    def row(self, fault: str, has_passed: bool) -> Row:
        """Returns the row of the test."""
        kept, at_stake = self._as_promised, self._at_stake
        if has_passed:
            return Row(fault, max(kept, 1), max(kept, 1), 0)
        return Row(fault, kept + at_stake, kept, 0 if self._is_safe else at_stake)


@pytest.fixture
def tries(request) -> Tries:
    """Counts the tries of a test that is marked as one of a fault."""
    request.node.tries = Tries()
    return request.node.tries


def pytest_addoption(parser):
    """Adds the option that prints the table, or also writes it into a page."""
    parser.addoption(
        "--faults",
        nargs="?",
        const="",
        metavar="PAGE",
        help="print the table of faults; with a page, write it there, too",
    )


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds to the report of a test the row that it gives; workers send it along."""
    outcome = yield
    report = outcome.get_result()
    mark = item.get_closest_marker(FAULT)
    is_over = report.when == "call" or not report.passed
    if mark is None or not is_over or report.when == "teardown":
        return
    (fault,) = mark.args
    counted = getattr(item, "tries", Tries())
    row = Row(fault, 0, 0, 0) if report.skipped else counted.row(fault, report.passed)
    report.user_properties.append((FAULT, list(row)))


def pytest_terminal_summary(terminalreporter, config):
    """Prints the table, and writes it into the page that was named."""
    page = config.getoption("--faults")
    if page is None:
        return
    rows = rows_of(rows_reported(terminalreporter.stats))
    terminalreporter.section("faults")
    terminalreporter.write_line(text_table(rows))
    if page:
        write_between(pathlib.Path(page), page_text(rows), markers_of(COMMAND))


def rows_reported(reports: dict[str, list]) -> list[Row]:
    """Returns the rows that tests gave, and a loss for each report of another failure.

    Those are of a test whose process died in it, of a file that cannot be imported (of
    both no marks are known), and of a test that failed while it was put away.

    Args:
        reports: pytest's own, by outcome; other things may be among them.
    """
    rows = []
    for outcome, some in reports.items():
        for report in some:
            properties = dict(getattr(report, "user_properties", []))
            if FAULT in properties:
                rows.append(Row(*properties[FAULT]))
                continue
            marks = getattr(report, "keywords", None) or [FAULT]
            if outcome in ("failed", "error") and FAULT in marks:
                rows.append(Row(UNREPORTED, 1, 0, 1))
    return rows


def rows_of(tests: list[Row]) -> list[Row]:
    """Returns a row for each fault, by name, and one of all."""
    faults = sorted({test.fault for test in tests})
    rows = [summed(one, [row for row in tests if row.fault == one]) for one in faults]
    return [*rows, summed("all", rows)]


def summed(fault: str, tests: list[Row]) -> Row:
    """Adds up the rows of a fault."""
    return Row(fault, *(sum(test[column] for test in tests) for column in (1, 2, 3)))


def text_table(rows: list[Row]) -> str:
    """Returns the table for a terminal; a fault that no test tried says so."""
    width = max(len(row.fault) for row in rows)
    lines = ["  ".join([HEADINGS[0].ljust(width), *HEADINGS[1:]])]
    for row in rows:
        cells = [
            f"{value:{len(heading)},}"
            for value, heading in zip(row[1:], HEADINGS[1:], strict=True)
        ]
        note = "" if row.tries else "  not tried: its tests were skipped"
        lines.append("  ".join([row.fault.ljust(width), *cells]) + note)
    return "\n".join(lines)


def page_text(rows: list[Row]) -> str:
    """Returns the table in Markdown, with the machine."""
    lines = [f"| {' | '.join(HEADINGS)} |", "|---|---:|---:|---:|"]
    for fault, *numbers in rows:
        lines.append(" | ".join([f"| {fault}", *(f"{n:,}" for n in numbers)]) + " |")
    return "\n".join([*lines, "", f"On {os.cpu_count()} cores of {processor()}."])


def processor() -> str:
    """Returns the name of the processor, as Linux tells it."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
