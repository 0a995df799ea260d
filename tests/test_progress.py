"""Tests of how a build tells how far it is."""

import functools
import io

import pytest
import tqdm

from data import progress


@pytest.fixture
def clock(monkeypatch):
    """Returns a clock that stands still until it is set."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_every_half_minute_gives_number_rate_and_time_left(clock, capfd):
    said, shown = [], []
    with progress.Progress("folder", 1000, said.append) as told:
        for _ in told.counted(range(1000)):
            clock[0] += 0.25
            shown.append(len(said))
    # 4 a second: 120 in half a minute.
    assert said[0] == "prepared 120 of 1,000, 4 a second, 03:40 left"
    assert said[1] == "prepared 240 of 1,000, 4 a second, 03:10 left"
    assert len(said) == 8
    assert shown[119:121] == [0, 1]
    assert capfd.readouterr() == ("", "")  # no terminal, no bar


def test_what_an_earlier_start_has_done_counts_as_done_but_not_as_fast(clock):
    said = []
    with progress.Progress("folder", 1000, said.append) as told:
        told.keep(500)
        for _ in told.counted(range(40)):
            clock[0] += 1.0
    assert said == ["prepared 530 of 1,000, 1 a second, 07:50 left"]


def test_a_short_build_says_nothing(clock):
    said = []
    with progress.Progress("folder", 10, said.append) as told:
        for _ in told.counted(range(10)):
            clock[0] += 2.9
    assert said == []


def test_a_terminal_has_a_bar_and_no_lines(clock, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(
        progress, "tqdm", functools.partial(tqdm.tqdm, file=terminal, mininterval=0)
    )
    said = []
    with progress.Progress("folder", 100, said.append) as told:
        told.keep(50)
        for _ in told.counted(range(50)):
            clock[0] += 10.0
    assert said == []
    assert "folder:" in terminal.getvalue()
    assert "100/100" in terminal.getvalue()
