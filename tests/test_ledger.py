"""Tests the spike ledger: what counts as a spike, and when a loss has recovered."""

import contextlib
import io
import math

import numpy as np
import pytest
from tiny_run import TINY, assert_same_run, rows_in, train_here, write_config

from optim import spikes
from optim.spikes import RECENT_LOSSES, SPIKE_FACTOR, WARM_UP_STEPS
from training.ledger import Ledger
from training.state import State

NO_NETWORKS = dict.fromkeys(
    [
        "generator",
        "discriminator",
        "ema_generator",
        "generator_optimizer",
        "discriminator_optimizer",
        "augment_probability",
        "real_sign_sum",
    ]
)


class Run:
    """Iterations whose gradients and losses a test makes up."""

    def __init__(self):
        self.state = State(**NO_NETWORKS)
        self.rows = []
        self.ledger = Ledger(self.state, [])

    def iterate(self, count=1, gradient=2.0, loss=1.0, usable=1.0, nonfinite=0.0):
        """Iterates alike; the discriminator stays as it always is."""
        scalars = {
            "usable/generator": usable,
            "usable/discriminator": 1.0,
            "gradient/generator_max": gradient,
            "gradient/generator_max_damped": 0.01,
            "gradient/generator_above_knee": 0.25,
            "gradient/generator_nonfinite": nonfinite,
            "gradient/discriminator_max": 0.5,
            "gradient/discriminator_nonfinite": 0.0,
            "loss/generator": loss,
            "loss/discriminator": 0.7,
        }
        new = []
        for _ in range(count):
            self.state.iteration += 1
            new += self.ledger.rows_of(scalars)
        self.rows += new
        return new


@pytest.fixture
def run():
    run = Run()
    assert run.iterate(WARM_UP_STEPS) == []
    return run


def test_a_spike_is_far_above_the_usual_gradient(run):
    assert run.iterate(gradient=2.0 * SPIKE_FACTOR * 0.999) == []
    (row,) = run.iterate(gradient=2.0 * SPIKE_FACTOR * 1.2, loss=5.0)
    assert row["iteration"] == WARM_UP_STEPS + 2
    assert (row["network"], row["skipped"]) == ("generator", False)
    assert row["largest_finite"] == 2.0 * SPIKE_FACTOR * 1.2
    # The first gradient moved the mean of logarithms by a hundredth of log 30.
    assert row["usual"] == pytest.approx(
        2.0 * math.exp(0.01 * math.log(29.97)), rel=1e-6
    )
    assert row["times_usual"] == pytest.approx(row["largest_finite"] / row["usual"])
    assert (row["damped_to"], row["above_knee"]) == (0.01, 0.25)
    assert (row["loss_before"], row["loss"]) == (1.0, 5.0)


