"""Streaming count, mean and covariance."""

import numpy as np
import pytest

from metrics.statistics import ROWS_AT_ONCE, FeatureStatistics


def test_statistics_agree_with_numpy():
    features = np.random.default_rng(0).normal(3, 2, (ROWS_AT_ONCE + 500, 7))
    statistics = FeatureStatistics.of(features)
    assert statistics.count == len(features)
    np.testing.assert_allclose(statistics.mean, features.mean(0), rtol=1e-13)
    np.testing.assert_allclose(
        statistics.covariance, np.cov(features.T), rtol=1e-11, atol=1e-14
    )


def test_pieces_of_any_size_give_the_statistics_of_the_whole():
    features = np.random.default_rng(1).normal(5, 1, (100, 4))
    pieces = FeatureStatistics(4)
    for first, last in ((0, 1), (1, 1), (1, 40), (40, 99), (99, 100)):
        pieces.update(features[first:last])
    whole = FeatureStatistics.of(features)
    assert pieces.count == 100
    np.testing.assert_allclose(pieces.mean, whole.mean, rtol=1e-14)
    np.testing.assert_allclose(pieces.covariance, whole.covariance, rtol=1e-12)


def test_a_large_common_offset_does_not_spoil_the_covariance():
    """E[x^2] - E[x]^2 has no correct digit here: 1e8 squared is 1 / float64's eps."""
    features = np.random.default_rng(2).normal(0, 1, (5000, 3))
    moved = FeatureStatistics(3)
    for piece in np.array_split(features + 1e8, 7):
        moved.update(piece)
    # Adding 1e8 rounds each number to 1.5e-8.
    np.testing.assert_allclose(moved.covariance, np.cov(features.T), atol=1e-7)


def test_float32_features_are_gathered_in_float64():
    features = np.random.default_rng(3).normal(100, 1, (4000, 3)).astype(np.float32)
    statistics = FeatureStatistics.of(features)
    assert statistics.mean.dtype == statistics.covariance.dtype == np.float64
    np.testing.assert_allclose(
        statistics.covariance, np.cov(features.T.astype(np.float64)), rtol=1e-11
    )


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (np.zeros(3), r"Expected features.*Received: float64 \[3\]"),
        (np.zeros((2, 3), np.uint8), r"Received: uint8 \[2, 3\]"),
        (np.zeros((2, 0)), r"Received: float64 \[2, 0\]"),
        (np.zeros((2, 4)), r"Expected features \[count, 3\]. Received: \[2, 4\]"),
        (np.array([[0, 0, 0], [0, np.nan, 0]]), "in 1 of 2 rows, first in row 1"),
        (np.full((2, 3), np.inf), "in 2 of 2 rows, first in row 0"),
    ],
)
def test_what_is_no_set_of_features_is_refused_and_leaves_no_trace(features, words):
    statistics = FeatureStatistics(3)
    with pytest.raises(ValueError, match=words):
        statistics.update(features)
    assert statistics.count == 0


def test_too_few_rows_for_an_answer_are_named():
    statistics = FeatureStatistics(3)
    with pytest.raises(ValueError, match="of 1 or more rows. Received: 0"):
        _ = statistics.mean
    statistics.update(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="of 2 or more rows. Received: 1"):
        _ = statistics.covariance
    with pytest.raises(ValueError, match="Received: num_features=0"):
        FeatureStatistics(0)
