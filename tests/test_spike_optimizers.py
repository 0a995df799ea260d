"""The spike benchmark's NumPy optimizers against Keras' and the shipped classes."""

import functools

import keras
import numpy as np
import pytest

import optim
from benchmarks.spikes import optimizers as rules
from benchmarks.spikes.gan_optimizers import UsualClipAdam, ZClipAdam

LAYOUT = rules.Layout(np.array([6, 2]), np.array([3, 3, 1, 1]))
LEARNING_RATE = 0.01
# float32 on both sides, 40 steps of 0.01: measured below 3e-7.
TOLERANCE = 2e-6


def gradients_with_a_spike():
    """Returns float32 [40, 8] of many sizes, the 20th times 1e4."""
    chance = np.random.default_rng(3)
    gradients = chance.standard_normal((40, 8)) * np.logspace(-4, 0, 8)
    gradients[20] *= 1e4
    return gradients.astype(np.float32)


def weights_by_rules(chain, gradients, threshold=1.0):
    """Returns the weights after all gradients, from ones."""
    weights, state = np.ones((1, 8), np.float32), {}
    for number, gradient in enumerate(gradients, start=1):
        direction = gradient[None]
        column = np.full((1, 1), threshold, np.float32)
        step = rules.Step(number, weights, column, LAYOUT)
        for rule in chain:
            direction, state = rule(direction, state, step)
        weights = weights - np.float32(LEARNING_RATE) * direction
    return weights[0]


def weights_by_keras(optimizer, gradients):
    """Returns the same, the weights being variables of 6 and of 2 elements."""
    variables = [keras.Variable(np.ones(n, np.float32)) for n in (6, 2)]
    optimizer.build(variables)
    for gradient in gradients:
        pieces = [keras.ops.convert_to_tensor(p) for p in np.split(gradient, [6])]
        optimizer.apply(pieces, variables)
    return np.concatenate([v.numpy() for v in variables])


def adam_with(**arguments):
    """Returns Keras' Adam with the benchmark's epsilon."""
    return keras.optimizers.Adam(LEARNING_RATE, epsilon=1e-30, **arguments)


