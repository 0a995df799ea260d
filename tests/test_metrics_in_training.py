"""Tests the metrics that a run takes while it trains, with a small random network."""

import json
import os
import pathlib
import signal

import numpy as np
import pytest
from tiny_run import (
    NAME,
    TINY,
    arrays_at,
    assert_same_run,
    checkpoints_in,
    eagerly,
    rows_in,
    train_here,
    write_config,
)

import generate
from commands.chosen import choose_checkpoint
from records.run_folder import RunFolder
from settings.messages import Problem
from training.run_metrics import RunMetrics

METRICS = {"every_iterations": 3, "extractor": "random", "num_images": 24}
TRAINING = TINY["training"] | {
    "total_iterations": 12,
    "checkpoint_every_iterations": 100,
    "sample_every_iterations": 100,
    "keep_last": 2,
}
# So that the pictures differ from one measurement to the next.
FAST = {"optimizer": {"learning_rate": 0.02}}
FAST_TRAINING = TRAINING | {"ema_half_life_kimg": 0.004, "ema_ramp_up": None}


def prepared(folder, metrics=METRICS, **training):
    write_config(folder, metrics=metrics, training=FAST_TRAINING | training, **FAST)


def trained(folder, monkeypatch, *arguments):
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    with eagerly():
        return train_here(*arguments)


