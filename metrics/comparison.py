"""Compares sets of images by their features: generated ones with photographs."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from files.atomic import written_aside
from metrics.frechet import frechet_distance
from metrics.kernel import kernel_distance
from metrics.statistics import FeatureStatistics

Extract = Callable[[np.ndarray], np.ndarray]

IMAGES_AT_ONCE = 64
LARGEST_SUBSET = 1000  # KID's own (arXiv:1801.01401)
NUM_DIGITS = 12  # of a key in a file name


@dataclasses.dataclass(frozen=True)
class Distances:
    """How far two sets of images are from each other.

    Attributes:
        frechet: Frechet distance of their features, 0 or more.
        kernel: Mean unbiased kernel distance of subsets; may be below 0.
        kernel_sd: Its standard deviation over the subsets, which overlap.
    """

    frechet: float
    kernel: float
    kernel_sd: float


class Reference:
    """What generated images are compared with.

    Attributes:
        features: float32 [count, num_features], on disk where there are many.
        statistics: Their mean and covariance.
    """

    def __init__(self, features: np.ndarray) -> None:
        """Takes the features of the photographs."""
        self.features = features
        self.statistics = statistics_of(features)


def load_reference(
    images: np.ndarray,
    folder: Path,
    identity: object,
    extract: Extract,
    say: Callable[[str], None],
) -> Reference:
    """Returns the features of photographs, from a file if it is there.

    Args:
        images: uint8 [count, size, size, 3]; they need not fit into memory.
        folder: Where the file is kept.
        identity: JSON of all that the features depend on; tells the file from others.
        extract: Maps uint8 [n, size, size, 3] to float32 [n, num_features].
        say: Takes a line for people.
    """
    told = json.dumps(identity, sort_keys=True)
    key = hashlib.sha256(told.encode()).hexdigest()[:NUM_DIGITS]
    path = folder / f"features-{key}.npy"
    features = _cached(path, len(images))
    if features is None:
        say(f"features of {len(images)} photographs, once: {path}")
        parts = range(0, len(images), IMAGES_AT_ONCE)
        features = np.concatenate(
            [extract(np.asarray(images[i : i + IMAGES_AT_ONCE])) for i in parts]
        )
        with written_aside(path) as aside, open(aside, "wb") as file:
            np.save(file, features)
        features = np.load(path, mmap_mode="r")
    return Reference(features)


def _cached(path: Path, count: int) -> np.ndarray | None:
    """Returns the features in a file, None if it is missing or damaged."""
    try:
        features = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    is_whole = features.ndim == 2 and len(features) == count
    return features if is_whole else None


def statistics_of(features: np.ndarray) -> FeatureStatistics:
    """Returns mean and covariance of features [count, num_features]."""
    statistics = FeatureStatistics(features.shape[1])
    for part in np.array_split(features, -(-len(features) // LARGEST_SUBSET)):
        statistics.update(part)
    return statistics


def distances(
    features: np.ndarray, reference: Reference, num_subsets: int, seed: int
) -> Distances:
    """Returns the distances of features [count, num_features] to photographs."""
    kernel = kernel_distance(
        features,
        reference.features,
        num_subsets=num_subsets,
        subset_size=subset_size(features, reference),
        seed=seed,
    )
    frechet = frechet_distance(statistics_of(features), reference.statistics)
    return Distances(frechet, kernel.mean, kernel.sd)


def subset_size(features: np.ndarray, reference: Reference) -> int:
    """Returns how large the subsets of a kernel distance are."""
    return min(LARGEST_SUBSET, len(features), len(reference.features))


def floor_split(
    reference: Reference, num_images: int, draw: np.random.Generator
) -> tuple[np.ndarray, Reference]:
    """Splits photographs in two that are compared for the floor of every metric.

    It says what is as good as photographs; a value taken against all photographs,
    more than are left here, may come a little below it.

    Args:
        reference: All photographs; 4 or more.
        num_images: As many as generated images are compared, so that the bias is the
            same; at most half of the photographs are taken.
        draw: Chooses them.

    Returns:
        Features of the chosen ones, and the other photographs.
    """
    features = reference.features
    count = min(num_images, len(features) // 2)
    order = draw.permutation(len(features))
    others = features[np.sort(order[count:])]
    return features[np.sort(order[:count])], Reference(others)
