"""The format of a weights file: what of a run others start from, in one file.

It is a safetensors file of the averaged generator and the discriminator in float16, a
seventh of a checkpoint. Its metadata say how they were trained.
"""

import dataclasses
import os
import pathlib

import numpy as np
import safetensors.numpy

from records.checkpoint import DamagedCheckpoint, digest, read_arrays, read_metadata
from records.run_folder import RUNS
from settings.config import Config
from settings.config_file import config_of_text, resolved_yaml
from settings.messages import Problem

SUFFIX = ".safetensors"
FORMAT = "magnetosphere weights 1"
EMA_GENERATOR, DISCRIMINATOR = "ema_generator", "discriminator"  # fields of the state
NETWORKS = (EMA_GENERATOR, DISCRIMINATOR)
# Far more than two networks of any config that can be trained here.
MOST_GIB = 4
FOLDER = "photographs"  # in place of a path that is nobody else's


@dataclasses.dataclass(frozen=True)
class Weights:
    """What a weights file holds.

    Attributes:
        run: Name of the run.
        iteration: Its iterations done.
        config: Its config, without the paths of the machine it was trained on.
        parent: What the run started from, in words; "" if from nothing.
        data_fingerprint: Of the photographs.
        num_images: How many photographs; 0: not known.
        checkpoint_sha256: Of the checkpoint, as in its header; of a longer average, of
            `arrays` before they became float16.
        arrays: float32 arrays of `NETWORKS`, by their names in a checkpoint.
        average: What the generator is a longer average of, in words; "" if it is the
            run's own.
    """

    run: str
    iteration: int
    config: Config
    parent: str
    data_fingerprint: str
    num_images: int
    checkpoint_sha256: str
    arrays: dict[str, np.ndarray]
    average: str = ""


def weights_path(text: str) -> pathlib.Path | None:
    """Returns the path of the weights file that a user names, None if it is a run."""
    path = pathlib.Path(os.path.expanduser(text))
    is_file = text.lower().endswith(SUFFIX) and not (RUNS / path.name).is_dir()
    return path if is_file else None


def weights_of(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns those arrays of a state that a weights file holds."""
    return {name: a for name, a in arrays.items() if name.split("/")[0] in NETWORKS}


def public_config(config: Config) -> Config:
    """Returns a config without paths, and without measurements during training."""
    path = FOLDER if config.data.source == "folder" else None
    places = {"cache_dir": "cache", "data_dir": None, "path": path}
    unmeasured = {"weights": None, "every_iterations": None}
    return config.model_copy(
        update={
            "data": config.data.model_copy(update=places),
            "metrics": config.metrics.model_copy(update=unmeasured),
        }
    )


def weights_bytes(weights: Weights) -> bytes:
    """Returns the contents of a weights file.

    Raises:
        Problem: If a weight is not finite, or too large for float16.
    """
    with np.errstate(over="ignore"):
        halves = {name: a.astype(np.float16) for name, a in weights.arrays.items()}
    unfit = [name for name, half in halves.items() if not np.isfinite(half).all()]
    if unfit:
        raise Problem(
            f"{weights.run} at {weights.iteration}: weights that float16 cannot hold\n"
            f"  expected: finite, at most 65504\n  found:    in {', '.join(unfit[:5])}"
        )
    metadata = {
        "format": FORMAT,
        "run": weights.run,
        "iteration": str(weights.iteration),
        "config": resolved_yaml(public_config(weights.config)),
        "parent": weights.parent,
        "average": weights.average,
        "data_fingerprint": weights.data_fingerprint,
        "num_images": str(weights.num_images),
        "checkpoint_sha256": weights.checkpoint_sha256,
        "sha256": digest(halves, weights.iteration),
    }
    contents: bytes = safetensors.numpy.save(halves, metadata)
    return contents


def read_weights(path: pathlib.Path) -> Weights:
    """Reads a weights file and verifies its checksum.

    Raises:
        Problem: If it is missing, damaged, a checkpoint, of another version, or no
            weights file at all.
    """
    try:
        check_size(path)
        metadata = read_metadata(path)
        if metadata.get("format") != FORMAT:
            raise Problem(_other_format(path, metadata))
        _, halves = read_arrays(path)
    except (DamagedCheckpoint, OSError) as error:
        raise Problem(str(error)) from error
    others = sorted({str(half.dtype) for half in halves.values()} - {"float16"})
    if others:
        raise Problem(
            f"{path}: a damaged weights file\n"
            f"  expected: weights in float16\n  found:    {', '.join(others)}"
        )
    try:
        iteration = int(metadata["iteration"])
        is_whole = metadata["sha256"] == digest(halves, iteration)
        weights = Weights(
            run=metadata["run"],
            iteration=iteration,
            config=_config(path, metadata["config"]),
            parent=metadata["parent"],
            data_fingerprint=metadata["data_fingerprint"],
            num_images=int(metadata["num_images"]),
            checkpoint_sha256=metadata["checkpoint_sha256"],
            arrays={name: half.astype(np.float32) for name, half in halves.items()},
            average=metadata.get("average", ""),  # older files have none
        )
    except (KeyError, ValueError) as error:
        raise Problem(f"{path}: a damaged weights file ({error})") from error
    if not is_whole:
        raise Problem(f"{path}: its checksum does not match its contents")
    return weights


def check_size(path: pathlib.Path) -> None:
    """Checks the size of a weights file, of which all will be read into memory.

    Raises:
        Problem: If it is too large; a file with holes takes no room on the disk.
    """
    num_gib = path.stat().st_size / 2**30 if path.is_file() else 0
    if num_gib > MOST_GIB:
        raise Problem(
            f"{path}: too large to be a weights file\n"
            f"  expected: at most {MOST_GIB} GiB\n  found:    {num_gib:,.1f} GiB"
        )


def _config(path: pathlib.Path, text: str) -> Config:
    try:
        return config_of_text(text, f"{path} (its config)")
    except Problem as error:
        raise Problem(
            f"{error}\n  written by another version of this program, which knows other "
            "keys; use that one"
        ) from error


def _other_format(path: pathlib.Path, metadata: dict[str, str]) -> str:
    found = metadata.get("format", "unknown")
    if found.startswith(FORMAT.rpartition(" ")[0]):
        return f"{path}: {found}, written by a newer version; update this program"
    words = f"format {found!r}"
    if "iteration" in metadata and "sha256" in metadata and "run" not in metadata:
        words = "a checkpoint; name its run instead, and --checkpoint or RUN@N"
    return (
        f"{path}: not a weights file\n"
        "  expected: a file written by generate.py RUN --kind weights\n"
        f"  found:    {words}"
    )
