"""Tests the signs of life that a run in training gives to its page."""

import json
import re
import sys
import time

import pytest

import records.live
from gallery.live import Live, live_of, write_live
from records.live import BEAT_SECONDS, Pulse, command_of, page_address
from records.run_folder import RunFolder

RUN = RunFolder("run")


@pytest.fixture(autouse=True)
def clock(tmp_path, monkeypatch):
    """Returns a clock that goes only when told, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    RUN.samples.mkdir(parents=True)

    class Clock:
        now = 1e9

        def time(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(records.live, "time", clock)
    return clock


def told():
    """Returns what live.js tells."""
    text = (RUN.samples / "live.js").read_text()
    return json.loads(re.fullmatch(r"takeLive\((.*)\);\n", text)[1])


def beats(pulse, clock, seconds, first, last):
    """Lets a run train from one iteration to another."""
    for iteration in range(first, last + 1):
        clock.now += seconds
        pulse.beat(iteration)


def test_the_time_left_is_that_of_the_pace_without_the_compilation(clock):
    pulse = Pulse(RUN, 0, 1000)
    pulse.announce("building", 0)
    clock.now += 300
    pulse.beat(1)
    clock.now += 100  # the second of two programs is compiled
    pulse.beat(2)
    assert told()["seconds_left"] is None
    beats(pulse, clock, 6, 3, 100)
    assert told()["iteration"] == 100
    assert told()["seconds_left"] == pytest.approx(900 * 6)


def test_signs_of_life_are_not_written_more_often_than_needed(clock):
    pulse = Pulse(RUN, 0, 1000)
    pulse.beat(1)
    seen = told()["seen"]
    beats(pulse, clock, BEAT_SECONDS / 10, 2, 10)
    assert told()["seen"] == seen
    beats(pulse, clock, BEAT_SECONDS / 10, 11, 12)
    assert told()["seen"] > seen


def test_patience_grows_with_the_longest_pause_and_with_what_takes_long(clock):
    pulse = Pulse(RUN, 0, 1000)
    beats(pulse, clock, 6, 1, 3)
    assert told()["patience_seconds"] == 60
    beats(pulse, clock, 200, 4, 4)  # compiles the step with penalties, perhaps
    assert told()["patience_seconds"] == 1000
    beats(pulse, clock, 6, 5, 5)
    assert told()["patience_seconds"] == 60
    beats(pulse, clock, 100, 6, 6)
    beats(pulse, clock, 6, 7, 9)
    assert told()["patience_seconds"] == 500
    pulse.announce("measuring", 9)
    assert (told()["doing"], told()["patience_seconds"]) == ("measuring", 1800)
    beats(pulse, clock, 1000, 10, 10)  # was announced, hence is not usual
    assert (told()["doing"], told()["patience_seconds"]) == (None, 500)


def test_the_end_is_stopped_or_finished(clock):
    pulse = Pulse(RUN, 0, 1000)
    pulse.end(999, "training.max_minutes is over")
    assert told()["state"] == "stopped"
    pulse.page_written()
    assert told()["because"] == "training.max_minutes is over"
    pulse.end(1000)
    assert told()["state"] == "finished"


def test_a_rollback_does_not_confuse_the_pace(clock):
    pulse = Pulse(RUN, 0, 1000)
    beats(pulse, clock, 6, 1, 100)
    beats(pulse, clock, 6, 50, 60)
    assert told()["seconds_left"] == pytest.approx(940 * 6)


def test_a_disk_that_refuses_a_sign_of_life_does_not_end_a_run(clock, monkeypatch):
    def refuse(*arguments):
        raise OSError("full")

    monkeypatch.setattr(records.live, "write_live", refuse)
    Pulse(RUN, 0, 10).beat(1)


def test_what_was_told_is_read_again_and_nonsense_is_not():
    now = time.time()
    live = Live("training", 5, 10, now, 60.0, None, "building", "luck", "do", 1.0)
    write_live(RUN.samples, live)
    assert live_of(told()) == live
    whole = told()
    for wrong in (None, [], {}, whole | {"state": "?"}, whole | {"seen": "now"}):
        assert live_of(wrong) is None
    assert live_of(whole | {"command": 5}).command is None


def test_a_run_continues_with_its_preset_or_its_own_config(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    start = ".venv/bin/python train.py --config"
    assert command_of(RUN, "configs/a b.yaml", True) == f"{start} 'configs/a b.yaml'"
    assert command_of(RUN, "configs/a.yaml", False) == f"{start} runs/run/config.yaml"
    assert command_of(RUN, None, False) == f"{start} runs/run/config.yaml"
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    assert command_of(RUN, None, False).startswith("python train.py")


def test_the_address_of_a_page_can_be_clicked(tmp_path):
    address = (tmp_path / "samples/run/index.html").as_uri()
    assert page_address(RUN) == address


def test_a_page_and_its_sign_of_life_have_the_same_iteration(clock):
    pulse = Pulse(RUN, 0, 1000)
    beats(pulse, clock, 6, 1, 100)
    clock.now += 1
    pulse.reach(101)
    pulse.page_written()
    assert told()["iteration"] == 101
    assert told()["seconds_left"] == pytest.approx(900 * 6)