PAIRS = {
    "adam": ([rules.adam], lambda: adam_with()),
    "adam .9": (
        [functools.partial(rules.adam, beta_2=0.9)],
        lambda: adam_with(beta_2=0.9),
    ),
    "clipnorm": ([rules.clip_norm, rules.adam], lambda: adam_with(clipnorm=0.1)),
    "clipvalue": ([rules.clip_value, rules.adam], lambda: adam_with(clipvalue=0.1)),
    "global_clipnorm": (
        [rules.clip_global_norm, rules.adam],
        lambda: adam_with(global_clipnorm=0.1),
    ),
    "lion": ([rules.lion], lambda: keras.optimizers.Lion(LEARNING_RATE)),
    "sgd": ([rules.sgd], lambda: keras.optimizers.SGD(LEARNING_RATE, momentum=0.9)),
    "log_adam": (
        [functools.partial(rules.damp_at, None), rules.adam],
        lambda: optim.LogAdam(LEARNING_RATE, epsilon=1e-30, damping_scale=0.1),
    ),
    "log_sgd": (
        [functools.partial(rules.damp_at, None), rules.sgd],
        lambda: optim.LogSGD(LEARNING_RATE, momentum=0.9, damping_scale=0.1),
    ),
    "usual_size": (
        [rules.clip_usual, rules.adam],
        lambda: UsualClipAdam(LEARNING_RATE, epsilon=1e-30),
    ),
    "log_lion": (
        [functools.partial(rules.damp_at, None), rules.lion],
        lambda: optim.LogLion(LEARNING_RATE, damping_scale=0.1),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_rule_equals_the_keras_class(name):
    chain, build = PAIRS[name]
    gradients = gradients_with_a_spike()
    ours = weights_by_rules(chain, gradients, threshold=0.1)
    theirs = weights_by_keras(build(), gradients)
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)


def test_z_clip_equals_its_rule_where_it_clips():
    chance = np.random.default_rng(4)
    gradients = chance.standard_normal((60, 8)).astype(np.float32)
    gradients[[30, 40, 41, 55]] *= np.array([[4], [1e4], [20], [1e4]], np.float32)
    ours = weights_by_rules([rules.clip_z_score, rules.adam], gradients, threshold=2.0)
    keys = {"epsilon": 1e-30, "threshold": 2.0}
    theirs = weights_by_keras(ZClipAdam(LEARNING_RATE, **keys), gradients)
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)
    unclipped = weights_by_rules([rules.adam], gradients)
    assert np.abs(ours - unclipped).max() > 0.01


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20, 0.01, 100.0])
def test_the_adaptive_knee_does_not_see_the_scale_of_the_loss(scale):
    chain, gradients = [rules.damp_adaptively, rules.adam], gradients_with_a_spike()
    usual = weights_by_rules(chain, gradients)
    scaled = weights_by_rules(chain, gradients * np.float32(scale))
    np.testing.assert_allclose(scaled, usual, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("size", [1e4, 1e8, 1e20])
def test_a_spike_that_is_damped_adaptively_arrives_below_five_usual_gradients(size):
    gradients = np.ones((200, 8), np.float32)
    gradients[150] *= np.float32(size)
    state, damped = {}, None
    for number, gradient in enumerate(gradients[:151], start=1):
        step = rules.Step(number, None, None, LAYOUT)
        damped, state = rules.damp_adaptively(gradient[None], state, step)
    assert 1 < damped.max() < 5
    assert state["usual_size"].max() < 1.7  # 1e20 to the power 0.01 is 1.58


@pytest.mark.parametrize("size", [1e4, 1e20])
def test_a_spike_that_is_clipped_at_its_usual_size_arrives_as_three(size):
    gradients = np.ones((200, 8), np.float32)
    gradients[150] *= np.float32(size)
    state, passed = {}, []
    for number, gradient in enumerate(gradients[:151], start=1):
        step = rules.Step(number, None, None, LAYOUT)
        clipped, state = rules.clip_usual(gradient[None], state, step)
        passed.append(clipped)
    assert not passed[0].any()
    np.testing.assert_allclose(passed[149], 1, rtol=1e-6)
    np.testing.assert_allclose(passed[150], 3, rtol=1e-5)


def test_rows_of_zeros_and_the_first_gradient_leave_no_nan():
    gradients = np.zeros((5, 8), np.float32)
    gradients[2:, :6] = [1e-30, 0, 0, 0, 0, 1e30]
    state = {}
    for number, gradient in enumerate(gradients, start=1):
        step = rules.Step(number, None, None, LAYOUT)
        damped, state = rules.damp_adaptively(gradient[None], state, step)
        assert np.isfinite(damped).all()
        assert number > 3 or not damped.any()
    assert damped[0, 5] > 0 and state["usual_size"][0, 1] == 0


def test_the_z_score_brings_an_outlier_near_the_mean():
    chance = np.random.default_rng(0)
    gradients = 1 + 0.1 * chance.standard_normal((60, 8)).astype(np.float32)
    gradients[50] *= 1e4
    state = {}
    for number, gradient in enumerate(gradients[:51], start=1):
        step = rules.Step(number, None, np.full((1, 1), 2.5), LAYOUT)
        passed, state = rules.clip_z_score(gradient[None], state, step)
    assert np.linalg.norm(passed) == pytest.approx(np.sqrt(8), rel=0.1)


def test_unit_clipping_shortens_each_unit_to_a_share_of_its_weights():
    step = rules.Step(1, np.ones((1, 8)), np.full((1, 1), 0.1), LAYOUT)
    passed, _ = rules.clip_unit_norm(np.full((1, 8), 5, np.float32), {}, step)
    # Units of 3 weights of norm sqrt(3), and of one weight of norm 1.
    np.testing.assert_allclose(passed, 0.1, rtol=1e-6)


def test_spam_forgets_its_moments():
    state, ones = {}, np.ones((1, 8), np.float32)
    for number in range(1, 502):
        step = rules.Step(number, None, np.full((1, 1), 5000.0), LAYOUT)
        direction, state = rules.spam(ones, state, step)
    # One gradient after the forgetting, at the start of the cosine.
    np.testing.assert_allclose(state["v"], 1e-3, rtol=1e-4)  # 1 - .999 in float32
    assert direction.max() < 1e-3
