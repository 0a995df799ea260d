"""Numbers that depend on the iteration alone."""

import pytest

from settings.config import Config
from settings.loss import LossConfig
from settings.optimizer import OptimizerConfig
from training.inputs import (
    ema_decay_at,
    gamma_at,
    learning_rate_at,
    penalty_at,
    penalty_share,
)


def rate(iteration, schedule="constant", length=None, final=0.0, warmup=0):
    settings = OptimizerConfig(
        learning_rate=1.0,
        schedule=schedule,
        schedule_iterations=length,
        final_learning_rate=final,
        warmup_iterations=warmup,
    )
    return learning_rate_at(settings, iteration)


def test_a_constant_rate_stays():
    assert [rate(i) for i in (0, 1, 10**6)] == [1.0, 1.0, 1.0]


def test_the_warm_up_rises_in_a_line_to_the_full_rate():
    assert [rate(i, warmup=4) for i in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_a_cosine_falls_from_the_rate_to_the_final_one_and_stays():
    values = [rate(i, "cosine", 110, 0.2, 10) for i in (10, 60, 110, 10**6)]
    assert values == pytest.approx([1.0, 0.6, 0.2, 0.2])


def gammas(iterations, **keys):
    return [gamma_at(LossConfig(**keys), i) for i in iterations]


def test_gamma_is_constant_or_follows_a_cosine_to_its_final_value_and_stays():
    assert gammas((0, 10**6), gamma=3.0) == [3.0, 3.0]
    course = {"gamma": 10.0, "final_gamma": 2.0, "gamma_iterations": 100}
    # Half a cosine is at three quarters of its way after two thirds of its length.
    course_of_60 = course | {"gamma_iterations": 60}
    assert gammas((0, 50, 100, 10**6), **course) == pytest.approx([10, 6, 2, 2])
    assert gammas((40,), **course_of_60) == pytest.approx([4])
    rising = {"gamma": 0.0, "final_gamma": 2.0, "gamma_iterations": 4}
    assert gammas((0, 2, 4), **rising) == pytest.approx([0, 1, 2])


def test_no_penalty_is_computed_where_gamma_is_0():
    def due(**loss):
        every = {"penalty_every_iterations": 1}
        config = Config(run={"name": "tiny"}, loss=every | loss)
        return penalty_share(config), [penalty_at(config, i) for i in (0, 1, 2)]

    falling = {"final_gamma": 0.0, "gamma_iterations": 2}
    assert due() == (1.0, [True, True, True])
    assert due(gamma=0.0) == (0.0, [False, False, False])
    assert due(**falling) == (1.0, [True, True, False])
    rising = {"gamma": 0.0, "final_gamma": 1.0, "gamma_iterations": 1}
    assert due(**rising) == (1.0, [False, True, True])
    assert due(**falling | {"gamma": 0.0}) == (0.0, [False, False, False])


def test_an_average_is_half_new_after_its_half_life():
    decay = ema_decay_at(10**9, batch_size=16, half_life_kimg=10, ramp_up=0.05)
    assert decay ** (10_000 / 16) == pytest.approx(0.5)


def test_ramp_up_shortens_the_half_life_to_a_share_of_the_images_seen():
    # After 1,000 iterations of 16 images, 5 % are 800 images, 50 iterations.
    decay = ema_decay_at(1000, batch_size=16, half_life_kimg=10, ramp_up=0.05)
    assert decay**50 == pytest.approx(0.5)
    assert ema_decay_at(0, 16, 10, 0.05) == 0.0
    assert ema_decay_at(0, 16, 10, None) > 0.99
