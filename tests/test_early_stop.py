"""Tests when metrics end a run."""

from unittest import mock

import pytest

from settings.messages import Problem
from settings.metrics import MetricsConfig
from training.early_stop import check_metrics


def check(kernel, frechet=(), counts=(), **limits):
    """Checks a run measured every 100 iterations, with checkpoints of all."""
    rows = [
        {"iteration": 100 * number, "metric/kd_random": value}
        for number, value in enumerate(kernel or [1.0] * len(frechet), 1)
    ]
    for row, value in zip(rows, frechet, strict=False):
        row["metric/fd_random"] = value
    for row, count in zip(rows, counts, strict=False):
        row["metric/num_images"] = count
    run = mock.Mock(iterations=lambda: [row["iteration"] for row in rows])
    run.name = "roses"
    metrics = MetricsConfig(every_iterations=100, extractor="random", **limits)
    check_metrics(metrics, rows, run)


def test_nothing_ends_a_run_unless_asked_to():
    check([0.1] + [9.0] * 50, [1.0] + [1e6] * 50)


@pytest.mark.parametrize(
    "kernel", [[], [0.5], [0.5, 0.6, 0.7], [0.5, 0.6, 0.4, 0.6, 0.7]]
)
def test_a_run_may_be_without_progress_for_a_while(kernel):
    check(kernel, stop_without_progress_iterations=300)


def test_a_run_without_progress_ends_with_status_3_and_the_way_out():
    with pytest.raises(Problem) as caught:
        check([0.9, 0.5, 0.6, 0.7, 0.6], stop_without_progress_iterations=300)
    assert caught.value.status == 3
    text = str(caught.value)
    assert "kd_random was lowest at iteration 200 (0.5) and is 0.6 at 500" in text
    assert "stop_without_progress_iterations is 300" in text
    assert "--from roses@200" in text


def test_a_value_as_low_as_the_lowest_is_no_progress():
    with pytest.raises(Problem):
        check([0.5, 0.5, 0.5], stop_without_progress_iterations=200)


@pytest.mark.parametrize(
    "frechet",
    [[10.0], [10.0, 31.0], [10.0, 31.0, 12.0], [10.0, 31.0, 12.0, 31.0], [10.0, 30.0]],
)
def test_a_single_bad_measurement_is_no_collapse(frechet):
    check([], frechet, stop_above_best=3.0)


def test_a_collapse_ends_a_run_with_status_3():
    with pytest.raises(Problem) as caught:
        check([], [10.0, 8.0, 25.0, 24.5], stop_above_best=3.0)
    assert caught.value.status == 3
    text = str(caught.value)
    assert "collapse: fd_random is 24.5 at iteration 400, and was 8 at 200" in text
    assert "--from roses@200" in text


def test_measurements_of_another_number_of_pictures_do_not_compare():
    frechet = [8.0, 25.0, 24.5]
    check([], frechet, counts=[1000, 100, 100], stop_above_best=3.0)
    with pytest.raises(Problem):
        check([], frechet, counts=[100, 100, 100], stop_above_best=3.0)
