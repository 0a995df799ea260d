"""The Frechet distance between two sets of features."""

import numpy as np

from metrics.statistics import FeatureStatistics


def frechet_distance(first: FeatureStatistics, second: FeatureStatistics) -> float:
    """Returns the squared Frechet distance, 0 or more, of two normal distributions.

        d = |m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2))

    with means m and covariances S. S1 S2 has the eigenvalues of R S2 R, where R is the
    symmetric square root of S1. R S2 R is symmetric, so both decompositions are real,
    and a negative eigenvalue is rounding. No root of a product is taken, so singular
    covariances (fewer rows than features) need no special case.

    The result is FID if the features are those of the 2015 Inception network. It falls
    with the number of rows: compare equal counts only (arXiv:1911.07023).

    Raises:
        ValueError: If the numbers of features differ, or one has fewer than two rows.

    References:
        Heusel et al. 2017, arXiv:1706.08500, equation (6).
    """
    if first.num_features != second.num_features:
        raise ValueError(
            "Expected two statistics of as many features. "
            f"Received: {first.num_features} and {second.num_features}"
        )
    one, other = first.covariance, second.covariance
    shift = np.square(first.mean - second.mean).sum()
    spread = np.trace(one) + np.trace(other) - 2 * _trace_of_root(one, other)
    return max(0.0, float(shift + spread))  # negative only by rounding


def _trace_of_root(one: np.ndarray, other: np.ndarray) -> float:
    """Returns tr((S1 S2)^(1/2)) of two covariances."""
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = root @ other @ root
    # eigvalsh reads one triangle; rounding makes the two differ.
    eigenvalues = np.linalg.eigvalsh((product + product.T) / 2)
    return float(np.sqrt(np.maximum(eigenvalues, 0)).sum())