def measured_rows(folder):
    return [
        row for row in rows_in(folder, "scalars.jsonl") if "metric/kd_random" in row
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Returns the folder of a run of 12 iterations, measured every 3."""
    folder = tmp_path_factory.mktemp("whole")
    prepared(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with eagerly():
            assert train_here() == 0
    return folder


def test_metrics_are_taken_at_their_interval_with_floor_and_count(whole):
    rows = measured_rows(whole)
    assert [row["iteration"] for row in rows] == [3, 6, 9, 12]
    for row in rows:
        assert row["metric/num_images"] == 24
        assert row["metric/fd_random"] > row["metric/fd_random_floor"] > 0
        assert row["metric/kd_random_floor"] == rows[0]["metric/kd_random_floor"]
    assert len({row["metric/kd_random"] for row in rows}) == 4


def test_what_the_numbers_depend_on_is_kept(whole):
    path = whole / RunFolder(NAME).root / "metrics.json"
    (told,) = json.loads(path.read_text())
    assert told["after_iteration"] == 0
    settings = told["settings"]
    assert settings["extractor"]["name"] == "random"
    counts = ("num_fake", "num_real", "num_floor", "num_floor_against")
    assert [settings[key] for key in counts] == [24, 32, 16, 16]


def test_a_model_card_tells_them_where_no_metric_card_does(whole, monkeypatch):
    monkeypatch.chdir(whole)
    assert generate.main([NAME, "--kind", "weights", "--out", "a.safetensors"]) == 0
    text = pathlib.Path("a.safetensors.md").read_text()
    last = measured_rows(whole)[-1]
    kd, floor = last["metric/kd_random"], last["metric/kd_random_floor"]
    assert "random, 24 images against 32 photographs:" in text
    assert f"| kd_random | {kd:.4g} | {floor:.4g} | lower |" in text
    assert "num_images" not in text.split("## Metrics")[1]


def test_the_best_checkpoint_stays_and_is_found(whole, monkeypatch):
    rows = measured_rows(whole)
    best = min(rows, key=lambda row: row["metric/kd_random"])["iteration"]
    assert checkpoints_in(whole) == sorted({best, 9, 12})
    monkeypatch.chdir(whole)
    chosen = choose_checkpoint(RunFolder(NAME), "best")
    assert chosen.iteration == best
    name, array = next(iter(chosen.arrays.items()))
    assert np.array_equal(array, arrays_at(whole, best)[name])


def test_metrics_change_nothing_of_a_run(whole, tmp_path, monkeypatch):
    prepared(tmp_path, metrics={})
    assert trained(tmp_path, monkeypatch) == 0
    with_metrics, without = arrays_at(whole, 12), arrays_at(tmp_path, 12)
    assert all(np.array_equal(with_metrics[name], without[name]) for name in without)


def test_a_signal_breaks_a_measurement_off_and_it_is_taken_on_continuing(
    whole, tmp_path, monkeypatch
):
    measure, calls = RunMetrics.measure, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return measure(*arguments)

    prepared(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(RunMetrics, "measure", interrupted)
        assert trained(tmp_path, patch) == 75
    assert [row["iteration"] for row in measured_rows(tmp_path)] == [3]
    assert checkpoints_in(tmp_path) == [3, 6]
    assert trained(tmp_path, monkeypatch) == 0
    assert_same_run(whole, tmp_path, 12)


def test_a_signal_in_the_last_measurement_leaves_it_to_the_next_start(
    whole, tmp_path, monkeypatch
):
    measure = RunMetrics.measure

    def interrupted(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return measure(*arguments)

    prepared(tmp_path, total_iterations=3)
    with monkeypatch.context() as patch:
        patch.setattr(RunMetrics, "measure", interrupted)
        assert trained(tmp_path, patch) == 75
    assert checkpoints_in(tmp_path) == [3] and measured_rows(tmp_path) == []
    assert trained(tmp_path, monkeypatch) == 0
    assert measured_rows(tmp_path) == measured_rows(whole)[:1]


def test_a_run_that_goes_on_without_metrics_keeps_its_best_checkpoint(
    tmp_path, monkeypatch
):
    prepared(tmp_path, total_iterations=6, keep_last=1)
    falls = iter([0.1, 0.2])
    with monkeypatch.context() as patch:
        patch.setattr(
            RunMetrics, "measure", lambda *_: {"metric/kd_random": next(falls)}
        )
        assert trained(tmp_path, patch) == 0
    assert checkpoints_in(tmp_path) == [3, 6]
    prepared(tmp_path, metrics={}, total_iterations=8, keep_last=1)
    assert trained(tmp_path, monkeypatch) == 0
    assert checkpoints_in(tmp_path) == [3, 8]
    assert choose_checkpoint(RunFolder(NAME), "best").iteration == 3


def test_a_page_that_fails_costs_a_warning_alone(tmp_path, monkeypatch, capsys):
    def fail(*_):
        raise KeyError("template")

    prepared(tmp_path, metrics={}, total_iterations=2)
    monkeypatch.setattr("training.output.write_pages", fail)
    assert trained(tmp_path, monkeypatch) == 0
    assert (
        "warning: no page this time (KeyError: 'template')" in capsys.readouterr().err
    )
    assert checkpoints_in(tmp_path) == [2]


def test_too_few_photographs_are_refused_before_anything_is_written(
    tmp_path, monkeypatch, capsys
):
    prepared(tmp_path, batch_size=2)
    sets = ("--set", "data.num_images=3")
    assert trained(tmp_path, monkeypatch, *sets) == 2
    assert "4 photographs or more\n  found:    3 photographs" in capsys.readouterr().err
    assert not RunFolder(NAME).root.exists()


@pytest.mark.slow  # a variant of those above
def test_metrics_may_be_turned_on_later(tmp_path, monkeypatch):
    prepared(tmp_path, metrics={}, total_iterations=3)
    assert trained(tmp_path, monkeypatch) == 0
    with pytest.raises(Problem, match="no checkpoint has a metric/kid yet"):
        choose_checkpoint(RunFolder(NAME), "best")
    prepared(tmp_path, total_iterations=4)
    assert trained(tmp_path, monkeypatch) == 0
    assert [row["iteration"] for row in measured_rows(tmp_path)] == [3]


def test_no_progress_ends_the_run_with_status_3_and_keeps_it(
    tmp_path, monkeypatch, capsys
):
    metrics = METRICS | {"stop_without_progress_iterations": 3}
    prepared(tmp_path, metrics=metrics)
    falls = iter([0.5, 0.4, 0.45, 0.3])
    monkeypatch.setattr(
        RunMetrics, "measure", lambda *_: {"metric/kd_random": next(falls)}
    )
    assert trained(tmp_path, monkeypatch) == 3
    assert "no progress: kd_random was lowest at iteration 6" in capsys.readouterr().err
    assert checkpoints_in(tmp_path) == [6, 9]
    assert [row["iteration"] for row in measured_rows(tmp_path)] == [3, 6, 9]
    # The same command does not train on: the limit has to be changed first.
    assert trained(tmp_path, monkeypatch) == 3
    assert checkpoints_in(tmp_path) == [6, 9]


def test_missing_weights_are_found_before_training(tmp_path, monkeypatch, capsys):
    lost = METRICS | {"extractor": "mobilenetv2", "weights": "lost.h5"}
    prepared(tmp_path, metrics=lost)
    assert trained(tmp_path, monkeypatch) == 2
    assert "lost.h5" in capsys.readouterr().err
    assert checkpoints_in(tmp_path) == []
    assert trained(tmp_path, monkeypatch, "--check") == 2
