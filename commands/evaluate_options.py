"""Checks the options of evaluate.py before TensorFlow is imported."""

import dataclasses
import pathlib

from commands.chosen import Chosen
from metrics.networks import FEATURE_NETWORKS
from settings.key_types import LARGEST_SEED
from settings.messages import Problem
from settings.metrics import Extractor, Resize

LEAST_IMAGES = 10  # density counts the 5 nearest neighbours of each image
# Images of each class, but no more in all than that, so long as each has the least.
PER_CLASS, MOST_BY_CLASS = 50, 10_000

# The key of the folder, by data.source.
PLACE_KEYS = {"folder": "path", "tfds": "data_dir"}


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """How to evaluate a checkpoint, and where to write the card.

    Attributes:
        extractor: Network whose features are compared.
        weights: Path of its weights; None: downloaded once.
        resize: "clean" or "legacy".
        num_images: Images to generate.
        per_class: Images to generate of each class beside those; 0: none.
        seed: Of the images, and of the choice of subsets.
        photographs: Folder where they are; None: where the run found them.
        out: Folder of the card.
    """

    extractor: Extractor
    weights: str | None
    resize: Resize
    num_images: int
    per_class: int
    seed: int
    photographs: str | None
    out: pathlib.Path


def checked_options(
    chosen: Chosen,
    *,
    extractor: Extractor | None,
    weights: str | None,
    resize: Resize,
    num_images: int,
    per_class: int | None,
    seed: int,
    photographs: str | None,
    out: pathlib.Path | None,
) -> EvaluateOptions:
    """Returns the options, those that are None taken from the run.

    Raises:
        Problem: Lists every mistake.
    """
    metrics = chosen.config.metrics
    extractor = extractor or metrics.extractor
    if weights is None and extractor == metrics.extractor:
        weights = metrics.weights
    out = out or chosen.run.samples
    mistakes = _extractor_mistakes(extractor, weights, resize)
    if num_images < LEAST_IMAGES:
        mistakes.append(
            f"--num_images {num_images}\n"
            f"  expected: a whole number, {LEAST_IMAGES} or more"
        )
    if per_class is not None:
        mistakes += _per_class_mistakes(chosen, per_class)
    if not 0 <= seed <= LARGEST_SEED:
        mistakes.append(
            f"--seed {seed}\n  expected: a whole number from 0 to {LARGEST_SEED}"
        )
    mistakes += _place_mistakes(chosen, photographs)
    if out.exists() and not out.is_dir():
        mistakes.append(f"--out {out}\n  expected: a folder\n  found:    a file")
    if mistakes:
        raise Problem("\n".join(mistakes))
    return EvaluateOptions(
        extractor=extractor,
        weights=weights,
        resize=resize,
        num_images=num_images,
        per_class=usual_per_class(chosen) if per_class is None else per_class,
        seed=seed,
        photographs=photographs,
        out=out,
    )


def _extractor_mistakes(
    extractor: Extractor, weights: str | None, resize: Resize
) -> list[str]:
    network = FEATURE_NETWORKS[extractor]
    mistakes = []
    if weights is None and network.needs_weights:
        mistakes.append(
            f"--weights\n  expected: the path of a file, as --extractor is {extractor}"
        )
    if weights is not None and not pathlib.Path(weights).is_file():
        mistakes.append(f"--weights {weights}: no such file")
    if resize not in network.resizes:
        mistakes.append(
            f"--resize {resize}\n  expected: {', '.join(network.resizes)}, as "
            f"--extractor is {extractor}"
        )
    return mistakes


def usual_per_class(chosen: Chosen) -> int:
    """Returns how many images of each class are generated, if nobody says."""
    num_classes = chosen.config.model.num_classes
    if not num_classes:
        return 0
    return max(LEAST_IMAGES, min(PER_CLASS, MOST_BY_CLASS // num_classes))


def _per_class_mistakes(chosen: Chosen, per_class: int) -> list[str]:
    """Returns the mistake in --per_class, if there is one."""
    expected = f"0, or a whole number, {LEAST_IMAGES} or more"
    is_good = per_class == 0 or per_class >= LEAST_IMAGES
    if not chosen.config.model.num_classes:
        is_good, expected = False, f"nothing, as {chosen.named} has no classes"
    return [] if is_good else [f"--per_class {per_class}\n  expected: {expected}"]


def _place_mistakes(chosen: Chosen, photographs: str | None) -> list[str]:
    """Returns the mistakes in --photographs, or that it is missing."""
    source = chosen.config.data.source
    if photographs is None:
        if chosen.file is None or source != "folder":
            return []
        return [
            "--photographs\n  expected: the folder of the photographs, which a weights "
            "file does not name"
        ]
    if source not in PLACE_KEYS:
        return [f"--photographs\n  expected: nothing, as data.source is {source}"]
    folder = pathlib.Path(photographs)
    if not folder.is_dir():
        return [f"--photographs {photographs}: no such folder"]
    name = chosen.config.data.name.partition(":")[0]
    if source == "tfds" and not (folder / name).is_dir():
        return [
            f"--photographs {photographs}\n  expected: a folder of TFDS data sets with "
            f"{name} in it"
        ]
    return []
