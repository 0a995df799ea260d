"""The table of faults, of tests that pass, fail, count and are skipped."""

import pytest
from fault_table import UNREPORTED, Row, Tries, page_text, rows_of, text_table
from tiny_run import REPOSITORY

pytest_plugins = ["pytester"]

TESTS = """
import pytest

@pytest.mark.fault("a full disk")
@pytest.mark.parametrize("place", ["runs", "samples"])
def test_full(place):
    pass

@pytest.mark.fault("a full disk")
def test_full_and_said_wrongly(tries):
    with tries.nothing_lost():
        pass
    assert False, "the message names no file"

@pytest.mark.fault("kill")
def test_killed(tries):
    for _ in range(5):
        with tries.nothing_lost():
            pass
        tries.add()
    with tries.nothing_lost(3):
        assert False

@pytest.mark.fault("a pipe")
def test_pipe():
    assert False

@pytest.mark.fault("a browser")
def test_browser():
    pytest.skip("there is none")

def test_of_no_fault():
    assert False
"""
EXPECTED = [
    Row("a browser", 0, 0, 0),
    Row("a full disk", 3, 2, 0),
    Row("a pipe", 1, 0, 1),
    Row("kill", 8, 5, 3),
    Row("all", 12, 7, 4),
]


DEADLY = """
import os, pytest

@pytest.mark.fault("kill")
def test_passes():
    pass

@pytest.mark.fault("kill")
def test_dies():
    os._exit(9)

@pytest.fixture
def untidy():
    yield
    assert False, "something stays behind"

@pytest.mark.fault("kill")
def test_passes_and_is_put_away_badly(untidy):
    pass
"""


def with_the_table(pytester, tests):
    """Makes a project of these tests, with the table as its plugin."""
    places = f"{REPOSITORY} {REPOSITORY / 'tests'}"
    pytester.makeini(f"[pytest]\nmarkers = fault: tries\npythonpath = {places}")
    pytester.makeconftest("from fault_table import *\nfrom fault_table import tries")
    pytester.makepyfile(tests)


# Workers of their own take seconds to start.
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_each_fault_has_a_row_with_its_tries_and_losses(pytester, workers):
    with_the_table(pytester, TESTS)
    page = pytester.path / "faults.md"
    page.write_text(
        "before\n<!-- results: written by make faults -->\n<!-- end of results -->\n"
    )
    result = pytester.runpytest("--faults", str(page), "-n", str(workers))
    assert result.ret == 1
    result.stdout.fnmatch_lines(text_table(EXPECTED).splitlines())
    text = page.read_text()
    assert text.startswith("before\n") and page_text(EXPECTED) in text


@pytest.mark.slow  # as above
def test_a_test_whose_process_dies_is_a_loss(pytester):
    with_the_table(pytester, DEADLY)
    result = pytester.runpytest("--faults", "-n", "1")
    assert result.ret == 1
    rows = [Row("kill", 2, 2, 0), Row(UNREPORTED, 2, 0, 2), Row("all", 4, 2, 2)]
    result.stdout.fnmatch_lines(text_table(rows).splitlines())


def test_the_table_as_it_is_read():
    rows = [Row("kill", 1500, 1499, 1), Row("a browser", 0, 0, 0)]
    assert text_table(rows).splitlines() == [
        "fault      tries  as promised  lost",
        "kill       1,500        1,499     1",
        "a browser      0            0     0  not tried: its tests were skipped",
    ]
    assert page_text(rows).splitlines()[:4] == [
        "| fault | tries | as promised | lost |",
        "|---|---:|---:|---:|",
        "| kill | 1,500 | 1,499 | 1 |",
        "| a browser | 0 | 0 | 0 |",
    ]


def test_a_fault_that_no_test_tried_says_so():
    (line, *_) = text_table(EXPECTED).splitlines()[1:]
    assert line.split()[2:5] == ["0", "0", "0"] and "not tried" in line


def test_a_test_that_counts_nothing_is_one_try():
    assert Tries().row("x", has_passed=True) == Row("x", 1, 1, 0)
    assert Tries().row("x", has_passed=False) == Row("x", 1, 0, 1)


def test_no_test_gives_an_empty_table():
    assert rows_of([]) == [Row("all", 0, 0, 0)]
