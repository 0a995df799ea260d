"""Finds the run and checkpoint, or the weights file, that a command names.

They are only read, and nothing is locked, so the run may be training. Nothing here
imports TensorFlow, so that errors take a second to show, not ten.
"""

import dataclasses
import pathlib

import numpy as np

from records.best import best_iterations, deciding_metric, values_of
from records.checkpoint import digest
from records.find_checkpoint import (
    is_iteration,
    newest_whole_checkpoint,
    numbered_checkpoint,
)
from records.origin import read_origin
from records.rows import SCALARS, read_rows
from records.run_folder import RUNS, SAMPLES, RunFolder
from records.weights import Weights, read_weights, weights_of, weights_path
from settings.config import Config
from settings.config_file import load_stored_config
from settings.messages import Problem

LATEST, BEST = "latest", "best"


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The networks in a checkpoint of a run, or in a weights file.

    Attributes:
        run: The run's folders; for a weights file, one for what is made of it.
        config: The run's config.
        iteration: Iterations done.
        sha256: Of all arrays in the checkpoint, as in its header.
        arrays: Those of the averaged generator and of the discriminator, float32, by
            their names in the checkpoint.
        file: The weights file; None for a checkpoint.
        weights: What the weights file says; None for a checkpoint.
    """

    run: RunFolder
    config: Config
    iteration: int
    sha256: str
    arrays: dict[str, np.ndarray]
    file: pathlib.Path | None = None
    weights: Weights | None = None

    @property
    def named(self) -> str:
        """What a user writes for RUN."""
        return str(self.file) if self.file else self.run.name

    @property
    def average(self) -> str:
        """What a weights file's generator is a longer average of, in words, or ""."""
        return self.weights.average if self.weights else ""

    @property
    def data_fingerprint(self) -> str:
        """Of the photographs it was trained on.

        Raises:
            Problem: If the run's record of them is missing or damaged.
        """
        if self.weights is not None:
            return self.weights.data_fingerprint
        fingerprint = read_origin(self.run).data_fingerprint
        return fingerprint


def choose(text: str, wanted: str) -> Chosen:
    """Reads what a command names: a weights file, or a run and one of its checkpoints.

    Args:
        text: Name of a run, its folder, or the path of a weights file.
        wanted: "latest", "best" or a number of iterations.

    Raises:
        Problem: If there is no such run, checkpoint or file, or it is damaged.
    """
    path = weights_path(text)
    if path is not None:
        return choose_weights(path, wanted)
    return choose_checkpoint(find_run(text), wanted)


def choose_weights(path: pathlib.Path, wanted: str) -> Chosen:
    """Reads a weights file; `wanted` has to be "latest" or the file's iteration.

    Raises:
        Problem: If it is another, or the file is missing, damaged or of another kind.
    """
    weights = read_weights(path)
    if wanted not in (LATEST, str(weights.iteration)):
        raise Problem(
            f"--checkpoint {wanted}\n  expected: nothing, as {path} holds one only\n"
            f"  found:    iteration {weights.iteration} of {weights.run}"
        )
    return Chosen(
        RunFolder(f"weights/{path.stem.strip('.')}"),  # no name of a run
        weights.config,
        weights.iteration,
        weights.checkpoint_sha256,
        weights.arrays,
        path,
        weights,
    )


def find_run(text: str) -> RunFolder:
    """Finds a run by its name, runs/NAME or samples/NAME.

    Raises:
        Problem: If there is no such run; lists the existing ones.
    """
    path = pathlib.Path(text)
    is_in_folder = path.parent.resolve() in (RUNS.resolve(), SAMPLES.resolve())
    name = path.name if is_in_folder else str(path)
    known = [path.name for path in RUNS.glob("*") if path.is_dir()]
    known = sorted(name for name in known if not name.startswith("."))
    if name not in known:
        raise Problem(
            f"{text}: no such run under {RUNS.resolve()}\n"
            f"  found:    {', '.join(known) or 'no run at all'}"
        )
    return RunFolder(name)


def choose_checkpoint(run: RunFolder, wanted: str) -> Chosen:
    """Reads one checkpoint of a run.

    Args:
        run: The run, which may be training.
        wanted: "latest", "best" or a number of iterations.

    Raises:
        Problem: If there is no such checkpoint or it is damaged.
    """
    iterations = run.iterations()
    found = ", ".join(map(str, iterations)) or "none"
    if wanted not in (LATEST, BEST) and not is_iteration(wanted):
        raise Problem(
            f"--checkpoint {wanted}\n"
            f"  expected: {LATEST}, {BEST}, or a number of iterations\n"
            f"  found:    {found}"
        )
    if not iterations:
        raise Problem(
            f"{run.checkpoints}: no checkpoint yet\n"
            "  one is saved every training.checkpoint_every_iterations, and when "
            "train.py is stopped"
        )
    config = load_stored_config(run.config)
    if wanted == LATEST:
        iteration, arrays = newest_whole_checkpoint(run)
    else:
        is_best = wanted == BEST
        iteration = best_checkpoint(run, config) if is_best else int(wanted)
        arrays = numbered_checkpoint(run, iteration)
    sha256 = digest(arrays, iteration)
    return Chosen(run, config, iteration, sha256, weights_of(arrays))


def best_checkpoint(run: RunFolder, config: Config) -> int:
    """Returns the iteration of the checkpoint with the lowest kernel distance.

    Raises:
        Problem: If no checkpoint has been measured.
    """
    rows = read_rows(run.root / SCALARS)
    name = deciding_metric(config.metrics, rows)
    values = values_of(name, rows)
    best = best_iterations(values, run.iterations(), 1)
    if not best:
        raise Problem(
            f"--checkpoint {BEST}: no checkpoint has a {name} yet\n"
            "  metrics.every_iterations takes one at that interval while the run "
            f"trains\n  expected: {LATEST}, or a number of iterations\n"
            f"  found:    {', '.join(map(str, run.iterations()))}"
        )
    return best[0]
