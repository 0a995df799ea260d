"""Measures a checkpoint and writes its metric card."""

import datetime
import json
import pathlib
import shlex
from collections.abc import Callable

import numpy as np
from PIL import Image

from commands.chosen import Chosen
from commands.evaluate_options import Measurement
from commands.generate import load_ema_generator, share_gpu
from commands.memory import OUT_OF_MEMORY
from commands.metric_card import markdown, table
from commands.train import load_images
from data import ImageSet
from gallery import grid_image, write_png
from metrics import Neighbours, nearest_neighbours, precision_recall_density_coverage
from records.best import metric_names
from records.page import write_pages
from records.run_folder import read_origin, write_text
from records.sessions import versions
from settings.messages import Problem
from settings.metrics import MetricsConfig
from training.device import usable_device
from training.measures import (
    Photographs,
    distances,
    features_of_pictures,
    floor_split,
    load_photographs,
    measured_latents,
    subset_size,
)
from training.pictures import Painter
from training.run_metrics import build_extractor

Say = Callable[[str], None]

NUM_SUBSETS = 100  # KID's own (arXiv:1801.01401)
LEAST_PHOTOGRAPHS = 12  # a floor needs two sets of more than 5 neighbours
PAIRS = 16  # on the sheet: of the nearest, and as many of the first
SHEET_COLUMNS = 8  # four pairs


def evaluate(measurement: Measurement, chosen: Chosen, say: Say) -> None:
    """Measures a checkpoint; writes its card and sheet, and says each file.

    Args:
        measurement: Checked.
        chosen: The checkpoint.
        say: Takes a line for people.

    Raises:
        Problem: If photographs or weights are missing or others than they should be,
            or disk or memory do not suffice.
    """
    share_gpu()
    device = usable_device()  # minutes on a CPU, not a night: no card is insisted on
    images = photographs_of(chosen, say)
    try:
        card, sheet = measured(measurement, chosen, images, say)
        card["device"] = device.name
        say(table(card))
        write_card(card, sheet, stem_of(measurement, chosen), measurement.out, say)
        if measurement.out.resolve() == chosen.run.samples.resolve():
            say(f"wrote {write_pages(chosen.run)}")
    except OUT_OF_MEMORY as error:
        raise Problem(
            "out of memory\n  fewer pictures (--num_images) take less; where a run in "
            "training fills the GPU, use the CPU:\n"
            "  CUDA_VISIBLE_DEVICES= python evaluate.py ..."
        ) from error


def stem_of(measurement: Measurement, chosen: Chosen) -> str:
    """Returns what tells a card from others of the run, for its files' names."""
    stem = f"{chosen.iteration:07d}-{measurement.extractor}-{measurement.num_images}"
    legacy = "-legacy" if measurement.resize == "legacy" else ""
    return stem + legacy + (f"-seed{measurement.seed}" if measurement.seed else "")


def write_card(
    card: dict[str, object],
    sheet: Image.Image,
    stem: str,
    out: pathlib.Path,
    say: Say,
) -> None:
    """Writes a card and its sheet, and adds their names to it.

    Raises:
        Problem: If they cannot be written.
    """
    card["neighbours"] = f"neighbours-{stem}.png"
    card["markdown"] = f"card-{stem}.md"
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_png(sheet, out / card["neighbours"])
        write_text(out / card["markdown"], markdown(card))
        write_text(out / f"card-{stem}.json", json.dumps(card, indent=2) + "\n")
    except OSError as error:
        raise Problem(f"{out}: could not be written ({error})") from error
    for name in (card["markdown"], f"card-{stem}.json", card["neighbours"]):
        say(f"wrote {out / name}")


