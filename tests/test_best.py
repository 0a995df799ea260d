"""Tests which checkpoints are the best ones."""

import json

from metrics.networks import FEATURE_NETWORKS
from records.best import (
    best_iterations,
    deciding_metric,
    is_measured,
    values_of,
)
from records.run_folder import RunFolder
from settings.metrics import MetricsConfig

ROWS = [
    {"iteration": 2, "loss/generator": 1.0},
    {"iteration": 2, "metric/kd_random": 0.5, "metric/fd_random": 9.0},
    {"iteration": 4, "metric/kd_random": -0.1},
    {"iteration": 6, "metric/kd_random": 0.2},
    {"iteration": 8, "metric/kd_random": -0.1, "metric/kd_random_floor": 0.0},
]


def test_only_the_network_of_2015_gives_fid():
    names = {name: (one.frechet, one.kernel) for name, one in FEATURE_NETWORKS.items()}
    assert names.pop("inception-fid") == ("fid", "kid")
    for name, (frechet, kernel) in names.items():
        suffix = name.replace("-", "_")
        assert (frechet, kernel) == (f"fd_{suffix}", f"kd_{suffix}")


def test_the_kernel_distance_of_the_chosen_network_decides():
    on = {"every_iterations": 2}
    random = MetricsConfig(extractor="random", **on)
    assert deciding_metric(random, []) == "metric/kd_random"
    assert deciding_metric(MetricsConfig(**on), ROWS) == "metric/kid"


def test_where_metrics_are_off_the_last_one_taken_decides():
    assert deciding_metric(MetricsConfig(), ROWS) == "metric/kd_random"
    later = [*ROWS, {"iteration": 9, "metric/kid": 1.0, "metric/kid_floor": 0.0}]
    assert deciding_metric(MetricsConfig(), later) == "metric/kid"
    assert deciding_metric(MetricsConfig(), []) == "metric/kid"


def test_a_metric_is_due_at_its_interval_alone(tmp_path, monkeypatch):
    metrics = MetricsConfig(extractor="random", every_iterations=2)
    monkeypatch.chdir(tmp_path)
    run = RunFolder("run")
    run.root.mkdir(parents=True)
    text = "".join(json.dumps(row) + "\n" for row in ROWS)
    (run.root / "scalars.jsonl").write_text(text)
    assert [is_measured(metrics, run, k) for k in (2, 3, 10)] == [True, True, False]
    assert is_measured(MetricsConfig(), run, 10)


def test_the_lowest_value_is_the_best_and_the_first_of_equal_ones():
    values = values_of("metric/kd_random", ROWS)
    assert values == {2: 0.5, 4: -0.1, 6: 0.2, 8: -0.1}
    assert best_iterations(values, [2, 4, 6, 8], 3) == [4, 8, 6]


def test_only_measured_checkpoints_can_be_best():
    assert best_iterations({4: 1.0, 6: 0.0}, [2, 4, 5], 9) == [4]
    assert best_iterations({}, [2, 4], 1) == []
