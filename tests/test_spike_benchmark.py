"""The spike benchmark: its gradients, its spikes, its twins, and how it resumes."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.spikes import cells
from benchmarks.spikes.cells import run_plan
from benchmarks.spikes.methods import METHODS
from benchmarks.spikes.plans import Plan
from benchmarks.spikes.problems import Cliff, SkewedTargets
from benchmarks.spikes.rows import Row, spike, steps_with_spikes
from benchmarks.spikes.runs import Run, against_twin, train

ADAM = METHODS[0]
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
# Runs the command as `python -m` does, and tells what it finds set when NumPy comes.
WATCHED_COMMAND = """
import os, runpy, sys

class Watch:
    def find_spec(name, path, target=None):
        if name == "numpy":
            print(os.environ.get("OMP_NUM_THREADS"))

sys.meta_path.insert(0, Watch)
runpy.run_module("benchmarks.spikes", run_name="__main__", alter_sys=True)
print("tensorflow" in sys.modules)
"""


class ShortTargets(SkewedTargets):
    """The lognormal mean in 100 steps."""

    num_steps = 100


def differences(problem, weights, places):
    """Returns central differences of each run's loss along the chosen weights."""
    out = []
    for place in places:
        shift = np.zeros_like(weights)
        shift[:, place] = 1e-6  # small enough to miss the kinks of ReLU
        above, below = (
            problem.loss_and_gradient(weights + sign * shift, 1)[0] for sign in (1, -1)
        )
        out.append((above - below) / 2e-6)
    return np.stack(out, axis=1)


def test_the_gradient_of_the_cliff_is_the_slope_of_its_loss():
    problem = Cliff(np.arange(4))
    weights = np.array([[3.0, -1.0], [1.0, 0.5], [2.0, 0.1], [0.5, -2.0]])
    gradient = problem.loss_and_gradient(weights, 1)[1]
    slopes = differences(problem, weights, [0, 1])
    np.testing.assert_allclose(gradient, slopes, rtol=1e-3, atol=1e-6)


def test_the_gradient_of_the_classifier_is_the_slope_of_its_loss():
    pytest.importorskip("sklearn", reason="only the benchmark needs scikit-learn")
    from benchmarks.spikes.digits import Digits

    problem = Digits(np.array([0, 1]))
    weights = problem.start.astype(np.float64)
    gradient = problem.loss_and_gradient(weights, 1)[1]
    # One of each variable, among those with a slope: the largest.
    ends = np.cumsum(problem.layout.variable_sizes)
    pieces = np.split(np.abs(gradient).sum(axis=0), ends[:-1])
    places = [e - len(p) + int(p.argmax()) for e, p in zip(ends, pieces, strict=True)]
    slopes = differences(problem, weights, places)
    np.testing.assert_allclose(gradient[:, places], slopes, rtol=1e-3, atol=1e-6)


def test_spikes_have_their_number_and_the_same_noise_for_every_method():
    one_percent = Row("random", 1e4, "1 %")
    hits = steps_with_spikes(one_percent, 3, 1000)
    assert hits.sum() == 10 and not hits[:50].any()
    gradient = np.ones((2, 8), np.float32)
    layout = Cliff.layout.__class__(np.array([6, 2]), np.array([6, 2]))
    first = spike(gradient, one_percent, 3, 70, layout)
    second = spike(gradient, one_percent, 3, 70, layout)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first[0], first[1])
    assert 1e3 < np.abs(first).mean() < 1e5


def test_an_infinite_spike_leaves_zeros_alone():
    row = Row("aligned", np.inf)
    layout = Cliff.layout
    spiked = spike(np.array([[0.0, -1.0]], np.float32), row, 0, 1, layout)
    np.testing.assert_array_equal(spiked, [[0.0, -np.inf]])


def test_a_layer_is_one_variable_and_a_subset_at_least_one_element():
    gradient, layout = np.ones((1, 2), np.float32), Cliff.layout
    layer = spike(gradient, Row("layer", 1e2), 0, 1, layout)
    np.testing.assert_array_equal(layer, [[1, 100]])
    subset = spike(gradient, Row("subset", 1e2), 0, 1, layout)
    assert sorted(subset[0]) == [1, 100]


def test_a_run_equals_its_twin_until_the_spike_and_freezes_after_it():
    run = Run(Row("aligned", 1e8, "late"), 5, 0.01, 1.0)
    spiked, twin = train(ShortTargets, ADAM, [run, run.twin])
    np.testing.assert_array_equal(spiked.losses[:60], twin.losses[:60])
    assert spiked.losses[61] != twin.losses[61]
    harm = against_twin(run, {run: spiked, run.twin: twin})
    # Adam of beta_2 0.999 moves on by momentum, then hardly at all to the end.
    assert 10 < harm["freeze"] <= 41


def test_every_method_gets_nine_trials():
    assert all(len(set(method.settings(SkewedTargets))) == 9 for method in METHODS)


def test_a_rerun_does_only_what_is_missing_and_gives_the_same(tmp_path, monkeypatch):
    rows = (Row(), Row("aligned", 1e4, "1 %"))
    plan = Plan(ShortTargets, rows, 1, 2)
    run_plan(plan, [ADAM], tmp_path)
    path = tmp_path / "skewed_targets.jsonl"
    whole = path.read_text()
    path.write_text(whole.split("\n")[0] + "\n" + whole.split("\n")[1][:40])
    run_plan(plan, [ADAM], tmp_path)
    before, after = (
        [json.loads(line) | {"seconds": 0} for line in text.splitlines()]
        for text in (whole, path.read_text())
    )
    assert after == before
    monkeypatch.setattr(cells, "report_cells", None)  # calling it would raise
    run_plan(plan, [ADAM], tmp_path)


def test_a_run_that_is_lost_counts_as_diverged_with_the_worst_score(tmp_path):
    plan = Plan(ShortTargets, (Row("aligned", np.inf),), 1, 2)
    run_plan(plan, [ADAM], tmp_path)
    cell = json.loads((tmp_path / "skewed_targets.jsonl").read_text())
    assert cell["clean"]["diverged"] == 1.0
    assert cell["spikes"]["scores"] == [1.0, 1.0]
    assert cell["size"] is None and cell["row"] == "aligned xinf late"


def test_the_command_sets_threads_before_numpy_and_does_without_tensorflow(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    command = [sys.executable, "-c", WATCHED_COMMAND, "--report", "--out", tmp_path]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "False"]
