"""Compares the features of generated images with those of photographs."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from files.atomic import remove_abandoned, written_aside
from metrics.frechet import frechet_distance
from metrics.kernel import kernel_distance
from metrics.statistics import FeatureStatistics

Extract = Callable[[np.ndarray], np.ndarray]

IMAGES_AT_ONCE = 64  # passed to the extractor
LARGEST_SUBSET = 1000  # as in KID (arXiv:1801.01401)
NUM_DIGITS = 12  # of the key in a file name


@dataclasses.dataclass(frozen=True)
class Distances:
    """The distances between two sets of images.

    Attributes:
        frechet: Frechet distance of their features, 0 or more.
        kernel: Mean unbiased kernel distance over subsets; may be negative.
        kernel_sd: Its standard deviation over the subsets, which overlap.
    """

    frechet: float
    kernel: float
    kernel_sd: float


class Reference:
    """The photographs that generated images are compared with.

    Attributes:
        features: float32 [count, num_features], memory-mapped by `load_reference`.
        statistics: Their mean and covariance.
    """

    def __init__(self, features: np.ndarray) -> None:
        self.features = features
        self.statistics = statistics_of(features)


class Images(Protocol):
    """Images that need not fit into memory, uint8 [count, size, size, 3]."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: slice, /) -> np.ndarray: ...


def load_reference(
    images: Images,
    folder: Path,
    identity: object,
    extract: Extract,
    say: Callable[[str], None],
) -> Reference:
    """Returns the features of photographs, from the cached file if there is one.

    Args:
        images: The photographs.
        folder: Folder of the cached file.
        identity: JSON value of all that the features depend on; names the file.
        extract: Maps uint8 [n, size, size, 3] to float32 [n, num_features].
        say: Receives a message for the user.
    """
    told = json.dumps(identity, sort_keys=True)
    key = hashlib.sha256(told.encode()).hexdigest()[:NUM_DIGITS]
    path = folder / f"features-{key}.npy"
    features = _cached(path, len(images))
    if features is None:
        remove_abandoned(folder)
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
    """Returns the mean and covariance of features [count, num_features]."""
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
    """Returns the subset size of the kernel distance."""
    return min(LARGEST_SUBSET, len(features), len(reference.features))


def floor_split(
    reference: Reference, num_images: int, draw: np.random.Generator
) -> tuple[np.ndarray, Reference]:
    """Splits the photographs into two parts whose distance is every metric's floor.

    A value at the floor is as good as photographs. A value measured against all
    photographs, more than remain here, may be slightly below it.

    Args:
        reference: All photographs; 4 or more.
        num_images: Number of generated images, for the same bias; at most half of the
            photographs are taken.
        draw: Chooses them.

    Returns:
        The features of those taken, and the other photographs.
    """
    features = reference.features
    count = min(num_images, len(features) // 2)
    order = draw.permutation(len(features))
    others = features[np.sort(order[count:])]
    return features[np.sort(order[:count])], Reference(others)
