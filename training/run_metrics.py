"""Measures the metrics of a run while it trains.

Photographs are compared as the networks see them, unmirrored; generated images are
rounded to bytes first.
"""

import json
from collections.abc import Callable, Iterator

import numpy as np

from data import ImageSet
from files.atomic import write_text
from metrics.comparison import (
    IMAGES_AT_ONCE,
    Extract,
    Reference,
    distances,
    floor_split,
    load_reference,
)
from metrics.errors import FeaturesError
from metrics.extractor import Extractor
from metrics.features import load_extractor
from metrics.networks import FEATURE_NETWORKS
from records.descriptions import read_descriptions
from records.run_folder import RunFolder
from settings.config import Config
from settings.messages import Problem, say
from settings.metrics import MetricsConfig
from training.chance import generator_at, latents_of
from training.pictures import Painter, class_weights

NUM_SUBSETS = 20  # of the kernel distance; KID's own 100 are for evaluate.py
LEAST_PHOTOGRAPHS = 4  # a floor compares two with two


class RunMetrics:
    """Compares a few generated images with the photographs, cheaply."""

    def __init__(self, config: Config, images: ImageSet) -> None:
        """Loads the extractor and the features of the photographs.

        Raises:
            Problem: If the extractor's weights are missing or wrong, or there are too
                few photographs.
        """
        if images.count < LEAST_PHOTOGRAPHS:
            raise Problem(
                f"metrics.every_iterations\n  expected: null, or {LEAST_PHOTOGRAPHS} "
                f"photographs or more\n  found:    {images.count} photographs"
            )
        metrics = self._metrics = config.metrics
        self._extract = build_extractor(metrics, config.data.cache_dir)
        self._reference = reference_of(images, self._extract)
        self._latents = measured_latents(
            metrics.seed, metrics.num_images, config.model.latent_dim
        )
        labels = measured_labels(images, metrics.seed, metrics.num_images)
        self._classes = class_weights(labels, config.model.num_classes)
        chosen, others = measured_floor(
            self._reference, len(self._latents), metrics.seed
        )
        floor = distances(chosen, others, NUM_SUBSETS, metrics.seed)
        self._network = FEATURE_NETWORKS[metrics.extractor]
        self._floor = {
            f"metric/{self._network.frechet}_floor": floor.frechet,
            f"metric/{self._network.kernel}_floor": floor.kernel,
        }
        self._description = {
            "extractor": self._extract.description,
            "num_fake": len(self._latents),
            "num_real": images.count,
            "num_floor": len(chosen),
            "num_floor_against": len(others.features),
            "num_subsets": NUM_SUBSETS,
            "seed": metrics.seed,
        }

    def write_description(self, run: RunFolder, iteration: int) -> None:
        """Writes the settings of the metrics from now on to metrics.json."""
        path, entries = run.metrics, read_descriptions(run.metrics)
        if not entries or entries[-1].get("settings") != self._description:
            entry = {"after_iteration": iteration, "settings": self._description}
            write_text(path, json.dumps([*entries, entry], indent=2) + "\n")

    def measure(
        self, painter: Painter, is_stopped: Callable[[], bool]
    ) -> dict[str, float] | None:
        """Returns the metrics for scalars.jsonl, or None if stopped.

        `painter` is of the averaged generator; `is_stopped` is called every few images.
        """
        parts = []
        for part in in_parts(len(self._latents)):
            if is_stopped():
                return None
            classes = None if self._classes is None else self._classes[part]
            images = painter.images_of(self._latents[part], classes)
            parts.append(self._extract(images))
        features = np.concatenate(parts)
        found = distances(features, self._reference, NUM_SUBSETS, self._metrics.seed)
        return {
            f"metric/{self._network.frechet}": found.frechet,
            f"metric/{self._network.kernel}": found.kernel,
            **self._floor,
            "metric/num_images": float(len(features)),
        }


def build_extractor(metrics: MetricsConfig, cache_dir: str) -> Extractor:
    """Loads the network that extracts the features.

    Raises:
        Problem: If its weights are missing or wrong.
    """
    try:
        return load_extractor(
            metrics.extractor,
            weights=metrics.weights,
            cache_dir=cache_dir,
            resize=metrics.resize,
            say=say,
        )
    except FeaturesError as error:
        raise Problem(str(error)) from error


def reference_of(
    images: ImageSet, extractor: Extractor, extract: Extract | None = None
) -> Reference:
    """Returns the photographs' features, which are cached next to the photographs.

    `extract` is called in place of the extractor, to show progress.
    """
    identity = [images.pixel_fingerprint, extractor.description]
    folder = images.path.parent
    return load_reference(images.images, folder, identity, extract or extractor, say)


def measured_latents(seed: int, count: int, latent_dim: int) -> np.ndarray:
    """Returns the latents of the images to measure, [count, latent_dim]."""
    return latents_of(seed, count, latent_dim, "metric latents")


def measured_labels(images: ImageSet, seed: int, count: int) -> np.ndarray:
    """Returns the classes of the images to measure, int [count]; zeros if none.

    They are those of photographs drawn at random, so that each class is as frequent as
    among the photographs.
    """
    if images.classes is None:
        return np.zeros(count, np.int32)
    draw = generator_at(seed, 0, 0, "metric labels")
    return images.classes.labels[draw.integers(images.count, size=count)]


def measured_floor(
    reference: Reference, num_images: int, seed: int
) -> tuple[np.ndarray, Reference]:
    """Splits the photographs for the floor, by `floor_split`."""
    return floor_split(reference, num_images, generator_at(seed, 0, 0, "metric floor"))


def in_parts(count: int) -> Iterator[slice]:
    """Yields the places of `count` images in parts of up to `IMAGES_AT_ONCE`."""
    for first in range(0, count, IMAGES_AT_ONCE):
        yield slice(first, first + IMAGES_AT_ONCE)
