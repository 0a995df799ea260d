"""Takes the metrics of a run while it trains."""

import contextlib
import json
from collections.abc import Callable

from data import ImageSet
from metrics import FeaturesError
from metrics.features import Extractor, load_extractor
from records.best import metric_names
from records.run_folder import RunFolder, write_text
from settings.config import Config
from settings.messages import Problem
from settings.metrics import MetricsConfig
from training.measures import (
    Say,
    distances,
    features_of_pictures,
    floor_split,
    load_photographs,
    measured_latents,
)
from training.pictures import Painter

NUM_SUBSETS = 20  # of the kernel distance; KID's own 100 are for evaluate.py
LEAST_PHOTOGRAPHS = 4  # a floor compares two with two


class Meter:
    """Compares pictures of a run with its photographs, few and cheaply."""

    def __init__(self, config: Config, images: ImageSet, say: Say) -> None:
        """Loads the network, and the features of the photographs.

        Args:
            config: Its metrics are on.
            images: The photographs.
            say: Takes a line for people.

        Raises:
            Problem: If the network's weights are missing or wrong, or there are too
                few photographs.
        """
        if images.count < LEAST_PHOTOGRAPHS:
            raise Problem(
                f"metrics.every_iterations\n  expected: null, or {LEAST_PHOTOGRAPHS} "
                f"photographs or more\n  found:    {images.count} photographs"
            )
        self._metrics = config.metrics
        self._extract = build_extractor(config.metrics, config.data.cache_dir, say)
        description = self._extract.description
        self._photographs = load_photographs(images, self._extract, description, say)
        seed = config.metrics.seed
        self._latents = measured_latents(
            seed, config.metrics.num_images, config.model.latent_dim
        )
        chosen, others = floor_split(self._photographs, len(self._latents), seed)
        floor = distances(chosen, others, NUM_SUBSETS, seed)
        self._frechet, self._kernel = metric_names(config.metrics.extractor)
        self._floor = {
            f"metric/{self._frechet}_floor": floor.frechet,
            f"metric/{self._kernel}_floor": floor.kernel,
        }
        self._description = {
            "extractor": description,
            "num_fake": len(self._latents),
            "num_real": images.count,
            "num_floor": len(chosen),
            "num_floor_against": len(others.features),
            "num_subsets": NUM_SUBSETS,
            "seed": seed,
        }

    def describe(self, run: RunFolder, iteration: int) -> None:
        """Writes what the numbers from an iteration on depend on into metrics.json."""
        path, entries = run.metrics, []
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(path.read_text(encoding="utf-8"))
            entries = found if isinstance(found, list) else []
        if not entries or entries[-1].get("settings") != self._description:
            entry = {"after_iteration": iteration, "settings": self._description}
            write_text(path, json.dumps([*entries, entry], indent=2) + "\n")

    def measure(
        self, painter: Painter, is_stopped: Callable[[], bool]
    ) -> dict[str, float] | None:
        """Returns the metrics as they stand in scalars.jsonl, or None if stopped.

        Args:
            painter: With the averaged generator.
            is_stopped: Asked every few pictures.
        """
        features = features_of_pictures(
            painter, self._latents, self._extract, is_stopped
        )
        if features is None:
            return None
        found = distances(features, self._photographs, NUM_SUBSETS, self._metrics.seed)
        return {
            f"metric/{self._frechet}": found.frechet,
            f"metric/{self._kernel}": found.kernel,
            **self._floor,
            "metric/num_images": float(len(features)),
        }


def build_extractor(metrics: MetricsConfig, cache_dir: str, say: Say) -> Extractor:
    """Loads the network whose features are compared.

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
