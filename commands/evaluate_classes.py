"""What a metric card says of each class, of a run that knows classes."""

import hashlib
import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from commands.chosen import Chosen
from commands.evaluate_options import EvaluateOptions
from data import ImageSet
from metrics.by_class import (
    LEAST_PHOTOGRAPHS,
    ImagesByClass,
    PhotographsByClass,
    enough_photographs,
    images_by_class,
    photographs_by_class,
)
from metrics.comparison import NUM_DIGITS, Reference
from metrics.extractor import Extractor
from metrics.probe import NUM_FOLDS, PENALTIES
from settings.messages import say
from training.chance import generator_at, latents_of

MANY_CLASSES = 20  # above it, the first five are worth a number

# Maps latents [count, latent_dim] and labels [count] to features.
FeaturesOf = Callable[[np.ndarray, np.ndarray], np.ndarray]


def with_classes(
    card: dict[str, Any],
    options: EvaluateOptions,
    chosen: Chosen,
    images: ImageSet,
    photographs: Reference,
    extract: Extractor,
    features_of: FeaturesOf,
) -> dict[str, Any]:
    """Returns a card with what is measured of each class, if anything is.

    Generates `options.per_class` images of each class that has enough photographs.

    Args:
        card: Without it.
        options: Of the command.
        chosen: The checkpoint.
        images: The photographs, with their classes if the run knows classes.
        photographs: Their features.
        extract: What they were extracted by.
        features_of: Makes images and extracts theirs.
    """
    if images.classes is None or not options.per_class:
        return card
    num_usable = len(enough_photographs(images.classes.counts()))
    if num_usable < 2:
        say(
            f"warning: nothing is measured of each class, as {num_usable} of them has "
            f"{LEAST_PHOTOGRAPHS} photographs or more"
        )
        return card
    cache = _cache_of_probes(images, extract, options.seed)
    real = photographs_by_class(
        photographs.features,
        images.classes.labels,
        generator_at(options.seed, 0, 0, "class metrics"),
        cache,
    )
    labels = np.repeat(real.labels, options.per_class)
    latent_dim = chosen.config.model.latent_dim
    latents = latents_of(options.seed, len(labels), latent_dim, "class latents")
    found = images_by_class(features_of(latents, labels), real)
    suffix = options.extractor.replace("-", "_")
    metrics, floor = summary(found, real, suffix)
    return card | {
        "metrics": card["metrics"] | metrics,
        "floor": card["floor"] | floor,
        "classes": {
            "images_of_each": options.per_class,
            "least_photographs": LEAST_PHOTOGRAPHS,
            "too_few_photographs": [
                name
                for label, name in enumerate(images.classes.names)
                if label not in real.labels
            ],
            "probe_folds": NUM_FOLDS,
            "probe_penalty": real.probes.penalty,
            "of": rows(found, real, images),
        },
    }


def _cache_of_probes(images: ImageSet, extract: Extractor, seed: int) -> pathlib.Path:
    """Returns the file of the fitted probes; says so if they are yet to be fitted."""
    parts = [images.fingerprint, extract.description, seed, PENALTIES]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    cache = images.path.parent / f"probes-{key[:NUM_DIGITS]}.npz"
    if not cache.exists():
        say(f"fitting probes to the photographs' classes, once: {cache}")
    return cache


def summary(
    found: ImagesByClass, real: PhotographsByClass, suffix: str
) -> tuple[dict[str, float], dict[str, float]]:
    """Returns the metrics of all classes together, and their floors, by name."""
    worst = int(found.kernel.argmax())
    values = {"accuracy": (found.top_1.mean(), real.top_1.mean())}
    if len(real.labels) > MANY_CLASSES:
        values["accuracy_top_5"] = (found.top_5.mean(), real.top_5.mean())
    medians = (np.median(found.kernel), np.median(real.kernel_floor))
    values["class_kd_median"] = medians
    values["class_kd_worst"] = (found.kernel[worst], real.kernel_floor[worst])
    if np.isfinite(found.diversity).all():
        values["class_diversity_median"] = (np.median(found.diversity), 1.0)
    named = {f"{name}_{suffix}": pair for name, pair in values.items()}
    return (
        {name: float(value) for name, (value, _) in named.items()},
        {name: float(least) for name, (_, least) in named.items()},
    )


def rows(
    found: ImagesByClass, real: PhotographsByClass, images: ImageSet
) -> list[dict[str, Any]]:
    """Returns an entry for each class; a number that is not finite is left out."""
    if images.classes is None:
        return []
    counts = images.classes.counts()
    entries = []
    for place, label in enumerate(real.labels):
        numbers = {
            "kd": found.kernel[place],
            "kd_floor": real.kernel_floor[place],
            "accuracy": found.top_1[place],
            "accuracy_floor": real.top_1[place],
            "accuracy_top_5": found.top_5[place],
            "accuracy_top_5_floor": real.top_5[place],
            "diversity": found.diversity[place],
        }
        entries.append(
            {"name": images.classes.names[label], "num_photographs": int(counts[label])}
            | {name: float(x) for name, x in numbers.items() if np.isfinite(x)}
        )
    return entries