def test_nothing_is_usual_before_the_warm_up():
    run = Run()
    assert run.iterate(WARM_UP_STEPS // 2) == []
    assert run.iterate(gradient=1e9) == []


def test_the_usual_gradient_is_a_geometric_mean():
    run = Run()
    for _ in range(50):
        run.iterate(gradient=1.0)
        run.iterate(gradient=4.0)
    assert math.exp(run.state.log_gradients[0]) == pytest.approx(2.0)


@pytest.mark.parametrize("size", [1e3, 1e20, 3e38])
def test_no_spike_drags_the_usual_gradient_along(run, size):
    run.iterate(gradient=size)
    usual = math.exp(run.state.log_gradients[0])
    assert usual == pytest.approx(2.0 * SPIKE_FACTOR**0.01)
    run.iterate(500)
    assert math.exp(run.state.log_gradients[0]) == pytest.approx(2.0, rel=1e-3)


def test_a_scale_that_has_changed_for_good_becomes_the_usual_one(run):
    rows = run.iterate(2000, gradient=1000.0)
    assert len([row for row in rows if "usual" in row]) < 200
    assert math.exp(run.state.log_gradients[0]) == pytest.approx(1000.0, rel=1e-2)


def test_a_gradient_of_zero_changes_nothing(run):
    run.iterate(10, gradient=0.0)
    assert run.state.log_gradients[0] == pytest.approx(math.log(2.0))


def test_a_loss_has_recovered_when_its_median_is_back_within_a_tenth(run):
    (spike,) = run.iterate(gradient=1e5, loss=3e4)
    assert run.iterate(20, loss=1.2) == []
    assert run.iterate(RECENT_LOSSES // 2, loss=1.05) == []
    (row,) = run.iterate(loss=1.05)  # the fifth of nine
    assert row == {
        "iteration": run.state.iteration,
        "network": "generator",
        "recovered_from": spike["iteration"],
        "after_iterations": 20 + RECENT_LOSSES // 2 + 1,
        "recent_loss": 1.05,
    }
    assert run.iterate(50) == []


def test_a_loss_that_was_never_away_has_recovered_as_soon_as_one_can_tell(run):
    run.iterate(gradient=1e5, loss=1.0)
    (row,) = run.iterate(30)
    assert row["after_iterations"] == RECENT_LOSSES // 2 + 1


def test_losses_that_are_not_finite_stay_out_of_what_is_compared(run):
    run.iterate(RECENT_LOSSES, loss=math.inf)
    (spike,) = run.iterate(gradient=1e5, loss=2.0)
    assert spike["loss_before"] == 1.0


def test_a_burst_is_over_when_the_loss_is_what_it_was_before_the_first_spike(run):
    run.iterate(6, gradient=1e5, loss=3e4)
    spikes = [row for row in run.rows if "loss_before" in row]
    assert [row["loss_before"] for row in spikes] == [1.0] * 6
    assert run.iterate(9, loss=500.0) == []
    recovered = run.iterate(9)
    assert len(recovered) == 6
    assert len({row["iteration"] for row in recovered}) == 1
    (later,) = run.iterate(gradient=1e5, loss=2.0)
    assert later["loss_before"] == 1.0


def test_a_negative_loss_recovers_too(run):
    run.iterate(RECENT_LOSSES, loss=-2.0)
    run.iterate(gradient=1e5, loss=9.0)
    assert run.iterate(RECENT_LOSSES, loss=-1.7) == []
    assert run.iterate(RECENT_LOSSES, loss=-1.85)[0]["recovered_from"]


def test_a_skipped_gradient_is_in_the_ledger_even_in_the_warm_up():
    run = Run()
    (row,) = run.iterate(usable=0.0, nonfinite=3.0, gradient=7.0)
    assert row == {
        "iteration": 1,
        "network": "generator",
        "skipped": True,
        "largest_finite": 7.0,
        "not_finite": 3,
    }
    assert run.state.averaged_iterations == 0


def test_a_continued_run_finds_what_the_unbroken_one_does(run):
    run.iterate(gradient=1e5, loss=50.0)
    run.iterate(3, loss=2.0)
    run.ledger = Ledger(run.state, list(run.rows))
    (row,) = run.iterate(20)
    assert row["recovered_from"] == WARM_UP_STEPS + 1
    run.ledger = Ledger(run.state, list(run.rows))
    assert run.iterate(20) == []


def test_a_spike_of_a_discriminator_is_no_spike_of_the_generator(run):
    scalars_of = run.ledger.rows_of
    run.ledger.rows_of = lambda scalars: scalars_of(
        scalars | {"gradient/discriminator_max": 100.0, "loss/discriminator": np.inf}
    )
    (row,) = run.iterate()
    assert row["network"] == "discriminator"
    assert "loss" not in row and "damped_to" not in row


SPIKE = {"iteration": 14, "network": "generator", "factor": 1e6}


def prepare(folder, monkeypatch):
    """Prepares a run of 24 iterations with a spike, usual gradients known after 10."""
    write_config(
        folder,
        data={"num_images": 64},
        debug={"inject_spikes": [SPIKE]},
        optimizer={"name": "log_adam", "damping_scale": 1e-3},
        training=TINY["training"]
        | {
            "total_iterations": 24,
            "log_every_iterations": 8,
            "sample_every_iterations": 100,
        },
    )
    monkeypatch.chdir(folder)
    monkeypatch.setattr(spikes, "WARM_UP_STEPS", 10)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run with a spike that was not stopped; and what it said."""
    folder = tmp_path_factory.mktemp("whole")
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as monkeypatch:
        prepare(folder, monkeypatch)
        with contextlib.redirect_stdout(said):
            assert train_here() == 0
    return folder, said.getvalue()


def test_a_spike_in_training_is_told_logged_and_in_the_ledger(whole):
    folder, said = whole
    spike, recovery = rows_in(folder, "spikes.jsonl")
    assert (spike["iteration"], spike["network"]) == (14, "generator")
    assert not spike["skipped"]
    assert spike["times_usual"] > 1e4
    assert 1e-3 < spike["damped_to"] < 1
    assert spike["above_knee"] > 0.5
    assert recovery["recovered_from"] == 14
    logged = {row["iteration"]: row for row in rows_in(folder, "scalars.jsonl")}
    assert sorted(logged) == [8, 14, 16, 24]
    assert logged[14]["spike/generator"] == spike["times_usual"]
    assert "spike/generator" not in logged[8]
    assert "spike at 14: generator gradient" in said
    assert f"x{spike['times_usual']:,.0f} the usual; damped to" in said


@pytest.mark.parametrize("stop", [pytest.param(13, marks=pytest.mark.slow), 15])
def test_a_run_stopped_beside_a_spike_has_the_ledger_of_the_unbroken_one(
    whole, tmp_path, monkeypatch, stop
):
    prepare(tmp_path, monkeypatch)
    with monkeypatch.context() as patched:
        # No grid at the stop, which the unbroken run would not have.
        patched.setattr("training.output.Output.write_grid", lambda *_: ("none", {}))
        assert train_here("--set", f"training.total_iterations={stop}") == 0
    assert train_here() == 0
    assert_same_run(whole[0], tmp_path, 24)


@pytest.mark.slow  # two runs with XLA
def test_a_run_with_an_adaptive_knee_survives_a_spike_and_resumes_exactly(
    tmp_path, monkeypatch
):
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
        prepare(tmp_path / name, monkeypatch)
        adaptive = ("--set", "optimizer.damping_scale=adaptive")
        if name == "broken":
            monkeypatch.setattr(
                "training.output.Output.write_grid", lambda *_: ("none", {})
            )
            assert train_here(*adaptive, "--set", "training.total_iterations=13") == 0
            monkeypatch.undo()
            prepare(tmp_path / name, monkeypatch)
        assert train_here(*adaptive) == 0
    assert_same_run(tmp_path / "whole", tmp_path / "broken", 24)
    spike, recovery = rows_in(tmp_path / "whole", "spikes.jsonl")
    assert spike["damped_to"] < 100 * spike["usual"]
    assert recovery["recovered_from"] == spike["iteration"]
