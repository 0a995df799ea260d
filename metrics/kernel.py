"""The kernel distance (KID) between two sets of features."""

from typing import NamedTuple

import numpy as np

from metrics.statistics import checked_features


class KernelDistance(NamedTuple):
    """The mean and the standard deviation over random subsets.

    The subsets overlap, so `sd` is the spread of single subsets, not an error bar of
    `mean`.
    """

    mean: float
    sd: float


def kernel_distance(
    first: np.ndarray,
    second: np.ndarray,
    *,
    num_subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
) -> KernelDistance:
    """Estimates the squared maximum mean discrepancy of two sets of features.

    The kernel is k(x, y) = (x . y / d + 1)^3 with d features. The estimate is unbiased
    and not clipped: for two samples of one distribution it scatters around 0, and is
    negative about half the time.

    Args:
        first: floating point [count, num_features].
        second: floating point [count, num_features].
        num_subsets: Number of subsets, each drawn without replacement.
        subset_size: Rows drawn from each set, 2 or more.
        seed: Of the draw; equal arguments give equal results.

    Raises:
        ValueError: If the features do not match, or a set is smaller than subset_size.

    References:
        Binkowski et al. 2018, arXiv:1801.01401, equation (4) and section 4.
    """
    first, second = checked_features(first), checked_features(second)
    _check(first, second, num_subsets, subset_size)
    first, second = first.astype(np.float64), second.astype(np.float64)
    # RandomState, because NumPy has frozen its stream of random numbers.
    draw = np.random.RandomState(seed)
    distances = [
        squared_discrepancy(
            first[draw.choice(len(first), subset_size, replace=False)],
            second[draw.choice(len(second), subset_size, replace=False)],
        )
        for _ in range(num_subsets)
    ]
    return KernelDistance(float(np.mean(distances)), float(np.std(distances)))


def squared_discrepancy(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the unbiased estimate from all pairs of rows, float64 [count, d] each.

    Equation (4) of arXiv:1801.01401: no row is paired with itself.
    """
    between = _kernel(first, second).mean()
    return float(_mean_of_pairs(first) + _mean_of_pairs(second) - 2 * between)


def _mean_of_pairs(rows: np.ndarray) -> float:
    kernel = _kernel(rows, rows)
    pairs = len(rows) * (len(rows) - 1)
    return float((kernel.sum() - np.trace(kernel)) / pairs)


def _kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    kernel: np.ndarray = (first @ second.T / first.shape[1] + 1) ** 3
    return kernel


def _check(
    first: np.ndarray, second: np.ndarray, num_subsets: int, subset_size: int
) -> None:
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            "Expected two sets of as many features. "
            f"Received: {list(first.shape)} and {list(second.shape)}"
        )
    if num_subsets < 1:
        raise ValueError(
            f"Expected num_subsets >= 1. Received: num_subsets={num_subsets}"
        )
    smaller = min(len(first), len(second))
    if not 2 <= subset_size <= smaller:
        raise ValueError(
            f"Expected 2 <= subset_size <= {smaller}, the rows of the smaller set. "
            f"Received: subset_size={subset_size}"
        )
