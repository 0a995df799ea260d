"""The Frechet distance, against its closed forms."""

import numpy as np
import pytest
import scipy.linalg

from metrics.frechet import frechet_distance
from metrics.statistics import FeatureStatistics

P, Q = np.array([[2, 1], [1, 3]]), np.array([[1, -0.5], [-0.5, 2]])


def statistics_with(mean, covariance):
    """Returns statistics of 2 d rows that have just this mean and covariance."""
    covariance = np.asarray(covariance, np.float64)
    num_features = len(covariance)
    root = np.linalg.cholesky(covariance) * np.sqrt((2 * num_features - 1) / 2)
    return FeatureStatistics.of(np.concatenate([root.T, -root.T]) + np.asarray(mean))


def sample(seed, count, num_features, scale=1.0):
    mixing = np.random.default_rng(99).normal(size=(num_features, num_features))
    rows = np.random.default_rng(seed).normal(size=(count, num_features))
    return scale * rows @ mixing


def test_equal_sets_have_distance_0():
    statistics = FeatureStatistics.of(sample(0, 200, 8))
    assert frechet_distance(statistics, statistics) < 1e-12 * 100  # tr S is 60


def test_a_shift_of_the_mean_costs_its_squared_length():
    features, shift = sample(1, 200, 4), np.array([1, -2, 0.5, 3])
    distance = frechet_distance(
        FeatureStatistics.of(features), FeatureStatistics.of(features + shift)
    )
    assert distance == pytest.approx(1 + 4 + 0.25 + 9, rel=1e-11)


def test_a_wider_set_costs_the_trace_times_the_squared_difference_of_scales():
    features = sample(2, 300, 5)
    features -= features.mean(0)
    distance = frechet_distance(
        FeatureStatistics.of(features), FeatureStatistics.of(3 * features)
    )
    trace = np.trace(np.cov(features.T))
    assert distance == pytest.approx((1 - 3) ** 2 * trace, rel=1e-11)


def test_diagonal_covariances_cost_the_squared_difference_of_their_roots():
    first, second = np.array([1.0, 4, 9]), np.array([4.0, 0.25, 16])
    distance = frechet_distance(
        statistics_with(np.zeros(3), np.diag(first)),
        statistics_with(np.zeros(3), np.diag(second)),
    )
    assert distance == pytest.approx(1 + 2.25 + 1, rel=1e-12)


def test_one_dimension_by_hand():
    """N(0, 1) and N(3, 4): (0 - 3)^2 + (1 - 2)^2."""
    distance = frechet_distance(
        statistics_with([0], [[1]]), statistics_with([3], [[4]])
    )
    assert distance == pytest.approx(10, rel=1e-12)


def test_covariances_that_do_not_commute():
    distance = frechet_distance(statistics_with([0, 0], P), statistics_with([0, 0], Q))
    determinants = np.sqrt(np.linalg.det(P) * np.linalg.det(Q))
    root = np.sqrt(np.trace(P @ Q) + 2 * determinants)
    by_hand = np.trace(P) + np.trace(Q) - 2 * root
    assert by_hand == pytest.approx(0.8122104140, abs=1e-10)
    assert distance == pytest.approx(by_hand, rel=1e-11)


def test_turning_both_sets_changes_nothing():
    first, second = sample(3, 400, 6), sample(4, 300, 6, 1.3) ** 2
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(6, 6)))[0]
    plain, turned = (
        frechet_distance(FeatureStatistics.of(a), FeatureStatistics.of(b))
        for a, b in ((first, second), (first @ turn, second @ turn))
    )
    assert turned == pytest.approx(plain, rel=1e-11)


def test_the_order_of_the_sets_does_not_matter():
    first, second = (
        FeatureStatistics.of(sample(6, 90, 6)),
        FeatureStatistics.of(sample(7, 80, 6, 2)),
    )
    there, back = frechet_distance(first, second), frechet_distance(second, first)
    assert there == pytest.approx(back, rel=1e-11)


@pytest.mark.parametrize("num_features", [3, 20])
def test_it_agrees_with_scipys_matrix_root(num_features):
    first, second = sample(8, 200, num_features), sample(9, 150, num_features, 1.7)
    covariances = np.cov(first.T), np.cov(second.T)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    shift = np.square(first.mean(0) - second.mean(0)).sum()
    expected = shift + np.trace(covariances[0] + covariances[1] - 2 * root)
    distance = frechet_distance(
        FeatureStatistics.of(first), FeatureStatistics.of(second)
    )
    assert distance == pytest.approx(expected, rel=1e-9)


def test_fewer_rows_than_features_agree_with_the_nuclear_norm():
    """tr (S1 S2)^(1/2) is the nuclear norm of A B' / sqrt((n - 1) (m - 1))."""
    first, second = sample(10, 30, 100), sample(11, 40, 100, 1.5) + 0.2
    centred = first - first.mean(0), second - second.mean(0)
    norm = np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False).sum()
    spread = sum(np.trace(np.cov(each.T)) for each in (first, second))
    shift = np.square(first.mean(0) - second.mean(0)).sum()
    expected = shift + spread - 2 * norm / np.sqrt(29 * 39)
    distance = frechet_distance(
        FeatureStatistics.of(first), FeatureStatistics.of(second)
    )
    # The roots of the 70 eigenvalues that should be 0 are of the order 1e-8.
    assert distance == pytest.approx(expected, rel=1e-6)


def test_statistics_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="of as many features. Received: 2 and 3"):
        frechet_distance(FeatureStatistics(2), FeatureStatistics(3))
    with pytest.raises(ValueError, match="2 or more rows. Received: 0"):
        frechet_distance(FeatureStatistics(2), FeatureStatistics(2))
