"""Reads and writes a weights file: what of a run others start from, in one file.

It is a safetensors file of the averaged generator and the discriminator in float16, a
fifth of a checkpoint. Its metadata say how they were trained.
"""

import dataclasses
import pathlib

import numpy as np
import safetensors
import safetensors.numpy

from files.atomic import written_aside
from records.checkpoint import DamagedCheckpoint, digest, read_arrays
from settings.config import Config
from settings.config_file import config_of_text, resolved_yaml
from settings.messages import Problem
from settings.metrics import MetricsConfig

SUFFIX = ".safetensors"
FORMAT = "magnetosphere weights 1"
EMA_GENERATOR, DISCRIMINATOR = "ema_generator", "discriminator"  # fields of the state
NETWORKS = (EMA_GENERATOR, DISCRIMINATOR)
FOLDER = "photographs"  # in place of a path that is nobody else's


@dataclasses.dataclass(frozen=True)
class Weights:
    """What a weights file holds.

    Attributes:
        run: Name of the run.
        iteration: Its iterations done.
        config: Its config, without the paths of the machine it was trained on.
        data_fingerprint: Of the photographs.
        num_images: How many photographs.
        checkpoint_sha256: Of the checkpoint, as in its header.
        arrays: float32 arrays of `NETWORKS`, by their names in a checkpoint.
    """

    run: str
    iteration: int
    config: Config
    data_fingerprint: str
    num_images: int
    checkpoint_sha256: str
    arrays: dict[str, np.ndarray]


def weights_of(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns those arrays of a state that a weights file holds."""
    return {name: a for name, a in arrays.items() if name.split("/")[0] in NETWORKS}


def public_config(config: Config) -> Config:
    """Returns a config without paths, metrics and injected faults."""
    places = {"cache_dir": "cache", "data_dir": None}
    if config.data.source == "folder":
        places["path"] = FOLDER
    empty = Config.model_validate({"run": {"name": config.run.name}})
    return config.model_copy(
        update={
            "data": config.data.model_copy(update=places),
            "metrics": MetricsConfig(),
            "debug": empty.debug,
        }
    )


def write_weights(path: pathlib.Path, weights: Weights) -> None:
    """Writes a weights file.

    Raises:
        Problem: If a weight is too large for float16, or the file cannot be written.
    """
    with np.errstate(over="ignore"):
        halves = {name: a.astype(np.float16) for name, a in weights.arrays.items()}
    unfit = [name for name, half in halves.items() if not np.isfinite(half).all()]
    if unfit:
        raise Problem(
            f"{weights.run} at {weights.iteration}: weights too large for float16\n"
            f"  expected: at most 65504\n  found:    in {', '.join(unfit[:5])}"
        )
    metadata = {
        "format": FORMAT,
        "run": weights.run,
        "iteration": str(weights.iteration),
        "config": resolved_yaml(public_config(weights.config)),
        "data_fingerprint": weights.data_fingerprint,
        "num_images": str(weights.num_images),
        "checkpoint_sha256": weights.checkpoint_sha256,
        "sha256": digest(halves, weights.iteration),
    }
    try:
        with written_aside(path) as aside:
            aside.write_bytes(safetensors.numpy.save(halves, metadata))
    except (OSError, safetensors.SafetensorError) as error:
        raise Problem(f"{path}: could not be written ({error})") from error


def read_weights(path: pathlib.Path) -> Weights:
    """Reads a weights file and verifies its checksum.

    Raises:
        Problem: If it is missing, damaged, a checkpoint, or no weights file at all.
    """
    try:
        metadata, halves = read_arrays(path)
    except (DamagedCheckpoint, OSError) as error:
        raise Problem(str(error)) from error
    if metadata.get("format") != FORMAT:
        raise Problem(_other_format(path, metadata))
    try:
        iteration = int(metadata["iteration"])
        is_whole = metadata["sha256"] == digest(halves, iteration)
        weights = Weights(
            run=metadata["run"],
            iteration=iteration,
            config=config_of_text(metadata["config"], str(path)),
            data_fingerprint=metadata["data_fingerprint"],
            num_images=int(metadata["num_images"]),
            checkpoint_sha256=metadata["checkpoint_sha256"],
            arrays={name: half.astype(np.float32) for name, half in halves.items()},
        )
    except (KeyError, ValueError) as error:
        raise Problem(f"{path}: a damaged weights file ({error})") from error
    if not is_whole:
        raise Problem(f"{path}: its checksum does not match its contents")
    return weights


def _other_format(path: pathlib.Path, metadata: dict[str, str]) -> str:
    expected = "  expected: a file written by generate.py RUN --kind weights"
    if "iteration" in metadata and "sha256" in metadata and "run" not in metadata:
        found = "a checkpoint; name its run instead, and --checkpoint or RUN@N"
    else:
        found = f"format {metadata.get('format', 'unknown')!r}"
    return f"{path}: not a weights file\n{expected}\n  found:    {found}"
