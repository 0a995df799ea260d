"""Nearest neighbours in feature space: fidelity, coverage and copies of a set.

All distances are Euclidean, between features neither normalised nor whitened, as in
the papers below. They are computed in blocks by |a - b|^2 = |a|^2 + |b|^2 - 2 a . b in
float64; two that differ by no more than the rounding of that formula count as equal.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from metrics.statistics import checked_features

# Distances in memory at once: 64 MiB.
BLOCK_ENTRIES = 2**23
# Relative to the largest |a|^2: far above float64's rounding (2e-16 times the few terms
# added), far below the resolution of float32 features.
ROUNDING = 1e-12


class Fidelity(NamedTuple):
    """How far two sets of features lie within each other.

    precision: fraction of the fakes within reach of a real one, in [0, 1].
    recall: fraction of the reals within reach of a fake one, in [0, 1].
    density: mean count of reals reaching a fake, over k, >= 0; about 1 for equal sets.
    coverage: fraction of the reals that reach a fake, in [0, 1].
    """

    precision: float
    recall: float
    density: float
    coverage: float


class Neighbours(NamedTuple):
    """The nearest reference of each query."""

    indices: np.ndarray  # int64 [num_queries]
    distances: np.ndarray  # float64 [num_queries]


def precision_recall_density_coverage(
    real: np.ndarray, fake: np.ndarray, *, k_precision: int = 3, k_density: int = 5
) -> Fidelity:
    """Returns how far the fakes lie among the reals, and the reals among the fakes.

    A point reaches as far as its k-th nearest neighbour in its own set, itself
    excluded. Precision and recall include the surface of that sphere, density and
    coverage do not, as in the authors' programs.

    Args:
        real: floating point [num_real, num_features].
        fake: floating point [num_fake, num_features].
        k_precision: k of precision and recall.
        k_density: k of density and coverage.

    Raises:
        ValueError: If the features do not match, or a set has k rows or fewer.

    References:
        Kynkaanniemi et al. 2019, arXiv:1904.06991 (precision, recall; k = 3).
        Naeem et al. 2020, arXiv:2002.09797 (density, coverage; k = 5).
    """
    real, fake = _centred(real, fake)
    for name, k in (("k_precision", k_precision), ("k_density", k_density)):
        smaller = min(len(real), len(fake))
        if not 1 <= k < smaller:
            raise ValueError(
                f"Expected 1 <= {name} < {smaller}, the rows of the smaller set. "
                f"Received: {name}={k}"
            )
    rounding = _rounding(real, fake)
    real_reach, real_inner = _reaches(real, (k_precision, k_density))
    (fake_reach,) = _reaches(fake, (k_precision,))
    is_precise = np.zeros(len(fake), bool)
    num_recalled = num_reached = num_covered = 0
    for rows, squared in _blocks(real, fake):
        is_precise |= (squared <= real_reach[rows, None] + rounding).any(0)
        num_recalled += (squared <= fake_reach + rounding).any(1).sum()
        is_reached = squared < real_inner[rows, None] - rounding
        num_reached += is_reached.sum()
        num_covered += is_reached.any(1).sum()
    return Fidelity(
        precision=float(is_precise.mean()),
        recall=float(num_recalled / len(real)),
        density=float(num_reached / (k_density * len(fake))),
        coverage=float(num_covered / len(real)),
    )


def nearest_neighbours(queries: np.ndarray, references: np.ndarray) -> Neighbours:
    """Finds the nearest reference of each query, the first if there are several.

    Among the features of training images it finds those that a generated image may be
    a copy of. The distance of two equal rows is exactly 0.

    Args:
        queries: floating point [num_queries, num_features].
        references: floating point [num_references, num_features], one row or more.

    Raises:
        ValueError: If the features do not match, or there are no references.
    """
    queries, references = _centred(queries, references)
    if not len(references):
        raise ValueError("Expected one reference or more. Received: none")
    rounding = _rounding(queries, references)
    indices = np.zeros(len(queries), np.int64)
    for rows, squared in _blocks(queries, references):
        is_nearest = squared <= squared.min(1, keepdims=True) + rounding
        indices[rows] = is_nearest.argmax(1)
    differences = (
        queries[row] - references[index] for row, index in enumerate(indices)
    )
    distances = np.array([np.linalg.norm(each) for each in differences], np.float64)
    return Neighbours(indices, distances)


def _centred(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns both in float64, centred to reduce rounding."""
    first, second = checked_features(first), checked_features(second)
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            "Expected two sets of as many features. "
            f"Received: {list(first.shape)} and {list(second.shape)}"
        )
    first, second = first.astype(np.float64), second.astype(np.float64)
    centre = second.mean(0) if len(second) else 0.0
    return first - centre, second - centre


def _rounding(first: np.ndarray, second: np.ndarray) -> float:
    largest = max(np.square(each).sum(1).max(initial=0) for each in (first, second))
    return float(ROUNDING * largest)


def _blocks(
    first: np.ndarray, second: np.ndarray
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields rows of `first` and their squared distances to all of `second`."""
    lengths = np.square(second).sum(1)
    num_rows = max(1, BLOCK_ENTRIES // max(1, len(second)))
    for start in range(0, len(first), num_rows):
        rows = slice(start, min(start + num_rows, len(first)))
        squared = first[rows] @ second.T
        squared *= -2
        squared += np.square(first[rows]).sum(1)[:, None]
        squared += lengths
        yield rows, squared


def _reaches(points: np.ndarray, ks: tuple[int, ...]) -> np.ndarray:
    """Returns the squared distances to the k-th neighbours, float64 [len(ks), rows]."""
    reaches = np.empty((len(ks), len(points)))
    for rows, squared in _blocks(points, points):
        # The nearest is the point itself, so the k-th other one has index k.
        reaches[:, rows] = np.partition(squared, ks, axis=1)[:, list(ks)].T
    return reaches
