"""The durations that --check tells."""

import types

import numpy as np
import pytest
from tiny_run import TINY

from commands.preflight import check, timing
from commands.preflight.check import (
    config_of_worker,
    say_replicas,
    say_times,
    say_verdict,
    time_text,
)
from commands.preflight.timing import Seconds, _count, _range_of
from settings.config import Config
from training.device import Device

CPU = Device("cpu", "a processor", False)


def config_of(**training):
    """Returns the tiny config for 20 iterations, with 4 grids, measured twice."""
    training = {"total_iterations": 20, "sample_every_iterations": 5} | training
    metrics = {"every_iterations": 10, "num_images": 8, "extractor": "random"}
    sections = {"training": TINY["training"] | training, "metrics": metrics}
    return Config.model_validate(TINY | sections)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        ((3, 2, 4), "minutes to the end: less than 1"),
        ((90, 60, 120), "minutes to the end: 1.5 (1 to 2)"),
        ((7200, 6600, 8400), "minutes to the end: 120 (110 to 140)"),
        ((36000, 32400, 43200), "hours to the end: 10 (9 to 12)"),
        ((720000, 684000, 756000), "hours to the end: 200 (190 to 210)"),
    ],
)
def test_a_time_to_the_end_has_a_unit_of_its_size_and_is_never_0(seconds, text):
    assert time_text(Seconds(*seconds)) == text


def test_a_range_is_of_percentiles_but_never_narrower_than_a_fifth():
    assert _range_of([1.0, 2, 3, 4, 5, 6]) == pytest.approx((3.5, 2, 5))
    assert _range_of([2.0] * 9) == pytest.approx((2, 1.8, 2.2))
    assert _range_of([1.0, 1, 1, 1, 9])[0] == np.mean([1, 1, 1, 1, 9])


def test_slow_iterations_are_timed_a_few_times_and_fast_ones_not_for_ever():
    assert [_count(10, usual) for usual in (100, 1, 0.0001, 0)] == [4, 10, 200, 200]


def test_seconds_add_up():
    total = Seconds(1, 2, 3).times(10).plus(Seconds(5, 5, 5))
    assert total == (15, 25, 35)


@pytest.mark.parametrize(
    ("done", "is_measured", "seconds"),
    [
        # Iterations, building, grids, measurements, features of the photographs.
        (0, True, 20 * 2 + 10 + 4 * 64 * 0.5 + 2 * 8 * 0.75 + 40 * 0.25),
        (5, True, 15 * 2 + 10 + 3 * 64 * 0.5 + 2 * 8 * 0.75 + 40 * 0.25),
        (10, False, 10 * 2 + 10 + 2 * 64 * 0.5),
    ],
)
def test_the_time_to_the_end_has_all_that_the_rest_of_a_run_does(
    monkeypatch, capsys, done, is_measured, seconds
):
    monkeypatch.setattr(
        check, "time_iterations", lambda *_: (Seconds(2.0, 1.0, 4.0), 10.0)
    )
    monkeypatch.setattr(check, "time_painting", lambda *_: 0.5)
    monkeypatch.setattr(check, "time_features", lambda *_: 0.25)
    start, images = (
        types.SimpleNamespace(iteration=done),
        types.SimpleNamespace(count=40),
    )
    extract = object() if is_measured else None
    left = 20 - done
    found = say_times(start, config_of(), CPU, None, images, extract)
    assert found == pytest.approx((seconds, seconds - left, seconds + 2 * left))
    said = capsys.readouterr().out
    grids = {0: "4 grids", 5: "3 grids", 10: "2 grids"}[done]
    assert "10 s of building" in said and grids in said
    assert ("2 measurements" in said) == is_measured


def test_iterations_with_penalties_count_by_their_share(monkeypatch):
    now = [0.0]

    def step(inputs, with_penalty):
        now[0] += 3.0 if with_penalty else 1.0
        return {"loss/generator": 0.0}

    monkeypatch.setattr(timing, "build_step", lambda *_: step)
    monkeypatch.setattr(timing, "inputs_at", lambda *_: None)
    monkeypatch.setattr(timing, "penalty_share", lambda _: 0.25)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    each, building = timing.time_iterations(None, None, None)
    assert each.mean == pytest.approx(0.75 * 1 + 0.25 * 3)
    assert building == pytest.approx(2 * (1 + 3))


def verdict_of(capsys, count=5000, parent=None, is_disk_short=False, seconds=60.0):
    run = types.SimpleNamespace(name="tiny")
    start = types.SimpleNamespace(
        config=config_of(), iteration=0, origin=None, run=run, parent=parent
    )
    say_verdict(start, count, is_disk_short, Seconds(seconds, seconds, seconds))
    return capsys.readouterr().out.splitlines()[-1]


def test_the_verdict_names_each_concern(capsys):
    assert verdict_of(capsys) == "verdict: it fits"
    assert "training.max_checkpoint_gib" in verdict_of(capsys, is_disk_short=True)
    assert "10 days here" in verdict_of(capsys, seconds=10 * 86400.0)
    assert "with 90 images start from a trained run" in verdict_of(capsys, count=90)
    parent = types.SimpleNamespace(requested="roses@5")
    assert verdict_of(capsys, count=90, parent=parent) == "verdict: it fits"


def test_the_replicas_are_told_with_the_images_that_each_takes(capsys):
    say_replicas(config_of(), 1, 1)
    assert capsys.readouterr().out == ""
    for distribution, counts, words in [
        ("mirrored", (1, 1), "replicas: 1, with 4 images of a batch each\n"),
        ("multi_worker", (4, 2), "replicas: 4, with 1 image of a batch each, in 2 "),
    ]:
        runtime = TINY["runtime"] | {"distribution": distribution}
        config = Config.model_validate(TINY | {"runtime": runtime})
        say_replicas(config, *counts)
        assert capsys.readouterr().out.startswith(words)
        assert config_of_worker(config, 2).training.batch_size == 2
