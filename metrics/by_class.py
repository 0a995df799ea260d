"""Compares generated images with the photographs of their own class."""

import dataclasses
from pathlib import Path

import numpy as np
from scipy.spatial.distance import pdist

from metrics.kernel import squared_discrepancy
from metrics.probe import (
    CrossValidated,
    cross_validated,
    read_probes,
    write_probes,
)
from metrics.statistics import checked_features

LEAST_PHOTOGRAPHS = 10  # of a class: halves of five for its floor, two in a fold
# Compared at most, so that time and memory have a bound; 294 each of 102 classes.
MOST_IN_ALL, MOST_IN_A_CLASS = 30_000, 1_000
NUM_HALVINGS = 20
FIRST_FIVE = 5


@dataclasses.dataclass(frozen=True)
class PhotographsByClass:
    """What photographs say about their classes, before any image is generated.

    All arrays have an entry for each class that has enough photographs.

    Attributes:
        labels: The classes, int [classes], as they are numbered in the data set.
        features: Those of each class, float32 [photographs, num_features].
        kernel_floor: Root mean square kernel distance of random halves of the class.
            The mean over all halves would be 0, as the distance is unbiased: this is
            the size of what chance does.
        spread: Mean distance of the features of two photographs.
        top_1: Share that is taken for their class by a probe that has not seen them.
        top_5: Share whose class is among the first five.
        probes: The probes.
    """

    labels: np.ndarray
    features: list[np.ndarray]
    kernel_floor: np.ndarray
    spread: np.ndarray
    top_1: np.ndarray
    top_5: np.ndarray
    probes: CrossValidated


@dataclasses.dataclass(frozen=True)
class ImagesByClass:
    """How generated images compare with the photographs of their class.

    All arrays have an entry for each of `PhotographsByClass.labels`.

    Attributes:
        kernel: Unbiased kernel distance of all images to all photographs of the class.
        diversity: Mean distance of the features of two images, over that of two
            photographs: 1 is as diverse, near 0 is one image over and over.
        top_1: Share that a probe takes for their class, a mean over the probes.
        top_5: Share whose class is among the first five.
    """

    kernel: np.ndarray
    diversity: np.ndarray
    top_1: np.ndarray
    top_5: np.ndarray


def enough_photographs(counts: np.ndarray) -> np.ndarray:
    """Returns the classes with LEAST_PHOTOGRAPHS or more, of counts int [classes]."""
    return np.flatnonzero(counts >= LEAST_PHOTOGRAPHS)


def photographs_by_class(
    features: np.ndarray,
    labels: np.ndarray,
    draw: np.random.Generator,
    cache: Path | None = None,
) -> PhotographsByClass:
    """Measures photographs against photographs of their own class.

    Args:
        features: float32 [count, num_features]; may be memory-mapped.
        labels: int [count], from 0.
        draw: Splits classes into folds and halves, and chooses photographs where a
            class has more than are compared.
        cache: The probes' file, for these features, labels and draw alone; it is
            written if it is missing or damaged. None: they are not kept.

    Raises:
        ValueError: If fewer than two classes have enough photographs.
    """
    kept = enough_photographs(np.bincount(labels))
    if len(kept) < 2:
        raise ValueError(
            f"Expected two classes or more with {LEAST_PHOTOGRAPHS} images or more. "
            f"Received: {len(kept)}"
        )
    most = MOST_IN_ALL // len(kept)
    most = min(max(most, LEAST_PHOTOGRAPHS), MOST_IN_A_CLASS)
    chosen = [draw.permutation(np.flatnonzero(labels == one))[:most] for one in kept]
    of_class = [checked_features(features[np.sort(places)]) for places in chosen]
    numbered = np.repeat(np.arange(len(kept)), [len(own) for own in of_class])
    # Drawn before the probes' folds, which are not drawn where the file has them.
    floor = np.array([_kernel_floor(own, draw) for own in of_class])
    whole = np.concatenate(of_class)
    probes = read_probes(cache, whole, len(kept)) if cache else None
    if probes is None:
        probes = cross_validated(whole, numbered, draw)
        if cache:
            write_probes(cache, probes)
    top_1, top_5 = shares(probes.held_out_ranks[None], numbered)
    return PhotographsByClass(
        labels=kept,
        features=of_class,
        kernel_floor=floor,
        spread=np.array([pdist(own).mean() for own in of_class]),
        top_1=top_1,
        top_5=top_5,
        probes=probes,
    )


def images_by_class(
    features: np.ndarray, photographs: PhotographsByClass
) -> ImagesByClass:
    """Measures generated images against the photographs of their class.

    Args:
        features: float32 [classes * images, num_features]: as many images, two or
            more, of each of `photographs.labels`, class after class.
        photographs: To compare with.
    """
    num_classes = len(photographs.labels)
    features = checked_features(features)
    of_class = features.reshape(num_classes, -1, features.shape[1])
    kernel, spread, ranks = [], [], []
    for number, own in enumerate(of_class):
        real = photographs.features[number].astype(np.float64)
        kernel.append(squared_discrepancy(own.astype(np.float64), real))
        spread.append(pdist(own).mean())
        ranks.append(photographs.probes.ranks(own, np.full(len(own), number)))
    numbered = np.repeat(np.arange(num_classes), of_class.shape[1])
    top_1, top_5 = shares(np.concatenate(ranks, axis=1), numbered)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Not finite if the photographs are equal.
        diversity = np.array(spread) / photographs.spread
    return ImagesByClass(np.array(kernel), diversity, top_1, top_5)


def shares(ranks: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the shares of each class with rank 0 and below 5, [classes] each.

    Args:
        ranks: int [probes, count], as from `Probe.ranks`.
        labels: int [count]; each of 0 to the largest occurs.
    """
    counts = np.bincount(labels)
    found = [
        np.bincount(labels, (ranks < limit).mean(0)) / counts
        for limit in (1, FIRST_FIVE)
    ]
    return found[0], found[1]


def _kernel_floor(features: np.ndarray, draw: np.random.Generator) -> float:
    features = features.astype(np.float64)
    middle = len(features) // 2
    found = []
    for _ in range(NUM_HALVINGS):
        order = draw.permutation(len(features))
        halves = features[order[:middle]], features[order[middle:]]
        found.append(squared_discrepancy(*halves))
    return float(np.sqrt(np.square(found).mean()))
