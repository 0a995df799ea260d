"""Evaluates a checkpoint and writes its metric card."""

import contextlib
import datetime
import functools
import shlex
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tqdm
from PIL import Image

from commands.chosen import Chosen
from commands.evaluate_classes import with_classes
from commands.evaluate_options import PLACE_KEYS, EvaluateOptions
from commands.loading import load_ema_generator, load_images
from commands.metric_card import metrics_table, stem_of, write_card
from data import ImageSet
from gallery.cards import class_verdict, verdict
from gallery.neighbours import Part, neighbours_sheet
from metrics.comparison import Extract, Reference, distances, subset_size
from metrics.neighbours import (
    Neighbours,
    nearest_neighbours,
    precision_recall_density_coverage,
)
from metrics.networks import FEATURE_NETWORKS
from records.page import write_pages
from records.sessions import versions
from settings.messages import Problem, say
from settings.metrics import MetricsConfig
from training.device import OUT_OF_MEMORY, share_gpu, usable_device
from training.pictures import Painter, class_weights
from training.run_metrics import (
    build_extractor,
    in_parts,
    measured_floor,
    measured_labels,
    measured_latents,
    reference_of,
)

NUM_SUBSETS = 100  # KID's own (arXiv:1801.01401)
LEAST_PHOTOGRAPHS = 12  # the floor needs two sets of more than 5 neighbours
PAIRS = 16  # on the sheet: nearest ones, and as many of the first


def evaluate(options: EvaluateOptions, chosen: Chosen) -> None:
    """Evaluates a checkpoint; writes its card and sheet, and prints their paths.

    Raises:
        Problem: If photographs or weights are missing or not the expected ones, or
            disk or memory are too small.
    """
    share_gpu()
    device = usable_device()  # a CPU takes only minutes, so no GPU is required
    images = photographs_of(chosen, options.photographs)
    try:
        card, sheet = measured(options, chosen, images)
        card["device"] = device.name
        say(metrics_table(card))
        say(verdict(card["metrics"], card["floor"]))
        if "classes" in card:
            say(class_verdict(card))
        write_card(card, sheet, stem_of(options, chosen), options.out)
        is_of_run = chosen.file is None
        if is_of_run and options.out.resolve() == chosen.run.samples.resolve():
            say(f"wrote {write_pages(chosen.run)}")
    except OUT_OF_MEMORY as error:
        raise Problem(
            "out of memory\n  fewer pictures (--num_images) take less; where a run in "
            "training fills the GPU, use the CPU:\n"
            "  CUDA_VISIBLE_DEVICES= python evaluate.py ..."
        ) from error


def photographs_of(chosen: Chosen, place: str | None) -> ImageSet:
    """Loads the photographs that a run was trained on.

    `place` is the folder where they are now; None: where they were.

    Raises:
        Problem: If they are missing, too few, or have changed.
    """
    config = chosen.config
    if place is not None:
        key = PLACE_KEYS[config.data.source]
        data = config.data.model_copy(update={key: place})
        config = config.model_copy(update={"data": data})
    images = load_images(config)
    if images.fingerprint != chosen.data_fingerprint:
        raise Problem(
            f"{chosen.named}: the photographs are not those it was trained on\n"
            f"  expected: fingerprint {chosen.data_fingerprint}\n"
            f"  found:    {images.count} photographs with {images.fingerprint}"
        )
    if images.count < LEAST_PHOTOGRAPHS:
        raise Problem(
            f"{images.count} photographs are too few to compare with\n"
            f"  expected: {LEAST_PHOTOGRAPHS} or more"
        )
    return images


def measured(
    options: EvaluateOptions, chosen: Chosen, images: ImageSet
) -> tuple[dict[str, Any], Image.Image]:
    """Returns the card, without the names of its files, and the sheet."""
    told = description(options, chosen, images)
    settings = MetricsConfig(
        extractor=options.extractor,
        weights=options.weights,
        resize=options.resize,
    )
    extract = build_extractor(settings, chosen.config.data.cache_dir)
    with counted(extract, images.count, "photographs") as counting:
        photographs = reference_of(images, extract, counting)
    seed, latent_dim = options.seed, chosen.config.model.latent_dim
    painter = Painter(load_ema_generator(chosen))
    latents = measured_latents(seed, options.num_images, latent_dim)
    labels = measured_labels(images, seed, options.num_images)

    def images_of(some: slice | np.ndarray) -> np.ndarray:
        return painter.images_of(
            latents[some], class_weights(labels[some], painter.num_classes)
        )

    say(f"{chosen.named} at {chosen.iteration}: making {len(latents)} pictures")
    features_of = functools.partial(pictured_features, painter, extract)
    features = features_of(latents, labels)
    say("comparing them with the photographs")
    chosen_photographs, others = measured_floor(photographs, len(features), seed)
    nearest = nearest_neighbours(features, photographs.features)
    name = options.extractor
    card = told | {
        "extractor": extract.description,
        "metrics": scores(name, features, photographs, nearest.distances, seed),
        "floor": scores(
            name,
            chosen_photographs,
            others,
            nearest_neighbours(chosen_photographs, others.features).distances,
            seed,
        ),
        "num_fake": len(features),
        "num_real": images.count,
        "num_floor": len(chosen_photographs),
        "num_floor_against": len(others.features),
        "num_subsets": NUM_SUBSETS,
        "subset_size": subset_size(features, photographs),
        "seed": seed,
    }
    card = with_classes(
        card, options, chosen, images, photographs, extract, features_of
    )
    return card, neighbour_sheet(images_of, nearest, images)


