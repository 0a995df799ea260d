"""Tests the metrics of each class: by laws, and where the answer is known."""

import itertools

import numpy as np
import pytest

import metrics.by_class
from metrics.by_class import (
    LEAST_PHOTOGRAPHS,
    images_by_class,
    photographs_by_class,
    shares,
)
from metrics.kernel import squared_discrepancy

SIZES = (40, 30, 60, 50)
NUM_FEATURES = 8
PER_CLASS = 200


def draw(seed=0):
    return np.random.default_rng(seed)


def images(label, count, seed, shift=0.0, spread=1.0):
    """Returns features of a class: normal, around a centre of its own."""
    features = spread * draw(seed).normal(size=(count, NUM_FEATURES))
    features[:, label] += 9.0
    features[:, -1] += shift
    return features.astype(np.float32)


@pytest.fixture(scope="module")
def photographs():
    """Returns photographs of four classes, in random order."""
    features = [images(label, count, label) for label, count in enumerate(SIZES)]
    labels = np.repeat(np.arange(len(SIZES)), SIZES)
    order = draw().permutation(len(labels))
    return photographs_by_class(np.concatenate(features)[order], labels[order], draw())


def generated(**of_class_2):
    """Returns images as the photographs are, but for those of class 2."""
    changes = [{}, {}, of_class_2, {}]
    return np.concatenate(
        [images(c, PER_CLASS, 10 + c, **more) for c, more in enumerate(changes)]
    )


def test_images_like_the_photographs_are_within_their_floor(photographs):
    found = images_by_class(generated(), photographs)
    assert (np.abs(found.kernel) < 3 * photographs.kernel_floor).all()
    assert found.diversity == pytest.approx(np.ones(4), abs=0.1)
    assert (found.top_1 == 1).all() and (photographs.top_1 == 1).all()


def test_a_shifted_class_is_found_by_its_kernel_distance(photographs):
    found = images_by_class(generated(shift=3.0), photographs)
    is_far = found.kernel > 5 * photographs.kernel_floor
    assert is_far.tolist() == [False, False, True, False]


def test_a_class_of_one_image_is_found_by_its_diversity(photographs):
    found = images_by_class(generated(spread=0.01), photographs)
    assert found.diversity[2] == pytest.approx(0.01, abs=0.002)
    assert found.diversity[[0, 1, 3]] == pytest.approx(np.ones(3), abs=0.1)


def test_images_of_another_class_are_found_by_the_probe(photographs):
    other = np.concatenate([images(c, 10, 20 + c) for c in (0, 1, 3, 3)])
    found = images_by_class(other, photographs)
    assert found.top_1.tolist() == [1, 1, 0, 1]
    assert found.top_5.tolist() == [1, 1, 1, 1]  # there are four classes


def test_the_kernel_distance_is_of_all_images_to_all_of_the_class(photographs):
    fakes = generated(shift=1.0)
    found = images_by_class(fakes, photographs)
    own = fakes[2 * PER_CLASS : 3 * PER_CLASS].astype(np.float64)
    real = images(2, SIZES[2], 2).astype(np.float64)
    assert found.kernel[2] == pytest.approx(squared_discrepancy(own, real), rel=1e-9)


def test_the_floor_is_the_spread_of_a_mean_of_zero():
    """Over all halves of a set, the mean of the unbiased distance is exactly 0."""
    features = draw().normal(size=(6, 3))
    halves = itertools.combinations(range(6), 3)
    found = [
        squared_discrepancy(features[list(half)], np.delete(features, half, 0))
        for half in halves
    ]
    assert np.mean(found) == pytest.approx(0, abs=1e-12)
    estimates = [
        metrics.by_class._kernel_floor(features, draw(seed)) for seed in range(50)
    ]
    assert np.mean(np.square(estimates)) == pytest.approx(np.var(found), rel=0.1)


def test_classes_with_few_photographs_are_left_out():
    counts = (20, LEAST_PHOTOGRAPHS - 1, LEAST_PHOTOGRAPHS)
    features = [images(label, count, label) for label, count in enumerate(counts)]
    labels = np.repeat(np.arange(3), counts)
    found = photographs_by_class(np.concatenate(features), labels, draw())
    assert found.labels.tolist() == [0, 2]
    assert [len(own) for own in found.features] == [20, LEAST_PHOTOGRAPHS]
    fakes = np.concatenate([images(label, 5, 30) for label in (0, 2)])
    assert (images_by_class(fakes, found).top_1 == 1).all()


def test_of_many_photographs_some_are_compared(monkeypatch):
    monkeypatch.setattr(metrics.by_class, "MOST_IN_ALL", 80)
    features = np.concatenate([images(label, 60, label) for label in range(4)])
    found = photographs_by_class(features, np.repeat(np.arange(4), 60), draw())
    assert [len(own) for own in found.features] == [20, 20, 20, 20]
    for label, own in enumerate(found.features):
        known = images(label, 60, label).tolist()
        assert all(row in known for row in own.tolist())
        assert own.tolist() != known[:20]


def test_the_same_draw_gives_the_same_numbers():
    features = np.concatenate([images(label, 30, label) for label in range(3)])
    labels = np.repeat(np.arange(3), 30)
    one, other = (photographs_by_class(features, labels, draw(4)) for _ in range(2))
    assert (one.kernel_floor == other.kernel_floor).all()
    assert (one.probes.held_out_ranks == other.probes.held_out_ranks).all()


def test_shares_are_of_each_class_and_a_mean_over_the_probes():
    ranks = np.array([[0, 4, 5, 0], [0, 0, 9, 1]])
    top_1, top_5 = shares(ranks, np.array([0, 0, 1, 1]))
    assert top_1.tolist() == [0.75, 0.25]
    assert top_5.tolist() == [1, 0.5]


def test_photographs_that_are_all_the_same_have_no_diversity():
    features = np.repeat(np.eye(2, NUM_FEATURES, dtype=np.float32), 20, axis=0)
    labels = np.repeat([0, 1], 20)
    found = photographs_by_class(features, labels, draw())
    assert not np.isfinite(images_by_class(features, found).diversity).any()


def test_one_class_with_enough_photographs_is_refused():
    features = np.zeros((30, 3), np.float32)
    with pytest.raises(ValueError, match="two classes or more with 10 .* Received: 1"):
        photographs_by_class(features, np.repeat([0, 1], [25, 5]), draw())
