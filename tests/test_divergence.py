"""Tests when a run is said to diverge: levels out of their own recent range."""

import math

import numpy as np
import pytest
from test_ledger import Run

from settings.config import Config
from training import divergence
from training.divergence import DivergenceWatch, collapse, diverse_until

PATIENCE = 100


class Watched(Run):
    """Made-up iterations that a ledger and a watch look at, as training has them."""

    def __init__(self, patience=PATIENCE):
        super().__init__()
        training = {"divergence_iterations": patience}
        config = Config(run={"name": "made-up"}, training=training)
        self.watch = DivergenceWatch(config, self.state)
        self.random = np.random.default_rng(0)

    def go(self, count, gradient=2.0, loss=1.0, discriminator_gradient=0.5):
        """Iterates with noise; returns the first trouble and how long it took."""
        for done in range(1, count + 1):
            noise = self.random.normal(size=2)
            scalars = {
                "usable/generator": 1.0,
                "usable/discriminator": 1.0,
                "gradient/generator_max": gradient * math.exp(0.5 * noise[0]),
                "gradient/discriminator_max": discriminator_gradient,
                "gradient/generator_nonfinite": 0.0,
                "gradient/discriminator_nonfinite": 0.0,
                "loss/generator": loss + 0.2 * noise[1],
                "loss/discriminator": 0.7,
            }
            self.state.iteration += 1
            self.ledger.rows_of(scalars)
            trouble = self.watch.note(scalars)
            if trouble:
                return done, trouble
        return count, None


@pytest.fixture
def run():
    run = Watched()
    assert run.go(2000)[1] is None
    return run


def test_a_run_as_it_always_is_and_one_that_drifts_are_well(run):
    for gradient, loss in zip(
        np.geomspace(2, 40, 60), np.linspace(1, 4, 60), strict=True
    ):
        assert run.go(100, gradient, loss)[1] is None
    surely = run.state.iteration - divergence.AVERAGING_ITERATIONS
    assert run.watch.good_until() == surely


def test_spikes_and_bursts_of_them_are_no_divergence(run):
    for _ in range(5):
        assert run.go(20, gradient=1e6, loss=1e5)[1] is None
        assert run.go(300)[1] is None


@pytest.mark.parametrize("gradient", [2e3, 2e-3])
def test_gradients_of_another_size_for_long_are_told(run, gradient):
    before, usual = run.state.iteration, run.state.usual_log_gradients[0]
    took, trouble = run.go(2000, gradient=gradient)
    assert PATIENCE < took < 6 * PATIENCE
    assert "the generator's largest gradient has been about" in trouble.what
    assert f"for {PATIENCE} iterations; before it was" in trouble.what
    dragged = run.state.usual_log_gradients[0] - usual
    assert abs(dragged) < 0.3  # of log(1000)
    assert trouble.good_until <= before
    assert trouble.good_until > before - 2 * divergence.AVERAGING_ITERATIONS


def test_gradients_of_zero_are_told(run):
    took, trouble = run.go(500, discriminator_gradient=0.0)
    assert took == PATIENCE
    assert "the discriminator's largest gradient has been about 0 for" in trouble.what


@pytest.mark.parametrize("loss", [8.0, -6.0])
def test_a_loss_far_off_for_long_is_told_before_the_range_follows_it(run, loss):
    before = run.state.iteration
    took, trouble = run.go(2000, loss=loss)
    assert PATIENCE < took < 4 * PATIENCE
    told = float(trouble.what.split("about ")[1].split(" for")[0])
    assert told == pytest.approx(loss, abs=0.5)
    assert trouble.good_until <= before
    usual = run.state.usual_losses[0]
    assert usual == pytest.approx(1.0, abs=0.2)  # not dragged along


def test_what_comes_back_in_time_is_not_told(run):
    assert run.go(120, loss=8.0)[1] is None
    assert run.state.iterations_out.max() > 0
    assert run.go(500)[1] is None
    assert run.state.iterations_out.max() == 0


def test_what_was_accepted_is_usual_from_then_on(run):
    assert run.go(2000, gradient=2e3, loss=8.0)[1] is not None
    run.watch.accept()
    assert run.state.iterations_out.max() == 0
    assert run.go(2000, gradient=2e3, loss=8.0)[1] is None
    assert run.go(2000, gradient=2e3)[1] is not None  # and the old range no more


def test_a_burst_in_the_beginning_does_not_blind_the_watch():
    run = Watched()
    run.go(500)
    run.go(20, loss=1e5)
    assert run.go(1500)[1] is None
    assert run.go(1000, loss=8.0)[1] is not None


def test_a_beginning_is_not_watched_nor_a_run_without_a_limit():
    assert Watched().go(900, gradient=1e3)[1] is None
    run = Watched(patience=None)
    run.go(2000)
    assert run.go(3000, gradient=1e6, loss=99.0)[1] is None


def grids(*diversities):
    """Returns rows of grids, one each ten iterations, amid others."""
    rows = [{"iteration": 5, "loss/generator": 1.0}]
    for place, diversity in enumerate(diversities, 1):
        rows.append({"iteration": 10 * place, "grid/diversity": diversity})
    return rows


def test_a_grid_whose_pictures_become_the_same_is_told_once():
    trouble = collapse(grids(0.1, 0.8, 0.5, 0.05), 40)
    assert "diversity is 0.05, and usually was 0.5" in trouble.what
    assert trouble.good_until == 30
    assert collapse(grids(0.1, 0.8, 0.5, 0.05, 0.02), 50) is None
    assert collapse(grids(0.1, 0.8, 0.5, 0.05), 45) is None  # looked at before
    assert collapse(grids(0.7, 0.8, 0.1, 0.8, 0.1), 50) is not None


def test_one_wild_grid_is_not_what_others_are_held_to():
    assert collapse(grids(0.8, 0.8, 9.0, 0.8), 40) is None
    assert diverse_until(grids(0.8, 0.8, 9.0, 0.8)) == 40


def test_a_grid_that_was_never_diverse_has_not_collapsed():
    assert collapse([], 0) is None
    assert collapse(grids(0.01), 10) is None
    assert collapse(grids(0.01, 0.02, 0.015), 30) is None


def test_all_is_well_until_the_last_diverse_grid():
    assert diverse_until([]) == math.inf
    assert diverse_until(grids(0.01, 0.8, 0.5)) == 30
    assert diverse_until(grids(0.7, 0.8, 0.5, 0.2)) == 30
