"""What evaluate.py is asked for, checked before TensorFlow is imported."""

import dataclasses
import pathlib

from commands.chosen import Chosen
from settings.key_types import LARGEST_SEED
from settings.messages import Problem

LEAST_IMAGES = 10  # density counts the 5 nearest neighbours of each picture


@dataclasses.dataclass(frozen=True)
class Measurement:
    """How to measure a checkpoint, and where the card goes.

    Attributes:
        extractor: Network whose features are compared; None: the run's.
        weights: Path of its weights; None: the run's, else downloaded once.
        resize: "clean" or "legacy".
        num_images: Pictures to make.
        seed: Of the pictures, and of the choice of subsets.
        out: Folder of the card; None: the run's samples.
    """

    extractor: str | None
    weights: str | None
    resize: str
    num_images: int
    seed: int
    out: pathlib.Path | None


def checked_measurement(wanted: Measurement, chosen: Chosen) -> Measurement:
    """Returns the measurement with nothing left open.

    Raises:
        Problem: With every mistake in it.
    """
    metrics = chosen.config.metrics
    extractor = wanted.extractor or metrics.extractor
    weights = wanted.weights
    if weights is None and extractor == metrics.extractor:
        weights = metrics.weights
    out = wanted.out or chosen.run.samples
    mistakes = []
    if weights is None and extractor == "mobilenetv2":
        mistakes.append(
            "--weights\n  expected: the path of a file, as --extractor is mobilenetv2"
        )
    if weights is not None and not pathlib.Path(weights).is_file():
        mistakes.append(f"--weights {weights}: no such file")
    if wanted.resize == "legacy" and extractor != "inception-fid":
        mistakes.append(
            f"--resize legacy\n  expected: clean, as --extractor is {extractor}"
        )
    if wanted.num_images < LEAST_IMAGES:
        mistakes.append(
            f"--num_images {wanted.num_images}\n"
            f"  expected: a whole number, {LEAST_IMAGES} or more"
        )
    if not 0 <= wanted.seed <= LARGEST_SEED:
        mistakes.append(
            f"--seed {wanted.seed}\n  expected: a whole number from 0 to {LARGEST_SEED}"
        )
    if out.exists() and not out.is_dir():
        mistakes.append(f"--out {out}\n  expected: a folder\n  found:    a file")
    if mistakes:
        raise Problem("\n".join(mistakes))
    return dataclasses.replace(wanted, extractor=extractor, weights=weights, out=out)