def pictured_features(
    painter: Painter, extract: Extract, latents: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Returns features of generated images, [count, num_features].

    Args:
        painter: Generates them.
        extract: Maps images to features.
        latents: float32 [count, latent_dim].
        labels: int [count]; not used by a painter that knows no classes.
    """
    classes = class_weights(labels, painter.num_classes)
    features = []
    with counted(extract, len(latents), "pictures") as counting:
        for part in in_parts(len(latents)):
            own = None if classes is None else classes[part]
            features.append(counting(painter.images_of(latents[part], own)))
    return np.concatenate(features)


@contextlib.contextmanager
def counted(extract: Extract, total: int, what: str) -> Iterator[Extract]:
    """Yields the extractor with a progress bar, if a terminal shows it."""
    with tqdm.tqdm(
        total=total,
        desc=what,
        unit="",
        dynamic_ncols=True,
        leave=False,
        delay=1,  # none for photographs whose features are in the cache
        disable=sys.stdout is None or not sys.stdout.isatty(),
    ) as bar:

        def counting(images: np.ndarray) -> np.ndarray:
            features = extract(images)
            bar.update(len(images))
            return features

        yield counting


def scores(
    extractor: str,
    features: np.ndarray,
    photographs: Reference,
    nearest: np.ndarray,
    seed: int,
) -> dict[str, float]:
    """Returns all metrics of features against photographs, by name.

    Args:
        extractor: For the names.
        features: float32 [count, num_features].
        photographs: The reference.
        nearest: Distances of the features to the nearest photographs, [count].
        seed: Seed of the subsets.
    """
    network = FEATURE_NETWORKS[extractor]
    found = distances(features, photographs, NUM_SUBSETS, seed)
    fidelity = precision_recall_density_coverage(photographs.features, features)
    suffix = extractor.replace("-", "_")
    return {
        network.frechet: found.frechet,
        network.kernel: found.kernel,
        f"{network.kernel}_sd": found.kernel_sd,
        **{f"{name}_{suffix}": v for name, v in fidelity._asdict().items()},
        f"nearest_median_{suffix}": float(np.median(nearest)),
        f"nearest_least_{suffix}": float(nearest.min()),
    }


def description(
    options: EvaluateOptions, chosen: Chosen, images: ImageSet
) -> dict[str, Any]:
    """Returns all that is needed to reproduce the metrics."""
    config = chosen.config
    given = {
        "--checkpoint": chosen.iteration,
        "--extractor": options.extractor,
        "--weights": options.weights,
        "--resize": options.resize,
        "--num_images": options.num_images,
        "--per_class": options.per_class if images.classes is not None else None,
        "--seed": options.seed,
        "--photographs": options.photographs,
    }
    arguments = [str(x) for one in given.items() if one[1] is not None for x in one]
    return {
        "run": chosen.weights.run if chosen.weights else chosen.run.name,
        "iteration": chosen.iteration,
        "average": chosen.average,
        "checkpoint_sha256": chosen.sha256,
        "command": shlex.join(["python", "evaluate.py", chosen.named, *arguments]),
        "date": datetime.date.today().isoformat(),
        "photographs": {
            "source": config.data.source,
            "splits": config.data.splits if config.data.source == "tfds" else None,
            "image_size": config.data.image_size,
            "fingerprint": images.fingerprint,
            "mirrored": False,
        },
        "pictures": "averaged generator, not truncated, rounded to bytes",
        "versions": versions(),
    }


def neighbour_sheet(
    images_of: Callable[[np.ndarray], np.ndarray], nearest: Neighbours, images: ImageSet
) -> Image.Image:
    """Draws generated images beside their nearest photographs, to show memorisation.

    The upper half has those closest to any photograph, closest first; the lower half
    has the first images generated. `images_of` makes the images of some numbers.
    """
    closest = np.argsort(nearest.distances, kind="stable")[:PAIRS]
    first = np.arange(min(PAIRS, len(nearest.distances)))

    def part(heading: str, shown: np.ndarray) -> Part:
        photographs = [images.images[index] for index in nearest.indices[shown]]
        labels = [f"distance {distance:.3g}" for distance in nearest.distances[shown]]
        pictures = images_of(shown)
        return heading, list(zip(pictures, photographs, labels, strict=True))

    beside = "each with its nearest photograph on its right"
    least = f"The {len(closest)} pictures nearest to any photograph, {beside}"
    parts = [part(least, closest), part(f"The first {len(first)}, {beside}", first)]
    return neighbours_sheet(parts)
