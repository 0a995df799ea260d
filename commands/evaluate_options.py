"""Checks the options of evaluate.py before TensorFlow is imported."""

import dataclasses
import pathlib

from commands.chosen import Chosen
from metrics.networks import FEATURE_NETWORKS
from settings.key_types import LARGEST_SEED
from settings.messages import Problem
from settings.metrics import Extractor, Resize

LEAST_IMAGES = 10  # density counts the 5 nearest neighbours of each image


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
        seed: Of the images, and of the choice of subsets.
        photographs: Folder where they are; None: where the run found them.
        out: Folder of the card.
    """

    extractor: Extractor
    weights: str | None
    resize: Resize
    num_images: int
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
    mistakes = []
    network = FEATURE_NETWORKS[extractor]
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
    if num_images < LEAST_IMAGES:
        mistakes.append(
            f"--num_images {num_images}\n"
            f"  expected: a whole number, {LEAST_IMAGES} or more"
        )
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
        extractor, weights, resize, num_images, seed, photographs, out
    )


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
