"""Precision, recall, density, coverage and nearest neighbours."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import metrics.neighbours
from metrics.neighbours import nearest_neighbours, precision_recall_density_coverage


def normal(seed, count, num_features=4):
    return np.random.default_rng(seed).normal(size=(count, num_features))


def written_out(real, fake, k_precision, k_density):
    """Returns the four numbers from whole matrices of distances."""

    def reach(points, k):
        return np.sort(cdist(points, points), axis=1)[:, k]

    between = cdist(real, fake)
    is_reached = between < reach(real, k_density)[:, None]
    return (
        (between <= reach(real, k_precision)[:, None]).any(0).mean(),
        (between <= reach(fake, k_precision)).any(1).mean(),
        is_reached.sum(0).mean() / k_density,
        is_reached.any(1).mean(),
    )


def test_equal_sets_give_1_throughout():
    features = normal(0, 100)
    result = precision_recall_density_coverage(features, features)
    assert result == (1, 1, 1, 1)


def test_the_order_of_rows_does_not_matter():
    features = normal(0, 100) + 1000
    shuffled = np.random.default_rng(1).permutation(features)
    result = precision_recall_density_coverage(features, shuffled)
    assert result == (1, 1, 1, 1)


def test_sets_apart_from_each_other_give_0_throughout():
    result = precision_recall_density_coverage(normal(1, 50), normal(2, 60) + 100)
    assert result == (0, 0, 0, 0)


def test_fakes_that_repeat_10_reals_are_precise_but_recall_nothing_else():
    real = normal(3, 1000)
    fake = np.repeat(real[:10], 100, axis=0)
    result = precision_recall_density_coverage(real, fake)
    assert (result.precision, result.recall) == (1, 0.01)


def test_fakes_on_the_sphere_of_a_real_one_are_precise():
    """Reals that repeat reach no farther than themselves."""
    fake = normal(3, 1000)
    real = np.repeat(fake[:10], 100, axis=0)
    result = precision_recall_density_coverage(real, fake)
    assert (result.precision, result.recall) == (0.01, 1)
    assert (result.density, result.coverage) == (0, 0)


def test_the_four_numbers_agree_with_the_definitions_written_out(monkeypatch):
    monkeypatch.setattr(metrics.neighbours, "BLOCK_ENTRIES", 1000)  # many blocks
    real, fake = normal(4, 130), 1.3 * normal(5, 90) + 0.3
    result = precision_recall_density_coverage(real, fake, k_precision=2, k_density=4)
    expected = written_out(real, fake, 2, 4)
    assert result == pytest.approx(expected, rel=1e-12)
    assert len({0, 1, *expected}) == 6  # none is trivial, no two are equal


def test_the_usual_k_are_3_and_5():
    real, fake = normal(6, 80), normal(7, 80) + 0.5
    result = precision_recall_density_coverage(real, fake)
    assert result == pytest.approx(written_out(real, fake, 3, 5), rel=1e-12)


def test_no_block_of_distances_is_larger_than_allowed(monkeypatch):
    monkeypatch.setattr(metrics.neighbours, "BLOCK_ENTRIES", 700)
    blocks = metrics.neighbours._blocks(normal(8, 30), normal(9, 60))
    shapes = [squared.shape for _, squared in blocks]
    assert shapes == [(11, 60), (11, 60), (8, 60)]


@pytest.mark.parametrize("entries", [2**23, 500])
def test_nearest_neighbours_agree_with_scipy(monkeypatch, entries):
    monkeypatch.setattr(metrics.neighbours, "BLOCK_ENTRIES", entries)
    queries, references = normal(10, 40) + 50, normal(11, 70) + 50
    indices, distances = nearest_neighbours(queries, references)
    matrix = cdist(queries, references)
    assert indices.tolist() == matrix.argmin(1).tolist()
    np.testing.assert_allclose(distances, matrix.min(1), rtol=1e-12)


def test_copies_have_distance_exactly_0_and_the_first_one_is_named():
    references = normal(12, 50).astype(np.float32) + 30
    references[33] = references[20]
    indices, distances = nearest_neighbours(references[[33, 7, 20]], references)
    assert indices.tolist() == [20, 7, 20]
    assert distances.tolist() == [0, 0, 0]


def test_rounding_does_not_choose_among_references_at_one_distance():
    """Permutations of a vector are as far from 0 as it is, but for rounding."""
    vector, draw = normal(15, 1, 50)[0] + 3, np.random.default_rng(16)
    references = np.array([draw.permutation(vector) for _ in range(30)])
    for _ in range(10):
        references = draw.permutation(references)
        indices, _ = nearest_neighbours(np.zeros((3, 50)), references)
        assert indices.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("k", "words"),
    [
        ({"k_precision": 10}, "k_precision < 10, .*Received: k_precision=10"),
        ({"k_density": 0}, "Expected 1 <= k_density.*Received: k_density=0"),
    ],
)
def test_a_k_that_has_no_neighbour_is_refused(k, words):
    with pytest.raises(ValueError, match=words):
        precision_recall_density_coverage(normal(13, 10), normal(14, 20), **k)


def test_features_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"Received: \[9, 4\] and \[9, 3\]"):
        precision_recall_density_coverage(normal(0, 9), normal(0, 9, 3))
    with pytest.raises(ValueError, match="Expected one reference or more"):
        nearest_neighbours(normal(0, 9), normal(0, 0))
