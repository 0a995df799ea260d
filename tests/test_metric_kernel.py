"""The kernel distance, against its closed forms."""

import itertools

import numpy as np
import pytest

from metrics.kernel import kernel_distance


def normal(seed, count, num_features, scale=1.0):
    return np.random.default_rng(seed).normal(0, scale, (count, num_features))


def distance_of_all(first, second):
    """Returns the distance from every row of two sets of one size."""
    return kernel_distance(first, second, num_subsets=1, subset_size=len(first)).mean


def averaged(pairs):
    """Returns mean and standard error of independent estimates."""
    estimates = [distance_of_all(first, second) for first, second in pairs]
    return np.mean(estimates), np.std(estimates) / np.sqrt(len(estimates) - 1)


def test_zeros_against_ones_is_7():
    """k(0, 0) + k(1, 1) - 2 k(0, 1) = 1 + 8 - 2."""
    result = kernel_distance(
        np.zeros((10, 1)), np.ones((20, 1)), num_subsets=3, subset_size=5
    )
    assert result == (7, 0)


def test_a_set_against_itself_is_negative_and_not_clipped():
    """-(2 / m) (mean of the kernel's diagonal - mean of the rest)."""
    features = normal(0, 40, 6)
    kernel = (features @ features.T / 6 + 1) ** 3
    diagonal = np.trace(kernel) / 40
    rest = (kernel.sum() - np.trace(kernel)) / (40 * 39)
    expected = -2 / 40 * (diagonal - rest)
    assert expected < 0
    assert distance_of_all(features, features) == pytest.approx(expected, rel=1e-11)


def test_it_is_the_sum_over_pairs_written_out():
    first, second = normal(1, 6, 3), normal(2, 6, 3) + 1

    def kernel(x, y):
        return (sum(a * b for a, b in zip(x, y, strict=True)) / 3 + 1) ** 3

    within = sum(
        kernel(rows[i], rows[j])
        for rows in (first, second)
        for i, j in itertools.permutations(range(6), 2)
    )
    between = sum(kernel(x, y) for x in first for y in second)
    expected = within / (6 * 5) - 2 * between / 36
    assert distance_of_all(first, second) == pytest.approx(expected, rel=1e-12)


def test_the_expected_distance_of_normals_of_two_widths():
    """N(0, s^2 I) and N(0, t^2 I): 3 (s^2 - t^2)^2 / d."""
    mean, error = averaged(
        (normal(2 * i, 250, 4), normal(2 * i + 1, 250, 4, 2)) for i in range(60)
    )
    assert abs(mean - 3 * 9 / 4) < 4 * error < 1


def test_the_expected_distance_of_shifted_normals():
    """With mu = 0.5 in each of 8 features it is 1.1171875."""
    d, q = 8, 8 * 0.25
    xx, xy = 1 + 3 / d, 1 + 3 * (d + q) / d**2
    yy = 1 + 3 * q / d + 3 * (d + 2 * q + q**2) / d**2
    yy += (q**3 + 3 * q * (2 * q + d) + 6 * q) / d**3
    assert xx + yy - 2 * xy == 1.1171875
    mean, error = averaged(
        (normal(2 * i, 250, d), normal(2 * i + 1, 250, d) + 0.5) for i in range(60)
    )
    assert abs(mean - 1.1171875) < 4 * error < 0.2


def test_two_samples_of_one_distribution_lie_around_0():
    mean, error = averaged(
        (normal(2 * i, 200, 5), normal(2 * i + 1, 200, 5)) for i in range(60)
    )
    assert abs(mean) < 4 * error < 0.1


def test_subsets_are_drawn_without_replacement_and_by_the_seed():
    first, second = normal(3, 60, 4), normal(4, 50, 4)
    some = kernel_distance(first, second, num_subsets=5, subset_size=30, seed=1)
    again = kernel_distance(first, second, num_subsets=5, subset_size=30, seed=1)
    other = kernel_distance(first, second, num_subsets=5, subset_size=30, seed=2)
    assert some == again != other
    # All rows without replacement leave nothing to chance.
    every = kernel_distance(first[:50], second, num_subsets=5, subset_size=50)
    assert every.sd < 1e-12 < some.sd


def test_mean_and_sd_are_those_of_the_subsets():
    first, second = normal(5, 60, 4), normal(6, 60, 4)
    draw = np.random.RandomState(7)
    expected = []
    for _ in range(4):
        x = first[draw.choice(60, 20, replace=False)]
        y = second[draw.choice(60, 20, replace=False)]
        expected.append(distance_of_all(x, y))
    result = kernel_distance(first, second, num_subsets=4, subset_size=20, seed=7)
    assert result == pytest.approx((np.mean(expected), np.std(expected)), rel=1e-12)


def test_float32_features_are_multiplied_in_float64():
    first, second = (normal(i, 100, 4).astype(np.float32) * 300 for i in (8, 9))
    exact = distance_of_all(first.astype(np.float64), second.astype(np.float64))
    assert distance_of_all(first, second) == exact


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"subset_size": 31}, r"subset_size <= 30, .*Received: subset_size=31"),
        ({"subset_size": 1}, r"Expected 2 <= subset_size.*Received: subset_size=1"),
        ({"num_subsets": 0, "subset_size": 9}, "num_subsets >= 1. Received:.*=0"),
        ({}, "Received: subset_size=1000"),
    ],
)
def test_subsets_that_cannot_be_drawn_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        kernel_distance(np.zeros((40, 2)), np.zeros((30, 2)), **arguments)


def test_features_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"Received: \[3, 2\] and \[3, 4\]"):
        kernel_distance(np.zeros((3, 2)), np.zeros((3, 4)), subset_size=2)
    with pytest.raises(ValueError, match="Expected finite features"):
        kernel_distance(np.full((3, 2), np.nan), np.zeros((3, 2)), subset_size=2)