def photographs_of(chosen: Chosen, say: Say) -> ImageSet:
    """Loads the photographs that a run was trained on.

    Raises:
        Problem: If they are missing, too few, or not the same any more.
    """
    images = load_images(chosen.config, say)
    if images.fingerprint != read_origin(chosen.run)["data_fingerprint"]:
        raise Problem(
            f"{chosen.run.name}: the photographs are not those it was trained on\n"
            f"  expected: fingerprint as in {chosen.run.origin}\n"
            f"  found:    {images.count} photographs with {images.fingerprint}"
        )
    if images.count < LEAST_PHOTOGRAPHS:
        raise Problem(
            f"{images.count} photographs are too few to compare with\n"
            f"  expected: {LEAST_PHOTOGRAPHS} or more"
        )
    return images


def measured(
    measurement: Measurement, chosen: Chosen, images: ImageSet, say: Say
) -> tuple[dict[str, object], Image.Image]:
    """Measures; returns the card without the names of its files, and the sheet."""
    told = description(measurement, chosen, images)
    settings = MetricsConfig(
        extractor=measurement.extractor,
        weights=measurement.weights,
        resize=measurement.resize,
    )
    extract = build_extractor(settings, chosen.config.data.cache_dir, say)
    photographs = load_photographs(images, extract, extract.description, say)
    seed, latent_dim = measurement.seed, chosen.config.model.latent_dim
    painter = Painter(load_ema_generator(chosen))
    latents = measured_latents(seed, measurement.num_images, latent_dim)
    say(f"{chosen.run.name} at {chosen.iteration}: making {len(latents)} pictures")
    features = features_of_pictures(painter, latents, extract)
    chosen_photographs, others = floor_split(photographs, len(features), seed)
    nearest = nearest_neighbours(features, photographs.features)
    name = measurement.extractor
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
    return card, neighbour_sheet(painter, latents, nearest, images)


def scores(
    extractor: str,
    features: np.ndarray,
    photographs: Photographs,
    nearest: np.ndarray,
    seed: int,
) -> dict[str, float]:
    """Returns all metrics of features against photographs, by name.

    Args:
        extractor: For the names.
        features: float32 [count, num_features].
        photographs: What they are compared with.
        nearest: Distances of the features to the nearest photographs, [count].
        seed: Of the subsets.
    """
    frechet, kernel = metric_names(extractor)
    found = distances(features, photographs, NUM_SUBSETS, seed)
    fidelity = precision_recall_density_coverage(photographs.features, features)
    suffix = extractor.replace("-", "_")
    return {
        frechet: found.frechet,
        kernel: found.kernel,
        f"{kernel}_sd": found.kernel_sd,
        **{f"{name}_{suffix}": v for name, v in fidelity._asdict().items()},
        f"nearest_median_{suffix}": float(np.median(nearest)),
        f"nearest_least_{suffix}": float(nearest.min()),
    }


def description(
    measurement: Measurement, chosen: Chosen, images: ImageSet
) -> dict[str, object]:
    """Returns what the numbers depend on, to take them again."""
    config = chosen.config
    options = {
        "--checkpoint": chosen.iteration,
        "--extractor": measurement.extractor,
        "--weights": measurement.weights,
        "--resize": measurement.resize,
        "--num_images": measurement.num_images,
        "--seed": measurement.seed,
    }
    given = [str(x) for o in options.items() if o[1] is not None for x in o]
    return {
        "run": chosen.run.name,
        "iteration": chosen.iteration,
        "checkpoint_sha256": chosen.sha256,
        "command": shlex.join(["python", "evaluate.py", chosen.run.name, *given]),
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
    painter: Painter, latents: np.ndarray, nearest: Neighbours, images: ImageSet
) -> Image.Image:
    """Draws pictures beside their nearest photographs: memorised ones are alike.

    Above are the pictures of all that come nearest to a photograph, the nearest
    first; below the first pictures, whatever they are.
    """
    closest = np.argsort(nearest.distances, kind="stable")[:PAIRS]
    shown = [*closest, *range(min(PAIRS, len(latents)))]
    pictures = painter.images_of(latents[shown])
    pairs = [
        image
        for picture, index in zip(pictures, nearest.indices[shown], strict=True)
        for image in (picture, images.images[index])
    ]
    return grid_image(np.stack(pairs), columns=SHEET_COLUMNS)
