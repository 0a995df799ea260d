"""Tests the linear probe: by laws, and where the answer is known."""

import numpy as np
import pytest
from scipy.special import softmax

from metrics.probe import (
    NUM_FOLDS,
    Probe,
    cross_validated,
    fitted,
    folds_of,
    read_probes,
    write_probes,
)


def draw(seed=0):
    return np.random.default_rng(seed)


def clusters(num_classes=4, per_class=25, distance=20.0, num_features=6):
    """Returns features float32 and labels of classes apart from each other."""
    labels = np.repeat(np.arange(num_classes), per_class)
    features = draw().normal(size=(len(labels), num_features))
    features[np.arange(len(labels)), labels] += distance
    return features.astype(np.float32), labels


def test_the_fit_is_where_the_loss_is_flat():
    """Bishop 2006, equation 4.109, with the penalty's own slope, in float64."""
    features, labels = clusters(3, 30, distance=1.0)
    probe = fitted(features, labels, 0.05)
    scaled = (features - features.mean(0)) / np.std(features - features.mean(0))
    scaled = np.column_stack([scaled, np.ones(len(scaled))]).astype(np.float64)
    excess = softmax(scaled @ probe.weights.T, axis=1) - np.eye(3)[labels]
    slope = excess.T @ scaled / len(labels)
    slope[:, :-1] += 0.05 * probe.weights[:, :-1]
    assert np.abs(slope).max() < 2e-4
    assert np.abs(probe.weights).max() > 0.1


def test_classes_apart_from_each_other_are_told_apart():
    features, labels = clusters()
    probes = cross_validated(features, labels, draw())
    assert (probes.held_out_ranks == 0).all()
    assert (probes.ranks(features, labels) == 0).all()
    assert probes.ranks(features, labels).shape == (NUM_FOLDS, len(labels))


def test_labels_at_random_are_guessed_no_better_than_by_chance():
    """A probe with as many weights as images fits them, but not those held out."""
    features = draw().normal(size=(400, 300)).astype(np.float32)
    labels = draw(1).permutation(np.repeat(np.arange(4), 100))
    probes = cross_validated(features, labels, draw())
    # 0.25, with a standard deviation of 0.022.
    assert 0.16 < (probes.held_out_ranks == 0).mean() < 0.34
    # Each probe has seen four fifths of them.
    assert (probes.ranks(features, labels) == 0).mean() > 0.5


def test_each_photograph_is_judged_by_the_probe_that_has_not_seen_it():
    features, labels = clusters(3, 20, distance=1.0)
    folds = folds_of(labels, draw(5))
    probes = cross_validated(features, labels, draw(5))
    ranks = probes.ranks(features, labels)
    held_out = ranks[folds, np.arange(len(labels))]
    assert (probes.held_out_ranks == held_out).all()
    for fold in range(1, NUM_FOLDS):
        seen = folds != fold
        alone = fitted(features[seen], labels[seen], probes.penalty)
        assert (alone.weights == probes.probes[fold].weights).all()


def test_the_penalty_suits_the_images():
    features, labels = clusters(2, 100, distance=6.0)
    weakest = cross_validated(features, labels, draw()).penalty
    noise = draw().normal(size=(200, 300)).astype(np.float32)
    assert cross_validated(noise, labels, draw()).penalty > weakest


def test_folds_are_equal_in_size_and_so_is_each_class_in_them():
    labels = draw().permutation(np.repeat(np.arange(10), [5, 6, 7, 8, 9] * 2))
    folds = folds_of(labels, draw())
    sizes = np.bincount(folds)
    assert len(sizes) == NUM_FOLDS and np.ptp(sizes) <= 2
    for label in range(10):
        assert np.ptp(np.bincount(folds[labels == label], minlength=NUM_FOLDS)) <= 1
    assert (folds != folds_of(labels, draw(1))).any()


def test_a_rank_counts_the_classes_that_are_as_likely():
    weights = np.array([[3.0, 0], [1, 0], [2, 0], [2, 0]])  # without biases
    probe = Probe(np.zeros(1, np.float32), 1.0, weights)
    ones = np.ones((4, 1), np.float32)
    assert probe.ranks(ones, np.arange(4)).tolist() == [0, 3, 2, 2]


@pytest.mark.parametrize("scale", [0.0, 1e-3, 1e3])
def test_the_scale_of_features_does_not_matter(scale):
    features, labels = clusters(3, 20, distance=1.0)
    probes = cross_validated(features * scale + 7, labels, draw())
    accuracy = (probes.held_out_ranks == 0).mean()
    assert accuracy == 0 if scale == 0 else accuracy > 0.5


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros(20, int), r"images a class: \[20\]"),
        (np.repeat([0, 1], [16, 4]), r"images a class: \[16, 4\]"),
        (np.repeat([0, 2], 10), r"images a class: \[10, 0, 10\]"),
        (np.repeat([0, 1], 9), "Received: 18 labels"),
    ],
)
def test_labels_that_will_not_do_are_refused(labels, words):
    with pytest.raises(ValueError, match=words):
        cross_validated(np.zeros((20, 3), np.float32), labels, draw())


def test_probes_are_read_as_they_were_written(tmp_path):
    features, labels = clusters(3, 20, distance=1.0)
    probes, path = cross_validated(features, labels, draw()), tmp_path / "probes.npz"
    write_probes(path, probes)
    found = read_probes(path, features, 3)
    assert (found.held_out_ranks == probes.held_out_ranks).all()
    assert found.penalty == probes.penalty
    one, other = (each.ranks(features, labels) for each in (found, probes))
    assert (one == other).all()
    for was, now in zip(probes.probes, found.probes, strict=True):
        assert (was.logits(features) == now.logits(features)).all()


def test_a_file_of_probes_that_will_not_do_is_not_read(tmp_path):
    features, labels = clusters(3, 20, distance=1.0)
    path = tmp_path / "probes.npz"
    assert read_probes(path, features, 3) is None
    write_probes(path, cross_validated(features, labels, draw()))
    assert read_probes(path, features[1:], 3) is None
    assert read_probes(path, features[:, 1:], 3) is None
    assert read_probes(path, features, 4) is None
    whole = path.read_bytes()
    for damage in (b"", b"no probes", whole[:-60], whole[:60]):
        path.write_bytes(damage)
        assert read_probes(path, features, 3) is None
