"""Numbers that depend on the iteration alone."""

import pytest

from settings.optimizer import OptimizerConfig
from training.inputs import ema_decay_at, learning_rate_at


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


def test_an_average_is_half_new_after_its_half_life():
    decay = ema_decay_at(10**9, batch_size=16, half_life_kimg=10, ramp_up=0.05)
    assert decay ** (10_000 / 16) == pytest.approx(0.5)


def test_ramp_up_shortens_the_half_life_to_a_share_of_the_images_seen():
    # After 1,000 iterations of 16 images, 5 % are 800 images, 50 iterations.
    decay = ema_decay_at(1000, batch_size=16, half_life_kimg=10, ramp_up=0.05)
    assert decay**50 == pytest.approx(0.5)
    assert ema_decay_at(0, 16, 10, 0.05) == 0.0
    assert ema_decay_at(0, 16, 10, None) > 0.99
