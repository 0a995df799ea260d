"""Losses against values worked out by hand or in NumPy's float64."""

import numpy as np
import pytest

from training.losses import (
    DISCRIMINATOR_LOSSES,
    GENERATOR_LOSSES,
    finite_difference_penalty,
    gradient_penalty,
    verdict_on_reals,
)

REAL = np.array([1.5, -0.5, 0.0], "float32")
FAKE = np.array([-2.0, 0.5, 3.0], "float32")


def softplus(values):
    return np.log1p(np.exp(np.asarray(values, "float64")))


EXPECTED = {
    "relativistic": (softplus(FAKE - REAL).mean(), softplus(REAL - FAKE).mean()),
    "non_saturating": (
        (softplus(-REAL) + softplus(FAKE)).mean(),
        softplus(-FAKE).mean(),
    ),
    # max(0, 1 - real) = 0, 1.5, 1; max(0, 1 + fake) = 0, 1.5, 4
    "hinge": ((0 + 3.0 + 5.0) / 3, -0.5),
    # fake - real = -3.5, 1, 3
    "wasserstein": (0.5 / 3, -0.5),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_both_losses_have_their_values(name):
    discriminator, generator = EXPECTED[name]
    found = float(DISCRIMINATOR_LOSSES[name](REAL, FAKE))
    assert found == pytest.approx(discriminator, rel=1e-6)
    found = float(GENERATOR_LOSSES[name](REAL, FAKE))
    assert found == pytest.approx(generator, rel=1e-6)


@pytest.mark.parametrize("name", EXPECTED)
def test_losses_do_not_grow_with_the_batch(name):
    once = float(DISCRIMINATOR_LOSSES[name](REAL, FAKE))
    twice = float(DISCRIMINATOR_LOSSES[name](np.tile(REAL, 2), np.tile(FAKE, 2)))
    assert once == pytest.approx(twice, rel=1e-6)


def test_the_penalty_is_the_mean_squared_norm():
    gradients = np.zeros((2, 4, 4, 3), "float32")
    gradients[0, 0, 0] = (1, 2, 2)  # squared norm 9
    gradients[1, 3, 3, 0] = 5  # squared norm 25
    assert float(gradient_penalty(gradients)) == pytest.approx(17.0)


def test_a_finite_difference_is_the_mean_square_of_the_slopes():
    logits = np.array([1.0, -2.0], "float32")
    moved = np.array([1.5, -2.25], "float32")
    # Slopes of 0.5 / 0.25 = 2 and -0.25 / 0.25 = -1.
    found = float(finite_difference_penalty(logits, moved, 0.25))
    assert found == pytest.approx((4 + 1) / 2)


@pytest.mark.parametrize("step", [1e-2, 1.0])
def test_for_a_linear_d_finite_differences_are_unbiased_at_any_step(step):
    chance = np.random.default_rng(5)
    weights = chance.standard_normal(12)
    noise = chance.standard_normal((20_000, 12))
    logits = np.full(len(noise), 0.5, "float32")
    moved = (0.5 + step * noise @ weights).astype("float32")
    found = float(finite_difference_penalty(logits, moved, step))
    # (w e)^2 has the variance 2 |w|^4: the mean of 20,000 is within 5 % (5 sigma).
    assert found == pytest.approx(np.sum(weights**2), rel=0.05)


def test_the_verdict_is_the_mean_sign_and_relative_where_the_loss_is():
    assert float(verdict_on_reals("hinge", REAL, FAKE)) == 0.0  # +1, -1, 0
    relative = float(verdict_on_reals("relativistic", REAL, FAKE))  # +1, -1, -1
    assert relative == pytest.approx(-1 / 3)
