"""Measures how far a generator's pictures are from the photographs.

Photographs are compared as the networks see them, unmirrored; pictures are rounded to
bytes first. The features of the photographs are kept in the cache.
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Callable

import numpy as np

from data import ImageSet
from gallery.grids import written_aside
from metrics import FeatureStatistics, frechet_distance, kernel_distance
from training.chance import generator_at, latents_of
from training.pictures import Painter

Extract = Callable[[np.ndarray], np.ndarray]
Say = Callable[[str], None]

IMAGES_AT_ONCE = 64  # made and looked at
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


@dataclasses.dataclass(frozen=True)
class Photographs:
    """Features of a run's photographs.

    Attributes:
        features: float32 [count, num_features], on disk.
        statistics: Their mean and covariance.
    """

    features: np.ndarray
    statistics: FeatureStatistics


def load_photographs(
    images: ImageSet, extract: Extract, description: dict, say: Say
) -> Photographs:
    """Returns the features of all photographs, from the cache if they are there.

    Args:
        images: The photographs; the features are kept beside their file.
        extract: Maps uint8 [n, size, size, 3] to float32 [n, num_features].
        description: All that the features depend on but the photographs.
        say: Takes a line for people.
    """
    told = json.dumps([images.fingerprint, description], sort_keys=True)
    key = hashlib.sha256(told.encode()).hexdigest()[:NUM_DIGITS]
    path = images.path.parent / f"features-{key}.npy"
    features = _cached(path, images.count)
    if features is None:
        say(f"features of {images.count} photographs, once: {path}")
        features = features_of(images.images, extract)
        with written_aside(path) as aside, open(aside, "wb") as file:
            np.save(file, features)
        features = np.load(path, mmap_mode="r")
    return Photographs(features, statistics_of(features))


def _cached(path: pathlib.Path, count: int) -> np.ndarray | None:
    """Returns the features in a file, None if it is missing or damaged."""
    try:
        features = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    is_whole = features.ndim == 2 and len(features) == count
    return features if is_whole else None


def features_of(images: np.ndarray, extract: Extract) -> np.ndarray:
    """Returns the features of images that need not fit into memory together."""
    parts = range(0, len(images), IMAGES_AT_ONCE)
    return np.concatenate(
        [extract(np.asarray(images[i : i + IMAGES_AT_ONCE])) for i in parts]
    )


def features_of_pictures(
    painter: Painter,
    latents: np.ndarray,
    extract: Extract,
    is_stopped: Callable[[], bool] = lambda: False,
) -> np.ndarray | None:
    """Makes pictures, a few at a time, and returns their features.

    Args:
        painter: With the generator.
        latents: float32 [count, latent_dim].
        extract: As for `load_photographs`.
        is_stopped: Asked between a few pictures and the next.

    Returns:
        float32 [count, num_features], or None if it was stopped.
    """
    features = []
    for i in range(0, len(latents), IMAGES_AT_ONCE):
        if is_stopped():
            return None
        features.append(extract(painter.images_of(latents[i : i + IMAGES_AT_ONCE])))
    return np.concatenate(features)


def statistics_of(features: np.ndarray) -> FeatureStatistics:
    """Returns mean and covariance of features [count, num_features]."""
    statistics = FeatureStatistics(features.shape[1])
    for part in np.array_split(features, -(-len(features) // LARGEST_SUBSET)):
        statistics.update(part)
    return statistics


def distances(
    features: np.ndarray, reference: Photographs, num_subsets: int, seed: int
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


def subset_size(features: np.ndarray, reference: Photographs) -> int:
    """Returns how large the subsets of a kernel distance are."""
    return min(LARGEST_SUBSET, len(features), len(reference.features))


def floor_split(
    photographs: Photographs, num_images: int, seed: int
) -> tuple[np.ndarray, Photographs]:
    """Splits photographs in two that are compared for the floor of every metric.

    It says what is as good as photographs; a value taken against all photographs,
    more than are left here, may come a little below it.

    Args:
        photographs: All of them; 4 or more.
        num_images: As many as pictures are compared, so that the bias is the same;
            at most half of the photographs are taken.
        seed: Of the choice.

    Returns:
        Features of the chosen ones, and the other photographs.
    """
    features = photographs.features
    count = min(num_images, len(features) // 2)
    order = generator_at(seed, 0, 0, "metric floor").permutation(len(features))
    others = features[np.sort(order[count:])]
    return features[np.sort(order[:count])], Photographs(others, statistics_of(others))


def measured_latents(seed: int, count: int, latent_dim: int) -> np.ndarray:
    """Returns the latents of the pictures that are measured, [count, latent_dim]."""
    return latents_of(seed, count, latent_dim, "metric latents")
