"""Draws are functions of their position; each image is read once an epoch."""

import numpy as np
import pytest

from training.chance import (
    HALVES,
    PURPOSES,
    generator_at,
    image_indices_at,
    latents_of,
    noise_at,
    penalty_noise_at,
)


def same_noise(left, right):
    return all(np.array_equal(*pair) for pair in zip(left, right, strict=True))


def test_draws_are_functions_of_seed_rollbacks_and_iteration():
    def draw(seed=3, rollbacks=0, iteration=41):
        return noise_at(seed, rollbacks, iteration, 4, 8, 6, horizontal_flip=True)

    first = draw()
    assert first.latents.shape == (HALVES, 4, 8)
    assert first.real_uniforms.shape == first.fake_uniforms.shape == (HALVES, 4, 6)
    for iteration in range(5):
        draw(iteration=iteration)
    np.random.seed(1)
    assert same_noise(draw(), first)
    others = [draw(seed=4), draw(rollbacks=1), draw(iteration=42)]
    for other in others:
        assert not np.array_equal(other.latents, first.latents)
        assert not np.array_equal(other.real_uniforms, first.real_uniforms)
        assert not np.array_equal(other.fake_uniforms, first.fake_uniforms)
    flips = [draw(iteration=iteration).flips for iteration in range(250)]
    # 2,000 fair coins: within 5 standard deviations of one half.
    assert abs(np.mean(flips) - 0.5) < 5 * 0.5 / np.sqrt(2000)
    assert not noise_at(3, 0, 41, 4, 8, 6, horizontal_flip=False).flips.any()


def test_draws_of_one_iteration_do_not_depend_on_each_other():
    # The latents stay when an augmentation is added, and so on.
    wide = noise_at(3, 0, 41, 4, 16, 9, horizontal_flip=False)
    few, more = (noise_at(3, 0, 41, 4, 8, count, True) for count in (0, 9))
    assert np.array_equal(wide.real_uniforms, more.real_uniforms)
    assert np.array_equal(wide.fake_uniforms, more.fake_uniforms)
    assert np.array_equal(few.latents, more.latents)
    assert np.array_equal(few.flips, more.flips)
    halves = more.latents.reshape(HALVES, -1)
    assert not np.array_equal(halves[0], halves[1])
    uniforms = [*more.real_uniforms, *more.fake_uniforms]
    assert len({array.tobytes() for array in uniforms}) == 2 * HALVES


def test_the_noise_of_penalties_is_normal_and_a_function_of_its_position():
    noise = penalty_noise_at(3, 0, 41, 2, 32)
    assert (noise.shape, noise.dtype) == ((4, 32, 32, 3), np.float32)
    # 12,288 draws: within 5 standard deviations of their moments.
    assert abs(noise.mean()) < 5 / np.sqrt(noise.size)
    assert abs(np.square(noise).mean() - 1) < 5 * np.sqrt(2 / noise.size)
    assert np.array_equal(noise, penalty_noise_at(3, 0, 41, 2, 32))
    for other in ((4, 0, 41), (3, 1, 41), (3, 0, 42)):
        assert not np.array_equal(noise, penalty_noise_at(*other, 2, 32))


@pytest.mark.parametrize(("count", "batch_size"), [(64, 4), (10, 4), (7, 4), (3, 8)])
def test_each_image_is_read_once_an_epoch_also_by_batches_on_its_edge(
    count, batch_size
):
    num_iterations = 3 * count
    read = [
        image_indices_at(5, 0, iteration, batch_size, count)
        for iteration in range(num_iterations)
    ]
    assert read[0].shape == (HALVES, batch_size)
    epochs = np.concatenate([indices.ravel() for indices in read]).reshape(-1, count)
    for epoch in epochs:
        assert sorted(epoch) == list(range(count))
    orders = {tuple(epoch) for epoch in epochs}
    assert len(orders) > 0.5 * min(len(epochs), 6)  # 3 images have 6 orders
    if count == 64:
        assert len(orders) == len(epochs)


def test_the_batch_of_an_iteration_needs_none_of_those_before():
    forward = [image_indices_at(5, 0, k, 4, 10) for k in range(50)]
    backward = [image_indices_at(5, 0, k, 4, 10) for k in reversed(range(50))]
    assert np.array_equal(forward, backward[::-1])
    far = image_indices_at(5, 0, 10**9, 4, 10)
    assert np.array_equal(far, image_indices_at(5, 0, 10**9, 4, 10))
    for other in (image_indices_at(6, 0, 0, 4, 64), image_indices_at(5, 1, 0, 4, 64)):
        assert not np.array_equal(other, image_indices_at(5, 0, 0, 4, 64))


def test_purposes_do_not_share_their_draws():
    draws = {generator_at(3, 0, 41, purpose).random() for purpose in PURPOSES}
    assert len(draws) == len(PURPOSES)
    assert len({*PURPOSES.values()}) == len(PURPOSES)


def test_more_latents_begin_with_the_fewer():
    few, more = (latents_of(3, count, 8, "grid latents") for count in (5, 64))
    assert more.shape == (64, 8)
    assert more.dtype == np.float32
    assert np.array_equal(few, more[:5])
    assert not np.array_equal(more, latents_of(3, 64, 8, "generated latents"))
